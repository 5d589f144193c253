/* group - which partitions this node should own, as Kafka's consumer group assigns them. Nothing is read or committed by it.
 *
 * Ownership is for speed only (docs/decisions/0010): with two owners, or none, the log is still right. So a revoked
 * partition is told as soon as it is known, and nobody waits for the old owner.
 *
 * Assignment is eager (cooperative can lose partitions: librdkafka #4908, #4800). A thread of the group's own polls
 * the library, so a loop that restores a partition for minutes does not lose its membership (max.poll.interval.ms); but one that has not
 * called bt_group_poll for loop_silence_max_ms is taken for dead: the group is left, so that another node can own its partitions.
 *
 * Changes are told as differences to what was told before: a partition that came and went between two polls is not
 * told, one that went and came again is told as both. Threads: one thread, except where it says otherwise. */
#ifndef BERTH_IO_KAFKA_GROUP_H
#define BERTH_IO_KAFKA_GROUP_H

#include "io/kafka/config.h"
#include "io/kafka/wake.h"

#define BT_GROUP_PARTITIONS_MAX 1024

typedef struct bt_group bt_group;

/* Zero means the default. */
typedef struct bt_group_options {
    const char *group; /* berth-commands */
    const char *topic;
    int32_t session_timeout_ms;   /* 1,500: the time to notice that a node is gone. The broker's group.min.session.timeout.ms (6,000 unless
                                     set otherwise) bounds it from below: if refused, refused is told, and 6,000, then 30,000 is asked for */
    int32_t heartbeat_ms;         /* a third of it */
    int32_t loop_silence_max_ms;  /* 60,000 */
    const char *strategy;         /* range (default) or roundrobin */
} bt_group_options;

typedef struct bt_group_outputs {
    void *context;
    void (*assigned)(void *context, int32_t partition);
    void (*revoked)(void *context, int32_t partition);
    /* The broker takes no session time-out as short as asked_ms; the next try is with next_ms. On the group's own thread. May be NULL. */
    void (*refused)(void *context, int32_t asked_ms, int32_t next_ms);
} bt_group_outputs;

/* Joins in the background. wake may be NULL. */
bool bt_group_new(const bt_kafka_config *config, const bt_group_options *options, const bt_group_outputs *outputs,
                  bt_wake *wake, bt_group **ret_group, bt_err *err) BT_MUST_CHECK;

/* Leaves the group in the background: it is over when bt_group_others tells a number. What was assigned is told as revoked. */
void bt_group_leave(bt_group *group);
/* How many other members the group had when this one left it; 0 when no broker would say; -1: it has not left yet. Any thread. */
int bt_group_others(const bt_group *group);

/* Leaves the group, if that was not done, waiting limit_ms at most, so that the others need not wait for the session to end. Calls no output:
 * revoke what you own first. */
void bt_group_free(bt_group *group, int limit_ms);

/* Tells what has changed. Never blocks. */
void bt_group_poll(bt_group *group);

/* True if a broker answered within the last second and a half. Any thread: for readiness. */
bool bt_group_broker_answers(const bt_group *group);

/* True while this node is a member with an assignment, be it empty. Any thread: for readiness. */
bool bt_group_joined(const bt_group *group);

#endif
