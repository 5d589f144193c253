/* owner - the writer of one partition, as a state machine without I/O.
 *
 * It is told what happened (a command came, a delivery report, records read back, the log's end, time passed) and says
 * what to do (append, read, ask for the end, answer). It never blocks, reads no clock and starts no thread: the
 * server drives it with a real log, the simulation with a simulated one, and both run this same code.
 *
 * What it promises (docs/protocol.md section 1.5, whose clauses the numbers are):
 *   - an accepted command is answered only when its record is proved valid (3), and exactly one record was valid for it;
 *   - a refusal, an "already" and a repeat's answer are released only when a record first sent after the command
 *     arrived is proved (4), so a cut-off owner releases none;
 *   - no outcome stays unknown while the partition can be written (6);
 *   - with two owners, or a paused one that wakes up, all of this still holds: ownership is for speed only (1).
 *
 *   assigned ──▶ RESTORING ──log end reached──▶ TAKING_OVER ──own OwnerTookOver proved──▶ OWNING
 *                                                  │     ▲                                │  ▲
 *                                 an error, a time-out, a foreign valid record: drop the pipeline
 *                                                  ▼     │                                ▼  │
 *                                               RECOVERING ──log end reached, open appends sent again, or a barrier
 *   revoked ──▶ IDLE                                   foreign OwnerTookOver folded ──▶ YIELDED (until assigned again)
 *                                  a lost suffix, a contradiction, a failed comparison ──▶ READ_ONLY (alarm) ──▶ IDLE, only when
 *                                        the log holds a LossAccepted that covers what was proved (core/loss.h): all is folded anew
 *   told to follow ──▶ FOLLOWING: folds what others write, decides nothing ──assigned──▶ RESTORING, with little left to read
 *
 * Handing over: an owner that reads another node's takeover which its own appends have made void holds its decisions for
 * give_way_us, so that the other's next try is valid. So a partition moves under any load, and its commands wait for some ms.
 *
 * The driver's loop: hand over all inputs that are at hand, then call bt_owner_on_batch_end once: that decides and
 * appends. Sleep until an input comes or bt_owner_next_tick_us, then bt_owner_on_tick and bt_owner_on_batch_end.
 *
 * Threads: all functions of one owner from one thread at a time. Memory: streams' states, the key memory (about 48 bytes
 * a key, BT_OWNER_KEYS_MAX at most), one undo frame a record in flight. Outputs are called from inside the inputs and
 * must not call back into the owner. */
#ifndef BERTH_COMMANDS_OWNER_OWNER_H
#define BERTH_COMMANDS_OWNER_OWNER_H

#include "commands/decider.h"

typedef struct bt_owner bt_owner;

typedef enum bt_owner_phase {
    BT_OWNER_IDLE,        /* not assigned */
    BT_OWNER_RESTORING,   /* folding the log to its end */
    BT_OWNER_TAKING_OVER, /* its LogOpened or OwnerTookOver is on the way */
    BT_OWNER_OWNING,      /* decides and answers */
    BT_OWNER_RECOVERING,  /* after an error, a time-out or a foreign record: folding to the end before it appends again */
    BT_OWNER_YIELDED,     /* another node took over: follows the log, decides nothing */
    BT_OWNER_READ_ONLY,   /* the log is not what was proved: nothing is appended until the log itself says that the loss is accepted */
    BT_OWNER_FOLLOWING,   /* not assigned: folds the log, knows who owns, decides nothing */
} bt_owner_phase;

const char *bt_owner_phase_name(bt_owner_phase phase);

#define BT_OWNER_KEYS_MAX 4000000                       /* valid records whose keys are remembered */
#define BT_OWNER_KEYS_TTL_US (INT64_C(24) * 3600000000) /* of log time */
#define BT_OWNER_REDECIDE_MAX 5
#define BT_OWNER_BARRIER_AFTER_US 2000
#define BT_OWNER_BARRIER_EVERY_US 10000
#define BT_OWNER_FETCHES_MAX 64
/* Room that a value leaves in a broker's message.max.bytes for key, headers and batch overhead. */
#define BT_OWNER_VALUE_MAX (BT_RECORD_VALUE_MAX - 4096)

/* What a waiting command is told. Everything is borrowed until the answer output returns. */
typedef enum bt_answer_kind {
    BT_ANSWER_ACCEPTED,       /* proved: body is the decider's render of the record */
    BT_ANSWER_REPEATED,       /* the same key and body as a valid record: the same body again */
    BT_ANSWER_ALREADY,        /* already so; body from render */
    BT_ANSWER_REFUSED,        /* verdict and detail say why */
    BT_ANSWER_KEY_REUSED,     /* the key was used with another body: 422 */
    BT_ANSWER_UNAVAILABLE,    /* 503: not decided, or not settled in time; the same key may be tried again */
    BT_ANSWER_NOT_OWNER,      /* pass it on with the same key, or 503 */
    BT_ANSWER_STREAM_STOPPED, /* an event of this stream is not understood by this binary: 503 */
    BT_ANSWER_TOO_LARGE,      /* the event would pass the record limit or a ceiling of its schema: 5xx, nothing was sent */
} bt_answer_kind;
#define BT_ANSWER_KIND_COUNT 9

typedef struct bt_answer {
    bt_answer_kind kind;
    int32_t verdict;         /* of ACCEPTED, ALREADY, REFUSED: a row of decider->verdicts */
    bool not_applied;        /* of UNAVAILABLE, NOT_OWNER, TOO_LARGE: true: no attempt of this call is or will be valid. false: unknown */
    int64_t version;         /* of the stream, after the event */
    int64_t offset;          /* of the proved record (ACCEPTED, REPEATED); else of the last proved one; -1: none */
    bt_id id;                /* of that record: its first 4 bytes go into Berth-Position */
    const bt_message_type *event_type; /* of ACCEPTED, REPEATED, ALREADY */
    bt_str body;             /* JSON object members without braces */
    bt_str detail, field, members; /* of REFUSED: see bt_decision */
} bt_answer;

typedef struct bt_owner_outputs {
    void *context;
    /* Append this record to the partition. attempt grows by one each call; generation names the pipeline. Copy the bytes.
     * Appends of one generation must reach the log in this order (an idempotent producer does that). */
    void (*append)(void *context, uint64_t generation, uint64_t attempt, bt_str key, bt_bytes value, int64_t time_us);
    /* Deliver records from this offset on, in order, up to the high watermark, until told otherwise (bt_owner_on_records). */
    void (*read_from)(void *context, int64_t offset);
    /* Ask the broker for the partition's end (high watermark); answer with bt_owner_on_log_end(request). A newer request
     * replaces an older one. */
    void (*ask_end)(void *context, uint64_t request);
    /* Read the one record at this offset, for a repeat's answer or to see that it is still there; answer with bt_owner_on_fetched(request), each once, also after a
     * revocation. At most config.fetches_max are outstanding. */
    void (*fetch_one)(void *context, uint64_t request, int64_t offset);
    /* token is what bt_owner_on_command was given; each is answered exactly once. */
    void (*answer)(void *context, void *token, const bt_answer *answer);
    /* Fill with random bytes: nonces, log ids, jitter. The simulation gives seeded ones. */
    void (*random)(void *context, void *at, size_t size);
    /* Something that an operator must see: constant dotted name, text. */
    void (*alarm)(void *context, const char *name, const char *text);
    /* A loss was accepted: snapshots saved before are of a log that is no more, and must go. May be NULL. */
    void (*forget_saved)(void *context);
} bt_owner_outputs;

/* Texts are borrowed for the owner's life. 0 in a number means the default in brackets. */
typedef struct bt_owner_config {
    const bt_decider *decider;
    const void *decider_settings;
    bt_str topic, node, address, registry;
    int32_t partition, partition_count;
    int32_t waiting_max;           /* commands not yet answered; over it: UNAVAILABLE at once [10000] */
    int32_t batch_max;             /* records a batch; what arrives while a batch is in flight is the next one [500] */
    int32_t batches_in_flight_max; /* [1] */
    int32_t crowd_min;             /* records of a batch that make a crowd [16]: after a smaller one, no command waits for company */
    int32_t gather_us;             /* a crowd's next batch waits so long for company; 0: never [0] */
    int32_t redecide_max;          /* [BT_OWNER_REDECIDE_MAX] */
    int32_t fetches_max;           /* [BT_OWNER_FETCHES_MAX] */
    int64_t append_timeout_us;     /* without a report or a record read back for so long, the pipeline is dropped [12 s] */
    int64_t command_timeout_us;    /* a client waits no longer: UNAVAILABLE; the pipeline is not dropped for it [30 s] */
    int64_t barrier_after_us, barrier_every_us; /* a refusal waits so long for a proof, then a barrier is appended, no more often than that [2 ms, 10 ms] */
    int64_t probe_after_us;        /* the first record after so long without one: the head of before is read back (probe.c); the pace of tries [1 s] */
    int64_t give_way_us;           /* held back at most so long, once each second at most, for another node's takeover [250 ms] */
    int64_t keys_max, keys_ttl_us; /* [BT_OWNER_KEYS_MAX, BT_OWNER_KEYS_TTL_US] */
} bt_owner_config;

bt_owner *bt_owner_new(const bt_owner_config *config, const bt_owner_outputs *outputs);
void bt_owner_free(bt_owner *owner); /* commands still waiting must have been answered: see bt_owner_on_revoked. NULL is fine */

/* What became of an append. */
typedef enum bt_append_result {
    BT_APPEND_DONE,     /* it is in the log; offset says where, or is negative when unknown */
    BT_APPEND_UNKNOWN,  /* an error or a time-out: it may or may not be, or come to be, in the log */
    BT_APPEND_REJECTED, /* the broker will never take this record: too large, a time from the future, not authorised */
} bt_append_result;

/* Inputs. now_us is the node's clock (microseconds since 1970); it may jump either way. */
/* From IDLE, FOLLOWING (with its state) or YIELDED; in any other phase it changes nothing. A partition that yielded and that the group still gives to
 * this node is to be assigned anew after some seconds: the other's takeover may have been a zombie's last. */
void bt_owner_on_assigned(bt_owner *owner, int64_t now_us);
void bt_owner_on_revoked(bt_owner *owner, int64_t now_us);  /* answers what waits with NOT_OWNER or, in flight, UNAVAILABLE */
/* Follows the log from what is proved on, as an owner that is not assigned; from any phase but READ_ONLY, answering what waits as
 * on_revoked does. with_state: all is folded, and being assigned later needs no restore. Without, only heads and takeovers are,
 * so that bt_owner_routed_to is true: it takes next to no memory, the state goes, and to be assigned takes a fresh owner. */
void bt_owner_on_follow(bt_owner *owner, bool with_state, int64_t now_us);
/* command is borrowed until its answer. */
void bt_owner_on_command(bt_owner *owner, const bt_command *command, void *token, int64_t now_us);
/* generation and attempt are those of the append; late reports of old generations are fine. */
void bt_owner_on_report(bt_owner *owner, uint64_t generation, uint64_t attempt, bt_append_result result, int64_t offset, int64_t now_us);
/* The producer was made anew: what was in flight has no report to wait for, and may still land late. */
void bt_owner_on_producer_lost(bt_owner *owner, int64_t now_us);
/* Records as read, below the high watermark, in order. Borrowed until return. */
void bt_owner_on_records(bt_owner *owner, const bt_record *records, size_t record_count, int64_t now_us);
void bt_owner_on_log_end(bt_owner *owner, uint64_t request, int64_t end_offset, int64_t now_us);
/* The reader has stopped: its place is not in the log, or what is there cannot be read. It is told where to read again, at most once a second. */
void bt_owner_on_unreadable(bt_owner *owner, int64_t now_us);
/* record NULL: it could not be read; the command is told UNAVAILABLE. */
void bt_owner_on_fetched(bt_owner *owner, uint64_t request, const bt_record *record, int64_t now_us);
void bt_owner_on_tick(bt_owner *owner, int64_t now_us);      /* time-outs, deadlines, barriers; at bt_owner_next_tick_us or before */
void bt_owner_on_batch_end(bt_owner *owner, int64_t now_us); /* no more inputs at hand: decide and append what waits */
/* A command that comes now would not be decided before a report, a record or bt_owner_next_tick_us: a batch is in flight, or waits for
 * company. The driver need not wake for it. */
bool bt_owner_is_busy(const bt_owner *owner);
int64_t bt_owner_next_tick_us(const bt_owner *owner);        /* on the node's clock; INT64_MAX: nothing is timed */

bt_owner_phase bt_owner_phase_of(const bt_owner *owner);
/* True when it could be assigned: it was not told to follow without its state. Also while READ_ONLY: a fresh owner in its place
 * would not know what was lost. */
bool bt_owner_has_state(const bt_owner *owner);
/* Who the log says decides: the last valid OwnerTookOver. Empty before the first. Borrowed until the next input. */
void bt_owner_routed_to(const bt_owner *owner, bt_str *ret_node, bt_str *ret_address);

/* Inside the append output only: the command that this record was decided for, as it waits; NULL: the owner's own record (a deadline, a
 * barrier, a takeover), or one that is sent again when nobody waits for it any more. */
const bt_command *bt_owner_appending(const bt_owner *owner);

/* Positions as they stand, and counters since bt_owner_new. */
typedef struct bt_owner_stats {
    bt_forward proved;       /* next_offset, height, void_count, time_us, head */
    int64_t read_offset;     /* how far the tail was read and compared */
    size_t waiting_count;    /* commands not yet answered */
    size_t queued_count;     /* of them, not yet decided */
    size_t in_flight_count;  /* records appended and not proved */
    size_t open_count;       /* dropped appends whose outcome is not settled */
    size_t stream_count, stopped_count, ended_count;
    size_t key_count;
    bool caught_up;          /* it has read to where the log ended when it last began to read */
    int64_t keys_horizon_us; /* log time over which keys are remembered now */
    uint64_t answers[BT_ANSWER_KIND_COUNT];
    uint64_t appends, resends, barriers, deadlines; /* records sent, sent again, barriers and deadline events among the first */
    uint64_t proofs_by_report, proofs_by_reading;
    uint64_t takeovers, yields; /* of this node */
    uint64_t gave_way;       /* times that decisions were held back for another's takeover */
    uint64_t foreign_valid;  /* valid records of others folded while OWNING, TAKING_OVER or RECOVERING */
    uint64_t drops;          /* recoveries begun */
    uint64_t gaps;           /* reports with an offset past the next: holes read */
    uint64_t settled;        /* attempts found to be void for good */
    uint64_t key_hits;       /* commands whose key was remembered or in flight */
    uint64_t redecided, jumps, compared;
    uint64_t probes;         /* heads of before a silence that were asked for again */
    uint64_t losses_accepted; /* times that all was forgotten and folded anew, as the log said so */
} bt_owner_stats;
void bt_owner_stats_of(const bt_owner *owner, bt_owner_stats *ret_stats);

/* Snapshot of the proved state, keys included; only while nothing is in flight (else false, BT_ERR_RETRY). */
bool bt_owner_save(const bt_owner *owner, bt_buf *out, bt_err *err) BT_MUST_CHECK;
/* Into a fresh, IDLE owner; after a failure (BT_ERR_INPUT: damaged, or of another topic, partition, registry or schema
 * set) it is as fresh as before, and folds the whole log. What is loaded is checked against the log on restore: a log
 * that no longer holds the snapshot's head has lost records, and the owner turns READ_ONLY. */
bool bt_owner_load(bt_owner *owner, bt_bytes saved, bt_err *err) BT_MUST_CHECK;
/* Digest of the state of all streams in order of their ids, as docs/protocol.md says; with nothing in flight it is that
 * of the proved state, equal for every reader that folded as far. */
bt_id bt_owner_digest(const bt_owner *owner);

#endif
