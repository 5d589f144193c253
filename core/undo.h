/* undo - takes back what was folded on speculation.
 *
 * The owner of a partition folds its own appends before they are proved. When a pipeline is dropped, the state must be
 * what is proved again. Copying a stream's state at each touch would cost more than deciding; so every evolve saves
 * what it is about to overwrite, in one frame a record. Frames are committed oldest first (the record is proved) and
 * rolled back newest first (it is not). With a NULL undo, or outside of any frame,
 * every call does nothing: restore and projections pay nothing.
 *
 * Rules for an evolve: bt_undo_save each run of bytes before it is changed; memory that state points to comes from
 * bt_undo_alloc and goes by bt_undo_retire, so that a rolled-back pointer still points at something. Not thread-safe. */
#ifndef BERTH_CORE_UNDO_H
#define BERTH_CORE_UNDO_H

#include "core/base.h"

typedef struct bt_undo bt_undo;

bt_undo *bt_undo_new(void);
void bt_undo_free(bt_undo *undo); /* as if all frames were committed; NULL is fine */

void bt_undo_begin(bt_undo *undo);         /* opens the next frame; saves go into it */
void bt_undo_commit_oldest(bt_undo *undo); /* a frame must be there */
void bt_undo_roll_back_newest(bt_undo *undo);
size_t bt_undo_frame_count(const bt_undo *undo);

/* The bytes will be put back by a roll-back. size is at most 64 KiB a call. */
void bt_undo_save_in(bt_undo *undo, void *at, size_t size); /* undo is not NULL */
static inline void bt_undo_save(bt_undo *undo, void *at, size_t size)
{
    if (undo != NULL) /* a dozen times an event: a restore, which has none, is not to pay for the call */
        bt_undo_save_in(undo, at, size);
}
/* Zeroed memory that a roll-back releases. */
void *bt_undo_alloc(bt_undo *undo, size_t size);
/* Releases at when the frame is committed; at once without an undo. NULL is fine. */
void bt_undo_retire(bt_undo *undo, void *at);

/* The same two for what is counted rather than allocated, as a reference to something shared: a roll-back calls
 * release(at) for what was acquired, a commit for what was retired (at once without an undo). Putting the bytes of a
 * shared counter back would be wrong, as others, outside of these frames, count with it. */
void bt_undo_acquired(bt_undo *undo, void *at, void (*release)(void *at));
void bt_undo_retire_by(bt_undo *undo, void *at, void (*release)(void *at));

#endif
