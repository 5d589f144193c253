/* The connection, its commands and its scripts, over hiredis (wire.c) with timeouts on the socket. */
#include "io/redis/internal.h"

#include "core/memory.h"
#include "io/trouble/trouble.h"

#include <stdio.h>
#include <time.h>

#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS 2000
#define OPEN_MAX 10000

struct bt_redis {
    bt_redis_url url;
    int connect_timeout_ms;
    int command_timeout_ms;
    bt_redis_wire wire;
    int open;              /* commands sent in a pipeline whose answers were not taken */
    int64_t next_try_ms;
    int backoff_ms;
    char last_failure[BT_TROUBLE_MAX];
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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
    bt_redis_wire_close(&redis->wire);
    redis->open = 0;
}

void bt_redis_free(bt_redis *redis)
{
    if (!redis)
        return;
    drop(redis);
    bt_release(redis);
}

static bool fail_lost(bt_redis *redis, const bt_err *why, bt_err *err)
{
    drop(redis);
    return bt_fail(err, BT_ERR_UNKNOWN, 0, "no answer from Redis: %.300s", why->message);
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
    void *answer = NULL;
    if (!bt_redis_wire_append(&redis->wire, count, words, sizes, err) || !bt_redis_wire_reply(&redis->wire, &answer, err))
        return false;
    const redisReply *reply = answer;
    bool good = reply->type != REDIS_REPLY_ERROR || fail_reply(reply, err);
    freeReplyObject(answer);
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

#define NEEDS_TLS "if the server takes only TLS, redis.url begins with rediss://"

/* What to do about it, by the words of Redis and OpenSSL. */
static const char *remedy_of(const char *failure)
{
    static const struct {
        const char *says, *remedy;
    } remedies[] = {
        { "WRONGPASS", "check the user and the password in redis.url" },
        { "invalid password", "check the password in redis.url" },
        { "without any password", "the server wants none: take the password out of redis.url" },
        { "NOAUTH", "put the password into redis.url: redis://:PASSWORD@host" },
        { "NOPERM", "give the user in redis.url the right to that command" },
        { "verify failed", "redis.url must name the host that the certificate is made out to, and the CA that signed it: rediss://host?ssl_ca_certs=/path/ca.pem" },
        { "file of CA certificates", "check ssl_ca_certs in redis.url" },
        { "TLS handshake", "does the server take TLS on this port? If not, redis.url begins with redis://" },
        { "Connection refused", "check host and port in redis.url" },
        { "Protocol error", NEEDS_TLS },
        { "closed the connection", NEEDS_TLS },
        { "reset by peer", NEEDS_TLS },
    };
    for (size_t i = 0; i < BT_COUNT_OF(remedies); i++)
        if (strcasestr(failure, remedies[i].says))
            return remedies[i].remedy;
    return "check redis.url";
}

/* Names where and why, and what to do; not the URL, which may hold a password. */
static void remember_failure(bt_redis *redis, const char *why)
{
    snprintf(redis->last_failure, sizeof redis->last_failure, "%.60s:%d: %.190s; %s", redis->url.host, redis->url.port, why, remedy_of(why));
    char text[BT_TROUBLE_MAX];
    snprintf(text, sizeof text, "cannot connect to Redis at %.360s", redis->last_failure);
    (void)bt_trouble_note(BT_TROUBLE_REDIS, text); /* whoever asked logs it */
}

static bool back_off(bt_redis *redis, bt_err *err)
{
    redis->backoff_ms = redis->backoff_ms == 0 ? BACKOFF_FIRST_MS : redis->backoff_ms * 2;
    if (redis->backoff_ms > BACKOFF_MAX_MS)
        redis->backoff_ms = BACKOFF_MAX_MS;
    uint64_t spread = bt_mix64((uint64_t)now_ms() ^ (uint64_t)(uintptr_t)redis);
    redis->next_try_ms = now_ms() + redis->backoff_ms / 2 + (int64_t)(spread % (uint64_t)(redis->backoff_ms / 2 + 1));
    return bt_fail(err, BT_ERR_RETRY, 0, "cannot connect to Redis at %s", redis->last_failure);
}

static bool connect_if_needed(bt_redis *redis, bt_err *err)
{
    bt_err why = { 0 };
    if (redis->wire.context)
        return true;
    if (now_ms() < redis->next_try_ms)
        return bt_fail(err, BT_ERR_RETRY, 0, "no connection to Redis at %s", redis->last_failure);
    if (!bt_redis_wire_open(&redis->wire, &redis->url, redis->connect_timeout_ms, redis->command_timeout_ms, &why) || !greet(redis, &why)) {
        drop(redis);
        remember_failure(redis, why.message);
        return back_off(redis, err);
    }
    redis->backoff_ms = 0;
    bt_trouble_over(BT_TROUBLE_REDIS);
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
    bt_err why = { 0 };
    bool appended = bt_redis_wire_append(&redis->wire, (int)word_count, ats, sizes, &why);
    bt_release(ats);
    if (!appended)
        return fail_lost(redis, &why, err);
    redis->open++;
    return true;
}

bool bt_redis_receive(bt_redis *redis, bt_redis_reply *ret_reply, bt_err *err)
{
    void *reply = NULL;
    bt_err why = { 0 };
    if (!redis->wire.context)
        return bt_fail(err, BT_ERR_UNKNOWN, 0, "connection to Redis was lost");
    bt_assert(redis->open > 0);
    if (!bt_redis_wire_reply(&redis->wire, &reply, &why))
        return fail_lost(redis, &why, err);
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
