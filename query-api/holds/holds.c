/* holds - GET /v1/trips/{trip}/holds/{hold}: what is held, by whom, until when, and what became of it. */
#include "query-api/layout/layout.h"
#include "query-api/server/server.h"

static const char select_hold[] =
    "SELECT h.customer, h.from_index, h.to_index, h.places, h.status, h.held_at, h.expires_at, h.version, p.head_offset, p.head"
    " FROM berth.holds_now h LEFT JOIN berth.positions p ON p.model = 'trips' AND p.topic = 'berth.trip' AND p.partition = $3"
    " WHERE h.hold = $1 AND h.trip = $2";

static void show_hold(qa_call *call, const qa_layout *layout, bt_id hold, const bt_pg_result *rows, int32_t partition)
{
    int32_t pairs[2 * QA_PLACES_MAX];
    int numbers = bt_pg_get_int4s(rows, 0, 3, pairs, 2 * QA_PLACES_MAX);
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    bt_json_open(&json, NULL, '{');
    bt_json_id(&json, "hold", hold);
    bt_json_raw(&json, "trip", layout->trip_json);
    bt_json_str(&json, "customer", bt_pg_get_str(rows, 0, 0));
    bt_json_str(&json, "status", bt_pg_get_str(rows, 0, 4));
    qa_json_stretch(&json, layout, bt_pg_get_i64(rows, 0, 1), bt_pg_get_i64(rows, 0, 2));
    qa_json_places(&json, "seats", layout, pairs, numbers < 0 || numbers > 2 * QA_PLACES_MAX ? 0 : numbers / 2);
    bt_json_time(&json, "held_at", bt_pg_get_time(rows, 0, 5));
    bt_json_time(&json, "expires_at", bt_pg_get_time(rows, 0, 6));
    if (bt_str_is(bt_pg_get_str(rows, 0, 4), "confirmed"))
        bt_json_id(&json, "booking", hold);
    bt_json_i64(&json, "version", bt_pg_get_i64(rows, 0, 7));
    bt_json_close(&json, '}');
    qa_answer(call, &(qa_reply){ .body = bt_buf_view(&json),
                        .etag = qa_etag(call, "hold-", bt_pg_get_i64(rows, 0, 7)),
                        .as_of = qa_as_of_row(rows, 0, 8, 9, partition) });
    bt_buf_release(&json);
}

static void answer_hold(qa_call *call)
{
    bt_str trip;
    bt_id hold;
    if (!qa_param_name(call, "trip", &trip) || !qa_param_id(call, "hold", &hold))
        return;
    int32_t partition = qa_partition_of(call, trip);
    bt_pg_param params[] = { bt_pg_uuid(hold), bt_pg_text(trip), bt_pg_int4(partition) };
    BT_PG_RESULT rows = { 0 };
    if (!qa_select(call, select_hold, params, BT_COUNT_OF(params), &rows))
        return;
    if (rows.row_count == 0) {
        qa_refuse(call, &bt_problem_not_found, "hold", "trip " BT_STR_FMT " has no such hold", BT_STR_ARG(trip));
        return;
    }
    const qa_layout *layout;
    if (!qa_layout_of(call, trip, &layout))
        return;
    show_hold(call, layout, hold, &rows, partition);
    qa_layout_release(layout);
}

static const qa_route routes[] = { { .pattern = "/v1/trips/{trip}/holds/{hold}", .needs = QA_NEEDS_POSTGRES, .answer = answer_hold } };
extern const char qa_holds_openapi[];
extern const qa_resource qa_holds;
const qa_resource qa_holds = { "holds", routes, BT_COUNT_OF(routes), qa_holds_openapi };
