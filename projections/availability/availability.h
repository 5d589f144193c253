/* availability - the read model in Redis: which places of a trip are taken. README.md has the layout, fold.h the fold. */
#ifndef BERTH_PROJECTIONS_AVAILABILITY_AVAILABILITY_H
#define BERTH_PROJECTIONS_AVAILABILITY_AVAILABILITY_H

#include "projections/projection.h"

extern const bt_projection availability_projection;

/* Redis may forget a trip so long after its last arrival: no command of it is accepted after 24 hours, and Postgres keeps it. */
#define BT_AVAILABILITY_KEPT_DAYS 7

/* The stored form of a position; see README.md. */
#define BT_AVAILABILITY_POSITION_SIZE 64
void bt_availability_position_save(const bt_position *position, uint8_t ret_bytes[BT_AVAILABILITY_POSITION_SIZE]);
bool bt_availability_position_load(bt_str bytes, bt_position *ret_position) BT_MUST_CHECK;

#endif
