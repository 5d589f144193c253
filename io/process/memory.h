/* memory - how much of it this process has, and how much it may: so that a server can refuse work while it still can, instead of being killed
 * by the kernel, or by an allocation that fails in somebody's library, in the middle of it.
 *
 * What limits it: a number of the operator's, the control group's (version 2 or 1, as a container sets it), or RLIMIT_AS. From nine tenths of
 * the nearest one on, it is short; below 85 % it is not any more. One thread. */
#ifndef BERTH_IO_PROCESS_MEMORY_H
#define BERTH_IO_PROCESS_MEMORY_H

#include "core/base.h"

typedef struct bt_memory_watch {
    int64_t resident_max; /* bytes; INT64_MAX: no limit */
    int64_t virtual_max;
    int64_t resident; /* as of the last look */
    bool is_short;
    int looks; /* since it became short */
} bt_memory_watch;

/* own_max: the operator's limit of resident memory in bytes, 0 for none. Reads the system's limits, once. */
void bt_memory_watch_init(bt_memory_watch *watch, int64_t own_max);
/* Looks (some microseconds), and when it is short, now and then, gives what was freed back to the system. True if is_short has changed. */
bool bt_memory_watch_look(bt_memory_watch *watch);

#endif
