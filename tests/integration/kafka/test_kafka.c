/* io/kafka on a real broker: BERTH_KAFKA names it (127.0.0.1:9092). Without it the tests fail; they do not pass by skipping. */
#include "tests/unit/test.h"

#include "core/memory.h"
#include "io/kafka/admin.h"
#include "io/kafka/group.h"
#include "io/kafka/producer.h"
#include "io/kafka/reader.h"

#include <librdkafka/rdkafka.h> /* only to write what our producer never would: null keys and values */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SEEN_MAX 4096

/* How long is waited for what must come: never used up by a test that passes, however slow the machine. In polls of 100 ms, and in ms. */
#define PATIENCE_POLLS 900
#define PATIENCE_MS 90000

static char topic[64];
static bt_kafka_setting settings[1];
static bt_kafka_config config = { settings, 1, "berth-test" };

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#define MUST(call)                     \
    do {                               \
        bt_err must_err = { 0 };       \
        bool must_ok = (call);         \
        if (!must_ok)                  \
            fail_msg("%s", must_err.message); \
    } while (0)

/* A topic that has just been made is known to the controller; the broker that is asked next may hear of it a moment later. */
static void topic_await(bt_kafka_admin *admin)
{
    bt_err err = { 0 };
    int32_t partition_count;
    bool is_known = false;
    for (int i = 0; i < PATIENCE_POLLS && !is_known; i++)
        if (!(is_known = bt_kafka_partition_count(admin, topic, PATIENCE_MS, &partition_count, &err)))
            usleep(100000);
    if (!is_known)
        fail_msg("%s", err.message);
}

static void topic_make(const char *name, int32_t partition_count)
{
    snprintf(topic, sizeof topic, "test.%s.%lld", name, (long long)now_us());
    bt_topic_spec spec = { topic, partition_count, 1, 1 };
    bt_kafka_admin *admin;
    bool created = false;
    MUST(bt_kafka_admin_new(&config, &admin, &must_err));
    MUST(bt_kafka_topic_create(admin, &spec, PATIENCE_MS, &created, &must_err));
    assert_true(created);
    topic_await(admin);
    bt_kafka_admin_free(admin);
}

/* What a test has been told, in order. */
static struct seen {
    bt_report reports[SEEN_MAX];
    size_t report_count;
    int64_t offsets[SEEN_MAX];
    int32_t partitions[SEEN_MAX];
    bool null_key[SEEN_MAX], null_value[SEEN_MAX];
    int64_t timestamps_us[SEEN_MAX];
    size_t record_count;
    int64_t caught_up_at;
    int64_t end_offset;
    uint64_t end_request;
    int ends;
    bt_err broken;
} seen;

static void on_reports(void *context, const bt_report *reports, size_t count)
{
    for (size_t i = 0; i < count && seen.report_count < SEEN_MAX; i++)
        seen.reports[seen.report_count++] = reports[i];
}

static void on_records(void *context, int32_t partition, const bt_record *records, size_t count)
{
    for (size_t i = 0; i < count && seen.record_count < SEEN_MAX; i++) {
        seen.offsets[seen.record_count] = records[i].offset;
        seen.partitions[seen.record_count] = partition;
        seen.null_key[seen.record_count] = records[i].key.at == NULL;
        seen.null_value[seen.record_count] = records[i].value.at == NULL;
        seen.timestamps_us[seen.record_count++] = records[i].timestamp_us;
    }
}

static void on_caught_up(void *context, int32_t partition, int64_t next_offset) { seen.caught_up_at = next_offset; }

static void on_end(void *context, int32_t partition, uint64_t request, int64_t end_offset)
{
    seen.end_offset = end_offset;
    seen.end_request = request;
    seen.ends++;
}

static void on_broken(void *context, int32_t partition, const bt_err *err) { seen.broken = *err; }

static const bt_producer_outputs producer_outputs = { NULL, on_reports };
static const bt_reader_outputs reader_outputs = { NULL, on_records, on_caught_up, on_end, on_broken };

static void seen_reset(void)
{
    memset(&seen, 0, sizeof seen);
    seen.caught_up_at = -1;
}

static void append_n(bt_producer *producer, int32_t partition, int count, int first_attempt)
{
    static char value[64] = "value";
    bt_append appends[256];
    bt_kafka_header header = { "ce_type", BT_STR("berth.test") };
    for (int i = 0; i < count; i++) {
        appends[i] = (bt_append){ .generation = 7, .attempt = (uint64_t)(first_attempt + i), .partition = partition, .key = BT_STR("trip-1"),
                                  .value = { (uint8_t *)value, sizeof value }, .time_us = now_us(), .headers = &header, .header_count = 1 };
    }
    bt_producer_append(producer, appends, (size_t)count);
}

static void read_until(bt_reader *reader, size_t record_count)
{
    for (int i = 0; i < PATIENCE_POLLS && seen.record_count < record_count; i++)
        bt_reader_poll(reader, 100);
}

static void append__of_a_batch__is_reported_in_order_with_dense_offsets_and_read_back(void **unused)
{
    topic_make("append", 2);
    seen_reset();
    bt_producer *producer;
    MUST(bt_producer_new(&config, &(bt_producer_options){ .topic = topic }, &producer_outputs, NULL, &producer, &must_err));
    append_n(producer, 1, 200, 1);
    for (int i = 0; i < PATIENCE_POLLS && seen.report_count < 200; i++)
        bt_producer_poll(producer, 100);
    assert_int_equal(seen.report_count, 200);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(seen.reports[i].kind, BT_OK);
        assert_int_equal(seen.reports[i].offset, i);
        assert_int_equal(seen.reports[i].attempt, i + 1);
        assert_int_equal(seen.reports[i].generation, 7);
        assert_int_equal(seen.reports[i].partition, 1);
    }
    bt_reader *reader;
    MUST(bt_reader_new(&config, &(bt_reader_options){ .topic = topic }, &reader_outputs, NULL, &reader, &must_err));
    MUST(bt_reader_start(reader, 1, 50, &must_err));
    read_until(reader, 150);
    assert_int_equal(seen.record_count, 150);
    assert_int_equal(seen.offsets[0], 50);
    assert_int_equal(seen.offsets[149], 199);
    assert_true(llabs(seen.timestamps_us[0] - now_us()) < 20000000);
    for (int i = 0; i < PATIENCE_POLLS && seen.caught_up_at < 0; i++)
        bt_reader_poll(reader, 100);
    assert_int_equal(seen.caught_up_at, 200);

    seen_reset(); /* back, while it runs */
    MUST(bt_reader_start(reader, 1, 10, &must_err));
    read_until(reader, 190);
    assert_int_equal(seen.offsets[0], 10);
    assert_int_equal(seen.record_count, 190);
    bt_reader_free(reader);
    bt_producer_free(producer, 1000);
}

static void reader__at_a_position_past_the_end__says_broken_and_does_not_reset(void **unused)
{
    seen_reset();
    bt_reader *reader;
    MUST(bt_reader_new(&config, &(bt_reader_options){ .topic = topic }, &reader_outputs, NULL, &reader, &must_err));
    MUST(bt_reader_start(reader, 1, 5000, &must_err));
    for (int i = 0; i < PATIENCE_POLLS && seen.broken.kind == BT_OK; i++)
        bt_reader_poll(reader, 100);
    assert_int_equal(seen.broken.kind, BT_ERR_FATAL);
    assert_int_equal(seen.record_count, 0);
    bt_reader_free(reader);
}

static void reader__asked_for_the_end__answers_with_the_high_watermark(void **unused)
{
    seen_reset();
    bt_wake wake;
    MUST(bt_wake_init(&wake, &must_err));
    bt_reader *reader;
    MUST(bt_reader_new(&config, &(bt_reader_options){ .topic = topic }, &reader_outputs, &wake, &reader, &must_err));
    bt_reader_ask_end(reader, 1, 42);
    for (int i = 0; i < PATIENCE_POLLS && seen.ends == 0; i++) {
        bt_wake_wait(&wake, 100);
        bt_reader_poll(reader, 0);
    }
    assert_int_equal(seen.ends, 1);
    assert_int_equal(seen.end_request, 42);
    assert_int_equal(seen.end_offset, 200);
    int64_t start, end;
    MUST(bt_reader_end_of(reader, 0, &start, &end, &must_err));
    assert_int_equal(start, 0);
    assert_int_equal(end, 0);
    int32_t count;
    MUST(bt_reader_partition_count(reader, PATIENCE_MS, &count, &must_err));
    assert_int_equal(count, 2);
    bt_err err;
    assert_false(bt_reader_end_of(reader, 9, &start, &end, &err)); /* no such partition: within its limit */
    bt_reader_free(reader);
    bt_wake_release(&wake);
}

/* Records of nearly a megabyte that cannot be compressed, so that a fetch brings two or three: each is many buffers of 64 KB. */
static void append_large(bt_producer *producer, size_t count)
{
    enum { SIZE = 900000 };
    uint8_t *value = bt_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        value[i] = (uint8_t)bt_mix64(i);
    for (size_t i = 0; i < count; i++) {
        bt_append append = { .attempt = i + 1, .key = BT_STR("trip-1"), .value = { value, SIZE }, .time_us = now_us() };
        bt_producer_append(producer, &append, 1);
        for (int polls = 0; polls < PATIENCE_POLLS && seen.report_count <= i; polls++)
            bt_producer_poll(producer, 100);
    }
    bt_release(value);
}

/* Without the reader's nudges each of some 30 fetches is a second after the one before: 41 polls came back empty, with them none. */
static void reader__of_a_log_much_longer_than_its_buffer__does_not_wait_a_second_each_time_it_is_full(void **unused)
{
    enum { COUNT = 60, IDLE_MAX = 30 };
    topic_make("long", 1);
    seen_reset();
    bt_producer *producer;
    MUST(bt_producer_new(&config, &(bt_producer_options){ .topic = topic }, &producer_outputs, NULL, &producer, &must_err));
    append_large(producer, COUNT);
    assert_int_equal(seen.report_count, COUNT);
    bt_reader *reader;
    MUST(bt_reader_new(&config, &(bt_reader_options){ .topic = topic, .buffer_bytes = 65536 }, &reader_outputs, NULL, &reader, &must_err));
    MUST(bt_reader_start(reader, 0, 0, &must_err));
    int idle = 0;
    for (int i = 0; i < PATIENCE_POLLS && seen.record_count < COUNT; i++)
        idle += bt_reader_poll(reader, 400) == 0 && seen.record_count > 0;
    assert_int_equal(seen.record_count, COUNT);
    assert_int_equal(seen.ends, 0);
    assert_true(idle < IDLE_MAX);
    bt_reader_free(reader);
    bt_producer_free(producer, 1000);
}

static void reader__of_null_keys_and_values__delivers_them_as_null(void **unused)
{
    topic_make("nulls", 1);
    seen_reset();
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[128];
    rd_kafka_conf_set(conf, "bootstrap.servers", settings[0].value, why, sizeof why);
    rd_kafka_t *foreign = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    assert_non_null(foreign);
    rd_kafka_producev(foreign, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY(NULL, 0), RD_KAFKA_V_VALUE("x", 1), RD_KAFKA_V_END);
    rd_kafka_producev(foreign, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY("k", 1), RD_KAFKA_V_VALUE(NULL, 0), RD_KAFKA_V_END);
    rd_kafka_producev(foreign, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY("", 0), RD_KAFKA_V_VALUE("", 0), RD_KAFKA_V_END);
    rd_kafka_flush(foreign, PATIENCE_MS);
    rd_kafka_destroy(foreign);
    bt_reader *reader;
    MUST(bt_reader_new(&config, &(bt_reader_options){ .topic = topic }, &reader_outputs, NULL, &reader, &must_err));
    MUST(bt_reader_start(reader, 0, 0, &must_err));
    read_until(reader, 3);
    assert_int_equal(seen.record_count, 3);
    assert_true(seen.null_key[0] && !seen.null_value[0]);
    assert_true(!seen.null_key[1] && seen.null_value[1]);
    assert_true(!seen.null_key[2] && !seen.null_value[2]);
    bt_reader_free(reader);
}

static void wake__for_reports_and_records__comes_without_polling(void **unused)
{
    topic_make("wake", 1);
    seen_reset();
    bt_wake wake;
    MUST(bt_wake_init(&wake, &must_err));
    bt_producer *producer;
    bt_reader *reader;
    MUST(bt_producer_new(&config, &(bt_producer_options){ .topic = topic }, &producer_outputs, &wake, &producer, &must_err));
    MUST(bt_reader_new(&config, &(bt_reader_options){ .topic = topic }, &reader_outputs, &wake, &reader, &must_err));
    MUST(bt_reader_start(reader, 0, 0, &must_err));
    /* No wait is ever used up: every report and record wakes the loop. */
    for (int round = 0; round < 30; round++) {
        append_n(producer, 0, 1, round);
        while (seen.report_count < (size_t)round + 1 || seen.record_count < (size_t)round + 1) {
            int64_t begun_us = now_us();
            bt_wake_wait(&wake, PATIENCE_MS);
            assert_true(now_us() - begun_us < (PATIENCE_MS - 1000) * INT64_C(1000));
            bt_producer_poll(producer, 0);
            bt_reader_poll(reader, 0);
        }
    }
    bt_reader_free(reader);
    bt_producer_free(producer, 1000);
    bt_wake_release(&wake);
}

static void append__that_cannot_be__is_reported_for_good_and_so_is_what_follows_it(void **unused)
{
    topic_make("refused", 2);
    seen_reset();
    bt_producer *producer;
    MUST(bt_producer_new(&config, &(bt_producer_options){ .topic = topic }, &producer_outputs, NULL, &producer, &must_err));
    uint8_t *large = bt_alloc(2 << 20);
    int64_t future_us = now_us() + INT64_C(3600) * 1000000;
    bt_append appends[] = {
        { .attempt = 1, .partition = 0, .key = BT_STR("k"), .value = { large, 2 << 20 }, .time_us = now_us() },
        { .attempt = 2, .partition = 0, .key = BT_STR("k"), .value = { large, 30 }, .time_us = now_us() },
        { .attempt = 3, .partition = 1, .key = BT_STR("k"), .value = { large, 30 }, .time_us = future_us },
    };
    bt_producer_append(producer, appends, 3);
    for (int i = 0; i < PATIENCE_POLLS && seen.report_count < 3; i++)
        bt_producer_poll(producer, 100);
    assert_int_equal(seen.report_count, 3);
    assert_int_equal(seen.reports[0].kind, BT_ERR_INPUT);
    assert_int_equal(seen.reports[1].kind, BT_ERR_RETRY);
    assert_int_equal(seen.reports[2].kind, BT_ERR_INPUT); /* message.timestamp.after.max.ms */
    bt_release(large);
    bt_producer_free(producer, 1000);
}

static void check__of_a_topic_made_otherwise__names_each_difference(void **unused)
{
    topic_make("check", 1);
    bt_kafka_admin *admin;
    MUST(bt_kafka_admin_new(&config, &admin, &must_err));
    bt_topic_finding findings[BT_TOPIC_FINDINGS_MAX];
    size_t count = 99;
    MUST(bt_kafka_topic_check(admin, &(bt_topic_spec){ topic, 1, 1, 1 }, PATIENCE_MS, findings, &count, &must_err));
    assert_int_equal(count, 0);
    MUST(bt_kafka_topic_check(admin, &(bt_topic_spec){ topic, 4, 3, 2 }, PATIENCE_MS, findings, &count, &must_err));
    assert_int_equal(count, 3);
    assert_string_equal(findings[0].what, "partitions");
    assert_string_equal(findings[1].what, "replication");
    assert_string_equal(findings[2].what, "min.insync.replicas");
    bool created = true;
    MUST(bt_kafka_topic_create(admin, &(bt_topic_spec){ topic, 1, 1, 1 }, PATIENCE_MS, &created, &must_err));
    assert_false(created);
    bt_err err;
    int32_t partition_count;
    assert_false(bt_kafka_partition_count(admin, "no.such.topic", PATIENCE_MS, &partition_count, &err));
    assert_int_equal(err.kind, BT_ERR_INPUT);
    bt_kafka_admin_free(admin);
}

static bool owned[2][4];
static void on_assigned(void *context, int32_t partition) { ((bool *)context)[partition] = true; }
static void on_revoked(void *context, int32_t partition) { ((bool *)context)[partition] = false; }

static int owned_count(int node)
{
    return owned[node][0] + owned[node][1] + owned[node][2] + owned[node][3];
}

static void group__of_two_nodes__shares_the_partitions_and_gives_them_back(void **unused)
{
    topic_make("group", 4);
    bt_group *groups[2];
    bt_group_options options = { .group = topic, .topic = topic, .session_timeout_ms = 6000 };
    for (int node = 0; node < 2; node++) {
        bt_group_outputs outputs = { owned[node], on_assigned, on_revoked };
        MUST(bt_group_new(&config, &options, &outputs, NULL, &groups[node], &must_err));
        for (int i = 0; i < 2 * PATIENCE_POLLS && (owned_count(node) != 4 / (node + 1) || owned_count(0) != 4 / (node + 1)); i++) {
            for (int j = 0; j <= node; j++)
                bt_group_poll(groups[j]);
            usleep(50000);
        }
    }
    assert_int_equal(owned_count(0), 2);
    assert_int_equal(owned_count(1), 2);
    assert_true(bt_group_joined(groups[0]) && bt_group_joined(groups[1]));
    bt_group_free(groups[0], 5000);
    for (int i = 0; i < 2 * PATIENCE_POLLS && owned_count(1) != 4; i++) {
        bt_group_poll(groups[1]);
        usleep(50000);
    }
    assert_int_equal(owned_count(1), 4);
    bt_group_free(groups[1], 5000);
}

int main(void)
{
    const char *servers = getenv("BERTH_KAFKA");
    if (servers == NULL) {
        fprintf(stderr, "BERTH_KAFKA is not set: name a broker for the tests, as in BERTH_KAFKA=127.0.0.1:9092\n");
        return 1;
    }
    settings[0] = (bt_kafka_setting){ "bootstrap.servers", servers };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append__of_a_batch__is_reported_in_order_with_dense_offsets_and_read_back),
        cmocka_unit_test(reader__at_a_position_past_the_end__says_broken_and_does_not_reset),
        cmocka_unit_test(reader__asked_for_the_end__answers_with_the_high_watermark),
        cmocka_unit_test(reader__of_a_log_much_longer_than_its_buffer__does_not_wait_a_second_each_time_it_is_full),
        cmocka_unit_test(reader__of_null_keys_and_values__delivers_them_as_null),
        cmocka_unit_test(wake__for_reports_and_records__comes_without_polling),
        cmocka_unit_test(append__that_cannot_be__is_reported_for_good_and_so_is_what_follows_it),
        cmocka_unit_test(check__of_a_topic_made_otherwise__names_each_difference),
        cmocka_unit_test(group__of_two_nodes__shares_the_partitions_and_gives_them_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
