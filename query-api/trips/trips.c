/* trips - GET /v1/trips?from=&to=&date= finds what goes from one stop to another on a local day; GET /v1/trips/{trip} shows one whole. */
#include "query-api/layout/layout.h"
#include "query-api/server/cursor.h"
#include "query-api/server/server.h"

/* The version of the stream is the greatest over the trip's rows; all of it and the position are of one snapshot. */
static const char select_trip[] =
    "SELECT t.status, t.reason, greatest(t.version, (SELECT max(version) FROM berth.holds WHERE trip = $1), (SELECT max(version) FROM berth.bookings WHERE trip = $1)),"
    " p.head_offset, p.head"
    " FROM berth.trips t LEFT JOIN berth.positions p ON p.model = 'trips' AND p.topic = 'berth.trip' AND p.partition = $2 WHERE t.trip = $1";

static void show_trip(qa_call *call, const qa_layout *layout, const bt_pg_result *rows, int32_t partition)
{
    const qa_point *first = &layout->points[0], *last = &layout->points[layout->point_count - 1];
    int64_t version = bt_pg_get_i64(rows, 0, 2);
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    bt_json_open(&json, NULL, '{');
    bt_json_raw(&json, "trip", layout->trip_json);
    bt_json_raw(&json, "name", layout->name_json);
    bt_json_raw(&json, "timezone", layout->timezone_json);
    bt_json_str(&json, "status", bt_pg_get_str(rows, 0, 0));
    if (bt_str_is(bt_pg_get_str(rows, 0, 0), "cancelled"))
        bt_json_str(&json, "reason", bt_pg_get_str(rows, 0, 1));
    bt_json_i64(&json, "version", version);
    bt_json_time(&json, "opened_at", layout->opened_at);
    bt_json_time(&json, "departs_at", first->departs_at);
    qa_json_local_time(&json, "departs_local", first->departs_at, first->departs_offset_s);
    bt_json_time(&json, "arrives_at", last->arrives_at);
    qa_json_local_time(&json, "arrives_local", last->arrives_at, last->arrives_offset_s);
    bt_json_raw(&json, "points", layout->points_json);
    bt_json_raw(&json, "sections", layout->seating->sections_json);
    bt_json_close(&json, '}');
    qa_answer(call, &(qa_reply){ .body = bt_buf_view(&json), .etag = qa_etag(call, "", version), .as_of = qa_as_of_row(rows, 0, 3, 4, partition) });
    bt_buf_release(&json);
}

static void answer_trip(qa_call *call)
{
    bt_str trip;
    if (!qa_param_name(call, "trip", &trip))
        return;
    const qa_layout *layout;
    if (!qa_layout_of(call, trip, &layout))
        return;
    int32_t partition = qa_partition_of(call, trip);
    bt_pg_param params[] = { bt_pg_text(trip), bt_pg_int4(partition) };
    BT_PG_RESULT rows = { 0 };
    if (qa_select(call, select_trip, params, BT_COUNT_OF(params), &rows)) {
        if (rows.row_count == 1)
            show_trip(call, layout, &rows, partition);
        else /* the tables were made anew and have not come to it again */
            qa_refuse(call, &bt_problem_not_found, "trip", "there is no trip " BT_STR_FMT, BT_STR_ARG(trip));
    }
    qa_layout_release(layout);
}

enum { SEARCH_FROM, SEARCH_TO, SEARCH_DATE, SEARCH_LIMIT, SEARCH_CURSOR };
static const qa_parameter search_parameters[] = {
    [SEARCH_FROM] = { "from", QA_PARAMETER_TEXT, .required = true, .max = 90 },
    [SEARCH_TO] = { "to", QA_PARAMETER_TEXT, .required = true, .max = 90 },
    [SEARCH_DATE] = { "date", QA_PARAMETER_DATE, .required = true },
    [SEARCH_LIMIT] = { "limit", QA_PARAMETER_LIMIT, .max = QA_LIMIT_MAX },
    [SEARCH_CURSOR] = { "cursor", QA_PARAMETER_CURSOR },
};

#define OFFSET_OF(time, zone) "extract(epoch FROM (" time " AT TIME ZONE " zone ") - (" time " AT TIME ZONE 'UTC'))::int"

static const char select_trips[] =
    "SELECT t.trip, t.name, t.timezone, t.status, a.stop, a.name, a.departs_at, " OFFSET_OF("a.departs_at", "a.timezone") ", b.stop, b.name, b.arrives_at, "
    OFFSET_OF("b.arrives_at", "b.timezone") ", a.index, b.index, " QA_POSITIONS_COLUMN
    " FROM berth.trip_points a JOIN berth.trip_points b ON b.trip = a.trip AND b.index > a.index JOIN berth.trips t ON t.trip = a.trip"
    " WHERE a.station = $1 AND b.station = $2 AND a.local_date = ($3::text)::date AND a.board AND b.alight"
    " AND (a.departs_at, a.trip, a.index, b.index) > ($4, $5, $6, $7) ORDER BY a.departs_at, a.trip, a.index, b.index LIMIT $8";

typedef struct search_after {
    int64_t departs_at, from_index, to_index;
    bt_str trip;
} search_after;

static bool take_cursor(qa_call *call, const bt_str *question, search_after *ret_after)
{
    *ret_after = (search_after){ .departs_at = INT64_C(-62135596800000000), .from_index = -1, .to_index = -1, .trip = BT_STR("") }; /* the year 1 */
    if (!call->has[SEARCH_CURSOR])
        return true;
    bt_str fields[4];
    if (qa_cursor_read(call->http->arena, call->values[SEARCH_CURSOR], question, 4, fields, 4) && qa_cursor_to_number(fields[0], &ret_after->departs_at) &&
        qa_cursor_to_number(fields[2], &ret_after->from_index) && qa_cursor_to_number(fields[3], &ret_after->to_index) && ret_after->from_index <= QA_POINTS_MAX &&
        ret_after->to_index <= QA_POINTS_MAX && bt_name_is_valid(fields[1])) {
        ret_after->trip = fields[1];
        return true;
    }
    qa_refuse(call, &qa_problem_bad_parameter, "cursor", "this is no cursor of this list");
    return false;
}

static void show_found(bt_buf *json, const bt_pg_result *rows, int row)
{
    bt_json_open(json, NULL, '{');
    bt_json_str(json, "trip", bt_pg_get_str(rows, row, 0));
    bt_json_str(json, "name", bt_pg_get_str(rows, row, 1));
    bt_json_str(json, "timezone", bt_pg_get_str(rows, row, 2));
    bt_json_str(json, "status", bt_pg_get_str(rows, row, 3));
    bt_json_str(json, "from", bt_pg_get_str(rows, row, 4));
    bt_json_str(json, "from_name", bt_pg_get_str(rows, row, 5));
    bt_json_time(json, "departs_at", bt_pg_get_time(rows, row, 6));
    qa_json_local_time(json, "departs_local", bt_pg_get_time(rows, row, 6), bt_pg_get_i64(rows, row, 7));
    bt_json_str(json, "to", bt_pg_get_str(rows, row, 8));
    bt_json_str(json, "to_name", bt_pg_get_str(rows, row, 9));
    bt_json_time(json, "arrives_at", bt_pg_get_time(rows, row, 10));
    qa_json_local_time(json, "arrives_local", bt_pg_get_time(rows, row, 10), bt_pg_get_i64(rows, row, 11));
    bt_json_close(json, '}');
}

static void write_next(qa_call *call, bt_buf *json, const bt_str *question, const bt_pg_result *rows, int last)
{
    bt_arena *arena = call->http->arena;
    bt_str fields[] = { qa_cursor_number(arena, bt_pg_get_time(rows, last, 6)), bt_pg_get_str(rows, last, 0), qa_cursor_number(arena, bt_pg_get_i64(rows, last, 12)),
        qa_cursor_number(arena, bt_pg_get_i64(rows, last, 13)) };
    bt_json_str(json, "next_cursor", qa_cursor_write(arena, question, 4, fields, BT_COUNT_OF(fields)));
}

static void answer_search(qa_call *call)
{
    bt_str question[] = { BT_STR("trips"), call->values[SEARCH_FROM], call->values[SEARCH_TO], call->values[SEARCH_DATE] };
    search_after after;
    if (!take_cursor(call, question, &after))
        return;
    int limit = (int)call->numbers[SEARCH_LIMIT];
    bt_pg_param params[] = { bt_pg_text(question[1]), bt_pg_text(question[2]), bt_pg_text(question[3]), bt_pg_time(after.departs_at), bt_pg_text(after.trip),
        bt_pg_int4((int32_t)after.from_index), bt_pg_int4((int32_t)after.to_index), bt_pg_int8(limit + 1) };
    BT_PG_RESULT rows = { 0 };
    if (!qa_select(call, select_trips, params, BT_COUNT_OF(params), &rows))
        return;
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    bt_json_open(&json, NULL, '{');
    bt_json_open(&json, "trips", '[');
    for (int row = 0; row < rows.row_count && row < limit; row++)
        show_found(&json, &rows, row);
    bt_json_close(&json, ']');
    if (rows.row_count > limit)
        write_next(call, &json, question, &rows, limit - 1);
    else
        bt_json_null(&json, "next_cursor");
    bt_json_close(&json, '}');
    qa_answer(call, &(qa_reply){ .body = bt_buf_view(&json), .etag = qa_etag_of_body(call, bt_buf_view(&json)), .positions = qa_positions_of(&rows, 14, -1) });
    bt_buf_release(&json);
}

static const qa_route routes[] = {
    { .pattern = "/v1/trips",
        .parameters = search_parameters,
        .parameter_count = BT_COUNT_OF(search_parameters),
        .needs = QA_NEEDS_POSTGRES,
        .answer = answer_search },
    { .pattern = "/v1/trips/{trip}", .needs = QA_NEEDS_POSTGRES, .answer = answer_trip },
};
extern const char qa_trips_openapi[];
extern const qa_resource qa_trips;
const qa_resource qa_trips = { "trips", routes, BT_COUNT_OF(routes), qa_trips_openapi };
