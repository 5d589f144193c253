/* work - the threads that may block: a queue of calls and so many workers, each with one connection to Postgres and one to Redis.
 *
 * The front's threads never wait for a database, so the number of connections does not depend on the number of clients, and a dead
 * database fills a bounded queue and not the front. Calls are served in order of arrival, and where many wait at once for the same
 * route, several by one worker together; one that has stood in the
 * queue for longer than its limit is answered 503 instead. */
#ifndef BERTH_QUERY_API_SERVER_WORK_H
#define BERTH_QUERY_API_SERVER_WORK_H

#include "query-api/server/call.h"

typedef struct qa_work qa_work;

typedef struct qa_work_options {
    qa_server *server;
    int thread_count;
    int64_t queue_max;       /* calls */
    int64_t queue_limit_ms;  /* how long one may stand there */
    void (*serve)(qa_call **calls, size_t count); /* on a worker's thread, call->worker set; more than one are of one route with answer_together */
    void (*give_up)(qa_call *call); /* it stood too long: answer 503 */
} qa_work_options;

/* A statement on the worker's connection. All statements here only read, so one that failed for want of a connection is tried once more on a
 * new one if the watcher finds Postgres up: a restart of Postgres, or a pooler that drops connections, is then not seen by clients. While the
 * watcher finds it down, a worker that has lost its connection does not wait for a new one: BT_ERR_RETRY at once. */
bool qa_worker_query(qa_worker *worker, const char *sql, const bt_pg_param *params, size_t param_count, bt_pg_result *ret_rows, bt_err *err) BT_MUST_CHECK;

bool qa_work_start(const qa_work_options *options, qa_work **ret_work, bt_err *err) BT_MUST_CHECK;
/* False: the queue is full, the call is still the caller's to answer. Any thread. */
bool qa_work_push(qa_work *work, qa_call *call) BT_MUST_CHECK;
size_t qa_work_queued(qa_work *work);
/* Serves what is queued, then joins the threads. NULL is fine. */
void qa_work_stop(qa_work *work);

#endif
