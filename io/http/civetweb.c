/* civetweb - the front on Debian's civetweb 1.15: a thread a connection, which waits for its answer on a futex.
 *
 * What that library leaves open and is closed here (read in its source at v1.15, each with a test): it stops parsing at the first
 * malformed header and forgets the rest, it forgets every header after the 64th, it lets blanks stand before a colon and letters
 * after a length, and it takes the first of two lengths. All of these let a proxy and it disagree on where a request ends.
 * One is not closed: its reads of a body have a limit for each piece, not for the whole, and no way to the socket; so a client that
 * drips a byte at a time can hold a thread for minutes (step_of keeps it from hours). The other backend has no such hole. */
#include "io/http/front.h"

#include "io/clock/clock.h"
#include "io/log/log.h"

#include <civetweb.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SLICE_MS 250           /* how soon a waiting worker notices that the server cuts it off */
#define DRAIN_MAX (256 * 1024)      /* of a refused body: closing with unread bytes resets the connection and loses the answer */
#define READ_STEP_MAX 1024

typedef struct civet {
    struct mg_context *context;
    _Atomic int serving; /* workers from a request's dispatch until its answer is written */
    char error[256]; /* what civetweb last said while it started */
    bool started;
} civet;

static _Thread_local bt_exchange *own_exchange; /* a worker serves one request at a time and keeps its memory */
static _Thread_local int64_t quiet_since_us;    /* when this worker last finished something: how long a half-sent head has been awaited */

static void wait_on(bt_exchange *exchange, int64_t limit_ms)
{
    struct timespec limit = { limit_ms / 1000, limit_ms % 1000 * 1000000 };
    syscall(SYS_futex, &exchange->state, FUTEX_WAIT_PRIVATE, BT_EXCHANGE_WAITED_FOR, &limit, NULL, 0);
}

static void civet_answered(bt_exchange *exchange) { syscall(SYS_futex, &exchange->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

/* False if the handler did not answer in time: then the exchange is the handler's. */
static bool await_answer(bt_exchange *exchange)
{
    bt_http_server *server = exchange->server;
    uint32_t state = BT_EXCHANGE_OPEN;
    if (!atomic_compare_exchange_strong(&exchange->state, &state, BT_EXCHANGE_WAITED_FOR))
        return true;
    int64_t give_up_at_us = exchange->request.received_mono_us + server->options.answer_timeout_ms * 1000;
    while (atomic_load(&exchange->state) == BT_EXCHANGE_WAITED_FOR) {
        int64_t left_ms = (give_up_at_us - bt_clock_monotonic_us()) / 1000;
        if (left_ms <= 0 || atomic_load(&server->cut_off)) {
            state = BT_EXCHANGE_WAITED_FOR;
            return !atomic_compare_exchange_strong(&exchange->state, &state, BT_EXCHANGE_GIVEN_UP);
        }
        wait_on(exchange, left_ms < WAIT_SLICE_MS ? left_ms : WAIT_SLICE_MS);
    }
    return true;
}

/* civetweb ends keys and values in place: a colon right after the name leaves one zero byte before the value and its blanks, a blank before
 * the colon leaves two. And after the last value it must have stopped at the empty line, not at something that it could not read. */
static bool is_parsed_whole(const struct mg_request_info *info)
{
    for (int i = 0; i < info->num_headers; i++) {
        const char *after_name = info->http_headers[i].name + strlen(info->http_headers[i].name);
        const char *value = info->http_headers[i].value;
        if (value > after_name + 1 && after_name[1] == '\0')
            return false;
    }
    if (info->num_headers == 0)
        return false;
    const char *last = info->http_headers[info->num_headers - 1].value;
    const char *end = last + strlen(last);
    return end[1] == '\0' && end[2] == '\r' && end[3] == '\0';
}

static void collect_head(bt_exchange *exchange, const struct mg_request_info *info, bt_front_head *ret_head)
{
    bt_http_pair *headers = bt_arena_take(&exchange->arena, sizeof *headers * (size_t)(info->num_headers + 1));
    size_t size = strlen(info->request_method) + strlen(info->request_uri) + 14;
    for (int i = 0; i < info->num_headers; i++) {
        bt_str value = bt_str_of(info->http_headers[i].value);
        while (value.size > 0 && (value.at[value.size - 1] == ' ' || value.at[value.size - 1] == '\t'))
            value.size--;
        headers[i] = (bt_http_pair){ bt_str_of(info->http_headers[i].name), value };
        size += headers[i].name.size + value.size + 4;
    }
    /* civetweb has cut the target at its question mark: put the two together again. */
    bt_str target = bt_str_of(info->request_uri);
    if (info->query_string != NULL) {
        target = bt_arena_printf(&exchange->arena, "%s?%s", info->request_uri, info->query_string);
        size += strlen(info->query_string) + 1;
    }
    *ret_head = (bt_front_head){ .method = bt_str_of(info->request_method), .target = target, .http_1_0 = strcmp(info->http_version, "1.0") == 0,
        .headers = headers, .header_count = (size_t)info->num_headers, .size = size, .client = bt_str_of(info->remote_addr) };
}

/* A read blocks until all that it asked for is there, so small steps bound a dripping client; they double while they come at once. */
static size_t step_of(size_t step, int64_t took_us)
{
    if (took_us > 5000)
        return 1;
    return step * 2 < READ_STEP_MAX ? step * 2 : READ_STEP_MAX;
}

/* Reads what is there of the body into at most room bytes. Returns the size, -1 for a lost or malformed one, -2 when time is up. */
static int64_t read_body(bt_exchange *exchange, struct mg_connection *connection, char *to, size_t room)
{
    int64_t deadline_us = bt_clock_monotonic_us() + exchange->server->options.read_timeout_ms * 1000;
    size_t size = 0, step = READ_STEP_MAX;
    while (size < room) {
        int64_t before_us = bt_clock_monotonic_us();
        int got = mg_read(connection, to + size, room - size < step ? room - size : step);
        int64_t now_us = bt_clock_monotonic_us();
        if (got == 0 && exchange->content_length == BT_FRONT_CHUNKED)
            break;
        if (now_us > deadline_us)
            return -2;
        if (got <= 0)
            return -1;
        size += (size_t)got;
        step = step_of(step, now_us - before_us);
    }
    return (int64_t)size;
}

/* False: exchange->out holds a refusal. */
static bool take_body(bt_exchange *exchange, struct mg_connection *connection, bt_str *ret_body)
{
    bool chunked = exchange->content_length == BT_FRONT_CHUNKED;
    /* One byte more than allowed shows that a chunked body is too large. */
    size_t room = (size_t)(chunked ? exchange->server->options.body_max + 1 : exchange->content_length);
    *ret_body = (bt_str){ NULL, 0 };
    if (room == 0)
        return true;
    if (exchange->expects_continue)
        mg_write(connection, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    char *at = bt_arena_try_take(&exchange->arena, room);
    bt_assert(at != NULL);
    int64_t size = read_body(exchange, connection, at, room);
    if (size >= 0 && size <= exchange->server->options.body_max && (chunked || (size_t)size == room)) {
        *ret_body = (bt_str){ at, (size_t)size };
        return true;
    }
    if (size >= 0)
        bt_front_refuse(exchange, &bt_problem_body_too_large, (bt_str){ NULL, 0 });
    else if (size == -2)
        bt_front_refuse(exchange, &bt_problem_too_slow, (bt_str){ NULL, 0 });
    else
        bt_front_refuse(exchange, &bt_problem_bad_request, BT_STR("the body ended early, or its chunks are malformed"));
    return false;
}

/* Lets the client see a refusal that comes before its body has been read. */
static void drain(bt_exchange *exchange, struct mg_connection *connection)
{
    char scratch[4096];
    if (exchange->content_length <= 0 || exchange->content_length > DRAIN_MAX || exchange->expects_continue)
        return;
    for (int64_t left = exchange->content_length; left > 0;) {
        int got = mg_read(connection, scratch, sizeof scratch);
        if (got <= 0)
            return;
        left -= got;
    }
}

static int send_answer(bt_exchange *exchange, struct mg_connection *connection, bool body_is_unread)
{
    if (mg_write(connection, exchange->out.at, exchange->out.size) != (int)exchange->out.size)
        exchange->keep_alive = false;
    if (!exchange->keep_alive) {
        if (body_is_unread)
            drain(exchange, connection);
        mg_disable_connection_keep_alive(connection);
    }
    quiet_since_us = bt_clock_monotonic_us();
    return 200; /* only for civetweb's own access log, which is off */
}

static int send_timeout(bt_http_server *server, struct mg_connection *connection)
{
    bt_buf out;
    bt_buf_init(&out, 65536);
    bt_front_refuse_unread(server, &bt_problem_answer_timeout, (bt_str){ NULL, 0 }, &out);
    mg_write(connection, out.at, out.size);
    bt_buf_release(&out);
    mg_disable_connection_keep_alive(connection);
    quiet_since_us = bt_clock_monotonic_us();
    return 504;
}

static int serve(bt_exchange *exchange, struct mg_connection *connection, bt_str body)
{
    bt_http_server *server = exchange->server;
    civet *state = server->state;
    int status;
    atomic_fetch_add(&state->serving, 1);
    if (!bt_front_dispatch(exchange, body) || await_answer(exchange)) {
        status = send_answer(exchange, connection, false);
    } else {
        own_exchange = NULL; /* the late answer frees it */
        status = send_timeout(server, connection);
    }
    atomic_fetch_sub(&state->serving, 1);
    return status;
}

static int on_request(struct mg_connection *connection)
{
    bt_http_server *server = mg_get_user_data(mg_get_context(connection));
    const struct mg_request_info *info = mg_get_request_info(connection);
    if (own_exchange == NULL)
        own_exchange = bt_exchange_new(server);
    bt_exchange *exchange = own_exchange;
    bt_exchange_reset(exchange);
    bt_front_head head;
    collect_head(exchange, info, &head);
    if (!is_parsed_whole(info) && info->num_headers < BT_HTTP_HEADERS_MAX) {
        bt_correlate(exchange);
        bt_front_refuse(exchange, &bt_problem_bad_request, BT_STR("the headers are malformed"));
        return send_answer(exchange, connection, true);
    }
    if (!bt_front_begin(exchange, &head))
        return send_answer(exchange, connection, true);
    bt_str body;
    if (!take_body(exchange, connection, &body))
        return send_answer(exchange, connection, false);
    return serve(exchange, connection, body);
}

/* civetweb refused a request that it could not read. It calls all of these malformed; how long it waited tells a slow one. */
static int on_error(struct mg_connection *connection, int status, const char *message)
{
    bt_http_server *server = mg_get_user_data(mg_get_context(connection));
    const bt_http_options *options = &server->options;
    int64_t limit_ms = options->read_timeout_ms < options->idle_timeout_ms ? options->read_timeout_ms : options->idle_timeout_ms;
    bool slow = strcmp(message, "Malformed message") == 0 && bt_clock_monotonic_us() - quiet_since_us >= limit_ms * 1000;
    bt_buf out;
    bt_buf_init(&out, 65536);
    const bt_problem_type *type = slow ? &bt_problem_too_slow : status == 413 ? &bt_problem_headers_too_large : &bt_problem_bad_request;
    bt_front_refuse_unread(server, type, (bt_str){ NULL, 0 }, &out);
    mg_write(connection, out.at, out.size);
    bt_buf_release(&out);
    return 0;
}

static int on_connection(const struct mg_connection *connection, void **ret_data)
{
    (void)connection;
    *ret_data = NULL;
    quiet_since_us = bt_clock_monotonic_us();
    return 0;
}

static int on_message(const struct mg_connection *connection, const char *message)
{
    bt_http_server *server = mg_get_user_data(mg_get_context(connection));
    civet *state = server == NULL ? NULL : server->state;
    if (state != NULL && !state->started && *state->error == '\0') /* the first says why, the later ones that */
        snprintf(state->error, sizeof state->error, "%s", message);
    else if (state != NULL && state->started)
        bt_log_warn("http.civetweb", F_STR("message", message));
    return 1;
}

static void on_thread_exit(const struct mg_context *context, int kind, void *data)
{
    (void)context, (void)kind, (void)data;
    bt_exchange_free(own_exchange);
    own_exchange = NULL;
}

static int on_access(const struct mg_connection *connection, const char *message)
{
    (void)connection, (void)message;
    return 1;
}

static bool civet_start(bt_http_server *server, bt_err *err)
{
    const bt_http_options *options = &server->options;
    char workers[24], queue[24], backlog[24], head[24], read_ms[24], idle_ms[24];
    snprintf(workers, sizeof workers, "%d", options->worker_count);
    snprintf(queue, sizeof queue, "%d", options->backlog);
    snprintf(backlog, sizeof backlog, "%d", options->backlog);
    snprintf(head, sizeof head, "%lld", (long long)options->head_max * 2 + 1024);
    snprintf(read_ms, sizeof read_ms, "%lld", (long long)options->read_timeout_ms);
    snprintf(idle_ms, sizeof idle_ms, "%lld", (long long)options->idle_timeout_ms);
    const char *settings[] = { "listening_ports", options->listen, "num_threads", workers, "connection_queue", queue, "listen_backlog", backlog,
        "max_request_size", head, "request_timeout_ms", read_ms, "keep_alive_timeout_ms", idle_ms, "enable_keep_alive", "yes", "tcp_nodelay", "1",
        "decode_url", "no", "enable_directory_listing", "no", NULL };
    static const struct mg_callbacks callbacks = { .begin_request = on_request, .http_error = on_error, .log_message = on_message, .log_access = on_access,
        .init_connection = on_connection, .exit_thread = on_thread_exit };
    civet *state = bt_alloc(sizeof *state);
    server->state = state;
    state->context = mg_start(&callbacks, server, settings);
    if (state->context == NULL) {
        bt_fail(err, BT_ERR_FATAL, 0, "cannot listen on %s: %s", options->listen, *state->error != '\0' ? state->error : strerror(errno));
        bt_release(state);
        return false;
    }
    struct mg_server_port port = { 0 };
    mg_get_server_ports(state->context, 1, &port);
    server->port = port.port;
    state->started = true;
    return true;
}

/* Once mg_stop is called civetweb writes nothing more, answers under way included; and it has no way to stop listening only. So new
 * requests are refused by the front (503, stopping) while those that were begun are finished, and then all is torn down. */
static bool civet_stop(bt_http_server *server, int64_t limit_ms)
{
    civet *state = server->state;
    atomic_store(&server->refusing, true);
    int64_t cut_at_us = bt_clock_monotonic_us() + limit_ms * 1000;
    while (atomic_load(&state->serving) > 0 && bt_clock_monotonic_us() < cut_at_us)
        bt_clock_sleep_us(1000);
    bool whole = atomic_load(&state->serving) == 0;
    atomic_store(&server->cut_off, true);
    for (int i = 0; i < 4 * WAIT_SLICE_MS && atomic_load(&state->serving) > 0; i++)
        bt_clock_sleep_us(1000);
    mg_stop(state->context);
    return whole;
}

static void civet_free(bt_http_server *server) { bt_release(server->state); }

const bt_front_backend bt_front_civetweb = { "civetweb", civet_start, civet_stop, civet_answered, civet_free };
