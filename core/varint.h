/* varint - zigzag variable-length integers, eight bytes at a time: the inner loop of the codec.
 *
 * A time in microseconds is eight bytes of seven bits. Gathered one by one, two of them cost as much as the rest of an
 * event; as one word with three shifts they cost almost nothing. core/forward.c has the plain form, which both must
 * agree with (tests/unit/core/test_varint.c), and which takes over where fewer bytes are left. */
#ifndef BERTH_CORE_VARINT_H
#define BERTH_CORE_VARINT_H

#include "core/forward.h"

#define BT_VARINT_SIZE_MAX 10

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are gathered and spread as little-endian");

static inline int64_t bt_zigzag_decode(uint64_t value) { return (int64_t)(value >> 1) ^ -(int64_t)(value & 1); }
static inline uint64_t bt_zigzag_encode(int64_t value) { return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63); }

/* Where the next value stands, or NULL when cut short or over 64 bits. */
static inline const uint8_t *bt_varint_next(const uint8_t *at, const uint8_t *end, int64_t *ret_value)
{
    uint64_t word;
    if (at < end && *at < 0x80) { /* most numbers are lengths and indices */
        *ret_value = bt_zigzag_decode(*at);
        return at + 1;
    }
    if (end - at < 8)
        return bt_varint_take(&at, end, ret_value) ? at : NULL;
    memcpy(&word, at, sizeof word);
    uint64_t last = ~word & UINT64_C(0x8080808080808080); /* the bit of each byte that ends a number */
    if (last == 0)
        return bt_varint_take(&at, end, ret_value) ? at : NULL;
    last &= 0 - last;
    word &= (last - 1) & UINT64_C(0x7f7f7f7f7f7f7f7f);
    word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1;
    word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
    word = (word & UINT64_C(0x000000000fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
    *ret_value = bt_zigzag_decode(word);
    return at + ((unsigned)__builtin_ctzll(last) + 1) / 8;
}

/* Writes at most BT_VARINT_SIZE_MAX bytes, which must be there, and gives where the next one goes. */
static inline uint8_t *bt_varint_put(uint8_t *at, int64_t value)
{
    uint64_t left = bt_zigzag_encode(value);
    if (left < 0x80) {
        *at = (uint8_t)left;
        return at + 1;
    }
    if (left >> 56 != 0) {
        for (; left >= 0x80; left >>= 7)
            *at++ = (uint8_t)(left | 0x80);
        *at++ = (uint8_t)left;
        return at;
    }
    left = (left & UINT64_C(0x000000000fffffff)) | (left & UINT64_C(0x00fffffff0000000)) << 4;
    left = (left & UINT64_C(0x00003fff00003fff)) | (left & UINT64_C(0x0fffc0000fffc000)) << 2;
    left = (left & UINT64_C(0x007f007f007f007f)) | (left & UINT64_C(0x3f803f803f803f80)) << 1;
    unsigned more = (63 - (unsigned)__builtin_clzll(left)) / 8; /* bytes before the last */
    left |= UINT64_C(0x8080808080808080) & ((UINT64_C(1) << (8 * more)) - 1);
    memcpy(at, &left, sizeof left);
    return at + more + 1;
}

#endif
