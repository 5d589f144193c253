/* tree - the folder schemas/ as a whole: kinds with their events and commands, and ids.tsv with the frozen versions. */
#ifndef BERTH_TOOLS_SCHEMAC_TREE_H
#define BERTH_TOOLS_SCHEMAC_TREE_H

#include "tools/schemac/model.h"

typedef struct sc_kind {
    const char *name;
    sc_schema *events[SC_SCHEMAS_MAX], *commands[SC_SCHEMAS_MAX];
    size_t event_count, command_count;
    const sc_record *records[SC_SCHEMAS_MAX]; /* every record of the kind once, children before parents; Meta is not among them */
    size_t record_count;
} sc_kind;

/* A row of ids.tsv. Each says: bytes with this id were written by that text. Rows are never changed or removed. */
typedef struct sc_version {
    uint32_t id;
    int version;
    const char *subject, *path, *fingerprint;
    sc_schema *frozen;
    const sc_schema *current;
    const sc_kind *kind;
} sc_version;

typedef struct sc_tree {
    const char *folder; /* schemas */
    bt_arena *arena;
    json_t *keep;
    sc_schema *meta;
    sc_kind *kinds[SC_KINDS_MAX];
    size_t kind_count;
    sc_version versions[SC_VERSIONS_MAX];
    size_t version_count;
} sc_tree;

/* What an old version must be to the newest. */
typedef enum sc_rule {
    SC_RULE_BACKWARD, /* the newest reads every old one: what the codec can do; for the fixtures that test it */
    SC_RULE_FULL,     /* and every old one reads the newest: FULL_TRANSITIVE, what the gate demands */
} sc_rule;

/* Parses all of folder and checks what can be checked without ids.tsv. Says every mistake that it finds, one a schema. */
bool sc_tree_load(sc_tree *tree, const char *folder) BT_MUST_CHECK;
/* Reads ids.tsv and its frozen texts, and checks that they are what they were. */
bool sc_ids_load(sc_tree *tree) BT_MUST_CHECK;
/* Every current event is its newest frozen version, and compatible with every other. */
bool sc_gate_check(const sc_tree *tree, sc_rule rule) BT_MUST_CHECK;
/* Gives every current event that has none, or has changed, its next version: copies the text and appends the row. */
bool sc_freeze(sc_tree *tree, sc_rule rule) BT_MUST_CHECK;

/* Whether bytes of writer can become reader. On failure says so at reader's place in reader_file. */
bool sc_can_read(bt_arena *arena, const sc_record *reader, const char *reader_file, const sc_record *writer,
                 const char *writer_file) BT_MUST_CHECK;
const sc_field *sc_field_named(const sc_record *record, const char *name);

/* "berth.trip-berth.trip.SeatsHeld" */
const char *sc_subject(bt_arena *arena, const sc_kind *kind, const sc_schema *schema);
/* 32 hex digits of SHA-256 of the text, cut. */
const char *sc_fingerprint(bt_arena *arena, bt_str text);

/* The generated files, into out: <kind>.h, <kind>.c, registry.c, deciders.h, deciders.c. */
bool sc_generate(const sc_tree *tree, const char *out) BT_MUST_CHECK;
void sc_emit_header(const sc_tree *tree, const sc_kind *kind, bt_buf *out);
void sc_emit_tables(const sc_tree *tree, const sc_kind *kind, bt_buf *out);
void sc_emit_registry(const sc_tree *tree, bt_buf *out);
/* The table by which version's bytes are read: its symbol. The newest's own where the shapes agree. */
const char *sc_writer_symbol(bt_arena *arena, const sc_version *version);
/* Appends text made from a format that may be as long as it likes. */
void sc_put(bt_buf *out, const char *format, ...) BT_PRINTF(2, 3);
const char *sc_struct_of(bt_arena *arena, const sc_record *record); /* struct trip_place, or bt_meta */

#endif
