/* batch - what was read since the last commit: the events that a sink wants, by stream, and how far each partition moved.
 *
 * Borrowed bytes of the reader are copied in. A batch is bounded by BT_BATCH_* or tighter limits of the loop; its memory
 * goes at the reset. One thread. */
#ifndef BERTH_PROJECTIONS_LOOP_BATCH_H
#define BERTH_PROJECTIONS_LOOP_BATCH_H

#include "projections/fact.h"
#include "projections/loop/cursor.h"

#define BT_BATCH_READ_MAX 20000              /* records, of all kinds */
#define BT_BATCH_BYTES_MAX ((size_t)8 << 20) /* of those that are kept */
#define BT_BATCH_NONE UINT32_MAX

/* An event that the sink wants, or a record that could not be decoded. */
typedef struct bt_batch_record {
    bt_fact fact;      /* event.data is NULL if it could not be decoded: */
    const char *error; /* then why, else NULL */
    bt_bytes value;
    int32_t partition;
    uint32_t next;     /* of the same stream; BT_BATCH_NONE */
} bt_batch_record;

typedef struct bt_batch_stream {
    bt_str name;
    uint64_t hash;
    int32_t partition;
    uint32_t first, last;
} bt_batch_stream;

/* How far a partition moved: [from.next_offset, to.next_offset). ids holds 4 bytes a record, zeroes for a void one. */
typedef struct bt_batch_move {
    bt_position from, to;
    bt_buf ids;
} bt_batch_move;

typedef struct bt_batch {
    bt_arena arena;
    bt_batch_record *records;
    bt_batch_stream *streams;
    uint32_t *stream_slots; /* index + 1 into streams; 0: free */
    uint32_t record_count, record_capacity, stream_count, stream_capacity, slot_count;
    bt_batch_move *moves; /* one a partition; not moved: from equals to */
    int32_t partition_count;
    int64_t read_count;
    size_t bytes;
    int64_t newest_us; /* the broker's timestamp of the newest record */
} bt_batch;

void bt_batch_init(bt_batch *batch, int32_t partition_count);
void bt_batch_release(bt_batch *batch);
/* Forgets the records; each partition's move begins where it had got to. */
void bt_batch_reset(bt_batch *batch);
/* Begins a partition anew at a stored position. */
void bt_batch_begin(bt_batch *batch, int32_t partition, const bt_position *position);

/* Accounts for a record; id is NULL for a void one. to is the cursor's position after it. */
void bt_batch_account(bt_batch *batch, int32_t partition, const bt_position *to, const bt_id *id, int64_t timestamp_us);
/* Keeps a valid record's event. wants says whether the sink cares; records of schemas that this binary does not know are kept, to be parked. */
void bt_batch_add(bt_batch *batch, int32_t partition, const bt_record *record, bool (*wants)(void *context, const bt_message_type *type), void *context);

static inline bool bt_batch_moved(const bt_batch_move *move) { return move->from.forward.next_offset != move->to.forward.next_offset; }

#endif
