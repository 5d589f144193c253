/* verdicts - every reason to refuse a command of a trip: the enum, and how each is told to a client.
 *
 * X(name, HTTP status, type, title, remedy). The order is free, the type is for ever: clients branch on it. */
#ifndef BERTH_COMMANDS_TRIP_VERDICTS_H
#define BERTH_COMMANDS_TRIP_VERDICTS_H

#include "commands/decider.h"

#define TRIP_VERDICTS(X) \
    X(TRIP_UNKNOWN_TRIP, 404, "unknown-trip", "There is no such trip", "Check the id, or open the trip first.") \
    X(TRIP_UNKNOWN_HOLD, 404, "unknown-hold", "The trip has no such hold", "Check both ids; holds that ended long ago are forgotten.") \
    X(TRIP_UNKNOWN_BOOKING, 404, "unknown-booking", "The trip has no such booking", \
        "Check both ids; a hold is a booking once it is confirmed.") \
    X(TRIP_VERSION_DIFFERS, 412, "version-differs", "The trip has changed since it was read", \
        "Read it again, and send the version you then see.") \
    X(TRIP_BAD_NAME, 422, "bad-name", "A name or an id has not the right form", \
        "Ids are 1 to 80 of A-Z a-z 0-9 . _ ~ -; names are not empty.") \
    X(TRIP_BAD_TIMEZONE, 422, "bad-timezone", "The time zone is no name of the IANA database", "Send a name as Europe/Rome or UTC.") \
    X(TRIP_BAD_POINTS, 422, "bad-points", "The points are too few, too many or not unique", \
        "Send 2 to 64 points; a stop visited twice may be told as stop@index.") \
    X(TRIP_BAD_TIMES, 422, "bad-times", "The times cannot be those of a trip", \
        "Order the points by time, within a year; equal times are allowed.") \
    X(TRIP_TIME_PAST, 422, "time-past", "The trip has already departed", "Send times in the future.") \
    X(TRIP_BAD_SECTIONS, 422, "bad-sections", "The sections cannot be sold like this", \
        "Send 1 to 64 sections of unique names, each with seats or a capacity.") \
    X(TRIP_BAD_SEATS, 422, "bad-seats", "The seats of a section cannot be sold like this", \
        "Labels are unique in a section, 1 to 20 bytes; a trip has 2,000 seats at most.") \
    X(TRIP_BAD_CAPACITY, 422, "bad-capacity", "The capacity is out of range", "Send 1 to 1,000,000.") \
    X(TRIP_UNKNOWN_STOP, 422, "unknown-stop", "The trip does not call at this stop", \
        "Use a stop of the trip's points; stop@index where it is visited twice.") \
    X(TRIP_STOPS_REVERSED, 422, "stops-reversed", "from does not come before to", "Exchange them, or choose another trip.") \
    X(TRIP_NO_BOARDING, 422, "no-boarding", "Nobody may board or alight there", "Choose another stop.") \
    X(TRIP_COUNT_OR_SEATS, 422, "count-or-seats", "Exactly one of count and seats is needed", \
        "Send count for the best fitting, or seats for certain ones.") \
    X(TRIP_BAD_COUNT, 422, "bad-count", "The number of seats is out of range", \
        "Ask for at least one seat, and for no more than the limit.") \
    X(TRIP_BAD_TTL, 422, "bad-ttl", "ttl_seconds is out of range", "Send at least 1, at most the limit, or leave it out.") \
    X(TRIP_UNKNOWN_SECTION, 422, "unknown-section", "The trip has no such section", "Read the trip's sections.") \
    X(TRIP_UNKNOWN_SEAT, 422, "unknown-seat", "The section has no such seat", \
        "Read the trip's seats; places without a number are asked for by count.") \
    X(TRIP_UNKNOWN_CLASS, 422, "unknown-class", "No section of the trip is of this class", "Read the trip's sections.") \
    X(TRIP_OTHER_CLASS, 422, "other-class", "A named seat is not of the class asked for", "Leave the class out, or name other seats.") \
    X(TRIP_DUPLICATE_SEAT, 422, "duplicate-seat", "A seat is named twice", "Name each seat once.") \
    X(TRIP_SEATS_APART, 422, "seats-apart", "The named seats are not next to each other", "Leave adjacent out, or name other seats.") \
    X(TRIP_SEAT_COUNT_DIFFERS, 422, "seat-count-differs", "A change keeps the number of seats", "Name as many as the booking has.") \
    X(TRIP_STRETCH_LONGER, 422, "stretch-longer", "A change cannot lengthen the stretch", \
        "Hold and confirm the further stretch by itself.") \
    X(TRIP_EXISTS, 409, "trip-exists", "The trip is already open", "Use another id, or the trip that is there.") \
    X(TRIP_SEAT_TAKEN, 409, "seat-taken", "A seat is taken on this stretch", "Choose other seats, or send count for the best fitting.") \
    X(TRIP_SEAT_BLOCKED, 409, "seat-blocked", "A seat is not for sale", "Choose other seats.") \
    X(TRIP_SOLD_OUT, 409, "sold-out", "Too few seats are free on this stretch", "Ask for fewer, another class, stretch or trip.") \
    X(TRIP_NOT_ADJACENT, 409, "not-adjacent", "Not enough free seats lie next to each other", "Ask for fewer, or leave adjacent out.") \
    X(TRIP_HOLD_EXISTS, 409, "hold-exists", "This key once made a hold that has ended", "Use a new Idempotency-Key.") \
    X(TRIP_HOLD_EXPIRED, 409, "hold-expired", "The hold's time was up", "Hold seats again.") \
    X(TRIP_HOLD_RELEASED, 409, "hold-released", "The hold was released", "Hold seats again.") \
    X(TRIP_HOLD_CONFIRMED, 409, "hold-confirmed", "The hold is a booking by now", "Change or cancel the booking of the same id.") \
    X(TRIP_HOLD_LIMIT, 409, "hold-limit", "The hold cannot last longer", "Confirm it, or release it and hold again.") \
    X(TRIP_BOOKING_CANCELLED, 409, "booking-cancelled", "The booking was cancelled", "Hold seats again.") \
    X(TRIP_DEPARTED, 409, "departed", "The boarding point has been left", "Board at a later point, or take another trip.") \
    X(TRIP_SALE_CLOSED, 409, "sale-closed", "The sale of the trip is closed", "Choose another trip.") \
    X(TRIP_WAS_CANCELLED, 409, "trip-cancelled", "The trip was cancelled", "Choose another trip.") \
    X(TRIP_ENDED, 409, "trip-ended", "The trip has ended", "Choose another trip.")

enum trip_verdict {
    TRIP_VERDICT_BEFORE_FIRST = BT_VERDICT_REFUSED - 1,
#define TRIP_VERDICT_NAME(name, status, type, title, remedy) name,
    TRIP_VERDICTS(TRIP_VERDICT_NAME)
#undef TRIP_VERDICT_NAME
};

#endif
