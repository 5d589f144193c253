/* seats - GET /v1/trips/{trip}/seats?from=&to=: which seats are free between two stops.
 *
 * From memory when what is there is young enough (seats.max_age_ms), else from Redis, else, when Redis has no value or is away, from the holds
 * and bookings in Postgres; the header Berth-Source says which. All three go through the same bytes and the same writer. */
#include "io/clock/clock.h"
#include "io/log/log.h"
#include "query-api/seats/map.h"
#include "query-api/server/server.h"

enum { SEATS_FROM, SEATS_TO };
static const qa_parameter parameters[] = {
    [SEATS_FROM] = { "from", QA_PARAMETER_TEXT, .max = 90 },
    [SEATS_TO] = { "to", QA_PARAMETER_TEXT, .max = 90 },
};

static bool is_young(const qa_call *call, const qa_masks *masks)
{
    return bt_clock_monotonic_us() - masks->read_at_mono_us <= call->server->settings.seats_age_max_ms * 1000;
}

/* False: the call asked for a position that these masks are from before. */
static bool covers_tokens(const qa_call *call, const qa_layout *layout, const qa_masks *masks)
{
    int32_t partition = call->token_count == 0 ? -1 : qa_partition_of(call, layout->trip);
    for (size_t i = 0; i < call->token_count; i++)
        if (call->tokens[i].partition == partition && call->tokens[i].offset >= masks->next_offset)
            return false;
    return true;
}

/* The stretch that the parameters name; without them from the first point where one can board to the last where one can alight. False: answered. */
static bool take_stretch(qa_call *call, const qa_layout *layout, int *ret_from, int *ret_to)
{
    int from = 0, to = (int)layout->point_count - 1;
    while (!call->has[SEATS_FROM] && from < to && !layout->points[from].board)
        from++;
    while (!call->has[SEATS_TO] && to > from + 1 && !layout->points[to].alight)
        to--;
    if (call->has[SEATS_FROM])
        from = qa_layout_point(layout, call->values[SEATS_FROM]);
    if (call->has[SEATS_TO])
        to = qa_layout_point(layout, call->values[SEATS_TO]);
    if (from < 0 || to < 0) {
        bt_str stop = call->values[from < 0 ? SEATS_FROM : SEATS_TO];
        qa_refuse(call, &bt_problem_bad_value, from < 0 ? "from" : "to", "the trip does not call at " BT_STR_FMT, BT_STR_ARG(stop));
        return false;
    }
    if (from >= to) {
        qa_refuse(call, &bt_problem_bad_value, call->has[SEATS_TO] ? "to" : "from", "the trip calls at \"from\" not before \"to\"");
        return false;
    }
    *ret_from = from;
    *ret_to = to;
    return true;
}

/* False: the value is not of this layout; the call is not answered. */
static bool answer_from(qa_call *call, const qa_layout *layout, const qa_masks *masks)
{
    qa_availability availability;
    int from, to;
    if (!qa_availability_read((bt_str){ (const char *)masks->at, masks->size }, layout, &availability))
        return false;
    if (!take_stretch(call, layout, &from, &to))
        return true;
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    qa_map_write(&json, layout, &availability, from, to, bt_arena_take(call->http->arena, layout->seating->entry_count));
    if (json.overflow)
        qa_refuse(call, &bt_problem_internal, "", "the seat map is over %zu bytes", QA_BODY_MAX);
    else
        qa_answer(call, &(qa_reply){ .body = bt_buf_view(&json),
                            .etag = qa_etag(call, "", availability.version),
                            .as_of = masks->as_of,
                            .more = { BT_STR("Berth-Source"), masks->from_postgres ? BT_STR("postgres") : BT_STR("redis") } });
    bt_buf_release(&json);
    return true;
}

static bool answer_now(qa_call *call)
{
    bt_str trip = bt_http_param(call->http, "trip");
    const qa_layout *layout;
    const qa_masks *masks;
    qa_server *server = call->server; /* the call is gone once it is answered */
    if (!qa_layouts_find(server->layouts, trip, &layout, &masks))
        return false;
    bool answered = masks != NULL && is_young(call, masks) && answer_from(call, layout, masks);
    if (answered) {
        bt_counter_inc(server->seats_hits);
        bt_counter_inc(server->layout_hits);
    }
    qa_masks_release(masks);
    qa_layout_release(layout);
    return answered;
}

/* A call whose trip is known, and what was asked of Redis for it. */
typedef struct asked_call {
    qa_call *call;
    const qa_layout *layout;
    int64_t asked_mono_us; /* an answer's age is never told too small */
    bool asked;
} asked_call;

/* Asks for the value and its partition's position, as of one moment. False: Redis is away, or may hold what was lost. */
static bool ask_redis(qa_call *call, const qa_layout *layout)
{
    int32_t partition = qa_partition_of(call, layout->trip);
    if (!qa_board_is_up(call->server->board, QA_SOURCE_REDIS) || !qa_board_trusts_redis(call->server->board, partition, NULL))
        return false;
    bt_arena *arena = &call->worker->arena;
    bt_str words[] = { BT_STR("MGET"), bt_arena_printf(arena, "{berth}:avail:" BT_STR_FMT, BT_STR_ARG(layout->trip)),
        bt_arena_printf(arena, "{berth}:position:" QA_REDIS_MODEL ":" QA_TOPIC ":%d", partition) };
    bt_err err = { 0 };
    bool sent = bt_redis_send(call->worker->redis, words, BT_COUNT_OF(words), &err);
    if (!sent)
        bt_log_warn("seats.redis_failed", F_ERR(&err));
    return sent;
}

/* What was asked for. NULL: Redis has none, or is away. One reference, the caller's. */
static qa_masks *masks_of_redis(const asked_call *asked)
{
    BT_REDIS_REPLY reply = { 0 };
    bt_err err = { 0 };
    if (!asked->asked)
        return NULL;
    bool received = bt_redis_receive(asked->call->worker->redis, &reply, &err);
    if (received && bt_redis_reply_is_error(&reply))
        received = bt_fail(&err, BT_ERR_RETRY, 0, "Redis refused: " BT_STR_FMT, BT_STR_ARG(bt_redis_reply_str(&reply)));
    if (!received) {
        bt_log_warn("seats.redis_failed", F_ERR(&err));
        return NULL;
    }
    bt_redis_reply first = bt_redis_reply_item(&reply, 0), second = bt_redis_reply_item(&reply, 1);
    bt_str value = bt_redis_reply_str(&first);
    qa_position position = { .head_offset = -1 };
    if (bt_redis_reply_is_nil(&first) || value.size == 0)
        return NULL;
    qa_masks *masks = qa_masks_new(value.size);
    memcpy(masks->at, value.at, value.size);
    masks->read_at_mono_us = asked->asked_mono_us;
    if (qa_watch_decode_position(bt_redis_reply_str(&second), &position)) {
        int32_t partition = qa_partition_of(asked->call, asked->layout->trip);
        masks->next_offset = position.next_offset;
        masks->as_of = (qa_as_of){ .known = position.head_offset >= 0, .partition = partition, .offset = position.head_offset, .id = position.head };
    }
    return masks;
}

static const char select_taken[] =
    "SELECT t.status, greatest(t.version, (SELECT max(version) FROM berth.holds WHERE trip = $1), (SELECT max(version) FROM berth.bookings WHERE trip = $1)),"
    " p.head_offset, p.head, p.next_offset, x.booked, x.from_index, x.to_index, x.places"
    " FROM berth.trips t LEFT JOIN berth.positions p ON p.model = 'trips' AND p.topic = 'berth.trip' AND p.partition = $2"
    " LEFT JOIN (SELECT false AS booked, from_index, to_index, places FROM berth.holds WHERE trip = $1 AND status = 'held'"
    "  UNION ALL SELECT true, from_index, to_index, places FROM berth.bookings WHERE trip = $1 AND status = 'confirmed') x ON t.status <> 'cancelled'"
    " WHERE t.trip = $1";

static qa_trip_status status_of(bt_str text)
{
    return bt_str_is(text, "open") ? QA_TRIP_OPEN : bt_str_is(text, "closed") ? QA_TRIP_CLOSED : QA_TRIP_CANCELLED;
}

/* The same value from holds and bookings, of one snapshot. NULL: answered. One reference, the caller's. */
static qa_masks *masks_of_postgres(qa_call *call, const qa_layout *layout)
{
    int32_t partition = qa_partition_of(call, layout->trip);
    int64_t read_at_us = bt_clock_monotonic_us();
    bt_pg_param params[] = { bt_pg_text(layout->trip), bt_pg_int4(partition) };
    BT_PG_RESULT rows = { 0 };
    if (!qa_select(call, select_taken, params, BT_COUNT_OF(params), &rows))
        return NULL;
    if (rows.row_count == 0) {
        qa_refuse(call, &bt_problem_not_found, "trip", "there is no trip " BT_STR_FMT, BT_STR_ARG(layout->trip));
        return NULL;
    }
    qa_masks *masks = qa_masks_new(qa_value_size(layout));
    masks->from_postgres = true;
    masks->read_at_mono_us = read_at_us;
    masks->as_of = qa_as_of_row(&rows, 0, 2, 3, partition);
    masks->next_offset = bt_pg_get_i64(&rows, 0, 4);
    qa_value_begin(masks->at, layout, status_of(bt_pg_get_str(&rows, 0, 0)), bt_pg_get_i64(&rows, 0, 1));
    for (int row = 0; row < rows.row_count; row++) {
        int32_t pairs[2 * QA_PLACES_MAX];
        int numbers = bt_pg_is_null(&rows, row, 5) ? 0 : bt_pg_get_int4s(&rows, row, 8, pairs, 2 * QA_PLACES_MAX);
        if (numbers > 0 && numbers <= 2 * QA_PLACES_MAX)
            qa_value_add(masks->at, layout, bt_pg_get_bool(&rows, row, 5), bt_pg_get_i64(&rows, row, 6), bt_pg_get_i64(&rows, row, 7), pairs, numbers / 2);
    }
    return masks;
}

/* True: answered from what Redis has. */
static bool answer_from_redis(const asked_call *asked)
{
    qa_server *server = asked->call->server; /* the call is gone once it is answered */
    qa_masks *masks = masks_of_redis(asked);
    bool answered = masks != NULL && covers_tokens(asked->call, asked->layout, masks) && answer_from(asked->call, asked->layout, masks);
    if (answered) {
        bt_counter_inc(server->seats_misses);
        qa_layouts_keep_masks(server->layouts, asked->layout->trip, masks);
    }
    qa_masks_release(masks);
    return answered;
}

static void answer_from_postgres(qa_call *call, const qa_layout *layout)
{
    bt_counter_inc(call->server->fallbacks);
    qa_masks *masks = masks_of_postgres(call, layout);
    if (masks == NULL)
        return;
    qa_layouts_keep_masks(call->server->layouts, layout->trip, masks);
    if (!covers_tokens(call, layout, masks))
        qa_refuse(call, &bt_problem_read_model_behind, "Berth-Min-Position", "Redis is away and Postgres has not reached this position");
    else if (!answer_from(call, layout, masks))
        qa_refuse(call, &bt_problem_internal, "", "the trip's layout and its availability differ");
    qa_masks_release(masks);
}

/* All questions go to Redis before the first answer is read: one round trip, and one turn of each side's threads. */
static void answer_together(qa_call **calls, size_t count)
{
    asked_call asked[QA_TOGETHER_MAX];
    size_t asked_count = 0;
    for (size_t i = 0; i < count; i++) {
        bt_str trip;
        const qa_layout *layout;
        if (qa_param_name(calls[i], "trip", &trip) && qa_layout_of(calls[i], trip, &layout))
            asked[asked_count++] = (asked_call){ .call = calls[i], .layout = layout };
    }
    /* No further question after one that failed: it would open a new connection, and its answer would be taken for another's. */
    bool asks = true;
    for (size_t i = 0; i < asked_count && asks; i++) {
        asked[i].asked_mono_us = bt_clock_monotonic_us();
        asks = asked[i].asked = ask_redis(asked[i].call, asked[i].layout);
    }
    for (size_t i = 0; i < asked_count; i++) {
        bt_log_set_correlation(asked[i].call->http->correlation);
        if (!answer_from_redis(&asked[i]))
            answer_from_postgres(asked[i].call, asked[i].layout);
        qa_layout_release(asked[i].layout);
    }
}

static const qa_route routes[] = { { .pattern = "/v1/trips/{trip}/seats",
    .parameters = parameters,
    .parameter_count = BT_COUNT_OF(parameters),
    .needs = QA_NEEDS_POSTGRES | QA_NEEDS_REDIS,
    .answer_now = answer_now,
    .answer_together = answer_together } };
extern const char qa_seats_openapi[];
extern const qa_resource qa_seats;
const qa_resource qa_seats = { "seats", routes, BT_COUNT_OF(routes), qa_seats_openapi };
