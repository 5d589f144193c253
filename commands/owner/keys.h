/* keys - which idempotency keys a partition's valid records carry: digest -> offset, for as long as the horizon.
 *
 * Only proved records are here (those in flight are found in the pipeline), so a roll-back never touches it. Entries
 * stand in a ring in the order of the log and leave at its front, by age in log time or by distance in valid records.
 * The record itself, with the body's digest, is read back from the log when a key comes again: 32 bytes an entry and
 * 8 to 16 of index are all that four million keys cost. Not thread-safe. */
#ifndef BERTH_COMMANDS_OWNER_KEYS_H
#define BERTH_COMMANDS_OWNER_KEYS_H

#include "core/base.h"
#include "core/buf.h"

typedef struct bt_key_entry {
    bt_id digest;
    int64_t offset;
    uint32_t height;  /* low half; distances are far below 2^31 */
    uint32_t time_s;  /* log time of the record in whole seconds, rounded up, so that none leaves early */
} bt_key_entry;

typedef struct bt_keys {
    bt_key_entry *ring;
    uint32_t *index;         /* ring slot + 1; 0: free. Linear probing, at most half full */
    uint32_t index_mask;
    uint32_t capacity;       /* of the ring; power of two */
    uint64_t begin, end;     /* counted; slot = counted & (capacity - 1) */
    int64_t max, ttl_us;
} bt_keys;

void bt_keys_init(bt_keys *keys, int64_t max, int64_t ttl_us);
void bt_keys_release(bt_keys *keys);
void bt_keys_clear(bt_keys *keys);
/* Remembers the key of the valid record at offset, and forgets what is past the horizon seen from it. */
void bt_keys_add(bt_keys *keys, bt_id digest, int64_t offset, int64_t height, int64_t time_us);
/* Forgets what is past the horizon, seen from a valid record of this height and log time. */
void bt_keys_expire(bt_keys *keys, int64_t height, int64_t time_us);
/* For snapshots: the entries, oldest first, and one put back behind them. */
const bt_key_entry *bt_keys_at(const bt_keys *keys, size_t index);
void bt_keys_push(bt_keys *keys, const bt_key_entry *entry);
bool bt_keys_find(const bt_keys *keys, bt_id digest, int64_t *ret_offset) BT_MUST_CHECK;
static inline size_t bt_keys_count(const bt_keys *keys) { return (size_t)(keys->end - keys->begin); }
/* Log time that the memory spans, seen from log_time_us; 0 when empty. */
int64_t bt_keys_horizon_us(const bt_keys *keys, int64_t log_time_us);

#endif
