/* snapshot - a trip as self-contained bytes, and back. Equal states have equal bytes. What is read is trusted in
 * nothing: a place that does not exist or is taken twice is an error, as in an event.
 *
 *   format 1, version, then if it is open: layout's canonical bytes, first arrival, status, reason (cancelled only),
 *   live claims by ascending id, ended claims in the order of their ending.
 * Seats, deadlines and tables follow from the claims and are not written. */
#include "commands/trip/bytes.h"
#include "commands/trip/state.h"
#include "core/memory.h"

#define FORMAT 1

static void put_claim(const trip_claim *claim, bt_buf *out)
{
    bt_buf_write(out, claim->id.at, sizeof claim->id.at);
    put_number(out, claim->status);
    put_number(out, claim->on.from);
    put_number(out, claim->on.to);
    if (claim->status == CLAIM_HELD) {
        put_number(out, (uint64_t)claim->held_at_us);
        put_number(out, (uint64_t)claim->expires_at_us);
    }
    put_number(out, claim->place_count);
    for (unsigned i = 0; i < claim->place_count; i++)
        put_number(out, claim->places[i]);
    put_text(out, claim_customer(claim));
}

void trip_save(const void *state, bt_buf *out)
{
    const trip_state *trip = state;
    put_number(out, FORMAT);
    put_number(out, (uint64_t)trip->version);
    if (trip->layout == NULL)
        return;
    put_text(out, (bt_str){ (const char *)trip->layout->canonical.at, trip->layout->canonical.size });
    put_number(out, (uint64_t)trip->starts_at_us);
    put_number(out, trip->status);
    if (trip->status == TRIP_STATUS_CANCELLED)
        put_text(out, trip_reason(trip));
    size_t count;
    trip_claim **sorted = claims_sorted(&trip->claims, &count);
    put_number(out, count);
    for (size_t i = 0; i < count; i++)
        put_claim(sorted[i], out);
    bt_release(sorted);
    put_number(out, trip->claims.ended_count);
    for (const trip_claim *ended = trip->claims.ended_first; ended != NULL; ended = ended->ended_after)
        put_claim(ended, out);
}

static bool place_exists(const trip_layout *layout, place_code place)
{
    if (place_is_capacity(place))
        return (place & ~PLACE_CAPACITY) < layout->section_count && layout->sections[place & ~PLACE_CAPACITY].capacity > 0;
    return place < layout->slot_count && layout->slots[place].label_size > 0;
}

static bool follows(const trip_layout *layout, place_code before, place_code place)
{
    unsigned section_before = place_section(layout, before), section = place_section(layout, place);
    return section > section_before || (section == section_before && (place > before || (place == before && place_is_capacity(place))));
}

static void take_places(trip_state *trip, byte_reader *reader, const trip_claim *head, const place_code *places)
{
    if (trip->seats == NULL) {
        trip->seats = bt_alloc(trip->layout->block_size);
        memcpy(trip->seats, trip->layout->untouched, trip->layout->block_size);
    }
    trip_seats seats = seats_of(trip->layout, trip->seats);
    for (unsigned i = 0; i < head->place_count && !reader->failed; i++) {
        if (seats_are_free(&seats, places[i], head->on, 1))
            seats_take(&seats, places[i], head->on, NULL);
        else
            reader->failed = true;
    }
}

/* ended says in which of the two lists it stands. */
static void take_claim(trip_state *trip, byte_reader *reader, bool ended)
{
    const trip_layout *layout = trip->layout;
    place_code places[TRIP_PLACES_MAX];
    trip_claim head = { 0 };
    bt_str id = take_run(reader, sizeof head.id.at);
    if (id.size == sizeof head.id.at)
        memcpy(head.id.at, id.at, sizeof head.id.at);
    head.status = (uint8_t)take_number(reader, CLAIM_CANCELLED);
    head.on.from = (uint8_t)take_number(reader, layout->segment_count - 1U);
    head.on.to = (uint8_t)take_number(reader, layout->segment_count);
    if (head.status == CLAIM_HELD) {
        head.held_at_us = (int64_t)take_number(reader, INT64_MAX);
        head.expires_at_us = (int64_t)take_number(reader, INT64_MAX);
        reader->failed = reader->failed || head.expires_at_us == 0;
    }
    head.place_count = (uint8_t)take_number(reader, TRIP_PLACES_MAX);
    for (unsigned i = 0; i < head.place_count && !reader->failed; i++) {
        places[i] = (place_code)take_number(reader, UINT16_MAX);
        reader->failed = reader->failed || !place_exists(layout, places[i]) || (i > 0 && !follows(layout, places[i - 1], places[i]));
    }
    bt_str customer = take_text(reader, BT_NAME_MAX);
    if (reader->failed || head.place_count == 0 || head.on.to <= head.on.from || claim_has_ended(&head) != ended ||
        claims_find(&trip->claims, head.id) != NULL)
        reader->failed = true;
    else if (!ended)
        take_places(trip, reader, &head, places);
    if (!reader->failed)
        claims_add(&trip->claims, &head, places, customer, NULL);
}

static void take_claims(trip_state *trip, byte_reader *reader)
{
    bt_id before = { { 0 } };
    /* What is left bounds the count: a claim has over 16 bytes. */
    uint64_t count = take_number(reader, (uint64_t)(reader->end - reader->at));
    for (uint64_t i = 0; i < count && !reader->failed; i++) {
        bt_id id = before;
        if (reader->end - reader->at >= (ptrdiff_t)sizeof id.at)
            memcpy(id.at, reader->at, sizeof id.at);
        reader->failed = reader->failed || (i > 0 && memcmp(before.at, id.at, sizeof id.at) >= 0);
        before = id;
        if (!reader->failed)
            take_claim(trip, reader, false);
    }
    uint64_t ended_count = take_number(reader, TRIP_ENDED_MAX);
    for (uint64_t i = 0; i < ended_count && !reader->failed; i++)
        take_claim(trip, reader, true);
}

static void take_reason(trip_state *trip, byte_reader *reader)
{
    bt_str reason = take_text(reader, UINT8_MAX);
    trip->reason = bt_alloc(reason.size + 1);
    *trip->reason = (uint8_t)reason.size;
    if (reason.size > 0)
        memcpy(trip->reason + 1, reason.at, reason.size);
}

static bool take_open_trip(trip_state *trip, byte_reader *reader, bt_err *err)
{
    bt_str canonical = take_text(reader, SIZE_MAX);
    trip->layout = reader->failed ? NULL : layout_intern((bt_bytes){ (const uint8_t *)canonical.at, canonical.size }, err);
    if (trip->layout == NULL)
        return false;
    trip->starts_at_us = (int64_t)take_number(reader, TRIP_TIME_MAX_US);
    trip->status = (uint8_t)take_number(reader, TRIP_STATUS_CANCELLED);
    if (trip->status == TRIP_STATUS_CANCELLED)
        take_reason(trip, reader);
    take_claims(trip, reader);
    /* A cancelled trip has given up all that it had. */
    return !reader->failed && (trip->status != TRIP_STATUS_CANCELLED || trip->claims.count == 0);
}

void *trip_load(bt_bytes saved, bt_err *err)
{
    byte_reader reader = { saved.at, saved.at + saved.size, false };
    if (take_number(&reader, UINT64_MAX) != FORMAT || reader.failed) {
        bt_fail(err, BT_ERR_INPUT, 0, "a trip's snapshot of a format that this program does not know");
        return NULL;
    }
    trip_state *trip = trip_new(NULL);
    trip->version = (int64_t)take_number(&reader, INT64_MAX);
    bool fits = trip->version == 0 || take_open_trip(trip, &reader, err);
    if (fits && !reader.failed && reader.at == reader.end)
        return trip;
    trip_free(trip, NULL);
    bt_fail(err, BT_ERR_INPUT, 0, "a trip's snapshot does not fit at byte %zu of %zu", (size_t)(reader.at - saved.at), saved.size);
    return NULL;
}
