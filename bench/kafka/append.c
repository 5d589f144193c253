/* append - records/s and latency of bare batched idempotent appends, batched as an owner batches. */
#include "bench/kafka/bench.h"
#include "commands/server/event_headers.h"
#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/kafka/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PARTITIONS_MAX 64
#define SAMPLES_MAX 20000000
#define WARM_UP_SHARE 0.25

typedef struct lane {
    int32_t waiting;   /* clients with a record to append */
    int32_t in_flight; /* records without a report */
    int32_t batches;   /* whose last record is without a report */
} lane;

typedef struct run {
    bench_options *options;
    lane lanes[PARTITIONS_MAX];
    bt_producer *producer;
    uint8_t *value;
    bool measuring;
    int64_t errors;
    uint32_t *samples_us;
    size_t sample_count;
} run;

/* attempt: when it was appended; generation: how many records its batch has after it. */
static void on_reports(void *context, const bt_report *reports, size_t count)
{
    run *r = context;
    int64_t now_us = bt_clock_monotonic_us();
    for (size_t i = 0; i < count; i++) {
        lane *l = &r->lanes[reports[i].partition];
        l->waiting++; /* the client comes at once with its next */
        l->in_flight--;
        l->batches -= reports[i].generation == 0;
        r->errors += reports[i].kind != BT_OK;
        if (r->measuring && r->sample_count < SAMPLES_MAX)
            r->samples_us[r->sample_count++] = (uint32_t)(now_us - (int64_t)reports[i].attempt);
    }
}

static void append_batch(run *r, int32_t partition, int64_t now_us)
{
    static bt_append appends[8192];
    lane *l = &r->lanes[partition];
    int32_t count = l->waiting < (int32_t)BT_COUNT_OF(appends) ? l->waiting : (int32_t)BT_COUNT_OF(appends);
    int64_t time_us = bt_clock_realtime_us();
    for (int32_t i = 0; i < count; i++)
        appends[i] = (bt_append){ .generation = (uint64_t)(count - 1 - i), .attempt = (uint64_t)now_us, .partition = partition, .key = BT_STR("trip-0001-20261122"),
            .value = { r->value, (size_t)r->options->value_size }, .time_us = time_us };
    l->waiting -= count;
    l->in_flight += count;
    l->batches++;
    static bt_arena arena;
    if (arena.size_max == 0)
        bt_arena_init(&arena, (size_t)64 << 20);
    for (int32_t i = 0; i < count && r->options->headers; i++)
        bt_event_headers_add(&appends[i], bt_str_of(r->options->topic), BT_STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &arena);
    bt_producer_append(r->producer, appends, (size_t)count);
    if (r->options->headers)
        bt_arena_reset(&arena);
}

static void work(run *r, bt_wake *wake, int64_t until_us)
{
    for (int64_t now_us; (now_us = bt_clock_monotonic_us()) < until_us;) {
        for (int32_t p = 0; p < r->options->partitions; p++) {
            if (r->lanes[p].waiting > 0 && r->lanes[p].batches < r->options->windows)
                append_batch(r, p, now_us);
        }
        bt_wake_wait(wake, 10);
        bt_producer_poll(r->producer, 0);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print(run *r, double seconds, double client_cpu, double broker_cpu)
{
    const bench_options *o = r->options;
    size_t n = r->sample_count;
    qsort(r->samples_us, n, sizeof *r->samples_us, compare);
    double count = n > 0 ? (double)n : 1;
    printf("{\"partitions\":%d,\"clients\":%d,\"in_flight\":%d,\"windows\":%d,\"records_per_second\":%.0f,\"p50_us\":%u,\"p99_us\":%u,"
           "\"client_cpu_us\":%.2f,\"broker_cpu_us\":%.2f,\"errors\":%lld}\n",
        o->partitions, o->clients, o->in_flight, o->windows, (double)n / seconds, n > 0 ? r->samples_us[n / 2] : 0, n > 0 ? r->samples_us[n * 99 / 100] : 0,
        client_cpu * 1e6 / count, broker_cpu * 1e6 / count, (long long)r->errors);
}

int bench_append(bench_options *options)
{
    run *r = bt_alloc(sizeof *r);
    r->options = options;
    r->value = bt_alloc((size_t)options->value_size);
    for (int32_t i = 0; i < options->value_size; i++)
        r->value[i] = (uint8_t)(bt_mix64((uint64_t)i) >> 56);
    r->samples_us = bt_alloc(SAMPLES_MAX * sizeof *r->samples_us);
    for (int32_t i = 0; i < options->clients; i++)
        r->lanes[i % options->partitions].waiting++;
    bt_wake wake;
    bt_err err;
    bt_kafka_config config = bench_config(options);
    bt_producer_options producer = { .topic = options->topic, .in_flight_max = options->in_flight };
    if (!bt_wake_init(&wake, &err) || !bt_producer_new(&config, &producer, &(bt_producer_outputs){ r, on_reports }, &wake, &r->producer, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int64_t begun_us = bt_clock_monotonic_us();
    work(r, &wake, begun_us + (int64_t)(options->seconds * WARM_UP_SHARE * 1e6) + 1000000);
    double client_before = bench_cpu_seconds(getpid()), broker_before = bench_cpu_seconds(options->broker_pid);
    begun_us = bt_clock_monotonic_us();
    r->measuring = true;
    work(r, &wake, begun_us + (int64_t)(options->seconds * 1e6));
    r->measuring = false;
    double seconds = (double)(bt_clock_monotonic_us() - begun_us) / 1e6;
    print(r, seconds, bench_cpu_seconds(getpid()) - client_before, bench_cpu_seconds(options->broker_pid) - broker_before);
    bt_producer_free(r->producer, 2000);
    bt_wake_release(&wake);
    bt_release(r->samples_us);
    bt_release(r->value);
    int status = r->errors > 0;
    bt_release(r);
    return status;
}
