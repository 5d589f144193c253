/* watch - what a projector shows of itself: metrics, readiness, and log lines that do not repeat themselves. */
#ifndef BERTH_PROJECTIONS_LOOP_WATCH_H
#define BERTH_PROJECTIONS_LOOP_WATCH_H

#include "io/metrics/metrics.h"
#include "projections/loop/projector.h"

#include <pthread.h>

typedef struct bt_watch_partition {
    bt_gauge *position, *lag, *stopped;
} bt_watch_partition;

typedef struct bt_watch {
    const char *model;
    bt_metrics *metrics;
    bt_counter *applied, *voids, *batches, *failures, *moved_by_other;
    bt_gauge *parked;
    bt_histogram *batch_records, *commit_seconds, *delay_seconds;
    bt_watch_partition *partitions;
    int32_t partition_count;
    int64_t told_at_us;   /* when a failure was logged last */
    int64_t untold_count; /* failures since then */
    pthread_mutex_t lock; /* guards what follows */
    bool running;
    int64_t broker_answered_us; /* monotonic; 0: never */
    int64_t writing_since_us;   /* 0: no batch is being written */
    char reason[BT_PROJECTOR_REASON_MAX];
    char stopped[BT_PROJECTOR_REASON_MAX];
} bt_watch;

void bt_watch_init(bt_watch *watch, const char *model, bt_metrics *metrics);
void bt_watch_release(bt_watch *watch);
void bt_watch_partitions(bt_watch *watch, int32_t partition_count); /* once known */

void bt_watch_running(bt_watch *watch);
/* The attempt failed and will be repeated. Logged at once, then at most every 10 s. */
void bt_watch_failed(bt_watch *watch, const char *what, const bt_err *err, int64_t retry_ms);
void bt_watch_stopped(bt_watch *watch, int32_t partition, const char *reason);
void bt_watch_goes_on(bt_watch *watch, int32_t partition, const char *other_reason); /* of another partition that is stopped still; else empty */
void bt_watch_writing(bt_watch *watch, bool writing);
void bt_watch_wrote(bt_watch *watch, const bt_batch *batch, int64_t took_us);
void bt_watch_end(bt_watch *watch, int32_t partition, int64_t end_offset, int64_t next_offset);
bool bt_watch_is_ready(bt_watch *watch, char ret_reason[BT_PROJECTOR_REASON_MAX]);

#endif
