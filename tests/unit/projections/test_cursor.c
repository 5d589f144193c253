/* What a reader that stores its position must notice: a log that is not the one it began with. */
#include "projections/loop/cursor.h"
#include "schemas/log.h"
#include "tests/support/history.h"
#include "tests/unit/test.h"

static history log_of;

static int make_log(void **unused)
{
    history_init(&log_of, &(history_options){ .seed = 7, .trip_count = 3, .record_count = 300, .void_percent = 20, .partition = 2, .partition_count = 4 });
    return 0;
}

static int drop_log(void **unused)
{
    history_release(&log_of);
    return 0;
}

static bt_cursor cursor;

static void begin(const bt_position *at) { bt_cursor_init(&cursor, "berth.trip", 2, 4, at); }

static bt_cursor_verdict read_to(size_t from, size_t to)
{
    bt_id id;
    bt_cursor_verdict last = BT_CURSOR_VOID;
    for (size_t i = from; i < to && last != BT_CURSOR_STOPPED && last != BT_CURSOR_AGAIN; i++)
        last = bt_cursor_step(&cursor, &log_of.records[i], &id);
    return last;
}

static void cursor__that_reads_a_whole_log__ends_where_the_rule_ends(void **unused)
{
    begin(&BT_POSITION_START);
    assert_int_equal(bt_cursor_prove(&cursor), 0);
    read_to(0, log_of.record_count);
    assert_string_equal(cursor.stopped, "");
    assert_int_equal(cursor.at.forward.next_offset, log_of.record_count);
    assert_true(bt_id_equal(cursor.at.forward.head, log_of.forward.head));
    assert_int_equal(cursor.at.forward.void_count, log_of.forward.void_count);
    assert_true(log_of.forward.void_count > 20);
}

static void cursor__that_goes_on_from_a_stored_position__proves_the_head_and_skips_what_is_accounted_for(void **unused)
{
    for (size_t cut = 1; cut < log_of.record_count; cut += 13) {
        begin(&BT_POSITION_START);
        read_to(0, cut);
        bt_position stored = cursor.at;
        begin(&stored);
        int64_t from = bt_cursor_prove(&cursor);
        assert_int_equal(from, stored.head_offset);
        bt_id id;
        assert_int_equal(bt_cursor_step(&cursor, &log_of.records[from], &id), BT_CURSOR_SEEN);
        read_to((size_t)from + 1, log_of.record_count);
        assert_true(bt_id_equal(cursor.at.forward.head, log_of.forward.head));
        assert_int_equal(cursor.at.forward.height, log_of.forward.height);
    }
}

static void cursor__whose_last_record_is_another_one_now__stops_with_a_lost_suffix(void **unused)
{
    begin(&BT_POSITION_START);
    read_to(0, 100);
    bt_position stored = cursor.at;
    stored.forward.head.at[3] ^= 1; /* it remembers a record that was lost, and another stands there */
    begin(&stored);
    int64_t from = bt_cursor_prove(&cursor);
    bt_id id;
    assert_int_equal(bt_cursor_step(&cursor, &log_of.records[from], &id), BT_CURSOR_STOPPED);
    assert_non_null(strstr(cursor.stopped, "lost suffix"));
    assert_int_equal(cursor.at.forward.next_offset, stored.forward.next_offset);
    assert_int_equal(read_to((size_t)from, log_of.record_count), BT_CURSOR_STOPPED);
}

static void cursor__that_meets_an_end_before_its_position__says_so(void **unused)
{
    begin(&BT_POSITION_START);
    read_to(0, 100);
    int64_t asked_at = cursor.at.forward.next_offset;
    assert_true(bt_cursor_end_contradicts(asked_at, 99));
    assert_false(bt_cursor_end_contradicts(asked_at, 100));
    assert_false(bt_cursor_end_contradicts(asked_at, -1)); /* not known */
}

static void cursor__that_meets_a_jump__reads_again_from_the_head_and_stops_when_it_stays(void **unused)
{
    begin(&BT_POSITION_START);
    read_to(0, 100);
    bt_id id;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bt_cursor_step(&cursor, &log_of.records[102], &id), BT_CURSOR_AGAIN);
        read_to((size_t)bt_cursor_prove(&cursor), 100);
    }
    assert_int_equal(bt_cursor_step(&cursor, &log_of.records[102], &id), BT_CURSOR_STOPPED);
    assert_non_null(strstr(cursor.stopped, "jump"));
}

static void cursor__that_meets_a_void_record_of_an_unknown_parent__wants_its_position_proved_again(void **unused)
{
    bt_id id;
    begin(&BT_POSITION_START);
    read_to(0, 100);
    cursor.wants_proof = false;
    bt_record stranger = log_of.records[100];
    uint8_t bytes[60] = { 0 };
    memset(bytes + 5, 0xab, 16);
    stranger.key = BT_STR("t0");
    stranger.value = (bt_bytes){ bytes, sizeof bytes };
    assert_int_equal(bt_cursor_step(&cursor, &stranger, &id), BT_CURSOR_VOID);
    assert_true(cursor.wants_proof);
    assert_int_equal(bt_cursor_prove(&cursor), cursor.at.head_offset);
    assert_false(cursor.wants_proof);
}

static void cursor__that_meets_a_duplicate__wants_no_proof(void **unused)
{
    bt_id id;
    begin(&BT_POSITION_START);
    read_to(0, 1);
    bt_record duplicate = log_of.records[0];
    duplicate.offset = 1;
    assert_int_equal(bt_cursor_step(&cursor, &duplicate, &id), BT_CURSOR_VOID);
    assert_false(cursor.wants_proof);
}

static void log__of_another_partition_count__stops_at_its_first_record(void **unused)
{
    bt_id id;
    bt_cursor_init(&cursor, "berth.trip", 2, 8, &BT_POSITION_START);
    bt_cursor_prove(&cursor);
    assert_int_equal(bt_cursor_step(&cursor, &log_of.records[0], &id), BT_CURSOR_STOPPED);
    assert_non_null(strstr(cursor.stopped, "4 partitions"));
    assert_int_equal(cursor.at.forward.next_offset, 0); /* not accounted for: the next start meets it again */
}

/* OwnerTookOver, linked to the head or not, with what its owner says to have proved. */
static bt_cursor_verdict take_over(int64_t proved_offset, int64_t proved_height, bt_id proved_head, bool is_valid)
{
    static bt_buf out;
    bt_id id;
    struct log_owner_took_over event = { .meta = { .parent = cursor.at.forward.head, .version = 1, .actor = BT_STR("n") }, .node = BT_STR("n"), .address = BT_STR("a"),
                                         .proved_offset = proved_offset, .proved_height = proved_height, .proved_head = proved_head };
    if (!is_valid)
        event.meta.parent.at[0] ^= 1;
    bt_buf_init(&out, 4096);
    assert_true(bt_event_encode((bt_event){ &log_owner_took_over_message, &event }, &out, NULL));
    bt_record record = { .offset = cursor.at.forward.next_offset, .key = BT_STR(BT_LOG_KEY), .value = { out.at, out.size } };
    bt_cursor_verdict verdict = bt_cursor_step(&cursor, &record, &id);
    bt_buf_release(&out);
    return verdict;
}

static void owner__that_proved_what_was_read_here__is_fine(void **unused)
{
    begin(&BT_POSITION_START);
    read_to(0, 100);
    bt_position before = cursor.at;
    assert_int_equal(take_over(100, before.forward.height, before.forward.head, true), BT_CURSOR_VALID);
    assert_int_equal(take_over(100, before.forward.height, before.forward.head, false), BT_CURSOR_VOID); /* of an owner that lost a race */
    assert_int_equal(take_over(5000, 4000, (bt_id){ { 9 } }, false), BT_CURSOR_VOID);                       /* not to be judged from here */
}

static void owner__that_proved_another_head__stops_the_partition_even_where_its_record_is_void(void **unused)
{
    for (int is_valid = 0; is_valid < 2; is_valid++) {
        begin(&BT_POSITION_START);
        read_to(0, 100);
        bt_position before = cursor.at;
        bt_id other = before.forward.head;
        other.at[0] ^= 1;
        assert_int_equal(take_over(100, before.forward.height, other, is_valid), BT_CURSOR_STOPPED);
        assert_int_equal(cursor.at.forward.next_offset, 100);
        assert_true(bt_id_equal(cursor.at.forward.head, before.forward.head));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cursor__that_reads_a_whole_log__ends_where_the_rule_ends),
        cmocka_unit_test(cursor__that_goes_on_from_a_stored_position__proves_the_head_and_skips_what_is_accounted_for),
        cmocka_unit_test(cursor__whose_last_record_is_another_one_now__stops_with_a_lost_suffix),
        cmocka_unit_test(cursor__that_meets_an_end_before_its_position__says_so),
        cmocka_unit_test(cursor__that_meets_a_jump__reads_again_from_the_head_and_stops_when_it_stays),
        cmocka_unit_test(cursor__that_meets_a_void_record_of_an_unknown_parent__wants_its_position_proved_again),
        cmocka_unit_test(cursor__that_meets_a_duplicate__wants_no_proof),
        cmocka_unit_test(log__of_another_partition_count__stops_at_its_first_record),
        cmocka_unit_test(owner__that_proved_what_was_read_here__is_fine),
        cmocka_unit_test(owner__that_proved_another_head__stops_the_partition_even_where_its_record_is_void),
    };
    return cmocka_run_group_tests(tests, make_log, drop_log);
}
