/* map - see map.h. States are found in a first pass, so that the counts stand before the seats, where a person sees them. */
#include "query-api/seats/map.h"

static const struct {
    char text[10];
    uint8_t size;
} state_ends[] = {
    [QA_STATE_FREE] = { "free\"}", 6 },
    [QA_STATE_HELD] = { "held\"}", 6 },
    [QA_STATE_BOOKED] = { "booked\"}", 8 },
    [QA_STATE_BLOCKED] = { "blocked\"}", 9 },
};

static const char *const status_names[] = { [QA_TRIP_OPEN] = "open", [QA_TRIP_CLOSED] = "closed", [QA_TRIP_CANCELLED] = "cancelled" };

/* One reservation for all seats, then plain copies into it, of constant size where that is enough: a copy of unknown size is a call. What is too much is
 * overwritten by what follows. */
static void write_seats(bt_buf *json, const qa_seating *seating, const uint8_t *states)
{
    bt_json_open(json, "seats", '[');
    uint8_t *from = bt_buf_reserve(json, seating->texts_size + seating->entry_count * 10 + QA_TEXTS_PADDING), *to = from;
    if (from == NULL)
        return;
    for (size_t i = 0; i < seating->entry_count; i++) {
        const qa_entry *entry = &seating->entries[i];
        if (entry->text_size == 0)
            continue;
        if (to != from)
            *to++ = ',';
        if (entry->text_size <= QA_TEXTS_PADDING)
            memcpy(to, seating->texts + entry->text_at, QA_TEXTS_PADDING);
        else
            memcpy(to, seating->texts + entry->text_at, entry->text_size);
        to += entry->text_size;
        memcpy(to, state_ends[states[i]].text, 9); /* the longest */
        to += state_ends[states[i]].size;
    }
    bt_buf_advance(json, (size_t)(to - from));
    bt_json_close(json, ']');
}

static void write_sections(bt_buf *json, const qa_seating *seating, const int64_t *section_free)
{
    bt_json_open(json, "sections", '[');
    for (size_t s = 0; s < seating->section_count; s++) {
        const qa_section *section = &seating->sections[s];
        bt_json_open(json, NULL, '{');
        bt_json_raw(json, "name", section->name_json);
        bt_json_raw(json, "class", section->class_json);
        bt_json_bool(json, "numbered", section->entry_count > 0);
        bt_json_i64(json, "capacity", section->entry_count > 0 ? section->seat_count : section->capacity);
        bt_json_i64(json, "free", section_free[s]);
        bt_json_close(json, '}');
    }
    bt_json_close(json, ']');
}

void qa_map_write(bt_buf *json, const qa_layout *layout, const qa_availability *availability, int from, int to, uint8_t *states)
{
    int64_t section_free[QA_SECTIONS_MAX];
    int64_t free = qa_availability_states(availability, layout, from, to, states, section_free);
    bt_json_open(json, NULL, '{');
    bt_json_raw(json, "trip", layout->trip_json);
    bt_json_raw(json, "from", layout->points[from].stop_json);
    bt_json_raw(json, "to", layout->points[to].stop_json);
    bt_json_str(json, "status", bt_str_of(status_names[availability->status]));
    bt_json_i64(json, "version", availability->version);
    bt_json_i64(json, "free", free);
    write_sections(json, layout->seating, section_free);
    write_seats(json, layout->seating, states);
    bt_json_close(json, '}');
}
