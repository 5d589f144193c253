/* What the files of io/pg share. */
#ifndef BERTH_IO_PG_INTERNAL_H
#define BERTH_IO_PG_INTERNAL_H

#include "io/pg/pg.h"
#include "io/trouble/trouble.h"

#include <libpq-fe.h>

typedef enum bt_pg_transaction {
    BT_PG_NO_TRANSACTION,
    BT_PG_IN_TRANSACTION,
    BT_PG_LOST_TRANSACTION, /* the connection went away inside it: nothing may run before the rollback */
} bt_pg_transaction;

struct bt_pg {
    char *dsn;
    char *application_name;
    int connect_timeout_ms;
    int statement_timeout_ms;
    bool async_commit;
    PGconn *connection; /* NULL while there is none */
    bt_pg_transaction transaction;
    int64_t next_try_ms; /* monotonic; no connection is tried before */
    int backoff_ms;
    char last_failure[BT_TROUBLE_MAX];
};

int64_t bt_pg_now_ms(void);

/* Connects if there is no connection. BT_ERR_RETRY. */
bool bt_pg_connect(bt_pg *pg, bt_err *err) BT_MUST_CHECK;
/* Closes the connection and remembers that a transaction was lost with it. */
void bt_pg_drop(bt_pg *pg);
/* Waits until the socket can be read (or written too, when so asked). False when the deadline has passed. */
bool bt_pg_wait(PGconn *connection, bool also_write, int64_t deadline_ms);

#endif
