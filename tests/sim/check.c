/* check - what every run must satisfy, told from the log alone by a naive second reading of it.
 *
 * The log fixes the order of what was accepted, so exact linearizability of the rest is greedy: each refusal, in the
 * order of the answers, takes the earliest state that explains it and that its real time allows. */
#include "core/digest.h"
#include "schemas/log.h"
#include "schemas/trip.h"
#include "tests/sim/world.h"

typedef struct place {
    bt_id hold;
    int64_t expires_at;
} place;

typedef struct snapshot {
    place seats[STREAMS][SEATS + 1];
} snapshot;

/* The log as it was read: states[n] is after n valid records. */
typedef struct sim_reading {
    bt_arena arena;
    int64_t valid_count;
    const sim_packet *valid[LOG_MAX];
    int64_t offset[LOG_MAX];
    snapshot *states; /* valid_count + 1 */
} sim_reading;

static bool is_zero(bt_id id) { return bt_id_is_zero(id); }

/* Folds one valid event by hand; says what is wrong with it. */
static const char *fold(snapshot *state, const sim_packet *packet, bt_event event)
{
    int32_t stream = bt_str_is(packet->key, "a") ? 0 : 1;
    int64_t time = bt_event_meta(event)->time;
    for (int32_t i = 0; i <= SEATS; i++) {
        const place *seat = &state->seats[stream][i];
        if (!is_zero(seat->hold) && seat->expires_at <= time && event.type != &trip_hold_expired_message)
            return "a command was decided before a hold that was due";
    }
    if (event.type == &trip_seats_held_message) {
        const struct trip_seats_held *held = event.data;
        place *seat = &state->seats[stream][held->places[0].seat];
        if (!is_zero(seat->hold))
            return "a seat was sold twice";
        *seat = (place){ held->hold, held->expires_at };
        return NULL;
    }
    bool expired = event.type == &trip_hold_expired_message;
    const struct trip_hold_released *freed = event.data; /* HoldExpired has the same fields */
    place *seat = &state->seats[stream][freed->places[0].seat];
    if (!bt_id_equal(seat->hold, freed->hold))
        return "a seat was freed that was not held so";
    if (expired && seat->expires_at > time)
        return "a hold expired too early";
    *seat = (place){ .expires_at = 0 };
    return NULL;
}

static void read_log(sim_world *world, sim_reading *to)
{
    bt_forward forward = { 0 };
    for (int64_t i = 0; i < world->log_count; i++) {
        const sim_packet *packet = world->log[i];
        bt_record record = { .offset = i, .key = packet->key, .value = packet->value };
        if (bt_forward_step(&forward, &record, NULL) != BT_FORWARD_VALID)
            continue;
        to->valid[to->valid_count] = packet;
        to->offset[to->valid_count] = i;
        to->valid_count++;
    }
    to->states = bt_arena_take(&to->arena, (size_t)(to->valid_count + 1) * sizeof *to->states);
    for (int64_t n = 0; n < to->valid_count; n++) {
        to->states[n + 1] = to->states[n];
        bt_event event;
        bt_err err;
        if (!bt_event_decode(to->valid[n]->value, &to->arena, &event, &err)) {
            world_violates(world, "a valid record does not decode: %s", err.message);
            return;
        }
        const char *wrong = strcmp(event.type->kind, "log") == 0 ? NULL : fold(&to->states[n + 1], to->valid[n], event);
        if (wrong != NULL)
            world_violates(world, "%s, at offset %lld", wrong, (long long)to->offset[n]);
    }
}

/* How many records were valid when the key's record had become so; 0: it is not in the log. */
static int64_t position_of(const sim_reading *log, bt_id key)
{
    for (int64_t n = 0; n < log->valid_count; n++) {
        if (bt_id_equal(log->valid[n]->command, key))
            return n + 1;
    }
    return 0;
}

static void check_keys(sim_world *world, const sim_reading *log)
{
    for (int64_t n = 0; n < log->valid_count; n++) {
        for (int64_t m = n + 1; m < log->valid_count && m - n < world->config.keys_max; m++) {
            if (!is_zero(log->valid[n]->command) && bt_id_equal(log->valid[n]->command, log->valid[m]->command))
                world_violates(world, "one key was applied twice, at offsets %lld and %lld", (long long)log->offset[n],
                    (long long)log->offset[m]);
        }
    }
}

/* What was acknowledged before a loss was accepted may be what was lost. */
static void check_answers(sim_world *world, const sim_reading *log)
{
    for (size_t i = 0; i < world->call_count; i++) {
        const sim_call *call = &world->calls[i];
        if (call->invoked < world->accepted)
            continue;
        if ((call->outcome == OUTCOME_OK || call->outcome == OUTCOME_REUSED) && position_of(log, call->command.key_digest) == 0)
            world_violates(world, "%s was acknowledged, and is void", call->key);
        for (size_t p = 0; call->check_void && p < call->attempts_then; p++) {
            bool of_call = bt_id_equal(world->packets[p]->command, call->command.key_digest);
            for (int64_t n = 0; of_call && n < log->valid_count; n++) {
                if (bt_id_equal(log->valid[n]->id, world->packets[p]->id))
                    world_violates(world, "%s was told 'not applied', and became valid", call->key);
            }
        }
    }
}

/* For each call: where its key stands, when the key was first sent, and when it was first acknowledged. */
typedef struct sim_facts {
    int64_t position[CALLS_MAX];
    uint64_t first_sent[CALLS_MAX], first_ok[CALLS_MAX];
} sim_facts;

static void gather(const sim_world *world, const sim_reading *log, sim_facts *to)
{
    for (size_t i = 0; i < world->call_count; i++) {
        to->position[i] = position_of(log, world->calls[i].command.key_digest);
        to->first_sent[i] = to->first_ok[i] = UINT64_MAX;
        for (size_t j = 0; j < world->call_count; j++) {
            const sim_call *other = &world->calls[j];
            if (!bt_id_equal(other->command.key_digest, world->calls[i].command.key_digest))
                continue;
            to->first_sent[i] = other->invoked < to->first_sent[i] ? other->invoked : to->first_sent[i];
            if (other->outcome == OUTCOME_OK && other->responded < to->first_ok[i])
                to->first_ok[i] = other->responded;
        }
    }
}

static bool explains(const snapshot *state, const sim_call *call)
{
    bool is_free = is_zero(state->seats[call->stream][call->order.seat].hold);
    return call->order.op == TOY_HOLD ? !is_free : is_free;
}

static void check_refusal(sim_world *world, const sim_reading *log, const sim_facts *facts, size_t which, int64_t chosen[CALLS_MAX])
{
    const sim_call *refused = &world->calls[which];
    int64_t low = 0, high = log->valid_count;
    for (size_t i = 0; i < world->call_count; i++) {
        if (facts->position[i] > 0 && facts->first_ok[i] < refused->invoked && facts->position[i] > low)
            low = facts->position[i];
        if (chosen[i] >= 0 && world->calls[i].responded < refused->invoked && chosen[i] > low)
            low = chosen[i];
        if (facts->position[i] > 0 && facts->first_sent[i] > refused->responded && facts->position[i] - 1 < high)
            high = facts->position[i] - 1;
    }
    for (int64_t at = low; at <= high; at++) {
        if (explains(&log->states[at], refused) && (facts->position[which] == 0 || facts->position[which] > at)) {
            chosen[which] = at;
            return;
        }
    }
    world_violates(world, "the refusal of %s (answered at event %llu) is not linearizable: no state in %lld..%lld explains it",
        refused->key,
        (unsigned long long)refused->responded, (long long)low, (long long)high);
}

static void check_order(sim_world *world, const sim_reading *log)
{
    sim_facts facts;
    int64_t chosen[CALLS_MAX];
    bool done[CALLS_MAX] = { false };
    gather(world, log, &facts);
    for (size_t i = 0; i < world->call_count; i++) {
        chosen[i] = -1;
        for (size_t j = 0; j < world->call_count; j++) {
            if (facts.position[i] > 0 && facts.first_ok[i] < facts.first_sent[j] && facts.position[j] > 0 &&
                facts.position[j] < facts.position[i])
                world_violates(world, "%s was acknowledged before %s was sent, but stands behind it", world->calls[i].key,
                    world->calls[j].key);
        }
    }
    for (;;) {
        size_t next = CALLS_MAX;
        for (size_t i = 0; i < world->call_count; i++) {
            if (!done[i] && world->calls[i].outcome == OUTCOME_NO && (next == CALLS_MAX ||
                world->calls[i].responded < world->calls[next].responded))
                next = i;
        }
        if (next == CALLS_MAX)
            return;
        done[next] = true;
        check_refusal(world, log, &facts, next, chosen);
    }
}

/* The same digest by other means: fold from the start into bare states. */
static bt_id digest_of_log(const sim_reading *log)
{
    void *states[STREAMS] = { NULL };
    bt_arena arena;
    bt_arena_init(&arena, 0);
    for (int64_t n = 0; n < log->valid_count; n++) {
        bt_event event;
        bt_arena_reset(&arena);
        if (!bt_event_decode(log->valid[n]->value, &arena, &event, NULL) || strcmp(event.type->kind, "trip") != 0)
            continue;
        void **state = &states[bt_str_is(log->valid[n]->key, "a") ? 0 : 1];
        *state = *state == NULL ? toy_decider.state_new(NULL) : *state;
        if (!toy_decider.evolve(*state, event, NULL, NULL))
            break;
    }
    bt_digest digest;
    bt_digest_init(&digest);
    for (int32_t i = 0; i < STREAMS; i++) {
        if (states[i] == NULL)
            continue;
        bt_digest_feed(&digest, i == 0 ? "\0\0\0\1a" : "\0\0\0\1b", 5);
        toy_decider.digest(states[i], &digest);
        toy_decider.state_free(states[i], NULL);
    }
    bt_arena_release(&arena);
    return bt_digest_finish(&digest);
}

static void check_states(sim_world *world, const sim_reading *log)
{
    bt_id expected = digest_of_log(log);
    for (int32_t i = 0; i < world->node_count; i++) {
        bt_owner_stats stats;
        bt_owner_stats_of(world->nodes[i].owner, &stats);
        if (world->nodes[i].read_only || !bt_owner_has_state(world->nodes[i].owner) || stats.proved.next_offset != world->log_count || stats.in_flight_count > 0)
            continue;
        if (!bt_id_equal(bt_owner_digest(world->nodes[i].owner), expected))
            world_violates(world, "n%d's state is not what the log says", i);
    }
}

/* A late copy of the lost head may have landed in its very place: from there, nothing shows. */
static bool head_is_back(const sim_world *world, const sim_node *node)
{
    return node->head_offset_at_loss >= 0 && node->head_offset_at_loss < world->log_count &&
        bt_id_equal(world->log[node->head_offset_at_loss]->id, node->head_at_loss);
}

/* After a false report or a lost suffix promises are broken: all that is asked is that whoever can know it, says so. */
static void check_noticed(sim_world *world, const sim_reading *log)
{
    for (int32_t i = 0; i < world->node_count; i++) {
        bt_owner_phase phase = bt_owner_phase_of(world->nodes[i].owner);
        if (world->lost && world->nodes[i].knew_the_lost && !head_is_back(world, &world->nodes[i]) &&
            phase == BT_OWNER_OWNING)
            world_violates(world, "n%d had proved records that were lost, and goes on as %s", i, bt_owner_phase_name(phase));
    }
    for (size_t c = 0; world->lied && c < world->call_count; c++) {
        const sim_call *call = &world->calls[c];
        const sim_node *node = &world->nodes[call->node];
        /* Revoked before it had read as far, it cannot know. */
        bool follows = node->knew_the_lie && bt_owner_phase_of(node->owner) != BT_OWNER_IDLE;
        if (call->outcome == OUTCOME_OK && position_of(log, call->command.key_digest) == 0 && follows && !node->read_only)
            world_violates(world, "%s was acknowledged on a false report, and n%d never noticed", call->key, call->node);
    }
}

void world_check(sim_world *world)
{
    static sim_reading log;
    bt_arena_init(&log.arena, 0);
    log.valid_count = 0;
    read_log(world, &log);
    if (world->accepted != 0) {
        check_keys(world, &log);
        check_answers(world, &log);
        check_states(world, &log);
    } else if (world->lost || world->lied) {
        check_noticed(world, &log);
    } else {
        check_keys(world, &log);
        check_answers(world, &log);
        if (world->config.keys_max >= CALLS_MAX)
            check_order(world, &log);
        check_states(world, &log);
    }
    world->counts.voids += (uint64_t)(world->log_count - log.valid_count);
    bt_arena_release(&log.arena);
}
