/* forward - passes commands on to the node that owns their partition, and brings the answer back.
 *
 * Any node takes any command. One hop at most: what is passed on carries Berth-Hop, and a node that gets such a request for a partition that
 * is not its own says so (503 with Berth-Owner) and passes nothing on; so a loop cannot be. Who sends it waits for the routing to change.
 *
 *   bt_forward_take ──▶ bounded queue ──▶ where is it decided on?
 *        THERE    sent; a whole answer that is no "not mine" goes back as it is
 *                 not mine, no connection, broken off: again after retry_ms, or at once when the directory changes
 *        HERE     given back (here): this node owns it by now
 *        UNKNOWN  waits
 *   limit_ms after it was taken at the latest: given up, with whether a node may have got it.
 *
 * A command that was sent to a node which then fell silent is sent again to its successor as soon as the log names one: the idempotency
 * key makes that safe, and the answer that the client gets is true for either. One thread; connections to other nodes are kept alive. */
#ifndef BERTH_COMMANDS_FORWARD_FORWARD_H
#define BERTH_COMMANDS_FORWARD_FORWARD_H

#include "commands/forward/directory.h"
#include "io/http/client.h"
#include "io/metrics/metrics.h"

#define BT_HOP_HEADER "Berth-Hop"     /* on a request: the node that passes it on */
#define BT_OWNER_HEADER "Berth-Owner" /* on a 503: not mine; the value names the node that the log names, or - */

#define BT_APPLIED_UNKNOWN "\"applied\":\"unknown\"" /* in the body of a 503: an attempt of that node's may be valid */

typedef struct bt_forward_item bt_forward_item;
typedef struct bt_forwarder bt_forwarder;

/* A request on its way. The giver's memory, until one of the outputs was called with it. */
struct bt_forward_item {
    bt_http_request *request;
    int32_t partition;
    bool may_be_applied; /* set before it is taken when an earlier attempt may be valid; kept up from there on */
    /* The forwarder's own. */
    bt_forward_item *next, *previous;
    void *calling;
    int64_t until_mono_us, again_mono_us;
    char sent_to[BT_ADDRESS_MAX + 1];
};

/* Texts and directory are borrowed for its life. 0 means the default in brackets. The outputs are called on its thread, must not block,
 * and each item gets exactly one of the first three. */
typedef struct bt_forward_options {
    const char *node;
    bt_directory *directory;
    int64_t limit_ms;  /* [3,000] */
    int64_t retry_ms;  /* [50] */
    int item_max;      /* [8,192] */
    int connections_max; /* to one node [512] */
    bt_metrics *metrics;
    void *context;
    void (*answered)(void *context, bt_forward_item *item, const bt_http_answer *answer);
    void (*here)(void *context, bt_forward_item *item);
    void (*given_up)(void *context, bt_forward_item *item);
    /* The node that the log names says that it is not the owner. */
    void (*disowned)(void *context, int32_t partition);
} bt_forward_options;

bool bt_forwarder_start(const bt_forward_options *options, bt_forwarder **ret_forwarder, bt_err *err) BT_MUST_CHECK;

/* Any thread. False: full, or stopping; no output will be called. */
bool bt_forward_take(bt_forwarder *forwarder, bt_forward_item *item) BT_MUST_CHECK;

/* The directory has changed. Any thread. */
void bt_forward_look_again(bt_forwarder *forwarder);

/* Gives up what is left and ends the thread; nothing is taken any more. Once. */
void bt_forwarder_stop(bt_forwarder *forwarder);
/* After bt_forwarder_stop, and after the last that might give it something; NULL is fine. */
void bt_forwarder_free(bt_forwarder *forwarder);

#endif
