/* pipeline - records that were appended and are not proved, in the order of the log that they hope for.
 *
 * Each links to the one before it, the first to the proved head. The same structure holds the open attempts: records of
 * a dropped pipeline whose outcome is not settled. Found by attempt (reports) and by key digest (repeats). */
#ifndef BERTH_COMMANDS_OWNER_PIPELINE_H
#define BERTH_COMMANDS_OWNER_PIPELINE_H

#include "commands/owner/streams.h"
#include "commands/owner/waiting.h"

typedef enum bt_flight_kind {
    BT_FLIGHT_COMMAND,
    BT_FLIGHT_DEADLINE,
    BT_FLIGHT_LOG_OPENED,
    BT_FLIGHT_TAKEOVER,
    BT_FLIGHT_BARRIER,
} bt_flight_kind;

typedef struct bt_flight {
    bt_flight_kind kind;
    bool reported, rejected, gap_counted;
    uint64_t attempt; /* of its newest append; those of one pipeline are consecutive */
    uint64_t batch;
    int64_t sent;     /* on the owner's own timer */
    int64_t offset;   /* as reported; negative: unknown */
    int64_t time_us;
    bt_id id, parent;
    bt_id command, body; /* digests; zero where no client asked */
    bt_str key;          /* this and below: in the slab */
    bt_bytes value;
    bt_event event;
    bt_slab *slab;
    bt_stream *stream;   /* NULL: a record of the log itself */
    bt_link waiters;     /* its author and those that came with the same key */
    bt_link confirms;    /* refusals and the like that its proof releases: they came before it was first sent */
    struct bt_flight *next_in_bucket;
} bt_flight;

typedef struct bt_pipeline {
    bt_flight **ring; /* power of two */
    uint32_t capacity;
    uint64_t begin, end; /* counted; slot = counted & (capacity - 1) */
    bt_flight **buckets; /* by key digest */
    uint32_t bucket_mask;
} bt_pipeline;

void bt_pipeline_init(bt_pipeline *pipeline);
void bt_pipeline_release(bt_pipeline *pipeline); /* empty */
static inline size_t bt_pipeline_count(const bt_pipeline *pipeline) { return (size_t)(pipeline->end - pipeline->begin); }
bt_flight *bt_pipeline_at(const bt_pipeline *pipeline, size_t index);
bt_flight *bt_pipeline_first(const bt_pipeline *pipeline); /* NULL when empty */
bt_flight *bt_pipeline_last(const bt_pipeline *pipeline);
bt_flight *bt_pipeline_by_attempt(const bt_pipeline *pipeline, uint64_t attempt);
bt_flight *bt_pipeline_by_key(const bt_pipeline *pipeline, bt_id command);
void bt_pipeline_push(bt_pipeline *pipeline, bt_flight *flight);
bt_flight *bt_pipeline_pop_first(bt_pipeline *pipeline);
bt_flight *bt_pipeline_pop_last(bt_pipeline *pipeline);

#endif
