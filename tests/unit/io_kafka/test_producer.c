/* io/kafka/producer's contract under errors that a real broker gives only when it suffers: librdkafka's mock cluster injects
 * them. Only that: what a broker does when it is well is tested on a real one (tests/integration/kafka). */
#include "tests/unit/test.h"

#include "io/kafka/producer.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TOPIC "mock"
#define ATTEMPTS_MAX 3000
enum { API_PRODUCE = 0, API_INIT_PRODUCER_ID = 22 };

typedef struct stage {
    rd_kafka_t *host; /* the mock cluster lives in a client of its own */
    rd_kafka_mock_cluster_t *cluster;
    bt_producer *producer;
    int reports[ATTEMPTS_MAX]; /* how often each attempt was reported */
    bt_report last[ATTEMPTS_MAX];
    int total;
    int message_timeout_ms; /* short only where running out of it is what is tested: a slow machine would too */
} stage;

static void on_reports(void *context, const bt_report *reports, size_t count)
{
    stage *s = context;
    for (size_t i = 0; i < count; i++) {
        s->reports[reports[i].attempt]++;
        s->last[reports[i].attempt] = reports[i];
        s->total++;
    }
}

static stage *new_stage(void)
{
    static stage s;
    s = (stage){ .message_timeout_ms = 15000 };
    char why[256];
    s.host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    assert_non_null(s.host);
    s.cluster = rd_kafka_mock_cluster_new(s.host, 1);
    assert_non_null(s.cluster);
    rd_kafka_mock_topic_create(s.cluster, TOPIC, 2, 1);
    return &s;
}

static int start_producer(stage *s)
{
    bt_kafka_setting settings[] = { { "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(s->cluster) } };
    bt_kafka_config config = { settings, 1, "test" };
    bt_producer_options options = { .topic = TOPIC, .message_timeout_ms = s->message_timeout_ms };
    bt_err err;
    if (!bt_producer_new(&config, &options, &(bt_producer_outputs){ s, on_reports }, NULL, &s->producer, &err))
        fail_msg("%s", err.message);
    return 0;
}

static int set_up(void **state)
{
    *state = new_stage();
    return start_producer(*state);
}

static int set_up_impatient(void **state)
{
    stage *s = *state = new_stage();
    s->message_timeout_ms = 2000;
    return start_producer(s);
}

/* The first that the producer asks for, its id, is refused; the error is there before the producer is. */
static int set_up_to_turn_fatal(void **state)
{
    stage *s = *state = new_stage();
    rd_kafka_mock_push_request_errors(s->cluster, API_INIT_PRODUCER_ID, 1, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
    return start_producer(s);
}

static int tear_down(void **state)
{
    stage *s = *state;
    bt_producer_free(s->producer, 3000);
    rd_kafka_mock_cluster_destroy(s->cluster);
    rd_kafka_destroy(s->host);
    return 0;
}

static void append(stage *s, int first, int count)
{
    static uint8_t value[32];
    bt_append appends[ATTEMPTS_MAX];
    for (int i = 0; i < count; i++)
        appends[i] = (bt_append){ .generation = 1, .attempt = (uint64_t)(first + i), .key = BT_STR("k"), .value = { value, sizeof value }, .time_us = (int64_t)time(NULL) * 1000000 };
    bt_producer_append(s->producer, appends, (size_t)count);
}

static void poll_until(stage *s, int total)
{
    for (int i = 0; i < 600 && s->total < total; i++)
        bt_producer_poll(s->producer, 100);
    for (int i = 0; i < 3; i++)
        bt_producer_poll(s->producer, 20); /* what would come twice comes now */
}

static void assert_each_once(const stage *s, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(s->reports[i], 1);
    assert_int_equal(s->total, count);
}

static void append__after_retriable_errors__is_reported_once_as_written(void **state)
{
    stage *s = *state;
    rd_kafka_mock_push_request_errors(s->cluster, API_PRODUCE, 3, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
    append(s, 0, 100);
    poll_until(s, 100);
    assert_each_once(s, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(s->last[i].kind, BT_OK);
}

static void append__that_the_broker_calls_a_duplicate__is_written_at_an_unknown_offset(void **state)
{
    stage *s = *state;
    append(s, 0, 1);
    poll_until(s, 1);
    rd_kafka_mock_push_request_errors(s->cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER);
    append(s, 1, 50);
    poll_until(s, 51);
    assert_each_once(s, 51);
    int unknown = 0;
    for (int i = 1; i < 51; i++) {
        assert_int_equal(s->last[i].kind, BT_OK);
        unknown += s->last[i].offset == -1;
        /* Never a number that was only counted up from "unknown". */
        assert_true(s->last[i].offset == -1 || s->last[i].offset >= i - unknown);
    }
    assert_true(unknown >= 1);
    bt_producer_stats stats;
    bt_producer_stats_of(s->producer, &stats);
    assert_int_equal(stats.offset_unknown, unknown);
}

static void append__while_the_broker_is_down__is_reported_once_within_the_timeout(void **state)
{
    stage *s = *state;
    append(s, 0, 1);
    poll_until(s, 1);
    rd_kafka_mock_broker_set_down(s->cluster, 1);
    append(s, 1, 20);
    poll_until(s, 21); /* within a minute: 2 s, and what a busy machine adds */
    assert_each_once(s, 21);
    for (int i = 1; i < 21; i++)
        assert_true(s->last[i].kind == BT_ERR_RETRY || s->last[i].kind == BT_ERR_UNKNOWN);
    rd_kafka_mock_broker_set_up(s->cluster, 1);
    /* It heals by itself, in seconds: the library connects again after a second at most, and then settles its sequence numbers. */
    bool healed = false;
    for (int attempt = 21; attempt < 61 && !healed; attempt++) {
        append(s, attempt, 1);
        poll_until(s, attempt + 1);
        healed = s->last[attempt].kind == BT_OK;
    }
    assert_true(healed);
}

static void append__when_the_library_turns_fatal__is_unknown_and_a_new_producer_goes_on(void **state)
{
    stage *s = *state;
    append(s, 0, 10);
    poll_until(s, 10);
    assert_each_once(s, 10);
    /* Either of the producer's two clients turned fatal: the one that had the records, or the other, and then they may be in the log. */
    bt_producer_stats stats;
    for (int tried = 0; tried < 6000; tried++) {
        bt_producer_poll(s->producer, 10);
        bt_producer_stats_of(s->producer, &stats);
        if (stats.incarnation == 2)
            break;
    }
    assert_int_equal(stats.recreated, 1);
    assert_int_equal(stats.incarnation, 2);
    for (int i = 0; i < 10; i++) {
        assert_true(s->last[i].kind == BT_ERR_UNKNOWN || s->last[i].kind == BT_ERR_RETRY || s->last[i].kind == BT_ERR_FATAL || s->last[i].kind == BT_OK);
        assert_int_equal(s->last[i].incarnation, 1);
    }
    append(s, 10, 10);
    poll_until(s, 20);
    assert_each_once(s, 20);
    for (int i = 10; i < 20; i++) {
        assert_int_equal(s->last[i].kind, BT_OK);
        assert_int_equal(s->last[i].incarnation, 2);
    }
}

static void append__over_the_open_limit__is_refused_in_order_and_reported(void **state)
{
    stage *s = *state;
    rd_kafka_mock_broker_set_down(s->cluster, 1);
    static uint8_t value[32];
    bt_append one = { .attempt = 0, .key = BT_STR("k"), .value = { value, sizeof value } };
    for (int i = 0; i < BT_PRODUCER_OPEN_MAX; i++)
        bt_producer_append(s->producer, &one, 1);
    append(s, 1, 2);
    bt_producer_poll(s->producer, 0);
    assert_int_equal(s->reports[1], 1);
    assert_int_equal(s->reports[2], 1);
    assert_int_equal(s->last[1].kind, BT_ERR_RETRY);
}

static void free__with_records_open__reports_them_and_ends_in_time(void **state)
{
    stage *s = *state;
    rd_kafka_mock_broker_set_down(s->cluster, 1);
    append(s, 0, 30);
    time_t begun = time(NULL);
    bt_producer_free(s->producer, 300);
    s->producer = NULL;
    assert_each_once(s, 30);
    assert_true(time(NULL) - begun < 14); /* not the 15 s for which the library would try */
    for (int i = 0; i < 30; i++)
        assert_true(s->last[i].kind != BT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(append__after_retriable_errors__is_reported_once_as_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append__that_the_broker_calls_a_duplicate__is_written_at_an_unknown_offset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(append__while_the_broker_is_down__is_reported_once_within_the_timeout, set_up_impatient, tear_down),
        cmocka_unit_test_setup_teardown(append__when_the_library_turns_fatal__is_unknown_and_a_new_producer_goes_on, set_up_to_turn_fatal, tear_down),
        cmocka_unit_test_setup_teardown(append__over_the_open_limit__is_refused_in_order_and_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(free__with_records_open__reports_them_and_ends_in_time, set_up, tear_down),
    };
    bt_kafka_set_log(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
