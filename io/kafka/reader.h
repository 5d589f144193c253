/* reader - reads partitions of one topic from given positions, and asks where they end. No group, no commits, no resets.
 *
 * Used by the owner (restore, reading back, tailing), by projections and by the command line. It delivers every record of a partition
 * in offset order from the position that it was given: null keys and values too, void records too. It judges nothing: a jump in
 * offsets is for the fast-forward rule to see, and bt_reader_start again is the answer to it.
 *
 * A position that is not in the log (past its end after a loss, or before its first kept record) is never "reset": the
 * partition stops and is reported as broken.
 *
 * Threads: all functions from one thread. Bounded: the library buffers up to buffer_bytes
 * a partition; a poll delivers up to batch_max records. */
#ifndef BERTH_IO_KAFKA_READER_H
#define BERTH_IO_KAFKA_READER_H

#include "core/forward.h"
#include "io/kafka/config.h"
#include "io/kafka/wake.h"

typedef struct bt_reader bt_reader;

#define BT_READER_BEHIND_MS 20

typedef enum bt_reader_tuning {
    BT_READER_TAIL,    /* what comes is delivered at once: a live projection */
    BT_READER_BEHIND,  /* what comes is delivered within BT_READER_BEHIND_MS, in few fetches: an owner's look back at its own appends */
    BT_READER_REBUILD, /* large fetches: rebuilds, replays */
} bt_reader_tuning;

/* Zero means the default. */
typedef struct bt_reader_options {
    const char *topic;
    bt_reader_tuning tuning;
    int32_t batch_max;       /* records a poll: 4,096 */
    int64_t buffer_bytes;    /* fetched ahead a partition: 16 MiB, or 100,000 records */
    int32_t end_timeout_ms;  /* an unanswered question for the end is given up after this: 2,000; while it hangs at a leader that is gone, metadata may name another */
} bt_reader_options;

typedef struct bt_reader_outputs {
    void *context;
    /* A run of records of one partition. Borrowed, with all they point at, until it returns. */
    void (*records)(void *context, int32_t partition, const bt_record *records, size_t record_count);
    /* All that the partition holds now was delivered; next_offset is what the next record will have. Again after each
     * time it catches up. May be NULL. */
    void (*caught_up)(void *context, int32_t partition, int64_t next_offset);
    /* Answer to bt_reader_ask_end; end_offset (high watermark) is -1 when it was not to be had within the limit. May be NULL. */
    void (*end)(void *context, int32_t partition, uint64_t request, int64_t end_offset);
    /* Reading this partition has stopped and needs bt_reader_start again. BT_ERR_FATAL: the position is not in the log;
     * BT_ERR_INPUT: no such topic or partition, or not allowed. What heals by itself (a broker away) is not told here.
     * May be NULL: then the partition just falls silent. */
    void (*broken)(void *context, int32_t partition, const bt_err *err);
} bt_reader_outputs;

/* Does not wait for a broker. wake may be NULL. */
bool bt_reader_new(const bt_kafka_config *config, const bt_reader_options *options, const bt_reader_outputs *outputs,
                   bt_wake *wake, bt_reader **ret_reader, bt_err *err) BT_MUST_CHECK;
void bt_reader_free(bt_reader *reader);

/* Starts a partition at an offset, or moves one that is running: nothing from before the call is delivered after it.
 * Also from inside an output: then the rest of the batch at hand, of that partition, is dropped. */
bool bt_reader_start(bt_reader *reader, int32_t partition, int64_t offset, bt_err *err) BT_MUST_CHECK;
void bt_reader_stop(bt_reader *reader, int32_t partition); /* fine if it does not run */

/* Delivers what there is; waits up to timeout_ms for the first record, 0 with a bt_wake. Returns the records delivered. When
 * it returns batch_max there may be more: poll again before you wait. */
size_t bt_reader_poll(bt_reader *reader, int timeout_ms);

/* Asks the partition's leader for its end (high watermark); answered by the end output from a later poll, always, within
 * end_timeout_ms of polling, unless a newer request of the partition takes its place before it was put. The request that is open
 * already, again, is no further question. */
void bt_reader_ask_end(bt_reader *reader, int32_t partition, uint64_t request);

/* The same, waiting. Calls no output. */
bool bt_reader_end_of(bt_reader *reader, int32_t partition, int64_t *ret_start_offset, int64_t *ret_end_offset, bt_err *err) BT_MUST_CHECK;

/* How many partitions the topic has, asking a broker. BT_ERR_INPUT: no such topic; BT_ERR_RETRY: no broker within timeout_ms. */
bool bt_reader_partition_count(bt_reader *reader, int timeout_ms, int32_t *ret_count, bt_err *err) BT_MUST_CHECK;

#endif
