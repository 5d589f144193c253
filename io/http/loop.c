/* loop - the front on epoll: few threads, many connections, and an answer that is late costs nobody a thread. */
#include "io/http/loop.h"

#include "io/clock/clock.h"
#include "io/log/log.h"
#include "io/process/process.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define ACCEPTS_A_TURN 64
#define TICK_MS 50             /* how exactly timeouts are kept */
#define OUT_OF_FDS_WAIT_US 100000
#define DRAIN_US 1000000
#define HEARING_MAX 64           /* connections over the limit that are being told so */
#define FDS_KEPT 64              /* for logs, snapshots, Kafka, Postgres ... */

static void close_listener(bt_loop *loop)
{
    if (loop->listen_fd >= 0)
        close(loop->listen_fd);
    loop->listen_fd = -1;
}

static void listen_for(bt_loop *loop, bool on)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = &loop->listen_fd };
    if (loop->listen_fd >= 0 && on != loop->listening)
        epoll_ctl(loop->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, loop->listen_fd, &event);
    loop->listening = on;
}

/* Over the limit a new connection is told so and let go, rather than left to wait. A few at a time are kept until they have heard: to close
 * one at once, with its request unread, would reset it, and the answer be lost. Past those there is no help. */
static void turn_away(bt_loop *loop, bt_connection *connection)
{
    const bt_loops *loops = loop->server->state;
    if (loop->server->turned_away != NULL)
        bt_counter_inc(loop->server->turned_away);
    if (loop->connection_count > loops->connections_max + HEARING_MAX)
        bt_connection_close(connection);
    else
        bt_connection_turn_away(connection);
}

/* No descriptor is free: nothing is taken for a while, so that the loop does not spin; those who wait to be let in wait in the backlog. */
static void pause_accepting(bt_loop *loop)
{
    if (!loop->out_of_fds)
        bt_log_warn("http.out_of_descriptors", F_STR("name", loop->server->options.name), F_I64("connections", loop->connection_count));
    loop->out_of_fds = true;
    if (loop->server->accept_pauses != NULL)
        bt_counter_inc(loop->server->accept_pauses);
    listen_for(loop, false);
    loop->listen_again_us = loop->now_us + OUT_OF_FDS_WAIT_US;
}

static void accept_some(bt_loop *loop)
{
    const bt_loops *loops = loop->server->state;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        int fd = accept4(loop->listen_fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
            pause_accepting(loop);
            return;
        }
        if (fd < 0)
            return;
        if (loop->out_of_fds)
            bt_log_info("http.accepts_again", F_STR("name", loop->server->options.name), F_I64("connections", loop->connection_count));
        loop->out_of_fds = false;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        bt_connection *connection = bt_connection_new(loop, fd, &peer);
        if (connection != NULL && loop->connection_count > loops->connections_max) {
            turn_away(loop, connection);
            return; /* a client that comes again at once would be let in by this very turn, before its last connection is seen to have ended */
        }
    }
}

static void take_answers(bt_loop *loop)
{
    uint64_t wakes;
    while (read(loop->wake_fd, &wakes, sizeof wakes) < 0 && errno == EINTR)
        continue;
    bt_exchange *newest = atomic_exchange(&loop->answered, NULL), *oldest = NULL;
    while (newest != NULL) { /* the stack has the last answer on top: turn it, so that who waited longest goes first */
        bt_exchange *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        bt_exchange *next = oldest->next;
        bt_connection_answered(oldest->connection);
        oldest = next;
    }
}

static void run_timers(bt_loop *loop)
{
    for (int kind = 0; kind < BT_TIMER_KINDS; kind++) {
        /* Each call moves the first one elsewhere or ends it, so this stops. */
        while (loop->timers[kind].oldest != NULL && loop->timers[kind].oldest->deadline_us <= loop->now_us)
            bt_connection_timed_out(loop->timers[kind].oldest);
    }
    if (!loop->listening && loop->listen_fd >= 0 && loop->now_us >= loop->listen_again_us)
        listen_for(loop, true);
}

static void free_dead(bt_loop *loop)
{
    while (loop->dead != NULL) {
        bt_connection *connection = loop->dead;
        loop->dead = connection->newer;
        bt_release(connection);
    }
}

/* Who stands in the backlog has been let in by the kernel and may have sent a request: he is served like the others. */
static void let_in_the_last(bt_loop *loop)
{
    int before = -1;
    for (int turn = 0; turn <= loop->server->options.backlog / ACCEPTS_A_TURN && before != loop->connection_count && !loop->out_of_fds; turn++) {
        before = loop->connection_count;
        accept_some(loop);
    }
    close_listener(loop);
}

/* Those who wait between two requests; without all, only who was served: one that is new has a request on the way. */
static void close_idle(bt_loop *loop, bool all)
{
    for (bt_connection *connection = loop->timers[BT_TIMER_IDLE].oldest, *next; connection != NULL; connection = next) {
        next = connection->newer; /* closing makes it the first of the dead */
        if (all || connection->was_served)
            bt_connection_close(connection);
    }
}

static void cut_off(bt_loop *loop)
{
    bt_loops *loops = loop->server->state;
    for (int kind = 0; kind < BT_TIMER_KINDS; kind++) {
        bt_connection *connection = loop->timers[kind].oldest;
        for (bt_connection *next; connection != NULL; connection = next) {
            next = connection->newer;
            if (kind != BT_TIMER_DRAIN)
                atomic_store(&loops->cut, true);
            if (connection->state == BT_CONNECTION_HANDLER)
                bt_connection_timed_out(connection); /* 504, if the handler is not just answering */
            else
                bt_connection_close(connection);
        }
    }
}

/* After each round while the server stops: no new connections, idle ones end, and after a moment requests that are not whole yet are refused. */
static void wind_down(bt_loop *loop)
{
    if (loop->refuse_at_us == 0) {
        loop->refuse_at_us = loop->now_us + loop->server->options.stop_grace_ms * 1000;
        let_in_the_last(loop);
    }
    bool over = loop->now_us >= loop->refuse_at_us;
    close_idle(loop, over);
    if (over)
        atomic_store(&loop->server->refusing, true);
    while (over && loop->timers[BT_TIMER_READ].oldest != NULL)
        bt_connection_timed_out(loop->timers[BT_TIMER_READ].oldest);
    if (atomic_load(&loop->server->cut_off))
        cut_off(loop);
}

static void *run(void *argument)
{
    bt_loop *loop = argument;
    struct epoll_event events[EVENTS_MAX];
    loop->now_us = bt_clock_monotonic_us();
    listen_for(loop, true);
    for (bool over = false; !over;) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, loop->connection_count > 0 || !loop->listening ? TICK_MS : 1000);
        loop->now_us = bt_clock_monotonic_us();
        for (int i = 0; i < count; i++) {
            void *who = events[i].data.ptr;
            if (who == &loop->listen_fd) {
                if (loop->listen_fd >= 0)
                    accept_some(loop);
            } else if (who == &loop->wake_fd) {
                take_answers(loop);
            } else {
                bt_connection *connection = who;
                connection->peer_ended |= (events[i].events & (EPOLLRDHUP | EPOLLHUP)) != 0;
                connection->may_read |= (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
                bt_connection_advance(connection);
            }
        }
        run_timers(loop);
        if (atomic_load(&loop->server->stopping)) {
            wind_down(loop);
            over = loop->connection_count == 0;
        }
        free_dead(loop);
    }
    return NULL;
}

/* With nobody else under way, who answers sends at once: the loop sleeps, and to wake it first takes longer than the sending does. While an answer is
 * neither sent nor on the stack, the loop leaves its connection alone. What cannot be sent is the loop's to find out. */
static void send_lone_answer(bt_exchange *exchange)
{
    const bt_connection *connection = exchange->connection;
    ssize_t sent = send(connection->fd, exchange->out.at, exchange->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    exchange->sent = sent > 0 ? (size_t)sent : 0;
}

static void loop_answered(bt_exchange *exchange)
{
    bt_loop *loop = ((bt_connection *)exchange->connection)->loop;
    if (atomic_load_explicit(&exchange->server->in_flight, memory_order_relaxed) == 0)
        send_lone_answer(exchange);
    bt_exchange *top = atomic_load(&loop->answered);
    do
        exchange->next = top;
    while (!atomic_compare_exchange_weak(&loop->answered, &top, exchange));
    /* Who finds the stack empty wakes the loop; the others ride along. */
    if (top == NULL)
        eventfd_write(loop->wake_fd, 1);
}

static bool fail(const bt_http_server *server, const char *what, bt_err *err)
{
    return bt_fail(err, BT_ERR_FATAL, errno, "cannot listen on %s: %s: %s; %s", server->options.listen, what, strerror(errno), bt_front_listen_remedy(errno));
}

static bool open_listener(bt_loop *loop, bt_err *err)
{
    bt_http_server *server = loop->server;
    const bt_loops *loops = server->state;
    int one = 1;
    loop->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (loop->listen_fd < 0)
        return fail(server, "socket", err);
    setsockopt(loop->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (loops->count > 1)
        setsockopt(loop->listen_fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    socklen_t size = sizeof server->address;
    if (bind(loop->listen_fd, (struct sockaddr *)&server->address, size) != 0)
        return fail(server, "bind", err);
    if (listen(loop->listen_fd, server->options.backlog) != 0)
        return fail(server, "listen", err);
    /* With port 0 the first loop finds a free one, and the others join it. */
    getsockname(loop->listen_fd, (struct sockaddr *)&server->address, &size);
    server->port = ntohs(server->address.sin_port);
    return true;
}

static bool open_loop(bt_loop *loop, bt_err *err)
{
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = &loop->wake_fd };
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0)
        return fail(loop->server, "epoll", err);
    return open_listener(loop, err);
}

static void free_loop(bt_loop *loop)
{
    close_listener(loop);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    while (loop->spare != NULL) {
        bt_exchange *next = loop->spare->next;
        bt_exchange_free(loop->spare);
        loop->spare = next;
    }
    bt_release(loop);
}

static bt_loop *new_loop(bt_http_server *server)
{
    const bt_http_options *options = &server->options;
    bt_loop *loop = bt_alloc(sizeof *loop);
    loop->server = server;
    loop->epoll_fd = loop->wake_fd = loop->listen_fd = -1;
    loop->durations_us[BT_TIMER_IDLE] = options->idle_timeout_ms * 1000;
    loop->durations_us[BT_TIMER_READ] = options->read_timeout_ms * 1000;
    loop->durations_us[BT_TIMER_ANSWER] = options->answer_timeout_ms * 1000;
    loop->durations_us[BT_TIMER_WRITE] = options->write_timeout_ms * 1000;
    loop->durations_us[BT_TIMER_DRAIN] = DRAIN_US;
    return loop;
}

static void loop_free(bt_http_server *server)
{
    bt_loops *loops = server->state;
    for (int i = 0; i < loops->count; i++) {
        if (loops->loops[i] != NULL)
            free_loop(loops->loops[i]);
    }
    bt_release(loops);
}

/* What was asked for, or what the limit of open files leaves: who is told 503 knows more than who is left in the backlog. */
static int connections_of_each(const bt_http_server *server, int loop_count)
{
    int wanted = server->options.connections_max, files = bt_process_fds_max();
    int most = files - files / 8 - FDS_KEPT - HEARING_MAX * loop_count;
    most = most > files / 4 ? most : files / 4;
    if (most < wanted)
        bt_log_warn("http.connections_limited", F_STR("name", server->options.name), F_I64("wanted", wanted), F_I64("limit", most), F_I64("open_files", files));
    most = most < wanted ? most : wanted;
    return (most + loop_count - 1) / loop_count;
}

static bool loop_start(bt_http_server *server, bt_err *err)
{
    bt_loops *loops = bt_alloc(sizeof *loops);
    server->state = loops;
    loops->count = server->options.loop_count < BT_LOOPS_MAX ? server->options.loop_count : BT_LOOPS_MAX;
    loops->connections_max = connections_of_each(server, loops->count);
    for (int i = 0; i < loops->count; i++) {
        loops->loops[i] = new_loop(server);
        if (!open_loop(loops->loops[i], err)) {
            loop_free(server);
            return false;
        }
    }
    if (server->options.handler_threads > 0)
        loops->pool = bt_pool_new(server->options.handler_threads);
    for (int i = 0; i < loops->count; i++)
        bt_assert(pthread_create(&loops->loops[i]->thread, NULL, run, loops->loops[i]) == 0);
    return true;
}

static void wake_all(bt_loops *loops)
{
    for (int i = 0; i < loops->count; i++)
        eventfd_write(loops->loops[i]->wake_fd, 1);
}

static bool loop_stop(bt_http_server *server, int64_t limit_ms)
{
    bt_loops *loops = server->state;
    wake_all(loops);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += limit_ms / 1000;
    until.tv_nsec += limit_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    for (int i = 0; i < loops->count; i++) {
        if (pthread_timedjoin_np(loops->loops[i]->thread, NULL, &until) == 0)
            continue;
        atomic_store(&server->cut_off, true);
        wake_all(loops);
        pthread_join(loops->loops[i]->thread, NULL);
    }
    bt_pool_free(loops->pool);
    loops->pool = NULL;
    return !atomic_load(&loops->cut);
}

const bt_front_backend bt_front_loop = { "loop", loop_start, loop_stop, loop_answered, loop_free };
