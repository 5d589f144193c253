/* loss - when a reader whose log was cut back may go on: only when the log itself says so.  (docs/protocol.md section 1.5, clause 7)
 *
 * Kafka can lose acknowledged records (an unclean election, power loss of all replicas). Who remembers a later head than the log
 * holds stops: going on would be as if nothing had happened. The way out is a record: LossAccepted (schemas/log), appended
 * under the rule by `berth log accept-loss`, which gives up the offsets [from, to). A reader that has stopped searches the log
 * from its start for one that covers what it remembers, and then forgets all of it and folds the log again.
 *
 * An acceptance covers a memory if and only if
 *   - all that was remembered lies below `to`, and something of it at `from` or above;
 *   - whatever is remembered of below `from` stands there still: no deeper loss hides behind this one, and it is the same log;
 *   - its log time is later than the remembered one. Who has folded an acceptance has at least its time, so none is used twice:
 *     a second loss needs a second one. (That time is after all that is known of the lost records is the writer's business.)
 *
 * Why offsets and log time are enough, and no log's id stands in it:
 *   - Another partition, another topic: an acceptance counts where it is valid, and there it names its own log's head as its parent.
 *   - A clock that goes back, by an hour say: log time does not. What stands behind an acceptance in the log has its time or a later one, so whoever remembers
 *     that is not covered by it, whatever his clock says; and the writer gives it a time later than the log's own. A clock that is ahead can only make
 *     a memory later than the acceptance: then nothing matches, which is safe, and a second one, later, does.
 *   - A topic that was made anew, or a loss below `from`: another log stands there, and an acceptance of that log's own losses may by chance span
 *     the offsets and times of the old one's memory. That is what the second clause is for. An owner knows its last 256 valid records and the id of
 *     the log; a projector what it has read since it started. Who comes from disk with its head alone (a projector that was
 *     restarted meanwhile) sees no deeper loss if its head stood at `from` or above: there it is the writer who has compared every record
 *     that Postgres remembers (tools/berth/log/accept_loss.c), and gives up from the first that differs.
 *
 * Pure, no allocation; one thread. */
#ifndef BERTH_CORE_LOSS_H
#define BERTH_CORE_LOSS_H

#include "core/forward.h"

typedef struct bt_loss {
    int64_t from, to; /* the offsets that are given up: [from, to) */
    int64_t time_us;  /* meta.time of the record that gives them up */
} bt_loss;

#define BT_LOSS_KNOWN_MAX 256

/* A valid record that is remembered. */
typedef struct bt_loss_known {
    int64_t offset;
    bt_id id;
} bt_loss_known;

typedef struct bt_loss_search {
    bt_forward at;         /* the log as it stands, folded from its start; next_offset: what to read next */
    bt_forward remembered;
    int64_t head_offset;   /* where the remembered head stood; -1: nothing valid is remembered */
    bool head_stands;      /* it stands there, and is valid */
    bt_loss_known known[BT_LOSS_KNOWN_MAX]; /* by offset; the head too */
    size_t known_count, met_count; /* met: their offsets have been read */
    int64_t gone_from;     /* the first of those that does not stand any more; INT64_MAX: none so far */
} bt_loss_search;

/* Begins at the start of the log: the next record to give it is that at offset 0. */
void bt_loss_search_begin(bt_loss_search *search, const bt_forward *remembered, int64_t head_offset);

/* Right after the beginning: the last valid records that are remembered besides the head, in the order of their offsets, all below it.
 * More than BT_LOSS_KNOWN_MAX - 1: the last of them. */
void bt_loss_search_knows(bt_loss_search *search, const bt_loss_known *known, size_t known_count);

/* Something else is remembered of this offset than what was just read there (the log's own id). */
void bt_loss_search_contradicts(bt_loss_search *search, int64_t offset);

/* Folds the next record; JUMP: nothing was folded, give it the one at at.next_offset. After VALID, whose key is @log and whose
 * event is a LossAccepted, the caller asks bt_loss_search_covers. */
bt_forward_verdict bt_loss_search_step(bt_loss_search *search, const bt_record *record);

/* Whether what an owner claims to have proved, up to claim->to at claim->time_us, is among what was given up. */
bool bt_loss_gives_up(const bt_loss *loss, const bt_loss *claim);

/* Whether the acceptance that was folded last lets this reader go on. */
bool bt_loss_search_covers(const bt_loss_search *search, const bt_loss *loss);

#endif
