/* admin - one table says what a log's topic is; creating and checking both read it. */
#include "io/kafka/admin.h"

#include "core/memory.h"
#include "io/kafka/client.h"

#include <stdio.h>
#include <stdlib.h>

struct bt_kafka_admin {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
};

/* Where a number may be more than wanted, at_least is true. */
typedef struct topic_setting {
    const char *name;
    const char *value; /* NULL: from the spec */
    bool at_least;
    const char *why;
} topic_setting;

static const topic_setting TOPIC_SETTINGS[] = {
    { "cleanup.policy", "delete", false, "compaction drops records, and every record after a dropped one looks void" },
    { "retention.ms", "-1", false, "the log is the only source of truth: a record that is dropped by age is lost" },
    { "retention.bytes", "-1", false, "the log is the only source of truth: a record that is dropped by size is lost" },
    { "message.timestamp.type", "CreateTime", false, "log time is decided by the writer" },
    { "message.timestamp.after.max.ms", "60000", false, "a clock from the future could write, and log time never goes back" },
    { "unclean.leader.election.enable", "false", false, "a leader without the newest records could be elected, and acknowledged bookings would be gone" },
    { "max.message.bytes", NULL, true, "the largest records would be refused" },
    { "min.insync.replicas", NULL, true, "an acknowledged record could be on one broker only" },
};

bool bt_kafka_admin_new(const bt_kafka_config *config, bt_kafka_admin **ret_admin, bt_err *err)
{
    rd_kafka_conf_t *conf = bt_kafka_conf_new(config, BT_KAFKA_ADMIN, err);
    rd_kafka_t *client = conf == NULL ? NULL : bt_kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
    if (client == NULL)
        return false;
    bt_kafka_admin *admin = bt_alloc(sizeof *admin);
    admin->client = client;
    admin->queue = rd_kafka_queue_new(client);
    *ret_admin = admin;
    return true;
}

void bt_kafka_admin_free(bt_kafka_admin *admin)
{
    if (admin == NULL)
        return;
    rd_kafka_queue_destroy(admin->queue);
    rd_kafka_destroy(admin->client);
    bt_release(admin);
}

bool bt_kafka_partition_count(bt_kafka_admin *admin, const char *topic, int timeout_ms, int32_t *ret_count, bt_err *err)
{
    return bt_kafka_client_partition_count(admin->client, topic, timeout_ms, ret_count, err);
}

bool bt_kafka_broker_count(bt_kafka_admin *admin, int timeout_ms, int32_t *ret_count, bt_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(admin->client, 0, NULL, &metadata, timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        bt_kafka_fail_unanswered(err, "brokers", timeout_ms, code);
        return false;
    }
    *ret_count = metadata->broker_cnt;
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* NULL when the spec does not say. */
static const char *wanted_of(const topic_setting *setting, const bt_topic_spec *spec, char text[24])
{
    if (setting->value != NULL)
        return setting->value;
    int32_t number = strcmp(setting->name, "max.message.bytes") == 0 ? BT_KAFKA_MESSAGE_BYTES_MAX : spec->min_insync_replicas;
    snprintf(text, 24, "%d", number);
    return number > 0 ? text : NULL;
}

static rd_kafka_AdminOptions_t *options_new(bt_kafka_admin *admin, rd_kafka_admin_op_t operation, int timeout_ms)
{
    char why[128];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->client, operation);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof why);
    return options;
}

/* Waits for the answer of an admin call. NULL, with err filled, when none came or the call as a whole failed. */
static rd_kafka_event_t *answer_take(bt_kafka_admin *admin, const char *what, int timeout_ms, bt_err *err)
{
    /* The library's own timeout comes first; the margin is for it to tell so. */
    rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, timeout_ms + 500);
    if (event == NULL) {
        bt_fail(err, BT_ERR_RETRY, RD_KAFKA_RESP_ERR__TIMED_OUT, "%s: no broker answered within %d ms", what, timeout_ms);
        return NULL;
    }
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return event;
    bt_fail(err, BT_ERR_RETRY, code, "%s: %s. Is Kafka running, and is kafka.bootstrap.servers right?", what, rd_kafka_event_error_string(event));
    rd_kafka_event_destroy(event);
    return NULL;
}

static bool created_of(rd_kafka_event_t *event, const char *name, bool *ret_created, bt_err *err)
{
    size_t count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count != 1)
        return bt_fail(err, BT_ERR_RETRY, 0, "topic %s: the broker answered about %zu topics", name, count);
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return bt_fail(err, BT_ERR_INPUT, code, "topic %s cannot be created: %s", name, rd_kafka_topic_result_error_string(results[0]));
    *ret_created = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    return true;
}

bool bt_kafka_topic_create(bt_kafka_admin *admin, const bt_topic_spec *spec, int timeout_ms, bool *ret_created, bt_err *err)
{
    char why[256], number[24];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(spec->name, spec->partition_count, spec->replication, why, sizeof why);
    if (topic == NULL)
        return bt_fail(err, BT_ERR_INPUT, 0, "topic %s: %s", spec->name, why);
    for (size_t i = 0; i < BT_COUNT_OF(TOPIC_SETTINGS); i++) {
        const char *wanted = wanted_of(&TOPIC_SETTINGS[i], spec, number);
        if (wanted != NULL)
            rd_kafka_NewTopic_set_config(topic, TOPIC_SETTINGS[i].name, wanted);
    }
    rd_kafka_AdminOptions_t *options = options_new(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
    rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, why, sizeof why);
    rd_kafka_CreateTopics(admin->client, &topic, 1, options, admin->queue);
    rd_kafka_event_t *event = answer_take(admin, "creating the topic", timeout_ms, err);
    bool ok = event != NULL && created_of(event, spec->name, ret_created, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    return ok;
}

/* --- checking --- */

typedef struct findings {
    bt_topic_finding *at;
    size_t count;
} findings;

static bt_topic_finding *finding_add(findings *found, const char *what, const char *is, const char *wanted)
{
    bt_assert(found->count < BT_TOPIC_FINDINGS_MAX);
    bt_topic_finding *finding = &found->at[found->count++];
    *finding = (bt_topic_finding){ .harmful = true };
    snprintf(finding->what, sizeof finding->what, "%s", what);
    snprintf(finding->found, sizeof finding->found, "%s", is);
    snprintf(finding->wanted, sizeof finding->wanted, "%s", wanted);
    return finding;
}

static void check_layout(const struct rd_kafka_metadata_topic *topic, const bt_topic_spec *spec, findings *found)
{
    char is[24], wanted[24];
    if (spec->partition_count > 0 && topic->partition_cnt != spec->partition_count) {
        snprintf(is, sizeof is, "%d", topic->partition_cnt);
        snprintf(wanted, sizeof wanted, "%d", spec->partition_count);
        bt_topic_finding *finding = finding_add(found, "partitions", is, wanted);
        snprintf(finding->remedy, sizeof finding->remedy,
                 "the number is fixed when a log is created: set the server to %d, or, while the topic is empty, delete it and run berth topics create", topic->partition_cnt);
    }
    int32_t least = topic->partition_cnt > 0 ? topic->partitions[0].replica_cnt : 0;
    for (int i = 0; i < topic->partition_cnt; i++)
        least = topic->partitions[i].replica_cnt < least ? topic->partitions[i].replica_cnt : least;
    if (spec->replication > 0 && least < spec->replication) {
        snprintf(is, sizeof is, "%d", least);
        snprintf(wanted, sizeof wanted, "%d", spec->replication);
        bt_topic_finding *finding = finding_add(found, "replication", is, wanted);
        snprintf(finding->remedy, sizeof finding->remedy, "move it to more brokers with kafka-reassign-partitions.sh; with fewer replicas the loss of a broker can lose bookings");
    }
}

static bool is_good(const topic_setting *setting, const char *is, const char *wanted)
{
    if (strcmp(is, wanted) == 0)
        return true;
    return setting->at_least && atoll(is) >= atoll(wanted);
}

static void check_setting(const topic_setting *setting, const char *is, const bt_topic_spec *spec, findings *found)
{
    char number[24];
    const char *wanted = wanted_of(setting, spec, number);
    if (wanted == NULL || (is != NULL && is_good(setting, is, wanted)))
        return;
    if (is == NULL) { /* message.timestamp.after.max.ms came with Kafka 3.6 */
        bt_topic_finding *finding = finding_add(found, setting->name, "unknown", wanted);
        snprintf(finding->remedy, sizeof finding->remedy, "this broker does not know the setting; use Kafka 3.6 or newer: %s", setting->why);
        return;
    }
    bt_topic_finding *finding = finding_add(found, setting->name, is, wanted);
    snprintf(finding->remedy, sizeof finding->remedy, "%s. kafka-configs.sh --bootstrap-server ... --alter --entity-type topics --entity-name %s --add-config %s=%s", setting->why,
             spec->name, setting->name, wanted);
}

static const char *value_of(const rd_kafka_ConfigEntry_t **entries, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    }
    return NULL;
}

static bool check_settings(rd_kafka_event_t *event, const bt_topic_spec *spec, findings *found, bt_err *err)
{
    size_t count;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    if (count != 1)
        return bt_fail(err, BT_ERR_RETRY, 0, "topic %s: the broker answered about %zu topics", spec->name, count);
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[0]);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return bt_fail(err, code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? BT_ERR_INPUT : BT_ERR_RETRY, code, "settings of topic %s: %s", spec->name,
                       rd_kafka_ConfigResource_error_string(resources[0]));
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0], &count);
    for (size_t i = 0; i < BT_COUNT_OF(TOPIC_SETTINGS); i++)
        check_setting(&TOPIC_SETTINGS[i], value_of(entries, count, TOPIC_SETTINGS[i].name), spec, found);
    return true;
}

static bool layout_get(bt_kafka_admin *admin, const bt_topic_spec *spec, int timeout_ms, findings *found, bt_err *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(admin->client, spec->name, NULL);
    if (handle == NULL)
        return bt_fail(err, BT_ERR_INPUT, 0, "'%s' is not a topic's name", spec->name);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(admin->client, 0, handle, &metadata, timeout_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1)
        check_layout(&metadata->topics[0], spec, found);
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || bt_fail(err, BT_ERR_RETRY, code, "topic %s: %s", spec->name, rd_kafka_err2str(code));
}

bool bt_kafka_topic_check(bt_kafka_admin *admin, const bt_topic_spec *spec, int timeout_ms,
                          bt_topic_finding ret_findings[BT_TOPIC_FINDINGS_MAX], size_t *ret_count, bt_err *err)
{
    findings found = { ret_findings, 0 };
    int32_t partition_count;
    /* Asked first: a topic that is not there is a matter for the caller, not a list of findings. */
    if (!bt_kafka_client_partition_count(admin->client, spec->name, timeout_ms, &partition_count, err) || !layout_get(admin, spec, timeout_ms, &found, err))
        return false;
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, spec->name);
    rd_kafka_AdminOptions_t *options = options_new(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
    rd_kafka_DescribeConfigs(admin->client, &resource, 1, options, admin->queue);
    rd_kafka_event_t *event = answer_take(admin, "reading the topic's settings", timeout_ms, err);
    bool ok = event != NULL && check_settings(event, spec, &found, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    if (ok)
        *ret_count = found.count;
    return ok;
}
