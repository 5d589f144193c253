/* seating - see seating.h. Labels and names are copied from JSON to JSON as they stand: never decoded, so never encoded wrongly. */
#include "query-api/layout/seating.h"

#include "core/buf.h"
#include "core/digest.h"
#include "query-api/server/json_text.h"

#include <stdatomic.h>

#define TEXTS_MAX ((size_t)64 << 20)

static size_t items_of(bt_str array)
{
    size_t count = 0;
    qa_json_walk walk = qa_json_begin(array);
    for (bt_str key, value; qa_json_next(&walk, &key, &value);)
        count++;
    return count;
}

static bt_str member_or(bt_str object, const char *name, bt_str fallback)
{
    bt_str value;
    return qa_json_member(object, name, &value) ? value : fallback;
}

/* What making one needs along the way. */
typedef struct seating_builder {
    qa_seating *seating;
    qa_entry *entries;
    bt_str *labels;
    bt_buf texts;
} seating_builder;

static void add_entry(seating_builder *builder, uint8_t section_index, bt_str label)
{
    qa_seating *seating = builder->seating;
    const qa_section *section = &seating->sections[section_index];
    qa_entry *entry = &builder->entries[seating->entry_count];
    *entry = (qa_entry){ .kind = QA_ENTRY_AISLE, .section = section_index };
    if (label.size > 0 && label.at[0] == '"') {
        builder->labels[seating->entry_count] = label;
        size_t from = builder->texts.size;
        bt_buf_text(&builder->texts, "{\"section\":");
        bt_buf_str(&builder->texts, section->name_json);
        bt_buf_text(&builder->texts, ",\"seat\":");
        bt_buf_str(&builder->texts, label);
        bt_buf_text(&builder->texts, ",\"class\":");
        bt_buf_str(&builder->texts, section->class_json);
        bt_buf_text(&builder->texts, ",\"state\":\"");
        *entry = (qa_entry){ .text_at = (uint32_t)from, .text_size = (uint16_t)(builder->texts.size - from), .kind = QA_ENTRY_SEAT, .section = section_index };
    }
    seating->entry_count++;
}

static void add_section(seating_builder *builder, bt_str text)
{
    qa_seating *seating = builder->seating;
    uint8_t index = (uint8_t)seating->section_count++;
    qa_section *section = &seating->sections[index];
    *section = (qa_section){ .name_json = member_or(text, "name", BT_STR("\"\"")),
        .class_json = member_or(text, "class", BT_STR("\"\"")),
        .first_entry = (uint32_t)seating->entry_count,
        .capacity = qa_json_number(member_or(text, "capacity", BT_STR("0")), 0) };
    qa_json_walk seats = qa_json_begin(member_or(text, "seats", BT_STR("[]")));
    for (bt_str key, label; qa_json_next(&seats, &key, &label);)
        add_entry(builder, index, label);
    section->entry_count = (uint32_t)seating->entry_count - section->first_entry;
    for (uint32_t i = 0; i < section->entry_count; i++)
        section->seat_count += builder->entries[section->first_entry + i].kind != QA_ENTRY_AISLE;
    seating->counted_count += section->entry_count == 0;
    qa_json_walk blocked = qa_json_begin(member_or(text, "blocked", BT_STR("[]")));
    for (bt_str key, value; qa_json_next(&blocked, &key, &value);) {
        int64_t at = qa_json_number(value, -1);
        if (at >= 0 && at < section->entry_count && builder->entries[section->first_entry + at].kind == QA_ENTRY_SEAT)
            builder->entries[section->first_entry + at].kind = QA_ENTRY_BLOCKED;
    }
}

/* The section's list of seats, or of its blocked ones alone. */
static void write_labels(const seating_builder *builder, const qa_section *section, const char *name, bool blocked_only, bt_buf *json)
{
    bt_json_open(json, name, '[');
    for (uint32_t i = section->first_entry; i < section->first_entry + section->entry_count; i++)
        if (!blocked_only || builder->entries[i].kind == QA_ENTRY_BLOCKED)
            bt_json_raw(json, NULL, builder->entries[i].kind == QA_ENTRY_AISLE ? BT_STR("null") : builder->labels[i]);
    bt_json_close(json, ']');
}

/* As POST /v1/trips takes them: blocked by label, capacity only where there are no seats. */
static void write_sections(const seating_builder *builder, bt_buf *json)
{
    const qa_seating *seating = builder->seating;
    bt_json_open(json, NULL, '[');
    for (size_t s = 0; s < seating->section_count; s++) {
        const qa_section *section = &seating->sections[s];
        bt_json_open(json, NULL, '{');
        bt_json_raw(json, "name", section->name_json);
        bt_json_raw(json, "class", section->class_json);
        if (section->entry_count == 0) {
            bt_json_i64(json, "capacity", section->capacity);
        } else {
            write_labels(builder, section, "seats", false, json);
            write_labels(builder, section, "blocked", true, json);
        }
        bt_json_close(json, '}');
    }
    bt_json_close(json, ']');
}

/* Sizes the arrays by one walk before, so that nothing grows. False: more than a trip can have. */
static bool reserve(seating_builder *builder, bt_str sections, bt_err *err)
{
    size_t section_count = 0, entry_count = 0;
    qa_json_walk walk = qa_json_begin(sections);
    for (bt_str key, section; qa_json_next(&walk, &key, &section); section_count++)
        entry_count += items_of(member_or(section, "seats", BT_STR("[]")));
    if (section_count == 0 || section_count > QA_SECTIONS_MAX || entry_count > QA_ENTRIES_MAX)
        return bt_fail(err, BT_ERR_FATAL, 0, "a layout with %zu sections and %zu seats", section_count, entry_count);
    bt_arena *arena = &builder->seating->arena;
    builder->entries = bt_arena_take(arena, sizeof *builder->entries * entry_count);
    builder->labels = bt_arena_take(arena, sizeof *builder->labels * entry_count);
    bt_buf_init(&builder->texts, TEXTS_MAX);
    return true;
}

qa_seating *qa_seating_new(bt_str sections, bt_err *err)
{
    qa_seating *seating = bt_alloc(sizeof *seating);
    seating->references = 1;
    seating->digest = bt_digest_parts(&sections, 1);
    bt_arena_init(&seating->arena, 3 * TEXTS_MAX);
    seating_builder builder = { .seating = seating };
    if (!reserve(&builder, sections, err)) {
        qa_seating_release(seating);
        return NULL;
    }
    bt_str copy = bt_arena_copy(&seating->arena, sections); /* labels and names borrow from it */
    qa_json_walk walk = qa_json_begin(copy);
    for (bt_str key, section; qa_json_next(&walk, &key, &section);)
        add_section(&builder, section);
    bt_buf json;
    bt_buf_init(&json, TEXTS_MAX);
    write_sections(&builder, &json);
    size_t texts_size = builder.texts.size;
    bt_buf_write(&builder.texts, (const uint8_t[QA_TEXTS_PADDING]){ 0 }, QA_TEXTS_PADDING);
    bool fits = !json.overflow && !builder.texts.overflow;
    seating->entries = builder.entries;
    seating->labels_json = builder.labels;
    seating->texts = bt_arena_copy(&seating->arena, bt_buf_view(&builder.texts)).at;
    seating->texts_size = texts_size;
    seating->sections_json = bt_arena_copy(&seating->arena, bt_buf_view(&json));
    seating->bytes = sizeof *seating + seating->arena.taken;
    bt_buf_release(&json);
    bt_buf_release(&builder.texts);
    if (fits)
        return seating;
    qa_seating_release(seating);
    bt_fail(err, BT_ERR_FATAL, 0, "a layout whose texts pass %zu bytes", TEXTS_MAX);
    return NULL;
}

void qa_seating_release(qa_seating *seating)
{
    if (seating == NULL || atomic_fetch_sub(&seating->references, 1) > 1)
        return;
    bt_arena_release(&seating->arena);
    bt_release(seating);
}
