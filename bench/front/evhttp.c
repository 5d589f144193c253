/* evhttp - see rival.h. Answers are completed on the loop's thread, as evhttp wants it: the committer only wakes the loops. */
#include "bench/front/rival.h"

#include "core/memory.h"
#include "io/clock/clock.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/thread.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAITING_MAX 8192
#define LOOPS_MAX 16

typedef struct loop {
    struct event_base *base;
    struct evhttp *http;
    int wake_fd;
    long tick_us;
    const char *body;
    struct evhttp_request *waiting[WAITING_MAX];
    _Atomic int waiting_count;
} loop;

static loop loops[LOOPS_MAX];

static void answer(loop *self, struct evhttp_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Content-Type", "application/json");
    evhttp_add_header(headers, "X-Request-Id", "0123456789abcdef");
    struct evbuffer *out = evhttp_request_get_output_buffer(request);
    evbuffer_add_reference(out, self->body, strlen(self->body), NULL, NULL);
    evhttp_send_reply(request, 201, "Created", NULL);
}

static void on_request(struct evhttp_request *request, void *argument)
{
    loop *self = argument;
    struct evbuffer *in = evhttp_request_get_input_buffer(request);
    size_t size = evbuffer_get_length(in);
    char body[4096];
    evbuffer_copyout(in, body, size < sizeof body ? size : sizeof body);
    if (self->tick_us == 0)
        answer(self, request);
    else
        self->waiting[self->waiting_count++] = request;
}

static void on_wake(evutil_socket_t fd, short what, void *argument)
{
    loop *self = argument;
    eventfd_t value;
    (void)what;
    eventfd_read(fd, &value);
    int count = self->waiting_count;
    for (int i = 0; i < count; i++)
        answer(self, self->waiting[i]);
    self->waiting_count = 0;
}

static int listen_on(int port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bt_assert(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4096) == 0);
    return fd;
}

static void *run(void *argument)
{
    loop *self = argument;
    event_base_dispatch(self->base);
    return NULL;
}

void rival_evhttp_serve(int port, int loop_count, long tick_us, const char *body)
{
    evthread_use_pthreads();
    bt_assert(loop_count <= LOOPS_MAX);
    for (int i = 0; i < loop_count; i++) {
        loop *self = &loops[i];
        pthread_t thread;
        self->tick_us = tick_us;
        self->body = body;
        self->base = event_base_new();
        self->http = evhttp_new(self->base);
        self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        evhttp_set_gencb(self->http, on_request, self);
        evhttp_set_max_body_size(self->http, 1 << 20);
        evhttp_set_max_headers_size(self->http, 16384);
        bt_assert(evhttp_accept_socket(self->http, listen_on(port)) == 0);
        event_add(event_new(self->base, self->wake_fd, EV_READ | EV_PERSIST, on_wake, self), NULL);
        bt_assert(pthread_create(&thread, NULL, run, self) == 0);
    }
    while (true) {
        bt_clock_sleep_us(tick_us > 0 ? tick_us : 1000000);
        for (int i = 0; i < loop_count && tick_us > 0; i++) {
            if (loops[i].waiting_count > 0)
                eventfd_write(loops[i].wake_fd, 1);
        }
    }
}
