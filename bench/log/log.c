/* log - a topic read, folded or written with nothing around it: the rivals of `replay` and `fold.full`, and the long log of `restore`.
 *
 *   consume   a bare batch consumer that hashes each record (SHA-256, as the rule does), all partitions to their ends: records/s
 *   fold      one partition in memory, on one core: rule, decode and evolve of each record, beside SHA-256 and decode alone
 *   fill      goes on with the chain of one partition by --records holds and releases on the trips that are in it. It writes as
 *             a command server would (the rule admits any writer), only without waiting; no server may own the partition meanwhile
 *
 *   bench_log --mode consume|fold|fill [--brokers B] [--topic T] [--partition N] [--records N]
 * Prints one JSON object. Every wait has a limit; fold keeps --records (2 million) records at most. */
#include "commands/trip/trip.h"
#include "core/forward.h"
#include "core/memory.h"
#include "schemas/trip.h"

#include <librdkafka/rdkafka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 10000, STREAMS_MAX = 4096, PARTITIONS_MAX = 64, WAIT_MS = 5000 };

typedef struct stream {
    bt_str key;
    void *state;
} stream;

typedef struct bench {
    const char *brokers, *topic;
    int32_t partition;
    int64_t records_max;
    rd_kafka_t *client;
    bt_arena kept, arena;
    bt_forward forward;
    stream streams[STREAMS_MAX];
    bt_record *records;
    int64_t record_count;
    uint64_t random;
} bench;

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_log: %s: %s\n", what, why);
    exit(1);
}

static rd_kafka_t *client_new(const bench *b, rd_kafka_type_t type, const char *const (*settings)[2], size_t count)
{
    char why[300];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool good = rd_kafka_conf_set(conf, "bootstrap.servers", b->brokers, why, sizeof why) == RD_KAFKA_CONF_OK;
    for (size_t i = 0; i < count && good; i++)
        good = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) == RD_KAFKA_CONF_OK;
    rd_kafka_t *client = good ? rd_kafka_new(type, conf, why, sizeof why) : NULL;
    if (client == NULL)
        fail("librdkafka", why);
    return client;
}

/* --- reading --- */

static const char *const reading[][2] = { { "group.id", "bench" }, { "enable.auto.commit", "false" }, { "isolation.level", "read_uncommitted" },
    { "auto.offset.reset", "error" }, { "check.crcs", "true" }, { "fetch.message.max.bytes", "4194304" }, { "queued.min.messages", "1000000" },
    { "queued.max.messages.kbytes", "262144" }, { "enable.partition.eof", "false" } };

/* Assigns the partitions from..to-1 from their beginnings; returns how many records they hold. */
static int64_t assign(bench *b, int32_t from, int32_t to)
{
    b->client = client_new(b, RD_KAFKA_CONSUMER, reading, BT_COUNT_OF(reading));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(to - from);
    int64_t total = 0;
    for (int32_t p = from; p < to; p++) {
        int64_t low, high;
        rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(b->client, b->topic, p, &low, &high, WAIT_MS);
        if (error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
            break;
        if (error != 0)
            fail("end of the log", rd_kafka_err2str(error));
        rd_kafka_topic_partition_list_add(list, b->topic, p)->offset = 0;
        total += high;
    }
    if (list->cnt == 0 || rd_kafka_assign(b->client, list) != 0)
        fail("assign", b->topic);
    rd_kafka_topic_partition_list_destroy(list);
    return total;
}

/* Calls each with total records, as they come in batches; gives up after WAIT_MS without any. */
static void read_all(bench *b, int64_t total, void (*each)(bench *b, const bt_record *record))
{
    static rd_kafka_message_t *messages[BATCH];
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(b->client);
    while (total > 0) {
        /* It returns when it has all that it was asked for, or its time is over: so never asked for more than there is. */
        ssize_t got = rd_kafka_consume_batch_queue(queue, WAIT_MS, messages, total < BATCH ? (size_t)total : BATCH);
        if (got <= 0)
            fail("read", "no records within 5 s");
        for (ssize_t i = 0; i < got; i++) {
            rd_kafka_message_t *message = messages[i];
            if (message->err == 0) {
                bt_record record = { message->offset, 0, { message->key, message->key_len }, { message->payload, message->len } };
                each(b, &record);
                total--;
            }
            rd_kafka_message_destroy(message);
        }
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(b->client);
    rd_kafka_destroy(b->client);
}

static void hash_only(bench *b, const bt_record *record)
{
    b->random ^= bt_record_id(record->key, record->value).at[0];
    b->record_count++;
}

static void keep(bench *b, const bt_record *record)
{
    if (b->record_count == b->records_max || record->key.at == NULL)
        return;
    bt_str value = bt_arena_copy(&b->kept, (bt_str){ (const char *)record->value.at, record->value.size });
    b->records[b->record_count++] = (bt_record){ record->offset, 0, bt_arena_copy(&b->kept, record->key), { (const uint8_t *)value.at, value.size } };
}

/* --- folding --- */

static stream *stream_of(bench *b, bt_str key)
{
    uint64_t at = bt_str_hash(key);
    for (int tried = 0; tried < STREAMS_MAX; tried++, at++) {
        stream *s = &b->streams[at % STREAMS_MAX];
        if (s->state == NULL)
            *s = (stream){ bt_arena_copy(&b->kept, key), trip_decider.state_new(NULL) };
        if (bt_str_equal(s->key, key))
            return s;
    }
    fail("streams", "more than there is room for");
    return NULL;
}

static void fold(bench *b, const bt_record *record)
{
    bt_event event;
    bt_err err;
    if (bt_forward_step(&b->forward, record, NULL) != BT_FORWARD_VALID)
        return;
    bt_arena_reset(&b->arena);
    if (!bt_event_decode(record->value, &b->arena, &event, &err))
        fail("decode", err.message);
    bool of_log = record->key.size == strlen(BT_LOG_KEY) && memcmp(record->key.at, BT_LOG_KEY, record->key.size) == 0;
    if (!of_log && !trip_decider.evolve(stream_of(b, record->key)->state, event, NULL, &err))
        fail("evolve", err.message);
}

static void run_consume(bench *b)
{
    int64_t total = assign(b, 0, PARTITIONS_MAX);
    double began = seconds_of(CLOCK_MONOTONIC);
    read_all(b, total, hash_only);
    double took = seconds_of(CLOCK_MONOTONIC) - began;
    printf("{\"records\":%lld,\"seconds\":%.3f,\"records_per_s\":%.0f}\n", (long long)b->record_count, took, (double)b->record_count / took);
}

static void forget(bench *b)
{
    for (int i = 0; i < STREAMS_MAX; i++)
        if (b->streams[i].state != NULL)
            trip_decider.state_free(b->streams[i].state, NULL);
    memset(b->streams, 0, sizeof b->streams);
    b->forward = (bt_forward){ 0 };
}

static void run_fold(bench *b)
{
    b->records = bt_alloc((size_t)b->records_max * sizeof *b->records);
    read_all(b, assign(b, b->partition, b->partition + 1), keep);
    double full = 0, bare = 0;
    for (int round = 0; round < 5; round++) { /* the best of five, each beside the other */
        double began = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
        for (int64_t i = 0; i < b->record_count; i++)
            fold(b, &b->records[i]);
        double rate = (double)b->record_count / (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - began);
        full = rate > full ? rate : full;
        forget(b);
        began = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
        for (int64_t i = 0; i < b->record_count; i++) {
            bt_event event;
            bt_err err;
            b->random ^= bt_record_id(b->records[i].key, b->records[i].value).at[0];
            bt_arena_reset(&b->arena);
            if (!bt_event_decode(b->records[i].value, &b->arena, &event, &err))
                fail("decode", err.message);
        }
        rate = (double)b->record_count / (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - began);
        bare = rate > bare ? rate : bare;
    }
    printf("{\"records\":%lld,\"full_per_s\":%.0f,\"bare_per_s\":%.0f}\n", (long long)b->record_count, full, bare);
}

/* --- writing --- */

static const char *const writing[][2] = { { "enable.idempotence", "true" }, { "linger.ms", "5" }, { "queue.buffering.max.messages", "200000" },
    { "batch.num.messages", "10000" } };

static uint64_t next_random(bench *b) { return bt_mix64(++b->random); }

/* A hold of one seat on a random stretch, or the release of the hold before: what the trip does not refuse. */
static bool decide(bench *b, stream *s, bt_id *hold, bt_command *command, int64_t now_us, bt_decision *ret_decision)
{
    static struct trip_hold_seats wish;
    static char nothing[64];
    bool release = !bt_id_is_zero(*hold);
    uint64_t random = next_random(b), from = random % 19, to = from + 1 + (random >> 32) % (19 - from);
    uint64_t halves[2] = { random, next_random(b) };
    wish = (struct trip_hold_seats){ .from = bt_arena_printf(&b->arena, "s%02u", (unsigned)from), .to = bt_arena_printf(&b->arena, "s%02u", (unsigned)to),
        .has_count = true, .count = 1, .customer = BT_STR("c00abcdef") };
    *command = (bt_command){ .type = release ? &trip_release_hold_message : &trip_hold_seats_message, .data = release ? (void *)nothing : (void *)&wish,
        .stream = s->key, .actor = BT_STR("bench") };
    memcpy(command->key_digest.at, halves, sizeof halves);
    command->body_digest = command->key_digest;
    command->target = *hold;
    trip_decider.decide(s->state, command, now_us, &trip_settings_default, &b->arena, ret_decision);
    *hold = release ? (bt_id){ 0 } : command->key_digest;
    return ret_decision->verdict == BT_VERDICT_ACCEPTED;
}

static void append(bench *b, rd_kafka_topic_t *topic, stream *s, const bt_command *command, bt_event event, int64_t now_us, bt_buf *bytes)
{
    bt_err err;
    *bt_event_meta(event) = (bt_meta){ .parent = b->forward.head, .version = trip_decider.version(s->state) + 1, .time = now_us,
        .command = command->key_digest, .body = command->body_digest, .actor = command->actor };
    bytes->size = 0;
    if (!bt_event_encode(event, bytes, &err) || !trip_decider.evolve(s->state, event, NULL, &err))
        fail("event", err.message);
    bt_record record = { b->forward.next_offset, 0, s->key, { bytes->at, bytes->size } };
    if (bt_forward_step(&b->forward, &record, NULL) != BT_FORWARD_VALID)
        fail("rule", "a record of ours is void");
    while (rd_kafka_produce(topic, b->partition, RD_KAFKA_MSG_F_COPY, bytes->at, bytes->size, s->key.at, s->key.size, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(b->client, 10);
    }
}

static void run_fill(bench *b)
{
    read_all(b, assign(b, b->partition, b->partition + 1), fold);
    b->client = client_new(b, RD_KAFKA_PRODUCER, writing, BT_COUNT_OF(writing));
    rd_kafka_topic_t *topic = rd_kafka_topic_new(b->client, b->topic, NULL);
    static bt_id holds[STREAMS_MAX];
    bt_buf bytes;
    bt_buf_init(&bytes, 1 << 20);
    b->random = (uint64_t)time(NULL) << 20;
    int64_t done = 0;
    for (int64_t tried = 0; done < b->records_max && tried < b->records_max * 100; tried++) {
        uint32_t at = (uint32_t)(next_random(b) % STREAMS_MAX);
        for (int i = 0; i < STREAMS_MAX && b->streams[at].state == NULL; i++)
            at = (at + 1) % STREAMS_MAX;
        stream *s = &b->streams[at];
        bt_decision decision;
        bt_command command;
        if (s->state == NULL || trip_decider.version(s->state) == 0)
            continue;
        bt_arena_reset(&b->arena);
        int64_t now_us = (int64_t)(seconds_of(CLOCK_REALTIME) * 1e6);
        if (!decide(b, s, &holds[at], &command, now_us, &decision)) {
            holds[at] = (bt_id){ 0 };
            continue;
        }
        append(b, topic, s, &command, decision.event, now_us, &bytes);
        done++;
    }
    if (rd_kafka_flush(b->client, 60000) != 0)
        fail("flush", "not all was taken within a minute");
    bt_buf_release(&bytes);
    printf("{\"records\":%lld,\"height\":%lld}\n", (long long)done, (long long)b->forward.height);
}

int main(int argc, char **argv)
{
    static bench b = { .brokers = "127.0.0.1:18100", .topic = "berth.trip", .records_max = 2000000 };
    const char *mode = "consume";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--brokers") == 0) b.brokers = argv[i + 1];
        else if (strcmp(argv[i], "--topic") == 0) b.topic = argv[i + 1];
        else if (strcmp(argv[i], "--partition") == 0) b.partition = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--records") == 0) b.records_max = atoll(argv[i + 1]);
        else if (strcmp(argv[i], "--mode") == 0) mode = argv[i + 1];
        else fail(argv[i], "no such option; read the top of bench/log/log.c");
    }
    if (b.records_max < 1 || b.records_max > 20000000)
        fail("--records", "1 to 20,000,000");
    bt_arena_init(&b.kept, (size_t)8 << 30);
    bt_arena_init(&b.arena, 0);
    fprintf(stderr, "measuring\n");
    if (strcmp(mode, "fold") == 0)
        run_fold(&b);
    else if (strcmp(mode, "fill") == 0)
        run_fill(&b);
    else
        run_consume(&b);
    fprintf(stderr, "measured\n");
    return 0;
}
