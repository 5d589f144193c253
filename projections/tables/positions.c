/* Positions in Postgres: read when the sink opens, moved in the transaction of the rows that they account for. */
#include "projections/tables/sink_internal.h"

#include <stdio.h>

#define RECORD_IDS_KEPT 1000000
#define PRUNE_EVERY 50000
#define PARTITIONS_MAX 1024

static bool make_positions(bt_table_sink *sink, int32_t partition_count, bt_err *err)
{
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)), bt_pg_int4(partition_count) };
    return bt_pg_query(sink->pg,
                       "INSERT INTO berth.positions (model, topic, partition, next_offset, head, head_offset, height, void_count, log_time, updated_at) "
                       "SELECT $1, $2, p, 0, decode(repeat('00', 16), 'hex'), -1, 0, 0, '1970-01-01Z', now() FROM generate_series(0, $3 - 1) AS p "
                       "ON CONFLICT DO NOTHING",
                       params, BT_COUNT_OF(params), NULL, err);
}

static void read_position(const bt_pg_result *row, int index, bt_sink_partition *ret_partition)
{
    bt_str stopped = bt_pg_get_str(row, index, 7);
    *ret_partition = (bt_sink_partition){ .position = {
        .forward = { .next_offset = bt_pg_get_i64(row, index, 1), .head = bt_pg_get_id(row, index, 2), .height = bt_pg_get_i64(row, index, 4),
                     .void_count = bt_pg_get_i64(row, index, 5), .time_us = bt_pg_get_time(row, index, 6) },
        .head_offset = bt_pg_get_i64(row, index, 3),
    } };
    snprintf(ret_partition->stopped, sizeof ret_partition->stopped, BT_STR_FMT, BT_STR_ARG(stopped));
}

static bool read_positions(bt_table_sink *sink, int32_t partition_count, bt_sink_partition *ret_partitions, bt_err *err)
{
    BT_PG_RESULT rows = { 0 };
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)) };
    if (!bt_pg_query(sink->pg,
                     "SELECT partition, next_offset, head, head_offset, height, void_count, log_time, coalesce(stopped, '') FROM berth.positions "
                     "WHERE model = $1 AND topic = $2 ORDER BY partition",
                     params, BT_COUNT_OF(params), &rows, err))
        return false;
    if (rows.row_count != partition_count)
        return bt_fail(err, BT_ERR_FATAL, 0, "%s has %d partitions, and the tables of %s were made from %d: another log?", sink->topic, partition_count,
                       sink->model->name, rows.row_count);
    for (int32_t i = 0; i < partition_count; i++) {
        if (bt_pg_get_i64(&rows, i, 0) != i)
            return bt_fail(err, BT_ERR_FATAL, 0, "berth.positions of %s lacks partition %d", sink->model->name, i);
        read_position(&rows, i, &ret_partitions[i]);
    }
    return true;
}

bool bt_table_sink_open(void *context, int32_t partition_count, bt_sink_partition *ret_partitions, bt_err *err)
{
    bt_table_sink *sink = context;
    bt_assert(partition_count <= PARTITIONS_MAX);
    bt_pg_rollback(sink->pg);
    sink->tend_count = 0;
    sink->partition_count = partition_count;
    return bt_table_sink_make(sink, err) && make_positions(sink, partition_count, err) &&
           read_positions(sink, partition_count, ret_partitions, err) && bt_table_sink_load_parked(sink, err);
}

bool bt_table_sink_stop(void *context, int32_t partition, const char *reason, bt_err *err)
{
    bt_table_sink *sink = context;
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)), bt_pg_int4(partition),
                             bt_pg_text(bt_str_of(reason)) };
    return bt_pg_query(sink->pg, "UPDATE berth.positions SET stopped = nullif($4, ''), updated_at = now() WHERE model = $1 AND topic = $2 AND partition = $3", params,
                       BT_COUNT_OF(params), NULL, err);
}

enum { PARTITION, OLD_NEXT, OLD_HEAD, NEXT, HEAD, HEAD_OFFSET, HEIGHT, VOIDS, LOG_TIME, MOVE_COLUMNS };

static void bind_move(bt_pg_array *columns, int32_t partition, const bt_batch_move *move)
{
    bt_pg_array_add_number(&columns[PARTITION], partition);
    bt_pg_array_add_number(&columns[OLD_NEXT], move->from.forward.next_offset);
    bt_pg_array_add_bytes(&columns[OLD_HEAD], (bt_bytes){ move->from.forward.head.at, sizeof move->from.forward.head.at });
    bt_pg_array_add_number(&columns[NEXT], move->to.forward.next_offset);
    bt_pg_array_add_bytes(&columns[HEAD], (bt_bytes){ move->to.forward.head.at, sizeof move->to.forward.head.at });
    bt_pg_array_add_number(&columns[HEAD_OFFSET], move->to.head_offset);
    bt_pg_array_add_number(&columns[HEIGHT], move->to.forward.height);
    bt_pg_array_add_number(&columns[VOIDS], move->to.forward.void_count);
    bt_pg_array_add_number(&columns[LOG_TIME], move->to.forward.time_us);
}

static bool move_positions(bt_table_sink *sink, const bt_batch *batch, bt_err *err)
{
    static const bt_pg_type types[MOVE_COLUMNS] = { [PARTITION] = BT_PG_INT4, [OLD_NEXT] = BT_PG_INT8, [OLD_HEAD] = BT_PG_BYTEA, [NEXT] = BT_PG_INT8, [HEAD] = BT_PG_BYTEA,
                                                    [HEAD_OFFSET] = BT_PG_INT8, [HEIGHT] = BT_PG_INT8, [VOIDS] = BT_PG_INT8, [LOG_TIME] = BT_PG_TIME };
    bt_pg_array columns[MOVE_COLUMNS];
    bt_pg_param params[2 + MOVE_COLUMNS] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)) };
    BT_PG_RESULT moved = { 0 };
    for (size_t i = 0; i < MOVE_COLUMNS; i++)
        bt_pg_array_init(&columns[i], types[i]);
    for (int32_t i = 0; i < batch->partition_count; i++)
        if (bt_batch_moved(&batch->moves[i]))
            bind_move(columns, i, &batch->moves[i]);
    int32_t count = columns[PARTITION].count;
    for (size_t i = 0; i < MOVE_COLUMNS; i++)
        params[2 + i] = bt_pg_array_param(&columns[i]);
    bool good = bt_pg_query(sink->pg,
                            "UPDATE berth.positions AS p SET next_offset = u.next, head = u.head, head_offset = u.head_offset, height = u.height, "
                            "void_count = u.voids, log_time = u.log_time, updated_at = now() "
                            "FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11) AS u(partition, old_next, old_head, next, head, head_offset, height, voids, log_time) "
                            "WHERE p.model = $1 AND p.topic = $2 AND p.partition = u.partition AND p.next_offset = u.old_next AND p.head = u.old_head AND p.stopped IS NULL",
                            params, BT_COUNT_OF(params), &moved, err);
    for (size_t i = 0; i < MOVE_COLUMNS; i++)
        bt_pg_array_release(&columns[i]);
    if (good && moved.affected != count)
        return bt_fail(err, BT_ERR_RETRY, BT_SINK_MOVED, "another projector has moved the position of %s", sink->model->name);
    return good;
}

static bool prune_ids(bt_table_sink *sink, bt_err *err)
{
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)), bt_pg_int8(RECORD_IDS_KEPT) };
    return bt_pg_query(sink->pg,
                       "DELETE FROM berth.record_ids AS r USING berth.positions AS p WHERE p.model = $1 AND p.topic = $2 AND r.model = p.model AND r.topic = p.topic "
                       "AND r.partition = p.partition AND r.first_offset < p.next_offset - $3",
                       params, BT_COUNT_OF(params), NULL, err);
}

static bool write_ids(bt_table_sink *sink, const bt_batch *batch, bt_err *err)
{
    bt_pg_array partitions, offsets, ids;
    bt_pg_array_init(&partitions, BT_PG_INT4);
    bt_pg_array_init(&offsets, BT_PG_INT8);
    bt_pg_array_init(&ids, BT_PG_BYTEA);
    for (int32_t i = 0; i < batch->partition_count; i++) {
        const bt_batch_move *move = &batch->moves[i];
        if (!bt_batch_moved(move))
            continue;
        bt_pg_array_add_number(&partitions, i);
        bt_pg_array_add_number(&offsets, move->from.forward.next_offset);
        bt_pg_array_add_bytes(&ids, (bt_bytes){ move->ids.at, move->ids.size });
    }
    bt_pg_param params[] = { bt_pg_text(bt_str_of(sink->model->name)), bt_pg_text(bt_str_of(sink->topic)), bt_pg_array_param(&partitions),
                             bt_pg_array_param(&offsets), bt_pg_array_param(&ids) };
    bool good = bt_pg_query(sink->pg,
                            "INSERT INTO berth.record_ids (model, topic, partition, first_offset, ids) SELECT $1, $2, u.* FROM unnest($3, $4, $5) AS u",
                            params, BT_COUNT_OF(params), NULL, err);
    bt_pg_array_release(&partitions);
    bt_pg_array_release(&offsets);
    bt_pg_array_release(&ids);
    return good;
}

bool bt_table_sink_move(bt_table_sink *sink, const bt_batch *batch, bt_err *err)
{
    if (!move_positions(sink, batch, err) || !write_ids(sink, batch, err))
        return false;
    sink->pruned_at += batch->read_count;
    if (sink->pruned_at < PRUNE_EVERY)
        return true;
    sink->pruned_at = 0;
    return prune_ids(sink, err);
}
