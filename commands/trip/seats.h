/* seats - which seat is taken on which segment, and which free ones fit a wish best.
 *
 * The same facts are kept twice, in one block, because each answers one question at once:
 *   of_slot[slot]             a bit a segment: how wide is the free gap of this seat around a stretch?
 *   of_word[word][segment]    a bit a slot, 64 seats at a time: which seats are free on all of a stretch? (an OR of
 *                             neighbouring words)
 * and for sections of plain capacity used[section][segment] counts. Bits from segment_count on are always set in
 * of_slot, so a gap always ends. A trip without any hold has no block of its own: it reads its layout's. */
#ifndef BERTH_COMMANDS_TRIP_SEATS_H
#define BERTH_COMMANDS_TRIP_SEATS_H

#include "commands/trip/layout.h"

typedef struct trip_seats {
    const trip_layout *layout;
    uint64_t *of_slot;
    uint64_t *of_word;
    uint32_t *used;
} trip_seats;

size_t seats_block_size(size_t slots, size_t words, size_t segments, size_t capacities);
/* A view of a block, own or the layout's; const is the caller's to keep. */
trip_seats seats_of(const trip_layout *layout, const uint64_t *block);
/* Fills a zeroed block: what is not for sale is taken for ever. */
void seats_close_unsold(const trip_layout *layout, uint64_t *block);

/* True if the place is free on the whole stretch. Of a section of plain capacity: if at least count places are. */
bool seats_are_free(const trip_seats *seats, place_code place, trip_stretch on, uint32_t count);
void seats_take(const trip_seats *seats, place_code place, trip_stretch on, bt_undo *undo);
void seats_give_back(const trip_seats *seats, place_code place, trip_stretch on, bt_undo *undo);

#define CLASS_ANY (-1)
/* Places free on the whole stretch, in sections of the class. */
uint64_t seats_count_free(const trip_seats *seats, trip_stretch on, int class);
/* The longest run of neighbouring seats that are free on the whole stretch. */
unsigned seats_longest_run(const trip_seats *seats, trip_stretch on, int class);

typedef enum trip_together {
    TOGETHER_PREFERRED,
    TOGETHER_REQUIRED,
    TOGETHER_IGNORED,
} trip_together;

typedef enum trip_fit {
    CHOSEN,
    CHOSEN_SOLD_OUT,     /* fewer than count places are free */
    CHOSEN_NOT_TOGETHER, /* enough are free, but not in one run */
} trip_fit;

/* Fills ret_places with the best fitting, ascending by section and seat. count is 1 to TRIP_PLACES_MAX. */
trip_fit seats_choose(const trip_seats *seats, trip_stretch on, int class, unsigned count, trip_together together, place_code *ret_places);

#endif
