/* metrics - counters, gauges and histograms that cost a few nanoseconds where the work is done, and are summed when someone looks.
 *
 * A counter is spread over 8 stripes; a thread always adds to the same one, so threads hardly ever share a cache line.
 * What bounds it: BT_METRICS_SERIES_MAX series a registry. Labels are fixed when a series is registered: no label value
 * may come from a request. Register at start-up, keep the handle; handles live as long as the registry.
 *
 * Names follow Prometheus: berth_commands_total, berth_append_seconds, berth_queue_depth. Registering a name again with other
 * labels adds a series to its family; with the same labels it gives the same handle; with another kind it is a bug (assert).
 * Any thread, for every function. */
#ifndef BERTH_IO_METRICS_METRICS_H
#define BERTH_IO_METRICS_METRICS_H

#include "core/base.h"
#include "core/buf.h"

#define BT_METRICS_SERIES_MAX 2048
#define BT_METRICS_LABELS_MAX 6

typedef struct bt_metrics bt_metrics;
typedef struct bt_counter bt_counter;
typedef struct bt_gauge bt_gauge;
typedef struct bt_histogram bt_histogram;

/* name and value are copied. Values may hold any UTF-8 text. */
typedef struct bt_label {
    const char *name;
    const char *value;
} bt_label;

typedef struct bt_labels {
    const bt_label *at;
    size_t count;
} bt_labels;

/* BT_LABELS({ "verdict", "accepted" }, { "command", "hold_seats" }); valid until the end of the enclosing block. */
#define BT_LABELS(...) ((bt_labels){ (const bt_label[]){ __VA_ARGS__ }, sizeof((const bt_label[]){ __VA_ARGS__ }) / sizeof(bt_label) })
#define BT_NO_LABELS ((bt_labels){ NULL, 0 })

bt_metrics *bt_metrics_new(void);
/* After the last use of every handle. */
void bt_metrics_free(bt_metrics *metrics);

/* Only goes up; the name ends in _total. */
bt_counter *bt_metrics_counter(bt_metrics *metrics, const char *name, const char *help, bt_labels labels);
void bt_counter_add(bt_counter *counter, uint64_t by);
static inline void bt_counter_inc(bt_counter *counter) { bt_counter_add(counter, 1); }
uint64_t bt_counter_value(const bt_counter *counter);

/* Goes up and down. */
bt_gauge *bt_metrics_gauge(bt_metrics *metrics, const char *name, const char *help, bt_labels labels);
void bt_gauge_set(bt_gauge *gauge, int64_t value);
void bt_gauge_add(bt_gauge *gauge, int64_t by);
int64_t bt_gauge_value(const bt_gauge *gauge);

/* Asked at each scrape, on the scraper's thread: it must be quick, not block, and be safe there. NaN leaves the series out. */
typedef double (*bt_metrics_read)(void *context);
void bt_metrics_gauge_of(bt_metrics *metrics, const char *name, const char *help, bt_labels labels, bt_metrics_read read, void *context);
void bt_metrics_counter_of(bt_metrics *metrics, const char *name, const char *help, bt_labels labels, bt_metrics_read read, void *context);

/* What a histogram counts, and thereby its fixed buckets. */
typedef enum bt_histogram_kind {
    BT_HISTOGRAM_SECONDS, /* observe microseconds; buckets 1-2-5 from 50 us to 10 s; shown in seconds; the name ends in _seconds */
    BT_HISTOGRAM_COUNT,   /* observe whole numbers (records in a batch, bytes); buckets 1, 2, 4 ... 65,536 */
} bt_histogram_kind;
bt_histogram *bt_metrics_histogram(bt_metrics *metrics, bt_histogram_kind kind, const char *name, const char *help, bt_labels labels);
/* value in microseconds for BT_HISTOGRAM_SECONDS; below 0 counts as 0. */
void bt_histogram_observe(bt_histogram *histogram, int64_t value);
uint64_t bt_histogram_count(const bt_histogram *histogram);

#define BT_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* Appends the whole registry in Prometheus' text format 0.0.4, families in order of registration. */
void bt_metrics_write(bt_metrics *metrics, bt_buf *ret_text);

#endif
