/* The binary form of what is sent to Postgres, byte for byte; and that a server which is away fails at once, not later. */
#include "io/pg/pg.h"
#include "tests/unit/test.h"

static void numbers__are_big_endian__and_times_count_from_2000(void **unused)
{
    bt_pg_param number = bt_pg_int4(-2), instant = bt_pg_time(INT64_C(946684800000000) + 258), yes = bt_pg_bool(true);
    assert_int_equal(number.bytes.size, 4);
    assert_memory_equal(number.number, "\xff\xff\xff\xfe", 4);
    assert_int_equal(instant.bytes.size, 8);
    assert_memory_equal(instant.number, "\0\0\0\0\0\0\1\2", 8);
    assert_int_equal(yes.bytes.size, 1);
    assert_int_equal(yes.number[0], 1);
}

static void array__of_texts__has_a_head_with_its_count_and_each_length(void **unused)
{
    static const uint8_t wanted[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 'a', 'b', 0, 0, 0, 0 };
    bt_pg_array array;
    bt_pg_array_init(&array, BT_PG_TEXT);
    bt_pg_array_add_text(&array, BT_STR("forgotten"));
    bt_pg_array_reset(&array);
    bt_pg_array_add_text(&array, BT_STR("ab"));
    bt_pg_array_add_text(&array, BT_STR(""));
    bt_pg_param param = bt_pg_array_param(&array);
    assert_int_equal(param.bytes.size, sizeof wanted);
    assert_memory_equal(param.bytes.at, wanted, sizeof wanted);
    bt_pg_array_release(&array);
}

static void statement__when_the_server_is_away__fails_with_retry_and_then_waits_before_the_next_try(void **unused)
{
    bt_pg *pg = bt_pg_new(&(bt_pg_config){ .dsn = "host=127.0.0.1 port=1 dbname=none", .connect_timeout_ms = 500 });
    bt_err err = { 0 };
    assert_false(bt_pg_query(pg, "SELECT 1", NULL, 0, NULL, &err));
    assert_int_equal(err.kind, BT_ERR_RETRY);
    assert_false(bt_pg_begin(pg, &err));
    assert_int_equal(err.kind, BT_ERR_RETRY);
    assert_non_null(strstr(err.message, "no connection to Postgres"));
    bt_pg_free(pg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers__are_big_endian__and_times_count_from_2000),
        cmocka_unit_test(array__of_texts__has_a_head_with_its_count_and_each_length),
        cmocka_unit_test(statement__when_the_server_is_away__fails_with_retry_and_then_waits_before_the_next_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
