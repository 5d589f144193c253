/* pool - layouts are shared by owners on several threads. Run with the preset tsan as well. */
#include "tests/unit/test.h"

#include "commands/trip/bytes.h"
#include "commands/trip/layout.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 3000, TIMETABLES = 5 };

/* The canonical bytes of a trip of two points and as many places as its number. */
static void put_layout(bt_buf *out, unsigned number)
{
    put_number(out, 2);
    for (int i = 0; i < 2; i++) {
        put_text(out, i == 0 ? BT_STR("A") : BT_STR("B"));
        put_number(out, 60);
        put_number(out, 0);
        put_number(out, 3);
    }
    put_number(out, 1);
    put_text(out, BT_STR("floor"));
    put_text(out, BT_STR("standing"));
    put_number(out, number + 1);
    put_number(out, 0);
    put_number(out, 0);
}

static void *share_and_release(void *seed)
{
    uint64_t random = (uint64_t)(uintptr_t)seed;
    trip_layout *held[8] = { NULL };
    bt_buf bytes;
    bt_buf_init(&bytes, 4096);
    for (int i = 0; i < ROUNDS; i++) {
        random = bt_mix64(random + 0x9e3779b97f4a7c15ULL);
        trip_layout **slot = &held[random % 8];
        unsigned number = (unsigned)(random >> 8) % TIMETABLES;
        layout_release(*slot);
        bt_buf_reset(&bytes);
        put_layout(&bytes, number);
        *slot = layout_intern((bt_bytes){ bytes.at, bytes.size }, NULL);
        bt_assert(*slot != NULL && (*slot)->sections[0].capacity == number + 1);
    }
    for (int i = 0; i < 8; i++)
        layout_release(held[i]);
    bt_buf_release(&bytes);
    return NULL;
}

static void layouts__interned_by_several_threads__are_shared_and_all_go(void **unused)
{
    pthread_t threads[THREADS];
    size_t count;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, share_and_release, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(trip_layout_bytes(&count), 0);
    assert_int_equal(count, 0);
}

static void layouts__of_equal_bytes__are_one(void **unused)
{
    bt_buf bytes;
    size_t count;
    bt_buf_init(&bytes, 4096);
    put_layout(&bytes, 1);
    trip_layout *first = layout_intern((bt_bytes){ bytes.at, bytes.size }, NULL),
        *second = layout_intern((bt_bytes){ bytes.at, bytes.size }, NULL);
    assert_ptr_equal(first, second);
    layout_release(first);
    trip_layout_bytes(&count);
    assert_int_equal(count, 1);
    layout_release(second);
    trip_layout_bytes(&count);
    assert_int_equal(count, 0);
    bt_buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts__interned_by_several_threads__are_shared_and_all_go),
        cmocka_unit_test(layouts__of_equal_bytes__are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
