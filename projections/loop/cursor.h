/* cursor - how far a reader of one partition has got, and whether what it reads is still the log that it began with.
 *
 * The fast-forward rule (core/forward.h) says which records count. A cursor adds what a reader that stores its position must know
 * beyond it: a stored head is a memory of the log, so a log that has lost its end (unclean election, a restored disk) can
 * be noticed, and must be, as everything after the loss would look void or, worse, valid. So:
 *   - from a stored position it reads again from the last valid record, and proves that this record is still there;
 *   - it does so again when a void record names a parent that it has never seen, and when offsets jump;
 *   - it compares what OwnerTookOver says was proved with what it has seen itself;
 *   - it compares LogOpened with the topic, partition and partition count that it was told.
 * A contradiction stops the partition, with a reason, for good: never a quiet refold. Only the log itself lets a reader of a lost suffix go on: see acceptance.h.
 *
 * Pure, no allocation; one thread. */
#ifndef BERTH_PROJECTIONS_LOOP_CURSOR_H
#define BERTH_PROJECTIONS_LOOP_CURSOR_H

#include "core/loss.h"

/* What is stored beside the rows. */
typedef struct bt_position {
    bt_forward forward;
    int64_t head_offset; /* of the last valid record; -1: none yet */
} bt_position;

#define BT_POSITION_START ((bt_position){ .head_offset = -1 })

#define BT_CURSOR_RECENT_MAX 1024
#define BT_CURSOR_REASON_MAX 300

typedef struct bt_cursor_seen {
    int64_t offset, height; /* height with this record */
    bt_id id;
} bt_cursor_seen;

typedef struct bt_cursor {
    const char *topic;
    int32_t partition, partition_count;
    bt_position at;
    int64_t expected;   /* while proving: the next offset to be seen again */
    bool proving;
    bool wants_proof;   /* a void record named an unknown parent: prove again, when the caller finds it worth it */
    int jump_count;     /* since the last record that fitted */
    uint64_t seen_count;
    bt_cursor_seen seen[BT_CURSOR_RECENT_MAX]; /* the last valid records, a ring */
    bt_loss loss;                              /* the last accepted one that is known; what owners had proved of it is no contradiction */
    bt_loss claim;                             /* stopped by an owner's claim to have proved [from, to) at time_us; all zero: by something else */
    char stopped[BT_CURSOR_REASON_MAX];        /* not empty: for good */
} bt_cursor;

typedef enum bt_cursor_verdict {
    BT_CURSOR_VALID, /* counts; ret_id is set */
    BT_CURSOR_VOID,  /* accounted for, never applied */
    BT_CURSOR_SEEN,  /* seen again for the proof: accounted for already */
    BT_CURSOR_AGAIN, /* nothing was folded: read again from bt_cursor_prove */
    BT_CURSOR_STOPPED,
} bt_cursor_verdict;

/* topic is borrowed. */
void bt_cursor_init(bt_cursor *cursor, const char *topic, int32_t partition, int32_t partition_count, const bt_position *stored);

/* From now on proves its position again; returns the offset to read from. */
int64_t bt_cursor_prove(bt_cursor *cursor);

bt_cursor_verdict bt_cursor_step(bt_cursor *cursor, const bt_record *record, bt_id *ret_id);

/* The last valid records before an offset that it has seen, at most known_max, in order. Returns how many. */
size_t bt_cursor_known(const bt_cursor *cursor, int64_t before_offset, bt_loss_known *ret_known, size_t known_max);

/* The partition ends at end_offset, as its leader says (-1: not known): an end before read_to means that records were lost. read_to is
 * the position when the question was asked, not when it was answered: of a log that grows, every answer is old by then. One answer may be
 * early (a new leader's high watermark), so the caller asks several times before it stops. */
bool bt_cursor_end_contradicts(int64_t read_to, int64_t end_offset);

/* A reason to stop that an accepted loss may do away with. */
#define BT_CURSOR_LOST_SUFFIX "lost suffix: "
bool bt_cursor_lost_suffix(const char *stopped);

void bt_cursor_stop(bt_cursor *cursor, const char *format, ...) BT_PRINTF(2, 3);

#endif
