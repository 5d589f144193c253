/* undo - frames of entries in one byte queue: committed from the front, rolled back from the end.
 * Each entry is its header, then the saved bytes, then (so that it can be walked from the end) its whole size. */
#include "core/undo.h"

#include "core/memory.h"

typedef enum entry_kind {
    ENTRY_FRAME, /* opens a frame */
    ENTRY_SAVED, /* bytes follow; roll-back puts them back */
    ENTRY_ALLOCATED,
    ENTRY_RETIRED,
    ENTRY_ACQUIRED, /* the function follows that takes it back */
    ENTRY_RETIRED_BY,
} entry_kind;

typedef struct entry {
    void *at;
    uint32_t size;
    uint32_t kind;
} entry;

struct bt_undo {
    uint8_t *bytes;
    size_t begin, end, capacity;
    size_t frame_count;
};

bt_undo *bt_undo_new(void) { return bt_alloc(sizeof(bt_undo)); }

static size_t whole_size(uint32_t saved_size) { return sizeof(entry) + ((saved_size + 7U) & ~7U) + sizeof(uint64_t); }

static void make_room(bt_undo *undo, size_t size)
{
    if (undo->capacity - undo->end >= size)
        return;
    if (undo->begin > undo->capacity / 2) {
        memmove(undo->bytes, undo->bytes + undo->begin, undo->end - undo->begin);
        undo->end -= undo->begin;
        undo->begin = 0;
        if (undo->capacity - undo->end >= size)
            return;
    }
    size_t capacity = undo->capacity == 0 ? 4096 : undo->capacity;
    while (capacity < undo->end + size)
        capacity *= 2;
    undo->bytes = bt_resize(undo->bytes, capacity);
    undo->capacity = capacity;
}

static void push(bt_undo *undo, entry_kind kind, void *at, const void *saved, size_t saved_size)
{
    bt_assert(saved_size <= 65536);
    entry header = { .at = at, .size = (uint32_t)saved_size, .kind = (uint32_t)kind };
    size_t whole = whole_size(header.size);
    make_room(undo, whole);
    uint8_t *to = undo->bytes + undo->end;
    memcpy(to, &header, sizeof header);
    if (saved_size > 0)
        memcpy(to + sizeof header, saved, saved_size);
    uint64_t trailer = whole;
    memcpy(to + whole - sizeof trailer, &trailer, sizeof trailer);
    undo->end += whole;
}

typedef void (*releaser)(void *at);

static void release_by(const bt_undo *undo, size_t entry_at, void *at)
{
    releaser release;
    memcpy(&release, undo->bytes + entry_at + sizeof(entry), sizeof release);
    release(at);
}

void bt_undo_begin(bt_undo *undo)
{
    if (undo == NULL)
        return;
    push(undo, ENTRY_FRAME, NULL, NULL, 0);
    undo->frame_count++;
}

void bt_undo_commit_oldest(bt_undo *undo)
{
    bt_assert(undo->frame_count > 0);
    bool in_frame = false;
    while (undo->begin < undo->end) {
        entry header;
        memcpy(&header, undo->bytes + undo->begin, sizeof header);
        if (header.kind == ENTRY_FRAME && in_frame)
            break;
        in_frame = true;
        if (header.kind == ENTRY_RETIRED)
            bt_release(header.at);
        else if (header.kind == ENTRY_RETIRED_BY)
            release_by(undo, undo->begin, header.at);
        undo->begin += whole_size(header.size);
    }
    if (undo->begin == undo->end)
        undo->begin = undo->end = 0;
    undo->frame_count--;
}

void bt_undo_roll_back_newest(bt_undo *undo)
{
    bt_assert(undo->frame_count > 0);
    for (;;) {
        uint64_t whole;
        memcpy(&whole, undo->bytes + undo->end - sizeof whole, sizeof whole);
        undo->end -= whole;
        entry header;
        memcpy(&header, undo->bytes + undo->end, sizeof header);
        if (header.kind == ENTRY_SAVED)
            memcpy(header.at, undo->bytes + undo->end + sizeof header, header.size);
        else if (header.kind == ENTRY_ALLOCATED)
            bt_release(header.at);
        else if (header.kind == ENTRY_ACQUIRED)
            release_by(undo, undo->end, header.at);
        else if (header.kind == ENTRY_FRAME)
            break;
    }
    undo->frame_count--;
}

size_t bt_undo_frame_count(const bt_undo *undo) { return undo->frame_count; }

void bt_undo_free(bt_undo *undo)
{
    if (undo == NULL)
        return;
    while (undo->frame_count > 0)
        bt_undo_commit_oldest(undo);
    bt_release(undo->bytes);
    bt_release(undo);
}

/* Without a frame nothing can be taken back: what was pushed would pass for the next frame's. */
static bool is_in_frame(const bt_undo *undo) { return undo != NULL && undo->frame_count > 0; }

void bt_undo_save_in(bt_undo *undo, void *at, size_t size)
{
    if (is_in_frame(undo))
        push(undo, ENTRY_SAVED, at, at, size);
}

void *bt_undo_alloc(bt_undo *undo, size_t size)
{
    void *at = bt_alloc(size);
    if (is_in_frame(undo))
        push(undo, ENTRY_ALLOCATED, at, NULL, 0);
    return at;
}

void bt_undo_retire(bt_undo *undo, void *at)
{
    if (at == NULL)
        return;
    if (!is_in_frame(undo))
        bt_release(at);
    else
        push(undo, ENTRY_RETIRED, at, NULL, 0);
}

void bt_undo_acquired(bt_undo *undo, void *at, void (*release)(void *at))
{
    if (is_in_frame(undo))
        push(undo, ENTRY_ACQUIRED, at, &release, sizeof release);
}

void bt_undo_retire_by(bt_undo *undo, void *at, void (*release)(void *at))
{
    if (is_in_frame(undo))
        push(undo, ENTRY_RETIRED_BY, at, &release, sizeof release);
    else
        release(at);
}
