/* pool - see loop.h. */
#include "io/http/loop.h"

typedef struct bt_pool {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    bt_exchange *first, *last;
    bool stopping;
    int thread_count;
    pthread_t threads[];
} bt_pool;

static void *run(void *argument)
{
    bt_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    while (true) {
        while (pool->first == NULL && !pool->stopping)
            pthread_cond_wait(&pool->filled, &pool->lock);
        bt_exchange *exchange = pool->first;
        if (exchange == NULL)
            break;
        pool->first = exchange->next;
        pthread_mutex_unlock(&pool->lock);
        bt_front_handle(exchange);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct bt_pool *bt_pool_new(int thread_count)
{
    bt_pool *pool = bt_alloc(sizeof *pool + sizeof pool->threads[0] * (size_t)thread_count);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->filled, NULL);
    pool->thread_count = thread_count;
    for (int i = 0; i < thread_count; i++)
        bt_assert(pthread_create(&pool->threads[i], NULL, run, pool) == 0);
    return pool;
}

void bt_pool_add(struct bt_pool *pool, bt_exchange *exchange)
{
    exchange->next = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->first == NULL)
        pool->first = exchange;
    else
        pool->last->next = exchange;
    pool->last = exchange;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_signal(&pool->filled);
}

void bt_pool_free(struct bt_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->filled);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->filled);
    bt_release(pool);
}
