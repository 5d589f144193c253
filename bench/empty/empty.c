/* empty - a server that does nothing, through the same front as ours: each route answers at once with a text given beforehand.
 *
 * It is the limit's "empty handler": asked by the same load generator and answering with bodies and headers as long as those of
 * the server that it stands for, it costs what HTTP costs and no more. Loopback only; runs until it is killed.
 *
 *   bench_empty PORT METHOD PATTERN STATUS FILE [METHOD PATTERN STATUS FILE ...]
 *   bench_empty 31050 POST '/v1/trips/{trip}/holds' 201 hold.json */
#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/http/http.h"
#include "io/log/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUTES_MAX = 16, BODY_MAX = 4 << 20 };

typedef struct empty_route {
    int status;
    bt_str body;
} empty_route;

/* As long as what berth-commands and berth-query-api send. */
static const bt_http_pair answer_headers[] = {
    { { "Berth-Position", 14 }, { "trip/2@35176-c14026f7", 21 } },
    { { "ETag", 4 }, { "\"19638\"", 7 } },
    { { "Location", 8 }, { "/v1/trips/bench0/holds/6ea86a8314f4ed3f0609f59c9ab09545", 54 } },
};

static void answer(bt_http_request *request)
{
    const empty_route *route = request->route->context;
    bt_http_respond(request, &(bt_http_response){ .status = route->status, .headers = answer_headers,
        .header_count = route->status == 201 ? 3 : 2, .body = route->body });
}

static bt_str read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = bt_alloc(BODY_MAX);
    if (file == NULL) {
        fprintf(stderr, "bench_empty: cannot read %s\n", path);
        exit(1);
    }
    size_t size = fread(text, 1, BODY_MAX, file);
    fclose(file);
    return (bt_str){ text, size };
}

int main(int argc, char **argv)
{
    static empty_route answers[ROUTES_MAX];
    static bt_http_route routes[ROUTES_MAX];
    size_t count = argc < 6 ? 0 : (size_t)(argc - 2) / 4;
    if (count < 1 || count > ROUTES_MAX || (argc - 2) % 4 != 0) {
        fprintf(stderr, "usage: bench_empty PORT METHOD PATTERN STATUS FILE [METHOD PATTERN STATUS FILE ...]\n");
        return 2;
    }
    for (size_t i = 0; i < count; i++) {
        char **words = argv + 2 + i * 4;
        answers[i] = (empty_route){ atoi(words[2]), read_file(words[3]) };
        routes[i] = (bt_http_route){ .method = words[0][0] == 'G' ? BT_HTTP_GET : BT_HTTP_POST, .pattern = words[1], .handler = answer,
            .context = &answers[i] };
    }
    char listen[64];
    snprintf(listen, sizeof listen, "127.0.0.1:%d", atoi(argv[1]));
    bt_log_init("bench-empty", "", BT_LOG_WARN);
    bt_metrics *metrics = bt_metrics_new(); /* the servers count their requests too */
    bt_http_server *server;
    bt_err err = { 0 };
    bt_http_options options = { .name = "empty", .listen = listen, .routes = routes, .route_count = count, .metrics = metrics };
    if (!bt_http_server_start(&options, &server, &err)) {
        fprintf(stderr, "bench_empty: %s\n", err.message);
        return 1;
    }
    fprintf(stderr, "listening\n");
    while (true)
        bt_clock_sleep_us(1000000);
}
