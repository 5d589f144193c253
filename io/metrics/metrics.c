/* metrics - registration, and the few instructions that run where the work is done. */
#include "io/metrics/registry.h"

#include "core/memory.h"

#include <ctype.h>

static const int64_t second_bounds_us[] = { 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000,
    5000000, 10000000 };
static const int64_t count_bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536 };
_Static_assert(BT_COUNT_OF(second_bounds_us) <= BT_METRICS_BUCKETS_MAX, "cells are reserved for this many");
_Static_assert(BT_COUNT_OF(count_bounds) <= BT_METRICS_BUCKETS_MAX, "cells are reserved for this many");

const int64_t *bt_histogram_bounds(bt_histogram_kind kind, size_t *ret_count)
{
    *ret_count = kind == BT_HISTOGRAM_SECONDS ? BT_COUNT_OF(second_bounds_us) : BT_COUNT_OF(count_bounds);
    return kind == BT_HISTOGRAM_SECONDS ? second_bounds_us : count_bounds;
}

/* Threads take stripes in turn: with up to 8 busy threads no two share one. */
static _Atomic unsigned next_stripe;
static _Thread_local unsigned my_stripe_plus_one;

static inline void add_to_cell(struct bt_metrics *metrics, size_t cell, uint64_t by)
{
    if (my_stripe_plus_one == 0)
        my_stripe_plus_one = atomic_fetch_add_explicit(&next_stripe, 1, memory_order_relaxed) % BT_METRICS_STRIPES + 1;
    atomic_fetch_add_explicit(&metrics->stripes[my_stripe_plus_one - 1].cells[cell], by, memory_order_relaxed);
}

uint64_t bt_metrics_sum(const struct bt_metrics *metrics, size_t cell)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < BT_METRICS_STRIPES; i++)
        sum += atomic_load_explicit(&metrics->stripes[i].cells[cell], memory_order_relaxed);
    return sum;
}

bt_metrics *bt_metrics_new(void)
{
    bt_metrics *metrics = bt_alloc(sizeof *metrics);
    pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

void bt_metrics_free(bt_metrics *metrics)
{
    if (metrics == NULL)
        return;
    for (size_t i = 0; i < metrics->family_count; i++) {
        for (bt_series *series = metrics->families[i].first, *next; series != NULL; series = next) {
            next = series->next;
            bt_release(series->labels);
            bt_release(series);
        }
        bt_release(metrics->families[i].name);
        bt_release(metrics->families[i].help);
    }
    pthread_mutex_destroy(&metrics->lock);
    bt_release(metrics);
}

static bool is_metric_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalpha((unsigned char)*c) && *c != '_' && !(c > name && isdigit((unsigned char)*c)))
            return false;
    }
    return *name != '\0';
}

static char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(bt_alloc(size), text, size);
}

/* a="1",b="say \"hi\"": the text format escapes backslash, quote and line feed in label values. */
static char *labels_text(bt_labels labels)
{
    bt_assert(labels.count <= BT_METRICS_LABELS_MAX);
    bt_buf text;
    bt_buf_init(&text, 4096);
    for (size_t i = 0; i < labels.count; i++) {
        bt_assert(is_metric_name(labels.at[i].name));
        bt_buf_printf(&text, "%s%s=\"", i == 0 ? "" : ",", labels.at[i].name);
        for (const char *c = labels.at[i].value; *c != '\0'; c++) {
            if (*c == '\\' || *c == '"')
                bt_buf_byte(&text, '\\');
            bt_buf_write(&text, *c == '\n' ? "\\n" : c, *c == '\n' ? 2 : 1);
        }
        bt_buf_byte(&text, '"');
    }
    bt_buf_byte(&text, '\0');
    bt_assert(!text.overflow);
    return (char *)text.at;
}

static bt_family *family_of(bt_metrics *metrics, bt_series_kind kind, bt_histogram_kind histogram_kind, const char *name, const char *help)
{
    for (size_t i = 0; i < metrics->family_count; i++) {
        bt_family *family = &metrics->families[i];
        if (strcmp(family->name, name) != 0)
            continue;
        bt_assert(family->kind == kind && family->histogram_kind == histogram_kind);
        return family;
    }
    bt_assert(is_metric_name(name) && metrics->family_count < BT_METRICS_FAMILIES_MAX);
    bt_family *family = &metrics->families[metrics->family_count++];
    *family = (bt_family){ .name = copy_of(name), .help = copy_of(help), .kind = kind, .histogram_kind = histogram_kind };
    return family;
}

static bt_series *add_series(bt_metrics *metrics, bt_family *family, char *labels)
{
    size_t cells = family->kind == BT_SERIES_COUNTER ? 1 : family->kind == BT_SERIES_HISTOGRAM ? BT_METRICS_BUCKETS_MAX + 2 : 0;
    bt_assert(metrics->series_count < BT_METRICS_SERIES_MAX && metrics->cells_used + cells <= BT_METRICS_CELLS_MAX);
    bt_series *series = bt_alloc(sizeof *series);
    series->metrics = metrics;
    series->kind = family->kind;
    series->histogram_kind = family->histogram_kind;
    series->cell = metrics->cells_used;
    series->labels = labels;
    metrics->cells_used += cells;
    metrics->series_count++;
    if (family->first == NULL)
        family->first = series;
    else
        family->last->next = series;
    family->last = series;
    return series;
}

typedef struct wanted {
    bt_series_kind kind;
    bt_histogram_kind histogram_kind;
    const char *name, *help;
    bt_metrics_read read;
    void *context;
} wanted;

static bt_series *find_or_add(bt_metrics *metrics, wanted what, bt_labels labels)
{
    char *text = labels_text(labels);
    pthread_mutex_lock(&metrics->lock);
    bt_family *family = family_of(metrics, what.kind, what.histogram_kind, what.name, what.help);
    bt_series *series = family->first;
    while (series != NULL && strcmp(series->labels, text) != 0)
        series = series->next;
    if (series == NULL)
        series = add_series(metrics, family, text);
    else
        bt_release(text);
    if (what.read != NULL) {
        series->read = what.read;
        series->context = what.context;
    }
    pthread_mutex_unlock(&metrics->lock);
    return series;
}

bt_counter *bt_metrics_counter(bt_metrics *metrics, const char *name, const char *help, bt_labels labels)
{
    return (bt_counter *)find_or_add(metrics, (wanted){ .kind = BT_SERIES_COUNTER, .name = name, .help = help }, labels);
}

bt_gauge *bt_metrics_gauge(bt_metrics *metrics, const char *name, const char *help, bt_labels labels)
{
    return (bt_gauge *)find_or_add(metrics, (wanted){ .kind = BT_SERIES_GAUGE, .name = name, .help = help }, labels);
}

void bt_metrics_gauge_of(bt_metrics *metrics, const char *name, const char *help, bt_labels labels, bt_metrics_read read, void *context)
{
    find_or_add(metrics, (wanted){ .kind = BT_SERIES_GAUGE, .name = name, .help = help, .read = read, .context = context }, labels);
}

void bt_metrics_counter_of(bt_metrics *metrics, const char *name, const char *help, bt_labels labels, bt_metrics_read read, void *context)
{
    find_or_add(metrics, (wanted){ .kind = BT_SERIES_COUNTER, .name = name, .help = help, .read = read, .context = context }, labels);
}

bt_histogram *bt_metrics_histogram(bt_metrics *metrics, bt_histogram_kind kind, const char *name, const char *help, bt_labels labels)
{
    wanted what = { .kind = BT_SERIES_HISTOGRAM, .histogram_kind = kind, .name = name, .help = help };
    return (bt_histogram *)find_or_add(metrics, what, labels);
}

void bt_counter_add(bt_counter *counter, uint64_t by) { add_to_cell(counter->series.metrics, counter->series.cell, by); }
uint64_t bt_counter_value(const bt_counter *counter) { return bt_metrics_sum(counter->series.metrics, counter->series.cell); }

void bt_gauge_set(bt_gauge *gauge, int64_t value) { atomic_store_explicit(&gauge->series.now, value, memory_order_relaxed); }
void bt_gauge_add(bt_gauge *gauge, int64_t by) { atomic_fetch_add_explicit(&gauge->series.now, by, memory_order_relaxed); }
int64_t bt_gauge_value(const bt_gauge *gauge) { return atomic_load_explicit(&gauge->series.now, memory_order_relaxed); }

void bt_histogram_observe(bt_histogram *histogram, int64_t value)
{
    size_t count;
    const int64_t *bounds = bt_histogram_bounds(histogram->series.histogram_kind, &count);
    if (value < 0)
        value = 0;
    size_t low = 0, high = count; /* the first bound that is not below the value; count means past the last */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bounds[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    size_t cell = histogram->series.cell;
    add_to_cell(histogram->series.metrics, cell + low, 1);
    add_to_cell(histogram->series.metrics, cell + BT_METRICS_BUCKETS_MAX + 1, (uint64_t)value);
}

uint64_t bt_histogram_count(const bt_histogram *histogram)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= BT_METRICS_BUCKETS_MAX; i++)
        total += bt_metrics_sum(histogram->series.metrics, histogram->series.cell + i);
    return total;
}
