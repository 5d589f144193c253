/* loss - see the header. */
#include "core/loss.h"

void bt_loss_search_begin(bt_loss_search *search, const bt_forward *remembered, int64_t head_offset)
{
    *search = (bt_loss_search){ .remembered = *remembered, .head_offset = head_offset, .gone_from = INT64_MAX };
    if (head_offset >= 0)
        search->known[search->known_count++] = (bt_loss_known){ head_offset, remembered->head };
}

void bt_loss_search_knows(bt_loss_search *search, const bt_loss_known *known, size_t known_count)
{
    size_t room = BT_LOSS_KNOWN_MAX - search->known_count, kept = known_count < room ? known_count : room;
    memmove(search->known + kept, search->known, search->known_count * sizeof *known);
    memcpy(search->known, known + known_count - kept, kept * sizeof *known);
    search->known_count += kept;
}

void bt_loss_search_contradicts(bt_loss_search *search, int64_t offset)
{
    search->gone_from = offset < search->gone_from ? offset : search->gone_from;
}

bt_forward_verdict bt_loss_search_step(bt_loss_search *search, const bt_record *record)
{
    bt_id id;
    bt_forward_verdict verdict = bt_forward_step(&search->at, record, &id);
    const bt_loss_known *next = &search->known[search->met_count];
    if (verdict == BT_FORWARD_JUMP || search->met_count == search->known_count || next->offset != record->offset)
        return verdict;
    bool stands = verdict == BT_FORWARD_VALID && bt_id_equal(id, next->id);
    if (!stands)
        bt_loss_search_contradicts(search, record->offset);
    search->head_stands = search->head_stands || (stands && record->offset == search->head_offset);
    search->met_count++;
    return verdict;
}

/* What was not read yet stands nowhere. */
static int64_t gone_from(const bt_loss_search *search)
{
    int64_t unmet = search->met_count < search->known_count ? search->known[search->met_count].offset : INT64_MAX;
    return unmet < search->gone_from ? unmet : search->gone_from;
}

bool bt_loss_search_covers(const bt_loss_search *search, const bt_loss *loss)
{
    const bt_forward *remembered = &search->remembered;
    bool in_range = remembered->next_offset > loss->from && remembered->next_offset <= loss->to;
    return in_range && gone_from(search) >= loss->from && remembered->time_us < loss->time_us;
}

bool bt_loss_gives_up(const bt_loss *loss, const bt_loss *claim)
{
    return claim->to > loss->from && claim->to <= loss->to && claim->time_us < loss->time_us;
}
