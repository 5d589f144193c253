/* The folds of trips, one by one: given events, then rows, as COPY would read them. */
#include "projections/trips/trips.h"
#include "schemas/trip.h"
#include "tests/unit/test.h"

enum { TRIPS, TRIP_POINTS, STOPS, HOLDS, BOOKINGS };

#define T0 INT64_C(1795000000000000) /* 2026-11-18T11:06:40Z */
#define SECONDS(n) ((n) * INT64_C(1000000))
#define META(version_) { .version = (version_), .time = T0 + SECONDS(version_), .actor = BT_STR("a") }

static const bt_id h1 = { { 0xa1 } };
static const struct trip_place two_places[] = { { 0, 1 }, { 1, -1 } };
static const struct trip_place one_place[] = { { 0, 2 } };
static bt_changes *changes;

static int begin(void **unused)
{
    changes = bt_changes_new(trips_model.tables, trips_model.table_count);
    return 0;
}

static int end(void **unused)
{
    bt_changes_free(changes);
    return 0;
}

static void given_event(const bt_message_type *type, const void *data)
{
    bt_fact fact = { .stream = BT_STR("t1"), .offset = 5, .event = { type, (void *)data } };
    bt_err err = { 0 };
    const bt_handler *handler = bt_model_handler(&trips_model, type);
    assert_non_null(handler);
    if (!handler->fold(&fact, changes, &err))
        fail_msg("%s", err.message);
}
#define GIVEN(name, ...) given_event(&trip_##name##_message, &(struct trip_##name){ __VA_ARGS__ })

static void then_whole_row(size_t table, size_t index, const char *wanted)
{
    bt_buf text;
    bt_buf_init(&text, 1 << 16);
    assert_true(index < bt_changes_row_count(changes, table));
    bt_row_copy_text(bt_changes_row_at(changes, table, index), &text);
    bt_buf_byte(&text, 0);
    assert_string_equal((const char *)text.at, wanted);
    bt_buf_release(&text);
}

/* The columns that a row that is not whole sets. */
static void then_sets(size_t table, size_t index, const char *columns)
{
    bt_buf text;
    bt_buf_init(&text, 1024);
    const bt_row *row = bt_changes_row_at(changes, table, index);
    assert_false(bt_row_is_whole(row));
    for (size_t i = row->table->key_count; i < row->table->column_count; i++)
        if (row->set >> i & 1)
            bt_buf_printf(&text, "%s%s", text.size ? " " : "", row->table->columns[i].name);
    bt_buf_byte(&text, 0);
    assert_string_equal((const char *)text.at, columns);
    bt_buf_release(&text);
}

static void given_trip(void)
{
    static const struct trip_point points[] = { { BT_STR("A"), BT_STR("Alpha"), T0, T0 + SECONDS(60), true, false },
                                                { BT_STR("B"), BT_STR("Beta"), T0 + SECONDS(3600), T0 + SECONDS(3660), true, true },
                                                { BT_STR("A@2"), BT_STR("Alpha"), T0 + SECONDS(7200), T0 + SECONDS(7200), false, true } };
    static const bt_str seats[] = { { "1", 1 }, { NULL, 0 }, { "2", 1 } };
    static const int32_t blocked[] = { 2 };
    static const struct trip_section sections[] = { { BT_STR("car"), BT_STR("second"), seats, 3, blocked, 1, 0 }, { .name = BT_STR("bikes"), .class = BT_STR("bike"), .capacity = 20 } };
    GIVEN(opened, META(1), BT_STR("Night \"train\""), BT_STR("Europe/Rome"), points, 3, sections, 2);
}

static void trip_opened__makes_the_trip_its_points_and_its_stops(void **unused)
{
    given_trip();
    then_whole_row(TRIPS, 0,
                   "t1\tNight \"train\"\tEurope/Rome\topen\t\t1\t2026-11-18T11:06:41Z\t2026-11-18T11:07:40Z\t2026-11-18T13:06:40Z\t"
                   "{\"points\":[{\"stop\":\"A\",\"name\":\"Alpha\",\"arrives_at\":\"2026-11-18T11:06:40Z\",\"departs_at\":\"2026-11-18T11:07:40Z\",\"board\":true,\"alight\":false},"
                   "{\"stop\":\"B\",\"name\":\"Beta\",\"arrives_at\":\"2026-11-18T12:06:40Z\",\"departs_at\":\"2026-11-18T12:07:40Z\",\"board\":true,\"alight\":true},"
                   "{\"stop\":\"A@2\",\"name\":\"Alpha\",\"arrives_at\":\"2026-11-18T13:06:40Z\",\"departs_at\":\"2026-11-18T13:06:40Z\",\"board\":false,\"alight\":true}],"
                   "\"sections\":[{\"name\":\"car\",\"class\":\"second\",\"seats\":[\"1\",null,\"2\"],\"blocked\":[2],\"capacity\":0},"
                   "{\"name\":\"bikes\",\"class\":\"bike\",\"seats\":[],\"blocked\":[],\"capacity\":20}]}\n");
    assert_int_equal(bt_changes_row_count(changes, TRIP_POINTS), 3);
    then_whole_row(TRIP_POINTS, 2, "t1\t2\tA@2\tA\tAlpha\t2026-11-18T13:06:40Z\t2026-11-18T13:06:40Z\tf\tt\tEurope/Rome\n");
    assert_int_equal(bt_changes_row_count(changes, STOPS), 2); /* visited twice, one stop */
    then_whole_row(STOPS, 0, "A\tAlpha\n");
}

static void trip_opened__with_one_point__cannot_be_applied_and_changes_nothing(void **unused)
{
    struct trip_opened opened = { .meta = META(1), .points_count = 1, .sections_count = 1 };
    bt_fact fact = { .stream = BT_STR("t1"), .event = { &trip_opened_message, &opened } };
    bt_err err = { 0 };
    assert_false(bt_model_handler(&trips_model, &trip_opened_message)->fold(&fact, changes, &err));
    assert_int_equal(err.kind, BT_ERR_INPUT);
    assert_int_equal(bt_changes_row_count(changes, TRIPS), 0);
}

static void seats_held__makes_a_hold(void **unused)
{
    GIVEN(seats_held, META(2), h1, 0, 2, two_places, 2, BT_STR("c1"), T0 + SECONDS(600));
    then_whole_row(HOLDS, 0, "a1000000000000000000000000000000\tt1\tc1\t0\t2\t{0,1,1,-1}\theld\t2026-11-18T11:06:42Z\t2026-11-18T11:16:40Z\t2\n");
    assert_int_equal(bt_changes_row_count(changes, BOOKINGS), 0);
}

static void hold_extended__sets_its_end_and_version_alone(void **unused)
{
    GIVEN(hold_extended, META(3), h1, T0 + SECONDS(900));
    then_sets(HOLDS, 0, "expires_at version");
}

static void hold_released_and_expired__end_the_hold(void **unused)
{
    GIVEN(hold_released, META(3), h1, 0, 2, two_places, 2);
    then_sets(HOLDS, 0, "status version");
    assert_str(bt_changes_row_at(changes, HOLDS, 0)->values[6].text, "released");
    GIVEN(hold_expired, META(4), h1, 0, 2, two_places, 2);
    assert_str(bt_changes_row_at(changes, HOLDS, 0)->values[6].text, "expired");
    assert_int_equal(bt_changes_row_count(changes, HOLDS), 1);
}

static void hold_confirmed__makes_a_whole_booking_and_ends_the_hold(void **unused)
{
    GIVEN(hold_confirmed, META(3), h1, 0, 2, two_places, 2, BT_STR("c1"));
    then_whole_row(BOOKINGS, 0, "a1000000000000000000000000000000\tt1\tc1\t0\t2\t{0,1,1,-1}\tconfirmed\t2026-11-18T11:06:43Z\t2026-11-18T11:06:43Z\t3\n");
    then_sets(HOLDS, 0, "status version");
}

static void booking__changed_and_cancelled_in_one_batch__is_one_whole_row(void **unused)
{
    GIVEN(hold_confirmed, META(3), h1, 0, 2, two_places, 2, BT_STR("c1"));
    GIVEN(booking_changed, META(4), h1, 0, 2, two_places, 2, 1, 2, one_place, 1, BT_STR("c1"));
    GIVEN(booking_cancelled, META(5), h1, 1, 2, one_place, 1, BT_STR("c1"));
    then_whole_row(BOOKINGS, 0, "a1000000000000000000000000000000\tt1\tc1\t1\t2\t{0,2}\tcancelled\t2026-11-18T11:06:43Z\t2026-11-18T11:06:45Z\t5\n");
}

static void booking__changed_in_a_later_batch__keeps_when_it_was_booked(void **unused)
{
    GIVEN(booking_changed, META(4), h1, 0, 2, two_places, 2, 1, 2, one_place, 1, BT_STR("c1"));
    then_sets(BOOKINGS, 0, "from_index to_index places changed_at version");
}

static void sale_closed_then_trip_cancelled__set_status_and_reason(void **unused)
{
    GIVEN(sale_closed, META(6));
    then_sets(TRIPS, 0, "status version");
    GIVEN(cancelled, META(7), BT_STR("snow"));
    then_sets(TRIPS, 0, "status reason version");
    assert_str(bt_changes_row_at(changes, TRIPS, 0)->values[3].text, "cancelled");
}

static void model__has_a_handler_for_every_event_of_a_trip(void **unused)
{
    for (size_t i = 0; i < TRIP_EVENT_COUNT; i++)
        assert_non_null(bt_model_handler(&trips_model, trip_events[i]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trip_opened__makes_the_trip_its_points_and_its_stops),
        TEST(trip_opened__with_one_point__cannot_be_applied_and_changes_nothing),
        TEST(seats_held__makes_a_hold),
        TEST(hold_extended__sets_its_end_and_version_alone),
        TEST(hold_released_and_expired__end_the_hold),
        TEST(hold_confirmed__makes_a_whole_booking_and_ends_the_hold),
        TEST(booking__changed_and_cancelled_in_one_batch__is_one_whole_row),
        TEST(booking__changed_in_a_later_batch__keeps_when_it_was_booked),
        TEST(sale_closed_then_trip_cancelled__set_status_and_reason),
        TEST(model__has_a_handler_for_every_event_of_a_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
