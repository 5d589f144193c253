/* call - one read on its way from the front to its answer, and the ways to answer it. What a resource's handler works with.
 *
 *   static void answer_booking(qa_call *call)
 *   {
 *       bt_id booking;
 *       if (!qa_param_id(call, "booking", &booking))
 *           return;                                                     // it was answered: 404
 *       BT_PG_RESULT rows = { 0 };
 *       if (!qa_select(call, sql, params, 1, &rows))
 *           return;                                                     // it was answered: 503
 *       ...
 *       qa_answer(call, &(qa_reply){ .body = json, .etag = qa_etag(call, "booking-", version) });
 *   }
 *
 * A call belongs to one thread at a time; all its memory is the request's arena and goes when it is answered. */
#ifndef BERTH_QUERY_API_SERVER_CALL_H
#define BERTH_QUERY_API_SERVER_CALL_H

#include "io/http/problem.h"
#include "io/pg/pg.h"
#include "io/redis/redis.h"
#include "query-api/server/route.h"

typedef struct qa_server qa_server;
typedef struct qa_layouts qa_layouts;

/* A thread with its connections. */
struct qa_worker {
    bt_pg *pg;
    bt_redis *redis;
    bt_arena arena; /* for one job */
    qa_server *server;
};

struct qa_call {
    bt_http_request *http;
    const qa_route *route;
    qa_server *server;
    qa_worker *worker; /* NULL on the front's thread */
    bool has[QA_PARAMETERS_MAX];
    bt_str values[QA_PARAMETERS_MAX]; /* by the route's table of parameters */
    int64_t numbers[QA_PARAMETERS_MAX];
    qa_token *tokens;
    size_t token_count;
    int64_t wait_s;
    qa_wait wait;
    int64_t queued_mono_us; /* the workers' */
    qa_call *next;
};

/* Where a record of the kind's log stands that the answer rests on: sent as Berth-Position. */
typedef struct qa_as_of {
    bool known;
    int32_t partition;
    int64_t offset;
    bt_id id;
} qa_as_of;

typedef struct qa_reply {
    bt_str body;
    const char *content_type; /* NULL: application/json */
    bt_str etag;              /* with its quotes; empty: none. A match with If-None-Match gives 304 */
    qa_as_of as_of;
    bt_str positions;          /* instead of as_of, where the answer rests on several partitions; may be empty */
    const char *cache_control; /* NULL: no-cache (keep it, but ask each time) */
    bt_http_pair more;         /* one further header; name empty: none */
} qa_reply;

/* Each answers the call; it must not be touched afterwards, for its memory is the front's again. */
void qa_answer(qa_call *call, const qa_reply *reply);
void qa_refuse(qa_call *call, const bt_problem_type *type, const char *field, const char *format, ...) BT_PRINTF(4, 5);
/* Of a statement or command that failed: 503 while the database is away, 500 for what only a bug or a wrong set-up can cause. Logs. */
void qa_refuse_failed(qa_call *call, const char *what, const bt_err *err);

/* The request, to be responded to by other means. The call's pointers are cleared, so that a handler that goes on using it fails in the
 * first test, and not once in a while under load. */
bt_http_request *qa_call_end(qa_call *call);

/* "17" or "hold-17", in quotes. A trip's tag is its stream's version alone, for that is what If-Match of the commands compares. */
bt_str qa_etag(qa_call *call, const char *prefix, int64_t version);
/* Of what has no version: a digest of the body. */
bt_str qa_etag_of_body(qa_call *call, bt_str body);

/* A path parameter that is 32 hex digits. False: answered with 404, for nothing else can be an id. */
bool qa_param_id(qa_call *call, const char *name, bt_id *ret_id) BT_MUST_CHECK;
/* One that is a name of core/base.h (a trip, a customer). False: answered with 404. */
bool qa_param_name(qa_call *call, const char *name, bt_str *ret_name) BT_MUST_CHECK;

/* A statement on the worker's connection. False: answered with 503. */
bool qa_select(qa_call *call, const char *sql, const bt_pg_param *params, size_t param_count, bt_pg_result *ret_rows) BT_MUST_CHECK;

/* The as-of of an answer from Postgres: the statement selects p.head_offset and p.head of the row of berth.positions that is
 * the partition's, in the same snapshot as the rows. NULLs (no such row): not known. */
qa_as_of qa_as_of_row(const bt_pg_result *rows, int row, int head_offset_column, int head_column, int32_t partition);

/* For an answer whose partition is not known before it is read, or that rests on all: a column of its statement, of the same snapshot as its
 * rows, and what Berth-Position is then; partition -1: all. Empty without a row, and of all where they are more than QA_TOKENS_MAX. */
#define QA_POSITIONS_COLUMN \
    "(SELECT string_agg('trip/' || partition || '@' || head_offset || '-' || left(encode(head, 'hex'), 8), ',' ORDER BY partition)" \
    " FROM berth.positions WHERE model = 'trips' AND topic = 'berth.trip' AND head_offset >= 0)"
bt_str qa_positions_of(const bt_pg_result *rows, int column, int32_t partition);

/* The partition that orders a trip's events; -1 while the number of partitions is not known. */
int32_t qa_partition_of(const qa_call *call, bt_str trip);

/* JSON of an instant in a place: RFC 3339 with the offset from UTC in seconds, as 2026-11-22T16:30:00+10:00. */
void qa_json_local_time(bt_buf *json, const char *name, int64_t time_us, int64_t offset_s);

/* The ceilings of an answer. */
#define QA_BODY_MAX ((size_t)16 << 20)

extern const bt_problem_type qa_problem_bad_parameter;     /* 400 */
extern const bt_problem_type qa_problem_bad_position;      /* 400 */
extern const bt_problem_type qa_problem_position_mismatch; /* 409 */
extern const bt_problem_type qa_problem_position_stopped;  /* 503 */

#endif
