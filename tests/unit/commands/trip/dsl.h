/* dsl - what happened, what is asked, what must come of it: the words that scenarios of a trip are written in.
 *
 *     GIVEN(OPENED(.sections = "car second: 1 2 3"), HELD(.hold = "h1", .from = "A", .to = "C", .seats = "car/1"));
 *     WHEN(HOLD(.from = "B", .to = "D", .seats = "car/1"));
 *     THEN_REFUSED(TRIP_SEAT_TAKEN, "/seats/0");
 *
 * GIVEN folds facts (events); WHEN decides an order (a command); THEN compares the answer, and folds what was accepted,
 * after a round through the codec. Left out of a step, a field has the value that its comment names.
 *
 * The usual trip calls at A, B, C, D: it departs from A at 10:00 and is an hour later at each next stop, with 5 minutes
 * there. .at is seconds after midnight of that day; the clock stands at 00:00 and never goes back.
 *
 * sections: "car second: 1 2 | 3 *4; bikes bike: #20" - section car of class second with seats 1, 2, 3, 4, an aisle
 * after 2, and 4 blocked; section bikes of class bike with 20 places without number.
 * stops: "A B!board C!alight D" - nobody may board at B or alight at C. */
#ifndef BERTH_TESTS_UNIT_COMMANDS_TRIP_DSL_H
#define BERTH_TESTS_UNIT_COMMANDS_TRIP_DSL_H

#include "tests/unit/test.h"

#include "commands/trip/trip.h"
#include "schemas/trip.h"

#define MINUTES(n) ((n) * 60)
#define HOURS(n) ((n) * 3600)
#define AT(hours, minutes) (HOURS(hours) + MINUTES(minutes))

typedef enum adjacency {
    ADJACENCY_LEFT_OUT,
    ADJACENT,
    NOT_NEEDED_ADJACENT, /* adjacent: false */
} adjacency;

typedef struct step {
    int what;             /* enum trip_event of a fact, enum trip_command of an order */
    const char *trip;     /* of OPEN: the client's id; none */
    const char *name;     /* Night train */
    const char *timezone; /* Europe/Rome */
    const char *stops;    /* A B C D */
    const char *sections; /* car second: 1 2 3 4 5 6 7 8 9 10 */
    int stop_every_s;     /* an hour; -1: all at one time */
    int starts_s;         /* arrival at the first stop; 09:55 */
    const char *hold;     /* name of the hold or booking; h1. Of HOLD: its key; new */
    const char *from, *to;/* A, D; of CHANGE: left out */
    const char *class;    /* left out */
    const char *seats;    /* "car/1 car/2"; of facts also "bikes/-" for a place without number. Of HOLD: none */
    int count;            /* of HOLD: left out */
    bool zero_count;      /* count: 0 */
    adjacency adjacent;
    const char *customer; /* c-1 */
    int ttl_s;            /* left out */
    bool zero_ttl;        /* ttl_seconds: 0 */
    const char *reason;   /* of CANCEL_TRIP: snow */
    int expires;          /* seconds after midnight; 10 minutes */
    const char *old_from, *old_to, *old_seats; /* of CHANGED */
    int at;               /* when; as before */
    int64_t if_match;     /* none */
} step;

#define OPENED(...) ((step){ .what = TRIP_EVENT_TRIP_OPENED, __VA_ARGS__ })
#define HELD(...) ((step){ .what = TRIP_EVENT_SEATS_HELD, __VA_ARGS__ })
#define EXTENDED(...) ((step){ .what = TRIP_EVENT_HOLD_EXTENDED, __VA_ARGS__ })
#define CONFIRMED(...) ((step){ .what = TRIP_EVENT_HOLD_CONFIRMED, __VA_ARGS__ })
#define RELEASED(...) ((step){ .what = TRIP_EVENT_HOLD_RELEASED, __VA_ARGS__ })
#define EXPIRED(...) ((step){ .what = TRIP_EVENT_HOLD_EXPIRED, __VA_ARGS__ })
#define CHANGED(...) ((step){ .what = TRIP_EVENT_BOOKING_CHANGED, __VA_ARGS__ })
#define BOOKING_CANCELLED(...) ((step){ .what = TRIP_EVENT_BOOKING_CANCELLED, __VA_ARGS__ })
#define SALE_CLOSED(...) ((step){ .what = TRIP_EVENT_SALE_CLOSED, __VA_ARGS__ })
#define CANCELLED(...) ((step){ .what = TRIP_EVENT_TRIP_CANCELLED, __VA_ARGS__ })

#define OPEN(...) ((step){ .what = TRIP_COMMAND_OPEN_TRIP, __VA_ARGS__ })
#define HOLD(...) ((step){ .what = TRIP_COMMAND_HOLD_SEATS, __VA_ARGS__ })
#define EXTEND(...) ((step){ .what = TRIP_COMMAND_EXTEND_HOLD, __VA_ARGS__ })
#define CONFIRM(...) ((step){ .what = TRIP_COMMAND_CONFIRM_HOLD, __VA_ARGS__ })
#define RELEASE(...) ((step){ .what = TRIP_COMMAND_RELEASE_HOLD, __VA_ARGS__ })
#define CHANGE(...) ((step){ .what = TRIP_COMMAND_CHANGE_BOOKING, __VA_ARGS__ })
#define CANCEL_BOOKING(...) ((step){ .what = TRIP_COMMAND_CANCEL_BOOKING, __VA_ARGS__ })
#define CLOSE_SALE(...) ((step){ .what = TRIP_COMMAND_CLOSE_SALE, __VA_ARGS__ })
#define CANCEL_TRIP(...) ((step){ .what = TRIP_COMMAND_CANCEL_TRIP, __VA_ARGS__ })
#define DUE(...) ((step){ .what = -1, __VA_ARGS__ }) /* nobody asks: what does the trip decide by itself? */

#define GIVEN(...) given((const step[]){ __VA_ARGS__ }, sizeof((const step[]){ __VA_ARGS__ }) / sizeof(step))
#define WHEN(order) when(order)
#define THEN(fact) then_event(fact, BT_VERDICT_ACCEPTED, __FILE__, __LINE__)
#define THEN_ALREADY(fact) then_event(fact, BT_VERDICT_ALREADY, __FILE__, __LINE__)
#define THEN_REFUSED(verdict, field) then_refused(verdict, #verdict, field, __FILE__, __LINE__)
#define THEN_MEMBERS(json) then_text(the_decision()->members, json, __FILE__, __LINE__)
#define THEN_DETAIL(text) then_text(the_decision()->detail, text, __FILE__, __LINE__)
#define THEN_NOTHING() then_nothing(__FILE__, __LINE__)
/* The answer to the last WHEN, as JSON members. */
#define THEN_ANSWERED(json) then_answered(json, __FILE__, __LINE__)
/* Folding the fact is refused as a contradiction, and changes nothing. */
#define CONTRADICTION(fact) contradiction(fact, __FILE__, __LINE__)

void given(const step *facts, size_t count);
void when(step order);
void then_event(step fact, int32_t verdict, const char *file, int line);
void then_refused(int32_t verdict, const char *name, const char *field, const char *file, int line);
void then_text(bt_str text, const char *expected, const char *file, int line);
void then_nothing(const char *file, int line);
void then_answered(const char *json, const char *file, int line);
void contradiction(step fact, const char *file, int line);

/* The world of one test: setup and teardown of each. */
int world_begin(void **unused);
int world_end(void **unused);
#define SCENARIO(test) cmocka_unit_test_setup_teardown(test, world_begin, world_end)

trip_settings *the_settings(void); /* of this test, to be changed by it */
void *the_trip(void);
const bt_decision *the_decision(void);
bt_arena *the_arena(void);
bt_id id_of(const char *name);
bt_id digest_of(const void *trip);
int64_t time_of(int seconds_after_midnight);
/* An event or command as the decider meets it; strings live in the arena of the world. */
bt_event event_of(step fact);
const void *order_data(step order);
bt_command command_of(step order);
/* As the owner does: completes meta and folds. */
void fold(bt_event event);

#endif
