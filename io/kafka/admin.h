/* admin - makes the topics that a log needs, and says exactly in what an existing one differs and how to mend it.
 *
 * The settings are not taste (docs/protocol.md section 1): a log that forgets, compacts, or elects a leader that lacks records
 * breaks the chain. What must hold:
 *   cleanup.policy=delete, retention.ms=-1, retention.bytes=-1        nothing is ever dropped, offsets stay dense
 *   message.timestamp.type=CreateTime, ...after.max.ms=60000          a clock from the future cannot write
 *   min.insync.replicas, replication factor                           2 of 3; 1 of 1 on a laptop
 *   unclean.leader.election.enable=false                              acknowledged records are not elected away
 *   max.message.bytes                                                 the largest record we write, with its frame
 * Blocking, each call within timeout_ms. One thread at a time. */
#ifndef BERTH_IO_KAFKA_ADMIN_H
#define BERTH_IO_KAFKA_ADMIN_H

#include "io/kafka/config.h"

typedef struct bt_kafka_admin bt_kafka_admin;

typedef struct bt_topic_spec {
    const char *name;            /* berth.trip */
    int32_t partition_count;     /* fixed for good once records are in it */
    int32_t replication;         /* 3; 1 on a laptop */
    int32_t min_insync_replicas; /* 2; 1 on a laptop */
} bt_topic_spec;

/* One thing that differs from the spec. */
typedef struct bt_topic_finding {
    bool harmful;        /* false: worth a look, not wrong */
    char what[64];       /* retention.ms */
    char found[64], wanted[64];
    char remedy[320];    /* what to do, with a command where there is one */
} bt_topic_finding;
#define BT_TOPIC_FINDINGS_MAX 16

bool bt_kafka_admin_new(const bt_kafka_config *config, bt_kafka_admin **ret_admin, bt_err *err) BT_MUST_CHECK;
void bt_kafka_admin_free(bt_kafka_admin *admin);

/* Creates it with the settings above. ret_created is false, without an error, when it was there already: check it then. */
bool bt_kafka_topic_create(bt_kafka_admin *admin, const bt_topic_spec *spec, int timeout_ms, bool *ret_created, bt_err *err) BT_MUST_CHECK;

/* Findings of an existing topic; none is good. partition_count, replication and min_insync_replicas of 0 are not compared. BT_ERR_INPUT: no such
 * topic. BT_ERR_RETRY: no broker answered in time. */
bool bt_kafka_topic_check(bt_kafka_admin *admin, const bt_topic_spec *spec, int timeout_ms,
                          bt_topic_finding ret_findings[BT_TOPIC_FINDINGS_MAX], size_t *ret_count, bt_err *err) BT_MUST_CHECK;

/* BT_ERR_INPUT: no such topic. BT_ERR_RETRY: no broker answered in time. */
bool bt_kafka_partition_count(bt_kafka_admin *admin, const char *topic, int timeout_ms, int32_t *ret_count, bt_err *err) BT_MUST_CHECK;

/* How many brokers the cluster has now. BT_ERR_RETRY: none answered in time. */
bool bt_kafka_broker_count(bt_kafka_admin *admin, int timeout_ms, int32_t *ret_count, bt_err *err) BT_MUST_CHECK;

#endif
