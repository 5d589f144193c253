/* slab - reference counts over arenas, and a pool of empty ones. */
#include "commands/owner/slab.h"

static bt_slab *take_free(bt_slabs *slabs)
{
    bt_slab *slab = slabs->free;
    if (slab == NULL) {
        slab = bt_alloc(sizeof *slab);
        bt_arena_init(&slab->arena, 0);
    } else {
        slabs->free = slab->next_free;
        slabs->free_count--;
    }
    slab->references = 1;
    return slab;
}

bt_slab *bt_slabs_hold(bt_slabs *slabs)
{
    bt_slab *current = slabs->current;
    if (current != NULL && (current->arena.used > BT_SLAB_FULL || current->arena.taken > BT_ARENA_BLOCK_SIZE)) {
        bt_slabs_drop(slabs, current);
        current = NULL;
    }
    if (current == NULL)
        current = slabs->current = take_free(slabs);
    current->references++;
    return current;
}

void bt_slabs_drop(bt_slabs *slabs, bt_slab *slab)
{
    if (slab == NULL || --slab->references > 0)
        return;
    if (slab == slabs->current)
        slabs->current = NULL;
    if (slabs->free_count < BT_SLABS_FREE_MAX) {
        bt_arena_reset(&slab->arena);
        slab->next_free = slabs->free;
        slabs->free = slab;
        slabs->free_count++;
    } else {
        bt_arena_release(&slab->arena);
        bt_release(slab);
    }
}

void bt_slabs_release(bt_slabs *slabs)
{
    bt_slabs_drop(slabs, slabs->current);
    slabs->current = NULL;
    while (slabs->free != NULL) {
        bt_slab *slab = slabs->free;
        slabs->free = slab->next_free;
        bt_arena_release(&slab->arena);
        bt_release(slab);
    }
}
