/* The value of a trip as bytes: offsets as README.md says them, and what each event does to masks and counters. If this goes wrong, customers
 * are shown seats that they cannot have; nobody is sold one twice, for no decision is taken from here. */
#include "projections/availability/fold.h"

#include "schemas/trip.h"

#include <endian.h>

/* Where things stand in the value; see README.md. */
enum { FORMAT = 0, STATUS = 1, MASK_SIZE = 2, SEGMENTS = 3, SEATS = 4, COUNTED = 8, SECTIONS = 12, VERSION = 16, OFFSET = 24, LOG_TIME = 32 };

static uint32_t get_u32(const bt_availability *a, size_t at)
{
    uint32_t little;
    memcpy(&little, a->at + at, sizeof little);
    return le32toh(little);
}

static void mark(bt_availability *a, size_t at, size_t size)
{
    for (size_t chunk = at / BT_AVAILABILITY_CHUNK; chunk <= (at + size - 1) / BT_AVAILABILITY_CHUNK; chunk++)
        a->dirty[chunk / 8] |= (uint8_t)(1 << chunk % 8);
}

static void put_u32(bt_availability *a, size_t at, uint32_t value)
{
    uint32_t little = htole32(value);
    memcpy(a->at + at, &little, sizeof little);
    mark(a, at, sizeof little);
}

static void put_i64(bt_availability *a, size_t at, int64_t value)
{
    uint64_t little = htole64((uint64_t)value);
    memcpy(a->at + at, &little, sizeof little);
    mark(a, at, sizeof little);
}

static uint64_t get_mask(const bt_availability *a, size_t at)
{
    uint64_t little = 0;
    memcpy(&little, a->at + at, a->at[MASK_SIZE]);
    return le64toh(little);
}

static void put_mask(bt_availability *a, size_t at, uint64_t mask)
{
    uint64_t little = htole64(mask);
    memcpy(a->at + at, &little, a->at[MASK_SIZE]);
    mark(a, at, a->at[MASK_SIZE]);
}

int64_t bt_availability_version(const bt_availability *a)
{
    uint64_t little;
    if (!a->at)
        return 0;
    memcpy(&little, a->at + VERSION, sizeof little);
    return (int64_t)le64toh(little);
}

static size_t counters_at(const bt_availability *a) { return BT_AVAILABILITY_HEAD_SIZE + (size_t)get_u32(a, SECTIONS) * 4; }
static size_t seats_at(const bt_availability *a) { return counters_at(a) + (size_t)get_u32(a, COUNTED) * a->at[SEGMENTS] * 8; }

static void allocate(bt_availability *a, size_t size)
{
    a->size = size;
    a->at = bt_alloc(size);
    a->dirty = bt_alloc(size / BT_AVAILABILITY_CHUNK / 8 + 1);
}

void bt_availability_release(bt_availability *a)
{
    bt_release(a->at);
    bt_release(a->dirty);
    *a = (bt_availability){ 0 };
}

bool bt_availability_load(bt_bytes stored, bt_availability *ret_availability, bt_err *err)
{
    bt_availability head = { .at = (uint8_t *)stored.at };
    if (stored.size < BT_AVAILABILITY_HEAD_SIZE || stored.at[FORMAT] != 1 || stored.at[SEGMENTS] < 1 || stored.at[SEGMENTS] > 63 ||
        stored.at[MASK_SIZE] != (stored.at[SEGMENTS] + 7) / 8 || get_u32(&head, SEATS) > BT_AVAILABILITY_SEATS_MAX || get_u32(&head, SECTIONS) > 64 ||
        get_u32(&head, COUNTED) > get_u32(&head, SECTIONS))
        return bt_fail(err, BT_ERR_INPUT, 0, "not a value of availability of format 1");
    size_t size = seats_at(&head) + (size_t)get_u32(&head, SEATS) * 2 * stored.at[MASK_SIZE];
    if (stored.size > size)
        return bt_fail(err, BT_ERR_INPUT, 0, "a value of availability is longer than its head says");
    bt_availability loaded = { 0 };
    allocate(&loaded, size);
    memcpy(loaded.at, stored.at, stored.size);
    *ret_availability = loaded;
    return true;
}

static bool open_trip(bt_availability *a, const struct trip_opened *opened, bt_err *err)
{
    uint32_t seats = 0, counted = 0;
    if (opened->points_count < 2 || opened->points_count > 64 || opened->sections_count < 1 || opened->sections_count > 64)
        return bt_fail(err, BT_ERR_INPUT, 0, "trip with %u points and %u sections", opened->points_count, opened->sections_count);
    for (uint32_t i = 0; i < opened->sections_count; i++) {
        seats += opened->sections[i].seats_count;
        counted += opened->sections[i].seats_count == 0;
    }
    uint8_t segments = (uint8_t)(opened->points_count - 1), mask_size = (uint8_t)((segments + 7) / 8);
    allocate(a, BT_AVAILABILITY_HEAD_SIZE + (size_t)opened->sections_count * 4 + (size_t)counted * segments * 8 + (size_t)seats * 2 * mask_size);
    a->at[FORMAT] = 1;
    a->at[STATUS] = BT_AVAILABILITY_OPEN;
    a->at[MASK_SIZE] = mask_size;
    a->at[SEGMENTS] = segments;
    put_u32(a, SEATS, seats);
    put_u32(a, COUNTED, counted);
    put_u32(a, SECTIONS, opened->sections_count);
    for (uint32_t i = 0; i < opened->sections_count; i++)
        put_u32(a, BT_AVAILABILITY_HEAD_SIZE + i * 4, opened->sections[i].seats_count);
    a->ends_us = opened->points[opened->points_count - 1].arrives_at;
    return true;
}

typedef enum taking { HELD, BOOKED } taking;

typedef struct stretch {
    int32_t from, to;
} stretch;

/* Entry of a numbered seat, or the first counter of its section. False if the trip has no such place or stretch. */
static bool find_place(const bt_availability *a, const struct trip_place *place, stretch along, size_t *ret_at, bool *ret_numbered)
{
    uint32_t seats_before = 0, counted_before = 0;
    if (along.from < 0 || along.from >= along.to || along.to > a->at[SEGMENTS] || place->section < 0 || (uint32_t)place->section >= get_u32(a, SECTIONS))
        return false;
    for (int32_t i = 0; i < place->section; i++) {
        uint32_t entries = get_u32(a, BT_AVAILABILITY_HEAD_SIZE + (size_t)i * 4);
        seats_before += entries;
        counted_before += entries == 0;
    }
    uint32_t entries = get_u32(a, BT_AVAILABILITY_HEAD_SIZE + (size_t)place->section * 4);
    *ret_numbered = entries > 0;
    if (entries == 0) {
        *ret_at = counters_at(a) + (size_t)counted_before * a->at[SEGMENTS] * 8;
        return true;
    }
    *ret_at = seats_at(a) + ((size_t)seats_before + (size_t)place->seat) * 2 * a->at[MASK_SIZE];
    return place->seat >= 0 && (uint32_t)place->seat < entries;
}

static uint64_t bits_of(stretch along) { return ((UINT64_C(1) << along.to) - 1) & ~((UINT64_C(1) << along.from) - 1); }

static bool take_seat(bt_availability *a, size_t at, stretch along, taking as, bool give_back)
{
    size_t own_at = at + (as == BOOKED ? a->at[MASK_SIZE] : 0);
    uint64_t bits = bits_of(along), own = get_mask(a, own_at), both = get_mask(a, at) | get_mask(a, at + a->at[MASK_SIZE]);
    if (give_back ? (own & bits) != bits : (both & bits) != 0)
        return false;
    put_mask(a, own_at, give_back ? own & ~bits : own | bits);
    return true;
}

static bool take_counted(bt_availability *a, size_t at, stretch along, taking as, bool give_back)
{
    for (int32_t segment = along.from; segment < along.to; segment++) {
        size_t own_at = at + (size_t)segment * 8 + (as == BOOKED ? 4 : 0);
        uint32_t count = get_u32(a, own_at);
        if (give_back && count == 0)
            return false;
        put_u32(a, own_at, give_back ? count - 1 : count + 1);
    }
    return true;
}

static bool take(bt_availability *a, const struct trip_place *places, uint32_t count, stretch along, taking as, bool give_back, bt_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t at;
        bool numbered;
        if (!find_place(a, &places[i], along, &at, &numbered))
            return bt_fail(err, BT_ERR_INPUT, 0, "no seat %d in section %d from point %d to %d", places[i].seat, places[i].section, along.from, along.to);
        if (!(numbered ? take_seat : take_counted)(a, at, along, as, give_back))
            return bt_fail(err, BT_ERR_INPUT, 0, "seat %d of section %d is %s from point %d to %d", places[i].seat, places[i].section,
                           give_back ? "given back and was not taken" : "taken twice", along.from, along.to);
    }
    return true;
}

static bool confirm(bt_availability *a, const struct trip_hold_confirmed *e, bt_err *err)
{
    stretch along = { e->from, e->to };
    return take(a, e->places, e->places_count, along, HELD, true, err) && take(a, e->places, e->places_count, along, BOOKED, false, err);
}

static bool change(bt_availability *a, const struct trip_booking_changed *e, bt_err *err)
{
    return take(a, e->old_places, e->old_places_count, (stretch){ e->old_from, e->old_to }, BOOKED, true, err) &&
           take(a, e->places, e->places_count, (stretch){ e->from, e->to }, BOOKED, false, err);
}

static bool end_sale(bt_availability *a, bt_availability_status status)
{
    a->at[STATUS] = (uint8_t)status;
    if (status == BT_AVAILABILITY_CANCELLED && a->size > counters_at(a)) {
        memset(a->at + counters_at(a), 0, a->size - counters_at(a));
        mark(a, counters_at(a), a->size - counters_at(a));
    }
    return true;
}

static bool apply(bt_availability *a, bt_event event, bt_err *err)
{
    switch ((enum trip_event)event.type->index) {
    case TRIP_EVENT_TRIP_OPENED:
        return a->at ? bt_fail(err, BT_ERR_INPUT, 0, "the trip is opened twice") : open_trip(a, event.data, err);
    case TRIP_EVENT_SEATS_HELD: {
        const struct trip_seats_held *e = event.data;
        return take(a, e->places, e->places_count, (stretch){ e->from, e->to }, HELD, false, err);
    }
    case TRIP_EVENT_HOLD_CONFIRMED:
        return confirm(a, event.data, err);
    case TRIP_EVENT_HOLD_RELEASED: {
        const struct trip_hold_released *e = event.data;
        return take(a, e->places, e->places_count, (stretch){ e->from, e->to }, HELD, true, err);
    }
    case TRIP_EVENT_HOLD_EXPIRED: {
        const struct trip_hold_expired *e = event.data;
        return take(a, e->places, e->places_count, (stretch){ e->from, e->to }, HELD, true, err);
    }
    case TRIP_EVENT_BOOKING_CANCELLED: {
        const struct trip_booking_cancelled *e = event.data;
        return take(a, e->places, e->places_count, (stretch){ e->from, e->to }, BOOKED, true, err);
    }
    case TRIP_EVENT_BOOKING_CHANGED:
        return change(a, event.data, err);
    case TRIP_EVENT_HOLD_EXTENDED:
        return true; /* only the version moves */
    case TRIP_EVENT_SALE_CLOSED:
        return end_sale(a, BT_AVAILABILITY_CLOSED);
    case TRIP_EVENT_TRIP_CANCELLED:
        return end_sale(a, BT_AVAILABILITY_CANCELLED);
    }
    return true;
}

bool bt_availability_fold(bt_availability *a, const bt_fact *fact, bt_err *err)
{
    const bt_meta *meta = bt_event_meta(fact->event);
    bool opens = fact->event.type == &trip_opened_message;
    if ((!a->at && !opens) || (a->at && meta->version <= bt_availability_version(a)))
        return true;
    if (meta->version != bt_availability_version(a) + 1)
        return bt_fail(err, BT_ERR_INPUT, 0, "version %lld follows version %lld", (long long)meta->version, (long long)bt_availability_version(a));
    if (!apply(a, fact->event, err))
        return false;
    put_i64(a, VERSION, meta->version);
    put_i64(a, OFFSET, fact->offset);
    put_i64(a, LOG_TIME, meta->time);
    mark(a, 0, BT_AVAILABILITY_HEAD_SIZE);
    return true;
}

bool bt_availability_is_dirty(const bt_availability *a)
{
    return a->at && a->dirty[0] & 1; /* each change touches the head */
}

void bt_availability_take_ranges(bt_availability *a, bt_buf *out)
{
    size_t chunk_count = (a->size + BT_AVAILABILITY_CHUNK - 1) / BT_AVAILABILITY_CHUNK;
    for (size_t from = 0; from < chunk_count; from++) {
        size_t to = from;
        while (to < chunk_count && a->dirty[to / 8] >> to % 8 & 1)
            to++;
        if (to == from)
            continue;
        size_t at = from * BT_AVAILABILITY_CHUNK, end = to * BT_AVAILABILITY_CHUNK < a->size ? to * BT_AVAILABILITY_CHUNK : a->size;
        uint32_t head[2] = { htole32((uint32_t)at), htole32((uint32_t)(end - at)) };
        bt_buf_write(out, head, sizeof head);
        bt_buf_write(out, a->at + at, end - at);
        from = to;
    }
    memset(a->dirty, 0, a->size / BT_AVAILABILITY_CHUNK / 8 + 1);
}
