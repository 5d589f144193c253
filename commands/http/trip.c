/* trip - the POST paths of trips, holds and bookings. */
#include "commands/http/routes.h"
#include "commands/trip/trip.h"
#include "schemas/trip.h"

static bt_str chosen_trip(const void *data)
{
    const struct trip_open_trip *open = data;
    return open->has_trip ? open->trip : (bt_str){ "", 0 };
}

static void hex(bt_buf *out, bt_id id)
{
    char text[BT_ID_HEX_SIZE];
    bt_id_to_hex(id, text);
    bt_buf_write(out, text, sizeof text);
}

static void location_of_trip(const bt_command *command, bt_buf *out)
{
    bt_buf_text(out, "/v1/trips/");
    bt_buf_str(out, command->stream);
}

/* A hold's id is its command's key digest; a booking keeps the id of its hold. */
static void location_of_hold(const bt_command *command, bt_buf *out)
{
    location_of_trip(command, out);
    bt_buf_text(out, "/holds/");
    hex(out, command->key_digest);
}

static void location_of_booking(const bt_command *command, bt_buf *out)
{
    bt_buf_text(out, "/v1/bookings/");
    hex(out, command->target);
}

static const bt_command_route routes[] = {
    { "/v1/trips", &trip_open_trip_message, NULL, NULL, chosen_trip, 201, location_of_trip },
    { "/v1/trips/{trip}/holds", &trip_hold_seats_message, "trip", NULL, NULL, 201, location_of_hold },
    { "/v1/trips/{trip}/holds/{hold}/confirm", &trip_confirm_hold_message, "trip", "hold", NULL, 201, location_of_booking },
    { "/v1/trips/{trip}/holds/{hold}/extend", &trip_extend_hold_message, "trip", "hold", NULL, 200, NULL },
    { "/v1/trips/{trip}/holds/{hold}/release", &trip_release_hold_message, "trip", "hold", NULL, 200, NULL },
    { "/v1/trips/{trip}/bookings/{booking}/change", &trip_change_booking_message, "trip", "booking", NULL, 200, NULL },
    { "/v1/trips/{trip}/bookings/{booking}/cancel", &trip_cancel_booking_message, "trip", "booking", NULL, 200, NULL },
    { "/v1/trips/{trip}/close", &trip_close_sale_message, "trip", NULL, NULL, 200, NULL },
    { "/v1/trips/{trip}/cancel", &trip_cancel_trip_message, "trip", NULL, NULL, 200, NULL },
};

const bt_kind_routes bt_trip_routes = { .decider = &trip_decider, .routes = routes, .route_count = BT_COUNT_OF(routes), .id_prefix = "t" };
