/* oracle - see the header. */
#include "tests/support/oracle.h"

#include "core/utf8.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(call) ((call) == 0 ? (void)0 : oracle_abort(#call))

static _Noreturn void oracle_abort(const char *what)
{
    fprintf(stderr, "avro-c: %s: %s\n", what, avro_strerror());
    abort();
}

void oracle_init(oracle *o, const char *avsc)
{
    MUST(avro_schema_from_json_length(avsc, strlen(avsc), &o->schema));
    o->iface = avro_generic_class_from_schema(o->schema);
    bt_assert(o->iface != NULL);
}

void oracle_release(oracle *o)
{
    avro_value_iface_decref(o->iface);
    avro_schema_decref(o->schema);
}

static void fill_value(const bt_field *field, uint8_t kind, const uint8_t *from, avro_value_t *to)
{
    const bt_str *text = (const bt_str *)from;
    switch ((bt_type_kind)kind) {
    case BT_TYPE_BOOLEAN:
        MUST(avro_value_set_boolean(to, *(const bool *)from));
        return;
    case BT_TYPE_INT:
        MUST(avro_value_set_int(to, *(const int32_t *)from));
        return;
    case BT_TYPE_LONG:
    case BT_TYPE_TIME_US:
        MUST(avro_value_set_long(to, *(const int64_t *)from));
        return;
    case BT_TYPE_STRING: {
        char *copy = strndup(text->size == 0 ? "" : text->at, text->size); /* its size counts a zero that must be there */
        MUST(avro_value_set_string_len(to, copy, text->size + 1));
        free(copy);
        return;
    }
    case BT_TYPE_BYTES:
        MUST(avro_value_set_bytes(to, (void *)(uintptr_t)text->at, text->size));
        return;
    case BT_TYPE_ID:
        MUST(avro_value_set_fixed(to, (void *)(uintptr_t)from, sizeof(bt_id)));
        return;
    case BT_TYPE_RECORD:
        oracle_fill(field->record, from, to);
        return;
    case BT_TYPE_ARRAY:
        break;
    }
    abort();
}

static void fill_array(const bt_field *field, const uint8_t *struct_at, avro_value_t *to)
{
    const uint8_t *items;
    memcpy(&items, struct_at + field->offset, sizeof items);
    uint32_t count = *(const uint32_t *)(struct_at + field->count_offset);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *item = items + (size_t)i * field->item_size;
        avro_value_t element;
        MUST(avro_value_append(to, &element, NULL));
        if (field->item_optional)
            MUST(avro_value_set_branch(&element, ((const bt_str *)item)->at != NULL, &element));
        if (!field->item_optional || ((const bt_str *)item)->at != NULL)
            fill_value(field, field->item_kind, item, &element);
    }
}

void oracle_fill(const bt_record_type *type, const void *data, avro_value_t *value)
{
    const uint8_t *at = data;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const bt_field *field = &type->fields[i];
        avro_value_t member;
        MUST(avro_value_get_by_name(value, field->name, &member, NULL));
        if (field->optional) {
            bool present = *(const bool *)(at + field->has_offset);
            MUST(avro_value_set_branch(&member, present, &member));
            if (!present)
                continue;
        }
        if (field->kind == BT_TYPE_ARRAY)
            fill_array(field, at, &member);
        else
            fill_value(field, field->kind, at + field->offset, &member);
    }
}

static bool number_equal(int64_t ours, const avro_value_t *value)
{
    int32_t narrow;
    int64_t wide;
    if (avro_value_get_type(value) == AVRO_INT32)
        return avro_value_get_int(value, &narrow) == 0 && narrow == ours;
    return avro_value_get_long(value, &wide) == 0 && wide == ours;
}

static bool value_equal(const bt_field *field, uint8_t kind, const uint8_t *ours, const avro_value_t *value)
{
    const bt_str *text = (const bt_str *)ours;
    const void *at;
    const char *string;
    size_t size;
    int boolean;
    switch ((bt_type_kind)kind) {
    case BT_TYPE_BOOLEAN:
        return avro_value_get_boolean(value, &boolean) == 0 && (boolean != 0) == *(const bool *)ours;
    case BT_TYPE_INT:
        return number_equal(*(const int32_t *)ours, value);
    case BT_TYPE_LONG:
    case BT_TYPE_TIME_US:
        return number_equal(*(const int64_t *)ours, value);
    case BT_TYPE_STRING:
        return avro_value_get_string(value, &string, &size) == 0 && bt_str_equal(*text, (bt_str){ string, size - 1 });
    case BT_TYPE_BYTES:
        return avro_value_get_bytes(value, &at, &size) == 0 && bt_str_equal(*text, (bt_str){ at, size });
    case BT_TYPE_ID:
        return avro_value_get_fixed(value, &at, &size) == 0 && size == sizeof(bt_id) && memcmp(at, ours, size) == 0;
    case BT_TYPE_RECORD:
        return oracle_equal(field->record, ours, value);
    case BT_TYPE_ARRAY:
        break;
    }
    return false;
}

/* Goes into the chosen branch of a union; *ret_present is false for null. */
static bool unwrap(avro_value_t *value, bool *ret_present)
{
    int branch;
    *ret_present = true;
    if (avro_value_get_type(value) != AVRO_UNION)
        return true;
    if (avro_value_get_discriminant(value, &branch) != 0 || branch < 0 || branch > 1)
        return false;
    *ret_present = branch == 1;
    return avro_value_get_current_branch(value, value) == 0;
}

static bool array_equal(const bt_field *field, const uint8_t *struct_at, const avro_value_t *value)
{
    const uint8_t *items;
    memcpy(&items, struct_at + field->offset, sizeof items);
    size_t count = *(const uint32_t *)(struct_at + field->count_offset), size;
    if (avro_value_get_size(value, &size) != 0 || size != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *item = items + i * field->item_size;
        avro_value_t element;
        bool present;
        if (avro_value_get_by_index(value, i, &element, NULL) != 0 || !unwrap(&element, &present))
            return false;
        if (field->item_optional && present != (((const bt_str *)item)->at != NULL))
            return false;
        if (present && !value_equal(field, field->item_kind, item, &element))
            return false;
    }
    return true;
}

bool oracle_equal(const bt_record_type *type, const void *data, const avro_value_t *value)
{
    const uint8_t *at = data;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const bt_field *field = &type->fields[i];
        avro_value_t member;
        bool present;
        if (avro_value_get_by_name(value, field->name, &member, NULL) != 0)
            continue;
        if (!unwrap(&member, &present) || (field->optional && present != *(const bool *)(at + field->has_offset)))
            return false;
        if (!present)
            continue;
        if (!(field->kind == BT_TYPE_ARRAY ? array_equal(field, at, &member)
                                           : value_equal(field, field->kind, at + field->offset, &member)))
            return false;
    }
    return true;
}

static bool item_within(const bt_field *field, uint8_t kind, uint32_t max, const avro_value_t *value)
{
    const char *string;
    const void *bytes;
    size_t size;
    int boolean;
    if (kind == BT_TYPE_BOOLEAN)
        return avro_value_get_boolean(value, &boolean) == 0 && (boolean == 0 || boolean == 1);
    if (kind == BT_TYPE_STRING)
        return avro_value_get_string(value, &string, &size) == 0 && size - 1 <= max && bt_utf8_is_valid(string, size - 1);
    if (kind == BT_TYPE_BYTES)
        return avro_value_get_bytes(value, &bytes, &size) == 0 && size <= max;
    return kind != BT_TYPE_RECORD || oracle_within_rules(field->record, value);
}

static bool array_within(const bt_field *field, const avro_value_t *value)
{
    size_t size;
    if (avro_value_get_size(value, &size) != 0 || size > field->max)
        return false;
    for (size_t i = 0; i < size; i++) {
        avro_value_t element;
        bool present;
        if (avro_value_get_by_index(value, i, &element, NULL) != 0 || !unwrap(&element, &present))
            return false;
        if (present && !item_within(field, field->item_kind, field->item_max, &element))
            return false;
    }
    return true;
}

bool oracle_within_rules(const bt_record_type *type, const avro_value_t *value)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const bt_field *field = &type->fields[i];
        avro_value_t member;
        bool present;
        if (avro_value_get_by_name(value, field->name, &member, NULL) != 0)
            continue;
        if (!unwrap(&member, &present))
            return false;
        if (present &&
            !(field->kind == BT_TYPE_ARRAY ? array_within(field, &member) : item_within(field, field->kind, field->max, &member)))
            return false;
    }
    return true;
}

int oracle_decode(avro_value_t *value, bt_bytes bytes, size_t *ret_used)
{
    avro_reader_t reader = avro_reader_memory((const char *)bytes.at, (int64_t)bytes.size);
    bt_assert(reader != NULL);
    int rc = avro_value_read(reader, value);
    /* A memory reader does not say how far it got: what is left can still be skipped byte by byte. */
    size_t left = 0;
    char byte;
    while (rc == 0 && left < bytes.size && avro_read(reader, &byte, 1) == 0)
        left++;
    *ret_used = bytes.size - left;
    avro_reader_free(reader);
    return rc;
}

void oracle_encode(const avro_value_t *value, bt_buf *out)
{
    size_t size;
    MUST(avro_value_sizeof((avro_value_t *)(uintptr_t)value, &size));
    uint8_t *room = bt_buf_reserve(out, size);
    bt_assert(room != NULL);
    avro_writer_t writer = avro_writer_memory((char *)room, (int64_t)size);
    MUST(avro_value_write(writer, (avro_value_t *)(uintptr_t)value));
    bt_assert((size_t)avro_writer_tell(writer) == size);
    avro_writer_free(writer);
    bt_buf_advance(out, size);
}

#define BOUND ((size_t)16 << 20)

static _Alignas(16) char bounded[BOUND];
static size_t bounded_used;
static bool is_bound;

static bool is_bounded(const void *at) { return (const char *)at >= bounded && (const char *)at < bounded + BOUND; }

/* avro-c's allocator: realloc with the old size. */
static void *bounded_allocate(void *user, void *at, size_t old_size, size_t new_size)
{
    (void)user;
    if (at != NULL && !is_bounded(at) && new_size == 0) {
        free(at);
        return NULL;
    }
    if (at != NULL && !is_bounded(at))
        return realloc(at, new_size);
    if (!is_bound && at == NULL)
        return new_size == 0 ? NULL : malloc(new_size);
    if (new_size == 0 || new_size > BOUND - bounded_used - 16)
        return NULL;
    void *taken = bounded + bounded_used;
    bounded_used += (new_size + 15) & ~(size_t)15;
    if (at != NULL)
        memcpy(taken, at, old_size < new_size ? old_size : new_size);
    return taken;
}

void oracle_bound(void)
{
    avro_set_allocator(bounded_allocate, NULL);
    bounded_used = 0;
    is_bound = true;
}

void oracle_unbound(void) { is_bound = false; }
