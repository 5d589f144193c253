/* cursor - see cursor.h. Not signed: a forged cursor can only ask for rows that the same question may show anyway. */
#include "query-api/server/cursor.h"

#include "core/digest.h"

#define DIGEST_SIZE 8

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bt_str encoded(bt_arena *arena, const uint8_t *at, size_t size)
{
    char *text = bt_arena_take(arena, (size + 2) / 3 * 4);
    size_t out = 0;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) | (left > 2 ? at[i + 2] : 0);
        for (size_t digit = 0; digit < (left > 2 ? 4 : left + 1); digit++)
            text[out++] = alphabet[bits >> (18 - 6 * digit) & 63];
    }
    return (bt_str){ text, out };
}

static bool decoded(bt_arena *arena, bt_str text, bt_bytes *ret_bytes)
{
    if (text.size > QA_CURSOR_TEXT_MAX || text.size % 4 == 1)
        return false;
    uint8_t *at = bt_arena_take(arena, text.size + 1);
    size_t size = 0;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < text.size; i++) {
        const char *digit = memchr(alphabet, text.at[i], sizeof alphabet - 1);
        if (digit == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(digit - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            at[size++] = (uint8_t)(bits >> held);
        }
    }
    if ((bits & ((1U << held) - 1)) != 0) /* one position, one cursor: stray bits are refused */
        return false;
    *ret_bytes = (bt_bytes){ at, size };
    return true;
}

bt_str qa_cursor_write(bt_arena *arena, const bt_str *question, size_t question_count, const bt_str *fields, size_t field_count)
{
    bt_assert(field_count <= QA_CURSOR_FIELDS_MAX);
    uint8_t *at = bt_arena_take(arena, DIGEST_SIZE + QA_CURSOR_FIELDS_MAX * 256);
    bt_id digest = bt_digest_parts(question, question_count);
    memcpy(at, digest.at, DIGEST_SIZE);
    size_t size = DIGEST_SIZE;
    for (size_t i = 0; i < field_count; i++) {
        bt_assert(fields[i].size <= 255);
        at[size++] = (uint8_t)fields[i].size;
        if (fields[i].size > 0)
            memcpy(at + size, fields[i].at, fields[i].size);
        size += fields[i].size;
    }
    return encoded(arena, at, size);
}

bool qa_cursor_read(bt_arena *arena, bt_str text, const bt_str *question, size_t question_count, bt_str *ret_fields, size_t field_count)
{
    bt_bytes bytes;
    bt_id digest = bt_digest_parts(question, question_count);
    if (!decoded(arena, text, &bytes) || bytes.size < DIGEST_SIZE || memcmp(bytes.at, digest.at, DIGEST_SIZE) != 0)
        return false;
    size_t at = DIGEST_SIZE;
    for (size_t i = 0; i < field_count; i++) {
        if (at >= bytes.size || bytes.size - at - 1 < bytes.at[at])
            return false;
        ret_fields[i] = (bt_str){ (const char *)bytes.at + at + 1, bytes.at[at] };
        at += 1 + (size_t)bytes.at[at];
    }
    return at == bytes.size;
}

bt_str qa_cursor_number(bt_arena *arena, int64_t value) { return bt_arena_printf(arena, "%lld", (long long)value); }

bool qa_cursor_to_number(bt_str field, int64_t *ret_value)
{
    bool negative = field.size > 0 && field.at[0] == '-';
    size_t first = negative ? 1 : 0;
    if (field.size == first || field.size - first > 18)
        return false;
    int64_t value = 0;
    for (size_t i = first; i < field.size; i++) {
        if (field.at[i] < '0' || field.at[i] > '9')
            return false;
        value = value * 10 + (field.at[i] - '0');
    }
    *ret_value = negative ? -value : value;
    return true;
}
