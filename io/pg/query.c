/* Statements: sent and awaited with a deadline, their errors sorted by what the caller can do. */
#include "io/pg/internal.h"

#include "core/memory.h"

#include <stdlib.h>

#define PARAMS_MAX 64

/* SQLSTATE classes and codes after which the same statement may succeed: connection, resources, intervention, rollback. */
static bool state_is_transient(const char *state)
{
    static const char *const transient[] = { "08", "40", "53", "57", "58", "25006", "55P03", "55006" };
    for (size_t i = 0; i < BT_COUNT_OF(transient); i++)
        if (strncmp(state, transient[i], strlen(transient[i])) == 0)
            return true;
    return false;
}

static bool fail_result(bt_pg *pg, const PGresult *result, bt_err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    bt_err_kind kind = BT_ERR_FATAL;
    if (!state || strlen(state) != 5) /* libpq's own: the connection broke before an answer came */
        return bt_fail(err, pg->transaction == BT_PG_NO_TRANSACTION ? BT_ERR_UNKNOWN : BT_ERR_RETRY, 0, "connection to Postgres was lost: %s",
                       PQerrorMessage(pg->connection));
    if (state_is_transient(state))
        kind = BT_ERR_RETRY;
    else if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0)
        kind = BT_ERR_INPUT;
    return bt_fail(err, kind, bt_pg_state(state), "%s%s%s (SQLSTATE %s)", text ? text : "no message", detail ? ": " : "", detail ? detail : "", state);
}

static bool fail_lost(bt_pg *pg, const char *what, bt_err *err)
{
    bt_err_kind kind = pg->transaction == BT_PG_NO_TRANSACTION ? BT_ERR_UNKNOWN : BT_ERR_RETRY;
    char why[200];
    snprintf(why, sizeof why, "%s", PQerrorMessage(pg->connection));
    bt_pg_drop(pg);
    return bt_fail(err, kind, 0, "%s%s%s", what, why[0] ? ": " : "", why);
}

static bool flush(bt_pg *pg, int64_t deadline_ms, bt_err *err)
{
    for (int left; (left = PQflush(pg->connection)) != 0;) {
        if (left < 0)
            return fail_lost(pg, "connection to Postgres was lost while sending", err);
        if (!bt_pg_wait(pg->connection, true, deadline_ms))
            return fail_lost(pg, "Postgres took no statement in time", err);
        if (!PQconsumeInput(pg->connection))
            return fail_lost(pg, "connection to Postgres was lost while sending", err);
    }
    return true;
}

/* The last result of what was sent; earlier ones (of a script) are let go unless they are errors. */
static bool await(bt_pg *pg, PGresult **ret_result, bt_err *err)
{
    int64_t deadline_ms = bt_pg_now_ms() + pg->statement_timeout_ms;
    PGresult *kept = NULL;
    if (!flush(pg, deadline_ms, err))
        return false;
    for (;;) {
        while (PQisBusy(pg->connection)) {
            if (!bt_pg_wait(pg->connection, false, deadline_ms)) {
                PQclear(kept);
                return fail_lost(pg, "Postgres gave no answer in time", err);
            }
            if (!PQconsumeInput(pg->connection)) {
                PQclear(kept);
                return fail_lost(pg, "connection to Postgres was lost", err);
            }
        }
        PGresult *next = PQgetResult(pg->connection);
        if (!next)
            break;
        if (kept && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            PQclear(next);
            continue;
        }
        PQclear(kept);
        kept = next;
        if (PQresultStatus(kept) == PGRES_COPY_IN)
            break;
    }
    *ret_result = kept;
    return kept ? true : fail_lost(pg, "Postgres gave no result", err);
}

/* Checks a result's status and hands it over, or releases it. */
static bool settle(bt_pg *pg, PGresult *result, bt_pg_result *ret_result, bt_err *err)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
        fail_result(pg, result, err);
        PQclear(result);
        if (PQstatus(pg->connection) != CONNECTION_OK)
            bt_pg_drop(pg);
        return false;
    }
    if (!ret_result) {
        PQclear(result);
        return true;
    }
    *ret_result = (bt_pg_result){ .opaque = result, .row_count = PQntuples(result), .affected = strtoll(PQcmdTuples(result), NULL, 10) };
    return true;
}

static bool ready(bt_pg *pg, bt_err *err)
{
    if (pg->transaction == BT_PG_LOST_TRANSACTION || (pg->transaction == BT_PG_IN_TRANSACTION && !pg->connection))
        return bt_fail(err, BT_ERR_RETRY, 0, "connection to Postgres was lost within a transaction");
    return bt_pg_connect(pg, err);
}

static bool send(bt_pg *pg, const char *sql, const bt_pg_param *params, size_t param_count)
{
    Oid types[PARAMS_MAX];
    const char *values[PARAMS_MAX];
    int sizes[PARAMS_MAX], formats[PARAMS_MAX];
    for (size_t i = 0; i < param_count; i++) {
        types[i] = params[i].type;
        formats[i] = 1;
        sizes[i] = (int)params[i].bytes.size;
        values[i] = params[i].is_null ? NULL : params[i].bytes.at ? (const char *)params[i].bytes.at : (const char *)params[i].number;
    }
    return PQsendQueryParams(pg->connection, sql, (int)param_count, types, values, sizes, formats, 1) == 1;
}

bool bt_pg_query(bt_pg *pg, const char *sql, const bt_pg_param *params, size_t param_count, bt_pg_result *ret_result, bt_err *err)
{
    PGresult *result;
    bt_assert(param_count <= PARAMS_MAX);
    if (!ready(pg, err))
        return false;
    if (!send(pg, sql, params, param_count)) /* mostly a connection that the server closed while it was idle */
        return fail_lost(pg, "cannot send to Postgres", err);
    return await(pg, &result, err) && settle(pg, result, ret_result, err);
}

bool bt_pg_script(bt_pg *pg, const char *sql, bt_err *err)
{
    PGresult *result;
    if (!ready(pg, err))
        return false;
    if (!PQsendQuery(pg->connection, sql))
        return fail_lost(pg, "cannot send to Postgres", err);
    return await(pg, &result, err) && settle(pg, result, NULL, err);
}

static bool copy_rows(bt_pg *pg, bt_str rows, bt_err *err)
{
    static const size_t piece_max = 1 << 20;
    for (size_t at = 0; at < rows.size;) {
        size_t size = rows.size - at < piece_max ? rows.size - at : piece_max;
        int put = PQputCopyData(pg->connection, rows.at + at, (int)size);
        if (put < 0)
            return fail_lost(pg, "connection to Postgres was lost within COPY", err);
        if (put == 1)
            at += size;
        if (!flush(pg, bt_pg_now_ms() + pg->statement_timeout_ms, err))
            return false;
    }
    for (int put; (put = PQputCopyEnd(pg->connection, NULL)) != 1;)
        if (put < 0 || !bt_pg_wait(pg->connection, true, bt_pg_now_ms() + pg->statement_timeout_ms))
            return fail_lost(pg, "cannot end COPY", err);
    return true;
}

bool bt_pg_copy(bt_pg *pg, const char *copy_sql, bt_str rows, bt_err *err)
{
    PGresult *result;
    if (!ready(pg, err))
        return false;
    if (!PQsendQuery(pg->connection, copy_sql))
        return fail_lost(pg, "cannot send to Postgres", err);
    if (!await(pg, &result, err))
        return false;
    if (PQresultStatus(result) != PGRES_COPY_IN) {
        if (settle(pg, result, NULL, err))
            bt_fail(err, BT_ERR_FATAL, 0, "not a COPY FROM STDIN: %s", copy_sql);
        return false;
    }
    PQclear(result);
    return copy_rows(pg, rows, err) && await(pg, &result, err) && settle(pg, result, NULL, err);
}

bool bt_pg_begin(bt_pg *pg, bt_err *err)
{
    bt_assert(pg->transaction == BT_PG_NO_TRANSACTION);
    if (!bt_pg_script(pg, pg->async_commit ? "BEGIN; SET LOCAL synchronous_commit TO off" : "BEGIN", err)) {
        if (err && err->kind == BT_ERR_UNKNOWN)
            err->kind = BT_ERR_RETRY; /* a BEGIN without an answer did nothing: its connection is gone */
        return false;
    }
    pg->transaction = BT_PG_IN_TRANSACTION;
    return true;
}

bool bt_pg_commit(bt_pg *pg, bt_err *err)
{
    bt_assert(pg->transaction != BT_PG_NO_TRANSACTION);
    if (!ready(pg, err)) {
        pg->transaction = BT_PG_NO_TRANSACTION;
        return false;
    }
    bool was_failed = PQtransactionStatus(pg->connection) == PQTRANS_INERROR;
    pg->transaction = BT_PG_NO_TRANSACTION; /* from here a lost answer is BT_ERR_UNKNOWN */
    if (!bt_pg_query(pg, "COMMIT", NULL, 0, NULL, err))
        return false;
    /* Postgres answers the COMMIT of a failed transaction with a rollback and calls that a success. */
    return was_failed ? bt_fail(err, BT_ERR_RETRY, 0, "the transaction had failed and was rolled back") : true;
}

void bt_pg_rollback(bt_pg *pg)
{
    bool open = pg->transaction == BT_PG_IN_TRANSACTION && pg->connection;
    bt_err unread;
    pg->transaction = BT_PG_NO_TRANSACTION;
    if (open && !bt_pg_query(pg, "ROLLBACK", NULL, 0, NULL, &unread))
        bt_pg_drop(pg);
}
