/* lane - inside io/kafka only: one client of librdkafka through which a producer sends, and how soon it does.
 *
 * A direct lane sends each record at once (linger.ms=0): the quickest for a few. Of more than LANE_DIRECT_MAX handed over together, librdkafka 2.0.2 takes
 * the first ones as a request of their own, and sends no second one to their partition while five or more records are in
 * flight: it compares its limit of five idempotent *requests* with a count of *records*. Until the first request is answered, its thread
 * polls without a pause. A gathering lane's linger.ms is long, so nothing is sent while a batch is handed over, and
 * then rd_kafka_flush, which makes linger count as over, sends it as one request; docs/decisions/0013 has the figures. It takes a thread, since
 * rd_kafka_flush waits. Nothing but time depends on it: what no flush has sent is sent when linger.ms is over.
 *
 * One thread uses a lane. */
#ifndef BERTH_IO_KAFKA_LANE_H
#define BERTH_IO_KAFKA_LANE_H

#include "io/kafka/client.h"
#include "io/kafka/wake.h"

#include <stdatomic.h>

#define LANE_DIRECT_MAX 4 /* records of one hand-over that a direct lane sends without a pause between them */

typedef enum lane_kind { LANE_DIRECT, LANE_GATHERING } lane_kind;

typedef struct lane_flusher lane_flusher;

typedef struct lane {
    rd_kafka_t *client; /* NULL: closed */
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    lane_flusher *flusher; /* of a gathering lane */
    uint32_t open;         /* records without a report; the user counts them */
} lane;

/* wake may be NULL. On failure the lane is closed. */
bool lane_open(lane *opened, lane_kind kind, const rd_kafka_conf_t *conf, const char *topic, bt_wake *wake, bt_err *err) BT_MUST_CHECK;

/* What a gathering lane was given is sent at once. Never blocks; nothing to do for a direct one. */
void lane_flush(lane *flushed);

/* Closes the lane: its records are given up, and its client is destroyed by a thread of its own, as that can take as long as a request in
 * flight does, or hang; abandoned, which outlives it, is one higher until it has ended. */
void lane_abandon(lane *abandoned_lane, bt_wake *wake, atomic_uint *abandoned);

#endif
