/* berth-commands - puts the parts together: settings, metrics, the admin port, one node a kind of stream, the HTTP front;
 * and takes them apart in the other order, so that no accepted command is lost when it is told to stop.
 *
 * SIGTERM and SIGINT: not ready any more; the other nodes take over what this one decides on, while it serves on; then no new requests, those that have begun are answered, snapshots are written, the
 * group is left. A second signal ends it at once; the log does not mind. */
#include "commands/http/intake.h"
#include "commands/server/node.h"
#include "commands/server/settings.h"
#include "io/clock/clock.h"
#include "io/http/admin.h"
#include "io/http/api.h"
#include "io/kafka/admin.h"
#include "io/kafka/opening.h"
#include "io/log/log.h"
#include "io/process/process.h"
#include "io/trouble/trouble.h"
#include "schemas/log.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUTES_MAX 64
#define ASK_MS 2000
#define ASK_AGAIN_US INT64_C(100000)
#define TOPIC_WAIT_US INT64_C(60000000)
#define TOPIC_NEW_US INT64_C(5000000)
#define TOPIC_TELL_US INT64_C(10000000)
#define DRAIN_US INT64_C(500000) /* a client that is busy comes again within it, and is told to go elsewhere */

static const bt_opening_type OPENING = { bt_event_decode, &log_opened_message, offsetof(struct log_opened, partition_count) };
static volatile sig_atomic_t stop_signals;

static void on_signal(int signal_number)
{
    (void)signal_number;
    if (++stop_signals > 1)
        _exit(130);
}

typedef struct program {
    bt_config config;
    bt_commands_settings settings;
    trip_settings trip;
    bt_metrics *metrics;
    bt_admin *admin;
    bt_directory *directory;
    bt_node *node;
    bt_forwarder *forwarder;
    bt_intake intake;
    bt_digest_desk digest_desk;
    bt_intake_binding bindings[ROUTES_MAX];
    bt_http_route routes[ROUTES_MAX];
    bt_http_server *front;
    bt_kafka_setting kafka_settings[BT_CONFIG_PAIRS_MAX];
    char snapshot_folder[400];
    int32_t partition_count;
    atomic_bool node_is_there; /* from then on the admin port may look into it */
} program;

static bt_kafka_config kafka_config_of(program *p)
{
    for (size_t i = 0; i < p->config.pair_count; i++)
        p->kafka_settings[i] = (bt_kafka_setting){ p->config.pairs[i].name, p->config.pairs[i].value };
    return (bt_kafka_config){ p->kafka_settings, p->config.pair_count, "berth-commands" };
}

/* The number of partitions is fixed in the log; without a broker it cannot be known, so start-up waits for one, for a while. Of a topic that has
 * just been made the next broker may not have heard yet: one that does not know it is asked again for a moment. */
static bool find_partition_count(program *p, bt_err *err)
{
    bt_kafka_config kafka = kafka_config_of(p);
    bt_kafka_admin *admin;
    if (!bt_kafka_config_check(&kafka, err) || !bt_kafka_admin_new(&kafka, &admin, err))
        return false;
    bool found = false;
    int64_t began_us = bt_clock_monotonic_us(), told_us = 0;
    while (!found && stop_signals == 0) {
        found = bt_kafka_partition_count(admin, "berth.trip", ASK_MS, &p->partition_count, err) &&
                bt_log_partition_count(&kafka, "berth.trip", &OPENING, &p->partition_count, err);
        int64_t now_us = bt_clock_monotonic_us();
        if (found || now_us - began_us >= (err->kind == BT_ERR_RETRY ? TOPIC_WAIT_US : TOPIC_NEW_US))
            break;
        if (told_us == 0 || now_us - told_us >= TOPIC_TELL_US) {
            bt_log_warn("kafka.not_reached", F_ERR(err));
            told_us = now_us;
        }
        bt_clock_sleep_us(ASK_AGAIN_US);
    }
    bt_kafka_admin_free(admin);
    return found;
}

static bool is_ready(void *context, char ret_reason[BT_ADMIN_REASON_MAX])
{
    program *p = context;
    char trouble[BT_TROUBLE_MAX];
    bool is_there = atomic_load(&p->node_is_there), is_ready = is_there && bt_node_is_ready(p->node, ret_reason, BT_ADMIN_REASON_MAX);
    if (!is_there)
        snprintf(ret_reason, BT_ADMIN_REASON_MAX, "waiting for Kafka");
    size_t size = strlen(ret_reason);
    if (!is_ready && bt_trouble_get(BT_TROUBLE_KAFKA, trouble))
        snprintf(ret_reason + size, BT_ADMIN_REASON_MAX - size, ": %s", trouble);
    return is_ready;
}

static void on_routes_changed(void *context) { bt_forward_look_again(((program *)context)->forwarder); }

/* Before the node: it tells the forwarder of its first route. */
static bool start_forwarder(program *p, bt_err *err)
{
    const bt_commands_settings *s = &p->settings;
    p->directory = bt_directory_new(p->partition_count);
    bt_intake_init(&p->intake, &bt_trip_routes, &p->trip, p->partition_count, p->metrics);
    bt_forward_options options = { .node = s->node_name, .directory = p->directory, .limit_ms = s->forward_limit_ms, .item_max = (int)s->forward_max,
        .connections_max = (int)s->forward_connections, .metrics = p->metrics, .context = &p->intake, .answered = bt_passing_answered, .here = bt_passing_here,
        .given_up = bt_passing_given_up, .disowned = bt_passing_disowned };
    p->intake.directory = p->directory;
    return bt_forwarder_start(&options, &p->forwarder, err);
}

static bool start_node(program *p, bt_err *err)
{
    const bt_commands_settings *s = &p->settings;
    if (s->state_dir[0] != '\0')
        snprintf(p->snapshot_folder, sizeof p->snapshot_folder, "%s/snapshots/%s", s->state_dir, s->node_name);
    bt_node_options options = { .decider = &trip_decider, .decider_settings = &p->trip, .kafka = kafka_config_of(p), .topic = "berth.trip", .group = s->group,
        .node = s->node_name, .address = s->node_address[0] != '\0' ? s->node_address : s->http_listen, .snapshot_folder = p->snapshot_folder,
        .snapshot_every = s->snapshot_every, .partition_count = p->partition_count, .waiting_max = (int32_t)s->waiting_max, .batch_max = (int32_t)s->batch_max,
        .batches_in_flight_max = (int32_t)s->batches_in_flight, .gather_us = (int32_t)s->gather_us, .barrier_every_us = (int32_t)s->barrier_every_us,
        .message_timeout_ms = (int32_t)s->message_timeout_ms, .session_timeout_ms = (int32_t)s->session_timeout_ms,
        .command_timeout_us = s->command_timeout_ms * 1000, .directory = p->directory, .routes_changed = on_routes_changed, .context = p, .standby = strcmp(s->standby, "all") == 0, .own_all = s->test_own_all,
        .memory_max = s->memory_max_mb << 20, .stop_at = s->test_stop_at, .stop_after = s->test_stop_after, .event_headers = strcmp(s->event_headers, "cloudevents") == 0, .digest_desk = &p->digest_desk, .metrics = p->metrics };
    bt_digest_desk_init(&p->digest_desk, p->partition_count);
    bool started = bt_node_start(&options, &p->node, err);
    atomic_store(&p->node_is_there, started);
    return started;
}

static bool start_front(program *p, bt_err *err)
{
    const bt_commands_settings *s = &p->settings;
    bt_assert(bt_trip_routes.route_count <= ROUTES_MAX);
    p->intake.node = p->node;
    p->intake.forwarder = p->forwarder;
    bt_intake_routes(&p->intake, p->bindings, p->routes);
    size_t route_count = bt_api_add_elsewhere(p->routes, bt_trip_routes.route_count, ROUTES_MAX);
    bt_http_options options = { .name = "commands", .listen = s->http_listen, .backend = s->http_backend[0] != '\0' ? s->http_backend : NULL, .routes = p->routes,
        .route_count = route_count, .worker_count = (int)s->http_workers, .body_max = s->http_body_max, .connections_max = (int)s->http_connections_max,
        .read_timeout_ms = s->http_read_timeout_ms, .idle_timeout_ms = s->http_idle_timeout_ms, .write_timeout_ms = s->http_write_timeout_ms, .answer_timeout_ms = s->command_timeout_ms + 10000,
        .metrics = p->metrics };
    return bt_http_server_start(&options, &p->front, err);
}

static bool start(program *p, bt_err *err)
{
    bt_admin_check checks[] = { { .name = "kafka", .is_ready = is_ready, .context = p } };
    bt_http_route digest[] = { { .method = BT_HTTP_GET, .pattern = "/digest", .handler = bt_digest_desk_answer, .context = &p->digest_desk } };
    bt_admin_options admin = { .server = "berth-commands", .version = bt_version_stamp(), .listen = p->settings.admin_listen, .checks = checks, .check_count = 1, .metrics = p->metrics,
        .routes = digest, .route_count = BT_COUNT_OF(digest) };
    return bt_commands_test_settings_check(&p->settings, err) && bt_commands_trip_settings(&p->settings, &p->trip, err) &&
           bt_admin_start(&admin, &p->admin, err) && /* first: while it waits for Kafka, it says so */
           find_partition_count(p, err) && start_forwarder(p, err) && start_node(p, err) && start_front(p, err);
}

static void stop(program *p)
{
    int64_t started_us = bt_clock_monotonic_us();
    if (p->admin != NULL)
        bt_admin_set_stopping(p->admin);
    if (p->front != NULL && bt_node_leave(p->node, (int)p->settings.leave_limit_ms)) {
        bt_http_server_drain(p->front);
        bt_clock_sleep_us(DRAIN_US);
    }
    bool whole = p->front == NULL || bt_http_server_stop(p->front, p->settings.stop_limit_ms);
    if (p->forwarder != NULL)
        bt_forwarder_stop(p->forwarder);
    bt_admin_free(p->admin); /* before the node: whoever asks whether it is ready looks into it */
    if (p->node != NULL)
        bt_node_stop(p->node, 5000);
    bt_http_server_free(p->front);
    bt_forwarder_free(p->forwarder);
    bt_directory_free(p->directory);
    bt_intake_release(&p->intake);
    bt_log_info("server.stopped", F_BOOL("all_answered", whole), F_I64("took_ms", (bt_clock_monotonic_us() - started_us) / 1000));
    bt_metrics_free(p->metrics);
    bt_log_flush();
    bt_config_release(&p->config);
}

int main(int argc, char *argv[])
{
    static program p;
    bt_err err = { 0 };
    bt_config_load_or_exit(&p.config, &bt_commands_spec, argc, argv, &p.settings);
    bt_http_listen_or_exit(bt_commands_spec.program, "http.listen", p.settings.http_listen);
    bt_http_listen_or_exit(bt_commands_spec.program, "admin.listen", p.settings.admin_listen);
    bt_log_level level = BT_LOG_INFO;
    if (!bt_log_level_from_text(p.settings.log_level, &level))
        level = BT_LOG_INFO;
    bt_log_init("berth-commands", bt_version_stamp(), level);
    bt_kafka_set_log(bt_log_kafka_client);
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    bt_process_prepare();
    p.metrics = bt_metrics_new();
    bool started = start(&p, &err);
    if (started) {
        bt_log_info("server.started", F_STR("http", p.settings.http_listen), F_STR("admin", p.settings.admin_listen), F_I64("partitions", p.partition_count), F_STR("node", p.settings.node_name));
        while (stop_signals == 0)
            bt_clock_sleep_us(20000);
    } else {
        bt_log_error("server.not_started", F_ERR(&err));
    }
    stop(&p);
    return started ? 0 : 1;
}
