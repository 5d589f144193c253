/* utf8 - the table of Unicode 15, section 3.9 (D92), as code: the second byte's range depends on the first. */
#include "core/utf8.h"

/* The size of the well-formed character at the start; 0 if there is none. size is at least 1. */
static size_t character_size(const uint8_t *at, size_t size)
{
    uint8_t first = at[0];
    if (first < 0x80)
        return 1;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || size < length)
        return 0;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

bool bt_utf8_is_valid_slowly(const uint8_t *at, size_t size)
{
    for (size_t length; size > 0; at += length, size -= length) {
        length = character_size(at, size);
        if (length == 0)
            return false;
    }
    return true;
}

size_t bt_utf8_scrub(bt_str text, char *ret_text, size_t room)
{
    size_t written = 0;
    for (size_t at = 0; at < text.size;) {
        size_t length = character_size((const uint8_t *)text.at + at, text.size - at);
        const char *from = length > 0 ? text.at + at : "\xef\xbf\xbd";
        size_t size = length > 0 ? length : 3;
        if (size > room - written)
            break;
        memcpy(ret_text + written, from, size);
        written += size;
        at += length > 0 ? length : 1;
    }
    return written;
}
