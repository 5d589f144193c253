/* versions - the version that each stream of a partition has got to: a hash table by key. Not thread-safe. */
#ifndef BERTH_TOOLS_BERTH_LOG_VERSIONS_H
#define BERTH_TOOLS_BERTH_LOG_VERSIONS_H

#include "core/base.h"

typedef struct version_entry {
    char *key; /* NULL: free */
    size_t key_size;
    uint64_t hash;
    int64_t version;
} version_entry;

typedef struct versions {
    version_entry *entries;
    size_t capacity; /* a power of two */
    int64_t count;
} versions;

void versions_init(versions *table);
void versions_release(versions *table);

/* Counts the stream's version up, and returns it: 1 for a key that was not seen before. */
int64_t versions_next(versions *table, bt_str key);

#endif
