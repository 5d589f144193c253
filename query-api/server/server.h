/* server - what the handlers share, and the way of a request: parameters, position, worker, answer.
 *
 *   front thread:  check the parameters → no position asked for: answer_now, or queue
 *                                       → a position: parked on the board until the read model has it
 *   worker:        verify the position's 4 bytes → the resource's handler
 *
 * Everything has a limit: reads that wait, calls in the queue, time in the queue, each statement. */
#ifndef BERTH_QUERY_API_SERVER_SERVER_H
#define BERTH_QUERY_API_SERVER_SERVER_H

#include "io/metrics/metrics.h"
#include "query-api/server/call.h"
#include "query-api/server/watch.h"
#include "query-api/server/work.h"

#define QA_TOPIC "berth.trip"
#define QA_KIND "trip"
#define QA_TABLES_MODEL "trips"
#define QA_REDIS_MODEL "availability"

typedef struct qa_settings {
    const char *postgres_dsn, *redis_url;
    int64_t postgres_timeout_ms, redis_timeout_ms;
    int64_t workers, queue_max, queue_limit_ms;
    int64_t waiting_max, wait_default_ms, poll_busy_ms, poll_idle_ms;
    int64_t layouts_max_mb;
    int64_t seats_age_max_ms;
} qa_settings;

struct qa_server {
    qa_settings settings;
    bt_metrics *metrics;
    qa_board *board;
    qa_watch *watch;
    qa_work *work;
    qa_layouts *layouts;
    bt_http_route *routes; /* of all resources, for the front; each one's context is its qa_route; and what the commands server takes */
    size_t route_count;
    bt_str openapi_json, openapi_yaml;
    bt_counter *failed_reads, *fallbacks, *mismatches, *layout_hits, *layout_misses, *seats_hits, *seats_misses;
    bt_counter *waits[QA_WAIT_ENDED + 1];
    bt_histogram *wait_time;
};

/* Settings and metrics are borrowed. Starts the watchers and workers, but no front. */
bool qa_server_start(const qa_settings *settings, bt_metrics *metrics, qa_server **ret_server, bt_err *err) BT_MUST_CHECK;
/* Reads that wait end now with 503, so that the front can stop; what is queued is served. Call before bt_http_server_stop. */
void qa_server_end_waits(qa_server *server);
/* After the front has stopped. NULL is fine. */
void qa_server_free(qa_server *server);

/* The handler of every route: request->context is the qa_server. */
void qa_serve(bt_http_request *request);

/* Checks the request's parameters against its route's table. False: answered. Pure otherwise; for tests. */
bool qa_check_parameters(qa_call *call) BT_MUST_CHECK;

/* All resources: the one list to add to. */
extern const qa_resource *const qa_resources[];
extern const size_t qa_resource_count;

#endif
