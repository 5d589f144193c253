/* verbs - all that `berth` can do, in the order of its help. Adding one: see cli.h. */
#include "tools/berth/cli.h"

extern const cli_verb topics_create_verb, topics_check_verb;
extern const cli_verb log_tail_verb, log_verify_verb, log_stats_verb, log_accept_loss_verb;
extern const cli_verb replay_verb;
extern const cli_verb import_gtfs_verb;

const cli_verb *const cli_verbs[] = {
    &topics_create_verb,
    &topics_check_verb,
    &log_tail_verb,
    &log_verify_verb,
    &log_stats_verb,
    &log_accept_loss_verb,
    &replay_verb,
    &import_gtfs_verb,
    NULL,
};
