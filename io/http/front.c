/* front - a request's way through the server, whichever library reads it, and the server's own beginning and end. */
#include "io/http/front.h"

#include "io/clock/clock.h"
#include "io/log/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FREE_WAIT_US 10000000
#define ARENA_MAX ((size_t)4 << 20)

const char *bt_http_method_name(bt_http_method method)
{
    switch (method) {
    case BT_HTTP_GET:
        return "GET";
    case BT_HTTP_POST:
        return "POST";
    case BT_HTTP_PUT:
        return "PUT";
    case BT_HTTP_PATCH:
        return "PATCH";
    case BT_HTTP_DELETE:
        return "DELETE";
    }
    return "";
}

bt_str bt_http_param(const bt_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->param_count; i++) {
        if (bt_str_is(request->params[i].name, name))
            return request->params[i].value;
    }
    bt_assert(!"the route's pattern has this parameter");
    return (bt_str){ NULL, 0 };
}

bool bt_http_query(const bt_http_request *request, const char *name, bt_str *ret_value)
{
    for (size_t i = 0; i < request->query_count; i++) {
        if (bt_str_is(request->query[i].name, name)) {
            *ret_value = request->query[i].value;
            return true;
        }
    }
    return false;
}

bool bt_http_header(const bt_http_request *request, const char *name, bt_str *ret_value)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (bt_name_is(request->headers[i].name, name)) {
            *ret_value = request->headers[i].value;
            return true;
        }
    }
    return false;
}

size_t bt_http_header_times(const bt_http_request *request, const char *name)
{
    size_t times = 0;
    for (size_t i = 0; i < request->header_count; i++)
        times += bt_name_is(request->headers[i].name, name);
    return times;
}

bt_exchange *bt_exchange_new(bt_http_server *server)
{
    bt_exchange *exchange = bt_alloc(sizeof *exchange);
    exchange->server = server;
    bt_arena_init(&exchange->arena, ARENA_MAX + (size_t)server->options.body_max + (size_t)server->options.head_max * 4);
    bt_buf_init(&exchange->out, BT_FRONT_ANSWER_MAX);
    return exchange;
}

void bt_exchange_reset(bt_exchange *exchange)
{
    bt_http_request *request = &exchange->request;
    *request = (bt_http_request){ .arena = &exchange->arena, .context = exchange->server->options.context };
    bt_arena_reset(&exchange->arena);
    if (exchange->out.capacity > BT_FRONT_KEPT_BUFFER_MAX)
        bt_buf_release(&exchange->out);
    bt_buf_reset(&exchange->out);
    atomic_store_explicit(&exchange->state, BT_EXCHANGE_OPEN, memory_order_relaxed);
    exchange->content_length = 0;
    exchange->sent = 0;
    exchange->expects_continue = exchange->http_1_0 = exchange->keep_alive = false;
}

void bt_exchange_free(bt_exchange *exchange)
{
    if (exchange == NULL)
        return;
    bt_arena_release(&exchange->arena);
    bt_buf_release(&exchange->out);
    bt_release(exchange);
}

/* The methods of a path as Allow lists them; HEAD comes with GET, OPTIONS with all. */
static bt_str allowed_text(bt_arena *arena, unsigned allowed)
{
    char storage[64];
    bt_buf text;
    bt_buf_init_fixed(&text, storage, sizeof storage);
    for (int method = BT_HTTP_GET; method <= BT_HTTP_DELETE; method++) {
        if ((allowed & 1U << method) != 0) {
            bt_buf_text(&text, bt_http_method_name((bt_http_method)method));
            bt_buf_text(&text, method == BT_HTTP_GET ? ", HEAD, " : ", ");
        }
    }
    bt_buf_text(&text, "OPTIONS");
    return bt_arena_copy(arena, bt_buf_view(&text));
}

static bool find_route(bt_exchange *exchange, const bt_front_head *head)
{
    bt_http_request *request = &exchange->request;
    bool has_body = exchange->content_length != 0, malformed;
    unsigned allowed;
    if (!bt_target_split(exchange, head->target)) {
        bt_front_refuse(exchange, &bt_problem_bad_request, BT_STR("the path or the query is malformed, or has too many parameters"));
        return false;
    }
    request->route = bt_route_find(exchange, head->method, &allowed, &malformed);
    if (request->route != NULL) {
        request->method = request->route->method;
        return true;
    }
    if (malformed) {
        bt_front_refuse(exchange, &bt_problem_bad_request, BT_STR("the path is not percent-encoded UTF-8"));
    } else if (allowed == 0) {
        bt_front_refuse_kindly(exchange, &(bt_problem){ .type = &bt_problem_no_such_path, .detail = request->path, .close = has_body });
    } else {
        bt_http_pair allow = { BT_STR("Allow"), allowed_text(&exchange->arena, allowed) };
        if (bt_str_is(head->method, "OPTIONS"))
            bt_answer_render(exchange, &(bt_http_response){ .status = 204, .headers = &allow, .header_count = 1, .close = has_body });
        else
            bt_front_refuse_kindly(exchange,
                &(bt_problem){ .type = &bt_problem_method_not_allowed, .headers = &allow, .header_count = 1, .close = has_body });
    }
    return false;
}

/* "application/json; charset=utf-8" is application/json. */
static bool type_fits(const bt_exchange *exchange)
{
    bt_str type;
    if (!bt_http_header(&exchange->request, "content-type", &type))
        return false;
    const char *end = memchr(type.at, ';', type.size);
    size_t size = end == NULL ? type.size : (size_t)(end - type.at);
    while (size > 0 && (type.at[size - 1] == ' ' || type.at[size - 1] == '\t'))
        size--;
    const char *accepts = exchange->request.route->accepts;
    return bt_name_is((bt_str){ type.at, size }, accepts == NULL ? "application/json" : accepts);
}

bool bt_front_begin(bt_exchange *exchange, const bt_front_head *head)
{
    if (!bt_head_check(exchange, head) || !find_route(exchange, head))
        return false;
    const bt_http_request *request = &exchange->request;
    bool has_body = exchange->content_length != 0;
    if (has_body && (request->method == BT_HTTP_GET || request->method == BT_HTTP_DELETE)) {
        bt_front_refuse(exchange, &bt_problem_bad_request, BT_STR("this method takes no body"));
        return false;
    }
    if (exchange->content_length > exchange->server->options.body_max) {
        bt_front_refuse(exchange, &bt_problem_body_too_large, (bt_str){ NULL, 0 });
        return false;
    }
    if (has_body && !type_fits(exchange)) {
        bt_front_refuse(exchange, &bt_problem_media_type, (bt_str){ NULL, 0 });
        return false;
    }
    return true;
}

bool bt_front_admit(bt_exchange *exchange, bt_str body)
{
    bt_http_server *server = exchange->server;
    bt_http_request *request = &exchange->request;
    request->body = body;
    request->received_at_us = bt_clock_realtime_us();
    request->received_mono_us = bt_clock_monotonic_us();
    if (atomic_load_explicit(&server->refusing, memory_order_relaxed)) {
        bt_front_refuse(exchange, &bt_problem_stopping, (bt_str){ NULL, 0 });
        return false;
    }
    if (atomic_fetch_add(&server->in_flight, 1) >= server->options.in_flight_max) {
        atomic_fetch_sub(&server->in_flight, 1);
        bt_front_refuse_kindly(exchange, &(bt_problem){ .type = &bt_problem_overloaded, .retry_after_s = 1 });
        return false;
    }
    atomic_fetch_add(&server->outstanding, 1);
    if (server->in_flight_gauge != NULL)
        bt_gauge_add(server->in_flight_gauge, 1);
    return true;
}

void bt_front_handle(bt_exchange *exchange)
{
    bt_http_request *request = &exchange->request;
    bt_log_set_correlation(request->correlation);
    request->route->handler(request);
    bt_log_set_correlation((bt_str){ NULL, 0 });
}

void bt_http_respond(bt_http_request *request, const bt_http_response *response)
{
    bt_exchange *exchange = (bt_exchange *)request;
    bt_http_server *server = exchange->server;
    bt_answer_render(exchange, response);
    bt_front_count(server, request->route, response->status, bt_clock_monotonic_us() - request->received_mono_us);
    atomic_fetch_sub(&server->in_flight, 1);
    if (server->in_flight_gauge != NULL)
        bt_gauge_add(server->in_flight_gauge, -1);
    uint32_t before = atomic_load(&exchange->state);
    while (before != BT_EXCHANGE_GIVEN_UP && !atomic_compare_exchange_weak(&exchange->state, &before, BT_EXCHANGE_ANSWERED))
        bt_assert(before != BT_EXCHANGE_ANSWERED);
    if (before == BT_EXCHANGE_GIVEN_UP)
        bt_exchange_free(exchange);
    else if (before == BT_EXCHANGE_WAITED_FOR)
        server->backend->answered(exchange);
    /* Last of all: once this is 0, the server may be freed. */
    atomic_fetch_sub(&server->outstanding, 1);
}

void bt_http_respond_json(bt_http_request *request, int status, bt_str json)
{
    bt_http_respond(request, &(bt_http_response){ .status = status, .body = json });
}

static bool parse_listen(const char *listen, struct sockaddr_in *ret_address, bt_err *err)
{
    char host[64];
    const char *colon = strrchr(listen, ':');
    char *end = NULL;
    long port = colon == NULL ? -1 : strtol(colon + 1, &end, 10);
    size_t size = colon == NULL ? 0 : (size_t)(colon - listen);
    *ret_address = (struct sockaddr_in){ .sin_family = AF_INET };
    if (colon != NULL && size < sizeof host && colon[1] != '\0' && *end == '\0' && port >= 0 && port <= 65535) {
        memcpy(host, listen, size);
        host[size] = '\0';
        ret_address->sin_port = htons((uint16_t)port);
        if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &ret_address->sin_addr) == 1)
            return true;
    }
    return bt_fail(err, BT_ERR_INPUT, 0, "\"%.80s\" is not an address to listen on: give host:port with an IPv4 address, such as 127.0.0.1:18081", listen);
}

const char *bt_front_listen_remedy(int cause)
{
    switch (cause) {
    case EADDRINUSE:
        return "another program listens there: ss -ltnp shows which; stop it, or give another port";
    case EADDRNOTAVAIL:
        return "this machine has no such address: give 127.0.0.1, 0.0.0.0 for all, or one that ip addr shows";
    case EACCES:
        return "ports under 1024 need a right of their own: give a higher one";
    default:
        return "give another address";
    }
}

static bool listen_check(const char *setting, const char *where, bt_err *err)
{
    struct sockaddr_in address;
    bt_err cause;
    if (!parse_listen(where, &address, &cause))
        return bt_fail(err, BT_ERR_INPUT, 0, "%s: %s", setting, cause.message);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0)
        return bt_fail(err, BT_ERR_FATAL, errno, "%s: no socket can be had: %s", setting, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    bool free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0;
    int code = errno;
    close(fd);
    return free || bt_fail(err, BT_ERR_INPUT, code, "%s: cannot listen on %s: %s; %s", setting, where, strerror(code), bt_front_listen_remedy(code));
}

void bt_http_listen_or_exit(const char *program, const char *setting, const char *where)
{
    bt_err err;
    if (listen_check(setting, where, &err))
        return;
    fprintf(stderr, "%s: %s\n", program, err.message);
    exit(2);
}

#define OR_DEFAULT(field, value) options->field = options->field > 0 ? options->field : (value)

static bool fill_defaults(bt_http_server *server, const bt_http_options *given, bt_err *err)
{
    bt_http_options *options = &server->options;
    *options = *given;
    options->name = given->name != NULL ? given->name : "http";
    options->listen = given->listen != NULL ? given->listen : "127.0.0.1:0";
    const char *backend = given->backend != NULL && *given->backend != '\0' ? given->backend : "loop";
    if (strcmp(backend, "civetweb") != 0 && strcmp(backend, "loop") != 0)
        return bt_fail(err, BT_ERR_INPUT, 0, "there is no HTTP backend \"%.40s\": it is loop or civetweb", backend);
    server->backend = strcmp(backend, "loop") == 0 ? &bt_front_loop : &bt_front_civetweb;
    OR_DEFAULT(worker_count, 512);
    OR_DEFAULT(loop_count, 1);
    OR_DEFAULT(connections_max, 16384);
    OR_DEFAULT(backlog, 4096);
    OR_DEFAULT(in_flight_max, 4096);
    OR_DEFAULT(body_max, 1 << 20);
    OR_DEFAULT(head_max, 16384);
    OR_DEFAULT(read_timeout_ms, 10000);
    OR_DEFAULT(idle_timeout_ms, 30000);
    OR_DEFAULT(write_timeout_ms, 10000);
    OR_DEFAULT(answer_timeout_ms, 60000);
    OR_DEFAULT(stop_grace_ms, 1000);
    return parse_listen(options->listen, &server->address, err);
}

bool bt_http_server_start(const bt_http_options *options, bt_http_server **ret_server, bt_err *err)
{
    bt_http_server *server = bt_alloc(sizeof *server);
    if (!fill_defaults(server, options, err) || !bt_routes_compile(server, err)) {
        bt_release(server);
        return false;
    }
    bt_front_metrics_start(server);
    if (!server->backend->start(server, err)) {
        bt_front_metrics_free(server);
        bt_release(server);
        return false;
    }
    bt_log_info("http.listening", F_STR("name", server->options.name), F_I64("port", server->port), F_STR("backend", server->backend->name));
    *ret_server = server;
    return true;
}

int bt_http_server_port(const bt_http_server *server) { return server->port; }
int bt_http_server_in_flight(const bt_http_server *server) { return atomic_load(&((bt_http_server *)server)->in_flight); }

void bt_http_server_drain(bt_http_server *server) { atomic_store(&server->draining, true); }

bool bt_http_server_stop(bt_http_server *server, int64_t limit_ms)
{
    bt_http_server_drain(server);
    atomic_store(&server->stopping, true);
    int64_t began_us = bt_clock_monotonic_us();
    bool whole = server->backend->stop(server, limit_ms);
    bt_log_info("http.stopped", F_STR("name", server->options.name), F_BOOL("whole", whole), F_I64("took_us", bt_clock_monotonic_us() - began_us));
    return whole;
}

void bt_http_server_free(bt_http_server *server)
{
    if (server == NULL)
        return;
    int64_t give_up_at_us = bt_clock_monotonic_us() + FREE_WAIT_US;
    while (atomic_load(&server->outstanding) > 0) {
        bt_assert(bt_clock_monotonic_us() < give_up_at_us);
        bt_clock_sleep_us(1000);
    }
    server->backend->free(server);
    bt_front_metrics_free(server);
    bt_release(server);
}
