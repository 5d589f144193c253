/* trips - the read model behind trips, stops, holds and bookings: see tables.sql for what each row means. */
#ifndef BERTH_PROJECTIONS_TRIPS_TRIPS_H
#define BERTH_PROJECTIONS_TRIPS_TRIPS_H

#include "projections/projection.h"

extern const bt_model trips_model;
extern const bt_projection trips_projection;

#endif
