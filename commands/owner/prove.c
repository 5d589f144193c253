/* prove - from reports and records to proofs: what is valid is folded, answered, remembered.
 *
 * Two ways lead to a proof (clause 3). By report: the attempt is the first open one, its offset follows the last proved
 * one, and an own record was read back since anything went wrong. Or by reading: the record comes back, valid. The tail
 * is read either way, and what was proved by report is compared with it. */
#include "commands/owner/internal.h"

/* ---- answers ---- */

void owner_render(bt_owner *owner, bt_stream *stream, bt_event event)
{
    bt_buf_reset(&owner->body);
    const void *state = stream == NULL || stream->state == NULL ? owner->streams.unborn : stream->state;
    owner->config.decider->render(state, stream == NULL ? (bt_str){ "", 0 } : stream->id, event, &owner->body);
}

/* The author hears that it was accepted; those that came with the same key hear the same, or that the key is taken. */
static void answer_flight(bt_owner *owner, bt_flight *flight, int64_t offset)
{
    if (bt_list_is_empty(&flight->waiters))
        return;
    owner_render(owner, flight->stream, flight->event);
    bt_answer accepted = { .kind = BT_ANSWER_ACCEPTED, .verdict = BT_VERDICT_ACCEPTED, .version = bt_event_meta(flight->event)->version,
        .offset = offset,
        .id = flight->id, .event_type = flight->event.type, .body = bt_buf_view(&owner->body) };
    while (!bt_list_is_empty(&flight->waiters)) {
        bt_waiter *waiter = bt_waiter_of_place(flight->waiters.next);
        bt_answer answer = accepted;
        if (!bt_id_equal(waiter->command->body_digest, flight->body))
            answer = (bt_answer){ .kind = BT_ANSWER_KEY_REUSED, .offset = offset, .id = flight->id };
        else if (!waiter->author)
            answer.kind = BT_ANSWER_REPEATED;
        owner_answer(owner, waiter, &answer);
    }
}

/* Refusals, "already" and repeats that this record's proof releases. */
static void answer_confirmed(bt_owner *owner, bt_flight *flight, int64_t offset)
{
    while (!bt_list_is_empty(&flight->confirms)) {
        bt_waiter *waiter = bt_waiter_of_place(flight->confirms.next);
        if (waiter->answer.kind != BT_ANSWER_REPEATED) {
            waiter->answer.offset = offset;
            waiter->answer.id = flight->id;
        }
        owner_answer(owner, waiter, &waiter->answer);
    }
}

/* ---- proofs ---- */

static void note_takeover(bt_owner *owner, const struct log_owner_took_over *event)
{
    routing *routed = &owner->routed;
    routed->node_size = event->node.size;
    memcpy(routed->node, event->node.at, event->node.size);
    routed->address_size = event->address.size;
    memcpy(routed->address, event->address.at, event->address.size);
}

static void proved_of_log(bt_owner *owner, bt_flight *flight)
{
    owner->log_version = bt_event_meta(flight->event)->version;
    if (flight->kind == BT_FLIGHT_LOG_OPENED) {
        owner->log_id = ((const struct log_opened *)flight->event.data)->log;
        if (owner->phase == BT_OWNER_TAKING_OVER)
            owner_append_takeover(owner);
    } else if (flight->kind == BT_FLIGHT_TAKEOVER) {
        note_takeover(owner, flight->event.data);
        owner->stats.takeovers++;
        owner->took_over = true;
        owner->takeovers_lost = 0;
        if (MUTANT(FORGET_KEYS_AT_TAKEOVER))
            bt_keys_clear(&owner->keys);
        if (owner->phase == BT_OWNER_TAKING_OVER)
            owner_set_phase(owner, BT_OWNER_OWNING);
    }
}

void owner_mark(bt_owner *owner)
{
    owner->marks[owner->proved.height % MARKS] = (mark){ owner->last_valid_offset, owner->proved.height, owner->proved.head };
}

/* The first of the pipeline is valid at this offset; the proved position is past it already. */
static void prove_first(bt_owner *owner, int64_t offset)
{
    bt_flight *flight = bt_pipeline_pop_first(&owner->pipeline);
    owner->last_valid_offset = offset;
    owner_mark(owner);
    owner->conflicts = 0;
    owner->proved_at = owner->timer;
    bt_undo_commit_oldest(owner->undo);
    if (!bt_id_is_zero(flight->command))
        bt_keys_add(&owner->keys, flight->command, offset, owner->proved.height, owner->proved.time_us);
    if (flight->stream != NULL)
        flight->stream->in_flight--;
    owner_settle_open(owner); /* it had the same parent as the first open attempt */
    answer_flight(owner, flight, offset);
    answer_confirmed(owner, flight, offset);
    if (flight->stream == NULL)
        proved_of_log(owner, flight);
    owner_flight_free(owner, flight);
    bt_streams_sweep(&owner->streams, SWEEP_PER_RECORD, owner->proved.time_us);
}

/* Until the tail has read as far, where it will be compared. */
static void remember_to_compare(bt_owner *owner, int64_t offset, bt_id id)
{
    if (offset - owner->read_next >= owner->compare_capacity) {
        int64_t capacity = owner->compare_capacity == 0 ? 64 : owner->compare_capacity * 2;
        while (capacity <= offset - owner->read_next)
            capacity *= 2;
        bt_id *ring = bt_alloc((size_t)capacity * sizeof *ring);
        for (int64_t at = owner->read_next; owner->compare_capacity > 0 && at < offset; at++)
            ring[at & (capacity - 1)] = owner->compare_ring[at & (owner->compare_capacity - 1)];
        bt_release(owner->compare_ring);
        owner->compare_ring = ring;
        owner->compare_capacity = capacity;
    }
    owner->compare_ring[offset & (owner->compare_capacity - 1)] = id;
}

static void prove_first_by_report(bt_owner *owner)
{
    const bt_flight *first = bt_pipeline_first(&owner->pipeline);
    int64_t offset = owner->proved.next_offset;
    owner_stir(owner);
    if (MUTANT(HEAD_BEFORE_PROOF) && first->offset > offset)
        offset = first->offset;
    owner->proved.next_offset = offset + 1;
    owner->proved.height++;
    owner->proved.head = first->id;
    if (first->time_us > owner->proved.time_us)
        owner->proved.time_us = first->time_us;
    remember_to_compare(owner, offset, first->id);
    owner->stats.proofs_by_report++;
    prove_first(owner, offset);
}

static bool report_proves(const bt_owner *owner, const bt_flight *first)
{
    if (MUTANT(HEAD_BEFORE_PROOF))
        return true;
    bool trusted = owner->trusts_reports || MUTANT(PROOF_ACROSS_GENERATIONS);
    return trusted && first->offset == owner->proved.next_offset && owner->proved.next_offset - owner->read_next < COMPARE_MAX;
}

void owner_prove_reported(bt_owner *owner)
{
    for (;;) {
        bt_flight *first = bt_pipeline_first(&owner->pipeline);
        if (first == NULL || !first->reported || owner->phase != BT_OWNER_OWNING)
            return;
        if (report_proves(owner, first)) {
            prove_first_by_report(owner);
            continue;
        }
        if (first->offset > owner->proved.next_offset && !first->gap_counted) {
            first->gap_counted = true; /* the tail will read the hole */
            owner->stats.gaps++;
        }
        /* Nobody knows where it is, or it is said to be where something else was read: if reading to the end does not
         * find it, it has to be sent again. */
        if (first->offset < owner->proved.next_offset && owner->recheck_attempt == 0) {
            owner->recheck_attempt = first->attempt;
            owner_ask_end(owner);
        }
        return;
    }
}

void bt_owner_on_report(bt_owner *owner, uint64_t generation, uint64_t attempt, bt_append_result result, int64_t offset, int64_t now_us)
{
    owner_clock(owner, now_us);
    if (result != BT_APPEND_DONE)
        owner->trusts_reports = false;
    bt_flight *flight = generation == owner->generation ? bt_pipeline_by_attempt(&owner->pipeline, attempt) : NULL;
    if (MUTANT(PROOF_ACROSS_GENERATIONS) && result == BT_APPEND_DONE && offset == owner->proved.next_offset)
        flight = bt_pipeline_first(&owner->pipeline);
    if (flight == NULL)
        return;
    switch (result) {
    case BT_APPEND_DONE:
        flight->reported = true;
        flight->offset = offset;
        owner_prove_reported(owner);
        break;
    case BT_APPEND_UNKNOWN:
        owner_recover(owner);
        break;
    case BT_APPEND_REJECTED:
        flight->rejected = true;
        owner_recover(owner);
        break;
    }
}

void bt_owner_on_producer_lost(bt_owner *owner, int64_t now_us)
{
    owner_clock(owner, now_us);
    owner->trusts_reports = false;
    if (bt_pipeline_count(&owner->pipeline) > 0)
        owner_recover(owner);
}

/* ---- folding what others wrote, and what was written before ---- */

static void stop(bt_owner *owner, bt_str id, const char *name, const bt_err *err)
{
    bt_streams_stop(&owner->streams, bt_streams_get(&owner->streams, id));
    owner->outputs.alarm(owner->outputs.context, name, err->message);
}

static void fold_event(bt_owner *owner, const bt_record *record)
{
    bt_err err;
    bt_event event;
    bt_stream *stream = bt_streams_get(&owner->streams, record->key);
    if (stream->stopped || stream->ended)
        return;
    bt_arena_reset(&owner->work);
    if (!bt_event_decode(record->value, &owner->work, &event, &err)) {
        stop(owner, record->key, "stream.unknown_event", &err);
        return;
    }
    if (strcmp(event.type->kind, owner->config.decider->kind) != 0) {
        bt_fail(&err, BT_ERR_FATAL, 0, "stream " BT_STR_FMT " at offset %lld has an event of kind %s", BT_STR_ARG(record->key),
            (long long)record->offset,
            event.type->kind);
        stop(owner, record->key, "stream.unknown_event", &err);
        return;
    }
    if (stream->state == NULL)
        stream->state = owner->config.decider->state_new(NULL);
    if (!owner->config.decider->evolve(stream->state, event, NULL, &err)) {
        stop(owner, record->key, "stream.contradiction", &err);
        return;
    }
    bt_streams_touch(&owner->streams, stream);
}

/* A takeover says what its writer had proved: how many records were valid before an offset, and which was the last. That
 * is true wherever its record stands, void or not; who read something else there has read another log. */
static bool check_claim(bt_owner *owner, const struct log_owner_took_over *claim, int64_t offset)
{
    const mark *last_before = NULL;
    for (size_t i = 0; i < MARKS; i++) {
        const mark *it = &owner->marks[i];
        if (it->height > 0 && it->offset < claim->proved_offset && (last_before == NULL || it->height > last_before->height))
            last_before = it;
    }
    bool agrees = last_before == NULL || (last_before->height == claim->proved_height && bt_id_equal(last_before->id, claim->proved_head));
    if ((agrees && claim->proved_offset <= offset) || owner_claim_is_given_up(owner, claim))
        return true;
    owner_read_only(owner, "log.disagreement",
        "the takeover of " BT_STR_FMT " at offset %lld proved %lld records before offset %lld; what was read here differs",
        BT_STR_ARG(claim->node), (long long)offset, (long long)claim->proved_height, (long long)claim->proved_offset);
    return false;
}

static void check_void_takeover(bt_owner *owner, const bt_record *record)
{
    bt_event event;
    if (!bt_str_is(record->key, BT_LOG_KEY) || record->value.size < BT_WIRE_VALUE_MIN ||
        bt_record_schema_id(record->value) != log_owner_took_over_message.schema_id)
        return;
    bt_arena_reset(&owner->work);
    if (!bt_event_decode(record->value, &owner->work, &event, NULL) || !check_claim(owner, event.data, record->offset))
        return;
    const struct log_owner_took_over *claim = event.data;
    if (!bt_str_equal(claim->node, owner->config.node) || !bt_str_equal(claim->address, owner->config.address))
        owner_give_way(owner);
}

static void fold_foreign_takeover(bt_owner *owner, const struct log_owner_took_over *event, int64_t offset)
{
    note_takeover(owner, event);
    if (!check_claim(owner, event, offset))
        return;
    bool yields = owner->took_over;
    if (!owner->took_over && (owner->phase == BT_OWNER_TAKING_OVER || owner->phase == BT_OWNER_RECOVERING))
        yields = ++owner->takeovers_lost > TAKEOVERS_LOST_MAX;
    if (yields)
        owner_yield(owner);
}

static void fold_of_log(bt_owner *owner, const bt_record *record)
{
    bt_err err;
    bt_event event;
    bt_arena_reset(&owner->work);
    if (!bt_event_decode(record->value, &owner->work, &event, &err) || strcmp(event.type->kind, "log") != 0) {
        owner->outputs.alarm(owner->outputs.context, "log.unknown_event",
            "a record of the log itself is of a schema that this binary does not know");
        return;
    }
    if (event.type == &log_opened_message)
        owner->log_id = ((const struct log_opened *)event.data)->log;
    else if (event.type == &log_owner_took_over_message)
        fold_foreign_takeover(owner, event.data, record->offset);
    else if (event.type == &log_loss_accepted_message)
        owner_note_loss(owner, event.data);
}

/* The first valid record says which log this is; it must be the one that this server was set up for. */
static bool check_opening(bt_owner *owner, const bt_record *record)
{
    bt_event event;
    const bt_owner_config *config = &owner->config;
    bt_arena_reset(&owner->work);
    if (!bt_str_is(record->key, BT_LOG_KEY) || !bt_event_decode(record->value, &owner->work, &event, NULL) ||
        event.type != &log_opened_message) {
        owner_read_only(owner, "log.mismatch", "the first valid record of " BT_STR_FMT "/%d is no LogOpened: not a log of Berth's",
            BT_STR_ARG(config->topic),
            config->partition);
        return false;
    }
    const struct log_opened *opened = event.data;
    if (bt_str_equal(opened->topic, config->topic) && opened->partition == config->partition &&
        opened->partition_count == config->partition_count &&
        bt_str_equal(opened->registry, config->registry))
        return true;
    owner_read_only(owner, "log.mismatch",
        "this log was opened as " BT_STR_FMT "/%d of %d with registry " BT_STR_FMT
        "; this server is set up for " BT_STR_FMT "/%d of %d with registry " BT_STR_FMT,
        BT_STR_ARG(opened->topic), opened->partition, opened->partition_count, BT_STR_ARG(opened->registry), BT_STR_ARG(config->topic),
        config->partition,
        config->partition_count, BT_STR_ARG(config->registry));
    return false;
}

/* A late copy of an open attempt: it was valid after all. Its event has just been folded. */
static void answer_open_first(bt_owner *owner, int64_t offset)
{
    bt_flight *flight = bt_pipeline_pop_first(&owner->open);
    flight->stream = bt_streams_find(&owner->streams, flight->key);
    answer_flight(owner, flight, offset);
    owner_flight_free(owner, flight);
}

/* A valid record that is not the first of the pipeline: whatever was in flight linked to the same parent, and is void. */
static void fold_foreign(bt_owner *owner, const bt_record *record, bt_id id)
{
    bool active = owner->phase == BT_OWNER_OWNING || owner->phase == BT_OWNER_TAKING_OVER || owner->phase == BT_OWNER_RECOVERING;
    bool had_pipeline = bt_pipeline_count(&owner->pipeline) > 0;
    owner->last_valid_offset = record->offset;
    owner_mark(owner);
    owner_roll_back(owner, true);
    const bt_flight *open = bt_pipeline_first(&owner->open);
    bool was_open = open != NULL && bt_id_equal(open->id, id);
    if (!was_open)
        owner_settle_open(owner);
    if (owner->proved.height == 1 && !check_opening(owner, record))
        return;
    bt_meta meta = { .version = 0 };
    bool has_meta = bt_meta_peek(record->value, &meta);
    if (has_meta && !owner->hollow && !bt_id_is_zero(meta.command))
        bt_keys_add(&owner->keys, meta.command, record->offset, owner->proved.height, owner->proved.time_us);
    if (active)
        owner->stats.foreign_valid++;
    if (bt_str_is(record->key, BT_LOG_KEY)) {
        owner->log_version = owner->log_version_hoped = meta.version;
        fold_of_log(owner, record);
    } else if (!owner->hollow) {
        fold_event(owner, record);
    }
    if (owner->phase == BT_OWNER_READ_ONLY)
        return;
    if (was_open)
        answer_open_first(owner, record->offset);
    if (had_pipeline)
        owner_recover(owner);
    bt_streams_sweep(&owner->streams, SWEEP_PER_RECORD, owner->proved.time_us);
}

/* ---- reading ---- */

static bool is_valid(bt_owner *owner, const bt_record *record, bt_id *ret_id)
{
    bt_forward_verdict verdict = bt_forward_step(&owner->proved, record, ret_id);
    bt_assert(verdict != BT_FORWARD_JUMP);
    if (MUTANT(NO_PARENT_CHECK) && verdict == BT_FORWARD_VOID_PARENT) {
        *ret_id = owner->proved.head = bt_record_id(record->key, record->value);
        owner->proved.height++;
        return true;
    }
    return verdict == BT_FORWARD_VALID;
}

/* The mutant's mistake: the copy that was read may be void while another one, later, is valid. */
static void mutant_settle_void(bt_owner *owner, const bt_record *record)
{
    if (record->key.at == NULL || record->value.size < BT_WIRE_VALUE_MIN || bt_pipeline_count(&owner->pipeline) == 0)
        return;
    bt_id id = bt_record_id(record->key, record->value);
    for (size_t i = 0; i < bt_pipeline_count(&owner->pipeline); i++) {
        if (bt_id_equal(bt_pipeline_at(&owner->pipeline, i)->id, id))
            owner_answer_all(owner, &bt_pipeline_at(&owner->pipeline, i)->waiters, BT_ANSWER_UNAVAILABLE, true);
    }
}

static void fold_record(bt_owner *owner, const bt_record *record)
{
    bt_id id;
    owner_stir(owner);
    if (!is_valid(owner, record, &id)) {
        if (record->key.at != NULL && record->value.size >= BT_WIRE_VALUE_MIN)
            owner_doubt(owner, bt_record_parent(record->value));
        if (MUTANT(VOID_COPY_SETTLES))
            mutant_settle_void(owner, record);
        check_void_takeover(owner, record);
        return;
    }
    const bt_flight *first = bt_pipeline_first(&owner->pipeline);
    if (first != NULL && bt_id_equal(first->id, id)) {
        if (owner->phase != BT_OWNER_RECOVERING)
            owner->trusts_reports = true;
        owner->stats.proofs_by_reading++;
        prove_first(owner, record->offset);
    } else {
        fold_foreign(owner, record, id);
    }
}

static void compare_record(bt_owner *owner, const bt_record *record)
{
    if (MUTANT(NO_COMPARISON) || MUTANT(HEAD_BEFORE_PROOF)) {
        owner->must_verify = false;
        return;
    }
    bt_id expected = owner->must_verify ? owner->proved.head : owner->compare_ring[record->offset & (owner->compare_capacity - 1)];
    bool same = record->key.at != NULL && bt_id_equal(bt_record_id(record->key, record->value), expected);
    owner->stats.compared++;
    if (same) {
        owner->must_verify = false;
        return;
    }
    owner_read_only(owner, owner->must_verify ? "log.lost" : "log.differs",
        "the record at offset %lld is not the one that was proved there: the log was cut back or changed; "
        "compare the replicas, then: berth log accept-loss",
        (long long)record->offset);
}

/* False: the rest of what was delivered is of no use. */
static bool read_record(bt_owner *owner, const bt_record *record)
{
    if (record->offset < owner->read_next)
        return true;
    if (record->offset > owner->read_next && !MUTANT(JUMP_IGNORED)) {
        owner->stats.jumps++;
        if (++owner->jumps > JUMPS_MAX)
            owner_read_only(owner, "log.jump", "offsets jump from %lld to %lld: records are missing", (long long)owner->read_next,
                (long long)record->offset);
        else
            owner->outputs.read_from(owner->outputs.context, owner->read_next);
        return false;
    }
    owner->jumps = 0;
    owner->read_next = record->offset + 1;
    if (record->offset < owner->proved.next_offset) {
        compare_record(owner, record);
        return true;
    }
    if (MUTANT(JUMP_IGNORED))
        owner->proved.next_offset = record->offset;
    fold_record(owner, record);
    return true;
}

void bt_owner_on_records(bt_owner *owner, const bt_record *records, size_t record_count, int64_t now_us)
{
    owner_clock(owner, now_us);
    if (owner->searching) {
        owner_search_records(owner, records, record_count);
        return;
    }
    for (size_t i = 0; i < record_count; i++) {
        if (owner->phase == BT_OWNER_IDLE || owner->phase == BT_OWNER_READ_ONLY || !read_record(owner, &records[i]))
            break;
    }
    owner_prove_reported(owner);
    owner_at_end(owner);
}

/* ---- repeats ---- */

static bt_waiter *take_fetching(bt_owner *owner, uint64_t request)
{
    for (bt_link *at = owner->fetching.next; at != &owner->fetching; at = at->next) {
        bt_waiter *waiter = bt_waiter_of_place(at);
        if (waiter->fetch_request == request) {
            bt_list_remove(at);
            return waiter;
        }
    }
    return NULL; /* its client gave up, or the partition was revoked */
}

/* Makes the first answer again from the record that carries the key. */
static void answer_repeat(bt_owner *owner, bt_waiter *waiter, const bt_record *record, const bt_meta *meta)
{
    bt_event event;
    if (!bt_id_equal(meta->body, waiter->command->body_digest)) {
        waiter->answer = (bt_answer){ .kind = BT_ANSWER_KEY_REUSED };
        owner_hold(owner, waiter);
        return;
    }
    bt_stream *stream = bt_streams_find(&owner->streams, record->key);
    bt_arena_reset(&owner->work);
    if (stream == NULL || stream->stopped || !bt_event_decode(record->value, &owner->work, &event, NULL)) {
        owner_answer_plain(owner, waiter, BT_ANSWER_STREAM_STOPPED, false);
        return;
    }
    if (stream->ended) {
        waiter->answer = (bt_answer){ .kind = BT_ANSWER_REFUSED, .verdict = owner->config.decider->ended_verdict };
        owner_hold(owner, waiter);
        return;
    }
    owner_render(owner, stream, event);
    waiter->slab = bt_slabs_hold(&owner->slabs);
    waiter->answer = (bt_answer){ .kind = BT_ANSWER_REPEATED, .version = meta->version, .offset = record->offset,
        .id = bt_record_id(record->key, record->value),
        .event_type = event.type, .body = bt_arena_copy(&waiter->slab->arena, bt_buf_view(&owner->body)) };
    owner_hold(owner, waiter);
}

void bt_owner_on_fetched(bt_owner *owner, uint64_t request, const bt_record *record, int64_t now_us)
{
    owner_clock(owner, now_us);
    owner->fetch_count--; /* also when nobody waits for it any more: it was outstanding all the time */
    if (owner_probe_fetched(owner, request, record)) {
        owner_start_fetches(owner);
        return;
    }
    bt_waiter *waiter = take_fetching(owner, request);
    owner_start_fetches(owner);
    if (waiter == NULL)
        return;
    bt_meta meta;
    if (record == NULL || record->offset != waiter->fetch_offset) {
        owner_answer_plain(owner, waiter, BT_ANSWER_UNAVAILABLE, false);
    } else if (record->key.at == NULL || !bt_meta_peek(record->value, &meta) || !bt_id_equal(meta.command, waiter->command->key_digest)) {
        owner_answer_plain(owner, waiter, BT_ANSWER_UNAVAILABLE, false);
        owner_read_only(owner, "log.differs", "the record at offset %lld no longer carries the key that was folded there",
            (long long)record->offset);
    } else {
        answer_repeat(owner, waiter, record, &meta);
    }
}
