/* topics - `berth topics create` and `check`: the settings that the log's correctness rests on, made and looked after. */
#include "core/buf.h"
#include "io/kafka/admin.h"
#include "tools/berth/command.h"

#include <getopt.h>
#include <stdio.h>

extern const berth_command berth_topics_create, berth_topics_check;

static const char *const topic_names[] = { "berth.trip" }; /* one a kind of stream */

#define TIMEOUT_MS 15000

static const char options_text[] = "  --partitions N      partitions of a topic; fixed for good once records are in it (4)\n"
                                   "  --replication N     copies of each record: 3; 1 on a laptop (1)\n"
                                   "  --min-insync N      copies that must have a record before it counts: 2; 1 on a laptop (1)\n"
                                   "  --kafka NAME=VALUE  any setting of librdkafka\n  --json              one JSON object a topic\n";

typedef struct topics_call {
    berth_common common;
    bt_topic_spec spec;
    bt_kafka_admin *admin;
} topics_call;

static bool read_options(topics_call *call, int argc, char **argv)
{
    static const struct option options[] = { { "partitions", required_argument, NULL, 'p' }, { "replication", required_argument, NULL, 'r' },
        { "min-insync", required_argument, NULL, 'm' }, BERTH_COMMON_OPTIONS, { 0 } };
    bool good = true;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'p')
            call->spec.partition_count = (int32_t)berth_number("partitions", optarg, 1, 1024);
        else if (option == 'r')
            call->spec.replication = (int32_t)berth_number("replication", optarg, 1, 16);
        else if (option == 'm')
            call->spec.min_insync_replicas = (int32_t)berth_number("min-insync", optarg, 1, 16);
        else
            good = berth_common_take(&call->common, option, optarg) && good;
    }
    return good && optind == argc;
}

/* Reads the options and connects; false with the exit status when there is nothing more to do. */
static bool begin(topics_call *call, const berth_command *command, int argc, char **argv, int *ret_status)
{
    *call = (topics_call){ .spec = { .partition_count = 4, .replication = 1, .min_insync_replicas = 1 } };
    berth_common_init(&call->common);
    bool good = read_options(call, argc, argv);
    bt_err err = { 0 };
    bt_kafka_config kafka = berth_common_kafka(&call->common);
    if (call->common.asked_for_help)
        *ret_status = berth_show_usage(command);
    else if (!good)
        *ret_status = berth_misused(command, "this was not understood");
    else if (!bt_kafka_config_check(&kafka, &err) || !bt_kafka_admin_new(&kafka, &call->admin, &err))
        *ret_status = berth_fail(&err);
    else
        return true;
    berth_common_release(&call->common);
    return false;
}

static void end(topics_call *call)
{
    bt_kafka_admin_free(call->admin);
    berth_common_release(&call->common);
}

static void print_json(const bt_topic_spec *spec, const char *state, const bt_topic_finding *findings, size_t count)
{
    bt_buf out;
    bt_buf_init(&out, 1 << 20);
    bt_json_open(&out, NULL, '{');
    bt_json_str(&out, "topic", bt_str_of(spec->name));
    bt_json_str(&out, "state", bt_str_of(state));
    bt_json_open(&out, "findings", '[');
    for (size_t i = 0; i < count; i++) {
        bt_json_open(&out, NULL, '{');
        bt_json_str(&out, "what", bt_str_of(findings[i].what));
        bt_json_str(&out, "found", bt_str_of(findings[i].found));
        bt_json_str(&out, "wanted", bt_str_of(findings[i].wanted));
        bt_json_bool(&out, "harmful", findings[i].harmful);
        bt_json_str(&out, "remedy", bt_str_of(findings[i].remedy));
        bt_json_close(&out, '}');
    }
    bt_json_close(&out, ']');
    bt_json_close(&out, '}');
    printf("%.*s\n", (int)out.size, (char *)out.at);
    bt_buf_release(&out);
}

static int check_topic(topics_call *call, const char *state)
{
    bt_topic_finding findings[BT_TOPIC_FINDINGS_MAX];
    size_t count;
    bt_err err = { 0 };
    if (!bt_kafka_topic_check(call->admin, &call->spec, TIMEOUT_MS, findings, &count, &err))
        return berth_fail(&err);
    bool harmful = false;
    for (size_t i = 0; i < count; i++)
        harmful = harmful || findings[i].harmful;
    if (call->common.json) {
        print_json(&call->spec, count == 0 ? state : "differs", findings, count);
        return harmful ? BERTH_EXIT_WRONG : BERTH_EXIT_OK;
    }
    printf("%s: %s\n", call->spec.name, count == 0 ? state : harmful ? "is not as it must be" : "is good, with a remark");
    for (size_t i = 0; i < count; i++)
        printf("  %s is %s, wanted %s. %s\n", findings[i].what, findings[i].found, findings[i].wanted, findings[i].remedy);
    return harmful ? BERTH_EXIT_WRONG : BERTH_EXIT_OK;
}

static int create_topic(topics_call *call)
{
    bt_err err = { 0 };
    bool created;
    if (!bt_kafka_topic_create(call->admin, &call->spec, TIMEOUT_MS, &created, &err))
        return berth_fail(&err);
    if (!created)
        return check_topic(call, "was there, and is good");
    if (call->common.json)
        print_json(&call->spec, "created", NULL, 0);
    else
        printf("%s: created with %d partitions\n", call->spec.name, call->spec.partition_count);
    return BERTH_EXIT_OK;
}

static int run_create(int argc, char **argv)
{
    topics_call call;
    int status = BERTH_EXIT_OK;
    if (!begin(&call, &berth_topics_create, argc, argv, &status))
        return status;
    for (size_t i = 0; i < BT_COUNT_OF(topic_names) && status == BERTH_EXIT_OK; i++) {
        call.spec.name = topic_names[i];
        status = create_topic(&call);
    }
    end(&call);
    return status;
}

static int run_check(int argc, char **argv)
{
    topics_call call;
    int status = BERTH_EXIT_OK;
    if (!begin(&call, &berth_topics_check, argc, argv, &status))
        return status;
    for (size_t i = 0; i < BT_COUNT_OF(topic_names); i++) {
        call.spec.name = topic_names[i];
        int found = check_topic(&call, "is good");
        status = found > status ? found : status;
    }
    end(&call);
    return status;
}

const berth_command berth_topics_create = { "topics", "create", "make the topics that the log needs, with the settings it must have", options_text, run_create };
const berth_command berth_topics_check = { "topics", "check", "say in what the topics differ from what the log needs, and the remedy", options_text, run_check };
