/* oracle - random histories of all commands, decided by the decider and by a naive second trip: they must agree on
 * every verdict, every place that is chosen, and every count of free seats that is told. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "tests/unit/commands/trip/orders.h"
#include "tests/unit/commands/trip/naive.h"

typedef struct oracle_run {
    void *trip;
    naive_trip *naive;
    orders orders;
    bt_arena arena, opening; /* opening: what lives as long as the run */
    uint64_t seed;
    int step;
    uint32_t verdict_counts[64];
} oracle_run;

static bool failed(const oracle_run *run, const char *what, const bt_decision *decision, const naive_answer *naive)
{
    print_error("seed %llu, step %d: %s\n  decided: verdict %d, " BT_STR_FMT " " BT_STR_FMT "\n  naive:   verdict %d, %u places, from %d to %d, free %lld\n",
        (unsigned long long)run->seed, run->step, what, decision->verdict, BT_STR_ARG(decision->detail), BT_STR_ARG(decision->members),
            naive->verdict, naive->place_count,
        naive->from, naive->to, (long long)naive->free);
    return false;
}

static void fold_event(oracle_run *run, bt_event event)
{
    bt_err err;
    *bt_event_meta(event) = (bt_meta){ .version = trip_decider.version(run->trip) + 1, .time = run->orders.now_us };
    if (!trip_decider.evolve(run->trip, event, NULL, &err))
        fail_msg("seed %llu, step %d: not folded: %s", (unsigned long long)run->seed, run->step, err.message);
}

/* The stretch and places that an event tells, whichever event it is. */
static bool told(bt_event event, int32_t *ret_from, int32_t *ret_to, const struct trip_place **ret_places, uint32_t *ret_count)
{
#define TOLD(type)                                     \
    do {                                               \
        const type *data = event.data;                 \
        *ret_from = data->from, *ret_to = data->to;    \
        *ret_places = data->places;                    \
        *ret_count = data->places_count;               \
        return true;                                   \
    } while (0)
    switch ((enum trip_event)event.type->index) {
    case TRIP_EVENT_SEATS_HELD:
        TOLD(struct trip_seats_held);
    case TRIP_EVENT_HOLD_CONFIRMED:
        TOLD(struct trip_hold_confirmed);
    case TRIP_EVENT_HOLD_RELEASED:
        TOLD(struct trip_hold_released);
    case TRIP_EVENT_HOLD_EXPIRED:
        TOLD(struct trip_hold_expired);
    case TRIP_EVENT_BOOKING_CHANGED:
        TOLD(struct trip_booking_changed);
    case TRIP_EVENT_BOOKING_CANCELLED:
        TOLD(struct trip_booking_cancelled);
    case TRIP_EVENT_HOLD_EXTENDED:
    case TRIP_EVENT_TRIP_OPENED:
    case TRIP_EVENT_SALE_CLOSED:
    case TRIP_EVENT_TRIP_CANCELLED:
        return false;
    }
    return false;
}

static bool agrees(const oracle_run *run, const bt_decision *decision, const naive_answer *naive)
{
    int32_t from, to;
    const struct trip_place *places;
    uint32_t count;
    if (decision->verdict != naive->verdict)
        return failed(run, "another verdict", decision, naive);
    if (decision->verdict >= BT_VERDICT_REFUSED) {
        char free_told[32];
        snprintf(free_told, sizeof free_told, "\"free\":%lld", (long long)naive->free);
        bool tells = decision->members.size == 0 ? naive->free < 0
                                                 : decision->members.size >= strlen(free_told) &&
                                                       memcmp(decision->members.at + decision->members.size - strlen(free_told), free_told,
                                                           strlen(free_told)) == 0;
        return tells || failed(run, "another number of free seats", decision, naive);
    }
    if (decision->event.type->index == TRIP_EVENT_HOLD_EXTENDED &&
        ((const struct trip_hold_extended *)decision->event.data)->expires_at != naive->expires_at)
        return failed(run, "another end", decision, naive);
    if (decision->event.type->index == TRIP_EVENT_SEATS_HELD &&
        ((const struct trip_seats_held *)decision->event.data)->expires_at != naive->expires_at)
        return failed(run, "another end", decision, naive);
    if (!told(decision->event, &from, &to, &places, &count))
        return true;
    bool same = from == naive->from && to == naive->to && count == naive->place_count;
    for (uint32_t i = 0; same && i < count; i++)
        same = places[i].section == naive->places[i].section && places[i].seat == naive->places[i].seat;
    return same || failed(run, "other places", decision, naive);
}

static bool expire_all(oracle_run *run)
{
    for (;;) {
        bt_decision decision;
        bt_id due = naive_due(run->naive, run->orders.now_us);
        trip_decider.decide_due(run->trip, BT_STR("T"), run->orders.now_us, &run->arena, &decision);
        if (decision.event.data == NULL)
            return bt_id_is_zero(due) || failed(run, "nothing due", &decision, &(naive_answer){ 0 });
        if (!bt_id_equal(((const struct trip_hold_expired *)decision.event.data)->hold, due))
            return failed(run, "another hold is due", &decision, &(naive_answer){ 0 });
        fold_event(run, decision.event);
        naive_expire(run->naive, due);
    }
}

static bool step_once(oracle_run *run, const trip_settings *settings)
{
    bt_decision decision;
    bt_arena_reset(&run->arena);
    bt_command command = orders_next(&run->orders, false);
    if (!expire_all(run))
        return false;
    naive_answer naive = naive_decide(run->naive, &command, run->orders.now_us, settings);
    trip_decider.decide(run->trip, &command, run->orders.now_us, settings, &run->arena, &decision);
    run->verdict_counts[decision.verdict]++;
    if (!agrees(run, &decision, &naive))
        return false;
    if (decision.verdict == BT_VERDICT_ACCEPTED) {
        fold_event(run, decision.event);
        naive_apply(run->naive, &command, &naive, run->orders.now_us);
        if (command.type->index == TRIP_COMMAND_HOLD_SEATS)
            orders_saw_hold(&run->orders, command.key_digest);
    }
    return true;
}

static void run_one(oracle_run *run, uint64_t seed, orders_size size, int steps)
{
    bt_decision decision;
    run->seed = seed;
    run->trip = trip_decider.state_new(NULL);
    run->orders = (orders){ .random = seed, .now_us = INT64_C(1893456000000000), .arena = &run->opening };
    bt_arena_init(&run->arena, 0);
    bt_arena_init(&run->opening, 0);
    bt_command open = orders_open(&run->orders, size);
    trip_decider.decide(run->trip, &open, run->orders.now_us, &trip_settings_default, &run->opening, &decision);
    if (decision.verdict != BT_VERDICT_ACCEPTED)
        fail_msg("seed %llu: the trip was not opened: " BT_STR_FMT, (unsigned long long)seed, BT_STR_ARG(decision.detail));
    fold_event(run, decision.event);
    run->orders.opened = decision.event.data;
    run->orders.arena = &run->arena;
    run->naive = naive_new(decision.event.data);
    for (run->step = 0; run->step < steps; run->step++)
        if (!step_once(run, &trip_settings_default))
            fail();
    naive_free(run->naive);
    trip_decider.state_free(run->trip, NULL);
    bt_arena_release(&run->arena);
    bt_arena_release(&run->opening);
}

static void decider__over_random_histories__agrees_with_the_naive_trip(void **unused)
{
    oracle_run run = { 0 };
    for (uint64_t seed = 1; seed <= 1500; seed++)
        run_one(&run, seed, (orders_size){ .points_max = 9, .sections_max = 3, .seats_max = 18, .capacity_max = 4 }, 400);
    for (uint64_t seed = 10001; seed <= 10060; seed++)
        run_one(&run, seed, (orders_size){ .points_max = 20, .sections_max = 4, .seats_max = 200, .capacity_max = 10 }, 400);
    print_message("accepted %u, already %u;", run.verdict_counts[0], run.verdict_counts[1]);
    for (size_t i = 0; i < trip_decider.verdict_count; i++)
        if (run.verdict_counts[BT_VERDICT_REFUSED + i] > 0)
            print_message(" %s %u", trip_decider.verdicts[i].type, run.verdict_counts[BT_VERDICT_REFUSED + i]);
    print_message("\n");
}

static void decider__of_the_largest_trip__agrees_with_the_naive_trip(void **unused)
{
    oracle_run run = { 0 };
    run_one(&run, 7, (orders_size){ .points_max = 64, .sections_max = 2, .seats_max = 1800, .capacity_max = 1000000 }, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decider__over_random_histories__agrees_with_the_naive_trip),
        cmocka_unit_test(decider__of_the_largest_trip__agrees_with_the_naive_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
