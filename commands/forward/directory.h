/* directory - where each partition of a topic is decided on, as this node knows it from the log: the node's routing table.
 *
 * The deciding thread writes it when an owner's phase or the last valid OwnerTookOver changes; HTTP threads and the forwarder read it.
 * It may be stale, and nothing breaks: a node that is asked wrongly says so, and the log settles the rest. */
#ifndef BERTH_COMMANDS_FORWARD_DIRECTORY_H
#define BERTH_COMMANDS_FORWARD_DIRECTORY_H

#include "core/base.h"

#define BT_ADDRESS_MAX 255 /* bytes of a node's host:port */

typedef enum bt_where {
    BT_WHERE_UNKNOWN, /* nobody is known to decide on it now */
    BT_WHERE_HERE,    /* this node does, or is the one to say why nobody can */
    BT_WHERE_THERE,   /* another node does, says the log */
} bt_where;

typedef struct bt_whereabouts {
    bt_where where;
    bool takes;     /* this node takes commands on it, be it only to keep them until it owns: what was passed on to it may stay */
    char node[BT_NAME_MAX + 1], address[BT_ADDRESS_MAX + 1]; /* whom the log names last, be it this node; "": nobody yet */
} bt_whereabouts;

typedef struct bt_directory bt_directory;

bt_directory *bt_directory_new(int32_t partition_count);
void bt_directory_free(bt_directory *directory); /* NULL is fine */

/* The deciding thread. True if that is news. */
bool bt_directory_put(bt_directory *directory, int32_t partition, bt_where where, bool takes, bt_str node, bt_str address);

/* Any thread. The first without a lock. */
bt_where bt_directory_where(const bt_directory *directory, int32_t partition);
void bt_directory_get(bt_directory *directory, int32_t partition, bt_whereabouts *ret_whereabouts);
/* Grows with every change of any partition. */
uint64_t bt_directory_version(const bt_directory *directory);

#endif
