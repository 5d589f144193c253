/* utf8 - is this text? Strings of events and bodies end up in JSON answers, which must be UTF-8 to be JSON at all. */
#ifndef BERTH_CORE_UTF8_H
#define BERTH_CORE_UTF8_H

#include "core/base.h"

/* True for well-formed UTF-8: no overlong forms, no surrogates, nothing over U+10FFFF. Pure, any thread. */
bool bt_utf8_is_valid_slowly(const uint8_t *at, size_t size);

/* The same; nearly all our text is short ASCII, which this settles eight bytes at a time. */
static inline bool bt_utf8_is_valid(const void *text, size_t size)
{
    const uint8_t *at = text;
    uint64_t seen = 0;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, sizeof word);
        seen |= word;
    }
    for (; i < size; i++)
        seen |= (uint64_t)at[i];
    return (seen & UINT64_C(0x8080808080808080)) == 0 || bt_utf8_is_valid_slowly(at, size);
}

/* Copies text to ret_text with each malformed byte as U+FFFD, until the room is used up; never cuts a character in two.
 * Returns the bytes written; room of three times the text always suffices. Pure, any thread. */
size_t bt_utf8_scrub(bt_str text, char *ret_text, size_t room);

#endif
