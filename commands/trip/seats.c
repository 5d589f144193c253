/* seats - taking, giving back, counting. The choice is in fit.c. */
#include "commands/trip/seats.h"

size_t seats_block_size(size_t slots, size_t words, size_t segments, size_t capacities)
{
    return (slots + words * segments) * sizeof(uint64_t) + capacities * segments * sizeof(uint32_t);
}

trip_seats seats_of(const trip_layout *layout, const uint64_t *block)
{
    uint64_t *at = (uint64_t *)(uintptr_t)block;
    uint64_t *of_word = at + layout->slot_count;
    return (trip_seats){ .layout = layout, .of_slot = at, .of_word = of_word,
        .used = (uint32_t *)(void *)(of_word + layout->word_count * layout->segment_count) };
}

void seats_close_unsold(const trip_layout *layout, uint64_t *block)
{
    trip_seats all = seats_of(layout, block);
    for (unsigned i = 0; i < layout->word_count * 64U; i++) {
        bool for_sale = i < layout->slot_count && layout->slots[i].label_size > 0 && !layout->slots[i].blocked;
        if (i < layout->slot_count)
            all.of_slot[i] = for_sale ? ~UINT64_C(0) << layout->segment_count : ~UINT64_C(0);
        for (unsigned segment = 0; !for_sale && segment < layout->segment_count; segment++)
            all.of_word[i / 64 * layout->segment_count + segment] |= UINT64_C(1) << i % 64;
    }
}

static uint64_t segments_of(trip_stretch on) { return ((UINT64_C(1) << (on.to - on.from)) - 1) << on.from; }

static uint32_t *used_of(const trip_seats *seats, place_code place)
{
    return seats->used + seats->layout->sections[place & ~PLACE_CAPACITY].capacity_index * seats->layout->segment_count;
}

bool seats_are_free(const trip_seats *seats, place_code place, trip_stretch on, uint32_t count)
{
    if (!place_is_capacity(place))
        return (seats->of_slot[place] & segments_of(on)) == 0;
    const uint32_t *used = used_of(seats, place);
    uint32_t capacity = seats->layout->sections[place & ~PLACE_CAPACITY].capacity;
    for (unsigned segment = on.from; segment < on.to; segment++)
        if (capacity - used[segment] < count)
            return false;
    return true;
}

/* take: -1 gives back. */
static void change(const trip_seats *seats, place_code place, trip_stretch on, int take, bt_undo *undo)
{
    if (place_is_capacity(place)) {
        uint32_t *used = used_of(seats, place);
        bt_undo_save(undo, used + on.from, (size_t)(on.to - on.from) * sizeof *used);
        for (unsigned segment = on.from; segment < on.to; segment++)
            used[segment] += (uint32_t)take;
        return;
    }
    uint64_t *row = seats->of_word + place / 64 * seats->layout->segment_count;
    bt_undo_save(undo, row + on.from, (size_t)(on.to - on.from) * sizeof *row);
    for (unsigned segment = on.from; segment < on.to; segment++)
        row[segment] ^= UINT64_C(1) << place % 64;
    bt_undo_save(undo, &seats->of_slot[place], sizeof seats->of_slot[place]);
    seats->of_slot[place] ^= segments_of(on);
}

void seats_take(const trip_seats *seats, place_code place, trip_stretch on, bt_undo *undo)
{
    bt_assert(seats_are_free(seats, place, on, 1));
    change(seats, place, on, 1, undo);
}

void seats_give_back(const trip_seats *seats, place_code place, trip_stretch on, bt_undo *undo)
{
    bt_assert(place_is_capacity(place) || (~seats->of_slot[place] & segments_of(on)) == 0);
    change(seats, place, on, -1, undo);
}
