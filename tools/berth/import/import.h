/* import - `berth import gtfs`: opens the trips of a feed by POST /v1/trips, some days of it moved to days to come.
 *
 * Each trip is one command under a key made of the trip's id and day, so that an import that broke off, or is run again,
 * makes nothing twice. Several requests are under way at once; what is refused for load is repeated with the same key. */
#ifndef BERTH_TOOLS_BERTH_IMPORT_IMPORT_H
#define BERTH_TOOLS_BERTH_IMPORT_IMPORT_H

#include "core/base.h"

typedef struct import_options {
    const char *feed;     /* path */
    const char *api;      /* http://127.0.0.1:18080 */
    const char *seats;    /* layout: see trip_body.h */
    const char *date;     /* first day of the feed to take; NULL: the feed's first with trips */
    const char *as_of;    /* it is moved to the day after this one; NULL: today */
    int32_t days;
    int32_t concurrency;  /* requests under way at once, 1 to 64 */
    bool progress;
} import_options;

#define IMPORT_TOLD_MAX 10 /* of the trips left out, as many are told of one by one */

/* All counts are of dated trips: a trip of the feed on one of the days asked for. */
typedef struct import_result {
    int64_t trips_opened, trips_there_already, trips_failed, trips_skipped, repeats;
    double seconds;
    bool given_up; /* nobody answered: the trips that failed were not all tried */
    char first_failure[512];
    struct { char trip[84]; char reason[512]; } told[IMPORT_TOLD_MAX]; /* trips of the feed that were left out: id, and where, what and what to do */
    int32_t told_count, told_of; /* told_of: how many trips of the feed there are in all to tell of */
    int32_t stray_count;         /* rows of stop_times.txt without a trip */
    int64_t stray_line;          /* the first of them */
} import_result;

/* False only when nothing could be tried; what single trips met is in the result. */
bool import_gtfs(const import_options *options, import_result *ret_result, bt_err *err) BT_MUST_CHECK;

#endif
