/* claims - the holds and bookings of one trip, found by id; the deadlines of the holds; and what became of the last
 * ones that ended.
 *
 * A claim is one block that never moves, except when a change gives it other places. All changes go through the undo
 * rules, so that a roll-back leaves tables and lists as they were. */
#ifndef BERTH_COMMANDS_TRIP_CLAIMS_H
#define BERTH_COMMANDS_TRIP_CLAIMS_H

#include "commands/trip/layout.h"

typedef enum claim_status {
    CLAIM_HELD,
    CLAIM_BOOKED,
    CLAIM_RELEASED, /* from here on: ended, its places are free */
    CLAIM_EXPIRED,
    CLAIM_CANCELLED,
} claim_status;

typedef struct trip_claim trip_claim;
struct trip_claim {
    bt_id id;
    int64_t held_at_us;    /* of a hold; 0 otherwise */
    int64_t expires_at_us; /* of a hold; 0 otherwise */
    trip_claim *ended_after;    /* the next claim that ended */
    uint32_t deadline_at;  /* index in deadlines, of a hold */
    uint8_t status;
    trip_stretch on;
    uint8_t place_count, customer_size;
    place_code places[]; /* ascending by section and seat; then the customer's bytes */
};

/* The hash stands beside the pointer, so that a search looks into no claim but the one that it finds. */
typedef struct claim_slot {
    uint64_t hash;
    trip_claim *claim; /* NULL: free */
} claim_slot;

typedef struct deadline {
    int64_t expires_at_us;
    trip_claim *of;
} deadline;

typedef struct trip_claims {
    claim_slot *table;        /* open addressing, linear probing, at most half full */
    deadline *deadlines; /* binary heap: the earliest first, equal ones by id */
    trip_claim *ended_first, *ended_last;
    uint32_t table_mask; /* size - 1; 0 without a table */
    uint32_t count;      /* in table: held, booked and remembered */
    uint32_t ended_count;
    uint32_t deadline_count, deadline_capacity;
} trip_claims;

static inline bool claim_has_ended(const trip_claim *claim) { return claim->status >= CLAIM_RELEASED; }

static inline bt_str claim_customer(const trip_claim *claim)
{
    return (bt_str){ (const char *)(claim->places + claim->place_count), claim->customer_size };
}

static inline size_t claim_size(size_t place_count, size_t customer_size)
{
    return sizeof(trip_claim) + place_count * sizeof(place_code) + customer_size;
}

/* The caller has saved the claims struct itself in undo; these save what it points to. */
trip_claim *claims_find(const trip_claims *claims, bt_id id); /* NULL if there is none */
/* Begins to load what a search for id will look at, while its caller does something else. */
void claims_fetch(const trip_claims *claims, bt_id id);
/* Adds a claim that is not there, held or booked or (from a snapshot, in the order of ending) ended. */
trip_claim *claims_add(trip_claims *claims, const trip_claim *head, const place_code *places, bt_str customer, bt_undo *undo);
/* A hold's new time, or 0: it is no hold any more. The caller has saved the claim. */
void claims_set_deadline(trip_claims *claims, trip_claim *claim, int64_t expires_at_us, bt_undo *undo);
/* A held or booked claim ends; beyond TRIP_ENDED_MAX the one that ended first is forgotten. The caller has saved it. */
void claims_end(trip_claims *claims, trip_claim *claim, claim_status how, bt_undo *undo);
/* All memory goes; the struct is zeroed. */
void claims_clear(trip_claims *claims, bt_undo *undo);

/* Held and booked claims in ascending order of id. Returns an array to bt_release; NULL if there are none. */
trip_claim **claims_sorted(const trip_claims *claims, size_t *ret_count);
size_t claims_bytes(const trip_claims *claims);

#endif
