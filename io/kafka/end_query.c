/* end_query - a ring of questions. The asker owns the tail (it takes answers, or gives up on time), the thread works on
 * the oldest unanswered one; an answer to a question that was given up is dropped. */
#include "io/kafka/end_query.h"

#include "core/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define QUESTIONS_MAX 64
#define JOIN_MS 2000

typedef struct question {
    bt_end_answer answer;
    int64_t asked_at_ms;
    bool answered;
} question;

struct bt_end_query {
    rd_kafka_t *client;
    char topic[256];
    int timeout_ms;
    bt_wake *wake;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    question ring[QUESTIONS_MAX];
    uint64_t asked, worked, taken; /* counts; taken <= worked <= asked, except that taken may overtake a hanging work */
    bool stop, stopped;
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

/* Called and returns with the mutex held; gives it up while the library works. */
static void work_on(bt_end_query *query, uint64_t number)
{
    int32_t partition = query->ring[number % QUESTIONS_MAX].answer.partition;
    int64_t start = -1, end = -1;
    pthread_mutex_unlock(&query->mutex);
    rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(query->client, query->topic, partition, &start, &end, query->timeout_ms);
    pthread_mutex_lock(&query->mutex);
    if (number < query->taken)
        return; /* given up meanwhile: its place in the ring may be another's */
    question *asked = &query->ring[number % QUESTIONS_MAX];
    bool good = error == RD_KAFKA_RESP_ERR_NO_ERROR && end >= 0;
    asked->answer.start_offset = good ? start : -1;
    asked->answer.end_offset = good ? end : -1;
    asked->answer.error = error;
    asked->answered = true;
    pthread_cond_broadcast(&query->changed);
    if (query->wake != NULL)
        bt_wake_up(query->wake);
}

static void *work(void *argument)
{
    bt_end_query *query = argument;
    pthread_mutex_lock(&query->mutex);
    while (!query->stop) {
        if (query->worked < query->taken)
            query->worked = query->taken;
        if (query->worked == query->asked)
            pthread_cond_wait(&query->changed, &query->mutex);
        else
            work_on(query, query->worked++);
    }
    query->stopped = true;
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
    bt_assert(pthread_create(&query->thread, NULL, work, query) == 0);
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
    while (!query->stopped && pthread_cond_timedwait(&query->changed, &query->mutex, &until) == 0)
        ;
    bool stopped = query->stopped;
    pthread_mutex_unlock(&query->mutex);
    if (!stopped) {
        pthread_detach(query->thread);
        return false;
    }
    pthread_join(query->thread, NULL);
    pthread_cond_destroy(&query->changed);
    pthread_mutex_destroy(&query->mutex);
    bt_release(query);
    return true;
}

bool bt_end_query_ask(bt_end_query *query, int32_t partition, uint64_t request)
{
    pthread_mutex_lock(&query->mutex);
    bool room = query->asked - query->taken < QUESTIONS_MAX;
    if (room) {
        query->ring[query->asked % QUESTIONS_MAX] = (question){
            .answer = { .request = request, .partition = partition, .start_offset = -1, .end_offset = -1, .error = RD_KAFKA_RESP_ERR__TIMED_OUT },
            .asked_at_ms = bt_kafka_now_ms(),
        };
        query->asked++;
        pthread_cond_broadcast(&query->changed);
    }
    pthread_mutex_unlock(&query->mutex);
    return room;
}

static bool is_due(const bt_end_query *query)
{
    const question *oldest = &query->ring[query->taken % QUESTIONS_MAX];
    return query->taken < query->asked && (oldest->answered || bt_kafka_now_ms() - oldest->asked_at_ms >= query->timeout_ms);
}

bool bt_end_query_take(bt_end_query *query, int wait_ms, bt_end_answer *ret_answer)
{
    struct timespec until = after_ms(wait_ms);
    pthread_mutex_lock(&query->mutex);
    while (wait_ms > 0 && !is_due(query) && pthread_cond_timedwait(&query->changed, &query->mutex, &until) == 0)
        ;
    bool due = is_due(query);
    if (due)
        *ret_answer = query->ring[query->taken++ % QUESTIONS_MAX].answer;
    pthread_mutex_unlock(&query->mutex);
    return due;
}
