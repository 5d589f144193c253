/* evolve - what each event does to a trip.
 *
 * Each event is first held against the state, and changes it only if nothing contradicts: a double booking in a valid
 * record is a bug somewhere, and must stop the trip, not be sold to two people. What it says is never decided again:
 * no setting and no clock is looked at here. */
#include "commands/trip/state.h"
#include "core/memory.h"

static bool contradicts(bt_err *err, bt_event event, const char *what)
{
    return bt_fail(err, BT_ERR_FATAL, 0, "%s version %lld contradicts its trip: %s", event.type->record->name,
        (long long)bt_event_meta(event)->version, what);
}

/* Places of an event as codes, if they exist and ascend by section and seat; places without number may repeat. */
static bool read_places(const trip_state *trip, const struct trip_place *places, uint32_t count, place_code *ret_codes)
{
    if (count < 1 || count > TRIP_PLACES_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!place_find(trip->layout, places[i].section, places[i].seat, &ret_codes[i]))
            return false;
        bool same_section = i > 0 && places[i].section == places[i - 1].section;
        if (i > 0 && places[i].section < places[i - 1].section)
            return false;
        if (same_section && places[i].seat <= places[i - 1].seat && !(places[i].seat == -1 && places[i - 1].seat == -1))
            return false;
    }
    return true;
}

static bool read_stretch(const trip_state *trip, int32_t from, int32_t to, trip_stretch *ret_on)
{
    if (from < 0 || to <= from || to >= trip->layout->point_count)
        return false;
    *ret_on = (trip_stretch){ (uint8_t)from, (uint8_t)to };
    return true;
}

/* How many equal places without number end at i; seats are never equal. */
static uint32_t run_before(const place_code *places, uint32_t i)
{
    uint32_t run = 1;
    while (run <= i && places[i - run] == places[i])
        run++;
    return run;
}

static bool are_free(const trip_seats *seats, const place_code *places, uint32_t count, trip_stretch on)
{
    for (uint32_t i = 0; i < count; i++)
        if (!seats_are_free(seats, places[i], on, run_before(places, i)))
            return false;
    return true;
}

static void begin(trip_state *trip, bt_undo *undo)
{
    bt_undo_save(undo, trip, sizeof *trip);
    trip->version++;
}

/* The seats block to write into. */
static trip_seats own_seats(trip_state *trip, bt_undo *undo)
{
    if (trip->seats == NULL) {
        trip->seats = bt_undo_alloc(undo, trip->layout->block_size);
        memcpy(trip->seats, trip->layout->untouched, trip->layout->block_size);
    }
    return seats_of(trip->layout, trip->seats);
}

static void take_all(const trip_seats *seats, const place_code *places, uint32_t count, trip_stretch on, bt_undo *undo)
{
    for (uint32_t i = 0; i < count; i++)
        seats_take(seats, places[i], on, undo);
}

static void give_back_all(const trip_seats *seats, const trip_claim *claim, bt_undo *undo)
{
    for (uint32_t i = 0; i < claim->place_count; i++)
        seats_give_back(seats, claim->places[i], claim->on, undo);
}

static bool on_trip_opened(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    const struct trip_opened *opened = event.data;
    if (trip->layout != NULL)
        return contradicts(err, event, "it is open already");
    if (opened->points_count < 2 || opened->points[0].arrives_at < 0 || opened->points[0].arrives_at > TRIP_TIME_MAX_US)
        return contradicts(err, event, "its points or times break a limit");
    bt_buf canonical;
    bt_buf_init(&canonical, 4 * BT_RECORD_VALUE_MAX);
    layout_canonical(opened, &canonical);
    trip_layout *layout = canonical.overflow ? NULL : layout_intern((bt_bytes){ canonical.at, canonical.size }, err);
    bool overflow = canonical.overflow;
    bt_buf_release(&canonical);
    if (layout == NULL)
        return overflow ? contradicts(err, event, "it is too large") : false;
    bt_undo_acquired(undo, layout, layout_release);
    begin(trip, undo);
    trip->layout = layout;
    trip->starts_at_us = opened->points[0].arrives_at;
    return true;
}

static bool on_seats_held(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    const struct trip_seats_held *held = event.data;
    place_code places[TRIP_PLACES_MAX];
    trip_claim head = { .id = held->hold, .held_at_us = held->meta.time, .expires_at_us = held->expires_at, .status = CLAIM_HELD,
        .place_count = (uint8_t)held->places_count };
    if (trip->status != TRIP_STATUS_OPEN)
        return contradicts(err, event, "the sale is closed");
    claims_fetch(&trip->claims, held->hold);
    if (!read_stretch(trip, held->from, held->to, &head.on) || !read_places(trip, held->places, held->places_count, places))
        return contradicts(err, event, "no such stretch or places");
    if (held->customer.size > BT_NAME_MAX || held->expires_at <= 0)
        return contradicts(err, event, "its customer or time breaks a limit");
    trip_seats seats = trip_seats_of(trip);
    if (!are_free(&seats, places, held->places_count, head.on))
        return contradicts(err, event, "a place is taken already");
    if (claims_find(&trip->claims, held->hold) != NULL)
        return contradicts(err, event, "there is a hold of this id");
    begin(trip, undo);
    claims_add(&trip->claims, &head, places, held->customer, undo);
    seats = own_seats(trip, undo);
    take_all(&seats, places, held->places_count, head.on, undo);
    return true;
}

/* The claim of an event that names one, in this status; NULL otherwise. */
static trip_claim *find_claim(const trip_state *trip, bt_id id, claim_status status)
{
    trip_claim *found = claims_find(&trip->claims, id);
    return found != NULL && found->status == status ? found : NULL;
}

/* True if an event tells the claim's stretch and places as the state knows them. */
static bool tells(const trip_state *trip, const trip_claim *claim, int32_t from, int32_t to, const struct trip_place *places,
    uint32_t count)
{
    if (from != claim->on.from || to != claim->on.to || count != claim->place_count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (places[i].section != (int32_t)place_section(trip->layout, claim->places[i]) ||
            places[i].seat != place_seat(trip->layout, claim->places[i]))
            return false;
    return true;
}

static void save_claim(trip_claim *claim, bt_undo *undo) { bt_undo_save(undo, claim, sizeof *claim); }

static bool on_hold_extended(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    const struct trip_hold_extended *extended = event.data;
    trip_claim *claim = find_claim(trip, extended->hold, CLAIM_HELD);
    if (claim == NULL || extended->expires_at <= claim->expires_at_us)
        return contradicts(err, event, "no such hold, or it lasts as long already");
    begin(trip, undo);
    save_claim(claim, undo);
    claims_set_deadline(&trip->claims, claim, extended->expires_at, undo);
    return true;
}

static bool on_hold_confirmed(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    const struct trip_hold_confirmed *confirmed = event.data;
    trip_claim *claim = find_claim(trip, confirmed->hold, CLAIM_HELD);
    if (claim == NULL || !tells(trip, claim, confirmed->from, confirmed->to, confirmed->places, confirmed->places_count))
        return contradicts(err, event, "no such hold, or other places");
    begin(trip, undo);
    save_claim(claim, undo);
    claims_set_deadline(&trip->claims, claim, 0, undo);
    claim->status = CLAIM_BOOKED;
    return true;
}

static void end_claim(trip_state *trip, trip_claim *claim, claim_status how, bt_undo *undo)
{
    begin(trip, undo);
    save_claim(claim, undo);
    trip_seats seats = own_seats(trip, undo);
    give_back_all(&seats, claim, undo);
    claims_end(&trip->claims, claim, how, undo);
}

static bool on_hold_released(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    const struct trip_hold_released *released = event.data;
    trip_claim *claim = find_claim(trip, released->hold, CLAIM_HELD);
    if (claim == NULL || !tells(trip, claim, released->from, released->to, released->places, released->places_count))
        return contradicts(err, event, "no such hold, or other places");
    end_claim(trip, claim, CLAIM_RELEASED, undo);
    return true;
}

static bool on_hold_expired(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    const struct trip_hold_expired *expired = event.data;
    trip_claim *claim = find_claim(trip, expired->hold, CLAIM_HELD);
    if (claim == NULL || !tells(trip, claim, expired->from, expired->to, expired->places, expired->places_count))
        return contradicts(err, event, "no such hold, or other places");
    end_claim(trip, claim, CLAIM_EXPIRED, undo);
    return true;
}

static bool on_booking_cancelled(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    const struct trip_booking_cancelled *cancelled = event.data;
    trip_claim *claim = find_claim(trip, cancelled->booking, CLAIM_BOOKED);
    if (claim == NULL || !tells(trip, claim, cancelled->from, cancelled->to, cancelled->places, cancelled->places_count))
        return contradicts(err, event, "no such booking, or other places");
    end_claim(trip, claim, CLAIM_CANCELLED, undo);
    return true;
}

static bool on_booking_changed(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    const struct trip_booking_changed *changed = event.data;
    trip_claim *claim = find_claim(trip, changed->booking, CLAIM_BOOKED);
    place_code places[TRIP_PLACES_MAX];
    trip_stretch on;
    if (claim == NULL || !tells(trip, claim, changed->old_from, changed->old_to, changed->old_places, changed->old_places_count))
        return contradicts(err, event, "no such booking, or other places");
    if (!read_stretch(trip, changed->from, changed->to, &on) || !read_places(trip, changed->places, changed->places_count, places) ||
        changed->places_count != claim->place_count)
        return contradicts(err, event, "no such stretch or places");
    /* Its own places count as free, which is seen only once they are given back; they are taken again if that fails. */
    trip_seats seats = own_seats(trip, NULL);
    give_back_all(&seats, claim, NULL);
    bool free = are_free(&seats, places, changed->places_count, on);
    take_all(&seats, claim->places, claim->place_count, claim->on, NULL);
    if (!free)
        return contradicts(err, event, "a place is taken already");
    begin(trip, undo);
    give_back_all(&seats, claim, undo);
    bt_undo_save(undo, claim, claim_size(claim->place_count, 0));
    memcpy(claim->places, places, changed->places_count * sizeof *places);
    claim->on = on;
    take_all(&seats, places, claim->place_count, on, undo);
    return true;
}

static bool on_sale_closed(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    if (trip->status != TRIP_STATUS_OPEN)
        return contradicts(err, event, "the sale is closed already");
    begin(trip, undo);
    trip->status = TRIP_STATUS_CLOSED;
    return true;
}

static bool on_trip_cancelled(trip_state *trip, bt_event event, bt_undo *undo, bt_err *err)
{
    const struct trip_cancelled *cancelled = event.data;
    if (cancelled->reason.size > UINT8_MAX)
        return contradicts(err, event, "its reason is too long");
    begin(trip, undo);
    claims_clear(&trip->claims, undo);
    bt_undo_retire(undo, trip->seats);
    trip->seats = NULL;
    trip->status = TRIP_STATUS_CANCELLED;
    trip->reason = bt_undo_alloc(undo, cancelled->reason.size + 1);
    *trip->reason = (uint8_t)cancelled->reason.size;
    if (cancelled->reason.size > 0)
        memcpy(trip->reason + 1, cancelled->reason.at, cancelled->reason.size);
    return true;
}

bool trip_evolve(void *state, bt_event event, bt_undo *undo, bt_err *err)
{
    trip_state *trip = state;
    enum trip_event which = (enum trip_event)event.type->index;
    if (bt_event_meta(event)->version != trip->version + 1)
        return bt_fail(err, BT_ERR_FATAL, 0, "%s has version %lld where the trip expects %lld", event.type->record->name,
            (long long)bt_event_meta(event)->version, (long long)trip->version + 1);
    if (trip->layout == NULL && which != TRIP_EVENT_TRIP_OPENED)
        return contradicts(err, event, "it is not open");
    if (trip->status == TRIP_STATUS_CANCELLED)
        return contradicts(err, event, "it was cancelled");
    switch (which) {
    case TRIP_EVENT_TRIP_OPENED:
        return on_trip_opened(trip, event, undo, err);
    case TRIP_EVENT_SEATS_HELD:
        return on_seats_held(trip, event, undo, err);
    case TRIP_EVENT_HOLD_EXTENDED:
        return on_hold_extended(trip, event, undo, err);
    case TRIP_EVENT_HOLD_CONFIRMED:
        return on_hold_confirmed(trip, event, undo, err);
    case TRIP_EVENT_HOLD_RELEASED:
        return on_hold_released(trip, event, undo, err);
    case TRIP_EVENT_HOLD_EXPIRED:
        return on_hold_expired(trip, event, undo, err);
    case TRIP_EVENT_BOOKING_CHANGED:
        return on_booking_changed(trip, event, undo, err);
    case TRIP_EVENT_BOOKING_CANCELLED:
        return on_booking_cancelled(trip, event, undo, err);
    case TRIP_EVENT_SALE_CLOSED:
        return on_sale_closed(trip, event, undo, err);
    case TRIP_EVENT_TRIP_CANCELLED:
        return on_trip_cancelled(trip, event, undo, err);
    }
    return contradicts(err, event, "no event of a trip");
}

void *trip_new(bt_undo *undo) { return bt_undo_alloc(undo, sizeof(trip_state)); }

void trip_free(void *state, bt_undo *undo)
{
    trip_state *trip = state;
    if (trip == NULL)
        return;
    /* A roll-back must find the claims where they were. */
    bt_undo_save(undo, trip, sizeof *trip);
    claims_clear(&trip->claims, undo);
    bt_undo_retire(undo, trip->seats);
    bt_undo_retire(undo, trip->reason);
    if (trip->layout != NULL)
        bt_undo_retire_by(undo, trip->layout, layout_release);
    bt_undo_retire(undo, trip);
}

size_t trip_state_bytes(const void *state)
{
    const trip_state *trip = state;
    return sizeof *trip + (trip->seats == NULL ? 0 : trip->layout->block_size) + claims_bytes(&trip->claims) +
        (trip->reason == NULL ? 0 : 1U + *trip->reason);
}
