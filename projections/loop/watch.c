/* Counts, gauges and words about a projector. What fails again and again is told once in ten seconds, with how often it failed. */
#include "projections/loop/watch.h"

#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/log/log.h"

#include <stdio.h>

#define TELL_EVERY_US INT64_C(10000000)
#define BROKER_SILENCE_MAX_US INT64_C(15000000)
#define WRITE_MAX_US INT64_C(5000000)

void bt_watch_init(bt_watch *watch, const char *model, bt_metrics *metrics)
{
    *watch = (bt_watch){ .model = model, .metrics = metrics };
    pthread_mutex_init(&watch->lock, NULL);
    snprintf(watch->reason, sizeof watch->reason, "starting");
    bt_labels labels = BT_LABELS({ "model", model });
    watch->applied = bt_metrics_counter(metrics, "berth_projection_events_applied_total", "Events that were written to the read model, or parked.", labels);
    watch->voids = bt_metrics_counter(metrics, "berth_projection_void_records_total", "Records that the fast-forward rule left out.", labels);
    watch->batches = bt_metrics_counter(metrics, "berth_projection_batches_total", "Batches written.", labels);
    watch->failures = bt_metrics_counter(metrics, "berth_projection_failures_total", "Attempts that failed and were repeated.", labels);
    watch->moved_by_other = bt_metrics_counter(metrics, "berth_projection_moved_by_other_total", "Batches left to another projector, which was first.", labels);
    watch->parked = bt_metrics_gauge(metrics, "berth_projection_parked_streams", "Streams with events that could not be applied.", labels);
    watch->batch_records = bt_metrics_histogram(metrics, BT_HISTOGRAM_COUNT, "berth_projection_batch_records", "Records read for a batch.", labels);
    watch->commit_seconds = bt_metrics_histogram(metrics, BT_HISTOGRAM_SECONDS, "berth_projection_commit_seconds", "Time to write a batch.", labels);
    watch->delay_seconds = bt_metrics_histogram(metrics, BT_HISTOGRAM_SECONDS, "berth_projection_delay_seconds",
                                                "From the timestamp of a batch's newest record to when it could be read.", labels);
}

void bt_watch_release(bt_watch *watch)
{
    bt_release(watch->partitions);
    pthread_mutex_destroy(&watch->lock);
}

void bt_watch_partitions(bt_watch *watch, int32_t partition_count)
{
    watch->partitions = bt_alloc((size_t)partition_count * sizeof *watch->partitions);
    watch->partition_count = partition_count;
    for (int32_t i = 0; i < partition_count; i++) {
        char number[12];
        snprintf(number, sizeof number, "%d", i);
        bt_labels labels = BT_LABELS({ "model", watch->model }, { "partition", number });
        watch->partitions[i] = (bt_watch_partition){
            .position = bt_metrics_gauge(watch->metrics, "berth_projection_next_offset", "Every record before it is in the read model.", labels),
            .lag = bt_metrics_gauge(watch->metrics, "berth_projection_lag_records", "Records in the partition that are not in the read model yet.", labels),
            .stopped = bt_metrics_gauge(watch->metrics, "berth_projection_stopped", "1: the partition contradicts what was read before and is not read any further.", labels),
        };
    }
}

void bt_watch_running(bt_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool was_running = watch->running;
    watch->running = true;
    watch->reason[0] = 0;
    pthread_mutex_unlock(&watch->lock);
    if (!was_running)
        bt_log_info("projection.running", F_STR("model", watch->model), F_I64("failures_untold", watch->untold_count));
    watch->untold_count = 0;
    watch->told_at_us = was_running ? watch->told_at_us : 0;
}

void bt_watch_failed(bt_watch *watch, const char *what, const bt_err *err, int64_t retry_ms)
{
    int64_t now_us = bt_clock_monotonic_us();
    bt_counter_inc(watch->failures);
    pthread_mutex_lock(&watch->lock);
    watch->running = false;
    snprintf(watch->reason, sizeof watch->reason, "%s: %.460s", what, err->message);
    pthread_mutex_unlock(&watch->lock);
    watch->untold_count++;
    if (watch->told_at_us != 0 && now_us - watch->told_at_us < TELL_EVERY_US)
        return;
    bt_log_warn("projection.failed", F_STR("model", watch->model), F_STR("at", what), F_ERR(err), F_I64("retry_ms", retry_ms), F_I64("failures", watch->untold_count));
    watch->told_at_us = now_us;
    watch->untold_count = 0;
}

void bt_watch_stopped(bt_watch *watch, int32_t partition, const char *reason)
{
    bt_log_error("projection.partition_stopped", F_STR("model", watch->model), F_I64("partition", partition), F_STR("reason", reason));
    bt_gauge_set(watch->partitions[partition].stopped, 1);
    pthread_mutex_lock(&watch->lock);
    snprintf(watch->stopped, sizeof watch->stopped, "partition %d is stopped: %.460s", partition, reason);
    pthread_mutex_unlock(&watch->lock);
}

void bt_watch_goes_on(bt_watch *watch, int32_t partition, const char *other_reason)
{
    bt_gauge_set(watch->partitions[partition].stopped, 0);
    pthread_mutex_lock(&watch->lock);
    snprintf(watch->stopped, sizeof watch->stopped, "%.480s", other_reason);
    pthread_mutex_unlock(&watch->lock);
}

void bt_watch_writing(bt_watch *watch, bool writing)
{
    pthread_mutex_lock(&watch->lock);
    watch->writing_since_us = writing ? bt_clock_monotonic_us() : 0;
    pthread_mutex_unlock(&watch->lock);
}

void bt_watch_wrote(bt_watch *watch, const bt_batch *batch, int64_t took_us)
{
    bt_counter_inc(watch->batches);
    bt_counter_add(watch->applied, batch->record_count);
    bt_histogram_observe(watch->batch_records, batch->read_count);
    bt_histogram_observe(watch->commit_seconds, took_us);
    if (batch->newest_us > 0)
        bt_histogram_observe(watch->delay_seconds, bt_clock_realtime_us() - batch->newest_us);
    for (int32_t i = 0; i < batch->partition_count; i++) {
        const bt_batch_move *move = &batch->moves[i];
        bt_counter_add(watch->voids, (uint64_t)(move->to.forward.void_count - move->from.forward.void_count));
        bt_gauge_set(watch->partitions[i].position, move->to.forward.next_offset);
    }
}

void bt_watch_end(bt_watch *watch, int32_t partition, int64_t end_offset, int64_t next_offset)
{
    if (end_offset < 0)
        return;
    bt_gauge_set(watch->partitions[partition].lag, end_offset > next_offset ? end_offset - next_offset : 0);
    pthread_mutex_lock(&watch->lock);
    watch->broker_answered_us = bt_clock_monotonic_us();
    pthread_mutex_unlock(&watch->lock);
}

bool bt_watch_is_ready(bt_watch *watch, char ret_reason[BT_PROJECTOR_REASON_MAX])
{
    int64_t now_us = bt_clock_monotonic_us();
    pthread_mutex_lock(&watch->lock);
    bool silent = watch->broker_answered_us == 0 || now_us - watch->broker_answered_us > BROKER_SILENCE_MAX_US;
    bool stuck = watch->writing_since_us != 0 && now_us - watch->writing_since_us > WRITE_MAX_US;
    bool ready = watch->running && !watch->stopped[0] && !silent && !stuck;
    const char *why = watch->stopped[0] ? watch->stopped : !watch->running ? watch->reason : stuck ? "a batch has been under way for more than 5 s" :
                      silent ? "no broker has answered for 15 s" : "";
    snprintf(ret_reason, BT_PROJECTOR_REASON_MAX, "%s", why);
    pthread_mutex_unlock(&watch->lock);
    return ready;
}
