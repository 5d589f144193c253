/* The folder beside folding one record after the other here: more than its batches hold, several partitions and trips in turn. */
#include "tests/unit/test.h"

#include "commands/trip/trip.h"
#include "core/memory.h"
#include "schemas/log.h"
#include "schemas/trip.h"
#include "tools/berth/replay/folder.h"

enum { PARTITIONS = 3, TRIPS = 4, HOLDS = 1500 };

typedef struct trip {
    bt_str id;
    int64_t version;
    void *state; /* folded here */
} trip;

typedef struct world {
    replay_folder *folder;
    bt_buf bytes;
    bt_arena arena;
    trip trips[PARTITIONS][TRIPS];
} world;

static const struct trip_place PLACE = { .section = 0, .seat = -1 };

/* Given to the folder, and unless it is told that it does not fit, folded here. */
static void give(world *w, int partition, trip *to, const bt_message_type *type, void *data, bool fits)
{
    bt_err err;
    bt_event event = { type, data };
    *bt_event_meta(event) = (bt_meta){ .version = to->version + 1, .time = 1, .actor = BT_STR("tester") };
    bt_buf_reset(&w->bytes);
    assert_true(bt_event_encode(event, &w->bytes, &err));
    folder_give(w->folder, partition, &(bt_record){ .key = to->id, .value = { w->bytes.at, w->bytes.size } });
    if (!fits)
        return;
    assert_true(trip_decider.evolve(to->state, event, NULL, &err));
    to->version++;
}

static void open_trip(world *w, int partition, trip *to)
{
    struct trip_point points[] = { { .stop = BT_STR("A"), .name = BT_STR("A"), .board = true }, { .stop = BT_STR("B"), .name = BT_STR("B"), .alight = true } };
    struct trip_section sections[] = { { .name = BT_STR("all"), .class = BT_STR("any"), .capacity = 10 } };
    struct trip_opened opened = { .name = to->id, .timezone = BT_STR("UTC"), .points = points, .points_count = 2, .sections = sections, .sections_count = 1 };
    give(w, partition, to, &trip_opened_message, &opened, true);
}

static void hold(world *w, int partition, trip *to, bt_id id)
{
    struct trip_seats_held held = { .hold = id, .from = 0, .to = 1, .places = &PLACE, .places_count = 1, .customer = BT_STR("c-1"), .expires_at = 2 };
    give(w, partition, to, &trip_seats_held_message, &held, true);
}

static void release(world *w, int partition, trip *to, bt_id id, bool fits)
{
    struct trip_hold_released released = { .hold = id, .from = 0, .to = 1, .places = &PLACE, .places_count = 1 };
    give(w, partition, to, &trip_hold_released_message, &released, fits);
}

static world *world_new(void)
{
    bt_err err;
    world *w = bt_alloc(sizeof *w);
    bt_arena_init(&w->arena, 0);
    bt_buf_init(&w->bytes, 1 << 20);
    assert_true(folder_new(&trip_decider, &w->folder, &err));
    for (int p = 0; p < PARTITIONS; p++)
        for (int t = 0; t < TRIPS; t++) {
            w->trips[p][t] = (trip){ .id = bt_arena_printf(&w->arena, "trip-%d-%d", p, t), .state = trip_decider.state_new(NULL) };
            open_trip(w, p, &w->trips[p][t]);
        }
    return w;
}

static void world_free(world *w)
{
    folder_free(w->folder);
    for (int p = 0; p < PARTITIONS; p++)
        for (int t = 0; t < TRIPS; t++)
            trip_decider.state_free(w->trips[p][t].state, NULL);
    bt_arena_release(&w->arena);
    bt_buf_release(&w->bytes);
    bt_release(w);
}

static bt_id digest_of(const void *state)
{
    bt_digest digest;
    bt_digest_init(&digest);
    trip_decider.digest(state, &digest);
    return bt_digest_finish(&digest);
}

static void assert_same_state(const world *w, const replay_folded *folded, int partition, int t)
{
    const trip *here = &w->trips[partition][t];
    bt_stream *there = bt_streams_find(folded->streams[partition], here->id);
    assert_non_null(there);
    assert_true(bt_id_equal(digest_of(there->state), digest_of(here->state)));
}

static void records_of_several_partitions__when_there_are_more_than_the_batches_hold__fold_to_the_same_states(void **unused)
{
    world *w = world_new();
    for (int i = 0; i < HOLDS; i++)
        for (int p = 0; p < PARTITIONS; p++)
            for (int t = 0; t < TRIPS; t++) {
                bt_id id = { { (uint8_t)i, (uint8_t)(i >> 8), 1 } };
                hold(w, p, &w->trips[p][t], id);
                if (i % 200 != 0)
                    release(w, p, &w->trips[p][t], id, true);
            }
    const replay_folded *folded = folder_finish(w->folder);
    assert_int_equal(folded->stopped_count, 0);
    int64_t given = 0;
    for (int p = 0; p < PARTITIONS; p++)
        for (int t = 0; t < TRIPS; t++) {
            given += w->trips[p][t].version;
            assert_same_state(w, folded, p, t);
        }
    assert_int_equal(folded->event_count, given);
    assert_null(folded->streams[PARTITIONS]);
    world_free(w);
}

static void an_event__when_it_contradicts_its_trip__stops_that_trip_alone(void **unused)
{
    world *w = world_new();
    release(w, 1, &w->trips[1][2], (bt_id){ { 9 } }, false);
    for (int t = 0; t < TRIPS; t++)
        hold(w, 1, &w->trips[1][t], (bt_id){ { 7 } });
    const replay_folded *folded = folder_finish(w->folder);
    assert_int_equal(folded->stopped_count, 1);
    assert_non_null(strstr(folded->first_stop, "trip-1-2: HoldReleased"));
    assert_int_equal(folded->event_count, PARTITIONS * TRIPS + TRIPS - 1);
    assert_true(bt_streams_find(folded->streams[1], BT_STR("trip-1-2"))->stopped);
    assert_same_state(w, folded, 1, 3);
    world_free(w);
}

static void an_event_of_another_kind__under_the_key_of_a_trip__stops_that_trip(void **unused)
{
    world *w = world_new();
    struct log_barrier barrier = { 0 };
    give(w, 0, &w->trips[0][0], &log_barrier_message, &barrier, false);
    const replay_folded *folded = folder_finish(w->folder);
    assert_int_equal(folded->stopped_count, 1);
    assert_non_null(strstr(folded->first_stop, "an event of kind log"));
    world_free(w);
}

static void a_folder__when_it_is_given_nothing_and_asked_twice__has_folded_nothing(void **unused)
{
    replay_folder *folder;
    bt_err err;
    assert_true(folder_new(&trip_decider, &folder, &err));
    assert_int_equal(folder_finish(folder)->event_count, 0);
    assert_int_equal(folder_finish(folder)->event_count, 0);
    folder_free(folder);
    folder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_several_partitions__when_there_are_more_than_the_batches_hold__fold_to_the_same_states),
        cmocka_unit_test(an_event__when_it_contradicts_its_trip__stops_that_trip_alone),
        cmocka_unit_test(an_event_of_another_kind__under_the_key_of_a_trip__stops_that_trip),
        cmocka_unit_test(a_folder__when_it_is_given_nothing_and_asked_twice__has_folded_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
