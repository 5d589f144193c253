/* versions - open addressing, at most half full. */
#include "tools/berth/log/versions.h"

#include "core/memory.h"

void versions_init(versions *table)
{
    *table = (versions){ .capacity = 64 };
    table->entries = bt_alloc(table->capacity * sizeof *table->entries);
}

void versions_release(versions *table)
{
    for (size_t i = 0; i < table->capacity; i++)
        bt_release(table->entries[i].key);
    bt_release(table->entries);
    *table = (versions){ 0 };
}

static version_entry *place_of(version_entry *entries, size_t capacity, bt_str key, uint64_t hash)
{
    size_t at = hash & (capacity - 1);
    while (entries[at].key != NULL && !(entries[at].hash == hash && entries[at].key_size == key.size && memcmp(entries[at].key, key.at, key.size) == 0))
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

static void grow(versions *table)
{
    size_t capacity = table->capacity * 2;
    version_entry *entries = bt_alloc(capacity * sizeof *entries);
    for (size_t i = 0; i < table->capacity; i++) {
        version_entry *old = &table->entries[i];
        if (old->key != NULL)
            *place_of(entries, capacity, (bt_str){ old->key, old->key_size }, old->hash) = *old;
    }
    bt_release(table->entries);
    table->entries = entries;
    table->capacity = capacity;
}

int64_t versions_next(versions *table, bt_str key)
{
    if ((size_t)table->count * 2 >= table->capacity)
        grow(table);
    uint64_t hash = bt_str_hash(key);
    version_entry *entry = place_of(table->entries, table->capacity, key, hash);
    if (entry->key == NULL) {
        *entry = (version_entry){ .key = bt_alloc(key.size + 1), .key_size = key.size, .hash = hash };
        memcpy(entry->key, key.at, key.size);
        table->count++;
    }
    return ++entry->version;
}
