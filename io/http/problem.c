/* problem - the list of what can go wrong before, around and in every handler, and how it is written. */
#include "io/http/front.h"

#include "core/utf8.h"

#define AGAIN "Send the request again later; with the same Idempotency-Key it cannot happen twice."

const bt_problem_type bt_problem_bad_request = { "bad-request", 400, "The request is malformed", "Mend the message; trying again will not help." };
const bt_problem_type bt_problem_no_such_path = { "no-such-path", 404, "There is nothing at this path", "The OpenAPI document lists all paths." };
const bt_problem_type bt_problem_method_not_allowed = { "method-not-allowed", 405, "This path does not take this method",
    "The header Allow lists those that it takes. Reads are the query API's and orders the commands server's: a gateway's URL takes both." };
const bt_problem_type bt_problem_too_slow = { "too-slow", 408, "The request did not arrive in time", "Send it whole and at once." };
const bt_problem_type bt_problem_body_too_large = { "body-too-large", 413, "The body is too large", "Split it, or ask the operator for a higher limit." };
const bt_problem_type bt_problem_target_too_long = { "target-too-long", 414, "The path and query are too long", "Shorten them." };
const bt_problem_type bt_problem_media_type = { "media-type", 415, "The body has another type than this path takes",
    "Send it with the Content-Type that the OpenAPI document gives, usually application/json." };
const bt_problem_type bt_problem_headers_too_large = { "headers-too-large", 431, "The headers are too long or too many", "Send fewer or shorter ones." };
const bt_problem_type bt_problem_overloaded = { "overloaded", 503, "The server has too much to do at this moment", AGAIN };
const bt_problem_type bt_problem_stopping = { "stopping", 503, "The server is being stopped", AGAIN };
const bt_problem_type bt_problem_answer_timeout = { "answer-timeout", 504, "The answer was not there in time, so the outcome is not known",
    "Send the same request with the same Idempotency-Key: it will not happen twice, and the answer says what became of it." };

const bt_problem_type bt_problem_malformed_json = { "malformed-json", 400, "The body is not the JSON that this path takes",
    "Mend the body; the detail says where it goes wrong." };
const bt_problem_type bt_problem_missing_key = { "missing-key", 400, "The header Idempotency-Key is missing",
    "Send one, made anew for each order and repeated when the order is sent again, so that it cannot happen twice." };
const bt_problem_type bt_problem_bad_key = { "bad-key", 400, "The header Idempotency-Key is empty, too long or repeated",
    "Send exactly one of 1 to 255 visible characters." };
const bt_problem_type bt_problem_bad_value = { "bad-value", 422, "A value is out of its limits", "Change the value of the field that is named." };
const bt_problem_type bt_problem_unknown_field = { "unknown-field", 422, "There is no such field", "Leave it out, or see the OpenAPI document for its name." };
const bt_problem_type bt_problem_not_found = { "not-found", 404, "There is no such thing", "Check its id." };
const bt_problem_type bt_problem_key_reused = { "key-reused", 422, "This Idempotency-Key was used with another body",
    "Make a new key for a new order; repeat a key only with the same body." };
const bt_problem_type bt_problem_internal = { "internal", 500, "The server has a fault", "Tell the operator the request id; its log says more." };
const bt_problem_type bt_problem_unavailable = { "unavailable", 503, "This cannot be done at this moment", AGAIN };
const bt_problem_type bt_problem_read_model_behind = { "read-model-behind", 503, "The read model has not got to the position that was asked for",
    "Ask again, or wait longer with Prefer: wait=N." };

#define TEXT_MAX 4096

static void write_member(bt_buf *json, const char *name, bt_str text)
{
    if (text.size == 0)
        return;
    if (bt_utf8_is_valid(text.at, text.size)) {
        bt_json_str(json, name, text);
        return;
    }
    char repaired[TEXT_MAX];
    size_t size = bt_utf8_scrub(text, repaired, sizeof repaired);
    bt_json_str(json, name, (bt_str){ repaired, size });
}

void bt_problem_write(const bt_problem *problem, bt_str request_id, bt_buf *ret_json)
{
    const bt_problem_type *type = problem->type;
    char uri[128] = BT_PROBLEM_TYPE_PREFIX;
    size_t prefix = sizeof BT_PROBLEM_TYPE_PREFIX - 1, size = strlen(type->slug);
    bt_assert(prefix + size < sizeof uri);
    memcpy(uri + prefix, type->slug, size);
    bt_json_open(ret_json, NULL, '{');
    bt_json_str(ret_json, "type", (bt_str){ uri, prefix + size });
    bt_json_str(ret_json, "title", bt_str_of(type->title));
    bt_json_i64(ret_json, "status", type->status);
    bt_json_str(ret_json, "code", bt_str_of(type->slug));
    write_member(ret_json, "detail", problem->detail);
    write_member(ret_json, "field", problem->field);
    if (problem->remedy.size > 0)
        write_member(ret_json, "remedy", problem->remedy);
    else if (type->remedy != NULL)
        bt_json_str(ret_json, "remedy", bt_str_of(type->remedy));
    write_member(ret_json, "request_id", request_id);
    if (problem->members.size > 0) {
        bt_buf_byte(ret_json, ',');
        bt_buf_str(ret_json, problem->members);
    }
    bt_json_close(ret_json, '}');
}

#define HEADERS_MAX 16

/* The response that states a problem; body and headers are the caller's storage. */
static bt_http_response response_of(const bt_problem *problem, const bt_buf *body, bt_http_pair headers[HEADERS_MAX], char retry[24])
{
    bt_assert(problem->header_count < HEADERS_MAX);
    size_t count = problem->header_count;
    if (count > 0)
        memcpy(headers, problem->headers, count * sizeof *headers);
    if (problem->retry_after_s > 0) {
        bt_buf text;
        bt_buf_init_fixed(&text, retry, 24);
        bt_buf_i64(&text, problem->retry_after_s);
        headers[count++] = (bt_http_pair){ BT_STR("Retry-After"), bt_buf_view(&text) };
    }
    return (bt_http_response){ .status = problem->type->status, .content_type = BT_PROBLEM_CONTENT_TYPE, .headers = headers, .header_count = count,
        .body = bt_buf_view(body), .close = problem->close };
}

void bt_http_problem(bt_http_request *request, const bt_problem *problem)
{
    bt_buf body;
    bt_http_pair headers[HEADERS_MAX];
    char retry[24];
    bt_buf_init(&body, 1 << 20);
    bt_problem_write(problem, request->correlation, &body);
    bt_http_response response = response_of(problem, &body, headers, retry);
    bt_http_respond(request, &response);
    bt_buf_release(&body);
}

/* A refusal of the front's own: no handler is waiting, so it is rendered and nobody is woken. */
static void render_problem(bt_exchange *exchange, const bt_problem *problem)
{
    bt_buf body;
    bt_http_pair headers[HEADERS_MAX];
    char retry[24];
    bt_buf_init(&body, 1 << 20);
    bt_problem_write(problem, exchange->request.correlation, &body);
    bt_http_response response = response_of(problem, &body, headers, retry);
    bt_answer_render(exchange, &response);
    bt_buf_release(&body);
    bt_front_count(exchange->server, exchange->request.route, response.status, -1);
}

void bt_front_refuse(bt_exchange *exchange, const bt_problem_type *type, bt_str detail)
{
    render_problem(exchange, &(bt_problem){ .type = type, .detail = detail, .close = true, .retry_after_s = type->status == 503 ? 1 : 0 });
}

void bt_front_refuse_kindly(bt_exchange *exchange, const bt_problem *problem) { render_problem(exchange, problem); }

void bt_front_refuse_unread(bt_http_server *server, const bt_problem_type *type, bt_str detail, bt_buf *ret_out)
{
    bt_exchange *exchange = bt_exchange_new(server);
    bt_exchange_reset(exchange);
    bt_correlate(exchange);
    bt_front_refuse(exchange, type, detail);
    bt_buf_str(ret_out, bt_buf_view(&exchange->out));
    bt_exchange_free(exchange);
}
