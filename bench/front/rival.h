/* rival - libevent's evhttp doing the same work as io/http's backends, as plainly as it can be written: the figure to beat. */
#ifndef BERTH_BENCH_FRONT_RIVAL_H
#define BERTH_BENCH_FRONT_RIVAL_H

#include <stdbool.h>

/* Serves POSTs for good, at once or (tick_us above 0) in groups answered by another thread each tick. */
void rival_evhttp_serve(int port, int loop_count, long tick_us, const char *body);

#endif
