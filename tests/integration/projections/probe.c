/* probe - gives a projector a log that is known beforehand, and says what must come of it.
 *
 *   projections_probe feed KAFKA TOPIC SEED RECORDS FROM TO [MS]  appends records [FROM, TO) of each of four partitions, MS apart; makes the topic
 *   projections_probe rebuild DSN TOPIC SEED RECORDS TO           folds the same records at once and COPYs the rows into schema shadow
 *   projections_probe values TOPIC SEED RECORDS TO                prints each trip's availability: id, a blank, the value in hex
 *
 * The logs of a seed are always the same. Behind RECORDS records stand, in partition 0, some valid ones that cannot be applied, of streams whose
 * ids begin with "bad"; a rebuild leaves those out. Without TO, or with a large one, everything. */
#include "io/clock/clock.h"
#include "io/kafka/admin.h"
#include "io/kafka/producer.h"
#include "io/pg/pg.h"
#include "projections/availability/fold.h"
#include "projections/tables/table_write.h"
#include "projections/trips/trips.h"
#include "schemas/trip.h"
#include "tests/support/history.h"

#include <stdio.h>
#include <stdlib.h>

#define PARTITIONS 4

static history logs[PARTITIONS];
static int failed_count, open_count;

static int fail(const char *what, const bt_err *err)
{
    fprintf(stderr, "%s: %s\n", what, err->message);
    return 1;
}

static void append_held(history *made, bt_str trip, int64_t version)
{
    struct trip_place place = { 0, 0 };
    struct trip_seats_held held = { .meta = { .version = version, .time = 1795000000000000, .actor = BT_STR("x") }, .hold = { { 0xba, 0xd0, (uint8_t)version } }, .from = 0,
                                    .to = 1, .places = &place, .places_count = 1, .customer = BT_STR("c"), .expires_at = 1795000600000000 };
    history_append_event(made, trip, (bt_event){ &trip_seats_held_message, &held });
}

/* A time zone that Postgres does not know, a schema that nobody knows, a stream id that is no text, a hold that was never made. */
static void append_misfits(history *made)
{
    struct trip_point points[2] = { { BT_STR("A"), BT_STR("A"), 1795000000000000, 1795000000000000, true, true },
                                    { BT_STR("B"), BT_STR("B"), 1795003600000000, 1795003600000000, true, true } };
    bt_str seats[2] = { BT_STR("1"), BT_STR("2") };
    struct trip_section section = { .name = BT_STR("1"), .class = BT_STR("1"), .seats = seats, .seats_count = 2 };
    struct trip_opened opened = { .meta = { .version = 1, .time = 1795000000000000, .actor = BT_STR("x") }, .name = BT_STR("bad"), .timezone = BT_STR("Mars/Olympus"),
                                  .points = points, .points_count = 2, .sections = &section, .sections_count = 1 };
    struct trip_hold_released released = { .meta = { .version = 9, .time = 1795000000000000, .actor = BT_STR("x") }, .hold = { { 0xba, 0xd1 } }, .to = 1 };
    uint8_t unknown[80] = { 0, 0, 0, 0x27, 0x0f };
    history_append_event(made, BT_STR("bad-zone"), (bt_event){ &trip_opened_message, &opened });
    append_held(made, BT_STR("bad-zone"), 2);
    history_append(made, BT_STR("bad-schema"), (bt_bytes){ unknown, sizeof unknown }, true);
    opened.timezone = BT_STR("UTC");
    history_append_event(made, BT_STR("bad\xff\x00id"), (bt_event){ &trip_opened_message, &opened });
    history_append_event(made, BT_STR("bad-release"), (bt_event){ &trip_hold_released_message, &released });
    append_held(made, BT_STR("bad-schema"), 2);
}

static void make_logs(const char *topic, uint64_t seed, int records)
{
    for (int32_t i = 0; i < PARTITIONS; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "p%d-t", i);
        history_init(&logs[i], &(history_options){ .seed = seed * 16 + (uint64_t)i, .prefix = prefix, .topic = topic, .trip_count = 3 + records / 100, .record_count = records,
                                                   .void_percent = 10, .partition = i, .partition_count = PARTITIONS });
    }
    append_misfits(&logs[0]);
}

static void on_reports(void *context, const bt_report *reports, size_t report_count)
{
    (void)context;
    for (size_t i = 0; i < report_count; i++, open_count--)
        failed_count += reports[i].error != 0;
}

static int feed(const char *kafka, const char *topic, size_t from, size_t to, int pause_ms)
{
    bt_kafka_setting bootstrap = { "bootstrap.servers", kafka };
    bt_kafka_config config = { .settings = &bootstrap, .setting_count = 1 };
    bt_topic_spec spec = { .name = topic, .partition_count = PARTITIONS, .replication = 1, .min_insync_replicas = 1 };
    bt_producer_options options = { .topic = topic };
    bt_producer_outputs outputs = { .reports = on_reports };
    bt_kafka_admin *admin;
    bt_producer *producer;
    bool created;
    bt_err err;
    if (!bt_kafka_admin_new(&config, &admin, &err) || !bt_kafka_topic_create(admin, &spec, 15000, &created, &err) || !bt_producer_new(&config, &options, &outputs, NULL, &producer, &err))
        return fail("feed", &err);
    for (size_t at = from; at < to; at++) {
        bool any = false;
        for (int32_t i = 0; i < PARTITIONS; i++) {
            if (at >= logs[i].record_count)
                continue;
            const bt_record *record = &logs[i].records[at];
            bt_append append = { .attempt = at, .partition = i, .key = record->key, .value = record->value, .time_us = bt_clock_realtime_us() };
            any = true;
            open_count++;
            bt_producer_append(producer, &append, 1);
        }
        if (!any)
            break;
        for (int32_t waited_ms = 0; waited_ms < pause_ms; waited_ms += 5)
            bt_producer_poll(producer, 5);
        for (int tries = 0; open_count > (at % 64 == 0 ? 0 : 10000) && tries < 600; tries++)
            bt_producer_poll(producer, 50);
    }
    bt_producer_free(producer, 20000);
    bt_kafka_admin_free(admin);
    return failed_count > 0 || open_count > 0;
}

/* Calls for each valid event of a trip that fits. */
static void each_fact(size_t to, void (*with)(void *context, const bt_fact *fact), void *context)
{
    for (int32_t i = 0; i < PARTITIONS; i++) {
        bt_forward forward = { 0 };
        bt_arena arena;
        bt_arena_init(&arena, SIZE_MAX);
        for (size_t at = 0; at < logs[i].record_count && at < to; at++) {
            const bt_record *record = &logs[i].records[at];
            bt_fact fact = { .stream = record->key, .offset = record->offset };
            if (bt_forward_step(&forward, record, NULL) != BT_FORWARD_VALID || bt_str_is(record->key, BT_LOG_KEY) || strncmp(record->key.at, "bad", 3) == 0)
                continue;
            bool decoded = bt_event_decode(record->value, &arena, &fact.event, NULL);
            bt_assert(decoded);
            with(context, &fact);
        }
        bt_arena_release(&arena);
    }
}

static void fold_row(void *context, const bt_fact *fact)
{
    bool folded = bt_model_handler(&trips_model, fact->event.type)->fold(fact, context, NULL);
    bt_assert(folded);
}

/* The model's own tables.sql, in another schema. */
static void write_shadow_sql(bt_buf *sql)
{
    bt_buf_text(sql, "DROP SCHEMA IF EXISTS shadow CASCADE; CREATE SCHEMA shadow;");
    for (const char *at = trips_model.sql; *at;) {
        const char *next = strstr(at, "berth.");
        if (!next)
            next = at + strlen(at);
        bt_buf_write(sql, at, (size_t)(next - at));
        if (*next)
            bt_buf_text(sql, "shadow.");
        at = *next ? next + 6 : next;
    }
    bt_buf_byte(sql, 0);
}

static int rebuild(const char *dsn, size_t to)
{
    bt_changes *changes = bt_changes_new(trips_model.tables, trips_model.table_count);
    bt_table_write *write = bt_table_write_new("shadow", trips_model.tables, trips_model.table_count);
    bt_pg *pg = bt_pg_new(&(bt_pg_config){ .dsn = dsn });
    bt_buf sql;
    bt_err err;
    bt_buf_init(&sql, 1 << 20);
    write_shadow_sql(&sql);
    each_fact(to, fold_row, changes);
    bool good = bt_pg_script(pg, (const char *)sql.at, &err) && bt_pg_begin(pg, &err) && bt_table_write_copy(write, pg, changes, &err) && bt_pg_commit(pg, &err);
    bt_buf_release(&sql);
    bt_pg_free(pg);
    bt_table_write_free(write);
    bt_changes_free(changes);
    return good ? 0 : fail("rebuild", &err);
}

typedef struct trip_value {
    bt_str trip;
    bt_availability value;
} trip_value;

typedef struct trip_values {
    trip_value at[20000];
    size_t count;
} trip_values;

static void fold_value(void *context, const bt_fact *fact)
{
    trip_values *values = context;
    size_t i = 0;
    while (i < values->count && !bt_str_equal(values->at[i].trip, fact->stream))
        i++;
    bt_assert(i < BT_COUNT_OF(values->at));
    if (i == values->count)
        values->at[values->count++].trip = fact->stream;
    bool folded = bt_availability_fold(&values->at[i].value, fact, NULL);
    bt_assert(folded);
}

static int print_values(size_t to)
{
    static trip_values values;
    each_fact(to, fold_value, &values);
    for (size_t i = 0; i < values.count; i++) {
        printf(BT_STR_FMT " ", BT_STR_ARG(values.at[i].trip));
        for (size_t byte = 0; byte < values.at[i].value.size; byte++)
            printf("%02x", values.at[i].value.at[byte]);
        printf("\n");
        bt_availability_release(&values.at[i].value);
    }
    return 0;
}

static size_t number(int argc, char *argv[], int index) { return index < argc ? (size_t)strtoull(argv[index], NULL, 10) : SIZE_MAX; }

int main(int argc, char *argv[])
{
    bt_str what = argc > 1 ? bt_str_of(argv[1]) : BT_STR("");
    int result = 2;
    int topic_at = bt_str_is(what, "values") ? 2 : 3;
    if (argc < topic_at + 3) {
        fprintf(stderr, "see the head of probe.c\n");
        return 2;
    }
    make_logs(argv[topic_at], number(argc, argv, topic_at + 1), (int)number(argc, argv, topic_at + 2));
    if (bt_str_is(what, "feed"))
        result = feed(argv[2], argv[3], argc > 6 ? number(argc, argv, 6) : 0, number(argc, argv, 7), argc > 8 ? (int)number(argc, argv, 8) : 0);
    else if (bt_str_is(what, "rebuild"))
        result = rebuild(argv[2], number(argc, argv, 6));
    else if (bt_str_is(what, "values"))
        result = print_values(number(argc, argv, 5));
    for (int32_t i = 0; i < PARTITIONS; i++)
        history_release(&logs[i]);
    return result;
}
