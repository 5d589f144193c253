/* state_digest - a trip's state as one stream of numbers and texts, the same whatever history led to it.
 * docs/state-digest.md describes it for other programs: change both or neither. */
#include "commands/trip/state.h"
#include "core/memory.h"

static void feed_number(bt_digest *digest, int64_t value)
{
    uint8_t big_endian[8];
    for (unsigned i = 0; i < 8; i++)
        big_endian[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
    bt_digest_feed(digest, big_endian, sizeof big_endian);
}

static void feed_text(bt_digest *digest, bt_str text)
{
    feed_number(digest, (int64_t)text.size);
    bt_digest_feed(digest, text.at, text.size);
}

static void feed_layout(bt_digest *digest, const trip_state *trip)
{
    const trip_layout *layout = trip->layout;
    feed_number(digest, layout->point_count);
    for (unsigned i = 0; i < layout->point_count; i++) {
        feed_text(digest, layout->points[i].stop);
        feed_number(digest, trip_arrives_us(trip, i));
        feed_number(digest, trip_departs_us(trip, i));
        feed_number(digest, layout->points[i].board);
        feed_number(digest, layout->points[i].alight);
    }
    feed_number(digest, layout->section_count);
    for (unsigned i = 0; i < layout->section_count; i++) {
        const layout_section *section = &layout->sections[i];
        feed_text(digest, section->name);
        feed_text(digest, section->class);
        feed_number(digest, section->capacity);
        feed_number(digest, section->slot_count);
        for (unsigned slot = section->first_slot; slot < section->first_slot + (unsigned)section->slot_count; slot++) {
            bool aisle = layout->slots[slot].label_size == 0;
            feed_number(digest, aisle ? 0 : layout->slots[slot].blocked ? 2 : 1);
            if (!aisle)
                feed_text(digest, layout_label(layout, slot));
        }
    }
}

static void feed_claim(bt_digest *digest, const trip_state *trip, const trip_claim *claim)
{
    bt_digest_feed(digest, claim->id.at, sizeof claim->id.at);
    feed_number(digest, claim->status);
    feed_number(digest, claim->held_at_us);
    feed_number(digest, claim->expires_at_us);
    feed_number(digest, claim->on.from);
    feed_number(digest, claim->on.to);
    feed_number(digest, claim->place_count);
    for (unsigned i = 0; i < claim->place_count; i++) {
        feed_number(digest, place_section(trip->layout, claim->places[i]));
        feed_number(digest, place_seat(trip->layout, claim->places[i]));
    }
    feed_text(digest, claim_customer(claim));
}

void trip_digest(const void *state, bt_digest *digest)
{
    const trip_state *trip = state;
    feed_number(digest, trip->version);
    if (trip->layout == NULL)
        return;
    feed_number(digest, trip->status);
    feed_text(digest, trip_reason(trip));
    feed_layout(digest, trip);
    size_t count;
    trip_claim **sorted = claims_sorted(&trip->claims, &count);
    feed_number(digest, (int64_t)count);
    for (size_t i = 0; i < count; i++)
        feed_claim(digest, trip, sorted[i]);
    bt_release(sorted);
    feed_number(digest, trip->claims.ended_count);
    for (const trip_claim *ended = trip->claims.ended_first; ended != NULL; ended = ended->ended_after)
        feed_claim(digest, trip, ended);
}
