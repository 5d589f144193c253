/* ownership - who decides on a partition, and how that passes from one node to another. All of it is for speed: the log settles the rest.
 *
 * A partition passes by one thing only, the valid OwnerTookOver of another node. So a rebalance stops nobody: the group's revocation, which
 * with eager assignment hits every partition of every node, changes nothing here; the node that is assigned a partition takes it over; the
 * one that had it gives way when it reads the other's try, yields when the takeover is valid, and passes on what waits. What yields and is
 * not assigned is followed. What yields though the group gives it to this node (the other was a zombie, or the assignment came back) is
 * taken over again after a while, or at once when the other says that it is not the owner. */
#include "commands/server/slot.h"
#include "io/clock/clock.h"
#include "io/log/log.h"

#include <sys/random.h>

#define DISOWNED_AFTER_US INT64_C(100000) /* what yielded only just now is not taken back on hearsay */

void bt_ownership_begin(bt_node *node, int64_t now_us)
{
    for (int32_t p = 0; p < node->options.partition_count; p++) {
        bt_slot *slot = &node->slots[p];
        slot->assigned = node->options.own_all;
        if (node->options.own_all)
            bt_owner_on_assigned(slot->owner, now_us);
        else
            bt_owner_on_follow(slot->owner, node->options.standby, now_us);
    }
}

void bt_ownership_assigned(bt_node *node, int32_t partition, int64_t now_us)
{
    if (partition >= node->options.partition_count || node->options.own_all)
        return;
    bt_slot *slot = &node->slots[partition];
    slot->assigned = node->recount = true;
    if (bt_owner_has_state(slot->owner))
        bt_owner_on_assigned(slot->owner, now_us);
    else
        bt_slot_renew(slot); /* bt_ownership_look goes on when that is done */
}

void bt_ownership_revoked(bt_node *node, int32_t partition, int64_t now_us)
{
    (void)now_us; /* bt_ownership_look does what there is to do */
    if (partition >= node->options.partition_count || node->options.own_all)
        return;
    node->slots[partition].assigned = false;
    node->recount = true;
}

void bt_ownership_leave(bt_node *node, int64_t now_us)
{
    if (node->left)
        return;
    node->left = true;
    node->options.own_all = false;
    for (int32_t p = 0; p < node->options.partition_count; p++)
        bt_ownership_revoked(node, p, now_us);
    bt_group_leave(node->group);
}

/* An owner whose partition is not assigned: it goes on if it decides, and follows else. */
static void move_on(bt_slot *slot, int64_t now_us)
{
    switch (bt_owner_phase_of(slot->owner)) {
    case BT_OWNER_OWNING:
    case BT_OWNER_RECOVERING:
    case BT_OWNER_FOLLOWING:
    case BT_OWNER_READ_ONLY: return;
    case BT_OWNER_IDLE:
    case BT_OWNER_RESTORING:
    case BT_OWNER_TAKING_OVER:
    case BT_OWNER_YIELDED:
        bt_owner_on_follow(slot->owner, slot->node->options.standby && bt_owner_has_state(slot->owner), now_us);
        return;
    }
}

static int64_t by_chance(int64_t below_us)
{
    uint32_t chance = 0;
    bt_assert(getrandom(&chance, sizeof chance, 0) == (ssize_t)sizeof chance);
    return (int64_t)(chance % (uint32_t)below_us);
}

static void take_again(bt_slot *slot, int64_t now_us)
{
    int64_t mono_us = bt_clock_monotonic_us();
    bool disowned = atomic_load(&slot->disowned);
    if (slot->yielded_since_us == 0) {
        slot->yielded_since_us = mono_us;
        slot->take_again_us = mono_us + YIELD_FOR_US + by_chance(YIELD_FOR_US);
        atomic_store(&slot->disowned, false);
        bt_log_warn("owner.yielded", F_STR("topic", slot->node->topic), F_I64("partition", slot->partition));
    } else if (mono_us > slot->take_again_us || (disowned && mono_us - slot->yielded_since_us > DISOWNED_AFTER_US)) {
        slot->yielded_since_us = 0;
        atomic_store(&slot->disowned, false);
        bt_log_info("owner.takes_again", F_STR("topic", slot->node->topic), F_I64("partition", slot->partition), F_BOOL("disowned", disowned));
        bt_owner_on_assigned(slot->owner, now_us);
    }
}

/* Whoever restores what another still decides on sends commands there, but keeps those that were passed on to it. */
static bt_where where_of(bt_owner_phase phase, bool routed, bool routed_here, bool *ret_takes)
{
    *ret_takes = false;
    switch (phase) {
    case BT_OWNER_OWNING:
    case BT_OWNER_RECOVERING: *ret_takes = true; return BT_WHERE_HERE;
    case BT_OWNER_RESTORING:
    case BT_OWNER_TAKING_OVER: *ret_takes = true; return routed && !routed_here ? BT_WHERE_THERE : BT_WHERE_HERE;
    case BT_OWNER_IDLE:
    case BT_OWNER_FOLLOWING:
    case BT_OWNER_YIELDED: return routed && !routed_here ? BT_WHERE_THERE : BT_WHERE_UNKNOWN;
    case BT_OWNER_READ_ONLY: *ret_takes = true; return BT_WHERE_HERE; /* it says why nobody should */
    }
    return BT_WHERE_UNKNOWN;
}

static bool publish(bt_slot *slot)
{
    static const char *const names[] = { "unknown", "here", "there" };
    const bt_node_options *o = &slot->node->options;
    bt_str node, address;
    bool takes;
    bt_owner_routed_to(slot->owner, &node, &address);
    bool here = bt_str_is(node, o->node) && bt_str_is(address, o->address);
    bt_where where = where_of(bt_owner_phase_of(slot->owner), node.size > 0, here, &takes);
    if (!bt_directory_put(o->directory, slot->partition, where, takes, node, address))
        return false;
    bt_log_info("partition.routed", F_I64("partition", slot->partition), F_STR("to", bt_str_of(names[where])), F_STR("node", node),
        F_STR("phase", bt_str_of(bt_owner_phase_name(bt_owner_phase_of(slot->owner)))));
    return true;
}

void bt_ownership_look(bt_node *node, int64_t now_us)
{
    bool changed = false;
    for (int32_t p = 0; p < node->options.partition_count; p++) {
        bt_slot *slot = &node->slots[p];
        if (bt_slot_renewed(slot, now_us) && slot->assigned)
            bt_owner_on_assigned(slot->owner, now_us);
        if (!slot->assigned)
            move_on(slot, now_us);
        bt_owner_phase phase = bt_owner_phase_of(slot->owner);
        if (slot->assigned && phase == BT_OWNER_YIELDED)
            take_again(slot, now_us);
        else
            slot->yielded_since_us = 0;
        if (slot->assigned && phase == BT_OWNER_IDLE)
            bt_owner_on_assigned(slot->owner, now_us);
        changed |= publish(slot);
    }
    if (changed || node->recount)
        bt_ownership_count(node);
    if (changed)
        node->options.routes_changed(node->options.context);
}

void bt_ownership_count(bt_node *node)
{
    int owned = 0, assigned = 0, lacking = 0, read_only = 0, behind = 0;
    for (int32_t p = 0; p < node->options.partition_count; p++) {
        const bt_slot *slot = &node->slots[p];
        bt_owner_phase phase = bt_owner_phase_of(slot->owner);
        bt_owner_stats stats;
        bt_owner_stats_of(slot->owner, &stats);
        owned += phase == BT_OWNER_OWNING || phase == BT_OWNER_RECOVERING;
        assigned += slot->assigned;
        lacking += slot->assigned && phase != BT_OWNER_OWNING;
        read_only += phase == BT_OWNER_READ_ONLY;
        behind += !stats.caught_up && phase != BT_OWNER_READ_ONLY;
    }
    node->recount = false;
    node->caught_up = node->caught_up || behind == 0;
    atomic_store(&node->owned_count, owned);
    atomic_store(&node->assigned_count, assigned);
    atomic_store(&node->lacking_count, lacking);
    atomic_store(&node->read_only_count, read_only);
    atomic_store(&node->behind_count, node->caught_up ? 0 : behind);
}
