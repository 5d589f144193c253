/* wake - lets one thread wait at once for commands, delivery reports, records and assignments.
 *
 * The deciding loop owns one bt_wake and gives it to its producer, reader and group; librdkafka writes to its eventfd when
 * something waits in one of their queues, HTTP threads call bt_wake_up after they have put a command into the loop's queue.
 * The loop then serves all of them and waits again:
 *
 *     while (running) {
 *         bt_wake_wait(&wake, timeout_ms);
 *         ... take commands; bt_producer_poll; bt_reader_poll; bt_group_poll ...
 *     }
 *
 * A wake-up before the wait is not lost. Many wake-ups may come as one; a wait may also end for nothing. Always wait with
 * a limit: it is what makes a lost wake-up of a library a delay and not a stop. */
#ifndef BERTH_IO_KAFKA_WAKE_H
#define BERTH_IO_KAFKA_WAKE_H

#include "core/base.h"

#include <stdatomic.h>

typedef struct bt_wake {
    int fd;             /* an eventfd, non-blocking; -1 when not initialised */
    atomic_int pending; /* a wake-up was written and not yet waited for: saves others the system call */
} bt_wake;

bool bt_wake_init(bt_wake *wake, bt_err *err) BT_MUST_CHECK;
void bt_wake_release(bt_wake *wake); /* after all that were given it are freed */

/* Any thread; never blocks; safe from a signal handler. */
void bt_wake_up(bt_wake *wake);

/* One thread only. Returns when woken, after timeout_ms, or on a signal; at once if it was woken since the last wait. */
void bt_wake_wait(bt_wake *wake, int timeout_ms);
void bt_wake_wait_us(bt_wake *wake, int64_t timeout_us);

#endif
