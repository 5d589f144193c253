/* The value of a trip in Redis, byte by byte as README.md says, and what a fold refuses rather than show. */
#include "projections/availability/availability.h"
#include "projections/availability/fold.h"
#include "schemas/trip.h"
#include "tests/unit/test.h"

#define META(version_) { .version = (version_), .time = 1000 + (version_), .actor = BT_STR("a") }

static const bt_id h1 = { { 0xa1 } };
static const struct trip_place seat_3[] = { { 0, 3 } };
static const struct trip_place bike[] = { { 1, -1 } };
static bt_availability value;

static bool fold(const bt_message_type *type, const void *data, bt_err *err)
{
    bt_fact fact = { .stream = BT_STR("t1"), .offset = 70, .event = { type, (void *)data } };
    return bt_availability_fold(&value, &fact, err);
}
#define FOLD(err, name, ...) fold(&trip_##name##_message, &(struct trip_##name){ __VA_ARGS__ }, err)
#define GIVEN(name, ...) assert_true(FOLD(NULL, name, __VA_ARGS__))
#define THEN_REFUSED(words, name, ...)                  \
    do {                                                \
        bt_err why = { 0 };                             \
        assert_false(FOLD(&why, name, __VA_ARGS__));    \
        assert_int_equal(why.kind, BT_ERR_INPUT);       \
        assert_non_null(strstr(why.message, words));    \
    } while (0)

/* 10 points: 9 segments, masks of 2 bytes; 4 seats and an aisle; bikes; 2 more seats. */
static int open_trip(void **unused)
{
    static struct trip_point points[10];
    static const bt_str seats[5] = { { "1", 1 }, { "2", 1 }, { NULL, 0 }, { "3", 1 }, { "4", 1 } };
    static const struct trip_section sections[] = { { .name = BT_STR("a"), .seats = seats, .seats_count = 5 }, { .name = BT_STR("b"), .capacity = 7 },
                                                    { .name = BT_STR("c"), .seats = seats, .seats_count = 2 } };
    value = (bt_availability){ 0 };
    GIVEN(opened, META(1), BT_STR("n"), BT_STR("UTC"), points, 10, sections, 3);
    return 0;
}

static int end(void **unused)
{
    bt_availability_release(&value);
    return 0;
}

#define COUNTERS_AT (40 + 3 * 4)
#define SEATS_AT (COUNTERS_AT + 9 * 8)

static void trip_opened__gives_the_head_and_the_table_of_sections(void **unused)
{
    static const uint8_t head[] = { 1, 0, 2, 9, 7, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 70, 0, 0, 0, 0, 0, 0, 0, 0xe9, 3, 0, 0, 0, 0, 0, 0,
                                    5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0 };
    assert_int_equal(value.size, SEATS_AT + 7 * 2 * 2);
    assert_memory_equal(value.at, head, sizeof head);
}

static void held_seat__has_the_bits_of_its_stretch__and_a_booked_one_has_them_in_the_other_mask(void **unused)
{
    GIVEN(seats_held, META(2), h1, 1, 9, seat_3, 1, BT_STR("c"), 0);
    assert_memory_equal(value.at + SEATS_AT + 3 * 4, "\xfe\x01\0\0", 4);
    GIVEN(hold_confirmed, META(3), h1, 1, 9, seat_3, 1, BT_STR("c"));
    assert_memory_equal(value.at + SEATS_AT + 3 * 4, "\0\0\xfe\x01", 4);
    GIVEN(booking_cancelled, META(4), h1, 1, 9, seat_3, 1, BT_STR("c"));
    assert_memory_equal(value.at + SEATS_AT + 3 * 4, "\0\0\0\0", 4);
    assert_int_equal(bt_availability_version(&value), 4);
}

static void place_without_number__is_counted_on_each_segment(void **unused)
{
    GIVEN(seats_held, META(2), h1, 0, 2, bike, 1, BT_STR("c"), 0);
    GIVEN(seats_held, META(3), h1, 1, 3, bike, 1, BT_STR("c"), 0);
    GIVEN(hold_confirmed, META(4), h1, 1, 3, bike, 1, BT_STR("c"));
    assert_memory_equal(value.at + COUNTERS_AT, "\1\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0", 24);
}

static void seat__taken_on_adjoining_stretches__is_shared_and_nothing_else_overlaps(void **unused)
{
    GIVEN(seats_held, META(2), h1, 0, 4, seat_3, 1, BT_STR("c"), 0);
    GIVEN(seats_held, META(3), h1, 4, 9, seat_3, 1, BT_STR("c"), 0);
    THEN_REFUSED("taken twice", seats_held, META(4), h1, 3, 5, seat_3, 1, BT_STR("c"), 0);
}

static void booked_seat__held_by_another__is_refused(void **unused)
{
    GIVEN(seats_held, META(2), h1, 0, 4, seat_3, 1, BT_STR("c"), 0);
    GIVEN(hold_confirmed, META(3), h1, 0, 4, seat_3, 1, BT_STR("c"));
    THEN_REFUSED("taken twice", seats_held, META(4), h1, 0, 1, seat_3, 1, BT_STR("c"), 0);
}

static void what_was_never_taken__cannot_be_given_back(void **unused)
{
    THEN_REFUSED("given back", hold_released, META(2), h1, 0, 4, seat_3, 1);
    THEN_REFUSED("given back", hold_expired, META(2), h1, 0, 4, bike, 1);
}

static void event__of_a_place_that_the_trip_has_not__is_refused(void **unused)
{
    static const struct trip_place wrong[] = { { 0, 5 }, { 0, -1 }, { 3, 0 }, { -1, 0 } };
    for (size_t i = 0; i < BT_COUNT_OF(wrong); i++)
        THEN_REFUSED("no seat", seats_held, META(2), h1, 0, 1, &wrong[i], 1, BT_STR("c"), 0);
    THEN_REFUSED("no seat", seats_held, META(2), h1, 3, 3, seat_3, 1, BT_STR("c"), 0);
    THEN_REFUSED("no seat", seats_held, META(2), h1, 3, 10, seat_3, 1, BT_STR("c"), 0);
}

static void event__seen_before__changes_nothing__and_one_that_skips_a_version_is_refused(void **unused)
{
    GIVEN(seats_held, META(2), h1, 0, 4, seat_3, 1, BT_STR("c"), 0);
    GIVEN(seats_held, META(2), h1, 0, 4, seat_3, 1, BT_STR("c"), 0);
    assert_int_equal(bt_availability_version(&value), 2);
    THEN_REFUSED("version 4 follows version 2", sale_closed, META(4));
}

static void event__of_a_trip_whose_value_was_lost__makes_none_up(void **unused)
{
    bt_availability_release(&value);
    GIVEN(seats_held, META(2), h1, 0, 4, seat_3, 1, BT_STR("c"), 0);
    assert_null(value.at);
}

static void cancelled_trip__shows_nothing_taken_and_its_status(void **unused)
{
    static const uint8_t zeroes[SEATS_AT + 28 - COUNTERS_AT] = { 0 };
    GIVEN(seats_held, META(2), h1, 0, 4, seat_3, 1, BT_STR("c"), 0);
    GIVEN(seats_held, META(3), h1, 0, 4, bike, 1, BT_STR("c"), 0);
    GIVEN(sale_closed, META(4));
    assert_int_equal(value.at[1], 1);
    GIVEN(cancelled, META(5), BT_STR("snow"));
    assert_int_equal(value.at[1], 2);
    assert_memory_equal(value.at + COUNTERS_AT, zeroes, sizeof zeroes);
}

static void ranges__after_a_write__hold_only_the_chunks_that_changed(void **unused)
{
    bt_buf runs;
    bt_buf_init(&runs, 1 << 16);
    bt_availability_take_ranges(&value, &runs);
    assert_false(bt_availability_is_dirty(&value));
    bt_buf_reset(&runs);
    GIVEN(seats_held, META(2), h1, 0, 1, seat_3, 1, BT_STR("c"), 0);
    assert_true(bt_availability_is_dirty(&value));
    bt_availability_take_ranges(&value, &runs);
    assert_int_equal(runs.size, 8 + 64 + 8 + (value.size - 128)); /* the head's chunk, and the one with the seat, which is the last */
    bt_buf_release(&runs);
}

static void value__that_lies_about_itself__is_not_loaded(void **unused)
{
    static const struct { size_t at; uint8_t byte; } lies[] = { { 0, 2 }, { 2, 1 }, { 2, 9 }, { 3, 0 }, { 3, 64 }, { 6, 0xff }, { 8, 4 }, { 12, 65 } };
    bt_availability loaded;
    for (size_t i = 0; i < BT_COUNT_OF(lies); i++) {
        uint8_t before = value.at[lies[i].at];
        value.at[lies[i].at] = lies[i].byte;
        assert_false(bt_availability_load((bt_bytes){ value.at, value.size }, &loaded, NULL));
        value.at[lies[i].at] = before;
    }
    assert_false(bt_availability_load((bt_bytes){ value.at, 39 }, &loaded, NULL));
    assert_true(bt_availability_load((bt_bytes){ value.at, 52 }, &loaded, NULL)); /* trailing zeroes may lack */
    assert_int_equal(loaded.size, value.size);
    bt_availability_release(&loaded);
}

static void position__saved_and_loaded__is_the_same(void **unused)
{
    bt_position position = { .forward = { .next_offset = 1043, .height = 900, .void_count = 143, .time_us = -5, .head = { { 1, 2, 3 } } }, .head_offset = 1040 }, loaded = { 0 };
    uint8_t bytes[BT_AVAILABILITY_POSITION_SIZE];
    bt_availability_position_save(&position, bytes);
    assert_memory_equal(bytes, "\x13\x04\0\0\0\0\0\0\1\2\3", 11);
    assert_true(bt_availability_position_load((bt_str){ (const char *)bytes, sizeof bytes }, &loaded));
    assert_int_equal(loaded.forward.next_offset, 1043);
    assert_int_equal(loaded.forward.time_us, -5);
    assert_int_equal(loaded.head_offset, 1040);
    assert_true(bt_id_equal(loaded.forward.head, position.forward.head));
    assert_false(bt_availability_position_load((bt_str){ (const char *)bytes, 63 }, &loaded));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_trip, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trip_opened__gives_the_head_and_the_table_of_sections),
        TEST(held_seat__has_the_bits_of_its_stretch__and_a_booked_one_has_them_in_the_other_mask),
        TEST(place_without_number__is_counted_on_each_segment),
        TEST(seat__taken_on_adjoining_stretches__is_shared_and_nothing_else_overlaps),
        TEST(booked_seat__held_by_another__is_refused),
        TEST(what_was_never_taken__cannot_be_given_back),
        TEST(event__of_a_place_that_the_trip_has_not__is_refused),
        TEST(event__seen_before__changes_nothing__and_one_that_skips_a_version_is_refused),
        TEST(event__of_a_trip_whose_value_was_lost__makes_none_up),
        TEST(cancelled_trip__shows_nothing_taken_and_its_status),
        TEST(ranges__after_a_write__hold_only_the_chunks_that_changed),
        TEST(value__that_lies_about_itself__is_not_loaded),
        TEST(position__saved_and_loaded__is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
