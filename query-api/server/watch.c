/* watch - see watch.h. A statement a round trip, with limits of one second: a wait's deadline is kept to that even when a database hangs. */
#include "query-api/server/watch.h"

#include "core/memory.h"
#include "io/log/log.h"
#include "io/pg/pg.h"
#include "io/redis/redis.h"
#include "query-api/server/verify.h"

#include <pthread.h>
#include <stdio.h>

#define LIMIT_MS 1000

struct qa_watch {
    qa_watch_options options;
    bt_pg *pg;
    bt_redis *redis;
    pthread_t pg_thread, redis_thread;
    bool pg_runs, redis_runs;
};

static const char select_positions[] =
    "SELECT partition, next_offset, head_offset, head, stopped IS NOT NULL, began_at FROM berth.positions WHERE model = $1 AND topic = $2 ORDER BY partition";

/* Says once when a source goes and once when it comes back. */
static void tell_change(const char *source, bool was_up, bool is_up, bool first, const bt_err *err)
{
    if (is_up && (!was_up || first))
        bt_log_info("source.up", F_STR("source", source));
    if (!is_up && (was_up || first))
        bt_log_warn("source.down", F_STR("source", source), F_ERR(err));
}

static bool ask_postgres(qa_watch *watch, qa_position *ret_positions, int32_t *ret_count, bt_err *err)
{
    bt_pg_param params[] = { bt_pg_text(bt_str_of(watch->options.tables_model)), bt_pg_text(bt_str_of(watch->options.topic)) };
    BT_PG_RESULT rows = { 0 };
    if (!bt_pg_query(watch->pg, select_positions, params, BT_COUNT_OF(params), &rows, err))
        return false;
    int32_t count = 0;
    for (int row = 0; row < rows.row_count && row < QA_PARTITIONS_MAX; row++) {
        if (bt_pg_get_i64(&rows, row, 0) != row) /* a row for each partition, from 0 on: the projector's contract */
            return bt_fail(err, BT_ERR_FATAL, 0, "berth.positions has no row for partition %d of %s", row, watch->options.topic);
        ret_positions[count++] = (qa_position){ .next_offset = bt_pg_get_i64(&rows, row, 1),
            .head_offset = bt_pg_get_i64(&rows, row, 2),
            .head = bt_pg_get_id(&rows, row, 3),
            .stopped = bt_pg_get_bool(&rows, row, 4),
            .began_us = bt_pg_get_time(&rows, row, 5) };
    }
    *ret_count = count;
    return true;
}

/* At our start, and after a partition's rows began anew: does Redis hold the same log? Asked at each round, until it does; so it is asked of few partitions, seldom. */
static void settle_questions(qa_watch *watch, const qa_position *positions, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        qa_position redis;
        if (qa_board_trusts_redis(watch->options.board, i, &redis) || redis.next_offset < 0)
            continue;
        bt_pg_param params[] = { bt_pg_text(bt_str_of(watch->options.tables_model)), bt_pg_text(bt_str_of(watch->options.topic)), bt_pg_int4(i), bt_pg_int8(redis.head_offset) };
        BT_PG_RESULT rows = { 0 };
        bt_err err;
        bool same = redis.head_offset < 0;
        if (!same && redis.head_offset < positions[i].next_offset && bt_pg_query(watch->pg, qa_select_record_id, params, BT_COUNT_OF(params), &rows, &err) && rows.row_count == 1) {
            bt_str id = bt_pg_get_str(&rows, 0, 0);
            same = id.size == QA_TOKEN_ID_SIZE && memcmp(id.at, redis.head.at, QA_TOKEN_ID_SIZE) == 0;
        }
        if (same)
            qa_board_trust(watch->options.board, i);
    }
}

static void *watch_postgres(void *context)
{
    qa_watch *watch = context;
    qa_position *positions = bt_alloc(sizeof *positions * QA_PARTITIONS_MAX);
    bool was_up = false, first = true;
    do {
        bt_err err = { 0 };
        int32_t count = 0;
        bool is_up = ask_postgres(watch, positions, &count, &err);
        tell_change("postgres", was_up, is_up, first, &err);
        if (qa_board_publish(watch->options.board, QA_SOURCE_POSTGRES, is_up, positions, count))
            watch->options.began_anew(watch->options.context);
        if (is_up)
            settle_questions(watch, positions, count);
        was_up = is_up;
        first = false;
    } while (qa_board_rest(watch->options.board, was_up ? watch->options.busy_ms : 20, watch->options.idle_ms));
    bt_release(positions);
    return NULL;
}

static int64_t le64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | at[i];
    return (int64_t)value;
}

bool qa_watch_decode_position(bt_str bytes, qa_position *ret_position)
{
    if (bytes.size != 64)
        return false;
    const uint8_t *at = (const uint8_t *)bytes.at;
    qa_position position = { .next_offset = le64(at), .head_offset = le64(at + 24) };
    memcpy(position.head.at, at + 8, sizeof position.head.at);
    *ret_position = position;
    return true;
}

/* All positions with one MGET. A partition without one has not been read yet. */
static bool ask_redis(qa_watch *watch, bt_arena *arena, qa_position *ret_positions, int32_t count, bt_err *err)
{
    bt_str ping[] = { BT_STR("PING") };
    if (count == 0)
        return bt_redis_command(watch->redis, ping, 1, NULL, err);
    bt_str *words = bt_arena_take(arena, sizeof *words * ((size_t)count + 1));
    words[0] = BT_STR("MGET");
    for (int32_t i = 0; i < count; i++)
        words[i + 1] = bt_arena_printf(arena, "{berth}:position:%s:%s:%d", watch->options.redis_model, watch->options.topic, i);
    BT_REDIS_REPLY reply = { 0 };
    if (!bt_redis_command(watch->redis, words, (size_t)count + 1, &reply, err))
        return false;
    for (int32_t i = 0; i < count; i++) {
        bt_redis_reply item = bt_redis_reply_item(&reply, (size_t)i);
        if (!qa_watch_decode_position(bt_redis_reply_str(&item), &ret_positions[i]))
            ret_positions[i] = (qa_position){ .head_offset = -1 };
    }
    return true;
}

static void *watch_redis(void *context)
{
    qa_watch *watch = context;
    qa_position *positions = bt_alloc(sizeof *positions * QA_PARTITIONS_MAX);
    bt_arena arena;
    bt_arena_init(&arena, 0);
    bool was_up = false, first = true;
    do {
        bt_err err = { 0 };
        int32_t count = qa_board_partition_count(watch->options.board);
        bool is_up = ask_redis(watch, &arena, positions, count, &err);
        tell_change("redis", was_up, is_up, first, &err);
        qa_board_publish(watch->options.board, QA_SOURCE_REDIS, is_up, positions, count);
        bt_arena_reset(&arena);
        was_up = is_up;
        first = false;
    } while (qa_board_rest(watch->options.board, was_up ? watch->options.busy_ms : 20, watch->options.idle_ms));
    bt_arena_release(&arena);
    bt_release(positions);
    return NULL;
}

bool qa_watch_start(const qa_watch_options *options, qa_watch **ret_watch, bt_err *err)
{
    qa_watch *watch = bt_alloc(sizeof *watch);
    watch->options = *options;
    watch->pg = bt_pg_new(&(bt_pg_config){ .dsn = options->postgres_dsn,
        .application_name = "berth-query-api watch",
        .connect_timeout_ms = LIMIT_MS,
        .statement_timeout_ms = LIMIT_MS });
    watch->redis = bt_redis_new(&(bt_redis_config){ .url = options->redis_url, .connect_timeout_ms = LIMIT_MS, .command_timeout_ms = LIMIT_MS }, err);
    if (watch->redis == NULL) {
        qa_watch_stop(watch);
        return false;
    }
    watch->pg_runs = pthread_create(&watch->pg_thread, NULL, watch_postgres, watch) == 0;
    watch->redis_runs = watch->pg_runs && pthread_create(&watch->redis_thread, NULL, watch_redis, watch) == 0;
    if (!watch->redis_runs) {
        qa_watch_stop(watch);
        return bt_fail(err, BT_ERR_RETRY, 0, "cannot start the watchers' threads");
    }
    *ret_watch = watch;
    return true;
}

void qa_watch_stop(qa_watch *watch)
{
    if (watch == NULL)
        return;
    qa_board_end(watch->options.board);
    if (watch->pg_runs)
        pthread_join(watch->pg_thread, NULL);
    if (watch->redis_runs)
        pthread_join(watch->redis_thread, NULL);
    bt_pg_free(watch->pg);
    bt_redis_free(watch->redis);
    bt_release(watch);
}
