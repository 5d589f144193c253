/* Streams whose events could not be applied: their records wait in berth.parked and are tried again, while all else flows on. */
#include "projections/tables/sink_internal.h"

#define TEND_STREAMS_MAX 100
#define TEND_EVENTS_MAX 10000
#define TEND_RETRY_EVERY 30 /* a minute, at BT_TABLE_SINK_TEND_MS */

bool bt_table_sink_load_parked(bt_table_sink *sink, bt_err *err)
{
    BT_PG_RESULT rows = { 0 };
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)) };
    if (!bt_pg_query(sink->pg, "SELECT DISTINCT stream FROM berth.parked WHERE model = $1 AND topic = $2", params, BT_COUNT_OF(params), &rows, err))
        return false;
    bt_names_release(&sink->parked);
    for (int i = 0; i < rows.row_count; i++)
        bt_names_add(&sink->parked, bt_pg_get_str(&rows, i, 0));
    return true;
}

/* Postgres takes neither a NUL nor broken UTF-8 in a text, and an error message may quote either. */
static bt_str printable(bt_arena *arena, const char *text)
{
    bt_str copy = bt_arena_copy(arena, bt_str_of(text));
    for (size_t i = 0; i < copy.size; i++)
        if ((uint8_t)copy.at[i] < 0x20 || (uint8_t)copy.at[i] > 0x7e)
            ((char *)copy.at)[i] = '?';
    return copy;
}

bool bt_table_sink_park(bt_table_sink *sink, const bt_batch *batch, uint32_t index, const char *error, bt_err *err)
{
    enum { PARTITION, OFFSET, STREAM, VALUE, ERROR, COLUMNS };
    static const bt_pg_type types[COLUMNS] = { [PARTITION] = BT_PG_INT4, [OFFSET] = BT_PG_INT8, [STREAM] = BT_PG_BYTEA, [VALUE] = BT_PG_BYTEA, [ERROR] = BT_PG_TEXT };
    bt_pg_array columns[COLUMNS];
    bt_pg_param params[2 + COLUMNS] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)) };
    bt_arena arena;
    bt_arena_init(&arena, 0);
    for (size_t i = 0; i < COLUMNS; i++)
        bt_pg_array_init(&columns[i], types[i]);
    bt_names_add(&sink->newly_parked, batch->records[index].fact.stream);
    for (uint32_t at = index; at != BT_BATCH_NONE; at = batch->records[at].next) {
        const bt_batch_record *record = &batch->records[at];
        bt_pg_array_add_number(&columns[PARTITION], record->partition);
        bt_pg_array_add_number(&columns[OFFSET], record->fact.offset);
        bt_pg_array_add_text(&columns[STREAM], record->fact.stream);
        bt_pg_array_add_bytes(&columns[VALUE], record->value);
        bt_pg_array_add_text(&columns[ERROR], at == index ? printable(&arena, error) : BT_STR("behind a parked event"));
    }
    for (size_t i = 0; i < COLUMNS; i++)
        params[2 + i] = bt_pg_array_param(&columns[i]);
    bool good = bt_pg_query(sink->pg,
                            "INSERT INTO berth.parked (model, topic, partition, record_offset, stream, value, error) SELECT $1, $2, u.* FROM unnest($3, $4, $5, $6, $7) AS u",
                            params, BT_COUNT_OF(params), NULL, err);
    for (size_t i = 0; i < COLUMNS; i++)
        bt_pg_array_release(&columns[i]);
    bt_arena_release(&arena);
    return good;
}

/* Folds the waiting events of one stream and writes their rows. */
static bool apply_rows(bt_table_sink *sink, bt_str stream, const bt_pg_result *rows, bt_err *err)
{
    bt_arena arena;
    bool good = true;
    bt_arena_init(&arena, SIZE_MAX);
    bt_changes_reset(sink->changes);
    for (int i = 0; i < rows->row_count && good; i++) {
        bt_str value = bt_pg_get_str(rows, i, 1);
        bt_fact fact = { .stream = stream, .offset = bt_pg_get_i64(rows, i, 0) };
        good = bt_event_decode((bt_bytes){ (const uint8_t *)value.at, value.size }, &arena, &fact.event, err) && bt_table_sink_fold(sink, &fact, err);
    }
    bt_arena_release(&arena);
    return good && bt_table_write_changes(sink->write, sink->pg, sink->changes, err);
}

/* Within a transaction. Locks the stream's rows, so that a second projector waits. */
static bool unpark(bt_table_sink *sink, bt_str stream, int64_t *ret_applied, bt_err *err)
{
    BT_PG_RESULT rows = { 0 };
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)),
                             bt_pg_bytea((bt_bytes){ (const uint8_t *)stream.at, stream.size }), bt_pg_int4(TEND_EVENTS_MAX), bt_pg_int8(0) };
    if (!bt_pg_query(sink->pg,
                     "SELECT record_offset, value FROM berth.parked WHERE model = $1 AND topic = $2 AND stream = $3 ORDER BY record_offset LIMIT $4 FOR UPDATE", params, 4,
                     &rows, err))
        return false;
    if (rows.row_count == 0)
        return true;
    if (!apply_rows(sink, stream, &rows, err))
        return false;
    *ret_applied = rows.row_count;
    params[3] = bt_pg_int8(bt_pg_get_i64(&rows, rows.row_count - 1, 0));
    return bt_pg_query(sink->pg, "DELETE FROM berth.parked WHERE model = $1 AND topic = $2 AND stream = $3 AND record_offset <= $4", params, 4, NULL, err);
}

bool bt_table_sink_tend(void *context, int64_t *ret_applied, bt_err *err)
{
    bt_table_sink *sink = context;
    BT_PG_RESULT streams = { 0 };
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)), bt_pg_int4(TEND_STREAMS_MAX) };
    *ret_applied = 0;
    if (!bt_table_sink_is_whole(sink, err)) /* an idle log would not find out */
        return false;
    if (sink->parked.count == 0 || sink->tend_count++ % TEND_RETRY_EVERY != 0)
        return true;
    /* In random order: the first hundred must not keep the others from ever being tried. */
    if (!bt_pg_query(sink->pg, "SELECT stream FROM (SELECT DISTINCT stream FROM berth.parked WHERE model = $1 AND topic = $2) AS s ORDER BY random() LIMIT $3", params,
                     BT_COUNT_OF(params), &streams, err))
        return false;
    for (int i = 0; i < streams.row_count; i++) {
        int64_t applied = 0;
        if (!bt_pg_begin(sink->pg, err))
            return false;
        if (unpark(sink, bt_pg_get_str(&streams, i, 0), &applied, err)) {
            if (!bt_pg_commit(sink->pg, err))
                return false;
            *ret_applied += applied;
            continue;
        }
        bt_pg_rollback(sink->pg);
        if (err->kind != BT_ERR_INPUT) /* INPUT: it still does not fit, and stays where it is */
            return false;
    }
    return bt_table_sink_load_parked(sink, err);
}
