/* base - errors, ids as hex, names, and the two hashes that tables and partitions are chosen by. */
#include "core/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void bt_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "berth: assertion failed: %s at %s:%d\n", condition, file, line);
    abort();
}

bool bt_fail(bt_err *err, bt_err_kind kind, int code, const char *format, ...)
{
    if (err == NULL)
        return false;
    err->kind = kind;
    err->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return false;
}

int bt_str_compare(bt_str a, bt_str b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.at, b.at, shared);
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

void bt_id_to_hex(bt_id id, char ret_hex[BT_ID_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof id.at; i++) {
        ret_hex[2 * i] = digits[id.at[i] >> 4];
        ret_hex[2 * i + 1] = digits[id.at[i] & 15];
    }
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool bt_id_from_hex(bt_str hex, bt_id *ret_id)
{
    if (hex.size != BT_ID_HEX_SIZE)
        return false;
    bt_id id;
    for (size_t i = 0; i < sizeof id.at; i++) {
        int high = hex_value(hex.at[2 * i]);
        int low = hex_value(hex.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        id.at[i] = (uint8_t)(high << 4 | low);
    }
    *ret_id = id;
    return true;
}

bool bt_name_is_valid(bt_str name)
{
    if (name.size < 1 || name.size > BT_NAME_MAX || bt_str_is(name, ".") || bt_str_is(name, ".."))
        return false; /* the two dots would be taken out of a path */
    for (size_t i = 0; i < name.size; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '_' && c != '~' && c != '-')
            return false;
    }
    return true;
}

uint64_t bt_str_hash(bt_str text)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ (uint8_t)text.at[i]) * 0x100000001b3ULL;
    return bt_mix64(hash);
}

uint32_t bt_murmur2(bt_str key)
{
    const uint32_t m = 0x5bd1e995U;
    const uint8_t *at = (const uint8_t *)key.at;
    size_t left = key.size;
    uint32_t h = 0x9747b28cU ^ (uint32_t)key.size;
    for (; left >= 4; at += 4, left -= 4) {
        uint32_t k = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        h = h * m ^ k;
    }
    if (left >= 3)
        h ^= (uint32_t)at[2] << 16;
    if (left >= 2)
        h ^= (uint32_t)at[1] << 8;
    if (left >= 1)
        h = (h ^ at[0]) * m;
    h ^= h >> 13;
    h *= m;
    return h ^ (h >> 15);
}
