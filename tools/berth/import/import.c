/* import - a list of dated trips, taken one by one by a few threads, each with a connection of its own. */
#include "tools/berth/import/import.h"

#include "core/utf8.h"
#include "io/clock/clock.h"
#include "io/http/client.h"
#include "tools/berth/import/trip_body.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TRIES_MAX 8
#define DAYS_MAX 3660

typedef struct dated_trip {
    int32_t trip;
    int32_t day; /* index into the days that are imported */
} dated_trip;

typedef struct importing {
    const import_options *options;
    gtfs_feed feed;
    seat_layout layout;
    dated_trip *list;
    size_t list_count;
    int64_t from_day, to_day;
    int64_t *day_starts_us; /* of the days moved to */
    atomic_size_t next;
    atomic_bool given_up; /* a trip was tried TRIES_MAX times and nobody answered: the others would fare no better */
    atomic_llong opened, there, failed, repeats;
    pthread_mutex_t lock;
    import_result *result;
} importing;

static void note_failure(importing *import, bt_str trip, int status, bt_str text)
{
    atomic_fetch_add(&import->failed, 1);
    pthread_mutex_lock(&import->lock);
    if (import->result->first_failure[0] == '\0')
        snprintf(import->result->first_failure, sizeof import->result->first_failure, BT_STR_FMT ": %d %.*s", BT_STR_ARG(trip), status, (int)(text.size < 300 ? text.size : 300), text.at);
    pthread_mutex_unlock(&import->lock);
}

static bool may_succeed_later(int status) { return status == 429 || status == 502 || status == 503 || status == 504; }

/* Posts until it is answered for good, at most TRIES_MAX times, with the same key. */
static void open_trip(importing *import, bt_http_client *client, bt_arena *arena, bt_str id, bt_str body)
{
    bt_http_pair headers[] = { { BT_STR("Idempotency-Key"), bt_arena_printf(arena, "gtfs-" BT_STR_FMT, BT_STR_ARG(id)) } };
    bt_http_call call = { .method = "POST", .target = BT_STR("/v1/trips"), .headers = headers, .header_count = 1, .body = body };
    bt_err err = { 0 };
    bt_http_answer answer = { 0 };
    bool answered = false;
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        answered = bt_http_client_call(client, &call, arena, &answer, &err);
        if (answered && !may_succeed_later(answer.status))
            break;
        atomic_fetch_add(&import->repeats, 1);
        bt_clock_sleep_us(INT64_C(100000) << tries);
    }
    bt_str replayed;
    if (!answered) {
        atomic_store(&import->given_up, true);
        note_failure(import, id, 0, bt_str_of(err.message));
    } else if (answer.status == 201 && !bt_http_answer_header(&answer, "Idempotent-Replayed", &replayed))
        atomic_fetch_add(&import->opened, 1);
    else if (answer.status == 201 || answer.status == 409)
        atomic_fetch_add(&import->there, 1);
    else
        note_failure(import, id, answer.status, answer.body);
}

static void *import_some(void *context)
{
    importing *import = context;
    bt_http_client *client;
    bt_err err = { 0 };
    bt_http_client_options options = { .base_url = import->options->api };
    if (!bt_http_client_new(&options, &client, &err)) {
        atomic_store(&import->given_up, true);
        note_failure(import, BT_STR("client"), 0, bt_str_of(err.message));
        return NULL;
    }
    bt_arena arena;
    bt_arena_init(&arena, 0);
    bt_buf body;
    bt_buf_init(&body, 1 << 20);
    for (size_t at; !atomic_load(&import->given_up) && (at = atomic_fetch_add(&import->next, 1)) < import->list_count;) {
        const dated_trip *dated = &import->list[at];
        const gtfs_trip *trip = &import->feed.trips[dated->trip];
        char id_text[96];
        bt_str id = dated_trip_id(trip, import->to_day + dated->day, id_text);
        bt_buf_reset(&body);
        trip_body_write(&import->feed, trip, id, import->day_starts_us[dated->day], &import->layout, &body);
        open_trip(import, client, &arena, id, bt_buf_view(&body));
        bt_arena_reset(&arena);
    }
    bt_buf_release(&body);
    bt_arena_release(&arena);
    bt_http_client_free(client);
    return NULL;
}

static bool any_trip_runs(const gtfs_feed *feed, int64_t day)
{
    for (int32_t t = 0; t < feed->trip_count; t++)
        if (feed->trips[t].skip_reason == NULL && gtfs_service_runs(&feed->services[feed->trips[t].service], day))
            return true;
    return false;
}

static int64_t first_day_with_trips(const gtfs_feed *feed)
{
    for (int64_t day = feed->first_day; day <= feed->last_day && day < feed->first_day + DAYS_MAX; day++)
        if (any_trip_runs(feed, day))
            return day;
    return feed->first_day;
}

/* The day that it is in the feed's zone: in Brisbane tomorrow begins at 14:00 UTC. */
static int64_t today(void)
{
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    return bt_days_from_civil(local.tm_year + 1900, (unsigned)local.tm_mon + 1, (unsigned)local.tm_mday);
}

/* The zone of the process is the feed's from here on: days and their starts are counted in it. */
static void enter_zone(gtfs_feed *feed)
{
    if (feed->timezone.size > 0)
        setenv("TZ", bt_arena_zero_terminated(&feed->arena, feed->timezone), 1);
    tzset();
}

static bool find_days(importing *import, bt_err *err)
{
    const import_options *o = import->options;
    enter_zone(&import->feed);
    import->from_day = first_day_with_trips(&import->feed);
    import->to_day = today() + 1;
    if (import->feed.first_day > import->feed.last_day)
        return bt_fail(err, BT_ERR_INPUT, 0, "no service of the feed runs on any day");
    if (o->as_of != NULL) {
        if (!gtfs_day_from_text(bt_str_of(o->as_of), &import->to_day))
            return bt_fail(err, BT_ERR_INPUT, 0, "--as-of: '%s' is no day; write YYYY-MM-DD", o->as_of);
        import->to_day++;
    }
    if (o->date != NULL && !gtfs_day_from_text(bt_str_of(o->date), &import->from_day))
        return bt_fail(err, BT_ERR_INPUT, 0, "--date: '%s' is no day; write YYYY-MM-DD", o->date);
    if (o->days < 1 || o->days > DAYS_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "--days: from 1 to %d", DAYS_MAX);
    if (import->from_day > import->feed.last_day || import->from_day + o->days <= import->feed.first_day) {
        int64_t year, last_year;
        unsigned month, day, last_month, last_day;
        bt_civil_from_days(import->feed.first_day, &year, &month, &day);
        bt_civil_from_days(import->feed.last_day, &last_year, &last_month, &last_day);
        return bt_fail(err, BT_ERR_INPUT, 0, "--date: the feed has trips from %04d-%02u-%02u to %04d-%02u-%02u only", (int)year, month, day, (int)last_year, last_month, last_day);
    }
    return true;
}

/* Told once, on however many days it runs. */
static void tell_skipped(importing *import, const gtfs_trip *trip)
{
    import_result *result = import->result;
    result->told_of++;
    if (result->told_count == IMPORT_TOLD_MAX)
        return;
    __typeof__(&result->told[0]) told = &result->told[result->told_count++];
    told->trip[bt_utf8_scrub(trip->id, told->trip, sizeof told->trip - 1)] = '\0';
    told->reason[bt_utf8_scrub(bt_str_of(trip->skip_reason), told->reason, sizeof told->reason - 1)] = '\0';
}

static void count_skipped(importing *import)
{
    import->result->stray_count = import->feed.stray_count;
    import->result->stray_line = (int64_t)import->feed.stray_line;
    for (int32_t t = 0; t < import->feed.trip_count; t++) {
        const gtfs_trip *trip = &import->feed.trips[t];
        int64_t before = import->result->trips_skipped;
        for (int32_t day = 0; day < import->options->days && trip->skip_reason != NULL; day++)
            import->result->trips_skipped += gtfs_service_runs(&import->feed.services[trip->service], import->from_day + day);
        if (import->result->trips_skipped > before)
            tell_skipped(import, trip);
    }
}

/* The trips of each day, in the order of days. */
static void list_trips(importing *import)
{
    size_t capacity = 0;
    import->day_starts_us = bt_alloc((size_t)import->options->days * sizeof import->day_starts_us[0]);
    for (int32_t day = 0; day < import->options->days; day++) {
        import->day_starts_us[day] = gtfs_day_start_us(import->to_day + day);
        for (int32_t t = 0; t < import->feed.trip_count; t++) {
            const gtfs_trip *trip = &import->feed.trips[t];
            if (trip->skip_reason != NULL || !gtfs_service_runs(&import->feed.services[trip->service], import->from_day + day))
                continue;
            if (import->list_count == capacity) {
                capacity = capacity == 0 ? 4096 : capacity * 2;
                import->list = bt_resize(import->list, capacity * sizeof import->list[0]);
            }
            import->list[import->list_count++] = (dated_trip){ t, day };
        }
    }
}

static void run_threads(importing *import)
{
    pthread_t threads[64];
    int32_t wanted = import->options->concurrency < 1 ? 1 : import->options->concurrency > 64 ? 64 : import->options->concurrency, started = 0;
    while (started < wanted && pthread_create(&threads[started], NULL, import_some, import) == 0)
        started++;
    while (import->options->progress && started > 0) {
        size_t at = atomic_load(&import->next);
        at = at > import->list_count ? import->list_count : at;
        fprintf(stderr, "\r  %zu of %zu trips  %3zu %%", at, import->list_count, import->list_count == 0 ? 100 : at * 100 / import->list_count);
        if (at == import->list_count || atomic_load(&import->given_up)) {
            fputc('\n', stderr);
            break;
        }
        bt_clock_sleep_us(200000);
    }
    for (int32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

static void release(importing *import)
{
    seat_layout_release(&import->layout);
    gtfs_feed_release(&import->feed);
    bt_release(import->list);
    bt_release(import->day_starts_us);
    pthread_mutex_destroy(&import->lock);
}

bool import_gtfs(const import_options *options, import_result *ret_result, bt_err *err)
{
    importing import = { .options = options, .result = ret_result };
    *ret_result = (import_result){ 0 };
    pthread_mutex_init(&import.lock, NULL);
    bool ready = seat_layout_parse(&import.layout, options->seats, err) && gtfs_feed_open(&import.feed, options->feed, err) && find_days(&import, err);
    if (ready) {
        int64_t started_us = bt_clock_monotonic_us();
        list_trips(&import);
        count_skipped(&import);
        run_threads(&import);
        ret_result->trips_opened = atomic_load(&import.opened);
        ret_result->trips_there_already = atomic_load(&import.there);
        ret_result->trips_failed = atomic_load(&import.given_up) ? (int64_t)import.list_count - ret_result->trips_opened - ret_result->trips_there_already : atomic_load(&import.failed);
        ret_result->given_up = atomic_load(&import.given_up);
        ret_result->repeats = atomic_load(&import.repeats);
        ret_result->seconds = (double)(bt_clock_monotonic_us() - started_us) / 1e6;
    }
    release(&import);
    return ready;
}
