/* forward - the rule against a written-out vector: docs/protocol.md prints the same one for other implementations. */
#include "tests/unit/test.h"

#include "core/digest.h"
#include "core/forward.h"

typedef struct vector_row {
    const char *key;
    const char *tail; /* what follows the parent in the value */
    int parent_row;   /* whose id is the parent; -1: zeroes */
    bt_forward_verdict verdict;
} vector_row;

static size_t value_of(const vector_row *row, const bt_id ids[], uint8_t value[64])
{
    memset(value, 0, 64);
    value[4] = 1;
    if (row->parent_row >= 0)
        memcpy(value + 5, ids[row->parent_row].at, 16);
    memcpy(value + 21, row->tail, strlen(row->tail));
    return 21 + strlen(row->tail);
}

static void forward__on_the_vector__gives_its_verdicts(void **unused)
{
    static const vector_row rows[] = {
        { "@log", "genesis", -1, BT_FORWARD_VALID },      { "@log", "rival genesis", -1, BT_FORWARD_VOID_PARENT }, { "t1", "a", 0, BT_FORWARD_VALID },
        { "t1", "b", 0, BT_FORWARD_VOID_PARENT },         { "t1", "a", 0, BT_FORWARD_VOID_PARENT },                { "t2", "c", 2, BT_FORWARD_VALID },
        { "t1", "child of void", 3, BT_FORWARD_VOID_PARENT }, { NULL, "null key", 5, BT_FORWARD_VOID_MALFORMED },  { "t1", "d", 5, BT_FORWARD_VALID },
    };
    bt_forward forward = { 0 };
    bt_id ids[BT_COUNT_OF(rows)];
    for (size_t i = 0; i < BT_COUNT_OF(rows); i++) {
        uint8_t value[64];
        bt_record record = { .offset = (int64_t)i, .key = { rows[i].key, rows[i].key ? strlen(rows[i].key) : 0 }, .value = { value, value_of(&rows[i], ids, value) } };
        ids[i] = bt_record_id(record.key, record.value);
        bt_id id;
        assert_int_equal(bt_forward_step(&forward, &record, &id), rows[i].verdict);
        if (rows[i].verdict == BT_FORWARD_VALID)
            assert_true(bt_id_equal(id, ids[i]));
    }
    assert_int_equal(forward.height, 4);
    assert_int_equal(forward.void_count, 5);
    assert_true(bt_id_equal(forward.head, ids[8]));
    char hex[BT_ID_HEX_SIZE];
    bt_id_to_hex(forward.head, hex);
    assert_memory_equal(hex, "4f5e4c67477c0fd9bcb631a136b0bc69", 32);
}

static void forward__on_a_jump_in_offsets__folds_nothing(void **unused)
{
    uint8_t value[21] = { 0 };
    bt_forward forward = { .next_offset = 5 };
    bt_record record = { .offset = 6, .key = BT_STR("t"), .value = { value, sizeof value } };
    assert_int_equal(bt_forward_step(&forward, &record, NULL), BT_FORWARD_JUMP);
    record.offset = 4;
    assert_int_equal(bt_forward_step(&forward, &record, NULL), BT_FORWARD_JUMP);
    assert_int_equal(forward.next_offset, 5);
    assert_int_equal(forward.height, 0);
}

static void forward__on_short_or_foreign_values__calls_them_void(void **unused)
{
    uint8_t value[21] = { 0 };
    bt_forward forward = { 0 };
    bt_record record = { .key = BT_STR("t"), .value = { value, 20 } };
    assert_int_equal(bt_forward_step(&forward, &record, NULL), BT_FORWARD_VOID_MALFORMED);
    record = (bt_record){ .offset = 1, .key = BT_STR("t") };
    assert_int_equal(bt_forward_step(&forward, &record, NULL), BT_FORWARD_VOID_MALFORMED);
    value[0] = 1;
    record = (bt_record){ .offset = 2, .key = BT_STR("t"), .value = { value, sizeof value } };
    assert_int_equal(bt_forward_step(&forward, &record, NULL), BT_FORWARD_VOID_MALFORMED);
    assert_int_equal(forward.void_count, 3);
    assert_true(bt_id_is_zero(forward.head));
}

static void meta_peek__on_every_cut__fails_without_reading_past_the_end(void **unused)
{
    uint8_t value[] = { 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0x80, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 4, 'm', 'e' };
    bt_meta meta;
    assert_true(bt_meta_peek((bt_bytes){ value, sizeof value }, &meta));
    assert_int_equal(meta.version, 2);
    assert_int_equal(meta.time, 64);
    assert_int_equal(meta.command.at[0], 1);
    assert_int_equal(meta.body.at[15], 2);
    assert_str(meta.actor, "me");
    for (size_t size = 0; size < sizeof value; size++)
        assert_false(bt_meta_peek((bt_bytes){ value, size }, &meta));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward__on_the_vector__gives_its_verdicts),
        cmocka_unit_test(forward__on_a_jump_in_offsets__folds_nothing),
        cmocka_unit_test(forward__on_short_or_foreign_values__calls_them_void),
        cmocka_unit_test(meta_peek__on_every_cut__fails_without_reading_past_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
