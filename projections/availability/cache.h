/* cache - the availability of trips that were written lately, so that an event does not begin with a GET.
 * Bounded by bytes: when it is over, everything goes at once, between batches, and is loaded again as it is needed. */
#ifndef BERTH_PROJECTIONS_AVAILABILITY_CACHE_H
#define BERTH_PROJECTIONS_AVAILABILITY_CACHE_H

#include "projections/availability/fold.h"

typedef struct bt_trip_entry {
    char *name; /* NULL: a free slot */
    size_t name_size;
    bt_availability value;
} bt_trip_entry;

typedef struct bt_trip_cache {
    bt_trip_entry *slots;
    size_t count, slot_count, bytes;
} bt_trip_cache;

bt_trip_entry *bt_trip_cache_find(const bt_trip_cache *cache, bt_str trip); /* NULL: not loaded */
/* Takes over the value. The trip must not be there. Entries move: pointers from before are void. */
void bt_trip_cache_add(bt_trip_cache *cache, bt_str trip, bt_availability value);
void bt_trip_cache_clear(bt_trip_cache *cache);

#endif
