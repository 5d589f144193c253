/* json - a request's body into the struct of its command, by the same tables that the codec reads (core/schema.h).
 *
 * Strict, for a typing mistake in an order must not be taken for its absence: an unknown, repeated or missing field, a wrong
 * type, a number out of range and a value over its ceiling are each refused, and the problem names the place as a JSON
 * pointer (RFC 6901) and says what would be right. jansson stays behind this header. Any thread; at most about 20 KB of stack. */
#ifndef BERTH_IO_JSON_JSON_H
#define BERTH_IO_JSON_JSON_H

#include "core/schema.h"

#define BT_JSON_NESTING_MAX 32          /* counted before the parser recurses: threads of the front have 100 KB of stack */
#define BT_JSON_TEXT_MAX (1 << 20)      /* bytes */
#define BT_JSON_POINTER_MAX 256
#define BT_JSON_DETAIL_MAX 384

typedef enum bt_json_problem_kind {
    BT_JSON_MALFORMED,     /* 400: not a JSON object, not UTF-8, a repeated field, nested too deep */
    BT_JSON_UNKNOWN_FIELD, /* 422 */
    BT_JSON_BAD_VALUE,     /* 422: missing, of a wrong type, out of range, over its ceiling */
} bt_json_problem_kind;

/* What is wrong, for the client. Texts are UTF-8; the client's own words in them are cut to a few dozen bytes. */
typedef struct bt_json_problem {
    bt_json_problem_kind kind;
    char pointer[BT_JSON_POINTER_MAX]; /* "/seats/0/seat"; empty: the whole body */
    char detail[BT_JSON_DETAIL_MAX];   /* this occurrence, and what would be right */
} bt_json_problem;

/* Fills ret_struct (type->struct_size bytes, overwritten; undefined after a failure) with copies from the arena: text may go.
 * ids are 32 hex digits, times RFC 3339, bytes hex digits; null stands for absent where a field is optional. An empty text is {} for a
 * type that needs no field.
 *   err  BT_ERR_INPUT with ret_problem filled: the client's mistake; the message is pointer and detail
 *        BT_ERR_RETRY: the arena's limit was passed; ret_problem says so as a bad value */
bool bt_json_decode(const bt_record_type *type, bt_str text, bt_arena *arena, void *ret_struct, bt_json_problem *ret_problem,
                    bt_err *err) BT_MUST_CHECK;

#endif
