/* schema - the tables that schemac generates from schemas/, and the codec that interprets them.
 *
 * One declaration (.avsc) gives: a C struct, a table of its fields, an enum of the kind's events and one of its
 * commands, the wire ids, and the JSON form. How a declaration becomes C, in "schemas/trip.h":
 *
 *   namespace berth.trip, record SeatsHeld     struct trip_seats_held, bt_record_type trip_seats_held_type
 *   the same, as an event or command           bt_message_type trip_seats_held_message
 *   a record that begins with its kind's name  trip_opened, not trip_trip_opened (likewise log_opened)
 *   the kind's events                          enum trip_event { TRIP_EVENT_TRIP_OPENED, ... }
 *   the kind's commands                        enum trip_command { TRIP_COMMAND_OPEN_TRIP, ... }
 *   their messages, by enum                    trip_events[TRIP_EVENT_COUNT], trip_commands[TRIP_COMMAND_COUNT]
 *   berth.Meta                                 bt_meta (core/forward.h);  berth.Id is bt_id
 *   nested records                             trip_place, trip_point, trip_section ...
 *   boolean int long                           bool, int32_t, int64_t (timestamp-micros: int64_t microseconds)
 *   string, bytes                              bt_str, bt_bytes, borrowed from what was decoded
 *   array of T                                 const T *x; uint32_t x_count; from the arena
 *   ["null", T]                                bool has_x before x;  in an array: bt_str whose at is NULL for null
 *   "berth.max": 64 on a field                 #define TRIP_SEATS_HELD_PLACES_MAX 64
 *
 * "berth.max" on a field is the ceiling of a string's bytes or of an array's items ("berth.item.max": bytes of each
 * item that is a string). A value over it is an error both ways. An enum's numbers may change with each build: they
 * are never stored. Tables are constant and shared by all threads.
 *
 * What needs the registry (bt_schemas, bt_event_type_by_id, bt_event_decode) comes from generated code: link berth_schemas. */
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

/* Where a field stands. In a newest type all stand in both; the others tell how an older version is read. */
typedef enum bt_field_place {
    BT_PLACE_BOTH,
    BT_PLACE_WIRE_ONLY,   /* removed since: read past it */
    BT_PLACE_STRUCT_ONLY, /* added since: takes its default */
} bt_field_place;

/* Where the codec puts the value of a field that stands in the bytes only: offsets into its scratch, which holds
 * BT_SCRATCH_SIZE bytes and the struct of the removed record, if it is one. */
#define BT_SCRATCH_HAS 0
#define BT_SCRATCH_COUNT 8
#define BT_SCRATCH_VALUE 16
#define BT_SCRATCH_SIZE 64

typedef struct bt_record_type bt_record_type;

typedef struct bt_field {
    uint8_t place;           /* bt_field_place */
    uint8_t kind;            /* bt_type_kind, in the struct */
    uint8_t wire_kind;       /* in the bytes; another only where an older version is read: int for long */
    uint8_t item_kind;       /* of an array's items */
    uint8_t item_wire_kind;
    bool direct;             /* stands in both, the same in both, not optional: the codec's short way */
    bool optional;           /* ["null", T] in the struct */
    bool wire_optional;      /* in the bytes; false where an older version was not yet optional */
    bool item_optional;      /* array of ["null", string] */
    bool item_wire_optional;
    bool has_default;        /* of an optional field it is null, of an array empty */
    uint32_t offset;         /* of the member in the struct */
    uint32_t has_offset;     /* of has_x, where optional */
    uint32_t count_offset;   /* of x_count, where an array */
    uint32_t max;            /* bytes of a string, items of an array */
    uint32_t item_max;       /* bytes of each string of an array */
    uint32_t item_size;      /* of an array's items in memory */
    const bt_record_type *record; /* of a record, or of an array's records */
    const char *name;
    int64_t default_number;  /* of a number or boolean */
    const char *default_text;
} bt_field;

struct bt_record_type {
    const char *name;     /* SeatsHeld */
    const char *fullname; /* berth.trip.SeatsHeld */
    const bt_field *fields; /* in wire order */
    uint32_t field_count;
    uint32_t struct_size;
    uint32_t wire_size_min; /* the shortest that it can be in bytes */
    bool plain;             /* every field stands in both and is an int or long: the codec has a loop of its own for it */
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

/* One row of schemas/ids.tsv: a version of an event that may stand in a log. */
typedef struct bt_schema_version {
    uint32_t id;
    int32_t version;              /* within its subject, from 1 */
    const char *subject;          /* berth.trip-berth.trip.SeatsHeld */
    const char *avsc;             /* the frozen text */
    const bt_record_type *writer; /* how its bytes become the newest struct */
    const bt_message_type *type;
} bt_schema_version;

/* The registry: versions[i].id == i + 1. digest is of all rows: what OwnerTookOver.schemas says. */
typedef struct bt_schema_set {
    const bt_schema_version *versions;
    size_t version_count;
    bt_id digest;
} bt_schema_set;

extern const bt_schema_set bt_schemas;

/* NULL for an id that is not in the set. */
const bt_schema_version *bt_schema_set_find(const bt_schema_set *set, uint32_t schema_id);

/* The event type of a wire id, of any frozen version; NULL for an id that this binary was not built with. */
const bt_message_type *bt_event_type_by_id(uint32_t schema_id);

/* Decodes a whole record value (prefix included) into the newest struct of its event, resolving an older version by
 * its frozen schema. Strings borrow from value; arrays and the struct come from the arena.
 *   err  BT_ERR_INPUT: unknown schema id (code 1), or bytes that do not fit the schema (code 2: field and offset are named) */
bool bt_event_decode(bt_bytes value, bt_arena *arena, bt_event *ret_event, bt_err *err) BT_MUST_CHECK;
/* The same from a set of one's own; what tests with schemas of their own use. */
bool bt_event_decode_from(const bt_schema_set *set, bt_bytes value, bt_arena *arena, bt_event *ret_event, bt_err *err) BT_MUST_CHECK;

/* Appends prefix and Avro of the newest version. Fails (BT_ERR_INPUT) on a value over a ceiling or when out overflows;
 * out is then as it was. */
bool bt_event_encode(bt_event event, bt_buf *out, bt_err *err) BT_MUST_CHECK;

/* Field by field; the generated form of ==. What an absent optional field holds does not count. */
bool bt_record_equal(const bt_record_type *type, const void *a, const void *b);

/* The JSON form of a struct: ids as hex, times as RFC 3339, optional fields left out when absent. */
void bt_record_to_json(const bt_record_type *type, const void *data, const char *name, bt_buf *out);

/* The type of bt_meta. */
extern const bt_record_type bt_meta_type;

#define BT_SCHEMA_UNKNOWN 1
#define BT_SCHEMA_MALFORMED 2

#endif
