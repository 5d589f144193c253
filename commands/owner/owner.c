/* owner - the inputs, and what each phase makes of them. The header says what all this is for. */
#include "commands/owner/internal.h"

#include <stdarg.h>
#include <stdio.h>

const char *bt_owner_phase_name(bt_owner_phase phase)
{
    switch (phase) {
    case BT_OWNER_IDLE: return "idle";
    case BT_OWNER_RESTORING: return "restoring";
    case BT_OWNER_TAKING_OVER: return "taking_over";
    case BT_OWNER_OWNING: return "owning";
    case BT_OWNER_RECOVERING: return "recovering";
    case BT_OWNER_YIELDED: return "yielded";
    case BT_OWNER_READ_ONLY: return "read_only";
    case BT_OWNER_FOLLOWING: return "following";
    }
    return "?";
}

bool owner_phase_step_is_legal(bt_owner_phase from, bt_owner_phase to)
{
    switch (to) {
    case BT_OWNER_IDLE: return true; /* from READ_ONLY: a loss was accepted (loss.c) */
    case BT_OWNER_RESTORING: return from == BT_OWNER_IDLE || from == BT_OWNER_YIELDED || from == BT_OWNER_FOLLOWING;
    case BT_OWNER_TAKING_OVER: return from == BT_OWNER_RESTORING || from == BT_OWNER_RECOVERING;
    case BT_OWNER_OWNING: return from == BT_OWNER_TAKING_OVER || from == BT_OWNER_RECOVERING;
    case BT_OWNER_RECOVERING: return from == BT_OWNER_TAKING_OVER || from == BT_OWNER_OWNING;
    case BT_OWNER_YIELDED: return from == BT_OWNER_TAKING_OVER || from == BT_OWNER_OWNING || from == BT_OWNER_RECOVERING;
    case BT_OWNER_READ_ONLY: return from != BT_OWNER_IDLE;
    case BT_OWNER_FOLLOWING: return from == BT_OWNER_IDLE;
    }
    return false;
}

void owner_set_phase(bt_owner *owner, bt_owner_phase phase)
{
    if (owner->phase == phase)
        return;
    bt_assert(owner_phase_step_is_legal(owner->phase, phase));
    owner->phase = phase;
}

static void fill_defaults(bt_owner_config *config)
{
#define DEFAULT(field, value) config->field = config->field == 0 ? (value) : config->field
    DEFAULT(waiting_max, 10000);
    DEFAULT(batch_max, 500);
    DEFAULT(batches_in_flight_max, 1);
    DEFAULT(crowd_min, 16);
    DEFAULT(redecide_max, BT_OWNER_REDECIDE_MAX);
    DEFAULT(fetches_max, BT_OWNER_FETCHES_MAX);
    DEFAULT(append_timeout_us, 12 * 1000000);
    DEFAULT(command_timeout_us, 30 * 1000000);
    DEFAULT(barrier_after_us, BT_OWNER_BARRIER_AFTER_US);
    DEFAULT(barrier_every_us, BT_OWNER_BARRIER_EVERY_US);
    DEFAULT(give_way_us, 250 * 1000);
    DEFAULT(probe_after_us, 1000 * 1000);
    DEFAULT(keys_max, BT_OWNER_KEYS_MAX);
    DEFAULT(keys_ttl_us, BT_OWNER_KEYS_TTL_US);
#undef DEFAULT
    bt_assert(config->keys_max <= BT_OWNER_KEYS_MAX);
}

bt_owner *bt_owner_new(const bt_owner_config *config, const bt_owner_outputs *outputs)
{
    bt_owner *owner = bt_alloc(sizeof *owner);
    owner->config = *config;
    fill_defaults(&owner->config);
    owner->outputs = *outputs;
    owner->schemas = bt_schemas.digest;
    owner->last_valid_offset = -1;
    owner->end_target = -1;
    owner->last_barrier = owner->gave_way = owner->doubted = INT64_MIN / 2;
    bt_keys_init(&owner->keys, owner->config.keys_max, owner->config.keys_ttl_us);
    bt_streams_init(&owner->streams, config->decider);
    owner->undo = bt_undo_new();
    bt_pipeline_init(&owner->pipeline);
    bt_pipeline_init(&owner->open);
    bt_waiting_init(&owner->waiting);
    bt_list_init(&owner->queue);
    bt_list_init(&owner->held);
    bt_list_init(&owner->fetching);
    bt_list_init(&owner->fetch_queue);
    bt_list_init(&owner->idle_flights);
    bt_arena_init(&owner->work, 0);
    bt_buf_init(&owner->scratch, BT_OWNER_VALUE_MAX);
    bt_buf_init(&owner->body, 8 << 20);
    return owner;
}

void bt_owner_free(bt_owner *owner)
{
    if (owner == NULL)
        return;
    bt_assert(owner->waiting.count == 0);
    owner_roll_back(owner, true);
    owner_settle_open(owner);
    while (!bt_list_is_empty(&owner->idle_flights)) {
        bt_link *link = owner->idle_flights.next;
        bt_list_remove(link);
        bt_release((char *)link - offsetof(bt_flight, confirms));
    }
    bt_pipeline_release(&owner->pipeline);
    bt_pipeline_release(&owner->open);
    bt_streams_release(&owner->streams);
    bt_undo_free(owner->undo);
    bt_keys_release(&owner->keys);
    bt_waiting_release(&owner->waiting);
    bt_slabs_release(&owner->slabs);
    bt_arena_release(&owner->work);
    bt_buf_release(&owner->scratch);
    bt_buf_release(&owner->body);
    bt_release(owner->compare_ring);
    bt_release(owner);
}

/* ---- the timer, positions, answers ---- */

void owner_clock(bt_owner *owner, int64_t now_us)
{
    if (owner->now_us != 0 && now_us > owner->now_us)
        owner->timer += now_us - owner->now_us;
    owner->now_us = now_us;
}

int64_t owner_log_time(const bt_owner *owner)
{
    const bt_flight *last = bt_pipeline_last(&owner->pipeline);
    return last != NULL && last->time_us > owner->proved.time_us ? last->time_us : owner->proved.time_us;
}

int64_t owner_decide_time(const bt_owner *owner)
{
    int64_t log_time = owner_log_time(owner);
    return log_time > owner->now_us ? log_time : owner->now_us;
}

bt_id owner_head(const bt_owner *owner)
{
    const bt_flight *last = bt_pipeline_last(&owner->pipeline);
    return last != NULL ? last->id : owner->proved.head;
}

void owner_answer(bt_owner *owner, bt_waiter *waiter, bt_answer *answer)
{
    owner->stats.answers[answer->kind]++;
    owner->outputs.answer(owner->outputs.context, waiter->token, answer);
    bt_slabs_drop(&owner->slabs, waiter->slab);
    waiter->slab = NULL;
    bt_waiting_remove(&owner->waiting, waiter);
}

void owner_answer_plain(bt_owner *owner, bt_waiter *waiter, bt_answer_kind kind, bool not_applied)
{
    bt_answer answer = { .kind = kind, .not_applied = not_applied, .offset = owner->last_valid_offset, .id = owner->proved.head };
    owner_answer(owner, waiter, &answer);
}

void owner_answer_all(bt_owner *owner, bt_link *list, bt_answer_kind kind, bool not_applied)
{
    while (!bt_list_is_empty(list))
        owner_answer_plain(owner, bt_waiter_of_place(list->next), kind, not_applied);
}

/* Answers every waiter, wherever it stands. What is in flight or open is unknown; the rest was never applied. */
static void answer_everyone(bt_owner *owner, bt_answer_kind queued_kind)
{
    while (owner->waiting.count > 0) {
        bt_waiter *waiter = bt_waiter_of_age(owner->waiting.ages.next);
        if (waiter->queued)
            owner_answer_plain(owner, waiter, queued_kind, true);
        else
            owner_answer_plain(owner, waiter, BT_ANSWER_UNAVAILABLE, false);
    }
}

void owner_read_only(bt_owner *owner, const char *name, const char *format, ...)
{
    char text[BT_ERR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    owner_set_phase(owner, BT_OWNER_READ_ONLY);
    owner->generation++;
    answer_everyone(owner, BT_ANSWER_UNAVAILABLE);
    owner_roll_back(owner, true);
    owner_settle_open(owner);
    owner->outputs.alarm(owner->outputs.context, name, text);
    if (strcmp(name, "log.mismatch") != 0) /* another log is not a shorter one */
        owner_search_loss(owner);
}

/* ---- inputs ---- */

void bt_owner_on_assigned(bt_owner *owner, int64_t now_us)
{
    owner_clock(owner, now_us);
    bt_assert(!owner->hollow || owner->phase == BT_OWNER_READ_ONLY);
    owner->wish = WISH_OWN;
    if (owner->phase == BT_OWNER_IDLE || owner->phase == BT_OWNER_YIELDED || owner->phase == BT_OWNER_FOLLOWING)
        owner_restore(owner);
    else if (owner->searching) /* the reader may have stopped: from the start again */
        owner_search_loss(owner);
}

void bt_owner_on_revoked(bt_owner *owner, int64_t now_us)
{
    owner_clock(owner, now_us);
    owner->wish = WISH_NOTHING;
    if (owner->phase == BT_OWNER_READ_ONLY)
        return;
    owner_set_phase(owner, BT_OWNER_IDLE);
    owner->generation++;
    answer_everyone(owner, BT_ANSWER_NOT_OWNER);
    owner_roll_back(owner, true);
    owner_settle_open(owner);
}

void bt_owner_on_follow(bt_owner *owner, bool with_state, int64_t now_us)
{
    bt_owner_on_revoked(owner, now_us);
    owner->wish = WISH_FOLLOW;
    if (owner->phase == BT_OWNER_READ_ONLY)
        return;
    bt_assert(!owner->hollow || !with_state); /* what was let go does not come back */
    if (!with_state && !owner->hollow) {
        bt_streams_clear(&owner->streams);
        bt_keys_clear(&owner->keys);
        owner->hollow = true;
    }
    owner_follow(owner);
}

/* What a command is told at once, without being looked at. False: it may wait. */
static bool refuse_at_the_door(bt_owner *owner, bt_answer_kind *ret_kind)
{
    if (owner->waiting.count >= (size_t)owner->config.waiting_max) {
        *ret_kind = BT_ANSWER_UNAVAILABLE;
        return true;
    }
    switch (owner->phase) {
    case BT_OWNER_IDLE:
    case BT_OWNER_FOLLOWING:
    case BT_OWNER_YIELDED: *ret_kind = BT_ANSWER_NOT_OWNER; return true;
    case BT_OWNER_READ_ONLY: *ret_kind = BT_ANSWER_UNAVAILABLE; return true;
    case BT_OWNER_RESTORING:
    case BT_OWNER_TAKING_OVER:
    case BT_OWNER_OWNING:
    case BT_OWNER_RECOVERING: return false;
    }
    return false;
}

void bt_owner_on_command(bt_owner *owner, const bt_command *command, void *token, int64_t now_us)
{
    owner_clock(owner, now_us);
    bt_answer_kind kind;
    bool refused = refuse_at_the_door(owner, &kind);
    bt_waiter *waiter = bt_waiting_add(&owner->waiting, command, token, owner->timer);
    if (refused) {
        owner_answer_plain(owner, waiter, kind, true);
        return;
    }
    waiter->queued = true;
    bt_list_append(&owner->queue, &waiter->place);
}

static void time_out_waiters(bt_owner *owner)
{
    while (!bt_list_is_empty(&owner->waiting.ages)) {
        bt_waiter *waiter = bt_waiter_of_age(owner->waiting.ages.next);
        if (owner->timer - waiter->arrived < owner->config.command_timeout_us)
            return;
        owner_answer_plain(owner, waiter, BT_ANSWER_UNAVAILABLE, waiter->queued);
    }
}

void bt_owner_on_tick(bt_owner *owner, int64_t now_us)
{
    owner_clock(owner, now_us);
    time_out_waiters(owner);
    const bt_flight *first = bt_pipeline_first(&owner->pipeline);
    bool appending = owner->phase == BT_OWNER_OWNING || owner->phase == BT_OWNER_TAKING_OVER;
    if (appending && first != NULL && owner->timer - first->sent >= owner->config.append_timeout_us)
        owner_recover(owner);
    owner_recover_tick(owner);
    if (owner_probe_due(owner) <= owner->timer)
        owner_send_probe(owner);
    bt_streams_sweep(&owner->streams, SWEEP_PER_TICK, owner->proved.time_us);
    owner_pump(owner);
}

void bt_owner_on_batch_end(bt_owner *owner, int64_t now_us)
{
    owner_clock(owner, now_us);
    owner_pump(owner);
}

/* ---- what the driver may ask ---- */

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

/* The next time on the timer at which a tick has something to do. */
static int64_t next_on_timer(const bt_owner *owner)
{
    int64_t next = owner_barrier_due(owner), gathered = owner->phase == BT_OWNER_OWNING ? owner_gather_until(owner) : INT64_MIN;
    if (gathered != INT64_MIN)
        next = earlier(next, gathered > owner->gives_way_until ? gathered : owner->gives_way_until);
    if (!bt_list_is_empty(&owner->waiting.ages))
        next = earlier(next, bt_waiter_of_age(owner->waiting.ages.next)->arrived + owner->config.command_timeout_us);
    const bt_flight *first = bt_pipeline_first(&owner->pipeline);
    bool appending = owner->phase == BT_OWNER_OWNING || owner->phase == BT_OWNER_TAKING_OVER;
    if (appending && first != NULL)
        next = earlier(next, first->sent + owner->config.append_timeout_us);
    bool reading = owner_reads_to_end(owner);
    bool rechecking = owner->phase == BT_OWNER_OWNING && owner->recheck_attempt != 0;
    if (reading || rechecking)
        next = earlier(next, owner->end_asked + ASK_AGAIN_US > owner->end_after ? owner->end_asked + ASK_AGAIN_US : owner->end_after);
    if (reading && !owner->end_awaited && owner->end_target < 0)
        next = earlier(next, owner->end_after);
    if (owner->unreadable)
        next = earlier(next, owner->unreadable_at + ASK_AGAIN_US);
    next = earlier(next, owner_probe_due(owner));
    if (owner->phase == BT_OWNER_OWNING && owner->gives_way_until > owner->timer)
        next = earlier(next, owner->gives_way_until);
    return next;
}

int64_t bt_owner_next_tick_us(const bt_owner *owner)
{
    int64_t next = next_on_timer(owner);
    int64_t at = next == INT64_MAX ? INT64_MAX : owner->now_us + (next > owner->timer ? next - owner->timer : 0);
    const bt_stream *due = bt_streams_earliest(&owner->streams);
    bool decides = owner->phase == BT_OWNER_OWNING && owner->gives_way_until <= owner->timer;
    if (decides && due != NULL && bt_pipeline_count(&owner->pipeline) == 0)
        at = earlier(at, due->deadline > owner->now_us ? due->deadline : owner->now_us);
    return at;
}

bool bt_owner_is_busy(const bt_owner *owner) { return owner->phase == BT_OWNER_OWNING && !owner_may_decide(owner); }

bt_owner_phase bt_owner_phase_of(const bt_owner *owner) { return owner->phase; }
bool bt_owner_has_state(const bt_owner *owner) { return !owner->hollow || owner->phase == BT_OWNER_READ_ONLY; }

void bt_owner_routed_to(const bt_owner *owner, bt_str *ret_node, bt_str *ret_address)
{
    *ret_node = (bt_str){ owner->routed.node, owner->routed.node_size };
    *ret_address = (bt_str){ owner->routed.address, owner->routed.address_size };
}

const bt_command *bt_owner_appending(const bt_owner *owner) { return owner->appending; }

void bt_owner_stats_of(const bt_owner *owner, bt_owner_stats *ret_stats)
{
    *ret_stats = owner->stats;
    ret_stats->proved = owner->proved;
    ret_stats->read_offset = owner->read_next;
    ret_stats->waiting_count = owner->waiting.count;
    size_t queued = 0;
    for (const bt_link *at = owner->queue.next; at != &owner->queue; at = at->next)
        queued++;
    ret_stats->queued_count = queued;
    ret_stats->in_flight_count = bt_pipeline_count(&owner->pipeline);
    ret_stats->open_count = bt_pipeline_count(&owner->open);
    ret_stats->stream_count = owner->streams.count;
    ret_stats->stopped_count = owner->streams.stopped_count;
    ret_stats->ended_count = owner->streams.ended_count;
    ret_stats->caught_up = owner->caught_up;
    ret_stats->key_count = bt_keys_count(&owner->keys);
    ret_stats->keys_horizon_us = bt_keys_horizon_us(&owner->keys, owner->proved.time_us);
}
