/* keys - a ring in log order and an open-addressed index over it. */
#include "commands/owner/keys.h"

#include "core/memory.h"

#define FIRST_CAPACITY 256U

static bt_key_entry *at_count(const bt_keys *keys, uint64_t count) { return &keys->ring[count & (keys->capacity - 1)]; }

void bt_keys_init(bt_keys *keys, int64_t max, int64_t ttl_us) { *keys = (bt_keys){ .max = max, .ttl_us = ttl_us }; }

void bt_keys_release(bt_keys *keys)
{
    bt_release(keys->ring);
    bt_release(keys->index);
    bt_keys_init(keys, keys->max, keys->ttl_us);
}

void bt_keys_clear(bt_keys *keys) { bt_keys_release(keys); }

static uint32_t index_home(const bt_keys *keys, bt_id digest) { return (uint32_t)bt_id_hash(digest) & keys->index_mask; }

/* The index position of this digest, or the free one where it would go. */
static uint32_t index_of(const bt_keys *keys, bt_id digest)
{
    uint32_t at = index_home(keys, digest);
    while (keys->index[at] != 0 && !bt_id_equal(keys->ring[keys->index[at] - 1].digest, digest))
        at = (at + 1) & keys->index_mask;
    return at;
}

/* Doubling costs one pass over all entries: some 100 ms at the step from two to four million, five times fewer below. */
static void grow(bt_keys *keys)
{
    uint32_t capacity = keys->capacity == 0 ? FIRST_CAPACITY : keys->capacity * 2;
    bt_key_entry *ring = bt_alloc(capacity * sizeof *ring);
    uint32_t *index = bt_alloc((size_t)capacity * 2 * sizeof *index);
    bt_keys grown = { .ring = ring, .index = index, .index_mask = capacity * 2 - 1, .capacity = capacity, .begin = keys->begin,
        .end = keys->end };
    for (uint64_t count = keys->begin; count < keys->end; count++) {
        *at_count(&grown, count) = *at_count(keys, count);
        index[index_of(&grown, at_count(keys, count)->digest)] = (uint32_t)(count & (capacity - 1)) + 1;
    }
    bt_release(keys->ring);
    bt_release(keys->index);
    grown.max = keys->max;
    grown.ttl_us = keys->ttl_us;
    *keys = grown;
}

/* Takes an index position out and closes the gap, so that no later probe stops short. */
static void index_remove(bt_keys *keys, uint32_t hole)
{
    uint32_t at = hole;
    for (;;) {
        keys->index[hole] = 0;
        uint32_t home;
        do {
            at = (at + 1) & keys->index_mask;
            if (keys->index[at] == 0)
                return;
            home = index_home(keys, keys->ring[keys->index[at] - 1].digest);
        } while (((at - home) & keys->index_mask) < ((at - hole) & keys->index_mask));
        keys->index[hole] = keys->index[at];
        hole = at;
    }
}

static void forget_oldest(bt_keys *keys)
{
    uint32_t slot = (uint32_t)(keys->begin & (keys->capacity - 1));
    uint32_t at = index_of(keys, keys->ring[slot].digest);
    if (keys->index[at] == slot + 1) /* else the same key came again past the horizon, and the index shows the newer one */
        index_remove(keys, at);
    keys->begin++;
}

void bt_keys_expire(bt_keys *keys, int64_t height, int64_t time_us)
{
    int64_t oldest_s = (time_us - keys->ttl_us) / 1000000;
    while (keys->begin < keys->end) {
        const bt_key_entry *oldest = at_count(keys, keys->begin);
        if ((int64_t)((uint32_t)height - oldest->height) < keys->max && (int64_t)oldest->time_s >= oldest_s)
            return;
        forget_oldest(keys);
    }
}

void bt_keys_push(bt_keys *keys, const bt_key_entry *entry)
{
    if (keys->end - keys->begin == keys->capacity)
        grow(keys);
    *at_count(keys, keys->end) = *entry;
    keys->index[index_of(keys, entry->digest)] = (uint32_t)(keys->end & (keys->capacity - 1)) + 1;
    keys->end++;
}

void bt_keys_add(bt_keys *keys, bt_id digest, int64_t offset, int64_t height, int64_t time_us)
{
    bt_keys_expire(keys, height, time_us);
    int64_t time_s = (time_us + 999999) / 1000000;
    bt_key_entry entry = { .digest = digest, .offset = offset, .height = (uint32_t)height,
        .time_s = time_s < 0 ? 0 : time_s > UINT32_MAX ? UINT32_MAX : (uint32_t)time_s };
    bt_keys_push(keys, &entry);
}

const bt_key_entry *bt_keys_at(const bt_keys *keys, size_t index) { return at_count(keys, keys->begin + index); }

bool bt_keys_find(const bt_keys *keys, bt_id digest, int64_t *ret_offset)
{
    if (keys->begin == keys->end)
        return false;
    uint32_t slot = keys->index[index_of(keys, digest)];
    if (slot == 0)
        return false;
    *ret_offset = keys->ring[slot - 1].offset;
    return true;
}

int64_t bt_keys_horizon_us(const bt_keys *keys, int64_t log_time_us)
{
    if (keys->begin == keys->end)
        return 0;
    int64_t span = log_time_us - (int64_t)at_count(keys, keys->begin)->time_s * 1000000;
    return span < 0 ? 0 : span;
}
