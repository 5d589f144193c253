/* schema - the tables that schemac generates from schemas/, and the codec that interprets them.
 *
 * One declaration (.avsc) gives: a C struct, a table of its fields, an enum of the kind's events and one of its
 * commands, the wire ids, and the JSON form. How a declaration becomes C:
 *
 *   namespace berth.trip, record SeatsHeld     struct trip_seats_held, bt_record_type trip_seats_held_type
 *   a record that begins with its kind's name  trip_opened, not trip_trip_opened (likewise log_opened)
 *   the kind's events, commands                enum trip_event { TRIP_EVENT_TRIP_OPENED, ... }, enum trip_command { TRIP_COMMAND_OPEN_TRIP, ... }
 *   berth.Meta                                 bt_meta (core/forward.h);  berth.Id is bt_id
 *   nested records                             trip_place, trip_point, trip_section ...
 *   boolean int long                           bool, int32_t, int64_t (timestamp-micros: int64_t microseconds)
 *   string, bytes                              bt_str, bt_bytes, borrowed from what was decoded
 *   array of T                                 const T *x; uint32_t x_count; from the arena
 *   ["null", T]                                bool has_x before x;  in an array: bt_str whose at is NULL for null
 *
 * "berth.max" on a field is the ceiling of a string's bytes or of an array's items ("berth.item.max": bytes of each
 * item that is a string). A value over it is an error both ways. Tables are constant and shared by all threads. */
#ifndef BERTH_CORE_SCHEMA_H
#define BERTH_CORE_SCHEMA_H

#include "core/base.h"
#include "core/buf.h"
#include "core/forward.h"
#include "core/memory.h"

typedef enum bt_type_kind {
    BT_TYPE_BOOLEAN,
    BT_TYPE_INT,
    BT_TYPE_LONG,
    BT_TYPE_TIME_US, /* long with logicalType timestamp-micros: RFC 3339 in JSON */
    BT_TYPE_STRING,
    BT_TYPE_BYTES,
    BT_TYPE_ID, /* fixed of 16 bytes: 32 hex digits in JSON */
    BT_TYPE_RECORD,
    BT_TYPE_ARRAY,
} bt_type_kind;

typedef struct bt_record_type bt_record_type;

typedef struct bt_field {
    const char *name;
    uint8_t kind;       /* bt_type_kind */
    uint8_t item_kind;  /* of an array's items */
    bool optional;      /* ["null", T] */
    bool item_optional; /* array of ["null", string] */
    uint32_t offset;       /* of the member in the struct */
    uint32_t has_offset;   /* of has_x, where optional */
    uint32_t count_offset; /* of x_count, where an array */
    uint32_t max;          /* bytes of a string, items of an array */
    uint32_t item_max;     /* bytes of each string of an array */
    uint32_t item_size;    /* of an array's items in memory */
    const bt_record_type *record; /* of a record, or of an array's records */
} bt_field;

struct bt_record_type {
    const char *name;     /* SeatsHeld */
    const char *fullname; /* berth.trip.SeatsHeld */
    const bt_field *fields;
    uint32_t field_count;
    uint32_t struct_size;
};

/* An event or command of a kind of stream. */
typedef struct bt_message_type {
    const char *kind; /* trip */
    const bt_record_type *record;
    int32_t index;      /* enum trip_event or enum trip_command */
    uint32_t schema_id; /* of its newest version, from ids.tsv; 0 for a command */
    const char *avsc;   /* the text that is registered */
} bt_message_type;

/* A decoded event: data points at the struct of its type. Its first member is its bt_meta. */
typedef struct bt_event {
    const bt_message_type *type;
    void *data;
} bt_event;

static inline bt_meta *bt_event_meta(bt_event event) { return event.data; }

/* The event type of a wire id, of any frozen version; NULL for an id that this binary was not built with. */
const bt_message_type *bt_event_type_by_id(uint32_t schema_id);

/* Decodes a whole record value (prefix included) into the newest struct of its event, resolving an older version by
 * its frozen schema. Strings borrow from value; arrays and the struct come from the arena.
 *   err  BT_ERR_INPUT: unknown schema id (code 1), or bytes that do not fit the schema (code 2: field and offset are named) */
bool bt_event_decode(bt_bytes value, bt_arena *arena, bt_event *ret_event, bt_err *err) BT_MUST_CHECK;

/* Appends prefix and Avro of the newest version. Fails (BT_ERR_INPUT) on a value over a ceiling or when out overflows;
 * out is then as it was. */
bool bt_event_encode(bt_event event, bt_buf *out, bt_err *err) BT_MUST_CHECK;

/* Field by field; the generated form of ==. */
bool bt_record_equal(const bt_record_type *type, const void *a, const void *b);

/* The JSON form of a struct: ids as hex, times as RFC 3339, optional fields left out when absent. */
void bt_record_to_json(const bt_record_type *type, const void *data, const char *name, bt_buf *out);

#define BT_SCHEMA_UNKNOWN 1
#define BT_SCHEMA_MALFORMED 2

#endif
