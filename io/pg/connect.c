/* Connecting, with limits: libpq's own functions block for as long as the network pleases, so each step is polled. */
#include "io/pg/internal.h"

#include "core/memory.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS 2000

int64_t bt_pg_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(bt_alloc(size), text, size);
}

bt_pg *bt_pg_new(const bt_pg_config *config)
{
    bt_pg *pg = bt_alloc(sizeof *pg);
    pg->dsn = copy_text(config->dsn ? config->dsn : "");
    pg->application_name = copy_text(config->application_name ? config->application_name : "berth");
    pg->connect_timeout_ms = config->connect_timeout_ms > 0 ? config->connect_timeout_ms : 3000;
    pg->statement_timeout_ms = config->statement_timeout_ms > 0 ? config->statement_timeout_ms : 10000;
    pg->async_commit = config->async_commit;
    return pg;
}

void bt_pg_free(bt_pg *pg)
{
    if (!pg)
        return;
    PQfinish(pg->connection);
    bt_release(pg->dsn);
    bt_release(pg->application_name);
    bt_release(pg);
}

bool bt_pg_is_connected(const bt_pg *pg) { return pg->connection != NULL; }

void bt_pg_drop(bt_pg *pg)
{
    PQfinish(pg->connection);
    pg->connection = NULL;
    if (pg->transaction == BT_PG_IN_TRANSACTION)
        pg->transaction = BT_PG_LOST_TRANSACTION;
}

bool bt_pg_wait(PGconn *connection, bool also_write, int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - bt_pg_now_ms();
    struct pollfd waiting = { .fd = PQsocket(connection), .events = (short)(POLLIN | (also_write ? POLLOUT : 0)) };
    /* A signal may end poll early; the caller loops until its deadline anyway. */
    return left_ms > 0 && waiting.fd >= 0 && poll(&waiting, 1, (int)left_ms) != 0;
}

/* What to do about it, by the words of libpq, Postgres and PgBouncer. */
static const char *remedy_of(const char *message)
{
    static const struct {
        const char *says, *remedy;
    } remedies[] = {
        { "password authentication failed", "check the user and the password in postgres.dsn" },
        { "SASL authentication failed", "check the user and the password in postgres.dsn" }, /* PgBouncer's */
        { "no password supplied", "put the password into postgres.dsn, or into the file that PGPASSFILE names" },
        { "certificate verify failed", "sslrootcert in postgres.dsn must name the file of the CA that signed the server's certificate" },
        { "root certificate file", "sslrootcert in postgres.dsn must name a file that this process may read" },
        { "does not match host name", "the host in postgres.dsn must be one that the server's certificate is made out to" },
        { "server does not support SSL", "sslmode in postgres.dsn asks for TLS and the server has none" },
        { "no pg_hba.conf entry", "the server's pg_hba.conf must admit this user, database and address; if it wants TLS, say sslmode=verify-full in postgres.dsn" },
        { "SSL required", "say sslmode=verify-full in postgres.dsn" }, /* PgBouncer's */
        { "no such database", "check the database in postgres.dsn" }, /* PgBouncer's */
        { "does not exist", "check user and database in postgres.dsn" },
        { "could not translate host name", "check the host in postgres.dsn" },
        { "Connection refused", "check host and port in postgres.dsn" },
    };
    for (size_t i = 0; i < BT_COUNT_OF(remedies); i++)
        if (strstr(message, remedies[i].says))
            return remedies[i].remedy;
    return "check postgres.dsn";
}

/* libpq's messages end in a line feed and may have several lines: one line is what a log wants, and at its end what to do. */
static void remember_failure(bt_pg *pg, const char *message)
{
    char line[240];
    size_t size = 0;
    for (; message[size] && size + 1 < sizeof line; size++)
        line[size] = message[size] == '\n' ? ' ' : message[size];
    while (size > 0 && line[size - 1] == ' ')
        size--;
    line[size] = 0;
    snprintf(pg->last_failure, sizeof pg->last_failure, "%s; %s", line, remedy_of(message));
    char text[BT_TROUBLE_MAX];
    snprintf(text, sizeof text, "cannot connect to Postgres: %.360s", pg->last_failure);
    (void)bt_trouble_note(BT_TROUBLE_POSTGRES, text); /* whoever asked logs it */
}

/* libpq would repeat the piece that it does not understand, which may be one of the password. */
static bool is_dsn(const char *dsn)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &why);
    bool good = options != NULL;
    PQconninfoFree(options);
    PQfreemem(why);
    return good;
}

static bool connect_finish(bt_pg *pg, PGconn *connection)
{
    int64_t deadline_ms = bt_pg_now_ms() + pg->connect_timeout_ms;
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    if (!connection || PQstatus(connection) == CONNECTION_BAD)
        return false;
    while (step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED) {
        struct pollfd waiting = { .fd = PQsocket(connection), .events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT };
        int64_t left_ms = deadline_ms - bt_pg_now_ms();
        if (left_ms <= 0) {
            remember_failure(pg, "no answer in time");
            return false;
        }
        if (poll(&waiting, 1, (int)left_ms) > 0)
            step = PQconnectPoll(connection);
    }
    if (step == PGRES_POLLING_FAILED)
        remember_failure(pg, PQerrorMessage(connection));
    return step == PGRES_POLLING_OK;
}

/* Later each time, and not at the same moment as every other client of a server that comes back. */
static void back_off(bt_pg *pg)
{
    pg->backoff_ms = pg->backoff_ms == 0 ? BACKOFF_FIRST_MS : pg->backoff_ms * 2;
    if (pg->backoff_ms > BACKOFF_MAX_MS)
        pg->backoff_ms = BACKOFF_MAX_MS;
    uint64_t spread = bt_mix64((uint64_t)bt_pg_now_ms() ^ (uint64_t)(uintptr_t)pg);
    pg->next_try_ms = bt_pg_now_ms() + pg->backoff_ms / 2 + (int64_t)(spread % (uint64_t)(pg->backoff_ms / 2 + 1));
}

static void ignore_notice(void *unused, const PGresult *notice)
{
    (void)unused; /* "already exists, skipping": libpq would print it on stderr, between our lines of JSON */
    (void)notice;
}

bool bt_pg_connect(bt_pg *pg, bt_err *err)
{
    if (pg->connection && PQstatus(pg->connection) == CONNECTION_OK)
        return true;
    bt_pg_drop(pg);
    if (bt_pg_now_ms() < pg->next_try_ms)
        return bt_fail(err, BT_ERR_RETRY, 0, "no connection to Postgres: %s", pg->last_failure);
    if (!is_dsn(pg->dsn)) {
        remember_failure(pg, "postgres.dsn cannot be read (it is not shown, as it may hold a password): write postgresql://user:password@host:port/database?sslmode=..., with what is special in it percent-encoded");
        back_off(pg);
        return bt_fail(err, BT_ERR_RETRY, 0, "cannot connect to Postgres: %s", pg->last_failure);
    }
    /* What the DSN itself says comes after these and wins. */
    const char *keys[] = { "application_name", "tcp_user_timeout", "client_encoding", "dbname", NULL };
    const char *values[] = { pg->application_name, "10000", "UTF8", pg->dsn, NULL };
    PGconn *connection = PQconnectStartParams(keys, values, 1);
    if (!connect_finish(pg, connection)) {
        if (connection && PQstatus(connection) == CONNECTION_BAD && PQerrorMessage(connection)[0] != 0)
            remember_failure(pg, PQerrorMessage(connection));
        PQfinish(connection);
        back_off(pg);
        return bt_fail(err, BT_ERR_RETRY, 0, "cannot connect to Postgres: %s", pg->last_failure);
    }
    PQsetNoticeReceiver(connection, ignore_notice, NULL);
    if (PQsetnonblocking(connection, 1) != 0) {
        PQfinish(connection);
        return bt_fail(err, BT_ERR_RETRY, 0, "cannot make the connection to Postgres non-blocking");
    }
    pg->connection = connection;
    pg->backoff_ms = 0;
    bt_trouble_over(BT_TROUBLE_POSTGRES);
    return true;
}
