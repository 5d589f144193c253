/* Positions as clients send them: what is understood, and that nothing else is. */
#include "query-api/server/token.h"
#include "tests/unit/test.h"

#include <stdio.h>

static bool parses(const char *text, qa_token tokens[QA_TOKENS_MAX], size_t *count)
{
    bt_err err = { 0 };
    bool parsed = qa_tokens_parse(bt_str_of(text), tokens, count, &err);
    assert_int_equal(err.kind, parsed ? BT_OK : BT_ERR_INPUT);
    return parsed;
}

static void a_token__as_it_was_written__is_read_again(void **unused)
{
    bt_id id = { { 0x1a, 0x2b, 0x3c, 0x4d, 0x5e } };
    char text[QA_TOKEN_TEXT_MAX + 1];
    text[qa_token_write(BT_STR("trip"), 3, 1042, id, text)] = 0;
    assert_string_equal(text, "trip/3@1042-1a2b3c4d");
    qa_token tokens[QA_TOKENS_MAX];
    size_t count;
    assert_true(parses(text, tokens, &count));
    assert_int_equal(count, 1);
    assert_str(tokens[0].kind, "trip");
    assert_int_equal(tokens[0].partition, 3);
    assert_int_equal(tokens[0].offset, 1042);
    assert_memory_equal(tokens[0].id, id.at, QA_TOKEN_ID_SIZE);
}

static void several_tokens__with_commas_and_blanks__are_read_in_order(void **unused)
{
    qa_token tokens[QA_TOKENS_MAX];
    size_t count;
    assert_true(parses("trip/0@0-00000000,\ttrip/1023@9223372036854775806-ABCDEF01 , order/7@12-ffffffff", tokens, &count));
    assert_int_equal(count, 3);
    assert_int_equal(tokens[1].partition, 1023);
    assert_true(tokens[1].offset == INT64_MAX - 1);
    assert_int_equal(tokens[1].id[0], 0xab);
    assert_str(tokens[2].kind, "order");
}

static void what_is_no_token__in_any_place__is_refused(void **unused)
{
    static const char *const bad[] = { "", " ", ",", "trip", "trip/3", "trip/3@1", "trip/3@1-", "trip/3@1-1a2b3c4", "trip/3@1-1a2b3c4d5", "trip/3@1-1a2b3c4g", "trip/03@1-1a2b3c4d",
        "trip/3@01-1a2b3c4d", "trip/-1@1-1a2b3c4d", "trip/3@-1-1a2b3c4d", "trip/1024@1-1a2b3c4d", "trip/3@9223372036854775807-1a2b3c4d", "trip/3@99999999999999999999-1a2b3c4d",
        "/3@1-1a2b3c4d", "a b/3@1-1a2b3c4d", "trip/3@1-1a2b3c4d,", ",trip/3@1-1a2b3c4d", "trip/3@1-1a2b3c4d trip/3@1-1a2b3c4d", "trip/ 3@1-1a2b3c4d" };
    qa_token tokens[QA_TOKENS_MAX];
    size_t count = 77;
    for (size_t i = 0; i < BT_COUNT_OF(bad); i++)
        if (parses(bad[i], tokens, &count))
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(count, 77);
}

static void one_of_several_tokens__picked_by_its_partition__is_that_one(void **unused)
{
    bt_str tokens = BT_STR("trip/1@11-00000001,trip/11@1-0000000b,trip/12@1-0000000c");
    assert_str(qa_tokens_pick(tokens, 1), "trip/1@11-00000001");
    assert_str(qa_tokens_pick(tokens, 11), "trip/11@1-0000000b");
    assert_str(qa_tokens_pick(tokens, 12), "trip/12@1-0000000c");
    assert_str(qa_tokens_pick(tokens, 2), "");
    assert_true(bt_str_equal(qa_tokens_pick(tokens, -1), tokens));
    assert_str(qa_tokens_pick(BT_STR(""), 0), "");
    char many[32 * (QA_TOKENS_MAX + 1)] = "";
    for (int i = 0; i <= QA_TOKENS_MAX; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "%strip/%d@1-00112233", i > 0 ? "," : "", i);
    assert_str(qa_tokens_pick(bt_str_of(many), -1), "");
    assert_str(qa_tokens_pick(bt_str_of(many), QA_TOKENS_MAX), "trip/16@1-00112233");
}

static void tokens__over_the_limit__are_refused(void **unused)
{
    char text[32 * (QA_TOKENS_MAX + 1)] = "";
    for (int i = 0; i <= QA_TOKENS_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%strip/0@%d-00112233", i > 0 ? "," : "", i);
    qa_token tokens[QA_TOKENS_MAX];
    size_t count;
    assert_false(parses(text, tokens, &count));
    *strrchr(text, ',') = 0;
    assert_true(parses(text, tokens, &count));
    assert_int_equal(count, QA_TOKENS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token__as_it_was_written__is_read_again),
        cmocka_unit_test(several_tokens__with_commas_and_blanks__are_read_in_order),
        cmocka_unit_test(what_is_no_token__in_any_place__is_refused),
        cmocka_unit_test(one_of_several_tokens__picked_by_its_partition__is_that_one),
        cmocka_unit_test(tokens__over_the_limit__are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
