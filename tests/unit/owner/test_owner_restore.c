/* restore - coming to own: another's log, events not understood, races for the first record, lost records, snapshots. */
#include "tests/unit/owner/stage.h"

#include "schemas/log.h"
#include "schemas/trip.h"

#define THEN_ANSWERED(call, expected) (assert_true((call)->answer.given), assert_int_equal((call)->answer.kind, (expected)))
#define THEN_PHASE(stage, expected) assert_int_equal(bt_owner_phase_of((stage)->owner), (expected))

static int given_a_log(void **state)
{
    stage *self = *state = stage_new();
    stage_own(self);
    stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_call_now(self, TOY_HOLD, "u", 2, "k2");
    stage_settle(self);
    return 0;
}

static int end_of_stage(void **state)
{
    stage_free(*state);
    return 0;
}

static void a_new_owner__folds_the_log__and_repeats_what_the_old_one_answered(void **state)
{
    stage *self = *state;
    bt_id digest = bt_owner_digest(self->owner);
    stage_call *first = &self->calls[0];
    stage_renew(self);
    stage_own(self);
    assert_true(bt_id_equal(bt_owner_digest(self->owner), digest));
    stage_call *again = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_call *taken = stage_call_now(self, TOY_HOLD, "t", 1, "k3");
    stage_settle(self);
    stage_pass(self, 2000);
    stage_settle(self);
    THEN_ANSWERED(again, BT_ANSWER_REPEATED);
    assert_string_equal(again->answer.body, first->answer.body);
    THEN_ANSWERED(taken, BT_ANSWER_REFUSED);
}

static void commands_that_come_during_restore__wait_for_the_takeover(void **state)
{
    stage *self = *state;
    stage_renew(self);
    bt_owner_on_assigned(self->owner, self->now_us);
    stage_call *early = stage_call_now(self, TOY_HOLD, "t", 3, "k3");
    stage_decide(self);
    assert_int_equal(self->append_count, 0);
    assert_false(early->answer.given);
    stage_settle(self);
    THEN_ANSWERED(early, BT_ANSWER_ACCEPTED);
}

static void two_that_open_a_log__leave_one_opening(void **state)
{
    stage *self = stage_new();
    bt_owner_on_assigned(self->owner, self->now_us);
    stage_answer_end(self);
    assert_int_equal(self->append_count, 1);
    struct log_opened rival = { .log = stage_key("rival"), .topic = BT_STR("seats"), .partition_count = 1, .registry = BT_STR("berth") };
    stage_foreign(self, (bt_id){ { 0 } }, 1, BT_STR("@log"), (bt_event){ &log_opened_message, &rival });
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
    bt_forward forward = stage_fold(self);
    assert_int_equal(forward.height, 2);
    assert_int_equal(forward.void_count, 1);
    stage_free(self);
    (void)state;
}

static void opened_as(const stage *like, int32_t partition_count, const char *registry)
{
    stage *self = stage_new();
    struct log_opened opened = { .topic = like->config.topic, .partition_count = partition_count, .registry = bt_str_of(registry) };
    stage_foreign(self, (bt_id){ { 0 } }, 1, BT_STR("@log"), (bt_event){ &log_opened_message, &opened });
    bt_owner_on_assigned(self->owner, self->now_us);
    stage_deliver(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    assert_string_equal(self->alarm, "log.mismatch");
    assert_int_equal(self->append_count, 0);
    stage_free(self);
}

static void a_log_of_another_partition_count_or_registry__is_not_touched(void **state)
{
    opened_as(*state, 4, "berth");
    opened_as(*state, 1, "https://registry");
}

static void an_event_of_an_unknown_schema__stops_its_stream__and_no_other(void **state)
{
    stage *self = *state;
    bt_record *last = &self->log[self->log_count];
    struct trip_sale_closed closed = { .meta = { .command = stage_key("k9"), .actor = BT_STR("x") } };
    stage_foreign(self, stage_log_head(self), 2, BT_STR("t"), (bt_event){ &trip_sale_closed_message, &closed });
    ((uint8_t *)(uintptr_t)last->value.at)[1] = 99; /* a schema id of next year */
    stage_settle(self);
    assert_string_equal(self->alarm, "stream.unknown_event");
    stage_call *stopped = stage_call_now(self, TOY_HOLD, "t", 3, "k3");
    stage_call *other = stage_call_now(self, TOY_HOLD, "u", 3, "k4");
    stage_call *its_key = stage_call_now(self, TOY_HOLD, "u", 4, "k9");
    stage_settle(self);
    THEN_ANSWERED(stopped, BT_ANSWER_STREAM_STOPPED);
    THEN_ANSWERED(other, BT_ANSWER_ACCEPTED);
    stage_pass(self, 10000);
    stage_settle(self);
    THEN_ANSWERED(its_key, BT_ANSWER_KEY_REUSED);
    assert_int_equal(stage_stats(self).stopped_count, 1);
}

static void a_valid_event_that_contradicts_the_state__stops_its_stream(void **state)
{
    stage *self = *state;
    struct trip_sale_closed closed = { .meta = { .actor = BT_STR("x") } };
    stage_foreign(self, stage_log_head(self), 7, BT_STR("t"), (bt_event){ &trip_sale_closed_message, &closed });
    stage_settle(self);
    assert_string_equal(self->alarm, "stream.contradiction");
    stage_call *stopped = stage_call_now(self, TOY_HOLD, "t", 3, "k3");
    stage_settle(self);
    THEN_ANSWERED(stopped, BT_ANSWER_STREAM_STOPPED);
}

static void a_takeover_that_proved_something_else__stops_the_partition__even_when_it_is_void(void **state)
{
    stage *self = *state;
    bt_forward forward = stage_fold(self);
    struct log_owner_took_over claim = { .node = BT_STR("n2"), .address = BT_STR("-"), .proved_offset = forward.next_offset,
        .proved_height = forward.height,
        .proved_head = stage_key("another head") };
    stage_foreign(self, claim.proved_head, 3, BT_STR("@log"), (bt_event){ &log_owner_took_over_message, &claim });
    stage_deliver(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    assert_string_equal(self->alarm, "log.disagreement");
}

static void a_log_that_lost_what_was_proved__is_not_folded_again(void **state)
{
    stage *self = *state;
    self->log_count--;
    self->delivered = (int64_t)self->log_count;
    bt_owner_on_revoked(self->owner, self->now_us);
    bt_owner_on_assigned(self->owner, self->now_us);
    for (int i = 0; i < 40; i++) {
        stage_answer_end(self);
        stage_pass(self, 1000000);
    }
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    assert_string_equal(self->alarm, "log.lost");
}

static void a_log_end_that_is_low_for_a_while__is_asked_for_again__and_believed_when_it_is_back(void **state)
{
    stage *self = *state;
    self->log_count--;
    bt_owner_on_revoked(self->owner, self->now_us);
    bt_owner_on_assigned(self->owner, self->now_us);
    for (int i = 0; i < 5; i++) {
        stage_answer_end(self);
        stage_pass(self, 1000000);
    }
    THEN_PHASE(self, BT_OWNER_RESTORING);
    self->log_count++;
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
    assert_int_equal(self->alarm_count, 0);
}

static void a_log_end_that_comes_late__counts__though_it_was_asked_for_again(void **state)
{
    stage *self = *state;
    stage_renew(self);
    bt_owner_on_assigned(self->owner, self->now_us);
    uint64_t asked_first = self->end_request;
    assert_true(asked_first != 0);
    self->end_request = 0;
    stage_pass(self, 1500000);
    assert_true(self->end_request != 0); /* asked again */
    bt_owner_on_log_end(self->owner, asked_first, (int64_t)self->log_count, self->now_us);
    stage_deliver(self);
    THEN_PHASE(self, BT_OWNER_TAKING_OVER);
}

static void an_owner_that_waits_for_nothing__asks_for_no_tick(void **state)
{
    stage *self = *state;
    assert_int_equal(bt_owner_next_tick_us(self->owner), INT64_MAX);
    bt_owner_on_revoked(self->owner, self->now_us);
    bt_owner_on_assigned(self->owner, self->now_us);
    assert_true(bt_owner_next_tick_us(self->owner) > self->now_us);
    bt_owner_on_revoked(self->owner, self->now_us); /* with the end still asked for */
    self->now_us += 60000000;
    bt_owner_on_tick(self->owner, self->now_us);
    assert_int_equal(bt_owner_next_tick_us(self->owner), INT64_MAX);
}

static void a_log_that_was_cut_and_grew_again__is_not_folded_on(void **state)
{
    stage *self = *state;
    self->log_count--;
    struct log_barrier barrier = { .nonce = stage_key("new") };
    stage_foreign(self, stage_log_head(self), 9, BT_STR("@log"), (bt_event){ &log_barrier_message, &barrier });
    bt_owner_on_revoked(self->owner, self->now_us);
    bt_owner_on_assigned(self->owner, self->now_us);
    stage_answer_end(self);
    stage_deliver(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    assert_string_equal(self->alarm, "log.lost");
}

/* ---- snapshots ---- */

static bt_buf saved(stage *self)
{
    bt_buf out;
    bt_err err;
    bt_buf_init(&out, 1 << 20);
    assert_true(bt_owner_save(self->owner, &out, &err));
    return out;
}

static void a_snapshot__is_of_what_is_proved__and_refused_while_records_are_in_flight(void **state)
{
    stage *self = *state;
    bt_buf out;
    bt_err err;
    bt_buf_init(&out, 1 << 20);
    stage_call_now(self, TOY_HOLD, "t", 3, "k3");
    stage_decide(self);
    assert_false(bt_owner_save(self->owner, &out, &err));
    assert_int_equal(err.kind, BT_ERR_RETRY);
    bt_buf_release(&out);
}

static void a_restore_from_a_snapshot__reads_from_its_last_record__and_equals_a_fold(void **state)
{
    stage *self = *state;
    bt_id digest = bt_owner_digest(self->owner);
    bt_buf snapshot = saved(self);
    bt_err err;
    stage_renew(self);
    assert_true(bt_owner_load(self->owner, (bt_bytes){ snapshot.at, snapshot.size }, &err));
    bt_owner_on_assigned(self->owner, self->now_us);
    assert_int_equal(self->read_from, self->log_count - 1);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
    assert_true(bt_id_equal(bt_owner_digest(self->owner), digest));
    assert_int_equal(stage_stats(self).proved.height, stage_fold(self).height);
    stage_call *again = stage_call_now(self, TOY_HOLD, "u", 2, "k2");
    stage_settle(self);
    stage_pass(self, 10000);
    stage_settle(self);
    THEN_ANSWERED(again, BT_ANSWER_REPEATED);
    bt_buf_release(&snapshot);
}

static void a_damaged_snapshot__is_refused_whole__wherever_the_damage_is(void **state)
{
    stage *self = *state;
    bt_buf snapshot = saved(self);
    bt_err err;
    stage_renew(self);
    for (size_t i = 0; i < snapshot.size; i++) {
        snapshot.at[i] ^= 0x10;
        assert_false(bt_owner_load(self->owner, (bt_bytes){ snapshot.at, snapshot.size }, &err));
        snapshot.at[i] ^= 0x10;
        assert_false(bt_owner_load(self->owner, (bt_bytes){ snapshot.at, i }, &err));
        assert_int_equal(err.kind, BT_ERR_INPUT);
    }
    stage_own(self);
    bt_buf_release(&snapshot);
}

static void a_snapshot_of_another_log__makes_the_partition_read_only(void **state)
{
    stage *self = *state;
    bt_buf snapshot = saved(self);
    bt_err err;
    stage *other = stage_new();
    other->random = 1000;
    stage_own(other);
    stage_call_now(other, TOY_HOLD, "t", 5, "k5");
    stage_call_now(other, TOY_HOLD, "t", 6, "k6");
    stage_settle(other);
    stage_renew(other);
    assert_true(bt_owner_load(other->owner, (bt_bytes){ snapshot.at, snapshot.size }, &err));
    bt_owner_on_assigned(other->owner, other->now_us);
    stage_answer_end(other);
    stage_deliver(other);
    THEN_PHASE(other, BT_OWNER_READ_ONLY);
    assert_string_equal(other->alarm, "log.lost");
    stage_free(other);
    bt_buf_release(&snapshot);
}

#define AFTER_SALES(name) cmocka_unit_test_setup_teardown(name, given_a_log, end_of_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AFTER_SALES(a_new_owner__folds_the_log__and_repeats_what_the_old_one_answered),
        AFTER_SALES(commands_that_come_during_restore__wait_for_the_takeover),
        cmocka_unit_test(two_that_open_a_log__leave_one_opening),
        AFTER_SALES(a_log_of_another_partition_count_or_registry__is_not_touched),
        AFTER_SALES(an_event_of_an_unknown_schema__stops_its_stream__and_no_other),
        AFTER_SALES(a_valid_event_that_contradicts_the_state__stops_its_stream),
        AFTER_SALES(a_takeover_that_proved_something_else__stops_the_partition__even_when_it_is_void),
        AFTER_SALES(a_log_that_lost_what_was_proved__is_not_folded_again),
        AFTER_SALES(a_log_end_that_is_low_for_a_while__is_asked_for_again__and_believed_when_it_is_back),
        AFTER_SALES(a_log_end_that_comes_late__counts__though_it_was_asked_for_again),
        AFTER_SALES(an_owner_that_waits_for_nothing__asks_for_no_tick),
        AFTER_SALES(a_log_that_was_cut_and_grew_again__is_not_folded_on),
        AFTER_SALES(a_snapshot__is_of_what_is_proved__and_refused_while_records_are_in_flight),
        AFTER_SALES(a_restore_from_a_snapshot__reads_from_its_last_record__and_equals_a_fold),
        AFTER_SALES(a_damaged_snapshot__is_refused_whole__wherever_the_damage_is),
        AFTER_SALES(a_snapshot_of_another_log__makes_the_partition_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
