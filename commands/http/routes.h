/* routes - which POST is which command, and how its answer is told. A table a kind of stream; adding a command to HTTP is
 * a row in its kind's table (http/trip.c), and nothing else. */
#ifndef BERTH_COMMANDS_HTTP_ROUTES_H
#define BERTH_COMMANDS_HTTP_ROUTES_H

#include "commands/decider.h"

typedef struct bt_command_route {
    const char *pattern;                 /* /v1/trips/{trip}/holds */
    const bt_message_type *command;
    const char *stream_param;            /* {trip}; NULL: the command makes the stream */
    const char *target_param;            /* {hold} or {booking}; NULL if none */
    /* Of a command that makes its stream: the id that the client chose, or an empty view to have one derived from the key. */
    bt_str (*chosen_stream)(const void *data);
    /* What a decider cannot judge, being pure: does a name of the outer world exist? False with *ret_refusal set. NULL: nothing. */
    bool (*exists)(const void *data, bt_decision *ret_refusal);
    int status;                          /* 201 for what was made, else 200 */
    /* Appends Location for what was made; NULL: none. made is what new ids derive from (the command's key digest). */
    void (*location)(const bt_command *command, bt_buf *out);
} bt_command_route;

typedef struct bt_kind_routes {
    const bt_decider *decider;
    const bt_command_route *routes;
    size_t route_count;
    const char *id_prefix; /* of derived stream ids: "t" gives t-<hex> */
} bt_kind_routes;

extern const bt_kind_routes bt_trip_routes;

#endif
