/* hold - who gets which seat, and why not. */
#include "tests/unit/commands/trip/dsl.h"

#include <stdio.h>

static void hold__of_a_named_seat__holds_it_for_ten_minutes(void **unused)
{
    GIVEN(OPENED());
    WHEN(HOLD(.hold = "h1", .from = "B", .to = "C", .seats = "car/3", .at = AT(8, 0)));
    THEN(HELD(.hold = "h1", .from = "B", .to = "C", .seats = "car/3", .expires = AT(8, 10)));
}

static void hold__is_answered_with_seats_stretch_and_end(void **unused)
{
    GIVEN(OPENED());
    WHEN(HOLD(.hold = "h1", .from = "B", .to = "D", .seats = "car/3", .customer = "c-7", .at = AT(8, 0)));
    THEN_ANSWERED("\"hold\":\"68310000000000000000000000000000\",\"trip\":\"T1\",\"status\":\"held\",\"from\":\"B\",\"to\":\"D\","
                  "\"departs_at\":\"2030-01-01T11:00:00Z\",\"arrives_at\":\"2030-01-01T12:55:00Z\",\"seats\":[{\"section\":\"car\",\"seat\":\"3\"}],"
                  "\"customer\":\"c-7\",\"expires_at\":\"2030-01-01T08:10:00Z\"");
}

static void hold__from_where_another_alights__shares_the_seat(void **unused)
{
    GIVEN(OPENED(), HELD(.hold = "h1", .from = "A", .to = "B", .seats = "car/1"),
        HELD(.hold = "h2", .from = "C", .to = "D", .seats = "car/1"));
    WHEN(HOLD(.hold = "h3", .from = "B", .to = "C", .seats = "car/1"));
    THEN(HELD(.hold = "h3", .from = "B", .to = "C", .seats = "car/1"));
}

static void hold__when_one_of_the_seats_is_taken__refuses_all_and_names_it(void **unused)
{
    GIVEN(OPENED(), HELD(.hold = "h1", .from = "B", .to = "C", .seats = "car/2"));
    WHEN(HOLD(.from = "A", .to = "D", .seats = "car/1 car/2 car/3"));
    THEN_REFUSED(TRIP_SEAT_TAKEN, "/seats/1");
    THEN_DETAIL("seat 2 of car is taken on this stretch");
    THEN_MEMBERS("\"taken\":[{\"section\":\"car\",\"seat\":\"2\"}],\"free\":9");
}

/* A defect read in train-ticket: it looked at one of a seat's tickets only. */
static void hold__of_a_seat_with_several_bookings__looks_at_all_of_them(void **unused)
{
    GIVEN(OPENED(.stops = "A B C D E F G"), HELD(.hold = "h1", .from = "A", .to = "B"), HELD(.hold = "h2", .from = "D", .to = "E"),
        CONFIRMED(.hold = "h2", .from = "D", .to = "E"),
        HELD(.hold = "h3", .from = "F", .to = "G"));
    WHEN(HOLD(.from = "B", .to = "D", .seats = "car/1"));
    THEN(HELD(.hold = "new", .from = "B", .to = "D", .seats = "car/1"));
    WHEN(HOLD(.hold = "x", .from = "C", .to = "D", .seats = "car/1"));
    THEN_REFUSED(TRIP_SEAT_TAKEN, "/seats/0");
    WHEN(HOLD(.hold = "x", .from = "D", .to = "F", .seats = "car/1"));
    THEN_REFUSED(TRIP_SEAT_TAKEN, "/seats/0");
    WHEN(HOLD(.hold = "x", .from = "E", .to = "F", .seats = "car/1"));
    THEN(HELD(.hold = "x", .from = "E", .to = "F", .seats = "car/1"));
}

static void hold__by_count__chooses_the_seat_whose_gap_is_the_tightest(void **unused)
{
    /* Free around B-C: seat 1 all, seat 2 from A to C, seat 3 just B-C. */
    GIVEN(OPENED(.sections = "car second: 1 2 3"), HELD(.hold = "h2", .from = "C", .to = "D", .seats = "car/2 car/3"),
        HELD(.hold = "h3", .from = "A", .to = "B", .seats = "car/3"));
    WHEN(HOLD(.from = "B", .to = "C", .count = 1));
    THEN(HELD(.hold = "new", .from = "B", .to = "C", .seats = "car/3"));
    WHEN(HOLD(.hold = "n2", .from = "B", .to = "C", .count = 1));
    THEN(HELD(.hold = "n2", .from = "B", .to = "C", .seats = "car/2"));
    WHEN(HOLD(.hold = "n3", .from = "B", .to = "C", .count = 1));
    THEN(HELD(.hold = "n3", .from = "B", .to = "C", .seats = "car/1"));
}

static void hold__by_count__takes_the_first_of_equals(void **unused)
{
    GIVEN(OPENED(.sections = "front second: 1 2; back second: 1 2"));
    WHEN(HOLD(.count = 1));
    THEN(HELD(.hold = "new", .seats = "front/1"));
}

static void hold__by_class__stays_in_it(void **unused)
{
    GIVEN(OPENED(.sections = "car second: 1 2; lounge first: 1; tail second: 3"), HELD(.seats = "car/1 car/2 tail/3"));
    WHEN(HOLD(.class = "first", .count = 1));
    THEN(HELD(.hold = "new", .seats = "lounge/1"));
    WHEN(HOLD(.hold = "x", .class = "second", .count = 1));
    THEN_REFUSED(TRIP_SOLD_OUT, "");
    THEN_MEMBERS("\"free\":0");
    WHEN(HOLD(.hold = "x", .class = "third", .count = 1));
    THEN_REFUSED(TRIP_UNKNOWN_CLASS, "/class");
    WHEN(HOLD(.hold = "x", .class = "second", .seats = "lounge/1"));
    THEN_REFUSED(TRIP_OTHER_CLASS, "/seats/0");
}

/* A defect read in a 12306 clone: counters said "sold out" while a seat was free. */
static void hold__of_the_last_free_gap__is_accepted_and_the_next_is_told_sold_out(void **unused)
{
    GIVEN(OPENED(.sections = "car second: 1 2"), HELD(.hold = "h1", .from = "A", .to = "C", .seats = "car/1"),
        HELD(.hold = "h2", .from = "B", .to = "D", .seats = "car/2"));
    WHEN(HOLD(.from = "A", .to = "B", .count = 1));
    THEN(HELD(.hold = "new", .from = "A", .to = "B", .seats = "car/2"));
    WHEN(HOLD(.hold = "n2", .from = "C", .to = "D", .count = 2));
    THEN_REFUSED(TRIP_SOLD_OUT, "");
    THEN_DETAIL("1 free on this stretch, 2 asked for");
    THEN_MEMBERS("\"free\":1");
    WHEN(HOLD(.hold = "n2", .from = "C", .to = "D", .count = 1));
    THEN(HELD(.hold = "n2", .from = "C", .to = "D", .seats = "car/1"));
    WHEN(HOLD(.hold = "n3", .from = "A", .to = "D", .count = 1));
    THEN_REFUSED(TRIP_SOLD_OUT, "");
    THEN_MEMBERS("\"free\":0");
}

static void hold__together__finds_a_run_of_neighbours(void **unused)
{
    GIVEN(OPENED(.sections = "car second: 1 2 | 3 4 5"), HELD(.seats = "car/4"));
    WHEN(HOLD(.count = 2, .adjacent = ADJACENT));
    THEN(HELD(.hold = "new", .seats = "car/1 car/2"));
}

static void hold__together__does_not_reach_across_aisle_section_or_blocked_seat(void **unused)
{
    GIVEN(OPENED(.sections = "car second: 1 | 2 *3 4; tail second: 5 6"), HELD(.seats = "tail/6"));
    WHEN(HOLD(.count = 2, .adjacent = ADJACENT));
    THEN_REFUSED(TRIP_NOT_ADJACENT, "");
    THEN_DETAIL("4 free on this stretch, but at most 1 next to each other");
    THEN_MEMBERS("\"free\":4");
}

static void hold__together__of_more_than_are_free__is_told_sold_out(void **unused)
{
    GIVEN(OPENED(.sections = "car second: 1 2 3"));
    WHEN(HOLD(.count = 4, .adjacent = ADJACENT));
    THEN_REFUSED(TRIP_SOLD_OUT, "");
    THEN_MEMBERS("\"free\":3");
}

static void hold__together_if_possible__is_the_usual_wish(void **unused)
{
    /* 1 and 3 fit better, but 4 and 5 are together. */
    GIVEN(OPENED(.sections = "car second: 1 2 3 | 4 5"), HELD(.hold = "h1", .from = "A", .to = "B", .seats = "car/1 car/3"),
        HELD(.hold = "h2", .seats = "car/2"));
    WHEN(HOLD(.from = "B", .to = "D", .count = 2));
    THEN(HELD(.hold = "new", .from = "B", .to = "D", .seats = "car/4 car/5"));
    WHEN(HOLD(.hold = "n2", .from = "B", .to = "D", .count = 2));
    THEN(HELD(.hold = "n2", .from = "B", .to = "D", .seats = "car/1 car/3"));
}

static void hold__apart_allowed__takes_the_tightest(void **unused)
{
    GIVEN(OPENED(.sections = "car second: 1 2 3 | 4 5"), HELD(.hold = "h1", .from = "A", .to = "B", .seats = "car/1 car/3"),
        HELD(.hold = "h2", .seats = "car/2"));
    WHEN(HOLD(.from = "B", .to = "D", .count = 2, .adjacent = NOT_NEEDED_ADJACENT));
    THEN(HELD(.hold = "new", .from = "B", .to = "D", .seats = "car/1 car/3"));
}

static void hold__of_named_seats_together__checks_that_they_are(void **unused)
{
    GIVEN(OPENED(.sections = "car second: 1 2 | 3"));
    WHEN(HOLD(.seats = "car/2 car/3", .adjacent = ADJACENT));
    THEN_REFUSED(TRIP_SEATS_APART, "/adjacent");
    WHEN(HOLD(.seats = "car/2 car/1", .adjacent = ADJACENT));
    THEN(HELD(.hold = "new", .seats = "car/1 car/2"));
}

static void hold__of_a_blocked_seat__is_refused_and_best_fit_never_takes_it(void **unused)
{
    GIVEN(OPENED(.sections = "car second: *1 2"));
    WHEN(HOLD(.seats = "car/1"));
    THEN_REFUSED(TRIP_SEAT_BLOCKED, "/seats/0");
    WHEN(HOLD(.count = 2));
    THEN_REFUSED(TRIP_SOLD_OUT, "");
    THEN_MEMBERS("\"free\":1");
    WHEN(HOLD(.count = 1));
    THEN(HELD(.hold = "new", .seats = "car/2"));
}

static void hold__in_a_section_of_plain_capacity__counts_each_segment(void **unused)
{
    GIVEN(OPENED(.sections = "bikes bike: #3"), HELD(.hold = "h1", .from = "A", .to = "B", .seats = "bikes/- bikes/-"),
        HELD(.hold = "h2", .from = "B", .to = "C", .seats = "bikes/-"));
    WHEN(HOLD(.from = "A", .to = "C", .count = 2));
    THEN_REFUSED(TRIP_SOLD_OUT, "");
    THEN_MEMBERS("\"free\":1");
    WHEN(HOLD(.from = "B", .to = "D", .count = 2));
    THEN(HELD(.hold = "new", .from = "B", .to = "D", .seats = "bikes/- bikes/-"));
    THEN_ANSWERED("\"hold\":\"6e657700000000000000000000000000\",\"trip\":\"T1\",\"status\":\"held\",\"from\":\"B\",\"to\":\"D\","
                  "\"departs_at\":\"2030-01-01T11:00:00Z\",\"arrives_at\":\"2030-01-01T12:55:00Z\",\"seats\":[{\"section\":\"bikes\",\"seat\":null},"
                  "{\"section\":\"bikes\",\"seat\":null}],\"customer\":\"c-1\",\"expires_at\":\"2030-01-01T00:10:00Z\"");
}

static void hold__over_seats_and_plain_capacity__takes_seats_first(void **unused)
{
    GIVEN(OPENED(.sections = "standing second: #5; car second: 1 2"));
    WHEN(HOLD(.count = 3));
    THEN(HELD(.hold = "new", .seats = "standing/- car/1 car/2"));
    WHEN(HOLD(.hold = "n2", .count = 2, .adjacent = ADJACENT));
    THEN_REFUSED(TRIP_NOT_ADJACENT, "");
    WHEN(HOLD(.hold = "n2", .count = 4));
    THEN(HELD(.hold = "n2", .seats = "standing/- standing/- standing/- standing/-"));
    WHEN(HOLD(.hold = "n3", .count = 1));
    THEN_REFUSED(TRIP_SOLD_OUT, "");
}

static void hold__of_a_place_without_number_by_name__is_refused(void **unused)
{
    GIVEN(OPENED(.sections = "bikes bike: #3"));
    WHEN(HOLD(.seats = "bikes/1"));
    THEN_REFUSED(TRIP_UNKNOWN_SEAT, "/seats/0/seat");
}

static void hold__with_a_wrong_stop__names_the_field(void **unused)
{
    GIVEN(OPENED(.stops = "A B!board C!alight D"));
    WHEN(HOLD(.from = "X", .count = 1));
    THEN_REFUSED(TRIP_UNKNOWN_STOP, "/from");
    WHEN(HOLD(.to = "X", .count = 1));
    THEN_REFUSED(TRIP_UNKNOWN_STOP, "/to");
    WHEN(HOLD(.from = "C", .to = "B", .count = 1));
    THEN_REFUSED(TRIP_STOPS_REVERSED, "/to");
    WHEN(HOLD(.from = "B", .to = "B", .count = 1));
    THEN_REFUSED(TRIP_STOPS_REVERSED, "/to");
    WHEN(HOLD(.from = "B", .to = "D", .count = 1));
    THEN_REFUSED(TRIP_NO_BOARDING, "/from");
    WHEN(HOLD(.from = "A", .to = "C", .count = 1));
    THEN_REFUSED(TRIP_NO_BOARDING, "/to");
    WHEN(HOLD(.from = "A", .to = "B", .count = 1));
    THEN(HELD(.hold = "new", .from = "A", .to = "B", .seats = "car/1"));
}

static void hold__at_a_stop_that_is_visited_twice__must_say_which(void **unused)
{
    GIVEN(OPENED(.stops = "A B@1 C B@3 D"));
    WHEN(HOLD(.from = "A", .to = "B", .count = 1));
    THEN_REFUSED(TRIP_UNKNOWN_STOP, "/to");
    THEN_DETAIL("the trip calls at B more than once: say which, as B@index");
    WHEN(HOLD(.from = "B@1", .to = "B@3", .count = 1));
    THEN(HELD(.hold = "new", .from = "B@1", .to = "B@3", .seats = "car/1"));
}

static void hold__with_wrong_numbers__names_the_field(void **unused)
{
    GIVEN(OPENED());
    WHEN(HOLD());
    THEN_REFUSED(TRIP_COUNT_OR_SEATS, "/count");
    WHEN(HOLD(.count = 1, .seats = "car/1"));
    THEN_REFUSED(TRIP_COUNT_OR_SEATS, "/seats");
    WHEN(HOLD(.zero_count = true));
    THEN_REFUSED(TRIP_BAD_COUNT, "/count");
    WHEN(HOLD(.count = -1));
    THEN_REFUSED(TRIP_BAD_COUNT, "/count");
    WHEN(HOLD(.count = 10));
    THEN_REFUSED(TRIP_BAD_COUNT, "/count");
    WHEN(HOLD(.count = INT32_MAX));
    THEN_REFUSED(TRIP_BAD_COUNT, "/count");
    WHEN(HOLD(.seats = ""));
    THEN_REFUSED(TRIP_BAD_COUNT, "/seats");
    WHEN(HOLD(.seats = "car/1 car/2 car/3 car/4 car/5 car/6 car/7 car/8 car/9 car/10"));
    THEN_REFUSED(TRIP_BAD_COUNT, "/seats");
    WHEN(HOLD(.count = 1, .zero_ttl = true));
    THEN_REFUSED(TRIP_BAD_TTL, "/ttl_seconds");
    WHEN(HOLD(.count = 1, .ttl_s = 3601));
    THEN_REFUSED(TRIP_BAD_TTL, "/ttl_seconds");
    WHEN(HOLD(.count = 1, .ttl_s = -5));
    THEN_REFUSED(TRIP_BAD_TTL, "/ttl_seconds");
    WHEN(HOLD(.count = 1, .customer = "Ada Lovelace"));
    THEN_REFUSED(TRIP_BAD_NAME, "/customer");
    WHEN(HOLD(.count = 9, .ttl_s = 3600));
    THEN(HELD(.hold = "new", .seats = "car/1 car/2 car/3 car/4 car/5 car/6 car/7 car/8 car/9", .expires = AT(1, 0)));
}

static void hold__of_unknown_or_repeated_seats__names_which(void **unused)
{
    GIVEN(OPENED());
    WHEN(HOLD(.seats = "car/1 van/2"));
    THEN_REFUSED(TRIP_UNKNOWN_SECTION, "/seats/1/section");
    WHEN(HOLD(.seats = "car/1 car/99"));
    THEN_REFUSED(TRIP_UNKNOWN_SEAT, "/seats/1/seat");
    WHEN(HOLD(.seats = "car/1 car/2 car/1"));
    THEN_REFUSED(TRIP_DUPLICATE_SEAT, "/seats/2");
}

static void hold__of_the_same_label_in_two_sections__is_two_seats(void **unused)
{
    GIVEN(OPENED(.sections = "front second: 1 2; back second: 1 2"));
    WHEN(HOLD(.seats = "back/1 front/1"));
    THEN(HELD(.hold = "new", .seats = "front/1 back/1"));
}

static void hold__of_an_unknown_trip__is_refused(void **unused)
{
    WHEN(HOLD(.count = 1));
    THEN_REFUSED(TRIP_UNKNOWN_TRIP, "");
}

static void hold__with_a_longer_limit_in_the_settings__may_take_more(void **unused)
{
    the_settings()->places_max = 10;
    the_settings()->ttl_default_s = 30;
    GIVEN(OPENED());
    WHEN(HOLD(.count = 10));
    THEN(HELD(.hold = "new", .seats = "car/1 car/2 car/3 car/4 car/5 car/6 car/7 car/8 car/9 car/10", .expires = 30));
}

static void hold__shortly_before_departure__ends_with_it(void **unused)
{
    GIVEN(OPENED());
    WHEN(HOLD(.count = 1, .from = "A", .at = AT(9, 55)));
    THEN(HELD(.hold = "new", .seats = "car/1", .expires = AT(10, 0)));
}

static void hold__after_departure_from_its_stop__is_refused_but_not_from_a_later_one(void **unused)
{
    GIVEN(OPENED());
    WHEN(HOLD(.count = 1, .from = "A", .at = AT(10, 0)));
    THEN_REFUSED(TRIP_DEPARTED, "/from");
    WHEN(HOLD(.count = 1, .from = "B"));
    THEN(HELD(.hold = "new", .from = "B", .seats = "car/1"));
}

/* A defect read in a 12306 clone: a retry after success bought again. */
static void hold__again_with_a_key_that_is_no_longer_remembered__finds_its_hold(void **unused)
{
    GIVEN(OPENED(), HELD(.hold = "h1", .seats = "car/4", .expires = AT(0, 10)));
    WHEN(HOLD(.hold = "h1", .count = 1, .at = AT(0, 5)));
    THEN_ALREADY(HELD(.hold = "h1", .seats = "car/4", .expires = AT(0, 10)));
    WHEN(HOLD(.hold = "h1", .count = 1, .at = AT(0, 10)));
    THEN_REFUSED(TRIP_HOLD_EXISTS, "");
    GIVEN(CONFIRMED(.seats = "car/4", .at = AT(0, 5)));
    WHEN(HOLD(.hold = "h1", .count = 1));
    THEN_REFUSED(TRIP_HOLD_CONFIRMED, "");
}

static void hold__over_all_segments_of_the_longest_trip__takes_each(void **unused)
{
    char stops[64 * 4 + 1] = "";
    for (int i = 0; i < 64; i++)
        sprintf(stops + strlen(stops), "S%d ", i);
    GIVEN(OPENED(.stops = stops, .stop_every_s = 600, .sections = "car second: 1 2"),
        HELD(.hold = "h1", .from = "S62", .to = "S63", .seats = "car/1"),
        HELD(.hold = "h2", .from = "S0", .to = "S1", .seats = "car/1"));
    WHEN(HOLD(.from = "S0", .to = "S63", .count = 1));
    THEN(HELD(.hold = "new", .from = "S0", .to = "S63", .seats = "car/2"));
    WHEN(HOLD(.hold = "n2", .from = "S1", .to = "S62", .count = 1));
    THEN(HELD(.hold = "n2", .from = "S1", .to = "S62", .seats = "car/1"));
    WHEN(HOLD(.hold = "n3", .from = "S31", .to = "S32", .count = 1));
    THEN_REFUSED(TRIP_SOLD_OUT, "");
}

static void hold__on_a_concert_of_one_segment__is_a_trip_too(void **unused)
{
    GIVEN(OPENED(.stops = "doors end", .sections = "stalls gold: 1 2; standing silver: #1000000"));
    WHEN(HOLD(.from = "doors", .to = "end", .class = "silver", .count = 2));
    THEN(HELD(.hold = "new", .from = "doors", .to = "end", .seats = "standing/- standing/-"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(hold__of_a_named_seat__holds_it_for_ten_minutes),
        SCENARIO(hold__is_answered_with_seats_stretch_and_end),
        SCENARIO(hold__from_where_another_alights__shares_the_seat),
        SCENARIO(hold__when_one_of_the_seats_is_taken__refuses_all_and_names_it),
        SCENARIO(hold__of_a_seat_with_several_bookings__looks_at_all_of_them),
        SCENARIO(hold__by_count__chooses_the_seat_whose_gap_is_the_tightest),
        SCENARIO(hold__by_count__takes_the_first_of_equals),
        SCENARIO(hold__by_class__stays_in_it),
        SCENARIO(hold__of_the_last_free_gap__is_accepted_and_the_next_is_told_sold_out),
        SCENARIO(hold__together__finds_a_run_of_neighbours),
        SCENARIO(hold__together__does_not_reach_across_aisle_section_or_blocked_seat),
        SCENARIO(hold__together__of_more_than_are_free__is_told_sold_out),
        SCENARIO(hold__together_if_possible__is_the_usual_wish),
        SCENARIO(hold__apart_allowed__takes_the_tightest),
        SCENARIO(hold__of_named_seats_together__checks_that_they_are),
        SCENARIO(hold__of_a_blocked_seat__is_refused_and_best_fit_never_takes_it),
        SCENARIO(hold__in_a_section_of_plain_capacity__counts_each_segment),
        SCENARIO(hold__over_seats_and_plain_capacity__takes_seats_first),
        SCENARIO(hold__of_a_place_without_number_by_name__is_refused),
        SCENARIO(hold__with_a_wrong_stop__names_the_field),
        SCENARIO(hold__at_a_stop_that_is_visited_twice__must_say_which),
        SCENARIO(hold__with_wrong_numbers__names_the_field),
        SCENARIO(hold__of_unknown_or_repeated_seats__names_which),
        SCENARIO(hold__of_the_same_label_in_two_sections__is_two_seats),
        SCENARIO(hold__of_an_unknown_trip__is_refused),
        SCENARIO(hold__with_a_longer_limit_in_the_settings__may_take_more),
        SCENARIO(hold__shortly_before_departure__ends_with_it),
        SCENARIO(hold__after_departure_from_its_stop__is_refused_but_not_from_a_later_one),
        SCENARIO(hold__again_with_a_key_that_is_no_longer_remembered__finds_its_hold),
        SCENARIO(hold__over_all_segments_of_the_longest_trip__takes_each),
        SCENARIO(hold__on_a_concert_of_one_segment__is_a_trip_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
