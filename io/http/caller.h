/* caller - many exchanges with other HTTP servers at once, driven by one thread; connections are kept alive and used again.
 *
 * For a server that passes requests on (commands/forward). The thread's loop: bt_http_caller_start for what is to be sent,
 * bt_http_caller_wait, which sends, receives and calls done for what has come to its end. Nothing here blocks but that wait.
 * All functions from that one thread, except bt_http_caller_wake. */
#ifndef BERTH_IO_HTTP_CALLER_H
#define BERTH_IO_HTTP_CALLER_H

#include "io/http/client.h"

typedef struct bt_http_caller bt_http_caller;
typedef struct bt_http_calling bt_http_calling; /* an exchange that is under way */

typedef struct bt_http_caller_options {
    int connections_max;        /* to one server; what is over waits for one to be free [512] */
    int64_t connect_timeout_ms; /* [1,000] */
    size_t answer_max;          /* bytes of an answer's body [4 MiB] */
    void *context;
    /* Called once an exchange that was started and not cancelled. answer NULL: err says why, as bt_http_client_call does; else any
     * status. All borrowed until it returns. May start and cancel others. */
    void (*done)(void *context, void *token, const bt_http_answer *answer, const bt_err *err);
    /* Called for each connection that is about to be opened, because none that is kept can be used; may be NULL. Must not start or cancel. */
    void (*opening)(void *context);
} bt_http_caller_options;

bool bt_http_caller_new(const bt_http_caller_options *options, bt_http_caller **ret_caller, bt_err *err) BT_MUST_CHECK;
void bt_http_caller_free(bt_http_caller *caller); /* cancels what is under way; NULL is fine */

/* Begins an exchange. base_url is copied; call's body is borrowed until it is done or cancelled.
 *   err  BT_ERR_INPUT: the call cannot be sent */
bool bt_http_caller_start(bt_http_caller *caller, const char *base_url, const bt_http_call *call, int64_t timeout_ms, void *token,
                          bt_http_calling **ret_calling, bt_err *err) BT_MUST_CHECK;
/* Its server may have got it, and its answer is not wanted any more. */
void bt_http_caller_cancel(bt_http_caller *caller, bt_http_calling *calling);

/* Moves what is under way; waits up to timeout_ms for something to happen, or for a wake-up. */
void bt_http_caller_wait(bt_http_caller *caller, int timeout_ms);
/* Ends the wait that is under way, or the next one. Any thread. */
void bt_http_caller_wake(bt_http_caller *caller);

#endif
