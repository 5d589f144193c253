/* opening - how many partitions a log has: what the first records of its partitions say, not what the topic has grown to.
 *
 * Kafka lets anybody add partitions to a topic. A server that took the new number would look for every stream in another place,
 * find nothing there, and sell it all a second time. */
#ifndef BERTH_IO_KAFKA_OPENING_H
#define BERTH_IO_KAFKA_OPENING_H

#include "core/schema.h"
#include "io/kafka/config.h"

/* What io does not know of the first record, as it is generated:
 * { bt_event_decode, &log_opened_message, offsetof(struct log_opened, partition_count) }. */
typedef struct bt_opening_type {
    bool (*decode)(bt_bytes value, bt_arena *arena, bt_event *ret_event, bt_err *err);
    const bt_message_type *opened;
    size_t count_at; /* an int32_t of its struct */
} bt_opening_type;

/* *count is the topic's number before, and the log's after; it stays as it is while no partition is opened. What the topic has beyond is to be
 * left alone, and is told as topic.grown.
 *   err   BT_ERR_FATAL: the log has more than the topic, so it is another topic
 *         BT_ERR_RETRY: there are records, and none that tells could be read in time, or all partitions begin after offset 0: going on could
 *         mean a wrong number
 * Blocks: as a rule for some milliseconds, since partition 0 tells and is the only one that is asked; else for some 10 s, and 3 s for each
 * partition without a leader. */
bool bt_log_partition_count(const bt_kafka_config *config, const char *topic, const bt_opening_type *type, int32_t *count,
                            bt_err *err) BT_MUST_CHECK;

#endif
