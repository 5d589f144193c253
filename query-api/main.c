/* berth-query-api - answers reads from Postgres and Redis. It links no Kafka library at all: whatever it does, it cannot write to the log,
 * and reads go on while Kafka is away. */
#include "core/memory.h"
#include "io/config/config.h"
#include "io/http/admin.h"
#include "io/log/log.h"
#include "io/process/process.h"
#include "io/trouble/trouble.h"
#include "query-api/server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct query_settings {
    const char *http_listen, *http_backend, *admin_listen, *log_level;
    int64_t http_loops, http_workers, stop_limit_ms;
    int64_t http_connections_max, http_read_timeout_ms, http_idle_timeout_ms, http_write_timeout_ms;
    qa_settings server;
} query_settings;

#define SERVER(field) (offsetof(query_settings, server) + offsetof(qa_settings, field))

static const bt_setting setting_table[] = {
    { "http.listen", BT_SETTING_STR, offsetof(query_settings, http_listen), "127.0.0.1:18082", "where reads are answered: host:port" },
    { "http.backend", BT_SETTING_CHOICE, offsetof(query_settings, http_backend), "loop", "what reads and writes HTTP; docs/decisions/0005 compares them",
        .choices = "loop|civetweb" },
    { "http.loops", BT_SETTING_I64, offsetof(query_settings, http_loops), "2", "loop: threads that read and write; seat maps from memory are made there", .min = 1, .max = 16 },
    { "http.workers", BT_SETTING_I64, offsetof(query_settings, http_workers), "0", "civetweb: threads, one a connection, 0 for 512; loop: not used", .min = 0, .max = 4096 },
    { "http.connections_max", BT_SETTING_I64, offsetof(query_settings, http_connections_max), "16384", "open connections, as far as the limit of open files allows; over it 503", .min = 1, .max = 60000 },
    { "http.read_timeout_ms", BT_SETTING_I64, offsetof(query_settings, http_read_timeout_ms), "10000", "for a request to arrive whole; then 408", .min = 100, .max = 600000 },
    { "http.idle_timeout_ms", BT_SETTING_I64, offsetof(query_settings, http_idle_timeout_ms), "30000", "a connection that asks nothing for so long is closed", .min = 100, .max = 3600000 },
    { "http.write_timeout_ms", BT_SETTING_I64, offsetof(query_settings, http_write_timeout_ms), "10000", "a client that does not take its answer for so long is cut off", .min = 100, .max = 600000 },
    { "http.stop_limit_ms", BT_SETTING_I64, offsetof(query_settings, stop_limit_ms), "10000", "at a stop, requests that have begun may take so long", .min = 0, .max = 60000 },
    { "admin.listen", BT_SETTING_STR, offsetof(query_settings, admin_listen), "127.0.0.1:18093", "health and metrics: host:port" },
    { "log.level", BT_SETTING_CHOICE, offsetof(query_settings, log_level), "info", "what is logged", .choices = "debug|info|warn|error" },
    { "postgres.dsn", BT_SETTING_STR, SERVER(postgres_dsn), "postgresql://127.0.0.1:5432/berth", "libpq's connection string; PgBouncer in transaction mode is fine",
        .secret = true },
    { "postgres.timeout_ms", BT_SETTING_I64, SERVER(postgres_timeout_ms), "3000", "longest wait for a connection, and for an answer", .min = 50, .max = 60000 },
    { "redis.url", BT_SETTING_STR, SERVER(redis_url), "redis://127.0.0.1:6379", "redis://[[user]:password@]host[:port][/database]; rediss:// for TLS, then also ?ssl_ca_certs=FILE", .secret = true },
    { "redis.timeout_ms", BT_SETTING_I64, SERVER(redis_timeout_ms), "500", "longest wait for Redis; then Postgres is asked", .min = 10, .max = 60000 },
    { "workers", BT_SETTING_I64, SERVER(workers), "16", "threads that ask the databases; each has one connection to Postgres and one to Redis", .min = 1, .max = 256 },
    { "queue.max", BT_SETTING_I64, SERVER(queue_max), "2048", "reads that may wait for such a thread; over it 503", .min = 1, .max = 65536 },
    { "queue.limit_ms", BT_SETTING_I64, SERVER(queue_limit_ms), "3000", "longest wait for such a thread; then 503", .min = 1, .max = 60000 },
    { "position.waiting_max", BT_SETTING_I64, SERVER(waiting_max), "2048", "reads that may wait for a Berth-Min-Position; over it 503", .min = 1, .max = 65536 },
    { "position.wait_ms", BT_SETTING_I64, SERVER(wait_default_ms), "2000", "how long one waits without Prefer: wait=N (at most 10 s)", .min = 0, .max = 10000 },
    { "position.poll_ms", BT_SETTING_I64, SERVER(poll_busy_ms), "3", "pace of looking while a read waits", .min = 1, .max = 1000 },
    { "position.idle_ms", BT_SETTING_I64, SERVER(poll_idle_ms), "250", "pace of looking while none does", .min = 1, .max = 10000 },
    { "layouts.max_mb", BT_SETTING_I64, SERVER(layouts_max_mb), "256", "memory for trips' layouts and availability", .min = 1, .max = 65536 },
    { "seats.max_age_ms", BT_SETTING_I64, SERVER(seats_age_max_ms), "100", "a seat map may be so old; 0 asks Redis each time", .min = 0, .max = 10000 },
};

static bool source_ready(qa_server *server, qa_source source, bt_trouble_with with, const char *down, char ret_reason[BT_ADMIN_REASON_MAX])
{
    char trouble[BT_TROUBLE_MAX];
    bool is_up = qa_board_is_up(server->board, source);
    bool is_known = !is_up && bt_trouble_get(with, trouble);
    snprintf(ret_reason, BT_ADMIN_REASON_MAX, "%s%s%s", is_up ? "" : down, is_known ? ": " : "", is_known ? trouble : "");
    return is_up;
}

static bool postgres_ready(void *context, char ret_reason[BT_ADMIN_REASON_MAX])
{
    return source_ready(context, QA_SOURCE_POSTGRES, BT_TROUBLE_POSTGRES, "Postgres does not answer, or has no tables yet", ret_reason);
}

static bool redis_ready(void *context, char ret_reason[BT_ADMIN_REASON_MAX])
{
    return source_ready(context, QA_SOURCE_REDIS, BT_TROUBLE_REDIS, "Redis does not answer: availability comes from Postgres", ret_reason);
}

typedef struct query_program {
    bt_metrics *metrics;
    qa_server *server;
    bt_http_server *http;
    bt_admin *admin;
} query_program;

static bool start(query_program *program, const query_settings *settings, bt_err *err)
{
    program->metrics = bt_metrics_new();
    if (!qa_server_start(&settings->server, program->metrics, &program->server, err))
        return false;
    bt_admin_check checks[] = { { "postgres", postgres_ready, program->server, false }, { "redis", redis_ready, program->server, true } };
    return bt_admin_start(&(bt_admin_options){ .server = "berth-query-api",
                              .version = bt_version_stamp(),
                              .listen = settings->admin_listen,
                              .checks = checks,
                              .check_count = BT_COUNT_OF(checks),
                              .metrics = program->metrics },
               &program->admin, err) &&
           bt_http_server_start(&(bt_http_options){ .name = "query",
                                    .listen = settings->http_listen,
                                    .backend = settings->http_backend,
                                    .routes = program->server->routes,
                                    .route_count = program->server->route_count,
                                    .context = program->server,
                                    .worker_count = (int)settings->http_workers,
                                    .loop_count = (int)settings->http_loops,
                                    .connections_max = (int)settings->http_connections_max,
                                    .read_timeout_ms = settings->http_read_timeout_ms,
                                    .idle_timeout_ms = settings->http_idle_timeout_ms,
                                    .write_timeout_ms = settings->http_write_timeout_ms,
                                    .body_max = 1024, /* a GET has none */
                                    .answer_timeout_ms = 20000,
                                    .metrics = program->metrics },
               &program->http, err);
}

/* First what waits, then the front, then what the front needs. */
static void stop(query_program *program, int64_t limit_ms)
{
    if (program->admin != NULL)
        bt_admin_set_stopping(program->admin);
    if (program->server != NULL)
        qa_server_end_waits(program->server);
    if (program->http != NULL && !bt_http_server_stop(program->http, limit_ms))
        bt_log_warn("query.cut_off", F_I64("limit_ms", limit_ms));
    bt_http_server_free(program->http);
    bt_admin_free(program->admin);
    qa_server_free(program->server);
    bt_metrics_free(program->metrics);
}

int main(int argc, char *argv[])
{
    static bt_config config;
    query_settings settings;
    const bt_config_spec spec = { .program = "berth-query-api",
        .about = "Answers reads from the read models in Postgres and Redis. It cannot write to the log.",
        .settings = setting_table,
        .setting_count = BT_COUNT_OF(setting_table) };
    bt_config_load_or_exit(&config, &spec, argc, argv, &settings);
    bt_http_listen_or_exit(spec.program, "http.listen", settings.http_listen);
    bt_http_listen_or_exit(spec.program, "admin.listen", settings.admin_listen);
    bt_log_level level = BT_LOG_INFO;
    if (!bt_log_level_from_text(settings.log_level, &level))
        level = BT_LOG_INFO;
    bt_log_init("berth-query-api", bt_version_stamp(), level);

    /* Blocked before any thread is started, so that only sigwait below sees them. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    bt_process_prepare();

    query_program program = { 0 };
    bt_err err = { 0 };
    bool started = start(&program, &settings, &err);
    if (started) {
        bt_log_info("query.started", F_STR("listen", settings.http_listen), F_STR("admin", settings.admin_listen));
        int received = 0;
        sigwait(&signals, &received);
        bt_log_info("query.stopping", F_I64("signal", received));
    } else {
        bt_log_error("query.start_failed", F_ERR(&err));
    }
    stop(&program, settings.stop_limit_ms);
    if (started)
        bt_log_info("query.stopped");
    bt_log_flush();
    bt_config_release(&config);
    return started ? EXIT_SUCCESS : EXIT_FAILURE;
}
