/* malformed - bytes made by hand, of the fixture Shrunk (last int, kept[<=5] of {y string<=5, x int}, gone_number long,
 * first string<=10): each way in which they can be wrong, and each way to write an array that is right. */
#include "tests/unit/test.h"

#include "core/avro.h"
#include "schemas/demo.h"

#include <stdio.h>
#include <stdlib.h>

#define META_SIZE 51 /* a meta of zeroes */

typedef struct decoded {
    bt_arena arena;
    struct demo_shrunk value;
    bt_err err;
} decoded;

/* Behind a meta of zeroes, in storage of the exact size. The arena is released by the caller. */
static bool decode(const char *hex, decoded *ret)
{
    size_t size = strlen(hex) / 2;
    uint8_t *bytes = calloc(1, META_SIZE + size);
    for (size_t i = 0; i < size; i++) {
        char pair[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        bytes[META_SIZE + i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    bt_arena_init(&ret->arena, 1 << 20);
    bool good = bt_avro_decode(&demo_shrunk_type, (bt_bytes){ bytes, META_SIZE + size }, 0, &ret->arena, &ret->value, &ret->err);
    free(bytes);
    return good;
}

static void array__in_one_block_or_many__is_the_same(void **unused)
{
    /* three items: y empty, x = 1, 2, 3 */
    static const char *const forms[] = {
        "00"  "06" "0002" "0004" "0006" "00"                      "00" "00", /* one block */
        "00"  "02" "0002" "02" "0004" "02" "0006" "00"            "00" "00", /* three */
        "00"  "05" "0c" "0002" "0004" "0006" "00"                 "00" "00", /* one that says its size: 6 bytes */
        "00"  "01" "04" "0002" "04" "0004" "0006" "00"            "00" "00", /* both */
    };
    for (size_t i = 0; i < BT_COUNT_OF(forms); i++) {
        decoded d;
        if (!decode(forms[i], &d))
            fail_msg("%s: %s", forms[i], d.err.message);
        assert_int_equal(d.value.kept_count, 3);
        assert_int_equal(d.value.kept[0].x + 10 * d.value.kept[1].x + 100 * d.value.kept[2].x, 321);
        bt_arena_release(&d.arena);
    }
}

static void bytes__that_do_not_fit__are_refused_with_field_and_offset(void **unused)
{
    static const struct { const char *hex, *message; } cases[] = {
        { "", "berth.demo.Shrunk.last at byte 51: not an int" },
        { "80", "berth.demo.Shrunk.last at byte 51: not an int" },
        { "feffffff1f" "000000", "berth.demo.Shrunk.last at byte 51: not an int" }, /* 2^32 - 1 */
        { "0000" "feffffffffffffffff03" "00", "berth.demo.Shrunk.gone_number at byte 53: not a long" }, /* 65 bits */
        { "0000" "8080808080808080808000" "00", "berth.demo.Shrunk.gone_number at byte 53: not a long" }, /* eleven bytes */
        { "000000" "16" "6161616161616161616161", "berth.demo.Shrunk.first at byte 54: longer than berth.max" },
        { "000000" "02" "ff", "berth.demo.Shrunk.first at byte 54: not UTF-8" },
        { "000000" "04" "c080", "berth.demo.Shrunk.first at byte 54: not UTF-8" },
        { "000000" "06" "eda080", "berth.demo.Shrunk.first at byte 54: not UTF-8" },
        { "000000" "08" "f4908080", "berth.demo.Shrunk.first at byte 54: not UTF-8" },
        { "000000" "04" "61", "berth.demo.Shrunk.first at byte 54: its length does not fit the bytes that are left" },
        { "000000" "01", "berth.demo.Shrunk.first at byte 54: its length does not fit the bytes that are left" },
        { "000000" "feffffff0f", "berth.demo.Shrunk.first at byte 54: its length does not fit the bytes that are left" },
        { "000000" "feffffffffffffffff01", "berth.demo.Shrunk.first at byte 54: its length does not fit the bytes that are left" },
        { "00" "0c" "000200020002000200020002" "00" "0000", "berth.demo.Shrunk.kept at byte 52: more items than berth.max" },
        { "00" "08" "0002000200020002" "04" "00020002" "00" "0000", "berth.demo.Shrunk.kept at byte 61: more items than berth.max" },
        { "00" "08" "0002" "00" "0000", "berth.demo.Shrunk.kept at byte 52: more items than the bytes that are left can hold" },
        { "00" "feffffffffffffffff01", "berth.demo.Shrunk.kept at byte 52: more items than berth.max" },
        { "00" "ffffffffffffffffff01", "berth.demo.Shrunk.kept at byte 52: not a count of items" },
        { "00" "01" "06" "0002" "00" "0000", "berth.demo.Shrunk.kept at byte 52: a block is not as long as it says" },
        { "00" "01" "02" "0002" "00" "0000", "berth.demo.Shrunk.kept at byte 52: a block is not as long as it says" },
        { "00" "01" "40" "0002" "00" "0000", "berth.demo.Shrunk.kept at byte 52: a block's size does not fit the bytes that are left" },
        { "00" "01" "01" "0002" "00" "0000", "berth.demo.Shrunk.kept at byte 52: a block's size does not fit the bytes that are left" },
        { "00" "02" "0c" "616161616161" "02" "00" "0000", "berth.demo.Kept.y at byte 53: longer than berth.max" },
        { "00" "02" "00" "80808080808080", "berth.demo.Kept.x at byte 54: not an int" },
        { "00000000" "00", "berth.demo.Shrunk: 1 bytes follow its last field at byte 55" },
    };
    for (size_t i = 0; i < BT_COUNT_OF(cases); i++) {
        decoded d;
        bool good = decode(cases[i].hex, &d);
        if (good || strcmp(d.err.message, cases[i].message) != 0)
            fail_msg("%s: %s, not %s", cases[i].hex, good ? "taken" : d.err.message, cases[i].message);
        assert_int_equal(d.err.code, BT_SCHEMA_MALFORMED);
        bt_arena_release(&d.arena);
    }
}

/* Everything with all fields at zero or absent, one byte of which is changed. */
static void boolean__of_two__and_a_branch_that_is_not__are_refused(void **unused)
{
    struct demo_everything all = { 0 };
    bt_arena arena;
    bt_buf out;
    bt_err err;
    bt_arena_init(&arena, 1 << 20);
    bt_buf_init(&out, 4096);
    assert_true(bt_avro_encode(&demo_everything_type, &all, &out, &err));
    static const struct { size_t from_end; uint8_t byte; const char *message; } cases[] = {
        { 1, 4, "berth.demo.Everything.y at byte %zu: not a branch of its union" },
        { 7, 1, "berth.demo.Everything.s at byte %zu: not a branch of its union" },
    };
    for (size_t i = 0; i < BT_COUNT_OF(cases); i++) {
        struct demo_everything back;
        size_t at = out.size - cases[i].from_end;
        char message[128];
        out.at[at] = cases[i].byte;
        snprintf(message, sizeof message, cases[i].message, at);
        assert_false(bt_avro_decode(&demo_everything_type, (bt_bytes){ out.at, out.size }, 0, &arena, &back, &err));
        assert_string_equal(err.message, message);
        out.at[at] = 0;
    }
    struct demo_everything back;
    out.at[META_SIZE] = 2;
    assert_false(bt_avro_decode(&demo_everything_type, (bt_bytes){ out.at, out.size }, 0, &arena, &back, &err));
    assert_string_equal(err.message, "berth.demo.Everything.a at byte 51: not a boolean");
    bt_buf_release(&out);
    bt_arena_release(&arena);
}

/* A hostile value cannot make the arena grow past its limit, nor many empty blocks make the work grow. */
static void array__in_an_arena_that_is_full__is_refused(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 16);
    uint8_t bytes[META_SIZE + 12] = { 0 };
    static const uint8_t body[] = { 0, 6, 0, 2, 0, 4, 0, 6, 0, 0, 0 };
    memcpy(bytes + META_SIZE, body, sizeof body);
    struct demo_shrunk value;
    bt_err err;
    assert_false(bt_avro_decode(&demo_shrunk_type, (bt_bytes){ bytes, META_SIZE + sizeof body }, 5, &arena, &value, &err));
    assert_string_equal(err.message, "berth.demo.Shrunk.kept at byte 57: more than the arena may hold");
    bt_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(array__in_one_block_or_many__is_the_same),
        cmocka_unit_test(bytes__that_do_not_fit__are_refused_with_field_and_offset),
        cmocka_unit_test(boolean__of_two__and_a_branch_that_is_not__are_refused),
        cmocka_unit_test(array__in_an_arena_that_is_full__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
