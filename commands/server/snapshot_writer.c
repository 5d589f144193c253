/* snapshot_writer - a thread that waits for the disk, so that the deciding one does not. */
#include "commands/server/slot.h"
#include "io/log/log.h"

static void *write_snapshots(void *context)
{
    bt_snapshot_writer *writer = context;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (!writer->busy && !writer->stopping)
            pthread_cond_wait(&writer->changed, &writer->lock);
        if (!writer->busy)
            break;
        bt_buf payload = writer->payload;
        const snapshot_place *place = writer->place;
        int64_t height = writer->height;
        atomic_bool *failed = writer->failed;
        pthread_mutex_unlock(&writer->lock);
        bt_err err = { 0 };
        bool ok = snapshot_write(place, height, bt_buf_view(&payload), &err);
        bt_counter *counter = ok ? writer->written : writer->failures;
        if (counter != NULL)
            bt_counter_inc(counter);
        if (!ok)
            atomic_store(failed, true);
        if (ok)
            bt_log_info("snapshot.written", F_STR("folder", (const char *)place->path), F_I64("height", height), F_I64("bytes", payload.size));
        else
            bt_log_warn("snapshot.not_written", F_ERR(&err));
        bt_buf_release(&payload);
        pthread_mutex_lock(&writer->lock);
        writer->busy = false;
        pthread_cond_broadcast(&writer->changed);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

bool bt_snapshot_writer_start(bt_snapshot_writer *writer, bt_err *err)
{
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    if (pthread_create(&writer->thread, NULL, write_snapshots, writer) != 0)
        return bt_fail(err, BT_ERR_FATAL, 0, "cannot start the thread that writes snapshots");
    writer->running = true;
    return true;
}

bool bt_snapshot_writer_give(bt_snapshot_writer *writer, const snapshot_place *place, int64_t height, bt_buf *payload, atomic_bool *ret_failed)
{
    pthread_mutex_lock(&writer->lock);
    bool free_now = !writer->busy;
    if (free_now) {
        writer->busy = true;
        writer->place = place;
        writer->height = height;
        writer->failed = ret_failed;
        writer->payload = *payload;
        bt_buf_init(payload, payload->size_max);
        pthread_cond_broadcast(&writer->changed);
    }
    pthread_mutex_unlock(&writer->lock);
    return free_now;
}

bool bt_snapshot_writer_is_busy(bt_snapshot_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    bool busy = writer->busy;
    pthread_mutex_unlock(&writer->lock);
    return busy;
}

void bt_snapshot_writer_stop(bt_snapshot_writer *writer)
{
    if (!writer->running)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    writer->running = false;
}
