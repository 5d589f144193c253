/* acceptance - the way on for a partition that stopped because the log lost records: only when the log itself says so.  (core/loss.h)
 *
 * A stopped partition reads its log from the start, by the rule alone, and goes on listening at its end, until a LossAccepted
 * covers what the read model holds. Then all of it must be forgotten, and folded anew; or, where the read model holds nothing that was lost and had stopped
 * at what an owner of the lost records claimed, it goes on from where it is. Pure; one thread. */
#ifndef BERTH_PROJECTIONS_LOOP_ACCEPTANCE_H
#define BERTH_PROJECTIONS_LOOP_ACCEPTANCE_H

#include "projections/loop/cursor.h"

typedef enum bt_acceptance_verdict {
    BT_ACCEPTANCE_NONE,   /* read on */
    BT_ACCEPTANCE_AGAIN,  /* nothing was folded: read again from bt_acceptance_wants */
    BT_ACCEPTANCE_FORGET, /* what is stored holds what was given up */
    BT_ACCEPTANCE_RESUME, /* what is stored stands, and what contradicted it was given up */
} bt_acceptance_verdict;

typedef struct bt_acceptance {
    bt_loss_search search;
    bt_position remembered;
    bt_loss claim, used;
    bt_loss loss; /* after FORGET or RESUME */
} bt_acceptance;

/* remembered is what is stored, claim and used the cursor's: an acceptance that led here already is none of what contradicts since. */
void bt_acceptance_begin(bt_acceptance *acceptance, const bt_position *remembered, const bt_loss *claim, const bt_loss *used);
static inline int64_t bt_acceptance_wants(const bt_acceptance *acceptance) { return acceptance->search.at.next_offset; }
bt_acceptance_verdict bt_acceptance_step(bt_acceptance *acceptance, const bt_record *record);

#endif
