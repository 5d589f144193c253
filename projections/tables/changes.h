/* changes - the rows that a run of events changes, folded together in memory before any of them is written.
 *
 * A fold says which columns of which row an event sets, and never reads a row: so the same fold serves live (a batch's
 * changes are written over what stands in Postgres) and a rebuild (all changes since the first event are whole rows,
 * which COPY takes). A later set of a column wins. A row with all its columns set is whole: it is inserted or replaces what stands
 * there; a row with some of them updates what must be there already. No column is ever NULL, so that "not set" can be.
 *
 *     bt_row *row = bt_changes_row(changes, HOLDS, (bt_value[]){ { .text = hold_id } });
 *     bt_row_set_text(row, HOLD_STATUS, BT_STR("released"));
 *
 * Pure, no I/O; one thread. Memory: an arena that goes at each reset. */
#ifndef BERTH_PROJECTIONS_TABLES_CHANGES_H
#define BERTH_PROJECTIONS_TABLES_CHANGES_H

#include "core/buf.h"
#include "core/memory.h"

typedef enum bt_column_kind {
    BT_COLUMN_TEXT,
    BT_COLUMN_JSON, /* a whole JSON value, kept byte for byte */
    BT_COLUMN_INT,
    BT_COLUMN_LONG,
    BT_COLUMN_BOOL,
    BT_COLUMN_TIME, /* timestamptz; microseconds since 1970 */
    BT_COLUMN_ID,   /* uuid; 16 bytes */
    BT_COLUMN_INTS, /* int[]; as its text: {1,2} */
} bt_column_kind;

typedef struct bt_column {
    const char *name;
    bt_column_kind kind;
} bt_column;

#define BT_COLUMNS_MAX 32

typedef struct bt_table {
    const char *name; /* without the schema: holds */
    const bt_column *columns;
    size_t column_count;
    size_t key_count; /* the first ones are the primary key */
    bool insert_only; /* the key is all there is: a row that is there already stays as it is */
} bt_table;

/* number for INT, LONG, BOOL, TIME; text for the others. */
typedef struct bt_value {
    int64_t number;
    bt_str text;
} bt_value;

typedef struct bt_changes bt_changes;

typedef struct bt_row {
    const bt_table *table;
    bt_changes *changes;
    uint64_t hash;
    uint32_t set; /* bit n: column n */
    bt_value values[];
} bt_row;

/* Tables are borrowed for good, and named by their index from here on. */
bt_changes *bt_changes_new(const bt_table *tables, size_t table_count);
void bt_changes_free(bt_changes *changes);
void bt_changes_reset(bt_changes *changes);

/* The row of this key (key_count values), made if it is not there. Its texts are copied. Valid until the reset. */
bt_row *bt_changes_row(bt_changes *changes, size_t table, const bt_value *key);
void bt_row_set_text(bt_row *row, size_t column, bt_str text); /* copied */
void bt_row_set_number(bt_row *row, size_t column, int64_t number);
/* An int[] from its items. */
void bt_row_set_ints(bt_row *row, size_t column, const int32_t *items, size_t count);
bool bt_row_is_whole(const bt_row *row);

size_t bt_changes_row_count(const bt_changes *changes, size_t table);
/* In the order of their first change. */
const bt_row *bt_changes_row_at(const bt_changes *changes, size_t table, size_t index);

/* Writes what over says over the row that stands, as Postgres would. Both of one table and key. */
void bt_row_merge(bt_row *into, const bt_row *over);

/* A row in the text form that COPY reads, with its line feed. The row must be whole. */
void bt_row_copy_text(const bt_row *row, bt_buf *out);

#endif
