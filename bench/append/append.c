/* append - what an append costs with nothing around it: librdkafka and the broker, no rule, no state, no HTTP.
 *
 * It is the other half of the limit of book.*, and the rival of book.latency.*. Loopback brokers; ends after --seconds and 10 s.
 *   batch        --window records are handed over at once, all are awaited, then the next: the group commit of as many clients,
 *                as berth-commands does (idempotent, acks=all, no compression, by a gathering lane: io/kafka/lane.h)
 *   pieces       the same by a direct lane: librdkafka sends a batch in two pieces or more (docs/decisions/0013)
 *   lone         one record, awaited, then the next: latency, by a direct lane, as berth-commands does
 *   transaction  the same, each in a Kafka transaction of its own
 * Prints one JSON object; "measuring" and "measured" on stderr mark the interval, for who reads CPU times. */
#include "core/memory.h"
#include "io/kafka/lane.h"

#include <librdkafka/rdkafka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_MAX = 65536, LATENCIES_MAX = 1 << 22, WAIT_MS = 10000 };

typedef enum append_mode { MODE_BATCH, MODE_PIECES, MODE_LONE, MODE_TRANSACTION } append_mode;

typedef struct options {
    const char *brokers, *topic;
    append_mode mode;
    int partitions, window, value_size, key_size, seconds, warmup;
} options;

typedef struct bench {
    options o;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue; /* reports; a pipe beside it tells of them, as in the server's loop */
    int pipe[2];
    lane lane; /* but for transactions */
    int64_t appended, failed;
    uint32_t *latencies;
    size_t latency_count;
    char value[VALUE_MAX], key[256];
} bench;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_append: %s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[300];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        fail(name, why);
}

static void open_lane(bench *b, rd_kafka_conf_t *conf)
{
    bt_err err;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    if (!lane_open(&b->lane, b->o.mode == MODE_BATCH ? LANE_GATHERING : LANE_DIRECT, conf, b->o.topic, NULL, &err))
        fail("producer", err.message);
    rd_kafka_conf_destroy(conf);
    b->client = b->lane.client;
    b->topic = b->lane.topic;
    b->queue = b->lane.queue;
    rd_kafka_queue_io_event_enable(b->queue, b->pipe[1], "1", 1);
}

/* A commit tells as much as reports do, and would wait for these to be taken: so there are none. */
static void open_transactional(bench *b, rd_kafka_conf_t *conf)
{
    char why[300];
    set(conf, "linger.ms", "0");
    set(conf, "transactional.id", "bench-append");
    b->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (b->client == NULL)
        fail("producer", why);
    b->topic = rd_kafka_topic_new(b->client, b->o.topic, NULL);
    rd_kafka_error_t *error = rd_kafka_init_transactions(b->client, WAIT_MS);
    if (error != NULL)
        fail("init_transactions", rd_kafka_error_string(error));
}

static void connect_client(bench *b)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", b->o.brokers);
    set(conf, "enable.idempotence", "true");
    set(conf, "acks", "all");
    set(conf, "socket.nagle.disable", "true");
    set(conf, "max.in.flight", "5");
    set(conf, "message.timeout.ms", "10000");
    if (pipe(b->pipe) != 0)
        fail("pipe", "none to be had");
    if (b->o.mode == MODE_TRANSACTION)
        open_transactional(b, conf);
    else
        open_lane(b, conf);
}

static void produce(bench *b, int partition)
{
    if (rd_kafka_produce(b->topic, partition, RD_KAFKA_MSG_F_COPY, b->value, (size_t)b->o.value_size, b->key, (size_t)b->o.key_size, NULL) != 0)
        fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
}

/* Takes the reports that are there; waits for the first. */
static int take_reports(bench *b)
{
    int taken = 0;
    struct pollfd wait = { .fd = b->pipe[0], .events = POLLIN };
    if (poll(&wait, 1, WAIT_MS) != 1)
        fail("reports", "none within 10 s");
    char nothing[256];
    (void)!read(b->pipe[0], nothing, sizeof nothing);
    for (rd_kafka_event_t *event; (event = rd_kafka_queue_poll(b->queue, 0)) != NULL; rd_kafka_event_destroy(event)) {
        const rd_kafka_message_t *message;
        while ((message = rd_kafka_event_message_next(event)) != NULL) {
            b->failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
            taken++;
        }
    }
    return taken;
}

static void append_window(bench *b)
{
    for (int i = 0; i < b->o.window; i++)
        produce(b, i * b->o.partitions / b->o.window);
    lane_flush(&b->lane);
    for (int left = b->o.window; left > 0;)
        left -= take_reports(b);
    b->appended += b->o.window;
}

static void append_in_transaction(bench *b)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(b->client);
    if (error == NULL) {
        produce(b, 0);
        error = rd_kafka_commit_transaction(b->client, WAIT_MS);
    }
    if (error != NULL)
        fail("transaction", rd_kafka_error_string(error));
    b->appended++;
}

static void run_for(bench *b, int seconds)
{
    int64_t end_us = now_us() + seconds * INT64_C(1000000), began_us;
    b->appended = 0;
    b->latency_count = 0;
    while ((began_us = now_us()) < end_us) {
        if (b->o.mode == MODE_TRANSACTION)
            append_in_transaction(b);
        else
            append_window(b);
        if (b->latency_count < LATENCIES_MAX)
            b->latencies[b->latency_count++] = (uint32_t)(now_us() - began_us);
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static options read_options(int argc, char **argv)
{
    options o = { .brokers = "127.0.0.1:18100", .topic = "bench.append", .partitions = 1, .window = 256, .value_size = 120, .key_size = 7,
        .seconds = 5, .warmup = 2 };
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--brokers") == 0) o.brokers = value;
        else if (strcmp(name, "--topic") == 0) o.topic = value;
        else if (strcmp(name, "--partitions") == 0) o.partitions = atoi(value);
        else if (strcmp(name, "--window") == 0) o.window = atoi(value);
        else if (strcmp(name, "--value") == 0) o.value_size = atoi(value);
        else if (strcmp(name, "--key") == 0) o.key_size = atoi(value);
        else if (strcmp(name, "--seconds") == 0) o.seconds = atoi(value);
        else if (strcmp(name, "--warmup") == 0) o.warmup = atoi(value);
        else if (strcmp(name, "--mode") == 0) o.mode = strcmp(value, "lone") == 0 ? MODE_LONE : strcmp(value, "pieces") == 0 ? MODE_PIECES : strcmp(value, "transaction") == 0 ? MODE_TRANSACTION : MODE_BATCH;
        else fail(name, "no such option; read the top of bench/append/append.c");
    }
    if (o.mode != MODE_BATCH && o.mode != MODE_PIECES)
        o.window = 1;
    if (o.window < 1 || o.window > 10000 || o.partitions < 1 || o.partitions > 64 || o.value_size < 1 || o.value_size > VALUE_MAX ||
        o.key_size < 1 || o.key_size > 255 || o.seconds < 1 || o.seconds > 600)
        fail("options", "a value is out of range");
    return o;
}

int main(int argc, char **argv)
{
    static bench b;
    b.o = read_options(argc, argv);
    b.latencies = bt_alloc(LATENCIES_MAX * sizeof *b.latencies);
    for (size_t i = 0; i < sizeof b.value; i++)
        b.value[i] = (char)bt_mix64(i);
    memset(b.key, 'k', sizeof b.key);
    connect_client(&b);
    run_for(&b, b.o.warmup);
    fprintf(stderr, "measuring\n");
    run_for(&b, b.o.seconds);
    fprintf(stderr, "measured\n");
    qsort(b.latencies, b.latency_count, sizeof *b.latencies, by_value);
    printf("{\"records\":%lld,\"records_per_s\":%.1f,\"failed\":%lld,\"p50_us\":%u,\"p99_us\":%u}\n", (long long)b.appended,
        (double)b.appended / b.o.seconds, (long long)b.failed, b.latencies[b.latency_count / 2], b.latencies[b.latency_count * 99 / 100]);
    return b.failed > 0 ? 3 : 0;
}
