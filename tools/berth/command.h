/* command - one verb of the operator's command line: `berth GROUP VERB ARGUMENTS`.
 *
 * A verb is a file (or folder) of its own under tools/berth/ that defines one berth_command, and a row in commands.c.
 * Its usage text teaches: what it is for, one example that works, then the options. It prints what it found on standard output
 * (one JSON object with --json), what it is doing on standard error, and returns an exit status:
 *   0 done, and all is well      1 done, and something is wrong (a violation, a difference, a refusal)
 *   2 it was called wrongly      3 it could not be done (no broker, no file) */
#ifndef BERTH_TOOLS_BERTH_COMMAND_H
#define BERTH_TOOLS_BERTH_COMMAND_H

#include "io/kafka/config.h"

enum { BERTH_EXIT_OK = 0, BERTH_EXIT_WRONG = 1, BERTH_EXIT_USAGE = 2, BERTH_EXIT_FAILED = 3 };

typedef struct berth_command {
    const char *group, *verb, *summary, *usage;
    /* argv[0] is the verb; for getopt_long. */
    int (*run)(int argc, char **argv);
} berth_command;

extern const berth_command *const berth_commands[]; /* NULL-terminated, groups together */

/* Options that every verb takes, for getopt_long tables: BERTH_COMMON_OPTIONS, { 0 } */
enum { BERTH_OPTION_HELP = 1000, BERTH_OPTION_JSON, BERTH_OPTION_KAFKA };
#define BERTH_COMMON_OPTIONS \
    { "help", no_argument, NULL, BERTH_OPTION_HELP }, { "json", no_argument, NULL, BERTH_OPTION_JSON }, { "kafka", required_argument, NULL, BERTH_OPTION_KAFKA }

/* What the common options and the environment said. */
typedef struct berth_common {
    bool json;
    bool asked_for_help;
    bt_kafka_setting kafka[BT_KAFKA_SETTINGS_MAX];
    size_t kafka_count;
    char *environment; /* storage of names taken from BERTH_KAFKA_... */
} berth_common;

/* Takes BERTH_KAFKA_* from the environment (BERTH_KAFKA_BOOTSTRAP_SERVERS is bootstrap.servers; 127.0.0.1:19092 if nothing is set). */
void berth_common_init(berth_common *common);
void berth_common_release(berth_common *common);
/* True if option was one of the common ones and is dealt with. A wrong one prints its remedy and exits with 2. */
bool berth_common_take(berth_common *common, int option, char *value);
bt_kafka_config berth_common_kafka(const berth_common *common);

/* A whole number within limits, or one line on standard error and exit 2. */
int64_t berth_number(const char *option, const char *text, int64_t min, int64_t max);
/* One line on standard error: "berth: " and the message; returns the status for err's kind. */
int berth_fail(const bt_err *err);
/* Prints what was wrong and the usage on standard error; returns BERTH_EXIT_USAGE. */
int berth_misused(const berth_command *command, const char *what);
int berth_show_usage(const berth_command *command);

#endif
