/* count - the front's own metrics. A series for each route and status comes into being when it is first needed: most never are. */
#include "io/http/front.h"

#include <stdio.h>

#define STATUS_FIRST 200
#define STATUS_COUNT 400

struct bt_front_metrics {
    _Atomic(bt_counter *) counters[BT_HTTP_ROUTES_MAX + 1][STATUS_COUNT]; /* the last row: no route */
};

void bt_front_metrics_start(bt_http_server *server)
{
    bt_metrics *metrics = server->options.metrics;
    if (metrics == NULL)
        return;
    server->metrics = bt_alloc(sizeof *server->metrics);
    const char *name = server->options.name;
    for (size_t i = 0; i < server->options.route_count; i++) {
        const bt_http_route *route = &server->options.routes[i];
        if (route->handler == NULL)
            continue;
        server->routes[i].seconds = bt_metrics_histogram(metrics, BT_HISTOGRAM_SECONDS, "berth_http_request_seconds",
            "Time from a whole request to its answer.",
            BT_LABELS({ "server", name }, { "route", route->pattern }, { "method", bt_http_method_name(route->method) }));
    }
    server->in_flight_gauge = bt_metrics_gauge(metrics, "berth_http_in_flight", "Requests that a handler has and has not answered.",
        BT_LABELS({ "server", name }));
    server->connections_gauge = bt_metrics_gauge(metrics, "berth_http_connections", "Open connections.", BT_LABELS({ "server", name }));
    server->turned_away = bt_metrics_counter(metrics, "berth_http_connections_refused_total", "Connections over the limit, told 503 and closed.",
        BT_LABELS({ "server", name }));
    server->accept_pauses = bt_metrics_counter(metrics, "berth_http_accept_pauses_total", "Times that no connection could be taken for want of descriptors.",
        BT_LABELS({ "server", name }));
}

void bt_front_metrics_free(bt_http_server *server) { bt_release(server->metrics); }

void bt_front_count(bt_http_server *server, const bt_http_route *route, int status, int64_t taken_us)
{
    if (server->metrics == NULL)
        return;
    size_t row = route == NULL ? BT_HTTP_ROUTES_MAX : (size_t)(route - server->options.routes);
    if (route != NULL && taken_us >= 0)
        bt_histogram_observe(server->routes[row].seconds, taken_us);
    _Atomic(bt_counter *) *slot = &server->metrics->counters[row][(status - STATUS_FIRST) % STATUS_COUNT];
    bt_counter *counter = atomic_load_explicit(slot, memory_order_acquire);
    if (counter == NULL) {
        char code[8];
        snprintf(code, sizeof code, "%d", status);
        counter = bt_metrics_counter(server->options.metrics, "berth_http_requests_total", "Answers by route, method and status.",
            BT_LABELS({ "server", server->options.name }, { "route", route == NULL ? "none" : route->pattern },
                { "method", route == NULL ? "none" : bt_http_method_name(route->method) }, { "status", code }));
        atomic_store_explicit(slot, counter, memory_order_release);
    }
    bt_counter_inc(counter);
}
