/* call - see call.h: what every answer of the query API has in common, in one place. */
#include "query-api/server/call.h"

#include "core/digest.h"
#include "io/log/log.h"
#include "query-api/server/server.h"

#include <stdarg.h>
#include <stdio.h>

const bt_problem_type qa_problem_bad_parameter = { "bad-parameter", 400, "A query parameter is missing, unknown, repeated or malformed",
    "Send only the parameters that /openapi.json names for this path, each once; a cursor as it came." };
const bt_problem_type qa_problem_bad_position = { "bad-position", 400, "Berth-Min-Position is malformed",
    "Send the value of Berth-Position as it came, or several of them with commas between." };
const bt_problem_type qa_problem_position_mismatch = { "position-mismatch", 409, "The position is of another log, or of records that were lost",
    "Forget the position and read again without it; tell the operator, for an acknowledged record may be missing." };
const bt_problem_type qa_problem_position_stopped = { "position-stopped", 503, "The read model of this partition has stopped",
    "Read without Berth-Min-Position for what it knew when it stopped; an operator must act." };

#define HEADERS_MAX 5

/* One element of If-None-Match, compared weakly as RFC 9110 asks for here. */
static bool tag_equals(bt_str one, bt_str etag)
{
    while (one.size > 0 && (one.at[0] == ' ' || one.at[0] == '\t'))
        one = (bt_str){ one.at + 1, one.size - 1 };
    while (one.size > 0 && (one.at[one.size - 1] == ' ' || one.at[one.size - 1] == '\t'))
        one.size--;
    if (one.size > 2 && one.at[0] == 'W' && one.at[1] == '/')
        one = (bt_str){ one.at + 2, one.size - 2 };
    return bt_str_is(one, "*") || bt_str_equal(one, etag);
}

static bool is_known_to_client(const bt_http_request *http, bt_str etag)
{
    bt_str known;
    if (etag.size == 0 || !bt_http_header(http, "If-None-Match", &known))
        return false;
    for (size_t from = 0; from <= known.size;) {
        const char *comma = from < known.size ? memchr(known.at + from, ',', known.size - from) : NULL;
        size_t to = comma == NULL ? known.size : (size_t)(comma - known.at);
        if (tag_equals((bt_str){ known.at + from, to - from }, etag)) /* our tags hold no comma */
            return true;
        from = to + 1;
    }
    return false;
}

bt_http_request *qa_call_end(qa_call *call)
{
    bt_http_request *http = call->http;
    call->http = NULL;
    call->server = NULL;
    call->worker = NULL;
    return http;
}

void qa_answer(qa_call *call, const qa_reply *reply)
{
    bt_http_pair headers[HEADERS_MAX];
    size_t count = 0;
    headers[count++] = (bt_http_pair){ BT_STR("Cache-Control"), bt_str_of(reply->cache_control == NULL ? "no-cache" : reply->cache_control) };
    if (reply->etag.size > 0)
        headers[count++] = (bt_http_pair){ BT_STR("ETag"), reply->etag };
    char token[QA_TOKEN_TEXT_MAX];
    if (reply->as_of.known) {
        size_t size = qa_token_write(qa_board_kind(call->server->board), reply->as_of.partition, reply->as_of.offset, reply->as_of.id, token);
        headers[count++] = (bt_http_pair){ BT_STR("Berth-Position"), { token, size } };
    }
    if (reply->positions.size > 0)
        headers[count++] = (bt_http_pair){ BT_STR("Berth-Position"), reply->positions };
    if (reply->more.name.size > 0)
        headers[count++] = reply->more;
    bool known = is_known_to_client(call->http, reply->etag);
    bt_http_respond(qa_call_end(call), &(bt_http_response){ .status = known ? 304 : 200,
                                    .content_type = known ? NULL : reply->content_type,
                                    .headers = headers,
                                    .header_count = count,
                                    .body = known ? BT_STR("") : reply->body });
}

void qa_refuse(qa_call *call, const bt_problem_type *type, const char *field, const char *format, ...)
{
    char detail[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    bt_assert(size >= 0);
    size = size < (int)sizeof detail ? size : (int)sizeof detail - 1;
    bt_http_problem(qa_call_end(call), &(bt_problem){ .type = type,
                                    .detail = { detail, (size_t)size },
                                    .field = bt_str_of(field),
                                    .retry_after_s = type->status == 503 ? 1 : 0 });
}

void qa_refuse_failed(qa_call *call, const char *what, const bt_err *err)
{
    bool away = err->kind == BT_ERR_RETRY || err->kind == BT_ERR_UNKNOWN;
    bt_counter_inc(call->server->failed_reads);
    bt_log_warn("read.failed", F_STR("what", what), F_STR("route", call->route->pattern), F_ERR(err));
    if (away || err->code == bt_pg_state("42P01") || err->code == bt_pg_state("3F000"))
        qa_refuse(call, &bt_problem_unavailable, "", "%s", away ? "Postgres cannot be reached now" : "the tables are not there yet: berth-projections makes them");
    else
        qa_refuse(call, &bt_problem_internal, "", "the statement for this answer failed; the log says why");
}

bt_str qa_etag(qa_call *call, const char *prefix, int64_t version) { return bt_arena_printf(call->http->arena, "\"%s%lld\"", prefix, (long long)version); }

bt_str qa_etag_of_body(qa_call *call, bt_str body)
{
    char hex[BT_ID_HEX_SIZE];
    bt_id_to_hex(bt_digest_parts(&body, 1), hex);
    return bt_arena_printf(call->http->arena, "\"%.*s\"", BT_ID_HEX_SIZE, hex);
}

bool qa_param_id(qa_call *call, const char *name, bt_id *ret_id)
{
    bt_str text = bt_http_param(call->http, name);
    if (bt_id_from_hex(text, ret_id))
        return true;
    qa_refuse(call, &bt_problem_not_found, name, "there is no such %s: ids are 32 hex digits", name);
    return false;
}

bool qa_param_name(qa_call *call, const char *name, bt_str *ret_name)
{
    *ret_name = bt_http_param(call->http, name);
    if (bt_name_is_valid(*ret_name))
        return true;
    qa_refuse(call, &bt_problem_not_found, name, "there is no such %s: ids are 1 to %d of A-Z a-z 0-9 . _ ~ -", name, BT_NAME_MAX);
    return false;
}

bool qa_select(qa_call *call, const char *sql, const bt_pg_param *params, size_t param_count, bt_pg_result *ret_rows)
{
    bt_err err = { 0 };
    if (qa_worker_query(call->worker, sql, params, param_count, ret_rows, &err))
        return true;
    qa_refuse_failed(call, "postgres", &err);
    return false;
}

qa_as_of qa_as_of_row(const bt_pg_result *rows, int row, int head_offset_column, int head_column, int32_t partition)
{
    int64_t offset = bt_pg_get_i64(rows, row, head_offset_column);
    if (bt_pg_is_null(rows, row, head_column) || offset < 0)
        return (qa_as_of){ 0 };
    return (qa_as_of){ .known = true, .partition = partition, .offset = offset, .id = bt_pg_get_id(rows, row, head_column) };
}

bt_str qa_positions_of(const bt_pg_result *rows, int column, int32_t partition)
{
    return rows->row_count == 0 || bt_pg_is_null(rows, 0, column) ? BT_STR("") : qa_tokens_pick(bt_pg_get_str(rows, 0, column), partition);
}

int32_t qa_partition_of(const qa_call *call, bt_str trip)
{
    int32_t count = qa_board_partition_count(call->server->board);
    return count == 0 ? -1 : bt_partition_of(trip, count);
}

void qa_json_local_time(bt_buf *json, const char *name, int64_t time_us, int64_t offset_s)
{
    char text[BT_TIME_TEXT_MAX + 8];
    size_t size = bt_time_to_text(time_us + offset_s * 1000000, text) - 1; /* without its Z */
    int64_t minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;
    size += (size_t)snprintf(text + size, sizeof text - size, "%c%02d:%02d", offset_s < 0 ? '-' : '+', (int)(minutes / 60 % 100), (int)(minutes % 60));
    bt_json_str(json, name, (bt_str){ text, size });
}
