/* json - a good body becomes its command; each bad one is refused, at its place, as the right kind of mistake. */
#include "tests/unit/test.h"

#include "io/json/json.h"
#include "schemas/trip.h"

#include <pthread.h>
#include <stdlib.h>

static bool decode(const bt_record_type *type, bt_str text, bt_arena *arena, void *ret_struct, bt_json_problem *ret_problem)
{
    bt_err err;
    char *exact = malloc(text.size == 0 ? 1 : text.size); /* of its exact size, for the sanitizer */
    memcpy(exact, text.at, text.size);
    bool good = bt_json_decode(type, (bt_str){ exact, text.size }, arena, ret_struct, ret_problem, &err);
    free(exact);
    return good;
}

static void hold_seats__with_every_field__becomes_its_struct(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    struct trip_hold_seats hold;
    bt_json_problem problem;
    assert_true(decode(&trip_hold_seats_type,
                       BT_STR(" {\"from\":\"a\",\"to\":\"K\\u00f6ln\",\"class\":null,\"seats\":[{\"section\":\"1\",\"seat\":\"12A\"},{"
                              "\"seat\":\"12B\",\"section\":\"1\"}],"
                              "\"adjacent\":true,\"customer\":\"c\",\"ttl_seconds\":-2147483648}\n"),
                       &arena, &hold, &problem));
    assert_str(hold.to, "K\xc3\xb6ln");
    assert_false(hold.has_class);
    assert_false(hold.has_count);
    assert_true(hold.has_seats);
    assert_int_equal(hold.seats_count, 2);
    assert_str(hold.seats[1].seat, "12B");
    assert_true(hold.has_adjacent && hold.adjacent);
    assert_true(hold.has_ttl_seconds);
    assert_int_equal(hold.ttl_seconds, INT32_MIN);
    bt_arena_release(&arena);
}

static void open_trip__with_times_and_aisles__becomes_its_struct(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    struct trip_open_trip open;
    bt_json_problem problem;
    assert_true(decode(
        &trip_open_trip_type,
        BT_STR(
            "{\"name\":\"n\",\"timezone\":\"UTC\",\"points\":[{\"stop\":\"a\",\"name\":\"A\",\"arrives_at\":\"2026-11-22T16:30:00+10:00\","
            "\"departs_at\":\"2026-11-22T06:31:00.5Z\",\"board\":false}],\"sections\":[{\"name\":\"s\",\"class\":\"2\",\"seats\":[\"1\","
            "null,\"\"]}]}"),
        &arena, &open, &problem));
    assert_int_equal(open.points[0].departs_at - open.points[0].arrives_at, 60500000);
    assert_true(open.points[0].has_board && !open.points[0].board && !open.points[0].has_alight);
    assert_int_equal(open.sections[0].seats_count, 3);
    assert_null(open.sections[0].seats[1].at);
    assert_non_null(open.sections[0].seats[2].at);
    bt_arena_release(&arena);
}

static void confirm_hold__with_an_empty_body__is_an_empty_command(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    struct trip_confirm_hold confirm;
    bt_json_problem problem;
    assert_true(decode(&trip_confirm_hold_type, BT_STR(""), &arena, &confirm, &problem));
    assert_true(decode(&trip_confirm_hold_type, BT_STR("{}"), &arena, &confirm, &problem));
    assert_false(decode(&trip_confirm_hold_type, BT_STR("{\"x\":1}"), &arena, &confirm, &problem));
    assert_int_equal(problem.kind, BT_JSON_UNKNOWN_FIELD);
    assert_string_equal(problem.detail, "is not known; no field is");
    bt_arena_release(&arena);
}

static void hold_seats__with_a_mistake__is_refused_at_its_place(void **unused)
{
    static const struct {
        const char *text;
        bt_json_problem_kind kind;
        const char *pointer, *detail;
    } cases[] = {
        { "", BT_JSON_MALFORMED, "", "the body is empty" },
        { "{", BT_JSON_MALFORMED, "", "not JSON at line 1, column 1" },
        { "[]", BT_JSON_MALFORMED, "", "the body is an array; send a JSON object" },
        { "{} {}", BT_JSON_MALFORMED, "", "not JSON" },
        { "{\"from\":\"a\",\"from\":\"b\"}", BT_JSON_MALFORMED, "", "given twice" },
        { "{\"from\":\"\xff\"}", BT_JSON_MALFORMED, "", "not UTF-8" },
        { "{\"from\":\"\\ud800\"}", BT_JSON_MALFORMED, "", "not JSON" },
        { "{\"from\":\"\\u0000\"}", BT_JSON_BAD_VALUE, "", "zero character" },
        { "{\"from\":\"a\",\"to\":\"b\"}", BT_JSON_BAD_VALUE, "/customer", "is missing; must be a string" },
        { "{\"from\":1,\"to\":\"b\",\"customer\":\"c\"}", BT_JSON_BAD_VALUE, "/from", "is a whole number; must be a string" },
        { "{\"from\":null,\"to\":\"b\",\"customer\":\"c\"}", BT_JSON_BAD_VALUE, "/from", "is null; must be a string" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"cuont\":1}", BT_JSON_UNKNOWN_FIELD, "/cuont",
          "the fields are from, to, class, count" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"a/b~\":1}", BT_JSON_UNKNOWN_FIELD, "/a~1b~0", "is not known" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"count\":1.0}", BT_JSON_BAD_VALUE, "/count",
          "is a number with a fraction or exponent; must be a whole number" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"count\":2147483648}", BT_JSON_BAD_VALUE, "/count", "is 2147483648; must be" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"count\":9999999999999999999}", BT_JSON_BAD_VALUE, "", "out of range" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"count\":true}", BT_JSON_BAD_VALUE, "/count", "is true" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"adjacent\":\"yes\"}", BT_JSON_BAD_VALUE, "/adjacent",
          "is \"yes\"; must be true or false" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"seats\":[{\"section\":\"s\",\"seat\":\"1\"},{\"section\":\"s\"}]}",
          BT_JSON_BAD_VALUE, "/seats/1/seat", "is missing" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"seats\":[{\"section\":\"s\",\"seat\":\"123456789012345678901\"}]}",
          BT_JSON_BAD_VALUE, "/seats/0/seat", "is 21 bytes long; at most 20 are allowed" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"seats\":{}}", BT_JSON_BAD_VALUE, "/seats", "is an object; must be an array" },
        { "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"seats\":[[]]}", BT_JSON_BAD_VALUE, "/seats/0",
          "is an array; must be an object" },
    };
    bt_arena arena;
    bt_arena_init(&arena, 0);
    for (size_t i = 0; i < BT_COUNT_OF(cases); i++) {
        struct trip_hold_seats hold;
        bt_json_problem problem;
        assert_false(decode(&trip_hold_seats_type, bt_str_of(cases[i].text), &arena, &hold, &problem));
        assert_int_equal(problem.kind, cases[i].kind);
        assert_string_equal(problem.pointer, cases[i].pointer);
        if (strstr(problem.detail, cases[i].detail) == NULL)
            fail_msg("%s: %s", cases[i].text, problem.detail);
    }
    bt_arena_release(&arena);
}

static void hold_seats__with_65_seats__is_over_the_ceiling(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    bt_buf text;
    bt_buf_init(&text, 1 << 16);
    bt_buf_text(&text, "{\"from\":\"a\",\"to\":\"b\",\"customer\":\"c\",\"seats\":[");
    for (int i = 0; i < TRIP_HOLD_SEATS_SEATS_MAX + 1; i++)
        bt_buf_text(&text, i == 0 ? "{}" : ",{}");
    bt_buf_text(&text, "]}");
    struct trip_hold_seats hold;
    bt_json_problem problem;
    assert_false(decode(&trip_hold_seats_type, bt_buf_view(&text), &arena, &hold, &problem));
    assert_string_equal(problem.pointer, "/seats");
    assert_string_equal(problem.detail, "has 65 items; at most 64 are allowed");
    bt_buf_release(&text);
    bt_arena_release(&arena);
}

/* On a stack as small as that of the front's threads. */
static void *decode_deep(void *depth)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    bt_buf text;
    bt_buf_init(&text, 1 << 20);
    bt_buf_text(&text, "{\"seats\":");
    for (size_t i = 1; i < (size_t)(uintptr_t)depth; i++)
        bt_buf_byte(&text, '[');
    struct trip_hold_seats hold;
    static bt_json_problem problem;
    bool good = decode(&trip_hold_seats_type, bt_buf_view(&text), &arena, &hold, &problem);
    bt_buf_release(&text);
    bt_arena_release(&arena);
    return good ? NULL : &problem;
}

static void hold_seats__nested_deep__is_refused_before_it_is_parsed(void **unused)
{
    static const struct {
        size_t depth;
        const char *detail;
    } cases[] = { { 32, "not JSON" }, { 33, "nested deeper than 32" }, { 500000, "nested deeper than 32" } };
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 102400);
    for (size_t i = 0; i < BT_COUNT_OF(cases); i++) {
        pthread_t thread;
        void *problem;
        assert_int_equal(pthread_create(&thread, &attributes, decode_deep, (void *)(uintptr_t)cases[i].depth), 0);
        pthread_join(thread, &problem);
        assert_non_null(problem);
        assert_int_equal(((bt_json_problem *)problem)->kind, BT_JSON_MALFORMED);
        assert_non_null(strstr(((bt_json_problem *)problem)->detail, cases[i].detail));
    }
    pthread_attr_destroy(&attributes);
}

static void brackets__inside_a_string__do_not_count(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    struct trip_hold_seats hold;
    bt_json_problem problem;
    assert_true(decode(&trip_hold_seats_type,
                       BT_STR("{\"from\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\",\"to\":\"b\",\"customer\":\"c\"}"), &arena, &hold,
                       &problem));
    bt_arena_release(&arena);
}

static void hold_seats__in_an_arena_that_is_full__can_be_tried_again(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 8);
    struct trip_hold_seats hold;
    bt_json_problem problem;
    bt_err err;
    assert_false(bt_json_decode(&trip_hold_seats_type, BT_STR("{\"from\":\"abcdefghijklmnop\"}"), &arena, &hold, &problem, &err));
    assert_int_equal(err.kind, BT_ERR_RETRY);
    assert_string_equal(problem.pointer, "/from");
    bt_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hold_seats__with_every_field__becomes_its_struct),
        cmocka_unit_test(open_trip__with_times_and_aisles__becomes_its_struct),
        cmocka_unit_test(confirm_hold__with_an_empty_body__is_an_empty_command),
        cmocka_unit_test(hold_seats__with_a_mistake__is_refused_at_its_place),
        cmocka_unit_test(hold_seats__with_65_seats__is_over_the_ceiling),
        cmocka_unit_test(hold_seats__nested_deep__is_refused_before_it_is_parsed),
        cmocka_unit_test(brackets__inside_a_string__do_not_count),
        cmocka_unit_test(hold_seats__in_an_arena_that_is_full__can_be_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
