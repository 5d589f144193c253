/* follow - a partition that is another's: its log is folded, its owner known, and it is taken over with little left to read; and an
 * owner whose partition is wanted by another gives way. */
#include "tests/unit/owner/stage.h"

#include "schemas/log.h"

#define THEN_ANSWERED(call, expected) (assert_true((call)->answer.given), assert_int_equal((call)->answer.kind, (expected)))
#define THEN_PHASE(stage, expected) assert_int_equal(bt_owner_phase_of((stage)->owner), (expected))

static int given_a_log_of_another(void **state)
{
    stage *self = *state = stage_new();
    stage_own(self);
    stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_settle(self);
    stage_foreign_takeover(self);
    stage_renew(self);
    return 0;
}

static int end_of_stage(void **state)
{
    stage_free(*state);
    return 0;
}

static void a_follower__knows_the_owner__and_decides_nothing(void **state)
{
    stage *self = *state;
    bt_str node, address;
    bt_owner_on_follow(self->owner, true, self->now_us);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_FOLLOWING);
    assert_true(stage_stats(self).caught_up);
    bt_owner_routed_to(self->owner, &node, &address);
    assert_true(bt_str_is(node, "n2") && bt_str_is(address, "127.0.0.1:2"));
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    stage_decide(self);
    THEN_ANSWERED(call, BT_ANSWER_NOT_OWNER);
    assert_true(call->answer.not_applied);
    assert_int_equal(self->append_count, 0);
    assert_int_equal(bt_owner_next_tick_us(self->owner), INT64_MAX);
}

static void a_follower_that_is_assigned__reads_one_record_again__and_knows_all_keys(void **state)
{
    stage *self = *state;
    bt_owner_on_follow(self->owner, true, self->now_us);
    stage_settle(self);
    bt_owner_on_assigned(self->owner, self->now_us);
    assert_int_equal(self->read_from, (int64_t)self->log_count - 1); /* the head alone: is it still there? */
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
    stage_call *again = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_settle(self);
    stage_pass(self, 2000);
    stage_settle(self);
    THEN_ANSWERED(again, BT_ANSWER_REPEATED);
}

static void a_follower_without_state__knows_owner_and_head__and_holds_nothing(void **state)
{
    stage *self = *state;
    bt_str node, address;
    bt_buf saved;
    bt_buf_init(&saved, 1 << 20);
    bt_owner_on_follow(self->owner, false, self->now_us);
    stage_settle(self);
    bt_owner_routed_to(self->owner, &node, &address);
    assert_true(bt_str_is(node, "n2"));
    assert_true(bt_id_equal(stage_stats(self).proved.head, stage_log_head(self)));
    assert_int_equal(stage_stats(self).stream_count + stage_stats(self).key_count, 0);
    assert_false(bt_owner_has_state(self->owner));
    assert_false(bt_owner_save(self->owner, &saved, NULL));
    bt_buf_release(&saved);
}

static void a_follower__of_a_log_that_lost_its_end__raises_the_alarm(void **state)
{
    stage *self = *state;
    bt_owner_on_follow(self->owner, true, self->now_us);
    stage_settle(self);
    self->delivered = (int64_t)--self->log_count;
    bt_owner_on_follow(self->owner, true, self->now_us); /* as the driver does when its reader finds its place gone */
    for (int i = 0; i < 40; i++) {
        stage_answer_end(self);
        stage_pass(self, 1000000);
    }
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    assert_string_equal(self->alarm, "log.lost");
}

/* With every read the reader finds its place gone once more, sooner than the end is told often enough to be believed. */
static void a_log_that_lost_its_end__whose_reader_breaks_again_and_again__raises_the_alarm_all_the_same(void **state)
{
    stage *self = *state;
    bt_owner_on_follow(self->owner, true, self->now_us);
    stage_settle(self);
    self->delivered = (int64_t)--self->log_count;
    for (int i = 0; i < 40; i++) {
        bt_owner_on_unreadable(self->owner, self->now_us);
        stage_answer_end(self);
        stage_pass(self, 1000000);
        if (i == 3)
            bt_owner_on_assigned(self->owner, self->now_us); /* by a group that knows nothing of it */
    }
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    assert_string_equal(self->alarm, "log.lost");
}

static void a_reader_that_breaks_while_the_end_is_asked_for__reads_again_a_second_later(void **state)
{
    stage *self = *state;
    bt_owner_on_assigned(self->owner, self->now_us);
    bt_owner_on_unreadable(self->owner, self->now_us);
    self->read_from = -1;
    stage_pass(self, 500000);
    assert_int_equal(self->read_from, -1);
    stage_pass(self, 500000);
    assert_int_equal(self->read_from, 0);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
}

/* Another's takeover that came second: true in what it claims, and void. */
static void knock(stage *self)
{
    bt_forward forward = stage_fold(self);
    struct log_owner_took_over event = { .node = BT_STR("n2"), .address = BT_STR("127.0.0.1:2"), .proved_offset = forward.next_offset,
        .proved_height = forward.height, .proved_head = forward.head };
    event.nonce.at[0] = (uint8_t)self->log_count;
    stage_foreign(self, (bt_id){ { 9 } }, 9, BT_STR("@log"), (bt_event){ &log_owner_took_over_message, &event });
    stage_deliver(self);
}

static void an_owner_whose_partition_is_wanted__holds_back_for_a_while__and_then_yields_with_what_waits(void **state)
{
    stage *self = *state;
    stage_own(self);
    knock(self);
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    size_t appended = self->append_count;
    stage_pass(self, 100000);
    assert_int_equal(self->append_count, appended);
    assert_false(call->answer.given);
    stage_foreign_takeover(self);
    stage_deliver(self);
    THEN_PHASE(self, BT_OWNER_YIELDED);
    THEN_ANSWERED(call, BT_ANSWER_NOT_OWNER);
    assert_true(call->answer.not_applied);
}

static void an_owner_that_gave_way_for_nothing__goes_on__and_gives_way_again_after_a_second_only(void **state)
{
    stage *self = *state;
    stage_own(self);
    knock(self);
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    assert_true(bt_owner_next_tick_us(self->owner) <= self->now_us + 250000);
    stage_pass(self, 250000);
    stage_settle(self);
    THEN_ANSWERED(call, BT_ANSWER_ACCEPTED);
    knock(self);
    stage_call *next = stage_call_now(self, TOY_HOLD, "t", 3, "k3");
    stage_settle(self);
    THEN_ANSWERED(next, BT_ANSWER_ACCEPTED);
    assert_int_equal(stage_stats(self).gave_way, 1);
}

#define OF_ANOTHER(name) cmocka_unit_test_setup_teardown(name, given_a_log_of_another, end_of_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_ANOTHER(a_follower__knows_the_owner__and_decides_nothing),
        OF_ANOTHER(a_follower_that_is_assigned__reads_one_record_again__and_knows_all_keys),
        OF_ANOTHER(a_follower_without_state__knows_owner_and_head__and_holds_nothing),
        OF_ANOTHER(a_follower__of_a_log_that_lost_its_end__raises_the_alarm),
        OF_ANOTHER(a_log_that_lost_its_end__whose_reader_breaks_again_and_again__raises_the_alarm_all_the_same),
        OF_ANOTHER(a_reader_that_breaks_while_the_end_is_asked_for__reads_again_a_second_later),
        OF_ANOTHER(an_owner_whose_partition_is_wanted__holds_back_for_a_while__and_then_yields_with_what_waits),
        OF_ANOTHER(an_owner_that_gave_way_for_nothing__goes_on__and_gives_way_again_after_a_second_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
