/* producer - the one idempotent producer of a node: appends records to explicit partitions and reports what became of each.
 *
 * What it promises: every record handed to bt_producer_append is reported exactly once, by bt_producer_poll, within
 * message_timeout_ms plus a second of polling, also when librdkafka turns fatal. What it does not promise is that a report is the
 * whole truth: a record whose outcome is unknown may be in the log, may come later, may be there twice. The fast-forward
 * rule makes that harmless; the owner reads back what it must know.
 *
 * An offset in a report is what the broker's answer gave for exactly this batch. Where librdkafka only counts up from an
 * unknown base (DUPLICATE_SEQUENCE: from -1; an implicit acknowledgement: from -1001; a large batch so gets past zero),
 * the offset is given as -1 for the whole batch: "in the log, place unknown".
 *
 * Fatal errors. librdkafka 2.0.2's idempotent producer can turn fatal after a mere disconnect (#4438). Then all that is
 * open is reported with BT_ERR_UNKNOWN, a new producer takes its place (its incarnation is one higher), and the old one is
 * purged and destroyed by a thread of its own. A live producer is never purged: that would hit all partitions of the node.
 *
 * Inside are two clients of librdkafka: one that sends a few records at once, and one that sends many in one request (io/kafka/lane.h).
 *
 * Threads: all functions from the one loop thread, except bt_producer_stats_of. Bounded: BT_PRODUCER_OPEN_MAX records. */
#ifndef BERTH_IO_KAFKA_PRODUCER_H
#define BERTH_IO_KAFKA_PRODUCER_H

#include "io/kafka/config.h"
#include "io/kafka/wake.h"

#define BT_PRODUCER_OPEN_MAX 65536 /* records without a report, all partitions together */

typedef struct bt_producer bt_producer;

/* Zero means the default of docs/decisions/0002-append-settings.md, except where it says otherwise. */
typedef struct bt_producer_options {
    const char *topic;
    int32_t message_timeout_ms; /* 10,000: how long librdkafka may try; 1,000 to 15,000, longer makes a zombie */
    int32_t in_flight_max;      /* requests under way on a broker's connection: 1 to 5; 0: 1 */
    const char *compression;    /* none, lz4, zstd ...; NULL: none */
} bt_producer_options;

/* An attribute for other consumers: CloudEvents' ce_id, ce_type ... and traceparent. Our own readers never look at them. */
typedef struct bt_kafka_header {
    const char *name;
    bt_str value;
} bt_kafka_header;

typedef struct bt_append {
    uint64_t generation, attempt; /* come back in the report, with the partition */
    int32_t partition;
    bt_str key;
    bt_bytes value;
    int64_t time_us; /* becomes the record's timestamp, cut to milliseconds */
    const bt_kafka_header *headers;
    size_t header_count;
} bt_append;

typedef struct bt_report {
    uint64_t generation, attempt;
    int64_t offset;       /* -1: unknown */
    int32_t partition;
    int32_t error;        /* 0: the broker has it under acks=all; else librdkafka's code */
    bt_err_kind kind;     /* BT_OK; BT_ERR_RETRY: not written, never will be; BT_ERR_UNKNOWN: may or may not be;
                             BT_ERR_INPUT: refused for good, as too large or a time that the topic refuses: not written;
                             BT_ERR_FATAL: this client may not write there, or the topic is gone: not written */
    uint32_t incarnation; /* of the producer that sent it: contiguity does not reach across two */
} bt_report;

typedef struct bt_producer_outputs {
    void *context;
    /* Reports of one produce response, in the order of appending within a partition. Called inside bt_producer_poll; may
     * call bt_producer_append, not bt_producer_poll. Borrowed until it returns. */
    void (*reports)(void *context, const bt_report *reports, size_t report_count);
} bt_producer_outputs;

/* Does not wait for a broker: none up is no error, but records time out. wake may be NULL. */
bool bt_producer_new(const bt_kafka_config *config, const bt_producer_options *options, const bt_producer_outputs *outputs,
                     bt_wake *wake, bt_producer **ret_producer, bt_err *err) BT_MUST_CHECK;

/* Ends within limit_ms: waits so long for open records, reports them (the rest as unknown), then lets the library go. */
void bt_producer_free(bt_producer *producer, int limit_ms);

/* Enqueues records, in order; each becomes part of one batch with its neighbours of the same partition as far as the
 * library can. All bytes are copied. Never blocks. What cannot be enqueued (full, too large) is reported by the next poll
 * as BT_ERR_RETRY or BT_ERR_INPUT, and so is what follows it in its partition in this call: a chain with a missing link is void. */
void bt_producer_append(bt_producer *producer, const bt_append *appends, size_t append_count);

/* Delivers what there is; waits up to timeout_ms for the first report, 0 with a bt_wake. Returns how many it delivered. */
size_t bt_producer_poll(bt_producer *producer, int timeout_ms);

typedef struct bt_producer_stats {
    uint64_t appended, reported_ok, reported_error, offset_unknown;
    uint64_t recreated;   /* producers given up after a fatal error: alert on it */
    uint64_t abandoned;   /* their clients that are still not destroyed: two each */
    uint64_t broker_errors; /* connection errors told by the library, healed or not */
    uint32_t open;        /* without a report now */
    uint32_t incarnation;
} bt_producer_stats;
void bt_producer_stats_of(const bt_producer *producer, bt_producer_stats *ret_stats); /* any thread */

#endif
