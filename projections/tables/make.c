/* Makes a model's tables, and makes them anew when part of what it is made of has gone: a table that somebody dropped would be there again, and empty,
 * beside positions that say that all was read. Rows that were acknowledged would be missing for good, and nobody would be told. */
#include "io/log/log.h"
#include "projections/tables/sink_internal.h"

#include <stdio.h>

extern const char loop_tables_sql[]; /* loop/tables.sql, built in by CMakeLists.txt */

static const char *const shared_tables[] = { "positions", "record_ids", "parked" };

/* How many of these tables are not there. */
static bool count_missing(bt_table_sink *sink, bt_pg_array *names, int64_t *ret_missing, bt_err *err)
{
    BT_PG_RESULT counted = { 0 };
    bt_pg_param params[] = { bt_pg_array_param(names) };
    if (!bt_pg_query(sink->pg, "SELECT count(*) FROM unnest($1::text[]) AS name WHERE to_regclass('berth.' || name) IS NULL", params, 1, &counted, err))
        return false;
    *ret_missing = bt_pg_get_i64(&counted, 0, 0);
    return true;
}

static bool find_missing(bt_table_sink *sink, int64_t *ret_own, int64_t *ret_shared, bt_err *err)
{
    bt_pg_array own, shared;
    bt_pg_array_init(&own, BT_PG_TEXT);
    bt_pg_array_init(&shared, BT_PG_TEXT);
    for (size_t i = 0; i < sink->model->table_count; i++)
        bt_pg_array_add_text(&own, bt_str_of(sink->model->tables[i].name));
    for (size_t i = 0; i < BT_COUNT_OF(shared_tables); i++)
        bt_pg_array_add_text(&shared, bt_str_of(shared_tables[i]));
    bool good = count_missing(sink, &own, ret_own, err) && count_missing(sink, &shared, ret_shared, err);
    bt_pg_array_release(&own);
    bt_pg_array_release(&shared);
    return good;
}

/* Was something read already? Rows that have outlived their positions tell it too. What is of another layout is not ours to touch: check_layout says what to do. */
static bool was_begun(bt_table_sink *sink, bool has_rows_alone, bool *ret_begun, bt_err *err)
{
    BT_PG_RESULT found = { 0 };
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_int4(sink->model->layout) };
    if (!bt_pg_query(sink->pg,
                     "SELECT EXISTS (SELECT FROM berth.positions WHERE model = $1), NOT EXISTS (SELECT FROM berth.models WHERE model = $1 AND layout <> $2)", params, 2, &found,
                     err))
        return false;
    *ret_begun = (has_rows_alone || bt_pg_get_bool(&found, 0, 0)) && bt_pg_get_bool(&found, 0, 1);
    return true;
}

/* Within the transaction that made the tables, so that no reader meets an empty table beside an old position. */
static bool begin_anew(bt_table_sink *sink, bt_err *err)
{
    char truncate[256];
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)) };
    for (size_t i = 0; i < sink->model->table_count; i++) {
        snprintf(truncate, sizeof truncate, "TRUNCATE berth.%s", sink->model->tables[i].name);
        if (!bt_pg_script(sink->pg, truncate, err))
            return false;
    }
    return bt_pg_query(sink->pg, "DELETE FROM berth.positions WHERE model = $1", params, 1, NULL, err) &&
           bt_pg_query(sink->pg, "DELETE FROM berth.record_ids WHERE model = $1", params, 1, NULL, err) &&
           bt_pg_query(sink->pg, "DELETE FROM berth.parked WHERE model = $1", params, 1, NULL, err);
}

static bool make_whole(bt_table_sink *sink, bool *ret_anew, int64_t *ret_missing, bt_err *err)
{
    int64_t own = 0, shared = 0;
    bool begun = false;
    if (!find_missing(sink, &own, &shared, err) || !bt_pg_script(sink->pg, loop_tables_sql, err) || !bt_pg_script(sink->pg, sink->model->sql, err) ||
        !was_begun(sink, shared > 0 && own < (int64_t)sink->model->table_count, &begun, err))
        return false;
    *ret_missing = own + shared;
    *ret_anew = begun && own + shared > 0;
    return !*ret_anew || begin_anew(sink, err);
}

/* Under a lock of the transaction: two projectors that start at once would trip over each other's CREATE. */
static bool make_tables(bt_table_sink *sink, bt_err *err)
{
    int64_t missing = 0;
    bool anew = false;
    if (!bt_pg_begin(sink->pg, err))
        return false;
    if (!bt_pg_script(sink->pg, "SELECT pg_advisory_xact_lock(4269771101)", err) || !make_whole(sink, &anew, &missing, err)) {
        bt_pg_rollback(sink->pg);
        return false;
    }
    if (!bt_pg_commit(sink->pg, err))
        return false;
    if (anew)
        bt_log_warn("projection.begun_anew", F_STR("model", sink->model->name), F_I64("tables_missing", missing));
    return true;
}

static bool check_layout(bt_table_sink *sink, bt_err *err)
{
    BT_PG_RESULT found = { 0 };
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_int4(sink->model->layout) };
    if (!bt_pg_query(sink->pg, "INSERT INTO berth.models (model, layout) VALUES ($1, $2) ON CONFLICT (model) DO NOTHING", params, 2, NULL, err) ||
        !bt_pg_query(sink->pg, "SELECT layout FROM berth.models WHERE model = $1", params, 1, &found, err))
        return false;
    if (found.row_count == 1 && bt_pg_get_i64(&found, 0, 0) == sink->model->layout)
        return true;
    return bt_fail(err, BT_ERR_FATAL, 0, "the tables of %s have layout %lld and this program writes %d: rebuild them (drop the tables of %s and its rows in berth.models and berth.positions)",
                   sink->model->name, found.row_count == 1 ? (long long)bt_pg_get_i64(&found, 0, 0) : -1, sink->model->layout, sink->model->name);
}

bool bt_table_sink_make(bt_table_sink *sink, bt_err *err) { return make_tables(sink, err) && check_layout(sink, err); }

bool bt_table_sink_is_whole(bt_table_sink *sink, bt_err *err)
{
    int64_t own = 0, shared = 0;
    return find_missing(sink, &own, &shared, err) &&
           (own + shared == 0 || bt_fail(err, BT_ERR_RETRY, 0, "%lld of the tables of %s are not there any more: it begins anew", (long long)(own + shared), sink->model->name));
}
