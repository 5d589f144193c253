/* bookings - GET /v1/bookings/{booking} and GET /v1/customers/{customer}/bookings: what was sold, and to whom, the newest first. */
#include "query-api/layout/layout.h"
#include "query-api/server/cursor.h"
#include "query-api/server/server.h"

#define COLUMNS "b.booking, b.trip, b.customer, b.from_index, b.to_index, b.places, b.status, b.booked_at, b.changed_at, b.version, " QA_POSITIONS_COLUMN
#define POSITIONS 10

static const char select_booking[] = "SELECT " COLUMNS " FROM berth.bookings_now b WHERE b.booking = $1";
static const char select_page[] = "SELECT " COLUMNS " FROM berth.bookings_now b WHERE b.customer = $1 AND (b.booked_at, b.booking) < ($2, $3)"
                                  " ORDER BY b.booked_at DESC, b.booking DESC LIMIT $4";

static void show_booking(bt_buf *json, const qa_layout *layout, const bt_pg_result *rows, int row)
{
    int32_t pairs[2 * QA_PLACES_MAX];
    int numbers = bt_pg_get_int4s(rows, row, 5, pairs, 2 * QA_PLACES_MAX);
    bt_json_open(json, NULL, '{');
    bt_json_id(json, "booking", bt_pg_get_id(rows, row, 0));
    bt_json_raw(json, "trip", layout->trip_json);
    bt_json_raw(json, "trip_name", layout->name_json);
    bt_json_str(json, "customer", bt_pg_get_str(rows, row, 2));
    bt_json_str(json, "status", bt_str_is(bt_pg_get_str(rows, row, 6), "confirmed") ? BT_STR("booked") : bt_pg_get_str(rows, row, 6)); /* as the commands say */
    qa_json_stretch(json, layout, bt_pg_get_i64(rows, row, 3), bt_pg_get_i64(rows, row, 4));
    qa_json_places(json, "seats", layout, pairs, numbers < 0 || numbers > 2 * QA_PLACES_MAX ? 0 : numbers / 2);
    bt_json_time(json, "booked_at", bt_pg_get_time(rows, row, 7));
    bt_json_time(json, "changed_at", bt_pg_get_time(rows, row, 8));
    bt_json_i64(json, "version", bt_pg_get_i64(rows, row, 9));
    bt_json_close(json, '}');
}

static void answer_booking(qa_call *call)
{
    bt_id booking;
    if (!qa_param_id(call, "booking", &booking))
        return;
    bt_pg_param params[] = { bt_pg_uuid(booking) };
    BT_PG_RESULT rows = { 0 };
    if (!qa_select(call, select_booking, params, BT_COUNT_OF(params), &rows))
        return;
    if (rows.row_count == 0) {
        qa_refuse(call, &bt_problem_not_found, "booking", "there is no such booking");
        return;
    }
    const qa_layout *layout;
    if (!qa_layout_of(call, bt_pg_get_str(&rows, 0, 1), &layout))
        return;
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    show_booking(&json, layout, &rows, 0);
    qa_answer(call, &(qa_reply){ .body = bt_buf_view(&json),
                        .etag = qa_etag(call, "booking-", bt_pg_get_i64(&rows, 0, 9)),
                        .positions = qa_positions_of(&rows, POSITIONS, qa_partition_of(call, layout->trip)) });
    bt_buf_release(&json);
    qa_layout_release(layout);
}

enum { PAGE_LIMIT, PAGE_CURSOR };
static const qa_parameter page_parameters[] = {
    [PAGE_LIMIT] = { "limit", QA_PARAMETER_LIMIT, .max = QA_LIMIT_MAX },
    [PAGE_CURSOR] = { "cursor", QA_PARAMETER_CURSOR },
};

/* The sort key of the last row of the page before; of the first page one that is after all. */
static bool take_cursor(qa_call *call, const bt_str *question, int64_t *ret_booked_at, bt_id *ret_booking)
{
    *ret_booked_at = INT64_C(253402300799000000); /* the end of the year 9999 */
    memset(ret_booking->at, 0xff, sizeof ret_booking->at);
    if (!call->has[PAGE_CURSOR])
        return true;
    bt_str fields[2];
    if (qa_cursor_read(call->http->arena, call->values[PAGE_CURSOR], question, 2, fields, 2) && qa_cursor_to_number(fields[0], ret_booked_at) &&
        bt_id_from_hex(fields[1], ret_booking))
        return true;
    qa_refuse(call, &qa_problem_bad_parameter, "cursor", "this is no cursor of this list");
    return false;
}

static void write_next(qa_call *call, bt_buf *json, const bt_str *question, const bt_pg_result *rows, int last)
{
    char hex[BT_ID_HEX_SIZE];
    bt_id_to_hex(bt_pg_get_id(rows, last, 0), hex);
    bt_str fields[] = { qa_cursor_number(call->http->arena, bt_pg_get_time(rows, last, 7)), { hex, sizeof hex } };
    bt_json_str(json, "next_cursor", qa_cursor_write(call->http->arena, question, 2, fields, BT_COUNT_OF(fields)));
}

static void answer_customer(qa_call *call)
{
    bt_str customer;
    if (!qa_param_name(call, "customer", &customer))
        return;
    bt_str question[] = { BT_STR("bookings"), customer };
    int64_t booked_at;
    bt_id booking;
    if (!take_cursor(call, question, &booked_at, &booking))
        return;
    int limit = (int)call->numbers[PAGE_LIMIT];
    bt_pg_param params[] = { bt_pg_text(customer), bt_pg_time(booked_at), bt_pg_uuid(booking), bt_pg_int8(limit + 1) };
    BT_PG_RESULT rows = { 0 };
    if (!qa_select(call, select_page, params, BT_COUNT_OF(params), &rows))
        return;
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    bt_json_open(&json, NULL, '{');
    bt_json_open(&json, "bookings", '[');
    for (int row = 0; row < rows.row_count && row < limit; row++) {
        const qa_layout *layout;
        if (!qa_layout_of(call, bt_pg_get_str(&rows, row, 1), &layout)) {
            bt_buf_release(&json);
            return;
        }
        show_booking(&json, layout, &rows, row);
        qa_layout_release(layout);
    }
    bt_json_close(&json, ']');
    if (rows.row_count > limit)
        write_next(call, &json, question, &rows, limit - 1);
    else
        bt_json_null(&json, "next_cursor");
    bt_json_close(&json, '}');
    qa_answer(call, &(qa_reply){ .body = bt_buf_view(&json), .etag = qa_etag_of_body(call, bt_buf_view(&json)), .positions = qa_positions_of(&rows, POSITIONS, -1) });
    bt_buf_release(&json);
}

static const qa_route routes[] = {
    { .pattern = "/v1/bookings/{booking}", .needs = QA_NEEDS_POSTGRES, .answer = answer_booking },
    { .pattern = "/v1/customers/{customer}/bookings",
        .parameters = page_parameters,
        .parameter_count = BT_COUNT_OF(page_parameters),
        .needs = QA_NEEDS_POSTGRES,
        .answer = answer_customer },
};
extern const char qa_bookings_openapi[];
extern const qa_resource qa_bookings;
const qa_resource qa_bookings = { "bookings", routes, BT_COUNT_OF(routes), qa_bookings_openapi };
