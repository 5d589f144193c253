/* Values in Postgres' binary form, both ways. Numbers are big-endian; times count microseconds from 2000. */
#include "io/pg/internal.h"

#include <endian.h>

#define EPOCH_2000_US INT64_C(946684800000000)

enum { OID_BOOL = 16, OID_BYTEA = 17, OID_INT8 = 20, OID_INT4 = 23, OID_TEXT = 25, OID_TIMESTAMPTZ = 1184, OID_UUID = 2950 };

static const struct {
    uint32_t item, array;
    uint8_t size; /* 0: any */
} TYPES[] = {
    [BT_PG_TEXT] = { OID_TEXT, 1009, 0 }, [BT_PG_BYTEA] = { OID_BYTEA, 1001, 0 }, [BT_PG_INT4] = { OID_INT4, 1007, 4 },
    [BT_PG_INT8] = { OID_INT8, 1016, 8 }, [BT_PG_BOOL] = { OID_BOOL, 1000, 1 },   [BT_PG_TIME] = { OID_TIMESTAMPTZ, 1185, 8 },
    [BT_PG_UUID] = { OID_UUID, 2951, 16 },
};

static void put_number(uint8_t *at, size_t size, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    memcpy(at, (const uint8_t *)&big + (8 - size), size);
}

static bt_pg_param number_param(bt_pg_type type, int64_t value)
{
    bt_pg_param param = { .type = TYPES[type].item, .bytes = { NULL, TYPES[type].size } };
    put_number(param.number, TYPES[type].size, type == BT_PG_TIME ? value - EPOCH_2000_US : value);
    return param;
}

bt_pg_param bt_pg_text(bt_str text) { return (bt_pg_param){ .type = OID_TEXT, .bytes = { (const uint8_t *)(text.size ? text.at : ""), text.size } }; }
bt_pg_param bt_pg_bytea(bt_bytes bytes) { return (bt_pg_param){ .type = OID_BYTEA, .bytes = { bytes.size ? bytes.at : (const uint8_t *)"", bytes.size } }; }
bt_pg_param bt_pg_int4(int32_t value) { return number_param(BT_PG_INT4, value); }
bt_pg_param bt_pg_int8(int64_t value) { return number_param(BT_PG_INT8, value); }
bt_pg_param bt_pg_bool(bool value) { return number_param(BT_PG_BOOL, value); }
bt_pg_param bt_pg_time(int64_t time_us) { return number_param(BT_PG_TIME, time_us); }

bt_pg_param bt_pg_uuid(bt_id id)
{
    bt_pg_param param = { .type = OID_UUID, .bytes = { NULL, sizeof id.at } };
    memcpy(param.number, id.at, sizeof id.at);
    return param;
}

/* An array's head: dimensions, "has nulls", type of the items, count, lower bound. The count is set when it is known. */
enum { ARRAY_NULLS_AT = 7, ARRAY_COUNT_AT = 12, ARRAY_HEAD_SIZE = 20 };

void bt_pg_array_init(bt_pg_array *array, bt_pg_type type)
{
    array->type = type;
    bt_buf_init(&array->bytes, BT_PG_ARRAY_BYTES_MAX);
    bt_pg_array_reset(array);
}

void bt_pg_array_reset(bt_pg_array *array)
{
    uint8_t head[ARRAY_HEAD_SIZE] = { 0 };
    put_number(head, 4, 1);
    put_number(head + 8, 4, TYPES[array->type].item);
    put_number(head + 16, 4, 1);
    bt_buf_reset(&array->bytes);
    bt_buf_write(&array->bytes, head, sizeof head);
    array->count = 0;
}

void bt_pg_array_release(bt_pg_array *array) { bt_buf_release(&array->bytes); }

static void add(bt_pg_array *array, const void *at, size_t size)
{
    uint8_t length[4];
    put_number(length, 4, (int64_t)size);
    bt_buf_write(&array->bytes, length, sizeof length);
    bt_buf_write(&array->bytes, at, size);
    array->count++;
}

void bt_pg_array_add_number(bt_pg_array *array, int64_t value)
{
    uint8_t bytes[8];
    size_t size = TYPES[array->type].size;
    bt_assert(size > 0 && size <= 8);
    put_number(bytes, size, array->type == BT_PG_TIME ? value - EPOCH_2000_US : value);
    add(array, bytes, size);
}

void bt_pg_array_add_bytes(bt_pg_array *array, bt_bytes bytes)
{
    bt_assert(TYPES[array->type].size == 0 || TYPES[array->type].size == bytes.size);
    add(array, bytes.at, bytes.size);
}

void bt_pg_array_add_null(bt_pg_array *array)
{
    static const uint8_t no_length[4] = { 0xff, 0xff, 0xff, 0xff };
    array->bytes.at[ARRAY_NULLS_AT] = 1;
    bt_buf_write(&array->bytes, no_length, sizeof no_length);
    array->count++;
}

void bt_pg_array_add_text(bt_pg_array *array, bt_str text) { bt_pg_array_add_bytes(array, (bt_bytes){ (const uint8_t *)text.at, text.size }); }

bt_pg_param bt_pg_array_param(bt_pg_array *array)
{
    bt_assert(!array->bytes.overflow);
    put_number(array->bytes.at + ARRAY_COUNT_AT, 4, array->count);
    return (bt_pg_param){ .type = TYPES[array->type].array, .bytes = { array->bytes.at, array->bytes.size } };
}

void bt_pg_result_release(bt_pg_result *result)
{
    PQclear(result->opaque);
    result->opaque = NULL;
}

bool bt_pg_is_null(const bt_pg_result *result, int row, int column) { return PQgetisnull(result->opaque, row, column) == 1; }

bt_str bt_pg_get_str(const bt_pg_result *result, int row, int column)
{
    return (bt_str){ PQgetvalue(result->opaque, row, column), (size_t)PQgetlength(result->opaque, row, column) };
}

static int64_t get_number(bt_str bytes)
{
    int64_t value = bytes.size > 0 && (uint8_t)bytes.at[0] >= 128 ? -1 : 0;
    for (size_t i = 0; i < bytes.size && i < 8; i++)
        value = (int64_t)((uint64_t)value << 8 | (uint8_t)bytes.at[i]);
    return value;
}

int64_t bt_pg_get_i64(const bt_pg_result *result, int row, int column) { return get_number(bt_pg_get_str(result, row, column)); }
bool bt_pg_get_bool(const bt_pg_result *result, int row, int column) { return get_number(bt_pg_get_str(result, row, column)) != 0; }
int64_t bt_pg_get_time(const bt_pg_result *result, int row, int column)
{
    return bt_pg_is_null(result, row, column) ? 0 : bt_pg_get_i64(result, row, column) + EPOCH_2000_US;
}

bt_id bt_pg_get_id(const bt_pg_result *result, int row, int column)
{
    bt_id id = { { 0 } };
    bt_str bytes = bt_pg_get_str(result, row, column);
    if (bytes.size == sizeof id.at)
        memcpy(id.at, bytes.at, sizeof id.at);
    return id;
}

int bt_pg_get_int4s(const bt_pg_result *result, int row, int column, int32_t *ret_values, int max)
{
    bt_str bytes = bt_pg_get_str(result, row, column);
    if (bytes.size >= 12 && get_number((bt_str){ bytes.at, 4 }) == 0)
        return 0; /* no dimension: an empty array */
    if (bytes.size < ARRAY_HEAD_SIZE || get_number((bt_str){ bytes.at, 4 }) != 1 || get_number((bt_str){ bytes.at + 8, 4 }) != OID_INT4)
        return -1;
    int64_t count = get_number((bt_str){ bytes.at + ARRAY_COUNT_AT, 4 });
    if (count < 0 || bytes.size != (size_t)ARRAY_HEAD_SIZE + (size_t)count * 8)
        return -1; /* also when it holds a NULL, whose item has no bytes */
    for (int64_t i = 0; i < count && i < max; i++)
        ret_values[i] = (int32_t)get_number((bt_str){ bytes.at + ARRAY_HEAD_SIZE + i * 8 + 4, 4 });
    return (int)count;
}
