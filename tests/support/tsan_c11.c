/* tsan_c11 - under ThreadSanitizer only: C11 threads by way of pthreads, which is how the sanitizer sees them.
 *
 * librdkafka uses <threads.h>. gcc's ThreadSanitizer knows nothing of thrd_create and crashes in the first thread made by it, and
 * without mtx_lock it would take every hand-over through librdkafka's queues for a race. glibc's types are the pthread ones in
 * another dress, so each call is passed on. Compiled into every program that links io/kafka with BERTH_SANITIZE=thread. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

/* Exported, so that they take the place of glibc's for librdkafka. */
#define EXPORTED __attribute__((visibility("default")))

static int result_of(int error)
{
    switch (error) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

typedef struct start {
    thrd_start_t function;
    void *argument;
} start;

static void *run(void *at)
{
    start begun = *(start *)at;
    free(at);
    return (void *)(long)begun.function(begun.argument);
}

EXPORTED int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    start *begun = malloc(sizeof *begun);
    if (begun == NULL)
        return thrd_nomem;
    *begun = (start){ function, argument };
    int error = pthread_create(thread, NULL, run, begun);
    if (error != 0)
        free(begun);
    return result_of(error);
}

EXPORTED int thrd_join(thrd_t thread, int *result)
{
    void *value;
    int error = pthread_join(thread, &value);
    if (error == 0 && result != NULL)
        *result = (int)(long)value;
    return result_of(error);
}

EXPORTED int thrd_detach(thrd_t thread) { return result_of(pthread_detach(thread)); }

EXPORTED int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if ((type & mtx_recursive) != 0)
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    int error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result_of(error);
}

EXPORTED void mtx_destroy(mtx_t *mutex) { pthread_mutex_destroy((pthread_mutex_t *)mutex); }
EXPORTED int mtx_lock(mtx_t *mutex) { return result_of(pthread_mutex_lock((pthread_mutex_t *)mutex)); }
EXPORTED int mtx_trylock(mtx_t *mutex) { return result_of(pthread_mutex_trylock((pthread_mutex_t *)mutex)); }
EXPORTED int mtx_unlock(mtx_t *mutex) { return result_of(pthread_mutex_unlock((pthread_mutex_t *)mutex)); }

EXPORTED int cnd_init(cnd_t *condition) { return result_of(pthread_cond_init((pthread_cond_t *)condition, NULL)); }
EXPORTED void cnd_destroy(cnd_t *condition) { pthread_cond_destroy((pthread_cond_t *)condition); }
EXPORTED int cnd_signal(cnd_t *condition) { return result_of(pthread_cond_signal((pthread_cond_t *)condition)); }
EXPORTED int cnd_broadcast(cnd_t *condition) { return result_of(pthread_cond_broadcast((pthread_cond_t *)condition)); }
EXPORTED int cnd_wait(cnd_t *condition, mtx_t *mutex) { return result_of(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex)); }

EXPORTED int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    return result_of(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}

/* librdkafka destroys a topic's read-write lock while what it did to it before is not ordered in the sanitizer's eyes. Only that is let pass. */
EXPORTED const char *__tsan_default_suppressions(void);
EXPORTED const char *__tsan_default_suppressions(void)
{
    return "race:pthread_rwlock_destroy\n";
}
