/* io/kafka/config: what a user may set, what is refused, and that the refusal teaches. */
#include "tests/unit/test.h"

#include "io/kafka/config.h"

#include <stdio.h>

static bool check(bt_kafka_setting *settings, size_t count, bt_err *err)
{
    bt_kafka_config config = { settings, count, NULL };
    return bt_kafka_config_check(&config, err);
}

static void config__of_servers_and_security__is_taken(void **unused)
{
    bt_kafka_setting settings[] = { { "bootstrap.servers", "127.0.0.1:1" }, { "security.protocol", "plaintext" }, { "socket.timeout.ms", "30000" } };
    bt_err err = { 0 };
    if (!check(settings, BT_COUNT_OF(settings), &err))
        fail_msg("%s", err.message);
}

static void config__of_what_correctness_rests_on__is_refused_with_the_reason(void **unused)
{
    static const char *const FORBIDDEN[] = { "acks", "isolation.level", "auto.offset.reset", "transactional.id", "client.rack", "socket.nagle.disable", "message.timeout.ms" };
    for (size_t i = 0; i < BT_COUNT_OF(FORBIDDEN); i++) {
        bt_kafka_setting settings[] = { { "bootstrap.servers", "127.0.0.1:1" }, { FORBIDDEN[i], "1" } };
        bt_err err;
        assert_false(check(settings, 2, &err));
        assert_int_equal(err.kind, BT_ERR_INPUT);
        assert_non_null(strstr(err.message, FORBIDDEN[i]));
        assert_non_null(strstr(err.message, "Remove it"));
    }
}

static void config__of_an_unknown_name_or_a_bad_value__names_it(void **unused)
{
    bt_kafka_setting unknown[] = { { "bootstrap.servers", "127.0.0.1:1" }, { "no.such.thing", "1" } };
    bt_kafka_setting bad[] = { { "bootstrap.servers", "127.0.0.1:1" }, { "socket.timeout.ms", "soon" } };
    bt_err err;
    assert_false(check(unknown, 2, &err));
    assert_non_null(strstr(err.message, "no.such.thing"));
    assert_false(check(bad, 2, &err));
    assert_non_null(strstr(err.message, "socket.timeout.ms"));
}

static void config__without_servers__says_what_to_set(void **unused)
{
    bt_err err;
    bt_kafka_setting empty[] = { { "bootstrap.servers", "" } };
    assert_false(check(NULL, 0, &err));
    assert_non_null(strstr(err.message, "bootstrap.servers"));
    assert_false(check(empty, 1, &err));
    assert_non_null(strstr(err.message, "no Kafka is named"));
}

static void config__with_a_bad_secret__does_not_show_it(void **unused)
{
    bt_kafka_setting settings[] = { { "bootstrap.servers", "127.0.0.1:1" }, { "security.protocol", "ssl" }, { "ssl.key.pem", "hunter2-is-no-key" } };
    bt_err err;
    assert_false(check(settings, 3, &err));
    assert_null(strstr(err.message, "hunter2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config__of_servers_and_security__is_taken),
        cmocka_unit_test(config__of_what_correctness_rests_on__is_refused_with_the_reason),
        cmocka_unit_test(config__of_an_unknown_name_or_a_bad_value__names_it),
        cmocka_unit_test(config__without_servers__says_what_to_set),
        cmocka_unit_test(config__with_a_bad_secret__does_not_show_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
