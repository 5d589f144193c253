/* settings - what can be set of berth-commands; the table in settings.c is what --help prints. */
#ifndef BERTH_COMMANDS_SERVER_SETTINGS_H
#define BERTH_COMMANDS_SERVER_SETTINGS_H

#include "commands/trip/trip.h"
#include "io/config/config.h"

typedef struct bt_commands_settings {
    const char *event_headers, *http_listen, *http_backend, *admin_listen, *state_dir, *node_name, *node_address, *log_level, *group, *standby, *test_stop_at;
    int64_t memory_max_mb;
    int64_t http_workers, http_body_max, waiting_max;
    int64_t http_connections_max, http_read_timeout_ms, http_idle_timeout_ms, http_write_timeout_ms;
    int64_t batch_max, batches_in_flight, gather_us, barrier_every_us, message_timeout_ms, session_timeout_ms, command_timeout_ms;
    int64_t snapshot_every, stop_limit_ms, leave_limit_ms, forward_limit_ms, forward_max, forward_connections;
    int64_t hold_ttl_s, hold_ttl_max_s, hold_places_max;
    int64_t test_stop_after;
    bool test_own_all;
} bt_commands_settings;

extern const bt_config_spec bt_commands_spec;

/* Checks what no single setting can: fills ret_trip. */
bool bt_commands_trip_settings(const bt_commands_settings *settings, trip_settings *ret_trip, bt_err *err) BT_MUST_CHECK;

/* Settings named test.* break the server on purpose: any that is not its default is refused unless BERTH_TEST_HOOKS=1 is in the environment. */
bool bt_commands_test_settings_check(const bt_commands_settings *settings, bt_err *err) BT_MUST_CHECK;

#endif
