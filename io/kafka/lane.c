/* lane - see the header. */
#include "io/kafka/lane.h"

#include "core/memory.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#define GATHERING_LINGER_MS 5 /* how late a record is when its flush is missed */

/* For so long linger counts as over, or until all is reported: a broker's thread must have woken up in it. Longer would let the next batch, of another
 * partition, be taken in pieces. */
#define FLUSH_MS 2

struct lane_flusher {
    rd_kafka_t *client;
    pthread_t thread;
    sem_t wanted;
    atomic_bool ends;
};

static void *flush_on_demand(void *argument)
{
    lane_flusher *flusher = argument;
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

static lane_flusher *flusher_new(rd_kafka_t *client)
{
    lane_flusher *flusher = bt_alloc(sizeof *flusher);
    flusher->client = client;
    if (sem_init(&flusher->wanted, 0, 0) == 0 && pthread_create(&flusher->thread, NULL, flush_on_demand, flusher) == 0)
        return flusher;
    bt_release(flusher);
    return NULL;
}

/* Waits for its thread, which takes some milliseconds. */
static void flusher_free(lane_flusher *flusher)
{
    if (flusher == NULL)
        return;
    atomic_store(&flusher->ends, true);
    sem_post(&flusher->wanted);
    pthread_join(flusher->thread, NULL);
    sem_destroy(&flusher->wanted);
    bt_release(flusher);
}

static rd_kafka_t *client_new(lane_kind kind, const rd_kafka_conf_t *conf, bt_err *err)
{
    rd_kafka_conf_t *own = rd_kafka_conf_dup(conf);
    if (bt_kafka_conf_set_i64(own, "linger.ms", kind == LANE_GATHERING ? GATHERING_LINGER_MS : 0, err))
        return bt_kafka_client_new(RD_KAFKA_PRODUCER, own, err);
    rd_kafka_conf_destroy(own);
    return NULL;
}

bool lane_open(lane *opened, lane_kind kind, const rd_kafka_conf_t *conf, const char *topic, bt_wake *wake, bt_err *err)
{
    *opened = (lane){ .client = client_new(kind, conf, err) };
    if (opened->client == NULL)
        return false;
    opened->topic = rd_kafka_topic_new(opened->client, topic, NULL);
    opened->flusher = opened->topic != NULL && kind == LANE_GATHERING ? flusher_new(opened->client) : NULL;
    if (opened->topic == NULL || (kind == LANE_GATHERING && opened->flusher == NULL)) {
        if (opened->topic == NULL)
            bt_fail(err, BT_ERR_INPUT, 0, "'%s' is not a topic's name", topic);
        else
            bt_fail(err, BT_ERR_RETRY, 0, "the producer: no thread is to be had");
        if (opened->topic != NULL)
            rd_kafka_topic_destroy(opened->topic);
        rd_kafka_destroy(opened->client);
        *opened = (lane){ 0 };
        return false;
    }
    opened->queue = rd_kafka_queue_get_main(opened->client);
    if (wake != NULL) {
        uint64_t one = 1;
        rd_kafka_queue_io_event_enable(opened->queue, wake->fd, &one, sizeof one);
    }
    return true;
}

void lane_flush(lane *flushed)
{
    if (flushed->flusher != NULL)
        sem_post(&flushed->flusher->wanted);
}

typedef struct retirement {
    rd_kafka_t *client;
    lane_flusher *flusher;
    atomic_uint *abandoned;
} retirement;

static void *retire(void *argument)
{
    retirement *old = argument;
    flusher_free(old->flusher);
    rd_kafka_purge(old->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_destroy(old->client);
    atomic_fetch_sub(old->abandoned, 1);
    bt_release(old);
    return NULL;
}

void lane_abandon(lane *abandoned_lane, bt_wake *wake, atomic_uint *abandoned)
{
    if (abandoned_lane->client == NULL)
        return;
    if (wake != NULL)
        rd_kafka_queue_io_event_enable(abandoned_lane->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(abandoned_lane->queue);
    rd_kafka_topic_destroy(abandoned_lane->topic);
    retirement *old = bt_alloc(sizeof *old);
    *old = (retirement){ abandoned_lane->client, abandoned_lane->flusher, abandoned };
    *abandoned_lane = (lane){ 0 };
    atomic_fetch_add(abandoned, 1);
    pthread_t thread;
    if (pthread_create(&thread, NULL, retire, old) == 0)
        pthread_detach(thread);
    else
        bt_release(old); /* no thread to be had: the client is left to the end of the process, and counted for good */
}
