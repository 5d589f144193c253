/* The loop. Two phases: opening (the sink says where to read on) and running; any failure leads back to opening. */
#include "projections/loop/projector.h"

#include "io/clock/clock.h"
#include "io/kafka/opening.h"
#include "io/kafka/reader.h"
#include "io/log/log.h"
#include "projections/loop/acceptance.h"
#include "projections/loop/mutant.h"
#include "projections/loop/watch.h"
#include "schemas/log.h"

#include <stdatomic.h>

#define POLL_MS 50
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 2000
#define FATAL_RETRY_MS 5000
#define STAND_BY_MS 500
#define END_EVERY_US INT64_C(1000000)
#define TEND_EVERY_MS 60000
#define PROOF_EVERY_US INT64_C(10000000)
#define LOSS_SURE_US INT64_C(20000000) /* a loss is believed when leaders have told it for so long, */
#define LOSS_SURE_TIMES 8              /* and so often */
#define STILL_TIMES 5          /* questions for the end (END_EVERY_US) between which nothing came, though the log goes on */
#define DOUBT_RETRY_US INT64_C(500000)
#define BATCH_AGE_MAX_US INT64_C(100000)

/* Leaders contradict us: since when, and how often in a row. */
typedef struct doubt {
    int64_t since_us;
    int times;
} doubt;

typedef struct partition {
    bt_cursor cursor;
    bool wants_seek; /* what the reader still delivers is not looked at until it has moved */
    bool told_stop, stop_stored;
    bool searching;           /* stopped at a lost suffix: the log is read for an acceptance of it */
    bt_acceptance acceptance;
    bt_acceptance_verdict accepted;
    bt_loss_known known[BT_LOSS_KNOWN_MAX]; /* stopped: what the cursor had seen of what is stored */
    size_t known_count;
    int64_t still_at; /* next_offset when the end was asked for last, */
    int still_times;  /* and how often in a row it was the same and the log went on */
    doubt end_doubt, read_doubt; /* of where the partition ends, and of what stands at our position */
    int64_t search_again_us;
    int64_t read_again_us;       /* when to try our position again; 0: it is being read */
    int64_t proved_us;
} partition;

struct bt_projector {
    bt_projector_options options;
    bt_watch watch;
    bt_wake wake;
    bt_reader *reader;
    partition *partitions;
    int32_t partition_count; /* 0: not known yet */
    bt_batch batch;
    int64_t batch_began_us;
    int64_t asked_us, tended_us;
    int32_t retry_ms;
    bt_err broken;  /* kind is BT_OK: nothing is */
    bool stands_by; /* another projector was first: give it time before each attempt */
    bool open;
    atomic_bool stopping;
};

bt_projector *bt_projector_new(const bt_projector_options *options)
{
    bt_projector *projector = bt_alloc(sizeof *projector);
    projector->options = *options;
    if (projector->options.retry_max_ms <= 0)
        projector->options.retry_max_ms = RETRY_MAX_MS;
    bt_watch_init(&projector->watch, options->model, options->metrics);
    projector->wake.fd = -1;
    return projector;
}

void bt_projector_free(bt_projector *projector)
{
    if (!projector)
        return;
    bt_reader_free(projector->reader);
    if (projector->partition_count > 0)
        bt_batch_release(&projector->batch);
    bt_release(projector->partitions);
    if (projector->wake.fd >= 0)
        bt_wake_release(&projector->wake);
    bt_watch_release(&projector->watch);
    bt_release(projector);
}

void bt_projector_stop(bt_projector *projector) { atomic_store(&projector->stopping, true); } /* noticed within POLL_MS */
bool bt_projector_is_ready(bt_projector *projector, char ret_reason[BT_PROJECTOR_REASON_MAX]) { return bt_watch_is_ready(&projector->watch, ret_reason); }

/* In steps, so that a stop does not wait for a back-off. */
static void pause_ms(bt_projector *projector, int64_t ms)
{
    for (int64_t left = ms; left > 0 && !atomic_load(&projector->stopping); left -= POLL_MS)
        bt_clock_sleep_us((left < POLL_MS ? left : POLL_MS) * 1000);
}

/* Of a stopped partition. */
static void search_records(partition *part, const bt_record *records, size_t record_count)
{
    for (size_t i = 0; i < record_count && part->searching && !part->wants_seek; i++) {
        bt_acceptance_verdict verdict = bt_acceptance_step(&part->acceptance, &records[i]);
        part->wants_seek = verdict == BT_ACCEPTANCE_AGAIN;
        part->accepted = part->wants_seek ? BT_ACCEPTANCE_NONE : verdict;
        part->searching = part->accepted == BT_ACCEPTANCE_NONE;
    }
}

static void on_records(void *context, int32_t index, const bt_record *records, size_t record_count)
{
    bt_projector *projector = context;
    partition *part = &projector->partitions[index];
    const bt_sink *sink = &projector->options.sink;
    if (part->cursor.stopped[0]) {
        search_records(part, records, record_count);
        return;
    }
    part->read_doubt.times = 0;
    for (size_t i = 0; i < record_count && !part->wants_seek; i++) {
        bt_id id;
        switch (bt_cursor_step(&part->cursor, &records[i], &id)) {
        case BT_CURSOR_VALID:
            bt_batch_account(&projector->batch, index, &part->cursor.at, &id, records[i].timestamp_us);
            bt_batch_add(&projector->batch, index, &records[i], sink->wants, sink->context);
            break;
        case BT_CURSOR_VOID:
            bt_batch_account(&projector->batch, index, &part->cursor.at, NULL, records[i].timestamp_us);
            break;
        case BT_CURSOR_SEEN:
            break;
        case BT_CURSOR_AGAIN:
            part->wants_seek = true;
            break;
        case BT_CURSOR_STOPPED:
            return;
        }
    }
    if (projector->batch_began_us == 0)
        projector->batch_began_us = bt_clock_monotonic_us();
}

/* A leader that was cut off from its followers goes on answering from a log that ends too early, until it hears of its successor. So a loss is
 * believed, and the partition stopped for good, only when leaders have told it for a while. */
static bool is_sure_of_loss(bt_projector *projector, int32_t index, doubt *of)
{
    int64_t now_us = bt_clock_monotonic_us();
    if (of->times++ == 0) {
        of->since_us = now_us;
        bt_log_warn("projection.in_doubt", F_STR("model", projector->options.model), F_I64("partition", index), F_I64("believed_after_ms", LOSS_SURE_US / 1000));
    }
    return of->times >= LOSS_SURE_TIMES && now_us - of->since_us >= LOSS_SURE_US;
}

/* Should the client library's reading fall asleep, nothing else would tell: when the log goes on and we do not, it is started again. */
static void look_whether_still(bt_projector *projector, int32_t index, int64_t read_to, int64_t end_offset)
{
    partition *part = &projector->partitions[index];
    bool still = end_offset > read_to && part->cursor.at.forward.next_offset == read_to && part->read_again_us == 0;
    part->still_times = !still ? 0 : part->still_at == read_to ? part->still_times + 1 : 1;
    part->still_at = read_to;
    if (part->still_times < STILL_TIMES)
        return;
    part->still_times = 0;
    part->wants_seek = true;
    bt_log_warn("projection.reads_again", F_STR("model", projector->options.model), F_I64("partition", index), F_I64("next_offset", read_to), F_I64("end_offset", end_offset));
}

static void on_end(void *context, int32_t index, uint64_t request, int64_t end_offset)
{
    bt_projector *projector = context;
    partition *part = &projector->partitions[index];
    int64_t read_to = (int64_t)request; /* when it was asked: see tend */
    bt_watch_end(&projector->watch, index, end_offset, part->cursor.at.forward.next_offset);
    if (end_offset < 0 || part->cursor.stopped[0])
        return;
    look_whether_still(projector, index, read_to, end_offset);
    if (!bt_cursor_end_contradicts(read_to, end_offset))
        part->end_doubt.times = 0;
    else if (is_sure_of_loss(projector, index, &part->end_doubt))
        bt_cursor_stop(&part->cursor, BT_CURSOR_LOST_SUFFIX "the partition ends at offset %lld, and was read up to %lld before", (long long)end_offset, (long long)read_to);
}

static void on_broken(void *context, int32_t index, const bt_err *err)
{
    bt_projector *projector = context;
    partition *part = &projector->partitions[index];
    if (err->kind == BT_ERR_FATAL && part->cursor.stopped[0])
        part->search_again_us = bt_clock_monotonic_us() + DOUBT_RETRY_US; /* it was cut once more, while it was searched */
    else if (err->kind == BT_ERR_FATAL && !is_sure_of_loss(projector, index, &part->read_doubt))
        part->read_again_us = bt_clock_monotonic_us() + DOUBT_RETRY_US;
    else if (err->kind == BT_ERR_FATAL)
        bt_cursor_stop(&part->cursor, BT_CURSOR_LOST_SUFFIX "offset %lld is not in the log any more (%.150s)", (long long)part->cursor.at.forward.next_offset, err->message);
    else if (err->kind != BT_ERR_FATAL)
        projector->broken = *err; /* no such topic, or not allowed: a person may be mending it */
}

static const bt_opening_type OPENING = { bt_event_decode, &log_opened_message, offsetof(struct log_opened, partition_count) };

/* Once: the reader, and how many partitions the log has. */
static bool meet_topic(bt_projector *projector, bt_err *err)
{
    bt_reader_options options = { .topic = projector->options.topic, .tuning = BT_READER_TAIL };
    bt_reader_outputs outputs = { .context = projector, .records = on_records, .end = on_end, .broken = on_broken };
    if (projector->partition_count > 0)
        return true;
    if (projector->wake.fd < 0 && !bt_wake_init(&projector->wake, err))
        return false;
    if (!projector->reader && !bt_reader_new(projector->options.kafka, &options, &outputs, &projector->wake, &projector->reader, err))
        return false;
    int32_t partition_count;
    if (!bt_reader_partition_count(projector->reader, 2000, &partition_count, err) ||
        !bt_log_partition_count(projector->options.kafka, projector->options.topic, &OPENING, &partition_count, err))
        return false;
    projector->partitions = bt_alloc((size_t)partition_count * sizeof *projector->partitions);
    projector->partition_count = partition_count;
    bt_batch_init(&projector->batch, partition_count);
    bt_watch_partitions(&projector->watch, partition_count);
    return true;
}

static bool same_position(const bt_position *a, const bt_position *b)
{
    return a->forward.next_offset == b->forward.next_offset && bt_id_equal(a->forward.head, b->forward.head);
}

/* A stopped partition stays so, unless another projector has found the acceptance of its loss: then what is stored is not what had stopped here. */
static bool stays_stopped(const partition *part, const bt_sink_partition *stored)
{
    if (stored->stopped[0])
        return true;
    return part->cursor.stopped[0] && !part->stop_stored && (!part->told_stop || same_position(&part->acceptance.remembered, &stored->position));
}

static void go_on(bt_projector *projector, int32_t index)
{
    partition *part = &projector->partitions[index];
    part->cursor.stopped[0] = 0;
    part->told_stop = part->stop_stored = part->searching = part->wants_seek = false;
    part->known_count = 0;
    part->accepted = BT_ACCEPTANCE_NONE;
    part->end_doubt.times = part->read_doubt.times = 0;
    part->search_again_us = part->read_again_us = 0;
    const char *other = "";
    for (int32_t i = 0; i < projector->partition_count && !other[0]; i++)
        other = projector->partitions[i].cursor.stopped;
    bt_watch_goes_on(&projector->watch, index, other);
}

/* Reads the log of a stopped partition from its start. Stopped by anything but a lost suffix, there is nothing to look for. */
static bool search(bt_projector *projector, int32_t index, bt_err *err)
{
    partition *part = &projector->partitions[index];
    part->search_again_us = 0;
    part->wants_seek = false;
    part->accepted = BT_ACCEPTANCE_NONE;
    bt_acceptance_begin(&part->acceptance, &part->cursor.at, &part->cursor.claim, &part->cursor.loss);
    bt_loss_search_knows(&part->acceptance.search, part->known, part->known_count);
    part->searching = bt_cursor_lost_suffix(part->cursor.stopped) && projector->options.sink.forget != NULL;
    if (!part->searching)
        bt_reader_stop(projector->reader, index);
    return !part->searching || bt_reader_start(projector->reader, index, 0, err);
}

/* The cursor that is begun anew from what is stored has seen its head alone. */
static void keep_known(partition *part, int64_t head_offset)
{
    bt_loss_known known[BT_LOSS_KNOWN_MAX];
    size_t count = bt_cursor_known(&part->cursor, head_offset, known, BT_COUNT_OF(known));
    if (count <= part->known_count)
        return;
    memcpy(part->known, known, count * sizeof *known);
    part->known_count = count;
}

static bool start_partition(bt_projector *projector, int32_t index, const bt_sink_partition *stored, bt_err *err)
{
    partition *part = &projector->partitions[index];
    char stopped[BT_CURSOR_REASON_MAX] = "";
    bt_loss loss = part->cursor.loss, claim = part->cursor.claim;
    if (part->cursor.stopped[0])
        keep_known(part, stored->position.head_offset);
    if (stays_stopped(part, stored))
        memcpy(stopped, part->cursor.stopped[0] ? part->cursor.stopped : stored->stopped, sizeof stopped);
    else if (part->cursor.stopped[0])
        go_on(projector, index);
    bt_cursor_init(&part->cursor, projector->options.topic, index, projector->partition_count, &stored->position);
    memcpy(part->cursor.stopped, stopped, sizeof stopped);
    part->cursor.loss = loss;
    part->cursor.claim = claim;
    part->wants_seek = false;
    part->read_again_us = 0;
    bt_batch_begin(&projector->batch, index, &stored->position);
    return stopped[0] ? search(projector, index, err) : bt_reader_start(projector->reader, index, bt_cursor_prove(&part->cursor), err);
}

static bool open_sink(bt_projector *projector, bt_err *err)
{
    const bt_sink *sink = &projector->options.sink;
    if (!meet_topic(projector, err))
        return false;
    bt_sink_partition *stored = bt_alloc((size_t)projector->partition_count * sizeof *stored);
    bool good = sink->open(sink->context, projector->partition_count, stored, err);
    bt_batch_reset(&projector->batch);
    for (int32_t i = 0; good && i < projector->partition_count; i++)
        good = start_partition(projector, i, &stored[i], err);
    bt_release(stored);
    projector->batch_began_us = 0;
    projector->tended_us = 0;
    projector->broken.kind = BT_OK;
    projector->open = good;
    return good;
}

/* What failed is tried again from what the sink says, later each time. */
static void fail(bt_projector *projector, const char *what, const bt_err *err)
{
    projector->open = false;
    if (err->kind == BT_ERR_RETRY && err->code == BT_SINK_MOVED) {
        if (!projector->stands_by)
            bt_log_info("projection.stands_by", F_STR("model", projector->options.model), F_STR("reason", err->message));
        bt_counter_inc(projector->watch.moved_by_other);
        projector->stands_by = true;
        return;
    }
    int32_t longest_ms = err->kind == BT_ERR_FATAL ? FATAL_RETRY_MS : projector->options.retry_max_ms;
    projector->retry_ms = projector->retry_ms == 0 ? RETRY_FIRST_MS : projector->retry_ms * 2;
    if (projector->retry_ms > longest_ms)
        projector->retry_ms = longest_ms;
    bt_watch_failed(&projector->watch, what, err, projector->retry_ms);
    pause_ms(projector, projector->retry_ms);
}

/* Of the mutant that loses events: the batch keeps its positions and forgets its records. */
static void drop_records(bt_batch *batch)
{
    if (batch->record_count == 0 || batch->records[0].fact.offset % 8 != 0)
        return;
    memset(batch->stream_slots, 0, batch->slot_count * sizeof *batch->stream_slots);
    batch->record_count = batch->stream_count = 0;
}

static void write_batch(bt_projector *projector)
{
    const bt_sink *sink = &projector->options.sink;
    bt_err err = { 0 };
    if (projector->stands_by)
        pause_ms(projector, STAND_BY_MS);
    int64_t began_us = bt_clock_monotonic_us();
    bt_watch_writing(&projector->watch, true);
    if (PROJECTOR_MUTANT(DROPS_A_BATCH))
        drop_records(&projector->batch);
    bool written = sink->write(sink->context, &projector->batch, &err);
    bt_watch_writing(&projector->watch, false);
    if (!written) {
        fail(projector, "write", &err);
        return;
    }
    bt_watch_wrote(&projector->watch, &projector->batch, bt_clock_monotonic_us() - began_us);
    int64_t parked = (int64_t)sink->parked_count(sink->context);
    if (parked > bt_gauge_value(projector->watch.parked))
        bt_log_warn("projection.parked", F_STR("model", projector->options.model), F_I64("parked_streams", parked), F_STR("see", "berth.parked"));
    bt_gauge_set(projector->watch.parked, parked);
    if (projector->stands_by)
        bt_log_info("projection.took_over", F_STR("model", projector->options.model));
    projector->stands_by = false;
    projector->retry_ms = 0;
    projector->batch_began_us = 0;
    bt_batch_reset(&projector->batch);
}

/* The log gives up what this partition's rows hold, or what had contradicted them. */
static bool accept_loss(bt_projector *projector, int32_t index, bt_err *err)
{
    const bt_sink *sink = &projector->options.sink;
    partition *part = &projector->partitions[index];
    bool forgets = part->accepted == BT_ACCEPTANCE_FORGET;
    if (forgets && !sink->forget(sink->context, index, &part->acceptance.remembered, err))
        return false;
    if (!forgets && sink->stop && !sink->stop(sink->context, index, "", err))
        return false;
    bt_log_warn("projection.loss_accepted", F_STR("model", projector->options.model), F_I64("partition", index), F_I64("lost_from", part->acceptance.loss.from),
                 F_I64("lost_to", part->acceptance.loss.to), F_STR("detail", forgets ? "what is kept of this partition is forgotten and folded anew" : "what is kept of it stands"));
    part->cursor.loss = part->acceptance.loss; /* ahead of its place: claims of the lost records may stand before it */
    go_on(projector, index);
    projector->open = false;
    return true;
}

static bool look_after_stopped(bt_projector *projector, int32_t index, bt_err *err)
{
    const bt_sink *sink = &projector->options.sink;
    partition *part = &projector->partitions[index];
    if (!part->told_stop) {
        part->told_stop = true;
        bt_watch_stopped(&projector->watch, index, part->cursor.stopped);
        part->stop_stored = sink->stop && sink->stop(sink->context, index, part->cursor.stopped, err);
        if (sink->stop && !part->stop_stored)
            bt_log_warn("projection.stop_not_stored", F_STR("model", projector->options.model), F_I64("partition", index), F_ERR(err));
        projector->open = false; /* what was read and not written is dropped, so that what is searched for is what is stored */
        part->acceptance.remembered = projector->batch.moves[index].from;
        return true;
    }
    if (part->accepted != BT_ACCEPTANCE_NONE)
        return accept_loss(projector, index, err);
    if (part->search_again_us != 0 && bt_clock_monotonic_us() >= part->search_again_us)
        return search(projector, index, err);
    if (!part->wants_seek)
        return true;
    part->wants_seek = false;
    return bt_reader_start(projector->reader, index, bt_acceptance_wants(&part->acceptance), err);
}

/* After a poll: partitions that must be read again from elsewhere, and those that have stopped. */
static bool look_after_partitions(bt_projector *projector, bt_err *err)
{
    int64_t now_us = bt_clock_monotonic_us();
    for (int32_t i = 0; i < projector->partition_count && projector->open; i++) {
        partition *part = &projector->partitions[i];
        if (part->cursor.stopped[0]) {
            if (!look_after_stopped(projector, i, err))
                return false;
            continue;
        }
        if (part->cursor.wants_proof && !part->cursor.proving && now_us - part->proved_us > PROOF_EVERY_US)
            part->wants_seek = true;
        if (part->read_again_us != 0 ? now_us < part->read_again_us : !part->wants_seek)
            continue;
        part->wants_seek = false;
        part->read_again_us = 0;
        part->proved_us = now_us;
        if (!bt_reader_start(projector->reader, i, bt_cursor_prove(&part->cursor), err))
            return false;
    }
    return true;
}

static bool tend(bt_projector *projector, bt_err *err)
{
    const bt_sink *sink = &projector->options.sink;
    int64_t now_us = bt_clock_monotonic_us(), applied = 0;
    int64_t every_us = INT64_C(1000) * (sink->tend_ms > 0 ? sink->tend_ms : TEND_EVERY_MS);
    if (now_us - projector->asked_us > END_EVERY_US) {
        projector->asked_us = now_us;
        for (int32_t i = 0; i < projector->partition_count; i++)
            bt_reader_ask_end(projector->reader, i, (uint64_t)projector->partitions[i].cursor.at.forward.next_offset);
    }
    if (!sink->tend || projector->stands_by || (projector->tended_us != 0 && now_us - projector->tended_us < every_us))
        return true;
    projector->tended_us = now_us;
    if (!sink->tend(sink->context, &applied, err))
        return false;
    bt_gauge_set(projector->watch.parked, (int64_t)sink->parked_count(sink->context));
    if (applied > 0)
        bt_log_info("projection.unparked", F_STR("model", projector->options.model), F_I64("events", applied));
    return true;
}

static bool is_full(const bt_projector *projector)
{
    int32_t read_max = projector->options.sink.read_max;
    return projector->batch.read_count >= (read_max > 0 ? read_max : BT_BATCH_READ_MAX) || projector->batch.bytes >= BT_BATCH_BYTES_MAX;
}

static void run_once(bt_projector *projector)
{
    bt_err err = { 0 };
    /* The library's own wait lasts until its batch is full or the time is over, also when a record has come: so it is waited for by wake,
     * and while there is something to write, only what is there already is taken along. */
    if (projector->batch.read_count == 0)
        bt_wake_wait(&projector->wake, POLL_MS);
    size_t read = bt_reader_poll(projector->reader, 0);
    if (projector->broken.kind != BT_OK) {
        fail(projector, "read", &projector->broken);
        return;
    }
    if (!look_after_partitions(projector, &err)) {
        fail(projector, "read", &err);
        return;
    }
    if (!projector->open)
        return;
    bool old = projector->batch_began_us != 0 && bt_clock_monotonic_us() - projector->batch_began_us > BATCH_AGE_MAX_US;
    if (projector->batch.read_count > 0 && (read == 0 || old || is_full(projector)))
        write_batch(projector);
    if (projector->open && !tend(projector, &err))
        fail(projector, "tend", &err);
}

void bt_projector_run(bt_projector *projector)
{
    bt_err err;
    while (!atomic_load(&projector->stopping)) {
        if (projector->open) {
            run_once(projector);
        } else if (open_sink(projector, &err)) {
            bt_watch_running(&projector->watch);
        } else {
            fail(projector, "open", &err);
        }
    }
    if (projector->open && projector->batch.read_count > 0)
        write_batch(projector);
}
