/* trip - who may have which seat of one trip, from where to where: the decider of schemas/trip.
 *
 * The trip is the stream because it is the smallest thing two customers can both want: its id is the message key, so
 * one partition orders every attempt on a seat, and the fast-forward rule picks the first. All here is pure: time, ids
 * and wishes arrive inside the command.
 *
 * Availability is exact for each segment (from one point to the next): A→B and B→C share a seat.
 *
 *   open ──hold──▶ held ──confirm──▶ booked ──change──▶ booked ──cancel──▶ cancelled
 *                   │ └─extend─▶ held
 *                   ├─release─▶ released
 *                   └─its time is up─▶ expired
 *
 * What may be done when:
 *   hold       until the departure from its boarding point, while the sale is open
 *   extend     as hold; a hold lasts trip_settings.ttl_max_s at most, and never past the departure from its boarding point
 *   confirm    until its time is up, also after the sale was closed: the hold was a promise
 *   change     until the departure from the booking's boarding point; to as many seats, on the same stretch or within it
 *   cancel     a booking: until the trip has ended (so a no-show's seat can be sold from the next point on)
 *   a cancelled trip refuses everything; so does one that has ended, from the arrival at its last point
 *
 * Best fit: of all free seats, those whose free gap around the stretch is the tightest, so that long gaps stay whole for
 * long journeys; ties go to the first in the list. adjacent: true asks for seats next to each other in list order (an
 * aisle or a blocked seat lies between others) and is refused if there is no such run; absent, seats together are
 * preferred to tight ones, but seats apart are better than none; false asks for the tightest. A seat comes before a
 * place in a section of plain capacity, which has no neighbours.
 *
 * A hold's id is its command's key digest, and its booking keeps it. The newest TRIP_ENDED_MAX ended holds and bookings
 * are remembered, so that a late client is told what became of its hold; older ones are unknown. */
#ifndef BERTH_COMMANDS_TRIP_TRIP_H
#define BERTH_COMMANDS_TRIP_TRIP_H

#include "commands/decider.h"
#include "commands/trip/verdicts.h"

#define TRIP_POINTS_MAX 64
#define TRIP_SEGMENTS_MAX (TRIP_POINTS_MAX - 1)
#define TRIP_SECTIONS_MAX 64
#define TRIP_SEATS_MAX 2000          /* numbered seats, all sections together */
#define TRIP_LISTED_MAX 4000         /* seats and aisles in the lists of all sections */
#define TRIP_CAPACITY_MAX 1000000    /* of one section of plain capacity */
#define TRIP_PLACES_MAX 64           /* of one hold or booking: the ceiling of the setting */
#define TRIP_ENDED_MAX 4096          /* ended holds and bookings that are remembered */
#define TRIP_LEAVES_AFTER_US (INT64_C(24) * 3600000000) /* after the last arrival */

typedef struct trip_settings {
    int32_t ttl_default_s;
    int32_t ttl_max_s;  /* since the hold was made, extensions included; also the most that one command may ask */
    int32_t places_max; /* of a hold; 1 to TRIP_PLACES_MAX */
} trip_settings;

extern const trip_settings trip_settings_default; /* 600, 3600, 9 */
/* False (BT_ERR_INPUT) for settings that cannot hold; decide trusts them. */
bool trip_settings_check(const trip_settings *settings, bt_err *err) BT_MUST_CHECK;

extern const bt_decider trip_decider;

/* Bytes that a trip's state takes, its share of the layout not counted; and all layouts together. For measurements. */
size_t trip_state_bytes(const void *state);
size_t trip_layout_bytes(size_t *ret_layout_count);

#endif
