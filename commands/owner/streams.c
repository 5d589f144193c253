/* streams - an open-addressed table of pointers and a binary heap of deadlines. */
#include "commands/owner/streams.h"

#include <stdlib.h>

#include "core/memory.h"

#define FIRST_SLOTS 64U

void bt_streams_init(bt_streams *streams, const bt_decider *decider)
{
    *streams = (bt_streams){ .decider = decider, .unborn = decider->state_new(NULL) };
}

static void free_stream(bt_streams *streams, bt_stream *stream)
{
    if (stream->state != NULL)
        streams->decider->state_free(stream->state, NULL);
    bt_release(stream);
}

void bt_streams_clear(bt_streams *streams)
{
    for (uint32_t i = 0; streams->slots != NULL && i <= streams->slot_mask; i++) {
        if (streams->slots[i] != NULL)
            free_stream(streams, streams->slots[i]);
    }
    bt_release(streams->slots);
    bt_release(streams->heap);
    *streams = (bt_streams){ .decider = streams->decider, .unborn = streams->unborn };
}

void bt_streams_release(bt_streams *streams)
{
    bt_streams_clear(streams);
    streams->decider->state_free(streams->unborn, NULL);
    streams->unborn = NULL;
}

static uint32_t slot_of(const bt_streams *streams, bt_str id, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & streams->slot_mask;
    while (streams->slots[at] != NULL && !(streams->slots[at]->hash == hash && bt_str_equal(streams->slots[at]->id, id)))
        at = (at + 1) & streams->slot_mask;
    return at;
}

bt_stream *bt_streams_find(const bt_streams *streams, bt_str id)
{
    return streams->count == 0 ? NULL : streams->slots[slot_of(streams, id, bt_str_hash(id))];
}

static void grow(bt_streams *streams)
{
    uint32_t old_count = streams->slots == NULL ? 0 : streams->slot_mask + 1;
    bt_stream **old = streams->slots;
    uint32_t slot_count = old_count == 0 ? FIRST_SLOTS : old_count * 2;
    streams->slots = bt_alloc(slot_count * sizeof *streams->slots);
    streams->slot_mask = slot_count - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i] != NULL)
            streams->slots[slot_of(streams, old[i]->id, old[i]->hash)] = old[i];
    }
    bt_release(old);
}

bt_stream *bt_streams_get(bt_streams *streams, bt_str id)
{
    if (streams->slots == NULL || streams->count * 2 > streams->slot_mask)
        grow(streams);
    uint64_t hash = bt_str_hash(id);
    uint32_t at = slot_of(streams, id, hash);
    if (streams->slots[at] == NULL) {
        bt_stream *stream = bt_alloc(sizeof *stream + id.size);
        *stream = (bt_stream){ .id = { (char *)(stream + 1), id.size }, .hash = hash, .deadline = INT64_MAX };
        memcpy(stream + 1, id.at, id.size);
        streams->slots[at] = stream;
        streams->count++;
    }
    return streams->slots[at];
}

static void heap_set(bt_streams *streams, uint32_t at, bt_stream *stream)
{
    streams->heap[at] = stream;
    stream->heap_at = at;
}

static void heap_sift(bt_streams *streams, bt_stream *stream)
{
    uint32_t at = stream->heap_at;
    while (at > 1 && streams->heap[at / 2]->deadline > stream->deadline) {
        heap_set(streams, at, streams->heap[at / 2]);
        at /= 2;
    }
    for (;;) {
        uint32_t child = at * 2;
        if (child > streams->heap_count)
            break;
        if (child < streams->heap_count && streams->heap[child + 1]->deadline < streams->heap[child]->deadline)
            child++;
        if (streams->heap[child]->deadline >= stream->deadline)
            break;
        heap_set(streams, at, streams->heap[child]);
        at = child;
    }
    heap_set(streams, at, stream);
}

static void heap_remove(bt_streams *streams, bt_stream *stream)
{
    uint32_t at = stream->heap_at;
    bt_stream *last = streams->heap[streams->heap_count--];
    stream->heap_at = 0;
    if (last == stream)
        return;
    heap_set(streams, at, last);
    heap_sift(streams, last);
}

static void heap_add(bt_streams *streams, bt_stream *stream)
{
    if (streams->heap_count + 1 >= streams->heap_capacity) {
        streams->heap_capacity = streams->heap_capacity == 0 ? 64 : streams->heap_capacity * 2;
        streams->heap = bt_resize(streams->heap, streams->heap_capacity * sizeof *streams->heap);
    }
    heap_set(streams, ++streams->heap_count, stream);
    heap_sift(streams, stream);
}

void bt_streams_touch(bt_streams *streams, bt_stream *stream)
{
    bool decidable = stream->state != NULL && !stream->stopped;
    int64_t deadline = decidable ? streams->decider->next_deadline(stream->state) : INT64_MAX;
    if (deadline == stream->deadline)
        return;
    stream->deadline = deadline;
    if (deadline == INT64_MAX)
        heap_remove(streams, stream);
    else if (stream->heap_at == 0)
        heap_add(streams, stream);
    else
        heap_sift(streams, stream);
}

static void take_out(bt_streams *streams, bt_stream *stream)
{
    uint32_t hole = slot_of(streams, stream->id, stream->hash), at = hole;
    for (;;) {
        streams->slots[hole] = NULL;
        uint32_t home;
        do {
            at = (at + 1) & streams->slot_mask;
            if (streams->slots[at] == NULL)
                return;
            home = (uint32_t)streams->slots[at]->hash & streams->slot_mask;
        } while (((at - home) & streams->slot_mask) < ((at - hole) & streams->slot_mask));
        streams->slots[hole] = streams->slots[at];
        hole = at;
    }
}

void bt_streams_forget_unborn(bt_streams *streams, bt_stream *stream)
{
    if (stream->state != NULL || stream->stopped || stream->ended || stream->in_flight > 0)
        return;
    take_out(streams, stream);
    streams->count--;
    bt_release(stream);
}

void bt_streams_stop(bt_streams *streams, bt_stream *stream)
{
    if (stream->stopped)
        return;
    stream->stopped = true;
    streams->stopped_count++;
    bt_streams_touch(streams, stream);
}

void bt_streams_end(bt_streams *streams, bt_stream *stream)
{
    streams->decider->state_free(stream->state, NULL);
    stream->state = NULL;
    stream->ended = true;
    streams->ended_count++;
}

bool bt_streams_is_over(const bt_streams *streams, const bt_stream *stream, int64_t log_time_us)
{
    return stream->state != NULL && !stream->stopped && stream->deadline == INT64_MAX &&
        streams->decider->ends_at(stream->state) <= log_time_us;
}

void bt_streams_sweep(bt_streams *streams, uint32_t looked_at_max, int64_t log_time_us)
{
    if (streams->slots == NULL)
        return;
    for (uint32_t i = 0; i < looked_at_max; i++) {
        streams->sweep_at = (streams->sweep_at + 1) & streams->slot_mask;
        bt_stream *stream = streams->slots[streams->sweep_at];
        if (stream != NULL && stream->in_flight == 0 && bt_streams_is_over(streams, stream, log_time_us))
            bt_streams_end(streams, stream);
    }
}

static int by_id(const void *a, const void *b)
{
    return bt_str_compare((*(bt_stream *const *)a)->id, (*(bt_stream *const *)b)->id);
}

bt_stream **bt_streams_sorted(const bt_streams *streams)
{
    bt_stream **sorted = bt_alloc((streams->count + 1) * sizeof *sorted);
    uint32_t count = 0;
    for (uint32_t i = 0; streams->slots != NULL && i <= streams->slot_mask; i++) {
        if (streams->slots[i] != NULL)
            sorted[count++] = streams->slots[i];
    }
    qsort(sorted, count, sizeof(bt_stream *), by_id);
    return sorted;
}
