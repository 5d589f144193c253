/* pg - one connection to Postgres: statements with typed parameters, binary results, deadlines, errors that say what to do.
 *
 * Nothing here relies on the state of a session (no named statements, no SET outside a transaction, no LISTEN), so a
 * connection may be PgBouncer's in transaction mode. The connection opens itself at the first statement and again after it was
 * lost; between two tries that failed it waits (20 ms doubling to 2 s, with jitter): statements fail at once meanwhile.
 *
 * Errors, by what the caller does next:
 *   BT_ERR_RETRY    no connection, deadlock, serialisation, out of connections or disk, shutting down: the statement (outside
 *                   a transaction) or the whole transaction may be tried again. A statement that was sent and got no answer is also RETRY unless it is a COMMIT
 *   BT_ERR_UNKNOWN  the answer to a COMMIT, or to a statement outside of a transaction, was lost: it may have happened
 *   BT_ERR_INPUT    the data does not fit (SQLSTATE classes 22, 23): the same data never will
 *   BT_ERR_FATAL    anything else, as a missing table: a person must look
 * err.code is the SQLSTATE as bt_pg_state() packs it, or 0 when the server did not speak.
 *
 * Threads: a bt_pg is used by one thread at a time. Every call blocks up to the configured limits, no longer. */
#ifndef BERTH_IO_PG_PG_H
#define BERTH_IO_PG_PG_H

#include "core/buf.h"

typedef struct bt_pg bt_pg;

typedef struct bt_pg_config {
    const char *dsn;              /* libpq's: postgresql://user@host:port/db?sslmode=... or key=value; copied */
    const char *application_name; /* as pg_stat_activity shows it; copied */
    int connect_timeout_ms;       /* 0: 3000 */
    int statement_timeout_ms;     /* a statement without an answer for so long fails and its connection is dropped; 0: 10000 */
    bool async_commit;            /* bt_pg_begin also says SET LOCAL synchronous_commit TO off: for what can be written again after a crash */
} bt_pg_config;

/* Does not connect yet. Never fails: a DSN that cannot be parsed fails each statement with BT_ERR_RETRY and says why. */
bt_pg *bt_pg_new(const bt_pg_config *config);
void bt_pg_free(bt_pg *pg); /* NULL is fine; an open transaction is lost */

/* A value in Postgres' binary form. Text and bytes are borrowed until the call that they are passed to returns. */
typedef struct bt_pg_param {
    uint32_t type; /* oid */
    bool is_null;
    bt_bytes bytes;    /* when at is not NULL; else: */
    uint8_t number[16]; /* a number, big-endian, or a uuid: bytes.size of it */
} bt_pg_param;

bt_pg_param bt_pg_text(bt_str text);
bt_pg_param bt_pg_bytea(bt_bytes bytes);
bt_pg_param bt_pg_int4(int32_t value);
bt_pg_param bt_pg_int8(int64_t value);
bt_pg_param bt_pg_bool(bool value);
bt_pg_param bt_pg_time(int64_t time_us); /* timestamptz, from microseconds since 1970 */
bt_pg_param bt_pg_uuid(bt_id id);

/* The types that a column or an array's items can have here. */
typedef enum bt_pg_type {
    BT_PG_TEXT,
    BT_PG_BYTEA,
    BT_PG_INT4,
    BT_PG_INT8,
    BT_PG_BOOL,
    BT_PG_TIME,
    BT_PG_UUID,
} bt_pg_type;

/* An array parameter for unnest(): one a column, so that one statement writes many rows. */
typedef struct bt_pg_array {
    bt_pg_type type;
    int32_t count;
    bt_buf bytes;
} bt_pg_array;

#define BT_PG_ARRAY_BYTES_MAX ((size_t)256 << 20)

void bt_pg_array_init(bt_pg_array *array, bt_pg_type type);
void bt_pg_array_reset(bt_pg_array *array);
void bt_pg_array_release(bt_pg_array *array);
void bt_pg_array_add_number(bt_pg_array *array, int64_t value); /* INT4, INT8, BOOL, TIME (microseconds since 1970) */
void bt_pg_array_add_bytes(bt_pg_array *array, bt_bytes bytes); /* TEXT, BYTEA, UUID (16 bytes) */
void bt_pg_array_add_text(bt_pg_array *array, bt_str text);
void bt_pg_array_add_null(bt_pg_array *array);
bt_pg_param bt_pg_array_param(bt_pg_array *array); /* borrows the array until it is changed */

/* Rows of an answer. Use BT_PG_RESULT, which releases at the end of the scope. */
typedef struct bt_pg_result {
    void *opaque;
    int row_count;
    int64_t affected; /* rows that an INSERT, UPDATE or DELETE wrote */
} bt_pg_result;

void bt_pg_result_release(bt_pg_result *result);
#define BT_PG_RESULT BT_CLEANUP(bt_pg_result_release) bt_pg_result

bool bt_pg_is_null(const bt_pg_result *result, int row, int column);
bt_str bt_pg_get_str(const bt_pg_result *result, int row, int column);     /* text, json, bytea; borrowed from the result; empty for NULL */
int64_t bt_pg_get_i64(const bt_pg_result *result, int row, int column);    /* int2, int4, int8; 0 for NULL */
bool bt_pg_get_bool(const bt_pg_result *result, int row, int column);      /* false for NULL */
int64_t bt_pg_get_time(const bt_pg_result *result, int row, int column);   /* timestamptz: microseconds since 1970 */
bt_id bt_pg_get_id(const bt_pg_result *result, int row, int column);       /* uuid, or bytea of 16 bytes; else zero */
/* int4[]: up to max values into ret_values; returns how many there are, -1 if it is no such array. */
int bt_pg_get_int4s(const bt_pg_result *result, int row, int column, int32_t *ret_values, int max);

/* Runs one statement with $1, $2 ... Outside a transaction it commits itself.
 *   ret_result  may be NULL when the rows do not matter; else release it */
bool bt_pg_query(bt_pg *pg, const char *sql, const bt_pg_param *params, size_t param_count, bt_pg_result *ret_result, bt_err *err) BT_MUST_CHECK;
/* Runs a script of statements without parameters, in one transaction. */
bool bt_pg_script(bt_pg *pg, const char *sql, bt_err *err) BT_MUST_CHECK;
/* COPY ... FROM STDIN in text format, rows as they are. */
bool bt_pg_copy(bt_pg *pg, const char *copy_sql, bt_str rows, bt_err *err) BT_MUST_CHECK;

/* After bt_pg_begin, statements belong together until commit or rollback. If the connection is lost in between, every statement up
 * to the rollback fails with BT_ERR_RETRY: none slips out of the transaction. After a commit that failed, no rollback is needed. */
bool bt_pg_begin(bt_pg *pg, bt_err *err) BT_MUST_CHECK;
bool bt_pg_commit(bt_pg *pg, bt_err *err) BT_MUST_CHECK;
void bt_pg_rollback(bt_pg *pg); /* fine without a transaction */

bool bt_pg_is_connected(const bt_pg *pg);

static inline int bt_pg_state(const char five[5])
{
    int packed = 0;
    for (int i = 0; i < 5; i++)
        packed = packed * 36 + (five[i] <= '9' ? five[i] - '0' : five[i] - 'A' + 10);
    return packed;
}

#endif
