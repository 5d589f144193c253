/* table_write - changed rows into Postgres: many rows a statement, one array a column, no state in the session. */
#ifndef BERTH_PROJECTIONS_TABLES_TABLE_WRITE_H
#define BERTH_PROJECTIONS_TABLES_TABLE_WRITE_H

#include "io/pg/pg.h"
#include "projections/tables/changes.h"

typedef struct bt_table_write bt_table_write;

/* schema is "berth", or that of a rebuild. tables are borrowed for good. */
bt_table_write *bt_table_write_new(const char *schema, const bt_table *tables, size_t table_count);
void bt_table_write_free(bt_table_write *write);

/* Whole rows are inserted or replace what stands there, others update what is there; within the caller's transaction.
 *   err  BT_ERR_INPUT: Postgres takes a value not, or a row that is to be updated is not there: some stream's event cannot be applied */
bool bt_table_write_changes(bt_table_write *write, bt_pg *pg, const bt_changes *changes, bt_err *err) BT_MUST_CHECK;

/* All rows (each must be whole) by COPY into tables that hold none of them. */
bool bt_table_write_copy(bt_table_write *write, bt_pg *pg, const bt_changes *changes, bt_err *err) BT_MUST_CHECK;

#endif
