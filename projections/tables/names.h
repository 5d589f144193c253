/* names - a set of stream ids: those that are parked. Copies what it holds. Caller-owned storage, zeroed is empty. */
#ifndef BERTH_PROJECTIONS_TABLES_NAMES_H
#define BERTH_PROJECTIONS_TABLES_NAMES_H

#include "core/memory.h"

typedef struct bt_names {
    bt_str *slots; /* at is NULL: free */
    size_t count, slot_count;
} bt_names;

void bt_names_add(bt_names *names, bt_str name); /* fine if it is there */
bool bt_names_has(const bt_names *names, bt_str name);
void bt_names_release(bt_names *names); /* empty again */

#endif
