/* io/trouble: what is told, how often, and that it is over when it is over. */
#include "tests/unit/test.h"

#include "io/trouble/trouble.h"

static void trouble__that_is_met_again__is_told_once_and_shown_until_it_is_over(void **unused)
{
    char text[BT_TROUBLE_MAX];
    assert_false(bt_trouble_get(BT_TROUBLE_KAFKA, text));
    assert_true(bt_trouble_note(BT_TROUBLE_KAFKA, "wrong password; check kafka.sasl.password"));
    assert_false(bt_trouble_note(BT_TROUBLE_KAFKA, "wrong password; check kafka.sasl.password"));
    assert_true(bt_trouble_get(BT_TROUBLE_KAFKA, text));
    assert_string_equal(text, "wrong password; check kafka.sasl.password");
    assert_false(bt_trouble_get(BT_TROUBLE_REDIS, text));
    assert_string_equal(text, "");
    bt_trouble_over(BT_TROUBLE_KAFKA);
    assert_false(bt_trouble_get(BT_TROUBLE_KAFKA, text));
}

static void trouble__of_another_kind__is_told_at_once(void **unused)
{
    char text[BT_TROUBLE_MAX], huge[3 * BT_TROUBLE_MAX];
    assert_true(bt_trouble_note(BT_TROUBLE_POSTGRES, "a"));
    assert_true(bt_trouble_note(BT_TROUBLE_POSTGRES, "b"));
    memset(huge, 'x', sizeof huge);
    huge[sizeof huge - 1] = 0;
    assert_true(bt_trouble_note(BT_TROUBLE_POSTGRES, huge));
    assert_false(bt_trouble_note(BT_TROUBLE_POSTGRES, huge));
    assert_true(bt_trouble_get(BT_TROUBLE_POSTGRES, text));
    assert_int_equal(strlen(text), BT_TROUBLE_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trouble__that_is_met_again__is_told_once_and_shown_until_it_is_over),
        cmocka_unit_test(trouble__of_another_kind__is_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
