/* board - one mutex over a small table and a list. The list is walked at each publication: with the ceiling on waiting reads that is
 * some microseconds every few milliseconds, and needs no order by offset. */
#include "query-api/server/board.h"

#include "core/memory.h"
#include "io/clock/clock.h"

#include <pthread.h>
#include <time.h>

struct qa_board {
    pthread_mutex_t lock;
    pthread_cond_t somebody_waits; /* on the monotonic clock */
    bt_str kind;
    qa_position positions[QA_SOURCE_COUNT][QA_PARTITIONS_MAX];
    int32_t counts[QA_SOURCE_COUNT];
    int64_t in_question[QA_PARTITIONS_MAX]; /* Redis may hold records that were lost and given up, and Postgres cannot tell which before it gets here; 0: no */
    bool is_up[QA_SOURCE_COUNT];
    qa_wait *first;
    size_t waiting, waiting_max;
    uint64_t arrivals; /* waits ever parked: a watcher rests until it changes */
    bool ended;
    _Atomic int32_t partition_count;
};

qa_board *qa_board_new(bt_str kind, size_t waiting_max)
{
    qa_board *board = bt_alloc(sizeof *board);
    board->kind = kind;
    board->waiting_max = waiting_max;
    pthread_mutex_init(&board->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&board->somebody_waits, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return board;
}

void qa_board_free(qa_board *board)
{
    if (board == NULL)
        return;
    bt_assert(board->waiting == 0);
    pthread_cond_destroy(&board->somebody_waits);
    pthread_mutex_destroy(&board->lock);
    bt_release(board);
}

bt_str qa_board_kind(const qa_board *board) { return board->kind; }
int32_t qa_board_partition_count(const qa_board *board) { return board->partition_count; }

static bool has_reached(const qa_board *board, int source, const qa_wait *wait)
{
    for (size_t i = 0; i < wait->token_count; i++) {
        const qa_token *token = &wait->tokens[i];
        if (token->partition >= board->counts[source] || board->positions[source][token->partition].next_offset <= token->offset)
            return false;
        if (source == QA_SOURCE_REDIS && board->in_question[token->partition] > 0)
            return false;
    }
    return true;
}

/* Also of a partition that got there before it stopped: what it shows may hold records that the log has lost since, and whoever sends a
 * position wants to build on what it says. */
static bool names_stopped(const qa_board *board, const qa_wait *wait)
{
    for (size_t i = 0; i < wait->token_count; i++) {
        for (int source = 0; source < QA_SOURCE_COUNT; source++) {
            if (wait->tokens[i].partition < board->counts[source] && board->positions[source][wait->tokens[i].partition].stopped)
                return true;
        }
    }
    return false;
}

/* What a wait's outcome is now; PARKED: it goes on waiting. */
static qa_wait_outcome judged(const qa_board *board, const qa_wait *wait, int64_t now_us)
{
    bool any_reached = false, all_reached = true;
    for (size_t i = 0; i < wait->token_count; i++)
        if (board->partition_count > 0 && wait->tokens[i].partition >= board->partition_count)
            return QA_WAIT_NO_PARTITION;
    if (names_stopped(board, wait))
        return QA_WAIT_STOPPED;
    for (int source = 0; source < QA_SOURCE_COUNT; source++) {
        if ((wait->needs >> source & 1) == 0 || !board->is_up[source])
            continue;
        bool reached = has_reached(board, source, wait);
        any_reached = any_reached || reached;
        all_reached = all_reached && reached;
    }
    if (any_reached && (all_reached || now_us >= wait->grace_mono_us))
        return QA_WAIT_REACHED;
    return now_us >= wait->deadline_mono_us ? (any_reached ? QA_WAIT_REACHED : QA_WAIT_TIMED_OUT) : QA_WAIT_PARKED;
}

static void unlink_wait(qa_board *board, qa_wait *wait)
{
    if (wait->previous != NULL)
        wait->previous->next = wait->next;
    else
        board->first = wait->next;
    if (wait->next != NULL)
        wait->next->previous = wait->previous;
    board->waiting--;
}

qa_wait_outcome qa_board_wait(qa_board *board, qa_wait *wait)
{
    int64_t now_us = bt_clock_monotonic_us();
    pthread_mutex_lock(&board->lock);
    qa_wait_outcome outcome = board->ended ? QA_WAIT_ENDED : judged(board, wait, now_us);
    if (outcome == QA_WAIT_PARKED && board->waiting == board->waiting_max)
        outcome = QA_WAIT_FULL;
    if (outcome == QA_WAIT_PARKED) {
        wait->previous = NULL;
        wait->next = board->first;
        if (board->first != NULL)
            board->first->previous = wait;
        board->first = wait;
        board->waiting++;
        board->arrivals++;
        pthread_cond_broadcast(&board->somebody_waits);
    }
    pthread_mutex_unlock(&board->lock);
    return outcome;
}

bool qa_board_position(qa_board *board, qa_source source, int32_t partition, qa_position *ret_position)
{
    pthread_mutex_lock(&board->lock);
    bool known = partition >= 0 && partition < board->counts[source];
    if (known)
        *ret_position = board->positions[source][partition];
    pthread_mutex_unlock(&board->lock);
    return known;
}

bool qa_board_trusts_redis(qa_board *board, int32_t partition, qa_position *ret_redis)
{
    pthread_mutex_lock(&board->lock);
    bool known = partition >= 0 && partition < QA_PARTITIONS_MAX;
    bool trusts = !known || board->in_question[partition] == 0;
    if (ret_redis != NULL && known)
        *ret_redis = partition < board->counts[QA_SOURCE_REDIS] ? board->positions[QA_SOURCE_REDIS][partition] : (qa_position){ .next_offset = -1, .head_offset = -1 };
    pthread_mutex_unlock(&board->lock);
    return trusts;
}

void qa_board_trust(qa_board *board, int32_t partition)
{
    pthread_mutex_lock(&board->lock);
    if (board->positions[QA_SOURCE_POSTGRES][partition].next_offset >= board->in_question[partition])
        board->in_question[partition] = 0;
    pthread_mutex_unlock(&board->lock);
}

bool qa_board_is_up(qa_board *board, qa_source source)
{
    pthread_mutex_lock(&board->lock);
    bool is_up = board->is_up[source];
    pthread_mutex_unlock(&board->lock);
    return is_up;
}

size_t qa_board_waiting(qa_board *board)
{
    pthread_mutex_lock(&board->lock);
    size_t waiting = board->waiting;
    pthread_mutex_unlock(&board->lock);
    return waiting;
}

/* Takes every wait that has an outcome, then calls back without the lock. The links are free once a wait is out of the list. */
static void settle(qa_board *board, bool all_end)
{
    struct {
        qa_wait *wait;
        qa_wait_outcome outcome;
    } done[64];
    for (bool more = true; more;) {
        size_t count = 0;
        int64_t now_us = bt_clock_monotonic_us();
        pthread_mutex_lock(&board->lock);
        for (qa_wait *wait = board->first, *next; wait != NULL && count < BT_COUNT_OF(done); wait = next) {
            next = wait->next;
            qa_wait_outcome outcome = all_end ? QA_WAIT_ENDED : judged(board, wait, now_us);
            if (outcome == QA_WAIT_PARKED)
                continue;
            unlink_wait(board, wait);
            done[count].wait = wait;
            done[count++].outcome = outcome;
        }
        pthread_mutex_unlock(&board->lock);
        for (size_t i = 0; i < count; i++)
            done[i].wait->done(done[i].wait, done[i].outcome);
        more = count == BT_COUNT_OF(done);
    }
}

/* Of a partition that is new to us, we do not know what Redis holds either. That rows began anew is told by their time: they may be further than before when we look. */
static bool note_what_began_anew(qa_board *board, const qa_position *positions, int32_t count)
{
    bool any = false;
    for (int32_t i = 0; i < count; i++) {
        const qa_position *before = i < board->counts[QA_SOURCE_POSTGRES] ? &board->positions[QA_SOURCE_POSTGRES][i] : NULL;
        bool anew = before != NULL && (positions[i].began_us != before->began_us || positions[i].next_offset < before->next_offset);
        if (before == NULL)
            board->in_question[i] = 1;
        else if (anew && board->in_question[i] < before->next_offset)
            board->in_question[i] = before->next_offset;
        any = any || anew;
    }
    return any;
}

bool qa_board_publish(qa_board *board, qa_source source, bool is_up, const qa_position *positions, int32_t count)
{
    bool anew = false;
    count = count > QA_PARTITIONS_MAX ? QA_PARTITIONS_MAX : count;
    pthread_mutex_lock(&board->lock);
    board->is_up[source] = is_up;
    if (is_up) {
        anew = source == QA_SOURCE_POSTGRES && note_what_began_anew(board, positions, count);
        memcpy(board->positions[source], positions, (size_t)count * sizeof *positions);
        board->counts[source] = count;
        if (source == QA_SOURCE_POSTGRES)
            board->partition_count = count;
    }
    pthread_mutex_unlock(&board->lock);
    settle(board, false);
    return anew;
}

static struct timespec in_ms(int64_t ms)
{
    int64_t at_us = bt_clock_monotonic_us() + ms * 1000;
    return (struct timespec){ at_us / 1000000, at_us % 1000000 * 1000 };
}

bool qa_board_rest(qa_board *board, int64_t busy_ms, int64_t idle_ms)
{
    pthread_mutex_lock(&board->lock);
    bool busy = board->waiting > 0;
    uint64_t seen = board->arrivals;
    struct timespec until = in_ms(busy ? busy_ms : idle_ms);
    /* While somebody waits already, one more does not cut the rest short: the pace is the same for all. */
    for (int late = 0; late == 0 && !board->ended && (busy || board->arrivals == seen);)
        late = pthread_cond_timedwait(&board->somebody_waits, &board->lock, &until);
    bool goes_on = !board->ended;
    pthread_mutex_unlock(&board->lock);
    return goes_on;
}

void qa_board_end(qa_board *board)
{
    pthread_mutex_lock(&board->lock);
    board->ended = true;
    pthread_cond_broadcast(&board->somebody_waits);
    pthread_mutex_unlock(&board->lock);
    settle(board, true);
}
