/* route - how a resource says what it answers: a table of routes, each with its query parameters and its handlers.
 *
 * Everything that is alike for all reads happens before a handler: parameters are checked against the table, Berth-Min-Position is waited for and
 * verified, and the request comes to a worker with connections of its own. The OpenAPI document holds the same routes; a test compares. */
#ifndef BERTH_QUERY_API_SERVER_ROUTE_H
#define BERTH_QUERY_API_SERVER_ROUTE_H

#include "query-api/server/board.h"

typedef struct qa_call qa_call;
typedef struct qa_worker qa_worker;

typedef enum qa_parameter_kind {
    QA_PARAMETER_TEXT,   /* UTF-8 without control characters, up to max characters */
    QA_PARAMETER_DATE,   /* YYYY-MM-DD; call->numbers holds the days since 1970 */
    QA_PARAMETER_LIMIT,  /* 1 to max; call->numbers; 20 when absent */
    QA_PARAMETER_CURSOR, /* the handler reads it */
} qa_parameter_kind;

typedef struct qa_parameter {
    const char *name;
    qa_parameter_kind kind;
    bool required;
    int64_t max;
} qa_parameter;

#define QA_TOGETHER_MAX 16
#define QA_PARAMETERS_MAX 6
#define QA_LIMIT_DEFAULT 20
#define QA_LIMIT_MAX 100

typedef struct qa_route {
    const char *pattern;
    const qa_parameter *parameters;
    size_t parameter_count;
    unsigned needs;           /* QA_NEEDS_*: what a Berth-Min-Position is waited for in; 0: it is ignored, for nothing here comes from the log */
    bool takes_any_parameter; /* of the registry's, whose clients send what Confluent's server understands */
    /* On the front's thread, may be NULL: answers if that takes no I/O, else false. Not asked when positions must be verified. */
    bool (*answer_now)(qa_call *call);
    /* On a worker's thread, may block on its connections; must answer exactly once. NULL when answer_now always answers. */
    void (*answer)(qa_call *call);
    /* Instead of answer: up to QA_TOGETHER_MAX calls of this route that wait at once, so that they can share a round trip. Each must be answered. */
    void (*answer_together)(qa_call **calls, size_t count);
} qa_route;

typedef struct qa_resource {
    const char *name;
    const qa_route *routes;
    size_t route_count;
    const char *openapi; /* {"paths":{...},"schemas":{...}}: its part of the document; a text of openapi.json beside its code */
} qa_resource;

#endif
