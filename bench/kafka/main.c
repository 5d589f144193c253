/* main - bench_kafka append|read: one run, one JSON line.
 *
 *   bench_kafka append --kafka HOST:PORT --topic T --partitions P [--clients 256] [--in-flight 5] [--windows 1] [--seconds 5]
 *                      [--value 180] [--broker-pid PID] [--headers]
 *     With --headers each record carries the CloudEvents attributes and a traceparent, as with events.headers=cloudevents. As an owner appends: each client has one record under way; what comes while a partition's batch is in flight is its next batch
 *     (--windows of them at once). clients 1 is the lone client. Figures: records/s, p50 and p99 from append to report, processor
 *     time a record of this process and of the broker.
 *   bench_kafka read --kafka HOST:PORT --topic T --partitions P [--hash]
 *     Reads what is there, as a rebuild does; with --hash each record is hashed as the rule does. */
#include "bench/kafka/bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

double bench_cpu_seconds(int pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = pid == 0 ? NULL : fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    const char *after_name = strrchr(text, ')');
    unsigned long long user = 0, system_time = 0;
    if (after_name == NULL || sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system_time) != 2)
        return 0;
    return (double)(user + system_time) / (double)sysconf(_SC_CLK_TCK);
}

bt_kafka_config bench_config(bench_options *options)
{
    options->more[options->more_count] = (bt_kafka_setting){ "bootstrap.servers", options->servers };
    return (bt_kafka_config){ options->more, options->more_count + 1, "bench" };
}

static bool read_options(bench_options *o, int argc, char **argv)
{
    static const struct option OPTIONS[] = { { "kafka", 1, NULL, 'k' }, { "topic", 1, NULL, 't' }, { "partitions", 1, NULL, 'p' }, { "clients", 1, NULL, 'c' },
        { "in-flight", 1, NULL, 'f' }, { "windows", 1, NULL, 'w' }, { "seconds", 1, NULL, 's' }, { "value", 1, NULL, 'v' },
        { "broker-pid", 1, NULL, 'b' }, { "hash", 0, NULL, 'h' }, { "headers", 0, NULL, 'e' }, { "set", 1, NULL, 'x' }, { 0 } };
    bt_err err;
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        switch (option) {
        case 'k': o->servers = optarg; break;
        case 't': o->topic = optarg; break;
        case 'p': o->partitions = atoi(optarg); break;
        case 'c': o->clients = atoi(optarg); break;
        case 'f': o->in_flight = atoi(optarg); break;
        case 'w': o->windows = atoi(optarg); break;
        case 's': o->seconds = atof(optarg); break;
        case 'v': o->value_size = atoi(optarg); break;
        case 'b': o->broker_pid = atoi(optarg); break;
        case 'h': o->hash = true; break;
        case 'e': o->headers = true; break;
        case 'x':
            if (o->more_count >= BT_COUNT_OF(o->more) - 1 || !bt_kafka_setting_parse(optarg, &o->more[o->more_count++], &err))
                return false;
            break;
        default: return false;
        }
    }
    return o->servers != NULL && o->topic != NULL && o->partitions > 0 && o->clients > 0 && o->windows > 0;
}

int main(int argc, char **argv)
{
    bench_options options = { .partitions = 1, .clients = 256, .in_flight = 5, .windows = 1, .value_size = 180, .seconds = 5 };
    bool append = argc > 1 && strcmp(argv[1], "append") == 0, read = argc > 1 && strcmp(argv[1], "read") == 0;
    if ((!append && !read) || !read_options(&options, argc - 1, argv + 1)) {
        fprintf(stderr, "bench_kafka append|read --kafka HOST:PORT --topic T --partitions P ...: see bench/kafka/main.c\n");
        return 2;
    }
    return append ? bench_append(&options) : bench_read(&options);
}
