/* trip - the decider's table, and its settings. */
#include "commands/trip/state.h"

const trip_settings trip_settings_default = { .ttl_default_s = 600, .ttl_max_s = 3600, .places_max = 9 };

bool trip_settings_check(const trip_settings *settings, bt_err *err)
{
    if (settings->ttl_max_s < 1 || settings->ttl_max_s > 7 * 86400)
        return bt_fail(err, BT_ERR_INPUT, 0, "the longest time of a hold must be 1 s to 7 days, not %d s", settings->ttl_max_s);
    if (settings->ttl_default_s < 1 || settings->ttl_default_s > settings->ttl_max_s)
        return bt_fail(err, BT_ERR_INPUT, 0, "the usual time of a hold must be 1 to %d s, not %d", settings->ttl_max_s,
            settings->ttl_default_s);
    if (settings->places_max < 1 || settings->places_max > TRIP_PLACES_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "the most places of a hold must be 1 to %d, not %d", TRIP_PLACES_MAX, settings->places_max);
    return true;
}

static const bt_verdict_info verdicts[] = {
#define TRIP_VERDICT_ROW(name, status, type, title, remedy) { name, status, type, title, remedy },
    TRIP_VERDICTS(TRIP_VERDICT_ROW)
#undef TRIP_VERDICT_ROW
};

static int64_t version(const void *state) { return ((const trip_state *)state)->version; }

static int64_t next_deadline(const void *state)
{
    const trip_claims *claims = &((const trip_state *)state)->claims;
    return claims->deadline_count == 0 ? INT64_MAX : claims->deadlines[0].expires_at_us;
}

static int64_t ends_at(const void *state)
{
    const trip_state *trip = state;
    return trip->layout == NULL ? INT64_MAX : trip_last_arrival_us(trip) + TRIP_LEAVES_AFTER_US;
}

const bt_decider trip_decider = {
    .kind = "trip",
    .events = trip_events,
    .event_count = TRIP_EVENT_COUNT,
    .verdicts = verdicts,
    .verdict_count = BT_COUNT_OF(verdicts),
    .ended_verdict = TRIP_ENDED,
    .state_new = trip_new,
    .state_free = trip_free,
    .check = trip_check,
    .decide = trip_decide,
    .evolve = trip_evolve,
    .version = version,
    .next_deadline = next_deadline,
    .decide_due = trip_decide_due,
    .ends_at = ends_at,
    .render = trip_render,
    .save = trip_save,
    .load = trip_load,
    .digest = trip_digest,
};
