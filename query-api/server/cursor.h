/* cursor - where a page of a list ended, as one opaque word that the client sends back.
 *
 * It holds the sort key of the last row, so the next page begins right after it however many rows came or went meanwhile. It
 * also holds a digest of the question it belongs to: a cursor of another list, or of other filters, is refused, not
 * misunderstood. Form: base64url of digest (8 bytes) and the fields, each as a length byte and its bytes. Pure; any thread. */
#ifndef BERTH_QUERY_API_SERVER_CURSOR_H
#define BERTH_QUERY_API_SERVER_CURSOR_H

#include "core/memory.h"

#define QA_CURSOR_FIELDS_MAX 6
#define QA_CURSOR_TEXT_MAX 1400 /* six fields of 255 bytes would not fit: sort keys are names of up to 200 bytes and numbers */

/* question: the name of the list and its filters. Fields are at most 255 bytes each. From the arena. */
bt_str qa_cursor_write(bt_arena *arena, const bt_str *question, size_t question_count, const bt_str *fields, size_t field_count);
/* False unless it is a cursor of that question with exactly so many fields. Fields are from the arena. */
bool qa_cursor_read(bt_arena *arena, bt_str text, const bt_str *question, size_t question_count, bt_str *ret_fields, size_t field_count) BT_MUST_CHECK;

/* A field that holds a number. */
bt_str qa_cursor_number(bt_arena *arena, int64_t value);
bool qa_cursor_to_number(bt_str field, int64_t *ret_value) BT_MUST_CHECK;

#endif
