/* avro - Avro's binary encoding, interpreted over the tables of core/schema.h: bounds-checked, zero-copy, no recursion
 * deeper than the schemas. It is the hot path of every fold, so it has no per-event allocation beyond the arena.
 *
 * Stricter than the specification where two readers could otherwise disagree, or a stranger could make one work: a
 * boolean is 0 or 1, a string is UTF-8, a block's byte size must be its size, a number is at most ten bytes, ceilings
 * hold, and nothing may follow the last field. An array may come in many blocks; we write one. Any thread. */
#ifndef BERTH_CORE_AVRO_H
#define BERTH_CORE_AVRO_H

#include "core/schema.h"

/* All of bytes, into data (type->struct_size bytes, overwritten; undefined after a failure). Arrays come from the arena,
 * strings borrow from bytes. err: BT_ERR_INPUT, code BT_SCHEMA_MALFORMED, naming field and offset; offset_base is
 * added to the offset told. */
bool bt_avro_decode(const bt_record_type *type, bt_bytes bytes, size_t offset_base, bt_arena *arena, void *data, bt_err *err) BT_MUST_CHECK;

/* Appends to out. err: BT_ERR_INPUT, naming the field that is over its ceiling or not UTF-8; out is then as it was.
 * Room is made before a value's size is known, so an event that ends less than BT_AVRO_SLACK bytes below out's limit may be refused. */
#define BT_AVRO_SLACK 32
bool bt_avro_encode(const bt_record_type *type, const void *data, bt_buf *out, bt_err *err) BT_MUST_CHECK;

#endif
