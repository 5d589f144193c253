/* avro_encode - a newest struct into its one form: an array is one block, null is branch 0.
 *
 * Bytes are put into room that was asked for beforehand, field by field; the buffer's size moves only at the end, so a
 * failure leaves it as it was. */
#include "core/avro.h"

#include "core/utf8.h"
#include "core/varint.h"

typedef struct writer {
    uint8_t *at, *end; /* the room: from here to there */
    bt_buf *out;
    bt_err *err;
    const bt_record_type *type; /* for messages: what is being written */
} writer;

_Static_assert(BT_VARINT_SIZE_MAX + sizeof(bt_id) < BT_AVRO_SLACK, "what is asked for ahead is within what the header says");

static bool put_record(writer *w, const bt_record_type *type, const uint8_t *from);

/* Kept out of the way of what succeeds. */
__attribute__((cold, noinline)) static bool fail_in(const writer *w, const bt_field *field, const char *why)
{
    return bt_fail(w->err, BT_ERR_INPUT, BT_SCHEMA_MALFORMED, "%s.%s: %s", w->type->fullname, field->name, why);
}

/* Makes room for size more bytes. The buffer's own size has not moved, so what was put so far is room in use. */
__attribute__((cold, noinline)) static bool room_grow(writer *w, size_t size)
{
    bt_buf *out = w->out;
    size_t used = (size_t)(w->at - (out->at + out->size)), left = out->size_max - out->size;
    if (size > left - used)
        return bt_fail(w->err, BT_ERR_INPUT, BT_SCHEMA_MALFORMED, "%s: encoded, it passes the limit of %zu bytes", w->type->fullname,
                       out->size_max);
    size_t wanted = (used + size) * 2 < left ? (used + size) * 2 : left;
    uint8_t *room = bt_buf_reserve(out, wanted);
    bt_assert(room != NULL);
    w->at = room + used;
    w->end = room + wanted;
    return true;
}

static inline bool room_for(writer *w, size_t size) { return (size_t)(w->end - w->at) >= size || room_grow(w, size); }

static inline bool put_text(writer *w, const bt_field *field, uint32_t max, bool is_string, bt_str text)
{
    if (text.size > max)
        return fail_in(w, field, "longer than berth.max");
    if (is_string && !bt_utf8_is_valid(text.at, text.size))
        return fail_in(w, field, "not UTF-8");
    if (!room_for(w, BT_VARINT_SIZE_MAX + text.size))
        return false;
    w->at = bt_varint_put(w->at, (int64_t)text.size);
    if (text.size > 0)
        memcpy(w->at, text.at, text.size);
    w->at += text.size;
    return true;
}

static inline bool put_value(writer *w, const bt_field *field, uint8_t kind, uint32_t max, const uint8_t *from)
{
    if (!room_for(w, sizeof(bt_id)))
        return false;
    switch ((bt_type_kind)kind) {
    case BT_TYPE_BOOLEAN:
        *w->at++ = *(const bool *)from;
        return true;
    case BT_TYPE_INT:
        w->at = bt_varint_put(w->at, *(const int32_t *)from);
        return true;
    case BT_TYPE_LONG:
    case BT_TYPE_TIME_US:
        w->at = bt_varint_put(w->at, *(const int64_t *)from);
        return true;
    case BT_TYPE_STRING:
        return put_text(w, field, max, true, *(const bt_str *)from);
    case BT_TYPE_BYTES:
        return put_text(w, field, max, false, *(const bt_str *)from);
    case BT_TYPE_ID:
        memcpy(w->at, from, sizeof(bt_id));
        w->at += sizeof(bt_id);
        return true;
    case BT_TYPE_RECORD:
        return put_record(w, field->record, from);
    case BT_TYPE_ARRAY:
        break; /* put_array; arrays of arrays do not exist */
    }
    bt_assert(!"a kind that schemac does not emit");
    return false;
}

/* Items that are records of numbers only. */
static bool put_plain_items(writer *w, const bt_field *field, const uint8_t *items, uint32_t count)
{
    const bt_record_type *type = field->record;
    for (uint32_t i = 0; i < count; i++, items += field->item_size) {
        for (uint32_t f = 0; f < type->field_count; f++) {
            const bt_field *member = &type->fields[f];
            const uint8_t *from = items + member->offset;
            if (!room_for(w, BT_VARINT_SIZE_MAX))
                return false;
            w->at = bt_varint_put(w->at, member->kind == BT_TYPE_INT ? *(const int32_t *)from : *(const int64_t *)from);
        }
    }
    return true;
}

static bool put_items(writer *w, const bt_field *field, const uint8_t *items, uint32_t count)
{
    if (field->item_kind == BT_TYPE_RECORD && field->record->plain)
        return put_plain_items(w, field, items, count);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *item = items + (size_t)i * field->item_size;
        if (field->item_optional) {
            bool present = ((const bt_str *)item)->at != NULL;
            if (!room_for(w, 1))
                return false;
            *w->at++ = present ? 2 : 0;
            if (!present)
                continue;
        }
        if (!put_value(w, field, field->item_kind, field->item_max, item))
            return false;
    }
    return true;
}

static bool put_array(writer *w, const bt_field *field, const uint8_t *struct_at)
{
    const uint8_t *items;
    memcpy(&items, struct_at + field->offset, sizeof items);
    uint32_t count = *(const uint32_t *)(struct_at + field->count_offset);
    if (count > field->max)
        return fail_in(w, field, "more items than berth.max");
    if (!room_for(w, BT_VARINT_SIZE_MAX + 1))
        return false;
    if (count > 0) {
        w->at = bt_varint_put(w->at, count);
        if (!put_items(w, field, items, count) || !room_for(w, 1))
            return false;
    }
    *w->at++ = 0;
    return true;
}

/* Without asking the table, as take_meta reads it. */
static bool put_meta(writer *w, const bt_meta *from)
{
    if (!room_for(w, sizeof from->parent + 2 * BT_VARINT_SIZE_MAX))
        return false;
    memcpy(w->at, &from->parent, sizeof from->parent);
    w->at = bt_varint_put(bt_varint_put(w->at + sizeof from->parent, from->version), from->time);
    if (!room_for(w, sizeof from->command + sizeof from->body))
        return false;
    memcpy(w->at, &from->command, sizeof from->command);
    memcpy(w->at + sizeof from->command, &from->body, sizeof from->body);
    w->at += sizeof from->command + sizeof from->body;
    return put_text(w, &bt_meta_type.fields[5], BT_NAME_MAX, true, from->actor);
}

static bool put_record(writer *w, const bt_record_type *type, const uint8_t *from)
{
    const bt_record_type *outer = w->type;
    const bt_field *end = type->fields + type->field_count;
    w->type = type;
    bool good = true;
    if (type == &bt_meta_type) {
        good = put_meta(w, (const bt_meta *)from);
        end = type->fields;
    }
    for (const bt_field *field = type->fields; field < end && good; field++) {
        if (field->optional) {
            bool present = *(const bool *)(from + field->has_offset);
            good = room_for(w, 1);
            if (good)
                *w->at++ = present ? 2 : 0;
            if (!good || !present)
                continue;
        }
        good =
            field->kind == BT_TYPE_ARRAY ? put_array(w, field, from) : put_value(w, field, field->kind, field->max, from + field->offset);
    }
    w->type = outer;
    return good;
}

bool bt_avro_encode(const bt_record_type *type, const void *data, bt_buf *out, bt_err *err)
{
    bt_assert(!out->overflow);
    writer w = { .out = out, .err = err, .type = type };
    size_t left = out->size_max - out->size, first = left < 256 ? left : 256;
    w.at = first > 0 ? bt_buf_reserve(out, first) : out->at + out->size;
    w.end = w.at + first;
    if (!put_record(&w, type, data))
        return false;
    bt_buf_advance(out, (size_t)(w.at - (out->at + out->size)));
    return true;
}
