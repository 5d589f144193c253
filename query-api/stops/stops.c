/* stops - GET /v1/stops?q=: where one can board or alight, by a piece of its name or by its id; names that begin with it come first. */
#include "query-api/server/cursor.h"
#include "query-api/server/server.h"

enum { STOPS_Q, STOPS_LIMIT, STOPS_CURSOR };
static const qa_parameter parameters[] = {
    [STOPS_Q] = { "q", QA_PARAMETER_TEXT, .max = 100 },
    [STOPS_LIMIT] = { "limit", QA_PARAMETER_LIMIT, .max = QA_LIMIT_MAX },
    [STOPS_CURSOR] = { "cursor", QA_PARAMETER_CURSOR },
};

/* strpos and starts_with take the text as it is: no wildcard of LIKE can slip in. COLLATE "C" gives a total order that no update of a locale moves. */
static const char select_stops[] =
    "SELECT rank, name, stop, " QA_POSITIONS_COLUMN " FROM (SELECT DISTINCT CASE WHEN $1 = '' OR stop = $1 THEN 0 WHEN starts_with(lower(name), lower($1)) THEN 1 ELSE 2 END AS rank,"
    " name COLLATE \"C\" AS name, stop COLLATE \"C\" AS stop FROM berth.stops WHERE $1 = '' OR stop = $1 OR strpos(lower(name), lower($1)) > 0) found"
    " WHERE (rank, name, stop) > ($2, $3 COLLATE \"C\", $4 COLLATE \"C\") ORDER BY rank, name, stop LIMIT $5";

static bool take_cursor(qa_call *call, const bt_str *question, int64_t *ret_rank, bt_str *ret_name, bt_str *ret_stop)
{
    *ret_rank = -1;
    *ret_name = *ret_stop = BT_STR("");
    if (!call->has[STOPS_CURSOR])
        return true;
    bt_str fields[3];
    if (qa_cursor_read(call->http->arena, call->values[STOPS_CURSOR], question, 2, fields, 3) && qa_cursor_to_number(fields[0], ret_rank) && *ret_rank >= 0 &&
        *ret_rank <= 2) {
        *ret_name = fields[1];
        *ret_stop = fields[2];
        return true;
    }
    qa_refuse(call, &qa_problem_bad_parameter, "cursor", "this is no cursor of this list");
    return false;
}

static void show_stops(qa_call *call, const bt_str *question, const bt_pg_result *rows, int limit)
{
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    bt_json_open(&json, NULL, '{');
    bt_json_open(&json, "stops", '[');
    for (int row = 0; row < rows->row_count && row < limit; row++) {
        bt_json_open(&json, NULL, '{');
        bt_json_str(&json, "stop", bt_pg_get_str(rows, row, 2));
        bt_json_str(&json, "name", bt_pg_get_str(rows, row, 1));
        bt_json_close(&json, '}');
    }
    bt_json_close(&json, ']');
    if (rows->row_count > limit) {
        bt_str fields[] = { qa_cursor_number(call->http->arena, bt_pg_get_i64(rows, limit - 1, 0)), bt_pg_get_str(rows, limit - 1, 1), bt_pg_get_str(rows, limit - 1, 2) };
        bt_json_str(&json, "next_cursor", qa_cursor_write(call->http->arena, question, 2, fields, BT_COUNT_OF(fields)));
    } else {
        bt_json_null(&json, "next_cursor");
    }
    bt_json_close(&json, '}');
    qa_answer(call, &(qa_reply){ .body = bt_buf_view(&json), .etag = qa_etag_of_body(call, bt_buf_view(&json)), .positions = qa_positions_of(rows, 3, -1) });
    bt_buf_release(&json);
}

static void answer_stops(qa_call *call)
{
    bt_str question[] = { BT_STR("stops"), call->has[STOPS_Q] ? call->values[STOPS_Q] : BT_STR("") };
    int64_t rank;
    bt_str name, stop;
    if (!take_cursor(call, question, &rank, &name, &stop))
        return;
    int limit = (int)call->numbers[STOPS_LIMIT];
    bt_pg_param params[] = { bt_pg_text(question[1]), bt_pg_int4((int32_t)rank), bt_pg_text(name), bt_pg_text(stop), bt_pg_int8(limit + 1) };
    BT_PG_RESULT rows = { 0 };
    if (qa_select(call, select_stops, params, BT_COUNT_OF(params), &rows))
        show_stops(call, question, &rows, limit);
}

static const qa_route routes[] = {
    { .pattern = "/v1/stops", .parameters = parameters, .parameter_count = BT_COUNT_OF(parameters), .needs = QA_NEEDS_POSTGRES, .answer = answer_stops },
};
extern const char qa_stops_openapi[];
extern const qa_resource qa_stops;
const qa_resource qa_stops = { "stops", routes, BT_COUNT_OF(routes), qa_stops_openapi };
