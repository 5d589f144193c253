/* Rows by key, columns that are set later win, and the text that COPY reads. */
#include "projections/tables/changes.h"
#include "tests/unit/test.h"

enum { NAMED, COUNTED };
static const bt_column named_columns[] = { { "name", BT_COLUMN_TEXT }, { "size", BT_COLUMN_INT }, { "seen_at", BT_COLUMN_TIME }, { "good", BT_COLUMN_BOOL } };
static const bt_column counted_columns[] = { { "hold", BT_COLUMN_ID }, { "index", BT_COLUMN_INT }, { "places", BT_COLUMN_INTS } };
static const bt_table tables[] = { { "named", named_columns, 4, 1, false }, { "counted", counted_columns, 3, 2, false } };

static void row__touched_twice__is_one_row_and_the_later_column_wins(void **unused)
{
    bt_changes *changes = bt_changes_new(tables, 2);
    bt_row *row = bt_changes_row(changes, NAMED, &(bt_value){ .text = BT_STR("a") });
    bt_row_set_number(row, 1, 5);
    assert_false(bt_row_is_whole(row));
    assert_ptr_equal(bt_changes_row(changes, NAMED, &(bt_value){ .text = BT_STR("a") }), row);
    bt_row_set_number(row, 1, 6);
    bt_row_set_number(row, 2, 0);
    bt_row_set_number(row, 3, 1);
    assert_true(bt_row_is_whole(row));
    assert_int_equal(row->values[1].number, 6);
    assert_int_equal(bt_changes_row_count(changes, NAMED), 1);
    bt_changes_free(changes);
}

static void rows__of_many_keys__are_all_found_again(void **unused)
{
    bt_changes *changes = bt_changes_new(tables, 2);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            bt_id id = { { (uint8_t)i, (uint8_t)(i >> 8) } };
            bt_value key[] = { { .text = { (const char *)id.at, 16 } }, { .number = i % 3 } };
            bt_row_set_ints(bt_changes_row(changes, COUNTED, key), 2, (int32_t[]){ i, -1 }, 2);
        }
        assert_int_equal(bt_changes_row_count(changes, COUNTED), 5000);
    }
    bt_changes_reset(changes);
    assert_int_equal(bt_changes_row_count(changes, COUNTED), 0);
    bt_changes_free(changes);
}

static void whole_row__as_copy_text__escapes_what_copy_would_misread(void **unused)
{
    bt_changes *changes = bt_changes_new(tables, 2);
    bt_buf text;
    bt_buf_init(&text, 4096);
    bt_row *row = bt_changes_row(changes, NAMED, &(bt_value){ .text = BT_STR("a\tb\\c\nd\r\\N") });
    bt_row_set_number(row, 1, -3);
    bt_row_set_number(row, 2, INT64_C(1795000000000001));
    bt_row_set_number(row, 3, 0);
    bt_row_copy_text(row, &text);
    assert_str(bt_buf_view(&text), "a\\tb\\\\c\\nd\\r\\\\N\t-3\t2026-11-18T11:06:40.000001Z\tf\n");
    bt_id id = { { 0xab, 1 } };
    bt_buf_reset(&text);
    row = bt_changes_row(changes, COUNTED, (bt_value[]){ { .text = { (const char *)id.at, 16 } }, { .number = 7 } });
    bt_row_set_ints(row, 2, (int32_t[]){ 0, 12, 1, -1 }, 4);
    bt_row_copy_text(row, &text);
    assert_str(bt_buf_view(&text), "ab010000000000000000000000000000\t7\t{0,12,1,-1}\n");
    bt_buf_release(&text);
    bt_changes_free(changes);
}

static void row__merged_over_another__changes_only_the_columns_it_sets(void **unused)
{
    bt_changes *standing = bt_changes_new(tables, 2), *later = bt_changes_new(tables, 2);
    bt_row *into = bt_changes_row(standing, NAMED, &(bt_value){ .text = BT_STR("a") });
    bt_row *over = bt_changes_row(later, NAMED, &(bt_value){ .text = BT_STR("a") });
    bt_row_set_number(into, 1, 1);
    bt_row_set_number(into, 3, 1);
    bt_row_set_number(over, 3, 0);
    bt_row_merge(into, over);
    assert_int_equal(into->values[1].number, 1);
    assert_int_equal(into->values[3].number, 0);
    bt_changes_free(standing);
    bt_changes_free(later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row__touched_twice__is_one_row_and_the_later_column_wins),
        cmocka_unit_test(rows__of_many_keys__are_all_found_again),
        cmocka_unit_test(whole_row__as_copy_text__escapes_what_copy_would_misread),
        cmocka_unit_test(row__merged_over_another__changes_only_the_columns_it_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
