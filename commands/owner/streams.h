/* streams - the states of a partition's streams by id, the order of their deadlines, and what has left.
 *
 * A state here includes what is in flight; the owner's undo takes that back. Three marks keep a stream from being
 * decided upon: stopped (an event that this binary does not understand, or that contradicts the state), ended (it left
 * memory for good; the id stays, so that nobody opens it anew), and unborn (state NULL: never written, or rolled back).
 * Not thread-safe. */
#ifndef BERTH_COMMANDS_OWNER_STREAMS_H
#define BERTH_COMMANDS_OWNER_STREAMS_H

#include "commands/decider.h"

typedef struct bt_stream {
    bt_str id; /* its bytes follow the struct */
    uint64_t hash;
    void *state;
    int64_t deadline;    /* as next_deadline; INT64_MAX: none */
    uint32_t heap_at;    /* place in the heap of deadlines, from 1; 0: none */
    uint32_t in_flight;  /* records of this stream in the pipeline */
    bool stopped;
    bool ended;
} bt_stream;

typedef struct bt_streams {
    const bt_decider *decider;
    bt_stream **slots; /* linear probing, at most half full */
    uint32_t slot_mask, count, sweep_at;
    uint32_t stopped_count, ended_count;
    bt_stream **heap; /* from 1; the earliest deadline at its root */
    uint32_t heap_count, heap_capacity;
    void *unborn; /* the state that every stream starts with */
} bt_streams;

void bt_streams_init(bt_streams *streams, const bt_decider *decider);
void bt_streams_release(bt_streams *streams);
void bt_streams_clear(bt_streams *streams);
bt_stream *bt_streams_find(const bt_streams *streams, bt_str id);
bt_stream *bt_streams_get(bt_streams *streams, bt_str id); /* made, unborn, when it is not there */
/* Takes an unborn stream out again; does nothing to any other. */
void bt_streams_forget_unborn(bt_streams *streams, bt_stream *stream);
/* After each change of the state: finds its new deadline. */
void bt_streams_touch(bt_streams *streams, bt_stream *stream);
void bt_streams_stop(bt_streams *streams, bt_stream *stream);
void bt_streams_end(bt_streams *streams, bt_stream *stream);
/* The stream with the earliest deadline, NULL when none has one. */
static inline bt_stream *bt_streams_earliest(const bt_streams *streams) { return streams->heap_count == 0 ? NULL : streams->heap[1]; }
/* True when the stream has nothing left to decide at this log time: the same for every reader. */
bool bt_streams_is_over(const bt_streams *streams, const bt_stream *stream, int64_t log_time_us);
/* Looks at a few streams, round and round, and lets those go that are over. */
void bt_streams_sweep(bt_streams *streams, uint32_t looked_at_max, int64_t log_time_us);
/* All streams in order of their ids; the caller releases the array. */
bt_stream **bt_streams_sorted(const bt_streams *streams);

#endif
