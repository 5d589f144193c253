/* memories - see the header. */
#include "tools/berth/log/memories.h"

#include "io/http/client.h"
#include "io/pg/pg.h"
#include "io/redis/redis.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#define PHASE_OWNING 3
#define PHASE_RECOVERING 4
#define TABLES_MODEL "trips"
#define REDIS_MODEL "availability"
#define POSITION_SIZE 64

static memory *add(memories *known, const char *format, const char *which)
{
    bt_assert(known->count < MEMORIES_MAX);
    memory *made = &known->of[known->count++];
    *made = (memory){ .at = { .next_offset = 0 } };
    snprintf(made->name, sizeof made->name, format, which);
    return made;
}

/* --- Postgres --- */

static bool take_ids(memories *known, const bt_pg_result *rows, bt_err *err)
{
    for (int i = 0; i < rows->row_count; i++) {
        int64_t first = bt_pg_get_i64(rows, i, 0), next = known->ids_from + (int64_t)(known->ids.size / 4);
        bt_str ids = bt_pg_get_str(rows, i, 1);
        if (known->ids.size == 0)
            known->ids_from = first;
        else if (first != next)
            return bt_fail(err, BT_ERR_FATAL, 0, "berth.record_ids goes on at offset %lld after %lld: which records were lost cannot be told; say it by --from", (long long)first,
                (long long)next);
        bt_buf_write(&known->ids, ids.at, ids.size);
    }
    return true;
}

static bool ask_postgres(const memories_sources *sources, bt_pg *pg, memories *known, bt_err *err)
{
    BT_PG_RESULT positions = { 0 };
    BT_PG_RESULT ids = { 0 };
    bt_pg_param params[] = { bt_pg_text(BT_STR(TABLES_MODEL)), bt_pg_text(bt_str_of(sources->topic)), bt_pg_int4(sources->partition) };
    if (!bt_pg_query(pg, "SELECT next_offset, head, height, void_count, log_time FROM berth.positions WHERE model = $1 AND topic = $2 AND partition = $3", params, 3, &positions,
            err))
        return false;
    if (positions.row_count == 0)
        return true;
    memory *self = add(known, "%s", "postgres");
    self->at = (bt_forward){ .next_offset = bt_pg_get_i64(&positions, 0, 0), .head = bt_pg_get_id(&positions, 0, 1), .height = bt_pg_get_i64(&positions, 0, 2),
        .void_count = bt_pg_get_i64(&positions, 0, 3), .time_us = bt_pg_get_time(&positions, 0, 4) };
    return bt_pg_query(pg, "SELECT first_offset, ids FROM berth.record_ids WHERE model = $1 AND topic = $2 AND partition = $3 ORDER BY first_offset", params, 3, &ids, err) &&
        take_ids(known, &ids, err);
}

/* --- Redis --- */

static int64_t take_le64(const char *at)
{
    uint64_t little;
    memcpy(&little, at, sizeof little);
    return (int64_t)le64toh(little);
}

static bool ask_redis(const memories_sources *sources, bt_redis *redis, memories *known, bt_err *err)
{
    BT_REDIS_REPLY reply = { 0 };
    char key[300];
    snprintf(key, sizeof key, "{berth}:position:" REDIS_MODEL ":%s:%d", sources->topic, sources->partition);
    bt_str words[] = { BT_STR("GET"), bt_str_of(key) };
    if (!bt_redis_command(redis, words, 2, &reply, err))
        return false;
    bt_str bytes = bt_redis_reply_str(&reply); /* projections/availability/README.md has the layout */
    if (bytes.size != POSITION_SIZE)
        return true;
    memory *self = add(known, "%s", "redis");
    self->at = (bt_forward){ .next_offset = take_le64(bytes.at), .height = take_le64(bytes.at + 32), .void_count = take_le64(bytes.at + 40), .time_us = take_le64(bytes.at + 48) };
    memcpy(self->at.head.at, bytes.at + 8, sizeof self->at.head.at);
    return true;
}

/* --- nodes --- */

/* The value of name{topic="...",partition="..."}; -1: it is not there. */
static int64_t metric_of(bt_str text, const char *name, const memories_sources *sources)
{
    char wanted[400];
    snprintf(wanted, sizeof wanted, "\n%s{topic=\"%s\",partition=\"%d\"} ", name, sources->topic, sources->partition);
    const char *found = text.size == 0 ? NULL : memmem(text.at, text.size, wanted, strlen(wanted));
    return found == NULL ? -1 : strtoll(found + strlen(wanted), NULL, 10); /* text is followed by a zero: see ask_node */
}

static bool ask_node(const memories_sources *sources, const char *address, memories *known, bt_err *err)
{
    char url[MEMORY_NAME_MAX + 8];
    snprintf(url, sizeof url, "http://%s", address);
    bt_http_client *client;
    bt_http_client_options options = { .base_url = url, .timeout_ms = sources->timeout_ms };
    if (!bt_http_client_new(&options, &client, err))
        return false;
    bt_arena arena;
    bt_http_answer answer;
    bt_arena_init(&arena, 64 << 20);
    bool good = bt_http_client_call(client, &(bt_http_call){ .method = "GET", .target = BT_STR("/metrics") }, &arena, &answer, err);
    if (good && answer.status != 200)
        good = bt_fail(err, BT_ERR_RETRY, 0, "http://%s/metrics answers %d: is that a node's admin address?", address, answer.status);
    if (good) {
        bt_str text = { bt_arena_zero_terminated(&arena, answer.body), answer.body.size };
        int64_t phase = metric_of(text, "berth_owner_phase", sources), next_offset = metric_of(text, "berth_partition_next_offset", sources);
        good = phase >= 0 && next_offset >= 0 ? true : bt_fail(err, BT_ERR_INPUT, 0, "the node at %s knows no partition %d of %s", address, sources->partition, sources->topic);
        if (good) {
            memory *self = add(known, "node %s", address);
            self->at.next_offset = next_offset;
            self->at.time_us = metric_of(text, "berth_partition_log_time_seconds", sources) * 1000000; /* below zero: an older node, which does not tell */
            self->decides = phase == PHASE_OWNING || phase == PHASE_RECOVERING;
        }
    }
    bt_arena_release(&arena);
    bt_http_client_free(client);
    return good;
}

static bool ask_nodes(const memories_sources *sources, memories *known, bt_err *err)
{
    for (const char *at = sources->nodes; *at != 0;) {
        size_t size = strcspn(at, ", ");
        char address[MEMORY_NAME_MAX - 5];
        if (size >= sizeof address || known->count == MEMORIES_MAX)
            return bt_fail(err, BT_ERR_INPUT, 0, "nodes: up to %d addresses host:port with commas between", MEMORIES_MAX - 2);
        memcpy(address, at, size);
        address[size] = 0;
        if (size > 0 && !ask_node(sources, address, known, err))
            return false;
        at += size + strspn(at + size, ", ");
    }
    return true;
}

bool memories_ask(const memories_sources *sources, memories *ret_memories, bt_err *err)
{
    bool good = true;
    *ret_memories = (memories){ .count = 0 };
    bt_buf_init(&ret_memories->ids, SIZE_MAX);
    if (sources->postgres_dsn[0] != 0) {
        bt_pg *pg = bt_pg_new(&(bt_pg_config){ .dsn = sources->postgres_dsn, .application_name = "berth log accept-loss", .statement_timeout_ms = 60000 });
        good = ask_postgres(sources, pg, ret_memories, err);
        bt_pg_free(pg);
    }
    if (good && sources->redis_url[0] != 0) {
        bt_redis *redis = bt_redis_new(&(bt_redis_config){ .url = sources->redis_url }, err);
        good = redis != NULL && ask_redis(sources, redis, ret_memories, err);
        bt_redis_free(redis);
    }
    return good && ask_nodes(sources, ret_memories, err);
}

void memories_release(memories *known) { bt_buf_release(&known->ids); }
