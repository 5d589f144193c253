/* node - the owners of this node's partitions of one topic, and the one thread that drives them with a real log.
 *
 * The thread waits at once for commands (inbox), delivery reports (producer), records read back (reader), assignments (group) and
 * time, tells the owners, and does what they say. HTTP threads only parse before and write after; but while the thread sleeps and
 * no other command is on the node, whoever submits one decides and appends in the thread's place, for to wake it takes longer than that.
 * One has the turn at a time. A batch is what arrived while the last one was in flight; a lone command is appended at once.
 *
 * Nothing here assumes that this node is alone: partitions come and go by the group, and the log settles the rest. A partition that is
 * not this node's is followed: its log is folded all the same (or its heads and takeovers alone), so that the node knows who owns it, and
 * takes it over without a restore. A partition that the group gives to another is decided on here until the other has taken over:
 * ownership.c says how it passes. */
#ifndef BERTH_COMMANDS_SERVER_NODE_H
#define BERTH_COMMANDS_SERVER_NODE_H

#include "commands/forward/directory.h"
#include "commands/owner/owner.h"
#include "commands/server/digest_desk.h"
#include "commands/server/inbox.h"
#include "io/kafka/config.h"
#include "io/metrics/metrics.h"

typedef struct bt_node bt_node;
typedef struct bt_submission bt_submission;

/* A command on its way. The submitter's memory until answered. */
struct bt_submission {
    bt_inbox_item item; /* first */
    bt_command command;
    int32_t partition;
    int64_t submitted_mono_us;
    /* Called once, on the node's thread or inside of some bt_node_submit; must not block, nor submit. answer is borrowed until it returns. */
    void (*answered)(bt_submission *submission, const bt_answer *answer);
};

/* 0 means the default in brackets. Texts are borrowed for the node's life. */
typedef struct bt_node_options {
    const bt_decider *decider;
    const void *decider_settings;
    bt_kafka_config kafka;
    const char *topic, *group, *node, *address;
    bt_directory *directory;       /* where each partition is decided on; this node writes it */
    void (*routes_changed)(void *context); /* after each change of it, as `answered` is called; must not block */
    void *context;
    bool standby;                  /* partitions of others are folded whole */
    bool own_all;                  /* tests only: owns every partition, whatever the group says */
    const char *snapshot_folder;   /* NULL or "": none are read or written */
    int64_t snapshot_every;        /* valid records of a partition between two snapshots [200,000] */
    int32_t partition_count;       /* of the log, as LogOpened says; the topic may have more */
    int32_t waiting_max;           /* commands on the node, not yet answered [8,192] */
    int32_t batch_max, batches_in_flight_max, gather_us, barrier_every_us;
    int32_t message_timeout_ms, session_timeout_ms;
    int64_t command_timeout_us;
    int64_t memory_max;            /* bytes of resident memory [what the system allows]: see io/process/memory.h */
    const char *stop_at;           /* tests only, see stop_hook.h [never] */
    int64_t stop_after;            /* [1] */
    bool event_headers;            /* records carry the CloudEvents attributes: event_headers.h [false] */
    bt_digest_desk *digest_desk;   /* served by the deciding thread, closed at its end [none] */
    bt_metrics *metrics;
} bt_node_options;

/* Starts the thread; does not wait for a broker. */
bool bt_node_start(const bt_node_options *options, bt_node **ret_node, bt_err *err) BT_MUST_CHECK;

/* Any thread. False: full, short of memory, or stopping; nothing was queued and answered will not be called. */
bool bt_node_submit(bt_node *node, bt_submission *submission) BT_MUST_CHECK;

/* From 90 % of the memory that it may have on: commands are refused, what runs goes on. Any thread. */
bool bt_node_is_short_of_memory(bt_node *node);

/* A node that the log names as the partition's owner says that it is not. If the group gives the partition to this node, it takes over
 * now instead of some seconds later. Any thread. */
void bt_node_disowned(bt_node *node, int32_t partition);

/* Ready: a broker answers, joined, every partition that it was assigned is owned, and the others' logs have been read to their ends
 * once. reason is filled in both cases. Any thread. */
bool bt_node_is_ready(bt_node *node, char *ret_reason, size_t reason_size);

/* Leaves the group, and goes on deciding until the others have taken over all its partitions: at most limit_ms, and not at all when it is
 * alone. Commands are still taken, and passed on. True if there is another node for clients to go to. */
bool bt_node_leave(bt_node *node, int limit_ms);

/* Answers what waits, writes snapshots, leaves the group; within limit_ms. The HTTP front must have been stopped. */
void bt_node_stop(bt_node *node, int limit_ms);

#endif
