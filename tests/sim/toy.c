/* toy - see the header. */
#include "tests/sim/toy.h"

#include "schemas/trip.h"

typedef struct seat {
    bt_id hold; /* zero: free */
    int64_t expires_at;
} seat;

typedef struct toy {
    int64_t version;
    int64_t ends_at;
    seat seats[TOY_SEATS];
} toy;

static void *state_new(bt_undo *undo)
{
    toy *state = bt_undo_alloc(undo, sizeof *state);
    state->ends_at = INT64_MAX;
    return state;
}

static void state_free(void *state, bt_undo *undo) { bt_undo_retire(undo, state); }

static bool check(const bt_command *command, const void *settings, bt_arena *arena, bt_decision *ret_decision)
{
    (void)command, (void)settings, (void)arena, (void)ret_decision;
    return true;
}

static bool is_free(const toy *state, int32_t at) { return bt_id_is_zero(state->seats[at].hold); }

static const struct trip_place *place_of(int32_t at, bt_arena *arena)
{
    struct trip_place *place = bt_arena_take(arena, sizeof *place);
    *place = (struct trip_place){ .section = 0, .seat = at };
    return place;
}

static bt_event released(const toy *state, int32_t at, bt_arena *arena)
{
    struct trip_hold_released *event = bt_arena_take(arena, sizeof *event);
    *event = (struct trip_hold_released){ .hold = state->seats[at].hold, .to = 1, .places = place_of(at, arena), .places_count = 1 };
    return (bt_event){ &trip_hold_released_message, event };
}

static bt_event held(const bt_command *command, const toy_command *order, int64_t now_us, bt_arena *arena)
{
    struct trip_seats_held *event = bt_arena_take(arena, sizeof *event);
    *event = (struct trip_seats_held){ .hold = command->key_digest, .to = 1, .places = place_of(order->seat, arena), .places_count = 1,
        .customer = { bt_arena_take(arena, order->padding_size + 1), order->padding_size },
        .expires_at = order->ttl_us == 0 ? INT64_MAX : now_us + order->ttl_us };
    return (bt_event){ &trip_seats_held_message, event };
}

static void decide(const void *at, const bt_command *command, int64_t now_us, const void *settings, bt_arena *arena,
    bt_decision *ret_decision)
{
    (void)settings;
    const toy *state = at;
    const toy_command *order = command->data;
    *ret_decision = (bt_decision){ .verdict = BT_VERDICT_ACCEPTED };
    if (now_us >= state->ends_at) {
        ret_decision->verdict = TOY_ENDED;
        return;
    }
    switch (order->op) {
    case TOY_HOLD:
        if (!is_free(state, order->seat)) {
            ret_decision->verdict = TOY_TAKEN;
            ret_decision->detail = bt_arena_printf(arena, "seat %d is taken", order->seat);
        } else {
            ret_decision->event = held(command, order, now_us, arena);
        }
        break;
    case TOY_RELEASE:
        if (is_free(state, order->seat))
            ret_decision->verdict = TOY_FREE;
        else
            ret_decision->event = released(state, order->seat, arena);
        break;
    case TOY_ENSURE_FREE:
        ret_decision->verdict = is_free(state, order->seat) ? BT_VERDICT_ALREADY : BT_VERDICT_ACCEPTED;
        ret_decision->event = released(state, order->seat, arena);
        break;
    case TOY_CLOSE:
        ret_decision->event = (bt_event){ &trip_sale_closed_message, bt_arena_take(arena, sizeof(struct trip_sale_closed)) };
        break;
    }
}

static bool contradicts(bt_event event, bt_err *err)
{
    return bt_fail(err, BT_ERR_FATAL, 0, "%s contradicts the state", event.type->record->name);
}

static bool set_seat(toy *state, bt_event event, int32_t at, bt_id hold, bt_id expected, int64_t expires_at, bt_undo *undo, bt_err *err)
{
    if (at < 0 || at >= TOY_SEATS || !bt_id_equal(state->seats[at].hold, expected))
        return contradicts(event, err);
    bt_undo_save(undo, &state->seats[at], sizeof state->seats[at]);
    state->seats[at] = (seat){ hold, expires_at };
    return true;
}

static bool evolve(void *at, bt_event event, bt_undo *undo, bt_err *err)
{
    toy *state = at;
    const bt_id none = { { 0 } };
    if (bt_event_meta(event)->version != state->version + 1)
        return contradicts(event, err);
    bool folded = false;
    if (event.type == &trip_seats_held_message) {
        const struct trip_seats_held *held_event = event.data;
        folded = set_seat(state, event, held_event->places[0].seat, held_event->hold, none, held_event->expires_at, undo, err);
    } else if (event.type == &trip_hold_released_message) {
        const struct trip_hold_released *freed = event.data;
        folded = set_seat(state, event, freed->places[0].seat, none, freed->hold, 0, undo, err);
    } else if (event.type == &trip_hold_expired_message) {
        const struct trip_hold_expired *freed = event.data;
        folded = set_seat(state, event, freed->places[0].seat, none, freed->hold, 0, undo, err);
    } else if (event.type == &trip_sale_closed_message) {
        bt_undo_save(undo, &state->ends_at, sizeof state->ends_at);
        state->ends_at = bt_event_meta(event)->time + TOY_ENDS_AFTER_US;
        folded = true;
    } else {
        return contradicts(event, err);
    }
    if (!folded)
        return false;
    bt_undo_save(undo, &state->version, sizeof state->version);
    state->version++;
    return true;
}

static int64_t version(const void *state) { return ((const toy *)state)->version; }

static int32_t earliest(const toy *state)
{
    int32_t found = -1;
    for (int32_t i = 0; i < TOY_SEATS; i++) {
        if (!is_free(state, i) && state->seats[i].expires_at != INT64_MAX && (found < 0 ||
            state->seats[i].expires_at < state->seats[found].expires_at))
            found = i;
    }
    return found;
}

static int64_t next_deadline(const void *state)
{
    int32_t at = earliest(state);
    return at < 0 ? INT64_MAX : ((const toy *)state)->seats[at].expires_at;
}

static void decide_due(const void *at, bt_str stream, int64_t now_us, bt_arena *arena, bt_decision *ret_decision)
{
    (void)stream;
    const toy *state = at;
    int32_t due = earliest(state);
    if (due < 0 || state->seats[due].expires_at > now_us)
        return;
    struct trip_hold_expired *event = bt_arena_take(arena, sizeof *event);
    *event = (struct trip_hold_expired){ .hold = state->seats[due].hold, .to = 1, .places = place_of(due, arena), .places_count = 1 };
    ret_decision->event = (bt_event){ &trip_hold_expired_message, event };
}

static int64_t ends_at(const void *state) { return ((const toy *)state)->ends_at; }

static void render(const void *state, bt_str stream, bt_event event, bt_buf *out)
{
    (void)state;
    bt_json_str(out, "event", bt_str_of(event.type->record->name));
    bt_json_str(out, "stream", stream);
    if (event.type == &trip_seats_held_message)
        bt_json_id(out, "hold", ((const struct trip_seats_held *)event.data)->hold);
}

static void save(const void *state, bt_buf *out) { bt_buf_write(out, state, sizeof(toy)); }

static void *load(bt_bytes saved, bt_err *err)
{
    if (saved.size != sizeof(toy)) {
        bt_fail(err, BT_ERR_INPUT, 0, "a toy of %zu bytes", saved.size);
        return NULL;
    }
    toy *state = bt_alloc(sizeof *state);
    memcpy(state, saved.at, sizeof *state);
    return state;
}

static void digest(const void *at, bt_digest *into)
{
    const toy *state = at;
    bt_digest_feed(into, &state->version, sizeof state->version);
    for (int32_t i = 0; i < TOY_SEATS; i++)
        bt_digest_feed(into, state->seats[i].hold.at, sizeof state->seats[i].hold.at);
}

static const bt_verdict_info verdicts[] = {
    { TOY_TAKEN, 409, "seat-taken", "The seat is taken", "Choose another" },
    { TOY_FREE, 409, "seat-free", "The seat is free", "Hold it first" },
    { TOY_ENDED, 409, "ended", "It is over", "Choose another" },
};

const bt_decider toy_decider = { .kind = "trip", .events = trip_events, .event_count = TRIP_EVENT_COUNT, .verdicts = verdicts,
    .verdict_count = BT_COUNT_OF(verdicts),
    .ended_verdict = TOY_ENDED, .state_new = state_new, .state_free = state_free, .check = check, .decide = decide, .evolve = evolve,
    .version = version,
    .next_deadline = next_deadline, .decide_due = decide_due, .ends_at = ends_at, .render = render, .save = save, .load = load,
    .digest = digest };
