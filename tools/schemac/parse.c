/* parse - one .avsc into a model, or one line that says what is wrong with it, where, and what would be right.
 *
 * Strict on purpose: an attribute that this compiler does not know is a mistake, for "defualt" would otherwise make a
 * field that no old version can be read without. */
#include "tools/schemac/model.h"

#include <ctype.h>
#include <stdio.h>

typedef struct parser {
    const char *file;
    bt_arena *arena;
    sc_schema *schema;
    const char *namespace;
    int nesting;
} parser;

static sc_record *parse_record(parser *p, json_t *node, const char *path);

/* Every attribute must be one of known, a list that ends in NULL. */
static bool attributes_known(parser *p, json_t *node, const char *path, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(node, key, value)
    {
        bool found = false;
        for (size_t i = 0; known[i] != NULL; i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found)
            return sc_fail(p->file, path, "attribute \"%s\" is not supported here", key);
    }
    return true;
}

static bool is_name(const char *name, bool upper)
{
    size_t size = name == NULL ? 0 : strlen(name);
    if (size == 0 || size > SC_NAME_SIZE_MAX || !(upper ? isupper((unsigned char)name[0]) : islower((unsigned char)name[0])))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!isalnum((unsigned char)name[i]) && (upper || name[i] != '_'))
            return false;
        else if (!upper && isupper((unsigned char)name[i]))
            return false;
    return true;
}

static bool is_c_keyword(const char *name)
{
    static const char *const keywords[] = { "auto",   "break",    "case",   "char",     "const",    "continue", "default", "do",
                                            "double", "else",     "enum",   "extern",   "float",    "for",      "goto",    "if",
                                            "inline", "int",      "long",   "register", "restrict", "return",   "short",   "signed",
                                            "sizeof", "static",   "struct", "switch",   "typedef",  "typeof",   "union",   "unsigned",
                                            "void",   "volatile", "while",  "bool",     "true",     "false",    "asm" };
    for (size_t i = 0; i < BT_COUNT_OF(keywords); i++)
        if (strcmp(keywords[i], name) == 0)
            return true;
    return false;
}

static const char *text_of(json_t *node, const char *key) { return json_string_value(json_object_get(node, key)); }

static sc_record *record_named(parser *p, const char *name)
{
    const char *fullname = strchr(name, '.') != NULL ? name : sc_printf(p->arena, "%s.%s", p->namespace, name);
    for (size_t i = 0; i < p->schema->record_count; i++)
        if (strcmp(p->schema->records[i]->fullname, fullname) == 0)
            return p->schema->records[i];
    return NULL;
}

static bool parse_name_of_type(parser *p, const char *name, const char *path, bt_type_kind *ret_kind, sc_record **ret_record)
{
    static const struct { const char *name; bt_type_kind kind; } primitives[] = { { "boolean", BT_TYPE_BOOLEAN }, { "int", BT_TYPE_INT },
        { "long", BT_TYPE_LONG }, { "string", BT_TYPE_STRING }, { "bytes", BT_TYPE_BYTES } };
    for (size_t i = 0; i < BT_COUNT_OF(primitives); i++)
        if (strcmp(primitives[i].name, name) == 0) {
            *ret_kind = primitives[i].kind;
            return true;
        }
    bool in_berth = strcmp(p->namespace, "berth") == 0;
    if (strcmp(name, "berth.Id") == 0 || (in_berth && strcmp(name, "Id") == 0)) {
        *ret_kind = BT_TYPE_ID;
        return p->schema->names_id || sc_fail(p->file, path, "berth.Id is used before it is declared");
    }
    *ret_record = record_named(p, name);
    *ret_kind = BT_TYPE_RECORD;
    if (*ret_record == NULL)
        return sc_fail(p->file, path, "unknown type \"%s\": it is boolean, int, long, string, bytes, berth.Id or a record declared above",
                       name);
    return (*ret_record)->complete || sc_fail(p->file, path, "record %s cannot hold itself", name);
}

static bool parse_fixed(parser *p, json_t *node, const char *path)
{
    static const char *const known[] = { "type", "name", "namespace", "size", NULL };
    const char *namespace = text_of(node, "namespace");
    if (!attributes_known(p, node, path, known))
        return false;
    bool is_id = strcmp(namespace != NULL ? namespace : p->namespace, "berth") == 0 && text_of(node, "name") != NULL &&
                 strcmp(text_of(node, "name"), "Id") == 0 && json_integer_value(json_object_get(node, "size")) == 16;
    if (!is_id)
        return sc_fail(p->file, path, "the only fixed type is berth.Id of 16 bytes");
    if (p->schema->names_id)
        return sc_fail(p->file, path, "berth.Id is declared twice; name it the second time: \"berth.Id\"");
    p->schema->names_id = true;
    return true;
}

/* A type that is neither an array nor a union. */
static bool parse_single(parser *p, json_t *node, const char *path, bt_type_kind *ret_kind, sc_record **ret_record)
{
    static const char *const known[] = { "type", "logicalType", NULL };
    if (json_is_string(node))
        return parse_name_of_type(p, json_string_value(node), path, ret_kind, ret_record);
    const char *type = text_of(node, "type"), *logical = text_of(node, "logicalType");
    if (type == NULL)
        return sc_fail(p->file, path, "not a type: a name, or an object with \"type\"");
    if (strcmp(type, "record") == 0) {
        *ret_kind = BT_TYPE_RECORD;
        *ret_record = parse_record(p, node, path);
        return *ret_record != NULL;
    }
    if (strcmp(type, "fixed") == 0) {
        *ret_kind = BT_TYPE_ID;
        return parse_fixed(p, node, path);
    }
    if (strcmp(type, "array") == 0)
        return sc_fail(p->file, path, "an array of arrays is not supported: put a record between them");
    if (strcmp(type, "enum") == 0 || strcmp(type, "map") == 0 || strcmp(type, "float") == 0 || strcmp(type, "double") == 0)
        return sc_fail(p->file, path, "%s is not supported", type);
    if (!attributes_known(p, node, path, known) || !parse_name_of_type(p, type, path, ret_kind, ret_record))
        return false;
    if (logical == NULL)
        return true;
    if (strcmp(logical, "timestamp-micros") != 0 || *ret_kind != BT_TYPE_LONG)
        return sc_fail(p->file, path, "the only logical type is timestamp-micros of a long, not %s of a %s", logical, type);
    *ret_kind = BT_TYPE_TIME_US;
    return true;
}

/* ["null", T]: gives T; any other node is given back as it is. NULL after a complaint. */
static json_t *parse_optional(parser *p, json_t *node, const char **path, bool *ret_optional)
{
    *ret_optional = json_is_array(node);
    if (!*ret_optional)
        return node;
    const char *first = json_string_value(json_array_get(node, 0));
    if (json_array_size(node) != 2 || first == NULL || strcmp(first, "null") != 0) {
        sc_fail(p->file, *path, "the only union is [\"null\", T], in this order");
        return NULL;
    }
    *path = sc_printf(p->arena, "%s[1]", *path);
    return json_array_get(node, 1);
}

static bool parse_field_type(parser *p, json_t *node, const char *path, sc_field *field)
{
    static const char *const known[] = { "type", "items", NULL };
    node = parse_optional(p, node, &path, &field->optional);
    if (node == NULL)
        return false;
    const char *type = json_is_object(node) ? text_of(node, "type") : NULL;
    if (type == NULL || strcmp(type, "array") != 0)
        return parse_single(p, node, path, &field->kind, &field->record);
    field->kind = BT_TYPE_ARRAY;
    path = sc_printf(p->arena, "%s.items", path);
    if (!attributes_known(p, node, path, known))
        return false;
    json_t *items = parse_optional(p, json_object_get(node, "items"), &path, &field->item_optional);
    if (items == NULL)
        return false;
    if (!parse_single(p, items, path, &field->item_kind, &field->record))
        return false;
    return !field->item_optional || field->item_kind == BT_TYPE_STRING || sc_fail(p->file, path, "only strings may be null in an array");
}

static bool is_text(bt_type_kind kind) { return kind == BT_TYPE_STRING || kind == BT_TYPE_BYTES; }

static bool parse_ceiling(parser *p, json_t *node, const char *path, const char *key, bool needed, const char *of, uint32_t *ret_max)
{
    json_t *max = json_object_get(node, key);
    if (!needed)
        return max == NULL || sc_fail(p->file, path, "\"%s\" means nothing here", key);
    if (!json_is_integer(max) || json_integer_value(max) < 1 || json_integer_value(max) > BT_RECORD_VALUE_MAX)
        return sc_fail(p->file, path, "needs \"%s\", the ceiling of %s: 1 to %d", key, of, BT_RECORD_VALUE_MAX);
    *ret_max = (uint32_t)json_integer_value(max);
    return true;
}

static bool parse_default(parser *p, json_t *node, const char *path, sc_field *field)
{
    json_t *value = json_object_get(node, "default");
    bool good = value == NULL;
    if (field->optional)
        good = good || json_is_null(value);
    else if (field->kind == BT_TYPE_BOOLEAN)
        good = good || json_is_boolean(value);
    else if (field->kind == BT_TYPE_INT)
        good = good || (json_is_integer(value) && json_integer_value(value) >= INT32_MIN && json_integer_value(value) <= INT32_MAX);
    else if (field->kind == BT_TYPE_LONG || field->kind == BT_TYPE_TIME_US)
        good = good || json_is_integer(value);
    else if (field->kind == BT_TYPE_STRING)
        good = good || (json_is_string(value) && json_string_length(value) <= field->max &&
                        strlen(json_string_value(value)) == json_string_length(value));
    else if (field->kind == BT_TYPE_ARRAY)
        good = good || (json_is_array(value) && json_array_size(value) == 0);
    field->default_value = value;
    return good ||
           sc_fail(p->file, path,
                   "bad default: null for [\"null\", T], [] for an array, else a value of its type; bytes, ids and records have none");
}

static bool parse_field(parser *p, json_t *node, const char *path, sc_field *field)
{
    static const char *const known[] = { "name", "type", "doc", "default", "berth.max", "berth.item.max", NULL };
    *field = (sc_field){ .path = path, .name = text_of(node, "name"), .doc = text_of(node, "doc") };
    if (!json_is_object(node))
        return sc_fail(p->file, path, "not a field: an object with name, type and doc");
    if (!is_name(field->name, false))
        return sc_fail(p->file, path, "a field's name is [a-z][a-z0-9_]*, at most %d characters", SC_NAME_SIZE_MAX);
    if (is_c_keyword(field->name))
        return sc_fail(p->file, path, "\"%s\" is a word of C: choose another name", field->name);
    if (field->doc == NULL || field->doc[0] == 0)
        return sc_fail(p->file, path, "field %s needs a \"doc\"", field->name);
    if (strstr(field->doc, "*/") != NULL)
        return sc_fail(p->file, path, "a doc cannot hold \"*/\": it becomes a C comment");
    if (json_object_get(node, "type") == NULL)
        return sc_fail(p->file, path, "field %s needs a \"type\"", field->name);
    if (!attributes_known(p, node, path, known) ||
        !parse_field_type(p, json_object_get(node, "type"), sc_printf(p->arena, "%s.type", path), field))
        return false;
    bool is_array = field->kind == BT_TYPE_ARRAY;
    return parse_ceiling(p, node, path, "berth.max", is_array || is_text(field->kind), is_array ? "its items" : "its bytes", &field->max) &&
           parse_ceiling(p, node, path, "berth.item.max", is_array && is_text(field->item_kind), "each item's bytes", &field->item_max) &&
           parse_default(p, node, path, field);
}

/* Also of what the generator adds: has_x and x_count. */
static bool names_clash(parser *p, const sc_field *a, const sc_field *b)
{
    bool clash = strcmp(a->name, b->name) == 0 || (a->optional && strcmp(sc_printf(p->arena, "has_%s", a->name), b->name) == 0) ||
                 (a->kind == BT_TYPE_ARRAY && strcmp(sc_printf(p->arena, "%s_count", a->name), b->name) == 0);
    return clash;
}

static bool parse_fields(parser *p, json_t *fields, const char *path, sc_record *record)
{
    if (!json_is_array(fields) || json_array_size(fields) > SC_FIELDS_MAX)
        return sc_fail(p->file, path, "record %s needs \"fields\", an array of at most %d", record->name, SC_FIELDS_MAX);
    for (size_t i = 0; i < json_array_size(fields); i++) {
        sc_field *field = &record->fields[i];
        if (!parse_field(p, json_array_get(fields, i), sc_printf(p->arena, "%s.fields[%zu]", path, i), field))
            return false;
        for (size_t earlier = 0; earlier < i; earlier++)
            if (names_clash(p, field, &record->fields[earlier]) || names_clash(p, &record->fields[earlier], field))
                return sc_fail(p->file, field->path, "field %s clashes with %s, or with the has_ or _count that goes with it", field->name,
                               record->fields[earlier].name);
        record->field_count++;
    }
    return true;
}

static bool parse_record_head(parser *p, json_t *node, const char *path, sc_record *record)
{
    static const char *const known[] = { "type", "name", "namespace", "doc", "fields", NULL };
    *record = (sc_record){ .name = text_of(node, "name"), .doc = text_of(node, "doc"), .path = path };
    if (!attributes_known(p, node, path, known))
        return false;
    if (!is_name(record->name, true))
        return sc_fail(p->file, path, "a record's name is [A-Z][A-Za-z0-9]*, at most %d characters", SC_NAME_SIZE_MAX);
    if (record->doc != NULL && strstr(record->doc, "*/") != NULL)
        return sc_fail(p->file, path, "a doc cannot hold \"*/\": it becomes a C comment");
    if (p->nesting > SC_NESTING_MAX)
        return sc_fail(p->file, path, "records nest deeper than %d", SC_NESTING_MAX);
    if (strcmp(p->namespace, "berth") != 0 && strncmp(p->namespace, "berth.", 6) != 0)
        return sc_fail(p->file, path, "the namespace is berth.<kind>, not \"%s\"", p->namespace);
    record->fullname = sc_printf(p->arena, "%s.%s", p->namespace, record->name);
    record->kind = p->namespace[5] == '.' ? p->namespace + 6 : NULL;
    record->c_name = record->kind == NULL ? "bt_meta" : sc_c_name(p->arena, record->kind, record->name);
    if (record_named(p, record->fullname) != NULL)
        return sc_fail(p->file, path, "record %s is declared twice; name it the second time: \"%s\"", record->name, record->fullname);
    if (p->schema->record_count == SC_RECORDS_MAX)
        return sc_fail(p->file, path, "more than %d records", SC_RECORDS_MAX);
    return true;
}

/* A nested record without a namespace has that of the record around it. */
static sc_record *parse_record(parser *p, json_t *node, const char *path)
{
    const char *outer = p->namespace, *own = text_of(node, "namespace");
    sc_record *record = bt_arena_take(p->arena, sizeof *record);
    sc_schema *schema = p->schema;
    p->namespace = own != NULL ? own : outer;
    p->nesting++;
    if (!parse_record_head(p, node, path, record))
        return NULL;
    size_t place = schema->record_count++;
    schema->records[place] = record;
    if (!parse_fields(p, json_object_get(node, "fields"), path, record))
        return NULL;
    record->complete = true;
    /* children before parents: move it behind those that its fields declared */
    memmove(&schema->records[place], &schema->records[place + 1], (schema->record_count - place - 1) * sizeof schema->records[0]);
    schema->records[schema->record_count - 1] = record;
    p->namespace = outer;
    p->nesting--;
    return record;
}

sc_schema *sc_schema_parse(const char *file, bt_arena *arena, json_t *keep)
{
    sc_schema *schema = bt_arena_take(arena, sizeof *schema);
    json_error_t error;
    schema->file = file;
    if (!sc_file_read(file, arena, &schema->text))
        return NULL;
    json_t *root = json_loadb(schema->text.at, schema->text.size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        sc_fail(sc_printf(arena, "%s:%d:%d", file, error.line, error.column), "$", "not JSON: %s", error.text);
        return NULL;
    }
    json_array_append_new(keep, root);
    parser p = { .file = file, .arena = arena, .schema = schema, .namespace = "" };
    const char *type = json_is_object(root) ? text_of(root, "type") : NULL;
    if (type == NULL || strcmp(type, "record") != 0) {
        sc_fail(file, "$", "a schema is one record");
        return NULL;
    }
    schema->root = parse_record(&p, root, "$");
    if (schema->root != NULL && (schema->root->doc == NULL || schema->root->doc[0] == 0)) {
        sc_fail(file, "$", "record %s needs a \"doc\"", schema->root->name);
        return NULL;
    }
    return schema->root == NULL ? NULL : schema;
}
