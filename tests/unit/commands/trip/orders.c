/* orders - see the header. */
#include "tests/unit/commands/trip/orders.h"

#define MINUTE_US (INT64_C(60) * 1000000)

uint64_t orders_random(orders *of, uint64_t below)
{
    of->random = bt_mix64(of->random + 0x9e3779b97f4a7c15ULL);
    return of->random % below;
}

void orders_saw_hold(orders *of, bt_id id)
{
    if (of->id_count < ORDERS_IDS_MAX)
        of->ids[of->id_count++] = id;
}

static bool one_in(orders *of, uint64_t n) { return orders_random(of, n) == 0; }

static bt_command command_for(orders *of, enum trip_command which, const void *data)
{
    bt_id key;
    uint64_t halves[2] = { orders_random(of, UINT64_MAX), orders_random(of, UINT64_MAX) };
    memcpy(key.at, halves, sizeof key.at);
    return (bt_command){ .type = trip_commands[which], .data = data, .stream = BT_STR("T"), .key_digest = key, .actor = BT_STR("random") };
}

static struct trip_section_spec random_section(orders *of, uint32_t index, orders_size size)
{
    static const char *const classes[] = { "second", "first", "bike" };
    bt_arena *arena = of->arena;
    struct trip_section_spec section = { .name = bt_arena_printf(arena, "s%u", index), .class = bt_str_of(classes[orders_random(of, 3)]) };
    if (one_in(of, 4)) {
        section.has_capacity = true;
        section.capacity = (int32_t)(1 + orders_random(of, size.capacity_max));
        return section;
    }
    uint32_t count = (uint32_t)(1 + orders_random(of, size.seats_max / size.sections_max));
    bt_str *seats = bt_arena_take(arena, 2 * count * sizeof *seats), *blocked = bt_arena_take(arena, count * sizeof *blocked);
    section.has_seats = true;
    section.seats = seats;
    section.blocked = blocked;
    for (uint32_t i = 0; i < count; i++) {
        bt_str label = bt_arena_printf(arena, "%u", i + 1);
        seats[section.seats_count++] = label;
        if (one_in(of, 12))
            blocked[section.blocked_count++] = label;
        if (one_in(of, 5))
            seats[section.seats_count++] = (bt_str){ 0 };
    }
    section.has_blocked = section.blocked_count > 0;
    return section;
}

bt_command orders_open(orders *of, orders_size size)
{
    struct trip_open_trip *open = bt_arena_take(of->arena, sizeof *open);
    *open = (struct trip_open_trip){ .name = BT_STR("random"), .timezone = BT_STR("UTC") };
    open->points_count = (uint32_t)(2 + orders_random(of, size.points_max - 1));
    open->sections_count = (uint32_t)(1 + orders_random(of, size.sections_max));
    struct trip_point_spec *points = bt_arena_take(of->arena, open->points_count * sizeof *points);
    struct trip_section_spec *sections = bt_arena_take(of->arena, open->sections_count * sizeof *sections);
    int64_t at_us = of->now_us + 150 * MINUTE_US;
    for (uint32_t i = 0; i < open->points_count; i++) {
        int64_t arrives_at = at_us, departs_at = at_us += (int64_t)orders_random(of, 3) * MINUTE_US;
        points[i] = (struct trip_point_spec){ .stop = bt_arena_printf(of->arena, "p%u", one_in(of, 12) && i > 0 ? i - 1 : i),
            .name = BT_STR("point"),
            .arrives_at = arrives_at, .departs_at = departs_at, .has_board = one_in(of, 15), .has_alight = one_in(of, 15) };
        at_us += (int64_t)orders_random(of, 40) * MINUTE_US;
    }
    for (uint32_t i = 0; i < open->sections_count; i++)
        sections[i] = random_section(of, i, size);
    open->points = points;
    open->sections = sections;
    return command_for(of, TRIP_COMMAND_OPEN_TRIP, open);
}

static bt_str random_stop(orders *of)
{
    if (one_in(of, 60))
        return BT_STR("nowhere");
    return of->opened->points[orders_random(of, of->opened->points_count)].stop;
}

static uint32_t point_index(const orders *of, bt_str stop)
{
    uint32_t at = 0;
    while (at < of->opened->points_count && !bt_str_equal(of->opened->points[at].stop, stop))
        at++;
    return at;
}

static bt_str random_class(orders *of)
{
    static const char *const classes[] = { "second", "first", "bike", "third" };
    return bt_str_of(classes[orders_random(of, 4)]);
}

static uint32_t random_seats(orders *of, uint32_t count, const struct trip_seat_wish **ret_wishes)
{
    struct trip_seat_wish *wishes = bt_arena_take(of->arena, (count + 1) * sizeof *wishes);
    /* Mostly neighbours, as people choose them. */
    const struct trip_section *section = &of->opened->sections[orders_random(of, of->opened->sections_count)];
    uint64_t first = section->seats_count == 0 ? 0 : orders_random(of, section->seats_count);
    if (count > section->seats_count && !one_in(of, 8))
        count = section->seats_count == 0 ? 1 : section->seats_count;
    for (uint32_t i = 0; i < count; i++) {
        bt_str label = section->seats_count == 0 ? BT_STR("1") : section->seats[(first + i) % section->seats_count];
        wishes[i] = (struct trip_seat_wish){ section->name, label.at == NULL ? BT_STR("1") : label };
        if (one_in(of, 80))
            wishes[i].section = BT_STR("nowhere");
        if (one_in(of, 80))
            wishes[i].seat = BT_STR("none");
    }
    *ret_wishes = wishes;
    return count;
}

static const void *random_hold(orders *of)
{
    struct trip_hold_seats *hold = bt_arena_take(of->arena, sizeof *hold);
    *hold = (struct trip_hold_seats){ .from = random_stop(of), .to = random_stop(of), .customer = BT_STR("c-1") };
    bt_str swapped = hold->from;
    /* Most of the reversed ones are put right. */
    if (!one_in(of, 8) && point_index(of, hold->from) > point_index(of, hold->to)) {
        hold->from = hold->to;
        hold->to = swapped;
    }
    if (bt_str_equal(hold->from, hold->to) && !one_in(of, 8)) {
        hold->from = of->opened->points[0].stop;
        hold->to = of->opened->points[of->opened->points_count - 1].stop;
    }
    hold->has_class = one_in(of, 3);
    hold->class = random_class(of);
    hold->has_adjacent = one_in(of, 2);
    hold->adjacent = one_in(of, 2);
    hold->has_seats = one_in(of, 3);
    hold->has_count = !hold->has_seats != one_in(of, 40);
    hold->count = (int32_t)(one_in(of, 40) ? orders_random(of, 20) : 1 + orders_random(of, 4));
    if (hold->has_seats)
        hold->seats_count = random_seats(of, (uint32_t)(1 + orders_random(of, 3)), &hold->seats);
    hold->has_ttl_seconds = one_in(of, 3);
    hold->ttl_seconds = (int32_t)orders_random(of, 3800);
    if (one_in(of, 60))
        hold->customer = BT_STR("not valid");
    return hold;
}

static const void *random_change(orders *of)
{
    struct trip_change_booking *change = bt_arena_take(of->arena, sizeof *change);
    *change = (struct trip_change_booking){ .has_from = one_in(of, 3), .from = random_stop(of), .has_to = one_in(of, 3),
        .to = random_stop(of),
        .has_class = one_in(of, 4), .class = random_class(of), .has_seats = one_in(of, 3), .has_adjacent = one_in(of, 3),
        .adjacent = one_in(of, 2) };
    if (change->has_seats)
        change->seats_count = random_seats(of, (uint32_t)(1 + orders_random(of, 3)), &change->seats);
    return change;
}

static bt_id random_target(orders *of)
{
    if (of->id_count == 0 || one_in(of, 50))
        return (bt_id){ { 1, 2, 3 } };
    uint64_t recent = of->id_count < 40 ? of->id_count : 40;
    bool any = one_in(of, 4);
    return of->ids[any ? orders_random(of, of->id_count) : of->id_count - 1 - orders_random(of, recent)];
}

static bt_command targeted(orders *of, enum trip_command which, const void *data)
{
    bt_command command = command_for(of, which, data);
    command.target = random_target(of);
    return command;
}

bt_command orders_next(orders *of, bool endless)
{
    void *nothing = bt_arena_take(of->arena, 256);
    of->now_us += (int64_t)orders_random(of, one_in(of, 40) ? 20 * MINUTE_US : MINUTE_US / 4);
    uint64_t kind = orders_random(of, 100);
    if (!endless && one_in(of, 500))
        kind = 100;
    if (kind < 45) {
        bt_command command = command_for(of, TRIP_COMMAND_HOLD_SEATS, random_hold(of));
        if (one_in(of, 30))
            command.key_digest = random_target(of);
        return command;
    }
    if (kind < 60)
        return targeted(of, TRIP_COMMAND_CONFIRM_HOLD, nothing);
    if (kind < 70)
        return targeted(of, TRIP_COMMAND_RELEASE_HOLD, nothing);
    if (kind < 75) {
        struct trip_extend_hold *extend = nothing;
        *extend = (struct trip_extend_hold){ .has_ttl_seconds = one_in(of, 2), .ttl_seconds = (int32_t)orders_random(of, 3700) };
        return targeted(of, TRIP_COMMAND_EXTEND_HOLD, extend);
    }
    if (kind < 88)
        return targeted(of, TRIP_COMMAND_CHANGE_BOOKING, random_change(of));
    if (kind < 100)
        return targeted(of, TRIP_COMMAND_CANCEL_BOOKING, nothing);
    if (!one_in(of, 4))
        return command_for(of, TRIP_COMMAND_CLOSE_SALE, nothing);
    ((struct trip_cancel_trip *)nothing)->reason = BT_STR("random");
    return command_for(of, TRIP_COMMAND_CANCEL_TRIP, nothing);
}
