/* memory - malloc is called here and nowhere else, so that a limit, a count or another allocator is one edit. */
#include "core/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct bt_arena_block {
    bt_arena_block *older;
    size_t size;
    _Alignas(16) uint8_t at[];
};

static void *or_die(void *at, size_t size)
{
    if (at == NULL && size > 0) {
        fprintf(stderr, "berth: out of memory asking for %zu bytes: it ends here; what was accepted is in the log\n", size);
        _exit(BT_EXIT_OUT_OF_MEMORY); /* no abort(): there is no bug to look for in a core as large as the memory */
    }
    return at;
}

void *bt_alloc(size_t size) { return or_die(calloc(1, size), size); }
void *bt_resize(void *at, size_t size) { return or_die(realloc(at, size), size); }
void bt_release(void *at) { free(at); }

void bt_arena_init(bt_arena *arena, size_t size_max)
{
    *arena = (bt_arena){ .size_max = size_max == 0 ? (size_t)64 << 20 : size_max };
}

static void release_blocks(bt_arena_block *block)
{
    while (block != NULL) {
        bt_arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void bt_arena_reset(bt_arena *arena)
{
    if (arena->first == NULL)
        return;
    /* The oldest block has the usual size; keep it and let the rest, grown for one large use, go. */
    bt_arena_block *oldest = arena->first, *newer = NULL;
    while (oldest->older != NULL) {
        newer = oldest;
        oldest = oldest->older;
    }
    if (newer != NULL) {
        newer->older = NULL;
        release_blocks(arena->first);
    }
    arena->first = oldest;
    arena->used = 0;
    arena->taken = oldest->size;
}

void bt_arena_release(bt_arena *arena)
{
    release_blocks(arena->first);
    arena->first = NULL;
    arena->used = arena->taken = 0;
}

static void *take_within(bt_arena *arena, size_t size, size_t size_max)
{
    if (size > size_max)
        return NULL;
    size_t rounded = (size + 15) & ~(size_t)15;
    if (arena->first == NULL || arena->first->size - arena->used < rounded) {
        size_t block_size = rounded > BT_ARENA_BLOCK_SIZE ? rounded : BT_ARENA_BLOCK_SIZE;
        if (arena->taken > 0 && arena->taken + block_size > size_max)
            return NULL;
        bt_arena_block *block = or_die(malloc(sizeof *block + block_size), block_size);
        *block = (bt_arena_block){ .older = arena->first, .size = block_size };
        arena->first = block;
        arena->used = 0;
        arena->taken += block_size;
    }
    void *at = arena->first->at + arena->used;
    arena->used += rounded;
    return at;
}

void *bt_arena_try_take(bt_arena *arena, size_t size) { return take_within(arena, size, arena->size_max); }

void *bt_arena_take(bt_arena *arena, size_t size)
{
    size_t reserve = arena->size_max < SIZE_MAX - BT_ARENA_RESERVE ? BT_ARENA_RESERVE : 0;
    void *at = take_within(arena, size, arena->size_max + reserve);
    bt_assert(at != NULL);
    return memset(at, 0, size);
}

bt_str bt_arena_copy(bt_arena *arena, bt_str text)
{
    char *at = bt_arena_take(arena, text.size);
    if (text.size > 0)
        memcpy(at, text.at, text.size);
    return (bt_str){ at, text.size };
}

char *bt_arena_zero_terminated(bt_arena *arena, bt_str text)
{
    char *at = bt_arena_take(arena, text.size + 1);
    if (text.size > 0)
        memcpy(at, text.at, text.size);
    return at;
}

bt_str bt_arena_printf(bt_arena *arena, const char *format, ...)
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
    return (bt_str){ at, (size_t)size };
}
