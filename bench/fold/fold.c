/* bench_fold - what a trip costs in memory and on one core, without log or network.
 *
 *   fold.evolve      decoded events a second, folded without undo as a restore does. 8 trips of 2,000 seats and 20
 *                    points, filled to 85 % and kept there: best-fit holds on random stretches, most of them confirmed,
 *                    some released, bookings cancelled; the events of all trips interleaved
 *   decide.hold      nanoseconds to choose the best fitting seat on such a trip; decide.sold_out: to refuse on a full one
 *   memory.trip      bytes of a trip of 1,000 seats: unsold (its layout is shared, and told apart), and with each seat booked
 *
 *   bench_fold [--json] [--quick] */
#include "commands/trip/trip.h"
#include "core/memory.h"
#include "schemas/trip.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>

enum { TRIPS = 8, SEATS = 2000, POINTS = 20, EVENTS_MAX = 320000, ROUNDS = 10 };

#define START_US INT64_C(1893456000000000)

static bool as_json;

static int64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time); /* of one thread: what other programs take does not count */
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static uint64_t random_below(uint64_t *state, uint64_t below)
{
    *state += 0x9e3779b97f4a7c15ULL;
    return bt_mix64(*state) % below;
}

/* want 0: for information. lower: the value should be at most what is wanted. */
static void report(const char *name, double value, const char *unit, double want, bool lower)
{
    bool met = want == 0 || (lower ? value <= want : value >= want);
    if (!as_json) {
        printf("%-24s %14.1f %-10s", name, value, unit);
        if (want != 0)
            printf(" want %s %.0f: %s", lower ? "at most" : "at least", want, met ? "met" : "NOT met");
        printf("\n");
        return;
    }
    bt_buf line;
    bt_buf_init(&line, 4096);
    bt_json_open(&line, NULL, '{');
    bt_json_str(&line, "name", bt_str_of(name));
    bt_json_double(&line, "value", value);
    bt_json_str(&line, "unit", bt_str_of(unit));
    bt_json_null(&line, "limit");
    bt_json_null(&line, "ratio");
    if (want != 0)
        bt_json_double(&line, "want", want);
    else
        bt_json_null(&line, "want");
    bt_json_bool(&line, "met", met);
    bt_json_close(&line, '}');
    printf("%.*s\n", (int)line.size, (const char *)line.at);
    bt_buf_release(&line);
}

static const struct trip_open_trip *make_opening(bt_arena *arena, uint32_t seat_count, uint32_t point_count)
{
    struct trip_open_trip *open = bt_arena_take(arena, sizeof *open);
    struct trip_point_spec *points = bt_arena_take(arena, point_count * sizeof *points);
    struct trip_section_spec *sections = bt_arena_take(arena, sizeof *sections);
    bt_str *labels = bt_arena_take(arena, seat_count * sizeof *labels);
    for (uint32_t i = 0; i < point_count; i++) {
        int64_t at_us = START_US + (INT64_C(86400) + i * INT64_C(600)) * 1000000;
        points[i] = (struct trip_point_spec){ .stop = bt_arena_printf(arena, "p%u", i), .name = BT_STR("stop"), .arrives_at = at_us,
            .departs_at = at_us };
    }
    for (uint32_t i = 0; i < seat_count; i++)
        labels[i] = bt_arena_printf(arena, "%u", i + 1);
    *sections = (struct trip_section_spec){ .name = BT_STR("car"), .class = BT_STR("second"), .has_seats = true, .seats = labels,
        .seats_count = seat_count };
    *open = (struct trip_open_trip){ .name = BT_STR("bench"), .timezone = BT_STR("UTC"), .points = points, .points_count = point_count,
        .sections = sections,
        .sections_count = 1 };
    return open;
}

typedef struct workload {
    bt_arena arena; /* what is measured reads from here */
    bt_event events[EVENTS_MAX];
    uint8_t trip_of[EVENTS_MAX];
    uint32_t event_count;
    void *trips[TRIPS];
    bt_id live[TRIPS][SEATS * POINTS]; /* booked, of each trip */
    uint32_t live_count[TRIPS];
    bt_buf records; /* the events as a log holds them */
    uint32_t record_sizes[EVENTS_MAX];
    bt_arena decoded;
} workload;

static bool decide_and_fold(workload *load, uint32_t trip, bt_command *command)
{
    bt_decision decision;
    bt_err err;
    command->stream = BT_STR("T");
    trip_decider.decide(load->trips[trip], command, START_US, &trip_settings_default, &load->arena, &decision);
    if (decision.verdict != BT_VERDICT_ACCEPTED)
        return false;
    *bt_event_meta(decision.event) = (bt_meta){ .version = trip_decider.version(load->trips[trip]) + 1, .time = START_US };
    if (!trip_decider.evolve(load->trips[trip], decision.event, NULL, &err)) {
        fprintf(stderr, "bench_fold: %s\n", err.message);
        bt_assert(!"an event of the workload was not folded");
    }
    size_t before = load->records.size;
    bt_assert(bt_event_encode(decision.event, &load->records, &err));
    load->record_sizes[load->event_count] = (uint32_t)(load->records.size - before);
    load->trip_of[load->event_count++] = (uint8_t)trip;
    return true;
}

static struct trip_hold_seats random_hold(bt_arena *arena, uint64_t *random)
{
    uint64_t board = random_below(random, POINTS - 1), alight = board + 1 + random_below(random, POINTS - 1 - board);
    return (struct trip_hold_seats){ .from = bt_arena_printf(arena, "p%u", (unsigned)board),
        .to = bt_arena_printf(arena, "p%u", (unsigned)alight),
        .has_count = true, .count = 1, .customer = BT_STR("customer-12345678") };
}

static void hold_confirm_or_release(workload *load, uint32_t trip, uint64_t *random)
{
    bt_arena_reset(&load->arena);
    struct trip_hold_seats hold = random_hold(&load->arena, random);
    uint64_t halves[2] = { random_below(random, UINT64_MAX), random_below(random, UINT64_MAX) };
    char nothing[16] = { 0 };
    bt_command command = { .type = &trip_hold_seats_message, .data = &hold };
    memcpy(command.key_digest.at, halves, sizeof halves);
    bool held = decide_and_fold(load, trip, &command);
    command.data = nothing;
    command.target = command.key_digest;
    if (held && random_below(random, 4) == 0) {
        command.type = &trip_release_hold_message;
        decide_and_fold(load, trip, &command);
    } else if (held) {
        command.type = &trip_confirm_hold_message;
        decide_and_fold(load, trip, &command);
        load->live[trip][load->live_count[trip]++] = command.target;
    }
    /* A refusal means that the trip is full: make room. */
    if (!held && load->live_count[trip] > 0) {
        uint32_t at = (uint32_t)random_below(random, load->live_count[trip]);
        command.type = &trip_cancel_booking_message;
        command.target = load->live[trip][at];
        load->live[trip][at] = load->live[trip][--load->live_count[trip]];
        decide_and_fold(load, trip, &command);
    }
}

static void make_workload(workload *load)
{
    uint64_t random = 1;
    bt_arena_init(&load->arena, 0);
    bt_buf_init(&load->records, (size_t)1 << 30);
    bt_arena opening;
    bt_arena_init(&opening, 0);
    bt_command open = { .type = &trip_open_trip_message, .data = make_opening(&opening, SEATS, POINTS) };
    for (uint32_t trip = 0; trip < TRIPS; trip++) {
        load->trips[trip] = trip_decider.state_new(NULL);
        bt_assert(decide_and_fold(load, trip, &open));
    }
    bt_arena_release(&opening);
    while (load->event_count + 4 < EVENTS_MAX)
        hold_confirm_or_release(load, (uint32_t)random_below(&random, TRIPS), &random);
    /* What is folded is what a reader would have just decoded: in order, one after the other. */
    const uint8_t *at = load->records.at;
    bt_err err;
    bt_arena_init(&load->decoded, (size_t)1 << 30);
    for (uint32_t i = 0; i < load->event_count; at += load->record_sizes[i++])
        bt_assert(bt_event_decode((bt_bytes){ at, load->record_sizes[i] }, &load->decoded, &load->events[i], &err));
}

/* Nanoseconds a decision, of those that end in the verdict; decisions are not folded, so the trips stay as they are. */
static void measure_decisions(workload *load, int asked)
{
    enum { COMMANDS = 20000 };
    uint64_t random = 99;
    int64_t took_ns[2] = { 0 };
    int counts[2] = { 0 };
    bt_arena arena;
    bt_arena_init(&arena, 0);
    struct trip_hold_seats *holds = bt_alloc(COMMANDS * sizeof *holds);
    bool *accepted = bt_alloc(COMMANDS);
    for (int i = 0; i < COMMANDS; i++)
        holds[i] = random_hold(&arena, &random);
    /* A first pass finds which will be accepted; the next two measure each kind as one run. */
    for (int pass = 0; pass < 3; pass++) {
        int64_t began_ns = cpu_ns();
        for (int i = 0; i < COMMANDS; i++) {
            bt_decision decision;
            if (pass > 0 && accepted[i] != (pass == 1))
                continue;
            holds[i].count = asked;
            bt_arena_reset(&load->arena);
            bt_command command = { .type = &trip_hold_seats_message, .data = &holds[i], .stream = BT_STR("T"), .key_digest = { { 1 } } };
            trip_decider.decide(load->trips[i % TRIPS], &command, START_US, &trip_settings_default, &load->arena, &decision);
            accepted[i] = decision.verdict == BT_VERDICT_ACCEPTED;
            if (pass > 0)
                counts[pass - 1]++;
        }
        if (pass > 0)
            took_ns[pass - 1] = cpu_ns() - began_ns;
    }
    if (counts[0] > 0)
        report(asked == 1 ? "decide.hold" : "decide.hold.4", (double)took_ns[0] / counts[0], "ns", 3000, true);
    if (counts[1] > 0)
        report(asked == 1 ? "decide.sold_out" : "decide.sold_out.4", (double)took_ns[1] / counts[1], "ns", 3000, true);
    bt_release(holds);
    bt_release(accepted);
    bt_arena_release(&arena);
}

static double fold_once(const workload *load)
{
    void *trips[TRIPS];
    bt_err err;
    for (uint32_t i = 0; i < TRIPS; i++)
        trips[i] = trip_decider.state_new(NULL);
    int64_t began_ns = cpu_ns();
    for (uint32_t i = 0; i < load->event_count; i++)
        if (!trip_decider.evolve(trips[load->trip_of[i]], load->events[i], NULL, &err))
            bt_assert(!"an event of the workload was not folded");
    int64_t took_ns = cpu_ns() - began_ns;
    for (uint32_t i = 0; i < TRIPS; i++)
        trip_decider.state_free(trips[i], NULL);
    return (double)load->event_count * 1e9 / (double)took_ns;
}

static void measure_memory(void)
{
    enum { MANY = 200 };
    bt_arena arena;
    workload *load = bt_alloc(sizeof *load);
    void *trips[MANY];
    bt_arena_init(&arena, 0);
    bt_arena_init(&load->arena, 0);
    bt_buf_init(&load->records, (size_t)1 << 30);
    bt_decision decision;
    bt_err err;
    bt_command open = { .type = &trip_open_trip_message, .data = make_opening(&arena, 1000, POINTS), .stream = BT_STR("T") };
    load->trips[0] = trip_decider.state_new(NULL);
    decide_and_fold(load, 0, &open);
    void *unborn = trip_decider.state_new(NULL);
    trip_decider.decide(unborn, &open, START_US, &trip_settings_default, &arena, &decision);
    bt_event_meta(decision.event)->version = 1;
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < MANY; i++) {
        trips[i] = trip_decider.state_new(NULL);
        bt_assert(trip_decider.evolve(trips[i], decision.event, NULL, &err));
    }
    report("memory.trip.unsold", (double)(mallinfo2().uordblks - before) / MANY, "bytes", 0, true);
    size_t layouts;
    report("memory.layout.1000", (double)trip_layout_bytes(&layouts), "bytes", 0, true);
    for (uint32_t i = 0; i < 1000; i++) {
        struct trip_hold_seats hold = { .from = BT_STR("p0"), .to = BT_STR("p19"), .has_count = true, .count = 1,
            .customer = BT_STR("customer-12345678") };
        bt_command command = { .type = &trip_hold_seats_message, .data = &hold, .key_digest = { { (uint8_t)i, (uint8_t)(i >> 8) } } };
        bt_assert(decide_and_fold(load, 0, &command));
        char nothing[16] = { 0 };
        bt_command confirm = { .type = &trip_confirm_hold_message, .data = nothing, .target = command.key_digest };
        bt_assert(decide_and_fold(load, 0, &confirm));
    }
    before = mallinfo2().uordblks;
    trip_decider.state_free(load->trips[0], NULL);
    report("memory.trip.1000_booked", (double)(before - mallinfo2().uordblks), "bytes", 0, true);
    bt_arena_release(&load->arena);
    bt_release(load);
}

int main(int count, char **arguments)
{
    bool quick = false;
    for (int i = 1; i < count; i++) {
        as_json = as_json || strcmp(arguments[i], "--json") == 0;
        quick = quick || strcmp(arguments[i], "--quick") == 0;
    }
    measure_memory();
    workload *load = bt_alloc(sizeof *load);
    make_workload(load);
    double best = 0;
    for (int round = 0; round < (quick ? 1 : ROUNDS); round++) {
        double rate = fold_once(load);
        best = rate > best ? rate : best;
    }
    report("fold.evolve", best, "events/s", 5e6, false);
    measure_decisions(load, 1);
    measure_decisions(load, 4);
    for (uint32_t trip = 0; trip < TRIPS; trip++)
        trip_decider.state_free(load->trips[trip], NULL);
    bt_arena_release(&load->arena);
    bt_arena_release(&load->decoded);
    bt_buf_release(&load->records);
    bt_release(load);
    return 0;
}
