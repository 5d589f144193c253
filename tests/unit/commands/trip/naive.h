/* naive - a trip a second time, by lists and loops: the oracle of the random histories.
 *
 * It shares no code with commands/trip but the verdicts' names. It is slow, and meant to be seen to be right: whether a
 * seat is taken on a segment is a boolean, set anew from the list of claims whenever that is asked. */
#ifndef BERTH_TESTS_UNIT_COMMANDS_TRIP_NAIVE_H
#define BERTH_TESTS_UNIT_COMMANDS_TRIP_NAIVE_H

#include "commands/trip/trip.h"
#include "core/memory.h"
#include "schemas/trip.h"

typedef struct naive_trip naive_trip;

naive_trip *naive_new(const struct trip_opened *opened);
void naive_free(naive_trip *trip);

/* What should come of a command: a verdict, and for an accepted or already one the places and stretch. */
typedef struct naive_answer {
    int32_t verdict;
    int64_t free; /* of a refusal that tells how many are free; -1 otherwise */
    int32_t from, to;
    struct trip_place places[TRIP_PLACES_MAX];
    uint32_t place_count;
    int64_t expires_at;
} naive_answer;

naive_answer naive_decide(naive_trip *trip, const bt_command *command, int64_t now_us, const trip_settings *settings);
/* The hold that should expire next, or a zero id. */
bt_id naive_due(const naive_trip *trip, int64_t now_us);
/* What the accepted command changes. */
void naive_apply(naive_trip *trip, const bt_command *command, const naive_answer *answer, int64_t now_us);
void naive_expire(naive_trip *trip, bt_id hold);

#endif
