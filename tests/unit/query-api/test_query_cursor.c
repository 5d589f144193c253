/* Cursors: what was written is read, and only by the question that it was written for. */
#include "query-api/server/cursor.h"
#include "tests/unit/test.h"

static const bt_str question[] = { { "stops", 5 }, { "cai", 3 } }, other[] = { { "stops", 5 }, { "cair", 4 } };

static void a_cursor__of_any_fields__is_read_again(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    for (size_t size = 0; size < 9; size++) { /* every length of the last group of three bytes */
        bt_str fields[] = { qa_cursor_number(&arena, -1795260520451458), { "Zürich \0\xff", size }, BT_STR("") }, back[3];
        int64_t number;
        bt_str text = qa_cursor_write(&arena, question, 2, fields, 3);
        assert_true(text.size <= QA_CURSOR_TEXT_MAX);
        assert_true(qa_cursor_read(&arena, text, question, 2, back, 3));
        for (size_t i = 0; i < 3; i++)
            assert_true(bt_str_equal(fields[i], back[i]));
        assert_true(qa_cursor_to_number(back[0], &number));
        assert_true(number == -1795260520451458);
        assert_false(qa_cursor_read(&arena, text, other, 2, back, 3));
        assert_false(qa_cursor_read(&arena, text, question, 2, back, 2));
        assert_false(qa_cursor_read(&arena, (bt_str){ text.at, text.size - 1 }, question, 2, back, 3));
    }
    bt_arena_release(&arena);
}

static void a_cursor__with_any_character_changed__gives_other_fields_or_none(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    bt_str fields[] = { BT_STR("12"), BT_STR("Cairns") }, back[2];
    bt_str text = qa_cursor_write(&arena, question, 2, fields, 2);
    for (size_t i = 0; i < text.size; i++) {
        bt_str changed = bt_arena_copy(&arena, text);
        ((char *)changed.at)[i] = text.at[i] == 'A' ? 'B' : 'A';
        assert_false(qa_cursor_read(&arena, changed, question, 2, back, 2) && bt_str_equal(back[0], fields[0]) && bt_str_equal(back[1], fields[1]));
    }
    bt_arena_release(&arena);
}

static void what_is_no_cursor__is_refused(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    bt_str back[1];
    assert_false(qa_cursor_read(&arena, BT_STR(""), question, 2, back, 1));
    assert_false(qa_cursor_read(&arena, BT_STR("%%%%"), question, 2, back, 1));
    assert_false(qa_cursor_read(&arena, BT_STR("AAAAAAAAAAAAAAAA"), question, 2, back, 1));
    bt_str longest = { bt_arena_take(&arena, QA_CURSOR_TEXT_MAX + 1), QA_CURSOR_TEXT_MAX + 1 };
    memset((char *)longest.at, 'A', longest.size);
    assert_false(qa_cursor_read(&arena, longest, question, 2, back, 1));
    int64_t number;
    assert_false(qa_cursor_to_number(BT_STR(""), &number) || qa_cursor_to_number(BT_STR("-"), &number) || qa_cursor_to_number(BT_STR("1x"), &number) ||
                 qa_cursor_to_number(BT_STR("1234567890123456789"), &number));
    bt_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor__of_any_fields__is_read_again),
        cmocka_unit_test(a_cursor__with_any_character_changed__gives_other_fields_or_none),
        cmocka_unit_test(what_is_no_cursor__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
