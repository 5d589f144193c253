/* json - see the header. jansson parses; this file decides what the parse may mean. */
#include "io/json/json.h"

#include "core/utf8.h"

#include <jansson.h>
#include <stdio.h>

#define CLIENT_WORD_MAX 60 /* bytes of a client's own text in a message */

typedef struct reader {
    bt_arena *arena;
    bt_json_problem *problem;
    bt_err *err;
    size_t pointer_size;
} reader;

static bool decode_record(reader *r, const bt_record_type *type, json_t *node, uint8_t *to);

static bool refuse(reader *r, bt_json_problem_kind kind, const char *format, ...) BT_PRINTF(3, 4);

static bool refuse(reader *r, bt_json_problem_kind kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->problem->detail, sizeof r->problem->detail, format, arguments);
    va_end(arguments);
    r->problem->kind = kind;
    return bt_fail(r->err, BT_ERR_INPUT, 0, "%s: %s", r->problem->pointer, r->problem->detail);
}

/* Cut at a character's start, so that what is left is still UTF-8. */
static int cut_size(const char *text, size_t size)
{
    if (size <= CLIENT_WORD_MAX)
        return (int)size;
    size = CLIENT_WORD_MAX;
    while (size > 0 && ((uint8_t)text[size] & 0xc0) == 0x80)
        size--;
    return (int)size;
}

/* Appends /name to the pointer, escaped as RFC 6901 says; gives the size to go back to. */
static size_t pointer_push(reader *r, const char *name)
{
    size_t before = r->pointer_size, at = before;
    char *pointer = r->problem->pointer;
    int name_size = cut_size(name, strlen(name));
    if (at + (size_t)name_size * 2 + 2 > BT_JSON_POINTER_MAX)
        return before; /* deeper than any schema: the last step is left out */
    pointer[at++] = '/';
    for (int i = 0; i < name_size; i++) {
        bool escaped = name[i] == '~' || name[i] == '/';
        if (escaped)
            pointer[at++] = '~';
        pointer[at++] = name[i] == '~' ? '0' : name[i] == '/' ? '1' : name[i];
    }
    pointer[at] = 0;
    r->pointer_size = at;
    return before;
}

static void pointer_pop(reader *r, size_t before)
{
    r->pointer_size = before;
    r->problem->pointer[before] = 0;
}

static const char *wanted(uint8_t kind)
{
    switch ((bt_type_kind)kind) {
    case BT_TYPE_BOOLEAN:
        return "true or false";
    case BT_TYPE_INT:
        return "a whole number from -2147483648 to 2147483647";
    case BT_TYPE_LONG:
        return "a whole number of 64 bits";
    case BT_TYPE_TIME_US:
        return "a time as in RFC 3339: \"2026-11-22T06:30:00Z\"";
    case BT_TYPE_STRING:
        return "a string";
    case BT_TYPE_BYTES:
        return "a string of pairs of hex digits";
    case BT_TYPE_ID:
        return "an id: a string of 32 hex digits";
    case BT_TYPE_RECORD:
        return "an object";
    case BT_TYPE_ARRAY:
        return "an array";
    }
    return "";
}

static const char *found(json_t *node)
{
    static const char *const names[] = { "an object", "an array", "a string", "a whole number", "a number with a fraction or exponent",
                                         "true",      "false",    "null" };
    return names[json_typeof(node)];
}

static bool refuse_type(reader *r, uint8_t kind, json_t *node)
{
    if (json_is_string(node)) {
        const char *text = json_string_value(node);
        return refuse(r, BT_JSON_BAD_VALUE, "is \"%.*s\"; must be %s", cut_size(text, json_string_length(node)), text, wanted(kind));
    }
    return refuse(r, BT_JSON_BAD_VALUE, "is %s; must be %s", found(node), wanted(kind));
}

static bool refuse_memory(reader *r)
{
    refuse(r, BT_JSON_BAD_VALUE, "is more than a request may hold: send less");
    return bt_fail(r->err, BT_ERR_RETRY, 0, "%s: a request's arena is full", r->problem->pointer);
}

static bool take_string(reader *r, uint32_t max, json_t *node, bt_str *ret_text)
{
    size_t size = json_string_length(node);
    if (size > max)
        return refuse(r, BT_JSON_BAD_VALUE, "is %zu bytes long; at most %u are allowed", size, max);
    char *copy = bt_arena_try_take(r->arena, size + 1);
    if (copy == NULL)
        return refuse_memory(r);
    memcpy(copy, json_string_value(node), size + 1);
    *ret_text = (bt_str){ copy, size };
    return true;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool take_bytes(reader *r, uint32_t max, json_t *node, bt_bytes *ret_bytes)
{
    size_t size = json_string_length(node) / 2;
    const char *hex = json_string_value(node);
    if (json_string_length(node) % 2 != 0)
        return refuse_type(r, BT_TYPE_BYTES, node);
    if (size > max)
        return refuse(r, BT_JSON_BAD_VALUE, "is %zu bytes long; at most %u are allowed", size, max);
    uint8_t *bytes = bt_arena_try_take(r->arena, size + 1);
    if (bytes == NULL)
        return refuse_memory(r);
    for (size_t i = 0; i < size; i++) {
        int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return refuse_type(r, BT_TYPE_BYTES, node);
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    *ret_bytes = (bt_bytes){ bytes, size };
    return true;
}

/* A value whose JSON form is a string. */
static bool decode_text(reader *r, uint8_t kind, uint32_t max, json_t *node, void *to)
{
    if (!json_is_string(node))
        return refuse_type(r, kind, node);
    bt_str text = { json_string_value(node), json_string_length(node) };
    if (kind == BT_TYPE_STRING)
        return take_string(r, max, node, to);
    if (kind == BT_TYPE_BYTES)
        return take_bytes(r, max, node, to);
    bool good = kind == BT_TYPE_ID ? bt_id_from_hex(text, to) : bt_time_from_text(text, to);
    return good || refuse_type(r, kind, node);
}

static bool decode_number(reader *r, uint8_t kind, json_t *node, void *to)
{
    json_int_t value = json_integer_value(node);
    if (!json_is_integer(node))
        return refuse_type(r, kind, node);
    if (kind == BT_TYPE_LONG) {
        *(int64_t *)to = value;
        return true;
    }
    if (value < INT32_MIN || value > INT32_MAX)
        return refuse(r, BT_JSON_BAD_VALUE, "is %lld; must be %s", (long long)value, wanted(kind));
    *(int32_t *)to = (int32_t)value;
    return true;
}

static bool decode_value(reader *r, const bt_field *field, uint8_t kind, uint32_t max, json_t *node, uint8_t *to)
{
    switch ((bt_type_kind)kind) {
    case BT_TYPE_BOOLEAN:
        *(bool *)to = json_is_true(node);
        return json_is_boolean(node) || refuse_type(r, kind, node);
    case BT_TYPE_INT:
    case BT_TYPE_LONG:
        return decode_number(r, kind, node, to);
    case BT_TYPE_TIME_US:
    case BT_TYPE_STRING:
    case BT_TYPE_BYTES:
    case BT_TYPE_ID:
        return decode_text(r, kind, max, node, to);
    case BT_TYPE_RECORD:
        return decode_record(r, field->record, node, to);
    case BT_TYPE_ARRAY:
        break;
    }
    bt_assert(!"arrays of arrays do not exist");
    return false;
}

static bool decode_array(reader *r, const bt_field *field, json_t *node, uint8_t *struct_at)
{
    size_t count = json_array_size(node);
    if (!json_is_array(node))
        return refuse_type(r, BT_TYPE_ARRAY, node);
    if (count > field->max)
        return refuse(r, BT_JSON_BAD_VALUE, "has %zu items; at most %u are allowed", count, field->max);
    uint8_t *items = count == 0 ? NULL : bt_arena_try_take(r->arena, count * field->item_size);
    if (count > 0 && items == NULL)
        return refuse_memory(r);
    if (count > 0)
        memset(items, 0, count * field->item_size);
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array_get(node, i);
        char index[24];
        if (field->item_optional && json_is_null(item))
            continue;
        snprintf(index, sizeof index, "%zu", i);
        size_t before = pointer_push(r, index);
        if (!decode_value(r, field, field->item_kind, field->item_max, item, items + i * field->item_size))
            return false;
        pointer_pop(r, before);
    }
    memcpy(struct_at + field->offset, &items, sizeof items);
    *(uint32_t *)(struct_at + field->count_offset) = (uint32_t)count;
    return true;
}

/* What a field that is not in the body becomes. Zeroes are in place already: absent, empty, 0 and false. */
static bool decode_absent(reader *r, const bt_field *field, uint8_t *struct_at)
{
    if (!field->has_default && !field->optional)
        return refuse(r, BT_JSON_BAD_VALUE, "is missing; must be %s", wanted(field->kind));
    if (field->optional || field->kind == BT_TYPE_ARRAY)
        return true;
    if (field->kind == BT_TYPE_BOOLEAN)
        *(bool *)(struct_at + field->offset) = field->default_number != 0;
    else if (field->kind == BT_TYPE_INT)
        *(int32_t *)(struct_at + field->offset) = (int32_t)field->default_number;
    else if (field->kind == BT_TYPE_STRING)
        *(bt_str *)(struct_at + field->offset) = bt_str_of(field->default_text);
    else
        *(int64_t *)(struct_at + field->offset) = field->default_number;
    return true;
}

static bool decode_field(reader *r, const bt_field *field, json_t *node, uint8_t *to)
{
    if (node == NULL || (field->optional && json_is_null(node)))
        return decode_absent(r, field, to);
    if (field->optional)
        *(bool *)(to + field->has_offset) = true;
    return field->kind == BT_TYPE_ARRAY ? decode_array(r, field, node, to)
                                        : decode_value(r, field, field->kind, field->max, node, to + field->offset);
}

static bool refuse_unknown(reader *r, const bt_record_type *type, const char *key)
{
    char known[BT_JSON_DETAIL_MAX - 64] = "";
    size_t size = 0;
    for (uint32_t i = 0; i < type->field_count && size < sizeof known; i++)
        size += (size_t)snprintf(known + size, sizeof known - size, "%s%s", i == 0 ? "" : ", ", type->fields[i].name);
    pointer_push(r, key);
    return refuse(r, BT_JSON_UNKNOWN_FIELD, type->field_count == 0 ? "is not known; no field is%s" : "is not known; the fields are %s",
                  known);
}

static bool decode_record(reader *r, const bt_record_type *type, json_t *node, uint8_t *to)
{
    if (!json_is_object(node))
        return refuse_type(r, BT_TYPE_RECORD, node);
    size_t seen = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const bt_field *field = &type->fields[i];
        json_t *value = json_object_get(node, field->name);
        seen += value != NULL;
        size_t before = pointer_push(r, field->name);
        if (!decode_field(r, field, value, to))
            return false;
        pointer_pop(r, before);
    }
    if (seen == json_object_size(node))
        return true;
    const char *key;
    json_t *value;
    json_object_foreach(node, key, value)
    {
        bool known = false;
        for (uint32_t i = 0; i < type->field_count; i++)
            known = known || strcmp(type->fields[i].name, key) == 0;
        if (!known)
            return refuse_unknown(r, type, key);
    }
    return true;
}

/* jansson recurses for each bracket; so they are counted, outside of strings, before it sees the text. */
static bool nests_too_deep(bt_str text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.at[i];
        if (in_string && byte == '\\')
            i++;
        else if (byte == '"')
            in_string = !in_string;
        else if (!in_string && (byte == '{' || byte == '['))
            depth++;
        else if (!in_string && (byte == '}' || byte == ']') && depth > 0)
            depth--;
        if (depth > BT_JSON_NESTING_MAX)
            return true;
    }
    return false;
}

static bool refuse_parse(reader *r, const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        return refuse(r, BT_JSON_MALFORMED, "line %d: a field is given twice", error->line);
    case json_error_numeric_overflow:
        return refuse(r, BT_JSON_BAD_VALUE, "line %d, column %d: a number is out of range", error->line, error->column);
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return refuse(r, BT_JSON_BAD_VALUE, "line %d, column %d: a string holds a zero character (\\u0000), which nothing here may",
                      error->line, error->column);
    default:
        return refuse(r, BT_JSON_MALFORMED, "not JSON at line %d, column %d", error->line, error->column);
    }
}

static bool needs_a_field(const bt_record_type *type)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (!type->fields[i].optional && !type->fields[i].has_default)
            return true;
    return false;
}

static bool decode_text_of_body(reader *r, const bt_record_type *type, bt_str text, void *ret_struct)
{
    json_error_t error;
    if (text.size > BT_JSON_TEXT_MAX)
        return refuse(r, BT_JSON_MALFORMED, "the body is %zu bytes; at most %d are allowed", text.size, BT_JSON_TEXT_MAX);
    if (text.size == 0 && needs_a_field(type))
        return refuse(r, BT_JSON_MALFORMED, "the body is empty; send a JSON object");
    if (!bt_utf8_is_valid(text.at, text.size))
        return refuse(r, BT_JSON_MALFORMED, "not UTF-8");
    if (nests_too_deep(text))
        return refuse(r, BT_JSON_MALFORMED, "nested deeper than %d", BT_JSON_NESTING_MAX);
    if (text.size == 0)
        text = BT_STR("{}");
    json_t *root = json_loadb(text.at, text.size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return refuse_parse(r, &error);
    bool good = json_is_object(root) ? decode_record(r, type, root, ret_struct)
                                     : refuse(r, BT_JSON_MALFORMED, "the body is %s; send a JSON object", found(root));
    json_decref(root);
    return good;
}

bool bt_json_decode(const bt_record_type *type, bt_str text, bt_arena *arena, void *ret_struct, bt_json_problem *ret_problem, bt_err *err)
{
    reader r = { .arena = arena, .problem = ret_problem, .err = err };
    ret_problem->pointer[0] = ret_problem->detail[0] = 0;
    memset(ret_struct, 0, type->struct_size);
    return decode_text_of_body(&r, type, text, ret_struct);
}
