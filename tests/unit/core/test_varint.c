/* varint - the quick form gives what the plain form gives, for every length, at every distance from the end. */
#include "tests/unit/test.h"

#include "core/varint.h"

static size_t put_plainly(uint8_t *at, int64_t value)
{
    uint64_t left = bt_zigzag_encode(value);
    size_t size = 0;
    for (; left >= 0x80; left >>= 7)
        at[size++] = (uint8_t)(left | 0x80);
    at[size++] = (uint8_t)left;
    return size;
}

static void check_one(int64_t value, const uint8_t *noise)
{
    uint8_t plain[32], quick[32];
    int64_t back;
    memcpy(plain, noise, sizeof plain);
    size_t size = put_plainly(plain, value);
    assert_int_equal(bt_varint_put(quick, value) - quick, size);
    assert_memory_equal(plain, quick, size);
    for (size_t end = 0; end <= sizeof plain; end++) {
        const uint8_t *next = bt_varint_next(plain, plain + end, &back);
        if (end < size) {
            assert_null(next);
            continue;
        }
        assert_ptr_equal(next, plain + size);
        assert_int_equal(back, value);
    }
}

static void varint__of_every_length__is_as_the_plain_form(void **unused)
{
    uint8_t noise[32];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)bt_mix64(i + 1);
    for (unsigned bits = 0; bits < 64; bits++) {
        for (int64_t near = -3; near <= 3; near++) {
            check_one((int64_t)((UINT64_C(1) << bits) + (uint64_t)near), noise);
            check_one((int64_t)(0 - (UINT64_C(1) << bits) + (uint64_t)near), noise);
        }
    }
    for (uint64_t seed = 0; seed < 20000; seed++)
        check_one((int64_t)(bt_mix64(seed) >> (seed % 64)), noise);
}

static void varint__of_any_bytes__is_taken_as_the_plain_form_takes_it(void **unused)
{
    for (uint64_t seed = 0; seed < 50000; seed++) {
        uint8_t bytes[16];
        for (size_t i = 0; i < sizeof bytes; i++) {
            uint64_t random = bt_mix64(seed * 16 + i);
            bytes[i] = (uint8_t)(random | (random % 5 > 0 ? 0x80U << (random >> 63) : 0)); /* mostly long ones */
        }
        for (size_t size = 0; size <= sizeof bytes; size++) {
            const uint8_t *plain = bytes;
            int64_t a = 0, b = 0;
            bool good = bt_varint_take(&plain, bytes + size, &a);
            const uint8_t *quick = bt_varint_next(bytes, bytes + size, &b);
            assert_ptr_equal(quick, good ? plain : NULL);
            assert_true(!good || a == b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varint__of_every_length__is_as_the_plain_form),
        cmocka_unit_test(varint__of_any_bytes__is_taken_as_the_plain_form_takes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
