/* waiting - commands that have no answer yet, wherever they stand: queued, in flight, held back for a proof, fetching.
 *
 * A waiter is in exactly one list of places and in the list of ages, so that a client's time-out finds it in any place.
 * Lists are rings around a sentinel: a waiter leaves its list without knowing which one it is, and a whole list moves
 * to another in one step. Waiters are pooled. Not thread-safe. */
#ifndef BERTH_COMMANDS_OWNER_WAITING_H
#define BERTH_COMMANDS_OWNER_WAITING_H

#include "commands/owner/owner.h"
#include "commands/owner/slab.h"

typedef struct bt_link {
    struct bt_link *next, *previous;
} bt_link;

static inline void bt_list_init(bt_link *list) { list->next = list->previous = list; }
static inline bool bt_list_is_empty(const bt_link *list) { return list->next == list; }
void bt_list_append(bt_link *list, bt_link *link);
void bt_list_remove(bt_link *link);
/* Moves all of from, in order, to the front (or the end) of list. */
void bt_list_move_front(bt_link *list, bt_link *from);
void bt_list_move_end(bt_link *list, bt_link *from);

typedef struct bt_waiter {
    bt_link place; /* first member: a place link is its waiter */
    bt_link age;
    const bt_command *command;
    void *token;
    int64_t arrived, held_since; /* on the owner's own timer */
    int32_t redecided;
    bool queued;            /* waits to be decided: nothing of it is in flight or open */
    bool author;            /* the record in flight was decided for it; others with its key only joined */
    uint64_t fetch_request; /* 0: none */
    int64_t fetch_offset;
    bt_answer answer;       /* ready, while it is held back for a proof; its texts are in the slab */
    bt_slab *slab;          /* NULL: none held */
} bt_waiter;

static inline bt_waiter *bt_waiter_of_place(bt_link *place) { return (bt_waiter *)place; }
static inline bt_waiter *bt_waiter_of_age(bt_link *age) { return (bt_waiter *)((char *)age - offsetof(bt_waiter, age)); }

typedef struct bt_waiting {
    bt_link ages; /* all, oldest first */
    bt_link free; /* by place */
    size_t count;
} bt_waiting;

void bt_waiting_init(bt_waiting *waiting);
void bt_waiting_release(bt_waiting *waiting); /* none may wait any more */
/* In no list of places yet. */
bt_waiter *bt_waiting_add(bt_waiting *waiting, const bt_command *command, void *token, int64_t arrived);
/* Takes it out of its lists; its slab must have been dropped. */
void bt_waiting_remove(bt_waiting *waiting, bt_waiter *waiter);

#endif
