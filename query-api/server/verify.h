/* verify - is a client's position of this log at all?
 *
 * A token carries 4 bytes of its record's id. When they differ from what the read model folded at that offset, the client was answered
 * by another log, or from a suffix that Kafka lost since: an acknowledged booking may be missing. That is the one loss that the
 * fast-forward rule cannot bring back, so it is refused loudly: 409 for the client, an error in the log and a counter for the operator. */
#ifndef BERTH_QUERY_API_SERVER_VERIFY_H
#define BERTH_QUERY_API_SERVER_VERIFY_H

#include "query-api/server/call.h"

/* The 4 bytes that stand for the record at offset $4 (model $1, topic $2, partition $3); no row: not known, or empty: not there. */
extern const char qa_select_record_id[];

/* On a worker, after the tokens were reached. A token is taken when the record is too old for its id to be kept, or when Postgres is away and the
 * route can do without it. False: answered. */
bool qa_verify_tokens(qa_call *call) BT_MUST_CHECK;

#endif
