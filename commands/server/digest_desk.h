/* digest_desk - the digest of a partition's state, told to whoever compares: `berth replay` and the checkers of tests/faults fold the log
 * themselves, and the digest says whether this node holds the same (docs/state-digest.md).
 *
 *   GET /digest?partition=3   on the admin port
 *   {"partition":3,"phase":"owning","next_offset":1042,"height":1000,"head":"1a2b...","streams":17,"digest":"ce56...","took_us":830}
 *
 * The state belongs to the deciding thread, so that thread computes it, on demand only and one partition a round, between two batches: what
 * is told is the proved state at next_offset. It holds up deciding for took_us, about a microsecond a seat and stream: some ten
 * milliseconds with 30,000 trips. Nobody pays for it who does not ask. */
#ifndef BERTH_COMMANDS_SERVER_DIGEST_DESK_H
#define BERTH_COMMANDS_SERVER_DIGEST_DESK_H

#include "commands/owner/owner.h"
#include "io/http/http.h"

#include <pthread.h>
#include <stdatomic.h>

#define DIGEST_WAITING_MAX 8
#define DIGEST_WAIT_MS 5000 /* for a moment with nothing in flight; then 503 */

typedef struct digest_request digest_request;

/* The program's, not the node's: whoever asks while the node stops must find it. */
typedef struct bt_digest_desk {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    int32_t partition_count;
    atomic_int waiting_count;
    bool closed;
    atomic_bool is_open; /* before, all else is zero */
    digest_request *waiting[DIGEST_WAITING_MAX];
} bt_digest_desk;

/* Of zeroed storage, once; it may be asked before, and says 503. */
void bt_digest_desk_init(bt_digest_desk *desk, int32_t partition_count);

/* Deciding thread, each round before new commands are taken. owners[i] is of partition i. Cheap when nobody asks. */
void bt_digest_desk_serve(bt_digest_desk *desk, bt_owner *const *owners);
/* Deciding thread, at its end: whoever waits or comes is told 503. */
void bt_digest_desk_close(bt_digest_desk *desk);

/* Handler of GET /digest; context is the desk. Waits, so it needs a thread of its own (the admin port has them). */
void bt_digest_desk_answer(bt_http_request *request);

#endif
