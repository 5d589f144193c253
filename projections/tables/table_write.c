/* Builds three statements a table once, and binds the columns of the changed rows to them as arrays. */
#include "projections/tables/table_write.h"

typedef struct table_sql {
    char *insert; /* whole rows */
    char *update; /* rows with some columns; NULL in an array: leave the column as it is */
    char *copy;
} table_sql;

struct bt_table_write {
    const bt_table *tables;
    size_t table_count;
    bt_pg_array arrays[BT_COLUMNS_MAX];
    table_sql sql[];
};

/* INTS and JSON travel as text and are cast in the statement: unnest() flattens arrays of arrays. */
static const struct {
    bt_pg_type type;
    const char *array_name, *cast;
} KINDS[] = {
    [BT_COLUMN_TEXT] = { BT_PG_TEXT, "text[]", "" },  [BT_COLUMN_JSON] = { BT_PG_TEXT, "text[]", "::json" }, [BT_COLUMN_INT] = { BT_PG_INT4, "int4[]", "" },
    [BT_COLUMN_LONG] = { BT_PG_INT8, "int8[]", "" },  [BT_COLUMN_BOOL] = { BT_PG_BOOL, "bool[]", "" },       [BT_COLUMN_TIME] = { BT_PG_TIME, "timestamptz[]", "" },
    [BT_COLUMN_ID] = { BT_PG_UUID, "uuid[]", "" },    [BT_COLUMN_INTS] = { BT_PG_TEXT, "text[]", "::int[]" },
};

static void names(bt_buf *sql, const bt_table *table, size_t from, size_t to, const char *prefix)
{
    for (size_t i = from; i < to; i++)
        bt_buf_printf(sql, "%s%s%s", i > from ? ", " : "", prefix, table->columns[i].name);
}

static void unnest(bt_buf *sql, const bt_table *table)
{
    bt_buf_text(sql, "unnest(");
    for (size_t i = 0; i < table->column_count; i++)
        bt_buf_printf(sql, "%s$%zu::%s", i > 0 ? ", " : "", i + 1, KINDS[table->columns[i].kind].array_name);
    bt_buf_text(sql, ") AS u(");
    names(sql, table, 0, table->column_count, "");
    bt_buf_text(sql, ")");
}

static char *take(bt_buf *sql)
{
    bt_buf_byte(sql, 0);
    bt_assert(!sql->overflow);
    char *text = bt_alloc(sql->size);
    memcpy(text, sql->at, sql->size);
    bt_buf_reset(sql);
    return text;
}

static void build_insert(bt_buf *sql, const char *schema, const bt_table *table)
{
    bt_buf_printf(sql, "INSERT INTO %s.%s (", schema, table->name);
    names(sql, table, 0, table->column_count, "");
    bt_buf_text(sql, ") SELECT ");
    for (size_t i = 0; i < table->column_count; i++)
        bt_buf_printf(sql, "%su.%s%s", i > 0 ? ", " : "", table->columns[i].name, KINDS[table->columns[i].kind].cast);
    bt_buf_text(sql, " FROM ");
    unnest(sql, table);
    bt_buf_text(sql, " ON CONFLICT (");
    names(sql, table, 0, table->key_count, "");
    bt_buf_text(sql, table->insert_only ? ") DO NOTHING" : ") DO UPDATE SET ");
    for (size_t i = table->key_count; i < table->column_count && !table->insert_only; i++)
        bt_buf_printf(sql, "%s%s = EXCLUDED.%s", i > table->key_count ? ", " : "", table->columns[i].name, table->columns[i].name);
}

static void build_update(bt_buf *sql, const char *schema, const bt_table *table)
{
    bt_buf_printf(sql, "UPDATE %s.%s AS t SET ", schema, table->name);
    for (size_t i = table->key_count; i < table->column_count; i++)
        bt_buf_printf(sql, "%s%s = coalesce(u.%s%s, t.%s)", i > table->key_count ? ", " : "", table->columns[i].name, table->columns[i].name,
                      KINDS[table->columns[i].kind].cast, table->columns[i].name);
    bt_buf_text(sql, " FROM ");
    unnest(sql, table);
    for (size_t i = 0; i < table->key_count; i++)
        bt_buf_printf(sql, " %s t.%s = u.%s", i == 0 ? "WHERE" : "AND", table->columns[i].name, table->columns[i].name);
}

bt_table_write *bt_table_write_new(const char *schema, const bt_table *tables, size_t table_count)
{
    bt_table_write *write = bt_alloc(sizeof *write + table_count * sizeof write->sql[0]);
    bt_buf sql;
    bt_buf_init(&sql, 1 << 16);
    write->tables = tables;
    write->table_count = table_count;
    for (size_t i = 0; i < table_count; i++) {
        build_insert(&sql, schema, &tables[i]);
        write->sql[i].insert = take(&sql);
        if (!tables[i].insert_only) {
            build_update(&sql, schema, &tables[i]);
            write->sql[i].update = take(&sql);
        }
        bt_buf_printf(&sql, "COPY %s.%s (", schema, tables[i].name);
        names(&sql, &tables[i], 0, tables[i].column_count, "");
        bt_buf_text(&sql, ") FROM STDIN");
        write->sql[i].copy = take(&sql);
    }
    bt_buf_release(&sql);
    return write;
}

void bt_table_write_free(bt_table_write *write)
{
    if (!write)
        return;
    for (size_t i = 0; i < write->table_count; i++) {
        bt_release(write->sql[i].insert);
        bt_release(write->sql[i].update);
        bt_release(write->sql[i].copy);
    }
    bt_release(write);
}

static void bind_value(bt_pg_array *array, const bt_row *row, size_t column)
{
    bt_column_kind kind = row->table->columns[column].kind;
    if (!(row->set >> column & 1)) {
        bt_pg_array_add_null(array);
        return;
    }
    switch (kind) {
    case BT_COLUMN_INT:
    case BT_COLUMN_LONG:
    case BT_COLUMN_BOOL:
    case BT_COLUMN_TIME:
        bt_pg_array_add_number(array, row->values[column].number);
        return;
    case BT_COLUMN_TEXT:
    case BT_COLUMN_JSON:
    case BT_COLUMN_ID:
    case BT_COLUMN_INTS:
        bt_pg_array_add_text(array, row->values[column].text);
        return;
    }
}

/* Binds the rows that are whole, or those that are not. Returns how many there are. */
static size_t bind(bt_pg_array *arrays, const bt_changes *changes, size_t table_index, const bt_table *table, bool whole)
{
    size_t bound = 0;
    for (size_t i = 0; i < bt_changes_row_count(changes, table_index); i++) {
        const bt_row *row = bt_changes_row_at(changes, table_index, i);
        if (bt_row_is_whole(row) != whole)
            continue;
        for (size_t column = 0; column < table->column_count; column++)
            bind_value(&arrays[column], row, column);
        bound++;
    }
    return bound;
}

/* Runs one of a table's statements over its rows of that sort. */
static bool run(bt_table_write *write, bt_pg *pg, const bt_changes *changes, size_t table_index, bool whole, bt_err *err)
{
    const bt_table *table = &write->tables[table_index];
    bt_pg_param params[BT_COLUMNS_MAX];
    bool good = true;
    for (size_t i = 0; i < table->column_count; i++)
        bt_pg_array_init(&write->arrays[i], KINDS[table->columns[i].kind].type);
    size_t bound = bind(write->arrays, changes, table_index, table, whole);
    if (bound > 0) {
        BT_PG_RESULT result = { 0 };
        for (size_t i = 0; i < table->column_count; i++)
            params[i] = bt_pg_array_param(&write->arrays[i]);
        good = bt_pg_query(pg, whole ? write->sql[table_index].insert : write->sql[table_index].update, params, table->column_count, &result, err);
        if (good && !whole && result.affected != (int64_t)bound)
            good = bt_fail(err, BT_ERR_INPUT, 0, "%lld of %zu rows of %s that an event changes are not there", (long long)((int64_t)bound - result.affected), bound,
                           table->name);
    }
    for (size_t i = 0; i < table->column_count; i++)
        bt_pg_array_release(&write->arrays[i]);
    return good;
}

bool bt_table_write_changes(bt_table_write *write, bt_pg *pg, const bt_changes *changes, bt_err *err)
{
    for (size_t i = 0; i < write->table_count; i++) {
        if (bt_changes_row_count(changes, i) == 0)
            continue;
        if (!run(write, pg, changes, i, true, err) || (write->sql[i].update && !run(write, pg, changes, i, false, err)))
            return false;
    }
    return true;
}

bool bt_table_write_copy(bt_table_write *write, bt_pg *pg, const bt_changes *changes, bt_err *err)
{
    for (size_t i = 0; i < write->table_count; i++) {
        bt_buf rows;
        bt_buf_init(&rows, SIZE_MAX);
        for (size_t row = 0; row < bt_changes_row_count(changes, i); row++)
            bt_row_copy_text(bt_changes_row_at(changes, i, row), &rows);
        bool good = rows.size == 0 || bt_pg_copy(pg, write->sql[i].copy, bt_buf_view(&rows), err);
        bt_buf_release(&rows);
        if (!good)
            return false;
    }
    return true;
}
