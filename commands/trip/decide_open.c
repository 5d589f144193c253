/* decide_open - puts a trip on sale: gives points that are visited twice their own names, blocked seats their places. */
#include "commands/trip/deciding.h"
#include "core/memory.h"

static bool is_visited_twice(const struct trip_open_trip *open, uint32_t point)
{
    for (uint32_t i = 0; i < open->points_count; i++)
        if (i != point && bt_str_equal(open->points[i].stop, open->points[point].stop))
            return true;
    return false;
}

static bool name_points(const deciding *d, const struct trip_open_trip *open, struct trip_point *points)
{
    for (uint32_t i = 0; i < open->points_count; i++) {
        const struct trip_point_spec *spec = &open->points[i];
        points[i] = (struct trip_point){ .stop = spec->stop, .name = spec->name, .arrives_at = spec->arrives_at,
            .departs_at = spec->departs_at, .board = !spec->has_board || spec->board, .alight = !spec->has_alight || spec->alight };
        if (is_visited_twice(open, i))
            points[i].stop = bt_arena_printf(d->arena, BT_STR_FMT "@%u", BT_STR_ARG(spec->stop), (unsigned)i);
        for (uint32_t j = 0; j < i; j++)
            if (bt_str_equal(points[j].stop, points[i].stop) || points[i].stop.size > LAYOUT_TEXT_MAX)
                return trip_refuse(d, TRIP_BAD_POINTS, field_at(d, "/points/%u/stop", (unsigned)i), "stop " BT_STR_FMT " is there twice",
                    BT_STR_ARG(points[i].stop));
    }
    return true;
}

static struct trip_section section_told(const deciding *d, const struct trip_section_spec *spec)
{
    struct trip_section section = { .name = spec->name, .class = spec->class, .capacity = spec->has_capacity ? spec->capacity : 0 };
    if (!spec->has_seats)
        return section;
    section.seats = spec->seats;
    section.seats_count = spec->seats_count;
    if (!spec->has_blocked || spec->blocked_count == 0)
        return section;
    label_table table;
    uint32_t repeated;
    bool *is_blocked = bt_arena_take(d->arena, spec->seats_count);
    int32_t *blocked = bt_arena_take(d->arena, spec->seats_count * sizeof *blocked);
    bt_assert(label_table_fill(&table, spec->seats, spec->seats_count, d->arena, &repeated));
    for (uint32_t i = 0; i < spec->blocked_count; i++)
        is_blocked[label_table_find(&table, spec->blocked[i])] = true;
    for (uint32_t i = 0; i < spec->seats_count; i++)
        if (is_blocked[i])
            blocked[section.blocked_count++] = (int32_t)i;
    section.blocked = blocked;
    return section;
}

void decide_open(const deciding *d)
{
    const struct trip_open_trip *open = d->command->data;
    if (d->command->has_if_match && d->command->if_match != d->trip->version) {
        trip_refuse(d, TRIP_VERSION_DIFFERS, BT_STR(""), "the trip is at version %lld", (long long)d->trip->version);
        return;
    }
    if (d->trip->layout != NULL) {
        trip_refuse(d, TRIP_EXISTS, BT_STR("/trip"), "trip " BT_STR_FMT " is open already", BT_STR_ARG(d->command->stream));
        return;
    }
    if (open->points[0].departs_at <= d->now_us) {
        trip_refuse(d, TRIP_TIME_PAST, BT_STR("/points/0/departs_at"), "the first departure is not in the future");
        return;
    }
    struct trip_opened *opened = bt_arena_take(d->arena, sizeof *opened);
    struct trip_point *points = bt_arena_take(d->arena, open->points_count * sizeof *points);
    struct trip_section *sections = bt_arena_take(d->arena, open->sections_count * sizeof *sections);
    if (!name_points(d, open, points))
        return;
    for (uint32_t i = 0; i < open->sections_count; i++)
        sections[i] = section_told(d, &open->sections[i]);
    *opened = (struct trip_opened){ .name = open->name, .timezone = open->timezone, .points = points, .points_count = open->points_count,
        .sections = sections, .sections_count = open->sections_count };
    trip_accept(d, &trip_opened_message, opened);
}
