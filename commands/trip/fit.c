/* fit - the choice of seats: the tightest gap first, together if wished.
 *
 * Free seats of a stretch are found 64 at a time; only those are then looked at one by one, and none of them if a seat
 * fits its gap exactly. On a trip that is nearly full, where the crowd is, hardly any are left to look at. */
#include "commands/trip/seats.h"

/* The seats free on a whole stretch, a bit a slot. */
typedef struct free_seats {
    uint64_t words[LAYOUT_WORDS_MAX];
} free_seats;

static uint64_t free_word(const trip_seats *seats, trip_stretch on, int class, unsigned word)
{
    const uint64_t *row = seats->of_word + word * seats->layout->segment_count;
    uint64_t taken = 0;
    for (unsigned segment = on.from; segment < on.to; segment++)
        taken |= row[segment];
    return class == CLASS_ANY ? ~taken : ~taken & seats->layout->class_slots[(unsigned)class * seats->layout->word_count + word];
}

static void find_free(const trip_seats *seats, trip_stretch on, int class, free_seats *ret_free)
{
    for (unsigned word = 0; word < seats->layout->word_count; word++)
        ret_free->words[word] = free_word(seats, on, class, word);
}

static uint32_t free_capacity(const trip_seats *seats, unsigned section, trip_stretch on)
{
    const uint32_t *used = seats->used + seats->layout->sections[section].capacity_index * seats->layout->segment_count;
    uint32_t most = 0;
    for (unsigned segment = on.from; segment < on.to; segment++)
        most = used[segment] > most ? used[segment] : most;
    return seats->layout->sections[section].capacity - most;
}

static bool is_capacity_of(const trip_layout *layout, unsigned section, int class)
{
    return layout->sections[section].capacity > 0 && (class == CLASS_ANY || layout->sections[section].class_index == class);
}

uint64_t seats_count_free(const trip_seats *seats, trip_stretch on, int class)
{
    uint64_t count = 0;
    for (unsigned word = 0; word < seats->layout->word_count; word++)
        count += (uint64_t)__builtin_popcountll(free_word(seats, on, class, word));
    for (unsigned section = 0; seats->layout->capacity_count > 0 && section < seats->layout->section_count; section++)
        if (is_capacity_of(seats->layout, section, class))
            count += free_capacity(seats, section, on);
    return count;
}

/* Calls for each set bit in ascending order: for (each slot). */
#define EACH_FREE(layout, free, word, bits, slot) \
    for (unsigned word = 0; word < (layout)->word_count; word++) \
        for (uint64_t bits = (free)->words[word]; bits != 0; bits &= bits - 1) \
            for (unsigned slot = word * 64 + (unsigned)__builtin_ctzll(bits), once_ = 1; once_; once_ = 0)

unsigned seats_longest_run(const trip_seats *seats, trip_stretch on, int class)
{
    free_seats free;
    find_free(seats, on, class, &free);
    unsigned longest = 0, run = 0, after = LAYOUT_SLOTS_MAX;
    EACH_FREE(seats->layout, &free, word, bits, slot) {
        run = slot == after ? run + 1 : 1;
        after = slot + 1;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* Free segments before and after the stretch, which would be cut off by selling it: 0 is a perfect fit. */
static inline unsigned waste_of(uint64_t taken, trip_stretch on)
{
    uint64_t before = taken & ((UINT64_C(1) << on.from) - 1);
    unsigned left = before == 0 ? on.from : on.from - (64U - (unsigned)__builtin_clzll(before));
    return left + (unsigned)__builtin_ctzll(taken >> on.to); /* bit 63 is always set: a gap always ends */
}

/* The first seat in list order whose gap is the stretch exactly. */
static bool find_perfect(const trip_seats *seats, trip_stretch on, const free_seats *free, place_code *ret_place)
{
    const trip_layout *layout = seats->layout;
    for (unsigned word = 0; word < layout->word_count; word++) {
        const uint64_t *row = seats->of_word + word * layout->segment_count;
        uint64_t fits = free->words[word];
        fits &= on.from == 0 ? ~UINT64_C(0) : row[on.from - 1];
        fits &= on.to == layout->segment_count ? ~UINT64_C(0) : row[on.to];
        if (fits == 0)
            continue;
        *ret_place = (place_code)(word * 64 + (unsigned)__builtin_ctzll(fits));
        return true;
    }
    return false;
}

static bool choose_one(const trip_seats *seats, trip_stretch on, const free_seats *free, place_code *ret_place)
{
    if (find_perfect(seats, on, free, ret_place))
        return true;
    unsigned least = TRIP_POINTS_MAX;
    EACH_FREE(seats->layout, free, word, bits, slot) {
        unsigned waste = waste_of(seats->of_slot[slot], on);
        if (waste < least) {
            least = waste;
            *ret_place = (place_code)slot;
        }
    }
    return least < TRIP_POINTS_MAX;
}

/* The run of count neighbours with the least waste in all; the first of equals. A window slides over each free run. */
static bool choose_run(const trip_seats *seats, trip_stretch on, unsigned count, const free_seats *free, place_code *ret_places)
{
    unsigned wastes[TRIP_PLACES_MAX]; /* of the window: slot % count */
    unsigned run = 0, after = LAYOUT_SLOTS_MAX, sum = 0, least = UINT32_MAX, first = 0;
    EACH_FREE(seats->layout, free, word, bits, slot) {
        if (slot != after)
            run = sum = 0;
        after = slot + 1;
        unsigned waste = waste_of(seats->of_slot[slot], on);
        sum += waste - (run >= count ? wastes[slot % count] : 0);
        wastes[slot % count] = waste;
        if (++run >= count && sum < least) {
            least = sum;
            first = slot + 1 - count;
        }
    }
    if (least == UINT32_MAX)
        return false;
    for (unsigned i = 0; i < count; i++)
        ret_places[i] = (place_code)(first + i);
    return true;
}

/* The count tightest, wherever they are: an insertion into a short sorted list. Returns how many there were. */
static unsigned choose_apart(const trip_seats *seats, trip_stretch on, unsigned count, const free_seats *free, place_code *ret_places)
{
    uint8_t wastes[TRIP_PLACES_MAX];
    unsigned found = 0;
    EACH_FREE(seats->layout, free, word, bits, slot) {
        unsigned waste = waste_of(seats->of_slot[slot], on);
        if (found == count && waste >= wastes[count - 1])
            continue;
        unsigned to = found < count ? found++ : count - 1;
        for (; to > 0 && wastes[to - 1] > waste; to--) {
            wastes[to] = wastes[to - 1];
            ret_places[to] = ret_places[to - 1];
        }
        wastes[to] = (uint8_t)waste;
        ret_places[to] = (place_code)slot;
    }
    return found;
}

static unsigned choose_capacity(const trip_seats *seats, trip_stretch on, int class, unsigned count, place_code *ret_places)
{
    unsigned found = 0;
    for (unsigned section = 0; found < count && section < seats->layout->section_count; section++) {
        if (!is_capacity_of(seats->layout, section, class))
            continue;
        for (uint32_t left = free_capacity(seats, section, on); left > 0 && found < count; left--)
            ret_places[found++] = (place_code)(PLACE_CAPACITY | section);
    }
    return found;
}

static void sort_places(const trip_layout *layout, place_code *places, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        place_code place = places[i];
        unsigned section = place_section(layout, place), to = i;
        for (; to > 0; to--) {
            unsigned other = place_section(layout, places[to - 1]);
            if (other < section || (other == section && places[to - 1] <= place))
                break;
            places[to] = places[to - 1];
        }
        places[to] = place;
    }
}

trip_fit seats_choose(const trip_seats *seats, trip_stretch on, int class, unsigned count, trip_together together, place_code *ret_places)
{
    free_seats free;
    find_free(seats, on, class, &free);
    if (count == 1 && choose_one(seats, on, &free, ret_places))
        return CHOSEN;
    if (count > 1 && together != TOGETHER_IGNORED && choose_run(seats, on, count, &free, ret_places))
        return CHOSEN;
    if (together == TOGETHER_REQUIRED && count > 1)
        return seats_count_free(seats, on, class) < count ? CHOSEN_SOLD_OUT : CHOSEN_NOT_TOGETHER;
    unsigned found = count == 1 ? 0 : choose_apart(seats, on, count, &free, ret_places);
    found += choose_capacity(seats, on, class, count - found, ret_places + found);
    if (found < count)
        return CHOSEN_SOLD_OUT;
    sort_places(seats->layout, ret_places, count);
    return CHOSEN;
}
