/* config - a program's settings as one table: name, kind, default, limits and what it means, read from four places.
 *
 *   struct settings { const char *listen; int64_t workers; };
 *   static const bt_setting settings[] = {
 *       { "http.listen", BT_SETTING_STR, offsetof(struct settings, listen), "127.0.0.1:18081", "where commands are taken: host:port" },
 *       { "http.workers", BT_SETTING_I64, offsetof(struct settings, workers), "512", "threads that wait for answers", .min = 1, .max = 4096 },
 *   };
 *
 * In rising order: the default; the file (--config FILE or BERTH_CONFIG; lines `http.workers = 512`, # begins a comment
 * at the start of a line or after a blank); the environment (BERTH_HTTP_WORKERS=512); flags (--http.workers=512; a bool's =true may be left
 * out). --help prints the table, --version the stamp. A name nobody declared, a bad value or one out of its limits is one line that names
 * the setting, where it was set and what would be right; only the environment may hold names of other programs. An empty value means the
 * default again.
 *
 * A passthrough prefix (kafka.) takes any setting under it as a pair, for a library to judge: kafka.sasl.mechanism,
 * BERTH_KAFKA_SASL_MECHANISM (underscores become dots). Later sources replace earlier ones by name. */
#ifndef BERTH_IO_CONFIG_CONFIG_H
#define BERTH_IO_CONFIG_CONFIG_H

#include "core/base.h"
#include "core/buf.h"

typedef enum bt_setting_kind {
    BT_SETTING_STR,    /* const char *: never NULL, zero-terminated, lives as long as the bt_config */
    BT_SETTING_I64,    /* int64_t: decimal, _ between digits allowed; within min and max unless both are 0 */
    BT_SETTING_BOOL,   /* bool: true, false, yes, no, on, off, 1, 0 */
    BT_SETTING_CHOICE, /* const char *: one of choices ("civetweb|evhttp") */
} bt_setting_kind;

typedef struct bt_setting {
    const char *name; /* section.key: lower case, digits, dots and underscores */
    bt_setting_kind kind;
    size_t offset;       /* of the field in the program's settings struct */
    const char *initial; /* the default, as text; must be valid */
    const char *help;    /* what it is, its unit and limits; shown by --help */
    int64_t min, max;
    const char *choices;
    bool secret; /* its value is never shown, in errors neither (passwords, DSNs) */
} bt_setting;

typedef struct bt_config_spec {
    const char *program; /* "berth-commands" */
    const char *about;   /* one or two sentences for --help */
    const bt_setting *settings;
    size_t setting_count;
    const char *passthrough;      /* "kafka." or NULL */
    const char *passthrough_help; /* shown by --help */
    bool takes_arguments;         /* words that are no flags are collected; otherwise they are errors */
} bt_config_spec;

#define BT_CONFIG_PAIRS_MAX 256
#define BT_CONFIG_VALUE_MAX 16384

typedef struct bt_config_pair {
    const char *name; /* with its prefix cut off: "bootstrap.servers" */
    const char *value;
} bt_config_pair;

typedef enum bt_config_wish { BT_CONFIG_RUN, BT_CONFIG_HELP, BT_CONFIG_VERSION } bt_config_wish;

typedef struct bt_config {
    bt_config_wish wish;
    bt_config_pair pairs[BT_CONFIG_PAIRS_MAX]; /* what the passthrough took */
    size_t pair_count;
    const char **arguments; /* when the spec takes them; NULL-terminated */
    size_t argument_count;
    struct bt_config_store *store; /* owns every text handed out */
} bt_config;

/* Reads all sources into *ret_settings. argv[0] is skipped; environment is NULL-terminated "NAME=value" (pass environ).
 *   err   BT_ERR_INPUT with a message for the person who set it; ret_settings is then not to be used
 * With --help or --version, wish says so, nothing else is read, and it succeeds. */
bool bt_config_load(bt_config *config, const bt_config_spec *spec, int argc, char *const argv[], char *const environment[], void *ret_settings,
    bt_err *err) BT_MUST_CHECK;
/* After the last use of any text it gave. */
void bt_config_release(bt_config *config);

/* For main(): loads; prints help or version to standard output and exits 0; prints an error to standard error and exits 2. */
void bt_config_load_or_exit(bt_config *config, const bt_config_spec *spec, int argc, char *const argv[], void *ret_settings);

void bt_config_write_help(const bt_config_spec *spec, bt_buf *ret_text);
/* "0.1.0 (git 6ceecb3)" */
const char *bt_version_stamp(void);

#endif
