/* gtfs - a GTFS feed read into memory and expanded into dated trips.  (gtfs.org/documentation/schedule/reference)
 *
 * What is odd in real feeds and handled here: times that are blank (interpolated evenly between their neighbours), run
 * past 24:00 (they belong to the next day), or go backwards (raised to the time before; equal times are kept); a stop
 * that a trip visits again (the later visits are named stop@index); rules of boarding and alighting (kept: 1 is no).
 * A trip that cannot be sold (fewer than 2 or more than 64 points, no times at either end, an id or a row that makes no sense, a
 * stop whose id the API does not take) is skipped with a reason that names the line and what to do; the other trips are not touched.
 *
 * Single thread. All strings live as long as the feed. */
#ifndef BERTH_TOOLS_BERTH_IMPORT_GTFS_H
#define BERTH_TOOLS_BERTH_IMPORT_GTFS_H

#include "core/memory.h"

#define GTFS_POINTS_MAX 64
#define GTFS_FILE_MAX ((size_t)1 << 30)

typedef struct gtfs_stop_time {
    int32_t sequence;
    int32_t stop;      /* index into stops */
    int32_t arrives_s; /* seconds after noon minus 12 hours of the service day; -1: blank */
    int32_t departs_s;
    bool board, alight;
} gtfs_stop_time;

typedef struct gtfs_trip {
    bt_str id, headsign, route_name;
    int32_t service; /* index into services */
    gtfs_stop_time *times;
    int32_t time_count, time_capacity;
    size_t line;             /* in trips.txt */
    const char *skip_reason; /* NULL: can be sold; else where, what, and what to do, in one line without the trip's id */
} gtfs_trip;

typedef struct gtfs_service {
    bt_str id;
    bool weekday[7]; /* Monday first */
    int64_t first_day, last_day; /* days since 1970-01-01 */
    struct { int64_t day; bool added; } exceptions[400];
    int32_t exception_count;
} gtfs_service;

typedef struct gtfs_feed {
    bt_arena arena;
    bt_str timezone;
    struct { bt_str id, name; size_t line; } *stops; /* line in stops.txt */
    int32_t stop_count;
    gtfs_service *services;
    int32_t service_count;
    gtfs_trip *trips;
    int32_t trip_count;
    int64_t first_day, last_day; /* over all services; first > last when none runs */
    int32_t blank_count, raised_count, repeated_stop_count, skipped_count;
    int32_t stray_count; /* rows of stop_times.txt whose trip is not in trips.txt */
    size_t stray_line;   /* the first of them; 0: none */
} gtfs_feed;

/* path: a zip, or a folder with the .txt files. err names the file and line. It fails for what spoils all trips (a file or column
 * that is missing, a calendar that cannot be read); what spoils one trip is that trip's skip_reason. */
bool gtfs_feed_open(gtfs_feed *feed, const char *path, bt_err *err) BT_MUST_CHECK;
void gtfs_feed_release(gtfs_feed *feed);

/* Does the service run on that day (days since 1970-01-01)? */
bool gtfs_service_runs(const gtfs_service *service, int64_t day);

/* YYYY-MM-DD or YYYYMMDD. */
bool gtfs_day_from_text(bt_str text, int64_t *ret_day) BT_MUST_CHECK;

/* Start of a service day in microseconds of UTC: noon in the feed's zone minus 12 hours, so that times count
 * through a change of clocks. The process's TZ must be the feed's zone. */
int64_t gtfs_day_start_us(int64_t day);

#endif
