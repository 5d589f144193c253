/* recover - how an owner comes to own, and gets back to owning when something went wrong.
 *
 * Restore and recovery are one movement: ask for the log's end, fold up to it, then append. What differs is what is
 * appended: an OwnerTookOver; or, byte for byte, what was in flight, since two copies of one record cannot both be
 * valid; or a barrier, when one of them can never be written. Whichever valid record comes next on the proved head
 * settles every open attempt (clause 6). */
#include "commands/owner/internal.h"

static void put_question(bt_owner *owner)
{
    owner->end_asked = owner->timer;
    owner->outputs.ask_end(owner->outputs.context, owner->end_request);
}

void owner_ask_end(bt_owner *owner)
{
    owner->end_awaited = true;
    owner->end_request++;
    put_question(owner);
}

/* None the first time, then doubling, half of it at random so that two owners do not meet again. */
static int64_t backoff_us(bt_owner *owner, int32_t times)
{
    if (times <= 1)
        return 0;
    int32_t doublings = times - 2 > 8 ? 8 : times - 2;
    int64_t full = (int64_t)BACKOFF_FIRST_US << doublings;
    full = full > BACKOFF_LAST_US ? BACKOFF_LAST_US : full;
    uint64_t random;
    owner->outputs.random(owner->outputs.context, &random, sizeof random);
    return full / 2 + (int64_t)(random % (uint64_t)(full / 2));
}

static void ask_end_after(bt_owner *owner, int64_t delay_us)
{
    owner->end_awaited = false;
    owner->end_target = -1;
    owner->end_after = owner->timer + delay_us;
    if (delay_us == 0)
        owner_ask_end(owner);
}

/* Reads the record that made the head once more, to see that it is still there, and all behind it. Void records past it
 * are read again: should they be gone, nothing was lost. */
static void read_from_last_valid(bt_owner *owner)
{
    int64_t next_offset = owner->last_valid_offset + 1;
    owner->proved.void_count -= owner->proved.next_offset - next_offset;
    owner->proved.next_offset = next_offset;
    owner->must_verify = owner->proved.height > 0;
    owner->read_next = owner->must_verify ? owner->last_valid_offset : 0;
    owner->outputs.read_from(owner->outputs.context, owner->read_next);
}

static void read_anew(bt_owner *owner, bt_owner_phase phase)
{
    owner_set_phase(owner, phase);
    owner->generation++;
    owner->took_over = owner->trusts_reports = owner->caught_up = false;
    owner->jumps = owner->low_ends = owner->conflicts = owner->takeovers_lost = 0;
    owner->recheck_attempt = 0;
    owner->gives_way_until = owner->timer;
    read_from_last_valid(owner);
    ask_end_after(owner, 0);
}

void owner_restore(bt_owner *owner) { read_anew(owner, BT_OWNER_RESTORING); }
void owner_follow(bt_owner *owner) { read_anew(owner, BT_OWNER_FOLLOWING); }

bool owner_reads_to_end(const bt_owner *owner)
{
    switch (owner->phase) {
    case BT_OWNER_RESTORING:
    case BT_OWNER_RECOVERING: return true;
    case BT_OWNER_FOLLOWING: return !owner->caught_up; /* then the tail alone tells it all */
    case BT_OWNER_IDLE:
    case BT_OWNER_TAKING_OVER:
    case BT_OWNER_OWNING:
    case BT_OWNER_YIELDED:
    case BT_OWNER_READ_ONLY: return false;
    }
    return false;
}

void owner_take_over(bt_owner *owner)
{
    if (owner->proved.height == 0)
        owner_append_log_opened(owner); /* its proof appends the takeover */
    else
        owner_append_takeover(owner);
}

void owner_yield(bt_owner *owner)
{
    owner_set_phase(owner, BT_OWNER_YIELDED);
    owner->generation++;
    owner->took_over = owner->trusts_reports = false;
    owner->stats.yields++;
    while (owner->waiting.count > 0) {
        bt_waiter *waiter = bt_waiter_of_age(owner->waiting.ages.next);
        owner_answer_plain(owner, waiter, BT_ANSWER_NOT_OWNER, waiter->queued);
    }
}

void owner_recover(bt_owner *owner)
{
    if (owner->phase != BT_OWNER_OWNING && owner->phase != BT_OWNER_TAKING_OVER)
        return;
    owner_set_phase(owner, BT_OWNER_RECOVERING);
    owner->generation++;
    owner->trusts_reports = MUTANT(PROOF_ACROSS_GENERATIONS);
    owner->recheck_attempt = 0;
    owner->low_ends = 0;
    owner->stats.drops++;
    if (owner->read_next > owner->last_valid_offset) /* is the head still there? A log that was cut back may have grown again */
        read_from_last_valid(owner);
    ask_end_after(owner, backoff_us(owner, ++owner->conflicts));
}

/* ---- taking back, and settling ---- */

static void leave_stream(bt_owner *owner, bt_flight *flight)
{
    if (flight->stream == NULL)
        return;
    bt_streams_touch(&owner->streams, flight->stream);
    flight->stream->in_flight--;
    bt_streams_forget_unborn(&owner->streams, flight->stream);
    flight->stream = NULL;
}

void owner_roll_back(bt_owner *owner, bool settled)
{
    bt_link again;
    bt_list_init(&again);
    for (size_t i = bt_pipeline_count(&owner->pipeline); i > 0; i--) {
        if (MUTANT(NO_ROLL_BACK))
            bt_undo_commit_oldest(owner->undo);
        else
            bt_undo_roll_back_newest(owner->undo);
    }
    bool to_open = !settled && bt_pipeline_count(&owner->open) == 0;
    while (bt_pipeline_count(&owner->pipeline) > 0) {
        bt_flight *flight = bt_pipeline_pop_first(&owner->pipeline);
        leave_stream(owner, flight);
        if (!to_open)
            bt_list_move_end(&again, &flight->waiters);
        bt_list_move_end(&again, &flight->confirms);
        if (to_open) {
            bt_pipeline_push(&owner->open, flight);
        } else {
            owner->stats.settled += flight->kind == BT_FLIGHT_COMMAND;
            owner_flight_free(owner, flight);
        }
    }
    owner->log_version_hoped = owner->log_version;
    bt_list_move_end(&again, &owner->held);
    owner_requeue(owner, &again, true, true);
}

void owner_settle_open(bt_owner *owner)
{
    while (bt_pipeline_count(&owner->open) > 0) {
        bt_flight *flight = bt_pipeline_pop_last(&owner->open);
        owner->stats.settled++;
        if (flight->rejected)
            owner_answer_all(owner, &flight->waiters, BT_ANSWER_UNAVAILABLE, true);
        else
            owner_requeue(owner, &flight->waiters, true, true);
        owner_flight_free(owner, flight);
    }
}

/* ---- the end of the log ---- */

static bool has_rejected(const bt_owner *owner)
{
    for (size_t i = 0; i < bt_pipeline_count(&owner->pipeline); i++) {
        if (bt_pipeline_at(&owner->pipeline, i)->rejected)
            return true;
    }
    return false;
}

/* At the end of the log, and the head is still the parent of whatever is in flight or open: it may yet become valid. */
static void append_again(bt_owner *owner)
{
    owner_set_phase(owner, owner->took_over ? BT_OWNER_OWNING : BT_OWNER_TAKING_OVER);
    if (MUTANT(SETTLE_WITHOUT_BARRIER)) {
        owner_roll_back(owner, true);
        owner_settle_open(owner);
    }
    if (has_rejected(owner))
        owner_roll_back(owner, false);
    if (bt_pipeline_count(&owner->pipeline) > 0)
        owner_resend(owner);
    else if (!owner->took_over)
        owner_take_over(owner);
    else if (bt_pipeline_count(&owner->open) > 0)
        owner_append_barrier(owner);
}

static void at_end_while_owning(bt_owner *owner)
{
    const bt_flight *first = bt_pipeline_first(&owner->pipeline);
    bool still_open = first != NULL && owner->recheck_attempt != 0 && first->attempt <= owner->recheck_attempt;
    owner->recheck_attempt = 0;
    if (still_open)
        owner_recover(owner);
}

void owner_at_end(bt_owner *owner)
{
    if (owner->end_target < 0 || owner->must_verify || owner->proved.next_offset < owner->end_target ||
        owner->read_next < owner->end_target)
        return;
    owner->end_target = -1;
    owner->caught_up = true;
    switch (owner->phase) {
    case BT_OWNER_RESTORING:
        owner_set_phase(owner, BT_OWNER_TAKING_OVER);
        owner_take_over(owner);
        break;
    case BT_OWNER_RECOVERING:
        append_again(owner);
        break;
    case BT_OWNER_OWNING:
        at_end_while_owning(owner);
        break;
    case BT_OWNER_IDLE:
    case BT_OWNER_TAKING_OVER:
    case BT_OWNER_YIELDED:
    case BT_OWNER_READ_ONLY:
    case BT_OWNER_FOLLOWING:
        break;
    }
}

/* The log ends before what was proved. A leader that was only just elected may say so; one that insists has lost it. */
static void end_too_low(bt_owner *owner, int64_t end_offset)
{
    if (++owner->low_ends <= LOW_ENDS_MAX) {
        if (owner->read_next > owner->last_valid_offset) /* should it have grown again by then, it is another log */
            read_from_last_valid(owner);
        ask_end_after(owner, backoff_us(owner, owner->low_ends + 4));
        return;
    }
    if (end_offset > owner->last_valid_offset) { /* only void records went */
        owner->low_ends = 0;
        read_from_last_valid(owner);
        ask_end_after(owner, 0);
        return;
    }
    owner_read_only(owner, "log.lost",
        "the log ends at offset %lld, but was proved up to %lld: acknowledged records are gone; see: berth log accept-loss",
        (long long)end_offset, (long long)owner->proved.next_offset);
}

void bt_owner_on_log_end(bt_owner *owner, uint64_t request, int64_t end_offset, int64_t now_us)
{
    owner_clock(owner, now_us);
    if (!owner->end_awaited || request != owner->end_request)
        return;
    owner->end_awaited = false;
    if (owner_reads_to_end(owner) && end_offset < owner->proved.next_offset && !MUTANT(LOST_SUFFIX_IGNORED)) {
        end_too_low(owner, end_offset);
        return;
    }
    owner->end_target = end_offset;
    owner_at_end(owner);
}

/* Who asks for the end already goes on asking: to begin anew would forget how often the log was told to end too early, and the alarm would never come. */
void bt_owner_on_unreadable(bt_owner *owner, int64_t now_us)
{
    owner_clock(owner, now_us);
    if (owner_reads_to_end(owner)) {
        owner->unreadable = true;
        owner->unreadable_at = owner->timer;
    } else if (owner->phase == BT_OWNER_FOLLOWING || owner->phase == BT_OWNER_YIELDED) {
        bt_owner_on_follow(owner, !owner->hollow, now_us);
    } else {
        bt_owner_on_revoked(owner, now_us);
        bt_owner_on_assigned(owner, now_us);
    }
}

/* Asks again for an end that did not come, reads again what did not come, and ends a back-off. */
void owner_recover_tick(bt_owner *owner)
{
    if (owner->unreadable && owner->timer >= owner->unreadable_at + ASK_AGAIN_US) {
        owner->unreadable = false;
        if (owner->phase != BT_OWNER_IDLE && owner->phase != BT_OWNER_READ_ONLY)
            owner->outputs.read_from(owner->outputs.context, owner->read_next);
    }
    bool reading = owner_reads_to_end(owner);
    bool rechecking = owner->phase == BT_OWNER_OWNING && owner->recheck_attempt != 0;
    if (!reading && !rechecking)
        return;
    bool first_time = reading && !owner->end_awaited && owner->end_target < 0 && owner->timer >= owner->end_after;
    bool overdue = owner->timer >= owner->end_asked + ASK_AGAIN_US && owner->timer >= owner->end_after;
    if (overdue && owner->end_target > owner->read_next)
        owner->outputs.read_from(owner->outputs.context, owner->read_next);
    if (overdue && owner->end_awaited)
        put_question(owner); /* the same one: an answer that is slow counts as well */
    else if (first_time || overdue)
        owner_ask_end(owner);
}
