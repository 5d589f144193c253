/* schema - what the tables give besides the codec: events on the wire, equality, the JSON form. */
#include "core/schema.h"

#include "core/avro.h"

/* bt_meta by hand, as core/forward.c reads it by hand; schemac refuses a schemas/Meta.avsc that differs from this. */
static const bt_field meta_fields[] = {
    { .name = "parent", .kind = BT_TYPE_ID, .wire_kind = BT_TYPE_ID, .offset = offsetof(bt_meta, parent) },
    { .name = "version", .kind = BT_TYPE_LONG, .wire_kind = BT_TYPE_LONG, .offset = offsetof(bt_meta, version) },
    { .name = "time", .kind = BT_TYPE_TIME_US, .wire_kind = BT_TYPE_TIME_US, .offset = offsetof(bt_meta, time) },
    { .name = "command", .kind = BT_TYPE_ID, .wire_kind = BT_TYPE_ID, .offset = offsetof(bt_meta, command) },
    { .name = "body", .kind = BT_TYPE_ID, .wire_kind = BT_TYPE_ID, .offset = offsetof(bt_meta, body) },
    { .name = "actor", .kind = BT_TYPE_STRING, .wire_kind = BT_TYPE_STRING, .offset = offsetof(bt_meta, actor), .max = BT_NAME_MAX },
};
const bt_record_type bt_meta_type = { .name = "Meta",
                                      .fullname = "berth.Meta",
                                      .fields = meta_fields,
                                      .field_count = BT_COUNT_OF(meta_fields),
                                      .struct_size = sizeof(bt_meta),
                                      .wire_size_min = 51 };

const bt_schema_version *bt_schema_set_find(const bt_schema_set *set, uint32_t schema_id)
{
    return schema_id == 0 || schema_id > set->version_count ? NULL : &set->versions[schema_id - 1];
}

bool bt_event_decode_from(const bt_schema_set *set, bt_bytes value, bt_arena *arena, bt_event *ret_event, bt_err *err)
{
    if (value.size < BT_WIRE_VALUE_MIN || value.at[0] != 0)
        return bt_fail(err, BT_ERR_INPUT, BT_SCHEMA_MALFORMED, "not an event: %zu bytes, first byte %d", value.size,
                       value.size > 0 ? value.at[0] : -1);
    uint32_t schema_id = bt_record_schema_id(value);
    const bt_schema_version *version = bt_schema_set_find(set, schema_id);
    if (version == NULL)
        return bt_fail(err, BT_ERR_INPUT, BT_SCHEMA_UNKNOWN, "schema id %u is not known to this program: it was built before that version",
                       schema_id);
    void *data = bt_arena_try_take(arena, version->writer->struct_size);
    if (data == NULL)
        return bt_fail(err, BT_ERR_INPUT, BT_SCHEMA_MALFORMED, "%s: more than the arena may hold", version->writer->fullname);
    bt_bytes body = { value.at + BT_WIRE_PREFIX_SIZE, value.size - BT_WIRE_PREFIX_SIZE };
    if (!bt_avro_decode(version->writer, body, BT_WIRE_PREFIX_SIZE, arena, data, err))
        return false;
    *ret_event = (bt_event){ version->type, data };
    return true;
}

bool bt_event_encode(bt_event event, bt_buf *out, bt_err *err)
{
    uint32_t id = event.type->schema_id;
    bt_assert(id != 0); /* a command has no form on the wire */
    size_t size = out->size;
    uint8_t prefix[BT_WIRE_PREFIX_SIZE] = { 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id };
    if (out->overflow || out->size_max - out->size < sizeof prefix)
        return bt_fail(err, BT_ERR_INPUT, BT_SCHEMA_MALFORMED, "%s: no room for it in %zu bytes", event.type->record->fullname,
                       out->size_max);
    bt_buf_write(out, prefix, sizeof prefix);
    if (bt_avro_encode(event.type->record, event.data, out, err))
        return true;
    out->size = size;
    return false;
}

static bool value_equal(const bt_field *field, uint8_t kind, const uint8_t *a, const uint8_t *b)
{
    switch ((bt_type_kind)kind) {
    case BT_TYPE_BOOLEAN:
        return *(const bool *)a == *(const bool *)b;
    case BT_TYPE_INT:
        return *(const int32_t *)a == *(const int32_t *)b;
    case BT_TYPE_LONG:
    case BT_TYPE_TIME_US:
        return *(const int64_t *)a == *(const int64_t *)b;
    case BT_TYPE_STRING:
    case BT_TYPE_BYTES:
        return bt_str_equal(*(const bt_str *)a, *(const bt_str *)b);
    case BT_TYPE_ID:
        return bt_id_equal(*(const bt_id *)a, *(const bt_id *)b);
    case BT_TYPE_RECORD:
        return bt_record_equal(field->record, a, b);
    case BT_TYPE_ARRAY:
        break;
    }
    return false;
}

static bool array_equal(const bt_field *field, const uint8_t *a, const uint8_t *b)
{
    const uint8_t *items_a, *items_b;
    memcpy(&items_a, a + field->offset, sizeof items_a);
    memcpy(&items_b, b + field->offset, sizeof items_b);
    uint32_t count = *(const uint32_t *)(a + field->count_offset);
    if (count != *(const uint32_t *)(b + field->count_offset))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *item_a = items_a + (size_t)i * field->item_size, *item_b = items_b + (size_t)i * field->item_size;
        if (field->item_optional && (((const bt_str *)item_a)->at == NULL) != (((const bt_str *)item_b)->at == NULL))
            return false;
        if (!value_equal(field, field->item_kind, item_a, item_b))
            return false;
    }
    return true;
}

bool bt_record_equal(const bt_record_type *type, const void *a, const void *b)
{
    const uint8_t *at_a = a, *at_b = b;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const bt_field *field = &type->fields[i];
        if (field->place == BT_PLACE_WIRE_ONLY)
            continue;
        if (field->optional) {
            bool has_a = *(const bool *)(at_a + field->has_offset), has_b = *(const bool *)(at_b + field->has_offset);
            if (has_a != has_b)
                return false;
            if (!has_a)
                continue;
        }
        if (!(field->kind == BT_TYPE_ARRAY ? array_equal(field, at_a, at_b)
                                           : value_equal(field, field->kind, at_a + field->offset, at_b + field->offset)))
            return false;
    }
    return true;
}

static void bytes_to_json(const char *name, bt_str bytes, bt_buf *out)
{
    static const char digits[] = "0123456789abcdef";
    bt_json_str(out, name, BT_STR(""));
    if (out->overflow)
        return;
    out->size--; /* inside the quotes */
    for (size_t i = 0; i < bytes.size; i++) {
        bt_buf_byte(out, (uint8_t)digits[(uint8_t)bytes.at[i] >> 4]);
        bt_buf_byte(out, (uint8_t)digits[(uint8_t)bytes.at[i] & 15]);
    }
    bt_buf_byte(out, '"');
}

static void value_to_json(const bt_field *field, uint8_t kind, const uint8_t *at, const char *name, bt_buf *out)
{
    switch ((bt_type_kind)kind) {
    case BT_TYPE_BOOLEAN:
        bt_json_bool(out, name, *(const bool *)at);
        return;
    case BT_TYPE_INT:
        bt_json_i64(out, name, *(const int32_t *)at);
        return;
    case BT_TYPE_LONG:
        bt_json_i64(out, name, *(const int64_t *)at);
        return;
    case BT_TYPE_TIME_US:
        bt_json_time(out, name, *(const int64_t *)at);
        return;
    case BT_TYPE_STRING:
        bt_json_str(out, name, *(const bt_str *)at);
        return;
    case BT_TYPE_BYTES:
        bytes_to_json(name, *(const bt_str *)at, out);
        return;
    case BT_TYPE_ID:
        bt_json_id(out, name, *(const bt_id *)at);
        return;
    case BT_TYPE_RECORD:
        bt_record_to_json(field->record, at, name, out);
        return;
    case BT_TYPE_ARRAY:
        break;
    }
}

static void array_to_json(const bt_field *field, const uint8_t *struct_at, bt_buf *out)
{
    const uint8_t *items;
    memcpy(&items, struct_at + field->offset, sizeof items);
    uint32_t count = *(const uint32_t *)(struct_at + field->count_offset);
    bt_json_open(out, field->name, '[');
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *item = items + (size_t)i * field->item_size;
        if (field->item_optional && ((const bt_str *)item)->at == NULL)
            bt_json_null(out, NULL);
        else
            value_to_json(field, field->item_kind, item, NULL, out);
    }
    bt_json_close(out, ']');
}

void bt_record_to_json(const bt_record_type *type, const void *data, const char *name, bt_buf *out)
{
    const uint8_t *at = data;
    bt_json_open(out, name, '{');
    for (uint32_t i = 0; i < type->field_count; i++) {
        const bt_field *field = &type->fields[i];
        if (field->place == BT_PLACE_WIRE_ONLY || (field->optional && !*(const bool *)(at + field->has_offset)))
            continue;
        if (field->kind == BT_TYPE_ARRAY)
            array_to_json(field, at, out);
        else
            value_to_json(field, field->kind, at + field->offset, field->name, out);
    }
    bt_json_close(out, '}');
}
