/* compat - Avro's schema resolution, as far as our subset goes: what an older version's bytes can become.
 *
 * A reader finds each of its fields in the writer by name, or takes the field's default; what it does not know it reads
 * past. An int becomes a long. A field may have become optional. Nothing else changes a type. */
#include "tools/schemac/tree.h"

const sc_field *sc_field_named(const sc_record *record, const char *name)
{
    for (size_t i = 0; i < record->field_count; i++)
        if (strcmp(record->fields[i].name, name) == 0)
            return &record->fields[i];
    return NULL;
}

static const char *kind_name(bt_type_kind kind)
{
    static const char *const names[] = { "boolean", "int", "long", "timestamp-micros", "string", "bytes", "berth.Id", "record", "array" };
    return names[kind];
}

static bool kind_reads(bt_type_kind reader, bt_type_kind writer)
{
    bool is_long = reader == BT_TYPE_LONG || reader == BT_TYPE_TIME_US;
    return reader == writer || (is_long && (writer == BT_TYPE_INT || writer == BT_TYPE_LONG || writer == BT_TYPE_TIME_US));
}

static bool field_reads(bt_arena *arena, const sc_field *reader, const char *reader_file, const sc_field *writer, const char *writer_file)
{
    bool arrays = reader->kind == BT_TYPE_ARRAY;
    if (!kind_reads(reader->kind, writer->kind))
        return sc_fail(reader_file, reader->path, "%s is %s, and cannot read %s of %s %s", reader->name, kind_name(reader->kind),
                       kind_name(writer->kind), writer_file, writer->path);
    if (writer->optional && !reader->optional)
        return sc_fail(reader_file, reader->path, "%s cannot read a null, which %s %s allows", reader->name, writer_file, writer->path);
    if (arrays && (!kind_reads(reader->item_kind, writer->item_kind) || (writer->item_optional && !reader->item_optional)))
        return sc_fail(reader_file, reader->path, "items of %s cannot read those of %s %s", reader->name, writer_file, writer->path);
    if (reader->max < writer->max || reader->item_max < writer->item_max)
        return sc_fail(reader_file, reader->path, "the ceiling of %s is lower than in %s %s, which may have been used in full",
                       reader->name, writer_file, writer->path);
    if (reader->record == NULL)
        return true;
    if (strcmp(reader->record->fullname, writer->record->fullname) != 0)
        return sc_fail(reader_file, reader->path, "%s is %s, and cannot read %s of %s", reader->name, reader->record->fullname,
                       writer->record->fullname, writer_file);
    return sc_can_read(arena, reader->record, reader_file, writer->record, writer_file);
}

bool sc_can_read(bt_arena *arena, const sc_record *reader, const char *reader_file, const sc_record *writer, const char *writer_file)
{
    for (size_t i = 0; i < reader->field_count; i++) {
        const sc_field *field = &reader->fields[i], *written = sc_field_named(writer, field->name);
        if (written == NULL && field->default_value == NULL)
            return sc_fail(reader_file, field->path, "%s is not in %s and has no default", field->name, writer_file);
        if (written != NULL && !field_reads(arena, field, reader_file, written, writer_file))
            return false;
    }
    return true;
}

static bool field_same(const sc_field *a, const sc_field *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->doc, b->doc) == 0 && a->kind == b->kind && a->item_kind == b->item_kind &&
           a->optional == b->optional && a->item_optional == b->item_optional && a->max == b->max && a->item_max == b->item_max &&
           (a->default_value == NULL) == (b->default_value == NULL) &&
           (a->default_value == NULL || json_equal(a->default_value, b->default_value)) && (a->record == NULL) == (b->record == NULL);
}

bool sc_record_same(const sc_record *a, const sc_record *b, const char **ret_path)
{
    *ret_path = a->path;
    if (strcmp(a->fullname, b->fullname) != 0 || a->field_count != b->field_count || (a->doc == NULL) != (b->doc == NULL) ||
        (a->doc != NULL && strcmp(a->doc, b->doc) != 0))
        return false;
    for (size_t i = 0; i < a->field_count; i++) {
        *ret_path = a->fields[i].path;
        if (!field_same(&a->fields[i], &b->fields[i]))
            return false;
        if (a->fields[i].record != NULL && !sc_record_same(a->fields[i].record, b->fields[i].record, ret_path))
            return false;
    }
    return true;
}
