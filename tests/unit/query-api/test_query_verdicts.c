/* The table verdict → status → type of the OpenAPI document is the decider's own: neither has a row that the other has not. */
#include "commands/trip/trip.h"
#include "query-api/server/json_text.h"
#include "tests/unit/test.h"

extern const char qa_openapi_verdicts[];

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_table_of_verdicts__in_the_document__is_the_deciders) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
