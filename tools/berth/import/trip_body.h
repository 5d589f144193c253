/* trip_body - a dated trip of a feed as the body of POST /v1/trips. Pure; any thread, as the feed is not changed. */
#ifndef BERTH_TOOLS_BERTH_IMPORT_TRIP_BODY_H
#define BERTH_TOOLS_BERTH_IMPORT_TRIP_BODY_H

#include "core/buf.h"
#include "tools/berth/import/gtfs.h"

#define SEAT_LAYOUT_SECTIONS_MAX 8

/* Seats that a feed does not tell: sections of rows, or of plain capacity.
 *
 *   A:standard:10x2+2        rows 1 to 10, seats 1A 1B | 1C 1D: an aisle in the middle, rows are not adjacent
 *   S:standing:30            thirty places without numbers
 *
 * Several are separated by commas. */
typedef struct seat_layout {
    struct { char name[41], class_name[41]; int32_t rows, left, right, capacity; } sections[SEAT_LAYOUT_SECTIONS_MAX];
    size_t section_count;
    bt_buf json; /* the sections member's value, made once */
} seat_layout;

bool seat_layout_parse(seat_layout *layout, const char *text, bt_err *err) BT_MUST_CHECK;
void seat_layout_release(seat_layout *layout);

/* <feed's trip id>-<YYYYMMDD of the day it is moved to>. */
bt_str dated_trip_id(const gtfs_trip *trip, int64_t to_day, char ret_id[96]);

/* day_start_us is of the day it is moved to. */
void trip_body_write(const gtfs_feed *feed, const gtfs_trip *trip, bt_str id, int64_t day_start_us, const seat_layout *layout, bt_buf *out);

#endif
