/* process - two signals and one limit. */
#include "io/process/process.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

void bt_process_prepare(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    rlim_t wanted = files.rlim_max < BT_PROCESS_FDS_MAX ? files.rlim_max : BT_PROCESS_FDS_MAX;
    if (files.rlim_cur >= wanted)
        return;
    files.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &files);
}

int bt_process_fds_max(void)
{
    struct rlimit files;
    return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < INT_MAX ? (int)files.rlim_cur : INT_MAX;
}
