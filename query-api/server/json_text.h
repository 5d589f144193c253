/* json_text - walks JSON that this project wrote itself (a trip's layout, the pieces of the OpenAPI document) without building a tree.
 *
 * Values come out as they stand in the text, so that a name that is shown again is copied and never decoded and encoded. It is not a parser
 * for strangers' text: what is malformed ends the walk early, and nothing is read past the end. Pure; any thread. */
#ifndef BERTH_QUERY_API_SERVER_JSON_TEXT_H
#define BERTH_QUERY_API_SERVER_JSON_TEXT_H

#include "core/base.h"

typedef struct qa_json_walk {
    bt_str rest;
    bool in_object;
} qa_json_walk;

/* value: an object or array, blanks around it allowed; of anything else the walk is empty. */
qa_json_walk qa_json_begin(bt_str value);
/* The next member or item. key is the text between the quotes, as it stands (empty in arrays). False at the end. */
bool qa_json_next(qa_json_walk *walk, bt_str *ret_key, bt_str *ret_value) BT_MUST_CHECK;
/* The member of that name; false if there is none. */
bool qa_json_member(bt_str object, const char *name, bt_str *ret_value) BT_MUST_CHECK;
/* A whole number; fallback if it is none. */
int64_t qa_json_number(bt_str value, int64_t fallback);
/* Of a string: what stands between the quotes, still escaped. Empty view of anything else. */
bt_str qa_json_inside(bt_str value);

#endif
