/* board - how far each read model has folded the log, and the reads that wait for it (Berth-Min-Position).
 *
 * Two sources answer reads: the tables in Postgres and the availability in Redis, each with a position a partition. A watcher thread a source
 * (watch.h) asks for all positions at once and publishes them here: every few milliseconds while anybody waits, a few times a second otherwise.
 * So a thousand waiting reads cost the databases no more than one. A wait is parked without a thread: its callback runs on the watcher
 * that saw the position arrive, the time pass, or the end of the program.
 *
 * A partition of which records were lost stands still ("stopped"), until the loss is accepted; then its positions go back and it is folded anew. A
 * position that a client brings is answered for neither while it is stopped, nor from Redis before Redis was seen to hold the same log as Postgres: after that, and at
 * our start, when it may be the rest of a log that is gone.
 *
 * Any thread, for every function. Callbacks run without any lock held. */
#ifndef BERTH_QUERY_API_SERVER_BOARD_H
#define BERTH_QUERY_API_SERVER_BOARD_H

#include "query-api/server/token.h"

typedef enum qa_source { QA_SOURCE_POSTGRES, QA_SOURCE_REDIS, QA_SOURCE_COUNT } qa_source;
#define QA_NEEDS_POSTGRES (1U << QA_SOURCE_POSTGRES)
#define QA_NEEDS_REDIS (1U << QA_SOURCE_REDIS)

typedef struct qa_position {
    int64_t next_offset; /* every record before it is in the read model */
    int64_t head_offset; /* of the last valid record; -1: none */
    bt_id head;
    bool stopped;        /* this partition is not read any further until an operator acts; of Postgres only, as is the next */
    int64_t began_us;    /* since when it is folded into these rows: after a loss that was accepted, or a rebuild, it is another time */
} qa_position;

typedef enum qa_wait_outcome {
    QA_WAIT_REACHED,
    QA_WAIT_PARKED,       /* the callback will be called, once */
    QA_WAIT_TIMED_OUT,
    QA_WAIT_STOPPED,      /* a partition that it names is not read any further, however far it got */
    QA_WAIT_NO_PARTITION, /* the log has no such partition */
    QA_WAIT_FULL,         /* too many wait already */
    QA_WAIT_ENDED,        /* the program stops */
} qa_wait_outcome;

/* One waiting read; the caller's storage, untouched by the caller from qa_board_wait to the callback. */
typedef struct qa_wait {
    const qa_token *tokens;
    size_t token_count;
    unsigned needs;           /* QA_NEEDS_*: reached when each of these sources that is up has got to all tokens */
    int64_t grace_mono_us;    /* from then on one of them is enough: either can answer, the other is slow, or was flushed */
    int64_t deadline_mono_us;
    void (*done)(struct qa_wait *wait, qa_wait_outcome outcome);
    struct qa_wait *next, *previous; /* the board's */
} qa_wait;

typedef struct qa_board qa_board;

qa_board *qa_board_new(bt_str kind, size_t waiting_max);
void qa_board_free(qa_board *board); /* after qa_board_end */

/* The kind of stream whose partitions these are: what a token must say. */
bt_str qa_board_kind(const qa_board *board);
/* Decides at once, or parks. Parking wakes the watchers. */
qa_wait_outcome qa_board_wait(qa_board *board, qa_wait *wait);
/* Partitions of the log, as Postgres says; 0 while that is not known. */
int32_t qa_board_partition_count(const qa_board *board);
/* False while nothing has been published for it. */
bool qa_board_position(qa_board *board, qa_source source, int32_t partition, qa_position *ret_position);
bool qa_board_is_up(qa_board *board, qa_source source);
size_t qa_board_waiting(qa_board *board);
/* False at first, and after the partition's rows in Postgres began anew, until qa_board_trust. ret_redis: where Redis is now, with next_offset -1 while nothing
 * has been published; may be NULL. */
bool qa_board_trusts_redis(qa_board *board, int32_t partition, qa_position *ret_redis);
void qa_board_trust(qa_board *board, int32_t partition); /* Redis was seen to hold a record that Postgres has in the same place. Nothing before
                                                          * Postgres has got as far again as it was: until then it cannot tell a position of the lost records */

/* For the watchers. True: rows in Postgres began anew. Positions replace all of the source's; count 0 with is_up false when it could not be asked: the old ones stay.
 * Settles every wait that it decides, and those whose time has passed. */
bool qa_board_publish(qa_board *board, qa_source source, bool is_up, const qa_position *positions, int32_t count);
/* Sleeps busy_ms when somebody waits, else idle_ms or until somebody comes. False: the program ends. */
bool qa_board_rest(qa_board *board, int64_t busy_ms, int64_t idle_ms);
/* Ends every wait with QA_WAIT_ENDED, and every later one. */
void qa_board_end(qa_board *board);

#endif
