/* When a stopped reader may go on: an acceptance that covers what it remembers, and no other, whatever clocks and offsets say by chance. */
#include "core/loss.h"

#include "core/digest.h"
#include "tests/unit/test.h"

#define LOG_MAX 64

/* A log of valid records; its bytes differ by their number and by the log that they are of. */
typedef struct one_log {
    uint8_t values[LOG_MAX][BT_WIRE_VALUE_MIN + 2];
    bt_record records[LOG_MAX];
    int64_t count;
    bt_forward at;
} one_log;

static void append(one_log *log, uint8_t name)
{
    bt_assert(log->count < LOG_MAX);
    uint8_t *value = log->values[log->count];
    memset(value, 0, BT_WIRE_VALUE_MIN);
    memcpy(value + BT_WIRE_PREFIX_SIZE, log->at.head.at, sizeof log->at.head.at);
    value[BT_WIRE_VALUE_MIN] = (uint8_t)log->count;
    value[BT_WIRE_VALUE_MIN + 1] = name;
    log->records[log->count] = (bt_record){ .offset = log->count, .key = BT_STR("k"), .value = { value, BT_WIRE_VALUE_MIN + 2 } };
    assert_int_equal(bt_forward_step(&log->at, &log->records[log->count], NULL), BT_FORWARD_VALID);
    log->count++;
}

/* The first `shared` records are those of `of`. */
static void make(one_log *log, const one_log *of, int64_t shared, int64_t count, uint8_t name)
{
    *log = (one_log){ .count = 0 };
    for (int64_t i = 0; i < shared; i++)
        append(log, of->values[i][BT_WIRE_VALUE_MIN + 1]);
    while (log->count < count)
        append(log, name);
}

static bt_id id_at(const one_log *log, int64_t offset) { return bt_record_id(log->records[offset].key, log->records[offset].value); }

static bt_loss_search search;

/* Remembered is all of a log, and of it the ids of the last `known` records before its head. */
static void given_remembered(const one_log *log, int64_t time_us, int64_t known)
{
    bt_loss_known before[LOG_MAX];
    bt_forward remembered = log->at;
    remembered.time_us = time_us;
    for (int64_t i = 0; i < known; i++)
        before[i] = (bt_loss_known){ log->count - 1 - known + i, id_at(log, log->count - 1 - known + i) };
    bt_loss_search_begin(&search, &remembered, log->count - 1);
    bt_loss_search_knows(&search, before, (size_t)known);
}

static void when_read(const one_log *log)
{
    for (int64_t i = 0; i < log->count; i++)
        assert_int_not_equal(bt_loss_search_step(&search, &log->records[i]), BT_FORWARD_JUMP);
}

static bool covers(int64_t from, int64_t to, int64_t time_us) { return bt_loss_search_covers(&search, &(bt_loss){ from, to, time_us }); }

static one_log before, now;

static void a_loss__covers_what_lies_in_its_range_and_before_its_time(void **unused)
{
    make(&before, NULL, 0, 20, 'a');
    make(&now, &before, 15, 18, 'b');
    given_remembered(&before, 1000, 10);
    when_read(&now);
    assert_true(covers(15, 20, 1001));
    assert_true(covers(12, 30, 1001));
    assert_false(covers(15, 19, 1001)); /* more is remembered */
    assert_false(covers(20, 30, 1001)); /* nothing of it is remembered */
    assert_false(covers(15, 20, 1000)); /* who has folded it has its time */
    assert_false(covers(15, 20, 999));
    given_remembered(&before, 1000, 10);
    when_read(&before);
    assert_false(covers(20, 30, 1001)); /* all of it stands */
    assert_true(covers(19, 30, 1001));
}

/* A late copy of a lost record lands in its very place, and is void there. */
static void a_record__that_stands_in_its_place_and_is_void__is_gone(void **unused)
{
    make(&before, NULL, 0, 20, 'a');
    make(&now, &before, 15, 16, 'b');
    now.records[16] = before.records[16];
    now.count = 17;
    given_remembered(&before, 1000, 10);
    search.known[0] = search.known[7]; /* offset 16 alone */
    assert_int_equal(search.known[0].offset, 16);
    search.known_count = 1;
    when_read(&now);
    assert_false(covers(17, 20, 1001));
    assert_true(covers(16, 20, 1001));
}

static void a_loss__that_hides_a_deeper_one__covers_nobody_who_knows_better(void **unused)
{
    make(&before, NULL, 0, 20, 'a');
    make(&now, &before, 10, 18, 'b'); /* 10 to 14 are gone too, and nobody gave them up */
    given_remembered(&before, 1000, 10);
    when_read(&now);
    assert_false(covers(15, 20, 1001));
    assert_true(covers(10, 20, 1001));
    given_remembered(&before, 1000, 0); /* its head alone: the header says who must look then */
    when_read(&now);
    assert_true(covers(15, 20, 1001));
}

static void a_loss__of_a_topic_that_was_made_anew__is_none_of_the_old_ones(void **unused)
{
    make(&before, NULL, 0, 20, 'a');
    make(&now, NULL, 0, 18, 'b');
    given_remembered(&before, 1000, 10);
    when_read(&now);
    assert_false(covers(15, 20, 1001));
    assert_true(covers(0, 20, 1001)); /* all of it is given up, on the record */
    given_remembered(&before, 1000, 0);
    bt_loss_search_step(&search, &now.records[0]);
    bt_loss_search_contradicts(&search, 0); /* by the log's own id */
    for (int64_t i = 1; i < now.count; i++)
        bt_loss_search_step(&search, &now.records[i]);
    assert_false(covers(15, 20, 1001));
    assert_true(covers(0, 20, 1001));
}

static void what_was_not_read_yet__stands_nowhere(void **unused)
{
    make(&before, NULL, 0, 20, 'a');
    given_remembered(&before, 1000, 10);
    for (int64_t i = 0; i < 12; i++)
        bt_loss_search_step(&search, &before.records[i]);
    assert_false(covers(15, 20, 1001));
    assert_true(covers(12, 20, 1001));
}

static void a_head_below_the_range__must_stand(void **unused)
{
    make(&before, NULL, 0, 20, 'a');
    given_remembered(&before, 1000, 0);
    search.remembered.next_offset = 25; /* void records behind the head */
    when_read(&before);
    assert_true(covers(22, 25, 1001));
    assert_true(search.head_stands);
    make(&now, &before, 19, 22, 'b');
    given_remembered(&before, 1000, 0);
    search.remembered.next_offset = 25;
    when_read(&now);
    assert_false(search.head_stands);
    assert_false(covers(22, 25, 1001));
    assert_true(covers(19, 25, 1001));
}

static void more_known_than_there_is_room_for__keeps_the_last(void **unused)
{
    bt_loss_known many[BT_LOSS_KNOWN_MAX + 50];
    for (int64_t i = 0; i < (int64_t)BT_COUNT_OF(many); i++)
        many[i] = (bt_loss_known){ .offset = i };
    bt_forward remembered = { .next_offset = 1000 };
    bt_loss_search_begin(&search, &remembered, 999);
    bt_loss_search_knows(&search, many, BT_COUNT_OF(many));
    assert_int_equal(search.known_count, BT_LOSS_KNOWN_MAX);
    assert_int_equal(search.known[0].offset, 51);
    assert_int_equal(search.known[BT_LOSS_KNOWN_MAX - 1].offset, 999);
}

static void a_claim__is_given_up_by_its_place_and_time(void **unused)
{
    bt_loss loss = { 10, 20, 1000 };
    assert_true(bt_loss_gives_up(&loss, &(bt_loss){ .to = 20, .time_us = 999 }));
    assert_true(bt_loss_gives_up(&loss, &(bt_loss){ .to = 11, .time_us = 999 }));
    assert_false(bt_loss_gives_up(&loss, &(bt_loss){ .to = 10, .time_us = 999 }));
    assert_false(bt_loss_gives_up(&loss, &(bt_loss){ .to = 21, .time_us = 999 }));
    assert_false(bt_loss_gives_up(&loss, &(bt_loss){ .to = 20, .time_us = 1000 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loss__covers_what_lies_in_its_range_and_before_its_time),
        cmocka_unit_test(a_record__that_stands_in_its_place_and_is_void__is_gone),
        cmocka_unit_test(a_loss__that_hides_a_deeper_one__covers_nobody_who_knows_better),
        cmocka_unit_test(a_loss__of_a_topic_that_was_made_anew__is_none_of_the_old_ones),
        cmocka_unit_test(what_was_not_read_yet__stands_nowhere),
        cmocka_unit_test(a_head_below_the_range__must_stand),
        cmocka_unit_test(more_known_than_there_is_room_for__keeps_the_last),
        cmocka_unit_test(a_claim__is_given_up_by_its_place_and_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
