/* folder - see the header. A ring of batches between two threads, one lock and one condition for both. */
#include "tools/berth/replay/folder.h"

#include "core/memory.h"

#include <pthread.h>
#include <stdio.h>

enum { RECORDS_MAX = 2048, BATCH_BYTES = 262144, BATCH_BYTES_MAX = 1 << 30 };

typedef struct given {
    uint32_t partition, key_size, value_size;
} given;

typedef struct batch {
    given records[RECORDS_MAX];
    uint32_t count;
    bt_buf bytes; /* of each record its key, then its value */
} batch;

struct replay_folder {
    const bt_decider *decider;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t filled_count, folded_count; /* batches so far; under lock */
    bool ending;                         /* under lock */
    bool finished;
    batch batches[FOLDER_BATCHES]; /* number n is at n % FOLDER_BATCHES: the giver's while it is filled, then the thread's */
    bt_arena arena;
    replay_folded result;
};

/* --- the thread --- */

static bt_streams *streams_of(replay_folder *f, uint32_t partition)
{
    if (f->result.streams[partition] == NULL) {
        f->result.streams[partition] = bt_alloc(sizeof(bt_streams));
        bt_streams_init(f->result.streams[partition], f->decider);
    }
    return f->result.streams[partition];
}

static bool decode(replay_folder *f, bt_bytes value, bt_event *ret_event, bt_err *err)
{
    if (!bt_event_decode(value, &f->arena, ret_event, err))
        return false;
    size_t index = (size_t)ret_event->type->index;
    if (index < f->decider->event_count && f->decider->events[index] == ret_event->type)
        return true;
    return bt_fail(err, BT_ERR_FATAL, 0, "an event of kind %s", ret_event->type->kind);
}

/* As the owner does: what is not understood, or contradicts the state, stops its stream and nothing else. */
static void fold(replay_folder *f, uint32_t partition, bt_str key, bt_bytes value)
{
    bt_streams *streams = streams_of(f, partition);
    bt_stream *stream = bt_streams_get(streams, key);
    if (stream->stopped)
        return;
    bt_event event;
    bt_err err;
    bt_arena_reset(&f->arena);
    if (stream->state == NULL)
        stream->state = f->decider->state_new(NULL);
    if (decode(f, value, &event, &err) && f->decider->evolve(stream->state, event, NULL, &err)) {
        f->result.event_count++;
        return;
    }
    bt_streams_stop(streams, stream);
    if (f->result.stopped_count++ == 0)
        snprintf(f->result.first_stop, sizeof f->result.first_stop, "%.*s: %.400s", BT_STR_ARG(key), err.message);
}

static void fold_batch(replay_folder *f, const batch *full)
{
    const uint8_t *at = full->bytes.at;
    for (uint32_t i = 0; i < full->count; i++) {
        const given *record = &full->records[i];
        bt_str key = { (const char *)at, record->key_size };
        fold(f, record->partition, key, (bt_bytes){ at + record->key_size, record->value_size });
        at += record->key_size + record->value_size;
    }
}

static void *run(void *context)
{
    replay_folder *f = context;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        while (f->folded_count == f->filled_count && !f->ending)
            pthread_cond_wait(&f->changed, &f->lock);
        if (f->folded_count == f->filled_count)
            break;
        batch *next = &f->batches[f->folded_count % FOLDER_BATCHES];
        pthread_mutex_unlock(&f->lock);
        fold_batch(f, next);
        next->count = 0;
        bt_buf_reset(&next->bytes);
        pthread_mutex_lock(&f->lock);
        f->folded_count++;
        pthread_cond_signal(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* --- the giver --- */

bool folder_new(const bt_decider *decider, replay_folder **ret_folder, bt_err *err)
{
    replay_folder *f = bt_alloc(sizeof *f);
    f->decider = decider;
    bt_arena_init(&f->arena, 0);
    for (size_t i = 0; i < FOLDER_BATCHES; i++)
        bt_buf_init(&f->batches[i].bytes, BATCH_BYTES_MAX);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    if (pthread_create(&f->thread, NULL, run, f) != 0) {
        f->finished = true;
        folder_free(f);
        return bt_fail(err, BT_ERR_RETRY, 0, "no thread was to be had for folding");
    }
    *ret_folder = f;
    return true;
}

/* filled_count is changed by this thread only, which may therefore look at it without the lock. */
static void hand_over(replay_folder *f)
{
    pthread_mutex_lock(&f->lock);
    f->filled_count++;
    pthread_cond_signal(&f->changed);
    while (f->filled_count - f->folded_count == FOLDER_BATCHES)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

void folder_give(replay_folder *f, int32_t partition, const bt_record *record)
{
    bt_assert(!f->finished && partition >= 0 && partition < FOLDER_PARTITIONS_MAX);
    batch *open = &f->batches[f->filled_count % FOLDER_BATCHES];
    open->records[open->count++] = (given){ (uint32_t)partition, (uint32_t)record->key.size, (uint32_t)record->value.size };
    bt_buf_write(&open->bytes, record->key.at, record->key.size);
    bt_buf_write(&open->bytes, record->value.at, record->value.size);
    bt_assert(!open->bytes.overflow);
    if (open->count == RECORDS_MAX || open->bytes.size >= BATCH_BYTES)
        hand_over(f);
}

replay_folded *folder_finish(replay_folder *f)
{
    if (f->finished)
        return &f->result;
    f->finished = true;
    if (f->batches[f->filled_count % FOLDER_BATCHES].count > 0)
        hand_over(f);
    pthread_mutex_lock(&f->lock);
    f->ending = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    return &f->result;
}

void folder_free(replay_folder *f)
{
    if (f == NULL)
        return;
    folder_finish(f);
    for (size_t i = 0; i < FOLDER_PARTITIONS_MAX; i++) {
        if (f->result.streams[i] != NULL)
            bt_streams_release(f->result.streams[i]);
        bt_release(f->result.streams[i]);
    }
    for (size_t i = 0; i < FOLDER_BATCHES; i++)
        bt_buf_release(&f->batches[i].bytes);
    bt_arena_release(&f->arena);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    bt_release(f);
}
