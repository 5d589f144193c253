/* layout - what never changes of a trip: its points and its sections of seats, and how one finds them by name.
 *
 * Times are kept relative to the trip's first arrival, so that a timetable's trip of every day shares one layout (the
 * feed in data/: 118,637 trips, 1,339 layouts). Layouts are interned by their canonical bytes, counted, and
 * never change; the pool behind them may be used from any thread, for owners of several partitions may run on
 * several. What only people read (names of trip and stops, time zone) is in the events and not kept.
 *
 * Seats stand in one row of slots: the lists of all sections one after the other, aisles included, and after each
 * section one slot that is no seat. So neighbours are neighbouring slots, and no run of seats crosses a section.
 * Slots that are not for sale (aisles, ends, blocked seats) are taken on every segment for ever. */
#ifndef BERTH_COMMANDS_TRIP_LAYOUT_H
#define BERTH_COMMANDS_TRIP_LAYOUT_H

#include "commands/trip/trip.h"

#define LAYOUT_SLOTS_MAX (TRIP_LISTED_MAX + TRIP_SECTIONS_MAX)
#define LAYOUT_WORDS_MAX ((LAYOUT_SLOTS_MAX + 63) / 64)
#define LAYOUT_TEXT_MAX 90 /* bytes of a stop, a section's or a class's name */

typedef struct layout_point {
    bt_str stop;
    int64_t arrives_us, departs_us; /* after the first arrival */
    bool board, alight;
} layout_point;

typedef struct layout_section {
    bt_str name, class;
    uint32_t capacity;       /* 0 where seats are listed */
    uint16_t first_slot, slot_count; /* of the list; the closing slot not counted */
    uint8_t class_index;     /* into class_slots */
    uint8_t capacity_index;  /* which section of plain capacity */
} layout_section;

typedef struct layout_slot {
    uint32_t label_at; /* into text; a seat has a label, an aisle or end none */
    uint8_t label_size;
    bool blocked;
    uint8_t section;
} layout_slot;

typedef struct trip_layout trip_layout;
struct trip_layout {
    trip_layout *next_in_bucket;
    uint64_t hash;
    uint32_t reference_count;
    uint32_t size; /* of all, in bytes */
    uint8_t point_count, segment_count, section_count, class_count, capacity_count;
    uint16_t slot_count, word_count; /* words of 64 slots */
    uint16_t index_mask;
    uint32_t block_size; /* bytes of a seats block */
    const layout_point *points;
    const layout_section *sections;
    const layout_slot *slots;
    const uint16_t *index;       /* open addressing by section and label: slot + 1, or 0 */
    const uint64_t *class_slots; /* [class * word_count + word]: the slots of its sections */
    const uint64_t *untouched;   /* the seats block of a trip that has sold nothing */
    bt_bytes canonical;
};

struct trip_opened;

/* Appends the canonical bytes of what an event says. */
void layout_canonical(const struct trip_opened *opened, bt_buf *out);

/* The layout of canonical bytes, with one reference more. NULL (BT_ERR_FATAL) if they are none, or break a limit. */
trip_layout *layout_intern(bt_bytes canonical, bt_err *err);
void layout_release(void *at);

#define LAYOUT_NOT_FOUND (-1)
#define LAYOUT_AMBIGUOUS (-2)
/* Index of the point; AMBIGUOUS for the bare name of a stop that is visited twice. */
int layout_point_by_stop(const trip_layout *layout, bt_str stop);
int layout_section_by_name(const trip_layout *layout, bt_str name);
int layout_class_by_name(const trip_layout *layout, bt_str class);
int layout_slot_by_label(const trip_layout *layout, int section, bt_str label);

static inline bt_str layout_label(const trip_layout *layout, unsigned slot)
{
    return (bt_str){ (const char *)layout->canonical.at + layout->slots[slot].label_at, layout->slots[slot].label_size };
}

/* A place as claims keep it: a slot, or, in a section of plain capacity, the section. */
typedef uint16_t place_code;
#define PLACE_CAPACITY 0x8000U
static inline bool place_is_capacity(place_code place) { return (place & PLACE_CAPACITY) != 0; }
static inline unsigned place_section(const trip_layout *layout, place_code place)
{
    return place_is_capacity(place) ? place & ~PLACE_CAPACITY : layout->slots[place].section;
}
/* Index in the section's list, as events tell it; -1 in a section of plain capacity. */
static inline int place_seat(const trip_layout *layout, place_code place)
{
    return place_is_capacity(place) ? -1 : place - layout->sections[layout->slots[place].section].first_slot;
}
/* False if there is no such seat. Blocked seats are found. */
bool place_find(const trip_layout *layout, int32_t section, int32_t seat, place_code *ret_place);

/* From one point to a later one: the segments from .. to - 1. */
typedef struct trip_stretch {
    uint8_t from, to;
} trip_stretch;

#endif
