/* naive - see the header. */
#include "tests/unit/commands/trip/naive.h"

#include <stdlib.h>

enum status { HELD, BOOKED, RELEASED, EXPIRED, CANCELLED };

typedef struct naive_claim {
    bt_id id;
    enum status status;
    int64_t held_at, expires_at;
    int32_t from, to;
    struct trip_place places[TRIP_PLACES_MAX];
    uint32_t place_count;
} naive_claim;

struct naive_trip {
    const struct trip_opened *opened;
    naive_claim *claims; /* in the order of their making; ended ones too */
    size_t claim_count;
    bool closed, cancelled;
    const naive_claim *ignored; /* whose places count as free just now */
};

naive_trip *naive_new(const struct trip_opened *opened)
{
    naive_trip *trip = calloc(1, sizeof *trip);
    trip->opened = opened;
    return trip;
}

void naive_free(naive_trip *trip)
{
    free(trip->claims);
    free(trip);
}

static naive_claim *find(naive_trip *trip, bt_id id)
{
    for (size_t i = 0; i < trip->claim_count; i++)
        if (bt_id_equal(trip->claims[i].id, id))
            return &trip->claims[i];
    return NULL;
}

/* How many live claims have this place on this segment. */
static int32_t taken_count(const naive_trip *trip, int32_t section, int32_t seat, int32_t segment)
{
    int32_t count = 0;
    for (size_t i = 0; i < trip->claim_count; i++) {
        const naive_claim *claim = &trip->claims[i];
        if ((claim->status != HELD && claim->status != BOOKED) || claim == trip->ignored || segment < claim->from || segment >= claim->to)
            continue;
        for (uint32_t j = 0; j < claim->place_count; j++)
            count += claim->places[j].section == section && claim->places[j].seat == seat;
    }
    return count;
}

static bool is_for_sale(const naive_trip *trip, int32_t section, int32_t seat)
{
    const struct trip_section *in = &trip->opened->sections[section];
    if (seat < 0 || seat >= (int32_t)in->seats_count || in->seats[seat].at == NULL)
        return false;
    for (uint32_t i = 0; i < in->blocked_count; i++)
        if (in->blocked[i] == seat)
            return false;
    return true;
}

static bool is_free(const naive_trip *trip, int32_t section, int32_t seat, int32_t from, int32_t to)
{
    if (!is_for_sale(trip, section, seat))
        return false;
    for (int32_t segment = from; segment < to; segment++)
        if (taken_count(trip, section, seat, segment) > 0)
            return false;
    return true;
}

static int32_t free_capacity(const naive_trip *trip, int32_t section, int32_t from, int32_t to)
{
    int32_t least = trip->opened->sections[section].capacity;
    for (int32_t segment = from; segment < to; segment++) {
        int32_t left = trip->opened->sections[section].capacity - taken_count(trip, section, -1, segment);
        least = left < least ? left : least;
    }
    return least;
}

/* Free segments lost on both sides. */
static int32_t waste_of(const naive_trip *trip, int32_t section, int32_t seat, int32_t from, int32_t to)
{
    int32_t segments = (int32_t)trip->opened->points_count - 1, first = from, last = to;
    while (first > 0 && taken_count(trip, section, seat, first - 1) == 0)
        first--;
    while (last < segments && taken_count(trip, section, seat, last) == 0)
        last++;
    return (from - first) + (last - to);
}

static bool class_fits(const naive_trip *trip, uint32_t section, const bt_str *class)
{
    return class == NULL || bt_str_equal(trip->opened->sections[section].class, *class);
}

static int64_t count_free(const naive_trip *trip, int32_t from, int32_t to, const bt_str *class)
{
    int64_t count = 0;
    for (uint32_t section = 0; section < trip->opened->sections_count; section++) {
        if (!class_fits(trip, section, class))
            continue;
        count += free_capacity(trip, (int32_t)section, from, to);
        for (uint32_t seat = 0; seat < trip->opened->sections[section].seats_count; seat++)
            count += is_free(trip, (int32_t)section, (int32_t)seat, from, to);
    }
    return count;
}

static bool choose_together(const naive_trip *trip, naive_answer *answer, uint32_t count, const bt_str *class)
{
    int32_t least = INT32_MAX;
    for (uint32_t section = 0; section < trip->opened->sections_count; section++) {
        for (uint32_t first = 0; class_fits(trip, section, class) && first +
            count <= trip->opened->sections[section].seats_count; first++) {
            int32_t sum = 0;
            bool all_free = true;
            for (uint32_t i = 0; i < count && all_free; i++) {
                all_free = is_free(trip, (int32_t)section, (int32_t)(first + i), answer->from, answer->to);
                sum += all_free ? waste_of(trip, (int32_t)section, (int32_t)(first + i), answer->from, answer->to) : 0;
            }
            if (!all_free || sum >= least)
                continue;
            least = sum;
            for (uint32_t i = 0; i < count; i++)
                answer->places[i] = (struct trip_place){ (int32_t)section, (int32_t)(first + i) };
            answer->place_count = count;
        }
    }
    return least < INT32_MAX;
}

static bool is_chosen(const naive_answer *answer, int32_t section, int32_t seat)
{
    for (uint32_t i = 0; i < answer->place_count; i++)
        if (answer->places[i].section == section && answer->places[i].seat == seat)
            return true;
    return false;
}

/* Adds the tightest seat that is not chosen yet; the first of equals. */
static bool choose_next(const naive_trip *trip, naive_answer *answer, const bt_str *class)
{
    struct trip_place best = { -1, -1 };
    int32_t least = INT32_MAX;
    for (uint32_t section = 0; section < trip->opened->sections_count; section++)
        for (uint32_t seat = 0; class_fits(trip, section, class) && seat < trip->opened->sections[section].seats_count; seat++) {
            if (is_chosen(answer, (int32_t)section, (int32_t)seat) || !is_free(trip, (int32_t)section, (int32_t)seat, answer->from,
                answer->to))
                continue;
            int32_t wasted = waste_of(trip, (int32_t)section, (int32_t)seat, answer->from, answer->to);
            if (wasted < least) {
                least = wasted;
                best = (struct trip_place){ (int32_t)section, (int32_t)seat };
            }
        }
    if (least == INT32_MAX)
        return false;
    answer->places[answer->place_count++] = best;
    return true;
}

static void choose_unnumbered(const naive_trip *trip, naive_answer *answer, uint32_t count, const bt_str *class)
{
    for (uint32_t section = 0; section < trip->opened->sections_count; section++)
        for (int32_t i = 0; class_fits(trip, section, class) && i < free_capacity(trip, (int32_t)section, answer->from, answer->to) &&
            answer->place_count < count; i++)
            answer->places[answer->place_count++] = (struct trip_place){ (int32_t)section, -1 };
}

static int by_place(const void *a, const void *b)
{
    const struct trip_place *left = a, *right = b;
    return left->section != right->section ? left->section - right->section : left->seat - right->seat;
}

static bool is_row(const naive_answer *answer)
{
    for (uint32_t i = 1; i < answer->place_count; i++)
        if (answer->places[i].section != answer->places[i - 1].section || answer->places[i].seat != answer->places[i - 1].seat + 1)
            return false;
    for (uint32_t i = 0; i < answer->place_count && answer->place_count > 1; i++)
        if (answer->places[i].seat < 0)
            return false;
    return true;
}

static int32_t find_stop(const naive_trip *trip, bt_str stop)
{
    for (uint32_t i = 0; i < trip->opened->points_count; i++)
        if (bt_str_equal(trip->opened->points[i].stop, stop))
            return (int32_t)i;
    return -1;
}

static int32_t check_stops(const naive_trip *trip, bt_str from, bt_str to, naive_answer *answer)
{
    answer->from = find_stop(trip, from);
    answer->to = find_stop(trip, to);
    if (answer->from < 0 || answer->to < 0)
        return TRIP_UNKNOWN_STOP;
    if (answer->from >= answer->to)
        return TRIP_STOPS_REVERSED;
    if (!trip->opened->points[answer->from].board || !trip->opened->points[answer->to].alight)
        return TRIP_NO_BOARDING;
    return 0;
}

static int32_t check_class(const naive_trip *trip, const bt_str *class)
{
    for (uint32_t section = 0; section < trip->opened->sections_count; section++)
        if (class_fits(trip, section, class))
            return 0;
    return TRIP_UNKNOWN_CLASS;
}

static int32_t find_named(const naive_trip *trip, const struct trip_seat_wish *seats, uint32_t count, const bt_str *class,
    naive_answer *answer)
{
    for (uint32_t i = 0; i < count; i++) {
        int32_t section = -1, seat = -1;
        for (uint32_t j = 0; j < trip->opened->sections_count; j++)
            if (bt_str_equal(trip->opened->sections[j].name, seats[i].section))
                section = (int32_t)j;
        if (section < 0)
            return TRIP_UNKNOWN_SECTION;
        for (uint32_t j = 0; j < trip->opened->sections[section].seats_count; j++)
            if (trip->opened->sections[section].seats[j].at != NULL && bt_str_equal(trip->opened->sections[section].seats[j],
                seats[i].seat))
                seat = (int32_t)j;
        if (seat < 0)
            return TRIP_UNKNOWN_SEAT;
        if (!class_fits(trip, (uint32_t)section, class))
            return TRIP_OTHER_CLASS;
        if (!is_for_sale(trip, section, seat))
            return TRIP_SEAT_BLOCKED;
        answer->places[answer->place_count++] = (struct trip_place){ section, seat };
    }
    return 0;
}

/* The choice that both a hold and a change make. */
static int32_t choose(const naive_trip *trip, const struct trip_seat_wish *seats, uint32_t count, const bt_str *class, bool has_adjacent,
    bool adjacent, naive_answer *answer)
{
    answer->place_count = 0;
    if (seats != NULL) {
        int32_t wrong = find_named(trip, seats, count, class, answer);
        if (wrong != 0)
            return wrong;
        for (uint32_t i = 0; i < count; i++)
            if (!is_free(trip, answer->places[i].section, answer->places[i].seat, answer->from, answer->to)) {
                answer->free = count_free(trip, answer->from, answer->to, class);
                return TRIP_SEAT_TAKEN;
            }
        qsort(answer->places, count, sizeof answer->places[0], by_place);
        return has_adjacent && adjacent && !is_row(answer) ? TRIP_SEATS_APART : 0;
    }
    int64_t free_count = count_free(trip, answer->from, answer->to, class);
    bool together = count > 1 && (!has_adjacent || adjacent);
    if (free_count < count) {
        answer->free = free_count;
        return TRIP_SOLD_OUT;
    }
    if (together && choose_together(trip, answer, count, class))
        return 0;
    if (together && has_adjacent) {
        answer->free = free_count;
        return TRIP_NOT_ADJACENT;
    }
    while (answer->place_count < count && choose_next(trip, answer, class))
        ;
    choose_unnumbered(trip, answer, count, class);
    qsort(answer->places, count, sizeof answer->places[0], by_place);
    return 0;
}

static void tell_claim(const naive_claim *claim, naive_answer *answer)
{
    answer->from = claim->from;
    answer->to = claim->to;
    answer->place_count = claim->place_count;
    memcpy(answer->places, claim->places, sizeof claim->places);
    answer->expires_at = claim->expires_at;
}

static int32_t shape_of_hold(const struct trip_hold_seats *hold, const trip_settings *settings)
{
    if (hold->has_count == hold->has_seats)
        return TRIP_COUNT_OR_SEATS;
    int64_t count = hold->has_count ? hold->count : (int64_t)hold->seats_count;
    if (count < 1 || count > settings->places_max)
        return TRIP_BAD_COUNT;
    for (uint32_t i = 0; hold->has_seats && i < hold->seats_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (bt_str_equal(hold->seats[i].section, hold->seats[j].section) && bt_str_equal(hold->seats[i].seat, hold->seats[j].seat))
                return TRIP_DUPLICATE_SEAT;
    if (!bt_name_is_valid(hold->customer))
        return TRIP_BAD_NAME;
    return hold->has_ttl_seconds && (hold->ttl_seconds < 1 || hold->ttl_seconds > settings->ttl_max_s) ? TRIP_BAD_TTL : 0;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static int32_t decide_hold(naive_trip *trip, const bt_command *command, int64_t now_us, const trip_settings *settings, naive_answer *answer)
{
    const struct trip_hold_seats *hold = command->data;
    const bt_str *class = hold->has_class ? &hold->class : NULL;
    naive_claim *same = find(trip, command->key_digest);
    if (same != NULL && same->status == BOOKED)
        return TRIP_HOLD_CONFIRMED;
    if (same != NULL && same->status != HELD)
        return TRIP_HOLD_EXISTS;
    if (same != NULL) {
        tell_claim(same, answer);
        return BT_VERDICT_ALREADY;
    }
    int32_t wrong = check_stops(trip, hold->from, hold->to, answer);
    wrong = wrong != 0 ? wrong : check_class(trip, class);
    if (wrong != 0)
        return wrong;
    if (trip->closed)
        return TRIP_SALE_CLOSED;
    int64_t departs_at = trip->opened->points[answer->from].departs_at;
    if (now_us >= departs_at)
        return TRIP_DEPARTED;
    int64_t ttl_s = hold->has_ttl_seconds ? hold->ttl_seconds : settings->ttl_default_s;
    answer->expires_at = earlier(now_us + ttl_s * 1000000, departs_at);
    uint32_t count = hold->has_seats ? hold->seats_count : (uint32_t)hold->count;
    return choose(trip, hold->has_seats ? hold->seats : NULL, count, class, hold->has_adjacent, hold->adjacent, answer);
}

static int32_t decide_extend(const naive_trip *trip, const naive_claim *hold, const struct trip_extend_hold *extend, int64_t now_us,
    const trip_settings *settings, naive_answer *answer)
{
    if (hold->status == BOOKED)
        return TRIP_HOLD_CONFIRMED;
    if (hold->status == RELEASED)
        return TRIP_HOLD_RELEASED;
    if (trip->closed)
        return TRIP_SALE_CLOSED;
    int64_t wanted = now_us + (extend->has_ttl_seconds ? extend->ttl_seconds : settings->ttl_default_s) * INT64_C(1000000);
    int64_t latest = earlier(hold->held_at + settings->ttl_max_s * INT64_C(1000000), trip->opened->points[hold->from].departs_at);
    answer->expires_at = earlier(wanted, latest);
    if (answer->expires_at > hold->expires_at)
        return BT_VERDICT_ACCEPTED;
    answer->expires_at = hold->expires_at;
    return wanted <= hold->expires_at ? BT_VERDICT_ALREADY : TRIP_HOLD_LIMIT;
}

static int32_t decide_change(naive_trip *trip, const naive_claim *booking, const struct trip_change_booking *change, int64_t now_us,
    naive_answer *answer)
{
    const bt_str *class = change->has_class ? &change->class : NULL;
    bt_str from = change->has_from ? change->from : trip->opened->points[booking->from].stop, to = change->has_to ? change->to
        : trip->opened->points[booking->to].stop;
    int32_t wrong = check_stops(trip, from, to, answer);
    if (wrong != 0)
        return wrong;
    if (answer->from < booking->from || answer->to > booking->to)
        return TRIP_STRETCH_LONGER;
    if (check_class(trip, class) != 0)
        return TRIP_UNKNOWN_CLASS;
    if (now_us >= trip->opened->points[booking->from].departs_at)
        return TRIP_DEPARTED;
    if (change->has_seats && change->seats_count != booking->place_count)
        return TRIP_SEAT_COUNT_DIFFERS;
    naive_answer kept = { .place_count = booking->place_count };
    memcpy(kept.places, booking->places, sizeof kept.places);
    bool keeps = !change->has_seats && !(change->has_adjacent && change->adjacent && !is_row(&kept));
    for (uint32_t i = 0; i < kept.place_count; i++)
        keeps = keeps && class_fits(trip, (uint32_t)kept.places[i].section, class);
    if (keeps) {
        memcpy(answer->places, kept.places, sizeof kept.places);
        answer->place_count = kept.place_count;
    } else {
        trip->ignored = booking;
        wrong = choose(trip, change->has_seats ? change->seats : NULL, booking->place_count, class, change->has_adjacent, change->adjacent,
            answer);
        trip->ignored = NULL;
        if (wrong != 0)
            return wrong;
    }
    bool same = answer->from == booking->from && answer->to == booking->to;
    for (uint32_t i = 0; i < answer->place_count; i++)
        same = same && by_place(&answer->places[i], &booking->places[i]) == 0;
    return same ? BT_VERDICT_ALREADY : BT_VERDICT_ACCEPTED;
}

static int32_t shape(const bt_command *command, const trip_settings *settings)
{
    const struct trip_extend_hold *extend = command->data;
    const struct trip_change_booking *change = command->data;
    if (command->type->index == TRIP_COMMAND_HOLD_SEATS)
        return shape_of_hold(command->data, settings);
    if (command->type->index == TRIP_COMMAND_EXTEND_HOLD && extend->has_ttl_seconds &&
        (extend->ttl_seconds < 1 || extend->ttl_seconds > settings->ttl_max_s))
        return TRIP_BAD_TTL;
    for (uint32_t i = 0; command->type->index == TRIP_COMMAND_CHANGE_BOOKING && change->has_seats && i < change->seats_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (bt_str_equal(change->seats[i].section, change->seats[j].section) &&
                bt_str_equal(change->seats[i].seat, change->seats[j].seat))
                return TRIP_DUPLICATE_SEAT;
    return 0;
}

static int32_t decide(naive_trip *trip, const bt_command *command, int64_t now_us, const trip_settings *settings, naive_answer *answer)
{
    enum trip_command which = (enum trip_command)command->type->index;
    int32_t wrong = shape(command, settings);
    if (wrong != 0)
        return wrong;
    if (trip->cancelled && which != TRIP_COMMAND_CANCEL_TRIP)
        return TRIP_WAS_CANCELLED;
    if (now_us >= trip->opened->points[trip->opened->points_count - 1].arrives_at)
        return TRIP_ENDED;
    if (which == TRIP_COMMAND_HOLD_SEATS)
        return decide_hold(trip, command, now_us, settings, answer);
    if (which == TRIP_COMMAND_CLOSE_SALE)
        return trip->closed ? BT_VERDICT_ALREADY : BT_VERDICT_ACCEPTED;
    if (which == TRIP_COMMAND_CANCEL_TRIP)
        return trip->cancelled ? BT_VERDICT_ALREADY : BT_VERDICT_ACCEPTED;
    naive_claim *claim = find(trip, command->target);
    if (which == TRIP_COMMAND_CHANGE_BOOKING || which == TRIP_COMMAND_CANCEL_BOOKING) {
        if (claim == NULL || (claim->status != BOOKED && claim->status != CANCELLED))
            return TRIP_UNKNOWN_BOOKING;
        tell_claim(claim, answer);
        if (which == TRIP_COMMAND_CANCEL_BOOKING)
            return claim->status == CANCELLED ? BT_VERDICT_ALREADY : BT_VERDICT_ACCEPTED;
        return claim->status == CANCELLED ? TRIP_BOOKING_CANCELLED : decide_change(trip, claim, command->data, now_us, answer);
    }
    if (claim == NULL)
        return TRIP_UNKNOWN_HOLD;
    if (claim->status == EXPIRED)
        return TRIP_HOLD_EXPIRED;
    if (claim->status == CANCELLED)
        return TRIP_BOOKING_CANCELLED;
    tell_claim(claim, answer);
    if (which == TRIP_COMMAND_EXTEND_HOLD)
        return decide_extend(trip, claim, command->data, now_us, settings, answer);
    if (which == TRIP_COMMAND_CONFIRM_HOLD)
        return claim->status == RELEASED ? TRIP_HOLD_RELEASED : claim->status == BOOKED ? BT_VERDICT_ALREADY : BT_VERDICT_ACCEPTED;
    return claim->status == BOOKED ? TRIP_HOLD_CONFIRMED : claim->status == RELEASED ? BT_VERDICT_ALREADY : BT_VERDICT_ACCEPTED;
}

naive_answer naive_decide(naive_trip *trip, const bt_command *command, int64_t now_us, const trip_settings *settings)
{
    naive_answer answer = { .free = -1 };
    answer.verdict = decide(trip, command, now_us, settings, &answer);
    return answer;
}

bt_id naive_due(const naive_trip *trip, int64_t now_us)
{
    const naive_claim *due = NULL;
    for (size_t i = 0; i < trip->claim_count && !trip->cancelled; i++) {
        const naive_claim *claim = &trip->claims[i];
        if (claim->status != HELD || claim->expires_at > now_us)
            continue;
        if (due == NULL || claim->expires_at < due->expires_at || (claim->expires_at == due->expires_at &&
            memcmp(claim->id.at, due->id.at, 16) < 0))
            due = claim;
    }
    return due == NULL ? (bt_id){ { 0 } } : due->id;
}

void naive_expire(naive_trip *trip, bt_id id) { find(trip, id)->status = EXPIRED; }

void naive_apply(naive_trip *trip, const bt_command *command, const naive_answer *answer, int64_t now_us)
{
    naive_claim *claim = find(trip, command->target);
    switch ((enum trip_command)command->type->index) {
    case TRIP_COMMAND_HOLD_SEATS:
        trip->claims = realloc(trip->claims, (trip->claim_count + 1) * sizeof *trip->claims);
        claim = &trip->claims[trip->claim_count++];
        *claim = (naive_claim){ .id = command->key_digest, .status = HELD, .held_at = now_us, .expires_at = answer->expires_at,
            .from = answer->from, .to = answer->to,
            .place_count = answer->place_count };
        memcpy(claim->places, answer->places, sizeof claim->places);
        return;
    case TRIP_COMMAND_EXTEND_HOLD:
        claim->expires_at = answer->expires_at;
        return;
    case TRIP_COMMAND_CONFIRM_HOLD:
        claim->status = BOOKED;
        return;
    case TRIP_COMMAND_RELEASE_HOLD:
        claim->status = RELEASED;
        return;
    case TRIP_COMMAND_CANCEL_BOOKING:
        claim->status = CANCELLED;
        return;
    case TRIP_COMMAND_CHANGE_BOOKING:
        claim->from = answer->from;
        claim->to = answer->to;
        memcpy(claim->places, answer->places, sizeof claim->places);
        return;
    case TRIP_COMMAND_CLOSE_SALE:
        trip->closed = true;
        return;
    case TRIP_COMMAND_CANCEL_TRIP:
        trip->cancelled = true;
        return;
    case TRIP_COMMAND_OPEN_TRIP:
        return;
    }
}
