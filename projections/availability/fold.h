/* fold - the availability of one trip as the bytes that stand in Redis, and how each event changes them.
 *
 * The layout is README.md's, byte by byte. Pure: event in, bytes changed; which 64-byte chunks were changed is remembered, so that a
 * write sends only those. A fold also checks: a seat is held only if it was free on every segment, given back only if it was taken.
 * A decided event never fails that; one that does is a bug somewhere, and the trip has no value then rather than a wrong one. */
#ifndef BERTH_PROJECTIONS_AVAILABILITY_FOLD_H
#define BERTH_PROJECTIONS_AVAILABILITY_FOLD_H

#include "projections/fact.h"

#define BT_AVAILABILITY_HEAD_SIZE 40
#define BT_AVAILABILITY_CHUNK 64
#define BT_AVAILABILITY_SEATS_MAX 300000 /* 64 sections of 4,000, the schema's ceilings, fit */

typedef enum bt_availability_status {
    BT_AVAILABILITY_OPEN,
    BT_AVAILABILITY_CLOSED,
    BT_AVAILABILITY_CANCELLED,
} bt_availability_status;

typedef struct bt_availability {
    uint8_t *at;     /* the value at its full size; NULL: there is none */
    size_t size;
    uint8_t *dirty;  /* a bit for each chunk */
    int64_t ends_us; /* of a trip opened since it was loaded: its last arrival; else 0 */
} bt_availability;

/* Takes a value as it was stored (trailing zeroes may lack). False (BT_ERR_INPUT): it is no such value; ret is untouched. */
bool bt_availability_load(bt_bytes stored, bt_availability *ret_availability, bt_err *err) BT_MUST_CHECK;
void bt_availability_release(bt_availability *availability);

int64_t bt_availability_version(const bt_availability *availability); /* 0 without a value */

/* Applies an event. One whose version is not above the value's is in it already, and changes nothing. An event of a trip that has no value, unless it opens
 * the trip, changes nothing either: the value was lost and is not made up.
 *   err  BT_ERR_INPUT: the event contradicts the value, which is then good for nothing */
bool bt_availability_fold(bt_availability *availability, const bt_fact *fact, bt_err *err) BT_MUST_CHECK;

bool bt_availability_is_dirty(const bt_availability *availability);
/* Appends each run of changed chunks: u32 offset, u32 size, bytes; and forgets that they were changed. */
void bt_availability_take_ranges(bt_availability *availability, bt_buf *out);

#endif
