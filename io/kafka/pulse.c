/* pulse - a metadata request about no topic: the smallest question that any broker answers. */
#include "io/kafka/pulse.h"

#include "core/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define EVERY_MS 400
#define TIMEOUT_MS 700
#define DEAD_AFTER_MS 1500 /* of one broker of several that is paused, the next question may be put to another */
#define STEP_MS 20

struct bt_pulse {
    rd_kafka_t *client;
    pthread_mutex_t lock; /* held during a question */
    pthread_t thread;
    atomic_bool stop;
    atomic_int_fast64_t answered_ms; /* 0: never */
};

static void *work(void *argument)
{
    bt_pulse *pulse = argument;
    while (!atomic_load(&pulse->stop)) {
        const struct rd_kafka_metadata *metadata = NULL;
        pthread_mutex_lock(&pulse->lock);
        rd_kafka_resp_err_t code = rd_kafka_metadata(pulse->client, 0, NULL, &metadata, TIMEOUT_MS);
        pthread_mutex_unlock(&pulse->lock);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            atomic_store(&pulse->answered_ms, bt_kafka_now_ms());
            bt_trouble_over(BT_TROUBLE_KAFKA);
            rd_kafka_metadata_destroy(metadata);
        }
        for (int waited_ms = 0; waited_ms < EVERY_MS && !atomic_load(&pulse->stop); waited_ms += STEP_MS)
            usleep(STEP_MS * 1000);
    }
    return NULL;
}

bt_pulse *bt_pulse_new(rd_kafka_t *client)
{
    bt_pulse *pulse = bt_alloc(sizeof *pulse);
    pulse->client = client;
    pthread_mutex_init(&pulse->lock, NULL);
    bt_assert(pthread_create(&pulse->thread, NULL, work, pulse) == 0);
    return pulse;
}

void bt_pulse_free(bt_pulse *pulse)
{
    if (pulse == NULL)
        return;
    atomic_store(&pulse->stop, true);
    pthread_join(pulse->thread, NULL);
    pthread_mutex_destroy(&pulse->lock);
    bt_release(pulse);
}

void bt_pulse_move(bt_pulse *pulse, rd_kafka_t *client)
{
    pthread_mutex_lock(&pulse->lock);
    pulse->client = client;
    pthread_mutex_unlock(&pulse->lock);
}

bool bt_pulse_beats(const bt_pulse *pulse)
{
    int64_t answered_ms = atomic_load(&pulse->answered_ms);
    return answered_ms != 0 && bt_kafka_now_ms() - answered_ms < DEAD_AFTER_MS;
}
