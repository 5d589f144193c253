/* nodes - an owner's outputs as the world takes them, and its inputs as the world feeds them. */
#include <stdarg.h>
#include <stdio.h>

#include "core/digest.h"
#include "tests/sim/world.h"

void world_note(sim_world *world, const char *format, ...)
{
    if (!world->verbose)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("%6llu ", (unsigned long long)world->events);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

int64_t node_now(const sim_node *node) { return node->world->now_us + node->clock_skew_us; }

int64_t node_limit(const sim_node *node)
{
    int64_t high_watermark = node->world->high_watermark;
    return node->cut_off_at >= 0 && node->cut_off_at < high_watermark ? node->cut_off_at : high_watermark;
}

/* ---- outputs ---- */

static const sim_packet *make_packet(sim_world *world, int32_t index, bt_str key, bt_bytes value)
{
    sim_packet *made = bt_arena_take(&world->arena, sizeof *made);
    bt_str bytes = bt_arena_copy(&world->arena, (bt_str){ (const char *)value.at, value.size });
    *made = (sim_packet){ .key = bt_arena_copy(&world->arena, key), .value = { (const uint8_t *)bytes.at, bytes.size }, .node = index };
    made->id = bt_record_id(key, value);
    bt_meta meta;
    if (bt_meta_peek(made->value, &meta))
        made->command = meta.command;
    bt_assert(world->packet_count < NET_MAX);
    world->packets[world->packet_count++] = made;
    return made;
}

static void out_append(void *context, uint64_t generation, uint64_t attempt, bt_str key, bt_bytes value, int64_t time_us)
{
    (void)time_us;
    sim_node *self = context;
    sim_world *world = self->world;
    if (self->crashing || world->net_count == NET_MAX || world->packet_count == NET_MAX)
        return;
    const sim_packet *made = make_packet(world, self->index, key, value);
    world->net[world->net_count++] = (sent){ .packet = made, .node = self->index, .incarnation = self->incarnation,
        .generation = generation, .attempt = attempt };
    world_note(world, "n%d appends %02x%02x (" BT_STR_FMT ", schema %u) generation %llu attempt %llu", self->index, made->id.at[0],
        made->id.at[1], BT_STR_ARG(key),
        bt_record_schema_id(value), (unsigned long long)generation, (unsigned long long)attempt);
}

static void out_read_from(void *context, int64_t offset) { ((sim_node *)context)->read_at = offset; }

static void out_ask_end(void *context, uint64_t request)
{
    sim_node *self = context;
    self->end_request = request;
    self->end_value = -1;
}

static void out_fetch_one(void *context, uint64_t request, int64_t offset)
{
    sim_node *self = context;
    bt_assert(self->fetch_count < FETCHES_MAX);
    self->fetches[self->fetch_count++] = (fetch){ request, offset };
}

static outcome outcome_of(const bt_answer *answer)
{
    switch (answer->kind) {
    case BT_ANSWER_ACCEPTED:
    case BT_ANSWER_REPEATED: return OUTCOME_OK;
    case BT_ANSWER_ALREADY:
    case BT_ANSWER_REFUSED: return OUTCOME_NO;
    case BT_ANSWER_KEY_REUSED: return OUTCOME_REUSED;
    case BT_ANSWER_UNAVAILABLE:
    case BT_ANSWER_NOT_OWNER: return answer->not_applied ? OUTCOME_NOT_APPLIED : OUTCOME_UNKNOWN;
    case BT_ANSWER_STREAM_STOPPED:
    case BT_ANSWER_TOO_LARGE: return OUTCOME_NOT_APPLIED;
    }
    return OUTCOME_UNKNOWN;
}

static bool key_is_shared(const sim_world *world, const sim_call *of)
{
    for (size_t i = 0; i < world->call_count; i++) {
        if (&world->calls[i] != of && bt_id_equal(world->calls[i].command.key_digest, of->command.key_digest))
            return true;
    }
    return false;
}

static void out_answer(void *context, void *token, const bt_answer *answer)
{
    sim_node *self = context;
    sim_world *world = self->world;
    sim_call *to = token;
    world->events++;
    if (to->outcome != OUTCOME_NONE) {
        world_violates(world, "call %s was answered twice", to->key);
        return;
    }
    to->responded = world->events;
    to->outcome = self->crashing ? OUTCOME_UNKNOWN : outcome_of(answer);
    to->offset = answer->offset;
    to->check_void = to->outcome == OUTCOME_NOT_APPLIED && !key_is_shared(world, to);
    to->attempts_then = world->packet_count;
    world->counts.accepted += answer->kind == BT_ANSWER_ACCEPTED;
    world->counts.repeated += answer->kind == BT_ANSWER_REPEATED;
    world->counts.refused += to->outcome == OUTCOME_NO;
    world_note(world, "n%d answers %s: kind %d%s offset %lld", self->index, to->key, answer->kind, self->crashing ? " (lost)" : "",
        (long long)answer->offset);
}

static void out_random(void *context, void *at, size_t size)
{
    sim_node *self = context;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)at)[i] = (uint8_t)(world_random(self->world) >> 24);
}

static void out_alarm(void *context, const char *name, const char *text)
{
    sim_node *self = context;
    sim_world *world = self->world;
    world_note(world, "n%d ALARM %s: %s", self->index, name, text);
    if (strcmp(name, "log.loss_accepted") == 0) {
        world->counts.losses_accepted++;
        self->read_only = self->knew_the_lost = false;
        if (world->accepted == 0)
            world_violates(world, "n%d goes on though nobody gave up what it had proved: %s", self->index, text);
    } else if (bt_owner_phase_of(self->owner) == BT_OWNER_READ_ONLY) {
        self->read_only = true;
        world->counts.read_only++;
        if (!world->lied && !world->lost)
            world_violates(world, "n%d is read-only without a cause: %s: %s", self->index, name, text);
    } else {
        world_violates(world, "n%d raised %s: %s", self->index, name, text);
    }
}

static void out_forget_saved(void *context)
{
    sim_node *self = context;
    bt_buf_release(&self->snapshots[0]);
    bt_buf_release(&self->snapshots[1]);
    self->snapshots[0] = self->snapshots[1] = (bt_buf){ .size = 0 };
}

/* ---- life ---- */

static void load_snapshot(sim_world *world, sim_node *self)
{
    const bt_buf *snapshot = &self->snapshots[one_in(world, 4)];
    if (snapshot->size == 0 || one_in(world, 3))
        return;
    bt_bytes bytes = { snapshot->at, snapshot->size };
    bool torn = one_in(world, 4);
    if (torn) {
        uint8_t *copy = bt_arena_take(&world->arena, bytes.size);
        memcpy(copy, bytes.at, bytes.size);
        copy[up_to(world, (int64_t)bytes.size - 1)] ^= 4;
        bytes = (bt_bytes){ copy, one_in(world, 2) ? bytes.size : (size_t)up_to(world, (int64_t)bytes.size) };
    }
    bt_err err;
    bool loaded = bt_owner_load(self->owner, bytes, &err);
    world->counts.snapshots += loaded;
    world->counts.torn += torn;
    if (loaded == torn)
        world_violates(world, "a %s snapshot was %s", torn ? "torn" : "good", loaded ? "taken" : err.message);
}

void node_start(sim_world *world, sim_node *self)
{
    bt_owner_outputs outputs = { self, out_append, out_read_from, out_ask_end, out_fetch_one, out_answer, out_random, out_alarm, out_forget_saved };
    bt_owner_config config = world->config;
    config.node = (bt_str){ (const char *[]){ "n0", "n1", "n2" }[self->index], 2 };
    self->owner = bt_owner_new(&config, &outputs);
    self->incarnation++;
    self->end_request = 0;
    self->fetch_count = 0;
    self->read_at = 0;
    self->read_only = false;
    load_snapshot(world, self);
}

void node_stop(sim_node *self)
{
    node_count(self);
    self->crashing = true;
    bt_owner_on_revoked(self->owner, node_now(self));
    bt_owner_free(self->owner);
    self->owner = NULL;
    self->crashing = false;
    self->report_count = 0;
}

void node_count(sim_node *self)
{
    sim_counts *to = &self->world->counts;
    bt_owner_stats stats;
    bt_owner_stats_of(self->owner, &stats);
    to->takeovers += stats.takeovers;
    to->gaps += stats.gaps;
    to->settled += stats.settled;
    to->barriers += stats.barriers;
    to->key_hits += stats.key_hits;
    to->drops += stats.drops;
    to->deadlines += stats.deadlines;
    to->resends += stats.resends;
    to->by_report += stats.proofs_by_report;
    to->by_reading += stats.proofs_by_reading;
    to->yields += stats.yields;
    to->gave_way += stats.gave_way;
    to->jumps += stats.jumps;
    to->probes += stats.probes;
}

/* ---- inputs ---- */

static bt_record record_at(const sim_world *world, int64_t offset)
{
    const sim_packet *packet = world->log[offset];
    return (bt_record){ .offset = offset, .key = packet->key, .value = packet->value };
}

void node_read(sim_node *self, int64_t count_max)
{
    sim_world *world = self->world;
    bt_record records[16];
    size_t count = 0;
    int64_t limit = node_limit(self), offset = self->read_at;
    self->skipped = !self->skipped && !world->quiet && one_in(world, 50) && offset + 1 < limit; /* a client library that misses one */
    if (self->skipped)
        offset++;
    while (offset < limit && count < BT_COUNT_OF(records) && (int64_t)count < count_max)
        records[count++] = record_at(world, offset++);
    if (count == 0)
        return;
    self->read_at = offset;
    bt_owner_on_records(self->owner, records, count, node_now(self));
}

void node_answer_end(sim_node *self)
{
    if (self->end_request == 0)
        return;
    if (self->end_value < 0) {
        self->end_value = node_limit(self);
        return;
    }
    uint64_t request = self->end_request;
    self->end_request = 0;
    if (!self->world->quiet && percent(self->world, 15))
        return;
    bt_owner_on_log_end(self->owner, request, self->end_value, node_now(self));
}

void node_answer_fetch(sim_node *self)
{
    if (self->fetch_count == 0)
        return;
    fetch wanted = self->fetches[0];
    memmove(self->fetches, self->fetches + 1, --self->fetch_count * sizeof wanted);
    sim_world *world = self->world;
    bool fails = wanted.offset >= node_limit(self) || (!world->quiet && percent(world, 5));
    bt_record record;
    if (!fails)
        record = record_at(world, wanted.offset);
    bt_owner_on_fetched(self->owner, wanted.request, fails ? NULL : &record, node_now(self));
}

void node_report(sim_node *self, size_t index)
{
    sent report = self->reports[index];
    memmove(&self->reports[index], &self->reports[index + 1], (--self->report_count - index) * sizeof report);
    if (report.incarnation != self->incarnation)
        return;
    world_note(self->world, "n%d hears: attempt %llu of generation %llu: result %d offset %lld", self->index,
        (unsigned long long)report.attempt,
        (unsigned long long)report.generation, report.result, (long long)report.offset);
    bt_owner_on_report(self->owner, report.generation, report.attempt, report.result, report.offset, node_now(self));
}

void node_save(sim_node *self)
{
    bt_buf saved;
    bt_buf_init(&saved, 1 << 20);
    bt_err err;
    if (bt_owner_save(self->owner, &saved, &err)) {
        bt_buf_release(&self->snapshots[1]);
        self->snapshots[1] = self->snapshots[0];
        self->snapshots[0] = saved;
    } else {
        bt_buf_release(&saved);
    }
}
