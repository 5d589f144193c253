/* topics - `berth topics create` makes the topics that the logs need; `berth topics check` says in what existing ones differ.
 *
 * One topic a kind of stream, berth.<kind>; the kinds are those that have a decider in this binary. */
#include "io/kafka/admin.h"
#include "schemas/deciders.h"
#include "tools/berth/cli.h"

#include <stdio.h>

#define TOPIC_NAME_MAX 250
#define PARTITIONS_DEFAULT 4 /* each divides the group commit: docs/decisions/0002 */

typedef struct topics_options {
    cli_common common;
    const char *topic;
    int64_t partitions, replication, min_insync;
} topics_options;

#define AT(field) offsetof(topics_options, field)

static const bt_setting SETTINGS[] = {
    { "topic", BT_SETTING_STR, AT(topic), "", "one topic; empty: that of every kind of stream" },
    { "partitions", BT_SETTING_I64, AT(partitions), "0", "partitions, fixed for good when a log is created; 0: 4 for a new topic, and of an old one any number will do", .min = 0, .max = 1024 },
    { "replication", BT_SETTING_I64, AT(replication), "0", "copies of each partition; 0: 3 where there are three brokers or more, else 1", .min = 0, .max = 15 },
    { "min_insync", BT_SETTING_I64, AT(min_insync), "0", "copies that must have a record before it counts; 0: 2 of 3, else 1", .min = 0, .max = 15 },
};

/* Fills in what was left to the number of brokers. */
static bool spec_of(const topics_options *options, bt_kafka_admin *admin, const char *name, bt_topic_spec *ret_spec, bt_err *err)
{
    int32_t brokers = 0;
    if (!bt_kafka_broker_count(admin, (int)options->common.timeout_ms, &brokers, err))
        return false;
    int32_t replication = options->replication > 0 ? (int32_t)options->replication : (brokers >= 3 ? 3 : 1);
    int32_t min_insync = options->min_insync > 0 ? (int32_t)options->min_insync : (replication >= 3 ? 2 : 1);
    *ret_spec = (bt_topic_spec){ name, (int32_t)options->partitions, replication, min_insync };
    return true;
}

static void print_findings(const topics_options *options, const char *topic, const bt_topic_finding *findings, size_t count)
{
    if (!options->common.json) {
        printf("%s: %s\n", topic, count == 0 ? "as it should be" : "differs");
        for (size_t i = 0; i < count; i++)
            printf("  %s is %s, and should be %s\n      %s\n", findings[i].what, findings[i].found, findings[i].wanted, findings[i].remedy);
        return;
    }
    bt_buf out;
    bt_buf_init(&out, 65536);
    bt_json_open(&out, NULL, '{');
    bt_json_str(&out, "topic", bt_str_of(topic));
    bt_json_bool(&out, "good", count == 0);
    bt_json_open(&out, "findings", '[');
    for (size_t i = 0; i < count; i++) {
        bt_json_open(&out, NULL, '{');
        bt_json_str(&out, "what", bt_str_of(findings[i].what));
        bt_json_str(&out, "found", bt_str_of(findings[i].found));
        bt_json_str(&out, "wanted", bt_str_of(findings[i].wanted));
        bt_json_str(&out, "remedy", bt_str_of(findings[i].remedy));
        bt_json_close(&out, '}');
    }
    bt_json_close(&out, ']');
    bt_json_close(&out, '}');
    printf("%.*s\n", BT_STR_ARG(bt_buf_view(&out)));
    bt_buf_release(&out);
}

static int check_one(const topics_options *options, bt_kafka_admin *admin, const bt_topic_spec *spec)
{
    bt_topic_finding findings[BT_TOPIC_FINDINGS_MAX];
    size_t count = 0;
    bt_err err;
    if (!bt_kafka_topic_check(admin, spec, (int)options->common.timeout_ms, findings, &count, &err)) {
        if (err.kind != BT_ERR_INPUT)
            return cli_fail(&err);
        bt_topic_finding absent = { .harmful = true, .what = "topic", .found = "absent", .wanted = "there", .remedy = "berth topics create" };
        findings[0] = absent;
        count = 1;
    }
    print_findings(options, spec->name, findings, count);
    return count == 0 ? CLI_OK : CLI_FOUND;
}

static int create_one(const topics_options *options, bt_kafka_admin *admin, const bt_topic_spec *spec)
{
    bool created = false;
    bt_err err;
    bt_topic_spec fresh = *spec;
    fresh.partition_count = spec->partition_count > 0 ? spec->partition_count : PARTITIONS_DEFAULT;
    if (!bt_kafka_topic_create(admin, &fresh, (int)options->common.timeout_ms, &created, &err))
        return cli_fail(&err);
    if (!created)
        return check_one(options, admin, spec);
    if (options->common.json)
        printf("{\"topic\":\"%s\",\"created\":true,\"partitions\":%d,\"replication\":%d,\"min_insync\":%d}\n", spec->name, fresh.partition_count, spec->replication,
            spec->min_insync_replicas);
    else
        printf("%s: created with %d partitions, %d cop%s of each, %d of them in sync at least\n", spec->name, fresh.partition_count, spec->replication,
            spec->replication == 1 ? "y" : "ies", spec->min_insync_replicas);
    return CLI_OK;
}

typedef int topic_fn(const topics_options *options, bt_kafka_admin *admin, const bt_topic_spec *spec);

/* The worst status of all topics. */
static int each_topic(const cli_call *call, topic_fn *run)
{
    const topics_options *options = call->options;
    bt_kafka_admin *admin;
    bt_err err;
    if (!bt_kafka_admin_new(&call->kafka, &admin, &err))
        return cli_fail(&err);
    int worst = CLI_OK;
    for (size_t i = 0; i < BT_DECIDER_COUNT; i++) {
        char name[TOPIC_NAME_MAX];
        snprintf(name, sizeof name, "berth.%s", bt_deciders[i]->kind);
        bt_topic_spec spec;
        bool one = *options->topic != 0;
        int status = spec_of(options, admin, one ? options->topic : name, &spec, &err) ? run(options, admin, &spec) : cli_fail(&err);
        worst = status > worst ? status : worst;
        if (one)
            break;
    }
    bt_kafka_admin_free(admin);
    return worst;
}

static int run_create(const cli_call *call) { return each_topic(call, create_one); }
static int run_check(const cli_call *call) { return each_topic(call, check_one); }

const cli_verb topics_create_verb = {
    .group = "topics",
    .name = "create",
    .words = "",
    .about = "make the topics that the logs need; those that are there are checked",
    .help = "A log's topic must keep every record for good, in place, and refuse clocks from the future. Brokers' defaults do not: so Berth makes\n"
            "its topics itself. The number of partitions is written into the log when it is created, and cannot change after that.\n\n"
            "  berth topics create                                   on a laptop: 4 partitions, one copy\n"
            "  berth topics create --partitions 16 --replication 3   on a cluster\n\n"
            "Exit status 0: all are there and as they should be; 1: one that was there differs; 3: no broker answered.\n",
    .needs_kafka = true,
    .options_size = sizeof(topics_options),
    .settings = SETTINGS,
    .setting_count = BT_COUNT_OF(SETTINGS),
    .run = run_create,
};

const cli_verb topics_check_verb = {
    .group = "topics",
    .name = "check",
    .words = "",
    .about = "say in what the topics differ from what a log needs, and how to mend it",
    .help = "Run it on a Kafka that others look after, and after every change there.\n\n"
            "  berth topics check                                    on a laptop\n"
            "  berth topics check --replication 3 --min-insync 2     as it should be in production\n\n"
            "Exit status 0: as they should be; 1: the list says what differs; 3: no broker answered.\n",
    .needs_kafka = true,
    .options_size = sizeof(topics_options),
    .settings = SETTINGS,
    .setting_count = BT_COUNT_OF(SETTINGS),
    .run = run_check,
};
