/* pool - builds layouts from their canonical bytes, which it trusts in nothing, and shares equal ones. */
#include "commands/trip/bytes.h"
#include "commands/trip/layout.h"
#include "commands/trip/seats.h"
#include "core/memory.h"

#include <stdatomic.h>

#define BUCKET_COUNT 4096

/* The one thing in a decider that outlives a stream. A spin lock, because it is held for a list of about one entry, a
 * few times in a trip's life; and so that the decider needs nothing but the language. */
static struct {
    atomic_flag busy;
    trip_layout *buckets[BUCKET_COUNT];
    size_t count, bytes;
} pool = { .busy = ATOMIC_FLAG_INIT };

static void pool_lock(void)
{
    while (atomic_flag_test_and_set_explicit(&pool.busy, memory_order_acquire))
        ;
}

static void pool_unlock(void) { atomic_flag_clear_explicit(&pool.busy, memory_order_release); }

/* Counts of what the bytes hold, from a first pass over them. */
typedef struct layout_sizes {
    size_t points, sections, slots, seats, capacities;
} layout_sizes;

/* Where the second pass writes. */
typedef struct layout_parts {
    layout_point *points;
    layout_section *sections;
    layout_slot *slots;
    uint16_t *index;
    uint64_t *class_slots, *untouched;
    uint8_t *canonical;
} layout_parts;

static void read_points(byte_reader *reader, layout_sizes *sizes, layout_parts *to)
{
    const uint64_t duration_max = INT64_C(366) * 86400 * 1000000;
    sizes->points = (size_t)take_number(reader, TRIP_POINTS_MAX);
    reader->failed = reader->failed || sizes->points < 2;
    uint64_t at_us = 0;
    for (size_t i = 0; i < sizes->points && !reader->failed; i++) {
        layout_point point = { .stop = take_text(reader, LAYOUT_TEXT_MAX) };
        point.arrives_us = (int64_t)(at_us += take_number(reader, duration_max));
        point.departs_us = (int64_t)(at_us += take_number(reader, duration_max));
        uint64_t flags = take_number(reader, 3);
        point.board = flags & 1;
        point.alight = flags >> 1;
        reader->failed = reader->failed || point.stop.size == 0;
        if (to != NULL)
            to->points[i] = point;
    }
}

static void read_slots(byte_reader *reader, layout_sizes *sizes, layout_parts *to, const uint8_t *text, size_t section, size_t count)
{
    for (size_t i = 0; i < count && !reader->failed; i++, sizes->slots++) {
        uint64_t size_and_blocked = take_number(reader, UINT8_MAX);
        bt_str label = take_run(reader, (size_t)size_and_blocked >> 1);
        sizes->seats += label.size > 0;
        reader->failed = reader->failed || size_and_blocked == 1;
        if (to != NULL)
            to->slots[sizes->slots] = (layout_slot){ .label_at = label.size > 0 ? (uint32_t)((const uint8_t *)label.at - text) : 0,
                .label_size = (uint8_t)label.size, .blocked = size_and_blocked & 1, .section = (uint8_t)section };
    }
}

static void read_sections(byte_reader *reader, layout_sizes *sizes, layout_parts *to, const uint8_t *text)
{
    sizes->sections = (size_t)take_number(reader, TRIP_SECTIONS_MAX);
    reader->failed = reader->failed || sizes->sections < 1;
    for (size_t i = 0; i < sizes->sections && !reader->failed; i++) {
        layout_section section = { .name = take_text(reader, LAYOUT_TEXT_MAX), .class = take_text(reader, LAYOUT_TEXT_MAX) };
        section.capacity = (uint32_t)take_number(reader, TRIP_CAPACITY_MAX);
        section.slot_count = (uint16_t)take_number(reader, TRIP_LISTED_MAX);
        section.first_slot = (uint16_t)sizes->slots;
        section.capacity_index = (uint8_t)sizes->capacities;
        sizes->capacities += section.capacity > 0;
        bool fits = (section.capacity > 0) != (section.slot_count > 0) && sizes->slots + section.slot_count + 1U <= LAYOUT_SLOTS_MAX;
        reader->failed = reader->failed || !fits;
        read_slots(reader, sizes, to, text, i, section.slot_count);
        reader->failed = reader->failed || take_number(reader, 0) != 0;
        if (section.slot_count > 0) {
            if (to != NULL && !reader->failed)
                to->slots[sizes->slots] = (layout_slot){ .section = (uint8_t)i };
            sizes->slots++;
        }
        if (to != NULL)
            to->sections[i] = section;
    }
    reader->failed = reader->failed || sizes->seats > TRIP_SEATS_MAX;
}

static bool measure(bt_bytes canonical, layout_sizes *ret_sizes)
{
    byte_reader reader = { canonical.at, canonical.at + canonical.size, false };
    *ret_sizes = (layout_sizes){ 0 };
    read_points(&reader, ret_sizes, NULL);
    read_sections(&reader, ret_sizes, NULL, canonical.at);
    return !reader.failed && reader.at == reader.end;
}

static void index_classes(trip_layout *layout, layout_section *sections, uint64_t *class_slots)
{
    for (unsigned i = 0; i < layout->section_count; i++) {
        unsigned first = 0;
        while (!bt_str_equal(sections[first].class, sections[i].class))
            first++;
        sections[i].class_index = first < i ? sections[first].class_index : layout->class_count++;
        uint64_t *words = class_slots + sections[i].class_index * layout->word_count;
        for (unsigned slot = sections[i].first_slot; slot < sections[i].first_slot + (unsigned)sections[i].slot_count; slot++)
            words[slot / 64] |= UINT64_C(1) << slot % 64;
    }
}

/* False if two seats of a section share a label, two sections a name or two points a stop. */
static bool index_names(trip_layout *layout, uint16_t *index)
{
    for (unsigned i = 0; i < layout->point_count; i++)
        for (unsigned j = 0; j < i; j++)
            if (bt_str_equal(layout->points[i].stop, layout->points[j].stop))
                return false;
    for (unsigned i = 0; i < layout->section_count; i++)
        if (layout_section_by_name(layout, layout->sections[i].name) != (int)i)
            return false;
    for (unsigned slot = 0; slot < layout->slot_count; slot++) {
        if (layout->slots[slot].label_size == 0)
            continue;
        if (layout_slot_by_label(layout, layout->slots[slot].section, layout_label(layout, slot)) >= 0)
            return false;
        uint64_t i = (bt_str_hash(layout_label(layout, slot)) + layout->slots[slot].section) & layout->index_mask;
        while (index[i] != 0)
            i = (i + 1) & layout->index_mask;
        index[i] = (uint16_t)(slot + 1);
    }
    return true;
}

/* Takes the next part of a block that is being laid out; the first pass, without a block, only counts. */
static void *part(uint8_t *block, size_t *size, size_t part_size)
{
    void *at = block == NULL ? NULL : block + *size;
    *size += (part_size + 15) & ~(size_t)15;
    return at;
}

/* Where everything lies in the one block of a layout. Returns the size of all. */
static size_t lay_out(uint8_t *block, const layout_sizes *sizes, bt_bytes canonical, trip_layout *ret_layout, layout_parts *ret_parts)
{
    size_t words = (sizes->slots + 63) / 64, segments = sizes->points - 1, index_count = 16, size = 0;
    while (index_count < 2 * sizes->seats)
        index_count *= 2;
    size_t block_size = seats_block_size(sizes->slots, words, segments, sizes->capacities);
    part(block, &size, sizeof(trip_layout));
    ret_parts->points = part(block, &size, sizes->points * sizeof(layout_point));
    ret_parts->sections = part(block, &size, sizes->sections * sizeof(layout_section));
    ret_parts->slots = part(block, &size, sizes->slots * sizeof(layout_slot));
    ret_parts->index = part(block, &size, index_count * sizeof(uint16_t));
    ret_parts->class_slots = part(block, &size, sizes->sections * words * sizeof(uint64_t));
    ret_parts->untouched = part(block, &size, block_size);
    ret_parts->canonical = part(block, &size, canonical.size);
    *ret_layout = (trip_layout){ .reference_count = 1, .point_count = (uint8_t)sizes->points, .segment_count = (uint8_t)segments,
        .section_count = (uint8_t)sizes->sections, .capacity_count = (uint8_t)sizes->capacities, .slot_count = (uint16_t)sizes->slots,
        .word_count = (uint16_t)words, .index_mask = (uint16_t)(index_count - 1), .block_size = (uint32_t)block_size,
        .points = ret_parts->points, .sections = ret_parts->sections, .slots = ret_parts->slots, .index = ret_parts->index,
        .class_slots = ret_parts->class_slots, .untouched = ret_parts->untouched,
        .canonical = { ret_parts->canonical, canonical.size }, .size = (uint32_t)size };
    return size;
}

/* One block for all: the layout, its arrays, a copy of the bytes that its texts point into. NULL if names repeat. */
static trip_layout *build(bt_bytes canonical, uint64_t hash, const layout_sizes *sizes)
{
    trip_layout measured;
    layout_parts parts;
    trip_layout *made = bt_alloc(lay_out(NULL, sizes, canonical, &measured, &parts));
    lay_out((uint8_t *)made, sizes, canonical, &measured, &parts);
    *made = measured;
    made->hash = hash;
    memcpy(parts.canonical, canonical.at, canonical.size);
    byte_reader reader = { parts.canonical, parts.canonical + canonical.size, false };
    layout_sizes again = { 0 };
    read_points(&reader, &again, &parts);
    read_sections(&reader, &again, &parts, parts.canonical);
    index_classes(made, parts.sections, parts.class_slots);
    if (!index_names(made, parts.index)) {
        bt_release(made);
        return NULL;
    }
    seats_close_unsold(made, parts.untouched);
    return made;
}

static bool has_bytes(const trip_layout *layout, bt_bytes canonical)
{
    return layout->canonical.size == canonical.size && memcmp(layout->canonical.at, canonical.at, canonical.size) == 0;
}

static trip_layout *find(uint64_t hash, bt_bytes canonical)
{
    trip_layout *at = pool.buckets[hash % BUCKET_COUNT];
    while (at != NULL && (at->hash != hash || !has_bytes(at, canonical)))
        at = at->next_in_bucket;
    return at;
}

/* The one in the pool, with a reference more, or NULL after putting in made, if that is given. */
static trip_layout *find_or_put(uint64_t hash, bt_bytes canonical, trip_layout *made)
{
    pool_lock();
    trip_layout *found = find(hash, canonical);
    if (found != NULL) {
        found->reference_count++;
    } else if (made != NULL) {
        made->next_in_bucket = pool.buckets[hash % BUCKET_COUNT];
        pool.buckets[hash % BUCKET_COUNT] = made;
        pool.count++;
        pool.bytes += made->size;
    }
    pool_unlock();
    return found;
}

trip_layout *layout_intern(bt_bytes canonical, bt_err *err)
{
    uint64_t hash = bt_str_hash((bt_str){ (const char *)canonical.at, canonical.size });
    trip_layout *found = find_or_put(hash, canonical, NULL);
    if (found != NULL)
        return found;
    layout_sizes sizes;
    trip_layout *made = measure(canonical, &sizes) ? build(canonical, hash, &sizes) : NULL;
    if (made == NULL) {
        bt_fail(err, BT_ERR_FATAL, 0, "the trip's points or sections break a limit, or name something twice");
        return NULL;
    }
    found = find_or_put(hash, canonical, made);
    if (found == NULL)
        return made;
    bt_release(made); /* another thread was first */
    return found;
}

void layout_release(void *at)
{
    trip_layout *released = at;
    if (released == NULL)
        return;
    pool_lock();
    bool last = --released->reference_count == 0;
    if (last) {
        trip_layout **link = &pool.buckets[released->hash % BUCKET_COUNT];
        while (*link != released)
            link = &(*link)->next_in_bucket;
        *link = released->next_in_bucket;
        pool.count--;
        pool.bytes -= released->size;
    }
    pool_unlock();
    if (last)
        bt_release(released);
}

size_t trip_layout_bytes(size_t *ret_layout_count)
{
    pool_lock();
    size_t bytes = pool.bytes;
    *ret_layout_count = pool.count;
    pool_unlock();
    return bytes;
}
