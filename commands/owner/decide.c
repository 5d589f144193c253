/* decide - from commands and deadlines to records in flight.
 *
 * All is decided on the proved state plus what is in flight. What is folded is not the decider's struct but what its
 * record decodes to: exactly what every other reader will fold. */
#include "commands/owner/internal.h"

/* What is to be appended. */
typedef struct to_append {
    bt_flight_kind kind;
    bt_event event;
    bt_str key;
    bt_str stream_id;          /* empty: the log's own */
    const bt_command *command; /* NULL: nobody asked */
    int64_t time_us;
    int64_t version;
} to_append;

typedef enum proposed {
    PROPOSED,
    PROPOSED_TOO_LARGE,
    PROPOSED_CONTRADICTS, /* the decider's own event does not fold: a bug; the stream is stopped */
} proposed;

bt_flight *owner_flight_new(bt_owner *owner)
{
    bt_flight *flight;
    if (bt_list_is_empty(&owner->idle_flights)) {
        flight = bt_alloc(sizeof *flight);
    } else {
        bt_link *link = owner->idle_flights.next;
        bt_list_remove(link);
        flight = (bt_flight *)((char *)link - offsetof(bt_flight, confirms));
        memset(flight, 0, sizeof *flight);
    }
    bt_list_init(&flight->waiters);
    bt_list_init(&flight->confirms);
    flight->offset = -1;
    return flight;
}

void owner_flight_free(bt_owner *owner, bt_flight *flight)
{
    bt_assert(bt_list_is_empty(&flight->waiters) && bt_list_is_empty(&flight->confirms));
    bt_slabs_drop(&owner->slabs, flight->slab);
    bt_list_append(&owner->idle_flights, &flight->confirms);
}

static void send(bt_owner *owner, bt_flight *flight, const bt_command *command)
{
    owner->appending = command;
    flight->attempt = ++owner->attempt;
    flight->sent = owner->timer;
    flight->reported = flight->gap_counted = false;
    owner->outputs.append(owner->outputs.context, owner->generation, flight->attempt, flight->key, flight->value, flight->time_us);
    owner->appending = NULL;
}

/* The command that the flight was decided for, if its client still waits. */
static const bt_command *author_of(const bt_flight *flight)
{
    for (bt_link *link = flight->waiters.next; link != &flight->waiters; link = link->next)
        if (bt_waiter_of_place(link)->author)
            return bt_waiter_of_place(link)->command;
    return NULL;
}

/* Encodes into the scratch, so that a record that does not fit leaves nothing behind, and places key and bytes. */
static bool place(bt_owner *owner, const to_append *proposal, bt_flight *flight, bt_err *err)
{
    bt_buf_reset(&owner->scratch);
    if (!bt_event_encode(proposal->event, &owner->scratch, err))
        return false;
    flight->slab = bt_slabs_hold(&owner->slabs);
    bt_arena *arena = &flight->slab->arena;
    bt_str bytes = bt_arena_copy(arena, bt_buf_view(&owner->scratch));
    flight->value = (bt_bytes){ (const uint8_t *)bytes.at, bytes.size };
    flight->key = bt_arena_copy(arena, proposal->key);
    return bt_event_decode(flight->value, arena, &flight->event, err);
}

/* Folds the flight's event on top, in an undo frame of its own. */
static bool fold_hoped(bt_owner *owner, bt_flight *flight, bt_err *err)
{
    bt_undo_begin(owner->undo);
    bt_stream *stream = flight->stream;
    if (stream == NULL)
        return true;
    if (stream->state == NULL) {
        bt_undo_save(owner->undo, &stream->state, sizeof stream->state);
        stream->state = owner->config.decider->state_new(owner->undo);
    }
    stream->in_flight++;
    if (!owner->config.decider->evolve(stream->state, flight->event, owner->undo, err)) {
        bt_undo_roll_back_newest(owner->undo);
        stream->in_flight--;
        bt_streams_forget_unborn(&owner->streams, stream);
        return false;
    }
    bt_streams_touch(&owner->streams, stream);
    return true;
}

static void stop_stream(bt_owner *owner, bt_str id, const bt_err *err)
{
    bt_streams_stop(&owner->streams, bt_streams_get(&owner->streams, id));
    owner->outputs.alarm(owner->outputs.context, "stream.contradiction", err->message);
}

static void fill_meta(const bt_owner *owner, const to_append *proposal)
{
    bt_meta *meta = bt_event_meta(proposal->event);
    *meta = (bt_meta){ .parent = owner_head(owner), .version = proposal->version, .time = proposal->time_us };
    if (proposal->command != NULL) {
        meta->command = proposal->command->key_digest;
        meta->body = proposal->command->body_digest;
        meta->actor = proposal->command->actor;
    }
}

static proposed propose(bt_owner *owner, const to_append *proposal, bt_flight **ret_flight)
{
    bt_err err;
    fill_meta(owner, proposal);
    bt_flight *flight = owner_flight_new(owner);
    if (!place(owner, proposal, flight, &err)) {
        owner_flight_free(owner, flight);
        owner->outputs.alarm(owner->outputs.context, "event.too_large", err.message);
        return PROPOSED_TOO_LARGE;
    }
    const bt_meta *meta = bt_event_meta(flight->event);
    flight->kind = proposal->kind;
    flight->time_us = meta->time;
    flight->parent = meta->parent;
    flight->command = meta->command;
    flight->body = meta->body;
    flight->id = bt_record_id(flight->key, flight->value);
    flight->stream = proposal->stream_id.size == 0 ? NULL : bt_streams_get(&owner->streams, proposal->stream_id);
    if (!fold_hoped(owner, flight, &err)) {
        owner_flight_free(owner, flight);
        stop_stream(owner, proposal->stream_id, &err);
        return PROPOSED_CONTRADICTS;
    }
    if (flight->stream == NULL)
        owner->log_version_hoped = meta->version;
    flight->batch = owner->batch + 1;
    bt_list_move_end(&flight->confirms, &owner->held); /* new bytes, first sent now: they all came before */
    bt_pipeline_push(&owner->pipeline, flight);
    owner->stats.appends++;
    send(owner, flight, proposal->command);
    *ret_flight = flight;
    return PROPOSED;
}

static void append_of_log(bt_owner *owner, bt_flight_kind kind, bt_event event)
{
    bt_flight *flight;
    to_append proposal = { .kind = kind, .event = event, .key = BT_STR(BT_LOG_KEY), .time_us = owner_decide_time(owner),
        .version = owner->log_version_hoped + 1 };
    if (propose(owner, &proposal, &flight) != PROPOSED) {
        owner_read_only(owner, "owner.misconfigured",
            "a record of the log itself does not fit its schema: are topic, node or address too long?");
        return;
    }
    owner->batch = flight->batch;
}

void owner_append_log_opened(bt_owner *owner)
{
    const bt_owner_config *config = &owner->config;
    struct log_opened opened = { .topic = config->topic, .partition = config->partition, .partition_count = config->partition_count,
        .registry = config->registry };
    owner->outputs.random(owner->outputs.context, opened.log.at, sizeof opened.log.at);
    append_of_log(owner, BT_FLIGHT_LOG_OPENED, (bt_event){ &log_opened_message, &opened });
}

void owner_append_takeover(bt_owner *owner)
{
    bt_assert(bt_pipeline_count(&owner->pipeline) == 0);
    struct log_owner_took_over took_over = { .node = owner->config.node, .address = owner->config.address, .schemas = owner->schemas,
        .proved_offset = owner->proved.next_offset, .proved_height = owner->proved.height, .proved_head = owner->proved.head };
    owner->outputs.random(owner->outputs.context, took_over.nonce.at, sizeof took_over.nonce.at);
    append_of_log(owner, BT_FLIGHT_TAKEOVER, (bt_event){ &log_owner_took_over_message, &took_over });
}

void owner_append_barrier(bt_owner *owner)
{
    struct log_barrier barrier = { .nonce = { { 0 } } };
    owner->outputs.random(owner->outputs.context, barrier.nonce.at, sizeof barrier.nonce.at);
    owner->last_barrier = owner->timer;
    owner->stats.barriers++;
    append_of_log(owner, BT_FLIGHT_BARRIER, (bt_event){ &log_barrier_message, &barrier });
}

/* Byte for byte: two copies of a record cannot both be valid, so nothing needs to be decided anew. */
void owner_resend(bt_owner *owner)
{
    owner->batch++;
    for (size_t i = 0; i < bt_pipeline_count(&owner->pipeline); i++) {
        bt_flight *flight = bt_pipeline_at(&owner->pipeline, i);
        flight->batch = owner->batch;
        owner->stats.resends++;
        if (MUTANT(RESEND_CONFIRMS))
            bt_list_move_end(&flight->confirms, &owner->held);
        send(owner, flight, author_of(flight));
    }
}

/* ---- commands ---- */

void owner_requeue(bt_owner *owner, bt_link *list, bool front, bool counts)
{
    bt_link again;
    bt_list_init(&again);
    while (!bt_list_is_empty(list)) {
        bt_waiter *waiter = bt_waiter_of_place(list->next);
        bt_list_remove(&waiter->place);
        bt_slabs_drop(&owner->slabs, waiter->slab);
        waiter->slab = NULL;
        waiter->author = false;
        waiter->queued = true;
        owner->stats.redecided++;
        if (counts && ++waiter->redecided > owner->config.redecide_max)
            owner_answer_plain(owner, waiter, BT_ANSWER_UNAVAILABLE, true);
        else
            bt_list_append(&again, &waiter->place);
    }
    if (front)
        bt_list_move_front(&owner->queue, &again);
    else
        bt_list_move_end(&owner->queue, &again);
}

void owner_hold(bt_owner *owner, bt_waiter *waiter)
{
    waiter->queued = false;
    waiter->held_since = owner->timer;
    if (MUTANT(REFUSE_UNCONFIRMED)) {
        owner_answer(owner, waiter, &waiter->answer);
        return;
    }
    bt_list_remove(&waiter->place);
    bt_list_append(&owner->held, &waiter->place);
}

/* A verdict that appends nothing: its texts are kept until a proof releases it. */
static void hold_verdict(bt_owner *owner, bt_waiter *waiter, bt_stream *stream, const bt_decision *decision)
{
    waiter->slab = bt_slabs_hold(&owner->slabs);
    bt_arena *arena = &waiter->slab->arena;
    bool already = decision->verdict < BT_VERDICT_REFUSED;
    waiter->answer = (bt_answer){ .kind = already ? BT_ANSWER_ALREADY : BT_ANSWER_REFUSED, .verdict = decision->verdict };
    if (stream != NULL && stream->state != NULL)
        waiter->answer.version = owner->config.decider->version(stream->state);
    if (already) {
        owner_render(owner, stream, decision->event);
        waiter->answer.event_type = decision->event.type;
        waiter->answer.body = bt_arena_copy(arena, bt_buf_view(&owner->body));
    } else {
        waiter->answer.detail = bt_arena_copy(arena, decision->detail);
        waiter->answer.field = bt_arena_copy(arena, decision->field);
        waiter->answer.members = bt_arena_copy(arena, decision->members);
    }
    owner_hold(owner, waiter);
}

static void append_for(bt_owner *owner, bt_waiter *waiter, bt_stream *stream, const bt_decision *decision, int64_t now_us)
{
    const bt_command *command = waiter->command;
    int64_t version = stream == NULL || stream->state == NULL ? 0 : owner->config.decider->version(stream->state);
    to_append proposal = { .kind = BT_FLIGHT_COMMAND, .event = decision->event, .key = command->stream, .stream_id = command->stream,
        .command = command,
        .time_us = now_us, .version = version + 1 };
    bt_flight *flight;
    switch (propose(owner, &proposal, &flight)) {
    case PROPOSED: break;
    case PROPOSED_TOO_LARGE: owner_answer_plain(owner, waiter, BT_ANSWER_TOO_LARGE, true); return;
    case PROPOSED_CONTRADICTS: owner_answer_plain(owner, waiter, BT_ANSWER_STREAM_STOPPED, true); return;
    }
    waiter->queued = false;
    waiter->author = true;
    if (MUTANT(ANSWER_ON_APPEND)) {
        owner_answer_plain(owner, waiter, BT_ANSWER_ACCEPTED, false);
        return;
    }
    bt_list_append(&flight->waiters, &waiter->place);
}

/* True when the key is known: the waiter then waits for the record's proof, or for the record to be read back. */
static bool meet_again(bt_owner *owner, bt_waiter *waiter)
{
    bt_id key = waiter->command->key_digest;
    if (bt_id_is_zero(key))
        return false;
    bt_flight *flight = bt_pipeline_by_key(&owner->pipeline, key);
    if (flight != NULL) {
        bt_list_append(&flight->waiters, &waiter->place);
    } else if (!MUTANT(NO_KEY_MEMORY) && bt_keys_find(&owner->keys, key, &waiter->fetch_offset)) {
        bt_list_append(&owner->fetch_queue, &waiter->place);
        owner_start_fetches(owner);
    } else {
        return false;
    }
    waiter->queued = false;
    owner->stats.key_hits++;
    return true;
}

static void decide_command(bt_owner *owner, bt_waiter *waiter, int64_t now_us)
{
    const bt_decider *decider = owner->config.decider;
    bt_list_remove(&waiter->place);
    if (meet_again(owner, waiter))
        return;
    bt_stream *stream = bt_streams_find(&owner->streams, waiter->command->stream);
    if (stream != NULL && stream->stopped) {
        owner_answer_plain(owner, waiter, BT_ANSWER_STREAM_STOPPED, true);
        return;
    }
    bt_decision decision = { .verdict = decider->ended_verdict };
    if (stream == NULL || !stream->ended) {
        const void *state = stream == NULL || stream->state == NULL ? owner->streams.unborn : stream->state;
        bt_arena_reset(&owner->work);
        decider->decide(state, waiter->command, now_us, owner->config.decider_settings, &owner->work, &decision);
    }
    if (decision.verdict == BT_VERDICT_ACCEPTED)
        append_for(owner, waiter, stream, &decision, now_us);
    else
        hold_verdict(owner, waiter, stream, &decision);
}

/* ---- deadlines, batches, barriers ---- */

/* Appends the next event that is due; false when none is. */
static bool decide_next_due(bt_owner *owner, int64_t now_us)
{
    const bt_decider *decider = owner->config.decider;
    bt_stream *stream = bt_streams_earliest(&owner->streams);
    if (stream == NULL || stream->deadline > now_us)
        return false;
    bt_decision decision = { .verdict = BT_VERDICT_ACCEPTED };
    bt_arena_reset(&owner->work);
    decider->decide_due(stream->state, stream->id, now_us, &owner->work, &decision);
    if (decision.event.data == NULL) {
        bt_err err;
        bt_fail(&err, BT_ERR_FATAL, 0, "stream " BT_STR_FMT " has a deadline that has passed, but nothing due", BT_STR_ARG(stream->id));
        stop_stream(owner, stream->id, &err);
        return true;
    }
    to_append proposal = { .kind = BT_FLIGHT_DEADLINE, .event = decision.event, .key = stream->id, .stream_id = stream->id,
        .time_us = now_us,
        .version = decider->version(stream->state) + 1 };
    bt_flight *flight;
    if (propose(owner, &proposal, &flight) == PROPOSED_TOO_LARGE)
        bt_streams_stop(&owner->streams, stream);
    owner->stats.deadlines++;
    return true;
}

/* One batch: what is due, then what waits, until it is full or nothing is left. */
static void decide_batch(bt_owner *owner)
{
    uint64_t sent_before = owner->stats.appends, batch_max = (uint64_t)owner->config.batch_max;
    int64_t now_us = owner_decide_time(owner);
    bool due = true;
    while (due && !MUTANT(DEADLINES_LATE) && owner->stats.appends - sent_before < batch_max)
        due = decide_next_due(owner, now_us);
    while (!bt_list_is_empty(&owner->queue) && owner->stats.appends - sent_before < batch_max && owner->phase == BT_OWNER_OWNING)
        decide_command(owner, bt_waiter_of_place(owner->queue.next), now_us);
    if (owner->stats.appends > sent_before) {
        owner->batch++;
        owner->batch_records = owner->stats.appends - sent_before;
    }
}

/* Clients that were answered together ask again together, a little later, and the first of them would go alone: a record costs a
 * request then, and all the others wait for it. So after a crowd's batch the next one waits for company. What is due does not. */
int64_t owner_gather_until(const bt_owner *owner)
{
    const bt_stream *due = bt_streams_earliest(&owner->streams);
    bool crowd = owner->config.gather_us > 0 && owner->batch_records >= (uint64_t)owner->config.crowd_min && bt_pipeline_count(&owner->pipeline) == 0;
    if (!crowd || bt_list_is_empty(&owner->queue) || (due != NULL && due->deadline <= owner->now_us) || owner->waiting.count >= 2 * owner->batch_records)
        return INT64_MIN;
    return owner->proved_at + owner->config.gather_us;
}

int64_t owner_barrier_due(const bt_owner *owner)
{
    if (owner->phase != BT_OWNER_OWNING || bt_list_is_empty(&owner->held) || bt_pipeline_count(&owner->open) > 0)
        return INT64_MAX;
    int64_t wanted = bt_waiter_of_place(owner->held.next)->held_since + owner->config.barrier_after_us;
    int64_t allowed = owner->last_barrier + owner->config.barrier_every_us;
    allowed = allowed > owner->gives_way_until ? allowed : owner->gives_way_until;
    return wanted > allowed ? wanted : allowed;
}

/* Ownership is for speed only, so whoever asks for it may have it. Without this a busy owner's appends would make each try of the
 * other void. Only now and then, so that a node that only ever tries holds up nobody for long. */
void owner_give_way(bt_owner *owner)
{
    if (owner->phase != BT_OWNER_OWNING || owner->timer - owner->gave_way < GIVE_WAY_EVERY_US)
        return;
    owner->gave_way = owner->timer;
    owner->gives_way_until = owner->timer + owner->config.give_way_us;
    owner->stats.gave_way++;
}

bool owner_may_decide(const bt_owner *owner)
{
    const bt_flight *first = bt_pipeline_first(&owner->pipeline);
    bool room = first == NULL || owner->batch - first->batch + 1 < (uint64_t)owner->config.batches_in_flight_max;
    return room && bt_pipeline_count(&owner->open) == 0 && owner->timer >= owner->gives_way_until && owner->timer >= owner_gather_until(owner);
}

void owner_pump(bt_owner *owner)
{
    if (owner->phase != BT_OWNER_OWNING || bt_pipeline_count(&owner->open) > 0 || owner->timer < owner->gives_way_until)
        return;
    if (owner_may_decide(owner))
        decide_batch(owner);
    if (owner_barrier_due(owner) <= owner->timer)
        owner_append_barrier(owner);
}

void owner_start_fetches(bt_owner *owner)
{
    owner_send_probe(owner);
    while (owner->fetch_count < owner->config.fetches_max && !bt_list_is_empty(&owner->fetch_queue)) {
        bt_waiter *waiter = bt_waiter_of_place(owner->fetch_queue.next);
        bt_list_remove(&waiter->place);
        bt_list_append(&owner->fetching, &waiter->place);
        waiter->fetch_request = ++owner->fetch_request;
        owner->fetch_count++;
        owner->outputs.fetch_one(owner->outputs.context, waiter->fetch_request, waiter->fetch_offset);
    }
}
