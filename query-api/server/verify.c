/* verify - see verify.h. The head's id is known from the board; any other's is four bytes of a row of berth.record_ids. */
#include "query-api/server/verify.h"

#include "io/log/log.h"
#include "query-api/server/server.h"

typedef enum identity { IDENTITY_SAME, IDENTITY_OTHER, IDENTITY_NOT_KNOWN } identity;

const char qa_select_record_id[] = "SELECT substring(ids FROM (4 * ($4 - first_offset) + 1)::int FOR 4) FROM berth.record_ids "
                                "WHERE model = $1 AND topic = $2 AND partition = $3 AND first_offset <= $4 ORDER BY first_offset DESC LIMIT 1";

static bool judge(qa_call *call, const qa_token *token, identity *ret_identity, bt_err *err)
{
    qa_position position;
    if (qa_board_position(call->server->board, QA_SOURCE_POSTGRES, token->partition, &position) && position.head_offset == token->offset) {
        *ret_identity = memcmp(position.head.at, token->id, QA_TOKEN_ID_SIZE) == 0 ? IDENTITY_SAME : IDENTITY_OTHER;
        return true;
    }
    bt_pg_param params[] = { bt_pg_text(BT_STR(QA_TABLES_MODEL)), bt_pg_text(BT_STR(QA_TOPIC)), bt_pg_int4(token->partition), bt_pg_int8(token->offset) };
    BT_PG_RESULT rows = { 0 };
    if (!qa_worker_query(call->worker, qa_select_record_id, params, BT_COUNT_OF(params), &rows, err))
        return false;
    bt_str id = rows.row_count == 1 ? bt_pg_get_str(&rows, 0, 0) : BT_STR("");
    *ret_identity = id.size != QA_TOKEN_ID_SIZE ? IDENTITY_NOT_KNOWN : memcmp(id.at, token->id, QA_TOKEN_ID_SIZE) == 0 ? IDENTITY_SAME : IDENTITY_OTHER;
    return true;
}

bool qa_verify_tokens(qa_call *call)
{
    for (size_t i = 0; i < call->token_count; i++) {
        const qa_token *token = &call->tokens[i];
        identity found;
        bt_err err = { 0 };
        if (!judge(call, token, &found, &err)) {
            if ((call->route->needs & QA_NEEDS_REDIS) != 0)
                return true; /* Redis has reached it, and the answer comes from there */
            qa_refuse_failed(call, "record_ids", &err);
            return false;
        }
        if (found != IDENTITY_OTHER)
            continue;
        bt_counter_inc(call->server->mismatches);
        bt_log_error("position.mismatch", F_STR("kind", token->kind), F_I64("partition", token->partition), F_I64("offset", token->offset));
        qa_refuse(call, &qa_problem_position_mismatch, "Berth-Min-Position",
            "the record at offset %lld of partition %d is not the one that this position names", (long long)token->offset, token->partition);
        return false;
    }
    return true;
}
