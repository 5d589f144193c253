/* decide - may this command happen now?  Leads to the command's own file; expiry, closing and cancelling are here. */
#include "commands/trip/deciding.h"

#include "core/memory.h"

#include <stdarg.h>
#include <stdio.h>

bool trip_refuse(const deciding *d, enum trip_verdict verdict, bt_str field, const char *detail, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, detail);
    int size = vsnprintf(text, sizeof text, detail, arguments);
    va_end(arguments);
    d->out->verdict = verdict;
    d->out->field = field;
    size_t used = size < 0 ? 0 : (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    /* Cut between characters: the text goes into JSON. */
    while (used == sizeof text - 1 && used > 0 && ((uint8_t)text[used - 1] & 0x80) != 0)
        used--;
    d->out->detail = bt_arena_copy(d->arena, (bt_str){ text, used });
    return false;
}

static void answer(const deciding *d, int32_t verdict, const bt_message_type *type, void *event)
{
    d->out->verdict = verdict;
    d->out->event = (bt_event){ type, event };
}

void trip_accept(const deciding *d, const bt_message_type *type, void *event) { answer(d, BT_VERDICT_ACCEPTED, type, event); }
void trip_already(const deciding *d, const bt_message_type *type, void *event) { answer(d, BT_VERDICT_ALREADY, type, event); }

bt_str field_at(const deciding *d, const char *format, ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bt_assert(size > 0 && (size_t)size < sizeof text);
    return bt_arena_copy(d->arena, (bt_str){ text, (size_t)size });
}

const struct trip_place *places_told(const deciding *d, const place_code *places, unsigned count)
{
    struct trip_place *told = bt_arena_take(d->arena, count * sizeof *told);
    for (unsigned i = 0; i < count; i++)
        told[i] = (struct trip_place){ .section = (int32_t)place_section(d->trip->layout, places[i]),
            .seat = place_seat(d->trip->layout, places[i]) };
    return told;
}

bt_str customer_copied(const deciding *d, const trip_claim *claim) { return bt_arena_copy(d->arena, claim_customer(claim)); }

static void decide_close(const deciding *d)
{
    struct trip_sale_closed *closed = bt_arena_take(d->arena, sizeof *closed);
    if (d->trip->status == TRIP_STATUS_CLOSED)
        trip_already(d, &trip_sale_closed_message, closed);
    else
        trip_accept(d, &trip_sale_closed_message, closed);
}

static void decide_cancel_trip(const deciding *d)
{
    const struct trip_cancel_trip *cancel = d->command->data;
    struct trip_cancelled *cancelled = bt_arena_take(d->arena, sizeof *cancelled);
    if (d->trip->status == TRIP_STATUS_CANCELLED) {
        cancelled->reason = bt_arena_copy(d->arena, trip_reason(d->trip));
        trip_already(d, &trip_cancelled_message, cancelled);
        return;
    }
    cancelled->reason = cancel->reason;
    trip_accept(d, &trip_cancelled_message, cancelled);
}

/* What holds for every command of a trip that is there. */
static bool can_be_commanded(const deciding *d, enum trip_command which)
{
    const trip_state *trip = d->trip;
    if (trip->layout == NULL)
        return trip_refuse(d, TRIP_UNKNOWN_TRIP, BT_STR(""), "there is no trip " BT_STR_FMT, BT_STR_ARG(d->command->stream));
    if (d->command->has_if_match && d->command->if_match != trip->version)
        return trip_refuse(d, TRIP_VERSION_DIFFERS, BT_STR(""), "the trip is at version %lld", (long long)trip->version);
    if (trip->status == TRIP_STATUS_CANCELLED && which != TRIP_COMMAND_CANCEL_TRIP) {
        bt_str reason = trip_reason(trip);
        return trip_refuse(d, TRIP_WAS_CANCELLED, BT_STR(""), "the trip was cancelled: " BT_STR_FMT, BT_STR_ARG(reason));
    }
    if (d->now_us >= trip_last_arrival_us(trip))
        return trip_refuse(d, TRIP_ENDED, BT_STR(""), "the trip has arrived at its last point");
    return true;
}

void trip_decide(const void *state, const bt_command *command, int64_t now_us, const void *settings, bt_arena *arena,
    bt_decision *ret_decision)
{
    const deciding d = { .trip = state, .command = command, .now_us = now_us, .settings = settings, .arena = arena, .out = ret_decision };
    enum trip_command which = (enum trip_command)command->type->index;
    if (!trip_check(command, settings, arena, ret_decision))
        return;
    if (which != TRIP_COMMAND_OPEN_TRIP && !can_be_commanded(&d, which))
        return;
    switch (which) {
    case TRIP_COMMAND_OPEN_TRIP:
        decide_open(&d);
        return;
    case TRIP_COMMAND_HOLD_SEATS:
        decide_hold(&d);
        return;
    case TRIP_COMMAND_EXTEND_HOLD:
        decide_extend(&d);
        return;
    case TRIP_COMMAND_CONFIRM_HOLD:
        decide_confirm(&d);
        return;
    case TRIP_COMMAND_RELEASE_HOLD:
        decide_release(&d);
        return;
    case TRIP_COMMAND_CHANGE_BOOKING:
        decide_change(&d);
        return;
    case TRIP_COMMAND_CANCEL_BOOKING:
        decide_cancel_booking(&d);
        return;
    case TRIP_COMMAND_CLOSE_SALE:
        decide_close(&d);
        return;
    case TRIP_COMMAND_CANCEL_TRIP:
        decide_cancel_trip(&d);
        return;
    }
    bt_assert(!"a command of another kind of stream");
}

void trip_decide_due(const void *state, bt_str stream, int64_t now_us, bt_arena *arena, bt_decision *ret_decision)
{
    (void)stream;
    const deciding d = { .trip = state, .now_us = now_us, .arena = arena, .out = ret_decision };
    *ret_decision = (bt_decision){ 0 };
    if (d.trip->claims.deadline_count == 0 || d.trip->claims.deadlines[0].expires_at_us > now_us)
        return;
    const trip_claim *due = d.trip->claims.deadlines[0].of;
    struct trip_hold_expired *expired = bt_arena_take(arena, sizeof *expired);
    *expired = (struct trip_hold_expired){ .hold = due->id, .from = due->on.from, .to = due->on.to,
        .places = places_told(&d, due->places, due->place_count), .places_count = due->place_count };
    trip_accept(&d, &trip_hold_expired_message, expired);
}
