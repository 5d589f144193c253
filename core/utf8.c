/* utf8 - the table of Unicode 15, section 3.9 (D92), as code: the second byte's range depends on the first. */
#include "core/utf8.h"

/* How many bytes follow a first byte, and what the first of them may be; 0 for what cannot start a character. */
static unsigned followers_of(uint8_t first, uint8_t *ret_low, uint8_t *ret_high)
{
    *ret_low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *ret_high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if ((first & 0xf0) == 0xe0)
        return 2;
    return first >= 0xf0 && first <= 0xf4 ? 3 : 0;
}

bool bt_utf8_is_valid_slowly(const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size;
    while (at < end) {
        uint8_t first = *at++, low, high;
        if (first < 0x80)
            continue;
        unsigned followers = followers_of(first, &low, &high);
        if (followers == 0 || (size_t)(end - at) < followers || at[0] < low || at[0] > high)
            return false;
        for (unsigned i = 1; i < followers; i++)
            if ((at[i] & 0xc0) != 0x80)
                return false;
        at += followers;
    }
    return true;
}
