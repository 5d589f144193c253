/* What a partition's rows were made from is partly lost, and the log says that the loss is accepted: all of them go in one transaction with the position,
 * and the log is folded anew. Until that has come as far as before, reads without a position miss what is still to come. */
#include "core/digest.h"
#include "projections/tables/sink_internal.h"

#define STREAMS_AT_ONCE 1000

static bool reset_position(bt_table_sink *sink, int32_t partition, const bt_position *at, bt_err *err)
{
    BT_PG_RESULT moved = { 0 };
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)), bt_pg_int4(partition), bt_pg_int8(at->forward.next_offset),
                             bt_pg_bytea((bt_bytes){ at->forward.head.at, sizeof at->forward.head.at }) };
    if (!bt_pg_query(sink->pg,
                     "UPDATE berth.positions SET next_offset = 0, head = decode(repeat('00', 16), 'hex'), head_offset = -1, height = 0, void_count = 0, "
                     "log_time = '1970-01-01Z', stopped = NULL, updated_at = now(), began_at = now() "
                     "WHERE model = $1 AND topic = $2 AND partition = $3 AND next_offset = $4 AND head = $5",
                     params, BT_COUNT_OF(params), &moved, err))
        return false;
    if (moved.affected != 1)
        return bt_fail(err, BT_ERR_RETRY, BT_SINK_MOVED, "another projector has moved the position of %s", sink->model->name);
    return bt_pg_query(sink->pg, "DELETE FROM berth.record_ids WHERE model = $1 AND topic = $2 AND partition = $3", params, 3, NULL, err) &&
           bt_pg_query(sink->pg, "DELETE FROM berth.parked WHERE model = $1 AND topic = $2 AND partition = $3", params, 3, NULL, err);
}

static bool delete_rows(bt_table_sink *sink, bt_pg_array *streams, bt_err *err)
{
    bt_pg_param params[] = { bt_pg_array_param(streams) };
    for (const char *const *sql = sink->model->forget_sql; *sql != NULL; sql++)
        if (!bt_pg_query(sink->pg, *sql, params, 1, NULL, err))
            return false;
    bt_pg_array_reset(streams);
    return true;
}

static bool delete_streams(bt_table_sink *sink, int32_t partition, int32_t partition_count, bt_err *err)
{
    BT_PG_RESULT streams = { 0 };
    bt_pg_array some;
    if (!bt_pg_query(sink->pg, sink->model->streams_sql, NULL, 0, &streams, err))
        return false;
    bt_pg_array_init(&some, BT_PG_TEXT);
    bool good = true;
    for (int i = 0; i < streams.row_count && good; i++) {
        bt_str stream = bt_pg_get_str(&streams, i, 0);
        if (bt_partition_of(stream, partition_count) == partition)
            bt_pg_array_add_text(&some, stream);
        if (some.count == STREAMS_AT_ONCE)
            good = delete_rows(sink, &some, err);
    }
    good = good && delete_rows(sink, &some, err);
    bt_pg_array_release(&some);
    return good && (!sink->model->orphans_sql || bt_pg_query(sink->pg, sink->model->orphans_sql, NULL, 0, NULL, err));
}

bool bt_table_sink_forget(void *context, int32_t partition, const bt_position *at, bt_err *err)
{
    bt_table_sink *sink = context;
    if (!bt_pg_begin(sink->pg, err))
        return false;
    if (reset_position(sink, partition, at, err) && delete_streams(sink, partition, sink->partition_count, err))
        return bt_pg_commit(sink->pg, err);
    bt_pg_rollback(sink->pg);
    return false;
}
