/* clock - two clock_gettime calls behind names that say which one is meant. */
#include "io/clock/clock.h"

#include <errno.h>
#include <time.h>

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t bt_clock_realtime_us(void) { return now_us(CLOCK_REALTIME); }
int64_t bt_clock_monotonic_us(void) { return now_us(CLOCK_MONOTONIC); }

void bt_clock_sleep_us(int64_t duration_us)
{
    if (duration_us <= 0)
        return;
    struct timespec left = { duration_us / 1000000, duration_us % 1000000 * 1000 };
    /* Linux counts it on the monotonic clock. Not clock_nanosleep: ThreadSanitizer does not know that one, and holds signals back from a thread that
     * does nothing else, so that a server under it would not hear SIGTERM. */
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}
