/* model - a schema as schemac sees it: parsed, checked, and not yet C.
 *
 * The subset of Avro is what a fixed C struct with ceilings can hold: records, arrays, boolean, int, long,
 * timestamp-micros, string, bytes, the 16-byte fixed berth.Id, and ["null", T]. Everything else is refused by name, so
 * that nobody finds out at run time. All of a model lives in one arena. */
#ifndef BERTH_TOOLS_SCHEMAC_MODEL_H
#define BERTH_TOOLS_SCHEMAC_MODEL_H

#include "core/memory.h"
#include "core/schema.h"

#include <jansson.h>

#define SC_FIELDS_MAX 64
#define SC_RECORDS_MAX 32   /* named records of one schema */
#define SC_SCHEMAS_MAX 256  /* events or commands of one kind */
#define SC_KINDS_MAX 64
#define SC_VERSIONS_MAX 4096
#define SC_FILE_BYTES_MAX (1 << 20)
#define SC_NAME_SIZE_MAX 64
#define SC_NESTING_MAX 8

typedef struct sc_record sc_record;

typedef struct sc_field {
    const char *name, *doc;
    const char *path; /* where it is declared: $.fields[3] */
    bt_type_kind kind, item_kind;
    bool optional, item_optional;
    sc_record *record; /* of a record, or of an array's records */
    uint32_t max, item_max;
    json_t *default_value; /* NULL without one */
} sc_field;

struct sc_record {
    const char *name, *fullname, *doc, *path;
    const char *kind;   /* berth.trip: trip; berth: NULL */
    const char *c_name; /* trip_seats_held */
    sc_field fields[SC_FIELDS_MAX];
    size_t field_count;
    bool complete; /* false while its fields are being parsed: a record cannot hold itself */
};

/* One .avsc. */
typedef struct sc_schema {
    const char *file; /* as it is told in messages */
    bt_str text;
    sc_record *root;
    sc_record *records[SC_RECORDS_MAX]; /* named in it, children before parents */
    size_t record_count;
    bool names_id; /* berth.Id was declared */
} sc_schema;

/* Prints "file: path: message" to stderr and returns false: each mistake is one line that says where and what to do. */
bool sc_fail(const char *file, const char *path, const char *format, ...) BT_PRINTF(3, 4);

/* Reads a whole file; zero-terminated behind its size. */
bool sc_file_read(const char *path, bt_arena *arena, bt_str *ret_text) BT_MUST_CHECK;
/* Writes a file only if its bytes differ, so that an unchanged header does not rebuild the world. */
bool sc_file_write(const char *path, bt_str text) BT_MUST_CHECK;

/* Parses one schema. The json_t values that it keeps are kept by keep, an array that outlives the model. */
sc_schema *sc_schema_parse(const char *file, bt_arena *arena, json_t *keep) BT_MUST_CHECK;

/* The same shape: names, order, types, ceilings, defaults and docs. Tells what differs in ret_path and ret_what (a
 * path within a), which may be NULL. */
bool sc_record_same(const sc_record *a, const sc_record *b, const char **ret_path);

/* "SeatsHeld" of kind "trip" is "trip_seats_held"; "TripOpened" is "trip_opened". */
const char *sc_c_name(bt_arena *arena, const char *kind, const char *name);
const char *sc_snake(bt_arena *arena, const char *name); /* seats_held */
const char *sc_upper(bt_arena *arena, const char *name);
/* A format that may be as long as it likes. */
const char *sc_printf(bt_arena *arena, const char *format, ...) BT_PRINTF(2, 3);

#endif
