/* bench - what both halves of bench_kafka share: options, processor time. */
#ifndef BERTH_BENCH_KAFKA_BENCH_H
#define BERTH_BENCH_KAFKA_BENCH_H

#include "io/kafka/config.h"

typedef struct bench_options {
    const char *servers, *topic;
    int32_t partitions, in_flight, clients, value_size, windows;
    double seconds;
    int broker_pid; /* 0: the broker's processor time is not known */
    bool hash, headers;
    bt_kafka_setting more[8]; /* further settings of librdkafka, to try them */
    size_t more_count;
} bench_options;

/* Seconds of processor time of a process so far (user and system, all threads); 0 for pid 0. */
double bench_cpu_seconds(int pid);
bt_kafka_config bench_config(bench_options *options);

int bench_append(bench_options *options);
int bench_read(bench_options *options);

#endif
