/* wire - see wire.h. */
#include "tests/unit/io/wire.h"

#include "tests/unit/test.h"

#include "core/buf.h"
#include "core/memory.h"
#include "io/clock/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

const char *wire_backend = "civetweb";
bt_http_server *wire_server;
_Atomic int wire_held_count, wire_handled_count;

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static bt_http_request *held[8192];

static void echo(bt_http_request *request)
{
    bt_buf json;
    bt_str value;
    atomic_fetch_add(&wire_handled_count, 1);
    bt_buf_init(&json, 4 << 20);
    bt_json_open(&json, NULL, '{');
    bt_json_str(&json, "trip", bt_http_param(request, "trip"));
    if (bt_http_query(request, "from", &value))
        bt_json_str(&json, "from", value);
    bt_json_i64(&json, "query_count", (int64_t)request->query_count);
    bt_json_i64(&json, "size", (int64_t)request->body.size);
    bt_json_str(&json, "body", request->body.size < 100 ? request->body : BT_STR("long"));
    bt_json_close(&json, '}');
    bt_http_pair location = { BT_STR("Location"), BT_STR("/v1/x") };
    bt_http_respond(request, &(bt_http_response){ .status = request->method == BT_HTTP_POST ? 201 : 200, .headers = &location, .header_count = 1,
        .body = bt_buf_view(&json) });
    bt_buf_release(&json);
}

static void hold_back(bt_http_request *request)
{
    pthread_mutex_lock(&held_lock);
    held[atomic_fetch_add(&wire_held_count, 1)] = request;
    pthread_mutex_unlock(&held_lock);
}

static void *answer_held(void *unused)
{
    pthread_mutex_lock(&held_lock);
    for (int i = 0; i < wire_held_count; i++)
        bt_http_respond_json(held[i], 200, BT_STR("{\"late\":true}"));
    atomic_store(&wire_held_count, 0);
    pthread_mutex_unlock(&held_lock);
    return unused;
}

void wire_release_held(void)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_held, NULL), 0);
    pthread_join(thread, NULL);
}

static void send_much(bt_http_request *request)
{
    size_t size = (size_t)6 << 20;
    char *text = bt_alloc(size);
    memset(text, 'x', size);
    bt_http_respond(request, &(bt_http_response){ .status = 200, .content_type = "text/plain", .body = { text, size } });
    bt_release(text);
}

static void send_nothing(bt_http_request *request) { bt_http_respond(request, &(bt_http_response){ .status = 204 }); }

static const bt_http_route routes[] = {
    { .method = BT_HTTP_POST, .pattern = "/v1/trips/{trip}/holds", .handler = echo },
    { .method = BT_HTTP_GET, .pattern = "/v1/trips/{trip}", .handler = echo },
    { .method = BT_HTTP_POST, .pattern = "/held", .handler = hold_back },
    { .method = BT_HTTP_GET, .pattern = "/much", .handler = send_much },
    { .method = BT_HTTP_DELETE, .pattern = "/nothing", .handler = send_nothing },
    { .method = BT_HTTP_POST, .pattern = "/v1/elsewhere" },
};

void wire_start(bt_http_options options)
{
    bt_err err = { 0 };
    /* Variants of the loop: several of them, or handlers on threads of their own. */
    options.backend = strcmp(wire_backend, "civetweb") == 0 ? "civetweb" : "loop";
    options.loop_count = strcmp(wire_backend, "loops") == 0 ? 3 : 1;
    options.handler_threads = strcmp(wire_backend, "pool") == 0 ? 4 : 0;
    options.routes = routes;
    options.route_count = BT_COUNT_OF(routes);
    if (options.worker_count == 0 && strcmp(wire_backend, "civetweb") == 0)
        options.worker_count = 32;
    int64_t usual_ms = strcmp(wire_backend, "civetweb") == 0 ? 1500 : WIRE_PATIENCE_MS; /* civetweb's stop sits its timeouts out */
    if (options.read_timeout_ms == 0)
        options.read_timeout_ms = usual_ms;
    if (options.idle_timeout_ms == 0)
        options.idle_timeout_ms = usual_ms;
    if (options.write_timeout_ms == 0)
        options.write_timeout_ms = usual_ms;
    atomic_store(&wire_handled_count, 0);
    if (!bt_http_server_start(&options, &wire_server, &err))
        fail_msg("%s", err.message);
}

void wire_stop(void)
{
    assert_true(bt_http_server_stop(wire_server, WIRE_PATIENCE_MS));
    bt_http_server_free(wire_server);
    wire_server = NULL;
}

int wire_connect(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)bt_http_server_port(wire_server)) };
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void wire_send(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server may close while it is being shouted at */
        bytes += sent;
        size -= (size_t)sent;
    }
}

void wire_say(int fd, const char *text) { wire_send(fd, text, strlen(text)); }

/* One read within the time; 0 for the end, -1 for none. */
static ssize_t read_some(int fd, char *to, size_t room, int64_t until_us)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    int64_t left_ms = (until_us - bt_clock_monotonic_us()) / 1000;
    if (left_ms < 0 || poll(&ready, 1, (int)left_ms) <= 0)
        return -1;
    ssize_t got = recv(fd, to, room, 0);
    return got < 0 ? 0 : got;
}

const char *wire_header(const wire_answer *answer, const char *name, char ret_value[256])
{
    size_t size = strlen(name);
    for (const char *line = strstr(answer->head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, size) == 0 && line[2 + size] == ':') {
            const char *value = line + 3 + size + strspn(line + 3 + size, " ");
            snprintf(ret_value, 256, "%.*s", (int)strcspn(value, "\r"), value);
            return ret_value;
        }
    }
    return NULL;
}

bool wire_is_spoken_to(int fd, int timeout_ms)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    return poll(&ready, 1, timeout_ms) > 0;
}

wire_answer wire_hear(int fd, bool expects_body)
{
    wire_answer answer = { 0 };
    char length[256];
    int64_t until_us = bt_clock_monotonic_us() + WIRE_PATIENCE_MS * INT64_C(1000);
    size_t size = 0;
    while (size < sizeof answer.head - 1 && (size < 4 || memcmp(answer.head + size - 4, "\r\n\r\n", 4) != 0)) {
        ssize_t got = read_some(fd, answer.head + size, 1, until_us);
        if (got <= 0) {
            answer.closed = got == 0;
            return answer;
        }
        size++;
    }
    answer.status = atoi(answer.head + 9);
    const char *text = wire_header(&answer, "Content-Length", length);
    answer.body_size = text == NULL || !expects_body ? 0 : (size_t)atoll(text);
    answer.body = bt_alloc(answer.body_size + 1);
    for (size = 0; size < answer.body_size;) {
        ssize_t got = read_some(fd, answer.body + size, answer.body_size - size, until_us);
        if (got <= 0) {
            answer.status = 0;
            return answer;
        }
        size += (size_t)got;
    }
    return answer;
}

bool wire_is_closed(int fd, int timeout_ms)
{
    char scratch[4096];
    int64_t until_us = bt_clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    ssize_t got;
    do
        got = read_some(fd, scratch, sizeof scratch, until_us);
    while (got > 0);
    return got == 0;
}

void wire_forget(wire_answer *answer)
{
    bt_release(answer->body);
    answer->body = NULL;
}

wire_answer wire_ask(const char *text)
{
    int fd = wire_connect();
    wire_say(fd, text);
    wire_answer answer = wire_hear(fd, strncmp(text, "HEAD", 4) != 0);
    char connection[256];
    bool will_close = wire_header(&answer, "Connection", connection) != NULL && strcasecmp(connection, "close") == 0;
    answer.closed = answer.status != 0 && wire_is_closed(fd, will_close ? WIRE_PATIENCE_MS : 100);
    close(fd);
    return answer;
}
