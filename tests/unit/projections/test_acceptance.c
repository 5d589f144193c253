/* What a stopped partition makes of its log: which acceptance lets it forget, or go on from where it is, and which says nothing to it. */
#include "projections/loop/acceptance.h"
#include "schemas/log.h"
#include "tests/support/history.h"
#include "tests/unit/test.h"

#define LOST 20

static history before, now; /* the log as it was read, and as it is: without its last LOST records or so, and then going on */
static int64_t cut_at;
static bt_acceptance acceptance;

static int given_a_log_that_lost_its_end(void **unused)
{
    history_options options = { .seed = 7, .trip_count = 3, .record_count = 120, .void_percent = 20, .partition = 2, .partition_count = 4 };
    history_init(&before, &options);
    history_init(&now, &options);
    bt_forward at = { 0 };
    for (now.record_count = 0; now.record_count + LOST < before.record_count; now.record_count++)
        bt_forward_step(&at, &now.records[now.record_count], NULL);
    now.forward = at;
    cut_at = (int64_t)now.record_count;
    return 0;
}

static int drop_logs(void **unused)
{
    history_release(&before);
    history_release(&now);
    return 0;
}

/* The position after the first `count` records. */
static bt_position position_in(const history *log, size_t count)
{
    bt_position position = BT_POSITION_START;
    for (size_t i = 0; i < count; i++)
        if (bt_forward_step(&position.forward, &log->records[i], NULL) == BT_FORWARD_VALID)
            position.head_offset = log->records[i].offset;
    return position;
}

static bt_position all_of_it(void) { return position_in(&before, before.record_count); }
static int64_t end_of_it(void) { return (int64_t)before.record_count; }
static int64_t later(void) { return before.forward.time_us + 1; }

static void given_stopped_at(bt_position stored, bt_loss claim, bt_loss used) { bt_acceptance_begin(&acceptance, &stored, &claim, &used); }

static void given_accepted(int64_t from, int64_t to, int64_t time_us)
{
    struct log_loss_accepted event = { .meta = { .version = 5, .time = time_us, .actor = BT_STR("operator") }, .reason = BT_STR("the disks burnt"), .lost_from = from, .lost_to = to };
    history_append_event(&now, BT_STR(BT_LOG_KEY), (bt_event){ &log_loss_accepted_message, &event });
}

/* The first verdict that is none of NONE, or NONE at the end. */
static bt_acceptance_verdict when_searched(void)
{
    for (size_t i = 0; i < now.record_count; i++) {
        bt_acceptance_verdict verdict = bt_acceptance_step(&acceptance, &now.records[i]);
        if (verdict != BT_ACCEPTANCE_NONE)
            return verdict;
    }
    assert_int_equal(bt_acceptance_wants(&acceptance), now.record_count);
    return BT_ACCEPTANCE_NONE;
}

static const bt_loss nothing = { 0 };

static void acceptance__of_all_that_is_stored_and_lost__lets_it_be_forgotten(void **unused)
{
    given_stopped_at(all_of_it(), nothing, nothing);
    given_accepted(cut_at, end_of_it(), later());
    assert_int_equal(when_searched(), BT_ACCEPTANCE_FORGET);
    assert_int_equal(acceptance.loss.from, cut_at);
    assert_int_equal(acceptance.loss.to, end_of_it());
}

static void acceptance__of_less_than_is_stored__says_nothing_and_a_later_one_does(void **unused)
{
    given_stopped_at(all_of_it(), nothing, nothing);
    given_accepted(cut_at, end_of_it() - 1, later());
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
    given_accepted(cut_at, end_of_it(), later());
    assert_int_equal(when_searched(), BT_ACCEPTANCE_FORGET); /* what was read already is passed over */
    assert_int_equal(acceptance.loss.to, end_of_it());
}

static void acceptance__that_is_not_later_than_what_is_stored__says_nothing(void **unused)
{
    given_stopped_at(all_of_it(), nothing, nothing);
    given_accepted(cut_at, end_of_it(), before.forward.time_us);
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
}

static void acceptance__that_led_here_already__says_nothing(void **unused)
{
    given_stopped_at(all_of_it(), nothing, (bt_loss){ cut_at, end_of_it(), later() });
    given_accepted(cut_at, end_of_it(), later());
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
    given_accepted(cut_at, end_of_it(), later() + 1);
    assert_int_equal(when_searched(), BT_ACCEPTANCE_FORGET);
}

static void acceptance__that_is_void__says_nothing(void **unused)
{
    given_stopped_at(all_of_it(), nothing, nothing);
    given_accepted(cut_at, end_of_it(), later());
    now.record_count--; /* its bytes again, where its parent is not the head any more */
    bt_record accepted = now.records[now.record_count];
    now.forward = position_in(&now, now.record_count).forward;
    given_accepted(0, 1, later());
    history_append(&now, accepted.key, accepted.value, false);
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
}

static void acceptance__with_another_key_or_cut_short__says_nothing(void **unused)
{
    given_stopped_at(all_of_it(), nothing, nothing);
    given_accepted(cut_at, end_of_it(), later());
    bt_record accepted = now.records[--now.record_count];
    now.forward = position_in(&now, now.record_count).forward;
    history_append(&now, BT_STR("t0"), accepted.value, true);
    history_append(&now, BT_STR(BT_LOG_KEY), (bt_bytes){ accepted.value.at, accepted.value.size - 3 }, true);
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
}

static void acceptance__behind_a_loss_that_it_does_not_name__says_nothing_to_who_knows_better(void **unused)
{
    bt_position stored = all_of_it(), deeper = position_in(&before, (size_t)cut_at);
    given_stopped_at(stored, nothing, nothing);
    bt_loss_known known = { deeper.head_offset, deeper.forward.head };
    known.id.at[0] ^= 1; /* another record stands there than was read */
    bt_loss_search_knows(&acceptance.search, &known, 1);
    given_accepted(cut_at, end_of_it(), later());
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
    given_accepted(deeper.head_offset, end_of_it(), later());
    assert_int_equal(when_searched(), BT_ACCEPTANCE_FORGET);
}

static void what_is_stored__when_only_an_owners_claim_contradicted_it__is_gone_on_from(void **unused)
{
    bt_loss claim = { .to = end_of_it(), .time_us = before.forward.time_us };
    given_stopped_at(position_in(&now, (size_t)cut_at - 5), claim, nothing);
    given_accepted(cut_at, end_of_it(), later());
    assert_int_equal(when_searched(), BT_ACCEPTANCE_RESUME);
}

static void what_is_stored__when_the_claim_was_not_given_up__stays_stopped(void **unused)
{
    bt_position stored = position_in(&now, (size_t)cut_at - 5);
    given_accepted(cut_at, end_of_it(), later());
    given_stopped_at(stored, (bt_loss){ .to = end_of_it() + 1, .time_us = before.forward.time_us }, nothing); /* farther */
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
    given_stopped_at(stored, (bt_loss){ .to = end_of_it(), .time_us = later() }, nothing); /* made since */
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
    given_stopped_at(stored, nothing, nothing); /* it was stopped by something else */
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
}

static void what_is_stored__when_its_head_is_gone_below_what_was_given_up__stays_stopped(void **unused)
{
    bt_position stored = position_in(&now, (size_t)cut_at - 5);
    stored.forward.head.at[3] ^= 1;
    given_stopped_at(stored, (bt_loss){ .to = end_of_it(), .time_us = before.forward.time_us }, nothing);
    given_accepted(cut_at, end_of_it(), later());
    assert_int_equal(when_searched(), BT_ACCEPTANCE_NONE);
}

static void a_search__that_meets_a_jump__wants_the_missing_record_and_goes_on_with_it(void **unused)
{
    given_stopped_at(all_of_it(), nothing, nothing);
    given_accepted(cut_at, end_of_it(), later());
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(bt_acceptance_step(&acceptance, &now.records[i]), BT_ACCEPTANCE_NONE);
    assert_int_equal(bt_acceptance_step(&acceptance, &now.records[12]), BT_ACCEPTANCE_AGAIN);
    assert_int_equal(bt_acceptance_wants(&acceptance), 10);
    assert_int_equal(when_searched(), BT_ACCEPTANCE_FORGET);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, given_a_log_that_lost_its_end, drop_logs)
    const struct CMUnitTest tests[] = {
        TEST(acceptance__of_all_that_is_stored_and_lost__lets_it_be_forgotten),
        TEST(acceptance__of_less_than_is_stored__says_nothing_and_a_later_one_does),
        TEST(acceptance__that_is_not_later_than_what_is_stored__says_nothing),
        TEST(acceptance__that_led_here_already__says_nothing),
        TEST(acceptance__that_is_void__says_nothing),
        TEST(acceptance__with_another_key_or_cut_short__says_nothing),
        TEST(acceptance__behind_a_loss_that_it_does_not_name__says_nothing_to_who_knows_better),
        TEST(what_is_stored__when_only_an_owners_claim_contradicted_it__is_gone_on_from),
        TEST(what_is_stored__when_the_claim_was_not_given_up__stays_stopped),
        TEST(what_is_stored__when_its_head_is_gone_below_what_was_given_up__stays_stopped),
        TEST(a_search__that_meets_a_jump__wants_the_missing_record_and_goes_on_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
