/* digest_desk - a handler's thread leaves a request and waits; the deciding thread answers it when nothing of the partition is in flight. */
#include "commands/server/digest_desk.h"

#include "core/buf.h"
#include "io/clock/clock.h"
#include "io/http/problem.h"

#include <stdlib.h>
#include <time.h>

struct digest_request {
    int32_t partition;
    bool done;
    bt_owner_phase phase;
    bt_owner_stats stats;
    bt_id digest;
    int64_t took_us;
};

void bt_digest_desk_init(bt_digest_desk *desk, int32_t partition_count)
{
    desk->partition_count = partition_count;
    pthread_mutex_init(&desk->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&desk->answered, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_store(&desk->is_open, true);
}

/* False: something is in flight, and the state in memory is ahead of what is proved. */
static bool fill(digest_request *request, const bt_owner *owner)
{
    bt_owner_stats_of(owner, &request->stats);
    if (request->stats.in_flight_count > 0)
        return false;
    int64_t started_us = bt_clock_monotonic_us();
    request->phase = bt_owner_phase_of(owner);
    request->digest = bt_owner_digest(owner);
    request->took_us = bt_clock_monotonic_us() - started_us;
    request->done = true;
    return true;
}

void bt_digest_desk_serve(bt_digest_desk *desk, bt_owner *const *owners)
{
    if (atomic_load_explicit(&desk->waiting_count, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&desk->lock);
    for (size_t i = 0; i < DIGEST_WAITING_MAX; i++)
        if (desk->waiting[i] != NULL && !desk->waiting[i]->done && fill(desk->waiting[i], owners[desk->waiting[i]->partition])) {
            pthread_cond_broadcast(&desk->answered);
            break;
        }
    pthread_mutex_unlock(&desk->lock);
}

void bt_digest_desk_close(bt_digest_desk *desk)
{
    pthread_mutex_lock(&desk->lock);
    desk->closed = true;
    pthread_cond_broadcast(&desk->answered);
    pthread_mutex_unlock(&desk->lock);
}

/* True with the request filled in. */
static bool ask(bt_digest_desk *desk, digest_request *request)
{
    int64_t until_us = bt_clock_monotonic_us() + DIGEST_WAIT_MS * INT64_C(1000);
    struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    pthread_mutex_lock(&desk->lock);
    size_t at = 0;
    while (at < DIGEST_WAITING_MAX && desk->waiting[at] != NULL)
        at++;
    if (at < DIGEST_WAITING_MAX && !desk->closed) {
        desk->waiting[at] = request;
        atomic_fetch_add(&desk->waiting_count, 1);
        for (int waited = 0; waited == 0 && !request->done && !desk->closed;)
            waited = pthread_cond_timedwait(&desk->answered, &desk->lock, &until);
        desk->waiting[at] = NULL;
        atomic_fetch_sub(&desk->waiting_count, 1);
    }
    bool done = request->done;
    pthread_mutex_unlock(&desk->lock);
    return done;
}

static bool partition_of(bt_http_request *request, int32_t partition_count, int32_t *ret_partition)
{
    bt_str text;
    int32_t value = 0;
    if (!bt_http_query(request, "partition", &text) || text.size < 1 || text.size > 6)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        value = value * 10 + (text.at[i] - '0');
    }
    *ret_partition = value;
    return value < partition_count;
}

void bt_digest_desk_answer(bt_http_request *request)
{
    bt_digest_desk *desk = request->route->context;
    digest_request asked = { 0 };
    if (!atomic_load(&desk->is_open)) {
        bt_http_problem(request, &(bt_problem){ .type = &bt_problem_unavailable, .detail = BT_STR("the node waits for Kafka"), .retry_after_s = 1 });
        return;
    }
    if (!partition_of(request, desk->partition_count, &asked.partition)) {
        bt_http_problem(request, &(bt_problem){ .type = &bt_problem_bad_value, .field = BT_STR("partition"), .detail = BT_STR("write ?partition=N, a partition of the topic, from 0") });
        return;
    }
    if (!ask(desk, &asked)) {
        bt_http_problem(request, &(bt_problem){ .type = &bt_problem_unavailable, .detail = BT_STR("no moment with nothing in flight in 5 s, or too many ask, or the server stops") });
        return;
    }
    bt_buf json;
    bt_buf_init(&json, 4096);
    bt_json_open(&json, NULL, '{');
    bt_json_i64(&json, "partition", asked.partition);
    bt_json_str(&json, "phase", bt_str_of(bt_owner_phase_name(asked.phase)));
    bt_json_i64(&json, "next_offset", asked.stats.proved.next_offset);
    bt_json_i64(&json, "height", asked.stats.proved.height);
    bt_json_id(&json, "head", asked.stats.proved.head);
    bt_json_i64(&json, "streams", (int64_t)asked.stats.stream_count);
    bt_json_id(&json, "digest", asked.digest);
    bt_json_i64(&json, "took_us", asked.took_us);
    bt_json_close(&json, '}');
    bt_http_respond_json(request, 200, bt_buf_view(&json));
    bt_buf_release(&json);
}
