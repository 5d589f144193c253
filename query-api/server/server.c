/* server - see server.h: the way of a request, and what it meets on the way. */
#include "query-api/server/server.h"

#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/http/api.h"
#include "io/log/log.h"
#include "query-api/layout/layout.h"
#include "query-api/openapi/document.h"
#include "query-api/server/verify.h"

#define WAIT_MAX_S 10
#define GRACE_US 100000

static void serve_on_worker(qa_call **calls, size_t count)
{
    const qa_route *route = calls[0]->route;
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        bt_log_set_correlation(calls[i]->http->correlation);
        if (calls[i]->token_count == 0 || qa_verify_tokens(calls[i]))
            calls[left++] = calls[i];
    }
    if (left > 0 && route->answer_together != NULL)
        route->answer_together(calls, left);
    else if (left > 0)
        route->answer(calls[0]);
}

static void refuse_overloaded(qa_call *call) { qa_refuse(call, &bt_problem_overloaded, "", "too many reads are waiting for a database"); }

/* The call has all it waited for: answer now, or on a worker. */
static void dispatch(qa_call *call)
{
    if (call->token_count == 0 && call->route->answer_now != NULL && call->route->answer_now(call))
        return;
    if (!qa_work_push(call->server->work, call))
        refuse_overloaded(call);
}

static void after_wait(qa_call *call, qa_wait_outcome outcome)
{
    bt_counter_inc(call->server->waits[outcome]);
    bt_histogram_observe(call->server->wait_time, bt_clock_monotonic_us() - call->http->received_mono_us);
    switch (outcome) {
    case QA_WAIT_REACHED:
        dispatch(call);
        return;
    case QA_WAIT_PARKED:
        return;
    case QA_WAIT_TIMED_OUT:
        qa_refuse(call, &bt_problem_read_model_behind, "Berth-Min-Position", "the read model has not reached this position within %lld s", (long long)call->wait_s);
        return;
    case QA_WAIT_STOPPED:
        qa_refuse(call, &qa_problem_position_stopped, "Berth-Min-Position", "a partition that this position names is not read any further");
        return;
    case QA_WAIT_NO_PARTITION:
        qa_refuse(call, &qa_problem_bad_position, "Berth-Min-Position", "the log has no such partition");
        return;
    case QA_WAIT_FULL:
        qa_refuse(call, &bt_problem_overloaded, "", "too many reads are waiting for a position");
        return;
    case QA_WAIT_ENDED:
        qa_refuse(call, &bt_problem_stopping, "", "this node stops");
        return;
    }
}

static void wait_done(qa_wait *wait, qa_wait_outcome outcome)
{
    qa_call *call = (qa_call *)((char *)wait - offsetof(qa_call, wait));
    bt_log_set_correlation(call->http->correlation);
    after_wait(call, outcome);
    bt_log_set_correlation(BT_STR(""));
}

/* "wait=5" among the preferences of RFC 7240; what cannot be read is no preference. */
static int64_t preferred_wait_s(const bt_http_request *http, int64_t initial_s)
{
    bt_str prefer;
    if (!bt_http_header(http, "Prefer", &prefer))
        return initial_s;
    for (size_t i = 0; i + 5 < prefer.size; i++) {
        bool begins = i == 0 || prefer.at[i - 1] == ' ' || prefer.at[i - 1] == ',' || prefer.at[i - 1] == ';';
        if (!begins || memcmp(prefer.at + i, "wait=", 5) != 0 || prefer.at[i + 5] < '0' || prefer.at[i + 5] > '9')
            continue;
        int64_t seconds = 0;
        for (size_t at = i + 5; at < prefer.size && prefer.at[at] >= '0' && prefer.at[at] <= '9' && seconds < 1000; at++)
            seconds = seconds * 10 + (prefer.at[at] - '0');
        return seconds > WAIT_MAX_S ? WAIT_MAX_S : seconds;
    }
    return initial_s;
}

/* False: answered. */
static bool take_tokens(qa_call *call)
{
    bt_str header;
    if (call->route->needs == 0 || !bt_http_header(call->http, "Berth-Min-Position", &header))
        return true;
    bt_err err = { 0 };
    call->tokens = bt_arena_take(call->http->arena, sizeof *call->tokens * QA_TOKENS_MAX);
    if (bt_http_header_times(call->http, "Berth-Min-Position") > 1)
        bt_fail(&err, BT_ERR_INPUT, 0, "the header is repeated; put several positions into one, with commas between");
    else if (qa_tokens_parse(header, call->tokens, &call->token_count, &err))
        for (size_t i = 0; i < call->token_count; i++)
            if (!bt_str_equal(call->tokens[i].kind, qa_board_kind(call->server->board)))
                bt_fail(&err, BT_ERR_INPUT, 0, "there is no kind of stream \"" BT_STR_FMT "\" here", BT_STR_ARG(call->tokens[i].kind));
    if (err.kind == BT_OK)
        return true;
    qa_refuse(call, &qa_problem_bad_position, "Berth-Min-Position", "%s", err.message);
    return false;
}

void qa_serve(bt_http_request *request)
{
    qa_call *call = bt_arena_take(request->arena, sizeof *call);
    call->http = request;
    call->route = request->route->context;
    call->server = request->context;
    if (!qa_check_parameters(call) || !take_tokens(call))
        return;
    if (call->token_count == 0) {
        dispatch(call);
        return;
    }
    call->wait_s = preferred_wait_s(request, call->server->settings.wait_default_ms / 1000);
    call->wait = (qa_wait){ .tokens = call->tokens,
        .token_count = call->token_count,
        .needs = call->route->needs,
        .grace_mono_us = request->received_mono_us + GRACE_US,
        .deadline_mono_us = request->received_mono_us + call->wait_s * 1000000,
        .done = wait_done };
    qa_wait_outcome outcome = qa_board_wait(call->server->board, &call->wait);
    if (outcome != QA_WAIT_PARKED) /* a parked call is another thread's already */
        after_wait(call, outcome);
}

static double queued_now(void *context)
{
    const qa_server *server = context;
    return (double)qa_work_queued(server->work);
}

static double waiting_now(void *context)
{
    const qa_server *server = context;
    return (double)qa_board_waiting(server->board);
}

static double postgres_up(void *context)
{
    const qa_server *server = context;
    return qa_board_is_up(server->board, QA_SOURCE_POSTGRES);
}

static double redis_up(void *context)
{
    const qa_server *server = context;
    return qa_board_is_up(server->board, QA_SOURCE_REDIS);
}

static void register_metrics(qa_server *server)
{
    static const char *const outcomes[] = { [QA_WAIT_REACHED] = "reached",
        [QA_WAIT_PARKED] = "parked",
        [QA_WAIT_TIMED_OUT] = "timed_out",
        [QA_WAIT_STOPPED] = "stopped",
        [QA_WAIT_NO_PARTITION] = "no_partition",
        [QA_WAIT_FULL] = "full",
        [QA_WAIT_ENDED] = "ended" };
    bt_metrics *metrics = server->metrics;
    for (size_t i = 0; i < BT_COUNT_OF(outcomes); i++)
        if (i != QA_WAIT_PARKED)
            server->waits[i] =
                bt_metrics_counter(metrics, "berth_query_waits_total", "Reads with Berth-Min-Position, by outcome.", BT_LABELS({ "outcome", outcomes[i] }));
    server->wait_time = bt_metrics_histogram(metrics, BT_HISTOGRAM_SECONDS, "berth_query_wait_seconds", "How long reads waited for their position.", BT_NO_LABELS);
    server->failed_reads = bt_metrics_counter(metrics, "berth_query_failed_reads_total", "Reads that a database failed.", BT_NO_LABELS);
    server->fallbacks =
        bt_metrics_counter(metrics, "berth_query_fallbacks_total", "Seat maps computed from Postgres because Redis had none or was away.", BT_NO_LABELS);
    server->mismatches = bt_metrics_counter(metrics, "berth_query_position_mismatches_total",
        "Positions of another log or of a lost suffix: above zero, an acknowledged record may be missing.", BT_NO_LABELS);
    server->layout_hits = bt_metrics_counter(metrics, "berth_query_layouts_total", "Layouts of trips, by where they came from.", BT_LABELS({ "from", "memory" }));
    server->layout_misses = bt_metrics_counter(metrics, "berth_query_layouts_total", "Layouts of trips, by where they came from.", BT_LABELS({ "from", "postgres" }));
    server->seats_hits = bt_metrics_counter(metrics, "berth_query_availability_total", "Availability of trips, by where it came from.", BT_LABELS({ "from", "memory" }));
    server->seats_misses = bt_metrics_counter(metrics, "berth_query_availability_total", "Availability of trips, by where it came from.", BT_LABELS({ "from", "redis" }));
    bt_metrics_gauge_of(metrics, "berth_query_queue_depth", "Calls that wait for a worker.", BT_NO_LABELS, queued_now, server);
    bt_metrics_gauge_of(metrics, "berth_query_waiting", "Reads that wait for a position.", BT_NO_LABELS, waiting_now, server);
    bt_metrics_gauge_of(metrics, "berth_query_source_up", "Whether a source answers.", BT_LABELS({ "source", "postgres" }), postgres_up, server);
    bt_metrics_gauge_of(metrics, "berth_query_source_up", "Whether a source answers.", BT_LABELS({ "source", "redis" }), redis_up, server);
}

static void collect_routes(qa_server *server)
{
    for (size_t i = 0; i < qa_resource_count; i++)
        server->route_count += qa_resources[i]->route_count;
    server->routes = bt_alloc(sizeof *server->routes * BT_HTTP_ROUTES_MAX);
    bt_assert(server->route_count <= BT_HTTP_ROUTES_MAX);
    size_t at = 0;
    for (size_t i = 0; i < qa_resource_count; i++)
        for (size_t r = 0; r < qa_resources[i]->route_count; r++) {
            const qa_route *route = &qa_resources[i]->routes[r];
            bt_assert(route->parameter_count <= QA_PARAMETERS_MAX && (route->answer != NULL || route->answer_now != NULL || route->answer_together != NULL));
            server->routes[at++] = (bt_http_route){ BT_HTTP_GET, route->pattern, qa_serve, NULL, (void *)route };
        }
    server->route_count = bt_api_add_elsewhere(server->routes, at, BT_HTTP_ROUTES_MAX);
}

static void forget_layouts(void *context)
{
    qa_server *server = context;
    bt_log_warn("partition.began_anew", F_STR("detail", "a partition is folded anew: what is remembered of trips is forgotten"));
    qa_layouts_forget(server->layouts);
}

bool qa_server_start(const qa_settings *settings, bt_metrics *metrics, qa_server **ret_server, bt_err *err)
{
    qa_server *server = bt_alloc(sizeof *server);
    server->settings = *settings;
    server->metrics = metrics;
    server->board = qa_board_new(BT_STR(QA_KIND), (size_t)settings->waiting_max);
    server->layouts = qa_layouts_new((size_t)settings->layouts_max_mb << 20);
    collect_routes(server);
    qa_document_build(server);
    bool started = qa_work_start(&(qa_work_options){ .server = server,
                                     .thread_count = (int)settings->workers,
                                     .queue_max = settings->queue_max,
                                     .queue_limit_ms = settings->queue_limit_ms,
                                     .serve = serve_on_worker,
                                     .give_up = refuse_overloaded },
                       &server->work, err) &&
                   qa_watch_start(&(qa_watch_options){ .board = server->board,
                                      .topic = QA_TOPIC,
                                      .tables_model = QA_TABLES_MODEL,
                                      .redis_model = QA_REDIS_MODEL,
                                      .postgres_dsn = settings->postgres_dsn,
                                      .redis_url = settings->redis_url,
                                      .began_anew = forget_layouts,
                                      .context = server,
                                      .busy_ms = settings->poll_busy_ms,
                                      .idle_ms = settings->poll_idle_ms },
                       &server->watch, err);
    if (!started) {
        qa_server_free(server);
        return false;
    }
    register_metrics(server);
    *ret_server = server;
    return true;
}

void qa_server_end_waits(qa_server *server) { qa_board_end(server->board); }

void qa_server_free(qa_server *server)
{
    if (server == NULL)
        return;
    qa_watch_stop(server->watch);
    qa_work_stop(server->work);
    qa_layouts_free(server->layouts);
    qa_document_release(server);
    qa_board_free(server->board);
    bt_release(server->routes);
    bt_release(server);
}
