/* answers - the owner's answer as an HTTP response. Private to commands/http. */
#ifndef BERTH_COMMANDS_HTTP_ANSWERS_H
#define BERTH_COMMANDS_HTTP_ANSWERS_H

#include "commands/http/intake.h"

/* A request that waits for its answer; in the request's arena. */
typedef struct bt_pending {
    bt_submission submission; /* first */
    bt_http_request *request;
    const bt_intake_binding *binding;
} bt_pending;

/* bt_submission.answered. */
void bt_answer_respond(bt_submission *submission, const bt_answer *answer);
void bt_refusal_respond(bt_pending *pending, int32_t verdict, bt_str detail, bt_str field, bt_str members);

#endif
