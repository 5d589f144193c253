/* head - the rules of framing. Two servers in a row (nginx, us) that disagree on where a request ends let a client smuggle one past the
 * first; so every doubt about the length is an error here, whatever the library behind would have made of it. */
#include "io/http/front.h"

#include <strings.h>
#include <sys/random.h>

bool bt_name_is(bt_str name, const char *lower_case)
{
    size_t size = strlen(lower_case);
    return name.size == size && strncasecmp(name.at, lower_case, size) == 0;
}

bool bt_token_list_has(bt_str list, const char *lower_case)
{
    size_t from = 0;
    for (size_t i = 0; i <= list.size; i++) {
        if (i < list.size && list.at[i] != ',')
            continue;
        bt_str token = { list.at + from, i - from };
        while (token.size > 0 && (*token.at == ' ' || *token.at == '\t'))
            token = (bt_str){ token.at + 1, token.size - 1 };
        while (token.size > 0 && (token.at[token.size - 1] == ' ' || token.at[token.size - 1] == '\t'))
            token.size--;
        if (bt_name_is(token, lower_case))
            return true;
        from = i + 1;
    }
    return false;
}

static bool is_token(bt_str name)
{
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.at[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return name.size > 0;
}

static bool is_field_value(bt_str value)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool refuse(bt_exchange *exchange, const char *detail)
{
    bt_front_refuse(exchange, &bt_problem_bad_request, bt_str_of(detail));
    return false;
}

static bool parse_length(bt_str text, int64_t *ret_length)
{
    int64_t length = 0;
    if (text.size == 0 || text.size > 18)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        length = length * 10 + (text.at[i] - '0');
    }
    *ret_length = length;
    return true;
}

static bool check_framing(bt_exchange *exchange)
{
    const bt_http_request *request = &exchange->request;
    size_t lengths = bt_http_header_times(request, "content-length"), codings = bt_http_header_times(request, "transfer-encoding");
    bt_str value;
    if (lengths + codings > 1)
        return refuse(exchange, "Content-Length and Transfer-Encoding may stand once, and not both");
    if (lengths == 1) {
        bt_http_header(request, "content-length", &value);
        return parse_length(value, &exchange->content_length) || refuse(exchange, "Content-Length is not a number");
    }
    if (codings == 1) {
        bt_http_header(request, "transfer-encoding", &value);
        if (!bt_name_is(value, "chunked") || exchange->http_1_0)
            return refuse(exchange, "Transfer-Encoding can only be chunked, and only in HTTP/1.1");
        exchange->content_length = BT_FRONT_CHUNKED;
    }
    return true;
}

static bool check_fields(bt_exchange *exchange)
{
    const bt_http_request *request = &exchange->request;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_token(request->headers[i].name) || !is_field_value(request->headers[i].value))
            return refuse(exchange, "a header's name or value holds a character that it may not");
    }
    size_t hosts = bt_http_header_times(request, "host");
    if (hosts > 1 || (hosts == 0 && !exchange->http_1_0))
        return refuse(exchange, "there must be exactly one Host header");
    return true;
}

static void decide_keep_alive(bt_exchange *exchange)
{
    bt_str connection;
    exchange->keep_alive = !exchange->http_1_0;
    if (bt_http_header(&exchange->request, "connection", &connection))
        exchange->keep_alive = bt_token_list_has(connection, "keep-alive");
}

static bool is_lower_hex(bt_str text, size_t from, size_t size)
{
    bool any = false;
    for (size_t i = from; i < from + size; i++) {
        char c = text.at[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
        any |= c != '0';
    }
    return any;
}

/* 00-<32 hex>-<16 hex>-<2 hex>, neither id all zero (W3C trace context). */
static bool is_traceparent(bt_str text)
{
    return text.size == 55 && memcmp(text.at, "00-", 3) == 0 && text.at[35] == '-' && text.at[52] == '-' && is_lower_hex(text, 3, 32) &&
        is_lower_hex(text, 36, 16) && (is_lower_hex(text, 53, 2) || memcmp(text.at + 53, "00", 2) == 0);
}

static uint64_t random_word(void)
{
    static _Thread_local uint64_t state;
    if (state == 0 && getrandom(&state, sizeof state, 0) != (ssize_t)sizeof state)
        state = (uint64_t)(uintptr_t)&state;
    state += 0x9e3779b97f4a7c15ULL;
    return bt_mix64(state);
}

void bt_correlate(bt_exchange *exchange)
{
    bt_http_request *request = &exchange->request;
    bt_str given;
    if (bt_http_header(request, "traceparent", &given) && is_traceparent(given))
        request->traceparent = given;
    if (bt_http_header(request, "x-request-id", &given) && given.size <= BT_FRONT_CORRELATION_MAX && bt_name_is_valid(given)) {
        request->correlation = given;
    } else if (request->traceparent.size > 0) {
        request->correlation = (bt_str){ request->traceparent.at + 3, 32 };
    } else {
        static const char digits[] = "0123456789abcdef";
        uint64_t word = random_word();
        for (size_t i = 0; i < 16; i++, word >>= 4)
            exchange->correlation[i] = digits[word & 15];
        request->correlation = (bt_str){ exchange->correlation, 16 };
    }
}

bool bt_head_check(bt_exchange *exchange, const bt_front_head *head)
{
    const bt_http_options *options = &exchange->server->options;
    exchange->http_1_0 = head->http_1_0;
    exchange->request.headers = head->headers;
    exchange->request.header_count = head->header_count;
    exchange->request.client = head->client;
    bt_correlate(exchange);
    if ((int64_t)head->target.size > options->head_max / 2) {
        bt_front_refuse(exchange, &bt_problem_target_too_long, (bt_str){ NULL, 0 });
        return false;
    }
    if ((int64_t)head->size > options->head_max || head->header_count >= BT_HTTP_HEADERS_MAX) {
        bt_front_refuse(exchange, &bt_problem_headers_too_large, (bt_str){ NULL, 0 });
        return false;
    }
    if (!check_fields(exchange) || !check_framing(exchange))
        return false;
    decide_keep_alive(exchange);
    bt_str expect;
    exchange->expects_continue = bt_http_header(&exchange->request, "expect", &expect) && bt_name_is(expect, "100-continue") && !exchange->http_1_0;
    return true;
}
