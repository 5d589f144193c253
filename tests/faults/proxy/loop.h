/* loop - waits for sockets and for the next point in time, in one thread.
 *
 * A watch that was closed gets no further events, also not those that epoll had already told of; so its owner may be freed once
 * loop_wait has returned. */
#ifndef BERTH_TESTS_FAULTS_PROXY_LOOP_H
#define BERTH_TESTS_FAULTS_PROXY_LOOP_H

#include "core/base.h"

#include <sys/epoll.h>

#define LOOP_NEVER INT64_MAX

typedef struct watch {
    int fd; /* -1: closed */
    uint32_t events;
    void (*ready)(void *context, uint32_t events);
    void *context;
} watch;

typedef struct loop {
    int epoll, timer;
    int64_t now_us; /* monotonic; set by loop_wait */
} loop;

bool loop_init(loop *l, bt_err *err) BT_MUST_CHECK;
/* fd is made non-blocking and belongs to the watch from here on. */
void loop_watch(loop *l, watch *w, int fd, uint32_t events, void (*ready)(void *context, uint32_t events), void *context);
void loop_rewatch(loop *l, watch *w, uint32_t events); /* nothing to do, or closed: fine */
/* with_reset: the peer gets an RST and what it had not read yet is gone. Closed already: fine. */
void loop_close(loop *l, watch *w, bool with_reset);
/* Until something is ready, a signal comes, or until_us; calls the ready functions. */
void loop_wait(loop *l, int64_t until_us);
int64_t loop_clock_us(void);

#endif
