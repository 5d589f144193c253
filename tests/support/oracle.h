/* oracle - avro-c's generic value API beside our structs: a second implementation that shares no line with ours, which the
 * differential test, the fuzz target and the benchmark measure ours against.
 *
 * avro-c allocates what a length prefix claims, up to 2 GiB, and leaks it when the bytes fall short. So untrusted bytes are
 * decoded between oracle_bound and oracle_unbound, under an allocator that gives 16 MiB in all and takes it back at once. */
#ifndef BERTH_TESTS_SUPPORT_ORACLE_H
#define BERTH_TESTS_SUPPORT_ORACLE_H

#include "core/schema.h"

#include <avro.h>

typedef struct oracle {
    avro_schema_t schema;
    avro_value_iface_t *iface;
} oracle;

/* Aborts on a text that avro-c does not take: all of ours must be plain Avro. */
void oracle_init(oracle *o, const char *avsc);
void oracle_release(oracle *o);

/* A struct of the newest type into a value of its schema, by field name. */
void oracle_fill(const bt_record_type *type, const void *data, avro_value_t *value);
/* Whether they hold the same, by field name. A field that was added since the value's schema does not count. */
bool oracle_equal(const bt_record_type *type, const void *data, const avro_value_t *value);
/* Whether no ceiling is passed, every string is UTF-8 and every boolean 0 or 1: what avro-c does not ask. */
bool oracle_within_rules(const bt_record_type *type, const avro_value_t *value);

/* 0 on success. *ret_used: how many bytes were read. */
int oracle_decode(avro_value_t *value, bt_bytes bytes, size_t *ret_used);
/* Appends. */
void oracle_encode(const avro_value_t *value, bt_buf *out);

void oracle_bound(void);
void oracle_unbound(void); /* every value made since oracle_bound is gone */

#endif
