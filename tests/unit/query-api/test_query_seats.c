/* The seat map: from the bytes that projections/availability writes to JSON, against states worked out by hand, and, for random histories,
 * against a seat map kept the naive way. */
#include "query-api/seats/map.h"
#include "tests/unit/test.h"

#include <stdio.h>

static const char sections[] = "[{\"name\":\"A\",\"class\":\"first\",\"seats\":[\"1\",\"2\",null,\"3\\\"x\"],\"blocked\":[1],\"capacity\":0},"
                               "{\"name\":\"Deck\",\"class\":\"second\",\"seats\":[],\"blocked\":[],\"capacity\":3},"
                               "{\"name\":\"B\",\"class\":\"second\",\"seats\":[\"7\"],\"blocked\":[],\"capacity\":0}]";
enum { ENTRIES = 5, DECK = 1 };

/* A layout with so many points, named P0, P1 ... */
static qa_layout *layout_of(size_t point_count)
{
    static qa_layout layout;
    static char stops[QA_POINTS_MAX][24], quoted[QA_POINTS_MAX][26];
    bt_err err = { 0 };
    layout = (qa_layout){ .references = 1, .trip_json = BT_STR("\"T\""), .point_count = point_count, .seating = qa_seating_new(bt_str_of(sections), &err) };
    assert_non_null(layout.seating);
    for (size_t i = 0; i < point_count; i++) {
        snprintf(stops[i], sizeof stops[i], "P%zu", i);
        snprintf(quoted[i], sizeof quoted[i], "\"P%zu\"", i);
        layout.points[i] = (qa_point){ .stop = bt_str_of(stops[i]), .stop_json = bt_str_of(quoted[i]) };
    }
    return &layout;
}

static bt_str value_of(const qa_masks *masks) { return (bt_str){ (const char *)masks->at, masks->size }; }

static void a_value__with_a_hold_and_a_booking__shows_each_on_its_stretch_only(void **unused)
{
    qa_layout *layout = layout_of(4);
    qa_masks *masks = qa_masks_new(qa_value_size(layout));
    qa_value_begin(masks->at, layout, QA_TRIP_OPEN, 17);
    qa_value_add(masks->at, layout, false, 0, 1, (int32_t[]){ 0, 0, DECK, -1 }, 2);
    qa_value_add(masks->at, layout, true, 1, 3, (int32_t[]){ 0, 0, 2, 0, DECK, -1, DECK, -1 }, 4);
    qa_availability availability;
    assert_true(qa_availability_read(value_of(masks), layout, &availability));
    uint8_t states[ENTRIES];
    bt_buf json;
    bt_buf_init(&json, 1 << 16);
    qa_map_write(&json, layout, &availability, 0, 2, states);
    assert_str(bt_buf_view(&json),
        "{\"trip\":\"T\",\"from\":\"P0\",\"to\":\"P2\",\"status\":\"open\",\"version\":17,\"free\":2,\"sections\":["
        "{\"name\":\"A\",\"class\":\"first\",\"numbered\":true,\"capacity\":3,\"free\":1},"
        "{\"name\":\"Deck\",\"class\":\"second\",\"numbered\":false,\"capacity\":3,\"free\":1},"
        "{\"name\":\"B\",\"class\":\"second\",\"numbered\":true,\"capacity\":1,\"free\":0}],\"seats\":["
        "{\"section\":\"A\",\"seat\":\"1\",\"class\":\"first\",\"state\":\"booked\"},{\"section\":\"A\",\"seat\":\"2\",\"class\":\"first\",\"state\":\"blocked\"},"
        "{\"section\":\"A\",\"seat\":\"3\\\"x\",\"class\":\"first\",\"state\":\"free\"},{\"section\":\"B\",\"seat\":\"7\",\"class\":\"second\",\"state\":\"booked\"}]}");
    int64_t section_free[QA_SECTIONS_MAX];
    assert_int_equal(qa_availability_states(&availability, layout, 0, 1, states, section_free), 1 + 2 + 1);
    assert_int_equal(states[0], QA_STATE_HELD);
    bt_buf_release(&json);
    qa_masks_release(masks);
    qa_seating_release(layout->seating);
}

static void a_value__that_ends_early__means_zeroes(void **unused)
{
    qa_layout *layout = layout_of(20); /* 19 segments: masks of three bytes */
    qa_masks *masks = qa_masks_new(qa_value_size(layout));
    qa_value_begin(masks->at, layout, QA_TRIP_OPEN, 1);
    qa_value_add(masks->at, layout, true, 0, 9, (int32_t[]){ 0, 3 }, 1);
    for (size_t size = QA_VALUE_HEADER + 4 * 3; size <= masks->size; size++) {
        qa_masks *cut = qa_masks_new(size); /* of its own size, so that the sanitizer sees one byte too many */
        memcpy(cut->at, masks->at, size);
        qa_availability availability;
        uint8_t states[ENTRIES];
        int64_t section_free[QA_SECTIONS_MAX];
        assert_true(qa_availability_read(value_of(cut), layout, &availability));
        qa_availability_states(&availability, layout, 0, 19, states, section_free);
        assert_int_equal(states[0], QA_STATE_FREE);
        size_t first_byte_of_the_booking = qa_value_size(layout) - 2 * 6 + 3; /* entry 3 of 5 */
        assert_int_equal(states[3], size > first_byte_of_the_booking ? QA_STATE_BOOKED : QA_STATE_FREE);
        qa_masks_release(cut);
    }
    qa_masks_release(masks);
    qa_seating_release(layout->seating);
}

static void a_value__of_another_layout_or_format__is_not_read(void **unused)
{
    qa_layout *layout = layout_of(4);
    qa_masks *masks = qa_masks_new(qa_value_size(layout));
    qa_value_begin(masks->at, layout, QA_TRIP_OPEN, 1);
    qa_availability availability;
    assert_true(qa_availability_read(value_of(masks), layout, &availability));
    static const size_t told[] = { 0, 1, 2, 3, 4, 8, 12, QA_VALUE_HEADER, QA_VALUE_HEADER + 8 };
    for (size_t i = 0; i < BT_COUNT_OF(told); i++) {
        masks->at[told[i]] ^= 0x40;
        if (qa_availability_read(value_of(masks), layout, &availability))
            fail_msg("byte %zu is not looked at", told[i]);
        masks->at[told[i]] ^= 0x40;
    }
    assert_false(qa_availability_read((bt_str){ (const char *)masks->at, QA_VALUE_HEADER + 4 * 3 - 1 }, layout, &availability));
    assert_false(qa_availability_read(BT_STR(""), layout, &availability));
    qa_masks_release(masks);
    qa_seating_release(layout->seating);
}

static void a_trip__that_is_not_open__has_nothing_free(void **unused)
{
    qa_layout *layout = layout_of(4);
    for (int status = QA_TRIP_CLOSED; status <= QA_TRIP_CANCELLED; status++) {
        qa_masks *masks = qa_masks_new(qa_value_size(layout));
        qa_value_begin(masks->at, layout, (qa_trip_status)status, 1);
        qa_value_add(masks->at, layout, true, 0, 3, (int32_t[]){ 2, 0 }, 1);
        qa_availability availability;
        uint8_t states[ENTRIES];
        int64_t section_free[QA_SECTIONS_MAX];
        assert_true(qa_availability_read(value_of(masks), layout, &availability));
        assert_int_equal(qa_availability_states(&availability, layout, 0, 3, states, section_free), 0);
        assert_int_equal(states[0], QA_STATE_BLOCKED);
        assert_int_equal(states[4], QA_STATE_BOOKED);
        qa_masks_release(masks);
    }
    qa_seating_release(layout->seating);
}

/* The naive map: a cell for each entry and segment. */
typedef struct naive_map {
    uint8_t cell[ENTRIES][QA_POINTS_MAX];
    int deck[QA_POINTS_MAX];
} naive_map;

static void compare(const naive_map *naive, const qa_layout *layout, const qa_availability *availability, int from, int to)
{
    uint8_t states[ENTRIES];
    int64_t section_free[QA_SECTIONS_MAX];
    int fullest = 0;
    qa_availability_states(availability, layout, from, to, states, section_free);
    for (int entry = 0; entry < ENTRIES; entry++) {
        uint8_t worst = QA_STATE_FREE;
        for (int segment = from; segment < to; segment++)
            worst = naive->cell[entry][segment] > worst ? naive->cell[entry][segment] : worst;
        if (layout->seating->entries[entry].kind == QA_ENTRY_SEAT)
            assert_int_equal(states[entry], worst);
    }
    for (int segment = from; segment < to; segment++)
        fullest = naive->deck[segment] > fullest ? naive->deck[segment] : fullest;
    assert_int_equal(section_free[DECK], fullest > 3 ? 0 : 3 - fullest);
}

static void random_histories__on_trips_of_every_length__agree_with_the_naive_map(void **unused)
{
    uint64_t random = 7;
    for (size_t point_count = 2; point_count <= QA_POINTS_MAX; point_count++) {
        qa_layout *layout = layout_of(point_count);
        naive_map naive = { 0 };
        qa_masks *masks = qa_masks_new(qa_value_size(layout));
        qa_value_begin(masks->at, layout, QA_TRIP_OPEN, 1);
        for (int step = 0; step < 12; step++) {
            random = bt_mix64(random + 0x9e3779b97f4a7c15ULL);
            int entry = (int)(random % (ENTRIES + 1)), from = (int)(random >> 8 & 0xffff) % (int)(point_count - 1);
            int to = from + 1 + (int)(random >> 24 & 0xffff) % (int)(point_count - 1 - (size_t)from);
            bool booked = random >> 60 & 1;
            if (entry == ENTRIES) {
                qa_value_add(masks->at, layout, booked, from, to, (int32_t[]){ DECK, -1 }, 1);
            } else {
                int section = entry < 4 ? 0 : 2;
                qa_value_add(masks->at, layout, booked, from, to, (int32_t[]){ section, entry < 4 ? entry : 0 }, 1);
            }
            for (int segment = from; segment < to; segment++) {
                if (entry == ENTRIES)
                    naive.deck[segment]++;
                else if (naive.cell[entry][segment] != QA_STATE_BOOKED)
                    naive.cell[entry][segment] = booked ? QA_STATE_BOOKED : QA_STATE_HELD;
            }
            qa_availability availability;
            assert_true(qa_availability_read(value_of(masks), layout, &availability));
            compare(&naive, layout, &availability, 0, (int)point_count - 1);
            compare(&naive, layout, &availability, from, to);
        }
        qa_masks_release(masks);
        qa_seating_release(layout->seating);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value__with_a_hold_and_a_booking__shows_each_on_its_stretch_only),
        cmocka_unit_test(a_value__that_ends_early__means_zeroes),
        cmocka_unit_test(a_value__of_another_layout_or_format__is_not_read),
        cmocka_unit_test(a_trip__that_is_not_open__has_nothing_free),
        cmocka_unit_test(random_histories__on_trips_of_every_length__agree_with_the_naive_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
