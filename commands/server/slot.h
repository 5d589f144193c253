/* slot - one partition as the node sees it: its owner, and what the owner has asked for that must wait until the library's
 * call that is under way has returned. Private to commands/server. */
#ifndef BERTH_COMMANDS_SERVER_SLOT_H
#define BERTH_COMMANDS_SERVER_SLOT_H

#include "commands/server/node.h"
#include "commands/server/stop_hook.h"
#include "commands/snapshot/snapshot.h"
#include "io/kafka/group.h"
#include "io/kafka/producer.h"
#include "io/kafka/reader.h"
#include "io/kafka/wake.h"
#include "io/process/memory.h"

#include <pthread.h>

#define SNAPSHOT_AGAIN_US INT64_C(10000000) /* after one that could not be written: the disk may have room by then */
#define YIELD_FOR_US INT64_C(1000000) /* and up to as much again, by chance, so that two nodes do not duel in step */

typedef struct bt_slot_metrics {
    bt_gauge *phase, *height, *void_records, *next_offset, *read_offset, *log_time_s, *waiting, *in_flight, *streams, *stopped_streams, *keys, *keys_horizon_s, *open_attempts, *clock_behind_s;
    bt_counter *appends, *barriers, *drops, *takeovers, *yields, *gave_way, *key_hits, *settled, *foreign_valid, *gaps;
} bt_slot_metrics;

typedef struct bt_slot {
    bt_node *node;
    bt_owner *owner;
    int32_t partition;
    bool assigned;            /* the group gives it to this node now */
    int64_t yielded_since_us, take_again_us; /* monotonic; 0: it has not yielded */
    atomic_bool disowned;     /* whoever the log names says that it is not the owner */
    atomic_bool busy;         /* a command for it need not wake the thread */
    bool read_wanted, reading; /* read_from was asked for and not yet done; the reader runs */
    int64_t read_offset;
    bool end_wanted;
    uint64_t end_request;
    /* Fetches of single records: a ring, the oldest of which the fetching reader is at. */
    struct { uint64_t request; int64_t offset; } fetches[BT_OWNER_FETCHES_MAX];
    size_t fetch_first, fetch_count;
    bool fetching;
    int64_t fetch_started_us; /* monotonic */
    snapshot_place place;
    bool has_place;
    int64_t snapshot_height; /* of the last one loaded, or given to the writer */
    bt_owner *restored;      /* a fresh owner, being filled beside the deciding thread; NULL: none */
    pthread_t restorer;
    atomic_bool is_restored; /* it is whole, and no longer the restorer's */
    int64_t restored_height;
    atomic_bool snapshot_failed;   /* set by the writer: the last one was not written */
    int64_t snapshot_again_us;     /* monotonic: then it is tried again; 0: nothing failed */
    int64_t batch_started_us; /* monotonic: when the oldest append without a report was sent; 0: none */
    bt_owner_stats told;     /* what the metrics have been told */
    bt_slot_metrics metrics;
} bt_slot;

/* Writes one snapshot at a time beside the deciding thread. */
typedef struct bt_snapshot_writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running, stopping, busy;
    const snapshot_place *place;
    atomic_bool *failed;
    int64_t height;
    bt_buf payload;
    bt_counter *written, *failures; /* NULL: not counted */
} bt_snapshot_writer;

struct bt_node {
    bt_node_options options;
    bt_str topic;
    bt_slot *slots;
    bt_inbox inbox;
    bt_wake wake;
    bt_producer *producer;
    bt_reader *reader, *fetcher;
    bt_group *group;
    bt_append *appends; /* gathered in this round, sent at its end */
    size_t append_count, append_capacity;
    bt_arena append_bytes;
    uint32_t incarnation;
    bt_stop_hook stop_hook;
    bt_memory_watch memory;
    atomic_bool short_of_memory;
    bt_gauge *memory_limit, *memory_short;
    bt_snapshot_writer writer;
    pthread_t thread;
    pthread_mutex_t turn;   /* held while anything of the owners is touched: by the thread but for its waits, and by a submitter who decides meanwhile */
    int64_t waits_until_us; /* realtime: when the thread's wait ends by itself */
    atomic_bool stopping, leaving;
    bool left;           /* the group was told */
    bool recount;        /* what is assigned has changed since it was counted */
    bool caught_up;      /* every log was read to its end once */
    atomic_int accepting;
    atomic_int owned_count, assigned_count, lacking_count, read_only_count, behind_count; /* for readiness; lacking: assigned and not owned */
    int64_t metrics_told_us;
    bt_histogram *decide_seconds, *append_seconds, *answer_seconds, *batch_records, *snapshot_seconds;
    bt_gauge *queue_depth;
    bt_counter *answers[BT_ANSWER_KIND_COUNT], *fetches, *fetch_records;
};

/* ownership.c: who decides on a partition, and how that passes from node to node. */
void bt_ownership_begin(bt_node *node, int64_t now_us);
void bt_ownership_assigned(bt_node *node, int32_t partition, int64_t now_us);
void bt_ownership_revoked(bt_node *node, int32_t partition, int64_t now_us);
void bt_ownership_leave(bt_node *node, int64_t now_us);
/* Each round, after the owners were served: publishes where partitions are decided on, and moves on what has yielded. */
void bt_ownership_look(bt_node *node, int64_t now_us);
void bt_ownership_count(bt_node *node); /* for readiness */

void bt_slot_init(bt_slot *slot, bt_node *node, int32_t partition);
void bt_slot_release(bt_slot *slot);
/* Reads the newest snapshot that is whole into the slot's fresh owner, if there is one; before the deciding thread runs. */
void bt_slot_restore(bt_slot *slot);
/* For one that follows without state: a fresh owner is filled from the snapshot on a thread of its own, while other partitions are decided on. */
void bt_slot_renew(bt_slot *slot);
/* True, once, when that is done: the fresh owner is in the place of the other, and IDLE; or the other has become READ_ONLY, and stays. */
bool bt_slot_renewed(bt_slot *slot, int64_t now_us);
/* Hands a snapshot to the writer if one is due (or force) and can be taken now. */
void bt_slot_snapshot(bt_slot *slot, bool force);
/* Does what the owner asked of the readers since the last call. */
void bt_slot_serve(bt_slot *slot, int64_t now_us);
void bt_slot_fetched(bt_slot *slot, const bt_record *record, int64_t now_us);
void bt_slot_tell_metrics(bt_slot *slot);

bool bt_snapshot_writer_start(bt_snapshot_writer *writer, bt_err *err) BT_MUST_CHECK;
bool bt_snapshot_writer_is_busy(bt_snapshot_writer *writer);
/* Takes the payload's storage over; false if it is busy. Sets *ret_failed, later, if it could not be written. */
bool bt_snapshot_writer_give(bt_snapshot_writer *writer, const snapshot_place *place, int64_t height, bt_buf *payload, atomic_bool *ret_failed) BT_MUST_CHECK;
void bt_snapshot_writer_stop(bt_snapshot_writer *writer); /* after what it was given last is written */

#endif
