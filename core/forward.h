/* forward - the fast-forward rule: which records of a partition count.  (docs/protocol.md section 1)
 *
 * Kafka cannot append on a condition, so two writers may both append on what they believed was the end. The order of
 * the log decides, as a git server decides a push: every record names its parent, the id of the valid record that its
 * writer had folded last; a record is valid if and only if its parent is the partition's head; its id is then the head.
 * All else is void: counted, never applied. Two records with one parent cannot both be valid, so of two writers that
 * sold one seat on the same state, exactly one sold it, and every reader, at any time, finds the same one.
 *
 *     offset   parent  id      head before   verdict
 *     0        0000    aaaa    0000          valid
 *     1        aaaa    bbbb    aaaa          valid     A's append
 *     2        aaaa    cccc    bbbb          void      B's, decided on the same state: it lost
 *     3        aaaa    bbbb    bbbb          void      a duplicate of A's
 *     4        bbbb    dddd    bbbb          valid     void records do not move the head
 *
 * The value of a record is: a zero byte, 4 bytes of schema id (big-endian), 16 bytes of parent, the rest. A record with
 * a null key, a first byte that is not 0, or under 21 bytes is void. The rule is frozen: it reads nothing else, so no
 * later kind of event can change what is valid.
 *
 * Offsets of these topics are dense. A reader that sees a jump has missed something; after a missed valid record all
 * would look void. Pure, no allocation, any thread that owns the bt_forward. */
#ifndef BERTH_CORE_FORWARD_H
#define BERTH_CORE_FORWARD_H

#include "core/base.h"

#define BT_WIRE_PREFIX_SIZE 5
#define BT_WIRE_VALUE_MIN (BT_WIRE_PREFIX_SIZE + 16)
#define BT_RECORD_VALUE_MAX (1 << 20) /* a Kafka broker's default message.max.bytes, about */
#define BT_LOG_KEY "@log"             /* records of the log itself: LogOpened, OwnerTookOver, Barrier */

/* A record as it was read. key.at is NULL for a null key, value.at for a null value. */
typedef struct bt_record {
    int64_t offset;
    int64_t timestamp_us; /* the broker's record of when; never decides anything */
    bt_str key;
    bt_bytes value;
} bt_record;

/* A position in a partition: everything before next_offset is folded. Offset and head travel together. All zeroes is the start. */
typedef struct bt_forward {
    int64_t next_offset;
    int64_t height;  /* valid records so far */
    int64_t void_count;
    int64_t time_us; /* log time: the running maximum of meta.time over valid records */
    bt_id head;
} bt_forward;

typedef enum bt_forward_verdict {
    BT_FORWARD_VALID,
    BT_FORWARD_VOID_PARENT,    /* well-formed, but its parent is not the head: lost a race, duplicate, zombie */
    BT_FORWARD_VOID_MALFORMED, /* null key, first byte not 0, or too short */
    BT_FORWARD_JUMP,           /* its offset is not next_offset: nothing was folded; read again from next_offset */
} bt_forward_verdict;

/* Folds one record. ret_id (may be NULL) is set for VALID only. Log time follows from the valid record's own meta. */
bt_forward_verdict bt_forward_step(bt_forward *forward, const bt_record *record, bt_id *ret_id);

static inline bt_id bt_record_parent(bt_bytes value)
{
    bt_id parent;
    bt_assert(value.size >= BT_WIRE_VALUE_MIN);
    memcpy(parent.at, value.at + BT_WIRE_PREFIX_SIZE, sizeof parent.at);
    return parent;
}

static inline uint32_t bt_record_schema_id(bt_bytes value)
{
    bt_assert(value.size >= BT_WIRE_PREFIX_SIZE);
    return (uint32_t)value.at[1] << 24 | (uint32_t)value.at[2] << 16 | (uint32_t)value.at[3] << 8 | value.at[4];
}

/* What every event begins with, frozen in place: head, time and key are folded from any event, also of an unknown schema. */
typedef struct bt_meta {
    bt_id parent;
    int64_t version; /* of the stream: 1 for its first event. An assertion: a mismatch in a valid record is a bug */
    int64_t time;    /* microseconds since 1970 UTC: max(log time, the node's clock) when it was decided */
    bt_id command;   /* digest of (tenant, principal, command type, stream, key); zero: no client asked for it */
    bt_id body;      /* digest of the request's body */
    bt_str actor;    /* who asked, opaque, at most BT_NAME_MAX */
} bt_meta;

/* Reads the leading meta of a whole value. False if it is cut short or its numbers do not fit; strings borrow from value. */
bool bt_meta_peek(bt_bytes value, bt_meta *ret_meta) BT_MUST_CHECK;

/* Zigzag variable-length integers, as in Avro. Advances *at. False when cut short or over 64 bits. */
bool bt_varint_take(const uint8_t **at, const uint8_t *end, int64_t *ret_value) BT_MUST_CHECK;

#endif
