/* operator - what a person does in the simulation after records were lost: once all who remember them have stopped, a LossAccepted is appended.
 *
 * In some runs nobody comes, in some the record gives up less than was lost, and must change nothing; in the others everybody must go on from what
 * the log holds, and all promises hold again for what is asked from then on. */
#include "schemas/log.h"
#include "tests/sim/world.h"

/* Does the node hold a head that the log has not in its place? heads[n]: the log's after n records. */
static bool holds_lost(const sim_world *world, const sim_node *node, const bt_id *heads)
{
    bt_owner_stats stats;
    bt_owner_stats_of(node->owner, &stats);
    return stats.proved.next_offset > world->log_count || !bt_id_equal(heads[stats.proved.next_offset], stats.proved.head);
}

/* All that still hold lost records have noticed, or do nothing: and somebody has. */
static bool is_noticed(const sim_world *world, const bt_id *heads)
{
    bool any = false;
    for (int32_t i = 0; i < world->node_count; i++) {
        bt_owner_phase phase = bt_owner_phase_of(world->nodes[i].owner);
        any = any || phase == BT_OWNER_READ_ONLY;
        if (phase != BT_OWNER_READ_ONLY && phase != BT_OWNER_IDLE && holds_lost(world, &world->nodes[i], heads))
            return false;
    }
    return any;
}

/* Who proved lost records, and only follows a log in which nothing happens any more, has nothing to notice it by; the others' alarms tell the operator, who restarts it. */
static void restart_unaware(sim_world *world, const bt_id *heads)
{
    enum { PATIENCE = 15000 };
    if (++world->operator_waited < PATIENCE)
        return;
    world->operator_waited = 0;
    for (int32_t i = 0; i < world->node_count; i++) {
        if (bt_owner_phase_of(world->nodes[i].owner) != BT_OWNER_READ_ONLY && holds_lost(world, &world->nodes[i], heads))
            world_restart(world, &world->nodes[i]);
    }
}

static void append(sim_world *world, const bt_forward *at, int64_t from, int64_t to)
{
    struct log_loss_accepted event = { .reason = BT_STR("the disks burnt"), .lost_from = from, .lost_to = to, .proved_offset = at->next_offset, .proved_height = at->height };
    event.meta = (bt_meta){ .parent = at->head, .version = 1, .time = world->now_us, .actor = BT_STR("operator") };
    for (size_t i = 0; i < world->packet_count; i++) { /* later than all that was lost */
        bt_meta meta;
        if (bt_meta_peek(world->packets[i]->value, &meta) && meta.time >= event.meta.time)
            event.meta.time = meta.time + 1;
    }
    bt_buf value;
    bt_buf_init(&value, 1 << 16);
    bt_assert(bt_event_encode((bt_event){ &log_loss_accepted_message, &event }, &value, NULL));
    sim_packet *made = bt_arena_take(&world->arena, sizeof *made);
    bt_str bytes = bt_arena_copy(&world->arena, bt_buf_view(&value));
    *made = (sim_packet){ .key = BT_STR(BT_LOG_KEY), .value = { (const uint8_t *)bytes.at, bytes.size }, .node = -1 };
    made->id = bt_record_id(made->key, made->value);
    bt_buf_release(&value);
    world->log[world->log_count++] = made;
    world_note(world, "the operator gives up %lld to %lld", (long long)from, (long long)to);
}

bool world_operator_is_due(const sim_world *world) { return world->lost && !world->operator_acted && world->operator_does != OPERATOR_NOTHING; }

void world_operator_acts(sim_world *world)
{
    static bt_id heads[LOG_MAX + 1];
    bt_forward at = { 0 };
    if (!world_operator_is_due(world) || world->log_count == LOG_MAX)
        return;
    for (int64_t i = 0; i < world->log_count; i++) {
        bt_forward_step(&at, &(bt_record){ .offset = i, .key = world->log[i]->key, .value = world->log[i]->value }, NULL);
        heads[i + 1] = at.head;
    }
    if (!is_noticed(world, heads)) {
        restart_unaware(world, heads);
        return;
    }
    world->operator_acted = true;
    if (world->operator_does == OPERATOR_GIVES_UP_LESS) {
        world->counts.short_acceptances++;
        append(world, &at, world->lost_at - 1, world->lost_at);
        return;
    }
    world->counts.acceptances++;
    world->accepted = ++world->events;
    append(world, &at, world->lost_at, world->log_most);
}
