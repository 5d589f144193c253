/* reader - see the header. The library's simple consumer, one queue for all partitions: no group thread, no rebalance, and stop and start
 * take effect before they return, so a record from before a seek cannot appear after it. */
#include "io/kafka/reader.h"

#include "core/memory.h"
#include "io/kafka/client.h"
#include "io/kafka/end_query.h"

#include <stdio.h>
#include <time.h>

#define PARTITIONS_MAX BT_END_QUERY_PARTITIONS_MAX
#define BATCH_MAX_DEFAULT 4096
#define END_TIMEOUT_MS_DEFAULT 2000
#define BEHIND_BYTES 262144 /* so much is delivered at once all the same */
#define TAIL_WAIT_MS 100 /* a broker's long poll; it answers at once when there is something, but a seek waits for it */
#define BUFFER_BYTES_DEFAULT (INT64_C(16) << 20)
#define BUFFER_RECORDS 100000 /* fetched ahead a partition, if the bytes allow */
#define NUDGE_TIMEOUT_MS 1000
#define ASK_AGAIN_MS 50

struct bt_reader {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    bt_end_query *ends;
    bt_reader_outputs outputs;
    bt_wake *wake;
    char topic_name[256];
    int32_t batch_max;
    int32_t end_timeout_ms;
    bool running[PARTITIONS_MAX];
    uint64_t started_at_poll[PARTITIONS_MAX]; /* what the current poll took from the library before a start is stale */
    uint64_t poll_number;
    bool in_poll;
    int64_t buffer_bytes;
    struct {
        int64_t bytes, records;
    } drained[PARTITIONS_MAX]; /* delivered since the last nudge */
    bt_end_query *nudges;      /* made with the first one; a partition's real question must not wait for one of these */
    rd_kafka_message_t **messages; /* batch_max */
    bt_record *records;            /* batch_max */
};

static bool options_set(rd_kafka_conf_t *conf, const bt_reader_options *options, bt_err *err)
{
    bool rebuild = options->tuning == BT_READER_REBUILD, behind = options->tuning == BT_READER_BEHIND;
    int64_t buffer_bytes = options->buffer_bytes != 0 ? options->buffer_bytes : BUFFER_BYTES_DEFAULT;
    return bt_kafka_conf_set_i64(conf, "queued.max.messages.kbytes", buffer_bytes / 1024 > 0 ? buffer_bytes / 1024 : 1, err) &&
           bt_kafka_conf_set_i64(conf, "queued.min.messages", BUFFER_RECORDS, err) &&
           bt_kafka_conf_set_i64(conf, "fetch.wait.max.ms", behind ? BT_READER_BEHIND_MS : TAIL_WAIT_MS, err) &&
           bt_kafka_conf_set_i64(conf, "fetch.min.bytes", behind ? BEHIND_BYTES : 1, err) &&
           bt_kafka_conf_set_i64(conf, "fetch.error.backoff.ms", 50, err) &&
           bt_kafka_conf_set_i64(conf, "fetch.message.max.bytes", rebuild ? 4 << 20 : 2 << 20, err) &&
           bt_kafka_conf_set_i64(conf, "fetch.max.bytes", rebuild ? 32 << 20 : 16 << 20, err);
}

static void on_client_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
    (void)client;
    (void)error;
    (void)reason; /* each connection that fails is logged as it is, and the library goes on by itself */
    (void)opaque;
}

bool bt_reader_new(const bt_kafka_config *config, const bt_reader_options *options, const bt_reader_outputs *outputs,
                   bt_wake *wake, bt_reader **ret_reader, bt_err *err)
{
    rd_kafka_conf_t *conf = bt_kafka_conf_new(config, BT_KAFKA_READER, err);
    if (conf == NULL)
        return false;
    if (!options_set(conf, options, err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    bt_reader *reader = bt_alloc(sizeof *reader);
    rd_kafka_conf_set_opaque(conf, reader);
    rd_kafka_conf_set_error_cb(conf, on_client_error);
    reader->client = bt_kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
    if (reader->client != NULL)
        reader->topic = rd_kafka_topic_new(reader->client, options->topic, NULL);
    if (reader->topic == NULL) {
        if (reader->client != NULL)
            bt_fail(err, BT_ERR_INPUT, 0, "'%s' is not a topic's name", options->topic);
        bt_reader_free(reader);
        return false;
    }
    reader->outputs = *outputs;
    reader->wake = wake;
    reader->buffer_bytes = options->buffer_bytes != 0 ? options->buffer_bytes : BUFFER_BYTES_DEFAULT;
    reader->batch_max = options->batch_max > 0 ? options->batch_max : BATCH_MAX_DEFAULT;
    reader->end_timeout_ms = options->end_timeout_ms > 0 ? options->end_timeout_ms : END_TIMEOUT_MS_DEFAULT;
    snprintf(reader->topic_name, sizeof reader->topic_name, "%s", options->topic);
    reader->messages = bt_alloc((size_t)reader->batch_max * sizeof *reader->messages);
    reader->records = bt_alloc((size_t)reader->batch_max * sizeof *reader->records);
    reader->queue = rd_kafka_queue_new(reader->client);
    if (wake != NULL) {
        uint64_t one = 1;
        rd_kafka_queue_io_event_enable(reader->queue, wake->fd, &one, sizeof one);
    }
    reader->ends = bt_end_query_new(reader->client, reader->topic_name, reader->end_timeout_ms, wake);
    *ret_reader = reader;
    return true;
}

void bt_reader_free(bt_reader *reader)
{
    if (reader == NULL)
        return;
    for (int32_t partition = 0; partition < PARTITIONS_MAX; partition++)
        bt_reader_stop(reader, partition);
    if (reader->queue != NULL) {
        rd_kafka_queue_io_event_enable(reader->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(reader->queue);
    }
    if (reader->topic != NULL)
        rd_kafka_topic_destroy(reader->topic);
    /* A hanging question holds the client: better a leak at the end of a reader than a crash. */
    bool answered = bt_end_query_free(reader->nudges);
    if (bt_end_query_free(reader->ends) && answered && reader->client != NULL)
        rd_kafka_destroy(reader->client);
    bt_release(reader->messages);
    bt_release(reader->records);
    bt_release(reader);
}

void bt_reader_stop(bt_reader *reader, int32_t partition)
{
    if (partition < 0 || partition >= PARTITIONS_MAX || !reader->running[partition])
        return;
    reader->running[partition] = false;
    rd_kafka_consume_stop(reader->topic, partition);
}

bool bt_reader_start(bt_reader *reader, int32_t partition, int64_t offset, bt_err *err)
{
    if (partition < 0 || partition >= PARTITIONS_MAX || offset < 0)
        return bt_fail(err, BT_ERR_INPUT, 0, "partition %d at offset %lld: partitions are 0 to %d, offsets from 0", partition, (long long)offset, PARTITIONS_MAX - 1);
    bt_reader_stop(reader, partition);
    if (rd_kafka_consume_start_queue(reader->topic, partition, offset, reader->queue) != 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        return bt_fail(err, BT_ERR_RETRY, code, "partition %d of %s cannot be read: %s", partition, reader->topic_name, rd_kafka_err2str(code));
    }
    reader->running[partition] = true;
    reader->started_at_poll[partition] = reader->in_poll ? reader->poll_number : 0;
    return true;
}

/* --- delivering --- */

static void record_of(const rd_kafka_message_t *message, bt_record *ret_record)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    *ret_record = (bt_record){
        .offset = message->offset,
        .timestamp_us = timestamp_ms < 0 ? 0 : timestamp_ms * 1000,
        .key = { message->key, message->key_len },
        .value = { message->payload, message->len },
    };
}

static void on_message_error(bt_reader *reader, const rd_kafka_message_t *message)
{
    bt_err err;
    int code = message->err;
    switch (code) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (reader->outputs.caught_up != NULL)
            reader->outputs.caught_up(reader->outputs.context, message->partition, message->offset);
        return;
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        bt_fail(&err, BT_ERR_FATAL, code, "partition %d of %s: offset %lld is not in the log: records are lost, or it is another log", message->partition,
                reader->topic_name, (long long)message->offset);
        break;
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        bt_fail(&err, BT_ERR_INPUT, code, "partition %d of %s: %s", message->partition, reader->topic_name, rd_kafka_err2str(message->err));
        break;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        bt_fail(&err, BT_ERR_FATAL, code, "partition %d of %s near offset %lld: what the broker sent is damaged: %s", message->partition, reader->topic_name,
                (long long)message->offset, rd_kafka_err2str(message->err));
        break;
    default: /* the library tries again by itself */
        return;
    }
    bt_reader_stop(reader, message->partition);
    if (reader->outputs.broken != NULL)
        reader->outputs.broken(reader->outputs.context, message->partition, &err);
}

static bool is_wanted(const bt_reader *reader, int32_t partition)
{
    return reader->running[partition] && reader->started_at_poll[partition] != reader->poll_number;
}

/* This librdkafka looks again at a queue that was full a second later, however soon it is empty (its #2879; newer ones have
 * fetch.queue.backoff.ms): a long log came at one buffer a second. But it looks whenever the thread of that broker has any work: so when a
 * quarter of a buffer was delivered, that thread is asked something. The answer does not matter. */
static void nudge(bt_reader *reader, int32_t partition)
{
    if (reader->nudges == NULL)
        reader->nudges = bt_end_query_new(reader->client, reader->topic_name, NUDGE_TIMEOUT_MS, NULL);
    bt_end_query_ask(reader->nudges, partition, reader->poll_number);
    reader->drained[partition].bytes = reader->drained[partition].records = 0;
}

static void count_drained(bt_reader *reader, int32_t partition, size_t record_count)
{
    int64_t bytes = reader->drained[partition].bytes, records = reader->drained[partition].records + (int64_t)record_count;
    for (size_t i = 0; i < record_count; i++)
        bytes += (int64_t)(reader->records[i].key.size + reader->records[i].value.size);
    reader->drained[partition].bytes = bytes;
    reader->drained[partition].records = records;
    if (bytes >= reader->buffer_bytes / 4 || records >= BUFFER_RECORDS / 4)
        nudge(reader, partition);
}

/* Messages of one partition come in runs, a fetch at a time; each run is one call. */
static size_t deliver(bt_reader *reader, size_t message_count)
{
    size_t delivered = 0;
    for (size_t i = 0; i < message_count;) {
        const rd_kafka_message_t *first = reader->messages[i];
        if (first->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (is_wanted(reader, first->partition))
                on_message_error(reader, first);
            i++;
            continue;
        }
        size_t run = 0;
        for (; i < message_count && reader->messages[i]->partition == first->partition && reader->messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            record_of(reader->messages[i], &reader->records[run++]);
        if (is_wanted(reader, first->partition))
            reader->outputs.records(reader->outputs.context, first->partition, reader->records, run);
        count_drained(reader, first->partition, run);
        delivered += run;
    }
    return delivered;
}

static void deliver_ends(bt_reader *reader)
{
    bt_end_answer answer;
    for (size_t i = 0; i < PARTITIONS_MAX && bt_end_query_take(reader->ends, 0, &answer); i++) {
        if (reader->outputs.end != NULL)
            reader->outputs.end(reader->outputs.context, answer.partition, answer.request, answer.end_offset);
    }
    /* Only so that the next nudge can be asked. */
    for (size_t i = 0; i < PARTITIONS_MAX && reader->nudges != NULL && bt_end_query_take(reader->nudges, 0, &answer); i++)
        ;
}

size_t bt_reader_poll(bt_reader *reader, int timeout_ms)
{
    rd_kafka_poll(reader->client, 0); /* the client's own errors */
    ssize_t count = rd_kafka_consume_batch_queue(reader->queue, timeout_ms, reader->messages, (size_t)reader->batch_max);
    reader->in_poll = true;
    reader->poll_number++;
    size_t delivered = count > 0 ? deliver(reader, (size_t)count) : 0;
    for (ssize_t i = 0; i < count; i++)
        rd_kafka_message_destroy(reader->messages[i]);
    deliver_ends(reader);
    reader->in_poll = false;
    return delivered;
}

/* --- questions --- */

void bt_reader_ask_end(bt_reader *reader, int32_t partition, uint64_t request)
{
    bt_end_query_ask(reader->ends, partition, request);
}

/* A broker that has only just started says at once that it does not lead the partition; it will. */
static bool ask_until_told(bt_end_query *query, int32_t partition, int timeout_ms, bt_end_answer *ret_answer)
{
    const struct timespec pause = { .tv_nsec = ASK_AGAIN_MS * 1000000L };
    int64_t until_ms = bt_kafka_now_ms() + timeout_ms;
    for (;;) {
        int64_t left_ms = until_ms - bt_kafka_now_ms();
        bt_end_query_ask(query, partition, 0);
        if (left_ms <= 0 || !bt_end_query_take(query, (int)left_ms + 100, ret_answer))
            return false;
        if (ret_answer->end_offset >= 0)
            return true;
        nanosleep(&pause, NULL);
    }
}

bool bt_reader_end_of(bt_reader *reader, int32_t partition, int64_t *ret_start_offset, int64_t *ret_end_offset, bt_err *err)
{
    if (partition < 0 || partition >= PARTITIONS_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "partition %d: partitions are 0 to %d", partition, PARTITIONS_MAX - 1);
    /* A query of its own, so that its answer does not meet those of bt_reader_ask_end. */
    bt_end_query *query = bt_end_query_new(reader->client, reader->topic_name, reader->end_timeout_ms, NULL);
    bt_end_answer answer = { .end_offset = -1, .error = RD_KAFKA_RESP_ERR__TIMED_OUT };
    bool answered = ask_until_told(query, partition, reader->end_timeout_ms, &answer);
    (void)bt_end_query_free(query);
    if (!answered)
        return bt_fail(err, BT_ERR_RETRY, answer.error, "partition %d of %s: its end was not told within %d ms: %s", partition, reader->topic_name,
                       reader->end_timeout_ms, rd_kafka_err2str((rd_kafka_resp_err_t)answer.error));
    *ret_start_offset = answer.start_offset;
    *ret_end_offset = answer.end_offset;
    return true;
}

bool bt_reader_partition_count(bt_reader *reader, int timeout_ms, int32_t *ret_count, bt_err *err)
{
    return bt_kafka_client_partition_count(reader->client, reader->topic_name, timeout_ms, ret_count, err);
}
