/* config - what every Kafka client of ours is set up with, and which settings a user may pass through.
 *
 * A user reaches an existing Kafka by `kafka.*` settings (kafka.bootstrap.servers, kafka.security.protocol, kafka.sasl.*,
 * kafka.ssl.* ...), which go to librdkafka as they are, without the prefix. Some are ours alone, because the log's
 * correctness or an answer's truth rests on them (acks, isolation.level, auto.offset.reset ...): setting one is refused
 * with the reason, and is not silently overridden.
 *
 * Role by role, the forced settings are (docs/protocol.md section 1.5; docs/decisions/0002):
 *   all       socket.nagle.disable=true; no client.rack (a follower may lag behind what the leader has answered)
 *   producer  acks=all, enable.idempotence=true, enable.gapless.guarantee=false
 *   readers   isolation.level=read_uncommitted, auto.offset.reset=error, check.crcs=true, no commits */
#ifndef BERTH_IO_KAFKA_CONFIG_H
#define BERTH_IO_KAFKA_CONFIG_H

#include "core/forward.h"

#define BT_KAFKA_SETTINGS_MAX 128
#define BT_KAFKA_MESSAGE_BYTES_MAX (BT_RECORD_VALUE_MAX + 65536) /* a value, its key and headers, and the batch around it */

/* librdkafka's own name, without "kafka."; both zero-terminated and borrowed. */
typedef struct bt_kafka_setting {
    const char *name;
    const char *value;
} bt_kafka_setting;

typedef struct bt_kafka_config {
    const bt_kafka_setting *settings; /* borrowed only during calls: every client copies what it needs */
    size_t setting_count;
    const char *client_id; /* shown in the broker's logs and quotas; NULL: berth; the user's client.id goes before it */
} bt_kafka_config;

/* Where librdkafka's log lines go; level as in syslog (3 error ... 7 debug). Called from librdkafka's threads: must be
 * thread-safe and must not block. NULL, at first: lines of level 4 and below go to stderr. Set once, before any client. */
typedef void bt_kafka_log_fn(int level, const char *facility, const char *text);
void bt_kafka_set_log(bt_kafka_log_fn *log);

/* True if the list is acceptable to every role; call it once at start-up, so that a bad file stops a server with a clear line.
 * err (BT_ERR_INPUT) names the setting, says why it is refused and what to do. Does not connect. */
bool bt_kafka_config_check(const bt_kafka_config *config, bt_err *err) BT_MUST_CHECK;

/* Splits "name=value" as it comes from a flag (--kafka bootstrap.servers=127.0.0.1:9092), in place. False without a '='. */
bool bt_kafka_setting_parse(char *text, bt_kafka_setting *ret_setting, bt_err *err) BT_MUST_CHECK;

/* librdkafka's version as text, for version stamps. */
const char *bt_kafka_library_version(void);

#endif
