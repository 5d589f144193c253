/* clock - the only place where a server asks for the time. Deciders never do: their time arrives inside the command.
 *
 * Real time is for what people and other machines read (it can jump); monotonic time is for waits and latencies. */
#ifndef BERTH_IO_CLOCK_CLOCK_H
#define BERTH_IO_CLOCK_CLOCK_H

#include <stdint.h>

/* Microseconds since 1970-01-01 UTC. Can step when the machine's clock is set. Any thread. */
int64_t bt_clock_realtime_us(void);

/* Microseconds since an arbitrary start; never goes back. Any thread. */
int64_t bt_clock_monotonic_us(void);

/* Sleeps at least duration_us (none if it is not above 0), signals or not. Any thread. */
void bt_clock_sleep_us(int64_t duration_us);

#endif
