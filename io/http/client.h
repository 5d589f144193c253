/* client - asks another HTTP server: for the import tool, for passing a command on to its owner, and for tests.
 *
 * One connection that is kept alive, one request at a time; make one client a thread. HTTP/1.1 over TCP; TLS when the URL says https.
 * Redirects are not followed: an answer is given as it came. */
#ifndef BERTH_IO_HTTP_CLIENT_H
#define BERTH_IO_HTTP_CLIENT_H

#include "core/base.h"
#include "core/memory.h"
#include "io/http/http.h"

typedef struct bt_http_client bt_http_client;

typedef struct bt_http_client_options {
    const char *base_url;       /* "http://127.0.0.1:18081": scheme, host, port; copied */
    int64_t connect_timeout_ms; /* [2,000] */
    int64_t timeout_ms;         /* for a whole exchange [30,000] */
    size_t answer_max;          /* bytes of an answer's body [16 MiB] */
} bt_http_client_options;

/* Makes no connection yet.
 *   err  BT_ERR_FATAL: libcurl would not start */
bool bt_http_client_new(const bt_http_client_options *options, bt_http_client **ret_client, bt_err *err) BT_MUST_CHECK;
void bt_http_client_free(bt_http_client *client);

typedef struct bt_http_call {
    const char *method;          /* "GET", "POST" ... */
    bt_str target;               /* "/v1/trips?from=A": path and query, percent-encoded already */
    const bt_http_pair *headers; /* Content-Type: application/json is added when there is a body and none is given */
    size_t header_count;
    bt_str body;
} bt_http_call;

typedef struct bt_http_answer {
    int status;
    const bt_http_pair *headers;
    size_t header_count;
    bt_str body;
} bt_http_answer;

/* Sends, and waits for the whole answer, any status included. The answer lives in arena.
 *   err  BT_ERR_RETRY: nothing was sent (no connection)
 *        BT_ERR_UNKNOWN: it was, and no whole answer came: timeout, connection lost
 *        BT_ERR_INPUT: the call itself cannot be sent */
bool bt_http_client_call(bt_http_client *client, const bt_http_call *call, bt_arena *arena, bt_http_answer *ret_answer, bt_err *err) BT_MUST_CHECK;
bool bt_http_answer_header(const bt_http_answer *answer, const char *name, bt_str *ret_value);

#endif
