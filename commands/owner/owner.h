/* owner - the writer of one partition, as a state machine without I/O.
 *
 * It is told what happened (a command came, a delivery report, records read back, the log's end, time passed) and says
 * what to do (append, read, ask for the end, answer, save). It never blocks, reads no clock and starts no thread: the
 * server drives it with a real log, the simulation with a simulated one, and both run this same code.
 *
 * What it promises (DESIGN section 2, "The writer of a partition"; clause numbers are those of the design):
 *   - an accepted command is answered only when its record is proved valid (3), and exactly one record was valid for it;
 *   - a refusal, an "already" and a repeat's answer are released only when a record first sent after the command
 *     arrived is proved (4), so a cut-off owner releases none;
 *   - no outcome stays unknown while the partition can be written (6);
 *   - with two owners, or a paused one that wakes up, all of this still holds: ownership is for speed only (1).
 *
 *   assigned ──▶ RESTORING ──log end reached──▶ TAKING_OVER ──own OwnerTookOver proved──▶ OWNING
 *                    ▲   ▲                                                                │  │
 *                    │   └───────── a gap, an error, a time-out: drop the pipeline ───────┘  │
 *   revoked ──▶ IDLE │                                     foreign OwnerTookOver folded ──▶ YIELDED (until assigned again)
 *                                  a lost suffix, a contradiction, a failed comparison ──▶ READ_ONLY (alarm)
 *
 * Threads: all functions of one owner from one thread at a time. Memory: streams' states, the key memory (32 bytes a
 * key, BT_OWNER_KEYS_MAX at most), one undo frame a record in flight. Outputs are called from inside the inputs and
 * must not call back into the owner. */
#ifndef BERTH_COMMANDS_OWNER_OWNER_H
#define BERTH_COMMANDS_OWNER_OWNER_H

#include "commands/decider.h"

typedef struct bt_owner bt_owner;

typedef enum bt_owner_phase {
    BT_OWNER_IDLE,
    BT_OWNER_RESTORING,
    BT_OWNER_TAKING_OVER,
    BT_OWNER_OWNING,
    BT_OWNER_YIELDED,
    BT_OWNER_READ_ONLY,
} bt_owner_phase;

#define BT_OWNER_KEYS_MAX 4000000                       /* valid records whose keys are remembered */
#define BT_OWNER_KEYS_TTL_US (INT64_C(24) * 3600000000) /* of log time */
#define BT_OWNER_REDECIDE_MAX 5
#define BT_OWNER_BARRIER_AFTER_US 2000
#define BT_OWNER_BARRIER_EVERY_US 10000

/* What a waiting command is told. Everything is borrowed until the answer output returns. */
typedef enum bt_answer_kind {
    BT_ANSWER_ACCEPTED,      /* proved: body is the decider's render of the record */
    BT_ANSWER_REPEATED,      /* the same key and body as a valid record: the same body again */
    BT_ANSWER_ALREADY,       /* already so; body from render */
    BT_ANSWER_REFUSED,       /* verdict and detail say why */
    BT_ANSWER_KEY_REUSED,    /* the key was used with another body: 422 */
    BT_ANSWER_UNAVAILABLE,   /* 503: not decided, or not settled in time; the same key may be tried again */
    BT_ANSWER_NOT_OWNER,     /* pass it on, or 503 */
    BT_ANSWER_STREAM_STOPPED,/* an event of this stream is not understood by this binary: 503 */
    BT_ANSWER_TOO_LARGE,     /* the event would pass the record limit: 5xx, nothing was sent */
} bt_answer_kind;

typedef struct bt_answer {
    bt_answer_kind kind;
    int32_t verdict;         /* of ACCEPTED, ALREADY, REFUSED */
    int64_t version;         /* of the stream, after the event */
    int64_t offset;          /* of the proved record (ACCEPTED, REPEATED); else of the last proved one */
    bt_id id;                /* of that record: its first 4 bytes go into Berth-Position */
    const bt_message_type *event_type; /* of ACCEPTED, REPEATED, ALREADY */
    bt_str body;             /* JSON object members without braces */
    bt_str detail, field, members; /* of REFUSED: see bt_decision */
} bt_answer;

typedef struct bt_owner_outputs {
    void *context;
    /* Append this record to the partition. attempt grows by one each call; generation names the pipeline. Copy the bytes. */
    void (*append)(void *context, uint64_t generation, uint64_t attempt, bt_str key, bt_bytes value, int64_t time_us);
    /* Deliver records from this offset on, in order, until told otherwise (bt_owner_on_records). */
    void (*read_from)(void *context, int64_t offset);
    /* Ask the broker for the partition's end (high watermark); answer with bt_owner_on_log_end(request). */
    void (*ask_end)(void *context, uint64_t request);
    /* token is what bt_owner_on_command was given; each is answered exactly once. */
    void (*answer)(void *context, void *token, const bt_answer *answer);
    /* Fill with random bytes: nonces and log ids. The simulation gives seeded ones. */
    void (*random)(void *context, void *at, size_t size);
    /* Something that an operator must see: constant dotted name, text. */
    void (*alarm)(void *context, const char *name, const char *text);
} bt_owner_outputs;

typedef struct bt_owner_config {
    const bt_decider *decider;
    const void *decider_settings;
    bt_str topic, node, address, registry;
    int32_t partition, partition_count;
    int32_t waiting_max;         /* commands waiting to be decided or answered; over it: UNAVAILABLE at once */
    int32_t batch_max;           /* records a batch; what arrives while a batch is in flight is the next one */
    int32_t batches_in_flight_max;
    int64_t append_timeout_us;   /* without a report for so long, the pipeline is dropped */
    int64_t command_timeout_us;  /* a client waits no longer: UNAVAILABLE; the pipeline is not dropped for it */
    int64_t keys_max, keys_ttl_us;
} bt_owner_config;

bt_owner *bt_owner_new(const bt_owner_config *config, const bt_owner_outputs *outputs);
void bt_owner_free(bt_owner *owner); /* commands still waiting must have been answered: see bt_owner_on_revoked */

/* Inputs. now_us is the node's clock; it may jump. */
void bt_owner_on_assigned(bt_owner *owner, int64_t now_us);
void bt_owner_on_revoked(bt_owner *owner, int64_t now_us); /* answers what waits with NOT_OWNER or, in flight, UNAVAILABLE */
void bt_owner_on_command(bt_owner *owner, const bt_command *command, void *token, int64_t now_us);
/* error: 0 none; offset < 0: unknown. From the pipeline generation that appended it; late reports of old ones are fine. */
void bt_owner_on_report(bt_owner *owner, uint64_t generation, uint64_t attempt, int error, int64_t offset, int64_t now_us);
void bt_owner_on_records(bt_owner *owner, const bt_record *records, size_t record_count, int64_t now_us);
void bt_owner_on_log_end(bt_owner *owner, uint64_t request, int64_t end_offset, int64_t now_us);
void bt_owner_on_tick(bt_owner *owner, int64_t now_us);  /* at least every bt_owner_next_tick_us */
void bt_owner_on_batch_end(bt_owner *owner, int64_t now_us); /* the driver has no more commands at hand: decide and append what waits */
int64_t bt_owner_next_tick_us(const bt_owner *owner);

bt_owner_phase bt_owner_phase_of(const bt_owner *owner);
/* Counters and positions for metrics; see the struct's fields. */
typedef struct bt_owner_stats bt_owner_stats;
void bt_owner_stats_of(const bt_owner *owner, bt_owner_stats *ret_stats);

/* Snapshot of the proved state; only while nothing is in flight (else false, BT_ERR_RETRY). See commands/snapshot. */
bool bt_owner_save(const bt_owner *owner, bt_buf *out, bt_err *err) BT_MUST_CHECK;
/* Into a fresh, IDLE owner; after a failure it is as fresh as before. The log is checked against it on restore. */
bool bt_owner_load(bt_owner *owner, bt_bytes saved, bt_err *err) BT_MUST_CHECK;
/* Digest of the proved state of all streams, as in the decider's digest. */
bt_id bt_owner_digest(const bt_owner *owner);

#endif
