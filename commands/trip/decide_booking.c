/* decide_booking - a booking's life: moved to other seats or a shorter stretch in one decision, or cancelled. */
#include "commands/trip/deciding.h"
#include "core/memory.h"

static const trip_claim *find_booking(const deciding *d)
{
    const trip_claim *booking = claims_find(&d->trip->claims, d->command->target);
    if (booking != NULL && (booking->status == CLAIM_BOOKED || booking->status == CLAIM_CANCELLED))
        return booking;
    trip_refuse(d, TRIP_UNKNOWN_BOOKING, BT_STR(""), booking == NULL ? "the trip has no such booking" : "this hold was never confirmed");
    return NULL;
}

void decide_cancel_booking(const deciding *d)
{
    const trip_claim *booking = find_booking(d);
    if (booking == NULL)
        return;
    struct trip_booking_cancelled *cancelled = bt_arena_take(d->arena, sizeof *cancelled);
    *cancelled = (struct trip_booking_cancelled){ .booking = booking->id, .from = booking->on.from, .to = booking->on.to,
        .places = places_told(d, booking->places, booking->place_count), .places_count = booking->place_count,
        .customer = customer_copied(d, booking) };
    if (booking->status == CLAIM_CANCELLED)
        trip_already(d, &trip_booking_cancelled_message, cancelled);
    else
        trip_accept(d, &trip_booking_cancelled_message, cancelled);
}

/* The stretch wanted; within the one that the booking has, as a longer one would be a sale. */
static bool find_new_stretch(const deciding *d, const trip_claim *booking, const struct trip_change_booking *change, trip_stretch *ret_on)
{
    const layout_point *points = d->trip->layout->points;
    bt_str from = change->has_from ? change->from : points[booking->on.from].stop;
    bt_str to = change->has_to ? change->to : points[booking->on.to].stop;
    if (!find_stretch(d, from, to, ret_on))
        return false;
    if (ret_on->from < booking->on.from)
        return trip_refuse(d, TRIP_STRETCH_LONGER, BT_STR("/from"), "the booking begins at " BT_STR_FMT ", after " BT_STR_FMT,
            BT_STR_ARG(points[booking->on.from].stop), BT_STR_ARG(from));
    if (ret_on->to > booking->on.to)
        return trip_refuse(d, TRIP_STRETCH_LONGER, BT_STR("/to"), "the booking ends at " BT_STR_FMT ", before " BT_STR_FMT,
            BT_STR_ARG(points[booking->on.to].stop), BT_STR_ARG(to));
    return true;
}

/* The seats as they would be without this booking: a copy, as the state is only read here. */
static trip_seats seats_without(const deciding *d, const trip_claim *booking)
{
    const trip_layout *layout = d->trip->layout;
    uint64_t *block = bt_arena_take(d->arena, layout->block_size);
    memcpy(block, d->trip->seats, layout->block_size);
    trip_seats copied = seats_of(layout, block);
    for (unsigned i = 0; i < booking->place_count; i++)
        seats_give_back(&copied, booking->places[i], booking->on, NULL);
    return copied;
}

/* True if the places that the booking has are of the class and together as wished: then it keeps them. */
static bool keeps_its_places(const deciding *d, const trip_claim *booking, const trip_wish *wish)
{
    if (wish->seats != NULL || (wish->together == TOGETHER_REQUIRED && !are_neighbours(booking->places, booking->place_count)))
        return false;
    for (unsigned i = 0; wish->class != CLASS_ANY && i < booking->place_count; i++)
        if (d->trip->layout->sections[place_section(d->trip->layout, booking->places[i])].class_index != wish->class)
            return false;
    return true;
}

static void tell_change(const deciding *d, const trip_claim *booking, trip_stretch on, const place_code *places)
{
    unsigned count = booking->place_count;
    struct trip_booking_changed *changed = bt_arena_take(d->arena, sizeof *changed);
    *changed = (struct trip_booking_changed){ .booking = booking->id, .old_from = booking->on.from, .old_to = booking->on.to,
        .old_places = places_told(d, booking->places, count), .old_places_count = count, .from = on.from, .to = on.to,
        .places = places_told(d, places, count), .places_count = count, .customer = customer_copied(d, booking) };
    bool same = on.from == booking->on.from && on.to == booking->on.to && memcmp(places, booking->places, count * sizeof *places) == 0;
    if (same)
        trip_already(d, &trip_booking_changed_message, changed);
    else
        trip_accept(d, &trip_booking_changed_message, changed);
}

void decide_change(const deciding *d)
{
    const struct trip_change_booking *change = d->command->data;
    const trip_claim *booking = find_booking(d);
    if (booking == NULL)
        return;
    if (booking->status == CLAIM_CANCELLED) {
        trip_refuse(d, TRIP_BOOKING_CANCELLED, BT_STR(""), "the booking was cancelled");
        return;
    }
    trip_stretch on;
    trip_wish wish = { .seats = change->has_seats ? change->seats : NULL, .count = booking->place_count,
        .together = !change->has_adjacent ? TOGETHER_PREFERRED : change->adjacent ? TOGETHER_REQUIRED : TOGETHER_IGNORED };
    if (!find_new_stretch(d, booking, change, &on) || !find_class(d, change->has_class, change->class, &wish.class))
        return;
    if (d->now_us >= trip_departs_us(d->trip, booking->on.from)) {
        trip_refuse(d, TRIP_DEPARTED, BT_STR(""), "the trip has departed from the booking's boarding point");
        return;
    }
    if (change->has_seats && change->seats_count != booking->place_count) {
        trip_refuse(d, TRIP_SEAT_COUNT_DIFFERS, BT_STR("/seats"), "the booking has %u seats, %u are named", booking->place_count,
            (unsigned)change->seats_count);
        return;
    }
    if (keeps_its_places(d, booking, &wish)) {
        tell_change(d, booking, on, booking->places);
        return;
    }
    place_code places[TRIP_PLACES_MAX];
    const trip_seats seats = seats_without(d, booking);
    if (find_places(d, &seats, on, &wish, places))
        tell_change(d, booking, on, places);
}
