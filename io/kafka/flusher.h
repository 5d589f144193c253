/* flusher - sends what was handed to a producer as one request a partition, at once.
 *
 * Why it exists. With linger.ms=0 librdkafka 2.0.2 takes a batch's first few records as a request of their own, and sends no second one to
 * their partition while five or more records are in flight: it compares its limit of five idempotent *requests* with a count of *records*. Until
 * the first request is answered its broker thread polls without a pause. bench/append measures what that costs: of 64 records handed over at once
 * 16 us of CPU each, and 2 with this. So linger.ms is long here, and rd_kafka_flush, which makes it count as over, is called when all
 * of a batch is handed over; by a thread of its own, since it waits for the reports.
 *
 * Nothing depends on it but time: what no flush has sent is sent when linger.ms is over. */
#ifndef BERTH_IO_KAFKA_FLUSHER_H
#define BERTH_IO_KAFKA_FLUSHER_H

#include <librdkafka/rdkafka.h>

#define BT_FLUSHER_LINGER_MS 5 /* the producer's linger.ms: how late a record is when its flush is missed */

typedef struct bt_flusher bt_flusher;

/* The client is the caller's, and outlives the flusher. NULL if no thread is to be had. */
bt_flusher *bt_flusher_new(rd_kafka_t *client);

/* What was produced before is sent at once. Any thread; never blocks. */
void bt_flusher_flush(bt_flusher *flusher);

/* Waits for the thread, which takes some milliseconds. NULL is allowed. */
void bt_flusher_free(bt_flusher *flusher);

#endif
