/* world - one step at a time: a call, a packet, a cut, a crash, a jump of a clock, or time passing. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>

uint64_t world_random(sim_world *world)
{
    world->random += 0x9e3779b97f4a7c15ULL;
    return bt_mix64(world->random);
}

void world_violates(sim_world *world, const char *format, ...)
{
    if (world->violation[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->violation, sizeof world->violation, format, arguments);
    va_end(arguments);
    world_note(world, "VIOLATION %s", world->violation);
}

#define SILENCE_US 5000

static sim_node *some_node(sim_world *world) { return &world->nodes[up_to(world, world->node_count - 1)]; }

void world_begin(sim_world *world, uint64_t seed, bool verbose)
{
    *world = (struct sim_world){ .seed = seed, .random = bt_mix64(seed + 1), .verbose = verbose, .now_us = INT64_C(1700000000000000) };
    bt_arena_init(&world->arena, 0);
    world->node_count = one_in(world, 4) ? 3 : 2;
    world->may_lie = seed % 16 == 5;
    world->may_lose = seed % 16 == 11;
    world->operator_does = seed / 16 % 4 == 0 ? OPERATOR_NOTHING : seed / 16 % 4 == 1 ? OPERATOR_GIVES_UP_LESS : OPERATOR_ACCEPTS;
    world->mild = one_in(world, 2);
    bool small_horizon = one_in(world, 8);
    world->config = (bt_owner_config){ .decider = &toy_decider, .topic = BT_STR("seats"), .address = BT_STR("-"),
        .registry = BT_STR("berth"), .partition_count = 1,
        .waiting_max = 40, .batch_max = (int32_t)(1 + up_to(world, 6)), .batches_in_flight_max = (int32_t)(1 + up_to(world, 3)),
        .crowd_min = 2, .gather_us = one_in(world, 2) ? 500 : 0,
        .redecide_max = one_in(world, 2) ? 1 : 5, .fetches_max = 2, .give_way_us = 2000, .probe_after_us = SILENCE_US, .append_timeout_us = 60000, .command_timeout_us = one_in(world,
        2) ? 50000 : 60000000,
        .keys_max = small_horizon ? 6 : 1000 };
    for (int32_t i = 0; i < world->node_count; i++) {
        sim_node *node = &world->nodes[i];
        node->world = world;
        node->index = i;
        node->cut_off_at = -1;
        node_start(world, node);
        if (i > 0 && one_in(world, 2))
            bt_owner_on_follow(node->owner, !one_in(world, 3), node_now(node));
        else
            bt_owner_on_assigned(node->owner, node_now(node));
    }
}

void world_end(sim_world *world)
{
    for (int32_t i = 0; i < world->node_count; i++) {
        node_stop(&world->nodes[i]);
        bt_buf_release(&world->nodes[i].snapshots[0]);
        bt_buf_release(&world->nodes[i].snapshots[1]);
    }
    bt_arena_release(&world->arena);
}

/* ---- clients ---- */

static sim_node *owning_node(sim_world *world)
{
    for (int32_t i = 0; i < world->node_count; i++) {
        if (bt_owner_phase_of(world->nodes[i].owner) == BT_OWNER_OWNING)
            return &world->nodes[i];
    }
    return NULL;
}

static void give_keys(sim_call *made)
{
    bt_str key = bt_str_of(made->key);
    char body[64];
    snprintf(body, sizeof body, "%d %d %lld", (int)made->order.op, made->order.seat, (long long)made->order.ttl_us);
    bt_str body_text = bt_str_of(body);
    made->command = (bt_command){ .data = &made->order, .stream = made->stream == 0 ? BT_STR("a") : BT_STR("b"),
        .key_digest = bt_digest_parts(&key, 1),
        .body_digest = bt_digest_parts(&body_text, 1), .actor = BT_STR("desk") };
}

static void send_call(sim_world *world, sim_call *made, sim_node *to)
{
    made->invoked = ++world->events;
    made->node = to->index;
    world_note(world, "%s to n%d: op %d " BT_STR_FMT " seat %d ttl %lld", made->key, to->index, made->order.op,
        BT_STR_ARG(made->command.stream), made->order.seat,
        (long long)made->order.ttl_us);
    bt_owner_on_command(to->owner, &made->command, made, node_now(to));
}

static void client_calls(sim_world *world, sim_node *to)
{
    if (world->call_count >= CALLS_MAX - 5)
        return;
    sim_call *made = &world->calls[world->call_count];
    if (world->call_count > 0 && percent(world, 35)) {
        const sim_call *earlier = &world->calls[up_to(world, (int64_t)world->call_count - 1)];
        *made = (sim_call){ .order = earlier->order, .stream = earlier->stream };
        memcpy(made->key, earlier->key, sizeof made->key);
        if (percent(world, 5))
            made->order.seat = (made->order.seat + 1) % SEATS; /* a client's bug: the key with another body */
    } else {
        uint64_t kind = world_random(world) % 10;
        *made = (sim_call){ .stream = (int32_t)up_to(world, STREAMS - 1) };
        made->order = (toy_command){ .op = kind < 5 ? TOY_HOLD : kind < 9 ? TOY_RELEASE : TOY_ENSURE_FREE, .seat = (int32_t)up_to(world,
            SEATS - 1) };
        if (made->order.op == TOY_HOLD && percent(world, 25))
            made->order.ttl_us = 1000 + up_to(world, 60000);
        snprintf(made->key, sizeof made->key, "k%zu", world->call_count);
    }
    world->call_count++;
    give_keys(made);
    send_call(world, made, to);
}

/* ---- the network and the log ---- */

static void queue_report(sim_world *world, sim_node *to, const sent *append, bt_append_result result, int64_t offset)
{
    if (append->incarnation != to->incarnation || to->report_count == REPORTS_MAX)
        return;
    sent *report = &to->reports[to->report_count++];
    *report = *append;
    report->result = result;
    report->offset = offset;
    (void)world;
}

static int64_t reported_offset(sim_world *world, int64_t offset)
{
    if (world->quiet || percent(world, 95))
        return offset;
    return one_in(world, 2) ? -1 : up_to(world, 1); /* a doubled sequence: success, with an offset counted up from -1 */
}

static void land(sim_world *world, const sent *append)
{
    if (world->log_count == LOG_MAX)
        return;
    world->log[world->log_count++] = append->packet;
    world->log_most = world->log_count > world->log_most ? world->log_count : world->log_most;
    world_note(world, "log %lld = %02x%02x", (long long)world->log_count - 1, append->packet->id.at[0], append->packet->id.at[1]);
    if (world->quiet || percent(world, 90))
        queue_report(world, &world->nodes[append->node], append, BT_APPEND_DONE, reported_offset(world, world->log_count - 1));
}

static void take_from_net(sim_world *world, size_t index)
{
    memmove(&world->net[index], &world->net[index + 1], (--world->net_count - index) * sizeof(sent));
}

static void network_moves(sim_world *world)
{
    if (world->net_count == 0)
        return;
    size_t index = percent(world, 15) ? (size_t)up_to(world, (int64_t)world->net_count - 1) : 0;
    sent append = world->net[index];
    sim_node *from = &world->nodes[append.node];
    uint64_t dice = world_random(world) % 100;
    if (world->mild && (dice < 6 || dice >= 92) && !one_in(world, 12))
        dice = 50;
    if (dice < 5) { /* lost; now and then the producer says so */
        take_from_net(world, index);
        if (one_in(world, 2))
            queue_report(world, from, &append, BT_APPEND_UNKNOWN, -1);
    } else if (dice < 6) {
        take_from_net(world, index);
        world->counts.rejected++;
        queue_report(world, from, &append, BT_APPEND_REJECTED, -1);
    } else if (from->cut_off_at >= 0) {
        if (dice < 30) /* into the cut-off leader's own log, never replicated */
            take_from_net(world, index);
    } else {
        if (dice < 92)
            take_from_net(world, index);
        land(world, &append);
        if (dice > 97) /* an error is reported, though it landed */
            queue_report(world, from, &append, BT_APPEND_UNKNOWN, -1);
    }
}

static void cut(sim_world *world, int64_t to)
{
    world_note(world, "log cut from %lld to %lld", (long long)world->log_count, (long long)to);
    world->log_count = to;
    world->counts.truncations++;
    for (int32_t i = 0; i < world->node_count; i++) {
        sim_node *node = &world->nodes[i];
        size_t kept = 0;
        for (size_t r = 0; r < node->report_count; r++) {
            if (node->reports[r].result != BT_APPEND_DONE || node->reports[r].offset < to)
                node->reports[kept++] = node->reports[r];
        }
        node->report_count = kept;
    }
}

static void note_what_it_knew(const sim_world *world, sim_node *node, int64_t height_left)
{
    bt_owner_stats stats;
    bt_owner_stats_of(node->owner, &stats);
    node->knew_the_lost = stats.proved.height > height_left;
    node->head_at_loss = stats.proved.head;
    node->head_offset_at_loss = stats.proved.next_offset - 1;
    while (node->head_offset_at_loss > 0 && !bt_id_equal(world->log[node->head_offset_at_loss]->id, stats.proved.head))
        node->head_offset_at_loss--;
}

/* What Kafka must not do, and after power cuts or unclean elections does: acknowledged records are gone. */
static void lose_suffix(sim_world *world)
{
    if (!world->may_lose || world->lost || world->high_watermark < 12)
        return;
    int64_t to = world->high_watermark - 1 - up_to(world, 5);
    bt_forward forward = { 0 };
    for (int64_t i = 0; i < to; i++)
        bt_forward_step(&forward, &(bt_record){ .offset = i, .key = world->log[i]->key, .value = world->log[i]->value }, NULL);
    if (forward.height == 0) /* the whole log, its opening too: berth log accept-loss refuses, for there is nothing to go on from */
        return;
    world->lost = true;
    world->lost_at = to;
    world->counts.losses++;
    for (int32_t i = 0; i < world->node_count; i++) {
        note_what_it_knew(world, &world->nodes[i], forward.height);
    }
    world->high_watermark = to;
    cut(world, to);
    world->now_us += SILENCE_US; /* brokers that lose records are down for a while, or an election takes its time */
}

static void leader_changes(sim_world *world)
{
    if (world->high_watermark < world->log_count)
        cut(world, world->high_watermark + up_to(world, world->log_count - world->high_watermark - 1));
    else if (percent(world, 10))
        lose_suffix(world);
}

static void toggle_cut_off(sim_world *world, sim_node *node)
{
    if (node->cut_off_at >= 0) {
        node->cut_off_at = -1;
        return;
    }
    for (int32_t i = 0; i < world->node_count; i++) {
        if (world->nodes[i].cut_off_at >= 0)
            return;
    }
    node->cut_off_at = world->high_watermark;
}

static void outsider_writes(sim_world *world)
{
    static const uint8_t garbage[40] = { 0, 0, 0, 0, 1, 7 };
    if (world->log_count == LOG_MAX)
        return;
    sim_packet *made = bt_arena_take(&world->arena, sizeof *made);
    *made = (sim_packet){ .key = { one_in(world, 2) ? "a" : NULL, 1 }, .value = { garbage, (size_t)up_to(world, 40) }, .node = -1 };
    world->log[world->log_count++] = made;
    world->log_most = world->log_count > world->log_most ? world->log_count : world->log_most;
}

/* ---- what happens to a node ---- */

static void lie(sim_world *world, sim_node *node)
{
    bt_owner_stats stats;
    bt_owner_stats_of(node->owner, &stats);
    bool owning = bt_owner_phase_of(node->owner) == BT_OWNER_OWNING;
    for (size_t i = 0; world->may_lie && !world->lied && owning && i < world->net_count; i++) {
        sent it = world->net[i];
        if (it.node != node->index || it.incarnation != node->incarnation || stats.in_flight_count == 0)
            continue;
        world->lied = node->knew_the_lie = true;
        world->counts.lies++;
        take_from_net(world, i); /* it never lands, and is reported where it would have */
        world_note(world, "a false report for n%d", node->index);
        bt_owner_on_report(node->owner, it.generation, it.attempt, BT_APPEND_DONE, stats.proved.next_offset, node_now(node));
        return;
    }
}

static void report_one(sim_world *world, sim_node *node)
{
    if (node->report_count == 0)
        return;
    size_t index = percent(world, 10) ? (size_t)up_to(world, (int64_t)node->report_count - 1) : 0;
    bool committed = node->reports[index].result != BT_APPEND_DONE || node->reports[index].offset < world->high_watermark;
    if (committed && (node->cut_off_at < 0 || node->reports[index].result != BT_APPEND_DONE))
        node_report(node, index);
}

void world_restart(sim_world *world, sim_node *node)
{
    world_note(world, "n%d crashes", node->index);
    node_stop(node);
    node->knew_the_lost = node->knew_the_lie = false;
    node_start(world, node);
    if (one_in(world, 3))
        bt_owner_on_follow(node->owner, true, node_now(node));
    else
        bt_owner_on_assigned(node->owner, node_now(node));
}

/* An owner that let its state go is replaced, as the server does it. */
static void assign(sim_world *world, sim_node *node)
{
    bool warm = bt_owner_phase_of(node->owner) == BT_OWNER_FOLLOWING;
    if (bt_owner_has_state(node->owner)) {
        bt_owner_on_assigned(node->owner, node_now(node));
        world->counts.warm += warm;
        return;
    }
    node_stop(node);
    node->knew_the_lost = node->knew_the_lie = false;
    node_start(world, node);
    bt_owner_on_assigned(node->owner, node_now(node));
    world->counts.cold++;
}

static void revoke(sim_world *world, sim_node *node)
{
    if (one_in(world, 2))
        bt_owner_on_follow(node->owner, bt_owner_has_state(node->owner) && !one_in(world, 4), node_now(node));
    else
        bt_owner_on_revoked(node->owner, node_now(node));
}

static void assign_or_revoke(sim_world *world, sim_node *node)
{
    switch (bt_owner_phase_of(node->owner)) {
    case BT_OWNER_IDLE:
        if (one_in(world, 4))
            revoke(world, node);
        else
            assign(world, node);
        break;
    case BT_OWNER_YIELDED:
    case BT_OWNER_FOLLOWING: assign(world, node); break;
    case BT_OWNER_RESTORING:
    case BT_OWNER_TAKING_OVER:
    case BT_OWNER_OWNING:
    case BT_OWNER_RECOVERING:
        if (one_in(world, 4))
            revoke(world, node);
        break;
    case BT_OWNER_READ_ONLY: break;
    }
}

static void clock_jumps(sim_world *world, sim_node *node)
{
    node->clock_skew_us += one_in(world, 2) ? up_to(world, 100000) : -up_to(world, 100000);
    bt_owner_on_tick(node->owner, node_now(node));
}

static void time_passes(sim_world *world, sim_node *node)
{
    world->now_us += one_in(world, 20) ? up_to(world, 20000) : up_to(world, 1000);
    if (one_in(world, 2))
        bt_owner_on_tick(node->owner, node_now(node));
    bt_owner_on_batch_end(node->owner, node_now(node));
}

/* Of the dice of a step: cuts, lost producers, crashes, assignments, jumps of clocks. */
static bool is_a_fault(uint64_t dice) { return (dice >= 420 && dice < 445) || (dice >= 690 && dice < 703) || (dice >= 770 && dice < 778); }

void world_step(sim_world *world)
{
    world->events++;
    world->counts.steps++;
    world->now_us += up_to(world, 100);
    sim_node *node = some_node(world);
    uint64_t dice = world_random(world) % 1000;
    if (world->mild && is_a_fault(dice) && !one_in(world, 12))
        dice = 999; /* time passes */
    if (dice < 80)
        client_calls(world, percent(world, 70) && owning_node(world) != NULL ? owning_node(world) : node);
    else if (dice < 290)
        network_moves(world);
    else if (dice < 420)
        world->high_watermark += up_to(world, world->log_count - world->high_watermark);
    else if (dice < 430)
        leader_changes(world);
    else if (dice < 445)
        toggle_cut_off(world, node);
    else if (dice < 570)
        report_one(world, node);
    else if (dice < 690)
        node_read(node, 1 + up_to(world, 5));
    else if (dice < 700)
        bt_owner_on_producer_lost(node->owner, node_now(node));
    else if (dice < 703)
        world_restart(world, node);
    else if (dice < 710)
        node_save(node);
    else if (dice < 750)
        node_answer_end(node);
    else if (dice < 770)
        node_answer_fetch(node);
    else if (dice < 773)
        assign_or_revoke(world, node);
    else if (dice < 778)
        clock_jumps(world, node);
    else if (dice < 784)
        outsider_writes(world);
    else if (dice < 790)
        lie(world, node);
    else
        time_passes(world, node);
}

/* ---- calm ---- */

/* Everything that is under way arrives, in order; nobody is cut off. */
static void calm_round(sim_world *world)
{
    world->events++;
    world->now_us += 1000;
    while (world->net_count > 0) {
        sent append = world->net[0];
        take_from_net(world, 0);
        land(world, &append);
    }
    world->high_watermark = world->log_count;
    for (int32_t i = 0; i < world->node_count; i++) {
        sim_node *node = &world->nodes[i];
        node->cut_off_at = -1;
        while (node->report_count > 0)
            node_report(node, 0);
        while (node->read_at < node_limit(node) && bt_owner_phase_of(node->owner) != BT_OWNER_IDLE)
            node_read(node, 16);
        node_answer_end(node);
        node_answer_end(node);
        while (node->fetch_count > 0)
            node_answer_fetch(node);
        bt_owner_on_batch_end(node->owner, node_now(node)); /* sets the owner's clock, as any input does */
        if (bt_owner_next_tick_us(node->owner) <= node_now(node))
            bt_owner_on_tick(node->owner, node_now(node)); /* only when it asked for it, as a driver does */
    }
}

static bool all_read_only(const sim_world *world)
{
    for (int32_t i = 0; i < world->node_count; i++) {
        if (bt_owner_phase_of(world->nodes[i].owner) != BT_OWNER_READ_ONLY)
            return false;
    }
    return true;
}

static bool some_read_only(const sim_world *world)
{
    for (int32_t i = 0; i < world->node_count; i++) {
        if (bt_owner_phase_of(world->nodes[i].owner) == BT_OWNER_READ_ONLY)
            return true;
    }
    return false;
}

static bool all_answered(const sim_world *world)
{
    for (size_t i = 0; i < world->call_count; i++) {
        if (world->calls[i].outcome == OUTCOME_NONE)
            return false;
    }
    return true;
}

/* The group coordinator's part: somebody must own. */
static void assign_if_nobody_owns(sim_world *world)
{
    bool busy = false;
    for (int32_t i = 0; i < world->node_count; i++) {
        bt_owner_phase phase = bt_owner_phase_of(world->nodes[i].owner);
        busy = busy || phase == BT_OWNER_RESTORING || phase == BT_OWNER_TAKING_OVER || phase == BT_OWNER_OWNING ||
            phase == BT_OWNER_RECOVERING;
    }
    if (!busy)
        assign_or_revoke(world, some_node(world));
}

/* Until all is answered and somebody owns, or for 40 seconds: a lost suffix is believed after ten. Once its loss is accepted, nobody stays read-only. */
static void calm_down(sim_world *world)
{
    enum { ROUNDS_MAX = 40000 };
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool goes_on = world->accepted != 0 && some_read_only(world);
        bool due = world_operator_is_due(world) && some_read_only(world);
        if (!due && ((all_answered(world) && owning_node(world) != NULL && !goes_on) || (all_read_only(world) && world->accepted == 0)))
            return;
        world_operator_acts(world);
        calm_round(world);
        assign_if_nobody_owns(world);
    }
    world_violates(world, "faults stopped, and still %s", !all_answered(world) ? "a command waits" : owning_node(world) == NULL ? "nobody owns" : "a node is read-only");
}

/* Who had proved what was lost, and waits for the report of an append that went with it, looks when the append's time is over, and not before: nothing else tells it. */
static bool somebody_awaits_a_lost_report(const sim_world *world)
{
    for (int32_t i = 0; i < world->node_count; i++) {
        bt_owner_stats stats;
        bt_owner_stats_of(world->nodes[i].owner, &stats);
        if (world->lost && world->nodes[i].knew_the_lost && stats.in_flight_count > 0 && bt_owner_phase_of(world->nodes[i].owner) == BT_OWNER_OWNING)
            return true;
    }
    return false;
}

void world_calm(sim_world *world)
{
    world->quiet = true;
    calm_down(world);
    if (world->accepted != 0 && world->violation[0] == '\0') { /* and on, with faults again */
        enum { MORE_STEPS = 300 };
        world->quiet = false;
        for (int step = 0; step < MORE_STEPS && world->violation[0] == '\0'; step++)
            world_step(world);
        world->quiet = true;
        calm_down(world);
    }
    /* A last takeover may be under way: it gets five tries, with the same key. */
    enum { TRIES_MAX = 5, APPEND_ROUNDS_MAX = 20000 };
    sim_call *last = NULL;
    for (int try = 0; try < TRIES_MAX && owning_node(world) != NULL && (last == NULL || last->outcome != OUTCOME_OK); try++) {
        last = &world->calls[world->call_count++];
        *last = (sim_call){ .order = { .op = TOY_HOLD, .seat = SEATS }, .key = "last" };
        give_keys(last);
        send_call(world, last, owning_node(world));
        calm_down(world);
    }
    for (int round = 0; round < 20; round++) /* what is reported but not read back yet is compared */
        calm_round(world);
    for (int round = 0; round < APPEND_ROUNDS_MAX && somebody_awaits_a_lost_report(world); round++)
        calm_round(world);
    if (last != NULL && last->outcome != OUTCOME_OK && !all_read_only(world))
        world_violates(world, "faults stopped, and a new command is not accepted (outcome %d)", last->outcome);
}
