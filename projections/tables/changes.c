/* Rows by key in memory: an open-addressed table of pointers for each table, rows in an arena. */
#include "projections/tables/changes.h"

#define SLOTS_FIRST 256

typedef struct row_set {
    bt_row **slots; /* NULL: free */
    size_t slot_count;
    bt_row **rows;
    size_t row_count, row_capacity;
} row_set;

struct bt_changes {
    const bt_table *tables;
    size_t table_count;
    bt_arena arena;
    row_set sets[];
};

bt_changes *bt_changes_new(const bt_table *tables, size_t table_count)
{
    bt_changes *changes = bt_alloc(sizeof *changes + table_count * sizeof changes->sets[0]);
    changes->tables = tables;
    changes->table_count = table_count;
    /* The batch bounds what comes in; a rebuild is as large as its rows are. */
    bt_arena_init(&changes->arena, SIZE_MAX);
    for (size_t i = 0; i < table_count; i++)
        bt_assert(tables[i].column_count <= BT_COLUMNS_MAX && tables[i].key_count >= 1 && tables[i].key_count <= tables[i].column_count);
    return changes;
}

void bt_changes_free(bt_changes *changes)
{
    if (!changes)
        return;
    for (size_t i = 0; i < changes->table_count; i++) {
        bt_release(changes->sets[i].slots);
        bt_release(changes->sets[i].rows);
    }
    bt_arena_release(&changes->arena);
    bt_release(changes);
}

void bt_changes_reset(bt_changes *changes)
{
    for (size_t i = 0; i < changes->table_count; i++) {
        row_set *set = &changes->sets[i];
        if (set->row_count > 0)
            memset(set->slots, 0, set->slot_count * sizeof *set->slots);
        set->row_count = 0;
    }
    bt_arena_reset(&changes->arena);
}

static bool kind_is_number(bt_column_kind kind)
{
    switch (kind) {
    case BT_COLUMN_INT:
    case BT_COLUMN_LONG:
    case BT_COLUMN_BOOL:
    case BT_COLUMN_TIME:
        return true;
    case BT_COLUMN_TEXT:
    case BT_COLUMN_JSON:
    case BT_COLUMN_ID:
    case BT_COLUMN_INTS:
        return false;
    }
    return false;
}

static uint64_t key_hash(const bt_table *table, const bt_value *key)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < table->key_count; i++)
        hash = bt_mix64(hash * 31 + (kind_is_number(table->columns[i].kind) ? (uint64_t)key[i].number : bt_str_hash(key[i].text)));
    return hash;
}

static bool key_equal(const bt_table *table, const bt_value *a, const bt_value *b)
{
    for (size_t i = 0; i < table->key_count; i++)
        if (kind_is_number(table->columns[i].kind) ? a[i].number != b[i].number : !bt_str_equal(a[i].text, b[i].text))
            return false;
    return true;
}

static void grow(row_set *set)
{
    size_t count = set->slot_count == 0 ? SLOTS_FIRST : set->slot_count * 2;
    bt_release(set->slots);
    set->slots = bt_alloc(count * sizeof *set->slots);
    set->slot_count = count;
    for (size_t i = 0; i < set->row_count; i++) {
        size_t slot = set->rows[i]->hash & (count - 1);
        while (set->slots[slot])
            slot = (slot + 1) & (count - 1);
        set->slots[slot] = set->rows[i];
    }
}

static void remember(row_set *set, bt_row *row)
{
    if (set->row_count == set->row_capacity) {
        set->row_capacity = set->row_capacity == 0 ? SLOTS_FIRST : set->row_capacity * 2;
        set->rows = bt_resize(set->rows, set->row_capacity * sizeof *set->rows);
    }
    set->rows[set->row_count++] = row;
}

bt_row *bt_changes_row(bt_changes *changes, size_t table_index, const bt_value *key)
{
    bt_assert(table_index < changes->table_count);
    const bt_table *table = &changes->tables[table_index];
    row_set *set = &changes->sets[table_index];
    uint64_t hash = key_hash(table, key);
    if ((set->row_count + 1) * 2 > set->slot_count)
        grow(set);
    size_t slot = hash & (set->slot_count - 1);
    for (; set->slots[slot]; slot = (slot + 1) & (set->slot_count - 1))
        if (set->slots[slot]->hash == hash && key_equal(table, set->slots[slot]->values, key))
            return set->slots[slot];
    bt_row *row = bt_arena_take(&changes->arena, sizeof *row + table->column_count * sizeof row->values[0]);
    *row = (bt_row){ .table = table, .changes = changes, .hash = hash };
    for (size_t i = 0; i < table->key_count; i++) {
        if (kind_is_number(table->columns[i].kind))
            bt_row_set_number(row, i, key[i].number);
        else
            bt_row_set_text(row, i, key[i].text);
    }
    set->slots[slot] = row;
    remember(set, row);
    return row;
}

void bt_row_set_text(bt_row *row, size_t column, bt_str text)
{
    bt_assert(column < row->table->column_count && !kind_is_number(row->table->columns[column].kind));
    row->values[column].text = bt_arena_copy(&row->changes->arena, text);
    row->set |= 1U << column;
}

void bt_row_set_number(bt_row *row, size_t column, int64_t number)
{
    bt_assert(column < row->table->column_count && kind_is_number(row->table->columns[column].kind));
    row->values[column].number = number;
    row->set |= 1U << column;
}


void bt_row_set_ints(bt_row *row, size_t column, const int32_t *items, size_t count)
{
    char *text = bt_arena_take(&row->changes->arena, 3 + count * 12);
    size_t size = 0;
    bt_buf out;
    bt_assert(column < row->table->column_count && row->table->columns[column].kind == BT_COLUMN_INTS);
    bt_buf_init_fixed(&out, text, 3 + count * 12);
    bt_buf_byte(&out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            bt_buf_byte(&out, ',');
        bt_buf_i64(&out, items[i]);
    }
    bt_buf_byte(&out, '}');
    size = out.size;
    row->values[column].text = (bt_str){ text, size };
    row->set |= 1U << column;
}

bool bt_row_is_whole(const bt_row *row) { return row->set == (uint32_t)((UINT64_C(1) << row->table->column_count) - 1); }

size_t bt_changes_row_count(const bt_changes *changes, size_t table) { return changes->sets[table].row_count; }
const bt_row *bt_changes_row_at(const bt_changes *changes, size_t table, size_t index) { return changes->sets[table].rows[index]; }

void bt_row_merge(bt_row *into, const bt_row *over)
{
    for (size_t i = 0; i < into->table->column_count; i++) {
        if (!(over->set >> i & 1))
            continue;
        if (kind_is_number(into->table->columns[i].kind))
            bt_row_set_number(into, i, over->values[i].number);
        else
            bt_row_set_text(into, i, over->values[i].text);
    }
}

static void copy_text(bt_str text, bt_buf *out)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];
        const char *escaped = c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : NULL;
        if (escaped)
            bt_buf_text(out, escaped);
        else
            bt_buf_byte(out, (uint8_t)c);
    }
}

static void copy_value(bt_column_kind kind, const bt_value *value, bt_buf *out)
{
    char hex[BT_ID_HEX_SIZE], instant[BT_TIME_TEXT_MAX];
    bt_id id;
    switch (kind) {
    case BT_COLUMN_TEXT:
    case BT_COLUMN_JSON:
    case BT_COLUMN_INTS:
        copy_text(value->text, out);
        return;
    case BT_COLUMN_INT:
    case BT_COLUMN_LONG:
        bt_buf_i64(out, value->number);
        return;
    case BT_COLUMN_BOOL:
        bt_buf_byte(out, value->number ? 't' : 'f');
        return;
    case BT_COLUMN_TIME:
        bt_buf_write(out, instant, bt_time_to_text(value->number, instant));
        return;
    case BT_COLUMN_ID:
        memcpy(id.at, value->text.at, sizeof id.at);
        bt_id_to_hex(id, hex);
        bt_buf_write(out, hex, sizeof hex);
        return;
    }
}

void bt_row_copy_text(const bt_row *row, bt_buf *out)
{
    bt_assert(bt_row_is_whole(row));
    for (size_t i = 0; i < row->table->column_count; i++) {
        if (i > 0)
            bt_buf_byte(out, '\t');
        copy_value(row->table->columns[i].kind, &row->values[i], out);
    }
    bt_buf_byte(out, '\n');
}
