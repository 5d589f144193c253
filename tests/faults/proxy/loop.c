/* loop - see the header. A timerfd and not epoll's time-out, which counts in milliseconds: slices are microseconds apart. */
#include "tests/faults/proxy/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_A_WAIT 64

int64_t loop_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool loop_init(loop *l, bt_err *err)
{
    *l = (loop){ .epoll = epoll_create1(EPOLL_CLOEXEC), .timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), .now_us = loop_clock_us() };
    struct epoll_event event = { .events = EPOLLIN };
    if (l->epoll < 0 || l->timer < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &event) != 0)
        return bt_fail(err, BT_ERR_FATAL, errno, "epoll: %s", strerror(errno));
    return true;
}

void loop_watch(loop *l, watch *w, int fd, uint32_t events, void (*ready)(void *context, uint32_t events), void *context)
{
    *w = (watch){ fd, events, ready, context };
    bt_assert(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
    struct epoll_event event = { .events = events, .data.ptr = w };
    bt_assert(epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

void loop_rewatch(loop *l, watch *w, uint32_t events)
{
    if (w->fd < 0 || w->events == events)
        return;
    w->events = events;
    struct epoll_event event = { .events = events, .data.ptr = w };
    bt_assert(epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &event) == 0);
}

void loop_close(loop *l, watch *w, bool with_reset)
{
    (void)l;
    if (w->fd < 0)
        return;
    struct linger linger = { 1, 0 };
    if (with_reset)
        setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(w->fd); /* leaves epoll by itself: no copy of the descriptor exists */
    w->fd = -1;
}

void loop_wait(loop *l, int64_t until_us)
{
    struct epoll_event events[EVENTS_A_WAIT];
    int64_t wait_us = until_us - loop_clock_us();
    int timeout_ms = until_us == LOOP_NEVER ? 1000 : wait_us <= 0 ? 0 : -1;
    if (timeout_ms == -1) {
        struct itimerspec at = { .it_value = { until_us / 1000000, until_us % 1000000 * 1000 } };
        bt_assert(timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL) == 0);
    }
    int count = epoll_wait(l->epoll, events, EVENTS_A_WAIT, timeout_ms);
    l->now_us = loop_clock_us();
    for (int i = 0; i < count; i++) {
        watch *w = events[i].data.ptr;
        uint64_t expirations;
        if (w == NULL)
            (void)!read(l->timer, &expirations, sizeof expirations);
        else if (w->fd >= 0)
            w->ready(w->context, events[i].events);
    }
}
