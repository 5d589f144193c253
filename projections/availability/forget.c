/* Forgets a partition's values after an accepted loss: a value of the lost records would have a later version than what is folded anew, and would stay. */
#include "projections/availability/sink_internal.h"

#include "core/digest.h"

#define KEYS_AT_ONCE 500
#define SCANS_MAX 10000000 /* of a thousand keys or so each */

static bool run_script(availability_sink *sink, const bt_str *keys, size_t key_count, const bt_str *words, size_t word_count, bt_err *err)
{
    BT_REDIS_REPLY reply = { 0 };
    if (!bt_redis_eval(sink->redis, &sink->forget_script, keys, key_count, words, word_count, &reply, err))
        return false;
    return bt_redis_reply_i64(&reply) == 0 || bt_fail(err, BT_ERR_RETRY, BT_SINK_MOVED, "another projector has moved the position of availability, or Redis was emptied");
}

/* keys[0] is the position's; the rest goes, if that still is at. */
static bool delete_keys(availability_sink *sink, const bt_str *keys, size_t key_count, bt_str at, bt_err *err)
{
    return run_script(sink, keys, key_count, &at, 1, err);
}

static bool delete_found(availability_sink *sink, int32_t partition, const bt_redis_reply *found, bt_str at, bt_err *err)
{
    bt_str keys[KEYS_AT_ONCE + 1] = { availability_position_key(sink, partition) };
    size_t key_count = 1, prefix = strlen(AVAILABILITY_TRIP_KEY);
    for (size_t i = 0; i < bt_redis_reply_count(found); i++) {
        bt_redis_reply item = bt_redis_reply_item(found, i);
        bt_str key = bt_redis_reply_str(&item);
        if (key.size <= prefix || bt_partition_of((bt_str){ key.at + prefix, key.size - prefix }, sink->partition_count) != partition)
            continue;
        keys[key_count++] = key;
        if (key_count <= KEYS_AT_ONCE)
            continue;
        if (!delete_keys(sink, keys, key_count, at, err))
            return false;
        key_count = 1;
    }
    return key_count == 1 || delete_keys(sink, keys, key_count, at, err);
}

static bool delete_values(availability_sink *sink, int32_t partition, bt_str at, bt_err *err)
{
    bt_str cursor = BT_STR("0");
    for (int i = 0; i < SCANS_MAX; i++) {
        BT_REDIS_REPLY reply = { 0 };
        bt_str words[] = { BT_STR("SCAN"), cursor, BT_STR("MATCH"), BT_STR(AVAILABILITY_TRIP_KEY "*"), BT_STR("COUNT"), BT_STR("1000") };
        if (!bt_redis_command(sink->redis, words, BT_COUNT_OF(words), &reply, err))
            return false;
        bt_redis_reply next = bt_redis_reply_item(&reply, 0), found = bt_redis_reply_item(&reply, 1);
        if (!delete_found(sink, partition, &found, at, err))
            return false;
        cursor = bt_arena_copy(&sink->arena, bt_redis_reply_str(&next));
        if (bt_str_is(cursor, "0"))
            return true;
    }
    return bt_fail(err, BT_ERR_RETRY, 0, "Redis has more keys than can be looked through");
}

/* Trips whose events contradicted each other may fit now. */
static bool delete_parked(availability_sink *sink, int32_t partition, bt_str at, bt_err *err)
{
    BT_REDIS_REPLY parked = { 0 };
    bt_str keys[] = { availability_position_key(sink, partition), BT_STR(AVAILABILITY_PARKED_KEY) };
    bt_str words[] = { BT_STR("HKEYS"), BT_STR(AVAILABILITY_PARKED_KEY) };
    if (!bt_redis_command(sink->redis, words, BT_COUNT_OF(words), &parked, err))
        return false;
    for (size_t i = 0; i < bt_redis_reply_count(&parked); i++) {
        bt_redis_reply item = bt_redis_reply_item(&parked, i);
        bt_str one[] = { at, bt_redis_reply_str(&item) };
        if (bt_partition_of(one[1], sink->partition_count) == partition && !run_script(sink, keys, BT_COUNT_OF(keys), one, BT_COUNT_OF(one), err))
            return false;
    }
    return true;
}

bool availability_forget(void *context, int32_t partition, const bt_position *at, bt_err *err)
{
    availability_sink *sink = context;
    bt_arena_reset(&sink->arena);
    bt_str bytes = availability_position_bytes(&sink->arena, at);
    bt_str keys[2] = { availability_position_key(sink, partition), availability_position_key(sink, partition) };
    return delete_values(sink, partition, bytes, err) && delete_parked(sink, partition, bytes, err) && delete_keys(sink, keys, 2, bytes, err);
}
