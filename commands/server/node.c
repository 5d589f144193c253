/* node - the loop: wait, tell the owners what happened, do what they said, wait again. */
#include "commands/server/node.h"

#include "commands/server/slot.h"
#include "io/clock/clock.h"
#include "io/log/log.h"

#include <stdio.h>

#define WAIT_MAX_US INT64_C(50000)
#define METRICS_EVERY_US INT64_C(250000)
#define FETCH_BATCH_MAX 16 /* records that one look-up reads at the most: it is stopped in the turn in which they come */
#define ROUND_READS_MAX 4 /* polls of the reader a round, so that a long restore does not hold up other partitions' commands */

static void on_assigned(void *context, int32_t partition)
{
    bt_log_info("partition.assigned", F_STR("topic", ((bt_node *)context)->topic), F_I64("partition", partition));
    bt_ownership_assigned(context, partition, bt_clock_realtime_us());
}

static void on_revoked(void *context, int32_t partition)
{
    bt_log_info("partition.revoked", F_STR("topic", ((bt_node *)context)->topic), F_I64("partition", partition));
    bt_ownership_revoked(context, partition, bt_clock_realtime_us());
}

static void on_session_refused(void *context, int32_t asked_ms, int32_t next_ms)
{
    (void)context;
    bt_log_warn("group.session_refused", F_I64("node.session_timeout_ms", asked_ms), F_I64("next_ms", next_ms),
        F_STR("remedy", "the broker's group.min.session.timeout.ms is above node.session_timeout_ms: lower it there, or a dead node is noticed late"));
}

static bt_append_result result_of(bt_err_kind kind)
{
    switch (kind) {
    case BT_OK:
        return BT_APPEND_DONE;
    case BT_ERR_INPUT:
    case BT_ERR_FATAL:
        return BT_APPEND_REJECTED;
    case BT_ERR_RETRY: /* not written; the owner finds that out the same way as for any other doubt */
    case BT_ERR_UNKNOWN:
        return BT_APPEND_UNKNOWN;
    }
    return BT_APPEND_UNKNOWN;
}

static void note_incarnation(bt_node *node, uint32_t incarnation, int64_t now_us)
{
    if (incarnation == node->incarnation)
        return;
    node->incarnation = incarnation;
    bt_log_warn("producer.recreated", F_STR("topic", node->topic), F_I64("incarnation", incarnation));
    for (int32_t p = 0; p < node->options.partition_count; p++)
        bt_owner_on_producer_lost(node->slots[p].owner, now_us);
}

static void on_reports(void *context, const bt_report *reports, size_t report_count)
{
    bt_node *node = context;
    int64_t now_us = bt_clock_realtime_us(), mono_us = bt_clock_monotonic_us();
    bt_stop_hook_on_reports(&node->stop_hook, reports, report_count);
    for (size_t i = 0; i < report_count; i++) {
        const bt_report *report = &reports[i];
        bt_slot *slot = &node->slots[report->partition];
        if (slot->batch_started_us != 0) {
            bt_histogram_observe(node->append_seconds, mono_us - slot->batch_started_us);
            slot->batch_started_us = 0;
        }
        bt_owner_on_report(slot->owner, report->generation, report->attempt, result_of(report->kind), report->offset, now_us);
    }
    if (report_count > 0)
        bt_histogram_observe(node->batch_records, (int64_t)report_count);
}

static void on_records(void *context, int32_t partition, const bt_record *records, size_t record_count)
{
    bt_node *node = context;
    bt_slot *slot = &node->slots[partition];
    if (!slot->read_wanted) /* else it has asked for another place: these are not what it expects */
        bt_owner_on_records(slot->owner, records, record_count, bt_clock_realtime_us());
}

static void on_end(void *context, int32_t partition, uint64_t request, int64_t end_offset)
{
    bt_slot *slot = &((bt_node *)context)->slots[partition];
    if (end_offset >= 0)
        bt_owner_on_log_end(slot->owner, request, end_offset, bt_clock_realtime_us());
    else if (!slot->end_wanted) { /* no broker: ask again */
        slot->end_wanted = true;
        slot->end_request = request;
    }
}

/* The position is not in the log, which is then perhaps shorter than what was proved. Asking for its end tells the owner so. */
static void on_broken(void *context, int32_t partition, const bt_err *err)
{
    bt_slot *slot = &((bt_node *)context)->slots[partition];
    bt_log_error("reader.broken", F_I64("partition", partition), F_ERR(err));
    slot->reading = false;
    bt_owner_on_unreadable(slot->owner, bt_clock_realtime_us());
}

static void on_fetched(void *context, int32_t partition, const bt_record *records, size_t record_count)
{
    bt_node *node = context;
    bt_slot *slot = &node->slots[partition];
    bt_counter_add(node->fetch_records, record_count);
    if (!slot->fetching || record_count == 0 || records[0].offset != slot->fetches[slot->fetch_first].offset)
        return;
    bt_slot_fetched(slot, &records[0], bt_clock_realtime_us());
}

/* The record is not in the log: who waits for it need not wait for the limit. The owner finds the loss by its own reading. */
static void on_fetch_broken(void *context, int32_t partition, const bt_err *err)
{
    bt_slot *slot = &((bt_node *)context)->slots[partition];
    bt_log_error("fetch.broken", F_I64("partition", partition), F_ERR(err));
    if (slot->fetching)
        bt_slot_fetched(slot, NULL, bt_clock_realtime_us());
}

/* The flags go down before the inbox is emptied: who still found one up has put its command there in time. */
static void take_commands(bt_node *node)
{
    int64_t now_us = bt_clock_realtime_us();
    for (int32_t p = 0; p < node->options.partition_count; p++)
        atomic_store(&node->slots[p].busy, false);
    for (bt_inbox_item *item = bt_inbox_take(&node->inbox), *next; item != NULL; item = next) {
        next = item->next;
        bt_submission *submission = (bt_submission *)item;
        bt_owner_on_command(node->slots[submission->partition].owner, &submission->command, submission, now_us);
    }
}

static void flush_appends(bt_node *node)
{
    if (node->append_count == 0)
        return;
    bt_stop_hook_on_appends(&node->stop_hook, node->appends, node->append_count);
    bt_producer_append(node->producer, node->appends, node->append_count);
    node->append_count = 0;
    bt_arena_reset(&node->append_bytes);
}

static void serve_owners(bt_node *node)
{
    int64_t started_us = bt_clock_monotonic_us(), now_us = bt_clock_realtime_us();
    for (int32_t p = 0; p < node->options.partition_count; p++) {
        bt_slot *slot = &node->slots[p];
        if (bt_owner_next_tick_us(slot->owner) <= now_us)
            bt_owner_on_tick(slot->owner, now_us);
        bt_owner_on_batch_end(slot->owner, now_us);
    }
    if (node->append_count > 0)
        bt_histogram_observe(node->decide_seconds, bt_clock_monotonic_us() - started_us);
    flush_appends(node);
    for (int32_t p = 0; p < node->options.partition_count; p++)
        bt_slot_serve(&node->slots[p], now_us);
}

static void watch_memory(bt_node *node)
{
    if (!bt_memory_watch_look(&node->memory))
        return;
    bool is_short = node->memory.is_short;
    atomic_store(&node->short_of_memory, is_short);
    bt_gauge_set(node->memory_short, is_short);
    bt_log_write(is_short ? BT_LOG_ERROR : BT_LOG_INFO, is_short ? "memory.short" : "memory.enough",
        (const bt_log_field[]){ F_I64("resident", node->memory.resident), F_I64("resident_max", node->memory.resident_max), F_I64("virtual_max", node->memory.virtual_max) }, 3);
}

static void look_after(bt_node *node)
{
    int64_t mono_us = bt_clock_monotonic_us();
    if (mono_us - node->metrics_told_us < METRICS_EVERY_US)
        return;
    node->metrics_told_us = mono_us;
    watch_memory(node);
    for (int32_t p = 0; p < node->options.partition_count; p++) {
        bt_slot *slot = &node->slots[p];
        bt_slot_tell_metrics(slot);
        bt_slot_snapshot(slot, false);
    }
    bt_ownership_count(node);
    bt_gauge_set(node->queue_depth, atomic_load(&node->inbox.count));
}

/* At the end of a turn: when an owner wants the next one, whatever happens; and of which partitions a report will wake the thread anyway. */
static int64_t end_turn(bt_node *node)
{
    int64_t next_us = INT64_MAX;
    for (int32_t p = 0; p < node->options.partition_count; p++) {
        int64_t at_us = bt_owner_next_tick_us(node->slots[p].owner);
        next_us = at_us < next_us ? at_us : next_us;
        atomic_store(&node->slots[p].busy, bt_owner_is_busy(node->slots[p].owner));
    }
    return next_us;
}

/* Between two turns of the node's thread; the lock is the submitters' meanwhile. */
static void wait_for_input(bt_node *node)
{
    int64_t now_us = bt_clock_realtime_us(), until_us = end_turn(node);
    node->waits_until_us = until_us < now_us + WAIT_MAX_US ? until_us : now_us + WAIT_MAX_US;
    int64_t wait_us = node->waits_until_us > now_us ? node->waits_until_us - now_us : 0;
    pthread_mutex_unlock(&node->turn);
    bt_wake_wait_us(&node->wake, wait_us);
    pthread_mutex_lock(&node->turn);
}

/* A turn of a submitter's, while the node's thread sleeps. False: somebody else has the turn. */
static bool decide_here(bt_node *node)
{
    if (pthread_mutex_trylock(&node->turn) != 0)
        return false;
    bt_log_set_correlation((bt_str){ NULL, 0 }); /* what the owners have to say is not about this request alone */
    take_commands(node);
    serve_owners(node);
    bool sooner = end_turn(node) < node->waits_until_us;
    pthread_mutex_unlock(&node->turn);
    if (sooner)
        bt_wake_up(&node->wake);
    return true;
}

static void finish(bt_node *node)
{
    int64_t now_us = bt_clock_realtime_us();
    for (int32_t p = 0; p < node->options.partition_count; p++) {
        bt_slot_snapshot(&node->slots[p], true);
        for (int waited_ms = 0; bt_snapshot_writer_is_busy(&node->writer) && waited_ms < 10000; waited_ms++)
            bt_clock_sleep_us(1000);
        bt_owner_on_revoked(node->slots[p].owner, now_us);
    }
    flush_appends(node);
}

/* Before new commands are taken, while what was in flight is just proved and nothing more is. */
static void serve_digests(bt_node *node)
{
    if (node->options.digest_desk == NULL || atomic_load_explicit(&node->options.digest_desk->waiting_count, memory_order_relaxed) == 0)
        return;
    bt_owner **owners = bt_alloc((size_t)node->options.partition_count * sizeof owners[0]);
    for (int32_t p = 0; p < node->options.partition_count; p++)
        owners[p] = node->slots[p].owner;
    bt_digest_desk_serve(node->options.digest_desk, owners);
    bt_release(owners);
}

static void *run(void *context)
{
    bt_node *node = context;
    pthread_mutex_lock(&node->turn);
    while (!atomic_load(&node->stopping)) {
        wait_for_input(node);
        if (atomic_load(&node->leaving))
            bt_ownership_leave(node, bt_clock_realtime_us());
        bt_group_poll(node->group);
        bt_producer_poll(node->producer, 0);
        note_incarnation(node, ({ bt_producer_stats stats; bt_producer_stats_of(node->producer, &stats); stats.incarnation; }), bt_clock_realtime_us());
        for (int i = 0; i < ROUND_READS_MAX && bt_reader_poll(node->reader, 0) > 0; i++)
            ;
        bt_reader_poll(node->fetcher, 0);
        serve_digests(node);
        take_commands(node);
        serve_owners(node);
        bt_ownership_look(node, bt_clock_realtime_us());
        look_after(node);
    }
    if (node->options.digest_desk != NULL)
        bt_digest_desk_close(node->options.digest_desk);
    finish(node);
    pthread_mutex_unlock(&node->turn);
    return NULL;
}

static void register_metrics(bt_node *node)
{
    static const char *const kinds[] = { "accepted", "repeated", "already", "refused", "key_reused", "unavailable", "not_owner", "stream_stopped", "too_large" };
    _Static_assert(BT_COUNT_OF(kinds) == BT_ANSWER_KIND_COUNT, "one name an answer");
    bt_metrics *m = node->options.metrics;
    bt_labels labels = BT_LABELS({ "topic", node->options.topic });
    node->decide_seconds = bt_metrics_histogram(m, BT_HISTOGRAM_SECONDS, "berth_decide_seconds", "Deciding one round of commands, all partitions", labels);
    node->append_seconds = bt_metrics_histogram(m, BT_HISTOGRAM_SECONDS, "berth_append_seconds", "From an append to its first report", labels);
    node->answer_seconds = bt_metrics_histogram(m, BT_HISTOGRAM_SECONDS, "berth_command_seconds", "From the inbox to the answer", labels);
    node->snapshot_seconds = bt_metrics_histogram(m, BT_HISTOGRAM_SECONDS, "berth_snapshot_pause_seconds", "Time that taking a snapshot held up deciding", labels);
    node->writer.written = bt_metrics_counter(m, "berth_snapshots_written_total", "Snapshots written", labels);
    node->writer.failures = bt_metrics_counter(m, "berth_snapshot_failures_total", "Snapshots that could not be written: a full disk", labels);
    node->memory_limit = bt_metrics_gauge(m, "berth_memory_limit_bytes", "Resident memory that this process may have; 0: no limit", labels);
    node->memory_short = bt_metrics_gauge(m, "berth_memory_short", "1: over 90 % of the limit, commands are refused", labels);
    node->batch_records = bt_metrics_histogram(m, BT_HISTOGRAM_COUNT, "berth_batch_records", "Records of one group commit", labels);
    node->fetches = bt_metrics_counter(m, "berth_fetches_total", "Single records looked up in the log: of repeated keys, and to see that they are still there", labels);
    node->fetch_records = bt_metrics_counter(m, "berth_fetch_records_total", "Records read for that, with those that came along", labels);
    node->queue_depth = bt_metrics_gauge(m, "berth_queue_depth", "Commands on the node, not yet answered", labels);
    for (size_t i = 0; i < BT_COUNT_OF(kinds); i++)
        node->answers[i] = bt_metrics_counter(m, "berth_answers_total", "Commands by kind of answer", BT_LABELS({ "topic", node->options.topic }, { "answer", kinds[i] }));
}

static bool connect_kafka(bt_node *node, bt_err *err)
{
    const bt_node_options *o = &node->options;
    /* A partition has one batch, hence one request, under way; those of other partitions need not wait for it (docs/decisions/0013). */
    bt_producer_options producer = { .in_flight_max = 5, .topic = o->topic, .message_timeout_ms = o->message_timeout_ms };
    bt_producer_outputs producer_outputs = { .context = node, .reports = on_reports };
    bt_reader_options reader = { .topic = o->topic, .tuning = BT_READER_BEHIND };
    bt_reader_outputs outputs = { .context = node, .records = on_records, .end = on_end, .broken = on_broken };
    bt_reader_options fetcher = { .topic = o->topic, .tuning = BT_READER_TAIL, .batch_max = FETCH_BATCH_MAX, .buffer_bytes = 1 << 20 };
    bt_reader_outputs fetcher_outputs = { .context = node, .records = on_fetched, .broken = on_fetch_broken };
    bt_group_options group = { .group = o->group, .topic = o->topic, .session_timeout_ms = o->session_timeout_ms };
    bt_group_outputs group_outputs = { .context = node, .assigned = on_assigned, .revoked = on_revoked, .refused = on_session_refused };
    return bt_wake_init(&node->wake, err) && bt_producer_new(&o->kafka, &producer, &producer_outputs, &node->wake, &node->producer, err) &&
           bt_reader_new(&o->kafka, &reader, &outputs, &node->wake, &node->reader, err) &&
           bt_reader_new(&o->kafka, &fetcher, &fetcher_outputs, &node->wake, &node->fetcher, err) &&
           bt_group_new(&o->kafka, &group, &group_outputs, &node->wake, &node->group, err);
}

static void release(bt_node *node)
{
    if (node->group != NULL)
        bt_group_free(node->group, 3000);
    if (node->producer != NULL)
        bt_producer_free(node->producer, 3000);
    bt_reader_free(node->reader);
    bt_reader_free(node->fetcher);
    bt_snapshot_writer_stop(&node->writer);
    for (int32_t p = 0; node->slots != NULL && p < node->options.partition_count; p++)
        bt_slot_release(&node->slots[p]);
    bt_wake_release(&node->wake);
    bt_arena_release(&node->append_bytes);
    pthread_mutex_destroy(&node->turn);
    bt_release(node->appends);
    bt_release(node->slots);
    bt_release(node);
}

static void fill_in(bt_node_options *options)
{
    options->snapshot_every = options->snapshot_every > 0 ? options->snapshot_every : 200000;
    options->waiting_max = options->waiting_max > 0 ? options->waiting_max : 8192;
    options->stop_at = options->stop_at != NULL ? options->stop_at : "none";
    options->stop_after = options->stop_after > 0 ? options->stop_after : 1;
    options->message_timeout_ms = options->message_timeout_ms > 0 ? options->message_timeout_ms : 10000;
}

bool bt_node_start(const bt_node_options *options, bt_node **ret_node, bt_err *err)
{
    bt_node *node = bt_alloc(sizeof *node);
    node->options = *options;
    node->topic = bt_str_of(options->topic);
    node->wake.fd = -1;
    pthread_mutex_init(&node->turn, NULL);
    fill_in(&node->options);
    bt_inbox_init(&node->inbox, node->options.waiting_max);
    bt_arena_init(&node->append_bytes, (size_t)1 << 30);
    bt_assert(bt_stop_hook_init(&node->stop_hook, node->options.stop_at, node->options.stop_after));
    register_metrics(node);
    bt_memory_watch_init(&node->memory, options->memory_max);
    bt_gauge_set(node->memory_limit, node->memory.resident_max == INT64_MAX ? 0 : node->memory.resident_max);
    node->slots = bt_alloc((size_t)options->partition_count * sizeof node->slots[0]);
    for (int32_t p = 0; p < options->partition_count; p++)
        bt_slot_init(&node->slots[p], node, p);
    if (!bt_snapshot_writer_start(&node->writer, err) || !connect_kafka(node, err)) {
        release(node);
        return false;
    }
    for (int32_t p = 0; p < options->partition_count; p++)
        bt_slot_restore(&node->slots[p]);
    bt_ownership_begin(node, bt_clock_realtime_us());
    bt_producer_stats stats;
    bt_producer_stats_of(node->producer, &stats);
    node->incarnation = stats.incarnation;
    atomic_store(&node->behind_count, options->partition_count);
    atomic_store(&node->accepting, 1);
    if (pthread_create(&node->thread, NULL, run, node) != 0) {
        release(node);
        return bt_fail(err, BT_ERR_FATAL, 0, "cannot start the deciding thread");
    }
    *ret_node = node;
    return true;
}

bool bt_node_is_short_of_memory(bt_node *node) { return atomic_load_explicit(&node->short_of_memory, memory_order_relaxed); }

bool bt_node_submit(bt_node *node, bt_submission *submission)
{
    bt_slot *slot = &node->slots[submission->partition]; /* once it is pushed, the submission may be answered and gone */
    submission->submitted_mono_us = bt_clock_monotonic_us();
    if (!atomic_load_explicit(&node->accepting, memory_order_relaxed) || bt_node_is_short_of_memory(node) || !bt_inbox_push(&node->inbox, &submission->item))
        return false;
    bool is_alone = atomic_load_explicit(&node->inbox.count, memory_order_relaxed) == 1; /* others would be company in a batch */
    if (!atomic_load(&slot->busy) && !(is_alone && decide_here(node)))
        bt_wake_up(&node->wake);
    return true;
}

void bt_node_disowned(bt_node *node, int32_t partition)
{
    atomic_store(&node->slots[partition].disowned, true);
    bt_wake_up(&node->wake);
}

bool bt_node_is_ready(bt_node *node, char *ret_reason, size_t reason_size)
{
    int owned = atomic_load(&node->owned_count), assigned = atomic_load(&node->assigned_count), lacking = atomic_load(&node->lacking_count);
    int read_only = atomic_load(&node->read_only_count), behind = atomic_load(&node->behind_count);
    bool answers = bt_group_broker_answers(node->group), joined = bt_group_joined(node->group);
    snprintf(ret_reason, reason_size, "%s; %s; owns %d partitions, lacks %d of the %d assigned to it; %d logs not yet read; %d read-only",
        answers ? "a broker answers" : "no broker answers", joined ? "joined" : "not joined", owned, lacking, assigned, behind, read_only);
    return answers && joined && lacking == 0 && behind == 0 && read_only == 0;
}

bool bt_node_leave(bt_node *node, int limit_ms)
{
    int others = -1; /* not known yet */
    atomic_store(&node->leaving, true);
    bt_wake_up(&node->wake);
    for (int waited_ms = 0; waited_ms < limit_ms && others != 0 && (others < 0 || atomic_load(&node->owned_count) > 0); waited_ms += 5) {
        bt_clock_sleep_us(5000);
        others = bt_group_others(node->group);
    }
    bt_log_info("node.left", F_I64("others", others), F_I64("not_handed_over", atomic_load(&node->owned_count)));
    return others > 0;
}

void bt_node_stop(bt_node *node, int limit_ms)
{
    atomic_store(&node->accepting, 0);
    for (int waited_ms = 0; atomic_load(&node->inbox.count) > 0 && waited_ms < limit_ms; waited_ms++)
        bt_clock_sleep_us(1000);
    atomic_store(&node->stopping, true);
    bt_wake_up(&node->wake);
    pthread_join(node->thread, NULL);
    release(node);
}
