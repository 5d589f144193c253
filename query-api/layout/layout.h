/* layout - what of a trip never changes (points, sections, labels), kept in memory ready to be shown, and beside it the newest
 * availability that was read.
 *
 * A seat map is the hottest read there is, and all of it but a few bits is the same each time. So a layout is read from Postgres
 * once, and each seat's JSON is prepared but for its state. Trips of one timetable share their seating: a thousand trips
 * with the same wagons hold one copy of its texts, which then stays in the processor's caches.
 *
 * The cache has a ceiling in bytes; the least recently used trips go. Layouts, seatings and availabilities are constant once
 * made, and counted: whoever got one keeps it until it lets go. Any thread. */
#ifndef BERTH_QUERY_API_LAYOUT_LAYOUT_H
#define BERTH_QUERY_API_LAYOUT_LAYOUT_H

#include "query-api/layout/seating.h"
#include "query-api/server/call.h"

#define QA_POINTS_MAX 64
#define QA_PLACES_MAX 64 /* schemas: SeatsHeld.places */

typedef struct qa_point {
    bt_str stop;                                /* as it is */
    bt_str stop_json, name_json;                /* ready JSON values, with quotes */
    int64_t arrives_at, departs_at;             /* microseconds since 1970 */
    int32_t arrives_offset_s, departs_offset_s; /* of local time from UTC */
    bool board, alight;
} qa_point;

typedef struct qa_layout {
    _Atomic int32_t references;
    size_t bytes;
    bt_arena arena; /* holds all texts below */
    bt_str trip, trip_json, name_json, timezone_json;
    int64_t opened_at;
    size_t point_count;
    qa_point points[QA_POINTS_MAX];
    bt_str points_json; /* as GET /v1/trips/{trip} shows them */
    qa_seating *seating;
} qa_layout;

/* Which places are taken, as of one moment: the value of projections/availability, its bytes as they were read. */
typedef struct qa_masks {
    _Atomic int32_t references;
    int64_t read_at_mono_us;
    qa_as_of as_of;
    int64_t next_offset; /* of the read model when it was read; 0: not known */
    bool from_postgres;
    size_t size;
    uint8_t at[];
} qa_masks;

void qa_layout_release(const qa_layout *layout); /* NULL is fine */
void qa_masks_release(const qa_masks *masks);    /* NULL is fine */

/* size bytes of zeroes, with one reference that is the caller's. */
qa_masks *qa_masks_new(size_t size);

/* The place in the trip of a stop; -1 if the trip does not call there. */
int qa_layout_point(const qa_layout *layout, bt_str stop);

qa_layouts *qa_layouts_new(size_t bytes_max);
void qa_layouts_free(qa_layouts *layouts); /* NULL is fine; everything handed out must have been released */

/* Forgets all: trips may be other ones under the same ids, for records of the log were lost and given up. Any thread. */
void qa_layouts_forget(qa_layouts *layouts);

/* From memory only. ret_masks (may be NULL) gets the newest availability if one was kept, else NULL. */
bool qa_layouts_find(qa_layouts *layouts, bt_str trip, const qa_layout **ret_layout, const qa_masks **ret_masks) BT_MUST_CHECK;
/* Keeps masks, which stay the caller's too, for the next who asks; never in place of newer ones. */
void qa_layouts_keep_masks(qa_layouts *layouts, bt_str trip, const qa_masks *masks);
/* From memory, else from Postgres on the worker's connection.
 *   ret_layout  NULL: there is no such trip. Else release it
 *   err         the statement's; or BT_ERR_FATAL: the rows contradict each other */
bool qa_layouts_get(qa_layouts *layouts, qa_worker *worker, bt_str trip, const qa_layout **ret_layout, bt_err *err) BT_MUST_CHECK;
/* The same for a call that needs it. False: answered, with 503, or with 404 if there is no such trip. */
bool qa_layout_of(qa_call *call, bt_str trip, const qa_layout **ret_layout) BT_MUST_CHECK;

/* The members "from", "from_name", "departs_at", "departs_local", "to", "to_name", "arrives_at", "arrives_local" of a stretch. */
void qa_json_stretch(bt_buf *json, const qa_layout *layout, int64_t from, int64_t to);
/* [{"section":..,"seat":..,"class":..}] of places as they stand in holds and bookings: pairs of section index and seat index. */
void qa_json_places(bt_buf *json, const char *name, const qa_layout *layout, const int32_t *pairs, int pair_count);

#endif
