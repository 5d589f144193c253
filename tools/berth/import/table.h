/* table - one .txt file of a feed, row by row, by column name. Parsed by libcsv; quoted fields, CRLF and a byte-order
 * mark are handled. */
#ifndef BERTH_TOOLS_BERTH_IMPORT_TABLE_H
#define BERTH_TOOLS_BERTH_IMPORT_TABLE_H

#include "core/buf.h"
#include "core/memory.h"

#define TABLE_COLUMNS_MAX 64

/* fields[i] belongs to the i-th wanted column; an absent column gives an empty view. line is that of the file at which the
 * row begins, from 1, as an editor counts: blank lines and line ends within quotes are lines too. Return false to stop with err. */
typedef bool table_row_fn(void *context, size_t line, const bt_str *fields, bt_err *err);

/* columns: NULL-terminated names; the first required_count must be there. text: the whole file. Fields borrow until
 * the row function returns. */
bool table_read(const char *file_name, bt_str text, const char *const *columns, size_t required_count, table_row_fn *on_row, void *context, bt_err *err) BT_MUST_CHECK;

#endif
