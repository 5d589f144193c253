/* watch - the two threads that keep the board's positions fresh: one asks Postgres, one Redis, so that a hanging one does not delay the other.
 *
 * They also are what knows whether each is up, for /readyz and for the choice between Redis and Postgres, and heal by themselves. */
#ifndef BERTH_QUERY_API_SERVER_WATCH_H
#define BERTH_QUERY_API_SERVER_WATCH_H

#include "query-api/server/board.h"

typedef struct qa_watch qa_watch;

typedef struct qa_watch_options {
    qa_board *board;
    const char *topic;            /* berth.trip */
    const char *tables_model;     /* trips: whose rows of berth.positions count */
    const char *redis_model;      /* availability */
    const char *postgres_dsn;
    const char *redis_url;
    void (*began_anew)(void *context); /* a partition's rows in Postgres were thrown away and are made anew: its lost records were given up, or somebody rebuilds them */
    void *context;
    int64_t busy_ms, idle_ms;     /* pace while somebody waits, and while nobody does */
} qa_watch_options;

bool qa_watch_start(const qa_watch_options *options, qa_watch **ret_watch, bt_err *err) BT_MUST_CHECK;
/* Ends the board and joins the threads: at most about two seconds. NULL is fine. */
void qa_watch_stop(qa_watch *watch);

/* Decodes the 64 bytes that stand in Redis for a partition (projections/availability). False unless they are 64. */
bool qa_watch_decode_position(bt_str bytes, qa_position *ret_position) BT_MUST_CHECK;

#endif
