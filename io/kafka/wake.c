/* wake - an eventfd whose writes are skipped while one is already waiting to be seen. */
#include "io/kafka/wake.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool bt_wake_init(bt_wake *wake, bt_err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return bt_fail(err, BT_ERR_FATAL, errno, "eventfd: %s", strerror(errno));
    wake->fd = fd;
    atomic_init(&wake->pending, 0);
    return true;
}

void bt_wake_release(bt_wake *wake)
{
    if (wake->fd >= 0)
        close(wake->fd);
    wake->fd = -1;
}

void bt_wake_up(bt_wake *wake)
{
    if (atomic_exchange(&wake->pending, 1) != 0)
        return;
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(wake->fd, &one, sizeof one);
    while (written < 0 && errno == EINTR); /* EAGAIN cannot matter: a full counter is awake already */
}

void bt_wake_wait_us(bt_wake *wake, int64_t timeout_us)
{
    struct pollfd polled = { .fd = wake->fd, .events = POLLIN };
    struct timespec limit = { timeout_us / 1000000, timeout_us % 1000000 * 1000 };
    (void)ppoll(&polled, 1, &limit, NULL);
    uint64_t count;
    ssize_t taken = read(wake->fd, &count, sizeof count);
    (void)taken;
    /* After the read, so that a write is never taken while its flag stays up; an exchange, so that what the waker had put
     * into a queue before it found the flag still up is seen by the caller's look at its queues. */
    (void)atomic_exchange(&wake->pending, 0);
}

void bt_wake_wait(bt_wake *wake, int timeout_ms) { bt_wake_wait_us(wake, (int64_t)timeout_ms * 1000); }
