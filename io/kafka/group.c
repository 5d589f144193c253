/* group - see the header. The thread keeps, under a mutex, how often each partition was given to this node and whether it is now; the loop
 * compares with what it was told last. So nothing queues up, however long the loop is away. */
#include "io/kafka/group.h"

#include "core/memory.h"
#include "io/kafka/client.h"
#include "io/kafka/pulse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define POLL_MS 100
#define SESSION_MS 1500
#define SESSION_LONGER_MS 6000   /* the shortest that a broker with its defaults takes */
#define SESSION_LONGEST_MS 30000
#define LIST_MS 500

typedef struct standing {
    uint32_t times; /* how often it was given */
    bool mine;
} standing;

struct bt_group {
    rd_kafka_t *client; /* the thread's, once it runs */
    bt_pulse *pulse;
    rd_kafka_topic_partition_list_t *topics;
    char name[256];
    int32_t session_ms;
    bt_group_outputs outputs;
    bt_wake *wake;
    char topic[256];
    int32_t loop_silence_max_ms;
    pthread_t thread;
    pthread_mutex_t mutex;
    standing now[BT_GROUP_PARTITIONS_MAX];  /* the thread's, under the mutex */
    standing told[BT_GROUP_PARTITIONS_MAX]; /* the loop's */
    atomic_bool stop, joined, stopped, has_changed;
    atomic_int_fast64_t loop_seen_ms;
    atomic_int others;
};

/* With the mutex held: bt_group_free takes the wake away under it. */
static void changed(bt_group *group)
{
    atomic_store(&group->has_changed, true);
    if (group->wake != NULL)
        bt_wake_up(group->wake);
}

static void mark(bt_group *group, const rd_kafka_topic_partition_list_t *list, bool mine)
{
    pthread_mutex_lock(&group->mutex);
    for (int i = 0; i < list->cnt; i++) {
        int32_t partition = list->elems[i].partition;
        if (partition < 0 || partition >= BT_GROUP_PARTITIONS_MAX)
            continue;
        group->now[partition].mine = mine;
        group->now[partition].times += mine;
    }
    changed(group);
    pthread_mutex_unlock(&group->mutex);
}

static void drop_all(bt_group *group)
{
    pthread_mutex_lock(&group->mutex);
    for (int32_t partition = 0; partition < BT_GROUP_PARTITIONS_MAX; partition++)
        group->now[partition].mine = false;
    changed(group);
    pthread_mutex_unlock(&group->mutex);
    atomic_store(&group->joined, false);
}

/* The library must be told to assign, else it believes that the rebalance is still under way. The partitions begin at
 * their end and are paused, so nothing is fetched and no committed offset is asked for. */
static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t kind, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    bt_group *group = opaque;
    if (kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = RD_KAFKA_OFFSET_END;
        rd_kafka_assign(client, list);
        rd_kafka_pause_partitions(client, list);
        mark(group, list, true);
        atomic_store(&group->joined, true);
        return;
    }
    drop_all(group); /* eager: a revocation is of all; so is any error */
    rd_kafka_assign(client, NULL);
}

static bool session_set(rd_kafka_conf_t *conf, int32_t session_ms, int32_t heartbeat_ms, bt_err *err)
{
    int32_t poll_max_ms = session_ms > 10000 ? session_ms : 10000; /* the library wants it at least as long */
    return bt_kafka_conf_set_i64(conf, "session.timeout.ms", session_ms, err) &&
           bt_kafka_conf_set_i64(conf, "heartbeat.interval.ms", heartbeat_ms > 0 ? heartbeat_ms : session_ms / 3, err) &&
           bt_kafka_conf_set_i64(conf, "max.poll.interval.ms", poll_max_ms, err);
}

static bool options_set(rd_kafka_conf_t *conf, const bt_group_options *options, bt_err *err)
{
    int32_t session_ms = options->session_timeout_ms > 0 ? options->session_timeout_ms : SESSION_MS;
    return bt_kafka_conf_set(conf, "group.id", options->group != NULL ? options->group : "berth-commands", err) &&
           session_set(conf, session_ms, options->heartbeat_ms, err) &&
           bt_kafka_conf_set(conf, "partition.assignment.strategy", options->strategy != NULL ? options->strategy : "range", err) &&
           bt_kafka_conf_set(conf, "enable.partition.eof", "false", err) && bt_kafka_conf_set_i64(conf, "queued.min.messages", 1, err);
}

static bool subscribe(bt_group *group, bt_err *err)
{
    rd_kafka_poll_set_consumer(group->client);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(group->client, group->topics);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || bt_fail(err, BT_ERR_INPUT, code, "group of topic %s: %s", group->topic, rd_kafka_err2str(code));
}

/* ---- the thread ---- */

/* The broker's group.min.session.timeout.ms is not ours to know beforehand, so the next longer one is tried. */
static void join_with_longer_session(bt_group *group)
{
    bt_err err;
    int32_t next_ms = group->session_ms < SESSION_LONGER_MS ? SESSION_LONGER_MS : SESSION_LONGEST_MS;
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(rd_kafka_conf(group->client));
    if (group->session_ms >= SESSION_LONGEST_MS || !session_set(conf, next_ms, 0, &err)) {
        rd_kafka_conf_destroy(conf);
        return;
    }
    if (group->outputs.refused != NULL)
        group->outputs.refused(group->outputs.context, group->session_ms, next_ms);
    rd_kafka_t *client = bt_kafka_client_new(RD_KAFKA_CONSUMER, conf, &err);
    if (client == NULL)
        return;
    bt_pulse_move(group->pulse, client);
    rd_kafka_consumer_close(group->client);
    rd_kafka_destroy(group->client);
    group->client = client;
    group->session_ms = next_ms;
    if (!subscribe(group, &err)) /* it did once with the same name */
        atomic_store(&group->joined, false);
}

/* Whether there is anybody to wait for. */
static int count_others(bt_group *group)
{
    const struct rd_kafka_group_list *groups = NULL;
    int others = 0;
    if (rd_kafka_list_groups(group->client, group->name, &groups, LIST_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    for (int i = 0; i < groups->group_cnt; i++)
        others = groups->groups[i].member_cnt - 1;
    rd_kafka_group_list_destroy(groups);
    return others > 0 ? others : 0;
}

static void *work(void *argument)
{
    bt_group *group = argument;
    while (!atomic_load(&group->stop)) {
        if (bt_kafka_now_ms() - atomic_load(&group->loop_seen_ms) > group->loop_silence_max_ms) {
            usleep(POLL_MS * 1000); /* unpolled, the library leaves the group by itself after max.poll.interval.ms */
            continue;
        }
        rd_kafka_message_t *message = rd_kafka_consumer_poll(group->client, POLL_MS);
        bool refused = message != NULL && message->err == RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT;
        if (message != NULL)
            rd_kafka_message_destroy(message); /* other errors: the library tries again by itself */
        if (refused)
            join_with_longer_session(group);
    }
    int others = count_others(group);
    rd_kafka_consumer_close(group->client);
    drop_all(group);
    atomic_store(&group->others, others);
    atomic_store(&group->stopped, true);
    return NULL;
}

static void release(bt_group *group)
{
    bt_pulse_free(group->pulse);
    if (group->topics != NULL)
        rd_kafka_topic_partition_list_destroy(group->topics);
    if (group->client != NULL)
        rd_kafka_destroy(group->client);
    pthread_mutex_destroy(&group->mutex);
    bt_release(group);
}

bool bt_group_new(const bt_kafka_config *config, const bt_group_options *options, const bt_group_outputs *outputs,
                  bt_wake *wake, bt_group **ret_group, bt_err *err)
{
    rd_kafka_conf_t *conf = bt_kafka_conf_new(config, BT_KAFKA_GROUP, err);
    if (conf == NULL)
        return false;
    if (!options_set(conf, options, err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    bt_group *group = bt_alloc(sizeof *group);
    rd_kafka_conf_set_opaque(conf, group);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    snprintf(group->topic, sizeof group->topic, "%s", options->topic);
    snprintf(group->name, sizeof group->name, "%s", options->group != NULL ? options->group : "berth-commands");
    group->session_ms = options->session_timeout_ms > 0 ? options->session_timeout_ms : SESSION_MS;
    atomic_store(&group->others, -1);
    group->topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(group->topics, group->topic, RD_KAFKA_PARTITION_UA);
    group->outputs = *outputs;
    group->wake = wake;
    group->loop_silence_max_ms = options->loop_silence_max_ms > 0 ? options->loop_silence_max_ms : 60000;
    pthread_mutex_init(&group->mutex, NULL);
    atomic_store(&group->loop_seen_ms, bt_kafka_now_ms());
    group->client = bt_kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
    if (group->client == NULL || !subscribe(group, err)) {
        release(group);
        return false;
    }
    group->pulse = bt_pulse_new(group->client);
    bt_assert(pthread_create(&group->thread, NULL, work, group) == 0);
    *ret_group = group;
    return true;
}

void bt_group_leave(bt_group *group) { atomic_store(&group->stop, true); }
int bt_group_others(const bt_group *group) { return atomic_load(&group->others); }
bool bt_group_broker_answers(const bt_group *group) { return bt_pulse_beats(group->pulse); }

void bt_group_free(bt_group *group, int limit_ms)
{
    if (group == NULL)
        return;
    pthread_mutex_lock(&group->mutex);
    group->wake = NULL;
    pthread_mutex_unlock(&group->mutex);
    atomic_store(&group->stop, true);
    int64_t end_ms = bt_kafka_now_ms() + limit_ms;
    while (!atomic_load(&group->stopped) && bt_kafka_now_ms() < end_ms)
        usleep(5000);
    if (!atomic_load(&group->stopped)) {
        pthread_detach(group->thread); /* leaving hangs: the broker ends the session by itself; the handle is left to the process's end */
        return;
    }
    pthread_join(group->thread, NULL);
    release(group);
}

void bt_group_poll(bt_group *group)
{
    standing now[BT_GROUP_PARTITIONS_MAX];
    atomic_store(&group->loop_seen_ms, bt_kafka_now_ms());
    if (!atomic_exchange(&group->has_changed, false))
        return;
    pthread_mutex_lock(&group->mutex);
    memcpy(now, group->now, sizeof now);
    pthread_mutex_unlock(&group->mutex);
    for (int32_t partition = 0; partition < BT_GROUP_PARTITIONS_MAX; partition++) {
        standing told = group->told[partition];
        group->told[partition] = now[partition];
        bool again = told.times != now[partition].times;
        if (told.mine && (!now[partition].mine || again))
            group->outputs.revoked(group->outputs.context, partition);
        if (now[partition].mine && (!told.mine || again))
            group->outputs.assigned(group->outputs.context, partition);
    }
}

bool bt_group_joined(const bt_group *group)
{
    return atomic_load(&group->joined);
}
