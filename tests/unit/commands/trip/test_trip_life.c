/* trip_life - the sale is closed, the trip is cancelled, or over; and events that contradict it are never folded. */
#include "tests/unit/commands/trip/dsl.h"

static void close__ends_the_sale_but_keeps_promises(void **unused)
{
    GIVEN(OPENED(), HELD(.hold = "h1", .expires = AT(8, 10)), HELD(.hold = "h2", .seats = "car/2", .expires = AT(8, 10)),
        HELD(.hold = "b", .seats = "car/3"),
        CONFIRMED(.hold = "b", .seats = "car/3"));
    WHEN(CLOSE_SALE(.at = AT(8, 0)));
    THEN(SALE_CLOSED());
    THEN_ANSWERED("\"trip\":\"T1\",\"status\":\"closed\"");
    WHEN(HOLD(.count = 1));
    THEN_REFUSED(TRIP_SALE_CLOSED, "");
    WHEN(EXTEND(.hold = "h1", .ttl_s = 1200));
    THEN_REFUSED(TRIP_SALE_CLOSED, "");
    WHEN(CONFIRM(.hold = "h1"));
    THEN(CONFIRMED(.hold = "h1"));
    WHEN(RELEASE(.hold = "h2"));
    THEN(RELEASED(.hold = "h2", .seats = "car/2"));
    WHEN(CHANGE(.hold = "b", .seats = "car/4"));
    THEN(CHANGED(.hold = "b", .old_seats = "car/3", .seats = "car/4"));
    WHEN(CANCEL_BOOKING(.hold = "b"));
    THEN(BOOKING_CANCELLED(.hold = "b", .seats = "car/4"));
}

static void close__again__is_already_so(void **unused)
{
    GIVEN(OPENED(), SALE_CLOSED());
    WHEN(CLOSE_SALE());
    THEN_ALREADY(SALE_CLOSED());
}

static void cancel__of_the_trip__ends_every_hold_and_booking(void **unused)
{
    GIVEN(OPENED(), HELD(), HELD(.hold = "h2", .seats = "car/2"), CONFIRMED(.hold = "h2", .seats = "car/2"));
    WHEN(CANCEL_TRIP(.reason = "storm"));
    THEN(CANCELLED(.reason = "storm"));
    THEN_ANSWERED("\"trip\":\"T1\",\"status\":\"cancelled\",\"reason\":\"storm\"");
    WHEN(CONFIRM());
    THEN_REFUSED(TRIP_WAS_CANCELLED, "");
    THEN_DETAIL("the trip was cancelled: storm");
    WHEN(HOLD(.count = 1));
    THEN_REFUSED(TRIP_WAS_CANCELLED, "");
    WHEN(CHANGE(.hold = "h2", .seats = "car/3"));
    THEN_REFUSED(TRIP_WAS_CANCELLED, "");
    WHEN(CANCEL_BOOKING(.hold = "h2"));
    THEN_REFUSED(TRIP_WAS_CANCELLED, "");
    WHEN(CLOSE_SALE());
    THEN_REFUSED(TRIP_WAS_CANCELLED, "");
    WHEN(DUE(.at = AT(9, 59)));
    THEN_NOTHING();
}

static void cancel__of_a_cancelled_trip__tells_the_first_reason(void **unused)
{
    GIVEN(OPENED(), SALE_CLOSED(), CANCELLED(.reason = "storm"));
    WHEN(CANCEL_TRIP(.reason = "second thoughts"));
    THEN_ALREADY(CANCELLED(.reason = "storm"));
}

static void cancel__with_a_reason_of_a_novel__is_refused(void **unused)
{
    char reason[202];
    memset(reason, 'x', 201);
    reason[201] = 0;
    GIVEN(OPENED());
    WHEN(CANCEL_TRIP(.reason = reason));
    THEN_REFUSED(TRIP_BAD_NAME, "/reason");
}

static void commands__after_the_last_arrival__are_told_that_the_trip_has_ended(void **unused)
{
    const step all[] = { HOLD(.count = 1), EXTEND(), CONFIRM(), RELEASE(), CHANGE(.hold = "b"), CANCEL_BOOKING(.hold = "b"), CLOSE_SALE(),
        CANCEL_TRIP() };
    GIVEN(OPENED(), HELD(), HELD(.hold = "b", .seats = "car/2"), CONFIRMED(.hold = "b", .seats = "car/2"));
    for (size_t i = 0; i < BT_COUNT_OF(all); i++) {
        step late = all[i];
        late.at = AT(12, 55);
        WHEN(late);
        THEN_REFUSED(TRIP_ENDED, "");
    }
    assert_int_equal(trip_decider.ends_at(the_trip()), time_of(AT(12, 55) + HOURS(24)));
    assert_int_equal(trip_decider.ended_verdict, TRIP_ENDED);
}

static void commands__with_if_match__are_held_against_the_version(void **unused)
{
    GIVEN(OPENED(), HELD());
    WHEN(CONFIRM(.if_match = 1));
    THEN_REFUSED(TRIP_VERSION_DIFFERS, "");
    THEN_DETAIL("the trip is at version 2");
    WHEN(CONFIRM(.if_match = 2));
    THEN(CONFIRMED());
    assert_int_equal(trip_decider.version(the_trip()), 3);
}

static void commands__for_an_unknown_trip__are_refused(void **unused)
{
    const step all[] = { HOLD(.count = 1), EXTEND(), CONFIRM(), RELEASE(), CHANGE(), CANCEL_BOOKING(), CLOSE_SALE(), CANCEL_TRIP() };
    for (size_t i = 0; i < BT_COUNT_OF(all); i++) {
        WHEN(all[i]);
        THEN_REFUSED(TRIP_UNKNOWN_TRIP, "");
    }
    WHEN(DUE());
    THEN_NOTHING();
    assert_true(trip_decider.ends_at(the_trip()) == INT64_MAX);
}

static void events__that_contradict_the_trip__are_not_folded(void **unused)
{
    CONTRADICTION(SALE_CLOSED());
    GIVEN(OPENED(.sections = "car second: 1 2 *3 | 4; bikes bike: #2"), HELD(), CONFIRMED(),
        HELD(.hold = "h2", .seats = "car/2", .expires = AT(8, 0)));
    const step wrong[] = {
        OPENED(),
        HELD(.hold = "x", .from = "B", .to = "C", .seats = "car/1"), /* a double booking */
        HELD(.hold = "x", .seats = "car/2"),
        HELD(.hold = "x", .seats = "car/3"), /* blocked */
        HELD(.hold = "x", .seats = "car/99"),
        HELD(.hold = "x", .seats = "van/1"),
        HELD(.hold = "x", .seats = "car/-"),
        HELD(.hold = "x", .seats = "bikes/1"),
        HELD(.hold = "x", .seats = "car/4 car/4"),
        HELD(.hold = "x", .seats = "bikes/- car/4"),
        HELD(.hold = "x", .seats = "bikes/- bikes/- bikes/-"), /* one too many */
        HELD(.hold = "x", .seats = ""),
        HELD(.hold = "x", .from = "B", .to = "B", .seats = "car/4"),
        HELD(.hold = "x", .from = "C", .to = "B", .seats = "car/4"),
        HELD(.hold = "x", .to = "nowhere", .seats = "car/4"),
        HELD(.hold = "h1", .seats = "car/4"), /* an id that is there */
        CONFIRMED(),
        CONFIRMED(.hold = "none"),
        CONFIRMED(.hold = "h2", .seats = "car/4"),
        CONFIRMED(.hold = "h2", .from = "B", .seats = "car/2"),
        RELEASED(),
        RELEASED(.hold = "h2", .seats = "car/2 car/4"),
        EXPIRED(),
        EXTENDED(),
        EXTENDED(.hold = "h2", .expires = AT(7, 0)),
        BOOKING_CANCELLED(.hold = "h2", .seats = "car/2"),
        BOOKING_CANCELLED(.to = "C"),
        CHANGED(.seats = "car/2"),
        CHANGED(.old_seats = "car/4", .seats = "car/1"),
        CHANGED(.seats = "car/3"),
        CHANGED(.seats = "car/1 car/4"),
        CHANGED(.hold = "h2", .old_seats = "car/2", .seats = "car/4"),
    };
    for (size_t i = 0; i < BT_COUNT_OF(wrong); i++)
        CONTRADICTION(wrong[i]);
    GIVEN(SALE_CLOSED());
    CONTRADICTION(SALE_CLOSED());
    CONTRADICTION(HELD(.hold = "x", .seats = "car/4"));
    GIVEN(CANCELLED());
    CONTRADICTION(CANCELLED());
    CONTRADICTION(CONFIRMED(.hold = "h2", .seats = "car/2"));
}

static void events__of_another_version__are_not_folded(void **unused)
{
    GIVEN(OPENED());
    bt_event event = event_of(HELD());
    bt_err err = { 0 };
    bt_event_meta(event)->version = 3;
    assert_false(trip_decider.evolve(the_trip(), event, NULL, &err));
    assert_int_equal(err.kind, BT_ERR_FATAL);
    assert_string_equal(err.message, "SeatsHeld has version 3 where the trip expects 2");
}

static void openings__that_break_a_limit__are_not_folded(void **unused)
{
    CONTRADICTION(OPENED(.stops = "A"));
    CONTRADICTION(OPENED(.stops = "A B A"));
    CONTRADICTION(OPENED(.stop_every_s = 60));
    CONTRADICTION(OPENED(.sections = ""));
    CONTRADICTION(OPENED(.sections = "car second: 1 1"));
    CONTRADICTION(OPENED(.sections = "car second: 1; car first: 1"));
    CONTRADICTION(OPENED(.sections = "car second: 1 #5"));
    CONTRADICTION(OPENED(.sections = "bikes bike: #1000001"));
    CONTRADICTION(OPENED(.sections = "bikes bike: #-1"));
    GIVEN(OPENED());
}

/* The vector of docs/state-digest.md, which a Python program there computes. */
static void digest__of_the_documented_trip__is_the_documented_one(void **unused)
{
    char hex[BT_ID_HEX_SIZE];
    GIVEN(OPENED(.stops = "A B!board C", .sections = "car second: 1 | 2 *3; bikes bike: #5"), HELD(.to = "C", .seats = "car/1 bikes/-"),
        HELD(.hold = "h2", .from = "B", .to = "C", .seats = "car/2"), RELEASED(.hold = "h2", .from = "B", .to = "C", .seats = "car/2"));
    bt_id_to_hex(digest_of(the_trip()), hex);
    assert_memory_equal(hex, "ce56b8df8a6afec156523b4eacfed1e1", sizeof hex);
}

static void verdicts__are_told_once_each(void **unused)
{
    assert_int_equal(trip_decider.verdict_count, TRIP_ENDED - BT_VERDICT_REFUSED + 1);
    for (size_t i = 0; i < trip_decider.verdict_count; i++) {
        const bt_verdict_info *info = &trip_decider.verdicts[i];
        assert_int_equal(info->verdict, BT_VERDICT_REFUSED + (int)i);
        assert_true(info->http_status == 404 || info->http_status == 409 || info->http_status == 412 || info->http_status == 422);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(info->type, trip_decider.verdicts[j].type);
    }
}

static void settings__that_cannot_hold__are_refused(void **unused)
{
    bt_err err;
    assert_true(trip_settings_check(&trip_settings_default, &err));
    assert_false(trip_settings_check(&(trip_settings){ 600, 3600, 65 }, &err));
    assert_false(trip_settings_check(&(trip_settings){ 600, 3600, 0 }, &err));
    assert_false(trip_settings_check(&(trip_settings){ 601, 600, 9 }, &err));
    assert_false(trip_settings_check(&(trip_settings){ 0, 600, 9 }, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(close__ends_the_sale_but_keeps_promises),
        SCENARIO(close__again__is_already_so),
        SCENARIO(cancel__of_the_trip__ends_every_hold_and_booking),
        SCENARIO(cancel__of_a_cancelled_trip__tells_the_first_reason),
        SCENARIO(cancel__with_a_reason_of_a_novel__is_refused),
        SCENARIO(commands__after_the_last_arrival__are_told_that_the_trip_has_ended),
        SCENARIO(commands__with_if_match__are_held_against_the_version),
        SCENARIO(commands__for_an_unknown_trip__are_refused),
        SCENARIO(events__that_contradict_the_trip__are_not_folded),
        SCENARIO(events__of_another_version__are_not_folded),
        SCENARIO(openings__that_break_a_limit__are_not_folded),
        SCENARIO(digest__of_the_documented_trip__is_the_documented_one),
        SCENARIO(verdicts__are_told_once_each),
        SCENARIO(settings__that_cannot_hold__are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
