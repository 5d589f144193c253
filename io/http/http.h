/* http - how a server is spoken to: it takes requests, hands each to a handler, and sends the answer that comes now or later from any
 * thread. What parses and writes (civetweb, or a loop of our own on epoll) is hidden, so that it can change.
 *
 *   static void take_hold(bt_http_request *request)
 *   {
 *       bt_str trip = bt_http_param(request, "trip");
 *       ... bt_http_respond(request, &(bt_http_response){ .status = 201, .body = json });  // now, or from another thread
 *   }
 *   static const bt_http_route routes[] = { { BT_HTTP_POST, "/v1/trips/{trip}/holds", take_hold } };
 *   bt_http_server_start(&(bt_http_options){ .name = "commands", .listen = "127.0.0.1:18081", .routes = routes, ... }, &server, &err)
 *
 * What handlers never see, because it is refused before them, always as RFC 9457 problem details: an unknown path (404), a method that the
 * path does not take (405 with Allow; HEAD is answered by GET's handler, OPTIONS with 204 and Allow), a body that is too large (413), too slow
 * (408) or of another type (415), a target or headers that are too long (414, 431), both or repeated Content-Length and
 * Transfer-Encoding or a length that is no number (400, and the connection is closed), malformed percent-encoding (400), and what is over
 * the cap of requests in flight (503 with Retry-After).
 *
 * Every request has a correlation id: the client's X-Request-Id if it is 1 to 64 of [A-Za-z0-9._~-], else the trace id of its
 * traceparent, else a random one. It is sent back as X-Request-Id, and set as the log's correlation while a handler runs. */
#ifndef BERTH_IO_HTTP_HTTP_H
#define BERTH_IO_HTTP_HTTP_H

#include "core/base.h"
#include "core/memory.h"
#include "io/metrics/metrics.h"

#define BT_HTTP_PARAMS_MAX 6
#define BT_HTTP_QUERY_MAX 32
#define BT_HTTP_HEADERS_MAX 64
#define BT_HTTP_ROUTES_MAX 128

typedef enum bt_http_method { BT_HTTP_GET, BT_HTTP_POST, BT_HTTP_PUT, BT_HTTP_PATCH, BT_HTTP_DELETE } bt_http_method;

typedef struct bt_http_pair {
    bt_str name;
    bt_str value;
} bt_http_pair;

typedef struct bt_http_request bt_http_request;

/* Called on a thread of the front with a request that is whole. It must see to it that bt_http_respond is called once for it, now or
 * later. On the loop backend without handler_threads it must not block; otherwise it may. Its stack is 100 KB at least. */
typedef void (*bt_http_handler)(bt_http_request *request);

typedef struct bt_http_route {
    bt_http_method method;
    const char *pattern; /* "/v1/trips/{trip}/holds": a {name} takes one whole path segment, never an empty one */
    bt_http_handler handler; /* NULL: the API has this, but another server takes it; here it is 405 */
    const char *accepts; /* the body's media type; NULL is "application/json". Parameters (charset) are let through */
    void *context;       /* for the handler, as request->route->context */
} bt_http_route;

/* All views live until bt_http_respond. Nobody writes to them but the front. */
struct bt_http_request {
    bt_http_method method;
    bool is_head; /* answer as for GET; the front leaves the body out */
    bt_str path;  /* as sent, still percent-encoded, without the query */
    bt_str query_text;
    bt_str body;
    const bt_http_route *route;
    void *context; /* the server's, from its options */
    void *user;    /* the handler's own, for a request that is answered later */
    bt_arena *arena; /* goes with the request; whoever holds the request may take from it, one thread at a time; 4 MiB at most from outside */
    int64_t received_at_us;     /* real time at which the request was whole */
    int64_t received_mono_us;   /* the same moment, monotonic */
    bt_str correlation;         /* 1 to 64 characters */
    bt_str traceparent;         /* the header, if it is well formed; else empty */
    bt_str client;              /* the peer's address, without a port */
    bt_http_pair params[BT_HTTP_PARAMS_MAX]; /* percent-decoded; a + stays a + */
    size_t param_count;
    bt_http_pair query[BT_HTTP_QUERY_MAX]; /* percent-decoded, + is a space; in order, repeats and all */
    size_t query_count;
    bt_http_pair *headers; /* in order, repeats and all; values without surrounding blanks */
    size_t header_count;
};

/* The value of {name} in the route's pattern; asking for a name that it does not have is a bug (assert). */
bt_str bt_http_param(const bt_http_request *request, const char *name);
/* The first query parameter of that name; false if there is none. */
bool bt_http_query(const bt_http_request *request, const char *name, bt_str *ret_value);
/* The first header of that name, letter case aside; false if there is none. */
bool bt_http_header(const bt_http_request *request, const char *name, bt_str *ret_value);
/* How often it was sent, for headers that must not be repeated (Idempotency-Key). */
size_t bt_http_header_times(const bt_http_request *request, const char *name);
const char *bt_http_method_name(bt_http_method method);

typedef struct bt_http_response {
    int status;
    const char *content_type;    /* NULL: application/json when there is a body */
    const bt_http_pair *headers; /* besides Content-Type, Content-Length, X-Request-Id and Connection, which the front writes */
    size_t header_count;
    bt_str body;
    bool close; /* close the connection after it */
} bt_http_response;

/* Answers, exactly once a request, from any thread. Everything is copied; the request and its arena are gone when it returns.
 * Never blocks on the client. A header value with a control character in it is a bug (assert): it would split the answer.
 * If the front has given up waiting (answer_timeout_ms; the client has then got 504), the answer is dropped. */
void bt_http_respond(bt_http_request *request, const bt_http_response *response);
/* The same for the plain case: a status and JSON. */
void bt_http_respond_json(bt_http_request *request, int status, bt_str json);

typedef struct bt_http_server bt_http_server;

/* 0 or NULL in any field takes the default in brackets. */
typedef struct bt_http_options {
    const char *name;          /* for logs and the label "server" of metrics ["http"] */
    const char *listen;        /* host:port, IPv4 ["127.0.0.1:0"]; port 0 takes a free one: bt_http_server_port */
    const char *backend;       /* "loop" or "civetweb" ["loop"; why: docs/decisions] */
    const bt_http_route *routes; /* borrowed as long as the server runs */
    size_t route_count;
    void *context;             /* request->context */
    int worker_count;          /* civetweb: threads, one a connection, so also the most connections that are served at once [512] */
    int loop_count;            /* loop: threads that read and write, at most 16 [1] */
    int handler_threads;       /* loop: threads that run handlers: set it when they block (a query to Postgres), to what may block at once [0: the loops do] */
    int connections_max;       /* loop: open connections, less where the limit of open files is lower; over it new ones are answered 503 and closed [16384] */
    int backlog;               /* of the listening socket [4096] */
    int in_flight_max;         /* requests with a handler; over it 503 with Retry-After: 1 [4096] */
    int64_t body_max;          /* bytes [1 MiB] */
    int64_t head_max;          /* bytes of request line and headers [16 KiB] */
    int64_t read_timeout_ms;   /* for a request to arrive whole, from its first byte on [10,000] */
    int64_t idle_timeout_ms;   /* a connection that sends nothing between requests is closed [30,000] */
    int64_t write_timeout_ms;  /* a client that does not read is cut off [10,000] */
    int64_t answer_timeout_ms; /* for the handler's answer; then 504 [60,000] */
    int64_t stop_grace_ms;     /* when the server stops: for those who were let in before, to send their request [1,000] */
    bt_metrics *metrics;       /* NULL: none. berth_http_requests_total{server,route,method,status}, berth_http_request_seconds{server,route}, ... */
} bt_http_options;

/* For main, before anything is started or waited for: can this be listened on? If not, one line on standard error names the setting, the
 * address, the cause and what to do, and the program ends with 2. Somebody may still take the port before bt_http_server_start. */
void bt_http_listen_or_exit(const char *program, const char *setting, const char *where);

bool bt_http_server_start(const bt_http_options *options, bt_http_server **ret_server, bt_err *err) BT_MUST_CHECK;
int bt_http_server_port(const bt_http_server *server);
/* Requests with a handler now. */
int bt_http_server_in_flight(const bt_http_server *server);
/* From now on each answer says Connection: close, so that clients go elsewhere of their own accord: one that is cut off between two requests
 * may have sent the next already. Everything is still served. */
void bt_http_server_drain(bt_http_server *server);
/* Takes no new connections and closes idle ones. Whoever was let in before has stop_grace_ms to send a request, and is answered, with Connection: close; a request
 * that is not whole by then gets 503 "stopping". (civetweb cannot stop listening: there all new requests get the 503 at once, and idle connections are closed
 * once the others are done.) What is not answered by limit_ms is cut off; a late bt_http_respond is still safe
 * until bt_http_server_free. Not from a handler. True if nothing had to be cut off. */
bool bt_http_server_stop(bt_http_server *server, int64_t limit_ms);
/* After stop, and after every request was responded to (it waits up to 10 s for that and asserts). NULL is fine. */
void bt_http_server_free(bt_http_server *server);

#endif
