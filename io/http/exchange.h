/* exchange - inside io/http only: one call and its answer on one libcurl handle, whoever drives it (client.c waits, caller.c drives many).
 *
 * The handle keeps its connection from one exchange to the next. Not thread-safe. */
#ifndef BERTH_IO_HTTP_EXCHANGE_H
#define BERTH_IO_HTTP_EXCHANGE_H

#include "core/buf.h"
#include "io/http/client.h"

#include <curl/curl.h>

typedef struct bt_http_exchange {
    CURL *curl;
    struct curl_slist *headers;
    bt_buf head, body;
    char error[CURL_ERROR_SIZE];
    bool was_begun; /* some connection was about to be given the request: curl sends by itself once more when a kept one is lost before an answer */
} bt_http_exchange;

/* Once a process, from any thread. */
bool bt_curl_start(bt_err *err) BT_MUST_CHECK;

bool bt_http_exchange_init(bt_http_exchange *exchange, size_t answer_max, bt_err *err) BT_MUST_CHECK;
void bt_http_exchange_release(bt_http_exchange *exchange);
/* Makes the handle ready for the call, whose body is borrowed until the exchange is over. What it needs meanwhile is in arena. */
bool bt_http_exchange_set(bt_http_exchange *exchange, const char *base_url, const bt_http_call *call, int64_t connect_timeout_ms, int64_t timeout_ms,
                          bt_arena *arena, bt_err *err) BT_MUST_CHECK;
/* What came, copied to arena; errors as bt_http_client_call's. */
bool bt_http_exchange_take(bt_http_exchange *exchange, CURLcode code, const char *base_url, bt_arena *arena, bt_http_answer *ret_answer, bt_err *err) BT_MUST_CHECK;

#endif
