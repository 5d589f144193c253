/* pipeline - a ring of pointers and a chained index by key digest. */
#include "commands/owner/pipeline.h"

#include "core/memory.h"

#define FIRST_CAPACITY 64U

void bt_pipeline_init(bt_pipeline *pipeline) { *pipeline = (bt_pipeline){ 0 }; }

void bt_pipeline_release(bt_pipeline *pipeline)
{
    bt_assert(pipeline->begin == pipeline->end);
    bt_release(pipeline->ring);
    bt_release(pipeline->buckets);
    bt_pipeline_init(pipeline);
}

bt_flight *bt_pipeline_at(const bt_pipeline *pipeline, size_t index)
{
    return pipeline->ring[(pipeline->begin + index) & (pipeline->capacity - 1)];
}

bt_flight *bt_pipeline_first(const bt_pipeline *pipeline) { return pipeline->begin == pipeline->end ? NULL : bt_pipeline_at(pipeline, 0); }

bt_flight *bt_pipeline_last(const bt_pipeline *pipeline)
{
    return pipeline->begin == pipeline->end ? NULL : bt_pipeline_at(pipeline, bt_pipeline_count(pipeline) - 1);
}

bt_flight *bt_pipeline_by_attempt(const bt_pipeline *pipeline, uint64_t attempt)
{
    const bt_flight *first = bt_pipeline_first(pipeline);
    if (first == NULL || attempt < first->attempt || attempt - first->attempt >= bt_pipeline_count(pipeline))
        return NULL;
    bt_flight *flight = bt_pipeline_at(pipeline, (size_t)(attempt - first->attempt));
    bt_assert(flight->attempt == attempt);
    return flight;
}

static bt_flight **bucket_of(const bt_pipeline *pipeline, bt_id command)
{
    return &pipeline->buckets[(uint32_t)bt_id_hash(command) & pipeline->bucket_mask];
}

bt_flight *bt_pipeline_by_key(const bt_pipeline *pipeline, bt_id command)
{
    if (pipeline->begin == pipeline->end)
        return NULL;
    bt_flight *flight = *bucket_of(pipeline, command);
    while (flight != NULL && !bt_id_equal(flight->command, command))
        flight = flight->next_in_bucket;
    return flight;
}

static void index_add(bt_pipeline *pipeline, bt_flight *flight)
{
    if (bt_id_is_zero(flight->command))
        return;
    bt_flight **bucket = bucket_of(pipeline, flight->command);
    flight->next_in_bucket = *bucket;
    *bucket = flight;
}

static void index_remove(bt_pipeline *pipeline, bt_flight *flight)
{
    if (bt_id_is_zero(flight->command))
        return;
    bt_flight **at = bucket_of(pipeline, flight->command);
    while (*at != flight)
        at = &(*at)->next_in_bucket;
    *at = flight->next_in_bucket;
}

static void grow(bt_pipeline *pipeline)
{
    uint32_t capacity = pipeline->capacity == 0 ? FIRST_CAPACITY : pipeline->capacity * 2;
    bt_flight **ring = bt_alloc(capacity * sizeof(bt_flight *));
    for (uint64_t count = pipeline->begin; count < pipeline->end; count++)
        ring[count & (capacity - 1)] = pipeline->ring[count & (pipeline->capacity - 1)];
    bt_release(pipeline->ring);
    bt_release(pipeline->buckets);
    pipeline->ring = ring;
    pipeline->capacity = capacity;
    pipeline->buckets = bt_alloc((size_t)capacity * 2 * sizeof(bt_flight *));
    pipeline->bucket_mask = capacity * 2 - 1;
    for (uint64_t count = pipeline->begin; count < pipeline->end; count++)
        index_add(pipeline, ring[count & (capacity - 1)]);
}

void bt_pipeline_push(bt_pipeline *pipeline, bt_flight *flight)
{
    if (bt_pipeline_count(pipeline) == pipeline->capacity)
        grow(pipeline);
    pipeline->ring[pipeline->end++ & (pipeline->capacity - 1)] = flight;
    index_add(pipeline, flight);
}

bt_flight *bt_pipeline_pop_first(bt_pipeline *pipeline)
{
    bt_flight *flight = bt_pipeline_at(pipeline, 0);
    pipeline->begin++;
    index_remove(pipeline, flight);
    return flight;
}

bt_flight *bt_pipeline_pop_last(bt_pipeline *pipeline)
{
    bt_flight *flight = bt_pipeline_last(pipeline);
    pipeline->end--;
    index_remove(pipeline, flight);
    return flight;
}
