/* Drives the real decider with random commands, and links what it decides into a chain. Anything that the decider accepts can come up here,
 * so whoever folds these logs is tried with what a server may write. */
#include "tests/support/history.h"

#include "commands/trip/trip.h"
#include "schemas/log.h"
#include "schemas/trip.h"

#include <stdio.h>

#define RECORDS_MAX 200000
#define CLAIMS_MAX 4096
#define START_US INT64_C(4102444800000000) /* 2100: Redis may forget trips that are long over */

typedef struct claim {
    bt_id id;
    int trip;
} claim;

typedef struct maker {
    history *made;
    const history_options *options;
    uint64_t random;
    int64_t now_us;
    void **states;
    bt_str *names;
    claim claims[CLAIMS_MAX]; /* holds and bookings that were made, ended ones too: asking for those is part of life */
    int claim_count;
    uint64_t key;
    bt_arena arena; /* of one command */
} maker;

static uint64_t draw(maker *m, uint64_t below)
{
    m->random += 0x9e3779b97f4a7c15ULL;
    return bt_mix64(m->random) % below;
}

void history_append(history *made, bt_str key, bt_bytes value, bool is_valid)
{
    bt_record record = { .offset = (int64_t)made->record_count, .timestamp_us = START_US, .key = key.at ? bt_arena_copy(&made->arena, key) : key };
    uint8_t *copy = (uint8_t *)bt_arena_copy(&made->arena, (bt_str){ (const char *)value.at, value.size }).at;
    if (is_valid)
        memcpy(copy + BT_WIRE_PREFIX_SIZE, made->forward.head.at, sizeof made->forward.head.at);
    record.value = (bt_bytes){ copy, value.size };
    bt_assert(made->record_count < RECORDS_MAX);
    made->records[made->record_count++] = record;
    bt_assert((bt_forward_step(&made->forward, &record, NULL) == BT_FORWARD_VALID) == is_valid);
}

void history_append_event(history *made, bt_str key, bt_event event)
{
    bt_buf out;
    bt_buf_init(&out, BT_RECORD_VALUE_MAX);
    bt_event_meta(event)->parent = made->forward.head;
    bool encoded = bt_event_encode(event, &out, NULL);
    bt_assert(encoded);
    history_append(made, key, (bt_bytes){ out.at, out.size }, true);
    bt_buf_release(&out);
}

/* What a loser of a race, a zombie and a vandal leave behind. */
static void append_void(maker *m)
{
    history *made = m->made;
    const bt_record *earlier = &made->records[draw(m, made->record_count)];
    uint8_t noise[40] = { 0 };
    for (size_t i = 5; i < sizeof noise; i++)
        noise[i] = (uint8_t)draw(m, 256);
    switch (draw(m, 5)) {
    case 0:
        history_append(made, earlier->key, earlier->value, false); /* a duplicate */
        break;
    case 1:
        history_append(made, BT_STR("t0"), (bt_bytes){ noise, sizeof noise }, false);
        break;
    case 2:
        history_append(made, (bt_str){ 0 }, (bt_bytes){ noise, sizeof noise }, false);
        break;
    case 3:
        history_append(made, BT_STR("t0"), (bt_bytes){ noise, 7 }, false);
        break;
    default:
        noise[0] = 1;
        history_append(made, BT_STR("\xff\xfe"), (bt_bytes){ noise, sizeof noise }, false);
        break;
    }
}

static void append_decided(maker *m, int trip, bt_event event)
{
    bt_meta *meta = bt_event_meta(event);
    bt_err err = { 0 };
    *meta = (bt_meta){ .version = trip_decider.version(m->states[trip]) + 1, .time = m->now_us, .actor = BT_STR("tester") };
    bool evolved = trip_decider.evolve(m->states[trip], event, NULL, &err);
    bt_assert(evolved);
    history_append_event(m->made, m->names[trip], event);
    if (event.type == &trip_seats_held_message && m->claim_count < CLAIMS_MAX)
        m->claims[m->claim_count++] = (claim){ ((const struct trip_seats_held *)event.data)->hold, trip };
}

static void ask(maker *m, int trip, const bt_message_type *type, const void *data, bt_id target)
{
    bt_decision decision = { 0 };
    bt_command command = { .type = type, .data = data, .stream = m->names[trip], .target = target, .actor = BT_STR("tester") };
    m->key++;
    command.key_digest = bt_digest_parts((bt_str[]){ { (const char *)&m->key, sizeof m->key }, { (const char *)&m->options->seed, 8 } }, 2);
    trip_decider.decide(m->states[trip], &command, m->now_us, &trip_settings_default, &m->arena, &decision);
    if (decision.verdict == BT_VERDICT_ACCEPTED)
        append_decided(m, trip, decision.event);
}

static void open_trip(maker *m, int trip)
{
    static const char *const zones[] = { "Europe/Zurich", "America/New_York", "Asia/Kolkata", "UTC" };
    uint32_t points_count = 2 + (uint32_t)draw(m, draw(m, 8) == 0 ? 63 : 9), sections_count = 1 + (uint32_t)draw(m, 3);
    struct trip_point_spec *points = bt_arena_take(&m->arena, points_count * sizeof *points);
    struct trip_section_spec *sections = bt_arena_take(&m->arena, sections_count * sizeof *sections);
    int64_t at_us = m->now_us + (int64_t)draw(m, 3 * 86400) * 1000000;
    for (uint32_t i = 0; i < points_count; i++, at_us += (int64_t)draw(m, 7200) * 1000000) {
        bt_str stop = bt_arena_printf(&m->arena, i > 2 && i == points_count - 1 ? "s%u@%u" : "s%u", i == points_count - 1 && i > 2 ? 1 : i, i);
        points[i] = (struct trip_point_spec){ .stop = stop, .name = bt_arena_printf(&m->arena, "St\xc3\xb6p\t%u\\n", i), .arrives_at = at_us, .departs_at = at_us };
    }
    for (uint32_t i = 0; i < sections_count; i++) {
        bool counted = draw(m, 3) == 0;
        uint32_t seats_count = 1 + (uint32_t)draw(m, 40);
        bt_str *seats = bt_arena_take(&m->arena, seats_count * sizeof *seats);
        for (uint32_t j = 0; j < seats_count; j++)
            if (j % 5 != 4)
                seats[j] = bt_arena_printf(&m->arena, "%u\"", j);
        sections[i] = (struct trip_section_spec){ .name = bt_arena_printf(&m->arena, "car%u", i), .class = BT_STR("second"), .has_capacity = counted,
                                                  .capacity = 5, .has_seats = !counted, .seats = seats, .seats_count = counted ? 0 : seats_count };
    }
    struct trip_open_trip open = { .name = BT_STR("IR 15 \xe2\x86\x92 Z\xc3\xbcrich"), .timezone = bt_str_of(zones[draw(m, 4)]), .points = points,
                                   .points_count = points_count, .sections = sections, .sections_count = sections_count };
    ask(m, trip, &trip_open_trip_message, &open, (bt_id){ { 0 } });
}

static void hold_seats(maker *m, int trip)
{
    uint32_t from = (uint32_t)draw(m, 5), to = from + 1 + (uint32_t)draw(m, 5);
    struct trip_hold_seats hold = { .from = bt_arena_printf(&m->arena, "s%u", from), .to = bt_arena_printf(&m->arena, "s%u", to), .has_count = true,
                                    .count = 1 + (int32_t)draw(m, 4), .customer = bt_arena_printf(&m->arena, "c%u", (unsigned)draw(m, 50)) };
    ask(m, trip, &trip_hold_seats_message, &hold, (bt_id){ { 0 } });
}

static void touch_claim(maker *m)
{
    if (m->claim_count == 0)
        return;
    int newest = m->claim_count < 40 ? m->claim_count : 40;
    const claim *of = &m->claims[m->claim_count - 1 - (int)draw(m, (uint64_t)newest)];
    struct trip_extend_hold extend = { 0 };
    struct trip_change_booking change = { .has_to = draw(m, 2) == 0, .to = bt_arena_printf(&m->arena, "s%u", (unsigned)draw(m, 6)) };
    char nothing = 0;
    switch (draw(m, 8)) {
    case 0:
        ask(m, of->trip, &trip_extend_hold_message, &extend, of->id);
        break;
    case 1:
        ask(m, of->trip, &trip_release_hold_message, &nothing, of->id);
        break;
    case 2:
        ask(m, of->trip, &trip_change_booking_message, &change, of->id);
        break;
    case 3:
        ask(m, of->trip, &trip_cancel_booking_message, &nothing, of->id);
        break;
    default:
        ask(m, of->trip, &trip_confirm_hold_message, &nothing, of->id);
        break;
    }
}

static void let_time_pass(maker *m)
{
    m->now_us += (int64_t)draw(m, 60) * 1000000;
    for (int trip = 0; trip < m->options->trip_count; trip++) {
        for (int i = 0; i < 1000; i++) {
            bt_decision due = { 0 };
            trip_decider.decide_due(m->states[trip], m->names[trip], m->now_us, &m->arena, &due);
            if (!due.event.data)
                break;
            append_decided(m, trip, due.event);
        }
    }
}

static void live(maker *m)
{
    int trip = (int)draw(m, (uint64_t)m->options->trip_count);
    char nothing = 0;
    struct trip_cancel_trip cancel = { .reason = BT_STR("snow") };
    if (trip_decider.version(m->states[trip]) == 0)
        open_trip(m, trip);
    else if (draw(m, 1500) == 0)
        ask(m, trip, &trip_close_sale_message, &nothing, (bt_id){ { 0 } });
    else if (draw(m, 1500) == 0)
        ask(m, trip, &trip_cancel_trip_message, &cancel, (bt_id){ { 0 } });
    else if (draw(m, 2) == 0)
        hold_seats(m, trip);
    else
        touch_claim(m);
    if (draw(m, 20) == 0)
        let_time_pass(m);
}

static void open_log(maker *m)
{
    struct log_opened opened = { .meta = { .version = 1, .time = m->now_us, .actor = BT_STR("node") }, .topic = bt_str_of(m->options->topic ? m->options->topic : "berth.trip"),
                                 .partition = m->options->partition, .partition_count = m->options->partition_count, .registry = BT_STR("berth") };
    memcpy(opened.log.at, &m->options->seed, sizeof m->options->seed);
    history_append_event(m->made, BT_STR(BT_LOG_KEY), (bt_event){ &log_opened_message, &opened });
}

void history_init(history *made, const history_options *options)
{
    static maker m; /* large; tests are one thread */
    m = (maker){ .made = made, .options = options, .random = options->seed, .now_us = START_US };
    *made = (history){ 0 };
    bt_arena_init(&made->arena, SIZE_MAX);
    made->records = bt_alloc(RECORDS_MAX * sizeof *made->records);
    bt_arena_init(&m.arena, SIZE_MAX);
    m.states = bt_alloc((size_t)options->trip_count * sizeof *m.states);
    m.names = bt_alloc((size_t)options->trip_count * sizeof *m.names);
    for (int i = 0; i < options->trip_count; i++) {
        m.states[i] = trip_decider.state_new(NULL);
        m.names[i] = bt_arena_printf(&made->arena, "%s%d", options->prefix ? options->prefix : "t", i);
    }
    open_log(&m);
    for (int tries = 0; made->record_count < (size_t)options->record_count && tries < options->record_count * 50; tries++) {
        if ((int)draw(&m, 100) < options->void_percent)
            append_void(&m);
        live(&m);
        bt_arena_reset(&m.arena);
    }
    for (int i = 0; i < options->trip_count; i++)
        trip_decider.state_free(m.states[i], NULL);
    bt_release(m.states);
    bt_release(m.names);
    bt_arena_release(&m.arena);
}

void history_release(history *made)
{
    bt_release(made->records);
    bt_arena_release(&made->arena);
}
