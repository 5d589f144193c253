/* redis - one connection to Redis: commands, pipelines and scripts, with deadlines and errors that say what to do.
 *
 * The connection opens itself at the first command and again after it was lost; between two tries that failed it waits (20 ms
 * doubling to 2 s, with jitter), and commands fail at once meanwhile.
 *
 * TLS (rediss://) always checks the server's certificate. Why there is no connection is noted in io/trouble, with the remedy.
 *
 * Errors: BT_ERR_RETRY no connection, no answer in time, loading, read-only, out of memory, wrong password (a person may be mending it);
 *         BT_ERR_UNKNOWN a command was sent and its answer was lost; BT_ERR_FATAL the server calls the command wrong.
 * An error among the answers of a pipeline is an answer: see bt_redis_reply_is_error.
 *
 * Threads: one at a time. Every call blocks up to the configured limits, no longer. The program must ignore SIGPIPE: hiredis writes without
 * guarding against it. */
#ifndef BERTH_IO_REDIS_REDIS_H
#define BERTH_IO_REDIS_REDIS_H

#include "core/base.h"

typedef struct bt_redis bt_redis;

typedef struct bt_redis_config {
    const char *url;        /* redis://[[user]:password@]host[:port][/database]; rediss:// for TLS, then also ?ssl_ca_certs=FILE; copied */
    int connect_timeout_ms; /* 0: 2000 */
    int command_timeout_ms; /* 0: 5000 */
} bt_redis_config;

/* Checks the url (BT_ERR_INPUT); does not connect yet. */
bt_redis *bt_redis_new(const bt_redis_config *config, bt_err *err) BT_MUST_CHECK;
void bt_redis_free(bt_redis *redis); /* NULL is fine */

typedef struct bt_redis_reply {
    void *opaque;
    bool borrowed; /* an item of another: nothing to release */
} bt_redis_reply;

void bt_redis_reply_release(bt_redis_reply *reply);
#define BT_REDIS_REPLY BT_CLEANUP(bt_redis_reply_release) bt_redis_reply

bool bt_redis_reply_is_nil(const bt_redis_reply *reply);
bool bt_redis_reply_is_error(const bt_redis_reply *reply);
bt_str bt_redis_reply_str(const bt_redis_reply *reply); /* borrowed; empty unless it is a string, status or error */
int64_t bt_redis_reply_i64(const bt_redis_reply *reply); /* 0 unless it is an integer */
size_t bt_redis_reply_count(const bt_redis_reply *reply); /* 0 unless it is a list */
bt_redis_reply bt_redis_reply_item(const bt_redis_reply *reply, size_t index); /* borrowed from its list */

#define BT_REDIS_ARGS_MAX 65536

/* One command, as its words: {"GET", key}. ret_reply may be NULL; else release it. An error reply is a failure here. */
bool bt_redis_command(bt_redis *redis, const bt_str *words, size_t word_count, bt_redis_reply *ret_reply, bt_err *err) BT_MUST_CHECK;

/* A pipeline: send any number (up to 10,000 open), then take each answer in order. After a failure of either, all that was open is lost. */
bool bt_redis_send(bt_redis *redis, const bt_str *words, size_t word_count, bt_err *err) BT_MUST_CHECK;
bool bt_redis_receive(bt_redis *redis, bt_redis_reply *ret_reply, bt_err *err) BT_MUST_CHECK;

/* A Lua script: loaded once a connection, called by its digest; loaded again when the server has forgotten it (SCRIPT FLUSH, restart). */
typedef struct bt_redis_script {
    const char *text;
    char sha[41]; /* empty: not known yet */
} bt_redis_script;

bool bt_redis_eval(bt_redis *redis, bt_redis_script *script, const bt_str *keys, size_t key_count, const bt_str *args, size_t arg_count,
                   bt_redis_reply *ret_reply, bt_err *err) BT_MUST_CHECK;

#endif
