/* read - records/s of a bare reader, and of one that hashes each record as the rule does. */
#include "bench/kafka/bench.h"
#include "core/digest.h"
#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/kafka/reader.h"

#include <stdio.h>
#include <unistd.h>

#define PARTITIONS_MAX 64

typedef struct run {
    bench_options *options;
    int64_t end[PARTITIONS_MAX];
    int32_t open;
    int64_t count, bytes;
    uint8_t folded; /* so that no hash can be left out */
} run;

static void on_records(void *context, int32_t partition, const bt_record *records, size_t count)
{
    run *r = context;
    for (size_t i = 0; i < count; i++) {
        r->bytes += (int64_t)(records[i].key.size + records[i].value.size);
        if (r->options->hash)
            r->folded ^= bt_record_id(records[i].key, records[i].value).at[0];
    }
    r->count += (int64_t)count;
    if (records[count - 1].offset == r->end[partition] - 1)
        r->open--;
}

static void on_broken(void *context, int32_t partition, const bt_err *err)
{
    (void)context;
    (void)partition;
    fprintf(stderr, "%s\n", err->message);
    _exit(1);
}

static bool start(run *r, bt_reader *reader, bt_err *err)
{
    for (int32_t p = 0; p < r->options->partitions; p++) {
        int64_t begin;
        if (!bt_reader_end_of(reader, p, &begin, &r->end[p], err))
            return false;
        r->open += r->end[p] > 0;
    }
    for (int32_t p = 0; p < r->options->partitions; p++) {
        if (r->end[p] > 0 && !bt_reader_start(reader, p, 0, err))
            return false;
    }
    return true;
}

int bench_read(bench_options *options)
{
    run *r = bt_alloc(sizeof *r);
    r->options = options;
    bt_kafka_config config = bench_config(options);
    bt_reader_options reader_options = { .topic = options->topic, .tuning = BT_READER_REBUILD };
    bt_reader *reader;
    bt_err err;
    if (!bt_reader_new(&config, &reader_options, &(bt_reader_outputs){ .context = r, .records = on_records, .broken = on_broken }, NULL, &reader, &err) ||
        !start(r, reader, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    double cpu_before = bench_cpu_seconds(getpid());
    int64_t begun_us = bt_clock_monotonic_us();
    while (r->open > 0)
        bt_reader_poll(reader, 100);
    double seconds = (double)(bt_clock_monotonic_us() - begun_us) / 1e6;
    double cpu = bench_cpu_seconds(getpid()) - cpu_before;
    printf("{\"partitions\":%d,\"hash\":%s,\"records\":%lld,\"records_per_second\":%.0f,\"megabytes_per_second\":%.1f,\"client_cpu_us\":%.3f,\"busy\":%.2f}\n", options->partitions,
        options->hash ? "true" : "false", (long long)r->count, (double)r->count / seconds, (double)r->bytes / seconds / 1e6, cpu * 1e6 / (double)(r->count > 0 ? r->count : 1), cpu / seconds);
    bt_reader_free(reader);
    bt_release(r);
    return 0;
}
