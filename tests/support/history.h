/* history - random logs of one partition, as a server would have written them: trips are opened, held, confirmed, changed, cancelled and
 * expire, as the real decider decides; and between them stand void records, as a lost race or a vandal leaves them. One seed, one log. */
#ifndef BERTH_TESTS_SUPPORT_HISTORY_H
#define BERTH_TESTS_SUPPORT_HISTORY_H

#include "core/forward.h"
#include "core/memory.h"
#include "core/schema.h"

typedef struct history_options {
    uint64_t seed;
    const char *prefix;      /* of trip ids, so that several partitions do not share them; NULL: "t" */
    const char *topic;           /* for LogOpened, as what follows; NULL: berth.trip */
    int trip_count;
    int record_count;        /* about how many, the voids included */
    int void_percent;
    int32_t partition, partition_count;
} history_options;

typedef struct history {
    bt_arena arena;
    bt_record *records;
    size_t record_count;
    bt_forward forward; /* at the end */
} history;

void history_init(history *made, const history_options *options);
void history_release(history *made);

/* Appends a record with these bytes; with is_valid, its parent is made the head first. At least prefix and parent. */
void history_append(history *made, bt_str key, bt_bytes value, bool is_valid);
/* Appends an event of a stream as a valid record. */
void history_append_event(history *made, bt_str key, bt_event event);

#endif
