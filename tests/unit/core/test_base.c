/* base - ids as hex, names, and the partitioner against figures of the Java client. */
#include "tests/unit/test.h"

#include "core/memory.h"

static void murmur2__on_known_keys__gives_the_java_clients_values(void **unused)
{
    /* From Kafka's own UtilsTest.testMurmur2 (Apache Kafka, clients), as signed ints. */
    assert_int_equal((int32_t)bt_murmur2(BT_STR("21")), -973932308);
    assert_int_equal((int32_t)bt_murmur2(BT_STR("foobar")), -790332482);
    assert_int_equal((int32_t)bt_murmur2(BT_STR("a-little-bit-long-string")), -985981536);
    assert_int_equal((int32_t)bt_murmur2(BT_STR("a-little-bit-longer-string")), -1486304829);
    assert_int_equal((int32_t)bt_murmur2(BT_STR("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")), -58897971);
    assert_int_equal((int32_t)bt_murmur2(BT_STR("abc")), 479470107);
}

static void id_hex__there_and_back__is_the_same(void **unused)
{
    bt_id id, back;
    for (size_t i = 0; i < sizeof id.at; i++)
        id.at[i] = (uint8_t)(i * 17);
    char hex[BT_ID_HEX_SIZE];
    bt_id_to_hex(id, hex);
    assert_true(bt_id_from_hex((bt_str){ hex, sizeof hex }, &back));
    assert_true(bt_id_equal(id, back));
    assert_false(bt_id_from_hex(BT_STR("00"), &back));
    hex[7] = 'g';
    assert_false(bt_id_from_hex((bt_str){ hex, sizeof hex }, &back));
}

static void name__with_other_characters_or_sizes__is_refused(void **unused)
{
    char long_name[81];
    memset(long_name, 'a', sizeof long_name);
    assert_true(bt_name_is_valid(BT_STR("A-z.0_9~")));
    assert_true(bt_name_is_valid((bt_str){ long_name, 80 }));
    assert_false(bt_name_is_valid((bt_str){ long_name, 81 }));
    assert_false(bt_name_is_valid(BT_STR("")));
    assert_false(bt_name_is_valid(BT_STR("@log")));
    assert_false(bt_name_is_valid(BT_STR("a/b")));
    assert_false(bt_name_is_valid(BT_STR(".")));
    assert_false(bt_name_is_valid(BT_STR("..")));
    assert_true(bt_name_is_valid(BT_STR("...")));
}

static void arena__past_its_limit__gives_null_and_is_usable_after_reset(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 100000);
    assert_non_null(bt_arena_try_take(&arena, 90000));
    assert_null(bt_arena_try_take(&arena, 90000));
    bt_arena_reset(&arena);
    assert_non_null(bt_arena_try_take(&arena, 10));
    assert_str(bt_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    bt_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2__on_known_keys__gives_the_java_clients_values),
        cmocka_unit_test(id_hex__there_and_back__is_the_same),
        cmocka_unit_test(name__with_other_characters_or_sizes__is_refused),
        cmocka_unit_test(arena__past_its_limit__gives_null_and_is_usable_after_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
