/* fuzz_trip - a trip's decider on arbitrary snapshots and arbitrary commands.
 *
 * First byte odd: the rest is a snapshot. If it loads, it must save to the same bytes. Even: the rest is read as
 * commands, with any values and any texts; what is accepted must fold, what was folded must survive save and load, and
 * a roll-back must restore the digest. In both cases nothing may crash. */
#include "commands/trip/trip.h"
#include "core/memory.h"
#include "schemas/trip.h"

#define COMMANDS_MAX 200
#define START_US INT64_C(1893456000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    const uint8_t *at, *end;
    bt_arena arena;
} input;

static uint32_t take(input *from, uint32_t below)
{
    uint32_t value = 0;
    for (uint32_t range = 1; range < below && from->at < from->end && range <= 1U << 24; range <<= 8)
        value = value << 8 | *from->at++;
    return value % below;
}

static bool flip(input *from) { return take(from, 2) == 1; }

/* Mostly words that mean something, now and then raw bytes, or nothing at all. */
static bt_str text(input *from)
{
    static const char *const words[] = { "A", "B", "C", "D", "E", "car", "van", "bikes", "second", "first", "1", "2", "3", "4", "c-1",
        "UTC", "A@0", "B@1", "" };
    uint32_t which = take(from, 24);
    if (which < BT_COUNT_OF(words))
        return bt_str_of(words[which]);
    size_t wanted = which == 20 ? 0 : take(from, 110), left = (size_t)(from->end - from->at);
    bt_str raw = { (const char *)from->at, wanted < left ? wanted : left };
    from->at += raw.size;
    return raw.size == 0 ? (bt_str){ 0 } : raw;
}

static int64_t any_time(input *from)
{
    static const int64_t odd[] = { INT64_MIN, INT64_MAX, -1, 0, INT64_C(253402300799000000) };
    uint32_t which = take(from, 64);
    return which < BT_COUNT_OF(odd) ? odd[which] : START_US + (int64_t)which * 60000000 + take(from, 3);
}

static int32_t any_number(input *from)
{
    static const int32_t odd[] = { INT32_MIN, INT32_MAX, -1, 0, 1000000, 1000001 };
    uint32_t which = take(from, 32);
    return which < BT_COUNT_OF(odd) ? odd[which] : (int32_t)which - 5;
}

static uint32_t texts(input *from, uint32_t max, const bt_str **ret_texts)
{
    uint32_t count = take(from, max);
    bt_str *made = bt_arena_take(&from->arena, (count + 1) * sizeof *made);
    for (uint32_t i = 0; i < count; i++)
        made[i] = flip(from) ? bt_arena_printf(&from->arena, "%u", i) : text(from);
    *ret_texts = made;
    return count;
}

static void *any_opening(input *from)
{
    struct trip_open_trip *open = bt_arena_take(&from->arena, sizeof *open);
    bool sane = take(from, 4) != 0;
    *open = (struct trip_open_trip){ .has_trip = flip(from), .trip = text(from), .name = sane ? BT_STR("n") : text(from), .timezone = sane
        ? BT_STR("UTC") : text(from) };
    open->points_count = sane ? 2 + take(from, 63) : take(from, 70);
    open->sections_count = sane ? 1 + take(from, 4) : take(from, 70);
    struct trip_point_spec *points = bt_arena_take(&from->arena, (open->points_count + 1) * sizeof *points);
    struct trip_section_spec *sections = bt_arena_take(&from->arena, (open->sections_count + 1) * sizeof *sections);
    for (uint32_t i = 0; i < open->points_count; i++) {
        int64_t at_us = START_US + (1 + i / 2) * INT64_C(600000000);
        points[i] = (struct trip_point_spec){ .stop = sane ? bt_arena_printf(&from->arena, "%c", 'A' + (int)(i % 30)) : text(from),
            .name = text(from),
            .arrives_at = sane ? at_us : any_time(from), .departs_at = sane ? at_us : any_time(from), .has_board = flip(from),
                .board = flip(from),
            .has_alight = flip(from), .alight = flip(from) };
    }
    for (uint32_t i = 0; i < open->sections_count; i++) {
        struct trip_section_spec *section = &sections[i];
        *section = (struct trip_section_spec){ .name = sane ? bt_arena_printf(&from->arena, "s%u", i) : text(from), .class = sane
            ? BT_STR("second") : text(from),
            .has_seats = flip(from), .has_blocked = !sane && flip(from) };
        section->has_capacity = sane ? !section->has_seats : flip(from);
        section->capacity = sane ? 3 : any_number(from);
        section->seats_count = texts(from, 40, &section->seats);
        section->blocked_count = texts(from, 4, &section->blocked);
    }
    open->points = points;
    open->sections = sections;
    return open;
}

static uint32_t any_seats(input *from, const struct trip_seat_wish **ret_wishes)
{
    uint32_t count = take(from, 70);
    struct trip_seat_wish *wishes = bt_arena_take(&from->arena, (count + 1) * sizeof *wishes);
    for (uint32_t i = 0; i < count; i++)
        wishes[i] = (struct trip_seat_wish){ flip(from) ? BT_STR("s0") : text(from), text(from) };
    *ret_wishes = wishes;
    return count;
}

static void *any_data(input *from, enum trip_command which)
{
    void *data = bt_arena_take(&from->arena, trip_commands[which]->record->struct_size);
    if (which == TRIP_COMMAND_OPEN_TRIP)
        return any_opening(from);
    if (which == TRIP_COMMAND_HOLD_SEATS) {
        struct trip_hold_seats *hold = data;
        *hold = (struct trip_hold_seats){ .from = text(from), .to = text(from), .has_class = take(from, 4) == 0, .class = text(from),
            .has_count = flip(from),
            .count = any_number(from), .has_adjacent = flip(from), .adjacent = flip(from), .customer = flip(from) ? BT_STR("c")
                : text(from),
            .has_ttl_seconds = flip(from), .ttl_seconds = any_number(from) };
        hold->has_seats = !hold->has_count || take(from, 8) == 0;
        hold->seats_count = any_seats(from, &hold->seats);
    } else if (which == TRIP_COMMAND_CHANGE_BOOKING) {
        struct trip_change_booking *change = data;
        *change = (struct trip_change_booking){ .has_from = flip(from), .from = text(from), .has_to = flip(from), .to = text(from),
            .has_class = take(from, 4) == 0,
            .class = text(from), .has_seats = flip(from), .has_adjacent = flip(from), .adjacent = flip(from) };
        change->seats_count = any_seats(from, &change->seats);
    } else if (which == TRIP_COMMAND_EXTEND_HOLD) {
        *(struct trip_extend_hold *)data = (struct trip_extend_hold){ .has_ttl_seconds = flip(from), .ttl_seconds = any_number(from) };
    } else if (which == TRIP_COMMAND_CANCEL_TRIP) {
        ((struct trip_cancel_trip *)data)->reason = text(from);
    }
    return data;
}

static bt_id digest_of(const void *trip)
{
    bt_digest digest;
    bt_digest_init(&digest);
    trip_decider.digest(trip, &digest);
    return bt_digest_finish(&digest);
}

static void check_round_trip(const void *trip, const bt_bytes *expected)
{
    bt_buf bytes;
    bt_err err;
    bt_buf_init(&bytes, 1 << 24);
    trip_decider.save(trip, &bytes);
    bt_assert(expected == NULL || (expected->size == bytes.size && memcmp(expected->at, bytes.at, bytes.size) == 0));
    void *again = trip_decider.load((bt_bytes){ bytes.at, bytes.size }, &err);
    bt_assert(again != NULL && bt_id_equal(digest_of(again), digest_of(trip)));
    trip_decider.state_free(again, NULL);
    bt_buf_release(&bytes);
}

/* Folds under a frame, takes it back, folds again. */
static void fold_twice(void *trip, bt_undo *undo, bt_event event, int64_t now_us)
{
    bt_err err;
    bt_id before = digest_of(trip);
    *bt_event_meta(event) = (bt_meta){ .version = trip_decider.version(trip) + 1, .time = now_us };
    bt_undo_begin(undo);
    bt_assert(trip_decider.evolve(trip, event, undo, &err));
    bt_undo_roll_back_newest(undo);
    bt_assert(bt_id_equal(before, digest_of(trip)));
    bt_undo_begin(undo);
    bt_assert(trip_decider.evolve(trip, event, undo, &err));
    bt_undo_commit_oldest(undo);
}

static void try_commands(input *from)
{
    bt_undo *undo = bt_undo_new();
    void *trip = trip_decider.state_new(NULL);
    int64_t now_us = START_US;
    for (int i = 0; i < COMMANDS_MAX && from->at < from->end; i++) {
        bt_decision decision;
        bt_arena_reset(&from->arena);
        enum trip_command which = i == 0 ? TRIP_COMMAND_OPEN_TRIP : (enum trip_command)take(from, TRIP_COMMAND_COUNT);
        bt_command command = { .type = trip_commands[which], .data = any_data(from, which), .stream = BT_STR("T"),
            .key_digest = { { (uint8_t)take(from, 16) } },
            .target = { { (uint8_t)take(from, 16) } }, .has_if_match = take(from, 32) == 0, .if_match = any_number(from) };
        now_us += take(from, 256) * INT64_C(1000000);
        trip_decider.decide(trip, &command, now_us, &trip_settings_default, &from->arena, &decision);
        if (decision.verdict == BT_VERDICT_ACCEPTED)
            fold_twice(trip, undo, decision.event, now_us);
        if (decision.verdict < BT_VERDICT_REFUSED) {
            bt_buf answer;
            bt_buf_init(&answer, 1 << 22);
            trip_decider.render(trip, command.stream, decision.event, &answer);
            bt_buf_release(&answer);
        }
        for (;;) {
            trip_decider.decide_due(trip, command.stream, now_us, &from->arena, &decision);
            if (decision.event.data == NULL)
                break;
            fold_twice(trip, undo, decision.event, now_us);
        }
    }
    check_round_trip(trip, NULL);
    trip_decider.state_free(trip, NULL);
    bt_undo_free(undo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (*data & 1) {
        bt_err err;
        bt_bytes saved = { data + 1, size - 1 };
        void *trip = trip_decider.load(saved, &err);
        if (trip != NULL)
            check_round_trip(trip, &saved);
        trip_decider.state_free(trip, NULL);
        return 0;
    }
    input from = { .at = data + 1, .end = data + size };
    bt_arena_init(&from.arena, 0);
    try_commands(&from);
    bt_arena_release(&from.arena);
    return 0;
}
