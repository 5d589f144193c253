/* What the files of the table sink share. */
#ifndef BERTH_PROJECTIONS_TABLES_SINK_INTERNAL_H
#define BERTH_PROJECTIONS_TABLES_SINK_INTERNAL_H

#include "projections/tables/names.h"
#include "projections/tables/table_sink.h"
#include "projections/tables/table_write.h"

#define BT_TABLE_SINK_TEND_MS 2000

struct bt_table_sink {
    const bt_model *model;
    const char *topic;
    bt_pg *pg;
    bt_table_write *write;
    bt_changes *changes;
    bt_names parked;       /* streams that stand in berth.parked */
    bt_names newly_parked; /* of the transaction under way */
    int32_t partition_count; /* of the topic, once it was opened */
    uint32_t tend_count;   /* since it was opened */
    int64_t pruned_at;     /* records written since record_ids was pruned last */
};

/* Within the transaction of a batch: positions (BT_ERR_RETRY with BT_SINK_MOVED when an old one does not stand any more) and ids of records. */
bool bt_table_sink_move(bt_table_sink *sink, const bt_batch *batch, bt_err *err) BT_MUST_CHECK;
/* Makes what is missing of the tables; all of them anew where some are missing of a model that was begun. BT_ERR_FATAL: they are of another layout. */
bool bt_table_sink_make(bt_table_sink *sink, bt_err *err) BT_MUST_CHECK;
/* Are all tables there? BT_ERR_RETRY: no, and opening the sink again mends it. Also: does Postgres answer? */
bool bt_table_sink_is_whole(bt_table_sink *sink, bt_err *err) BT_MUST_CHECK;
/* Makes the tables and reads the positions. */
bool bt_table_sink_open(void *context, int32_t partition_count, bt_sink_partition *ret_partitions, bt_err *err) BT_MUST_CHECK;
bool bt_table_sink_stop(void *context, int32_t partition, const char *reason, bt_err *err) BT_MUST_CHECK;
bool bt_table_sink_forget(void *context, int32_t partition, const bt_position *at, bt_err *err) BT_MUST_CHECK;

/* Puts a stream's records from index on aside, within the transaction. error belongs to the first one. */
bool bt_table_sink_park(bt_table_sink *sink, const bt_batch *batch, uint32_t index, const char *error, bt_err *err) BT_MUST_CHECK;
bool bt_table_sink_load_parked(bt_table_sink *sink, bt_err *err) BT_MUST_CHECK;
bool bt_table_sink_tend(void *context, int64_t *ret_applied, bt_err *err) BT_MUST_CHECK;

/* Folds one event by the model's handler; an event without a handler changes nothing. */
bool bt_table_sink_fold(bt_table_sink *sink, const bt_fact *fact, bt_err *err) BT_MUST_CHECK;

#endif
