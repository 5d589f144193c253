/* body_schema - an Avro record as a JSON Schema: how the commands server reads a body is declared once, in schemas/<kind>/commands. */
#include "query-api/openapi/document.h"
#include "query-api/server/json_text.h"

#define DEPTH_MAX 16

static bt_str member_or(bt_str object, const char *name, bt_str fallback)
{
    bt_str value;
    return qa_json_member(object, name, &value) ? value : fallback;
}

static bool is_word(bt_str json, const char *word) { return bt_str_is(qa_json_inside(json), word); }

/* Of ["null", T]: T, and that it is optional. Of T: T. */
static bt_str without_null(bt_str type, bool *ret_nullable)
{
    *ret_nullable = false;
    bt_str found = type;
    if (type.size == 0 || type.at[0] != '[')
        return type;
    qa_json_walk walk = qa_json_begin(type);
    for (bt_str key, item; qa_json_next(&walk, &key, &item);) {
        if (is_word(item, "null"))
            *ret_nullable = true;
        else
            found = item;
    }
    return found;
}

static void write_record(bt_buf *json, bt_str record, int depth);

static void write_size(bt_buf *json, const char *name, bt_str field, const char *ceiling)
{
    int64_t size = qa_json_number(member_or(field, ceiling, BT_STR("")), 0);
    if (size > 0)
        bt_json_i64(json, name, size);
}

/* field holds the ceilings; item: that of each item of its array. */
static void write_type(bt_buf *json, bt_str type, bt_str field, bool item, bool nullable, int depth)
{
    bt_assert(depth < DEPTH_MAX);
    bt_str name = type.size > 0 && type.at[0] == '{' ? member_or(type, "type", BT_STR("")) : type;
    if (is_word(name, "string")) {
        bt_json_raw(json, "type", nullable ? BT_STR("[\"string\",\"null\"]") : BT_STR("\"string\""));
        write_size(json, "maxLength", field, item ? "berth.item.max" : "berth.max");
    } else if (is_word(name, "boolean")) {
        bt_json_raw(json, "type", BT_STR("\"boolean\""));
    } else if (is_word(name, "long") && is_word(member_or(type, "logicalType", BT_STR("")), "timestamp-micros")) {
        bt_json_raw(json, "type", BT_STR("\"string\""));
        bt_json_raw(json, "format", BT_STR("\"date-time\""));
    } else if (is_word(name, "int") || is_word(name, "long")) {
        bt_json_raw(json, "type", BT_STR("\"integer\""));
        bt_json_raw(json, "format", is_word(name, "int") ? BT_STR("\"int32\"") : BT_STR("\"int64\""));
    } else if (is_word(name, "array")) {
        bool item_nullable;
        bt_str items = without_null(member_or(type, "items", BT_STR("")), &item_nullable);
        bt_json_raw(json, "type", BT_STR("\"array\""));
        write_size(json, "maxItems", field, "berth.max");
        bt_json_open(json, "items", '{');
        write_type(json, items, field, true, item_nullable, depth + 1);
        bt_json_close(json, '}');
    } else if (is_word(name, "record")) {
        write_record(json, type, depth + 1);
    } else { /* fixed: an id */
        bt_json_raw(json, "type", BT_STR("\"string\""));
        bt_json_raw(json, "pattern", BT_STR("\"^[0-9a-f]{32}$\""));
    }
}

static void write_required(bt_buf *json, bt_str fields)
{
    bool any = false;
    qa_json_walk walk = qa_json_begin(fields);
    for (bt_str key, field, type; qa_json_next(&walk, &key, &field);) {
        bool nullable;
        type = without_null(member_or(field, "type", BT_STR("")), &nullable);
        if (type.size == 0 || nullable)
            continue;
        if (!any)
            bt_json_open(json, "required", '[');
        any = true;
        bt_json_raw(json, NULL, member_or(field, "name", BT_STR("\"\"")));
    }
    if (any)
        bt_json_close(json, ']');
}

/* The members of a schema that is open. */
static void write_record(bt_buf *json, bt_str record, int depth)
{
    bt_str fields = member_or(record, "fields", BT_STR("[]"));
    bt_json_raw(json, "type", BT_STR("\"object\""));
    bt_json_bool(json, "additionalProperties", false);
    write_required(json, fields);
    bt_json_open(json, "properties", '{');
    qa_json_walk walk = qa_json_begin(fields);
    char name[128];
    for (bt_str key, field; qa_json_next(&walk, &key, &field);) {
        bool nullable;
        bt_str type = without_null(member_or(field, "type", BT_STR("")), &nullable), inside = qa_json_inside(member_or(field, "name", BT_STR("")));
        bt_assert(inside.size > 0 && inside.size < sizeof name);
        memcpy(name, inside.at, inside.size);
        name[inside.size] = 0;
        bt_json_open(json, name, '{');
        bt_json_raw(json, "description", member_or(field, "doc", BT_STR("\"\"")));
        write_type(json, type, field, false, false, depth);
        bt_json_close(json, '}');
    }
    bt_json_close(json, '}');
}

void qa_body_schema_write(bt_buf *json, const char *name, bt_str avsc)
{
    bt_json_open(json, name, '{');
    bt_json_raw(json, "description", member_or(avsc, "doc", BT_STR("\"\"")));
    write_record(json, avsc, 0);
    bt_json_close(json, '}');
}
