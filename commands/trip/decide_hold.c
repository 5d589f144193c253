/* decide_hold - a hold's life: made, given more time, confirmed, released. */
#include "commands/trip/deciding.h"
#include "core/memory.h"

#define US_PER_S INT64_C(1000000)

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static struct trip_seats_held *held_told(const deciding *d, const trip_claim *claim)
{
    struct trip_seats_held *held = bt_arena_take(d->arena, sizeof *held);
    *held = (struct trip_seats_held){ .hold = claim->id, .from = claim->on.from, .to = claim->on.to,
        .places = places_told(d, claim->places, claim->place_count), .places_count = claim->place_count,
        .customer = customer_copied(d, claim), .expires_at = claim->expires_at_us };
    return held;
}

/* The hold's id is the key's digest: a hold that has it came from this key, longer ago than keys are remembered. */
static bool is_first_of_its_key(const deciding *d)
{
    const trip_claim *earlier = claims_find(&d->trip->claims, d->command->key_digest);
    if (earlier == NULL)
        return true;
    if (earlier->status == CLAIM_BOOKED)
        return trip_refuse(d, TRIP_HOLD_CONFIRMED, BT_STR(""), "this Idempotency-Key made a hold that was confirmed");
    if (claim_has_ended(earlier) || hold_is_due(d, earlier))
        return trip_refuse(d, TRIP_HOLD_EXISTS, BT_STR(""), "this Idempotency-Key made a hold that has ended");
    trip_already(d, &trip_seats_held_message, held_told(d, earlier));
    return false;
}

void decide_hold(const deciding *d)
{
    const struct trip_hold_seats *hold = d->command->data;
    const trip_state *trip = d->trip;
    trip_stretch on;
    trip_wish wish = { .seats = hold->has_seats ? hold->seats : NULL, .count = hold->has_seats ? hold->seats_count : (unsigned)hold->count,
        .together = !hold->has_adjacent ? TOGETHER_PREFERRED : hold->adjacent ? TOGETHER_REQUIRED : TOGETHER_IGNORED };
    if (!is_first_of_its_key(d) || !find_stretch(d, hold->from, hold->to, &on) || !find_class(d, hold->has_class, hold->class, &wish.class))
        return;
    if (trip->status == TRIP_STATUS_CLOSED) {
        trip_refuse(d, TRIP_SALE_CLOSED, BT_STR(""), "the sale of this trip is closed");
        return;
    }
    if (d->now_us >= trip_departs_us(trip, on.from)) {
        trip_refuse(d, TRIP_DEPARTED, BT_STR("/from"), "the trip has departed from " BT_STR_FMT, BT_STR_ARG(hold->from));
        return;
    }
    place_code places[TRIP_PLACES_MAX];
    const trip_seats seats = trip_seats_of(trip);
    if (!find_places(d, &seats, on, &wish, places))
        return;
    int64_t ttl_s = hold->has_ttl_seconds ? hold->ttl_seconds : d->settings->ttl_default_s;
    struct trip_seats_held *held = bt_arena_take(d->arena, sizeof *held);
    *held = (struct trip_seats_held){ .hold = d->command->key_digest, .from = on.from, .to = on.to,
        .places = places_told(d, places, wish.count), .places_count = wish.count,
        .customer = hold->customer, .expires_at = least(d->now_us + ttl_s * US_PER_S, trip_departs_us(trip, on.from)) };
    trip_accept(d, &trip_seats_held_message, held);
}

/* The hold that the path names, if it still is one. */
static const trip_claim *find_hold(const deciding *d)
{
    const trip_claim *hold = claims_find(&d->trip->claims, d->command->target);
    if (hold == NULL)
        trip_refuse(d, TRIP_UNKNOWN_HOLD, BT_STR(""), "the trip has no such hold");
    else if (hold->status == CLAIM_EXPIRED || hold_is_due(d, hold))
        trip_refuse(d, TRIP_HOLD_EXPIRED, BT_STR(""), "the hold's time was up");
    else if (hold->status == CLAIM_CANCELLED)
        trip_refuse(d, TRIP_BOOKING_CANCELLED, BT_STR(""), "the hold was confirmed, and the booking was then cancelled");
    else
        return hold;
    return NULL;
}

void decide_extend(const deciding *d)
{
    const struct trip_extend_hold *extend = d->command->data;
    const trip_claim *hold = find_hold(d);
    if (hold == NULL)
        return;
    if (hold->status != CLAIM_HELD) {
        if (hold->status == CLAIM_BOOKED)
            trip_refuse(d, TRIP_HOLD_CONFIRMED, BT_STR(""), "the hold was confirmed: a booking needs no more time");
        else
            trip_refuse(d, TRIP_HOLD_RELEASED, BT_STR(""), "the hold was released");
        return;
    }
    if (d->trip->status == TRIP_STATUS_CLOSED) {
        trip_refuse(d, TRIP_SALE_CLOSED, BT_STR(""), "the sale of this trip is closed: confirm the hold before its time is up");
        return;
    }
    int64_t ttl_s = extend->has_ttl_seconds ? extend->ttl_seconds : d->settings->ttl_default_s;
    int64_t wanted = d->now_us + ttl_s * US_PER_S;
    int64_t latest = least(hold->held_at_us + d->settings->ttl_max_s * US_PER_S, trip_departs_us(d->trip, hold->on.from));
    struct trip_hold_extended *extended = bt_arena_take(d->arena, sizeof *extended);
    *extended = (struct trip_hold_extended){ .hold = hold->id, .expires_at = least(wanted, latest) };
    if (extended->expires_at > hold->expires_at_us) {
        trip_accept(d, &trip_hold_extended_message, extended);
    } else if (wanted <= hold->expires_at_us) {
        extended->expires_at = hold->expires_at_us;
        trip_already(d, &trip_hold_extended_message, extended);
    } else {
        trip_refuse(d, TRIP_HOLD_LIMIT, BT_STR(""), "the hold already lasts as long as it may");
    }
}

void decide_confirm(const deciding *d)
{
    const trip_claim *hold = find_hold(d);
    if (hold == NULL)
        return;
    if (hold->status == CLAIM_RELEASED) {
        trip_refuse(d, TRIP_HOLD_RELEASED, BT_STR(""), "the hold was released");
        return;
    }
    struct trip_hold_confirmed *confirmed = bt_arena_take(d->arena, sizeof *confirmed);
    *confirmed = (struct trip_hold_confirmed){ .hold = hold->id, .from = hold->on.from, .to = hold->on.to,
        .places = places_told(d, hold->places, hold->place_count), .places_count = hold->place_count,
            .customer = customer_copied(d, hold) };
    if (hold->status == CLAIM_BOOKED)
        trip_already(d, &trip_hold_confirmed_message, confirmed);
    else
        trip_accept(d, &trip_hold_confirmed_message, confirmed);
}

void decide_release(const deciding *d)
{
    const trip_claim *hold = find_hold(d);
    if (hold == NULL)
        return;
    if (hold->status == CLAIM_BOOKED) {
        trip_refuse(d, TRIP_HOLD_CONFIRMED, BT_STR(""), "the hold was confirmed: cancel the booking instead");
        return;
    }
    struct trip_hold_released *released = bt_arena_take(d->arena, sizeof *released);
    *released = (struct trip_hold_released){ .hold = hold->id, .from = hold->on.from, .to = hold->on.to,
        .places = places_told(d, hold->places, hold->place_count), .places_count = hold->place_count };
    if (hold->status == CLAIM_RELEASED)
        trip_already(d, &trip_hold_released_message, released);
    else
        trip_accept(d, &trip_hold_released_message, released);
}
