/* open - what may be put on sale, and what of it is told back. */
#include "tests/unit/commands/trip/dsl.h"

#include <stdio.h>

static void open__puts_the_trip_on_sale_as_it_was_told(void **unused)
{
    WHEN(OPEN(.stops = "A B!board C!alight D", .sections = "car second: 1 2 | 3 *4; bikes bike: #20"));
    THEN(OPENED(.stops = "A B!board C!alight D", .sections = "car second: 1 2 | 3 *4; bikes bike: #20"));
}

static void open__is_answered_with_the_points_and_what_is_for_sale(void **unused)
{
    WHEN(OPEN(.stops = "A B", .sections = "car second: 1 2 | 3 *4; bikes bike: #20"));
    THEN_ANSWERED("\"trip\":\"T1\",\"status\":\"open\",\"name\":\"Night train\",\"timezone\":\"Europe/Rome\",\"points\":["
                  "{\"stop\":\"A\",\"arrives_at\":\"2030-01-01T09:55:00Z\",\"departs_at\":\"2030-01-01T10:00:00Z\"},"
                  "{\"stop\":\"B\",\"arrives_at\":\"2030-01-01T10:55:00Z\",\"departs_at\":\"2030-01-01T11:00:00Z\"}],"
                  "\"seats_for_sale\":3,\"places_for_sale\":20");
}

static void open__of_an_open_trip__is_refused(void **unused)
{
    GIVEN(OPENED());
    WHEN(OPEN());
    THEN_REFUSED(TRIP_EXISTS, "/trip");
    GIVEN(CANCELLED());
    WHEN(OPEN());
    THEN_REFUSED(TRIP_EXISTS, "/trip");
}

static void open__with_a_stop_visited_twice__tells_the_visits_apart(void **unused)
{
    WHEN(OPEN(.stops = "A B C B D D"));
    THEN(OPENED(.stops = "A B@1 C B@3 D@4 D@5"));
}

/* The index comes on top of the 80 bytes that an id may have; the layout and the schema have room for it. */
static void open__with_a_stop_of_80_bytes_visited_twice__has_room_for_the_index(void **unused)
{
    char id[81], given[400], made[400];
    memset(id, 'x', 80);
    id[80] = '\0';
    snprintf(given, sizeof given, "%s B %s", id, id);
    snprintf(made, sizeof made, "%s@0 B %s@2", id, id);
    WHEN(OPEN(.stops = given));
    THEN(OPENED(.stops = made));
}

static void open__with_visits_already_told_apart__keeps_them(void **unused)
{
    WHEN(OPEN(.stops = "A B@1 C B@7 D"));
    THEN(OPENED(.stops = "A B@1 C B@7 D"));
}

static void open__with_an_index_that_names_two_points__is_refused(void **unused)
{
    WHEN(OPEN(.stops = "B@2 A B B"));
    THEN_REFUSED(TRIP_BAD_POINTS, "/points/2/stop");
}

static void open__with_equal_times__is_accepted(void **unused)
{
    WHEN(OPEN(.stops = "A B C", .stop_every_s = -1));
    THEN(OPENED(.stops = "A B C", .stop_every_s = -1));
}

static void open__with_decreasing_times__names_the_field(void **unused)
{
    WHEN(OPEN(.stop_every_s = 60)); /* 5 minutes at each stop, a minute apart */
    THEN_REFUSED(TRIP_BAD_TIMES, "/points/1/arrives_at");
}

static void open__of_a_trip_of_over_a_year__is_refused(void **unused)
{
    WHEN(OPEN(.stops = "A B C", .stop_every_s = 200 * 86400));
    THEN_REFUSED(TRIP_BAD_TIMES, "/points/2/departs_at");
}

static void open__after_the_first_departure__is_refused(void **unused)
{
    WHEN(OPEN(.at = AT(10, 0)));
    THEN_REFUSED(TRIP_TIME_PAST, "/points/0/departs_at");
}

static void open__with_a_wrong_name__names_the_field(void **unused)
{
    WHEN(OPEN(.trip = "no spaces"));
    THEN_REFUSED(TRIP_BAD_NAME, "/trip");
    WHEN(OPEN(.name = ""));
    THEN_REFUSED(TRIP_BAD_NAME, "/name");
    WHEN(OPEN(.stops = "A @2 C"));
    THEN_REFUSED(TRIP_BAD_NAME, "/points/1/stop");
    WHEN(OPEN(.stops = "A B@x C"));
    THEN_REFUSED(TRIP_BAD_NAME, "/points/1/stop");
    WHEN(OPEN(.stops = "A /B C"));
    THEN_REFUSED(TRIP_BAD_NAME, "/points/1/stop");
    WHEN(OPEN(.sections = "car : 1"));
    THEN_REFUSED(TRIP_BAD_NAME, "/sections/0/class");
}

static void open__with_a_wrong_time_zone__is_refused(void **unused)
{
    static const char *const wrong[] = { "", "/Rome", "Europe//Rome", "Europe/", "Europe Rome", "../etc/passwd", "3/Rome", "+02:00" };
    for (size_t i = 0; i < BT_COUNT_OF(wrong); i++) {
        WHEN(OPEN(.timezone = wrong[i]));
        THEN_REFUSED(TRIP_BAD_TIMEZONE, "/timezone");
    }
    static const char *const right[] = { "UTC", "Etc/GMT+3", "America/Argentina/Buenos_Aires" };
    for (size_t i = 0; i < BT_COUNT_OF(right); i++) {
        WHEN(OPEN(.timezone = right[i]));
        assert_int_equal(the_decision()->verdict, BT_VERDICT_ACCEPTED);
    }
}

static void open__with_too_few_or_many_points__is_refused(void **unused)
{
    char stops[65 * 4 + 1] = "";
    WHEN(OPEN(.stops = "A"));
    THEN_REFUSED(TRIP_BAD_POINTS, "/points");
    for (int i = 0; i < 65; i++)
        sprintf(stops + strlen(stops), "S%d ", i);
    WHEN(OPEN(.stops = stops));
    THEN_REFUSED(TRIP_BAD_POINTS, "/points");
}

static void open__with_wrong_sections__names_the_field(void **unused)
{
    char sections[65 * 16 + 1] = "";
    WHEN(OPEN(.sections = ""));
    THEN_REFUSED(TRIP_BAD_SECTIONS, "/sections");
    WHEN(OPEN(.sections = "car second: 1; car first: 2"));
    THEN_REFUSED(TRIP_BAD_SECTIONS, "/sections/1/name");
    WHEN(OPEN(.sections = "car second: "));
    THEN_REFUSED(TRIP_BAD_SECTIONS, "/sections/0");
    WHEN(OPEN(.sections = "car second: 1 2 #5"));
    THEN_REFUSED(TRIP_BAD_SECTIONS, "/sections/0");
    for (int i = 0; i < 65; i++)
        sprintf(sections + strlen(sections), "s%d second: 1;", i);
    WHEN(OPEN(.sections = sections));
    THEN_REFUSED(TRIP_BAD_SECTIONS, "/sections");
}

static void open__with_wrong_seats__names_the_field(void **unused)
{
    WHEN(OPEN(.sections = "car second: 1 2 | 1"));
    THEN_REFUSED(TRIP_BAD_SEATS, "/sections/0/seats/3");
    WHEN(OPEN(.sections = "van second: 1; car second: | |"));
    THEN_REFUSED(TRIP_BAD_SEATS, "/sections/1/seats");
    WHEN(OPEN(.sections = "car second: 1 123456789012345678901"));
    THEN_REFUSED(TRIP_BAD_SEATS, "/sections/0/seats/1");
}

static void open__with_an_unknown_blocked_seat__is_refused(void **unused)
{
    WHEN(OPEN());
    struct trip_open_trip *open = (void *)order_data(OPEN(.sections = "car second: 1 *2"));
    bt_str none[] = { BT_STR("2"), BT_STR("3") };
    struct trip_section_spec section = open->sections[0];
    section.blocked = none;
    section.blocked_count = 2;
    open->sections = &section;
    bt_command command = command_of(OPEN());
    command.data = open;
    bt_decision decision;
    assert_false(trip_decider.check(&command, the_settings(), the_arena(), &decision));
    assert_int_equal(decision.verdict, TRIP_BAD_SEATS);
    assert_str(decision.field, "/sections/0/blocked/1");
}

static void open__with_a_wrong_capacity__is_refused(void **unused)
{
    WHEN(OPEN(.sections = "bikes bike: #-1"));
    THEN_REFUSED(TRIP_BAD_CAPACITY, "/sections/0/capacity");
    WHEN(OPEN(.sections = "bikes bike: #1000001"));
    THEN_REFUSED(TRIP_BAD_CAPACITY, "/sections/0/capacity");
    WHEN(OPEN(.sections = "bikes bike: #1000000"));
    THEN(OPENED(.sections = "bikes bike: #1000000", .stops = "A B C D"));
}

static const char *car_of(int seats, const char *more)
{
    static char sections[20000];
    strcpy(sections, "car second:");
    for (int i = 0; i < seats; i++)
        sprintf(sections + strlen(sections), " %d", i);
    return strcat(sections, more);
}

static void open__with_two_thousand_seats__is_the_most(void **unused)
{
    WHEN(OPEN(.sections = car_of(2000, "; van second: 1")));
    THEN_REFUSED(TRIP_BAD_SEATS, "/sections/1/seats");
    WHEN(OPEN(.sections = car_of(2000, "")));
    THEN(OPENED(.stops = "A B C D", .sections = car_of(2000, "")));
    WHEN(HOLD(.seats = "car/1999"));
    THEN(HELD(.hold = "new", .seats = "car/1999"));
    WHEN(HOLD(.hold = "n2", .count = 9));
    THEN(HELD(.hold = "n2", .seats = "car/0 car/1 car/2 car/3 car/4 car/5 car/6 car/7 car/8"));
}

static void open__after_if_match_of_another_version__is_refused(void **unused)
{
    WHEN(OPEN(.if_match = 3));
    THEN_REFUSED(TRIP_VERSION_DIFFERS, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(open__puts_the_trip_on_sale_as_it_was_told),
        SCENARIO(open__is_answered_with_the_points_and_what_is_for_sale),
        SCENARIO(open__of_an_open_trip__is_refused),
        SCENARIO(open__with_a_stop_visited_twice__tells_the_visits_apart),
        SCENARIO(open__with_a_stop_of_80_bytes_visited_twice__has_room_for_the_index),
        SCENARIO(open__with_visits_already_told_apart__keeps_them),
        SCENARIO(open__with_an_index_that_names_two_points__is_refused),
        SCENARIO(open__with_equal_times__is_accepted),
        SCENARIO(open__with_decreasing_times__names_the_field),
        SCENARIO(open__of_a_trip_of_over_a_year__is_refused),
        SCENARIO(open__after_the_first_departure__is_refused),
        SCENARIO(open__with_a_wrong_name__names_the_field),
        SCENARIO(open__with_a_wrong_time_zone__is_refused),
        SCENARIO(open__with_too_few_or_many_points__is_refused),
        SCENARIO(open__with_wrong_sections__names_the_field),
        SCENARIO(open__with_wrong_seats__names_the_field),
        SCENARIO(open__with_an_unknown_blocked_seat__is_refused),
        SCENARIO(open__with_a_wrong_capacity__is_refused),
        SCENARIO(open__with_two_thousand_seats__is_the_most),
        SCENARIO(open__after_if_match_of_another_version__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
