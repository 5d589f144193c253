/* inbox - commands on their way from many HTTP threads to the one thread that decides.
 *
 * Many threads push, one takes all at once, oldest first. Lock-free: a push is one compare-and-swap, and a thread that is
 * descheduled in the middle holds up nobody. Push and take are sequentially consistent, so that flags beside the inbox can be ordered
 * with them (slot->busy). Bounded: over item_max a push is refused, and the client is told 503. */
#ifndef BERTH_COMMANDS_SERVER_INBOX_H
#define BERTH_COMMANDS_SERVER_INBOX_H

#include "core/base.h"

#include <stdatomic.h>

/* The first member of what is queued; the pusher's memory until it is taken. */
typedef struct bt_inbox_item {
    struct bt_inbox_item *next;
} bt_inbox_item;

typedef struct bt_inbox {
    _Atomic(bt_inbox_item *) newest;
    atomic_int count; /* pushed and not yet given back by bt_inbox_done */
    int item_max;
} bt_inbox;

void bt_inbox_init(bt_inbox *inbox, int item_max);
/* Any thread. False: full, nothing was queued. */
bool bt_inbox_push(bt_inbox *inbox, bt_inbox_item *item) BT_MUST_CHECK;
/* The taking thread only. Everything that was pushed, oldest first, linked by next; NULL if nothing. */
bt_inbox_item *bt_inbox_take(bt_inbox *inbox);
/* A taken item has been answered: its place is free again. */
void bt_inbox_done(bt_inbox *inbox);

#endif
