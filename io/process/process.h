/* process - what every server sets of its own process before it does anything else, so that a limit of the system is an error
 * that the code meets, and not its death.
 *
 *   - SIGPIPE and SIGXFSZ are ignored: a client that has gone, and a file that may not grow (ulimit -f), are errors of write().
 *   - The soft limit of open files is raised to the hard one, to BT_PROCESS_FDS_MAX at most: many systems give 1,024 to a login and
 *     leave the rest to whoever asks. It is never lowered. */
#ifndef BERTH_IO_PROCESS_PROCESS_H
#define BERTH_IO_PROCESS_PROCESS_H

#define BT_PROCESS_FDS_MAX 65536

/* Once, before the first thread. What cannot be had is left as it was. */
void bt_process_prepare(void);

/* Open files that this process may have now. */
int bt_process_fds_max(void);

#endif
