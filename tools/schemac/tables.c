/* tables - a kind's schemas as the tables that core/avro*.c interprets, and one more table for each frozen version
 * whose shape is no longer the newest: its fields in the order of its bytes, pointing into the newest struct. */
#include "tools/schemac/tree.h"

#include "core/digest.h"

static const char *kind_symbol(bt_type_kind kind)
{
    static const char *const names[] = { "BOOLEAN", "INT", "LONG", "TIME_US", "STRING", "BYTES", "ID", "RECORD", "ARRAY" };
    return names[kind];
}

static const char *c_size(bt_arena *arena, bt_type_kind kind, const sc_record *record)
{
    static const char *const sizes[] = { "sizeof(bool)",   "sizeof(int32_t)",  "sizeof(int64_t)", "sizeof(int64_t)",
                                         "sizeof(bt_str)", "sizeof(bt_bytes)", "sizeof(bt_id)",   "0", "0" };
    return kind != BT_TYPE_RECORD ? sizes[kind] : record == NULL ? "0" : sc_printf(arena, "sizeof(%s)", sc_struct_of(arena, record));
}

static uint32_t record_wire_size_min(const sc_record *record);

static uint32_t field_wire_size_min(const sc_field *field)
{
    if (field->optional)
        return 1;
    if (field->kind == BT_TYPE_RECORD)
        return record_wire_size_min(field->record);
    return field->kind == BT_TYPE_ID ? sizeof(bt_id) : 1;
}

static uint32_t record_wire_size_min(const sc_record *record)
{
    uint32_t size = 0;
    for (size_t i = 0; i < record->field_count; i++)
        size += field_wire_size_min(&record->fields[i]);
    return size;
}

static bool is_plain(const sc_record *record)
{
    for (size_t i = 0; i < record->field_count; i++)
        if (record->fields[i].optional || (record->fields[i].kind != BT_TYPE_INT && record->fields[i].kind != BT_TYPE_LONG))
            return false;
    return record->field_count > 0;
}

static void put_default(const sc_field *field, bt_buf *out)
{
    json_t *value = field->default_value;
    if (value == NULL)
        return;
    sc_put(out, ", .has_default = true");
    if (json_is_integer(value)) {
        bool lowest = json_integer_value(value) == INT64_MIN; /* C has no literal for it */
        if (lowest)
            sc_put(out, ", .default_number = INT64_MIN");
        else
            sc_put(out, ", .default_number = INT64_C(%lld)", (long long)json_integer_value(value));
    } else if (json_is_true(value)) {
        sc_put(out, ", .default_number = 1");
    } else if (json_is_string(value)) {
        sc_put(out, ", .default_text = \"");
        for (const char *at = json_string_value(value); *at != 0; at++)
            sc_put(out, "\\%03o", (unsigned char)*at);
        sc_put(out, "\"");
    }
}

/* Where the member stands in the struct; a removed one in the codec's scratch (core/avro_decode.c). */
static void put_offsets(const sc_field *field, const char *struct_name, bt_buf *out)
{
    if (struct_name == NULL) {
        sc_put(out, ", .offset = BT_SCRATCH_VALUE, .has_offset = BT_SCRATCH_HAS, .count_offset = BT_SCRATCH_COUNT");
        return;
    }
    sc_put(out, ", .offset = offsetof(%s, %s)", struct_name, field->name);
    if (field->optional)
        sc_put(out, ", .has_offset = offsetof(%s, has_%s)", struct_name, field->name);
    if (field->kind == BT_TYPE_ARRAY)
        sc_put(out, ", .count_offset = offsetof(%s, %s_count)", struct_name, field->name);
}

static void put_flag(const char *name, bool value, bt_buf *out)
{
    if (value)
        sc_put(out, ", .%s = true", name);
}

/* One row. In both: reader and writer; removed since: reader NULL; added since: writer NULL. type is the symbol of its
 * record's table, and record the record whose struct its items are (NULL for none). */
static void put_field(const sc_tree *tree, const sc_field *reader, const sc_field *writer, const char *struct_name, const char *type,
                      bt_buf *out)
{
    const sc_field *field = reader != NULL ? reader : writer, *wire = writer != NULL ? writer : reader;
    sc_put(out, "    { .name = \"%s\"", field->name);
    if (reader == NULL || writer == NULL)
        sc_put(out, ", .place = %s", reader == NULL ? "BT_PLACE_WIRE_ONLY" : "BT_PLACE_STRUCT_ONLY");
    sc_put(out, ", .kind = BT_TYPE_%s, .wire_kind = BT_TYPE_%s", kind_symbol(field->kind), kind_symbol(wire->kind));
    if (field->kind == BT_TYPE_ARRAY) {
        sc_put(out, ", .item_kind = BT_TYPE_%s, .item_wire_kind = BT_TYPE_%s", kind_symbol(field->item_kind), kind_symbol(wire->item_kind));
        sc_put(out, ", .item_size = %s", c_size(tree->arena, field->item_kind, reader != NULL ? reader->record : NULL));
    }
    bool same = reader != NULL && writer != NULL && reader->kind == writer->kind && !reader->optional && !writer->optional;
    put_flag("direct", same, out);
    put_flag("optional", field->optional, out);
    put_flag("wire_optional", wire->optional, out);
    put_flag("item_optional", field->item_optional, out);
    put_flag("item_wire_optional", wire->item_optional, out);
    put_offsets(field, reader != NULL ? struct_name : NULL, out);
    if (field->max > 0)
        sc_put(out, ", .max = %u", field->max);
    if (field->item_max > 0)
        sc_put(out, ", .item_max = %u", field->item_max);
    if (type != NULL)
        sc_put(out, ", .record = &%s", type);
    put_default(field, out);
    sc_put(out, " },\n");
}

/* The end of a field table and the record type over it. struct_name NULL: a removed record, which has no struct. */
static void put_type(const char *symbol, const char *storage, const sc_record *record, size_t field_count, const char *struct_name,
                     bool plain, bt_buf *out)
{
    sc_put(out, "};\n%sconst bt_record_type %s = { .name = \"%s\", .fullname = \"%s\", .fields = %s_fields, .field_count = %zu", storage,
           symbol, record->name, record->fullname, symbol, field_count);
    if (struct_name != NULL)
        sc_put(out, ", .struct_size = sizeof(%s)", struct_name);
    sc_put(out, ", .wire_size_min = %u%s };\n", record_wire_size_min(record), plain ? ", .plain = true" : "");
}

static const char *type_symbol(bt_arena *arena, const sc_record *record)
{
    return record == NULL ? NULL : sc_printf(arena, "%s_type", record->c_name);
}

static void put_record(const sc_tree *tree, const sc_record *record, bt_buf *out)
{
    const char *symbol = type_symbol(tree->arena, record), *struct_name = sc_struct_of(tree->arena, record);
    sc_put(out, "\nstatic const bt_field %s_fields[] = {\n", symbol);
    for (size_t i = 0; i < record->field_count; i++)
        put_field(tree, &record->fields[i], &record->fields[i], struct_name, type_symbol(tree->arena, record->fields[i].record), out);
    if (record->field_count == 0)
        sc_put(out, "    { .name = \"\" }, /* never looked at; C wants one */\n");
    put_type(symbol, "", record, record->field_count, struct_name, is_plain(record), out);
}

/* The same bytes and the same struct: the newest's table serves. */
static bool shape_same(const sc_record *a, const sc_record *b)
{
    bool same = a->field_count == b->field_count;
    for (size_t i = 0; same && i < a->field_count; i++) {
        const sc_field *x = &a->fields[i], *y = &b->fields[i];
        same = strcmp(x->name, y->name) == 0 && x->kind == y->kind && x->item_kind == y->item_kind && x->optional == y->optional &&
               x->item_optional == y->item_optional && (x->record == NULL || shape_same(x->record, y->record));
    }
    return same;
}

static const char *put_past(const sc_tree *tree, const char *prefix, const sc_record *reader, const sc_record *writer, const char *storage,
                            bt_buf *out);

/* The tables of the records inside, first, for C wants them declared. Gives their symbols by writer's fields. */
static void put_past_children(const sc_tree *tree, const char *prefix, const sc_record *reader, const sc_record *writer,
                              const char **ret_symbols, bt_buf *out)
{
    for (size_t i = 0; i < writer->field_count; i++) {
        const sc_field *field = &writer->fields[i], *read = reader == NULL ? NULL : sc_field_named(reader, field->name);
        const char *name = sc_printf(tree->arena, "%s_%s", prefix, field->name);
        ret_symbols[i] =
            field->record == NULL ? NULL : put_past(tree, name, read == NULL ? NULL : read->record, field->record, "static ", out);
    }
}

/* How writer's bytes become reader's struct; reader NULL: they are read past. Gives the table's symbol. */
static const char *put_past(const sc_tree *tree, const char *prefix, const sc_record *reader, const sc_record *writer, const char *storage,
                            bt_buf *out)
{
    const char *children[SC_FIELDS_MAX], *symbol = sc_printf(tree->arena, "%s_type", prefix);
    if (writer->kind == NULL || (reader != NULL && shape_same(reader, writer)))
        return type_symbol(tree->arena, reader != NULL ? reader : writer);
    const char *struct_name = reader == NULL ? NULL : sc_struct_of(tree->arena, reader);
    put_past_children(tree, prefix, reader, writer, children, out);
    sc_put(out, "\nstatic const bt_field %s_fields[] = {\n", symbol);
    size_t count = writer->field_count;
    for (size_t i = 0; i < writer->field_count; i++)
        put_field(tree, reader == NULL ? NULL : sc_field_named(reader, writer->fields[i].name), &writer->fields[i], struct_name,
                  children[i], out);
    for (size_t i = 0; reader != NULL && i < reader->field_count; i++)
        if (sc_field_named(writer, reader->fields[i].name) == NULL) {
            put_field(tree, &reader->fields[i], NULL, struct_name, type_symbol(tree->arena, reader->fields[i].record), out);
            count++;
        }
    put_type(symbol, storage, writer, count, struct_name, false, out);
    return symbol;
}

static bool is_newest_shape(const sc_version *version) { return shape_same(version->current->root, version->frozen->root); }

const char *sc_writer_symbol(bt_arena *arena, const sc_version *version)
{
    const char *name = version->current->root->c_name;
    return is_newest_shape(version) ? sc_printf(arena, "%s_type", name) : sc_printf(arena, "%s_v%d_type", name, version->version);
}

static void put_past_versions(const sc_tree *tree, const sc_kind *kind, bt_buf *out)
{
    for (size_t i = 0; i < tree->version_count; i++) {
        const sc_version *version = &tree->versions[i];
        if (version->kind != kind || is_newest_shape(version))
            continue;
        put_past(tree, sc_printf(tree->arena, "%s_v%d", version->current->root->c_name, version->version), version->current->root,
                 version->frozen->root, "", out);
    }
}

static void put_text_literal(bt_str text, bt_buf *out)
{
    sc_put(out, "    \"");
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.at[i];
        if (byte == '\n')
            bt_buf_text(out, i + 1 < text.size ? "\\n\"\n    \"" : "\\n");
        else if (byte == '"' || byte == '\\')
            sc_put(out, "\\%c", byte);
        else if ((unsigned char)byte < 32 || (unsigned char)byte > 126)
            sc_put(out, "\\%03o", (unsigned char)byte);
        else
            bt_buf_byte(out, (uint8_t)byte);
    }
    sc_put(out, "\"");
}

static uint32_t newest_id(const sc_tree *tree, const sc_schema *schema)
{
    uint32_t id = 0;
    for (size_t i = 0; i < tree->version_count; i++)
        if (tree->versions[i].current == schema)
            id = tree->versions[i].id;
    return id;
}

static void put_messages(const sc_tree *tree, const sc_kind *kind, const char *what, sc_schema *const *schemas, size_t count, bt_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = schemas[i]->root->c_name;
        sc_put(out, "\nconst bt_message_type %s_message = { .kind = \"%s\", .record = &%s_type, .index = %zu, .schema_id = %u, .avsc =\n",
               name, kind->name, name, i, newest_id(tree, schemas[i]));
        put_text_literal(schemas[i]->text, out);
        sc_put(out, "\n};\n");
    }
    if (count == 0)
        return;
    sc_put(out, "\nconst bt_message_type *const %s_%ss[] = {\n", kind->name, what);
    for (size_t i = 0; i < count; i++)
        sc_put(out, "    &%s_message,\n", schemas[i]->root->c_name);
    sc_put(out, "};\n");
}

void sc_emit_tables(const sc_tree *tree, const sc_kind *kind, bt_buf *out)
{
    sc_put(out, "/* Tables of schemas/%s. Generated by schemac: edit the .avsc. */\n#include \"schemas/%s.h\"\n", kind->name, kind->name);
    for (size_t i = 0; i < kind->record_count; i++)
        put_record(tree, kind->records[i], out);
    put_past_versions(tree, kind, out);
    put_messages(tree, kind, "event", kind->events, kind->event_count, out);
    put_messages(tree, kind, "command", kind->commands, kind->command_count, out);
}

/* The frozen texts stand here: the newest of an event is its message's own. */
void sc_emit_registry(const sc_tree *tree, bt_buf *out)
{
    sc_put(out, "/* The registry of schemas/ids.tsv. Generated by schemac. */\n#include \"core/schema.h\"\n\n");
    for (size_t k = 0; k < tree->kind_count; k++)
        sc_put(out, "#include \"schemas/%s.h\"\n", tree->kinds[k]->name);
    for (size_t i = 0; i < tree->version_count; i++)
        if (!is_newest_shape(&tree->versions[i]))
            sc_put(out, "extern const bt_record_type %s;\n", sc_writer_symbol(tree->arena, &tree->versions[i]));
    sc_put(out, "\nstatic const bt_schema_version versions[] = {\n");
    bt_buf rows;
    bt_buf_init(&rows, SC_FILE_BYTES_MAX);
    for (size_t i = 0; i < tree->version_count; i++) {
        const sc_version *version = &tree->versions[i];
        sc_put(&rows, "%u\t%s\t%d\t%s\n", version->id, version->subject, version->version, version->fingerprint);
        sc_put(out, "    { .id = %u, .version = %d, .subject = \"%s\", .type = &%s_message, .writer = &%s, .avsc =\n", version->id,
               version->version, version->subject, version->current->root->c_name, sc_writer_symbol(tree->arena, version));
        put_text_literal(version->frozen->text, out);
        sc_put(out, " },\n");
    }
    bt_buf_text(out, "};\n\n/* The digest is SHA-256 of the rows, cut to 16 bytes. */\n");
    bt_str all = bt_buf_view(&rows);
    bt_id digest = bt_digest_parts(&all, 1);
    sc_put(out, "const bt_schema_set bt_schemas = { .versions = versions, .version_count = BT_COUNT_OF(versions), .digest = { {");
    for (size_t i = 0; i < sizeof digest.at; i++)
        sc_put(out, "%s 0x%02x", i == 0 ? "" : ",", digest.at[i]);
    sc_put(out, " } } };\n\n");
    bt_buf_release(&rows);
    bt_buf_text(out, "const bt_message_type *bt_event_type_by_id(uint32_t schema_id)\n{\n"
                     "    const bt_schema_version *version = bt_schema_set_find(&bt_schemas, schema_id);\n"
                     "    return version == NULL ? NULL : version->type;\n}\n\n"
                     "bool bt_event_decode(bt_bytes value, bt_arena *arena, bt_event *ret_event, bt_err *err)\n{\n"
                     "    return bt_event_decode_from(&bt_schemas, value, arena, ret_event, err);\n}\n");
}
