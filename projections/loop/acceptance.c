/* acceptance - a search from the log's start for the record that lets a stopped partition go on; see the header. */
#include "projections/loop/acceptance.h"

#include "schemas/log.h"

void bt_acceptance_begin(bt_acceptance *acceptance, const bt_position *remembered, const bt_loss *claim, const bt_loss *used)
{
    *acceptance = (bt_acceptance){ .remembered = *remembered, .claim = *claim, .used = *used };
    bt_loss_search_begin(&acceptance->search, &remembered->forward, remembered->head_offset);
}

static bool read_acceptance(const bt_record *record, bt_loss *ret_loss)
{
    if (!bt_str_is(record->key, BT_LOG_KEY) || bt_event_type_by_id(bt_record_schema_id(record->value)) != &log_loss_accepted_message)
        return false;
    bt_arena arena;
    bt_event event;
    bt_arena_init(&arena, 1 << 20);
    bool decoded = bt_event_decode(record->value, &arena, &event, NULL);
    if (decoded) {
        const struct log_loss_accepted *accepted = event.data;
        *ret_loss = (bt_loss){ accepted->lost_from, accepted->lost_to, accepted->meta.time };
    }
    bt_arena_release(&arena);
    return decoded;
}

bt_acceptance_verdict bt_acceptance_step(bt_acceptance *acceptance, const bt_record *record)
{
    const bt_loss_search *search = &acceptance->search;
    bt_loss loss;
    if (record->offset < search->at.next_offset)
        return BT_ACCEPTANCE_NONE;
    bt_forward_verdict verdict = bt_loss_search_step(&acceptance->search, record);
    if (verdict == BT_FORWARD_JUMP)
        return BT_ACCEPTANCE_AGAIN;
    if (verdict != BT_FORWARD_VALID || !read_acceptance(record, &loss) || loss.time_us <= acceptance->used.time_us)
        return BT_ACCEPTANCE_NONE;
    acceptance->loss = loss;
    if (bt_loss_search_covers(search, &loss))
        return BT_ACCEPTANCE_FORGET;
    bool stands = search->head_offset < 0 || search->head_stands;
    return stands && acceptance->claim.to > 0 && bt_loss_gives_up(&loss, &acceptance->claim) ? BT_ACCEPTANCE_RESUME : BT_ACCEPTANCE_NONE;
}
