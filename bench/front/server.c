/* server - takes POSTs of the size of a hold and answers with one of the size of its answer: at once, or as a group commit would, all
 * that wait each tick, from another thread. What it costs is what io/http costs.
 *
 *   bench_front civetweb|loop|evhttp PORT TICK_US THREADS
 *
 * TICK_US 0 answers at once. THREADS: civetweb's workers, or loops. Runs until it is killed. */
#include "bench/front/rival.h"

#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/http/http.h"
#include "io/log/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define WAITING_MAX 8192

static const char answer_text[] = "{\"hold\":\"5f0c1d2e3a4b5c6d\",\"trip\":\"t-2026-11-22-IC703\",\"seats\":[{\"section\":\"A\",\"seat\":\"12\"},"
                                  "{\"section\":\"A\",\"seat\":\"13\"}],\"expires_at\":\"2026-11-22T06:40:00Z\"}";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bt_http_request *waiting[2][WAITING_MAX];
static int waiting_count, side;

static void respond(bt_http_request *request)
{
    bt_http_pair location = { BT_STR("Location"), BT_STR("/v1/trips/t/holds/5f0c1d2e3a4b5c6d") };
    bt_http_respond(request, &(bt_http_response){ .status = 201, .headers = &location, .header_count = 1, .body = bt_str_of(answer_text) });
}

static void answer_later(bt_http_request *request)
{
    pthread_mutex_lock(&lock);
    bt_assert(waiting_count < WAITING_MAX);
    waiting[side][waiting_count++] = request;
    pthread_mutex_unlock(&lock);
}

/* As the owner thread would: one batch is proved, all of it is answered. */
static void commit_for_good(long tick_us)
{
    while (true) {
        bt_clock_sleep_us(tick_us > 0 ? tick_us : 1000000);
        pthread_mutex_lock(&lock);
        int count = waiting_count, full = side;
        waiting_count = 0;
        side = 1 - side;
        pthread_mutex_unlock(&lock);
        for (int i = 0; i < count; i++)
            respond(waiting[full][i]);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench_front civetweb|loop|evhttp PORT TICK_US THREADS\n");
        return 2;
    }
    long tick_us = atol(argv[3]);
    int port = atoi(argv[2]), threads = atoi(argv[4]);
    if (strcmp(argv[1], "evhttp") == 0)
        rival_evhttp_serve(port, threads, tick_us, answer_text);
    const bt_http_route routes[] = {
        { .method = BT_HTTP_POST, .pattern = "/v1/trips/{trip}/holds", .handler = tick_us > 0 ? answer_later : respond },
    };
    char listen[64];
    bt_err err = { 0 };
    bt_http_server *server;
    snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
    bt_log_init("bench-front", "", BT_LOG_WARN);
    if (!bt_http_server_start(&(bt_http_options){ .listen = listen, .backend = argv[1], .worker_count = threads, .loop_count = threads,
            .routes = routes, .route_count = 1 }, &server, &err)) {
        fprintf(stderr, "bench_front: %s\n", err.message);
        return 1;
    }
    commit_for_good(tick_us);
}
