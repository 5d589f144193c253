/* loss - the way out of READ_ONLY: the log itself says that what was proved and is gone was given up (core/loss.h).
 *
 * While READ_ONLY, the log is read from its start, by the rule alone: nothing is decided, answered or folded into streams. When it holds
 * a LossAccepted that covers what this owner had proved, all of that is forgotten and the log is restored as by a fresh owner. */
#include "commands/owner/internal.h"

#include <stdio.h>

/* The last valid records before the head. */
static void tell_marks(bt_owner *owner)
{
    bt_loss_known known[MARKS];
    size_t count = 0;
    for (int64_t height = owner->proved.height - MARKS + 1; height < owner->proved.height; height++) {
        const mark *it = height < 1 ? NULL : &owner->marks[height % MARKS];
        if (it != NULL && it->height == height)
            known[count++] = (bt_loss_known){ it->offset, it->id };
    }
    bt_loss_search_knows(&owner->search, known, count);
}

void owner_search_loss(bt_owner *owner)
{
    owner->searching = true;
    owner->jumps = 0;
    bt_loss_search_begin(&owner->search, &owner->proved, owner->last_valid_offset);
    tell_marks(owner);
    owner->outputs.read_from(owner->outputs.context, 0);
}

static void go_on(bt_owner *owner, const struct log_loss_accepted *event)
{
    char text[BT_ERR_MESSAGE_MAX];
    snprintf(text, sizeof text, "what was proved up to offset %lld was given up from offset %lld on by " BT_STR_FMT ": " BT_STR_FMT
        "; the log is folded anew", (long long)owner->proved.next_offset, (long long)event->lost_from, BT_STR_ARG(event->meta.actor),
        BT_STR_ARG(event->reason));
    owner->searching = false;
    owner->stats.losses_accepted++;
    if (MUTANT(ACCEPTED_NOT_FORGOTTEN)) {
        owner->proved = (bt_forward){ 0 };
        owner->last_valid_offset = -1;
    } else {
        owner_forget_proved(owner);
    }
    owner_note_loss(owner, event); /* ahead of its place: late claims of the lost lineage may stand before it */
    owner_set_phase(owner, BT_OWNER_IDLE);
    if (owner->outputs.forget_saved != NULL)
        owner->outputs.forget_saved(owner->outputs.context);
    owner->outputs.alarm(owner->outputs.context, "log.loss_accepted", text);
    switch (owner->wish) {
    case WISH_NOTHING:
        break;
    case WISH_FOLLOW:
        owner_follow(owner);
        break;
    case WISH_OWN:
        owner->hollow = false; /* all is folded from the start */
        owner_restore(owner);
        break;
    }
}

/* The valid @log record that was folded last. True: it let this owner go on. */
static bool consider(bt_owner *owner, const bt_record *record)
{
    bt_event event;
    bt_arena_reset(&owner->work);
    if (!bt_event_decode(record->value, &owner->work, &event, NULL))
        return false;
    if (event.type == &log_opened_message && !bt_id_equal(((const struct log_opened *)event.data)->log, owner->log_id))
        bt_loss_search_contradicts(&owner->search, record->offset); /* the topic was made anew: of the log that is remembered, all is gone */
    if (event.type != &log_loss_accepted_message)
        return false;
    const struct log_loss_accepted *accepted = event.data;
    bt_loss loss = { accepted->lost_from, accepted->lost_to, accepted->meta.time };
    if (loss.time_us <= owner->loss.time_us) /* it led here already: what contradicts since is not what it gave up */
        return false;
    if (!bt_loss_search_covers(&owner->search, &loss) && !MUTANT(OLD_ACCEPTANCE))
        return false;
    go_on(owner, accepted);
    return true;
}

void owner_search_records(bt_owner *owner, const bt_record *records, size_t record_count)
{
    for (size_t i = 0; i < record_count; i++) {
        const bt_record *record = &records[i];
        if (record->offset < owner->search.at.next_offset)
            continue;
        switch (bt_loss_search_step(&owner->search, record)) {
        case BT_FORWARD_VALID:
            owner->jumps = 0;
            if (bt_str_is(record->key, BT_LOG_KEY) && consider(owner, record))
                return;
            break;
        case BT_FORWARD_VOID_PARENT:
        case BT_FORWARD_VOID_MALFORMED:
            owner->jumps = 0;
            break;
        case BT_FORWARD_JUMP:
            owner->stats.jumps++;
            if (++owner->jumps <= JUMPS_MAX) /* past that, records are missing for good; the next assignment tries again */
                owner->outputs.read_from(owner->outputs.context, owner->search.at.next_offset);
            return;
        }
    }
}

void owner_note_loss(bt_owner *owner, const struct log_loss_accepted *event)
{
    owner->loss = (bt_loss){ event->lost_from, event->lost_to, event->meta.time };
}

bool owner_claim_is_given_up(const bt_owner *owner, const struct log_owner_took_over *claim)
{
    return bt_loss_gives_up(&owner->loss, &(bt_loss){ .to = claim->proved_offset, .time_us = claim->meta.time });
}
