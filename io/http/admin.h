/* admin - the second port of every server, for machines that look after it: is it alive, is it ready, what is it doing, which build is it.
 *
 *   GET /livez    200 as long as the process answers
 *   GET /readyz   200 or 503: {"ready":false,"checks":[{"name":"kafka","ready":false,"reason":"no broker has answered for 12 s"}]}
 *   GET /metrics  Prometheus text 0.0.4
 *   GET /version  {"server":"berth-commands","version":"0.1.0 (git 6ceecb3)","started_at":"..."}
 *
 * It has threads of its own, so that it answers while the front is full. */
#ifndef BERTH_IO_HTTP_ADMIN_H
#define BERTH_IO_HTTP_ADMIN_H

#include "core/base.h"
#include "io/http/http.h"
#include "io/metrics/metrics.h"

typedef struct bt_admin bt_admin;

#define BT_ADMIN_REASON_MAX 500
#define BT_ADMIN_CHECKS_MAX 16
#define BT_ADMIN_ROUTES_MAX 4

/* Called for each look at /readyz, on a thread of the admin port: quick, and safe there. The reason is shown in both cases; it
 * may stay empty; zero-terminated. */
typedef bool (*bt_admin_is_ready)(void *context, char ret_reason[BT_ADMIN_REASON_MAX]);

typedef struct bt_admin_check {
    const char *name;
    bt_admin_is_ready is_ready;
    void *context;
    bool informative; /* shown, but does not make the server unready (Redis down: availability comes from Postgres) */
} bt_admin_check;

typedef struct bt_admin_options {
    const char *server;  /* "berth-commands" */
    const char *version; /* bt_version_stamp() */
    const char *listen;  /* host:port ["127.0.0.1:0"] */
    const bt_admin_check *checks; /* copied */
    size_t check_count;
    const bt_http_route *routes; /* of the server's own, beside those above; copied, at most BT_ADMIN_ROUTES_MAX */
    size_t route_count;
    bt_metrics *metrics; /* NULL: /metrics shows only the process's own */
} bt_admin_options;

bool bt_admin_start(const bt_admin_options *options, bt_admin **ret_admin, bt_err *err) BT_MUST_CHECK;
int bt_admin_port(const bt_admin *admin);
/* From now on /readyz says 503 "stopping", so that balancers look elsewhere while requests in flight are finished. */
void bt_admin_set_stopping(bt_admin *admin);
void bt_admin_free(bt_admin *admin);

#endif
