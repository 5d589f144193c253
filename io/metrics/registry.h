/* registry - the inside of metrics, shared by the half that counts and the half that writes the text. */
#ifndef BERTH_IO_METRICS_REGISTRY_H
#define BERTH_IO_METRICS_REGISTRY_H

#include "io/metrics/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#define BT_METRICS_STRIPES 8
#define BT_METRICS_CELLS_MAX 24576 /* of 8 bytes, a stripe: room for all series, a third of them histograms */
#define BT_METRICS_FAMILIES_MAX 512
#define BT_METRICS_BUCKETS_MAX 17

typedef enum bt_series_kind { BT_SERIES_COUNTER, BT_SERIES_GAUGE, BT_SERIES_HISTOGRAM } bt_series_kind;

/* One type stands behind the three public handles: their kinds differ, their storage does not. */
typedef struct bt_series {
    struct bt_metrics *metrics;
    bt_series_kind kind;
    bt_histogram_kind histogram_kind;
    size_t cell;         /* counter: 1 cell; histogram: one a bucket, one past the last bound, one for the sum */
    _Atomic int64_t now; /* of a gauge */
    bt_metrics_read read;
    void *context;
    char *labels; /* ready-made: verdict="accepted",command="hold_seats"; empty when there are none */
    struct bt_series *next; /* in its family, in order of registration */
} bt_series;

struct bt_counter { bt_series series; };
struct bt_gauge { bt_series series; };
struct bt_histogram { bt_series series; };

typedef struct bt_family {
    char *name;
    char *help;
    bt_series_kind kind;
    bt_histogram_kind histogram_kind;
    bt_series *first, *last;
} bt_family;

typedef struct bt_stripe {
    _Atomic uint64_t cells[BT_METRICS_CELLS_MAX];
} bt_stripe;

struct bt_metrics {
    pthread_mutex_t lock; /* families, series, cells_used: registration and scrape */
    bt_family families[BT_METRICS_FAMILIES_MAX];
    size_t family_count;
    size_t series_count;
    size_t cells_used;
    bt_stripe stripes[BT_METRICS_STRIPES];
};

/* Upper bounds in the observed unit, and how many there are. */
const int64_t *bt_histogram_bounds(bt_histogram_kind kind, size_t *ret_count);
uint64_t bt_metrics_sum(const struct bt_metrics *metrics, size_t cell);

#endif
