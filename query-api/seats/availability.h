/* availability - reads the value that projections/availability keeps for a trip, and makes the same value from rows of holds and
 * bookings when Redis has none. projections/availability/README.md is the contract. Pure; any thread. */
#ifndef BERTH_QUERY_API_SEATS_AVAILABILITY_H
#define BERTH_QUERY_API_SEATS_AVAILABILITY_H

#include "query-api/layout/layout.h"

#define QA_VALUE_HEADER 40

typedef enum qa_trip_status { QA_TRIP_OPEN, QA_TRIP_CLOSED, QA_TRIP_CANCELLED } qa_trip_status;

/* A view of a value; borrows its bytes, and the layout's shape was found to be the value's. */
typedef struct qa_availability {
    qa_trip_status status;
    int64_t version;
    uint32_t mask_size;
    int segment_count;
    bt_str counters; /* counted × segments × (u32 held, u32 booked); may end early: the rest is zeroes */
    bt_str masks;    /* seats × (held, booked); may end early */
} qa_availability;

/* False: it is malformed, of an unknown format, or of another layout. */
bool qa_availability_read(bt_str value, const qa_layout *layout, qa_availability *ret_availability) BT_MUST_CHECK;

typedef enum qa_state { QA_STATE_FREE, QA_STATE_HELD, QA_STATE_BOOKED, QA_STATE_BLOCKED } qa_state;

/* For the stretch [from, to): the state of each entry of the seating (an aisle's means nothing) and the free places of each section.
 * Nothing of a trip that is not open is free: what nobody has is blocked. Returns the free places of all sections. */
int64_t qa_availability_states(const qa_availability *availability, const qa_layout *layout, int from, int to, uint8_t *ret_states,
    int64_t ret_section_free[QA_SECTIONS_MAX]);

/* The size of a layout's value, and its making: begin in zeroed bytes of that size, then add what is taken. */
size_t qa_value_size(const qa_layout *layout);
void qa_value_begin(uint8_t *value, const qa_layout *layout, qa_trip_status status, int64_t version);
void qa_value_add(uint8_t *value, const qa_layout *layout, bool booked, int64_t from, int64_t to, const int32_t *pairs, int pair_count);

#endif
