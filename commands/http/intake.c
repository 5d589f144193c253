/* intake - what of a command can be judged without state is judged here. */
#include "commands/http/intake.h"

#include "commands/http/answers.h"
#include "core/digest.h"
#include "io/http/problem.h"
#include "io/json/json.h"

/* Reads the Idempotency-Key: a structured-field string in quotes, or bare. */
static bool take_key(bt_http_request *request, bt_str *ret_key)
{
    bt_str key;
    if (!bt_http_header(request, "Idempotency-Key", &key)) {
        bt_http_problem(request, &(bt_problem){ .type = &bt_problem_missing_key, .field = BT_STR("Idempotency-Key") });
        return false;
    }
    if (key.size >= 2 && key.at[0] == '"' && key.at[key.size - 1] == '"')
        key = (bt_str){ key.at + 1, key.size - 2 };
    bool good = key.size >= 1 && key.size <= BT_KEY_MAX && bt_http_header_times(request, "Idempotency-Key") == 1;
    for (size_t i = 0; i < key.size && good; i++)
        good = key.at[i] > ' ' && key.at[i] < 0x7f && key.at[i] != '"';
    if (!good) {
        bt_http_problem(request, &(bt_problem){ .type = &bt_problem_bad_key, .field = BT_STR("Idempotency-Key"),
            .detail = BT_STR("Exactly one key of 1 to 255 printable ASCII characters without blanks is needed.") });
        return false;
    }
    *ret_key = key;
    return true;
}

/* Who asks, until there are accounts: an opaque id that the gateway may set. It scopes keys. */
static bool take_actor(bt_http_request *request, bt_str *ret_actor)
{
    *ret_actor = BT_STR("anonymous");
    if (!bt_http_header(request, "Berth-Actor", ret_actor))
        return true;
    if (bt_name_is_valid(*ret_actor) && bt_http_header_times(request, "Berth-Actor") == 1) /* of two, one may be a client's own, before a gateway's */
        return true;
    bt_http_problem(request, &(bt_problem){ .type = &bt_problem_bad_request, .field = BT_STR("Berth-Actor"), .detail = BT_STR("Exactly one id of 1 to 80 of A-Z a-z 0-9 . _ ~ -") });
    return false;
}

/* If-Match: "12", the version of the stream that the client has seen; * matches anything that exists. */
static bool take_if_match(bt_http_request *request, bt_command *command)
{
    bt_str text;
    if (!bt_http_header(request, "If-Match", &text) || bt_str_is(text, "*"))
        return true;
    int64_t version = 0;
    bool good = text.size >= 3 && text.size <= 20 && text.at[0] == '"' && text.at[text.size - 1] == '"';
    for (size_t i = 1; good && i + 1 < text.size; i++) {
        good = text.at[i] >= '0' && text.at[i] <= '9';
        version = version * 10 + (text.at[i] - '0');
    }
    if (!good) {
        bt_http_problem(request, &(bt_problem){ .type = &bt_problem_bad_request, .field = BT_STR("If-Match"), .detail = BT_STR("It must be a version in quotes, as ETag gave it: \"12\".") });
        return false;
    }
    command->has_if_match = true;
    command->if_match = version;
    return true;
}

static bool take_body(bt_http_request *request, const bt_command_route *route, bt_command *command)
{
    const bt_record_type *type = route->command->record;
    bt_str body = request->body.size == 0 ? BT_STR("{}") : request->body;
    void *data = bt_arena_take(request->arena, type->struct_size);
    bt_err err = { 0 };
    bt_json_problem problem = { 0 };
    if (!bt_json_decode(type, body, request->arena, data, &problem, &err)) {
        const bt_problem_type *kind = problem.kind == BT_JSON_MALFORMED ? &bt_problem_malformed_json : problem.kind == BT_JSON_UNKNOWN_FIELD ? &bt_problem_unknown_field : &bt_problem_bad_value;
        bt_http_problem(request, &(bt_problem){ .type = kind, .detail = bt_str_of(problem.detail), .field = bt_str_of(problem.pointer) });
        return false;
    }
    command->type = route->command;
    command->data = data;
    return true;
}

/* The stream and target that the path names, or that the command makes. */
static bool take_ids(bt_http_request *request, const bt_intake_binding *binding, bt_str key, bt_command *command)
{
    const bt_command_route *route = binding->route;
    if (route->stream_param != NULL)
        command->stream = bt_http_param(request, route->stream_param);
    else
        command->stream = route->chosen_stream(command->data);
    if (route->stream_param == NULL && command->stream.size == 0) {
        bt_str parts[] = { BT_STR(""), command->actor, bt_str_of(route->command->record->name), BT_STR(""), key };
        char hex[BT_ID_HEX_SIZE];
        bt_id_to_hex(bt_digest_parts(parts, BT_COUNT_OF(parts)), hex);
        command->stream = bt_arena_printf(request->arena, "%s-%.*s", binding->intake->kind->id_prefix, BT_ID_HEX_SIZE, hex);
    }
    if (!bt_name_is_valid(command->stream)) {
        bool in_path = route->stream_param != NULL;
        bt_http_problem(request, &(bt_problem){ .type = in_path ? &bt_problem_not_found : &bt_problem_bad_value, .field = in_path ? bt_str_of(route->stream_param) : BT_STR("/trip"),
            .detail = BT_STR("An id is 1 to 80 of A-Z a-z 0-9 . _ ~ -") });
        return false;
    }
    if (route->target_param != NULL && !bt_id_from_hex(bt_http_param(request, route->target_param), &command->target)) {
        bt_http_problem(request, &(bt_problem){ .type = &bt_problem_not_found, .field = bt_str_of(route->target_param), .detail = BT_STR("No such id: these are 32 hex digits, as the answer gave them.") });
        return false;
    }
    return true;
}

/* The body's digest is of its canonical form, so that other white space or another order of members is the same body. */
static void digest(bt_str key, bt_command *command)
{
    bt_str type = bt_str_of(command->type->record->name), target = { (const char *)command->target.at, sizeof command->target.at };
    bt_str key_parts[] = { BT_STR(""), command->actor, type, command->stream, key };
    command->key_digest = bt_digest_parts(key_parts, BT_COUNT_OF(key_parts));
    bt_buf canonical;
    bt_buf_init(&canonical, (size_t)16 << 20);
    bt_record_to_json(command->type->record, command->data, NULL, &canonical);
    bt_str body_parts[] = { type, target, bt_buf_view(&canonical) };
    command->body_digest = bt_digest_parts(body_parts, BT_COUNT_OF(body_parts));
    bt_buf_release(&canonical);
}

static void take_command(bt_http_request *request)
{
    const bt_intake_binding *binding = request->route->context;
    bt_intake *intake = binding->intake;
    bt_pending *pending = bt_arena_take(request->arena, sizeof *pending);
    *pending = (bt_pending){ .request = request, .binding = binding, .submission.answered = bt_answer_respond };
    bt_command *command = &pending->submission.command;
    command->traceparent = request->traceparent;
    bt_str key;
    if (!take_key(request, &key) || !take_actor(request, &command->actor) || !take_if_match(request, command) || !take_body(request, binding->route, command) ||
        !take_ids(request, binding, key, command))
        return;
    digest(key, command);
    bt_decision refusal = { 0 };
    if (!intake->kind->decider->check(command, intake->decider_settings, request->arena, &refusal) ||
        (binding->route->exists != NULL && !binding->route->exists(command->data, &refusal))) {
        bt_refusal_respond(pending, refusal.verdict, refusal.detail, refusal.field, refusal.members);
        return;
    }
    bt_pass_to_owner(pending);
}

void bt_intake_init(bt_intake *intake, const bt_kind_routes *kind, const void *decider_settings, int32_t partition_count, bt_metrics *metrics)
{
    *intake = (bt_intake){ .kind = kind, .decider_settings = decider_settings, .partition_count = partition_count };
    intake->accepted = bt_metrics_counter(metrics, "berth_commands_total", "Commands by verdict", BT_LABELS({ "kind", kind->decider->kind }, { "verdict", "accepted" }));
    intake->already = bt_metrics_counter(metrics, "berth_commands_total", "Commands by verdict", BT_LABELS({ "kind", kind->decider->kind }, { "verdict", "already" }));
    intake->repeated = bt_metrics_counter(metrics, "berth_commands_total", "Commands by verdict", BT_LABELS({ "kind", kind->decider->kind }, { "verdict", "repeated" }));
    intake->verdicts = bt_alloc(kind->decider->verdict_count * sizeof intake->verdicts[0]);
    for (size_t i = 0; i < kind->decider->verdict_count; i++)
        intake->verdicts[i] = bt_metrics_counter(metrics, "berth_commands_total", "Commands by verdict", BT_LABELS({ "kind", kind->decider->kind }, { "verdict", kind->decider->verdicts[i].type }));
}

void bt_intake_release(bt_intake *intake) { bt_release(intake->verdicts); }

void bt_intake_routes(bt_intake *intake, bt_intake_binding *ret_bindings, bt_http_route *ret_routes)
{
    for (size_t i = 0; i < intake->kind->route_count; i++) {
        ret_bindings[i] = (bt_intake_binding){ intake, &intake->kind->routes[i] };
        ret_routes[i] = (bt_http_route){ .method = BT_HTTP_POST, .pattern = intake->kind->routes[i].pattern, .handler = take_command, .context = &ret_bindings[i] };
    }
}
