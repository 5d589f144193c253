/* render - what a client is answered: from the event and the layout alone, so that a repeat gets the same bytes from
 * any node at any time. */
#include "commands/trip/state.h"

static void put_stretch(const trip_state *trip, int32_t from, int32_t to, bt_buf *out)
{
    bt_json_str(out, "from", trip->layout->points[from].stop);
    bt_json_str(out, "to", trip->layout->points[to].stop);
    bt_json_time(out, "departs_at", trip_departs_us(trip, (unsigned)from));
    bt_json_time(out, "arrives_at", trip_arrives_us(trip, (unsigned)to));
}

/* A place without number has the seat null. */
static void put_places(const trip_state *trip, const char *name, const struct trip_place *places, uint32_t count, bt_buf *out)
{
    bt_json_open(out, name, '[');
    for (uint32_t i = 0; i < count; i++) {
        const layout_section *section = &trip->layout->sections[places[i].section];
        bt_json_open(out, NULL, '{');
        bt_json_str(out, "section", section->name);
        if (places[i].seat >= 0)
            bt_json_str(out, "seat", layout_label(trip->layout, section->first_slot + (unsigned)places[i].seat));
        else
            bt_json_null(out, "seat");
        bt_json_close(out, '}');
    }
    bt_json_close(out, ']');
}

static void put_opened(bt_str stream, const struct trip_opened *opened, bt_buf *out)
{
    int64_t seats = 0, places = 0;
    bt_json_str(out, "trip", stream);
    bt_json_str(out, "status", BT_STR("open"));
    bt_json_str(out, "name", opened->name);
    bt_json_str(out, "timezone", opened->timezone);
    bt_json_open(out, "points", '[');
    for (uint32_t i = 0; i < opened->points_count; i++) {
        bt_json_open(out, NULL, '{');
        bt_json_str(out, "stop", opened->points[i].stop);
        bt_json_time(out, "arrives_at", opened->points[i].arrives_at);
        bt_json_time(out, "departs_at", opened->points[i].departs_at);
        bt_json_close(out, '}');
    }
    bt_json_close(out, ']');
    for (uint32_t i = 0; i < opened->sections_count; i++) {
        const struct trip_section *section = &opened->sections[i];
        for (uint32_t j = 0; j < section->seats_count; j++)
            seats += section->seats[j].at != NULL;
        seats -= section->blocked_count;
        places += section->capacity;
    }
    bt_json_i64(out, "seats_for_sale", seats);
    bt_json_i64(out, "places_for_sale", places);
}

static void put_names(const char *what, bt_id id, bt_str stream, const char *status, bt_buf *out)
{
    bt_json_id(out, what, id);
    bt_json_str(out, "trip", stream);
    bt_json_str(out, "status", bt_str_of(status));
}

static void put_held(const trip_state *trip, bt_str stream, const struct trip_seats_held *held, bt_buf *out)
{
    put_names("hold", held->hold, stream, "held", out);
    put_stretch(trip, held->from, held->to, out);
    put_places(trip, "seats", held->places, held->places_count, out);
    bt_json_str(out, "customer", held->customer);
    bt_json_time(out, "expires_at", held->expires_at);
}

static void put_extended(bt_str stream, const struct trip_hold_extended *extended, bt_buf *out)
{
    put_names("hold", extended->hold, stream, "held", out);
    bt_json_time(out, "expires_at", extended->expires_at);
}

static void put_confirmed(const trip_state *trip, bt_str stream, const struct trip_hold_confirmed *confirmed, bt_buf *out)
{
    put_names("booking", confirmed->hold, stream, "booked", out);
    put_stretch(trip, confirmed->from, confirmed->to, out);
    put_places(trip, "seats", confirmed->places, confirmed->places_count, out);
    bt_json_str(out, "customer", confirmed->customer);
}

static void put_released(const trip_state *trip, bt_str stream, const struct trip_hold_released *released, bt_buf *out)
{
    put_names("hold", released->hold, stream, "released", out);
    put_stretch(trip, released->from, released->to, out);
    put_places(trip, "seats", released->places, released->places_count, out);
}

static void put_expired(const trip_state *trip, bt_str stream, const struct trip_hold_expired *expired, bt_buf *out)
{
    put_names("hold", expired->hold, stream, "expired", out);
    put_stretch(trip, expired->from, expired->to, out);
    put_places(trip, "seats", expired->places, expired->places_count, out);
}

static void put_changed(const trip_state *trip, bt_str stream, const struct trip_booking_changed *changed, bt_buf *out)
{
    put_names("booking", changed->booking, stream, "booked", out);
    put_stretch(trip, changed->from, changed->to, out);
    put_places(trip, "seats", changed->places, changed->places_count, out);
    put_places(trip, "seats_before", changed->old_places, changed->old_places_count, out);
    bt_json_str(out, "customer", changed->customer);
}

static void put_cancelled(const trip_state *trip, bt_str stream, const struct trip_booking_cancelled *cancelled, bt_buf *out)
{
    put_names("booking", cancelled->booking, stream, "cancelled", out);
    put_stretch(trip, cancelled->from, cancelled->to, out);
    put_places(trip, "seats", cancelled->places, cancelled->places_count, out);
    bt_json_str(out, "customer", cancelled->customer);
}

void trip_render(const void *state, bt_str stream, bt_event event, bt_buf *out)
{
    const trip_state *trip = state;
    switch ((enum trip_event)event.type->index) {
    case TRIP_EVENT_TRIP_OPENED:
        put_opened(stream, event.data, out);
        return;
    case TRIP_EVENT_SEATS_HELD:
        put_held(trip, stream, event.data, out);
        return;
    case TRIP_EVENT_HOLD_EXTENDED:
        put_extended(stream, event.data, out);
        return;
    case TRIP_EVENT_HOLD_CONFIRMED:
        put_confirmed(trip, stream, event.data, out);
        return;
    case TRIP_EVENT_HOLD_RELEASED:
        put_released(trip, stream, event.data, out);
        return;
    case TRIP_EVENT_HOLD_EXPIRED:
        put_expired(trip, stream, event.data, out);
        return;
    case TRIP_EVENT_BOOKING_CHANGED:
        put_changed(trip, stream, event.data, out);
        return;
    case TRIP_EVENT_BOOKING_CANCELLED:
        put_cancelled(trip, stream, event.data, out);
        return;
    case TRIP_EVENT_SALE_CLOSED:
        bt_json_str(out, "trip", stream);
        bt_json_str(out, "status", BT_STR("closed"));
        return;
    case TRIP_EVENT_TRIP_CANCELLED:
        bt_json_str(out, "trip", stream);
        bt_json_str(out, "status", BT_STR("cancelled"));
        bt_json_str(out, "reason", ((const struct trip_cancelled *)event.data)->reason);
        return;
    }
}
