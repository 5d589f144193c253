/* problem - an error as its receiver meets it: RFC 9457 problem details with a type that never changes, the field at fault, and what to do.
 *
 * A type is declared once, as a constant, by whoever can raise it; those of the front, and those that commands and queries
 * share, are here. The OpenAPI document lists them all: a type that is in use keeps its slug, status and meaning for good.
 *
 *   static const bt_problem_type seat_taken = { "seat-taken", 409, "A seat is not free", "Ask for other seats, or give a count and no seats." };
 *   bt_http_problem(request, &(bt_problem){ .type = &seat_taken, .detail = BT_STR("Seat 12 is held"), .field = BT_STR("/seats/0") });
 *
 *   {"type":"urn:berth:problem:seat-taken","title":"A seat is not free","status":409,"code":"seat-taken","detail":"...",
 *    "field":"/seats/0","remedy":"Ask for ...","request_id":"..."} */
#ifndef BERTH_IO_HTTP_PROBLEM_H
#define BERTH_IO_HTTP_PROBLEM_H

#include "core/buf.h"
#include "io/http/http.h"

#define BT_PROBLEM_CONTENT_TYPE "application/problem+json"
#define BT_PROBLEM_TYPE_PREFIX "urn:berth:problem:"

typedef struct bt_problem_type {
    const char *slug;   /* stable; also the member "code" */
    int status;
    const char *title;  /* the same for every occurrence */
    const char *remedy; /* what the client can do; may be NULL */
} bt_problem_type;

typedef struct bt_problem {
    const bt_problem_type *type;
    bt_str detail;      /* of this occurrence; may be empty */
    bt_str field;       /* JSON pointer into the body ("/seats/0"), or a header's, parameter's or query's name; may be empty */
    bt_str remedy;      /* instead of the type's, if not empty */
    bt_str members;     /* further members, ready-made JSON without braces: "\"seats\":[...],\"free\":3"; may be empty */
    int retry_after_s;  /* above 0: sent as Retry-After */
    const bt_http_pair *headers;
    size_t header_count;
    bool close;
} bt_problem;

/* Responds (bt_http_respond's contract) with the problem. Text must be UTF-8; what is not is replaced. */
void bt_http_problem(bt_http_request *request, const bt_problem *problem);
/* The body alone, for where there is no request. request_id may be empty. */
void bt_problem_write(const bt_problem *problem, bt_str request_id, bt_buf *ret_json);

/* Raised by the front. */
extern const bt_problem_type bt_problem_bad_request;         /* 400 the message itself is malformed */
extern const bt_problem_type bt_problem_no_such_path;        /* 404 */
extern const bt_problem_type bt_problem_method_not_allowed;  /* 405 */
extern const bt_problem_type bt_problem_too_slow;            /* 408 */
extern const bt_problem_type bt_problem_body_too_large;      /* 413 */
extern const bt_problem_type bt_problem_target_too_long;     /* 414 */
extern const bt_problem_type bt_problem_media_type;          /* 415 */
extern const bt_problem_type bt_problem_headers_too_large;   /* 431 */
extern const bt_problem_type bt_problem_overloaded;          /* 503 with Retry-After */
extern const bt_problem_type bt_problem_stopping;            /* 503 with Retry-After */
extern const bt_problem_type bt_problem_answer_timeout;      /* 504 the outcome is not known: repeat with the same key */
/* Shared by commands and queries. */
extern const bt_problem_type bt_problem_malformed_json;      /* 400 */
extern const bt_problem_type bt_problem_missing_key;         /* 400 no Idempotency-Key */
extern const bt_problem_type bt_problem_bad_key;             /* 400 Idempotency-Key repeated, empty or too long */
extern const bt_problem_type bt_problem_bad_value;           /* 422 with the field */
extern const bt_problem_type bt_problem_unknown_field;       /* 422 with the field */
extern const bt_problem_type bt_problem_not_found;           /* 404 the thing, not the path */
extern const bt_problem_type bt_problem_key_reused;          /* 422 another body under the same key */
extern const bt_problem_type bt_problem_internal;            /* 500 */
extern const bt_problem_type bt_problem_unavailable;         /* 503 with Retry-After: Kafka, Postgres or a partition cannot be reached now */
extern const bt_problem_type bt_problem_read_model_behind;   /* 503 with Retry-After */

#endif
