/* loss - when a reader whose log was cut back may go on: only when the log itself says so.  (docs/protocol.md section 1.5, clause 7)
 *
 * Kafka can lose acknowledged records (an unclean election, power loss of all replicas). Who remembers a later head than the log
 * holds stops: going on would be as if nothing had happened. The way out is a record: LossAccepted (schemas/log), appended
 * under the rule by `berth log accept-loss`, which gives up the offsets [from, to). A reader that has stopped searches the log
 * from its start for one that covers what it remembers, and then forgets all of it and folds the log again.
 *
 * An acceptance covers a memory if and only if
 *   - all that was remembered lies below `to`, and something of it at `from` or above;
 *   - a remembered head that stood below `from` stands there still: no deeper loss hides behind this one;
 *   - its log time is later than the remembered one. Who has folded an acceptance has at least its time, so none is used twice:
 *     a second loss needs a second one. (That time is after all that is known of the lost records is the writer's business.)
 *
 * Pure, no allocation; one thread. */
#ifndef BERTH_CORE_LOSS_H
#define BERTH_CORE_LOSS_H

#include "core/forward.h"

typedef struct bt_loss {
    int64_t from, to; /* the offsets that are given up: [from, to) */
    int64_t time_us;  /* meta.time of the record that gives them up */
} bt_loss;

typedef struct bt_loss_search {
    bt_forward at;         /* the log as it stands, folded from its start; next_offset: what to read next */
    bt_forward remembered;
    int64_t head_offset;   /* where the remembered head stood; -1: nothing valid is remembered */
    bool head_stands;      /* it stands there, and is valid */
} bt_loss_search;

/* Begins at the start of the log: the next record to give it is that at offset 0. */
void bt_loss_search_begin(bt_loss_search *search, const bt_forward *remembered, int64_t head_offset);

/* Folds the next record; JUMP: nothing was folded, give it the one at at.next_offset. After VALID, whose key is @log and whose
 * event is a LossAccepted, the caller asks bt_loss_search_covers. */
bt_forward_verdict bt_loss_search_step(bt_loss_search *search, const bt_record *record);

/* Whether what an owner claims to have proved, up to claim->to at claim->time_us, is among what was given up. */
bool bt_loss_gives_up(const bt_loss *loss, const bt_loss *claim);

/* Whether the acceptance that was folded last lets this reader go on. */
bool bt_loss_search_covers(const bt_loss_search *search, const bt_loss *loss);

#endif
