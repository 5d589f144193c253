/* buf - the JSON writer's commas and escapes, the ceiling, and times there and back. */
#include "tests/unit/test.h"

#include "core/buf.h"

static void json__of_nested_values__has_commas_and_escapes(void **unused)
{
    bt_buf buf;
    bt_buf_init(&buf, 4096);
    bt_json_open(&buf, NULL, '{');
    bt_json_str(&buf, "a", BT_STR("q\"\\\n\x01z"));
    bt_json_open(&buf, "list", '[');
    bt_json_i64(&buf, NULL, INT64_MIN);
    bt_json_bool(&buf, NULL, true);
    bt_json_null(&buf, NULL);
    bt_json_close(&buf, ']');
    bt_json_open(&buf, "empty", '{');
    bt_json_close(&buf, '}');
    bt_json_time(&buf, "t", INT64_C(1795328096000001));
    bt_json_close(&buf, '}');
    assert_str(bt_buf_view(&buf), "{\"a\":\"q\\\"\\\\\\n\\u0001z\",\"list\":[-9223372036854775808,true,null],\"empty\":{},\"t\":\"2026-11-22T06:14:56.000001Z\"}");
    bt_buf_release(&buf);
}

static void buf__at_its_ceiling__writes_nothing_and_says_so(void **unused)
{
    bt_buf buf;
    bt_buf_init(&buf, 8);
    bt_buf_text(&buf, "12345678");
    assert_false(buf.overflow);
    bt_buf_text(&buf, "9");
    assert_true(buf.overflow);
    assert_str(bt_buf_view(&buf), "12345678");
    bt_buf_release(&buf);
}

static void time__there_and_back_over_six_thousand_years__is_the_same(void **unused)
{
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = bt_mix64(seed + 1);
        int64_t time_us = (int64_t)(seed % UINT64_C(130000000000000000)), back;
        char text[BT_TIME_TEXT_MAX];
        size_t size = bt_time_to_text(time_us, text);
        assert_true(bt_time_from_text((bt_str){ text, size }, &back));
        assert_int_equal(time_us, back);
    }
}

static void time__with_an_offset__is_taken_to_utc(void **unused)
{
    int64_t a, b;
    assert_true(bt_time_from_text(BT_STR("2026-11-22T16:30:00+10:00"), &a));
    assert_true(bt_time_from_text(BT_STR("2026-11-22T06:30:00Z"), &b));
    assert_int_equal(a, b);
    static const char *const wrong[] = { "2026-02-29T00:00:00Z", "2026-11-22 06:30", "2026-11-22T06:30:00", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zz", "" };
    for (size_t i = 0; i < BT_COUNT_OF(wrong); i++)
        assert_false(bt_time_from_text(bt_str_of(wrong[i]), &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json__of_nested_values__has_commas_and_escapes),
        cmocka_unit_test(buf__at_its_ceiling__writes_nothing_and_says_so),
        cmocka_unit_test(time__there_and_back_over_six_thousand_years__is_the_same),
        cmocka_unit_test(time__with_an_offset__is_taken_to_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
