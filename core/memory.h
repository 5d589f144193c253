/* memory - the one place that calls the allocator: arenas for what lives as long as one command, batch or request,
 * counted blocks for what lives longer. Running out of memory ends the program with one line on standard error and the status
 * BT_EXIT_OUT_OF_MEMORY: nothing here returns NULL, and nothing that was accepted is only in memory. */
#ifndef BERTH_CORE_MEMORY_H
#define BERTH_CORE_MEMORY_H

#include "core/base.h"

#define BT_EXIT_OUT_OF_MEMORY 71

/* Zeroed, 16-byte aligned. */
void *bt_alloc(size_t size);
/* Grows or shrinks; new bytes are not zeroed. bt_resize(NULL, n) allocates. */
void *bt_resize(void *at, size_t size);
void bt_release(void *at); /* NULL is fine */

/* An arena: allocations go away together. Not thread-safe; one owner at a time. */
typedef struct bt_arena_block bt_arena_block;
typedef struct bt_arena {
    bt_arena_block *first; /* the newest block; the chain ends in the oldest */
    size_t used;           /* bytes taken from first */
    size_t size_max;       /* over this, bt_arena_try_take fails; bt_arena_take has BT_ARENA_RESERVE more */
    size_t taken;          /* bytes of all blocks */
} bt_arena;

#define BT_ARENA_BLOCK_SIZE 16384
#define BT_ARENA_RESERVE ((size_t)1 << 20)

/* No memory is taken before the first use. size_max bounds what bt_arena_try_take will give (0: 64 MiB). */
void bt_arena_init(bt_arena *arena, size_t size_max);
/* Forgets all allocations, keeps one block for the next use. */
void bt_arena_reset(bt_arena *arena);
void bt_arena_release(bt_arena *arena);

/* 16-byte aligned, not zeroed. NULL when the arena's limit would be passed: use it for sizes that come from outside. */
void *bt_arena_try_take(bt_arena *arena, size_t size) BT_MUST_CHECK;
/* As above, zeroed, for sizes that the program chose. It may go past the limit by BT_ARENA_RESERVE: a client that fills a request's arena to the
 * last byte must not take what the program needs to say so. Past the reserve is a bug (assert). */
void *bt_arena_take(bt_arena *arena, size_t size);
bt_str bt_arena_copy(bt_arena *arena, bt_str text);
char *bt_arena_zero_terminated(bt_arena *arena, bt_str text);
bt_str bt_arena_printf(bt_arena *arena, const char *format, ...) BT_PRINTF(2, 3);

#endif
