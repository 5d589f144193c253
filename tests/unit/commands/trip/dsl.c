/* dsl - builds facts and orders from words, and keeps the one trip of a test. */
#include "tests/unit/commands/trip/dsl.h"

#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define MIDNIGHT_US INT64_C(1893456000000000) /* 2030-01-01T00:00:00Z */

static struct {
    void *trip;
    bt_arena arena;
    trip_settings settings;
    int64_t now_us;
    bt_decision decision;
    const struct trip_opened *opened;
} world;

trip_settings *the_settings(void) { return &world.settings; }
void *the_trip(void) { return world.trip; }
const bt_decision *the_decision(void) { return &world.decision; }
bt_arena *the_arena(void) { return &world.arena; }
int64_t time_of(int seconds) { return MIDNIGHT_US + seconds * INT64_C(1000000); }

int world_begin(void **unused)
{
    (void)unused;
    world.trip = trip_decider.state_new(NULL);
    bt_arena_init(&world.arena, 0);
    world.settings = trip_settings_default;
    world.now_us = MIDNIGHT_US;
    world.decision = (bt_decision){ 0 };
    world.opened = NULL;
    return 0;
}

int world_end(void **unused)
{
    (void)unused;
    trip_decider.state_free(world.trip, NULL);
    bt_arena_release(&world.arena);
    return 0;
}

bt_id id_of(const char *name)
{
    bt_id id = { { 0 } };
    memcpy(id.at, name, strlen(name) < sizeof id.at ? strlen(name) : sizeof id.at);
    return id;
}

bt_id digest_of(const void *trip)
{
    bt_digest digest;
    bt_digest_init(&digest);
    trip_decider.digest(trip, &digest);
    return bt_digest_finish(&digest);
}

static const char *or_else(const char *given, const char *usual) { return given == NULL ? usual : given; }

/* The next word, ended by one of the characters. NULL at the end. */
static bt_str next_word(const char **at, const char *ends)
{
    while (**at == ' ')
        (*at)++;
    const char *from = *at;
    while (**at != 0 && strchr(ends, **at) == NULL)
        (*at)++;
    bt_str word = { from, (size_t)(*at - from) };
    if (**at != 0)
        (*at)++;
    return word;
}

static uint32_t read_stops(const step *of, struct trip_point *points)
{
    const char *at = or_else(of->stops, "A B C D");
    uint32_t count = 0;
    int every_s = of->stop_every_s < 0 ? 0 : of->stop_every_s == 0 ? HOURS(1) : of->stop_every_s;
    for (bt_str word = next_word(&at, " "); word.size > 0; word = next_word(&at, " "), count++) {
        const char *rule = memchr(word.at, '!', word.size);
        bt_str stop = { word.at, rule == NULL ? word.size : (size_t)(rule - word.at) };
        int64_t arrives_at = time_of((of->starts_s == 0 ? AT(9, 55) : of->starts_s) + (int)count * every_s);
        const char *visit = memchr(stop.at, '@', stop.size);
        bt_str name = { stop.at, visit == NULL ? stop.size : (size_t)(visit - stop.at) };
        points[count] = (struct trip_point){ .stop = stop, .name = name, .arrives_at = arrives_at,
            .departs_at = arrives_at + (every_s == 0 ? 0 : MINUTES(5) * INT64_C(1000000)), .board = rule == NULL || rule[1] != 'b',
            .alight = rule == NULL || rule[1] != 'a' };
    }
    return count;
}

static void read_seats(const char *at, const char *end, struct trip_section *section)
{
    bt_str *seats = bt_arena_take(&world.arena, TRIP_LISTED_MAX * sizeof *seats);
    int32_t *blocked = bt_arena_take(&world.arena, TRIP_LISTED_MAX * sizeof *blocked);
    section->seats = seats;
    section->blocked = blocked;
    while (at < end) {
        bt_str word = next_word(&at, " ;");
        if (word.size == 0)
            continue;
        if (*word.at == '*')
            blocked[section->blocked_count++] = (int32_t)section->seats_count;
        if (*word.at == '#')
            section->capacity = atoi(word.at + 1);
        else
            seats[section->seats_count++] = *word.at == '|' ? (bt_str){ 0 } : *word.at == '*' ? (bt_str){ word.at + 1, word.size - 1 }
                : word;
    }
}

static uint32_t read_sections(const step *of, struct trip_section *sections)
{
    const char *at = or_else(of->sections, "car second: 1 2 3 4 5 6 7 8 9 10");
    uint32_t count = 0;
    while (*at != 0) {
        struct trip_section *section = &sections[count++];
        section->name = next_word(&at, " ");
        section->class = next_word(&at, ":");
        const char *end = strchr(at, ';') == NULL ? at + strlen(at) : strchr(at, ';');
        read_seats(at, end, section);
        at = *end == 0 ? end : end + 1;
    }
    return count;
}

static struct trip_opened *opened_of(const step *of)
{
    struct trip_opened *opened = bt_arena_take(&world.arena, sizeof *opened);
    struct trip_point *points = bt_arena_take(&world.arena, 2 * TRIP_POINTS_MAX * sizeof *points);
    struct trip_section *sections = bt_arena_take(&world.arena, 2 * TRIP_SECTIONS_MAX * sizeof *sections);
    opened->name = bt_str_of(or_else(of->name, "Night train"));
    opened->timezone = bt_str_of(or_else(of->timezone, "Europe/Rome"));
    opened->points_count = read_stops(of, points);
    opened->sections_count = read_sections(of, sections);
    opened->points = points;
    opened->sections = sections;
    return opened;
}

static int32_t point_of(const char *stop)
{
    for (uint32_t i = 0; world.opened != NULL && i < world.opened->points_count; i++)
        if (bt_str_is(world.opened->points[i].stop, stop))
            return (int32_t)i;
    return -1;
}

/* Section and seat of "car/1", "bikes/-". */
static struct trip_place place_of(bt_str section_name, bt_str seat)
{
    for (uint32_t i = 0; i < world.opened->sections_count; i++) {
        const struct trip_section *section = &world.opened->sections[i];
        if (!bt_str_equal(section->name, section_name))
            continue;
        for (uint32_t j = 0; j < section->seats_count; j++)
            if (section->seats[j].at != NULL && bt_str_equal(section->seats[j], seat))
                return (struct trip_place){ (int32_t)i, (int32_t)j };
        return (struct trip_place){ (int32_t)i, bt_str_is(seat, "-") ? -1 : 9999 };
    }
    return (struct trip_place){ 99, 99 };
}

static uint32_t read_wishes(const char *text, struct trip_seat_wish *wishes)
{
    uint32_t count = 0;
    for (const char *at = text; *at != 0;) {
        bt_str section = next_word(&at, "/"), seat = next_word(&at, " ");
        wishes[count++] = (struct trip_seat_wish){ section, seat };
    }
    return count;
}

static const struct trip_place *places_of(const char *text, uint32_t *ret_count)
{
    struct trip_seat_wish wishes[2 * TRIP_PLACES_MAX];
    struct trip_place *places = bt_arena_take(&world.arena, sizeof(struct trip_place) * 2 * TRIP_PLACES_MAX);
    *ret_count = read_wishes(or_else(text, "car/1"), wishes);
    for (uint32_t i = 0; i < *ret_count; i++)
        places[i] = place_of(wishes[i].section, wishes[i].seat);
    return places;
}

/* Many events begin alike; this fills what they share. */
#define FILL_CLAIM(event, id_field, fact)                                                   \
    do {                                                                                    \
        (event)->id_field = id_of(or_else((fact)->hold, "h1"));                             \
        (event)->from = point_of(or_else((fact)->from, "A"));                               \
        (event)->to = point_of(or_else((fact)->to, "D"));                                   \
        (event)->places = places_of((fact)->seats, &(event)->places_count);                 \
    } while (0)

static void *data_of_fact(const step *fact, enum trip_event what)
{
    bt_str customer = bt_str_of(or_else(fact->customer, "c-1"));
    void *data = bt_arena_take(&world.arena, trip_events[what]->record->struct_size);
    switch (what) {
    case TRIP_EVENT_TRIP_OPENED:
        return opened_of(fact);
    case TRIP_EVENT_SEATS_HELD: {
        struct trip_seats_held *held = data;
        FILL_CLAIM(held, hold, fact);
        held->customer = customer;
        held->expires_at = fact->expires == 0 ? world.now_us + MINUTES(10) * INT64_C(1000000) : time_of(fact->expires);
        return data;
    }
    case TRIP_EVENT_HOLD_EXTENDED: {
        struct trip_hold_extended *extended = data;
        extended->hold = id_of(or_else(fact->hold, "h1"));
        extended->expires_at = time_of(fact->expires);
        return data;
    }
    case TRIP_EVENT_HOLD_CONFIRMED:
        FILL_CLAIM((struct trip_hold_confirmed *)data, hold, fact);
        ((struct trip_hold_confirmed *)data)->customer = customer;
        return data;
    case TRIP_EVENT_HOLD_RELEASED:
        FILL_CLAIM((struct trip_hold_released *)data, hold, fact);
        return data;
    case TRIP_EVENT_HOLD_EXPIRED:
        FILL_CLAIM((struct trip_hold_expired *)data, hold, fact);
        return data;
    case TRIP_EVENT_BOOKING_CANCELLED:
        FILL_CLAIM((struct trip_booking_cancelled *)data, booking, fact);
        ((struct trip_booking_cancelled *)data)->customer = customer;
        return data;
    case TRIP_EVENT_BOOKING_CHANGED: {
        struct trip_booking_changed *changed = data;
        FILL_CLAIM(changed, booking, fact);
        changed->old_from = point_of(or_else(fact->old_from, "A"));
        changed->old_to = point_of(or_else(fact->old_to, "D"));
        changed->old_places = places_of(fact->old_seats, &changed->old_places_count);
        changed->customer = customer;
        return data;
    }
    case TRIP_EVENT_TRIP_CANCELLED:
        ((struct trip_cancelled *)data)->reason = bt_str_of(or_else(fact->reason, "snow"));
        return data;
    case TRIP_EVENT_SALE_CLOSED:
        return data;
    }
    return NULL;
}

bt_event event_of(step fact) { return (bt_event){ trip_events[fact.what], data_of_fact(&fact, (enum trip_event)fact.what) }; }

static void complete_meta(bt_event event)
{
    *bt_event_meta(event) = (bt_meta){ .version = trip_decider.version(world.trip) + 1, .time = world.now_us, .actor = BT_STR("tester") };
}

/* Through the codec, so that what is folded is what another program would read. */
static bt_event through_the_codec(bt_event event)
{
    bt_buf bytes;
    bt_err err = { 0 };
    bt_buf_init(&bytes, BT_RECORD_VALUE_MAX);
    if (!bt_event_encode(event, &bytes, &err))
        fail_msg("the event cannot be encoded: %s", err.message);
    bt_str copy = bt_arena_copy(&world.arena, bt_buf_view(&bytes));
    bt_buf_release(&bytes);
    bt_event decoded;
    if (!bt_event_decode((bt_bytes){ (const uint8_t *)copy.at, copy.size }, &world.arena, &decoded, &err))
        fail_msg("the event cannot be decoded: %s", err.message);
    return decoded;
}

void fold(bt_event event)
{
    bt_err err = { 0 };
    complete_meta(event);
    bt_event decoded = through_the_codec(event);
    if (!trip_decider.evolve(world.trip, decoded, NULL, &err))
        fail_msg("an event was not folded: %s", err.message);
    if (decoded.type->index == TRIP_EVENT_TRIP_OPENED)
        world.opened = decoded.data;
}

static void set_clock(const step *now)
{
    if (now->at != 0)
        world.now_us = time_of(now->at);
}

void given(const step *facts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        set_clock(&facts[i]);
        fold(event_of(facts[i]));
    }
}

static const void *open_order(const step *order)
{
    const struct trip_opened *opened = opened_of(order);
    struct trip_open_trip *open = bt_arena_take(&world.arena, sizeof *open);
    struct trip_point_spec *points = bt_arena_take(&world.arena, (opened->points_count + 1) * sizeof *points);
    struct trip_section_spec *sections = bt_arena_take(&world.arena, (opened->sections_count + 1) * sizeof *sections);
    *open = (struct trip_open_trip){ .has_trip = order->trip != NULL, .trip = bt_str_of(or_else(order->trip, "")), .name = opened->name,
        .timezone = opened->timezone,
        .points = points, .points_count = opened->points_count, .sections = sections, .sections_count = opened->sections_count };
    for (uint32_t i = 0; i < opened->points_count; i++) {
        const struct trip_point *point = &opened->points[i];
        points[i] = (struct trip_point_spec){ .stop = point->stop, .name = point->name, .arrives_at = point->arrives_at,
            .departs_at = point->departs_at,
            .has_board = !point->board, .board = point->board, .has_alight = !point->alight, .alight = point->alight };
    }
    for (uint32_t i = 0; i < opened->sections_count; i++) {
        const struct trip_section *section = &opened->sections[i];
        bt_str *blocked = bt_arena_take(&world.arena, (section->blocked_count + 1) * sizeof *blocked);
        for (uint32_t j = 0; j < section->blocked_count; j++)
            blocked[j] = section->seats[section->blocked[j]];
        sections[i] = (struct trip_section_spec){ .name = section->name, .class = section->class, .has_seats = section->seats_count > 0,
            .seats = section->seats,
            .seats_count = section->seats_count, .has_blocked = section->blocked_count > 0, .blocked = blocked,
                .blocked_count = section->blocked_count,
            .has_capacity = section->capacity != 0, .capacity = section->capacity };
    }
    return open;
}

static const void *hold_order(const step *order)
{
    struct trip_hold_seats *hold = bt_arena_take(&world.arena, sizeof *hold);
    struct trip_seat_wish *wishes = bt_arena_take(&world.arena, 2 * TRIP_PLACES_MAX * sizeof *wishes);
    *hold = (struct trip_hold_seats){ .from = bt_str_of(or_else(order->from, "A")), .to = bt_str_of(or_else(order->to, "D")),
        .has_class = order->class != NULL,
        .class = bt_str_of(or_else(order->class, "")), .has_count = order->count != 0 || order->zero_count, .count = order->count,
            .has_seats = order->seats != NULL,
        .seats = wishes, .has_adjacent = order->adjacent != ADJACENCY_LEFT_OUT, .adjacent = order->adjacent == ADJACENT,
        .customer = bt_str_of(or_else(order->customer, "c-1")), .has_ttl_seconds = order->ttl_s != 0 || order->zero_ttl,
            .ttl_seconds = order->ttl_s };
    hold->seats_count = order->seats == NULL ? 0 : read_wishes(order->seats, wishes);
    return hold;
}

static const void *change_order(const step *order)
{
    struct trip_change_booking *change = bt_arena_take(&world.arena, sizeof *change);
    struct trip_seat_wish *wishes = bt_arena_take(&world.arena, 2 * TRIP_PLACES_MAX * sizeof *wishes);
    *change = (struct trip_change_booking){ .has_from = order->from != NULL, .from = bt_str_of(or_else(order->from, "")),
        .has_to = order->to != NULL,
        .to = bt_str_of(or_else(order->to, "")), .has_class = order->class != NULL, .class = bt_str_of(or_else(order->class, "")),
            .has_seats = order->seats != NULL,
        .seats = wishes, .has_adjacent = order->adjacent != ADJACENCY_LEFT_OUT, .adjacent = order->adjacent == ADJACENT };
    change->seats_count = order->seats == NULL ? 0 : read_wishes(order->seats, wishes);
    return change;
}

const void *order_data(step order)
{
    switch ((enum trip_command)order.what) {
    case TRIP_COMMAND_OPEN_TRIP:
        return open_order(&order);
    case TRIP_COMMAND_HOLD_SEATS:
        return hold_order(&order);
    case TRIP_COMMAND_CHANGE_BOOKING:
        return change_order(&order);
    case TRIP_COMMAND_EXTEND_HOLD: {
        struct trip_extend_hold *extend = bt_arena_take(&world.arena, sizeof *extend);
        *extend = (struct trip_extend_hold){ .has_ttl_seconds = order.ttl_s != 0 || order.zero_ttl, .ttl_seconds = order.ttl_s };
        return extend;
    }
    case TRIP_COMMAND_CANCEL_TRIP: {
        struct trip_cancel_trip *cancel = bt_arena_take(&world.arena, sizeof *cancel);
        cancel->reason = bt_str_of(or_else(order.reason, "snow"));
        return cancel;
    }
    case TRIP_COMMAND_CONFIRM_HOLD:
    case TRIP_COMMAND_RELEASE_HOLD:
    case TRIP_COMMAND_CANCEL_BOOKING:
    case TRIP_COMMAND_CLOSE_SALE:
        return bt_arena_take(&world.arena, 16);
    }
    return NULL;
}

bt_command command_of(step order)
{
    bt_id id = id_of(or_else(order.hold, order.what == TRIP_COMMAND_HOLD_SEATS ? "new" : "h1"));
    bool is_hold = order.what == TRIP_COMMAND_HOLD_SEATS;
    return (bt_command){ .type = trip_commands[order.what], .data = order_data(order), .stream = BT_STR("T1"), .target = is_hold
        ? (bt_id){ { 0 } } : id,
        .has_if_match = order.if_match != 0, .if_match = order.if_match, .key_digest = is_hold ? id : id_of("some key") };
}

void when(step order)
{
    set_clock(&order);
    bt_id before = digest_of(world.trip);
    if (order.what < 0) {
        trip_decider.decide_due(world.trip, BT_STR("T1"), world.now_us, &world.arena, &world.decision);
    } else {
        bt_command command = command_of(order);
        trip_decider.decide(world.trip, &command, world.now_us, &world.settings, &world.arena, &world.decision);
    }
    assert_true(bt_id_equal(before, digest_of(world.trip)));
}

static void show_decision(void)
{
    bt_buf json;
    bt_buf_init(&json, 1 << 20);
    if (world.decision.event.data != NULL)
        bt_record_to_json(world.decision.event.type->record, world.decision.event.data, NULL, &json);
    print_error("verdict %d, field " BT_STR_FMT ", detail: " BT_STR_FMT "\n%s " BT_STR_FMT "\n", world.decision.verdict,
        BT_STR_ARG(world.decision.field),
        BT_STR_ARG(world.decision.detail), world.decision.event.data == NULL ? "" : world.decision.event.type->record->name, (int)json.size,
            (const char *)json.at);
    bt_buf_release(&json);
}

static void check_at(bool holds, const char *what, const char *file, int line)
{
    if (holds)
        return;
    show_decision();
    print_error("%s\n", what);
    _fail(file, line);
}

void then_event(step fact, int32_t verdict, const char *file, int line)
{
    check_at(world.decision.verdict == verdict && world.decision.event.data != NULL, "another verdict was expected", file, line);
    bt_event event = world.decision.event;
    bt_event expected;
    if (fact.what == TRIP_EVENT_TRIP_OPENED && fact.stops == NULL && fact.sections == NULL)
        expected = event; /* the scenario looks at what it wants by itself */
    else
        expected = event_of(fact);
    check_at(event.type == expected.type, "another event was expected", file, line);
    *bt_event_meta(expected) = *bt_event_meta(event);
    bool equal = bt_record_equal(event.type->record, event.data, expected.data);
    if (!equal) {
        bt_buf json;
        bt_buf_init(&json, 1 << 20);
        bt_record_to_json(event.type->record, expected.data, NULL, &json);
        print_error("expected " BT_STR_FMT "\n", (int)json.size, (const char *)json.at);
        bt_buf_release(&json);
    }
    check_at(equal, "other fields were expected", file, line);
    if (verdict == BT_VERDICT_ACCEPTED)
        fold(event);
}

void then_refused(int32_t verdict, const char *name, const char *field, const char *file, int line)
{
    check_at(world.decision.verdict == verdict, name, file, line);
    check_at(bt_str_is(world.decision.field, field), "another field was expected", file, line);
    check_at(world.decision.event.data == NULL && world.decision.detail.size > 0, "a refusal has a detail and no event", file, line);
}

void then_text(bt_str text, const char *expected, const char *file, int line)
{
    if (bt_str_is(text, expected))
        return;
    print_error("expected: %s\nbut was:  " BT_STR_FMT "\n", expected, BT_STR_ARG(text));
    _fail(file, line);
}

void then_nothing(const char *file, int line)
{
    check_at(world.decision.verdict == BT_VERDICT_ACCEPTED && world.decision.event.data == NULL, "nothing is due", file, line);
}

void then_answered(const char *json, const char *file, int line)
{
    bt_buf out;
    bt_buf_init(&out, 1 << 20);
    trip_decider.render(world.trip, BT_STR("T1"), world.decision.event, &out);
    then_text(bt_buf_view(&out), json, file, line);
    bt_buf_release(&out);
}

void contradiction(step fact, const char *file, int line)
{
    bt_err err = { 0 };
    bt_event event = event_of(fact);
    bt_id before = digest_of(world.trip);
    complete_meta(event);
    bool folded = trip_decider.evolve(world.trip, event, NULL, &err);
    if (folded || err.kind != BT_ERR_FATAL || !bt_id_equal(before, digest_of(world.trip))) {
        print_error("the contradiction was %s: %s\n", folded ? "folded" : "not told, or changed the state", err.message);
        _fail(file, line);
    }
}
