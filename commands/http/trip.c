/* trip - the POST paths of trips, holds and bookings. */
#include "commands/http/routes.h"
#include "commands/trip/trip.h"
#include "commands/trip/verdicts.h"
#include "schemas/trip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define ZONES "/usr/share/zoneinfo" /* Debian's tzdata, which its Postgres uses too */

/* What Debian lays beside the zones, and is none: localtime is another zone on each machine, right/ counts leap seconds, which Postgres does not. */
static bool is_name_of_the_machine(bt_str name)
{
    static const char *const names[] = { "localtime", "posixrules", "Factory" }, *const folders[] = { "right/", "posix/" };
    for (size_t i = 0; i < BT_COUNT_OF(names); i++)
        if (bt_str_is(name, names[i]))
            return true;
    for (size_t i = 0; i < BT_COUNT_OF(folders); i++)
        if (name.size > strlen(folders[i]) && memcmp(name.at, folders[i], strlen(folders[i])) == 0)
            return true;
    return false;
}

/* Is it a zone of the database on this machine? */
static bool is_zone(bt_str name)
{
    if (is_name_of_the_machine(name))
        return false;
    char path[sizeof ZONES + 80], magic[4] = { 0 };
    snprintf(path, sizeof path, ZONES "/" BT_STR_FMT, BT_STR_ARG(name));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG;
    bool zone = read(fd, magic, sizeof magic) == (ssize_t)sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
    close(fd);
    return zone;
}

/* A trip in a zone that nobody knows could be sold and never be shown: its local times cannot be told. Called after the decider has
 * checked the form, so the name holds no dots. A machine without tzdata cannot judge, and lets it pass. */
static bool zone_exists(const void *data, bt_decision *ret_refusal)
{
    const struct trip_open_trip *open = data;
    if (is_zone(open->timezone) || access(ZONES "/UTC", R_OK) != 0)
        return true;
    *ret_refusal = (bt_decision){ .verdict = TRIP_BAD_TIMEZONE, .field = BT_STR("/timezone"), .detail = BT_STR("there is no such time zone") };
    return false;
}

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
    { "/v1/trips", &trip_open_trip_message, NULL, NULL, chosen_trip, zone_exists, 201, location_of_trip },
    { "/v1/trips/{trip}/holds", &trip_hold_seats_message, "trip", NULL, NULL, NULL, 201, location_of_hold },
    { "/v1/trips/{trip}/holds/{hold}/confirm", &trip_confirm_hold_message, "trip", "hold", NULL, NULL, 201, location_of_booking },
    { "/v1/trips/{trip}/holds/{hold}/extend", &trip_extend_hold_message, "trip", "hold", NULL, NULL, 200, NULL },
    { "/v1/trips/{trip}/holds/{hold}/release", &trip_release_hold_message, "trip", "hold", NULL, NULL, 200, NULL },
    { "/v1/trips/{trip}/bookings/{booking}/change", &trip_change_booking_message, "trip", "booking", NULL, NULL, 200, NULL },
    { "/v1/trips/{trip}/bookings/{booking}/cancel", &trip_cancel_booking_message, "trip", "booking", NULL, NULL, 200, NULL },
    { "/v1/trips/{trip}/close", &trip_close_sale_message, "trip", NULL, NULL, NULL, 200, NULL },
    { "/v1/trips/{trip}/cancel", &trip_cancel_trip_message, "trip", NULL, NULL, NULL, 200, NULL },
};

const bt_kind_routes bt_trip_routes = { .decider = &trip_decider, .routes = routes, .route_count = BT_COUNT_OF(routes), .id_prefix = "t" };
