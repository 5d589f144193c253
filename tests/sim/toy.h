/* toy - the smallest kind of stream that can sell one thing twice: eight seats, held and given back.
 *
 * It speaks the trip's own events (SeatsHeld with one seat, HoldReleased, HoldExpired, SaleClosed), so that an owner is
 * tried with real schemas, while a naive checker can still follow every record by eye. */
#ifndef BERTH_TESTS_SIM_TOY_H
#define BERTH_TESTS_SIM_TOY_H

#include "commands/decider.h"

#define TOY_SEATS 8

typedef enum toy_op {
    TOY_HOLD,        /* refused when the seat is taken */
    TOY_RELEASE,     /* refused when the seat is free */
    TOY_ENSURE_FREE, /* already so when the seat is free */
    TOY_CLOSE,       /* the stream ends an hour later */
} toy_op;

typedef struct toy_command {
    toy_op op;
    int32_t seat;
    int64_t ttl_us;        /* of a hold; 0: it does not end by itself */
    uint32_t padding_size; /* bytes of customer, to make an event too large */
} toy_command;

enum { TOY_TAKEN = BT_VERDICT_REFUSED, TOY_FREE, TOY_ENDED };

#define TOY_ENDS_AFTER_US (INT64_C(3600) * 1000000)

extern const bt_decider toy_decider;

#endif
