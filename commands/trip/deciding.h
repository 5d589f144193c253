/* deciding - what the decisions share: the question, and the ways to answer it.
 *
 * A step of a decision returns false once it has refused, so that a decision reads as a list of conditions. */
#ifndef BERTH_COMMANDS_TRIP_DECIDING_H
#define BERTH_COMMANDS_TRIP_DECIDING_H

#include "commands/trip/state.h"

typedef struct deciding {
    const trip_state *trip;
    const bt_command *command;
    int64_t now_us;
    const trip_settings *settings;
    bt_arena *arena;
    bt_decision *out;
} deciding;

/* Refuses; field is a JSON pointer or empty. Returns false. */
bool trip_refuse(const deciding *d, enum trip_verdict verdict, bt_str field, const char *detail, ...) BT_PRINTF(4, 5);
/* The verdict's answer is the event: to be appended, or how things are already. */
void trip_accept(const deciding *d, const bt_message_type *type, void *event);
void trip_already(const deciding *d, const bt_message_type *type, void *event);

/* "/seats/3/seat": format with up to two numbers. */
bt_str field_at(const deciding *d, const char *format, ...) BT_PRINTF(2, 3);

/* Places as events tell them, in the arena. */
const struct trip_place *places_told(const deciding *d, const place_code *places, unsigned count);
bt_str customer_copied(const deciding *d, const trip_claim *claim);

static inline bool hold_is_due(const deciding *d, const trip_claim *claim)
{
    return claim->status == CLAIM_HELD && d->now_us >= claim->expires_at_us;
}

/* Which places are wanted: certain ones, or a count of the best fitting. */
typedef struct trip_wish {
    const struct trip_seat_wish *seats; /* NULL: count of the best fitting */
    unsigned count;
    int class; /* index, or CLASS_ANY */
    trip_together together;
} trip_wish;

/* Finds two stops, in this order, where one may board and alight. */
bool find_stretch(const deciding *d, bt_str from, bt_str to, trip_stretch *ret_on);
bool find_class(const deciding *d, bool wanted, bt_str class, int *ret_class);
/* Fills ret_places, ascending; or refuses and names what is taken and how many are free. */
bool find_places(const deciding *d, const trip_seats *seats, trip_stretch on, const trip_wish *wish, place_code *ret_places);
/* True if the places, ascending, are neighbouring seats. */
bool are_neighbours(const place_code *places, unsigned count);

/* One function a command; the trip is open (but for decide_open), not cancelled (but for decide_cancel_trip), not ended. */
void decide_open(const deciding *d);
void decide_hold(const deciding *d);
void decide_extend(const deciding *d);
void decide_confirm(const deciding *d);
void decide_release(const deciding *d);
void decide_change(const deciding *d);
void decide_cancel_booking(const deciding *d);

/* Which seat of a list has a label, in constant time: an opening names thousands. */
typedef struct label_table {
    const bt_str *labels;
    uint16_t *index; /* open addressing: place in labels + 1, or 0 */
    uint32_t mask;
} label_table;

/* False, with the place of the later one, if two are equal. Aisles are left out. */
bool label_table_fill(label_table *table, const bt_str *labels, uint32_t count, bt_arena *arena, uint32_t *ret_repeated);
int label_table_find(const label_table *table, bt_str label); /* -1: there is none */

#endif
