/* What the files of io/redis share. */
#ifndef BERTH_IO_REDIS_INTERNAL_H
#define BERTH_IO_REDIS_INTERNAL_H

#include "io/redis/redis.h"

typedef struct bt_redis_url {
    char host[256];
    char user[256];
    char password[512];
    int port;
    int database;
} bt_redis_url;

/* redis://[[user]:password@]host[:port][/database], parts percent-decoded. BT_ERR_INPUT; the message never holds the password. */
bool bt_redis_url_parse(bt_str text, bt_redis_url *ret_url, bt_err *err) BT_MUST_CHECK;

#endif
