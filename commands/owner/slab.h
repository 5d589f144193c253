/* slab - arenas that are shared by what was decided at about the same time and go when the last of it is answered.
 *
 * One arena a record would hold 16 KiB for 200 bytes; one for all would never be empty. So records and held-back answers
 * are placed into the current slab, each holds a reference, and a full slab is replaced. Steadily, none is allocated. */
#ifndef BERTH_COMMANDS_OWNER_SLAB_H
#define BERTH_COMMANDS_OWNER_SLAB_H

#include "core/memory.h"

typedef struct bt_slab {
    bt_arena arena;
    size_t references;
    struct bt_slab *next_free;
} bt_slab;

typedef struct bt_slabs {
    bt_slab *current; /* holds one reference; NULL before the first use */
    bt_slab *free;
    size_t free_count;
} bt_slabs;

#define BT_SLAB_FULL (BT_ARENA_BLOCK_SIZE - 2048) /* most records fit behind this without a second block */
#define BT_SLABS_FREE_MAX 256

/* The slab to place something into, with a reference for it. */
bt_slab *bt_slabs_hold(bt_slabs *slabs);
void bt_slabs_drop(bt_slabs *slabs, bt_slab *slab);
void bt_slabs_release(bt_slabs *slabs);

#endif
