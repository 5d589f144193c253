/* availability - see availability.h. Little-endian throughout, read byte by byte or by memcpy: the value is not aligned. */
#include "query-api/seats/availability.h"

#define FORMAT 1

static uint64_t le(const char *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)(uint8_t)at[i] << (8 * i);
    return value;
}

static void put_le(uint8_t *at, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static int segments_of(const qa_layout *layout) { return (int)layout->point_count - 1; }
static uint32_t mask_size_of(const qa_layout *layout) { return (uint32_t)(segments_of(layout) + 7) / 8; }
static size_t counters_at(const qa_layout *layout) { return QA_VALUE_HEADER + 4 * layout->seating->section_count; }
static size_t masks_at(const qa_layout *layout) { return counters_at(layout) + layout->seating->counted_count * (size_t)segments_of(layout) * 8; }
size_t qa_value_size(const qa_layout *layout) { return masks_at(layout) + layout->seating->entry_count * 2 * mask_size_of(layout); }

static bt_str tail(bt_str value, size_t from, size_t size)
{
    if (from >= value.size)
        return BT_STR("");
    return (bt_str){ value.at + from, size < value.size - from ? size : value.size - from };
}

bool qa_availability_read(bt_str value, const qa_layout *layout, qa_availability *ret_availability)
{
    const qa_seating *seating = layout->seating;
    if (value.size < counters_at(layout) || (uint8_t)value.at[0] != FORMAT || (uint8_t)value.at[1] > QA_TRIP_CANCELLED ||
        (uint8_t)value.at[2] != mask_size_of(layout) || (uint8_t)value.at[3] != segments_of(layout) || le(value.at + 4, 4) != seating->entry_count ||
        le(value.at + 8, 4) != seating->counted_count || le(value.at + 12, 4) != seating->section_count)
        return false;
    for (size_t s = 0; s < seating->section_count; s++)
        if (le(value.at + QA_VALUE_HEADER + 4 * s, 4) != seating->sections[s].entry_count)
            return false;
    *ret_availability = (qa_availability){ .status = (qa_trip_status)(uint8_t)value.at[1],
        .version = (int64_t)le(value.at + 16, 8),
        .mask_size = mask_size_of(layout),
        .segment_count = segments_of(layout),
        .counters = tail(value, counters_at(layout), masks_at(layout) - counters_at(layout)),
        .masks = tail(value, masks_at(layout), seating->entry_count * 2 * mask_size_of(layout)) };
    return true;
}

static uint64_t stretch_mask(int from, int to) { return ((UINT64_C(1) << to) - 1) & ~((UINT64_C(1) << from) - 1); }

static uint8_t state_of(uint64_t held, uint64_t booked) { return booked != 0 ? QA_STATE_BOOKED : held != 0 ? QA_STATE_HELD : QA_STATE_FREE; }

/* Of as many pairs as eight bytes can be read of each mask, which costs a fraction of reading just its own: a copy of unknown size is a call. */
static size_t states_of_words(const char *masks, size_t masks_size, size_t size, uint64_t stretch, uint8_t *ret_states)
{
    size_t count = masks_size < size + 8 ? 0 : (masks_size - size - 8) / (2 * size) + 1;
    for (size_t i = 0; i < count; i++, masks += 2 * size) {
        uint64_t held, booked; /* what the machines that this runs on have in the low end comes first: they are little-endian */
        memcpy(&held, masks, 8);
        memcpy(&booked, masks + size, 8);
        ret_states[i] = state_of(held & stretch, booked & stretch);
    }
    return count;
}

/* States by what is taken, before blocked seats are looked at. */
static void states_of_masks(const qa_availability *availability, uint64_t stretch, size_t entry_count, uint8_t *ret_states)
{
    size_t size = availability->mask_size, whole = availability->masks.size / (2 * size);
    const char *at = availability->masks.at;
    size_t quick = states_of_words(at, availability->masks.size, size, stretch, ret_states);
    at += quick * 2 * size;
    for (size_t i = quick; i < whole; i++, at += 2 * size)
        ret_states[i] = state_of(le(at, size) & stretch, le(at + size, size) & stretch);
    if (whole == entry_count)
        return;
    memset(ret_states + whole, QA_STATE_FREE, entry_count - whole);
    char last[16] = { 0 };
    size_t left = availability->masks.size - whole * 2 * size;
    if (left > 0) {
        memcpy(last, at, left);
        ret_states[whole] = state_of(le(last, size) & stretch, le(last + size, size) & stretch);
    }
}

/* Places left in the counted_index-th section of plain capacity: capacity less the fullest segment of the stretch. */
static int64_t counted_free(const qa_availability *availability, size_t counted_index, int64_t capacity, int from, int to)
{
    int64_t fullest = 0;
    for (int segment = from; segment < to; segment++) {
        size_t at = (counted_index * (size_t)availability->segment_count + (size_t)segment) * 8;
        char pair[8] = { 0 };
        if (at < availability->counters.size)
            memcpy(pair, availability->counters.at + at, availability->counters.size - at < 8 ? availability->counters.size - at : 8);
        int64_t taken = (int64_t)(le(pair, 4) + le(pair + 4, 4));
        fullest = taken > fullest ? taken : fullest;
    }
    return capacity > fullest ? capacity - fullest : 0;
}

int64_t qa_availability_states(const qa_availability *availability, const qa_layout *layout, int from, int to, uint8_t *ret_states,
    int64_t ret_section_free[QA_SECTIONS_MAX])
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "states_of_words copies masks into the low bytes of a word");
    const qa_seating *seating = layout->seating;
    bool open = availability->status == QA_TRIP_OPEN;
    int64_t free = 0;
    size_t counted = 0;
    states_of_masks(availability, stretch_mask(from, to), seating->entry_count, ret_states);
    for (size_t s = 0; s < seating->section_count; s++) {
        const qa_section *section = &seating->sections[s];
        int64_t left = 0;
        if (section->entry_count == 0)
            left = open ? counted_free(availability, counted++, section->capacity, from, to) : 0;
        for (uint32_t i = section->first_entry; i < section->first_entry + section->entry_count; i++) {
            uint8_t kind = seating->entries[i].kind;
            bool nobodys = ret_states[i] == QA_STATE_FREE, blocked = (kind == QA_ENTRY_BLOCKED) | (nobodys & !open);
            ret_states[i] = blocked ? QA_STATE_BLOCKED : ret_states[i]; /* without branches, which states at random would mislead */
            left += (kind == QA_ENTRY_SEAT) & nobodys & !blocked;
        }
        ret_section_free[s] = left;
        free += left;
    }
    return free;
}

void qa_value_begin(uint8_t *value, const qa_layout *layout, qa_trip_status status, int64_t version)
{
    const qa_seating *seating = layout->seating;
    value[0] = FORMAT;
    value[1] = (uint8_t)status;
    value[2] = (uint8_t)mask_size_of(layout);
    value[3] = (uint8_t)segments_of(layout);
    put_le(value + 4, 4, seating->entry_count);
    put_le(value + 8, 4, seating->counted_count);
    put_le(value + 12, 4, seating->section_count);
    put_le(value + 16, 8, (uint64_t)version);
    for (size_t s = 0; s < seating->section_count; s++)
        put_le(value + QA_VALUE_HEADER + 4 * s, 4, seating->sections[s].entry_count);
}

static void add_counted(uint8_t *value, const qa_layout *layout, size_t section, bool booked, int64_t from, int64_t to)
{
    size_t counted = 0;
    for (size_t s = 0; s < section; s++)
        counted += layout->seating->sections[s].entry_count == 0;
    for (int64_t segment = from; segment < to; segment++) {
        uint8_t *at = value + counters_at(layout) + (counted * (size_t)segments_of(layout) + (size_t)segment) * 8 + (booked ? 4 : 0);
        put_le(at, 4, le((const char *)at, 4) + 1);
    }
}

void qa_value_add(uint8_t *value, const qa_layout *layout, bool booked, int64_t from, int64_t to, const int32_t *pairs, int pair_count)
{
    if (from < 0 || to > segments_of(layout) || from >= to)
        return;
    uint32_t size = mask_size_of(layout);
    for (int i = 0; i < pair_count; i++) {
        int32_t section_index = pairs[2 * i], seat = pairs[2 * i + 1];
        if (section_index < 0 || (size_t)section_index >= layout->seating->section_count)
            continue;
        const qa_section *section = &layout->seating->sections[section_index];
        if (section->entry_count == 0) {
            add_counted(value, layout, (size_t)section_index, booked, from, to);
        } else if (seat >= 0 && (uint32_t)seat < section->entry_count) {
            uint8_t *at = value + masks_at(layout) + (section->first_entry + (size_t)seat) * 2 * size + (booked ? size : 0);
            put_le(at, size, le((const char *)at, size) | stretch_mask((int)from, (int)to));
        }
    }
}
