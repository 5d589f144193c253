/* Waiting for positions: who is woken, when, with what; and that nobody is forgotten when many threads wait at once. */
#include "io/clock/clock.h"
#include "query-api/server/board.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct reader {
    qa_wait wait;
    qa_token token;
    _Atomic int called;
    _Atomic qa_wait_outcome outcome;
} reader;

static void done(qa_wait *wait, qa_wait_outcome outcome)
{
    reader *self = (reader *)wait; /* its first member */
    self->outcome = outcome;
    self->called++;
}

static void reader_init(reader *self, unsigned needs, int32_t partition, int64_t offset, int64_t limit_ms)
{
    *self = (reader){ .token = { .kind = BT_STR("trip"), .partition = partition, .offset = offset } };
    int64_t now_us = bt_clock_monotonic_us();
    self->wait = (qa_wait){ .tokens = &self->token, .token_count = 1, .needs = needs, .grace_mono_us = now_us, .deadline_mono_us = now_us + limit_ms * 1000, .done = done };
}

static void publish(qa_board *board, qa_source source, int64_t next_offset)
{
    qa_position positions[2] = { { .next_offset = next_offset, .head_offset = -1 }, { .next_offset = next_offset, .head_offset = -1, .stopped = true } };
    qa_board_publish(board, source, true, positions, 2);
}

static void a_read__of_a_position_that_was_reached__does_not_wait(void **unused)
{
    qa_board *board = qa_board_new(BT_STR("trip"), 4);
    publish(board, QA_SOURCE_POSTGRES, 11);
    reader self;
    reader_init(&self, QA_NEEDS_POSTGRES, 0, 10, 1000);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_REACHED);
    qa_board_end(board);
    assert_int_equal(self.called, 0);
    qa_board_free(board);
}

static void a_read__of_a_later_position__is_woken_when_it_is_published_and_not_before(void **unused)
{
    qa_board *board = qa_board_new(BT_STR("trip"), 4);
    publish(board, QA_SOURCE_POSTGRES, 10);
    reader self;
    reader_init(&self, QA_NEEDS_POSTGRES, 0, 10, 10000);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_PARKED);
    publish(board, QA_SOURCE_POSTGRES, 10);
    publish(board, QA_SOURCE_REDIS, 11);
    assert_int_equal(self.called, 0);
    publish(board, QA_SOURCE_POSTGRES, 11);
    assert_int_equal(self.called, 1);
    assert_int_equal(self.outcome, QA_WAIT_REACHED);
    assert_int_equal(qa_board_waiting(board), 0);
    qa_board_end(board);
    qa_board_free(board);
}

static void a_read__that_either_source_can_answer__waits_for_the_slower_one_within_its_grace_only(void **unused)
{
    qa_board *board = qa_board_new(BT_STR("trip"), 4);
    publish(board, QA_SOURCE_POSTGRES, 11);
    publish(board, QA_SOURCE_REDIS, 10);
    reader self;
    reader_init(&self, QA_NEEDS_POSTGRES | QA_NEEDS_REDIS, 0, 10, 10000);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_REACHED);
    self.wait.grace_mono_us = self.wait.deadline_mono_us;
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_PARKED);
    qa_board_publish(board, QA_SOURCE_REDIS, false, NULL, 0);
    assert_int_equal(self.called, 1);
    assert_int_equal(self.outcome, QA_WAIT_REACHED);
    qa_board_end(board);
    qa_board_free(board);
}

static void a_read__whose_time_is_over__is_told_so_at_the_next_publication(void **unused)
{
    qa_board *board = qa_board_new(BT_STR("trip"), 4);
    publish(board, QA_SOURCE_POSTGRES, 10);
    reader self;
    reader_init(&self, QA_NEEDS_POSTGRES, 0, 10, 20);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_PARKED);
    bt_clock_sleep_us(25000);
    qa_board_publish(board, QA_SOURCE_POSTGRES, false, NULL, 0); /* also when the source cannot be asked */
    assert_int_equal(self.outcome, QA_WAIT_TIMED_OUT);
    qa_board_end(board);
    qa_board_free(board);
}

static void a_read__of_a_partition_that_has_stopped__is_refused_however_far_it_got(void **unused)
{
    qa_board *board = qa_board_new(BT_STR("trip"), 4);
    publish(board, QA_SOURCE_POSTGRES, 10);
    qa_position redis[2] = { { .next_offset = 10 }, { .next_offset = 10 } }; /* it knows nothing of stopping */
    qa_board_publish(board, QA_SOURCE_REDIS, true, redis, 2);
    reader self;
    reader_init(&self, QA_NEEDS_POSTGRES, 1, 5, 1000);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_STOPPED);
    reader_init(&self, QA_NEEDS_REDIS, 1, 5, 1000);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_STOPPED);
    reader_init(&self, QA_NEEDS_POSTGRES | QA_NEEDS_REDIS, 0, 5, 1000);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_REACHED);
    qa_board_end(board);
    qa_board_free(board);
}

static qa_board *board_that_trusts_redis(qa_position positions[2])
{
    qa_board *board = qa_board_new(BT_STR("trip"), 4);
    assert_false(qa_board_publish(board, QA_SOURCE_POSTGRES, true, positions, 2));
    assert_false(qa_board_publish(board, QA_SOURCE_REDIS, true, positions, 2));
    qa_board_trust(board, 0);
    qa_board_trust(board, 1);
    return board;
}

static qa_wait_outcome asked_of_redis(qa_board *board, int32_t partition)
{
    reader self;
    reader_init(&self, QA_NEEDS_REDIS, partition, 5, 0);
    return qa_board_wait(board, &self.wait);
}

static void a_read__before_redis_was_seen_to_hold_the_log_of_postgres__is_not_served_by_it(void **unused)
{
    qa_board *board = qa_board_new(BT_STR("trip"), 4);
    qa_position positions[2] = { { .next_offset = 10, .head_offset = 9 }, { 0 } }, redis;
    qa_board_publish(board, QA_SOURCE_POSTGRES, true, positions, 2);
    assert_false(qa_board_trusts_redis(board, 0, &redis));
    assert_int_equal(redis.next_offset, -1);
    qa_board_publish(board, QA_SOURCE_REDIS, true, positions, 2);
    assert_int_equal(asked_of_redis(board, 0), QA_WAIT_TIMED_OUT);
    assert_false(qa_board_trusts_redis(board, 0, &redis));
    assert_int_equal(redis.head_offset, 9);
    qa_board_trust(board, 0);
    assert_int_equal(asked_of_redis(board, 0), QA_WAIT_REACHED);
    qa_board_end(board);
    qa_board_free(board);
}

static void a_read__after_postgres_began_a_partition_anew__is_not_served_by_redis_until_that_holds_the_same_log(void **unused)
{
    qa_position positions[2] = { { .next_offset = 10, .head_offset = 9 }, { .next_offset = 10, .head_offset = 9 } };
    qa_board *board = board_that_trusts_redis(positions);
    positions[1].next_offset = 0;
    assert_true(qa_board_publish(board, QA_SOURCE_POSTGRES, true, positions, 2));
    assert_int_equal(asked_of_redis(board, 1), QA_WAIT_TIMED_OUT);
    assert_true(qa_board_trusts_redis(board, 0, NULL));
    assert_false(qa_board_trusts_redis(board, 1, NULL));
    qa_board_trust(board, 1);
    assert_false(qa_board_trusts_redis(board, 1, NULL)); /* Postgres could not tell yet what a position names */
    positions[1].next_offset = 10;
    assert_false(qa_board_publish(board, QA_SOURCE_POSTGRES, true, positions, 2));
    qa_board_trust(board, 1);
    assert_int_equal(asked_of_redis(board, 1), QA_WAIT_REACHED);
    qa_board_end(board);
    qa_board_free(board);
}

/* Folded anew faster than we look: only the time at which the rows began tells it. */
static void a_partition__that_began_anew_and_is_further_than_before__is_noticed(void **unused)
{
    qa_position positions[2] = { { .next_offset = 10, .head_offset = 9, .began_us = 1 }, { .next_offset = 10, .head_offset = 9, .began_us = 1 } };
    qa_board *board = board_that_trusts_redis(positions);
    positions[1].next_offset = 12;
    assert_false(qa_board_publish(board, QA_SOURCE_POSTGRES, true, positions, 2));
    positions[1] = (qa_position){ .next_offset = 14, .head_offset = 13, .began_us = 2 };
    assert_true(qa_board_publish(board, QA_SOURCE_POSTGRES, true, positions, 2));
    assert_false(qa_board_trusts_redis(board, 1, NULL));
    assert_true(qa_board_trusts_redis(board, 0, NULL));
    qa_board_end(board);
    qa_board_free(board);
}

static void a_read__that_can_never_be_served__is_refused_at_once(void **unused)
{
    qa_board *board = qa_board_new(BT_STR("trip"), 1);
    publish(board, QA_SOURCE_POSTGRES, 10);
    reader self, other;
    reader_init(&self, QA_NEEDS_POSTGRES, 2, 10, 1000);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_NO_PARTITION);
    reader_init(&self, QA_NEEDS_POSTGRES, 1, 10, 1000);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_STOPPED);
    reader_init(&self, QA_NEEDS_POSTGRES, 0, 10, 1000);
    reader_init(&other, QA_NEEDS_POSTGRES, 0, 10, 1000);
    assert_int_equal(qa_board_wait(board, &self.wait), QA_WAIT_PARKED);
    assert_int_equal(qa_board_wait(board, &other.wait), QA_WAIT_FULL);
    qa_board_end(board);
    assert_int_equal(self.outcome, QA_WAIT_ENDED);
    assert_int_equal(qa_board_wait(board, &other.wait), QA_WAIT_ENDED);
    qa_board_free(board);
}

enum { THREADS = 4, READS = 300 };

typedef struct crowd {
    qa_board *board;
    reader readers[READS];
    _Atomic int64_t published;
} crowd;

static void *reads(void *context)
{
    crowd *self = context;
    for (int i = 0; i < READS; i++) {
        reader_init(&self->readers[i], QA_NEEDS_POSTGRES, 0, i, 20000);
        qa_wait_outcome outcome = qa_board_wait(self->board, &self->readers[i].wait);
        if (outcome != QA_WAIT_PARKED)
            done(&self->readers[i].wait, outcome);
    }
    return NULL;
}

static void many_threads__that_wait_while_positions_move__are_each_answered_once(void **unused)
{
    static crowd crowds[THREADS];
    pthread_t threads[THREADS];
    qa_board *board = qa_board_new(BT_STR("trip"), THREADS * READS);
    for (int i = 0; i < THREADS; i++) {
        crowds[i].board = board;
        assert_int_equal(pthread_create(&threads[i], NULL, reads, &crowds[i]), 0);
    }
    for (int64_t next = 0; next <= READS; next++) {
        publish(board, QA_SOURCE_POSTGRES, next);
        assert_true(qa_board_rest(board, 0, 1));
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    publish(board, QA_SOURCE_POSTGRES, READS);
    for (int i = 0; i < THREADS; i++)
        for (int r = 0; r < READS; r++) {
            assert_int_equal(crowds[i].readers[r].called, 1);
            assert_int_equal(crowds[i].readers[r].outcome, QA_WAIT_REACHED);
        }
    qa_board_end(board);
    assert_false(qa_board_rest(board, 1000, 1000));
    qa_board_free(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read__of_a_position_that_was_reached__does_not_wait),
        cmocka_unit_test(a_read__of_a_later_position__is_woken_when_it_is_published_and_not_before),
        cmocka_unit_test(a_read__that_either_source_can_answer__waits_for_the_slower_one_within_its_grace_only),
        cmocka_unit_test(a_read__whose_time_is_over__is_told_so_at_the_next_publication),
        cmocka_unit_test(a_read__of_a_partition_that_has_stopped__is_refused_however_far_it_got),
        cmocka_unit_test(a_read__before_redis_was_seen_to_hold_the_log_of_postgres__is_not_served_by_it),
        cmocka_unit_test(a_read__after_postgres_began_a_partition_anew__is_not_served_by_redis_until_that_holds_the_same_log),
        cmocka_unit_test(a_partition__that_began_anew_and_is_further_than_before__is_noticed),
        cmocka_unit_test(a_read__that_can_never_be_served__is_refused_at_once),
        cmocka_unit_test(many_threads__that_wait_while_positions_move__are_each_answered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
