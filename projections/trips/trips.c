/* The folds of trips: which rows each event of a trip changes. Columns stand in the order of tables.sql. */
#include "projections/trips/trips.h"

#include "schemas/trip.h"

enum { TRIPS, TRIP_POINTS, STOPS, HOLDS, BOOKINGS };

enum { TRIP_ID, TRIP_NAME, TRIP_TIMEZONE, TRIP_STATUS, TRIP_REASON, TRIP_VERSION, TRIP_OPENED_AT, TRIP_DEPARTS_AT, TRIP_ARRIVES_AT, TRIP_LAYOUT, TRIP_COLUMNS };
static const bt_column trip_columns[TRIP_COLUMNS] = {
    [TRIP_ID] = { "trip", BT_COLUMN_TEXT },
    [TRIP_NAME] = { "name", BT_COLUMN_TEXT },
    [TRIP_TIMEZONE] = { "timezone", BT_COLUMN_TEXT },
    [TRIP_STATUS] = { "status", BT_COLUMN_TEXT },
    [TRIP_REASON] = { "reason", BT_COLUMN_TEXT },
    [TRIP_VERSION] = { "version", BT_COLUMN_LONG },
    [TRIP_OPENED_AT] = { "opened_at", BT_COLUMN_TIME },
    [TRIP_DEPARTS_AT] = { "departs_at", BT_COLUMN_TIME },
    [TRIP_ARRIVES_AT] = { "arrives_at", BT_COLUMN_TIME },
    [TRIP_LAYOUT] = { "layout", BT_COLUMN_JSON },
};

enum { POINT_TRIP, POINT_INDEX, POINT_STOP, POINT_STATION, POINT_NAME, POINT_ARRIVES_AT, POINT_DEPARTS_AT, POINT_BOARD, POINT_ALIGHT, POINT_TIMEZONE, POINT_COLUMNS };
static const bt_column point_columns[POINT_COLUMNS] = {
    [POINT_TRIP] = { "trip", BT_COLUMN_TEXT },
    [POINT_INDEX] = { "index", BT_COLUMN_INT },
    [POINT_STOP] = { "stop", BT_COLUMN_TEXT },
    [POINT_STATION] = { "station", BT_COLUMN_TEXT },
    [POINT_NAME] = { "name", BT_COLUMN_TEXT },
    [POINT_ARRIVES_AT] = { "arrives_at", BT_COLUMN_TIME },
    [POINT_DEPARTS_AT] = { "departs_at", BT_COLUMN_TIME },
    [POINT_BOARD] = { "board", BT_COLUMN_BOOL },
    [POINT_ALIGHT] = { "alight", BT_COLUMN_BOOL },
    [POINT_TIMEZONE] = { "timezone", BT_COLUMN_TEXT },
};

static const bt_column stop_columns[] = { { "stop", BT_COLUMN_TEXT }, { "name", BT_COLUMN_TEXT } };

enum { HOLD_ID, HOLD_TRIP, HOLD_CUSTOMER, HOLD_FROM, HOLD_TO, HOLD_PLACES, HOLD_STATUS, HOLD_HELD_AT, HOLD_EXPIRES_AT, HOLD_VERSION, HOLD_COLUMNS };
static const bt_column hold_columns[HOLD_COLUMNS] = {
    [HOLD_ID] = { "hold", BT_COLUMN_ID },
    [HOLD_TRIP] = { "trip", BT_COLUMN_TEXT },
    [HOLD_CUSTOMER] = { "customer", BT_COLUMN_TEXT },
    [HOLD_FROM] = { "from_index", BT_COLUMN_INT },
    [HOLD_TO] = { "to_index", BT_COLUMN_INT },
    [HOLD_PLACES] = { "places", BT_COLUMN_INTS },
    [HOLD_STATUS] = { "status", BT_COLUMN_TEXT },
    [HOLD_HELD_AT] = { "held_at", BT_COLUMN_TIME },
    [HOLD_EXPIRES_AT] = { "expires_at", BT_COLUMN_TIME },
    [HOLD_VERSION] = { "version", BT_COLUMN_LONG },
};

enum { BOOKING_ID, BOOKING_TRIP, BOOKING_CUSTOMER, BOOKING_FROM, BOOKING_TO, BOOKING_PLACES, BOOKING_STATUS, BOOKING_BOOKED_AT, BOOKING_CHANGED_AT, BOOKING_VERSION, BOOKING_COLUMNS };
static const bt_column booking_columns[BOOKING_COLUMNS] = {
    [BOOKING_ID] = { "booking", BT_COLUMN_ID },
    [BOOKING_TRIP] = { "trip", BT_COLUMN_TEXT },
    [BOOKING_CUSTOMER] = { "customer", BT_COLUMN_TEXT },
    [BOOKING_FROM] = { "from_index", BT_COLUMN_INT },
    [BOOKING_TO] = { "to_index", BT_COLUMN_INT },
    [BOOKING_PLACES] = { "places", BT_COLUMN_INTS },
    [BOOKING_STATUS] = { "status", BT_COLUMN_TEXT },
    [BOOKING_BOOKED_AT] = { "booked_at", BT_COLUMN_TIME },
    [BOOKING_CHANGED_AT] = { "changed_at", BT_COLUMN_TIME },
    [BOOKING_VERSION] = { "version", BT_COLUMN_LONG },
};

static const bt_table tables[] = {
    [TRIPS] = { "trips", trip_columns, TRIP_COLUMNS, 1, false },
    [TRIP_POINTS] = { "trip_points", point_columns, POINT_COLUMNS, 2, false },
    [STOPS] = { "stops", stop_columns, BT_COUNT_OF(stop_columns), 2, true },
    [HOLDS] = { "holds", hold_columns, HOLD_COLUMNS, 1, false },
    [BOOKINGS] = { "bookings", booking_columns, BOOKING_COLUMNS, 1, false },
};

static bt_row *row_of_text(bt_changes *changes, size_t table, bt_str key) { return bt_changes_row(changes, table, &(bt_value){ .text = key }); }
static bt_row *row_of_id(bt_changes *changes, size_t table, bt_id key) { return row_of_text(changes, table, (bt_str){ (const char *)key.at, sizeof key.at }); }

/* Pairs of section and seat, one after the other. */
static void set_places(bt_row *row, size_t column, const struct trip_place *places, uint32_t count)
{
    int32_t flat[2 * TRIP_SEATS_HELD_PLACES_MAX];
    bt_assert(count <= TRIP_SEATS_HELD_PLACES_MAX); /* the schema's ceiling, which decoding enforces */
    for (uint32_t i = 0; i < count; i++) {
        flat[2 * i] = places[i].section;
        flat[2 * i + 1] = places[i].seat;
    }
    bt_row_set_ints(row, column, flat, 2 * (size_t)count);
}

/* "8503000@7" is the second visit to 8503000. */
static bt_str station_of(bt_str stop)
{
    const char *at = memchr(stop.at, '@', stop.size);
    return at && at > stop.at ? (bt_str){ stop.at, (size_t)(at - stop.at) } : stop;
}

static void set_layout(bt_row *row, const struct trip_opened *opened)
{
    bt_buf json;
    bt_buf_init(&json, (size_t)8 * BT_RECORD_VALUE_MAX);
    bt_json_open(&json, NULL, '{');
    bt_json_open(&json, "points", '[');
    for (uint32_t i = 0; i < opened->points_count; i++)
        bt_record_to_json(&trip_point_type, &opened->points[i], NULL, &json);
    bt_json_close(&json, ']');
    bt_json_open(&json, "sections", '[');
    for (uint32_t i = 0; i < opened->sections_count; i++)
        bt_record_to_json(&trip_section_type, &opened->sections[i], NULL, &json);
    bt_json_close(&json, ']');
    bt_json_close(&json, '}');
    bt_assert(!json.overflow); /* a record is at most 1 MiB, and its JSON under eight times that */
    bt_row_set_text(row, TRIP_LAYOUT, bt_buf_view(&json));
    bt_buf_release(&json);
}

static void add_point(const bt_fact *fact, uint32_t index, bt_changes *changes)
{
    const struct trip_opened *opened = fact->event.data;
    const struct trip_point *point = &opened->points[index];
    bt_row *row = bt_changes_row(changes, TRIP_POINTS, (bt_value[]){ { .text = fact->stream }, { .number = index } });
    bt_row_set_text(row, POINT_STOP, point->stop);
    bt_row_set_text(row, POINT_STATION, station_of(point->stop));
    bt_row_set_text(row, POINT_NAME, point->name);
    bt_row_set_number(row, POINT_ARRIVES_AT, point->arrives_at);
    bt_row_set_number(row, POINT_DEPARTS_AT, point->departs_at);
    bt_row_set_number(row, POINT_BOARD, point->board);
    bt_row_set_number(row, POINT_ALIGHT, point->alight);
    bt_row_set_text(row, POINT_TIMEZONE, opened->timezone);
    bt_changes_row(changes, STOPS, (bt_value[]){ { .text = station_of(point->stop) }, { .text = point->name } });
}

static bool trip_opened(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_opened *opened = fact->event.data;
    if (opened->points_count < 2 || opened->sections_count < 1)
        return bt_fail(err, BT_ERR_INPUT, 0, "trip with %u points and %u sections", opened->points_count, opened->sections_count);
    bt_row *row = row_of_text(changes, TRIPS, fact->stream);
    bt_row_set_text(row, TRIP_NAME, opened->name);
    bt_row_set_text(row, TRIP_TIMEZONE, opened->timezone);
    bt_row_set_text(row, TRIP_STATUS, BT_STR("open"));
    bt_row_set_text(row, TRIP_REASON, BT_STR(""));
    bt_row_set_number(row, TRIP_VERSION, opened->meta.version);
    bt_row_set_number(row, TRIP_OPENED_AT, opened->meta.time);
    bt_row_set_number(row, TRIP_DEPARTS_AT, opened->points[0].departs_at);
    bt_row_set_number(row, TRIP_ARRIVES_AT, opened->points[opened->points_count - 1].arrives_at);
    set_layout(row, opened);
    for (uint32_t i = 0; i < opened->points_count; i++)
        add_point(fact, i, changes);
    return true;
}

static bool sale_closed(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_sale_closed *closed = fact->event.data;
    bt_row *row = row_of_text(changes, TRIPS, fact->stream);
    (void)err;
    bt_row_set_text(row, TRIP_STATUS, BT_STR("closed"));
    bt_row_set_number(row, TRIP_VERSION, closed->meta.version);
    return true;
}

static bool trip_cancelled(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_cancelled *cancelled = fact->event.data;
    bt_row *row = row_of_text(changes, TRIPS, fact->stream);
    (void)err;
    bt_row_set_text(row, TRIP_STATUS, BT_STR("cancelled"));
    bt_row_set_text(row, TRIP_REASON, cancelled->reason);
    bt_row_set_number(row, TRIP_VERSION, cancelled->meta.version);
    return true;
}

static bool seats_held(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_seats_held *held = fact->event.data;
    bt_row *row = row_of_id(changes, HOLDS, held->hold);
    (void)err;
    bt_row_set_text(row, HOLD_TRIP, fact->stream);
    bt_row_set_text(row, HOLD_CUSTOMER, held->customer);
    bt_row_set_number(row, HOLD_FROM, held->from);
    bt_row_set_number(row, HOLD_TO, held->to);
    set_places(row, HOLD_PLACES, held->places, held->places_count);
    bt_row_set_text(row, HOLD_STATUS, BT_STR("held"));
    bt_row_set_number(row, HOLD_HELD_AT, held->meta.time);
    bt_row_set_number(row, HOLD_EXPIRES_AT, held->expires_at);
    bt_row_set_number(row, HOLD_VERSION, held->meta.version);
    return true;
}

static bool hold_extended(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_hold_extended *extended = fact->event.data;
    bt_row *row = row_of_id(changes, HOLDS, extended->hold);
    (void)err;
    bt_row_set_number(row, HOLD_EXPIRES_AT, extended->expires_at);
    bt_row_set_number(row, HOLD_VERSION, extended->meta.version);
    return true;
}

static void end_hold(bt_id hold, bt_str status, int64_t version, bt_changes *changes)
{
    bt_row *row = row_of_id(changes, HOLDS, hold);
    bt_row_set_text(row, HOLD_STATUS, status);
    bt_row_set_number(row, HOLD_VERSION, version);
}

static bool hold_released(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_hold_released *released = fact->event.data;
    (void)err;
    end_hold(released->hold, BT_STR("released"), released->meta.version, changes);
    return true;
}

static bool hold_expired(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_hold_expired *expired = fact->event.data;
    (void)err;
    end_hold(expired->hold, BT_STR("expired"), expired->meta.version, changes);
    return true;
}

static bool hold_confirmed(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_hold_confirmed *confirmed = fact->event.data;
    bt_row *row = row_of_id(changes, BOOKINGS, confirmed->hold);
    (void)err;
    bt_row_set_text(row, BOOKING_TRIP, fact->stream);
    bt_row_set_text(row, BOOKING_CUSTOMER, confirmed->customer);
    bt_row_set_number(row, BOOKING_FROM, confirmed->from);
    bt_row_set_number(row, BOOKING_TO, confirmed->to);
    set_places(row, BOOKING_PLACES, confirmed->places, confirmed->places_count);
    bt_row_set_text(row, BOOKING_STATUS, BT_STR("confirmed"));
    bt_row_set_number(row, BOOKING_BOOKED_AT, confirmed->meta.time);
    bt_row_set_number(row, BOOKING_CHANGED_AT, confirmed->meta.time);
    bt_row_set_number(row, BOOKING_VERSION, confirmed->meta.version);
    end_hold(confirmed->hold, BT_STR("confirmed"), confirmed->meta.version, changes);
    return true;
}

static bool booking_changed(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_booking_changed *changed = fact->event.data;
    bt_row *row = row_of_id(changes, BOOKINGS, changed->booking);
    (void)err;
    bt_row_set_number(row, BOOKING_FROM, changed->from);
    bt_row_set_number(row, BOOKING_TO, changed->to);
    set_places(row, BOOKING_PLACES, changed->places, changed->places_count);
    bt_row_set_number(row, BOOKING_CHANGED_AT, changed->meta.time);
    bt_row_set_number(row, BOOKING_VERSION, changed->meta.version);
    return true;
}

static bool booking_cancelled(const bt_fact *fact, bt_changes *changes, bt_err *err)
{
    const struct trip_booking_cancelled *cancelled = fact->event.data;
    bt_row *row = row_of_id(changes, BOOKINGS, cancelled->booking);
    (void)err;
    bt_row_set_text(row, BOOKING_STATUS, BT_STR("cancelled"));
    bt_row_set_number(row, BOOKING_CHANGED_AT, cancelled->meta.time);
    bt_row_set_number(row, BOOKING_VERSION, cancelled->meta.version);
    return true;
}

static const bt_handler handlers[] = {
    { &trip_opened_message, trip_opened },
    { &trip_sale_closed_message, sale_closed },
    { &trip_cancelled_message, trip_cancelled },
    { &trip_seats_held_message, seats_held },
    { &trip_hold_extended_message, hold_extended },
    { &trip_hold_released_message, hold_released },
    { &trip_hold_expired_message, hold_expired },
    { &trip_hold_confirmed_message, hold_confirmed },
    { &trip_booking_changed_message, booking_changed },
    { &trip_booking_cancelled_message, booking_cancelled },
};

extern const char trips_tables_sql[]; /* trips/tables.sql, built in by CMakeLists.txt */

static const char *const forget_sql[] = {
    "DELETE FROM berth.bookings WHERE trip = ANY($1)",
    "DELETE FROM berth.holds WHERE trip = ANY($1)",
    "DELETE FROM berth.trip_points WHERE trip = ANY($1)",
    "DELETE FROM berth.trips WHERE trip = ANY($1)",
    NULL,
};

const bt_model trips_model = {
    .name = "trips",
    .layout = 1,
    .sql = trips_tables_sql,
    .tables = tables,
    .table_count = BT_COUNT_OF(tables),
    .handlers = handlers,
    .handler_count = BT_COUNT_OF(handlers),
    .streams_sql = "SELECT trip FROM berth.trips",
    .forget_sql = forget_sql,
    .orphans_sql = "DELETE FROM berth.stops AS s WHERE NOT EXISTS (SELECT FROM berth.trip_points AS p WHERE p.station = s.stop AND p.name = s.name)",
};

const bt_projection trips_projection = BT_TABLE_PROJECTION(trips_model, "trips", "trip");
