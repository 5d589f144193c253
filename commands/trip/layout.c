/* layout - finds points, sections, classes and seats by name, and writes a layout's canonical bytes. */
#include "commands/trip/layout.h"

#include "commands/trip/bytes.h"
#include "schemas/trip.h"

static void put_section(bt_buf *out, const struct trip_section *section)
{
    put_text(out, section->name);
    put_text(out, section->class);
    put_number(out, (uint32_t)section->capacity);
    put_number(out, section->seats_count);
    uint32_t blocked_at = 0;
    for (uint32_t i = 0; i < section->seats_count; i++) {
        bool blocked = blocked_at < section->blocked_count && section->blocked[blocked_at] == (int32_t)i;
        blocked_at += blocked;
        put_number(out, section->seats[i].at == NULL ? 0 : section->seats[i].size << 1 | blocked);
        bt_buf_str(out, section->seats[i]);
    }
    /* Blocked seats are told in ascending order; one that was not met is none, and must not be lost silently. */
    put_number(out, section->blocked_count - blocked_at);
}

void layout_canonical(const struct trip_opened *opened, bt_buf *out)
{
    put_number(out, opened->points_count);
    int64_t now_us = opened->points_count > 0 ? opened->points[0].arrives_at : 0;
    for (uint32_t i = 0; i < opened->points_count; i++) {
        const struct trip_point *point = &opened->points[i];
        put_text(out, point->stop);
        /* Differences that are negative become numbers over the limit, and are refused when the bytes are read. */
        put_number(out, (uint64_t)point->arrives_at - (uint64_t)now_us);
        put_number(out, (uint64_t)point->departs_at - (uint64_t)point->arrives_at);
        put_number(out, (unsigned)point->board | (unsigned)point->alight << 1);
        now_us = point->departs_at;
    }
    put_number(out, opened->sections_count);
    for (uint32_t i = 0; i < opened->sections_count; i++)
        put_section(out, &opened->sections[i]);
}

/* "stop@index" without its index. */
static bt_str bare_stop(bt_str stop)
{
    const char *at = stop.size == 0 ? NULL : memchr(stop.at, '@', stop.size);
    return at == NULL ? stop : (bt_str){ stop.at, (size_t)(at - stop.at) };
}

int layout_point_by_stop(const trip_layout *layout, bt_str stop)
{
    int bare = LAYOUT_NOT_FOUND;
    for (int i = 0; i < layout->point_count; i++) {
        if (bt_str_equal(layout->points[i].stop, stop))
            return i;
        if (bt_str_equal(bare_stop(layout->points[i].stop), stop))
            bare = LAYOUT_AMBIGUOUS;
    }
    return bare;
}

int layout_section_by_name(const trip_layout *layout, bt_str name)
{
    for (int i = 0; i < layout->section_count; i++)
        if (bt_str_equal(layout->sections[i].name, name))
            return i;
    return LAYOUT_NOT_FOUND;
}

int layout_class_by_name(const trip_layout *layout, bt_str class)
{
    for (int i = 0; i < layout->section_count; i++)
        if (bt_str_equal(layout->sections[i].class, class))
            return layout->sections[i].class_index;
    return LAYOUT_NOT_FOUND;
}

int layout_slot_by_label(const trip_layout *layout, int section, bt_str label)
{
    uint64_t hash = bt_str_hash(label) + (uint64_t)section;
    for (uint64_t i = hash & layout->index_mask; layout->index[i] != 0; i = (i + 1) & layout->index_mask) {
        unsigned slot = layout->index[i] - 1U;
        if (layout->slots[slot].section == section && bt_str_equal(layout_label(layout, slot), label))
            return (int)slot;
    }
    return LAYOUT_NOT_FOUND;
}

bool place_find(const trip_layout *layout, int32_t section, int32_t seat, place_code *ret_place)
{
    if (section < 0 || section >= layout->section_count)
        return false;
    const layout_section *in = &layout->sections[section];
    if (in->capacity > 0) {
        *ret_place = (place_code)(PLACE_CAPACITY | (uint32_t)section);
        return seat == -1;
    }
    if (seat < 0 || seat >= in->slot_count || layout->slots[in->first_slot + seat].label_size == 0)
        return false;
    *ret_place = (place_code)(in->first_slot + seat);
    return true;
}
