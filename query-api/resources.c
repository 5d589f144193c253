/* resources - the list of what the query API answers; adding a resource is a folder of its own and a line here. */
#include "query-api/server/server.h"

extern const qa_resource qa_bookings, qa_holds, qa_home, qa_openapi, qa_registry, qa_seats, qa_stops, qa_trips;

const qa_resource *const qa_resources[] = { &qa_home, &qa_openapi, &qa_stops, &qa_trips, &qa_seats, &qa_holds, &qa_bookings, &qa_registry };
const size_t qa_resource_count = BT_COUNT_OF(qa_resources);
