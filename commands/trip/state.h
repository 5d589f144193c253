/* state - one trip as its owner holds it: what decide reads and evolve writes.
 *
 * A trip that is on sale and has sold nothing is this struct alone; the seats block comes with its first hold. */
#ifndef BERTH_COMMANDS_TRIP_STATE_H
#define BERTH_COMMANDS_TRIP_STATE_H

#include "commands/trip/claims.h"
#include "commands/trip/seats.h"
#include "schemas/trip.h"

typedef enum trip_status {
    TRIP_STATUS_OPEN,
    TRIP_STATUS_CLOSED,
    TRIP_STATUS_CANCELLED,
} trip_status;

typedef struct trip_state {
    int64_t version; /* 0: not opened */
    int64_t starts_at_us; /* arrival at the first point: the layout's times count from here */
    trip_layout *layout;  /* NULL: not opened */
    uint64_t *seats; /* NULL: nothing was ever taken */
    trip_claims claims;
    uint8_t *reason; /* of the cancellation; its size first */
    uint8_t status;
} trip_state;

static inline trip_seats trip_seats_of(const trip_state *trip)
{
    return seats_of(trip->layout, trip->seats == NULL ? trip->layout->untouched : trip->seats);
}

static inline int64_t trip_departs_us(const trip_state *trip, unsigned point)
{
    return trip->starts_at_us + trip->layout->points[point].departs_us;
}

static inline int64_t trip_arrives_us(const trip_state *trip, unsigned point)
{
    return trip->starts_at_us + trip->layout->points[point].arrives_us;
}

static inline int64_t trip_last_arrival_us(const trip_state *trip) { return trip_arrives_us(trip, trip->layout->point_count - 1U); }

static inline bt_str trip_reason(const trip_state *trip)
{
    return trip->reason == NULL ? (bt_str){ 0 } : (bt_str){ (const char *)trip->reason + 1, *trip->reason };
}

/* Times that a trip may have: 1970 to 9999. */
#define TRIP_TIME_MAX_US INT64_C(253402300799000000)

/* The decider's parts, each in the file of its name; see commands/decider.h. */
bool trip_check(const bt_command *command, const void *settings, bt_arena *arena, bt_decision *ret_decision);
void trip_decide(const void *state, const bt_command *command, int64_t now_us, const void *settings, bt_arena *arena,
    bt_decision *ret_decision);
void trip_decide_due(const void *state, bt_str stream, int64_t now_us, bt_arena *arena, bt_decision *ret_decision);
bool trip_evolve(void *state, bt_event event, bt_undo *undo, bt_err *err);
void *trip_new(bt_undo *undo);
void trip_free(void *state, bt_undo *undo);
void trip_render(const void *state, bt_str stream, bt_event event, bt_buf *out);
void trip_save(const void *state, bt_buf *out);
void *trip_load(bt_bytes saved, bt_err *err);
void trip_digest(const void *state, bt_digest *digest);

#endif
