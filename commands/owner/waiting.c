/* waiting - rings of links, and a pool. */
#include "commands/owner/waiting.h"

void bt_list_append(bt_link *list, bt_link *link)
{
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

void bt_list_remove(bt_link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    bt_list_init(link);
}

static void move_after(bt_link *at, bt_link *from)
{
    if (bt_list_is_empty(from))
        return;
    from->previous->next = at->next;
    at->next->previous = from->previous;
    at->next = from->next;
    from->next->previous = at;
    bt_list_init(from);
}

void bt_list_move_front(bt_link *list, bt_link *from) { move_after(list, from); }
void bt_list_move_end(bt_link *list, bt_link *from) { move_after(list->previous, from); }

void bt_waiting_init(bt_waiting *waiting)
{
    waiting->count = 0;
    bt_list_init(&waiting->ages);
    bt_list_init(&waiting->free);
}

void bt_waiting_release(bt_waiting *waiting)
{
    bt_assert(waiting->count == 0);
    while (!bt_list_is_empty(&waiting->free)) {
        bt_waiter *waiter = bt_waiter_of_place(waiting->free.next);
        bt_list_remove(&waiter->place);
        bt_release(waiter);
    }
}

bt_waiter *bt_waiting_add(bt_waiting *waiting, const bt_command *command, void *token, int64_t arrived)
{
    bt_waiter *waiter;
    if (bt_list_is_empty(&waiting->free)) {
        waiter = bt_alloc(sizeof *waiter);
    } else {
        waiter = bt_waiter_of_place(waiting->free.next);
        bt_list_remove(&waiter->place);
    }
    *waiter = (bt_waiter){ .command = command, .token = token, .arrived = arrived };
    bt_list_init(&waiter->place);
    bt_list_append(&waiting->ages, &waiter->age);
    waiting->count++;
    return waiter;
}

void bt_waiting_remove(bt_waiting *waiting, bt_waiter *waiter)
{
    bt_assert(waiter->slab == NULL);
    bt_list_remove(&waiter->age);
    bt_list_remove(&waiter->place);
    bt_list_append(&waiting->free, &waiter->place);
    waiting->count--;
}
