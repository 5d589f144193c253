/* intake - from an HTTP request to a command in the node's inbox, and from the owner's answer to an HTTP response.
 *
 * A worker thread does all that needs no state: the key, ids, strict JSON, ceilings, shapes. What it refuses never
 * reaches the deciding thread. The answer is written on the deciding thread; its body is ready, so that costs a copy.
 *
 * A command of a partition that another node decides on goes to the forwarder (passing.c), which brings that node's answer, or gives the
 * command back when this node has come to own the partition. */
#ifndef BERTH_COMMANDS_HTTP_INTAKE_H
#define BERTH_COMMANDS_HTTP_INTAKE_H

#include "commands/forward/forward.h"
#include "commands/http/routes.h"
#include "commands/server/node.h"
#include "io/http/http.h"

#define BT_KEY_MAX 255 /* bytes of an Idempotency-Key */

/* One a kind of stream; lives as long as the server. */
typedef struct bt_intake {
    const bt_kind_routes *kind;
    const void *decider_settings;
    bt_node *node; /* this and the next two: set before the first request */
    bt_forwarder *forwarder;
    bt_directory *directory;
    int32_t partition_count;
    bt_counter *accepted, *already, *repeated;
    bt_counter **verdicts; /* of refusals, by row of decider->verdicts */
} bt_intake;

void bt_intake_init(bt_intake *intake, const bt_kind_routes *kind, const void *decider_settings, int32_t partition_count, bt_metrics *metrics);
void bt_intake_release(bt_intake *intake);

/* Fills ret_routes (room for kind->route_count) with HTTP routes whose context is one of ret_bindings. */
typedef struct bt_intake_binding {
    bt_intake *intake;
    const bt_command_route *route;
} bt_intake_binding;
void bt_intake_routes(bt_intake *intake, bt_intake_binding *ret_bindings, bt_http_route *ret_routes);

/* The forwarder's outputs; context is the intake. */
void bt_passing_answered(void *context, bt_forward_item *item, const bt_http_answer *answer);
void bt_passing_here(void *context, bt_forward_item *item);
void bt_passing_given_up(void *context, bt_forward_item *item);
void bt_passing_disowned(void *context, int32_t partition);

#endif
