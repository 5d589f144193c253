/* wish - from what a client says (stops, class, seats or a count) to places that are free, or the reason why not. */
#include "commands/trip/deciding.h"
#include "core/memory.h"

static bool find_stop(const deciding *d, bt_str field, bt_str stop, unsigned *ret_point)
{
    int point = layout_point_by_stop(d->trip->layout, stop);
    if (point == LAYOUT_AMBIGUOUS)
        return trip_refuse(d, TRIP_UNKNOWN_STOP, field,
            "the trip calls at " BT_STR_FMT " more than once: say which, as " BT_STR_FMT "@index",
            BT_STR_ARG(stop), BT_STR_ARG(stop));
    if (point < 0)
        return trip_refuse(d, TRIP_UNKNOWN_STOP, field, "the trip does not call at " BT_STR_FMT, BT_STR_ARG(stop));
    *ret_point = (unsigned)point;
    return true;
}

bool find_stretch(const deciding *d, bt_str from, bt_str to, trip_stretch *ret_on)
{
    unsigned board, alight;
    if (!find_stop(d, BT_STR("/from"), from, &board) || !find_stop(d, BT_STR("/to"), to, &alight))
        return false;
    if (board >= alight)
        return trip_refuse(d, TRIP_STOPS_REVERSED, BT_STR("/to"), BT_STR_FMT " does not come after " BT_STR_FMT, BT_STR_ARG(to),
            BT_STR_ARG(from));
    if (!d->trip->layout->points[board].board)
        return trip_refuse(d, TRIP_NO_BOARDING, BT_STR("/from"), "nobody may board at " BT_STR_FMT, BT_STR_ARG(from));
    if (!d->trip->layout->points[alight].alight)
        return trip_refuse(d, TRIP_NO_BOARDING, BT_STR("/to"), "nobody may alight at " BT_STR_FMT, BT_STR_ARG(to));
    *ret_on = (trip_stretch){ (uint8_t)board, (uint8_t)alight };
    return true;
}

bool find_class(const deciding *d, bool wanted, bt_str class, int *ret_class)
{
    *ret_class = CLASS_ANY;
    if (!wanted)
        return true;
    *ret_class = layout_class_by_name(d->trip->layout, class);
    if (*ret_class < 0)
        return trip_refuse(d, TRIP_UNKNOWN_CLASS, BT_STR("/class"), "no section is of class " BT_STR_FMT, BT_STR_ARG(class));
    return true;
}

bool are_neighbours(const place_code *places, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        if (place_is_capacity(places[i]) || places[i] != places[i - 1] + 1)
            return false;
    return count == 1 || !place_is_capacity(places[0]);
}

static bool find_seat(const deciding *d, const trip_wish *wish, unsigned i, place_code *ret_place)
{
    const trip_layout *layout = d->trip->layout;
    const struct trip_seat_wish *seat = &wish->seats[i];
    int section = layout_section_by_name(layout, seat->section);
    if (section < 0)
        return trip_refuse(d, TRIP_UNKNOWN_SECTION, field_at(d, "/seats/%u/section", i), "there is no section " BT_STR_FMT,
            BT_STR_ARG(seat->section));
    int slot = layout_slot_by_label(layout, section, seat->seat);
    if (slot < 0)
        return trip_refuse(d, TRIP_UNKNOWN_SEAT, field_at(d, "/seats/%u/seat", i), "section " BT_STR_FMT " has no seat " BT_STR_FMT,
            BT_STR_ARG(seat->section), BT_STR_ARG(seat->seat));
    if (wish->class != CLASS_ANY && layout->sections[section].class_index != wish->class)
        return trip_refuse(d, TRIP_OTHER_CLASS, field_at(d, "/seats/%u", i),
            "seat " BT_STR_FMT " of " BT_STR_FMT " is of class " BT_STR_FMT,
            BT_STR_ARG(seat->seat), BT_STR_ARG(seat->section), BT_STR_ARG(layout->sections[section].class));
    if (layout->slots[slot].blocked)
        return trip_refuse(d, TRIP_SEAT_BLOCKED, field_at(d, "/seats/%u", i), "seat " BT_STR_FMT " of " BT_STR_FMT " is not for sale",
            BT_STR_ARG(seat->seat), BT_STR_ARG(seat->section));
    *ret_place = (place_code)slot;
    return true;
}

/* "taken":[{"section":..,"seat":..}],"free":3 */
static bt_str taken_members(const deciding *d, const trip_seats *seats, trip_stretch on, const trip_wish *wish, const place_code *places)
{
    bt_buf members;
    bt_buf_init(&members, 1 << 16); /* 64 seats of 100 bytes, each byte escaped to 6, fit */
    bt_json_open(&members, "taken", '[');
    for (unsigned i = 0; i < wish->count; i++) {
        if (seats_are_free(seats, places[i], on, 1))
            continue;
        bt_json_open(&members, NULL, '{');
        bt_json_str(&members, "section", wish->seats[i].section);
        bt_json_str(&members, "seat", wish->seats[i].seat);
        bt_json_close(&members, '}');
    }
    bt_json_close(&members, ']');
    bt_json_i64(&members, "free", (int64_t)seats_count_free(seats, on, wish->class));
    bt_str told = bt_arena_copy(d->arena, bt_buf_view(&members));
    bt_buf_release(&members);
    return told;
}

static void sort_seats(place_code *places, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        place_code place = places[i];
        unsigned to = i;
        for (; to > 0 && places[to - 1] > place; to--)
            places[to] = places[to - 1];
        places[to] = place;
    }
}

static bool find_named(const deciding *d, const trip_seats *seats, trip_stretch on, const trip_wish *wish, place_code *ret_places)
{
    for (unsigned i = 0; i < wish->count; i++)
        if (!find_seat(d, wish, i, &ret_places[i]))
            return false;
    for (unsigned i = 0; i < wish->count; i++) {
        if (seats_are_free(seats, ret_places[i], on, 1))
            continue;
        d->out->members = taken_members(d, seats, on, wish, ret_places);
        return trip_refuse(d, TRIP_SEAT_TAKEN, field_at(d, "/seats/%u", i),
            "seat " BT_STR_FMT " of " BT_STR_FMT " is taken on this stretch",
            BT_STR_ARG(wish->seats[i].seat), BT_STR_ARG(wish->seats[i].section));
    }
    sort_seats(ret_places, wish->count);
    if (wish->together == TOGETHER_REQUIRED && !are_neighbours(ret_places, wish->count))
        return trip_refuse(d, TRIP_SEATS_APART, BT_STR("/adjacent"), "the named seats do not lie next to each other in the list");
    return true;
}

bool find_places(const deciding *d, const trip_seats *seats, trip_stretch on, const trip_wish *wish, place_code *ret_places)
{
    if (wish->seats != NULL)
        return find_named(d, seats, on, wish, ret_places);
    trip_fit fit = seats_choose(seats, on, wish->class, wish->count, wish->together, ret_places);
    if (fit == CHOSEN)
        return true;
    unsigned long long free = seats_count_free(seats, on, wish->class);
    d->out->members = bt_arena_printf(d->arena, "\"free\":%llu", free);
    if (fit == CHOSEN_SOLD_OUT)
        return trip_refuse(d, TRIP_SOLD_OUT, BT_STR(""), "%llu free on this stretch, %u asked for", free, wish->count);
    return trip_refuse(d, TRIP_NOT_ADJACENT, BT_STR(""), "%llu free on this stretch, but at most %u next to each other", free,
        seats_longest_run(seats, on, wish->class));
}
