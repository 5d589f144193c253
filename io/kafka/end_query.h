/* end_query - asks where partitions end, on threads of its own, so that the asker has a limit whatever the library does.
 *
 * rd_kafka_query_watermark_offsets waits for the partition's leader, and can ignore its timeout (librdkafka #4460), for socket.timeout.ms at least. Its
 * thread may hang; the asker does not: each question is answered, with -1 when its time is over. Nor do other partitions' questions: while one hangs at a leader whose machine is
 * gone without a word, others are asked beside it. Inside io/kafka only. Functions from one thread. */
#ifndef BERTH_IO_KAFKA_END_QUERY_H
#define BERTH_IO_KAFKA_END_QUERY_H

#include "io/kafka/client.h"
#include "io/kafka/wake.h"

#define BT_END_QUERY_PARTITIONS_MAX 1024

typedef struct bt_end_query bt_end_query;

typedef struct bt_end_answer {
    uint64_t request;
    int32_t partition;
    int64_t start_offset, end_offset; /* -1: not to be had */
    int32_t error;                    /* librdkafka's code, when -1 */
} bt_end_answer;

/* client and topic are borrowed for the life of the query; it makes its own wake-ups, if wake is not NULL. */
bt_end_query *bt_end_query_new(rd_kafka_t *client, const char *topic, int timeout_ms, bt_wake *wake);

/* False if a thread still hangs after a short wait: then the client must not be destroyed, and this is leaked. */
bool bt_end_query_free(bt_end_query *query);

/* A partition has one question under way. The same request once more is no further question; another one is asked when the one under way has been
 * taken, and takes the place of any that waits. partition: below BT_END_QUERY_PARTITIONS_MAX. */
void bt_end_query_ask(bt_end_query *query, int32_t partition, uint64_t request);

/* An answer; false if none is due yet. wait_ms: 0, or how long to wait for one. */
bool bt_end_query_take(bt_end_query *query, int wait_ms, bt_end_answer *ret_answer) BT_MUST_CHECK;

#endif
