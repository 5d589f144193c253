/* cli - the frame of `berth GROUP VERB`: finds the verb, reads its settings, says what can be said for all of them.
 *
 * To add a verb: one file in the folder of its group that defines a cli_verb, one line in verbs.c, and the file's name in
 * CMakeLists.txt. The help, the flags, the environment and the settings file follow from the verb's table. The file
 * opens with what the verb is for; its help teaches by example, and says what its exit status means.
 *
 * Flags may be written --name=value or --name value, and with dashes for underscores (--as-of). Answers go to standard output,
 * everything else (progress, errors) to standard error, so that a pipe gets answers only. */
#ifndef BERTH_TOOLS_BERTH_CLI_H
#define BERTH_TOOLS_BERTH_CLI_H

#include "io/config/config.h"
#include "io/kafka/config.h"

/* Exit statuses. */
enum {
    CLI_OK = 0,
    CLI_FOUND = 1,   /* what was checked is not as it should be; standard output says in what */
    CLI_USAGE = 2,   /* the call or a setting is wrong */
    CLI_TROUBLE = 3, /* something outside did not play along: no broker, no server. Trying again may help */
};

/* What every verb's options struct begins with. */
typedef struct cli_common {
    bool json;
    int64_t timeout_ms; /* for one answer of a broker or server */
} cli_common;

typedef struct cli_call {
    const void *options;          /* the verb's struct, filled */
    bt_kafka_config kafka;        /* bootstrap.servers is checked by the first client that is made */
    const char *const *arguments; /* words that are no flags, NULL-terminated */
    size_t argument_count;
    bool progress; /* standard error is a terminal */
} cli_call;

typedef struct cli_verb {
    const char *group; /* log */
    const char *name;  /* tail; "" where the group is the verb */
    const char *words; /* its arguments in the usage line: "FEED"; "" for none */
    const char *about; /* one line */
    const char *help;  /* paragraphs and examples */
    size_t word_count; /* exactly so many arguments */
    bool needs_kafka;
    size_t options_size;
    const bt_setting *settings; /* offsets into the options struct */
    size_t setting_count;
    int (*run)(const cli_call *call); /* returns an exit status */
} cli_verb;

extern const cli_verb *const cli_verbs[]; /* NULL-terminated, in the order of the help */

/* Says err on standard error, with what to do where its kind tells, and returns the exit status that fits. */
int cli_fail(const bt_err *err);

/* True once SIGINT or SIGTERM came: loops that may run long ask it, and end in order. */
bool cli_is_stopped(void);

/* A line that overwrites itself, a few times a second: label, a bar, rate, time left. Nothing unless call->progress. */
typedef struct cli_progress {
    const char *label;
    bool shown;
    int64_t started_us, shown_us;
} cli_progress;

void cli_progress_start(cli_progress *progress, const cli_call *call, const char *label); /* label NULL: none at all */
void cli_progress_show(cli_progress *progress, int64_t done, int64_t total);
void cli_progress_end(cli_progress *progress); /* takes the line away */

#endif
