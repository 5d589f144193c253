/* check - what can be said of a command without any trip: shapes, ranges, counts. Any thread may. */
#include "commands/trip/deciding.h"
#include "core/memory.h"

#define NAME_MAX_BYTES 200
#define DURATION_MAX_US (INT64_C(366) * 86400 * 1000000)

bool label_table_fill(label_table *table, const bt_str *labels, uint32_t count, bt_arena *arena, uint32_t *ret_repeated)
{
    uint32_t size = 16;
    while (size < 2 * count)
        size *= 2;
    *table = (label_table){ .labels = labels, .index = bt_arena_take(arena, size * sizeof(uint16_t)), .mask = size - 1 };
    for (uint32_t i = 0; i < count; i++) {
        if (labels[i].at == NULL)
            continue;
        uint32_t at = (uint32_t)bt_str_hash(labels[i]) & table->mask;
        for (; table->index[at] != 0; at = (at + 1) & table->mask) {
            *ret_repeated = i;
            if (bt_str_equal(labels[table->index[at] - 1], labels[i]))
                return false;
        }
        table->index[at] = (uint16_t)(i + 1);
    }
    return true;
}

int label_table_find(const label_table *table, bt_str label)
{
    for (uint32_t at = (uint32_t)bt_str_hash(label) & table->mask; table->index[at] != 0; at = (at + 1) & table->mask)
        if (bt_str_equal(table->labels[table->index[at] - 1], label))
            return table->index[at] - 1;
    return -1;
}

static bool is_text(bt_str text, size_t size_max) { return text.size > 0 && text.size <= size_max; }

/* Letters, digits and _ + - in parts between single slashes, beginning with a letter: the form, not the list of names. */
static bool is_timezone(bt_str name)
{
    if (!is_text(name, 64))
        return false;
    char before = '/';
    for (size_t i = 0; i < name.size; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-' || c == '/';
        if (!letter && (!other || before == '/'))
            return false;
        before = c;
    }
    return before != '/';
}

/* A name as ids have it, perhaps with "@index". */
static bool is_stop(bt_str stop)
{
    const char *at = stop.size == 0 ? NULL : memchr(stop.at, '@', stop.size);
    if (at == NULL)
        return bt_name_is_valid(stop);
    size_t name_size = (size_t)(at - stop.at), digits = stop.size - name_size - 1;
    for (size_t i = 1; i <= digits; i++)
        if (at[i] < '0' || at[i] > '9')
            return false;
    return bt_name_is_valid((bt_str){ stop.at, name_size }) && digits >= 1 && digits <= 4;
}

static bool check_point(const deciding *d, const struct trip_open_trip *open, uint32_t i)
{
    const struct trip_point_spec *point = &open->points[i];
    if (!is_stop(point->stop))
        return trip_refuse(d, TRIP_BAD_NAME, field_at(d, "/points/%u/stop", i),
            "the stop's id is 1 to 80 of A-Z a-z 0-9 . _ ~ -, perhaps with @index");
    if (point->name.size > NAME_MAX_BYTES)
        return trip_refuse(d, TRIP_BAD_NAME, field_at(d, "/points/%u/name", i), "over %d bytes", NAME_MAX_BYTES);
    if (point->arrives_at < 0 || point->arrives_at > TRIP_TIME_MAX_US - DURATION_MAX_US)
        return trip_refuse(d, TRIP_BAD_TIMES, field_at(d, "/points/%u/arrives_at", i), "not between 1970 and 9998");
    if (i > 0 && point->arrives_at < open->points[i - 1].departs_at)
        return trip_refuse(d, TRIP_BAD_TIMES, field_at(d, "/points/%u/arrives_at", i),
            "it arrives before it departed from the point before");
    if (point->departs_at < point->arrives_at)
        return trip_refuse(d, TRIP_BAD_TIMES, field_at(d, "/points/%u/departs_at", i), "it departs before it arrives");
    /* The check of each point keeps the difference of the times from overflowing. */
    if (point->departs_at - open->points[0].arrives_at > DURATION_MAX_US)
        return trip_refuse(d, TRIP_BAD_TIMES, field_at(d, "/points/%u/departs_at", i), "the trip would take over a year");
    return true;
}

static bool check_listed(const deciding *d, const struct trip_section_spec *section, uint32_t at, uint32_t *seat_count)
{
    uint32_t repeated, before = *seat_count;
    label_table table;
    for (uint32_t i = 0; i < section->seats_count; i++) {
        if (section->seats[i].at != NULL && !is_text(section->seats[i], TRIP_SECTION_SPEC_SEATS_ITEM_MAX))
            return trip_refuse(d, TRIP_BAD_SEATS, field_at(d, "/sections/%u/seats/%u", at, i), "a label has 1 to %d bytes",
                TRIP_SECTION_SPEC_SEATS_ITEM_MAX);
        *seat_count += section->seats[i].at != NULL;
    }
    if (*seat_count == before)
        return trip_refuse(d, TRIP_BAD_SEATS, field_at(d, "/sections/%u/seats", at), "the list has no seat");
    if (*seat_count > TRIP_SEATS_MAX)
        return trip_refuse(d, TRIP_BAD_SEATS, field_at(d, "/sections/%u/seats", at), "a trip has %d seats at most", TRIP_SEATS_MAX);
    if (!label_table_fill(&table, section->seats, section->seats_count, d->arena, &repeated))
        return trip_refuse(d, TRIP_BAD_SEATS, field_at(d, "/sections/%u/seats/%u", at, repeated), "seat " BT_STR_FMT " is there twice",
            BT_STR_ARG(section->seats[repeated]));
    for (uint32_t i = 0; section->has_blocked && i < section->blocked_count; i++)
        if (section->blocked[i].at == NULL || label_table_find(&table, section->blocked[i]) < 0)
            return trip_refuse(d, TRIP_BAD_SEATS, field_at(d, "/sections/%u/blocked/%u", at, i), "the section has no such seat");
    return true;
}

static bool check_section(const deciding *d, const struct trip_open_trip *open, uint32_t at, uint32_t *listed_count, uint32_t *seat_count)
{
    const struct trip_section_spec *section = &open->sections[at];
    if (!is_text(section->name, TRIP_SECTION_SPEC_NAME_MAX))
        return trip_refuse(d, TRIP_BAD_NAME, field_at(d, "/sections/%u/name", at), "a name has 1 to %d bytes", TRIP_SECTION_SPEC_NAME_MAX);
    if (!is_text(section->class, TRIP_SECTION_SPEC_CLASS_MAX))
        return trip_refuse(d, TRIP_BAD_NAME, field_at(d, "/sections/%u/class", at), "a class has 1 to %d bytes",
            TRIP_SECTION_SPEC_CLASS_MAX);
    for (uint32_t i = 0; i < at; i++)
        if (bt_str_equal(open->sections[i].name, section->name))
            return trip_refuse(d, TRIP_BAD_SECTIONS, field_at(d, "/sections/%u/name", at), "section " BT_STR_FMT " is there twice",
                BT_STR_ARG(section->name));
    if (section->has_seats == section->has_capacity)
        return trip_refuse(d, TRIP_BAD_SECTIONS, field_at(d, "/sections/%u", at), "a section has either seats or a capacity");
    if (section->has_capacity && section->has_blocked)
        return trip_refuse(d, TRIP_BAD_SECTIONS, field_at(d, "/sections/%u/blocked", at), "only numbered seats can be blocked");
    if (section->has_capacity && (section->capacity < 1 || section->capacity > TRIP_CAPACITY_MAX))
        return trip_refuse(d, TRIP_BAD_CAPACITY, field_at(d, "/sections/%u/capacity", at), "not between 1 and %d", TRIP_CAPACITY_MAX);
    if (section->has_capacity)
        return true;
    if (section->seats_count > TRIP_LISTED_MAX || (*listed_count += section->seats_count) > TRIP_LISTED_MAX)
        return trip_refuse(d, TRIP_BAD_SEATS, field_at(d, "/sections/%u/seats", at), "the lists have over %d seats and aisles",
            TRIP_LISTED_MAX);
    return check_listed(d, section, at, seat_count);
}

static bool check_open(const deciding *d, const struct trip_open_trip *open)
{
    if (open->has_trip && !bt_name_is_valid(open->trip))
        return trip_refuse(d, TRIP_BAD_NAME, BT_STR("/trip"), "an id is 1 to 80 of A-Z a-z 0-9 . _ ~ -");
    if (!is_text(open->name, NAME_MAX_BYTES))
        return trip_refuse(d, TRIP_BAD_NAME, BT_STR("/name"), "a name has 1 to %d bytes", NAME_MAX_BYTES);
    if (!is_timezone(open->timezone))
        return trip_refuse(d, TRIP_BAD_TIMEZONE, BT_STR("/timezone"), "not the form of an IANA time zone");
    if (open->points_count < 2 || open->points_count > TRIP_POINTS_MAX)
        return trip_refuse(d, TRIP_BAD_POINTS, BT_STR("/points"), "a trip has 2 to %d points", TRIP_POINTS_MAX);
    if (open->sections_count < 1 || open->sections_count > TRIP_SECTIONS_MAX)
        return trip_refuse(d, TRIP_BAD_SECTIONS, BT_STR("/sections"), "a trip has 1 to %d sections", TRIP_SECTIONS_MAX);
    for (uint32_t i = 0; i < open->points_count; i++)
        if (!check_point(d, open, i))
            return false;
    uint32_t listed_count = 0, seat_count = 0;
    for (uint32_t i = 0; i < open->sections_count; i++)
        if (!check_section(d, open, i, &listed_count, &seat_count))
            return false;
    return true;
}

static bool check_count(const deciding *d, bt_str field, int64_t count)
{
    if (count < 1 || count > d->settings->places_max)
        return trip_refuse(d, TRIP_BAD_COUNT, field, "%lld is not between 1 and %d", (long long)count, d->settings->places_max);
    return true;
}

static bool check_ttl(const deciding *d, bool given, int32_t ttl_s)
{
    if (given && (ttl_s < 1 || ttl_s > d->settings->ttl_max_s))
        return trip_refuse(d, TRIP_BAD_TTL, BT_STR("/ttl_seconds"), "%d is not between 1 and %d", ttl_s, d->settings->ttl_max_s);
    return true;
}

static bool check_seats(const deciding *d, const struct trip_seat_wish *seats, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (bt_str_equal(seats[i].seat, seats[j].seat) && bt_str_equal(seats[i].section, seats[j].section))
                return trip_refuse(d, TRIP_DUPLICATE_SEAT, field_at(d, "/seats/%u", i),
                    "seat " BT_STR_FMT " of " BT_STR_FMT " is named twice",
                    BT_STR_ARG(seats[i].seat), BT_STR_ARG(seats[i].section));
    return true;
}

static bool check_hold(const deciding *d, const struct trip_hold_seats *hold)
{
    if (hold->has_count && hold->has_seats)
        return trip_refuse(d, TRIP_COUNT_OR_SEATS, BT_STR("/seats"), "both count and seats are there");
    if (!hold->has_count && !hold->has_seats)
        return trip_refuse(d, TRIP_COUNT_OR_SEATS, BT_STR("/count"), "count and seats are missing");
    if (hold->has_count && !check_count(d, BT_STR("/count"), hold->count))
        return false;
    if (hold->has_seats && (!check_count(d, BT_STR("/seats"), hold->seats_count) || !check_seats(d, hold->seats, hold->seats_count)))
        return false;
    if (!bt_name_is_valid(hold->customer))
        return trip_refuse(d, TRIP_BAD_NAME, BT_STR("/customer"), "an opaque id of 1 to 80 of A-Z a-z 0-9 . _ ~ -");
    return check_ttl(d, hold->has_ttl_seconds, hold->ttl_seconds);
}

static bool check_change(const deciding *d, const struct trip_change_booking *change)
{
    if (!change->has_seats)
        return true;
    /* Not the setting: a booking made under a larger one may still be changed. */
    if (change->seats_count < 1 || change->seats_count > TRIP_PLACES_MAX)
        return trip_refuse(d, TRIP_BAD_COUNT, BT_STR("/seats"), "not between 1 and %d seats", TRIP_PLACES_MAX);
    return check_seats(d, change->seats, change->seats_count);
}

bool trip_check(const bt_command *command, const void *settings, bt_arena *arena, bt_decision *ret_decision)
{
    const deciding d = { .command = command, .settings = settings, .arena = arena, .out = ret_decision };
    *ret_decision = (bt_decision){ 0 };
    switch ((enum trip_command)command->type->index) {
    case TRIP_COMMAND_OPEN_TRIP:
        return check_open(&d, command->data);
    case TRIP_COMMAND_HOLD_SEATS:
        return check_hold(&d, command->data);
    case TRIP_COMMAND_EXTEND_HOLD: {
        const struct trip_extend_hold *extend = command->data;
        return check_ttl(&d, extend->has_ttl_seconds, extend->ttl_seconds);
    }
    case TRIP_COMMAND_CHANGE_BOOKING:
        return check_change(&d, command->data);
    case TRIP_COMMAND_CANCEL_TRIP: {
        const struct trip_cancel_trip *cancel = command->data;
        return cancel->reason.size <= NAME_MAX_BYTES || trip_refuse(&d, TRIP_BAD_NAME, BT_STR("/reason"), "over %d bytes", NAME_MAX_BYTES);
    }
    case TRIP_COMMAND_CONFIRM_HOLD:
    case TRIP_COMMAND_RELEASE_HOLD:
    case TRIP_COMMAND_CANCEL_BOOKING:
    case TRIP_COMMAND_CLOSE_SALE:
        return true;
    }
    bt_assert(!"a command of another kind of stream");
    return false;
}
