/* loop - the inside of the epoll backend: one thread owns a listening socket and its connections, and nobody else touches them.
 *
 * Other threads reach it in one way: they push answered exchanges on a stack and, if it was empty, wake the loop. So a group commit that
 * answers 200 requests costs one wake. */
#ifndef BERTH_IO_HTTP_LOOP_H
#define BERTH_IO_HTTP_LOOP_H

#include "io/http/front.h"
#include "io/http/parse.h"

#include <pthread.h>

#define BT_LOOPS_MAX 16
#define BT_LOOP_SCRATCH 65536

typedef enum bt_connection_state {
    BT_CONNECTION_IDLE,    /* between requests; nothing of the next has come */
    BT_CONNECTION_HEAD,    /* part of a head is in input */
    BT_CONNECTION_BODY,    /* the counted body is being read into body_at */
    BT_CONNECTION_CHUNKS,  /* the chunked one into chunked */
    BT_CONNECTION_HANDLER, /* the exchange is the handler's; nothing is read */
    BT_CONNECTION_WRITE,   /* the socket took only part of the answer */
    BT_CONNECTION_DRAIN,   /* the answer is out and the sending side shut; what still comes is thrown away for a moment */
} bt_connection_state;

/* Each kind has one duration, so its list is in order of deadlines: the first is the next to run out. */
typedef enum bt_timer_kind { BT_TIMER_IDLE, BT_TIMER_READ, BT_TIMER_ANSWER, BT_TIMER_WRITE, BT_TIMER_DRAIN, BT_TIMER_KINDS } bt_timer_kind;

typedef struct bt_connection {
    int fd;
    bt_connection_state state;
    bt_timer_kind timer;
    int64_t deadline_us;
    struct bt_connection *older, *newer; /* in its timer's list */
    struct bt_loop *loop;
    bt_exchange *exchange; /* from a whole head until its answer is written */
    bt_buf input;          /* bytes read and not yet used */
    size_t searched;       /* of input, for the end of the head */
    char *body_at;
    size_t body_size;
    bt_buf chunked;
    bt_chunks chunks;
    size_t written, written_at_renewal;
    int64_t drained;
    bool was_served; /* it has had an answer */
    bool peer_ended; /* the client has shut its sending side */
    bool may_read; /* edge-triggered: the socket may hold more than was read */
    char client[16];
} bt_connection;

typedef struct bt_timer_list {
    bt_connection *oldest, *newest;
} bt_timer_list;

typedef struct bt_loop {
    bt_http_server *server;
    pthread_t thread;
    int epoll_fd, wake_fd, listen_fd; /* listen_fd is -1 once closed */
    _Atomic(bt_exchange *) answered;  /* a stack; pushed by any thread, emptied by the loop */
    bt_timer_list timers[BT_TIMER_KINDS];
    int64_t durations_us[BT_TIMER_KINDS];
    int64_t now_us;
    int64_t refuse_at_us;    /* while the server stops; 0: it has not begun to */
    int64_t listen_again_us; /* after running out of descriptors */
    bool listening;          /* the listening socket is in the epoll set */
    bool out_of_fds;         /* the last attempt to accept found none */
    int connection_count;
    bt_exchange *spare; /* reset ones, for the next requests */
    int spare_count;
    bt_connection *dead; /* closed in this round: freed after it, as events may still name them */
    char scratch[BT_LOOP_SCRATCH];
} bt_loop;

typedef struct bt_loops {
    bt_loop *loops[BT_LOOPS_MAX];
    int count;
    int connections_max; /* of each loop */
    struct bt_pool *pool; /* NULL: handlers run on the loop */
    _Atomic bool cut; /* something was cut off by stopping */
} bt_loops;

/* NULL if it could not be had; the descriptor is closed then. */
bt_connection *bt_connection_new(bt_loop *loop, int fd, const struct sockaddr_in *peer);
/* Tells a new one that there are too many, and lets it go once it has heard. */
void bt_connection_turn_away(bt_connection *connection);
void bt_connection_close(bt_connection *connection);
/* Goes on as far as it can: reads, parses, hands over, writes. */
void bt_connection_advance(bt_connection *connection);
/* Its exchange has been answered. */
void bt_connection_answered(bt_connection *connection);
void bt_connection_timed_out(bt_connection *connection);
void bt_connection_time(bt_connection *connection, bt_timer_kind kind);

/* pool - threads that run handlers, for those that block. Bounded by the cap of requests in flight. */
struct bt_pool *bt_pool_new(int thread_count);
void bt_pool_add(struct bt_pool *pool, bt_exchange *exchange);
/* Every handler that was begun is finished; those not begun are run first. */
void bt_pool_free(struct bt_pool *pool);

#endif
