/* front - what all backends of io/http share: a request on its way through, the rules that are checked before a handler sees it,
 * and the rendering of its answer as one buffer. A backend reads bytes, calls these, and writes bytes; it decides nothing else.
 *
 *   bt_exchange_reset   the backend has a head in its hands
 *   bt_front_begin      false: exchange->out is the answer (a refusal). true: read the body, exchange->content_length bytes or chunks
 *   bt_front_dispatch   the body is there: false: a refusal again. true: the handler has it, and the exchange belongs to it
 *   backend->answered   called from bt_http_respond, on any thread: exchange->out is the answer */
#ifndef BERTH_IO_HTTP_FRONT_H
#define BERTH_IO_HTTP_FRONT_H

#include "core/buf.h"
#include "core/memory.h"
#include "io/http/http.h"
#include "io/http/problem.h"

#include <netinet/in.h>
#include <stdatomic.h>

#define BT_FRONT_SEGMENTS_MAX 16
#define BT_FRONT_ANSWER_MAX ((size_t)64 << 20)
#define BT_FRONT_CORRELATION_MAX 64
#define BT_FRONT_KEPT_BUFFER_MAX 65536 /* a larger buffer is given back after one use */

/* Who owes the next step. OPEN: the handler; ANSWERED: the backend, which sends out; GIVEN_UP: nobody, the handler's answer frees it. */
typedef enum bt_exchange_state { BT_EXCHANGE_OPEN, BT_EXCHANGE_WAITED_FOR, BT_EXCHANGE_ANSWERED, BT_EXCHANGE_GIVEN_UP } bt_exchange_state;

typedef struct bt_exchange {
    bt_http_request request; /* first: bt_http_respond gets from one to the other by a cast */
    bt_http_server *server;
    bt_arena arena;
    bt_buf out; /* the whole answer, head and body */
    _Atomic uint32_t state;
    int64_t content_length; /* of the request; BT_FRONT_CHUNKED for chunks */
    bool expects_continue;
    bool http_1_0;
    bool keep_alive; /* after the answer; rendering can only turn it off */
    char correlation[BT_FRONT_CORRELATION_MAX];
    void *connection; /* the backend's */
    size_t sent;      /* of out, by who answered */
    struct bt_exchange *next;
} bt_exchange;

#define BT_FRONT_CHUNKED INT64_C(-1)

typedef struct bt_front_backend {
    const char *name;
    bool (*start)(bt_http_server *server, bt_err *err);
    /* Both steps of bt_http_server_stop; true if nothing was cut off. */
    bool (*stop)(bt_http_server *server, int64_t limit_ms);
    void (*answered)(bt_exchange *exchange);
    void (*free)(bt_http_server *server);
} bt_front_backend;

/* What to do about an address that cannot be listened on, by errno. */
const char *bt_front_listen_remedy(int cause);

extern const bt_front_backend bt_front_civetweb;
extern const bt_front_backend bt_front_loop;

typedef struct bt_front_route {
    bt_str segments[BT_FRONT_SEGMENTS_MAX]; /* a parameter keeps its braces */
    size_t segment_count;
    bt_histogram *seconds;
} bt_front_route;

typedef struct bt_front_metrics bt_front_metrics;

struct bt_http_server {
    bt_http_options options; /* with the defaults filled in */
    const bt_front_backend *backend;
    void *state; /* the backend's */
    struct sockaddr_in address;
    int port;
    bt_front_route routes[BT_HTTP_ROUTES_MAX];
    bt_front_metrics *metrics;
    bt_gauge *in_flight_gauge; /* NULL without metrics, and so the next three */
    bt_gauge *connections_gauge;
    bt_counter *turned_away, *accept_pauses;
    _Atomic int in_flight;   /* handed to a handler and not answered, for the cap */
    _Atomic int outstanding; /* threads that are inside, or still owe, bt_http_respond */
    _Atomic bool draining;  /* answers say Connection: close; before and while it stops */
    _Atomic bool stopping;  /* nobody is let in any more; who was has a moment to say what he wants */
    _Atomic bool refusing;  /* the moment is over */
    _Atomic bool cut_off;
};

/* What a backend has read before the body. Views must live until the exchange is answered. */
typedef struct bt_front_head {
    bt_str method;
    bt_str target;
    bool http_1_0;
    bt_http_pair *headers;
    size_t header_count;
    size_t size; /* bytes of request line and headers */
    bt_str client;
} bt_front_head;

bt_exchange *bt_exchange_new(bt_http_server *server);
void bt_exchange_reset(bt_exchange *exchange);
void bt_exchange_free(bt_exchange *exchange);

bool bt_front_begin(bt_exchange *exchange, const bt_front_head *head);
/* In two steps, for a backend that runs handlers elsewhere: admit counts it and says whether it may go on; handle calls the handler. */
bool bt_front_admit(bt_exchange *exchange, bt_str body);
void bt_front_handle(bt_exchange *exchange);
static inline bool bt_front_dispatch(bt_exchange *exchange, bt_str body)
{
    if (!bt_front_admit(exchange, body))
        return false;
    bt_front_handle(exchange);
    return true;
}

/* Renders a refusal of the front's own into exchange->out, closing the connection. detail may be empty. */
void bt_front_refuse(bt_exchange *exchange, const bt_problem_type *type, bt_str detail);
/* The same with fields of its own; the connection stays open unless it says close. */
void bt_front_refuse_kindly(bt_exchange *exchange, const bt_problem *problem);
/* The same without a request that could be read. The text is whole: head and body. */
void bt_front_refuse_unread(bt_http_server *server, const bt_problem_type *type, bt_str detail, bt_buf *ret_out);

/* Pieces, each in a file of its own. */
bool bt_head_check(bt_exchange *exchange, const bt_front_head *head); /* head.c: framing, Host, media type, limits */
bool bt_target_split(bt_exchange *exchange, bt_str target);           /* target.c: path and query */
/* Finds the route and fills params. NULL: no such path; or another method, and then ret_allowed has a bit for each method that may be sent instead.
 * A method that only the API's other server takes is none of those, nor is the path unknown: then there is this bit. */
#define BT_FRONT_TAKEN_ELSEWHERE (1U << 31)
const bt_http_route *bt_route_find(bt_exchange *exchange, bt_str method, unsigned *ret_allowed, bool *ret_malformed);
bool bt_routes_compile(bt_http_server *server, bt_err *err);
bool bt_percent_decode(bt_arena *arena, bt_str text, bool plus_is_space, bt_str *ret_decoded);
void bt_correlate(bt_exchange *exchange);
void bt_answer_render(bt_exchange *exchange, const bt_http_response *response); /* answer.c */
const char *bt_status_phrase(int status);
size_t bt_http_date(char ret_text[32]);
bool bt_name_is(bt_str name, const char *lower_case);
bool bt_token_list_has(bt_str list, const char *lower_case);

void bt_front_metrics_start(bt_http_server *server); /* count.c */
void bt_front_metrics_free(bt_http_server *server);
void bt_front_count(bt_http_server *server, const bt_http_route *route, int status, int64_t taken_us);

#endif
