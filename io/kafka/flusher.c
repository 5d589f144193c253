/* flusher - see the header. */
#include "io/kafka/flusher.h"

#include "core/memory.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* For so long linger.ms counts as over, or until all is reported. A broker's thread must have woken up in it. Longer would let the next batch, of another partition, be
 * taken in pieces again. */
#define FLUSH_MS 2

struct bt_flusher {
    rd_kafka_t *client;
    pthread_t thread;
    sem_t wanted;
    atomic_bool ends;
};

static void *run(void *argument)
{
    bt_flusher *flusher = argument;
    for (;;) {
        while (sem_wait(&flusher->wanted) != 0)
            bt_assert(errno == EINTR);
        while (sem_trywait(&flusher->wanted) == 0) { /* one flush is for all who asked */
        }
        if (atomic_load(&flusher->ends))
            return NULL;
        rd_kafka_flush(flusher->client, FLUSH_MS);
    }
}

bt_flusher *bt_flusher_new(rd_kafka_t *client)
{
    bt_flusher *flusher = bt_alloc(sizeof *flusher);
    flusher->client = client;
    bt_assert(sem_init(&flusher->wanted, 0, 0) == 0);
    if (pthread_create(&flusher->thread, NULL, run, flusher) == 0)
        return flusher;
    sem_destroy(&flusher->wanted);
    bt_release(flusher);
    return NULL;
}

void bt_flusher_flush(bt_flusher *flusher) { sem_post(&flusher->wanted); }

void bt_flusher_free(bt_flusher *flusher)
{
    if (flusher == NULL)
        return;
    atomic_store(&flusher->ends, true);
    sem_post(&flusher->wanted);
    pthread_join(flusher->thread, NULL);
    sem_destroy(&flusher->wanted);
    bt_release(flusher);
}
