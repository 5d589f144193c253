/* exchange - libcurl's easy handle, set for one call, and what comes back. */
#include "io/http/exchange.h"

#include <pthread.h>
#include <strings.h>

#define HEADERS_SIZE_MAX 65536

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_started;
static void start_curl(void) { curl_started = curl_global_init(CURL_GLOBAL_DEFAULT); }

bool bt_curl_start(bt_err *err)
{
    pthread_once(&curl_once, start_curl);
    return curl_started == CURLE_OK || bt_fail(err, BT_ERR_FATAL, (int)curl_started, "libcurl does not start: %s", curl_easy_strerror(curl_started));
}

static size_t take_body(char *at, size_t unit, size_t count, void *context)
{
    bt_buf *body = context;
    bt_buf_write(body, at, unit * count);
    return body->overflow ? 0 : unit * count;
}

/* Called a line at a time. A status line begins the headers anew: after 100 Continue there is a second one. */
static size_t take_header(char *at, size_t unit, size_t count, void *context)
{
    bt_buf *head = context;
    size_t size = unit * count;
    if (size >= 5 && memcmp(at, "HTTP/", 5) == 0)
        bt_buf_reset(head);
    else
        bt_buf_write(head, at, size);
    return head->overflow ? 0 : size;
}

bool bt_http_exchange_init(bt_http_exchange *exchange, size_t answer_max, bt_err *err)
{
    *exchange = (bt_http_exchange){ .curl = NULL };
    if (!bt_curl_start(err))
        return false;
    exchange->curl = curl_easy_init();
    if (exchange->curl == NULL)
        return bt_fail(err, BT_ERR_FATAL, 0, "libcurl gives no handle");
    bt_buf_init(&exchange->head, HEADERS_SIZE_MAX);
    bt_buf_init(&exchange->body, answer_max);
    return true;
}

void bt_http_exchange_release(bt_http_exchange *exchange)
{
    if (exchange->curl == NULL)
        return;
    curl_easy_cleanup(exchange->curl);
    curl_slist_free_all(exchange->headers);
    bt_buf_release(&exchange->head);
    bt_buf_release(&exchange->body);
}

static bool has_control(bt_str text)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f)
            return true;
    }
    return false;
}

/* The headers as curl wants them; NULL with err set if one would split the request. */
static struct curl_slist *header_list(const bt_http_call *call, bt_arena *arena, bt_err *err)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no waiting for 100 Continue */
    bool has_type = false;
    for (size_t i = 0; i < call->header_count && list != NULL; i++) {
        const bt_http_pair *pair = &call->headers[i];
        if (has_control(pair->name) || has_control(pair->value)) {
            curl_slist_free_all(list);
            bt_fail(err, BT_ERR_INPUT, 0, "a header holds a control character");
            return NULL;
        }
        has_type |= pair->name.size == 12 && strncasecmp(pair->name.at, "Content-Type", 12) == 0;
        /* curl leaves out a header without a value unless a semicolon ends its name. */
        const char *line = pair->value.size > 0 ? bt_arena_printf(arena, BT_STR_FMT ": " BT_STR_FMT, BT_STR_ARG(pair->name), BT_STR_ARG(pair->value)).at
                                                : bt_arena_printf(arena, BT_STR_FMT ";", BT_STR_ARG(pair->name)).at;
        list = curl_slist_append(list, line);
    }
    if (call->body.size > 0 && !has_type)
        list = curl_slist_append(list, "Content-Type: application/json");
    bt_assert(list != NULL);
    return list;
}

/* Called each time that the request is about to go out. */
static int note_begun(void *context, char *far_ip, char *near_ip, int far_port, int near_port)
{
    (void)far_ip;
    (void)near_ip;
    (void)far_port;
    (void)near_port;
    ((bt_http_exchange *)context)->was_begun = true;
    return CURL_PREREQFUNC_OK;
}

static void set_options(bt_http_exchange *exchange, const bt_http_call *call, const char *url, int64_t connect_timeout_ms, int64_t timeout_ms)
{
    CURL *curl = exchange->curl;
    curl_easy_reset(curl); /* keeps the connection */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->error);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, exchange->headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange->head);
    curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, note_begun);
    curl_easy_setopt(curl, CURLOPT_PREREQDATA, exchange);
    if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
        return;
    }
    bool sends_body = call->body.size > 0 || strcmp(call->method, "GET") != 0;
    if (sends_body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.size);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.size > 0 ? call->body.at : "");
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

/* Splits "Name: value" lines; the views point into the arena. */
static void collect_headers(bt_str head, bt_arena *arena, bt_http_answer *answer)
{
    bt_http_pair *pairs = bt_arena_take(arena, sizeof *pairs * BT_HTTP_HEADERS_MAX);
    answer->headers = pairs;
    while (head.size > 0 && answer->header_count < BT_HTTP_HEADERS_MAX) {
        const char *end = memchr(head.at, '\n', head.size);
        bt_str line = { head.at, end == NULL ? head.size : (size_t)(end - head.at) };
        size_t taken = line.size + (end != NULL);
        head = (bt_str){ head.at + taken, head.size - taken };
        const char *colon = line.size == 0 ? NULL : memchr(line.at, ':', line.size);
        if (colon == NULL)
            continue;
        bt_str value = { colon + 1, line.size - (size_t)(colon + 1 - line.at) };
        while (value.size > 0 && strchr(" \t\r", value.at[value.size - 1]) != NULL)
            value.size--;
        while (value.size > 0 && strchr(" \t", value.at[0]) != NULL)
            value = (bt_str){ value.at + 1, value.size - 1 };
        pairs[answer->header_count++] = (bt_http_pair){ { line.at, (size_t)(colon - line.at) }, value };
    }
}

bool bt_http_exchange_set(bt_http_exchange *exchange, const char *base_url, const bt_http_call *call, int64_t connect_timeout_ms, int64_t timeout_ms,
                          bt_arena *arena, bt_err *err)
{
    if (has_control(call->target))
        return bt_fail(err, BT_ERR_INPUT, 0, "the target holds a control character");
    struct curl_slist *headers = header_list(call, arena, err);
    if (headers == NULL)
        return false;
    curl_slist_free_all(exchange->headers);
    exchange->headers = headers;
    bt_buf_reset(&exchange->head);
    bt_buf_reset(&exchange->body);
    exchange->error[0] = '\0';
    exchange->was_begun = false;
    set_options(exchange, call, bt_arena_printf(arena, "%s" BT_STR_FMT, base_url, BT_STR_ARG(call->target)).at, connect_timeout_ms, timeout_ms);
    return true;
}

static bool fail_with(const bt_http_exchange *exchange, CURLcode code, const char *base_url, bt_err *err)
{
    const char *message = exchange->error[0] != '\0' ? exchange->error : curl_easy_strerror(code);
    bool no_connection = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_SSL_CONNECT_ERROR;
    bool never_sent = no_connection && !exchange->was_begun; /* "could not connect" may be said of curl's second try, while the first was obeyed */
    bool wrong = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
    bt_err_kind kind = wrong ? BT_ERR_INPUT : never_sent ? BT_ERR_RETRY : BT_ERR_UNKNOWN;
    if (exchange->body.overflow)
        message = "the answer is larger than was allowed";
    return bt_fail(err, kind, (int)code, "%s: %s", base_url, message);
}

bool bt_http_exchange_take(bt_http_exchange *exchange, CURLcode code, const char *base_url, bt_arena *arena, bt_http_answer *ret_answer, bt_err *err)
{
    if (code != CURLE_OK)
        return fail_with(exchange, code, base_url, err);
    long status = 0;
    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
    bt_http_answer answer = { .status = (int)status };
    collect_headers(bt_arena_copy(arena, bt_buf_view(&exchange->head)), arena, &answer);
    answer.body = bt_arena_copy(arena, bt_buf_view(&exchange->body));
    *ret_answer = answer;
    return true;
}
