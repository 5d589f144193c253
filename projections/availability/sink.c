/* Writes the availability of trips to Redis, one script a partition and batch; see README.md for keys and write.lua for the script. */
#include "projections/availability/availability.h"
#include "projections/availability/sink_internal.h"

#include "io/log/log.h"
#include "schemas/trip.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>

#define CACHE_BYTES_MAX ((size_t)64 << 20)
#define LOADS_AT_ONCE 500
#define READ_MAX 4096
#define TEND_MS 1000
#define KEPT_US (INT64_C(86400000000) * BT_AVAILABILITY_KEPT_DAYS)

extern const char availability_write_lua[], availability_forget_lua[];

static const bt_str PARKED_KEY = { AVAILABILITY_PARKED_KEY, sizeof AVAILABILITY_PARKED_KEY - 1 };

static bt_str trip_key(bt_arena *arena, bt_str trip) { return bt_arena_printf(arena, AVAILABILITY_TRIP_KEY BT_STR_FMT, BT_STR_ARG(trip)); }

bt_str availability_position_key(availability_sink *sink, int32_t partition)
{
    return bt_arena_printf(&sink->arena, "{berth}:position:availability:%s:%" PRId32, sink->topic, partition);
}

static bool wants(void *context, const bt_message_type *event)
{
    (void)context;
    return strcmp(event->kind, "trip") == 0;
}

static bool open_sink(void *context, int32_t partition_count, bt_sink_partition *ret_partitions, bt_err *err)
{
    availability_sink *sink = context;
    BT_REDIS_REPLY parked = { 0 };
    bt_str count_parked[] = { BT_STR("HLEN"), PARKED_KEY };
    bt_trip_cache_clear(&sink->cache); /* what was folded on and not written, or written by another */
    sink->positions = bt_resize(sink->positions, (size_t)partition_count * sizeof *sink->positions);
    sink->partition_count = partition_count;
    bt_arena_reset(&sink->arena);
    for (int32_t i = 0; i < partition_count; i++) {
        BT_REDIS_REPLY stored = { 0 };
        bt_str words[] = { BT_STR("GET"), availability_position_key(sink, i) };
        if (!bt_redis_command(sink->redis, words, 2, &stored, err))
            return false;
        ret_partitions[i] = (bt_sink_partition){ .position = BT_POSITION_START };
        if (!bt_redis_reply_is_nil(&stored) && !bt_availability_position_load(bt_redis_reply_str(&stored), &ret_partitions[i].position))
            return bt_fail(err, BT_ERR_FATAL, 0, BT_STR_FMT " holds no position: delete it, and the values are made again from the log", BT_STR_ARG(words[1]));
        sink->positions[i] = ret_partitions[i].position;
    }
    if (!bt_redis_command(sink->redis, count_parked, 2, &parked, err))
        return false;
    sink->parked_count = (size_t)bt_redis_reply_i64(&parked);
    return true;
}

static bool take_loaded(availability_sink *sink, bt_str trip, const bt_redis_reply *stored)
{
    bt_availability value = { 0 };
    bt_err why;
    bt_str bytes = bt_redis_reply_is_nil(stored) ? (bt_str){ 0 } : bt_redis_reply_str(stored);
    if (bytes.size > 0 && !bt_availability_load((bt_bytes){ (const uint8_t *)bytes.at, bytes.size }, &value, &why))
        bt_log_warn("availability.bad_value", F_STR("trip", trip), F_ERR(&why)); /* as good as lost: Postgres answers */
    bt_trip_cache_add(&sink->cache, trip, value);
    return true;
}

/* Loads the values of the batch's trips that are not at hand, some hundred a round trip. */
static bool load_trips(availability_sink *sink, const bt_batch *batch, bt_err *err)
{
    const bt_batch_stream *asked[LOADS_AT_ONCE];
    for (uint32_t next = 0; next < batch->stream_count;) {
        size_t asked_count = 0;
        for (; next < batch->stream_count && asked_count < LOADS_AT_ONCE; next++) {
            bt_str words[] = { BT_STR("GET"), trip_key(&sink->arena, batch->streams[next].name) };
            if (bt_trip_cache_find(&sink->cache, batch->streams[next].name))
                continue;
            if (!bt_redis_send(sink->redis, words, 2, err))
                return false;
            asked[asked_count++] = &batch->streams[next];
        }
        for (size_t i = 0; i < asked_count; i++) {
            BT_REDIS_REPLY stored = { 0 };
            if (!bt_redis_receive(sink->redis, &stored, err))
                return false;
            take_loaded(sink, asked[i]->name, &stored);
        }
    }
    return true;
}

/* What the script is to do with one trip; empty: nothing. */
static bt_str change_of(availability_sink *sink, bt_trip_entry *entry, int64_t version_before)
{
    bt_buf change;
    uint64_t number = htole64((uint64_t)(version_before == 0 ? (entry->value.ends_us + KEPT_US) / 1000000 : version_before));
    if (!bt_availability_is_dirty(&entry->value))
        return (bt_str){ 0 };
    bt_buf_init(&change, SIZE_MAX);
    bt_buf_byte(&change, version_before == 0 ? 'n' : 'u');
    bt_buf_write(&change, &number, sizeof number);
    bt_availability_take_ranges(&entry->value, &change);
    bt_str copy = bt_arena_copy(&sink->arena, bt_buf_view(&change));
    bt_buf_release(&change);
    return copy;
}

/* A trip whose events do not fit has no value rather than a wrong one. */
static bt_str park(availability_sink *sink, bt_trip_entry *entry, bt_str trip, const char *why)
{
    bt_log_error("availability.parked", F_STR("trip", trip), F_STR("reason", why));
    bt_availability_release(&entry->value);
    sink->parked_count++;
    return bt_arena_printf(&sink->arena, "x" BT_STR_FMT "%c%s", BT_STR_ARG(trip), 0, why);
}

static bt_str fold_stream(availability_sink *sink, const bt_batch *batch, const bt_batch_stream *stream)
{
    bt_trip_entry *entry = bt_trip_cache_find(&sink->cache, stream->name);
    int64_t version_before = bt_availability_version(&entry->value);
    for (uint32_t at = stream->first; at != BT_BATCH_NONE; at = batch->records[at].next) {
        const bt_batch_record *record = &batch->records[at];
        bt_err why;
        if (record->error && entry->value.at)
            return park(sink, entry, stream->name, record->error);
        if (!record->error && !bt_availability_fold(&entry->value, &record->fact, &why))
            return park(sink, entry, stream->name, why.message);
    }
    return change_of(sink, entry, version_before);
}

bt_str availability_position_bytes(bt_arena *arena, const bt_position *position)
{
    uint8_t *bytes = bt_arena_take(arena, BT_AVAILABILITY_POSITION_SIZE);
    bt_availability_position_save(position, bytes);
    return (bt_str){ (const char *)bytes, BT_AVAILABILITY_POSITION_SIZE };
}

static bool write_partition(availability_sink *sink, const bt_batch *batch, int32_t partition, bt_err *err)
{
    const bt_batch_move *move = &batch->moves[partition];
    bt_str *keys = bt_arena_take(&sink->arena, (2 + (size_t)batch->stream_count) * sizeof *keys);
    bt_str *args = bt_arena_take(&sink->arena, (2 + (size_t)batch->stream_count) * sizeof *args);
    size_t count = 2;
    BT_REDIS_REPLY reply = { 0 };
    keys[0] = availability_position_key(sink, partition);
    keys[1] = PARKED_KEY;
    args[0] = move->from.forward.next_offset == 0 ? (bt_str){ 0 } : availability_position_bytes(&sink->arena, &move->from);
    args[1] = availability_position_bytes(&sink->arena, &move->to);
    for (uint32_t i = 0; i < batch->stream_count; i++) {
        if (batch->streams[i].partition != partition)
            continue;
        args[count] = fold_stream(sink, batch, &batch->streams[i]);
        keys[count] = trip_key(&sink->arena, batch->streams[i].name);
        count += args[count].size > 0;
    }
    if (!bt_redis_eval(sink->redis, &sink->script, keys, count, args, count, &reply, err))
        return false;
    if (bt_redis_reply_i64(&reply) < 0)
        return bt_fail(err, BT_ERR_RETRY, BT_SINK_MOVED, "another projector has moved the position of availability, or Redis was emptied");
    sink->positions[partition] = move->to;
    if (bt_redis_reply_i64(&reply) > 0) { /* Postgres answers for them; loading again finds out which */
        bt_log_warn("availability.values_lost", F_I64("partition", partition), F_I64("values", bt_redis_reply_i64(&reply)));
        bt_trip_cache_clear(&sink->cache);
    }
    return true;
}

static bool write_batch(void *context, const bt_batch *batch, bt_err *err)
{
    availability_sink *sink = context;
    bt_arena_reset(&sink->arena);
    if (sink->cache.bytes > CACHE_BYTES_MAX)
        bt_trip_cache_clear(&sink->cache);
    for (int32_t i = 0; i < batch->partition_count; i++) {
        if (!bt_batch_moved(&batch->moves[i]))
            continue;
        if (!load_trips(sink, batch, err) || !write_partition(sink, batch, i, err))
            return false;
    }
    return true;
}

/* A Redis that was emptied is filled again at once, and not only when the next event comes. */
static bool tend(void *context, int64_t *ret_applied, bt_err *err)
{
    availability_sink *sink = context;
    *ret_applied = 0;
    bt_arena_reset(&sink->arena);
    for (int32_t i = 0; i < sink->partition_count; i++) {
        BT_REDIS_REPLY stored = { 0 };
        bt_str words[] = { BT_STR("GET"), availability_position_key(sink, i) };
        bt_str own = sink->positions[i].forward.next_offset == 0 ? (bt_str){ 0 } : availability_position_bytes(&sink->arena, &sink->positions[i]);
        if (!bt_redis_command(sink->redis, words, 2, &stored, err))
            return false;
        if (!bt_str_equal(own, bt_redis_reply_str(&stored)))
            return bt_fail(err, BT_ERR_RETRY, BT_SINK_MOVED, "Redis was emptied, or another projector has moved the position of availability");
    }
    return true;
}

static size_t parked_count(void *context)
{
    availability_sink *sink = context;
    return sink->parked_count;
}

static bool sink_new(const bt_projection *projection, const bt_projection_settings *settings, bt_sink *ret_sink, bt_err *err)
{
    (void)projection;
    bt_redis *redis = bt_redis_new(&(bt_redis_config){ .url = settings->redis_url }, err);
    if (!redis)
        return false;
    availability_sink *sink = bt_alloc(sizeof *sink);
    sink->redis = redis;
    sink->topic = settings->topic;
    sink->script = (bt_redis_script){ .text = availability_write_lua };
    sink->forget_script = (bt_redis_script){ .text = availability_forget_lua };
    bt_arena_init(&sink->arena, SIZE_MAX);
    *ret_sink = (bt_sink){ .context = sink, .read_max = READ_MAX, .tend_ms = TEND_MS, .wants = wants, .open = open_sink, .write = write_batch,
                           .forget = availability_forget, .tend = tend, .parked_count = parked_count };
    return true;
}

static void sink_free(bt_sink *as_sink)
{
    availability_sink *sink = as_sink->context;
    bt_redis_free(sink->redis);
    bt_trip_cache_clear(&sink->cache);
    bt_arena_release(&sink->arena);
    bt_release(sink->positions);
    bt_release(sink);
}

const bt_projection availability_projection = { .name = "availability", .kind = "trip", .sink_new = sink_new, .sink_free = sink_free };
