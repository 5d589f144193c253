/* commands - every verb, in the order that `berth` lists them. A new one is a row here. */
#include "tools/berth/command.h"

extern const berth_command berth_topics_create, berth_topics_check, berth_import_gtfs;

const berth_command *const berth_commands[] = {
    &berth_topics_create,
    &berth_topics_check,
    &berth_import_gtfs,
    NULL,
};
