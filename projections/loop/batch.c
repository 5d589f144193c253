/* Records in a growing array, chained by stream through an open-addressed table. */
#include "projections/loop/batch.h"

#define FIRST 256

void bt_batch_init(bt_batch *batch, int32_t partition_count)
{
    *batch = (bt_batch){ .partition_count = partition_count };
    bt_arena_init(&batch->arena, SIZE_MAX); /* the loop ends a batch by its bytes; decoding is bounded by the schema's ceilings */
    batch->moves = bt_alloc((size_t)partition_count * sizeof *batch->moves);
    for (int32_t i = 0; i < partition_count; i++) {
        batch->moves[i].from = batch->moves[i].to = BT_POSITION_START;
        bt_buf_init(&batch->moves[i].ids, SIZE_MAX);
    }
}

void bt_batch_release(bt_batch *batch)
{
    for (int32_t i = 0; i < batch->partition_count; i++)
        bt_buf_release(&batch->moves[i].ids);
    bt_release(batch->moves);
    bt_release(batch->records);
    bt_release(batch->streams);
    bt_release(batch->stream_slots);
    bt_arena_release(&batch->arena);
}

void bt_batch_reset(bt_batch *batch)
{
    for (int32_t i = 0; i < batch->partition_count; i++) {
        batch->moves[i].from = batch->moves[i].to;
        bt_buf_reset(&batch->moves[i].ids);
    }
    if (batch->stream_count > 0)
        memset(batch->stream_slots, 0, batch->slot_count * sizeof *batch->stream_slots);
    batch->record_count = batch->stream_count = 0;
    batch->read_count = 0;
    batch->bytes = 0;
    batch->newest_us = 0;
    bt_arena_reset(&batch->arena);
}

void bt_batch_begin(bt_batch *batch, int32_t partition, const bt_position *position)
{
    batch->moves[partition].from = batch->moves[partition].to = *position;
    bt_buf_reset(&batch->moves[partition].ids);
}

void bt_batch_account(bt_batch *batch, int32_t partition, const bt_position *to, const bt_id *id, int64_t timestamp_us)
{
    static const uint8_t of_a_void[4] = { 0 };
    batch->moves[partition].to = *to;
    bt_buf_write(&batch->moves[partition].ids, id ? id->at : of_a_void, sizeof of_a_void);
    batch->read_count++;
    if (timestamp_us > batch->newest_us)
        batch->newest_us = timestamp_us;
}

static void index_streams(bt_batch *batch)
{
    batch->slot_count = batch->slot_count == 0 ? 2 * FIRST : batch->slot_count * 2;
    bt_release(batch->stream_slots);
    batch->stream_slots = bt_alloc(batch->slot_count * sizeof *batch->stream_slots);
    for (uint32_t i = 0; i < batch->stream_count; i++) {
        uint64_t slot = batch->streams[i].hash & (batch->slot_count - 1);
        while (batch->stream_slots[slot])
            slot = (slot + 1) & (batch->slot_count - 1);
        batch->stream_slots[slot] = i + 1;
    }
}

/* Hangs record index behind the others of its stream. */
static void chain(bt_batch *batch, uint32_t index)
{
    bt_str name = batch->records[index].fact.stream;
    uint64_t hash = bt_str_hash(name);
    if ((batch->stream_count + 1) * 2 > batch->slot_count)
        index_streams(batch);
    uint64_t slot = hash & (batch->slot_count - 1);
    for (; batch->stream_slots[slot]; slot = (slot + 1) & (batch->slot_count - 1)) {
        bt_batch_stream *stream = &batch->streams[batch->stream_slots[slot] - 1];
        if (stream->hash == hash && bt_str_equal(stream->name, name)) {
            batch->records[stream->last].next = index;
            stream->last = index;
            return;
        }
    }
    if (batch->stream_count == batch->stream_capacity) {
        batch->stream_capacity = batch->stream_capacity == 0 ? FIRST : batch->stream_capacity * 2;
        batch->streams = bt_resize(batch->streams, batch->stream_capacity * sizeof *batch->streams);
    }
    batch->streams[batch->stream_count] = (bt_batch_stream){ name, hash, batch->records[index].partition, index, index };
    batch->stream_slots[slot] = ++batch->stream_count;
}

void bt_batch_add(bt_batch *batch, int32_t partition, const bt_record *record, bool (*wants)(void *context, const bt_message_type *type), void *context)
{
    const bt_message_type *type = bt_event_type_by_id(bt_record_schema_id(record->value));
    bt_err err = { 0 };
    if (bt_str_is(record->key, BT_LOG_KEY) || (type && !wants(context, type)))
        return;
    bt_batch_record kept = { .partition = partition, .next = BT_BATCH_NONE };
    kept.value.at = (const uint8_t *)bt_arena_copy(&batch->arena, (bt_str){ (const char *)record->value.at, record->value.size }).at;
    kept.value.size = record->value.size;
    kept.fact = (bt_fact){ .stream = bt_arena_copy(&batch->arena, record->key), .offset = record->offset };
    if (!bt_event_decode(kept.value, &batch->arena, &kept.fact.event, &err))
        kept.error = bt_arena_zero_terminated(&batch->arena, bt_str_of(err.message));
    if (batch->record_count == batch->record_capacity) {
        batch->record_capacity = batch->record_capacity == 0 ? FIRST : batch->record_capacity * 2;
        batch->records = bt_resize(batch->records, batch->record_capacity * sizeof *batch->records);
    }
    batch->records[batch->record_count] = kept;
    chain(batch, batch->record_count++);
    batch->bytes += record->key.size + record->value.size;
}
