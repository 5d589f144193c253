/* io/kafka/end_query: one partition's leader that does not answer holds up no other partition. librdkafka's mock cluster plays the leader whose machine is
 * gone without a word: its answers take longer than anybody waits. */
#include "tests/unit/test.h"

#include "io/kafka/end_query.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <unistd.h>

#define TOPIC "mock"
#define MANY "mock-many" /* has as many partitions as can be asked for */
#define PARTITIONS 8
#define LED_BY_GONE 4 /* partitions below it */
enum { HERE = 1, GONE = 2, FOREVER_MS = 3600000, TIMEOUT_MS = 4000, WAIT_MS = 60000 };

typedef struct stage {
    rd_kafka_t *host; /* the mock cluster lives in a client of its own */
    rd_kafka_mock_cluster_t *cluster;
    rd_kafka_t *client;
    bt_end_query *query;
} stage;

static rd_kafka_t *new_client(const char *servers)
{
    char why[256];
    bt_err err;
    bt_kafka_setting settings[] = { { "bootstrap.servers", servers }, { "socket.timeout.ms", "4500" } }; /* the library itself gives up only then */
    bt_kafka_config config = { settings, BT_COUNT_OF(settings), "test" };
    rd_kafka_conf_t *conf = bt_kafka_conf_new(&config, BT_KAFKA_READER, &err);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    assert_non_null(client);
    return client;
}

static int set_up(void **state)
{
    static stage s;
    char why[256];
    s.host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    s.cluster = rd_kafka_mock_cluster_new(s.host, 2);
    assert_int_equal(rd_kafka_mock_topic_create(s.cluster, TOPIC, PARTITIONS, 1), 0);
    assert_int_equal(rd_kafka_mock_topic_create(s.cluster, MANY, BT_END_QUERY_PARTITIONS_MAX, 1), 0);
    for (int32_t partition = 0; partition < PARTITIONS; partition++)
        assert_int_equal(rd_kafka_mock_partition_set_leader(s.cluster, TOPIC, partition, partition < LED_BY_GONE ? GONE : HERE), 0);
    s.client = new_client(rd_kafka_mock_cluster_bootstraps(s.cluster));
    s.query = bt_end_query_new(s.client, TOPIC, TIMEOUT_MS, NULL);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    stage *s = *state;
    assert_true(bt_end_query_free(s->query));
    rd_kafka_destroy(s->client);
    rd_kafka_mock_cluster_destroy(s->cluster);
    rd_kafka_destroy(s->host);
    return 0;
}

static bt_end_answer take(stage *s)
{
    bt_end_answer answer;
    assert_true(bt_end_query_take(s->query, WAIT_MS, &answer));
    return answer;
}

/* Both brokers are known and connected: what is tested is who waits for whom. */
static void warm_up(stage *s)
{
    for (int32_t partition = 0; partition < PARTITIONS; partition++) {
        do
            bt_end_query_ask(s->query, partition, 1);
        while (take(s).end_offset != 0);
    }
}

static void a_leader_that_does_not_answer__holds_up_no_other_partition(void **state)
{
    stage *s = *state;
    warm_up(s);
    assert_int_equal(rd_kafka_mock_broker_set_rtt(s->cluster, GONE, FOREVER_MS), 0);
    for (int32_t partition = 0; partition < PARTITIONS; partition++)
        bt_end_query_ask(s->query, partition, 2);
    for (int i = 0; i < PARTITIONS - LED_BY_GONE; i++) {
        bt_end_answer answer = take(s);
        assert_true(answer.partition >= LED_BY_GONE);
        assert_int_equal(answer.end_offset, 0);
    }
    for (int i = 0; i < LED_BY_GONE; i++) {
        bt_end_answer answer = take(s);
        assert_true(answer.partition < LED_BY_GONE);
        assert_int_equal(answer.end_offset, -1);
    }
    assert_int_equal(rd_kafka_mock_broker_set_rtt(s->cluster, GONE, 0), 0); /* the library asks once more, and the threads end */
}

static void a_question_that_is_under_way__is_not_put_twice__and_a_newer_one_has_its_turn(void **state)
{
    stage *s = *state;
    warm_up(s);
    for (int i = 0; i < 5; i++)
        bt_end_query_ask(s->query, HERE + LED_BY_GONE, 2);
    assert_int_equal(take(s).request, 2);
    bt_end_answer none;
    assert_false(bt_end_query_take(s->query, 0, &none));
    for (uint64_t request = 3; request <= 9; request++)
        bt_end_query_ask(s->query, HERE + LED_BY_GONE, request);
    int taken = 1;
    while (take(s).request != 9)
        taken++;
    assert_true(taken <= 2); /* the first may have been under way; the others gave way to the last */
    assert_false(bt_end_query_take(s->query, 0, &none));
}

static void every_partition_there_can_be__is_asked_at_once__and_answered_once(void **state)
{
    stage *s = *state;
    int answered[BT_END_QUERY_PARTITIONS_MAX] = { 0 };
    assert_true(bt_end_query_free(s->query));
    s->query = bt_end_query_new(s->client, MANY, TIMEOUT_MS, NULL);
    for (int32_t partition = 0; partition < BT_END_QUERY_PARTITIONS_MAX; partition++)
        bt_end_query_ask(s->query, partition, 1);
    for (int i = 0; i < BT_END_QUERY_PARTITIONS_MAX; i++)
        answered[take(s).partition]++;
    for (int32_t partition = 0; partition < BT_END_QUERY_PARTITIONS_MAX; partition++)
        assert_int_equal(answered[partition], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_leader_that_does_not_answer__holds_up_no_other_partition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_question_that_is_under_way__is_not_put_twice__and_a_newer_one_has_its_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_partition_there_can_be__is_asked_at_once__and_answered_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
