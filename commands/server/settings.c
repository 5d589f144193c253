/* settings - one row a setting: name, default, meaning, limits. */
#include "commands/server/settings.h"

#include <stdlib.h>

#define AT(field) offsetof(bt_commands_settings, field)

static const bt_setting settings[] = {
    { "http.listen", BT_SETTING_STR, AT(http_listen), "127.0.0.1:18081", "where commands are taken: host:port" },
    { "http.backend", BT_SETTING_CHOICE, AT(http_backend), "loop", "what reads and writes HTTP; docs/decisions/0005 compares them", .choices = "loop|civetweb" },
    { "http.workers", BT_SETTING_I64, AT(http_workers), "0", "civetweb: threads, one a connection, 0 for 512; loop: not used", .min = 0, .max = 4096 },
    { "http.body_max", BT_SETTING_I64, AT(http_body_max), "1048576", "bytes of a request's body", .min = 1024, .max = 1 << 24 },
    { "http.connections_max", BT_SETTING_I64, AT(http_connections_max), "16384", "open connections, as far as the limit of open files allows; over it 503", .min = 1, .max = 60000 },
    { "http.read_timeout_ms", BT_SETTING_I64, AT(http_read_timeout_ms), "10000", "for a request to arrive whole; then 408", .min = 100, .max = 600000 },
    { "http.idle_timeout_ms", BT_SETTING_I64, AT(http_idle_timeout_ms), "30000", "a connection that asks nothing for so long is closed", .min = 100, .max = 3600000 },
    { "http.write_timeout_ms", BT_SETTING_I64, AT(http_write_timeout_ms), "10000", "a client that does not take its answer for so long is cut off", .min = 100, .max = 600000 },
    { "admin.listen", BT_SETTING_STR, AT(admin_listen), "127.0.0.1:18091", "health and metrics: host:port" },
    { "state.dir", BT_SETTING_STR, AT(state_dir), "", "folder for snapshots; empty: none are kept, and a restart folds the whole log" },
    { "node.name", BT_SETTING_STR, AT(node_name), "node-1", "name of this node in the log, unique among nodes" },
    { "node.address", BT_SETTING_STR, AT(node_address), "", "host:port at which other nodes reach it; empty: http.listen" },
    { "node.group", BT_SETTING_STR, AT(group), "berth-commands", "Kafka consumer group by which nodes share partitions" },
    { "node.session_timeout_ms", BT_SETTING_I64, AT(session_timeout_ms), "1500", "silence after which the group gives a node's partitions away; the broker's group.min.session.timeout.ms must allow it", .min = 1000, .max = 300000 },
    { "node.waiting_max", BT_SETTING_I64, AT(waiting_max), "8192", "commands waiting for an answer; over it 503", .min = 1, .max = 1000000 },
    { "node.memory_max_mb", BT_SETTING_I64, AT(memory_max_mb), "0", "resident memory; from 90 % on commands are refused by 503; 0: only what control group and ulimit allow", .min = 0, .max = 1 << 24 },
    { "node.command_timeout_ms", BT_SETTING_I64, AT(command_timeout_ms), "20000", "a command's answer, then 503", .min = 100, .max = 300000 },
    { "node.standby", BT_SETTING_CHOICE, AT(standby), "all", "all: partitions of other nodes are folded too, so that a takeover needs no restore; none: only who owns them is followed", .choices = "all|none" },
    { "node.leave_limit_ms", BT_SETTING_I64, AT(leave_limit_ms), "5000", "a stopping node decides on until others have taken over, so long at most", .min = 0, .max = 60000 },
    { "node.stop_limit_ms", BT_SETTING_I64, AT(stop_limit_ms), "30000", "a graceful stop", .min = 100, .max = 300000 },
    { "forward.limit_ms", BT_SETTING_I64, AT(forward_limit_ms), "3000", "a command waits so long for the owner of its partition, then 503", .min = 100, .max = 60000 },
    { "forward.waiting_max", BT_SETTING_I64, AT(forward_max), "8192", "commands under way to other nodes; over it 503", .min = 1, .max = 1000000 },
    { "forward.connections_max", BT_SETTING_I64, AT(forward_connections), "512", "connections to one other node", .min = 1, .max = 8192 },
    { "append.batch_max", BT_SETTING_I64, AT(batch_max), "500", "records of one group commit", .min = 1, .max = 10000 },
    { "append.batches_in_flight", BT_SETTING_I64, AT(batches_in_flight), "1", "group commits of a partition under way at once", .min = 1, .max = 5 },
    { "append.gather_us", BT_SETTING_I64, AT(gather_us), "500", "how long a batch waits for company after one of 16 or more; a lone client waits for nothing", .min = 0, .max = 100000 },
    { "append.barrier_every_us", BT_SETTING_I64, AT(barrier_every_us), "10000", "least time between two barriers, the records that refusals wait for where nothing else is appended: longer makes fewer records and slower refusals", .min = 1000, .max = 10000000 },
    { "append.message_timeout_ms", BT_SETTING_I64, AT(message_timeout_ms), "10000", "an append's report; longer makes a zombie", .min = 1000, .max = 15000 },
    { "events.headers", BT_SETTING_CHOICE, AT(event_headers), "none", "cloudevents: records carry the CloudEvents attributes and traceparent as headers, 250 bytes each", .choices = "none|cloudevents" },
    { "snapshot.every", BT_SETTING_I64, AT(snapshot_every), "200000", "valid records of a partition between two snapshots", .min = 1, .max = 1000000000 },
    { "trip.hold_ttl_seconds", BT_SETTING_I64, AT(hold_ttl_s), "600", "how long a hold lasts that does not say so", .min = 1, .max = 86400 },
    { "trip.hold_ttl_max_seconds", BT_SETTING_I64, AT(hold_ttl_max_s), "3600", "how long a hold can last in all", .min = 1, .max = 86400 },
    { "trip.hold_seats_max", BT_SETTING_I64, AT(hold_places_max), "9", "seats of one hold", .min = 1, .max = TRIP_PLACES_MAX },
    { "test.stop_at", BT_SETTING_CHOICE, AT(test_stop_at), "none", "tests only, with BERTH_TEST_HOOKS=1: the process stops itself (SIGSTOP) once, here", .choices = "none|decided|appended|acknowledged" },
    { "test.own_all", BT_SETTING_BOOL, AT(test_own_all), "false", "tests only, with BERTH_TEST_HOOKS=1: owns all partitions, whatever the group says" },
    { "test.stop_after", BT_SETTING_I64, AT(test_stop_after), "1", "at which record it does so, from 1", .min = 1, .max = 1000000000 },
    { "log.level", BT_SETTING_CHOICE, AT(log_level), "info", "how much is logged", .choices = "debug|info|warn|error" },
};

const bt_config_spec bt_commands_spec = {
    .program = "berth-commands",
    .about = "Takes commands over HTTP, decides them on the folded state of its partitions, and appends what was decided to Kafka.",
    .settings = settings,
    .setting_count = BT_COUNT_OF(settings),
    .passthrough = "kafka.",
    .passthrough_help = "any setting of librdkafka, as kafka.bootstrap.servers or kafka.sasl.mechanism",
};

bool bt_commands_trip_settings(const bt_commands_settings *from, trip_settings *ret_trip, bt_err *err)
{
    trip_settings trip = { .ttl_default_s = (int32_t)from->hold_ttl_s, .ttl_max_s = (int32_t)from->hold_ttl_max_s, .places_max = (int32_t)from->hold_places_max };
    if (!trip_settings_check(&trip, err))
        return false;
    *ret_trip = trip;
    return true;
}

bool bt_commands_test_settings_check(const bt_commands_settings *from, bt_err *err)
{
    const char *allowed = getenv("BERTH_TEST_HOOKS");
    bool harmless = strcmp(from->test_stop_at, "none") == 0 && !from->test_own_all;
    if (harmless || (allowed != NULL && strcmp(allowed, "1") == 0))
        return true;
    return bt_fail(err, BT_ERR_INPUT, 0, "%s harms the server on purpose: only a test may want that, with BERTH_TEST_HOOKS=1 in the environment",
        from->test_own_all ? "test.own_all" : "test.stop_at");
}
