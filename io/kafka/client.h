/* client - inside io/kafka only: makes a librdkafka configuration for a role. Nothing outside this folder includes it. */
#ifndef BERTH_IO_KAFKA_CLIENT_H
#define BERTH_IO_KAFKA_CLIENT_H

#include "io/kafka/config.h"
#include "io/trouble/trouble.h"

#include <librdkafka/rdkafka.h>

typedef enum bt_kafka_role {
    BT_KAFKA_PRODUCER,
    BT_KAFKA_READER,
    BT_KAFKA_GROUP,
    BT_KAFKA_ADMIN,
} bt_kafka_role;

/* The user's settings, then what the role forces. NULL on failure; else the caller's to give to rd_kafka_new or destroy. */
rd_kafka_conf_t *bt_kafka_conf_new(const bt_kafka_config *config, bt_kafka_role role, bt_err *err) BT_MUST_CHECK;

/* Sets one; a refusal is BT_ERR_INPUT with the library's words. */
bool bt_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, bt_err *err) BT_MUST_CHECK;
bool bt_kafka_conf_set_i64(rd_kafka_conf_t *conf, const char *name, int64_t value, bt_err *err) BT_MUST_CHECK;

/* rd_kafka_new, which takes conf also when it fails. */
rd_kafka_t *bt_kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, bt_err *err) BT_MUST_CHECK;

/* remedy.c: what a line of the library's log means for whoever set it up. False: nothing that is known. Else ret_line says it with the remedy, it is
 * noted in io/trouble, and ret_is_news tells whether to log it. */
bool bt_kafka_remedy(const char *facility, const char *text, char ret_line[BT_TROUBLE_MAX], bool *ret_is_news);
/* BT_ERR_RETRY: nobody answered about what, with the reason if one is known. */
void bt_kafka_fail_unanswered(bt_err *err, const char *what, int timeout_ms, rd_kafka_resp_err_t code);

/* CLOCK_MONOTONIC. */
int64_t bt_kafka_now_ms(void);

/* How many partitions the topic has. BT_ERR_INPUT: there is none of that name; BT_ERR_RETRY: nobody answered. */
bool bt_kafka_client_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms, int32_t *ret_count, bt_err *err) BT_MUST_CHECK;

#endif
