/* seating - the sections of a trip and their seats, prepared to be shown: all that is the same for every trip with the same wagons. */
#ifndef BERTH_QUERY_API_LAYOUT_SEATING_H
#define BERTH_QUERY_API_LAYOUT_SEATING_H

#include "core/memory.h"

#define QA_SECTIONS_MAX 64
#define QA_TEXTS_PADDING 64
#define QA_ENTRIES_MAX (QA_SECTIONS_MAX * 4000)

typedef struct qa_section {
    bt_str name_json, class_json;      /* ready JSON values */
    uint32_t first_entry, entry_count; /* its list of seats, aisles included; none in a section of plain capacity */
    uint32_t seat_count;               /* seats, blocked ones included, aisles not */
    int64_t capacity;                  /* of a section without numbers; else 0 */
} qa_section;

typedef enum qa_entry_kind { QA_ENTRY_SEAT, QA_ENTRY_BLOCKED, QA_ENTRY_AISLE } qa_entry_kind;

/* One element of a section's list of seats. */
typedef struct qa_entry {
    uint32_t text_at;   /* in texts: {"section":"1","seat":"12","class":"2","state":" - all but the state */
    uint16_t text_size; /* 0 for an aisle */
    uint8_t kind;       /* qa_entry_kind */
    uint8_t section;
} qa_entry;

typedef struct qa_seating {
    _Atomic int32_t references;
    bt_id digest; /* of the text that it was made from */
    size_t bytes;
    bt_arena arena;
    size_t section_count, entry_count, counted_count; /* counted: sections of plain capacity */
    qa_section sections[QA_SECTIONS_MAX];
    const qa_entry *entries;
    const bt_str *labels_json; /* by entry; size 0 for an aisle */
    const char *texts; /* QA_TEXTS_PADDING bytes may be read from the beginning of each text */
    size_t texts_size;
    bt_str sections_json; /* as GET /v1/trips/{trip} shows them */
} qa_seating;

/* From the array "sections" of berth.trips.layout. One reference, the caller's. NULL: err BT_ERR_FATAL, it is not what
 * projections/trips writes. */
qa_seating *qa_seating_new(bt_str sections, bt_err *err) BT_MUST_CHECK;
void qa_seating_release(qa_seating *seating); /* NULL is fine */

#endif
