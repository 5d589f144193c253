/* feed - a small GTFS feed, written file by file into a folder of the test's own, so that each test shows the rows that it is about. */
#ifndef BERTH_TESTS_UNIT_TOOLS_IMPORT_FEED_H
#define BERTH_TESTS_UNIT_TOOLS_IMPORT_FEED_H

#include "tests/unit/test.h"
#include "tools/berth/import/gtfs.h"

/* Agency in zone, stops a to e, a route, a service of every day in June 2014 and a trip t without times. */
void feed_begin(const char *zone);
void feed_write(const char *file, const char *text); /* the whole file */
void feed_times(const char *rows);                   /* stop_times.txt: trip_id,stop_sequence,stop_id,arrival_time,departure_time,pickup_type,drop_off_type */
const char *feed_path(void);
void feed_end(void); /* removes the folder */

/* Opens it and fails the test if that fails. */
void feed_open(gtfs_feed *feed);
/* Opens it, expects a refusal whose text holds word. */
void feed_refused(const char *word);

#endif
