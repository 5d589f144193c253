/* answers - the owner's answer as an HTTP response. Private to commands/http. */
#ifndef BERTH_COMMANDS_HTTP_ANSWERS_H
#define BERTH_COMMANDS_HTTP_ANSWERS_H

#include "commands/http/intake.h"

/* A request that waits for its answer; in the request's arena. */
typedef struct bt_pending {
    bt_submission submission; /* first */
    bt_forward_item passed;   /* while it is the forwarder's */
    bt_http_request *request;
    const bt_intake_binding *binding;
} bt_pending;

/* passing.c: to the owner of its partition, wherever that is; answers it, if it can be sent nowhere. */
void bt_pass_to_owner(bt_pending *pending);
/* The owner here has said that it is none, or is none any more: to wherever the owner is now. */
void bt_pass_on(bt_pending *pending, bool may_be_applied);
/* bt_submission.answered. */
void bt_answer_respond(bt_submission *submission, const bt_answer *answer);
/* 503: not_applied: nothing was done; else it is not known. */
void bt_answer_unavailable(bt_pending *pending, bool not_applied);
void bt_refusal_respond(bt_pending *pending, int32_t verdict, bt_str detail, bt_str field, bt_str members);

#endif
