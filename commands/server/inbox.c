/* inbox - a stack that is turned round when it is taken; taking everything at once leaves no ABA problem. */
#include "commands/server/inbox.h"

void bt_inbox_init(bt_inbox *inbox, int item_max)
{
    atomic_init(&inbox->newest, NULL);
    atomic_init(&inbox->count, 0);
    inbox->item_max = item_max;
}

bool bt_inbox_push(bt_inbox *inbox, bt_inbox_item *item)
{
    if (atomic_fetch_add_explicit(&inbox->count, 1, memory_order_relaxed) >= inbox->item_max) {
        bt_inbox_done(inbox);
        return false;
    }
    bt_inbox_item *newest = atomic_load_explicit(&inbox->newest, memory_order_relaxed);
    do
        item->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&inbox->newest, &newest, item, memory_order_seq_cst, memory_order_relaxed));
    return true;
}

bt_inbox_item *bt_inbox_take(bt_inbox *inbox)
{
    bt_inbox_item *newest = atomic_exchange(&inbox->newest, NULL);
    bt_inbox_item *oldest = NULL;
    while (newest != NULL) {
        bt_inbox_item *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}

void bt_inbox_done(bt_inbox *inbox) { atomic_fetch_sub_explicit(&inbox->count, 1, memory_order_relaxed); }
