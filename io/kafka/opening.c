/* opening - see opening.h. Of partitions that disagree the lowest is right: it was there when the log was made. */
#include "io/kafka/opening.h"

#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/kafka/reader.h"
#include "io/log/log.h"

#define END_TIMEOUT_MS 3000
#define POLL_MS 50
#define ARENA_MAX 65536 /* a LogOpened is some hundred bytes */
#define FIRST_LIMIT_US INT64_C(2000000)
#define REST_LIMIT_US INT64_C(8000000)

typedef struct opening_partition {
    bt_forward at;
    int64_t end;
    bool open; /* it is still read */
} opening_partition;

typedef struct opening {
    const bt_opening_type *type;
    bt_reader *reader;
    opening_partition *partitions;
    int32_t open_count, unread;
    int32_t told, told_by; /* told 0: by nobody yet */
} opening;

static void finish(opening *o, int32_t partition)
{
    if (!o->partitions[partition].open)
        return;
    o->partitions[partition].open = false;
    o->open_count--;
    bt_reader_stop(o->reader, partition);
}

static void take(opening *o, int32_t partition, const bt_record *record)
{
    bt_arena arena;
    bt_event event;
    bool lowest = o->told == 0 || partition < o->told_by;
    bt_arena_init(&arena, ARENA_MAX);
    if (lowest && o->type->decode(record->value, &arena, &event, NULL) && event.type == o->type->opened) {
        memcpy(&o->told, (const char *)event.data + o->type->count_at, sizeof o->told);
        o->told_by = partition;
    }
    bt_arena_release(&arena);
}

static void on_records(void *context, int32_t index, const bt_record *records, size_t count)
{
    opening *o = context;
    opening_partition *partition = &o->partitions[index];
    for (size_t i = 0; i < count && partition->open; i++) {
        bt_forward_verdict verdict = bt_forward_step(&partition->at, &records[i], NULL);
        if (verdict == BT_FORWARD_VALID)
            take(o, index, &records[i]);
        o->unread += verdict == BT_FORWARD_JUMP;
        if (verdict == BT_FORWARD_VALID || verdict == BT_FORWARD_JUMP || partition->at.next_offset >= partition->end)
            finish(o, index);
    }
}

static void on_broken(void *context, int32_t partition, const bt_err *err)
{
    opening *o = context;
    (void)err;
    o->unread += o->partitions[partition].open;
    finish(o, partition);
}

static bool start_one(opening *o, int32_t index, bt_err *err)
{
    int64_t start = 0;
    bt_err why;
    opening_partition *partition = &o->partitions[index];
    if (!bt_reader_end_of(o->reader, index, &start, &partition->end, &why) || start > 0) {
        o->unread++;
        return true;
    }
    if (partition->end == 0)
        return true;
    partition->open = true;
    o->open_count++;
    return bt_reader_start(o->reader, index, 0, err);
}

static void wait_for_all(opening *o, int64_t limit_us)
{
    int64_t until_us = bt_clock_monotonic_us() + limit_us;
    while (o->open_count > 0 && bt_clock_monotonic_us() < until_us)
        bt_reader_poll(o->reader, POLL_MS);
}

/* Partition 0 was there from the beginning: what it tells is enough. If it was not opened yet, or does not answer, the others are asked. */
static bool read_enough(opening *o, int32_t partition_count, bt_err *err)
{
    if (!start_one(o, 0, err))
        return false;
    wait_for_all(o, FIRST_LIMIT_US);
    for (int32_t i = 1; i < partition_count && o->told == 0; i++)
        if (!start_one(o, i, err))
            return false;
    wait_for_all(o, REST_LIMIT_US);
    o->unread += o->open_count;
    return true;
}

static bool judge(const opening *o, const char *topic, int32_t *count, bt_err *err)
{
    if (o->told == 0 && o->unread > 0)
        return bt_fail(err, BT_ERR_RETRY, 0, "how many partitions the log in %s has could not be read: %d of %d do not answer, or begin after offset 0",
                       topic, o->unread, *count);
    if (o->told > *count)
        return bt_fail(err, BT_ERR_FATAL, 0, "%s has %d partitions, and its log was opened with %d: this is another topic, made anew with fewer",
                       topic, *count, o->told);
    if (o->told > 0 && o->told < *count) {
        bt_log_warn("topic.grown", F_STR("topic", topic), F_I64("partitions", *count), F_I64("of_the_log", o->told));
        *count = o->told;
    }
    return true;
}

bool bt_log_partition_count(const bt_kafka_config *config, const char *topic, const bt_opening_type *type, int32_t *count, bt_err *err)
{
    opening o = { .type = type };
    bt_reader_options options = { .topic = topic, .tuning = BT_READER_TAIL, .batch_max = 16, .end_timeout_ms = END_TIMEOUT_MS };
    bt_reader_outputs outputs = { .context = &o, .records = on_records, .broken = on_broken };
    if (!bt_reader_new(config, &options, &outputs, NULL, &o.reader, err))
        return false;
    o.partitions = bt_alloc((size_t)*count * sizeof *o.partitions);
    bool good = read_enough(&o, *count, err) && judge(&o, topic, count, err);
    bt_reader_free(o.reader);
    bt_release(o.partitions);
    return good;
}
