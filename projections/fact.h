/* fact - a valid event of one stream, as a fold meets it. All borrowed for the length of the call. */
#ifndef BERTH_PROJECTIONS_FACT_H
#define BERTH_PROJECTIONS_FACT_H

#include "core/schema.h"

typedef struct bt_fact {
    bt_str stream;  /* the record's key */
    int64_t offset; /* where the record stands */
    bt_event event;
} bt_fact;

#endif
