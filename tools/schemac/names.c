/* names - how a schema's words become C's. */
#include "tools/schemac/model.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

const char *sc_printf(bt_arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    bt_assert(size >= 0);
    char *at = bt_arena_take(arena, (size_t)size + 1);
    vsnprintf(at, (size_t)size + 1, format, again);
    va_end(again);
    return at;
}

const char *sc_snake(bt_arena *arena, const char *name)
{
    size_t size = strlen(name), to = 0;
    char *snaked = bt_arena_take(arena, size * 2 + 1);
    for (size_t i = 0; i < size; i++) {
        if (isupper((unsigned char)name[i]) && i > 0)
            snaked[to++] = '_';
        snaked[to++] = (char)tolower((unsigned char)name[i]);
    }
    return snaked;
}

const char *sc_c_name(bt_arena *arena, const char *kind, const char *name)
{
    const char *snaked = sc_snake(arena, name);
    size_t kind_size = strlen(kind);
    bool begins_with_kind = strncmp(snaked, kind, kind_size) == 0 && snaked[kind_size] == '_';
    return begins_with_kind ? snaked : sc_printf(arena, "%s_%s", kind, snaked);
}

const char *sc_upper(bt_arena *arena, const char *name)
{
    size_t size = strlen(name);
    char *upper = bt_arena_take(arena, size + 1);
    for (size_t i = 0; i < size; i++)
        upper[i] = (char)toupper((unsigned char)name[i]);
    return upper;
}
