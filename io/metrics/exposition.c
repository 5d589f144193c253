/* exposition - the registry as Prometheus reads it: text format 0.0.4. */
#include "io/metrics/registry.h"

#include <math.h>
#include <stdio.h>

static const char *type_name(bt_series_kind kind)
{
    switch (kind) {
    case BT_SERIES_COUNTER:
        return "counter";
    case BT_SERIES_GAUGE:
        return "gauge";
    case BT_SERIES_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

/* name_suffix{labels,extra} - without braces when there is nothing to put between them. */
static void write_name(bt_buf *text, const bt_family *family, const char *suffix, const bt_series *series, const char *bound)
{
    bt_buf_text(text, family->name);
    bt_buf_text(text, suffix);
    if (*series->labels != '\0' || bound != NULL) {
        bt_buf_byte(text, '{');
        bt_buf_text(text, series->labels);
        if (bound != NULL)
            bt_buf_printf(text, "%sle=\"%s\"", *series->labels == '\0' ? "" : ",", bound);
        bt_buf_byte(text, '}');
    }
    bt_buf_byte(text, ' ');
}

/* Microseconds as seconds, without going through a double: sums stay exact. */
static void write_in_unit(bt_buf *text, bt_histogram_kind kind, uint64_t value)
{
    if (kind == BT_HISTOGRAM_SECONDS)
        bt_buf_printf(text, "%llu.%06llu", (unsigned long long)(value / 1000000), (unsigned long long)(value % 1000000));
    else
        bt_buf_printf(text, "%llu", (unsigned long long)value);
}

static void write_histogram(bt_buf *text, const bt_family *family, const bt_series *series)
{
    size_t count;
    const int64_t *bounds = bt_histogram_bounds(series->histogram_kind, &count);
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        char bound[32];
        snprintf(bound, sizeof bound, "%g", series->histogram_kind == BT_HISTOGRAM_SECONDS ? (double)bounds[i] / 1e6 : (double)bounds[i]);
        total += bt_metrics_sum(series->metrics, series->cell + i);
        write_name(text, family, "_bucket", series, bound);
        bt_buf_printf(text, "%llu\n", (unsigned long long)total);
    }
    total += bt_metrics_sum(series->metrics, series->cell + count);
    write_name(text, family, "_bucket", series, "+Inf");
    bt_buf_printf(text, "%llu\n", (unsigned long long)total);
    write_name(text, family, "_sum", series, NULL);
    write_in_unit(text, series->histogram_kind, bt_metrics_sum(series->metrics, series->cell + BT_METRICS_BUCKETS_MAX + 1));
    bt_buf_byte(text, '\n');
    write_name(text, family, "_count", series, NULL);
    bt_buf_printf(text, "%llu\n", (unsigned long long)total);
}

static void write_series(bt_buf *text, const bt_family *family, const bt_series *series)
{
    if (series->kind == BT_SERIES_HISTOGRAM) {
        write_histogram(text, family, series);
        return;
    }
    if (series->read != NULL) {
        double value = series->read(series->context);
        if (isnan(value))
            return;
        write_name(text, family, "", series, NULL);
        if (isinf(value))
            bt_buf_text(text, value > 0 ? "+Inf\n" : "-Inf\n");
        else
            bt_buf_printf(text, "%.17g\n", value);
        return;
    }
    write_name(text, family, "", series, NULL);
    if (series->kind == BT_SERIES_COUNTER)
        bt_buf_printf(text, "%llu\n", (unsigned long long)bt_metrics_sum(series->metrics, series->cell));
    else
        bt_buf_printf(text, "%lld\n", (long long)atomic_load_explicit(&series->now, memory_order_relaxed));
}

void bt_metrics_write(bt_metrics *metrics, bt_buf *ret_text)
{
    pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < metrics->family_count; i++) {
        const bt_family *family = &metrics->families[i];
        bt_buf_text(ret_text, "# HELP ");
        bt_buf_text(ret_text, family->name);
        bt_buf_byte(ret_text, ' ');
        for (const char *c = family->help; *c != '\0'; c++)
            bt_buf_write(ret_text, *c == '\n' ? "\\n" : *c == '\\' ? "\\\\" : c, *c == '\n' || *c == '\\' ? 2 : 1);
        bt_buf_printf(ret_text, "\n# TYPE %s %s\n", family->name, type_name(family->kind));
        for (const bt_series *series = family->first; series != NULL; series = series->next)
            write_series(ret_text, family, series);
    }
    pthread_mutex_unlock(&metrics->lock);
}
