/* config - the user's settings, the ones that are not theirs to choose, and why. */
#include "io/kafka/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct ours {
    const char *name;
    const char *why;
} ours;

/* What librdkafka would take, but a log would not survive, or an answer would no longer be true. */
static const ours OURS[] = {
    { "acks", "an answer needs all in-sync replicas; it is always all" },
    { "request.required.acks", "an answer needs all in-sync replicas; it is always all" },
    { "enable.idempotence", "it is always on" },
    { "enable.gapless.guarantee", "it is always off: the log itself notices gaps, and the setting makes the producer fatal" },
    { "transactional.id", "Berth does not use transactions: the fast-forward rule stands in their place" },
    { "max.in.flight", "it is an append setting of the server" },
    { "max.in.flight.requests.per.connection", "it is an append setting of the server" },
    { "message.timeout.ms", "it is an append setting of the server; a long one lets a dead owner go on appending" },
    { "delivery.timeout.ms", "it is an append setting of the server; a long one lets a dead owner go on appending" },
    { "queue.buffering.max.ms", "it is an append setting of the server" },
    { "linger.ms", "it is an append setting of the server" },
    { "message.max.bytes", "it follows from the largest record that the topics allow" },
    { "partitioner", "partitions are chosen by Berth (murmur2 of the stream id)" },
    { "isolation.level", "a record counts by its place: it is always read_uncommitted" },
    { "auto.offset.reset", "a position that is not in the log must stop the reader: it is always error" },
    { "check.crcs", "it is always on" },
    { "enable.auto.commit", "positions stand with the state that they account for, never in Kafka" },
    { "enable.auto.offset.store", "positions stand with the state that they account for, never in Kafka" },
    { "enable.partition.eof", "readers rely on it" },
    { "group.id", "it is a setting of the server" },
    { "group.instance.id", "ownership must move at once when a node leaves" },
    { "partition.assignment.strategy", "it is a setting of the server; cooperative assignment can lose partitions" },
    { "client.rack", "a follower may lag behind what the leader has answered: reads go to the leader" },
    { "socket.nagle.disable", "it is always true: Nagle's delay would be added to every answer" },
    { "allow.auto.create.topics", "topics are made by `berth topics create`, with the settings that the log needs" },
    { "enabled_events", "it is set by the program" },
    { "plugin.library.paths", "code is not loaded by a setting" },
};

static _Atomic(bt_kafka_log_fn *) log_function;

void bt_kafka_set_log(bt_kafka_log_fn *log)
{
    log_function = log;
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    bt_kafka_log_fn *log = log_function;
    char line[BT_TROUBLE_MAX];
    bool is_news = true;
    if (bt_kafka_remedy(facility, text, line, &is_news)) {
        text = line;
        level = is_news ? 3 : 7; /* each client meets it at each broker, again and again: it is told once a minute */
    }
    if (log != NULL)
        log(level, facility, text);
    else if (level <= 4)
        fprintf(stderr, "kafka: %s: %s\n", facility, text);
}

const char *bt_kafka_library_version(void)
{
    return rd_kafka_version_str();
}

int64_t bt_kafka_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool bt_kafka_setting_parse(char *text, bt_kafka_setting *ret_setting, bt_err *err)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return bt_fail(err, BT_ERR_INPUT, 0, "'%s' is not a setting: write name=value, as in bootstrap.servers=127.0.0.1:9092", text);
    *equals = 0;
    *ret_setting = (bt_kafka_setting){ text, equals + 1 };
    return true;
}

static bool is_secret(const char *name)
{
    return strstr(name, "password") != NULL || strstr(name, "secret") != NULL || strstr(name, ".pem") != NULL || strstr(name, "oauthbearer.config") != NULL;
}

bool bt_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, bt_err *err)
{
    char why[256];
    switch (rd_kafka_conf_set(conf, name, value, why, sizeof why)) {
    case RD_KAFKA_CONF_OK:
        return true;
    case RD_KAFKA_CONF_UNKNOWN:
        return bt_fail(err, BT_ERR_INPUT, 0, "kafka.%s: librdkafka %s knows no such setting", name, rd_kafka_version_str());
    case RD_KAFKA_CONF_INVALID:
        /* The library repeats the value, which must not reach a log when it is a secret. */
        return bt_fail(err, BT_ERR_INPUT, 0, "kafka.%s: %s", name, is_secret(name) ? "the value is not acceptable (not shown)" : why);
    }
    return bt_fail(err, BT_ERR_FATAL, 0, "kafka.%s: unexpected answer of librdkafka", name);
}

bool bt_kafka_conf_set_i64(rd_kafka_conf_t *conf, const char *name, int64_t value, bt_err *err)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return bt_kafka_conf_set(conf, name, text, err);
}

static bool set_users(rd_kafka_conf_t *conf, const bt_kafka_config *config, bt_err *err)
{
    bool has_servers = false;
    if (config->setting_count > BT_KAFKA_SETTINGS_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "%zu kafka settings, but %d is the limit", config->setting_count, BT_KAFKA_SETTINGS_MAX);
    for (size_t i = 0; i < config->setting_count; i++) {
        const bt_kafka_setting *setting = &config->settings[i];
        for (size_t j = 0; j < BT_COUNT_OF(OURS); j++) {
            if (strcmp(OURS[j].name, setting->name) == 0)
                return bt_fail(err, BT_ERR_INPUT, 0, "kafka.%s cannot be set: %s. Remove it", setting->name, OURS[j].why);
        }
        if (!bt_kafka_conf_set(conf, setting->name, setting->value, err))
            return false;
        has_servers |= *setting->value != '\0' && (strcmp(setting->name, "bootstrap.servers") == 0 || strcmp(setting->name, "metadata.broker.list") == 0 ||
                                                   strcmp(setting->name, "test.mock.num.brokers") == 0);
    }
    return has_servers || bt_fail(err, BT_ERR_INPUT, 0, "no Kafka is named: set kafka.bootstrap.servers, as in kafka.bootstrap.servers=127.0.0.1:9092");
}

/* What the user may set otherwise. The library's own limits would keep a server down after its brokers are well again: 10 s between attempts to connect;
 * and where a broker's machine is gone without a word, 30 s to connect to it, 60 s for its answer, and five minutes until anybody asks who leads now
 * (docs/decisions/0015). */
static const bt_kafka_setting DEFAULTS[] = {
    { "reconnect.backoff.ms", "50" },
    { "reconnect.backoff.max.ms", "1000" },
    { "socket.timeout.ms", "6000" },
    { "socket.connection.setup.timeout.ms", "3000" },
    { "topic.metadata.refresh.interval.ms", "2000" },
};

static const bt_kafka_setting FORCED_ALL[] = {
    { "socket.nagle.disable", "true" },
    { "allow.auto.create.topics", "false" },
    { "log.connection.close", "true" }, /* at a level that hardly anybody sees, as idle connections are closed all day; but TLS that is not spoken shows only there */
};

/* enable.gapless.guarantee is false by default and refused above; naming it makes the library warn. */
static const bt_kafka_setting FORCED_PRODUCER[] = {
    { "acks", "all" },
    { "enable.idempotence", "true" },
};

static const bt_kafka_setting FORCED_READER[] = {
    { "isolation.level", "read_uncommitted" },
    { "auto.offset.reset", "error" },
    { "check.crcs", "true" },
    { "enable.auto.commit", "false" },
    { "enable.auto.offset.store", "false" },
    { "enable.partition.eof", "true" },
};

static bool set_forced(rd_kafka_conf_t *conf, const bt_kafka_setting *forced, size_t count, bt_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!bt_kafka_conf_set(conf, forced[i].name, forced[i].value, err))
            return false;
    }
    return true;
}

static bool set_role(rd_kafka_conf_t *conf, bt_kafka_role role, bt_err *err)
{
    switch (role) {
    case BT_KAFKA_PRODUCER:
        return set_forced(conf, FORCED_PRODUCER, BT_COUNT_OF(FORCED_PRODUCER), err);
    case BT_KAFKA_READER:
    case BT_KAFKA_GROUP:
        return set_forced(conf, FORCED_READER, BT_COUNT_OF(FORCED_READER), err);
    case BT_KAFKA_ADMIN:
        return true;
    }
    return bt_fail(err, BT_ERR_FATAL, 0, "unknown role %d", (int)role);
}

rd_kafka_conf_t *bt_kafka_conf_new(const bt_kafka_config *config, bt_kafka_role role, bt_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (bt_kafka_conf_set(conf, "client.id", config->client_id != NULL ? config->client_id : "berth", err) &&
        set_forced(conf, DEFAULTS, BT_COUNT_OF(DEFAULTS), err) && set_users(conf, config, err) &&
        set_forced(conf, FORCED_ALL, BT_COUNT_OF(FORCED_ALL), err) && set_role(conf, role, err))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_t *bt_kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, bt_err *err)
{
    char why[256];
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);
    if (client != NULL)
        return client;
    rd_kafka_conf_destroy(conf);
    bt_fail(err, BT_ERR_INPUT, 0, "the kafka.* settings do not fit each other or this machine: %s", why);
    return NULL;
}

bool bt_kafka_config_check(const bt_kafka_config *config, bt_err *err)
{
    static const bt_kafka_role ROLES[] = { BT_KAFKA_PRODUCER, BT_KAFKA_READER };
    static const rd_kafka_type_t TYPES[] = { RD_KAFKA_PRODUCER, RD_KAFKA_CONSUMER };
    for (size_t i = 0; i < BT_COUNT_OF(ROLES); i++) {
        rd_kafka_conf_t *conf = bt_kafka_conf_new(config, ROLES[i], err);
        if (conf == NULL)
            return false;
        /* Whether settings fit each other (a SASL mechanism without a user, a key file that is not there) shows only in a client. */
        rd_kafka_t *client = bt_kafka_client_new(TYPES[i], conf, err);
        if (client == NULL)
            return false;
        rd_kafka_destroy(client);
    }
    return true;
}

static bool count_of(const struct rd_kafka_metadata *metadata, const char *topic, int32_t *ret_count, bt_err *err)
{
    if (metadata->topic_cnt != 1)
        return bt_fail(err, BT_ERR_RETRY, 0, "topic %s: the broker answered about %d topics", topic, metadata->topic_cnt);
    rd_kafka_resp_err_t code = metadata->topics[0].err;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION || code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        return bt_fail(err, BT_ERR_INPUT, code, "topic %s: %s", topic, rd_kafka_err2str(code));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || metadata->topics[0].partition_cnt < 1)
        return bt_fail(err, BT_ERR_RETRY, code, "topic %s: %s", topic, rd_kafka_err2str(code));
    *ret_count = metadata->topics[0].partition_cnt;
    return true;
}

bool bt_kafka_client_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms, int32_t *ret_count, bt_err *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    if (handle == NULL)
        return bt_fail(err, BT_ERR_INPUT, 0, "'%s' is not a topic's name", topic);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, handle, &metadata, timeout_ms);
    bool ok = false;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        bt_trouble_over(BT_TROUBLE_KAFKA);
        ok = count_of(metadata, topic, ret_count, err);
    } else {
        char what[300];
        snprintf(what, sizeof what, "topic %.280s", topic);
        bt_kafka_fail_unanswered(err, what, timeout_ms, code);
    }
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return ok;
}
