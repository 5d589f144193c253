/* What the OpenAPI document says of the commands server is so: the table verdict → status → type is the decider's own, and its POST paths
 * are that server's routes with their bodies. Neither has a row that the other has not. */
#include "commands/http/routes.h"
#include "commands/trip/trip.h"
#include "query-api/server/json_text.h"
#include "tests/unit/test.h"

#include <stdio.h>

extern const char qa_openapi_verdicts[], qa_openapi_commands[];

static bool row_equals(bt_str row, const bt_verdict_info *info)
{
    bt_str status = BT_STR(""), code = BT_STR(""), type = BT_STR(""), title = BT_STR(""), remedy = BT_STR("");
    bool whole = qa_json_member(row, "status", &status) && qa_json_member(row, "code", &code) && qa_json_member(row, "type", &type) && qa_json_member(row, "title", &title) &&
                 qa_json_member(row, "remedy", &remedy);
    bt_str inside = qa_json_inside(type), prefix = BT_STR("urn:berth:problem:");
    return whole && qa_json_number(status, 0) == info->http_status && bt_str_is(qa_json_inside(code), info->type) && inside.size > prefix.size &&
           bt_str_equal((bt_str){ inside.at, prefix.size }, prefix) && bt_str_is((bt_str){ inside.at + prefix.size, inside.size - prefix.size }, info->type) &&
           bt_str_is(qa_json_inside(title), info->title) && bt_str_is(qa_json_inside(remedy), info->remedy);
}

static void the_table_of_verdicts__in_the_document__is_the_deciders(void **unused)
{
    size_t count = 0;
    qa_json_walk walk = qa_json_begin(bt_str_of(qa_openapi_verdicts));
    for (bt_str key, row; qa_json_next(&walk, &key, &row); count++) {
        if (count >= trip_decider.verdict_count || !row_equals(row, &trip_decider.verdicts[count]))
            fail_msg("row %zu differs: %.*s", count, BT_STR_ARG(row));
    }
    assert_int_equal(count, trip_decider.verdict_count);
}

static bool has(bt_str text, const char *piece) { return memmem(text.at, text.size, piece, strlen(piece)) != NULL; }

static void every_route__of_the_commands_server__is_in_the_document_with_its_body_and_status(void **unused)
{
    bt_str paths = BT_STR(""), key, value;
    assert_true(qa_json_member(bt_str_of(qa_openapi_commands), "paths", &paths));
    for (size_t i = 0; i < bt_trip_routes.route_count; i++) {
        const bt_command_route *route = &bt_trip_routes.routes[i];
        bt_str operations = BT_STR(""), post = BT_STR(""), responses = BT_STR("");
        char body[128], status[8];
        snprintf(body, sizeof body, "\"#/components/schemas/%s\"", route->command->record->name);
        snprintf(status, sizeof status, "%d", route->status);
        if (!qa_json_member(paths, route->pattern, &operations) || !qa_json_member(operations, "post", &post) || !qa_json_member(post, "responses", &responses) ||
            !has(post, body) || !qa_json_member(responses, status, &value))
            fail_msg("%s is not in the document, or with another body or status", route->pattern);
    }
    size_t count = 0;
    qa_json_walk walk = qa_json_begin(paths);
    while (qa_json_next(&walk, &key, &value))
        count++;
    assert_int_equal(count, bt_trip_routes.route_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_verdicts__in_the_document__is_the_deciders),
        cmocka_unit_test(every_route__of_the_commands_server__is_in_the_document_with_its_body_and_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
