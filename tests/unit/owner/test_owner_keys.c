/* keys - random adds and look-ups agree with a plain list that forgets past the same horizon. */
#include "commands/owner/keys.h"
#include "tests/unit/test.h"

enum { KEYS = 3000, STEPS = 20000 };

static bt_id key_of(uint64_t number)
{
    bt_id id = { { 0 } };
    uint64_t mixed = bt_mix64(number + 1);
    memcpy(id.at, &mixed, sizeof mixed);
    return id;
}

static void keys__over_random_adds__remember_what_is_within_the_horizon__and_nothing_else(void **unused)
{
    static int64_t height_of[KEYS], offset_of[KEYS], time_of[KEYS];
    bt_keys keys;
    bt_keys_init(&keys, 500, 3000000000);
    uint64_t random = 11;
    int64_t height = 0, time_us = 1000000;
    for (int step = 0; step < STEPS; step++) {
        random = bt_mix64(random + 0x9e3779b97f4a7c15ULL);
        time_us += (int64_t)(random % 12) * 1000000;
        height++;
        uint64_t number = (random >> 8) % KEYS;
        if (random % 3 != 0) {
            bt_keys_add(&keys, key_of(number), height * 2, height, time_us);
            height_of[number] = height;
            offset_of[number] = height * 2;
            time_of[number] = time_us;
        } else {
            bt_keys_expire(&keys, height, time_us);
        }
        number = (random >> 24) % KEYS;
        int64_t offset = -1;
        bool found = bt_keys_find(&keys, key_of(number), &offset);
        bool expected = height_of[number] > 0 && height - height_of[number] < 500 && time_of[number] >= time_us - 3000000000;
        assert_int_equal(found, expected);
        if (found)
            assert_int_equal(offset, offset_of[number]);
    }
    assert_true(bt_keys_count(&keys) <= 500);
    assert_true(bt_keys_horizon_us(&keys, time_us) <= 3000000000);
    bt_keys_release(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(keys__over_random_adds__remember_what_is_within_the_horizon__and_nothing_else) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
