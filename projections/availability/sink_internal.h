/* What the files of the sink in Redis share. */
#ifndef BERTH_PROJECTIONS_AVAILABILITY_SINK_INTERNAL_H
#define BERTH_PROJECTIONS_AVAILABILITY_SINK_INTERNAL_H

#include "io/redis/redis.h"
#include "projections/availability/availability.h"
#include "projections/availability/cache.h"

#define AVAILABILITY_PARKED_KEY "{berth}:parked:availability"
#define AVAILABILITY_TRIP_KEY "{berth}:avail:" /* and the trip's id */

typedef struct availability_sink {
    bt_redis *redis;
    bt_redis_script script, forget_script;
    bt_trip_cache cache;
    const char *topic;
    bt_arena arena; /* of one batch */
    bt_position *positions; /* as they stand in Redis, if nobody else has touched it */
    int32_t partition_count;
    size_t parked_count;
} availability_sink;

bt_str availability_position_key(availability_sink *sink, int32_t partition);
bt_str availability_position_bytes(bt_arena *arena, const bt_position *position);

/* See bt_sink. Values go before the position: whoever dies between the two finds a position that still tells of the lost records. */
bool availability_forget(void *context, int32_t partition, const bt_position *at, bt_err *err) BT_MUST_CHECK;

#endif
