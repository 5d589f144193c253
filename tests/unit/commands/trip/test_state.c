/* state - whatever is taken back, saved, loaded or folded again: the same trip, to the last bit of its digest. */
#include "tests/unit/test.h"

#include "tests/unit/commands/trip/orders.h"

enum { EVENTS_MAX = 2000, FRAMES_MAX = 12 };

/* A trip whose events are kept as bytes, as in a log, so that they can be folded again. */
typedef struct logged_trip {
    void *trip;
    bt_undo *undo;
    orders orders;
    bt_arena arena, opening;
    bt_str records[EVENTS_MAX];
    uint32_t record_count;
} logged_trip;

static bt_id digest_of(const void *trip)
{
    bt_digest digest;
    bt_digest_init(&digest);
    trip_decider.digest(trip, &digest);
    return bt_digest_finish(&digest);
}

static bt_str saved(const void *trip, bt_arena *arena)
{
    bt_buf out;
    bt_buf_init(&out, 1 << 24);
    trip_decider.save(trip, &out);
    bt_str copy = bt_arena_copy(arena, bt_buf_view(&out));
    bt_buf_release(&out);
    return copy;
}

static void *loaded(bt_str bytes, bt_err *err) { return trip_decider.load((bt_bytes){ (const uint8_t *)bytes.at, bytes.size }, err); }

static void append(logged_trip *of, bt_event event)
{
    bt_buf bytes;
    bt_err err;
    bt_buf_init(&bytes, BT_RECORD_VALUE_MAX);
    *bt_event_meta(event) = (bt_meta){ .version = trip_decider.version(of->trip) + 1, .time = of->orders.now_us };
    bt_undo_begin(of->undo);
    assert_true(trip_decider.evolve(of->trip, event, of->undo, &err));
    assert_true(bt_event_encode(event, &bytes, &err));
    assert_true(of->record_count < EVENTS_MAX);
    of->records[of->record_count++] = bt_arena_copy(&of->opening, bt_buf_view(&bytes));
    bt_buf_release(&bytes);
}

static void open_trip(logged_trip *of, uint64_t seed)
{
    bt_decision decision;
    *of = (logged_trip){ .trip = trip_decider.state_new(NULL), .undo = bt_undo_new() };
    bt_arena_init(&of->arena, 0);
    bt_arena_init(&of->opening, 0);
    of->orders = (orders){ .random = seed, .now_us = INT64_C(1893456000000000), .arena = &of->opening };
    bt_command open = orders_open(&of->orders, (orders_size){ .points_max = 12, .sections_max = 3, .seats_max = 100,
        .capacity_max = 20 });
    trip_decider.decide(of->trip, &open, of->orders.now_us, &trip_settings_default, &of->opening, &decision);
    assert_int_equal(decision.verdict, BT_VERDICT_ACCEPTED);
    append(of, decision.event);
    of->orders.opened = decision.event.data;
    of->orders.arena = &of->arena;
}

static void close_trip(logged_trip *of)
{
    trip_decider.state_free(of->trip, of->undo);
    bt_undo_free(of->undo);
    bt_arena_release(&of->arena);
    bt_arena_release(&of->opening);
}

/* Decides one command, and what is due before it; appends what is accepted. */
static void step_once(logged_trip *of, bool endless)
{
    bt_decision decision;
    bt_arena_reset(&of->arena);
    bt_command command = orders_next(&of->orders, endless);
    trip_decider.decide_due(of->trip, BT_STR("T"), of->orders.now_us, &of->arena, &decision);
    if (decision.event.data == NULL)
        trip_decider.decide(of->trip, &command, of->orders.now_us, &trip_settings_default, &of->arena, &decision);
    if (decision.verdict != BT_VERDICT_ACCEPTED || of->record_count == EVENTS_MAX)
        return;
    append(of, decision.event);
    if (decision.event.type->index == TRIP_EVENT_SEATS_HELD)
        orders_saw_hold(&of->orders, command.key_digest);
}

static void *folded_afresh(const logged_trip *of)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    void *trip = trip_decider.state_new(NULL);
    for (uint32_t i = 0; i < of->record_count; i++) {
        bt_event event;
        bt_err err = { 0 };
        bt_arena_reset(&arena);
        assert_true(bt_event_decode((bt_bytes){ (const uint8_t *)of->records[i].at, of->records[i].size }, &arena, &event, &err));
        if (!trip_decider.evolve(trip, event, NULL, &err))
            fail_msg("%s", err.message);
    }
    bt_arena_release(&arena);
    return trip;
}

/* The state, its digest and its snapshot are those of a fresh fold, and of a loaded snapshot. */
static void assert_same_as_folded_afresh(logged_trip *of)
{
    bt_err err;
    bt_arena arena;
    bt_arena_init(&arena, 0);
    void *afresh = folded_afresh(of);
    bt_id digest = digest_of(of->trip);
    bt_str bytes = saved(of->trip, &arena);
    assert_true(bt_id_equal(digest, digest_of(afresh)));
    assert_true(bt_str_equal(bytes, saved(afresh, &arena)));
    void *again = loaded(bytes, &err);
    assert_non_null(again);
    assert_true(bt_id_equal(digest, digest_of(again)));
    assert_true(bt_str_equal(bytes, saved(again, &arena)));
    assert_int_equal(trip_decider.next_deadline(again), trip_decider.next_deadline(of->trip));
    assert_int_equal(trip_decider.version(again), trip_decider.version(of->trip));
    trip_decider.state_free(afresh, NULL);
    trip_decider.state_free(again, NULL);
    bt_arena_release(&arena);
}

static void evolve__with_frames_committed_and_rolled_back__is_a_fresh_fold_of_what_stands(void **unused)
{
    static logged_trip trip;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        open_trip(&trip, seed);
        for (int step = 0; step < 500; step++) {
            step_once(&trip, false);
            size_t frames = bt_undo_frame_count(trip.undo);
            if (frames > 1 && orders_random(&trip.orders, 6) == 0)
                bt_undo_commit_oldest(trip.undo);
            /* The first record is never taken back: the story goes on with its trip. */
            for (uint64_t i = orders_random(&trip.orders, 25) == 0 ? orders_random(&trip.orders, FRAMES_MAX) : 0; i > 0 &&
                bt_undo_frame_count(trip.undo) > 1; i--) {
                bt_undo_roll_back_newest(trip.undo);
                trip.record_count--;
            }
            while (bt_undo_frame_count(trip.undo) > FRAMES_MAX)
                bt_undo_commit_oldest(trip.undo);
            if (step % 25 == 0)
                assert_same_as_folded_afresh(&trip);
        }
        assert_same_as_folded_afresh(&trip);
        close_trip(&trip);
    }
}

static void opening__rolled_back__leaves_nothing_and_the_layout_goes(void **unused)
{
    static logged_trip trip;
    size_t layouts;
    open_trip(&trip, 5);
    assert_true(trip_layout_bytes(&layouts) > 0);
    assert_int_equal(layouts, 1);
    bt_undo_roll_back_newest(trip.undo);
    assert_int_equal(trip_decider.version(trip.trip), 0);
    assert_int_equal(trip_layout_bytes(&layouts), 0);
    assert_int_equal(layouts, 0);
    close_trip(&trip);
}

static void freeing__rolled_back__leaves_the_trip_as_it_was(void **unused)
{
    static logged_trip trip;
    size_t layouts;
    open_trip(&trip, 6);
    for (int step = 0; step < 200; step++)
        step_once(&trip, true);
    bt_undo_begin(trip.undo);
    trip_decider.state_free(trip.trip, trip.undo);
    bt_undo_roll_back_newest(trip.undo);
    assert_same_as_folded_afresh(&trip);
    close_trip(&trip);
    assert_int_equal(trip_layout_bytes(&layouts), 0);
}

static void layouts__of_one_timetable_on_many_days__are_one(void **unused)
{
    void *trips[30];
    size_t layouts;
    bt_arena arena;
    bt_arena_init(&arena, 0);
    for (int day = 0; day < 30; day++) {
        bt_decision decision;
        bt_err err;
        orders timetable = { .random = 9, .now_us = INT64_C(1893456000000000) + day * INT64_C(86400000000), .arena = &arena };
        bt_command open = orders_open(&timetable, (orders_size){ .points_max = 12, .sections_max = 3, .seats_max = 100,
            .capacity_max = 20 });
        trips[day] = trip_decider.state_new(NULL);
        trip_decider.decide(trips[day], &open, timetable.now_us, &trip_settings_default, &arena, &decision);
        bt_event_meta(decision.event)->version = 1;
        assert_true(trip_decider.evolve(trips[day], decision.event, NULL, &err));
        assert_true(trip_state_bytes(trips[day]) < 160);
    }
    trip_layout_bytes(&layouts);
    assert_int_equal(layouts, 1);
    for (int day = 0; day < 30; day++)
        trip_decider.state_free(trips[day], NULL);
    trip_layout_bytes(&layouts);
    assert_int_equal(layouts, 0);
    bt_arena_release(&arena);
}

/* A snapshot that was changed is refused, or is one of another trip that then is sound by itself: it saves to the same
 * bytes, and what it says can be decided on. */
static void load__of_damaged_bytes__refuses_or_makes_a_sound_trip(void **unused)
{
    static logged_trip trip;
    uint32_t refused = 0, taken = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        open_trip(&trip, seed);
        for (int step = 0; step < 150; step++)
            step_once(&trip, true);
        bt_str bytes = saved(trip.trip, &trip.opening);
        for (int damage = 0; damage < 1500; damage++) {
            bt_err err;
            bt_arena_reset(&trip.arena);
            bt_str copy = bt_arena_copy(&trip.arena, bytes);
            uint8_t *at = (uint8_t *)(uintptr_t)copy.at;
            if (damage % 3 == 0)
                copy.size = orders_random(&trip.orders, copy.size);
            else
                at[orders_random(&trip.orders, copy.size)] = (uint8_t)orders_random(&trip.orders, 256);
            void *other = loaded(copy, &err);
            refused += other == NULL;
            taken += other != NULL;
            if (other == NULL) {
                assert_int_equal(err.kind, BT_ERR_INPUT);
                continue;
            }
            assert_true(bt_str_equal(copy, saved(other, &trip.arena)));
            trip_decider.state_free(other, NULL);
        }
        close_trip(&trip);
    }
    assert_true(refused > 1000 && taken > 100);
}

static void load__of_an_unborn_trip__is_one(void **unused)
{
    bt_err err;
    bt_arena arena;
    bt_arena_init(&arena, 0);
    void *trip = trip_decider.state_new(NULL);
    void *again = loaded(saved(trip, &arena), &err);
    assert_int_equal(trip_decider.version(again), 0);
    assert_null(loaded(BT_STR(""), &err));
    assert_null(loaded(BT_STR("\x02\x00"), &err));
    assert_null(loaded(BT_STR("\x01\x00\x00"), &err));
    trip_decider.state_free(trip, NULL);
    trip_decider.state_free(again, NULL);
    bt_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evolve__with_frames_committed_and_rolled_back__is_a_fresh_fold_of_what_stands),
        cmocka_unit_test(opening__rolled_back__leaves_nothing_and_the_layout_goes),
        cmocka_unit_test(freeing__rolled_back__leaves_the_trip_as_it_was),
        cmocka_unit_test(layouts__of_one_timetable_on_many_days__are_one),
        cmocka_unit_test(load__of_damaged_bytes__refuses_or_makes_a_sound_trip),
        cmocka_unit_test(load__of_an_unborn_trip__is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
