/* store - the inside of config: what was set so far, and by whom. */
#ifndef BERTH_IO_CONFIG_STORE_H
#define BERTH_IO_CONFIG_STORE_H

#include "core/memory.h"
#include "io/config/config.h"

#define BT_CONFIG_SETTINGS_MAX 128
#define BT_CONFIG_LINES_MAX 10000

typedef struct bt_config_store {
    bt_arena arena;
    const bt_config_spec *spec;
    const char *values[BT_CONFIG_SETTINGS_MAX];
    const char *origins[BT_CONFIG_SETTINGS_MAX]; /* "berth.conf:12", "the environment (BERTH_HTTP_LISTEN)", "flag --http.listen" */
    const char *file;
} bt_config_store;

/* Takes one name and value from a source; the last one wins. name need not be terminated. */
bool bt_config_set(bt_config *config, bt_str name, bt_str value, const char *origin, bt_err *err) BT_MUST_CHECK;
/* The setting of that name, or -1. */
int bt_config_find(const bt_config_spec *spec, bt_str name);
bool bt_config_is_passed(const bt_config_spec *spec, bt_str name);

bool bt_config_read_file(bt_config *config, const char *path, bt_err *err) BT_MUST_CHECK;
bool bt_config_read_environment(bt_config *config, char *const environment[], bt_err *err) BT_MUST_CHECK;
bool bt_config_read_flags(bt_config *config, int argc, char *const argv[], bt_err *err) BT_MUST_CHECK;

#endif
