/* claims - a table by id, a heap by deadline, a list of what ended. */
#include "commands/trip/claims.h"

#include "core/memory.h"

#include <stdlib.h>

trip_claim *claims_find(const trip_claims *claims, bt_id id)
{
    if (claims->table == NULL)
        return NULL;
    uint64_t hash = bt_id_hash(id);
    for (uint64_t i = hash & claims->table_mask; claims->table[i].claim != NULL; i = (i + 1) & claims->table_mask)
        if (claims->table[i].hash == hash && bt_id_equal(claims->table[i].claim->id, id))
            return claims->table[i].claim;
    return NULL;
}

static void put(const trip_claims *claims, claim_slot put, bt_undo *undo)
{
    uint64_t i = put.hash & claims->table_mask;
    while (claims->table[i].claim != NULL)
        i = (i + 1) & claims->table_mask;
    bt_undo_save(undo, &claims->table[i], sizeof put);
    claims->table[i] = put;
}

/* The old table stays as it is for a roll-back, so nothing of the new one needs to be saved. */
static void grow_table(trip_claims *claims, bt_undo *undo)
{
    uint32_t old_size = claims->table == NULL ? 0 : claims->table_mask + 1;
    claim_slot *old = claims->table;
    claims->table_mask = old_size == 0 ? 7 : old_size * 2 - 1;
    claims->table = bt_undo_alloc(undo, (claims->table_mask + (size_t)1) * sizeof *old);
    for (uint32_t i = 0; i < old_size; i++)
        if (old[i].claim != NULL)
            put(claims, old[i], NULL);
    bt_undo_retire(undo, old);
}

/* Closes the gap by moving back what stands behind it in its run, so that no search ends too early. */
static void take_out(trip_claims *claims, const trip_claim *taken, bt_undo *undo)
{
    uint64_t gap = bt_id_hash(taken->id) & claims->table_mask;
    while (claims->table[gap].claim != taken)
        gap = (gap + 1) & claims->table_mask;
    for (uint64_t i = (gap + 1) & claims->table_mask; claims->table[i].claim != NULL; i = (i + 1) & claims->table_mask) {
        if (((i - claims->table[i].hash) & claims->table_mask) < ((i - gap) & claims->table_mask))
            continue;
        bt_undo_save(undo, &claims->table[gap], sizeof claims->table[gap]);
        claims->table[gap] = claims->table[i];
        gap = i;
    }
    bt_undo_save(undo, &claims->table[gap], sizeof claims->table[gap]);
    claims->table[gap] = (claim_slot){ 0 };
    claims->count--;
}

static bool is_before(deadline a, deadline b)
{
    if (a.expires_at_us != b.expires_at_us)
        return a.expires_at_us < b.expires_at_us;
    return memcmp(a.of->id.at, b.of->id.at, sizeof a.of->id.at) < 0;
}

static void place_deadline(const trip_claims *claims, uint32_t at, deadline placed, bt_undo *undo)
{
    bt_undo_save(undo, &claims->deadlines[at], sizeof placed);
    claims->deadlines[at] = placed;
    bt_undo_save(undo, &placed.of->deadline_at, sizeof placed.of->deadline_at);
    placed.of->deadline_at = at;
}

/* Places moved at a free place of the heap, or where it belongs above or below it. */
static void sift(const trip_claims *claims, uint32_t at, deadline moved, bt_undo *undo)
{
    for (; at > 0 && is_before(moved, claims->deadlines[(at - 1) / 2]); at = (at - 1) / 2)
        place_deadline(claims, at, claims->deadlines[(at - 1) / 2], undo);
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < claims->deadline_count && is_before(claims->deadlines[child + 1], claims->deadlines[child]))
            child++;
        if (child >= claims->deadline_count || !is_before(claims->deadlines[child], moved))
            break;
        place_deadline(claims, at, claims->deadlines[child], undo);
        at = child;
    }
    place_deadline(claims, at, moved, undo);
}

static void add_deadline(trip_claims *claims, trip_claim *of, bt_undo *undo)
{
    if (claims->deadline_count == claims->deadline_capacity) {
        deadline *old = claims->deadlines;
        claims->deadline_capacity = claims->deadline_capacity == 0 ? 8 : claims->deadline_capacity * 2;
        claims->deadlines = bt_undo_alloc(undo, claims->deadline_capacity * sizeof(deadline));
        if (old != NULL)
            memcpy(claims->deadlines, old, claims->deadline_count * sizeof(deadline));
        bt_undo_retire(undo, old);
    }
    claims->deadline_count++;
    sift(claims, claims->deadline_count - 1, (deadline){ of->expires_at_us, of }, undo);
}

static void remove_deadline(trip_claims *claims, const trip_claim *of, bt_undo *undo)
{
    uint32_t at = of->deadline_at;
    bt_assert(at < claims->deadline_count && claims->deadlines[at].of == of);
    deadline last = claims->deadlines[--claims->deadline_count];
    if (last.of != of)
        sift(claims, at, last, undo);
}

void claims_set_deadline(trip_claims *claims, trip_claim *claim, int64_t expires_at_us, bt_undo *undo)
{
    remove_deadline(claims, claim, undo);
    claim->expires_at_us = expires_at_us;
    if (expires_at_us != 0)
        add_deadline(claims, claim, undo);
    else
        claim->held_at_us = 0;
}

void claims_fetch(const trip_claims *claims, bt_id id)
{
    if (claims->table != NULL)
        __builtin_prefetch(&claims->table[bt_id_hash(id) & claims->table_mask]);
}

/* What is forgotten next ended thousands of endings ago, and is in no cache: its slot is fetched one ending ahead, and for that itself two ahead. */
static void fetch_forgotten(const trip_claims *claims)
{
    const trip_claim *next = claims->ended_first, *after = next->ended_after;
    claims_fetch(claims, next->id);
    __builtin_prefetch(after);
    __builtin_prefetch(&after->ended_after);
}

static void append_ended(trip_claims *claims, trip_claim *ended, bt_undo *undo)
{
    if (claims->ended_last == NULL) {
        claims->ended_first = ended;
    } else {
        bt_undo_save(undo, &claims->ended_last->ended_after, sizeof claims->ended_last->ended_after);
        claims->ended_last->ended_after = ended;
    }
    claims->ended_last = ended;
    if (++claims->ended_count <= TRIP_ENDED_MAX)
        return;
    trip_claim *forgotten = claims->ended_first;
    claims->ended_first = forgotten->ended_after;
    claims->ended_count--;
    fetch_forgotten(claims);
    take_out(claims, forgotten, undo);
    bt_undo_retire(undo, forgotten);
}

trip_claim *claims_add(trip_claims *claims, const trip_claim *head, const place_code *places, bt_str customer, bt_undo *undo)
{
    if (claims->table == NULL || 2 * (claims->count + 1) > claims->table_mask + 1)
        grow_table(claims, undo);
    trip_claim *added = bt_undo_alloc(undo, claim_size(head->place_count, customer.size));
    *added = *head;
    added->ended_after = NULL;
    added->customer_size = (uint8_t)customer.size;
    memcpy(added->places, places, head->place_count * sizeof *places);
    if (customer.size > 0)
        memcpy(added->places + head->place_count, customer.at, customer.size);
    put(claims, (claim_slot){ bt_id_hash(added->id), added }, undo);
    claims->count++;
    if (added->status == CLAIM_HELD)
        add_deadline(claims, added, undo);
    else if (claim_has_ended(added))
        append_ended(claims, added, undo);
    return added;
}

void claims_end(trip_claims *claims, trip_claim *claim, claim_status how, bt_undo *undo)
{
    if (claim->status == CLAIM_HELD)
        claims_set_deadline(claims, claim, 0, undo);
    claim->status = (uint8_t)how;
    append_ended(claims, claim, undo);
}

void claims_clear(trip_claims *claims, bt_undo *undo)
{
    for (uint32_t i = 0; claims->table != NULL && i <= claims->table_mask; i++)
        bt_undo_retire(undo, claims->table[i].claim);
    bt_undo_retire(undo, claims->table);
    bt_undo_retire(undo, claims->deadlines);
    *claims = (trip_claims){ 0 };
}

static int by_id(const void *a, const void *b)
{
    const trip_claim *const *left = a, *const *right = b;
    return memcmp((*left)->id.at, (*right)->id.at, sizeof (*left)->id.at);
}

trip_claim **claims_sorted(const trip_claims *claims, size_t *ret_count)
{
    size_t count = claims->count - claims->ended_count;
    *ret_count = count;
    if (count == 0)
        return NULL;
    trip_claim **sorted = bt_alloc(count * sizeof *sorted);
    size_t at = 0;
    for (uint32_t i = 0; i <= claims->table_mask; i++)
        if (claims->table[i].claim != NULL && !claim_has_ended(claims->table[i].claim))
            sorted[at++] = claims->table[i].claim;
    bt_assert(at == count);
    qsort(sorted, count, sizeof *sorted, by_id);
    return sorted;
}

size_t claims_bytes(const trip_claims *claims)
{
    size_t bytes = claims->deadline_capacity * sizeof(deadline);
    for (uint32_t i = 0; claims->table != NULL && i <= claims->table_mask; i++) {
        const trip_claim *claim = claims->table[i].claim;
        bytes += sizeof(claim_slot) + (claim == NULL ? 0 : claim_size(claim->place_count, claim->customer_size));
    }
    return bytes;
}
