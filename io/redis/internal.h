/* What the files of io/redis share. */
#ifndef BERTH_IO_REDIS_INTERNAL_H
#define BERTH_IO_REDIS_INTERNAL_H

#include "core/buf.h"
#include "io/redis/redis.h"
#include "io/tls/tls.h"

#include <hiredis/hiredis.h>

typedef struct bt_redis_url {
    char host[256];
    char user[256];
    char password[512];
    char ca_file[512]; /* empty: the system's CAs */
    int port;
    int database;
    bool tls;
} bt_redis_url;

/* redis[s]://[[user]:password@]host[:port][/database], parts percent-decoded; rediss:// also ?ssl_ca_certs=FILE. BT_ERR_INPUT; the message never holds the password. */
bool bt_redis_url_parse(bt_str text, bt_redis_url *ret_url, bt_err *err) BT_MUST_CHECK;

/* A connection's bytes. The context is NULL while there is none. */
typedef struct bt_redis_wire {
    redisContext *context;
    bt_tls *tls; /* NULL: plain */
    bt_buf out;  /* for tls: what is appended and not sent */
} bt_redis_wire;

/* Connects, and shakes hands if the URL says rediss. BT_ERR_RETRY with the cause. */
bool bt_redis_wire_open(bt_redis_wire *wire, const bt_redis_url *url, int connect_timeout_ms, int command_timeout_ms, bt_err *err) BT_MUST_CHECK;
void bt_redis_wire_close(bt_redis_wire *wire);
/* A command to be sent with the next reply that is asked for; BT_ERR_UNKNOWN: the connection is of no use any more. */
bool bt_redis_wire_append(bt_redis_wire *wire, int count, const char **words, const size_t *sizes, bt_err *err) BT_MUST_CHECK;
/* The next answer; release it by freeReplyObject. BT_ERR_UNKNOWN as above. */
bool bt_redis_wire_reply(bt_redis_wire *wire, void **ret_reply, bt_err *err) BT_MUST_CHECK;

#endif
