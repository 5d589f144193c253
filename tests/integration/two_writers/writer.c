/* writer - appends to one partition by the rule of docs/protocol.md, and writes down each id that it holds for valid.
 *
 *   writer --kafka HOST:PORT --topic T --acks FILE [--ack-on-report]
 *
 * Several of these on one partition, paused and killed at random, are the rule's first test on a real broker: whatever
 * they do to each other, chain_check.py must find one unbroken chain with every written-down id valid in it once. Each
 * folds the log, appends a few records that link to one another, reads back, and takes what it reads for the truth.
 * --ack-on-report is the mistake that the rule is there to prevent (the broker said yes, so it counts): with it, the check must fail. */
#include "core/digest.h"
#include "io/kafka/producer.h"
#include "io/kafka/reader.h"
#include "schemas/log.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define DEPTH 6 /* records in flight, each linked to the one before */
#define RESEND_AFTER_MS 3000

typedef struct flight {
    uint8_t value[512];
    size_t value_size;
    bt_id id;
} flight;

typedef struct writer {
    bt_forward log; /* all that was read, folded */
    flight open[DEPTH];
    size_t open_count;
    bool caught_up; /* once at the end: from then on it decides on what it has, and loses where that is old */
    bool append_failed, restart, ack_on_report;
    int64_t appended_at_ms;
    int acks; /* file descriptor: written at once, so that a kill loses no line that counts */
    bt_producer *producer;
    bt_reader *reader;
    const char *topic;
    uint64_t acked, lost;
} writer;

static volatile sig_atomic_t stopping;
static void on_signal(int number) { stopping = number; }

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "writer: %s\n", what);
    exit(2);
}

static uint32_t random_below(uint32_t limit)
{
    uint32_t value;
    bt_assert(getrandom(&value, sizeof value, 0) == sizeof value);
    return value % limit;
}

static void acknowledge(writer *w, bt_id id)
{
    char line[BT_ID_HEX_SIZE + 1];
    bt_id_to_hex(id, line);
    line[BT_ID_HEX_SIZE] = '\n';
    if (write(w->acks, line, sizeof line) != (ssize_t)sizeof line)
        die("the acknowledgements cannot be written");
    w->acked++;
}

/* --- the log --- */

static void on_valid(writer *w, bt_id id)
{
    if (w->open_count == 0)
        return;
    if (!bt_id_equal(w->open[0].id, id)) { /* another was first: what is in flight is void for good */
        w->lost += w->open_count;
        w->open_count = 0;
        return;
    }
    if (!w->ack_on_report)
        acknowledge(w, id);
    memmove(w->open, w->open + 1, --w->open_count * sizeof w->open[0]);
}

static void on_records(void *context, int32_t partition, const bt_record *records, size_t count)
{
    (void)partition;
    writer *w = context;
    for (size_t i = 0; i < count && !w->restart; i++) {
        bt_id id;
        switch (bt_forward_step(&w->log, &records[i], &id)) {
        case BT_FORWARD_VALID:
            on_valid(w, id);
            break;
        case BT_FORWARD_JUMP:
            w->restart = true;
            break;
        case BT_FORWARD_VOID_PARENT:
        case BT_FORWARD_VOID_MALFORMED:
            break;
        }
    }
}

static void on_caught_up(void *context, int32_t partition, int64_t next_offset)
{
    (void)partition;
    writer *w = context;
    w->caught_up |= next_offset == w->log.next_offset;
}

static void on_broken(void *context, int32_t partition, const bt_err *err)
{
    (void)context;
    (void)partition;
    die(err->message);
}

static void on_reports(void *context, const bt_report *reports, size_t count)
{
    writer *w = context;
    for (size_t i = 0; i < count; i++) {
        w->append_failed |= reports[i].kind != BT_OK;
        for (size_t j = 0; w->ack_on_report && j < w->open_count && reports[i].kind == BT_OK; j++) {
            uint64_t attempt;
            memcpy(&attempt, w->open[j].id.at, sizeof attempt);
            if (attempt == reports[i].attempt)
                acknowledge(w, w->open[j].id);
        }
    }
}

/* --- appending --- */

static void encode(writer *w, flight *next, bt_id parent, int64_t version)
{
    bt_meta meta = { .parent = parent, .version = version, .time = clock_us(CLOCK_REALTIME), .actor = BT_STR("writer") };
    if (meta.time < w->log.time_us)
        meta.time = w->log.time_us;
    bt_id nonce;
    bt_assert(getrandom(&nonce, sizeof nonce, 0) == sizeof nonce);
    struct log_opened opened = { .meta = meta, .log = nonce, .topic = bt_str_of(w->topic), .partition_count = 1, .registry = BT_STR("berth") };
    struct log_barrier barrier = { .meta = meta, .nonce = nonce };
    bt_event event = version == 1 ? (bt_event){ &log_opened_message, &opened } : (bt_event){ &log_barrier_message, &barrier };
    bt_buf out;
    bt_err err;
    bt_buf_init_fixed(&out, next->value, sizeof next->value);
    if (!bt_event_encode(event, &out, &err))
        die(err.message);
    next->value_size = out.size;
    next->id = bt_record_id(BT_STR(BT_LOG_KEY), (bt_bytes){ next->value, next->value_size });
}

static void append_open(writer *w)
{
    bt_append appends[DEPTH];
    for (size_t i = 0; i < w->open_count; i++) {
        uint64_t attempt;
        memcpy(&attempt, w->open[i].id.at, sizeof attempt);
        appends[i] = (bt_append){ .attempt = attempt, .key = BT_STR(BT_LOG_KEY), .value = { w->open[i].value, w->open[i].value_size }, .time_us = clock_us(CLOCK_REALTIME) };
    }
    bt_producer_append(w->producer, appends, w->open_count);
    w->appended_at_ms = clock_us(CLOCK_MONOTONIC) / 1000;
    w->append_failed = false;
}

static void decide(writer *w)
{
    bt_id parent = w->log.head;
    size_t depth = 1 + random_below(DEPTH);
    if (random_below(4) == 0)
        usleep(random_below(3000)); /* others get in between the fold and the append */
    for (size_t i = 0; i < depth; i++) {
        encode(w, &w->open[i], parent, w->log.height + 1 + (int64_t)i);
        parent = w->open[i].id;
    }
    w->open_count = depth;
    append_open(w);
}

static void turn(writer *w, bt_wake *wake)
{
    bt_err err;
    bt_wake_wait(wake, 50);
    bt_producer_poll(w->producer, 0);
    while (bt_reader_poll(w->reader, 0) > 0 && !w->restart)
        ;
    if (w->restart) {
        w->restart = false;
        if (!bt_reader_start(w->reader, 0, w->log.next_offset, &err))
            die(err.message);
    }
    bool late = clock_us(CLOCK_MONOTONIC) / 1000 - w->appended_at_ms > RESEND_AFTER_MS;
    if (w->open_count > 0 && (w->append_failed || late))
        append_open(w); /* byte for byte: two copies cannot both be valid */
    else if (w->open_count == 0 && w->caught_up)
        decide(w);
}

static void options_read(writer *w, bt_kafka_setting *kafka, int argc, char **argv)
{
    static const struct option OPTIONS[] = { { "kafka", 1, NULL, 'k' }, { "topic", 1, NULL, 't' }, { "acks", 1, NULL, 'a' }, { "ack-on-report", 0, NULL, 'r' }, { 0 } };
    w->acks = -1;
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (option == 'k')
            *kafka = (bt_kafka_setting){ "bootstrap.servers", optarg };
        else if (option == 't')
            w->topic = optarg;
        else if (option == 'a')
            w->acks = open(optarg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        else if (option == 'r')
            w->ack_on_report = true;
        else
            exit(2);
    }
    if (kafka->value == NULL || w->topic == NULL || w->acks < 0)
        die("--kafka, --topic and --acks are needed");
}

int main(int argc, char **argv)
{
    static writer w;
    bt_kafka_setting setting = { 0 };
    signal(SIGTERM, on_signal); /* before the file is made: whoever sees that may end us gracefully */
    options_read(&w, &setting, argc, argv);
    bt_kafka_config config = { &setting, 1, "two-writers" };
    bt_err err;
    bt_wake wake;
    if (!bt_wake_init(&wake, &err) ||
        !bt_producer_new(&config, &(bt_producer_options){ .topic = w.topic }, &(bt_producer_outputs){ &w, on_reports }, &wake, &w.producer, &err) ||
        !bt_reader_new(&config, &(bt_reader_options){ .topic = w.topic }, &(bt_reader_outputs){ &w, on_records, on_caught_up, NULL, on_broken }, &wake, &w.reader, &err) ||
        !bt_reader_start(w.reader, 0, 0, &err))
        die(err.message);
    while (!stopping)
        turn(&w, &wake);
    bt_producer_stats stats;
    bt_producer_stats_of(w.producer, &stats);
    printf("{\"acked\":%llu,\"lost\":%llu,\"appended\":%llu,\"errors\":%llu,\"recreated\":%llu}\n", (unsigned long long)w.acked, (unsigned long long)w.lost,
        (unsigned long long)stats.appended, (unsigned long long)stats.reported_error, (unsigned long long)stats.recreated);
    bt_reader_free(w.reader);
    bt_producer_free(w.producer, 1000);
    bt_wake_release(&wake);
    close(w.acks);
    return 0;
}
