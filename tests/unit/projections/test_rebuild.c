/* A read model is written once: whatever way a history is cut into batches, live gives the rows that a rebuild gives; and the availability that
 * Redis shows is the one that the rows of holds and bookings in Postgres add up to. On random histories of the real decider. */
#include "projections/availability/fold.h"
#include "projections/trips/trips.h"
#include "schemas/trip.h"
#include "tests/support/history.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEDS 12
#define TRIPS_OF(seed) (3 + 4 * (seed % 4))
#define TABLES 5
enum { TRIPS_TABLE, POINTS_TABLE, STOPS_TABLE, HOLDS_TABLE, BOOKINGS_TABLE };

static history made;
static bt_arena arena; /* of one history's decoded events */

static void begin(uint64_t seed)
{
    history_init(&made, &(history_options){ .seed = seed, .trip_count = TRIPS_OF(seed), .record_count = 1500, .void_percent = 10, .partition_count = 1 });
    bt_arena_init(&arena, SIZE_MAX);
}

static void end(void)
{
    history_release(&made);
    bt_arena_release(&arena);
}

/* The valid events of trips, in order; false for any other record. */
static bool fact_at(bt_forward *forward, size_t index, bt_fact *ret_fact)
{
    const bt_record *record = &made.records[index];
    if (bt_forward_step(forward, record, NULL) != BT_FORWARD_VALID || bt_str_is(record->key, BT_LOG_KEY))
        return false;
    *ret_fact = (bt_fact){ .stream = record->key, .offset = record->offset };
    assert_true(bt_event_decode(record->value, &arena, &ret_fact->event, NULL));
    return true;
}

/* What Postgres does with a batch's changes. A row with some columns updates one that is there: the fold promises it. */
static void write_over(bt_changes *standing, const bt_changes *changes)
{
    for (size_t table = 0; table < TABLES; table++) {
        for (size_t i = 0; i < bt_changes_row_count(changes, table); i++) {
            const bt_row *row = bt_changes_row_at(changes, table, i);
            bt_row *into = bt_changes_row(standing, table, row->values);
            assert_true(bt_row_is_whole(row) || bt_row_is_whole(into));
            bt_row_merge(into, row);
        }
    }
}

static void fold_in_batches(bt_changes *standing, uint64_t seed)
{
    bt_changes *batch = bt_changes_new(trips_model.tables, trips_model.table_count);
    bt_forward forward = { 0 };
    bt_fact fact;
    for (size_t i = 0; i < made.record_count; i++) {
        if (fact_at(&forward, i, &fact))
            assert_true(bt_model_handler(&trips_model, fact.event.type)->fold(&fact, batch, NULL));
        if (bt_mix64(seed * 1000003 + i) % (1 + seed * 3) == 0) {
            write_over(standing, batch);
            bt_changes_reset(batch);
        }
    }
    write_over(standing, batch);
    bt_changes_free(batch);
}

static void fold_at_once(bt_changes *rebuilt)
{
    bt_forward forward = { 0 };
    bt_fact fact;
    for (size_t i = 0; i < made.record_count; i++)
        if (fact_at(&forward, i, &fact))
            assert_true(bt_model_handler(&trips_model, fact.event.type)->fold(&fact, rebuilt, NULL));
}

static void assert_same_rows(bt_changes *a, bt_changes *b)
{
    bt_buf a_text, b_text;
    bt_buf_init(&a_text, SIZE_MAX);
    bt_buf_init(&b_text, SIZE_MAX);
    for (size_t table = 0; table < TABLES; table++) {
        assert_int_equal(bt_changes_row_count(a, table), bt_changes_row_count(b, table));
        for (size_t i = 0; i < bt_changes_row_count(a, table); i++) {
            const bt_row *row = bt_changes_row_at(a, table, i);
            bt_buf_reset(&a_text);
            bt_buf_reset(&b_text);
            bt_row_copy_text(row, &a_text);
            bt_row_copy_text(bt_changes_row(b, table, row->values), &b_text);
            assert_true(bt_str_equal(bt_buf_view(&a_text), bt_buf_view(&b_text)));
        }
    }
    bt_buf_release(&a_text);
    bt_buf_release(&b_text);
}

static size_t event_counts[TRIP_EVENT_COUNT];

static void count_events(void)
{
    bt_forward forward = { 0 };
    bt_fact fact;
    for (size_t i = 0; i < made.record_count; i++)
        if (fact_at(&forward, i, &fact))
            event_counts[fact.event.type->index]++;
}

static void trips__folded_in_any_batches__have_the_rows_of_a_rebuild(void **unused)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        bt_changes *live = bt_changes_new(trips_model.tables, trips_model.table_count), *rebuilt = bt_changes_new(trips_model.tables, trips_model.table_count);
        begin(seed);
        fold_in_batches(live, seed);
        fold_at_once(rebuilt);
        assert_same_rows(live, rebuilt);
        count_events();
        bt_changes_free(live);
        bt_changes_free(rebuilt);
        end();
    }
    for (size_t i = 0; i < TRIP_EVENT_COUNT; i++) /* a history without some event would prove nothing about it */
        assert_true(event_counts[i] >= 5);
}

/* A value as Redis keeps it: runs of bytes are written into it, and what was never written is not there. */
typedef struct stored {
    uint8_t at[1 << 16];
    size_t size;
} stored;

static void set_ranges(stored *into, bt_str runs)
{
    for (size_t at = 0; at < runs.size;) {
        uint32_t head[2];
        memcpy(head, runs.at + at, sizeof head);
        assert_true(head[0] + head[1] <= sizeof into->at);
        memcpy(into->at + head[0], runs.at + at + sizeof head, head[1]);
        into->size = head[0] + head[1] > into->size ? head[0] + head[1] : into->size;
        at += sizeof head + head[1];
    }
}

/* Folds one trip, and every few events writes it and loads it again. */
static void fold_availability(bt_str trip, uint64_t seed, bool in_batches, stored *ret_value)
{
    bt_availability value = { 0 };
    bt_forward forward = { 0 };
    bt_fact fact;
    bt_buf runs;
    bt_buf_init(&runs, SIZE_MAX);
    memset(ret_value, 0, sizeof *ret_value);
    for (size_t i = 0; i <= made.record_count; i++) {
        if (i < made.record_count && fact_at(&forward, i, &fact) && bt_str_equal(fact.stream, trip)) {
            bt_err err = { 0 };
            if (!bt_availability_fold(&value, &fact, &err))
                fail_msg("%s", err.message);
        }
        if (i < made.record_count && (!in_batches || bt_mix64(seed + i) % 20 != 0))
            continue;
        bt_buf_reset(&runs);
        if (value.at && bt_availability_is_dirty(&value))
            bt_availability_take_ranges(&value, &runs);
        set_ranges(ret_value, bt_buf_view(&runs));
        bt_availability_release(&value);
        if (ret_value->size > 0)
            assert_true(bt_availability_load((bt_bytes){ ret_value->at, ret_value->size }, &value, NULL));
    }
    bt_availability_release(&value);
    bt_buf_release(&runs);
}

static void availability__folded_in_any_batches__has_the_bytes_of_a_rebuild(void **unused)
{
    static stored live, rebuilt;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        begin(seed);
        for (uint64_t trip = 0; trip < TRIPS_OF(seed); trip++) {
            char name[8];
            snprintf(name, sizeof name, "t%d", (int)trip);
            fold_availability(bt_str_of(name), seed, true, &live);
            fold_availability(bt_str_of(name), seed, false, &rebuilt);
            assert_true(rebuilt.size >= BT_AVAILABILITY_HEAD_SIZE);
            assert_memory_equal(live.at, rebuilt.at, sizeof live.at); /* past their ends both are zeroes */
        }
        end();
    }
}

/* The other way to the same answer: from the rows, by README.md, in a different form than fold.c. */
typedef struct picture {
    int segments, sections, entries[64];
    uint8_t seats[64][200][63];     /* 0 free, 1 held, 2 booked */
    uint32_t counted[64][63][2];
} picture;

static void draw_claim(picture *of, const bt_row *row, uint8_t as)
{
    int from = (int)row->values[3].number, to = (int)row->values[4].number;
    char *text = strndup(row->values[5].text.at, row->values[5].text.size), *at = text + 1;
    while (*at && *at != '}') {
        long section = strtol(at, &at, 10), seat = strtol(at + 1, &at, 10);
        at += *at == ',';
        for (int segment = from; segment < to; segment++) {
            if (of->entries[section] == 0) {
                of->counted[section][segment][as - 1]++;
                continue;
            }
            assert_int_equal(of->seats[section][seat][segment], 0); /* sold twice? */
            of->seats[section][seat][segment] = as;
        }
    }
    free(text);
}

static void draw_rows(picture *of, bt_changes *rows, const struct trip_opened *opened, bt_str trip)
{
    *of = (picture){ .segments = (int)opened->points_count - 1, .sections = (int)opened->sections_count };
    for (int i = 0; i < of->sections; i++)
        of->entries[i] = (int)opened->sections[i].seats_count;
    if (bt_str_is(bt_changes_row(rows, TRIPS_TABLE, &(bt_value){ .text = trip })->values[3].text, "cancelled"))
        return;
    for (size_t i = 0; i < bt_changes_row_count(rows, HOLDS_TABLE); i++) {
        const bt_row *row = bt_changes_row_at(rows, HOLDS_TABLE, i);
        if (bt_str_equal(row->values[1].text, trip) && bt_str_is(row->values[6].text, "held"))
            draw_claim(of, row, 1);
    }
    for (size_t i = 0; i < bt_changes_row_count(rows, BOOKINGS_TABLE); i++) {
        const bt_row *row = bt_changes_row_at(rows, BOOKINGS_TABLE, i);
        if (bt_str_equal(row->values[1].text, trip) && bt_str_is(row->values[6].text, "confirmed"))
            draw_claim(of, row, 2);
    }
}

static void compare(const picture *of, const stored *value)
{
    uint32_t sections, counters = 0;
    int w = value->at[2];
    memcpy(&sections, value->at + 12, 4);
    assert_int_equal(value->at[3], of->segments);
    assert_int_equal(sections, of->sections);
    size_t at = 40 + 4 * sections;
    for (int i = 0; i < of->sections; i++)
        counters += of->entries[i] == 0;
    size_t seat_at = at + (size_t)counters * (size_t)of->segments * 8;
    for (int i = 0; i < of->sections; i++) {
        for (int segment = 0; of->entries[i] == 0 && segment < of->segments; segment++, at += 8)
            assert_memory_equal(value->at + at, of->counted[i][segment], 8);
        for (int seat = 0; seat < of->entries[i]; seat++, seat_at += 2 * (size_t)w) {
            for (int segment = 0; segment < of->segments; segment++) {
                int held = value->at[seat_at + (size_t)segment / 8] >> segment % 8 & 1, booked = value->at[seat_at + (size_t)w + (size_t)segment / 8] >> segment % 8 & 1;
                assert_int_equal(held + 2 * booked, of->seats[i][seat][segment]);
            }
        }
    }
}

static void availability__of_each_trip__is_what_its_holds_and_bookings_add_up_to(void **unused)
{
    static stored value;
    static picture from_rows;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        bt_changes *rows = bt_changes_new(trips_model.tables, trips_model.table_count);
        bt_forward forward = { 0 };
        bt_fact fact;
        begin(seed);
        fold_at_once(rows);
        for (size_t i = 0; i < made.record_count; i++) {
            if (!fact_at(&forward, i, &fact) || fact.event.type != &trip_opened_message)
                continue;
            fold_availability(fact.stream, seed, true, &value);
            draw_rows(&from_rows, rows, fact.event.data, fact.stream);
            compare(&from_rows, &value);
        }
        bt_changes_free(rows);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trips__folded_in_any_batches__have_the_rows_of_a_rebuild),
        cmocka_unit_test(availability__folded_in_any_batches__has_the_bytes_of_a_rebuild),
        cmocka_unit_test(availability__of_each_trip__is_what_its_holds_and_bookings_add_up_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
