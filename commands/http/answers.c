/* answers - status, headers and body of what became of a command. Runs on the deciding thread: no blocking, little copying. */
#include "commands/http/answers.h"

#include "io/http/problem.h"

#define ANSWER_BODY_MAX ((size_t)4 << 20)

typedef struct answer_headers {
    bt_http_pair at[5];
    size_t count;
    char position[64], etag[24], location[300];
} answer_headers;

static void add(answer_headers *headers, const char *name, bt_str value)
{
    bt_assert(headers->count < BT_COUNT_OF(headers->at));
    headers->at[headers->count++] = (bt_http_pair){ bt_str_of(name), value };
}

/* trip/3@1042-1a2b3c4d: kind, partition, offset, and 4 bytes of the record's id, so that a token of another log is noticed. */
static void add_position(answer_headers *headers, const bt_pending *pending, const bt_answer *answer)
{
    const bt_intake *intake = pending->binding->intake;
    if (answer->offset < 0)
        return;
    char hex[BT_ID_HEX_SIZE];
    bt_id_to_hex(answer->id, hex);
    bt_buf text;
    bt_buf_init_fixed(&text, headers->position, sizeof headers->position);
    bt_buf_text(&text, intake->kind->decider->kind);
    bt_buf_byte(&text, '/');
    bt_buf_i64(&text, bt_partition_of(pending->submission.command.stream, intake->partition_count));
    bt_buf_byte(&text, '@');
    bt_buf_i64(&text, answer->offset);
    bt_buf_byte(&text, '-');
    bt_buf_write(&text, hex, 8);
    add(headers, "Berth-Position", bt_buf_view(&text));
}

static void add_etag(answer_headers *headers, int64_t version)
{
    bt_buf text;
    bt_buf_init_fixed(&text, headers->etag, sizeof headers->etag);
    bt_buf_byte(&text, '"');
    bt_buf_i64(&text, version);
    bt_buf_byte(&text, '"');
    add(headers, "ETag", bt_buf_view(&text));
}

static void add_location(answer_headers *headers, const bt_pending *pending)
{
    bt_buf text;
    bt_buf_init_fixed(&text, headers->location, sizeof headers->location);
    pending->binding->route->location(&pending->submission.command, &text);
    add(headers, "Location", bt_buf_view(&text));
}

static void respond_done(bt_pending *pending, const bt_answer *answer)
{
    const bt_command_route *route = pending->binding->route;
    answer_headers headers = { .count = 0 };
    add_position(&headers, pending, answer);
    add_etag(&headers, answer->version);
    if (route->location != NULL)
        add_location(&headers, pending);
    if (answer->kind == BT_ANSWER_REPEATED)
        add(&headers, "Idempotent-Replayed", BT_STR("true"));
    char storage[2048];
    bt_buf body;
    bool small = answer->body.size + 2 <= sizeof storage;
    if (small)
        bt_buf_init_fixed(&body, storage, sizeof storage);
    else
        bt_buf_init(&body, ANSWER_BODY_MAX);
    bt_buf_byte(&body, '{');
    bt_buf_str(&body, answer->body);
    bt_buf_byte(&body, '}');
    int status = answer->kind == BT_ANSWER_ALREADY ? 200 : route->status;
    bt_http_respond(pending->request, &(bt_http_response){ .status = status, .headers = headers.at, .header_count = headers.count, .body = bt_buf_view(&body) });
    if (!small)
        bt_buf_release(&body);
}

static const bt_verdict_info *info_of(const bt_decider *decider, int32_t verdict, size_t *ret_row)
{
    for (size_t i = 0; i < decider->verdict_count; i++)
        if (decider->verdicts[i].verdict == verdict) {
            *ret_row = i;
            return &decider->verdicts[i];
        }
    bt_assert(!"a verdict without a row in its kind's table");
    return NULL;
}

static void refuse(bt_pending *pending, const bt_problem *shape, int32_t verdict, const answer_headers *headers)
{
    const bt_intake *intake = pending->binding->intake;
    size_t row;
    const bt_verdict_info *info = info_of(intake->kind->decider, verdict, &row);
    bt_counter_inc(intake->verdicts[row]);
    bt_problem_type type = { .slug = info->type, .status = info->http_status, .title = info->title, .remedy = info->remedy };
    bt_problem problem = *shape;
    problem.type = &type;
    problem.headers = headers->at;
    problem.header_count = headers->count;
    bt_http_problem(pending->request, &problem);
}

void bt_refusal_respond(bt_pending *pending, int32_t verdict, bt_str detail, bt_str field, bt_str members)
{
    answer_headers none = { .count = 0 };
    refuse(pending, &(bt_problem){ .detail = detail, .field = field, .members = members }, verdict, &none);
}

static void respond_refused(bt_pending *pending, const bt_answer *answer)
{
    answer_headers headers = { .count = 0 };
    add_position(&headers, pending, answer);
    refuse(pending, &(bt_problem){ .detail = answer->detail, .field = answer->field, .members = answer->members }, answer->verdict, &headers);
}

void bt_answer_unavailable(bt_pending *pending, bool not_applied)
{
    bt_str detail = not_applied ? BT_STR("Nothing was done. Repeat with the same Idempotency-Key.")
                                        : BT_STR("It is not known yet whether it was done. Repeat with the same Idempotency-Key: it is done once at most.");
    bt_http_problem(pending->request, &(bt_problem){ .type = &bt_problem_unavailable, .detail = detail, .retry_after_s = 1,
        .members = not_applied ? BT_STR("\"applied\":false") : BT_STR("\"applied\":\"unknown\"") });
}

static const bt_problem_type stream_stopped = { "stream-stopped", 503, "This stream has an event that this release does not understand", "Ask the operator to finish the upgrade." };
static const bt_problem_type event_too_large = { "event-too-large", 500, "The event would be larger than the log takes", "Ask for less in one command." };

void bt_answer_respond(bt_submission *submission, const bt_answer *answer)
{
    bt_pending *pending = (bt_pending *)submission;
    const bt_intake *intake = pending->binding->intake;
    switch (answer->kind) {
    case BT_ANSWER_ACCEPTED:
    case BT_ANSWER_ALREADY:
    case BT_ANSWER_REPEATED:
        bt_counter_inc(answer->kind == BT_ANSWER_ALREADY ? intake->already : answer->kind == BT_ANSWER_REPEATED ? intake->repeated : intake->accepted);
        respond_done(pending, answer);
        return;
    case BT_ANSWER_REFUSED:
        respond_refused(pending, answer);
        return;
    case BT_ANSWER_KEY_REUSED:
        bt_http_problem(pending->request, &(bt_problem){ .type = &bt_problem_key_reused, .field = BT_STR("Idempotency-Key") });
        return;
    case BT_ANSWER_UNAVAILABLE:
        bt_answer_unavailable(pending, answer->not_applied && !pending->passed.may_be_applied);
        return;
    case BT_ANSWER_NOT_OWNER:
        bt_pass_on(pending, !answer->not_applied);
        return;
    case BT_ANSWER_STREAM_STOPPED:
        bt_http_problem(pending->request, &(bt_problem){ .type = &stream_stopped, .retry_after_s = 10 });
        return;
    case BT_ANSWER_TOO_LARGE:
        bt_http_problem(pending->request, &(bt_problem){ .type = &event_too_large });
        return;
    }
}
