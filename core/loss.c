/* loss - see the header. */
#include "core/loss.h"

void bt_loss_search_begin(bt_loss_search *search, const bt_forward *remembered, int64_t head_offset)
{
    *search = (bt_loss_search){ .remembered = *remembered, .head_offset = head_offset };
}

bt_forward_verdict bt_loss_search_step(bt_loss_search *search, const bt_record *record)
{
    bt_id id;
    bt_forward_verdict verdict = bt_forward_step(&search->at, record, &id);
    if (verdict == BT_FORWARD_VALID && record->offset == search->head_offset)
        search->head_stands = bt_id_equal(id, search->remembered.head);
    return verdict;
}

bool bt_loss_search_covers(const bt_loss_search *search, const bt_loss *loss)
{
    const bt_forward *remembered = &search->remembered;
    bool in_range = remembered->next_offset > loss->from && remembered->next_offset <= loss->to;
    bool deeper = search->head_offset >= 0 && search->head_offset < loss->from && !search->head_stands;
    return in_range && !deeper && remembered->time_us < loss->time_us;
}

bool bt_loss_gives_up(const bt_loss *loss, const bt_loss *claim)
{
    return claim->to > loss->from && claim->to <= loss->to && claim->time_us < loss->time_us;
}
