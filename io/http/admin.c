/* admin - four small answers on a server of their own. */
#include "io/http/admin.h"

#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/http/http.h"
#include "io/http/problem.h"
#include "io/log/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define METRICS_TEXT_MAX ((size_t)16 << 20)
#define STOP_LIMIT_MS 1000

struct bt_admin {
    bt_http_server *server;
    bt_admin_options options;
    bt_admin_check checks[BT_ADMIN_CHECKS_MAX];
    bt_http_route routes[BT_ADMIN_ROUTES_MAX + 4];
    int64_t started_at_us;
    _Atomic bool stopping;
    bt_metrics *own_metrics; /* when none were given */
};

static void answer_livez(bt_http_request *request) { bt_http_respond_json(request, 200, BT_STR("{\"alive\":true}")); }

static void write_check(bt_buf *json, const char *name, bool ready, bool informative, const char *reason)
{
    bt_json_open(json, NULL, '{');
    bt_json_str(json, "name", bt_str_of(name));
    bt_json_bool(json, "ready", ready);
    if (informative)
        bt_json_bool(json, "informative", true);
    if (*reason != '\0')
        bt_json_str(json, "reason", bt_str_of(reason));
    bt_json_close(json, '}');
}

static void answer_readyz(bt_http_request *request)
{
    bt_admin *admin = request->context;
    bt_buf checks, json;
    bt_buf_init(&checks, 1 << 16);
    bt_buf_init(&json, 1 << 16);
    bool ready = !atomic_load(&admin->stopping);
    bt_json_open(&checks, NULL, '[');
    if (!ready)
        write_check(&checks, "server", false, false, "it is being stopped");
    for (size_t i = 0; i < admin->options.check_count; i++) {
        const bt_admin_check *check = &admin->checks[i];
        char reason[BT_ADMIN_REASON_MAX] = "";
        bool fine = check->is_ready(check->context, reason);
        reason[sizeof reason - 1] = '\0';
        ready = ready && (fine || check->informative);
        write_check(&checks, check->name, fine, check->informative, reason);
    }
    bt_json_close(&checks, ']');
    bt_json_open(&json, NULL, '{');
    bt_json_bool(&json, "ready", ready);
    bt_json_raw(&json, "checks", bt_buf_view(&checks));
    bt_json_close(&json, '}');
    bt_http_respond_json(request, ready ? 200 : 503, bt_buf_view(&json));
    bt_buf_release(&checks);
    bt_buf_release(&json);
}

static void answer_metrics(bt_http_request *request)
{
    bt_admin *admin = request->context;
    bt_buf text;
    bt_buf_init(&text, METRICS_TEXT_MAX);
    bt_metrics_write(admin->options.metrics, &text);
    if (text.overflow)
        bt_http_problem(request, &(bt_problem){ .type = &bt_problem_internal, .detail = BT_STR("the metrics are larger than 16 MiB") });
    else
        bt_http_respond(request, &(bt_http_response){ .status = 200, .content_type = BT_METRICS_CONTENT_TYPE, .body = bt_buf_view(&text) });
    bt_buf_release(&text);
}

static void answer_version(bt_http_request *request)
{
    const bt_admin *admin = request->context;
    bt_buf json;
    bt_buf_init(&json, 4096);
    bt_json_open(&json, NULL, '{');
    bt_json_str(&json, "server", bt_str_of(admin->options.server));
    bt_json_str(&json, "version", bt_str_of(admin->options.version));
    bt_json_time(&json, "started_at", admin->started_at_us);
    bt_json_i64(&json, "pid", getpid());
    bt_json_close(&json, '}');
    bt_http_respond_json(request, 200, bt_buf_view(&json));
    bt_buf_release(&json);
}

static const bt_http_route own_routes[4] = {
    { .method = BT_HTTP_GET, .pattern = "/livez", .handler = answer_livez },
    { .method = BT_HTTP_GET, .pattern = "/readyz", .handler = answer_readyz },
    { .method = BT_HTTP_GET, .pattern = "/metrics", .handler = answer_metrics },
    { .method = BT_HTTP_GET, .pattern = "/version", .handler = answer_version },
};

/* Resident memory and CPU time, read from /proc when asked: what an operator looks at first. */
static double resident_bytes(void *unused)
{
    (void)unused;
    unsigned long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    int got = fscanf(file, "%llu %llu", &total, &resident);
    fclose(file);
    return got == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double cpu_seconds(void *unused)
{
    (void)unused;
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double lost_lines(void *unused)
{
    (void)unused;
    return (double)bt_log_lost_count();
}

static double one(void *unused)
{
    (void)unused;
    return 1;
}

static void add_own_metrics(bt_admin *admin)
{
    bt_metrics *metrics = admin->options.metrics;
    bt_metrics_gauge_of(metrics, "process_resident_memory_bytes", "Resident memory.", BT_NO_LABELS, resident_bytes, NULL);
    bt_metrics_counter_of(metrics, "process_cpu_seconds_total", "User and system time.", BT_NO_LABELS, cpu_seconds, NULL);
    bt_metrics_counter_of(metrics, "berth_log_lost_lines_total", "Log lines that could not be written: a full disk.", BT_NO_LABELS, lost_lines, NULL);
    bt_metrics_gauge_of(metrics, "berth_build_info", "Always 1; the labels say what runs.",
        BT_LABELS({ "server", admin->options.server }, { "version", admin->options.version }), one, NULL);
}

bool bt_admin_start(const bt_admin_options *options, bt_admin **ret_admin, bt_err *err)
{
    bt_assert(options->check_count <= BT_ADMIN_CHECKS_MAX);
    bt_admin *admin = bt_alloc(sizeof *admin);
    admin->options = *options;
    admin->started_at_us = bt_clock_realtime_us();
    if (options->check_count > 0)
        memcpy(admin->checks, options->checks, options->check_count * sizeof *options->checks);
    if (options->metrics == NULL)
        admin->options.metrics = admin->own_metrics = bt_metrics_new();
    add_own_metrics(admin);
    bt_assert(options->route_count <= BT_ADMIN_ROUTES_MAX);
    memcpy(admin->routes, own_routes, sizeof own_routes);
    if (options->route_count > 0)
        memcpy(admin->routes + BT_COUNT_OF(own_routes), options->routes, options->route_count * sizeof *options->routes);
    /* Threads for the handlers: a check may take its time, and must not hold up /livez. */
    bt_http_options http = { .name = "admin", .listen = options->listen, .backend = "loop", .routes = admin->routes, .route_count = BT_COUNT_OF(own_routes) + options->route_count,
        .context = admin, .handler_threads = 8, .connections_max = 256, .backlog = 64, .in_flight_max = 8, .body_max = 1024, .idle_timeout_ms = 5000, .answer_timeout_ms = 10000 };
    if (!bt_http_server_start(&http, &admin->server, err)) {
        bt_metrics_free(admin->own_metrics);
        bt_release(admin);
        return false;
    }
    *ret_admin = admin;
    return true;
}

int bt_admin_port(const bt_admin *admin) { return bt_http_server_port(admin->server); }
void bt_admin_set_stopping(bt_admin *admin) { atomic_store(&admin->stopping, true); }

void bt_admin_free(bt_admin *admin)
{
    if (admin == NULL)
        return;
    bt_http_server_stop(admin->server, STOP_LIMIT_MS);
    bt_http_server_free(admin->server);
    bt_metrics_free(admin->own_metrics);
    bt_release(admin);
}
