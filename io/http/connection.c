/* connection - one client of the loop backend, from its first byte to its last. Everything here runs on the loop's thread. */
#include "io/http/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_A_TURN 32        /* of one connection before others get theirs */
#define READS_A_TURN 16
#define DRAIN_MAX (1 << 20)
#define RENEWAL_BYTES 65536       /* progress that earns a client another write timeout */
#define SPARE_MAX 1024
#define KEPT_INPUT_MAX 16384

static void unlink_timer(bt_connection *connection)
{
    bt_timer_list *list = &connection->loop->timers[connection->timer];
    if (connection->older != NULL)
        connection->older->newer = connection->newer;
    else
        list->oldest = connection->newer;
    if (connection->newer != NULL)
        connection->newer->older = connection->older;
    else
        list->newest = connection->older;
    connection->older = connection->newer = NULL;
}

static void link_timer(bt_connection *connection, bt_timer_kind kind)
{
    bt_timer_list *list = &connection->loop->timers[kind];
    connection->timer = kind;
    connection->deadline_us = connection->loop->now_us + connection->loop->durations_us[kind];
    connection->older = list->newest;
    if (list->newest != NULL)
        list->newest->newer = connection;
    else
        list->oldest = connection;
    list->newest = connection;
}

void bt_connection_time(bt_connection *connection, bt_timer_kind kind)
{
    unlink_timer(connection);
    link_timer(connection, kind);
}

static bt_exchange *take_exchange(bt_loop *loop)
{
    bt_exchange *exchange = loop->spare;
    if (exchange == NULL) {
        exchange = bt_exchange_new(loop->server);
    } else {
        loop->spare = exchange->next;
        loop->spare_count--;
    }
    bt_exchange_reset(exchange);
    return exchange;
}

static void give_back(bt_loop *loop, bt_exchange *exchange)
{
    if (loop->spare_count >= SPARE_MAX) {
        bt_exchange_free(exchange);
        return;
    }
    exchange->next = loop->spare;
    loop->spare = exchange;
    loop->spare_count++;
}

bt_connection *bt_connection_new(bt_loop *loop, int fd, const struct sockaddr_in *peer)
{
    bt_connection *connection = bt_alloc(sizeof *connection);
    connection->fd = fd;
    connection->loop = loop;
    bt_buf_init(&connection->input, (size_t)loop->server->options.head_max * 2 + BT_LOOP_SCRATCH);
    inet_ntop(AF_INET, &peer->sin_addr, connection->client, sizeof connection->client);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection };
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        bt_release(connection);
        return NULL;
    }
    link_timer(connection, BT_TIMER_IDLE);
    loop->connection_count++;
    if (loop->server->connections_gauge != NULL)
        bt_gauge_add(loop->server->connections_gauge, 1);
    return connection;
}

/* The exchange must not be with a handler: who gives up on one sets connection->exchange to NULL first. */
void bt_connection_close(bt_connection *connection)
{
    bt_loop *loop = connection->loop;
    if (connection->fd < 0)
        return;
    unlink_timer(connection);
    close(connection->fd);
    connection->fd = -1;
    if (connection->exchange != NULL)
        give_back(loop, connection->exchange);
    connection->exchange = NULL;
    bt_buf_release(&connection->input);
    bt_buf_release(&connection->chunked);
    loop->connection_count--;
    if (loop->server->connections_gauge != NULL)
        bt_gauge_add(loop->server->connections_gauge, -1);
    connection->newer = loop->dead;
    loop->dead = connection;
}

/* Sends what it can. False when the connection is no more, or waits for the client to read. */
static bool write_answer(bt_connection *connection)
{
    bt_exchange *exchange = connection->exchange;
    while (connection->written < exchange->out.size) {
        ssize_t sent = send(connection->fd, exchange->out.at + connection->written, exchange->out.size - connection->written, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN) {
            bt_connection_close(connection);
            return false;
        }
        if (sent < 0) {
            if (connection->state != BT_CONNECTION_WRITE || connection->written - connection->written_at_renewal >= RENEWAL_BYTES) {
                connection->state = BT_CONNECTION_WRITE;
                connection->written_at_renewal = connection->written;
                bt_connection_time(connection, BT_TIMER_WRITE);
            }
            return false;
        }
        connection->written += (size_t)sent;
    }
    return true;
}

/* The answer is out: on to the next request, or to the end. False when there is no next. */
static bool finish_exchange(bt_connection *connection)
{
    bool keep_alive = connection->exchange->keep_alive;
    give_back(connection->loop, connection->exchange);
    connection->exchange = NULL;
    bt_buf_release(&connection->chunked);
    connection->was_served = true;
    if (keep_alive) {
        connection->state = BT_CONNECTION_IDLE;
        bt_connection_time(connection, BT_TIMER_IDLE);
        return true;
    }
    /* Closing while unread bytes are there resets the connection, and the client may lose the answer. */
    shutdown(connection->fd, SHUT_WR);
    connection->state = BT_CONNECTION_DRAIN;
    connection->input.size = 0;
    bt_connection_time(connection, BT_TIMER_DRAIN);
    return true;
}

static bool send_answer(bt_connection *connection)
{
    connection->written = connection->written_at_renewal = connection->exchange->sent;
    return write_answer(connection) && finish_exchange(connection);
}

static void begin_refusal(bt_connection *connection)
{
    if (connection->exchange == NULL)
        connection->exchange = take_exchange(connection->loop);
    connection->exchange->connection = connection;
    if (connection->exchange->request.correlation.size == 0)
        bt_correlate(connection->exchange);
}

static bool refuse(bt_connection *connection, const bt_problem_type *type, const char *detail)
{
    begin_refusal(connection);
    bt_front_refuse(connection->exchange, type, bt_str_of(detail));
    return send_answer(connection);
}

void bt_connection_turn_away(bt_connection *connection) { refuse(connection, &bt_problem_overloaded, "there are too many connections"); }

/* The request is whole. */
static bool dispatch(bt_connection *connection, bt_str body)
{
    bt_exchange *exchange = connection->exchange;
    bt_loops *loops = connection->loop->server->state;
    uint32_t state = BT_EXCHANGE_OPEN;
    if (!bt_front_admit(exchange, body))
        return send_answer(connection);
    connection->state = BT_CONNECTION_HANDLER;
    if (loops->pool != NULL) {
        bt_connection_time(connection, BT_TIMER_ANSWER);
        atomic_store(&exchange->state, BT_EXCHANGE_WAITED_FOR);
        bt_pool_add(loops->pool, exchange);
        return false;
    }
    bt_front_handle(exchange);
    if (!atomic_compare_exchange_strong(&exchange->state, &state, BT_EXCHANGE_WAITED_FOR))
        return send_answer(connection);
    bt_connection_time(connection, BT_TIMER_ANSWER);
    return false;
}

static void consume(bt_connection *connection, size_t size)
{
    bt_buf *input = &connection->input;
    if (size == 0)
        return;
    input->size -= size;
    memmove(input->at, input->at + size, input->size);
    if (input->size == 0 && input->capacity > KEPT_INPUT_MAX)
        bt_buf_release(input);
}

static bool continue_body(bt_connection *connection)
{
    bt_exchange *exchange = connection->exchange;
    size_t wanted = (size_t)exchange->content_length - connection->body_size;
    size_t size = connection->input.size < wanted ? connection->input.size : wanted;
    if (size > 0)
        memcpy(connection->body_at + connection->body_size, connection->input.at, size);
    connection->body_size += size;
    consume(connection, size);
    return size == wanted && dispatch(connection, (bt_str){ connection->body_at, connection->body_size });
}

static bool continue_chunks(bt_connection *connection)
{
    size_t taken = bt_chunks_feed(&connection->chunks, bt_buf_view(&connection->input), &connection->chunked);
    consume(connection, taken);
    if (connection->chunks.state == BT_CHUNKS_DONE) {
        /* Into the arena: if the handler is given up on, the body must live on with the exchange, not with the connection. */
        bt_str body = bt_arena_copy(&connection->exchange->arena, bt_buf_view(&connection->chunked));
        bt_buf_release(&connection->chunked);
        return dispatch(connection, body);
    }
    if (connection->chunks.state == BT_CHUNKS_BAD)
        return refuse(connection, &bt_problem_bad_request, "the chunks of the body are malformed");
    if (connection->chunks.state == BT_CHUNKS_TOO_LARGE)
        return refuse(connection, &bt_problem_body_too_large, "");
    return false;
}

/* The head has been accepted: how does the body come? */
static bool begin_body(bt_connection *connection)
{
    bt_exchange *exchange = connection->exchange;
    if (exchange->content_length == 0)
        return dispatch(connection, (bt_str){ NULL, 0 });
    if (exchange->expects_continue && connection->input.size == 0 && send(connection->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25) {
        bt_connection_close(connection);
        return false;
    }
    if (exchange->content_length == BT_FRONT_CHUNKED) {
        bt_buf_init(&connection->chunked, (size_t)connection->loop->server->options.body_max);
        connection->chunks = (bt_chunks){ .state = BT_CHUNKS_SIZE };
        connection->state = BT_CONNECTION_CHUNKS;
        return continue_chunks(connection);
    }
    connection->body_at = bt_arena_try_take(&exchange->arena, (size_t)exchange->content_length);
    bt_assert(connection->body_at != NULL);
    connection->body_size = 0;
    connection->state = BT_CONNECTION_BODY;
    return continue_body(connection);
}

/* Empty lines before a request are let pass, as RFC 9112 asks. */
static void skip_empty_lines(bt_connection *connection)
{
    size_t at = 0;
    while (at + 2 <= connection->input.size && memcmp(connection->input.at + at, "\r\n", 2) == 0)
        at += 2;
    if (at > 0) {
        consume(connection, at);
        connection->searched = 0;
    }
}

static bool continue_head(bt_connection *connection)
{
    skip_empty_lines(connection);
    bt_str input = bt_buf_view(&connection->input);
    size_t size = bt_head_size(input, connection->searched);
    size_t limit = (size_t)connection->loop->server->options.head_max * 2;
    if (size == 0 && input.size <= limit) {
        connection->searched = input.size;
        return false;
    }
    connection->searched = 0;
    if (size == 0 || size > limit) {
        bool in_target = memmem(input.at, input.size, "\r\n", 2) == NULL;
        return refuse(connection, in_target ? &bt_problem_target_too_long : &bt_problem_headers_too_large, "");
    }
    bt_exchange *exchange = connection->exchange = take_exchange(connection->loop);
    exchange->connection = connection;
    bt_str head = bt_arena_copy(&exchange->arena, (bt_str){ input.at, size });
    bt_front_head parsed = { .client = bt_str_of(connection->client) };
    consume(connection, size);
    if (!bt_head_parse(head, &exchange->arena, &parsed))
        return refuse(connection, &bt_problem_bad_request, "the request line or a header is malformed");
    if (!bt_front_begin(exchange, &parsed))
        return send_answer(connection);
    return begin_body(connection);
}

/* One step with the bytes at hand. True if another may be possible at once. */
static bool use_input(bt_connection *connection)
{
    switch (connection->state) {
    case BT_CONNECTION_IDLE:
        if (connection->input.size == 0)
            return false;
        connection->state = BT_CONNECTION_HEAD;
        bt_connection_time(connection, BT_TIMER_READ);
        connection->searched = 0;
        return continue_head(connection);
    case BT_CONNECTION_HEAD:
        return continue_head(connection);
    case BT_CONNECTION_BODY:
        return continue_body(connection);
    case BT_CONNECTION_CHUNKS:
        return continue_chunks(connection);
    case BT_CONNECTION_DRAIN:
        connection->drained += (int64_t)connection->input.size;
        connection->input.size = 0;
        if (connection->drained > DRAIN_MAX)
            bt_connection_close(connection);
        return false;
    case BT_CONNECTION_HANDLER:
    case BT_CONNECTION_WRITE:
        return false;
    }
    return false;
}

static bool wants_bytes(const bt_connection *connection)
{
    return connection->fd >= 0 && connection->may_read && connection->state != BT_CONNECTION_HANDLER && connection->state != BT_CONNECTION_WRITE;
}

/* Reads once into input. False when nothing more can be had now. */
static bool read_some(bt_connection *connection)
{
    bt_loop *loop = connection->loop;
    ssize_t got = recv(connection->fd, loop->scratch, sizeof loop->scratch, 0);
    if (got < 0 && errno == EINTR)
        return true;
    if (got <= 0) {
        connection->may_read = false;
        if (got == 0 || errno != EAGAIN)
            bt_connection_close(connection);
        return false;
    }
    /* Less than asked for means that the socket is empty: the next edge will tell of more (epoll(7)); but the edge of an end that came
     * with the bytes has been. */
    if ((size_t)got < sizeof loop->scratch && !connection->peer_ended)
        connection->may_read = false;
    bt_buf_write(&connection->input, loop->scratch, (size_t)got);
    bt_assert(!connection->input.overflow);
    return true;
}

void bt_connection_advance(bt_connection *connection)
{
    if (connection->fd >= 0 && connection->state == BT_CONNECTION_WRITE && (!write_answer(connection) || !finish_exchange(connection)))
        return;
    int requests = 0;
    for (int reads = 0; connection->fd >= 0; reads++) {
        while (connection->fd >= 0 && requests < REQUESTS_A_TURN && use_input(connection))
            requests++;
        if (!wants_bytes(connection) || reads == READS_A_TURN || requests == REQUESTS_A_TURN || !read_some(connection))
            break;
    }
    bool more = connection->fd >= 0 && (wants_bytes(connection) || requests == REQUESTS_A_TURN) && connection->state != BT_CONNECTION_HANDLER &&
        connection->state != BT_CONNECTION_WRITE;
    if (more) {
        /* Its turn is over, not its work: ask epoll to name it again in the next round. */
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection };
        epoll_ctl(connection->loop->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    }
}

void bt_connection_answered(bt_connection *connection)
{
    if (send_answer(connection))
        bt_connection_advance(connection);
}

/* The handler has not answered in time, or the server stops waiting. True if the exchange is now the handler's alone. */
static bool give_up(bt_connection *connection)
{
    uint32_t state = BT_EXCHANGE_WAITED_FOR;
    if (!atomic_compare_exchange_strong(&connection->exchange->state, &state, BT_EXCHANGE_GIVEN_UP))
        return false; /* it is on its way: the stack of answers holds it */
    connection->exchange = NULL;
    return true;
}

void bt_connection_timed_out(bt_connection *connection)
{
    switch (connection->state) {
    case BT_CONNECTION_HEAD:
    case BT_CONNECTION_BODY:
    case BT_CONNECTION_CHUNKS:
        refuse(connection, atomic_load(&connection->loop->server->refusing) ? &bt_problem_stopping : &bt_problem_too_slow, "");
        return;
    case BT_CONNECTION_HANDLER:
        if (give_up(connection))
            refuse(connection, &bt_problem_answer_timeout, "");
        else
            bt_connection_time(connection, BT_TIMER_ANSWER);
        return;
    case BT_CONNECTION_IDLE:
    case BT_CONNECTION_WRITE:
    case BT_CONNECTION_DRAIN:
        bt_connection_close(connection);
        return;
    }
}
