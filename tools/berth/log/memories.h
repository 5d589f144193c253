/* memories - who remembers how far a partition went: the read models' positions in Postgres and Redis, and the command nodes' metrics.
 *
 * For `berth log accept-loss`: what Kafka has lost is known only to those who read it before. One thread. */
#ifndef BERTH_TOOLS_BERTH_LOG_MEMORIES_H
#define BERTH_TOOLS_BERTH_LOG_MEMORIES_H

#include "core/buf.h"
#include "core/forward.h"
#include "core/memory.h"

#define MEMORIES_MAX 64
#define MEMORY_NAME_MAX 100

typedef struct memory {
    char name[MEMORY_NAME_MAX]; /* postgres, redis, node 127.0.0.1:18091 */
    bt_forward at;              /* of a node: next_offset and time_us alone, with height 0 */
    bool decides;               /* a node that would take commands on it: it has noticed nothing */
} memory;

typedef struct memories {
    memory of[MEMORIES_MAX];
    size_t count;
    int64_t ids_from; /* first offset of ids */
    bt_buf ids;       /* 4 bytes a record, of those that Postgres still knows: the first of a valid one's id, zeroes for a void one */
} memories;

typedef struct memories_sources {
    const char *topic;
    int32_t partition;
    const char *postgres_dsn, *redis_url; /* empty: not asked */
    const char *nodes;                    /* admin addresses with commas between; empty: none is asked */
    int64_t timeout_ms;
} memories_sources;

/* Asks all that are named; one that does not answer is a failure, for it may remember most.
 *   ret_memories  release it, also after a failure */
bool memories_ask(const memories_sources *sources, memories *ret_memories, bt_err *err) BT_MUST_CHECK;
void memories_release(memories *known);

#endif
