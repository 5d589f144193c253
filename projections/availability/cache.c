/* Trips by id, open-addressed; each entry owns its name and its value. */
#include "projections/availability/cache.h"

static size_t slot_of(const bt_trip_cache *cache, bt_str trip)
{
    size_t slot = bt_str_hash(trip) & (cache->slot_count - 1);
    while (cache->slots[slot].name && !bt_str_equal((bt_str){ cache->slots[slot].name, cache->slots[slot].name_size }, trip))
        slot = (slot + 1) & (cache->slot_count - 1);
    return slot;
}

bt_trip_entry *bt_trip_cache_find(const bt_trip_cache *cache, bt_str trip)
{
    if (cache->count == 0)
        return NULL;
    bt_trip_entry *entry = &cache->slots[slot_of(cache, trip)];
    return entry->name ? entry : NULL;
}

static void grow(bt_trip_cache *cache)
{
    bt_trip_cache larger = { .slot_count = cache->slot_count == 0 ? 256 : cache->slot_count * 2, .count = cache->count, .bytes = cache->bytes };
    larger.slots = bt_alloc(larger.slot_count * sizeof *larger.slots);
    for (size_t i = 0; i < cache->slot_count; i++)
        if (cache->slots[i].name)
            larger.slots[slot_of(&larger, (bt_str){ cache->slots[i].name, cache->slots[i].name_size })] = cache->slots[i];
    bt_release(cache->slots);
    *cache = larger;
}

void bt_trip_cache_add(bt_trip_cache *cache, bt_str trip, bt_availability value)
{
    if ((cache->count + 1) * 2 > cache->slot_count)
        grow(cache);
    bt_trip_entry *entry = &cache->slots[slot_of(cache, trip)];
    bt_assert(!entry->name);
    *entry = (bt_trip_entry){ .name = bt_alloc(trip.size + 1), .name_size = trip.size, .value = value };
    memcpy(entry->name, trip.at, trip.size);
    cache->count++;
    cache->bytes += sizeof *entry + trip.size + value.size;
}

void bt_trip_cache_clear(bt_trip_cache *cache)
{
    for (size_t i = 0; i < cache->slot_count; i++) {
        bt_release(cache->slots[i].name);
        bt_availability_release(&cache->slots[i].value);
    }
    bt_release(cache->slots);
    *cache = (bt_trip_cache){ 0 };
}
