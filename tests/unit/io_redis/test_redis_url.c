/* What a Redis URL may be; a wrong one must say what to mend and never repeat the password. */
#include "io/redis/internal.h"
#include "tests/unit/test.h"

static void url__with_all_parts__is_taken_apart(void **unused)
{
    bt_redis_url url;
    assert_true(bt_redis_url_parse(BT_STR("redis://ann:p%40ss%3a@10.0.0.1:6380/7"), &url, NULL));
    assert_string_equal(url.user, "ann");
    assert_string_equal(url.password, "p@ss:");
    assert_string_equal(url.host, "10.0.0.1");
    assert_int_equal(url.port, 6380);
    assert_int_equal(url.database, 7);
}

static void url__with_a_host_alone__has_the_usual_port_and_database(void **unused)
{
    bt_redis_url url;
    assert_true(bt_redis_url_parse(BT_STR("redis://localhost"), &url, NULL));
    assert_string_equal(url.host, "localhost");
    assert_string_equal(url.password, "");
    assert_int_equal(url.port, 6379);
    assert_int_equal(url.database, 0);
    assert_true(bt_redis_url_parse(BT_STR("redis://:secret@h/"), &url, NULL));
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "secret");
}

static void url__of_a_server_with_tls__may_name_the_file_of_its_ca(void **unused)
{
    bt_redis_url url;
    assert_true(bt_redis_url_parse(BT_STR("rediss://:secret@cache.example:6390/3?ssl_ca_certs=/etc/my%20ca.pem"), &url, NULL));
    assert_true(url.tls);
    assert_string_equal(url.ca_file, "/etc/my ca.pem");
    assert_string_equal(url.host, "cache.example");
    assert_int_equal(url.port, 6390);
    assert_int_equal(url.database, 3);
    assert_true(bt_redis_url_parse(BT_STR("rediss://h"), &url, NULL));
    assert_true(url.tls);
    assert_string_equal(url.ca_file, "");
    assert_true(bt_redis_url_parse(BT_STR("redis://h"), &url, NULL));
    assert_false(url.tls);
}

static void url__that_is_wrong__is_refused_without_repeating_the_password(void **unused)
{
    static const char *const wrong[] = { "",           "localhost:6379", "redis://",          "redis://:6379",      "redis://h:x",      "redis://h:70000",
                                         "http://h",   "redis://h/a",    "redis://nocolon@h", "redis://:hidden%zz@h", "redis://:hidden%4@h", "redis://:hidden%00@h",
                                         "redis://:hidden@h/0?ssl_ca_certs=/x", "rediss://:hidden@h?ssl_cert_reqs=none", "rediss://:hidden@h?ssl_ca_certs=/x&y=1" };
    for (size_t i = 0; i < BT_COUNT_OF(wrong); i++) {
        bt_redis_url url;
        bt_err err = { 0 };
        assert_false(bt_redis_url_parse(bt_str_of(wrong[i]), &url, &err));
        assert_int_equal(err.kind, BT_ERR_INPUT);
        assert_null(strstr(err.message, "hidden"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url__with_all_parts__is_taken_apart),
        cmocka_unit_test(url__with_a_host_alone__has_the_usual_port_and_database),
        cmocka_unit_test(url__of_a_server_with_tls__may_name_the_file_of_its_ca),
        cmocka_unit_test(url__that_is_wrong__is_refused_without_repeating_the_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
