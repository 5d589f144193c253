/* passing - a command's way to whoever decides on its partition: this node's own thread, or another node by the forwarder. */
#include "commands/http/answers.h"
#include "io/http/problem.h"

#include <strings.h>

static bt_pending *pending_of(bt_forward_item *item) { return (bt_pending *)((char *)item - offsetof(bt_pending, passed)); }

static void respond_overloaded(bt_pending *pending)
{
    const char *why = bt_node_is_short_of_memory(pending->binding->intake->node) ? "This server is short of memory." : "As many commands are waiting as this server takes.";
    const char *then = pending->passed.may_be_applied ? "Repeat with the same Idempotency-Key: it is done once at most." : "Nothing was done; repeat with the same key.";
    bt_http_problem(pending->request, &(bt_problem){ .type = &bt_problem_overloaded, .retry_after_s = 1,
        .detail = bt_arena_printf(pending->request->arena, "%s %s", why, then) });
}

/* It has come over another node already: to pass it on once more could go round in a circle. */
static void respond_not_mine(bt_pending *pending)
{
    bt_whereabouts where;
    bt_directory_get(pending->binding->intake->directory, pending->passed.partition, &where);
    bt_http_pair owner = { BT_STR(BT_OWNER_HEADER), where.node[0] != '\0' ? bt_str_of(where.node) : BT_STR("-") };
    bt_http_problem(pending->request, &(bt_problem){ .type = &bt_problem_unavailable, .retry_after_s = 1, .headers = &owner, .header_count = 1,
        .members = pending->passed.may_be_applied ? BT_STR(BT_APPLIED_UNKNOWN) : BT_STR("\"applied\":false"),
        .detail = BT_STR("This node does not decide on the stream's partition, and the request has come over another node already.") });
}

static void submit(bt_pending *pending)
{
    if (!bt_node_submit(pending->binding->intake->node, &pending->submission))
        respond_overloaded(pending);
}

static bool came_over_another(const bt_pending *pending)
{
    bt_str node;
    return bt_http_header(pending->request, BT_HOP_HEADER, &node);
}

void bt_pass_to_owner(bt_pending *pending)
{
    const bt_intake *intake = pending->binding->intake;
    bt_whereabouts where;
    pending->submission.partition = pending->passed.partition = bt_partition_of(pending->submission.command.stream, intake->partition_count);
    pending->passed.request = pending->request;
    if (bt_directory_where(intake->directory, pending->passed.partition) == BT_WHERE_HERE) {
        submit(pending);
        return;
    }
    if (!came_over_another(pending)) {
        bt_pass_on(pending, false);
        return;
    }
    bt_directory_get(intake->directory, pending->passed.partition, &where);
    if (where.takes)
        submit(pending);
    else
        respond_not_mine(pending);
}

void bt_pass_on(bt_pending *pending, bool may_be_applied)
{
    pending->passed.may_be_applied |= may_be_applied;
    if (came_over_another(pending))
        respond_not_mine(pending);
    else if (!bt_forward_take(pending->binding->intake->forwarder, &pending->passed))
        respond_overloaded(pending);
}

/* ---- the forwarder's outputs ---- */

/* What the front writes itself, or what is of one connection only. */
static bool is_of_the_connection(bt_str name)
{
    static const char *const names[] = { "Content-Length", "Content-Type", "Connection", "Keep-Alive", "Transfer-Encoding", "X-Request-Id", "Date", "Server" };
    for (size_t i = 0; i < BT_COUNT_OF(names); i++)
        if (name.size == strlen(names[i]) && strncasecmp(name.at, names[i], name.size) == 0)
            return true;
    return false;
}

void bt_passing_answered(void *context, bt_forward_item *item, const bt_http_answer *answer)
{
    (void)context;
    bt_pending *pending = pending_of(item);
    if (answer->status >= 500 && item->may_be_applied) { /* it speaks for its own attempt; an earlier one may have been another node's */
        bt_answer_unavailable(pending, false);
        return;
    }
    bt_str type;
    bt_http_pair headers[BT_HTTP_HEADERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < answer->header_count; i++)
        if (!is_of_the_connection(answer->headers[i].name))
            headers[count++] = answer->headers[i];
    const char *content_type = NULL;
    if (bt_http_answer_header(answer, "Content-Type", &type))
        content_type = bt_arena_printf(pending->request->arena, BT_STR_FMT, BT_STR_ARG(type)).at;
    bt_http_respond(pending->request, &(bt_http_response){ .status = answer->status, .content_type = content_type, .headers = headers, .header_count = count, .body = answer->body });
}

void bt_passing_here(void *context, bt_forward_item *item)
{
    (void)context;
    submit(pending_of(item));
}

void bt_passing_given_up(void *context, bt_forward_item *item)
{
    (void)context;
    bt_answer_unavailable(pending_of(item), !item->may_be_applied);
}

void bt_passing_disowned(void *context, int32_t partition) { bt_node_disowned(((bt_intake *)context)->node, partition); }
