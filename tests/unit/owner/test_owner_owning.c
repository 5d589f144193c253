/* owning - the main path: decide, append, prove, answer; refusals that wait for a proof; keys; deadlines; batches. */
#include "tests/unit/owner/stage.h"

#include "schemas/log.h"

static int given_an_owner(void **state)
{
    *state = stage_new();
    stage_own(*state);
    return 0;
}

static int end_of_stage(void **state)
{
    stage_free(*state);
    return 0;
}

#define THEN_ANSWERED(call, expected) (assert_true((call)->answer.given), assert_int_equal((call)->answer.kind, (expected)))
#define THEN_WAITS(call) assert_false((call)->answer.given)

static void assigned__on_an_empty_log__opens_it_and_takes_over(void **state)
{
    stage *self = *state;
    assert_int_equal(self->log_count, 2);
    assert_int_equal(bt_record_schema_id(self->log[0].value), log_opened_message.schema_id);
    assert_int_equal(bt_record_schema_id(self->log[1].value), log_owner_took_over_message.schema_id);
    bt_str node, address;
    bt_owner_routed_to(self->owner, &node, &address);
    assert_str(node, "n1");
    assert_str(address, "127.0.0.1:1");
    assert_int_equal(stage_fold(self).height, 2);
}

static void a_lone_command__is_appended_at_once__and_answered_when_its_report_proves_it(void **state)
{
    stage *self = *state;
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    assert_int_equal(self->append_count, 2);
    stage_decide(self);
    assert_int_equal(self->append_count, 3);
    int64_t offset = stage_land(self, 2);
    THEN_WAITS(call);
    stage_report(self, 2, BT_APPEND_DONE, offset);
    THEN_ANSWERED(call, BT_ANSWER_ACCEPTED);
    assert_int_equal(call->answer.offset, offset);
    assert_int_equal(call->answer.version, 1);
    assert_non_null(strstr(call->answer.body, "\"SeatsHeld\""));
    stage_deliver(self);
    assert_int_equal(stage_stats(self).compared, 1);
    assert_int_equal(stage_stats(self).proofs_by_report, 1);
}

static void a_command__whose_report_is_lost__is_proved_by_reading(void **state)
{
    stage *self = *state;
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_land_all(self);
    THEN_WAITS(call);
    stage_deliver(self);
    THEN_ANSWERED(call, BT_ANSWER_ACCEPTED);
}

static void commands_that_arrive_while_a_batch_is_in_flight__are_the_next_batch(void **state)
{
    stage *self = *state;
    stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    for (int i = 2; i < 6; i++)
        stage_call_now(self, TOY_HOLD, "t", i, i == 2 ? "k2" : i == 3 ? "k3" : i == 4 ? "k4" : "k5");
    stage_decide(self);
    assert_int_equal(self->append_count, 3);
    stage_land_and_report_all(self);
    stage_decide(self);
    assert_int_equal(self->append_count, 7);
    stage_land_and_report_all(self);
    for (size_t i = 0; i < self->call_count; i++)
        THEN_ANSWERED(&self->calls[i], BT_ANSWER_ACCEPTED);
    assert_int_equal(stage_fold(self).void_count, 0);
}

/* Five clients that were answered together. */
static void given_a_crowd(stage *self)
{
    self->config.crowd_min = 4;
    self->config.gather_us = 1000;
    stage_renew(self);
    stage_own(self);
    const char *keys[] = { "k1", "k2", "k3", "k4", "k5" };
    for (int i = 0; i < 5; i++)
        stage_call_now(self, TOY_HOLD, "t", i, keys[i]);
    stage_decide(self);
    stage_land_and_report_all(self);
}

static void after_a_crowds_batch__the_first_command_waits_for_company(void **state)
{
    stage *self = *state;
    given_a_crowd(self);
    size_t before = self->append_count;
    stage_call_now(self, TOY_HOLD, "u", 0, "k6");
    stage_decide(self);
    assert_int_equal(self->append_count, before);
    assert_true(bt_owner_is_busy(self->owner));
    assert_int_equal(bt_owner_next_tick_us(self->owner), self->now_us + 1000);
    stage_call_now(self, TOY_HOLD, "u", 1, "k7");
    stage_pass(self, 999);
    assert_int_equal(self->append_count, before);
    stage_pass(self, 1);
    assert_int_equal(self->append_count, before + 2);
    assert_true(bt_owner_is_busy(self->owner));
    stage_land_and_report_all(self);
    assert_false(bt_owner_is_busy(self->owner));
    stage_call_now(self, TOY_HOLD, "u", 2, "k8"); /* two are no crowd */
    stage_decide(self);
    assert_int_equal(self->append_count, before + 3);
}

static void a_batch_that_gathers__goes_at_once_when_twice_as_many_have_come(void **state)
{
    stage *self = *state;
    given_a_crowd(self);
    size_t before = self->append_count;
    const char *keys[] = { "l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8", "l9" };
    for (int i = 0; i < 10; i++)
        stage_call_now(self, TOY_HOLD, i < 5 ? "u" : "v", i % 5, keys[i]);
    stage_decide(self);
    assert_int_equal(self->append_count, before + 10);
}

static void a_batch_that_gathers__goes_at_once_when_something_is_due(void **state)
{
    stage *self = *state;
    self->config.crowd_min = 2;
    self->config.gather_us = 60000000;
    stage_renew(self);
    stage_own(self);
    stage_call_now(self, TOY_HOLD, "t", 1, "k1")->order.ttl_us = 5000;
    stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    stage_decide(self);
    stage_land_and_report_all(self);
    size_t before = self->append_count;
    stage_call_now(self, TOY_HOLD, "t", 3, "k3");
    stage_pass(self, 4000);
    assert_int_equal(self->append_count, before);
    stage_pass(self, 1000);
    assert_int_equal(self->append_count, before + 2);
}

static void a_refusal__is_released_by_the_next_record_that_is_proved(void **state)
{
    stage *self = *state;
    stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_land_and_report_all(self);
    stage_call *refused = stage_call_now(self, TOY_HOLD, "t", 1, "k2");
    stage_decide(self);
    THEN_WAITS(refused);
    stage_call *other = stage_call_now(self, TOY_HOLD, "t", 2, "k3");
    stage_decide(self);
    THEN_WAITS(refused);
    stage_land_and_report_all(self);
    THEN_ANSWERED(other, BT_ANSWER_ACCEPTED);
    THEN_ANSWERED(refused, BT_ANSWER_REFUSED);
    assert_int_equal(refused->answer.verdict, TOY_TAKEN);
    assert_string_equal(refused->answer.detail, "seat 1 is taken");
    assert_int_equal(stage_stats(self).barriers, 0);
}

static void a_refusal__is_not_released_by_a_record_that_was_sent_before_it_came(void **state)
{
    stage *self = *state;
    self->config.batches_in_flight_max = 3;
    stage_renew(self);
    stage_own(self);
    size_t sent = self->append_count;
    stage_call *in_flight = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_call *refused = stage_call_now(self, TOY_HOLD, "t", 1, "k2");
    stage_decide(self);
    assert_int_equal(self->append_count, sent + 1);
    stage_land_and_report_all(self);
    THEN_ANSWERED(in_flight, BT_ANSWER_ACCEPTED);
    THEN_WAITS(refused);
}

static void a_lone_refusal__gets_a_barrier_after_2_ms__and_the_next_not_before_10_ms(void **state)
{
    stage *self = *state;
    stage_call *first = stage_call_now(self, TOY_RELEASE, "t", 1, "k1");
    stage_decide(self);
    stage_pass(self, 1900);
    assert_int_equal(self->append_count, 2);
    assert_int_equal(bt_owner_next_tick_us(self->owner), self->now_us + 100);
    stage_pass(self, 100);
    assert_int_equal(self->append_count, 3);
    stage_land_and_report_all(self);
    THEN_ANSWERED(first, BT_ANSWER_REFUSED);
    stage_call *second = stage_call_now(self, TOY_RELEASE, "t", 1, "k2");
    stage_call *third = stage_call_now(self, TOY_ENSURE_FREE, "t", 1, "k3");
    stage_decide(self);
    stage_pass(self, 9000);
    assert_int_equal(self->append_count, 3);
    stage_pass(self, 1000);
    assert_int_equal(self->append_count, 4);
    stage_land_and_report_all(self);
    THEN_ANSWERED(second, BT_ANSWER_REFUSED);
    THEN_ANSWERED(third, BT_ANSWER_ALREADY);
    assert_int_equal(stage_stats(self).barriers, 2);
}

static void a_repeat__of_a_proved_command__gets_the_same_body_from_the_log(void **state)
{
    stage *self = *state;
    stage_call *first = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_land_and_report_all(self);
    stage_call *again = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_answer_fetch(self);
    THEN_WAITS(again);
    stage_pass(self, 10000);
    stage_land_and_report_all(self);
    THEN_ANSWERED(again, BT_ANSWER_REPEATED);
    assert_string_equal(again->answer.body, first->answer.body);
    assert_int_equal(again->answer.offset, first->answer.offset);
    assert_int_equal(again->answer.version, 1);
}

static void fetches__asked_for_before_a_revocation__count_until_they_come_back(void **state)
{
    stage *self = *state;
    stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_land_and_report_all(self);
    for (int i = 0; i < BT_OWNER_FETCHES_MAX; i++)
        stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    assert_int_equal(self->fetches_asked, BT_OWNER_FETCHES_MAX);
    bt_owner_on_revoked(self->owner, self->now_us);
    stage_own(self); /* which answers one of them */
    for (int i = 0; i < 2; i++)
        stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    assert_int_equal(self->fetches_asked, BT_OWNER_FETCHES_MAX + 1);
}

static void a_repeat__while_the_first_is_in_flight__waits_and_gets_the_same_answer(void **state)
{
    stage *self = *state;
    stage_call *first = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_call *again = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_call *other_body = stage_call_now(self, TOY_HOLD, "t", 2, "k1");
    stage_decide(self);
    assert_int_equal(self->append_count, 3);
    stage_land_and_report_all(self);
    THEN_ANSWERED(first, BT_ANSWER_ACCEPTED);
    THEN_ANSWERED(again, BT_ANSWER_REPEATED);
    THEN_ANSWERED(other_body, BT_ANSWER_KEY_REUSED);
    assert_string_equal(again->answer.body, first->answer.body);
}

static void a_used_key__with_another_body__is_told_so(void **state)
{
    stage *self = *state;
    stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_land_and_report_all(self);
    stage_call *reused = stage_call_now(self, TOY_HOLD, "t", 2, "k1");
    stage_decide(self);
    stage_answer_fetch(self);
    stage_pass(self, 10000);
    stage_land_and_report_all(self);
    THEN_ANSWERED(reused, BT_ANSWER_KEY_REUSED);
}

static void a_key_past_the_horizon__is_new_again(void **state)
{
    stage *self = *state;
    stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_land_and_report_all(self);
    self->now_us += BT_OWNER_KEYS_TTL_US + 2000000;
    stage_call_now(self, TOY_RELEASE, "t", 1, "k2");
    stage_decide(self);
    stage_land_and_report_all(self);
    stage_call *again = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_land_and_report_all(self);
    THEN_ANSWERED(again, BT_ANSWER_ACCEPTED);
}

static void a_hold_that_is_due__expires_before_any_later_command(void **state)
{
    stage *self = *state;
    stage_call *first = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    first->order.ttl_us = 5000000;
    stage_decide(self);
    stage_land_and_report_all(self);
    assert_int_equal(bt_owner_next_tick_us(self->owner), self->now_us + 5000000);
    self->now_us += 5000000;
    stage_call *second = stage_call_now(self, TOY_HOLD, "t", 1, "k2");
    stage_decide(self);
    assert_int_equal(self->append_count, 5);
    stage_land_and_report_all(self);
    THEN_ANSWERED(second, BT_ANSWER_ACCEPTED);
    assert_int_equal(second->answer.version, 3);
    assert_int_equal(stage_stats(self).deadlines, 1);
}

static void an_event_over_its_ceiling__is_answered__and_nothing_is_sent(void **state)
{
    stage *self = *state;
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    call->order.padding_size = 2000;
    stage_decide(self);
    THEN_ANSWERED(call, BT_ANSWER_TOO_LARGE);
    assert_true(call->answer.not_applied);
    assert_int_equal(self->append_count, 2);
    assert_int_equal(stage_stats(self).stream_count, 0);
}

static void a_full_house__answers_unavailable_at_once(void **state)
{
    stage *self = stage_new();
    self->config.waiting_max = 2;
    stage_renew(self);
    stage_own(self);
    stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    stage_call *third = stage_call_now(self, TOY_HOLD, "t", 3, "k3");
    THEN_ANSWERED(third, BT_ANSWER_UNAVAILABLE);
    assert_true(third->answer.not_applied);
    stage_free(self);
    (void)state;
}

static void a_stream_that_is_over__leaves_memory__and_its_commands_are_told(void **state)
{
    stage *self = *state;
    stage_call_now(self, TOY_CLOSE, "t", 0, "k1");
    stage_decide(self);
    stage_land_and_report_all(self);
    self->now_us += TOY_ENDS_AFTER_US + 1;
    stage_call_now(self, TOY_HOLD, "u", 0, "k2");
    stage_decide(self);
    stage_land_and_report_all(self);
    stage_pass(self, 1);
    assert_int_equal(stage_stats(self).ended_count, 1);
    stage_call *late = stage_call_now(self, TOY_HOLD, "t", 1, "k3");
    stage_decide(self);
    stage_pass(self, 10000);
    stage_land_and_report_all(self);
    THEN_ANSWERED(late, BT_ANSWER_REFUSED);
    assert_int_equal(late->answer.verdict, TOY_ENDED);
}

static void revoked__answers_what_waits_with_not_owner__and_what_is_in_flight_with_unavailable(void **state)
{
    stage *self = *state;
    stage_call *in_flight = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_call *queued = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    bt_owner_on_revoked(self->owner, self->now_us);
    THEN_ANSWERED(in_flight, BT_ANSWER_UNAVAILABLE);
    assert_false(in_flight->answer.not_applied);
    THEN_ANSWERED(queued, BT_ANSWER_NOT_OWNER);
    stage_call *later = stage_call_now(self, TOY_HOLD, "t", 3, "k3");
    THEN_ANSWERED(later, BT_ANSWER_NOT_OWNER);
}

#define OWNING(name) cmocka_unit_test_setup_teardown(name, given_an_owner, end_of_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OWNING(assigned__on_an_empty_log__opens_it_and_takes_over),
        OWNING(a_lone_command__is_appended_at_once__and_answered_when_its_report_proves_it),
        OWNING(a_command__whose_report_is_lost__is_proved_by_reading),
        OWNING(commands_that_arrive_while_a_batch_is_in_flight__are_the_next_batch),
        OWNING(after_a_crowds_batch__the_first_command_waits_for_company),
        OWNING(a_batch_that_gathers__goes_at_once_when_twice_as_many_have_come),
        OWNING(a_batch_that_gathers__goes_at_once_when_something_is_due),
        OWNING(a_refusal__is_released_by_the_next_record_that_is_proved),
        OWNING(a_refusal__is_not_released_by_a_record_that_was_sent_before_it_came),
        OWNING(a_lone_refusal__gets_a_barrier_after_2_ms__and_the_next_not_before_10_ms),
        OWNING(a_repeat__of_a_proved_command__gets_the_same_body_from_the_log),
        OWNING(fetches__asked_for_before_a_revocation__count_until_they_come_back),
        OWNING(a_repeat__while_the_first_is_in_flight__waits_and_gets_the_same_answer),
        OWNING(a_used_key__with_another_body__is_told_so),
        OWNING(a_key_past_the_horizon__is_new_again),
        OWNING(a_hold_that_is_due__expires_before_any_later_command),
        OWNING(an_event_over_its_ceiling__is_answered__and_nothing_is_sent),
        OWNING(a_full_house__answers_unavailable_at_once),
        OWNING(a_stream_that_is_over__leaves_memory__and_its_commands_are_told),
        OWNING(revoked__answers_what_waits_with_not_owner__and_what_is_in_flight_with_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
