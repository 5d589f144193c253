/* The connection, its commands and its scripts, over hiredis' blocking interface with timeouts on the socket. */
#include "io/redis/internal.h"

#include "core/memory.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <time.h>

#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS 2000
#define OPEN_MAX 10000

struct bt_redis {
    bt_redis_url url;
    int connect_timeout_ms;
    int command_timeout_ms;
    redisContext *context; /* NULL while there is no connection */
    int open;              /* commands sent in a pipeline whose answers were not taken */
    int64_t next_try_ms;
    int backoff_ms;
    char last_failure[200];
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct timeval as_timeval(int ms) { return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 }; }

bt_redis *bt_redis_new(const bt_redis_config *config, bt_err *err)
{
    bt_redis_url url;
    if (!bt_redis_url_parse(bt_str_of(config->url ? config->url : ""), &url, err))
        return NULL;
    bt_redis *redis = bt_alloc(sizeof *redis);
    redis->url = url;
    redis->connect_timeout_ms = config->connect_timeout_ms > 0 ? config->connect_timeout_ms : 2000;
    redis->command_timeout_ms = config->command_timeout_ms > 0 ? config->command_timeout_ms : 5000;
    return redis;
}

static void drop(bt_redis *redis)
{
    if (redis->context)
        redisFree(redis->context);
    redis->context = NULL;
    redis->open = 0;
}

void bt_redis_free(bt_redis *redis)
{
    if (!redis)
        return;
    drop(redis);
    bt_release(redis);
}

static bool fail_lost(bt_redis *redis, bt_err *err)
{
    char why[128];
    snprintf(why, sizeof why, "%s", redis->context->errstr);
    drop(redis);
    return bt_fail(err, BT_ERR_UNKNOWN, 0, "no answer from Redis: %s", why);
}

/* The first word of an error reply is its class. These pass by themselves, or when a person has mended the server. */
static bool fail_reply(const redisReply *reply, bt_err *err)
{
    static const char *const transient[] = { "LOADING", "BUSY", "READONLY", "MASTERDOWN", "OOM", "NOAUTH", "WRONGPASS", "NOPERM", "MISCONF", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS" };
    for (size_t i = 0; i < BT_COUNT_OF(transient); i++)
        if (strncmp(reply->str, transient[i], strlen(transient[i])) == 0)
            return bt_fail(err, BT_ERR_RETRY, 0, "Redis refused: %.300s", reply->str);
    return bt_fail(err, BT_ERR_FATAL, 0, "Redis refused: %.300s", reply->str);
}

static bool call(bt_redis *redis, int count, const char **words, const size_t *sizes, bt_err *err)
{
    redisReply *reply = redisCommandArgv(redis->context, count, words, sizes);
    bool good = reply && reply->type != REDIS_REPLY_ERROR;
    if (!reply)
        fail_lost(redis, err);
    else if (!good)
        fail_reply(reply, err);
    freeReplyObject(reply);
    return good;
}

static bool greet(bt_redis *redis, bt_err *err)
{
    const bt_redis_url *url = &redis->url;
    const char *auth[] = { "AUTH", url->user[0] ? url->user : url->password, url->password };
    size_t auth_sizes[] = { 4, strlen(auth[1]), strlen(auth[2]) };
    char number[12];
    const char *select[] = { "SELECT", number };
    size_t select_sizes[] = { 6, (size_t)snprintf(number, sizeof number, "%d", url->database) };
    if (url->password[0] && !call(redis, url->user[0] ? 3 : 2, auth, auth_sizes, err))
        return false;
    return url->database == 0 || call(redis, 2, select, select_sizes, err);
}

static bool back_off(bt_redis *redis, bt_err *err)
{
    redis->backoff_ms = redis->backoff_ms == 0 ? BACKOFF_FIRST_MS : redis->backoff_ms * 2;
    if (redis->backoff_ms > BACKOFF_MAX_MS)
        redis->backoff_ms = BACKOFF_MAX_MS;
    uint64_t spread = bt_mix64((uint64_t)now_ms() ^ (uint64_t)(uintptr_t)redis);
    redis->next_try_ms = now_ms() + redis->backoff_ms / 2 + (int64_t)(spread % (uint64_t)(redis->backoff_ms / 2 + 1));
    return bt_fail(err, BT_ERR_RETRY, 0, "cannot connect to Redis at %s:%d: %s", redis->url.host, redis->url.port, redis->last_failure);
}

static bool connect_if_needed(bt_redis *redis, bt_err *err)
{
    bt_err why;
    if (redis->context)
        return true;
    if (now_ms() < redis->next_try_ms)
        return bt_fail(err, BT_ERR_RETRY, 0, "no connection to Redis: %s", redis->last_failure);
    redisContext *context = redisConnectWithTimeout(redis->url.host, redis->url.port, as_timeval(redis->connect_timeout_ms));
    if (!context || context->err || redisSetTimeout(context, as_timeval(redis->command_timeout_ms)) != REDIS_OK) {
        snprintf(redis->last_failure, sizeof redis->last_failure, "%s", context ? context->errstr : "out of memory");
        if (context)
            redisFree(context);
        return back_off(redis, err);
    }
    redis->context = context;
    if (!greet(redis, &why)) {
        snprintf(redis->last_failure, sizeof redis->last_failure, "%.190s", why.message);
        drop(redis);
        return back_off(redis, err);
    }
    redis->backoff_ms = 0;
    return true;
}

bool bt_redis_send(bt_redis *redis, const bt_str *words, size_t word_count, bt_err *err)
{
    bt_assert(word_count > 0 && word_count <= BT_REDIS_ARGS_MAX && redis->open < OPEN_MAX);
    if (!connect_if_needed(redis, err))
        return false;
    const char **ats = bt_alloc(word_count * (sizeof *ats + sizeof(size_t)));
    size_t *sizes = (size_t *)(ats + word_count);
    for (size_t i = 0; i < word_count; i++) {
        ats[i] = words[i].size ? words[i].at : "";
        sizes[i] = words[i].size;
    }
    int appended = redisAppendCommandArgv(redis->context, (int)word_count, ats, sizes);
    bt_release(ats);
    if (appended != REDIS_OK)
        return fail_lost(redis, err);
    redis->open++;
    return true;
}

bool bt_redis_receive(bt_redis *redis, bt_redis_reply *ret_reply, bt_err *err)
{
    void *reply = NULL;
    if (!redis->context)
        return bt_fail(err, BT_ERR_UNKNOWN, 0, "connection to Redis was lost");
    bt_assert(redis->open > 0);
    if (redisGetReply(redis->context, &reply) != REDIS_OK || !reply)
        return fail_lost(redis, err);
    redis->open--;
    *ret_reply = (bt_redis_reply){ .opaque = reply };
    return true;
}

bool bt_redis_command(bt_redis *redis, const bt_str *words, size_t word_count, bt_redis_reply *ret_reply, bt_err *err)
{
    BT_REDIS_REPLY reply = { 0 };
    bt_assert(redis->open == 0);
    if (!bt_redis_send(redis, words, word_count, err) || !bt_redis_receive(redis, &reply, err))
        return false;
    if (bt_redis_reply_is_error(&reply))
        return fail_reply(reply.opaque, err);
    if (ret_reply) {
        *ret_reply = reply;
        reply = (bt_redis_reply){ 0 };
    }
    return true;
}

static bool load_script(bt_redis *redis, bt_redis_script *script, bt_err *err)
{
    BT_REDIS_REPLY reply = { 0 };
    bt_str words[] = { BT_STR("SCRIPT"), BT_STR("LOAD"), bt_str_of(script->text) };
    if (!bt_redis_command(redis, words, BT_COUNT_OF(words), &reply, err))
        return false;
    bt_str sha = bt_redis_reply_str(&reply);
    if (sha.size != sizeof script->sha - 1)
        return bt_fail(err, BT_ERR_FATAL, 0, "Redis gave no digest for a script");
    memcpy(script->sha, sha.at, sha.size);
    return true;
}

static bool try_eval(bt_redis *redis, const bt_str *words, size_t word_count, bool *ret_unknown_script, bt_redis_reply *ret_reply, bt_err *err)
{
    BT_REDIS_REPLY reply = { 0 };
    *ret_unknown_script = false;
    if (!bt_redis_send(redis, words, word_count, err) || !bt_redis_receive(redis, &reply, err))
        return false;
    if (bt_redis_reply_is_error(&reply)) {
        *ret_unknown_script = strncmp(bt_redis_reply_str(&reply).at, "NOSCRIPT", 8) == 0;
        return fail_reply(reply.opaque, err);
    }
    *ret_reply = reply;
    reply = (bt_redis_reply){ 0 };
    return true;
}

bool bt_redis_eval(bt_redis *redis, bt_redis_script *script, const bt_str *keys, size_t key_count, const bt_str *args, size_t arg_count,
                   bt_redis_reply *ret_reply, bt_err *err)
{
    char count[12];
    size_t word_count = 3 + key_count + arg_count;
    bt_assert(redis->open == 0 && word_count <= BT_REDIS_ARGS_MAX);
    if (!script->sha[0] && !load_script(redis, script, err))
        return false;
    bt_str *words = bt_alloc(word_count * sizeof *words);
    words[0] = BT_STR("EVALSHA");
    words[1] = (bt_str){ script->sha, sizeof script->sha - 1 };
    words[2] = (bt_str){ count, (size_t)snprintf(count, sizeof count, "%zu", key_count) };
    memcpy(words + 3, keys, key_count * sizeof *words);
    if (arg_count > 0)
        memcpy(words + 3 + key_count, args, arg_count * sizeof *words);
    bool unknown_script;
    bool good = try_eval(redis, words, word_count, &unknown_script, ret_reply, err);
    if (!good && unknown_script && load_script(redis, script, err))
        good = try_eval(redis, words, word_count, &unknown_script, ret_reply, err);
    bt_release(words);
    return good;
}

void bt_redis_reply_release(bt_redis_reply *reply)
{
    if (reply->opaque && !reply->borrowed)
        freeReplyObject(reply->opaque);
    reply->opaque = NULL;
}

static int type_of(const bt_redis_reply *reply) { return ((const redisReply *)reply->opaque)->type; }

bool bt_redis_reply_is_nil(const bt_redis_reply *reply) { return type_of(reply) == REDIS_REPLY_NIL; }
bool bt_redis_reply_is_error(const bt_redis_reply *reply) { return type_of(reply) == REDIS_REPLY_ERROR; }

bt_str bt_redis_reply_str(const bt_redis_reply *reply)
{
    const redisReply *real = reply->opaque;
    bool has_text = real->type == REDIS_REPLY_STRING || real->type == REDIS_REPLY_STATUS || real->type == REDIS_REPLY_ERROR;
    return has_text ? (bt_str){ real->str, real->len } : (bt_str){ "", 0 };
}

int64_t bt_redis_reply_i64(const bt_redis_reply *reply) { return type_of(reply) == REDIS_REPLY_INTEGER ? ((const redisReply *)reply->opaque)->integer : 0; }
size_t bt_redis_reply_count(const bt_redis_reply *reply) { return type_of(reply) == REDIS_REPLY_ARRAY ? ((const redisReply *)reply->opaque)->elements : 0; }

bt_redis_reply bt_redis_reply_item(const bt_redis_reply *reply, size_t index)
{
    bt_assert(index < bt_redis_reply_count(reply));
    return (bt_redis_reply){ .opaque = ((const redisReply *)reply->opaque)->element[index], .borrowed = true };
}
