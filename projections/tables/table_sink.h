/* table_sink - keeps one read model in Postgres: positions, rows, ids of records and parked events, each batch in one transaction. */
#ifndef BERTH_PROJECTIONS_TABLES_TABLE_SINK_H
#define BERTH_PROJECTIONS_TABLES_TABLE_SINK_H

#include "io/pg/pg.h"
#include "projections/loop/sink.h"
#include "projections/model.h"

typedef struct bt_table_sink bt_table_sink;

/* Does not connect yet. model and topic are borrowed for good. config as in io/pg; async_commit is advised: after a crash of Postgres, position and rows go back together, and are
 * written again from the log. */
bt_table_sink *bt_table_sink_new(const bt_model *model, const char *topic, const bt_pg_config *config);
void bt_table_sink_free(bt_table_sink *sink);
bt_sink bt_table_sink_as_sink(bt_table_sink *sink);

#endif
