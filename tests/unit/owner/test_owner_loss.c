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

/* ---- a log that was cut back and has grown past what was lost before this owner looked ---- */

/* The last record is gone; somebody else's stand where it stood and behind it, and time has gone by. */
static void given_grown_again(stage *self, int64_t grown)
{
    self->log_count--;
    for (int64_t i = 0; i < grown; i++) {
        struct log_barrier event = { .nonce = stage_key(i == 0 ? "b0" : "b1") };
        stage_foreign(self, stage_fold(self).head, 9, BT_STR("@log"), (bt_event){ &log_barrier_message, &event });
    }
    stage_pass(self, 2000000);
    THEN_PHASE(self, BT_OWNER_OWNING);
}

static void a_log_that_was_cut_and_has_grown_again__is_noticed_by_the_first_record_that_is_read(void **state)
{
    stage *self = *state;
    given_grown_again(self, 2);
    stage_deliver(self);
    assert_int_equal(self->fetch_offset, stage_stats(self).proved.next_offset - 2); /* the head's, behind which a void record was read */
    THEN_PHASE(self, BT_OWNER_OWNING);
    stage_answer_fetch(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    assert_string_equal(self->alarm, "log.lost");
}

static void a_log_that_was_cut_and_has_grown_again__is_noticed_by_the_first_record_of_its_own(void **state)
{
    stage *self = *state;
    given_grown_again(self, 1);
    stage_call_now(self, TOY_HOLD, "t", 3, "k5");
    stage_decide(self);
    stage_land_and_report_all(self); /* where it follows what was proved: nothing that is read from here on shows it */
    stage_answer_fetch(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
}

static void a_silence__costs_one_record_that_is_read_again_and_a_busy_log_none(void **state)
{
    stage *self = *state;
    size_t asked = self->fetches_asked;
    stage_call_now(self, TOY_HOLD, "t", 3, "k5");
    stage_settle(self);
    assert_int_equal(self->fetches_asked, asked);
    stage_pass(self, 2000000);
    stage_call_now(self, TOY_HOLD, "t", 4, "k6");
    stage_settle(self);
    stage_call_now(self, TOY_HOLD, "t", 5, "k7");
    stage_settle(self);
    assert_int_equal(self->fetches_asked, asked + 1);
    THEN_PHASE(self, BT_OWNER_OWNING);
}

static void a_head_that_could_not_be_read_back__is_asked_for_again(void **state)
{
    stage *self = *state;
    given_grown_again(self, 2);
    stage_deliver(self);
    uint64_t request = self->fetch_request;
    size_t asked = self->fetches_asked;
    bt_owner_on_fetched(self->owner, request, NULL, self->now_us);
    THEN_PHASE(self, BT_OWNER_OWNING);
    assert_int_equal(self->fetches_asked, asked);
    assert_true(bt_owner_next_tick_us(self->owner) <= self->now_us + 1000000);
    stage_pass(self, 1000000);
    assert_int_equal(self->fetches_asked, asked + 1);
    stage_answer_fetch(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
}

static void a_void_record_of_an_unknown_parent__is_a_reason_to_look_without_a_silence(void **state)
{
    stage *self = *state;
    size_t asked = self->fetches_asked;
    struct log_barrier event = { .nonce = stage_key("b0") };
    stage_foreign(self, stage_key("nobody's"), 9, BT_STR("@log"), (bt_event){ &log_barrier_message, &event });
    stage_settle(self);
    assert_int_equal(self->fetches_asked, asked + 1);
    stage_foreign(self, stage_key("nobody's"), 9, BT_STR("@log"), (bt_event){ &log_barrier_message, &event });
    stage_settle(self);
    assert_int_equal(self->fetches_asked, asked + 1); /* once a second at most */
    THEN_PHASE(self, BT_OWNER_OWNING);
}

/* ---- another log, another loss ---- */

static void an_acceptance_that_hides_a_deeper_loss__changes_nothing(void **state)
{
    stage *self = *state;
    bt_forward remembered = given_a_loss(self, 2);
    for (int i = 0; i < 2; i++) { /* somebody went on from the cut without a word, and the operator gives up the last of it alone */
        struct log_barrier event = { .nonce = stage_key(i == 0 ? "b0" : "b1") };
        stage_foreign(self, stage_fold(self).head, 9, BT_STR("@log"), (bt_event){ &log_barrier_message, &event });
    }
    accept_loss(self, remembered.next_offset - 1, remembered.next_offset);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_READ_ONLY);
    accept_loss(self, remembered.next_offset - 2, remembered.next_offset);
    stage_settle(self);
    THEN_PHASE(self, BT_OWNER_OWNING);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, given_a_log, end_of_stage)
    const struct CMUnitTest tests[] = {
        TEST(a_lost_suffix__accepted_on_the_record__is_forgotten_and_the_log_folded_anew),
        TEST(an_acceptance_of_less_than_was_proved__changes_nothing),
        TEST(an_acceptance_of_records_behind_a_deeper_loss__changes_nothing),
        TEST(an_acceptance_that_hides_a_deeper_loss__changes_nothing),
        TEST(a_log_that_was_cut_and_has_grown_again__is_noticed_by_the_first_record_that_is_read),
        TEST(a_log_that_was_cut_and_has_grown_again__is_noticed_by_the_first_record_of_its_own),
        TEST(a_silence__costs_one_record_that_is_read_again_and_a_busy_log_none),
        TEST(a_head_that_could_not_be_read_back__is_asked_for_again),
        TEST(a_void_record_of_an_unknown_parent__is_a_reason_to_look_without_a_silence),
        TEST(a_second_loss__is_not_covered_by_the_acceptance_of_the_first),
        TEST(a_late_claim_of_the_lost_lineage__stops_nobody),
        TEST(a_snapshot_of_the_lost_suffix__is_given_up_too),
        TEST(an_owner_that_was_revoked_meanwhile__goes_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
