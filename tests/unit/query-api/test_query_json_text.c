/* The walk over JSON of our own: values as they stand, and never past the end, however the text is cut. */
#include "core/memory.h"
#include "query-api/server/json_text.h"
#include "tests/unit/test.h"

static const char text[] = " { \"a\" : \"x\\\"y\" , \"b\":[1, -2 ,{\"c\":[]},\"]\"],\"n\":null,\"last\": -17 } ";

static void members_and_items__come_as_they_stand(void **unused)
{
    bt_str value, key;
    assert_true(qa_json_member(bt_str_of(text), "a", &value));
    assert_str(value, "\"x\\\"y\"");
    assert_str(qa_json_inside(value), "x\\\"y");
    assert_true(qa_json_member(bt_str_of(text), "last", &value));
    assert_int_equal(qa_json_number(value, 0), -17);
    assert_false(qa_json_member(bt_str_of(text), "c", &value));
    assert_true(qa_json_member(bt_str_of(text), "b", &value));
    static const char *const items[] = { "1", "-2", "{\"c\":[]}", "\"]\"" };
    qa_json_walk walk = qa_json_begin(value);
    for (size_t i = 0; i < BT_COUNT_OF(items); i++) {
        assert_true(qa_json_next(&walk, &key, &value));
        assert_str(value, items[i]);
    }
    assert_false(qa_json_next(&walk, &key, &value));
}

static void a_text__cut_anywhere__ends_the_walk_without_reading_on(void **unused)
{
    for (size_t size = 0; size < sizeof text; size++) {
        char *copy = bt_alloc(size + 1); /* of its own size, so that the sanitizer sees one byte too many */
        memcpy(copy, text, size);
        bt_str exact = { bt_resize(copy, size == 0 ? 1 : size), size }, key, value;
        qa_json_walk walk = qa_json_begin(exact);
        size_t count = 0;
        while (qa_json_next(&walk, &key, &value))
            count++;
        assert_true(count <= 4);
        bt_release((char *)exact.at);
    }
}

static void numbers__that_are_none__give_the_fallback(void **unused)
{
    assert_int_equal(qa_json_number(BT_STR("1.5"), 9), 9);
    assert_int_equal(qa_json_number(BT_STR(""), 9), 9);
    assert_int_equal(qa_json_number(BT_STR("-"), 9), 9);
    assert_int_equal(qa_json_number(BT_STR("1000000000000000000000"), 9), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_items__come_as_they_stand),
        cmocka_unit_test(a_text__cut_anywhere__ends_the_walk_without_reading_on),
        cmocka_unit_test(numbers__that_are_none__give_the_fallback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
