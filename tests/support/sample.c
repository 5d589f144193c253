/* sample - see the header. */
#include "tests/support/sample.h"

uint64_t sample_next(sample *s) { return bt_mix64(s->state += UINT64_C(0x9e3779b97f4a7c15)); }

static int64_t sample_long(sample *s)
{
    static const int64_t edges[] = { 0, 1, -1, 63, 64, -64, -65, 8191, 8192, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
    if (sample_below(s, 3) == 0)
        return edges[sample_below(s, BT_COUNT_OF(edges))];
    return (int64_t)(sample_next(s) >> sample_below(s, 64));
}

static size_t sample_size(sample *s, size_t max)
{
    size_t cap = s->tame && max > 12 ? 12 : max;
    switch (sample_below(s, 8)) {
    case 0:
        return 0;
    case 1:
        return cap;
    default:
        return sample_below(s, (cap < 24 ? cap : 24) + 1);
    }
}

static bt_str sample_text(sample *s, size_t max)
{
    static const char *const characters[] = { "a", "Z", "0", " ", "\"", "\\", "\n", "\xc3\xb6", "\xe2\x82\xac", "\xf0\x9f\x9a\x86" };
    size_t size = sample_size(s, max), at = 0;
    char *text = bt_arena_take(s->arena, size + 4);
    while (at < size) {
        const char *character = characters[sample_below(s, BT_COUNT_OF(characters))];
        if (at + strlen(character) > size)
            character = "x";
        memcpy(text + at, character, strlen(character));
        at += strlen(character);
    }
    return (bt_str){ text, size };
}

static void sample_bytes(sample *s, void *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = (uint8_t)sample_next(s);
}

static void sample_value(sample *s, const bt_field *field, uint8_t kind, uint32_t max, uint8_t *to)
{
    switch ((bt_type_kind)kind) {
    case BT_TYPE_BOOLEAN:
        *(bool *)to = sample_below(s, 2);
        return;
    case BT_TYPE_INT:
        *(int32_t *)to = (int32_t)sample_long(s);
        return;
    case BT_TYPE_LONG:
        *(int64_t *)to = sample_long(s);
        return;
    case BT_TYPE_TIME_US:
        *(int64_t *)to = s->tame ? (int64_t)sample_below(s, UINT64_C(4000000000000000)) : sample_long(s);
        return;
    case BT_TYPE_STRING:
        *(bt_str *)to = sample_text(s, max);
        return;
    case BT_TYPE_BYTES: {
        size_t size = sample_size(s, max);
        uint8_t *bytes = bt_arena_take(s->arena, size + 1);
        sample_bytes(s, bytes, size);
        *(bt_bytes *)to = (bt_bytes){ bytes, size };
        return;
    }
    case BT_TYPE_ID:
        sample_bytes(s, to, sizeof(bt_id));
        return;
    case BT_TYPE_RECORD:
        sample_record(s, field->record, to);
        return;
    case BT_TYPE_ARRAY:
        return;
    }
}

static void sample_array(sample *s, const bt_field *field, uint8_t *struct_at)
{
    size_t count = sample_size(s, field->max > 200 ? 200 : field->max);
    uint8_t *items = bt_arena_take(s->arena, count * field->item_size + 1);
    for (size_t i = 0; i < count; i++)
        if (!field->item_optional || sample_below(s, 4) > 0)
            sample_value(s, field, field->item_kind, field->item_max, items + i * field->item_size);
    memcpy(struct_at + field->offset, &items, sizeof items);
    *(uint32_t *)(struct_at + field->count_offset) = (uint32_t)count;
}

void sample_record(sample *s, const bt_record_type *type, void *to)
{
    uint8_t *at = to;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const bt_field *field = &type->fields[i];
        if (field->optional) {
            bool present = sample_below(s, 2);
            *(bool *)(at + field->has_offset) = present;
            if (!present)
                continue;
        }
        if (field->kind == BT_TYPE_ARRAY)
            sample_array(s, field, at);
        else
            sample_value(s, field, field->kind, field->max, at + field->offset);
    }
}

void *sample_new(sample *s, const bt_record_type *type)
{
    void *data = bt_arena_take(s->arena, type->struct_size);
    sample_record(s, type, data);
    return data;
}

void hex_put(bt_bytes bytes, bt_buf *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        bt_buf_byte(out, (uint8_t)digits[bytes.at[i] >> 4]);
        bt_buf_byte(out, (uint8_t)digits[bytes.at[i] & 15]);
    }
}

static int hex_digit(char digit)
{
    const char *digits = "0123456789abcdef", *found = digit == 0 ? NULL : strchr(digits, digit);
    return found == NULL ? -1 : (int)(found - digits);
}

bool hex_take(bt_str hex, bt_buf *out)
{
    if (hex.size % 2 != 0)
        return false;
    for (size_t i = 0; i < hex.size; i += 2) {
        int high = hex_digit(hex.at[i]), low = hex_digit(hex.at[i + 1]);
        if (high < 0 || low < 0)
            return false;
        bt_buf_byte(out, (uint8_t)(high << 4 | low));
    }
    return true;
}
