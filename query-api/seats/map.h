/* map - the seat map of a trip for a stretch, as JSON. The hot path of all reads: per seat one copy of a prepared text and one of its state. */
#ifndef BERTH_QUERY_API_SEATS_MAP_H
#define BERTH_QUERY_API_SEATS_MAP_H

#include "query-api/seats/availability.h"

/* states: scratch of the seating's entry_count bytes. json.overflow when it passes the buffer's ceiling. Pure; any thread. */
void qa_map_write(bt_buf *json, const qa_layout *layout, const qa_availability *availability, int from, int to, uint8_t *states);

#endif
