/* avro_decode - bytes of any frozen version into the newest struct.
 *
 * Every take_ function is given where it stands and returns where the next one stands, or NULL: kept in registers, that
 * is half the cost of a cursor in memory. A length that the bytes claim is believed only after it was compared with the
 * bytes that are left and with the field's ceiling, so a hostile one cannot make us allocate. */
#include "core/avro.h"

#include "core/utf8.h"
#include "core/varint.h"

typedef struct reader {
    const uint8_t *start, *end;
    size_t offset_base;
    bt_arena *arena;
    bt_err *err;
    const bt_record_type *type; /* for messages: what is being read */
} reader;

static const uint8_t *take_record(reader *r, const uint8_t *at, const bt_record_type *type, uint8_t *to);
static const uint8_t *take_inner(reader *r, const uint8_t *at, const bt_record_type *type, uint8_t *to);

/* Kept out of the way of what succeeds. */
__attribute__((cold, noinline)) static const uint8_t *fail_at(const reader *r, const uint8_t *at, const bt_field *field, const char *why)
{
    bt_fail(r->err, BT_ERR_INPUT, BT_SCHEMA_MALFORMED, "%s.%s at byte %zu: %s", r->type->fullname, field->name,
            (size_t)(at - r->start) + r->offset_base, why);
    return NULL;
}

static inline const uint8_t *take_int(const uint8_t *at, const uint8_t *end, int32_t *ret_value)
{
    int64_t value;
    at = bt_varint_next(at, end, &value);
    if (at == NULL || value < INT32_MIN || value > INT32_MAX)
        return NULL;
    *ret_value = (int32_t)value;
    return at;
}

static inline const uint8_t *take_text(reader *r, const uint8_t *at, const bt_field *field, uint32_t max, bool is_string, bt_str *ret_text)
{
    int64_t size;
    const uint8_t *text = bt_varint_next(at, r->end, &size);
    if (text == NULL || size < 0 || size > r->end - text)
        return fail_at(r, at, field, "its length does not fit the bytes that are left");
    if (size > max)
        return fail_at(r, at, field, "longer than berth.max");
    if (is_string && !bt_utf8_is_valid(text, (size_t)size))
        return fail_at(r, at, field, "not UTF-8");
    *ret_text = (bt_str){ (const char *)text, (size_t)size };
    return text + size;
}

/* One number or boolean; kind is what to makes of wire_kind. */
static inline const uint8_t *take_scalar(reader *r, const uint8_t *at, const bt_field *field, uint8_t wire_kind, uint8_t kind, uint8_t *to)
{
    const uint8_t *next;
    if (wire_kind == BT_TYPE_BOOLEAN) {
        if (at == r->end || *at > 1)
            return fail_at(r, at, field, "not a boolean");
        *(bool *)to = *at;
        return at + 1;
    }
    if (wire_kind == BT_TYPE_INT) {
        int32_t value;
        next = take_int(at, r->end, &value);
        if (next == NULL)
            return fail_at(r, at, field, "not an int");
        if (kind == BT_TYPE_INT)
            *(int32_t *)to = value;
        else
            *(int64_t *)to = value;
        return next;
    }
    next = bt_varint_next(at, r->end, (int64_t *)to);
    return next != NULL ? next : fail_at(r, at, field, "not a long");
}

static const uint8_t *take_value(reader *r, const uint8_t *at, const bt_field *field, uint8_t wire_kind, uint8_t kind, uint32_t max,
                                 uint8_t *to)
{
    switch ((bt_type_kind)wire_kind) {
    case BT_TYPE_BOOLEAN:
    case BT_TYPE_INT:
    case BT_TYPE_LONG:
    case BT_TYPE_TIME_US:
        return take_scalar(r, at, field, wire_kind, kind, to);
    case BT_TYPE_STRING:
        return take_text(r, at, field, max, true, (bt_str *)to);
    case BT_TYPE_BYTES:
        return take_text(r, at, field, max, false, (bt_str *)to);
    case BT_TYPE_ID:
        if ((size_t)(r->end - at) < sizeof(bt_id))
            return fail_at(r, at, field, "cut short");
        memcpy(to, at, sizeof(bt_id));
        return at + sizeof(bt_id);
    case BT_TYPE_RECORD:
        return take_inner(r, at, field->record, to);
    case BT_TYPE_ARRAY:
        break; /* take_array; arrays of arrays do not exist */
    }
    bt_assert(!"a kind that schemac does not emit");
    return NULL;
}

/* The index of a ["null", T] branch: *ret_present says which. */
static const uint8_t *take_branch(reader *r, const uint8_t *at, const bt_field *field, bool *ret_present)
{
    if (at == r->end || (*at != 0 && *at != 2))
        return fail_at(r, at, field, "not a branch of its union");
    *ret_present = *at == 2;
    return at + 1;
}

static const uint8_t *take_item(reader *r, const uint8_t *at, const bt_field *field, uint8_t *to)
{
    if (field->item_wire_optional) {
        bool present = false;
        at = take_branch(r, at, field, &present);
        if (at == NULL || !present)
            return at; /* the storage is zeroed: a bt_str whose at is NULL */
    }
    return take_value(r, at, field, field->item_wire_kind, field->item_kind, field->item_max, to);
}

/* Items that are records of numbers only: places are by far the most common array. */
static const uint8_t *take_plain_items(reader *r, const uint8_t *at, const bt_field *field, uint8_t *to, int64_t count)
{
    const bt_record_type *type = field->record;
    const uint8_t *end = r->end;
    for (int64_t i = 0; i < count; i++, to += field->item_size) {
        for (uint32_t f = 0; f < type->field_count; f++) {
            const bt_field *member = &type->fields[f];
            const uint8_t *next = member->kind == BT_TYPE_INT ? take_int(at, end, (int32_t *)(to + member->offset))
                                                              : bt_varint_next(at, end, (int64_t *)(to + member->offset));
            if (next == NULL)
                return fail_at(r, at, member, "not a number of its kind");
            at = next;
        }
    }
    return at;
}

static const uint8_t *take_items(reader *r, const uint8_t *at, const bt_field *field, uint8_t *to, int64_t count)
{
    if (field->item_kind == BT_TYPE_RECORD && field->record->plain)
        return take_plain_items(r, at, field, to, count);
    for (int64_t i = 0; i < count && at != NULL; i++)
        at = take_item(r, at, field, to + (size_t)i * field->item_size);
    return at;
}

/* The header of an array's next block. *ret_block_end is NULL where the block does not tell its size. */
static const uint8_t *take_block(reader *r, const uint8_t *at, const bt_field *field, int64_t *ret_count, const uint8_t **ret_block_end)
{
    int64_t count, size;
    const uint8_t *next = bt_varint_next(at, r->end, &count);
    if (next == NULL || count == INT64_MIN)
        return fail_at(r, at, field, "not a count of items");
    *ret_block_end = NULL;
    if (count < 0) {
        count = -count;
        next = bt_varint_next(next, r->end, &size);
        if (next == NULL || size < 0 || size > r->end - next)
            return fail_at(r, at, field, "a block's size does not fit the bytes that are left");
        *ret_block_end = next + size;
    }
    *ret_count = count;
    return next;
}

/* Room for more items behind the count that are there; doubles, so that many small blocks cost no more than one. */
static bool array_grow(reader *r, const bt_field *field, uint8_t **items, size_t *capacity, size_t count, size_t more)
{
    if (count + more <= *capacity)
        return true;
    size_t wanted = count + more > *capacity * 2 ? count + more : *capacity * 2;
    uint8_t *grown = bt_arena_try_take(r->arena, wanted * field->item_size);
    if (grown == NULL)
        return false;
    if (count > 0)
        memcpy(grown, *items, count * field->item_size);
    memset(grown + count * field->item_size, 0, (wanted - count) * field->item_size);
    *items = grown;
    *capacity = wanted;
    return true;
}

static uint32_t item_wire_size_min(const bt_field *field)
{
    if (field->item_wire_optional)
        return 1;
    if (field->item_wire_kind == BT_TYPE_RECORD)
        return field->record->wire_size_min;
    return field->item_wire_kind == BT_TYPE_ID ? sizeof(bt_id) : 1;
}

static const uint8_t *take_array(reader *r, const uint8_t *at, const bt_field *field, uint8_t *struct_at)
{
    uint8_t *items = NULL;
    size_t total = 0, capacity = 0;
    for (;;) {
        int64_t count = 0;
        const uint8_t *block = at, *block_end;
        at = take_block(r, at, field, &count, &block_end);
        if (at == NULL)
            return NULL;
        if (count == 0)
            break;
        if (count > (int64_t)field->max - (int64_t)total)
            return fail_at(r, block, field, "more items than berth.max");
        if (count * item_wire_size_min(field) > r->end - at)
            return fail_at(r, block, field, "more items than the bytes that are left can hold");
        if (!array_grow(r, field, &items, &capacity, total, (size_t)count))
            return fail_at(r, block, field, "more than the arena may hold");
        at = take_items(r, at, field, items + total * field->item_size, count);
        if (at == NULL)
            return NULL;
        if (block_end != NULL && at != block_end)
            return fail_at(r, block, field, "a block is not as long as it says");
        total += (size_t)count;
    }
    memcpy(struct_at + field->offset, &items, sizeof items);
    *(uint32_t *)(struct_at + field->count_offset) = (uint32_t)total;
    return at;
}

static void set_default(const bt_field *field, uint8_t *struct_at)
{
    uint8_t *to = struct_at + field->offset;
    if (field->optional || field->kind == BT_TYPE_ARRAY)
        return; /* null and empty are all zeroes, which the struct holds already */
    if (field->kind == BT_TYPE_BOOLEAN)
        *(bool *)to = field->default_number != 0;
    else if (field->kind == BT_TYPE_INT)
        *(int32_t *)to = (int32_t)field->default_number;
    else if (field->kind == BT_TYPE_LONG || field->kind == BT_TYPE_TIME_US)
        *(int64_t *)to = field->default_number;
    else if (field->kind == BT_TYPE_STRING)
        *(bt_str *)to = bt_str_of(field->default_text);
}

/* A field that is optional, has changed its type, or stands on one side only: the general case. */
static const uint8_t *take_uncommon(reader *r, const uint8_t *at, const bt_field *field, uint8_t *struct_at)
{
    if (field->place == BT_PLACE_STRUCT_ONLY) {
        set_default(field, struct_at);
        return at;
    }
    bool present = true;
    if (field->wire_optional)
        at = take_branch(r, at, field, &present);
    if (at == NULL)
        return NULL;
    if (field->optional)
        *(bool *)(struct_at + field->has_offset) = present;
    if (!present)
        return at;
    if (field->wire_kind == BT_TYPE_ARRAY)
        return take_array(r, at, field, struct_at);
    return take_value(r, at, field, field->wire_kind, field->kind, field->max, struct_at + field->offset);
}

/* Removed fields are read into a scratch struct of their own, so that skipping checks what reading checks. */
static const uint8_t *take_past(reader *r, const uint8_t *at, const bt_field *field)
{
    size_t size = BT_SCRATCH_SIZE + (field->wire_kind == BT_TYPE_RECORD ? field->record->struct_size : 0);
    uint8_t *scratch = bt_arena_try_take(r->arena, size);
    if (scratch == NULL)
        return fail_at(r, at, field, "more than the arena may hold");
    memset(scratch, 0, size);
    return take_uncommon(r, at, field, scratch);
}

/* What every event begins with, without asking the table: it is frozen in place, and a third of a usual event. */
static const uint8_t *take_meta(reader *r, const uint8_t *at, bt_meta *to)
{
    const bt_field *fields = bt_meta_type.fields;
    if ((size_t)(r->end - at) < bt_meta_type.wire_size_min)
        return fail_at(r, at, &fields[0], "cut short");
    memcpy(&to->parent, at, sizeof to->parent);
    const uint8_t *next = bt_varint_next(at + sizeof to->parent, r->end, &to->version);
    if (next == NULL)
        return fail_at(r, at + sizeof to->parent, &fields[1], "not a long");
    at = next;
    next = bt_varint_next(at, r->end, &to->time);
    if (next == NULL)
        return fail_at(r, at, &fields[2], "not a long");
    at = next;
    if ((size_t)(r->end - at) < sizeof to->command + sizeof to->body)
        return fail_at(r, at, &fields[3], "cut short");
    memcpy(&to->command, at, sizeof to->command);
    memcpy(&to->body, at + sizeof to->command, sizeof to->body);
    return take_text(r, at + sizeof to->command + sizeof to->body, &fields[5], BT_NAME_MAX, true, &to->actor);
}

static const uint8_t *take_inner(reader *r, const uint8_t *at, const bt_record_type *type, uint8_t *to)
{
    const bt_record_type *outer = r->type;
    r->type = type;
    at = type == &bt_meta_type ? take_meta(r, at, (bt_meta *)to) : take_record(r, at, type, to);
    r->type = outer;
    return at;
}

/* A field that is the same in bytes and struct. */
static inline const uint8_t *take_direct(reader *r, const uint8_t *at, const bt_field *field, uint8_t *struct_at)
{
    uint8_t *to = struct_at + field->offset;
    const uint8_t *next;
    switch ((bt_type_kind)field->kind) {
    case BT_TYPE_INT:
        next = take_int(at, r->end, (int32_t *)to);
        return next != NULL ? next : fail_at(r, at, field, "not an int");
    case BT_TYPE_LONG:
    case BT_TYPE_TIME_US:
        next = bt_varint_next(at, r->end, (int64_t *)to);
        return next != NULL ? next : fail_at(r, at, field, "not a long");
    case BT_TYPE_STRING:
        return take_text(r, at, field, field->max, true, (bt_str *)to);
    case BT_TYPE_ID:
        if ((size_t)(r->end - at) < sizeof(bt_id))
            return fail_at(r, at, field, "cut short");
        memcpy(to, at, sizeof(bt_id));
        return at + sizeof(bt_id);
    case BT_TYPE_RECORD:
        return take_inner(r, at, field->record, to);
    case BT_TYPE_ARRAY:
        return take_array(r, at, field, struct_at);
    case BT_TYPE_BOOLEAN:
    case BT_TYPE_BYTES:
        return take_value(r, at, field, field->kind, field->kind, field->max, to);
    }
    return NULL;
}

static const uint8_t *take_record(reader *r, const uint8_t *at, const bt_record_type *type, uint8_t *to)
{
    const bt_field *end = type->fields + type->field_count;
    for (const bt_field *field = type->fields; field < end && at != NULL; field++) {
        if (field->direct)
            at = take_direct(r, at, field, to);
        else if (field->place == BT_PLACE_WIRE_ONLY)
            at = take_past(r, at, field);
        else
            at = take_uncommon(r, at, field, to);
    }
    return at;
}

bool bt_avro_decode(const bt_record_type *type, bt_bytes bytes, size_t offset_base, bt_arena *arena, void *data, bt_err *err)
{
    reader r = { bytes.at, bytes.at + bytes.size, offset_base, arena, err, type };
    memset(data, 0, type->struct_size);
    const uint8_t *at = take_record(&r, bytes.at, type, data);
    if (at == NULL)
        return false;
    if (at != r.end)
        return bt_fail(err, BT_ERR_INPUT, BT_SCHEMA_MALFORMED, "%s: %zu bytes follow its last field at byte %zu", type->fullname,
                       (size_t)(r.end - at), (size_t)(at - r.start) + offset_base);
    return true;
}
