/* table - libcsv gives fields one by one; this gathers a row and hands it out by the names in the header.
 *
 * libcsv does not say where it is, and leaves blank lines out without a word. So it is fed line by line, and whoever reads a
 * message finds the row at that line of the file. */
#include "tools/berth/import/table.h"

#include <csv.h>

typedef struct reading {
    const char *file_name;
    const char *const *columns;
    size_t column_count, required_count;
    int32_t place[TABLE_COLUMNS_MAX]; /* of the file's n-th column among the wanted ones; -1: not wanted */
    bt_str fields[TABLE_COLUMNS_MAX];
    bt_buf row;                       /* the bytes of the row's fields; libcsv reuses its own buffer */
    size_t starts[TABLE_COLUMNS_MAX];
    size_t at_column;
    size_t line, row_line; /* of the file: the one that is being read; where its row began, 0: no row is under way */
    bool has_header;
    table_row_fn *on_row;
    void *context;
    bt_err *err;
    bool failed;
} reading;

static void on_field(void *field, size_t size, void *context)
{
    reading *r = context;
    if (r->at_column >= TABLE_COLUMNS_MAX)
        return;
    r->starts[r->at_column] = r->row.size;
    bt_buf_write(&r->row, field, size);
    r->at_column++;
}

static bt_str field_at(const reading *r, size_t column)
{
    size_t end = column + 1 < r->at_column ? r->starts[column + 1] : r->row.size;
    return (bt_str){ (const char *)r->row.at + r->starts[column], end - r->starts[column] };
}

static bool header_read(reading *r)
{
    bool found[TABLE_COLUMNS_MAX] = { false };
    for (size_t i = 0; i < r->at_column; i++) {
        bt_str name = field_at(r, i);
        r->place[i] = -1;
        for (size_t c = 0; c < r->column_count; c++)
            if (bt_str_is(name, r->columns[c])) {
                r->place[i] = (int32_t)c;
                found[c] = true;
            }
    }
    for (size_t c = 0; c < r->required_count; c++)
        if (!found[c])
            return bt_fail(r->err, BT_ERR_INPUT, 0, "%s: the column '%s' is missing; it is required by GTFS", r->file_name, r->columns[c]);
    return true;
}

static bool row_read(reading *r)
{
    for (size_t c = 0; c < r->column_count; c++)
        r->fields[c] = (bt_str){ "", 0 };
    for (size_t i = 0; i < r->at_column; i++)
        if (r->place[i] >= 0)
            r->fields[r->place[i]] = field_at(r, i);
    bt_err cause = { 0 };
    if (r->on_row(r->context, r->row_line, r->fields, &cause))
        return true;
    return bt_fail(r->err, cause.kind, cause.code, "%s line %zu: %s", r->file_name, r->row_line, cause.message);
}

static void on_row_end(int terminator, void *context)
{
    (void)terminator;
    reading *r = context;
    if (!r->failed && r->row.overflow)
        r->failed = !bt_fail(r->err, BT_ERR_INPUT, 0, "%s line %zu: the row is over 1 MiB", r->file_name, r->row_line);
    if (!r->failed)
        r->failed = !(r->has_header ? row_read(r) : header_read(r));
    for (size_t i = r->at_column; !r->has_header && i < TABLE_COLUMNS_MAX; i++)
        r->place[i] = -1;
    r->has_header = true;
    bt_buf_reset(&r->row);
    r->at_column = 0;
    r->row_line = 0;
}

/* The first line with its end: LF, CRLF, or CR alone. */
static bt_str line_of(bt_str text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] == '\n' || (text.at[i] == '\r' && (i + 1 == text.size || text.at[i + 1] != '\n')))
            return (bt_str){ text.at, i + 1 };
    return text;
}

static bool is_blank(bt_str line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.at[i] != ' ' && line.at[i] != '\t' && line.at[i] != '\r' && line.at[i] != '\n')
            return false;
    return true;
}

static void read_lines(reading *r, struct csv_parser *parser, bt_str text)
{
    while (text.size > 0 && !r->failed) {
        bt_str line = line_of(text);
        text = (bt_str){ text.at + line.size, text.size - line.size };
        r->line++;
        if (r->row_line == 0 && is_blank(line))
            continue;
        if (r->row_line == 0)
            r->row_line = r->line;
        if (csv_parse(parser, line.at, line.size, on_field, on_row_end, r) != line.size)
            r->failed = !bt_fail(r->err, BT_ERR_INPUT, 0, "%s line %zu: %s", r->file_name, r->line, csv_strerror(csv_error(parser)));
    }
    if (!r->failed)
        csv_fini(parser, on_field, on_row_end, r);
}

bool table_read(const char *file_name, bt_str text, const char *const *columns, size_t required_count, table_row_fn *on_row, void *context, bt_err *err)
{
    reading r = { .file_name = file_name, .columns = columns, .required_count = required_count, .on_row = on_row, .context = context, .err = err };
    while (columns[r.column_count] != NULL)
        r.column_count++;
    bt_assert(r.column_count <= TABLE_COLUMNS_MAX);
    bt_buf_init(&r.row, 1 << 20);
    struct csv_parser parser;
    if (csv_init(&parser, 0) != 0)
        return bt_fail(err, BT_ERR_FATAL, 0, "%s: the CSV parser could not start", file_name);
    if (text.size >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0) /* before the parser sees it: a quote behind a mark would not begin a quoted name */
        text = (bt_str){ text.at + 3, text.size - 3 };
    read_lines(&r, &parser, text);
    csv_free(&parser);
    bt_buf_release(&r.row);
    if (!r.failed && !r.has_header)
        return bt_fail(err, BT_ERR_INPUT, 0, "%s: is empty; a header row is required", file_name);
    return !r.failed;
}
