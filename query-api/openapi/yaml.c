/* yaml - JSON to YAML, for people who read the document: block style, every string in double quotes, for JSON's strings are YAML's. */
#include "query-api/openapi/document.h"
#include "query-api/server/json_text.h"

#define DEPTH_MAX 64

static bool is_plain_key(bt_str key)
{
    for (size_t i = 0; i < key.size; i++) {
        char c = key.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (i > 0 && (c == '_' || c == '-'))))
            return false;
    }
    return key.size > 0 && !bt_str_is(key, "null") && !bt_str_is(key, "true") && !bt_str_is(key, "false") && !bt_str_is(key, "yes") && !bt_str_is(key, "no") &&
           !bt_str_is(key, "on") && !bt_str_is(key, "off") && !bt_str_is(key, "y") && !bt_str_is(key, "n");
}

static void indent(bt_buf *yaml, int depth)
{
    for (int i = 0; i < depth; i++)
        bt_buf_write(yaml, "  ", 2);
}

static bool is_empty(bt_str value)
{
    qa_json_walk walk = qa_json_begin(value);
    bt_str key, item;
    return !qa_json_next(&walk, &key, &item);
}

static bool is_block(bt_str value) { return value.size > 0 && (value.at[0] == '{' || value.at[0] == '[') && !is_empty(value); }

/* Bounded by DEPTH_MAX: the document is the program's own. */
static void write_block(bt_buf *yaml, bt_str value, int depth)
{
    bt_assert(depth < DEPTH_MAX);
    qa_json_walk walk = qa_json_begin(value);
    for (bt_str key, item; qa_json_next(&walk, &key, &item);) {
        indent(yaml, depth);
        if (!walk.in_object) {
            bt_buf_byte(yaml, '-');
        } else {
            if (!is_plain_key(key))
                bt_buf_byte(yaml, '"');
            bt_buf_str(yaml, key);
            bt_buf_text(yaml, is_plain_key(key) ? ":" : "\":");
        }
        bt_buf_byte(yaml, is_block(item) ? '\n' : ' ');
        if (is_block(item)) {
            write_block(yaml, item, depth + 1);
        } else {
            bt_buf_str(yaml, item); /* a scalar, {} or [] */
            bt_buf_byte(yaml, '\n');
        }
    }
}

void qa_yaml_write(bt_buf *yaml, bt_str json) { write_block(yaml, json, 0); }
