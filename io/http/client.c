/* client - libcurl's easy interface behind three functions. */
#include "io/http/client.h"

#include "core/buf.h"

#include <curl/curl.h>
#include <pthread.h>
#include <strings.h>

#define HEADERS_SIZE_MAX 65536

struct bt_http_client {
    CURL *curl;
    char *base_url;
    bt_http_client_options options;
    bt_buf head, body;
    char error[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_started;
static void start_curl(void) { curl_started = curl_global_init(CURL_GLOBAL_DEFAULT); }

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

bool bt_http_client_new(const bt_http_client_options *options, bt_http_client **ret_client, bt_err *err)
{
    pthread_once(&curl_once, start_curl);
    CURL *curl = curl_started == CURLE_OK ? curl_easy_init() : NULL;
    if (curl == NULL)
        return bt_fail(err, BT_ERR_FATAL, (int)curl_started, "libcurl does not start: %s", curl_easy_strerror(curl_started));
    bt_http_client *client = bt_alloc(sizeof *client);
    client->curl = curl;
    client->options = *options;
    size_t size = strlen(options->base_url) + 1;
    client->base_url = memcpy(bt_alloc(size), options->base_url, size);
    if (client->options.connect_timeout_ms <= 0)
        client->options.connect_timeout_ms = 2000;
    if (client->options.timeout_ms <= 0)
        client->options.timeout_ms = 30000;
    if (client->options.answer_max == 0)
        client->options.answer_max = (size_t)16 << 20;
    bt_buf_init(&client->head, HEADERS_SIZE_MAX);
    bt_buf_init(&client->body, client->options.answer_max);
    *ret_client = client;
    return true;
}

void bt_http_client_free(bt_http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    bt_buf_release(&client->head);
    bt_buf_release(&client->body);
    bt_release(client->base_url);
    bt_release(client);
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

static void set_options(bt_http_client *client, const bt_http_call *call, const char *url, struct curl_slist *headers)
{
    CURL *curl = client->curl;
    curl_easy_reset(curl); /* keeps the connection */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)client->options.connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)client->options.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->error);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &client->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &client->head);
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

static bool fail_with(bt_http_client *client, CURLcode code, bt_err *err)
{
    const char *message = client->error[0] != '\0' ? client->error : curl_easy_strerror(code);
    bool never_sent = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_SSL_CONNECT_ERROR;
    bool wrong = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
    bt_err_kind kind = wrong ? BT_ERR_INPUT : never_sent ? BT_ERR_RETRY : BT_ERR_UNKNOWN;
    if (client->body.overflow)
        message = "the answer is larger than was allowed";
    return bt_fail(err, kind, (int)code, "%s: %s", client->base_url, message);
}

bool bt_http_client_call(bt_http_client *client, const bt_http_call *call, bt_arena *arena, bt_http_answer *ret_answer, bt_err *err)
{
    if (has_control(call->target))
        return bt_fail(err, BT_ERR_INPUT, 0, "the target holds a control character");
    struct curl_slist *headers = header_list(call, arena, err);
    if (headers == NULL)
        return false;
    const char *url = bt_arena_printf(arena, "%s" BT_STR_FMT, client->base_url, BT_STR_ARG(call->target)).at;
    bt_buf_reset(&client->head);
    bt_buf_reset(&client->body);
    client->error[0] = '\0';
    set_options(client, call, url, headers);
    CURLcode code = curl_easy_perform(client->curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return fail_with(client, code, err);
    long status = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    bt_http_answer answer = { .status = (int)status };
    collect_headers(bt_arena_copy(arena, bt_buf_view(&client->head)), arena, &answer);
    answer.body = bt_arena_copy(arena, bt_buf_view(&client->body));
    *ret_answer = answer;
    return true;
}

bool bt_http_answer_header(const bt_http_answer *answer, const char *name, bt_str *ret_value)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < answer->header_count; i++) {
        if (answer->headers[i].name.size == size && strncasecmp(answer->headers[i].name.at, name, size) == 0) {
            *ret_value = answer->headers[i].value;
            return true;
        }
    }
    return false;
}
