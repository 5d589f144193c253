/* loss - the way out of READ_ONLY: only by a record that gives up what this owner had proved, and then as a fresh owner. */
#include "tests/unit/owner/stage.h"

#include "schemas/log.h"

#define THEN_PHASE(stage, expected) assert_int_equal(bt_owner_phase_of((stage)->owner), (expected))

/* Owning, with two holds; then the last `lost` records are gone, and the owner has noticed. Returns what it remembers. */
static bt_forward given_a_loss(stage *self, int64_t lost)
{
    bt_forward remembered = stage_stats(self).proved;
    self->log_count -= (size_t)lost;
    self->delivered = (int64_t)self->log_count;
    bt_owner_on_revoked(self->owner, self->now_us);
    bt_owner_on_assigned(self->owner, self->now_us);
    for (int i = 0; i < 40; i++) {
        stage_answer_end(self);
        stage_pass(self, 1000000);
    }
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    return remembered;
}

static int given_a_log(void **state)
{
    stage *self = *state = stage_new();
    stage_own(self);
    stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_settle(self);
    stage_call_now(self, TOY_HOLD, "t", 2, "k2");
    stage_settle(self);
    return 0;
}

static int end_of_stage(void **state)
{
    stage_free(*state);
    return 0;
}

static void accept_loss(stage *self, int64_t from, int64_t to)
{
    bt_forward at = stage_fold(self);
    struct log_loss_accepted event = { .reason = BT_STR("the disks burnt"), .lost_from = from, .lost_to = to,
        .proved_offset = at.next_offset, .proved_height = at.height };
    stage_foreign(self, at.head, 9, BT_STR("@log"), (bt_event){ &log_loss_accepted_message, &event });
}

static void a_lost_suffix__accepted_on_the_record__is_forgotten_and_the_log_folded_anew(void **state)
{
    stage *self = *state;
    bt_forward remembered = given_a_loss(self, 1);
    accept_loss(self, (int64_t)self->log_count, remembered.next_offset);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
    assert_int_equal(stage_stats(self).losses_accepted, 1);
    stage_call *kept = stage_call_now(self, TOY_HOLD, "t", 1, "k1");
    stage_call *again = stage_call_now(self, TOY_HOLD, "t", 2, "k3");
    stage_settle(self);
    stage_pass(self, 10000);
    stage_settle(self);
    assert_int_equal(kept->answer.kind, BT_ANSWER_REPEATED);
    assert_int_equal(again->answer.kind, BT_ANSWER_ACCEPTED); /* who had seat 2 is gone with the suffix */
}

static void an_acceptance_of_less_than_was_proved__changes_nothing(void **state)
{
    stage *self = *state;
    bt_forward remembered = given_a_loss(self, 2);
    accept_loss(self, (int64_t)self->log_count, remembered.next_offset - 1);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    accept_loss(self, (int64_t)self->log_count - 1, remembered.next_offset);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
}

static void an_acceptance_of_records_behind_a_deeper_loss__changes_nothing(void **state)
{
    stage *self = *state;
    bt_forward remembered = given_a_loss(self, 2);
    accept_loss(self, remembered.next_offset, remembered.next_offset + 10);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
}

static void a_second_loss__is_not_covered_by_the_acceptance_of_the_first(void **state)
{
    stage *self = *state;
    bt_forward remembered = given_a_loss(self, 1);
    accept_loss(self, (int64_t)self->log_count, remembered.next_offset + 20); /* generous, as a careless operator may be */
    stage_settle(self);
    stage_call_now(self, TOY_HOLD, "t", 3, "k4");
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
    given_a_loss(self, 1);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
}

static void a_late_claim_of_the_lost_lineage__stops_nobody(void **state)
{
    stage *self = *state;
    bt_forward remembered = given_a_loss(self, 2);
    struct log_owner_took_over claim = { .node = BT_STR("n2"), .address = BT_STR("-"), .proved_offset = remembered.next_offset,
        .proved_height = remembered.height, .proved_head = remembered.head };
    stage_foreign(self, remembered.head, 9, BT_STR("@log"), (bt_event){ &log_owner_took_over_message, &claim });
    self->now_us += 1;
    accept_loss(self, (int64_t)self->log_count - 1, remembered.next_offset);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
    stage_renew(self); /* and none that knows nothing of the loss */
    stage_own(self);
}

static void a_snapshot_of_the_lost_suffix__is_given_up_too(void **state)
{
    stage *self = *state;
    bt_buf saved;
    bt_err err;
    bt_buf_init(&saved, 1 << 20);
    assert_true(bt_owner_save(self->owner, &saved, &err));
    bt_forward remembered = given_a_loss(self, 1);
    accept_loss(self, (int64_t)self->log_count, remembered.next_offset);
    stage_renew(self);
    assert_true(bt_owner_load(self->owner, (bt_bytes){ saved.at, saved.size }, &err));
    stage_own(self);
    assert_int_equal(stage_stats(self).losses_accepted, 1);
    bt_buf_release(&saved);
}

static void an_owner_that_was_revoked_meanwhile__goes_idle(void **state)
{
    stage *self = *state;
    bt_forward remembered = given_a_loss(self, 1);
    bt_owner_on_revoked(self->owner, self->now_us);
    accept_loss(self, (int64_t)self->log_count, remembered.next_offset);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_IDLE);
    stage_own(self);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, given_a_log, end_of_stage)
    const struct CMUnitTest tests[] = {
        TEST(a_lost_suffix__accepted_on_the_record__is_forgotten_and_the_log_folded_anew),
        TEST(an_acceptance_of_less_than_was_proved__changes_nothing),
        TEST(an_acceptance_of_records_behind_a_deeper_loss__changes_nothing),
        TEST(a_second_loss__is_not_covered_by_the_acceptance_of_the_first),
        TEST(a_late_claim_of_the_lost_lineage__stops_nobody),
        TEST(a_snapshot_of_the_lost_suffix__is_given_up_too),
        TEST(an_owner_that_was_revoked_meanwhile__goes_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
