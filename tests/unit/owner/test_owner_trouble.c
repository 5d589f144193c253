/* trouble - errors, time-outs, gaps, other writers, false reports: what is dropped, sent again, settled, refused. */
#include "tests/unit/owner/stage.h"

#include "schemas/log.h"
#include "schemas/trip.h"

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
#define THEN_PHASE(stage, expected) assert_int_equal(bt_owner_phase_of((stage)->owner), (expected))

/* What another node sold, on the log as it is. */
static int64_t foreign_hold(stage *self, const char *stream, int64_t version, int32_t seat)
{
    struct trip_place place = { .seat = seat };
    struct trip_seats_held held = { .hold = stage_key("foreign"), .to = 1, .places = &place, .places_count = 1, .customer = BT_STR("x"),
        .expires_at = INT64_MAX };
    return stage_foreign(self, stage_log_head(self), version, bt_str_of(stream), (bt_event){ &trip_seats_held_message, &held });
}

static void same_bytes(const stage *self, size_t a, size_t b)
{
    assert_int_equal(self->appends[a].value.size, self->appends[b].value.size);
    assert_memory_equal(self->appends[a].value.at, self->appends[b].value.at, self->appends[a].value.size);
}

static void a_foreign_valid_record__drops_the_pipeline__and_the_command_is_decided_again(void **state)
{
    stage *self = *state;
    stage_call *lost = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_call *moved = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    stage_decide(self);
    foreign_hold(self, "t", 1, 1);
    stage_settle(self);
    stage_pass(self, 10000);
    stage_settle(self);
    THEN_ANSWERED(lost, BT_ANSWER_REFUSED);
    THEN_ANSWERED(moved, BT_ANSWER_ACCEPTED);
    assert_int_equal(moved->answer.version, 2);
    assert_int_equal(stage_stats(self).settled, 2);
    assert_int_equal(stage_stats(self).foreign_valid, 1);
}

static void a_command__that_loses_too_often__is_told_so__and_that_it_was_not_applied(void **state)
{
    stage *self = *state;
    stage_call *unlucky = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    for (int64_t i = 1; i <= BT_OWNER_REDECIDE_MAX + 1; i++) {
        THEN_WAITS(unlucky);
        stage_decide(self);
        foreign_hold(self, i == 1 ? "a" : i == 2 ? "b" : i == 3 ? "c" : i == 4 ? "d" : i == 5 ? "e" : "f", 1, 1);
        stage_land_all(self);
        stage_deliver(self);
        stage_pass(self, 2000000);
        stage_answer_end(self);
        stage_deliver(self);
    }
    THEN_ANSWERED(unlucky, BT_ANSWER_UNAVAILABLE);
    assert_true(unlucky->answer.not_applied);
}

static void after_an_error__the_same_bytes_are_sent_again__and_nothing_is_decided_anew(void **state)
{
    stage *self = *state;
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_report(self, 2, BT_APPEND_UNKNOWN, -1);
    THEN_PHASE(self, BT_OWNER_RECOVERING);
    assert_int_equal(self->append_count, 3);
    stage_answer_end(self);
    stage_deliver(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
    assert_int_equal(self->append_count, 4);
    same_bytes(self, 2, 3);
    assert_true(self->appends[3].generation > self->appends[2].generation);
    THEN_WAITS(call);
    stage_land(self, 3);
    stage_deliver(self);
    THEN_ANSWERED(call, BT_ANSWER_ACCEPTED);
}

static void a_late_copy__that_lands_before_the_one_sent_again__is_the_valid_one(void **state)
{
    stage *self = *state;
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_pass(self, 12000000);
    stage_answer_end(self);
    stage_deliver(self);
    assert_int_equal(self->append_count, 4);
    int64_t late = stage_land(self, 2);
    int64_t again = stage_land(self, 3);
    stage_report(self, 3, BT_APPEND_DONE, again);
    THEN_WAITS(call);
    stage_deliver(self);
    THEN_ANSWERED(call, BT_ANSWER_ACCEPTED);
    assert_int_equal(call->answer.offset, late);
    assert_int_equal(stage_fold(self).void_count, 1);
    assert_int_equal(stage_stats(self).gaps, 1);
}

static void after_an_error__a_report_proves_nothing__until_an_own_record_was_read_back(void **state)
{
    stage *self = *state;
    stage_call *first = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    bt_owner_on_producer_lost(self->owner, self->now_us);
    stage_answer_end(self);
    stage_deliver(self);
    stage_report(self, 3, BT_APPEND_DONE, stage_land(self, 3));
    THEN_WAITS(first);
    stage_deliver(self);
    THEN_ANSWERED(first, BT_ANSWER_ACCEPTED);
    stage_call *second = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    stage_decide(self);
    stage_report(self, 4, BT_APPEND_DONE, stage_land(self, 4));
    THEN_ANSWERED(second, BT_ANSWER_ACCEPTED);
}

static void a_gap_of_void_records__is_read__and_nothing_is_dropped(void **state)
{
    stage *self = *state;
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    struct log_barrier barrier = { .nonce = stage_key("zombie") };
    stage_foreign(self, stage_key("an old head"), 1, BT_STR("@log"), (bt_event){ &log_barrier_message, &barrier });
    stage_report(self, 2, BT_APPEND_DONE, stage_land(self, 2));
    THEN_WAITS(call);
    assert_int_equal(stage_stats(self).gaps, 1);
    stage_deliver(self);
    THEN_ANSWERED(call, BT_ANSWER_ACCEPTED);
    assert_int_equal(stage_stats(self).drops, 0);
}

static void a_rejected_record__is_settled_by_a_barrier__and_its_neighbours_are_decided_again(void **state)
{
    stage *self = *state;
    stage_call *rejected = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_call *next = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    stage_decide(self);
    stage_report(self, 2, BT_APPEND_REJECTED, -1);
    stage_answer_end(self);
    stage_deliver(self);
    assert_int_equal(self->append_count, 5);
    assert_int_equal(bt_record_schema_id(self->appends[4].value), log_barrier_message.schema_id);
    THEN_WAITS(rejected);
    assert_int_equal(stage_stats(self).open_count, 2);
    stage_land(self, 4);
    stage_deliver(self);
    THEN_ANSWERED(rejected, BT_ANSWER_UNAVAILABLE);
    assert_true(rejected->answer.not_applied);
    stage_decide(self);
    stage_land(self, 5);
    stage_deliver(self);
    THEN_ANSWERED(next, BT_ANSWER_ACCEPTED);
}

static void a_rejected_record__whose_earlier_copy_lands__was_applied(void **state)
{
    stage *self = *state;
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_report(self, 2, BT_APPEND_UNKNOWN, -1);
    stage_answer_end(self);
    stage_deliver(self);
    stage_report(self, 3, BT_APPEND_REJECTED, -1);
    stage_pass(self, 2000000);
    stage_answer_end(self);
    stage_deliver(self);
    int64_t late = stage_land(self, 2);
    stage_land(self, 4);
    stage_deliver(self);
    THEN_ANSWERED(call, BT_ANSWER_ACCEPTED);
    assert_int_equal(call->answer.offset, late);
}

static void a_success_without_an_offset__is_proved_by_reading__or_sent_again(void **state)
{
    stage *self = *state;
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_report(self, 2, BT_APPEND_DONE, -1);
    THEN_WAITS(call);
    stage_answer_end(self); /* it is not in the log */
    THEN_PHASE(self, BT_OWNER_RECOVERING);
    stage_answer_end(self);
    stage_deliver(self);
    same_bytes(self, 2, 3);
    stage_land(self, 3);
    stage_report(self, 3, BT_APPEND_DONE, -1);
    stage_deliver(self);
    THEN_ANSWERED(call, BT_ANSWER_ACCEPTED);
}

static void a_client_that_gives_up__drops_no_pipeline(void **state)
{
    stage *self = *state;
    self->config.command_timeout_us = 1000000;
    stage_renew(self);
    stage_own(self);
    stage_call *call = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_pass(self, 1000000);
    THEN_ANSWERED(call, BT_ANSWER_UNAVAILABLE);
    assert_false(call->answer.not_applied);
    THEN_PHASE(self, BT_OWNER_OWNING);
    stage_land_and_report_all(self);
    stage_call *again = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_settle(self);
    stage_pass(self, 10000);
    stage_settle(self);
    THEN_ANSWERED(again, BT_ANSWER_REPEATED);
}

static void a_clock_that_jumps_back__stalls_no_time_out(void **state)
{
    stage *self = *state;
    stage_call *call = stage_call_now(self, TOY_RELEASE, "t", 1, "k1");
    stage_decide(self);
    self->now_us -= 500000000;
    stage_pass(self, 0);
    assert_true(bt_owner_next_tick_us(self->owner) <= self->now_us + 2000);
    stage_pass(self, 2000);
    stage_land_and_report_all(self);
    THEN_ANSWERED(call, BT_ANSWER_REFUSED);
    assert_true(self->appends[2].time_us >= self->appends[1].time_us);
}

static void a_repeat__looked_up_while_the_partition_recovers__gets_its_first_answer(void **state)
{
    stage *self = *state;
    stage_call *first = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_land_and_report_all(self);
    stage_call *again = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_call *doubtful = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    stage_decide(self);
    stage_report(self, 3, BT_APPEND_UNKNOWN, -1);
    THEN_PHASE(self, BT_OWNER_RECOVERING);
    stage_call *later = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_answer_fetch(self);
    THEN_WAITS(again);
    THEN_WAITS(later);
    stage_settle(self);
    stage_pass(self, 10000);
    stage_settle(self);
    stage_pass(self, 10000);
    stage_settle(self);
    THEN_ANSWERED(doubtful, BT_ANSWER_ACCEPTED);
    THEN_ANSWERED(again, BT_ANSWER_REPEATED);
    THEN_ANSWERED(later, BT_ANSWER_REPEATED);
    assert_string_equal(again->answer.body, first->answer.body);
    assert_string_equal(later->answer.body, first->answer.body);
}

static void a_foreign_takeover__makes_it_yield__until_it_is_assigned_again(void **state)
{
    stage *self = *state;
    stage_call *in_flight = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_call *queued = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    stage_foreign_takeover(self);
    stage_land_all(self);
    stage_deliver(self);
    THEN_PHASE(self, BT_OWNER_YIELDED);
    THEN_ANSWERED(in_flight, BT_ANSWER_NOT_OWNER);
    assert_true(in_flight->answer.not_applied);
    THEN_ANSWERED(queued, BT_ANSWER_NOT_OWNER);
    bt_str node, address;
    bt_owner_routed_to(self->owner, &node, &address);
    assert_str(address, "127.0.0.1:2");
    foreign_hold(self, "t", 1, 3);
    stage_deliver(self); /* it follows */
    assert_int_equal(stage_stats(self).stream_count, 1);
    stage_own(self);
}

static void a_record_read_back__that_is_not_the_one_answered_for__makes_the_partition_read_only(void **state)
{
    stage *self = *state;
    stage_call *answered = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_decide(self);
    stage_report(self, 2, BT_APPEND_DONE, (int64_t)self->log_count); /* a false report */
    THEN_ANSWERED(answered, BT_ANSWER_ACCEPTED);
    foreign_hold(self, "t", 1, 1);
    stage_deliver(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    assert_string_equal(self->alarm, "log.differs");
    stage_call *later = stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    THEN_ANSWERED(later, BT_ANSWER_UNAVAILABLE);
    bt_owner_on_revoked(self->owner, self->now_us);
    bt_owner_on_assigned(self->owner, self->now_us);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
}

static void a_jump_in_offsets__is_read_again__and_stops_the_partition_when_it_stays(void **state)
{
    stage *self = *state;
    for (int i = 0; i < 4; i++)
        foreign_hold(self, i == 0 ? "a" : i == 1 ? "b" : i == 2 ? "c" : "d", 1, 1);
    size_t next = (size_t)self->delivered;
    for (int i = 0; i < 4; i++) {
        THEN_PHASE(self, BT_OWNER_OWNING);
        self->read_from = -1;
        bt_owner_on_records(self->owner, &self->log[next + 1], 1, self->now_us);
        if (i < 3)
            assert_int_equal(self->read_from, next);
    }
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    assert_string_equal(self->alarm, "log.jump");
}

#define OWNING(name) cmocka_unit_test_setup_teardown(name, given_an_owner, end_of_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OWNING(a_foreign_valid_record__drops_the_pipeline__and_the_command_is_decided_again),
        OWNING(a_command__that_loses_too_often__is_told_so__and_that_it_was_not_applied),
        OWNING(after_an_error__the_same_bytes_are_sent_again__and_nothing_is_decided_anew),
        OWNING(a_late_copy__that_lands_before_the_one_sent_again__is_the_valid_one),
        OWNING(after_an_error__a_report_proves_nothing__until_an_own_record_was_read_back),
        OWNING(a_gap_of_void_records__is_read__and_nothing_is_dropped),
        OWNING(a_rejected_record__is_settled_by_a_barrier__and_its_neighbours_are_decided_again),
        OWNING(a_rejected_record__whose_earlier_copy_lands__was_applied),
        OWNING(a_success_without_an_offset__is_proved_by_reading__or_sent_again),
        OWNING(a_client_that_gives_up__drops_no_pipeline),
        OWNING(a_clock_that_jumps_back__stalls_no_time_out),
        OWNING(a_repeat__looked_up_while_the_partition_recovers__gets_its_first_answer),
        OWNING(a_foreign_takeover__makes_it_yield__until_it_is_assigned_again),
        OWNING(a_record_read_back__that_is_not_the_one_answered_for__makes_the_partition_read_only),
        OWNING(a_jump_in_offsets__is_read_again__and_stops_the_partition_when_it_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
