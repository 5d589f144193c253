/* wire - commands out, answers in: by hiredis itself over a plain socket, and by its formatter and its reader around TLS, which 0.14 does not bring. */
#include "io/redis/internal.h"

#include "core/memory.h"

#include <stdio.h>

#define PIECE_BYTES 16384
#define OUT_MAX ((size_t)512 << 20) /* a pipeline that waits to be sent: Redis takes no longer command */

void bt_redis_wire_close(bt_redis_wire *wire)
{
    bt_tls_free(wire->tls);
    if (wire->context)
        redisFree(wire->context);
    bt_buf_release(&wire->out);
    *wire = (bt_redis_wire){ 0 };
}

static struct timeval as_timeval(int ms) { return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 }; }

bool bt_redis_wire_open(bt_redis_wire *wire, const bt_redis_url *url, int connect_timeout_ms, int command_timeout_ms, bt_err *err)
{
    redisContext *context = redisConnectWithTimeout(url->host, url->port, as_timeval(connect_timeout_ms));
    *wire = (bt_redis_wire){ .context = context };
    bt_buf_init(&wire->out, OUT_MAX);
    bool good = context && !context->err && redisSetTimeout(context, as_timeval(connect_timeout_ms)) == REDIS_OK;
    if (!good)
        bt_fail(err, BT_ERR_RETRY, 0, "%s", context ? context->errstr : "out of memory");
    if (good && url->tls) {
        wire->tls = bt_tls_new(context->fd, url->host, url->ca_file, err);
        good = wire->tls != NULL;
    }
    if (good && redisSetTimeout(context, as_timeval(command_timeout_ms)) != REDIS_OK)
        good = bt_fail(err, BT_ERR_RETRY, 0, "%s", context->errstr);
    if (!good)
        bt_redis_wire_close(wire);
    return good;
}

bool bt_redis_wire_append(bt_redis_wire *wire, int count, const char **words, const size_t *sizes, bt_err *err)
{
    if (!wire->tls)
        return redisAppendCommandArgv(wire->context, count, words, sizes) == REDIS_OK || bt_fail(err, BT_ERR_UNKNOWN, 0, "%s", wire->context->errstr);
    char *text = NULL;
    int size = redisFormatCommandArgv(&text, count, words, sizes);
    if (size < 0)
        return bt_fail(err, BT_ERR_UNKNOWN, 0, "out of memory");
    bt_buf_write(&wire->out, text, (size_t)size);
    redisFreeCommand(text);
    return !wire->out.overflow || bt_fail(err, BT_ERR_UNKNOWN, 0, "the commands are larger than %zu bytes", OUT_MAX);
}

static bool send_all(bt_redis_wire *wire, bt_err *err)
{
    bt_str out = bt_buf_view(&wire->out);
    bool sent = bt_tls_write(wire->tls, out.at, out.size, err);
    bt_buf_reset(&wire->out);
    return sent;
}

bool bt_redis_wire_reply(bt_redis_wire *wire, void **ret_reply, bt_err *err)
{
    char piece[PIECE_BYTES];
    size_t size;
    *ret_reply = NULL;
    if (!wire->tls)
        return (redisGetReply(wire->context, ret_reply) == REDIS_OK && *ret_reply) || bt_fail(err, BT_ERR_UNKNOWN, 0, "%s", wire->context->errstr);
    if (!send_all(wire, err))
        return false;
    while (redisReaderGetReply(wire->context->reader, ret_reply) == REDIS_OK) {
        if (*ret_reply)
            return true;
        if (!bt_tls_read(wire->tls, piece, sizeof piece, &size, err))
            return false;
        if (redisReaderFeed(wire->context->reader, piece, size) != REDIS_OK)
            break;
    }
    return bt_fail(err, BT_ERR_UNKNOWN, 0, "%s", wire->context->reader->errstr);
}
