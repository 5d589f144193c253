/* caller - libcurl's multi interface behind six functions. Handles are used again: making one costs more than a call. */
#include "io/http/caller.h"

#include "io/http/exchange.h"

#include <stdio.h>

#define BASE_URL_MAX 300

struct bt_http_calling {
    bt_http_exchange exchange;
    bt_http_calling *next, *previous; /* among those under way, or (next) those at rest */
    bt_arena arena;
    void *token;
    char base_url[BASE_URL_MAX];
};

struct bt_http_caller {
    CURLM *multi;
    bt_http_caller_options options;
    bt_http_calling *under_way, *at_rest;
};

bool bt_http_caller_new(const bt_http_caller_options *options, bt_http_caller **ret_caller, bt_err *err)
{
    if (!bt_curl_start(err))
        return false;
    bt_http_caller *caller = bt_alloc(sizeof *caller);
    caller->options = *options;
    bt_http_caller_options *o = &caller->options;
    o->connections_max = o->connections_max > 0 ? o->connections_max : 512;
    o->connect_timeout_ms = o->connect_timeout_ms > 0 ? o->connect_timeout_ms : 1000;
    o->answer_max = o->answer_max > 0 ? o->answer_max : (size_t)4 << 20;
    caller->multi = curl_multi_init();
    bt_assert(caller->multi != NULL);
    curl_multi_setopt(caller->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)o->connections_max);
    curl_multi_setopt(caller->multi, CURLMOPT_MAXCONNECTS, (long)o->connections_max * 2);
    *ret_caller = caller;
    return true;
}

static void unlink_calling(bt_http_caller *caller, bt_http_calling *calling)
{
    *(calling->previous != NULL ? &calling->previous->next : &caller->under_way) = calling->next;
    if (calling->next != NULL)
        calling->next->previous = calling->previous;
}

static void rest(bt_http_caller *caller, bt_http_calling *calling)
{
    bt_arena_reset(&calling->arena);
    calling->next = caller->at_rest;
    caller->at_rest = calling;
}

static void free_calling(bt_http_calling *calling)
{
    bt_http_exchange_release(&calling->exchange);
    bt_arena_release(&calling->arena);
    bt_release(calling);
}

void bt_http_caller_cancel(bt_http_caller *caller, bt_http_calling *calling)
{
    curl_multi_remove_handle(caller->multi, calling->exchange.curl);
    unlink_calling(caller, calling);
    rest(caller, calling);
}

void bt_http_caller_free(bt_http_caller *caller)
{
    if (caller == NULL)
        return;
    while (caller->under_way != NULL)
        bt_http_caller_cancel(caller, caller->under_way);
    while (caller->at_rest != NULL) {
        bt_http_calling *calling = caller->at_rest;
        caller->at_rest = calling->next;
        free_calling(calling);
    }
    curl_multi_cleanup(caller->multi);
    bt_release(caller);
}

static bt_http_calling *take_from_rest(bt_http_caller *caller, bt_err *err)
{
    bt_http_calling *calling = caller->at_rest;
    if (calling != NULL) {
        caller->at_rest = calling->next;
        return calling;
    }
    calling = bt_alloc(sizeof *calling);
    bt_arena_init(&calling->arena, (size_t)64 << 20);
    if (bt_http_exchange_init(&calling->exchange, caller->options.answer_max, err))
        return calling;
    free_calling(calling);
    return NULL;
}

/* curl calls it between making a socket and connecting it. */
static int note_socket(void *context, curl_socket_t socket, curlsocktype purpose)
{
    const bt_http_caller *caller = context;
    (void)socket;
    (void)purpose;
    if (caller->options.opening != NULL)
        caller->options.opening(caller->options.context);
    return CURL_SOCKOPT_OK;
}

bool bt_http_caller_start(bt_http_caller *caller, const char *base_url, const bt_http_call *call, int64_t timeout_ms, void *token,
                          bt_http_calling **ret_calling, bt_err *err)
{
    bt_http_calling *calling = take_from_rest(caller, err);
    if (calling == NULL)
        return false;
    snprintf(calling->base_url, sizeof calling->base_url, "%s", base_url);
    calling->token = token;
    if (!bt_http_exchange_set(&calling->exchange, calling->base_url, call, caller->options.connect_timeout_ms, timeout_ms, &calling->arena, err)) {
        rest(caller, calling);
        return false;
    }
    curl_easy_setopt(calling->exchange.curl, CURLOPT_PRIVATE, calling);
    curl_easy_setopt(calling->exchange.curl, CURLOPT_SOCKOPTFUNCTION, note_socket);
    curl_easy_setopt(calling->exchange.curl, CURLOPT_SOCKOPTDATA, caller);
    calling->previous = NULL;
    calling->next = caller->under_way;
    if (calling->next != NULL)
        calling->next->previous = calling;
    caller->under_way = calling;
    bt_assert(curl_multi_add_handle(caller->multi, calling->exchange.curl) == CURLM_OK);
    *ret_calling = calling;
    return true;
}

static void finish(bt_http_caller *caller, bt_http_calling *calling, CURLcode code)
{
    bt_err err = { 0 };
    bt_http_answer answer;
    curl_multi_remove_handle(caller->multi, calling->exchange.curl);
    unlink_calling(caller, calling);
    bool whole = bt_http_exchange_take(&calling->exchange, code, calling->base_url, &calling->arena, &answer, &err);
    caller->options.done(caller->options.context, calling->token, whole ? &answer : NULL, &err);
    rest(caller, calling);
}

static bool take_finished(bt_http_caller *caller)
{
    int left;
    bool any = false;
    for (CURLMsg *message; (message = curl_multi_info_read(caller->multi, &left)) != NULL;) {
        bt_http_calling *calling = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message goes with its handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&calling);
        finish(caller, calling, code);
        any = true;
    }
    return any;
}

void bt_http_caller_wait(bt_http_caller *caller, int timeout_ms)
{
    int running;
    curl_multi_perform(caller->multi, &running); /* sends what was started since */
    if (take_finished(caller))
        timeout_ms = 0;
    curl_multi_poll(caller->multi, NULL, 0, timeout_ms, NULL);
    curl_multi_perform(caller->multi, &running);
    take_finished(caller);
}

void bt_http_caller_wake(bt_http_caller *caller) { curl_multi_wakeup(caller->multi); }
