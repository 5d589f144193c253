/* sink - where a read model is kept: what the loop needs of it. projections/tables keeps models in Postgres, projections/availability in Redis.
 *
 * A sink stores positions and rows together and moves them only from the position that a batch began at. All calls come from the
 * loop's thread. Failures: BT_ERR_RETRY and BT_ERR_UNKNOWN make the loop open the sink again and read on from what it then says;
 * with code BT_SINK_MOVED another projector has moved the position. Nothing is ever lost by it: the log is read again. */
#ifndef BERTH_PROJECTIONS_LOOP_SINK_H
#define BERTH_PROJECTIONS_LOOP_SINK_H

#include "projections/loop/batch.h"

#define BT_SINK_MOVED 1

typedef struct bt_sink_partition {
    bt_position position;
    char stopped[BT_CURSOR_REASON_MAX]; /* not empty: an earlier run stopped it, and nobody has said yet that it may go on */
} bt_sink_partition;

typedef struct bt_sink {
    void *context;
    int32_t read_max; /* records a batch; 0: BT_BATCH_READ_MAX */
    bool (*wants)(void *context, const bt_message_type *event);
    /* Makes what is missing, and tells the stored positions. Also after a failure. */
    bool (*open)(void *context, int32_t partition_count, bt_sink_partition *ret_partitions, bt_err *err);
    /* Applies a batch and moves the positions, or neither. */
    bool (*write)(void *context, const bt_batch *batch, bt_err *err);
    /* Remembers that a partition has stopped; reason empty: that it goes on. May be NULL. */
    bool (*stop)(void *context, int32_t partition, const char *reason, bt_err *err);
    /* Forgets all that is kept of a partition, if its position still is this one, which becomes the start: the log is to be folded anew.
     * BT_ERR_RETRY with BT_SINK_MOVED: it is another. */
    bool (*forget)(void *context, int32_t partition, const bt_position *at, bt_err *err);
    int32_t tend_ms; /* how often tend is called; 0: every minute */
    /* Called after each open and then every so often, between batches: tries what is parked again (ret_applied counts the events), notices that
     * what is stored was lost. May be NULL. */
    bool (*tend)(void *context, int64_t *ret_applied, bt_err *err);
    /* Streams that are parked now. */
    size_t (*parked_count)(void *context);
} bt_sink;

#endif
