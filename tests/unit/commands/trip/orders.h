/* orders - random commands against one trip: mostly sensible, some wrong, so that every verdict comes up.
 * What it makes depends on its seed alone, and lives in its arena. */
#ifndef BERTH_TESTS_UNIT_COMMANDS_TRIP_ORDERS_H
#define BERTH_TESTS_UNIT_COMMANDS_TRIP_ORDERS_H

#include "commands/trip/trip.h"
#include "core/memory.h"
#include "schemas/trip.h"

#define ORDERS_IDS_MAX 4096

typedef struct orders_size {
    uint32_t points_max, sections_max, seats_max, capacity_max;
} orders_size;

typedef struct orders {
    uint64_t random;
    int64_t now_us;
    bt_arena *arena;
    const struct trip_opened *opened;
    bt_id ids[ORDERS_IDS_MAX]; /* of holds that were made */
    uint32_t id_count;
} orders;

uint64_t orders_random(orders *of, uint64_t below);

/* A trip of up to this size; sensible. The event that opens it is to be set in opened. */
bt_command orders_open(orders *of, orders_size size);
/* A hold was made: later commands may be for it. */
void orders_saw_hold(orders *of, bt_id id);
/* The next command; the clock may move on. endless: it neither closes, cancels nor ends the trip. */
bt_command orders_next(orders *of, bool endless);

#endif
