/* projector - one thread that carries one read model along the log: read, judge, keep what counts, write, move on.
 *
 * What it promises: each valid record that the sink wants is applied once, in the order of its partition; the stored position accounts for
 * void and @log records too; whatever fails (broker, sink, this process at any instruction) the next attempt goes on from the stored
 * position, and nothing is applied twice or left out. It promises no order between partitions.
 *
 * Batches make themselves: what arrives while one is written is the next. A lone event is written at once.
 *
 * Several projectors of one model: each batch is written on condition that its position still stands, so one of them gets on and the other
 * fails; the one that failed then waits a little before each attempt, so that it stands by until the first is gone.
 *
 * A partition whose log contradicts what was read before (loop/cursor.h) is stopped and said so; the others go on. */
#ifndef BERTH_PROJECTIONS_LOOP_PROJECTOR_H
#define BERTH_PROJECTIONS_LOOP_PROJECTOR_H

#include "io/kafka/config.h"
#include "io/metrics/metrics.h"
#include "projections/loop/sink.h"

typedef struct bt_projector bt_projector;

typedef struct bt_projector_options {
    const char *model; /* name for logs and metrics; borrowed for good, like topic */
    const char *topic;
    const bt_kafka_config *kafka; /* borrowed for good */
    bt_sink sink;
    bt_metrics *metrics;
    int32_t retry_max_ms; /* the longest wait between two attempts; 0: 2000 */
} bt_projector_options;

bt_projector *bt_projector_new(const bt_projector_options *options);
void bt_projector_free(bt_projector *projector); /* after bt_projector_run has returned */

/* Runs until stopped; finishes the batch that it is writing. Its own thread. */
void bt_projector_run(bt_projector *projector);
/* Any thread; safe from a signal handler. */
void bt_projector_stop(bt_projector *projector);

/* Any thread. False with a reason: not connected yet, a broker or sink away, a partition stopped. */
#define BT_PROJECTOR_REASON_MAX 500
bool bt_projector_is_ready(bt_projector *projector, char ret_reason[BT_PROJECTOR_REASON_MAX]);

#endif
