/* load - what cache.c uses of layout.c, and nobody else. */
#ifndef BERTH_QUERY_API_LAYOUT_LOAD_H
#define BERTH_QUERY_API_LAYOUT_LOAD_H

#include "query-api/layout/layout.h"

/* Reads the rows of a trip: one of trips (columns name, timezone, opened_at, layout) and its points. No row of trips: no such trip. */
bool qa_layout_select(qa_worker *worker, bt_str trip, bt_pg_result *ret_trips, bt_pg_result *ret_points, bt_err *err) BT_MUST_CHECK;
/* Makes the layout from them. The seating's reference becomes the layout's. One reference to the layout, the caller's. */
const qa_layout *qa_layout_made(bt_str trip, const bt_pg_result *trips, const bt_pg_result *points, qa_seating *seating);

#endif
