/* work - see work.h. One mutex and one condition: a worker's job is a round trip to a database, next to which the lock is nothing. */
#include "query-api/server/work.h"

#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/log/log.h"
#include "query-api/server/server.h"

#include <pthread.h>

typedef struct thread_of {
    qa_work *work;
    qa_worker worker;
    pthread_t thread;
    bool runs;
} thread_of;

struct qa_work {
    qa_work_options options;
    pthread_mutex_t lock;
    pthread_cond_t pushed;
    qa_call *first, *last;
    size_t queued, idle; /* idle: threads that wait for a call */
    bool stopping;
    thread_of *threads;
};

/* How many of the calls at the front one worker should take: if their route answers several together, its share among those that have nothing to do. */
static size_t share(const qa_work *work)
{
    const qa_route *route = work->first->route;
    size_t count = 1, most = work->queued / (work->idle + 1);
    if (route->answer_together == NULL)
        return 1;
    for (const qa_call *call = work->first->next; call != NULL && call->route == route && count < most && count < QA_TOGETHER_MAX; call = call->next)
        count++;
    return count;
}

/* Waits for calls; 0: it is over. */
static size_t pop(qa_work *work, qa_call **ret_calls)
{
    pthread_mutex_lock(&work->lock);
    work->idle++;
    while (work->first == NULL && !work->stopping)
        pthread_cond_wait(&work->pushed, &work->lock);
    work->idle--;
    size_t count = work->first == NULL ? 0 : share(work);
    for (size_t i = 0; i < count; i++) {
        ret_calls[i] = work->first;
        work->first = work->first->next;
    }
    if (work->first == NULL)
        work->last = NULL;
    work->queued -= count;
    pthread_mutex_unlock(&work->lock);
    return count;
}

/* Answers those that stood too long; the others move up. */
static size_t give_up_late(const qa_work *work, qa_call **calls, size_t count)
{
    int64_t latest_us = bt_clock_monotonic_us() - work->options.queue_limit_ms * 1000;
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (calls[i]->queued_mono_us < latest_us)
            work->options.give_up(calls[i]);
        else
            calls[left++] = calls[i];
    }
    return left;
}

static void *run(void *context)
{
    thread_of *self = context;
    qa_call *calls[QA_TOGETHER_MAX];
    for (size_t count; (count = pop(self->work, calls)) > 0;) {
        for (size_t i = 0; i < count; i++)
            calls[i]->worker = &self->worker;
        count = give_up_late(self->work, calls, count);
        if (count > 0)
            self->work->options.serve(calls, count);
        bt_log_set_correlation(BT_STR(""));
        bt_arena_reset(&self->worker.arena);
    }
    return NULL;
}

static bt_pg *connection_of(const qa_settings *settings)
{
    return bt_pg_new(&(bt_pg_config){ .dsn = settings->postgres_dsn,
        .application_name = "berth-query-api",
        .connect_timeout_ms = (int)settings->postgres_timeout_ms,
        .statement_timeout_ms = (int)settings->postgres_timeout_ms });
}

bool qa_worker_query(qa_worker *worker, const char *sql, const bt_pg_param *params, size_t param_count, bt_pg_result *ret_rows, bt_err *err)
{
    int64_t began_us = bt_clock_monotonic_us();
    if (!bt_pg_is_connected(worker->pg) && !qa_board_is_up(worker->server->board, QA_SOURCE_POSTGRES))
        return bt_fail(err, BT_ERR_RETRY, 0, "Postgres has not answered for a while"); /* to wait for it here would hold up what Redis can answer */
    if (bt_pg_query(worker->pg, sql, params, param_count, ret_rows, err))
        return true;
    bool lost = (err->kind == BT_ERR_RETRY || err->kind == BT_ERR_UNKNOWN) && !bt_pg_is_connected(worker->pg);
    bool quickly = bt_clock_monotonic_us() - began_us < worker->server->settings.postgres_timeout_ms * 1000 / 2;
    if (!lost || !quickly || !qa_board_is_up(worker->server->board, QA_SOURCE_POSTGRES))
        return false;
    /* A new one also has no back-off from the time when Postgres was down. */
    bt_pg_free(worker->pg);
    worker->pg = connection_of(&worker->server->settings);
    return bt_pg_query(worker->pg, sql, params, param_count, ret_rows, err);
}

static bool start_thread(qa_work *work, thread_of *thread, bt_err *err)
{
    const qa_work_options *options = &work->options;
    const qa_settings *settings = &options->server->settings;
    thread->work = work;
    thread->worker.server = options->server;
    bt_arena_init(&thread->worker.arena, 0);
    thread->worker.pg = connection_of(settings);
    thread->worker.redis = bt_redis_new(
        &(bt_redis_config){ .url = settings->redis_url, .connect_timeout_ms = (int)settings->redis_timeout_ms, .command_timeout_ms = (int)settings->redis_timeout_ms }, err);
    if (thread->worker.redis == NULL)
        return false;
    thread->runs = pthread_create(&thread->thread, NULL, run, thread) == 0;
    return thread->runs || bt_fail(err, BT_ERR_RETRY, 0, "cannot start worker threads");
}

bool qa_work_start(const qa_work_options *options, qa_work **ret_work, bt_err *err)
{
    qa_work *work = bt_alloc(sizeof *work);
    work->options = *options;
    work->threads = bt_alloc(sizeof *work->threads * (size_t)options->thread_count);
    pthread_mutex_init(&work->lock, NULL);
    pthread_cond_init(&work->pushed, NULL);
    for (int i = 0; i < options->thread_count; i++)
        if (!start_thread(work, &work->threads[i], err)) {
            qa_work_stop(work);
            return false;
        }
    *ret_work = work;
    return true;
}

bool qa_work_push(qa_work *work, qa_call *call)
{
    call->next = NULL;
    call->queued_mono_us = bt_clock_monotonic_us();
    pthread_mutex_lock(&work->lock);
    bool fits = (int64_t)work->queued < work->options.queue_max && !work->stopping;
    if (fits) {
        if (work->last != NULL)
            work->last->next = call;
        else
            work->first = call;
        work->last = call;
        work->queued++;
        pthread_cond_signal(&work->pushed);
    }
    pthread_mutex_unlock(&work->lock);
    return fits;
}

size_t qa_work_queued(qa_work *work)
{
    pthread_mutex_lock(&work->lock);
    size_t queued = work->queued;
    pthread_mutex_unlock(&work->lock);
    return queued;
}

void qa_work_stop(qa_work *work)
{
    if (work == NULL)
        return;
    pthread_mutex_lock(&work->lock);
    work->stopping = true;
    pthread_cond_broadcast(&work->pushed);
    pthread_mutex_unlock(&work->lock);
    for (int i = 0; i < work->options.thread_count; i++) {
        thread_of *thread = &work->threads[i];
        if (thread->runs)
            pthread_join(thread->thread, NULL);
        bt_pg_free(thread->worker.pg);
        bt_redis_free(thread->worker.redis);
        bt_arena_release(&thread->worker.arena);
    }
    pthread_cond_destroy(&work->pushed);
    pthread_mutex_destroy(&work->lock);
    bt_release(work->threads);
    bt_release(work);
}
