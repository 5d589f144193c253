/* end_query - a place for each partition's question, and workers that take the oldest one that waits. The asker owns what is answered or overdue; a
 * worker's answer to a question that was given up meanwhile is dropped, which the question's number tells.
 *
 * As long as leaders answer, one worker asks, and a spare one looks on. When a question has waited for a moment, the one before it hangs at a leader that
 * is not there: then the spare one asks, and another looks on. */
#include "io/kafka/end_query.h"

#include "core/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define WORKERS_MAX 64
#define STUCK_MS 20 /* so long a question waits for one that is asked: then that one hangs */
#define JOIN_MS 2000

typedef enum stage { FREE, WAITING, ASKED, ANSWERED } stage;

typedef struct question {
    stage stage;
    uint64_t number;
    int64_t asked_at_ms;
    bt_end_answer answer;
    bool has_next; /* asked meanwhile: its turn comes when this one is taken */
    uint64_t next_request;
} question;

struct bt_end_query {
    rd_kafka_t *client;
    char topic[256];
    int timeout_ms;
    bt_wake *wake;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    pthread_t workers[WORKERS_MAX];
    int worker_count, idle_count, busy_count, stopped_count;
    question questions[BT_END_QUERY_PARTITIONS_MAX]; /* by partition */
    int32_t open_count, partition_limit;             /* places that are not FREE; no partition from here on was ever asked for */
    uint64_t last_number;
    bool stop;
};

static struct timespec after_ms(int64_t wait_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += wait_ms / 1000;
    at.tv_nsec += (wait_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* The functions from here to work() are called with the mutex held. */

static question *oldest_waiting(bt_end_query *query)
{
    question *oldest = NULL;
    for (int32_t partition = 0; query->open_count > 0 && partition < query->partition_limit; partition++) {
        question *it = &query->questions[partition];
        if (it->stage == WAITING && (oldest == NULL || it->number < oldest->number))
            oldest = it;
    }
    return oldest;
}

static void put(bt_end_query *query, question *place, int32_t partition, uint64_t request)
{
    *place = (question){
        .stage = WAITING,
        .number = ++query->last_number,
        .asked_at_ms = bt_kafka_now_ms(),
        .answer = { .request = request, .partition = partition, .start_offset = -1, .end_offset = -1, .error = RD_KAFKA_RESP_ERR__TIMED_OUT },
    };
    pthread_cond_broadcast(&query->changed);
}

static void *work(void *argument);

static bool add_worker(bt_end_query *query)
{
    bool added = query->worker_count < WORKERS_MAX && pthread_create(&query->workers[query->worker_count], NULL, work, query) == 0;
    query->worker_count += added;
    query->idle_count += added;
    return added;
}

/* Gives the mutex up while the library works. */
static void work_on(bt_end_query *query, question *asked)
{
    uint64_t number = asked->number;
    int64_t start = -1, end = -1;
    asked->stage = ASKED;
    query->busy_count++;
    if (--query->idle_count == 0)
        (void)add_worker(query); /* without a spare one, questions wait until one is free */
    pthread_mutex_unlock(&query->mutex);
    rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(query->client, query->topic, asked->answer.partition, &start, &end, query->timeout_ms);
    pthread_mutex_lock(&query->mutex);
    query->busy_count--;
    query->idle_count++;
    if (asked->number != number || asked->stage != ASKED)
        return; /* given up meanwhile */
    bool good = error == RD_KAFKA_RESP_ERR_NO_ERROR && end >= 0;
    asked->answer.start_offset = good ? start : -1;
    asked->answer.end_offset = good ? end : -1;
    asked->answer.error = error;
    asked->stage = ANSWERED;
    pthread_cond_broadcast(&query->changed);
    if (query->wake != NULL)
        bt_wake_up(query->wake);
}

static void *work(void *argument)
{
    bt_end_query *query = argument;
    pthread_mutex_lock(&query->mutex);
    while (!query->stop) {
        question *next = oldest_waiting(query);
        int64_t left_ms = next == NULL ? 0 : next->asked_at_ms + STUCK_MS - bt_kafka_now_ms();
        if (next == NULL) {
            pthread_cond_wait(&query->changed, &query->mutex);
        } else if (query->busy_count == 0 || left_ms <= 0) {
            work_on(query, next);
        } else {
            struct timespec until = after_ms(left_ms);
            pthread_cond_timedwait(&query->changed, &query->mutex, &until);
        }
    }
    query->stopped_count++;
    pthread_cond_broadcast(&query->changed);
    pthread_mutex_unlock(&query->mutex);
    return NULL;
}

bt_end_query *bt_end_query_new(rd_kafka_t *client, const char *topic, int timeout_ms, bt_wake *wake)
{
    bt_end_query *query = bt_alloc(sizeof *query);
    query->client = client;
    snprintf(query->topic, sizeof query->topic, "%s", topic);
    query->timeout_ms = timeout_ms;
    query->wake = wake;
    pthread_mutex_init(&query->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&query->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_lock(&query->mutex);
    bt_assert(add_worker(query));
    pthread_mutex_unlock(&query->mutex);
    return query;
}

bool bt_end_query_free(bt_end_query *query)
{
    if (query == NULL)
        return true;
    struct timespec until = after_ms(JOIN_MS);
    pthread_mutex_lock(&query->mutex);
    query->stop = true;
    query->wake = NULL;
    pthread_cond_broadcast(&query->changed);
    while (query->stopped_count < query->worker_count && pthread_cond_timedwait(&query->changed, &query->mutex, &until) == 0)
        ;
    bool stopped = query->stopped_count == query->worker_count;
    pthread_mutex_unlock(&query->mutex);
    for (int i = 0; i < query->worker_count; i++) {
        if (stopped)
            pthread_join(query->workers[i], NULL);
        else
            pthread_detach(query->workers[i]);
    }
    if (!stopped)
        return false;
    pthread_cond_destroy(&query->changed);
    pthread_mutex_destroy(&query->mutex);
    bt_release(query);
    return true;
}

void bt_end_query_ask(bt_end_query *query, int32_t partition, uint64_t request)
{
    bt_assert(partition >= 0 && partition < BT_END_QUERY_PARTITIONS_MAX);
    pthread_mutex_lock(&query->mutex);
    question *place = &query->questions[partition];
    switch (place->stage) {
    case FREE:
        query->open_count++;
        query->partition_limit = partition < query->partition_limit ? query->partition_limit : partition + 1;
        put(query, place, partition, request);
        break;
    case WAITING:
        place->answer.request = request;
        break;
    case ASKED:
    case ANSWERED:
        place->has_next = request != place->answer.request;
        place->next_request = request;
        break;
    }
    pthread_mutex_unlock(&query->mutex);
}

static question *due(bt_end_query *query)
{
    int64_t now_ms = query->open_count > 0 ? bt_kafka_now_ms() : 0;
    for (int32_t partition = 0; query->open_count > 0 && partition < query->partition_limit; partition++) {
        question *it = &query->questions[partition];
        if (it->stage == ANSWERED || (it->stage != FREE && now_ms - it->asked_at_ms >= query->timeout_ms))
            return it;
    }
    return NULL;
}

/* None is due. The time of the one whose time is over first, or the limit, if that is sooner. */
static int64_t next_ms(const bt_end_query *query, int64_t limit_ms)
{
    int64_t next = limit_ms;
    for (int32_t partition = 0; partition < query->partition_limit; partition++) {
        const question *it = &query->questions[partition];
        if (it->stage != FREE && it->asked_at_ms + query->timeout_ms < next)
            next = it->asked_at_ms + query->timeout_ms;
    }
    return next;
}

bool bt_end_query_take(bt_end_query *query, int wait_ms, bt_end_answer *ret_answer)
{
    pthread_mutex_lock(&query->mutex);
    question *taken = due(query);
    int64_t now_ms = wait_ms > 0 ? bt_kafka_now_ms() : 0, until_ms = now_ms + wait_ms;
    while (taken == NULL && now_ms < until_ms) {
        struct timespec at = after_ms(next_ms(query, until_ms) - now_ms);
        pthread_cond_timedwait(&query->changed, &query->mutex, &at);
        taken = due(query);
        now_ms = bt_kafka_now_ms();
    }
    if (taken != NULL) {
        *ret_answer = taken->answer;
        if (taken->has_next) {
            put(query, taken, ret_answer->partition, taken->next_request);
        } else {
            taken->stage = FREE;
            query->open_count--;
        }
    }
    pthread_mutex_unlock(&query->mutex);
    return taken != NULL;
}
