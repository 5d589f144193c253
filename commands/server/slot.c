/* slot - what one partition's owner asks for, done with the readers and the snapshot files. */
#include "commands/server/slot.h"

#include "commands/server/event_headers.h"
#include "io/clock/clock.h"
#include "io/log/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

static void on_append(void *context, uint64_t generation, uint64_t attempt, bt_str key, bt_bytes value, int64_t time_us)
{
    bt_slot *slot = context;
    bt_node *node = slot->node;
    if (node->append_count == node->append_capacity) {
        node->append_capacity = node->append_capacity == 0 ? 256 : node->append_capacity * 2;
        node->appends = bt_resize(node->appends, node->append_capacity * sizeof node->appends[0]);
    }
    bt_str bytes = bt_arena_copy(&node->append_bytes, (bt_str){ (const char *)value.at, value.size });
    node->appends[node->append_count++] = (bt_append){ .generation = generation, .attempt = attempt, .partition = slot->partition, .time_us = time_us,
        .key = bt_arena_copy(&node->append_bytes, key), .value = { (const uint8_t *)bytes.at, bytes.size } };
    if (node->options.event_headers) {
        const bt_command *command = bt_owner_appending(slot->owner);
        bt_event_headers_add(&node->appends[node->append_count - 1], node->topic, command == NULL ? BT_STR("") : command->traceparent, &node->append_bytes);
    }
    if (slot->batch_started_us == 0)
        slot->batch_started_us = bt_clock_monotonic_us();
}

static void on_read_from(void *context, int64_t offset)
{
    bt_slot *slot = context;
    slot->read_wanted = true;
    slot->read_offset = offset;
    bt_wake_up(&slot->node->wake);
}

static void on_ask_end(void *context, uint64_t request)
{
    bt_slot *slot = context;
    slot->end_wanted = true;
    slot->end_request = request;
    bt_wake_up(&slot->node->wake);
}

static void on_fetch_one(void *context, uint64_t request, int64_t offset)
{
    bt_slot *slot = context;
    bt_assert(slot->fetch_count < BT_COUNT_OF(slot->fetches));
    size_t at = (slot->fetch_first + slot->fetch_count++) % BT_COUNT_OF(slot->fetches);
    slot->fetches[at].request = request;
    slot->fetches[at].offset = offset;
    bt_wake_up(&slot->node->wake);
}

static void on_answer(void *context, void *token, const bt_answer *answer)
{
    bt_slot *slot = context;
    bt_submission *submission = token;
    bt_node *node = slot->node;
    bt_histogram_observe(node->answer_seconds, bt_clock_monotonic_us() - submission->submitted_mono_us);
    bt_counter_inc(node->answers[answer->kind]);
    bt_stop_hook_on_answer(&node->stop_hook, answer->kind);
    bt_inbox_done(&node->inbox);
    submission->answered(submission, answer); /* the submission is gone after this */
}

static void on_random(void *context, void *at, size_t size)
{
    (void)context;
    bt_assert(getrandom(at, size, 0) == (ssize_t)size); /* up to 256 bytes never come short */
}

static void on_alarm(void *context, const char *name, const char *text)
{
    const bt_slot *slot = context;
    bt_log_write(BT_LOG_ERROR, name, (const bt_log_field[]){ F_STR("topic", slot->node->topic), F_I64("partition", slot->partition), F_STR("detail", text) }, 3);
}

/* What is saved is of a log that is no more, and names itself by heights that the new one will pass again. */
static void on_forget_saved(void *context)
{
    bt_slot *slot = context;
    slot->snapshot_height = 0;
    if (slot->has_place)
        snapshot_forget(&slot->place);
}

static bt_labels labels_of(bt_label storage[2], const bt_node *node, const char *partition)
{
    storage[0] = (bt_label){ "topic", node->options.topic };
    storage[1] = (bt_label){ "partition", partition };
    return (bt_labels){ storage, 2 };
}

static void register_metrics(bt_slot *slot)
{
    bt_metrics *m = slot->node->options.metrics;
    bt_slot_metrics *to = &slot->metrics;
    char partition[16];
    bt_label storage[2];
    snprintf(partition, sizeof partition, "%d", slot->partition);
    bt_labels labels = labels_of(storage, slot->node, partition);
    to->phase = bt_metrics_gauge(m, "berth_owner_phase", "Phase of the partition's owner: 0 idle, 1 restoring, 2 taking over, 3 owning, 4 recovering, 5 yielded, 6 read-only, 7 following", labels);
    to->height = bt_metrics_gauge(m, "berth_partition_height", "Valid records proved", labels);
    to->void_records = bt_metrics_gauge(m, "berth_partition_void_records", "Void records met", labels);
    to->next_offset = bt_metrics_gauge(m, "berth_partition_next_offset", "Offset after the last record that is proved", labels);
    to->log_time_s = bt_metrics_gauge(m, "berth_partition_log_time_seconds", "Log time of what is proved, rounded up, since 1970", labels);
    to->read_offset = bt_metrics_gauge(m, "berth_partition_read_offset", "Offset up to which the tail was read back and compared", labels);
    to->waiting = bt_metrics_gauge(m, "berth_partition_waiting_commands", "Commands not yet answered", labels);
    to->in_flight = bt_metrics_gauge(m, "berth_partition_in_flight_records", "Records appended and not proved", labels);
    to->open_attempts = bt_metrics_gauge(m, "berth_partition_open_attempts", "Dropped appends whose outcome is not settled", labels);
    to->streams = bt_metrics_gauge(m, "berth_partition_streams", "Streams in memory", labels);
    to->stopped_streams = bt_metrics_gauge(m, "berth_partition_stopped_streams", "Streams with an event that this binary does not understand", labels);
    to->keys = bt_metrics_gauge(m, "berth_partition_keys", "Idempotency keys remembered", labels);
    to->keys_horizon_s = bt_metrics_gauge(m, "berth_partition_keys_horizon_seconds", "Log time over which keys are remembered", labels);
    to->clock_behind_s = bt_metrics_gauge(m, "berth_clock_behind_log_seconds", "Log time of the last valid record less this node's clock; above 0: this clock is behind another's", labels);
    to->appends = bt_metrics_counter(m, "berth_appends_total", "Records sent", labels);
    to->barriers = bt_metrics_counter(m, "berth_barriers_total", "Barrier records sent", labels);
    to->drops = bt_metrics_counter(m, "berth_pipeline_drops_total", "Pipelines dropped and recovered", labels);
    to->takeovers = bt_metrics_counter(m, "berth_takeovers_total", "Times that this node took the partition over", labels);
    to->yields = bt_metrics_counter(m, "berth_yields_total", "Partitions yielded to another owner", labels);
    to->gave_way = bt_metrics_counter(m, "berth_gave_way_total", "Times that deciding was held back for another node's takeover", labels);
    to->key_hits = bt_metrics_counter(m, "berth_key_hits_total", "Commands whose key was known", labels);
    to->settled = bt_metrics_counter(m, "berth_settled_attempts_total", "Dropped appends found to be void for good", labels);
    to->foreign_valid = bt_metrics_counter(m, "berth_foreign_valid_records_total", "Valid records of another writer met while owning", labels);
    to->gaps = bt_metrics_counter(m, "berth_report_gaps_total", "Reports whose offset was past the next", labels);
}

static bt_owner *new_owner(bt_slot *slot)
{
    const bt_node *node = slot->node;
    const bt_node_options *o = &node->options;
    bt_owner_config config = { .decider = o->decider, .decider_settings = o->decider_settings, .topic = node->topic, .node = bt_str_of(o->node), .address = bt_str_of(o->address),
        .registry = BT_STR("berth"), .partition = slot->partition, .partition_count = o->partition_count, .waiting_max = o->waiting_max, .batch_max = o->batch_max,
        .batches_in_flight_max = o->batches_in_flight_max, .gather_us = o->gather_us, .barrier_every_us = o->barrier_every_us, .command_timeout_us = o->command_timeout_us, .append_timeout_us = (int64_t)(o->message_timeout_ms + 2000) * 1000 };
    bt_owner_outputs outputs = { .context = slot, .append = on_append, .read_from = on_read_from, .ask_end = on_ask_end, .fetch_one = on_fetch_one, .answer = on_answer,
        .random = on_random, .alarm = on_alarm, .forget_saved = on_forget_saved };
    return bt_owner_new(&config, &outputs);
}

static void find_place(bt_slot *slot)
{
    bt_err err = { 0 };
    const char *folder = slot->node->options.snapshot_folder;
    if (folder == NULL || folder[0] == '\0')
        return;
    slot->has_place = snapshot_place_init(&slot->place, folder, slot->node->topic, slot->partition, &err);
    if (!slot->has_place)
        bt_log_warn("snapshot.folder.unusable", F_ERR(&err));
}

void bt_slot_init(bt_slot *slot, bt_node *node, int32_t partition)
{
    *slot = (bt_slot){ .node = node, .partition = partition };
    slot->owner = new_owner(slot);
    find_place(slot);
    register_metrics(slot);
}

void bt_slot_release(bt_slot *slot)
{
    if (slot->restored != NULL)
        pthread_join(slot->restorer, NULL);
    bt_owner_free(slot->restored);
    bt_owner_free(slot->owner);
}

/* ---- restoring ---- */

/* Reads the newest snapshot that is whole into a fresh owner, and returns its height; 0: there is none. */
static int64_t restore(const bt_slot *slot, bt_owner *owner)
{
    bt_err err = { 0 };
    for (int back = 0; slot->has_place && back <= SNAPSHOT_KEPT; back++) {
        bt_buf payload;
        bt_buf_init(&payload, SNAPSHOT_BYTES_MAX);
        bool loaded = snapshot_read(&slot->place, back, &payload, &err) && bt_owner_load(owner, (bt_bytes){ payload.at, payload.size }, &err);
        bt_buf_release(&payload);
        if (loaded) {
            bt_owner_stats stats;
            bt_owner_stats_of(owner, &stats);
            bt_log_info("snapshot.loaded", F_I64("partition", slot->partition), F_I64("height", stats.proved.height), F_I64("streams", stats.stream_count));
            return stats.proved.height;
        }
        if (err.code == ENOENT)
            break;
        bt_log_warn("snapshot.ignored", F_I64("partition", slot->partition), F_ERR(&err));
    }
    return 0;
}

void bt_slot_restore(bt_slot *slot) { slot->snapshot_height = restore(slot, slot->owner); }

static void *restore_beside(void *context)
{
    bt_slot *slot = context;
    slot->restored_height = restore(slot, slot->restored);
    atomic_store(&slot->is_restored, true);
    bt_wake_up(&slot->node->wake);
    return NULL;
}

void bt_slot_renew(bt_slot *slot)
{
    if (slot->restored != NULL)
        return;
    slot->restored = new_owner(slot);
    atomic_store(&slot->is_restored, false);
    bt_assert(pthread_create(&slot->restorer, NULL, restore_beside, slot) == 0);
}

bool bt_slot_renewed(bt_slot *slot, int64_t now_us)
{
    if (slot->restored == NULL || !atomic_load(&slot->is_restored))
        return false;
    pthread_join(slot->restorer, NULL);
    bt_owner *fresh = slot->restored;
    slot->restored = NULL;
    if (bt_owner_phase_of(slot->owner) == BT_OWNER_READ_ONLY) { /* a fresh one would not know what was lost */
        bt_owner_free(fresh);
        return true;
    }
    bt_owner_on_revoked(slot->owner, now_us);
    bt_owner_free(slot->owner);
    slot->owner = fresh;
    slot->snapshot_height = slot->restored_height;
    slot->told = (bt_owner_stats){ .appends = 0 };
    slot->read_wanted = slot->end_wanted = slot->fetching = false; /* what the one before asked for is of no use */
    slot->fetch_count = 0;
    bt_reader_stop(slot->node->fetcher, slot->partition);
    return true;
}

static bool snapshot_is_due(bt_slot *slot, int64_t height, bool force, int64_t mono_us)
{
    if (atomic_exchange(&slot->snapshot_failed, false))
        slot->snapshot_again_us = mono_us + SNAPSHOT_AGAIN_US;
    if (slot->snapshot_again_us != 0 && (force || mono_us >= slot->snapshot_again_us))
        return true;
    return height - slot->snapshot_height >= (force ? 1 : slot->node->options.snapshot_every);
}

void bt_slot_snapshot(bt_slot *slot, bool force)
{
    bt_owner_stats stats;
    bt_owner_stats_of(slot->owner, &stats);
    int64_t started_us = bt_clock_monotonic_us();
    if (!slot->has_place || bt_snapshot_writer_is_busy(&slot->node->writer) || !snapshot_is_due(slot, stats.proved.height, force, started_us))
        return;
    bt_buf payload;
    bt_err err = { 0 };
    bt_buf_init(&payload, SNAPSHOT_BYTES_MAX);
    if (bt_owner_save(slot->owner, &payload, &err)) {
        if (bt_snapshot_writer_give(&slot->node->writer, &slot->place, stats.proved.height, &payload, &slot->snapshot_failed)) {
            slot->snapshot_height = stats.proved.height;
            slot->snapshot_again_us = 0;
        }
        bt_histogram_observe(slot->node->snapshot_seconds, bt_clock_monotonic_us() - started_us);
    } else if (err.kind != BT_ERR_RETRY) {
        bt_log_warn("snapshot.not_taken", F_I64("partition", slot->partition), F_ERR(&err));
        slot->snapshot_height = stats.proved.height; /* do not try again at every round */
    }
    bt_buf_release(&payload);
}

/* Starts the fetching reader at the oldest fetch, or gives that up when nobody can wait for it any more: a slow broker is no reason to turn a repeat
 * away sooner than any other command. */
static void serve_fetches(bt_slot *slot, int64_t now_us)
{
    bt_err err = { 0 };
    if (slot->fetching && bt_clock_monotonic_us() - slot->fetch_started_us > slot->node->options.command_timeout_us)
        bt_slot_fetched(slot, NULL, now_us);
    if (slot->fetching || slot->fetch_count == 0) {
        if (!slot->fetching)
            bt_reader_stop(slot->node->fetcher, slot->partition); /* it would read the rest of the log, and others' fetches would wait behind that */
        return;
    }
    if (!bt_reader_start(slot->node->fetcher, slot->partition, slot->fetches[slot->fetch_first].offset, &err)) {
        bt_log_warn("fetch.failed", F_I64("partition", slot->partition), F_ERR(&err));
        bt_slot_fetched(slot, NULL, now_us);
        return;
    }
    bt_counter_inc(slot->node->fetches);
    slot->fetching = true;
    slot->fetch_started_us = bt_clock_monotonic_us();
}

void bt_slot_fetched(bt_slot *slot, const bt_record *record, int64_t now_us)
{
    uint64_t request = slot->fetches[slot->fetch_first].request;
    slot->fetch_first = (slot->fetch_first + 1) % BT_COUNT_OF(slot->fetches);
    slot->fetch_count--;
    slot->fetching = false;
    bt_owner_on_fetched(slot->owner, request, record, now_us);
}

void bt_slot_serve(bt_slot *slot, int64_t now_us)
{
    bt_err err = { 0 };
    if (slot->read_wanted) {
        slot->read_wanted = false;
        slot->reading = bt_reader_start(slot->node->reader, slot->partition, slot->read_offset, &err);
        if (!slot->reading) {
            bt_log_warn("read.failed", F_I64("partition", slot->partition), F_ERR(&err));
            slot->read_wanted = true; /* again in the next round, which has a limit of its own */
        }
    }
    if (slot->end_wanted) {
        slot->end_wanted = false;
        bt_reader_ask_end(slot->node->reader, slot->partition, slot->end_request);
    }
    serve_fetches(slot, now_us);
}

void bt_slot_tell_metrics(bt_slot *slot)
{
    bt_owner_stats s;
    bt_owner_stats_of(slot->owner, &s);
    bt_slot_metrics *m = &slot->metrics;
    bt_gauge_set(m->phase, (int64_t)bt_owner_phase_of(slot->owner));
    bt_gauge_set(m->height, s.proved.height);
    bt_gauge_set(m->void_records, s.proved.void_count);
    bt_gauge_set(m->next_offset, s.proved.next_offset);
    bt_gauge_set(m->read_offset, s.read_offset);
    bt_gauge_set(m->log_time_s, (s.proved.time_us + 999999) / 1000000);
    bt_gauge_set(m->waiting, (int64_t)s.waiting_count);
    bt_gauge_set(m->in_flight, (int64_t)s.in_flight_count);
    bt_gauge_set(m->open_attempts, (int64_t)s.open_count);
    bt_gauge_set(m->streams, (int64_t)s.stream_count);
    bt_gauge_set(m->stopped_streams, (int64_t)s.stopped_count);
    bt_gauge_set(m->keys, (int64_t)s.key_count);
    bt_gauge_set(m->clock_behind_s, s.proved.height > 0 ? (s.proved.time_us - bt_clock_realtime_us()) / 1000000 : 0);
    bt_gauge_set(m->keys_horizon_s, s.keys_horizon_us / 1000000);
    const bt_owner_stats *t = &slot->told;
    bt_counter_add(m->appends, s.appends - t->appends);
    bt_counter_add(m->barriers, s.barriers - t->barriers);
    bt_counter_add(m->drops, s.drops - t->drops);
    bt_counter_add(m->takeovers, s.takeovers - t->takeovers);
    bt_counter_add(m->yields, s.yields - t->yields);
    bt_counter_add(m->gave_way, s.gave_way - t->gave_way);
    bt_counter_add(m->key_hits, s.key_hits - t->key_hits);
    bt_counter_add(m->settled, s.settled - t->settled);
    bt_counter_add(m->foreign_valid, s.foreign_valid - t->foreign_valid);
    bt_counter_add(m->gaps, s.gaps - t->gaps);
    slot->told = s;
}
