/* producer - see the header. How a report finds its record without an allocation: the library's opaque pointer is the
 * number of a slot in a fixed table; the slot remembers generation, attempt and partition. When a producer is given up, all
 * open slots are reported and taken back at once; the old library handle's queue is never served again, so a late report
 * of it has no way to reach a slot that someone else uses by then. */
#include "io/kafka/producer.h"

#include "core/memory.h"
#include "io/kafka/lane.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define REPORTS_A_CALL 512
#define RECREATE_EVERY_MS 500
#define ABANDONED_MAX 16 /* old handles whose destruction hangs; past it no new producer is made */
#define DRAIN_AFTER_MS 1000
#define IN_FLIGHT_DEFAULT 1
#define LANE_COUNT 2
#define OPEN_KBYTES_MAX 262144 /* bytes of records without a report */

typedef struct slot {
    uint64_t generation, attempt;
    int32_t partition;
    bool open;
} slot;

/* Where a partition's records go. */
typedef struct way {
    uint32_t open; /* records without a report */
    lane_kind lane;
} way;

struct bt_producer {
    lane lanes[LANE_COUNT];   /* by lane_kind; all open, or, while new ones cannot be made yet, all closed */
    way *ways;                /* by partition */
    int32_t way_count;
    bt_producer_outputs outputs;
    bt_wake *wake;
    bool fatal;               /* a client is beyond use; both are replaced by the next poll */
    int64_t recreated_at_ms;
    rd_kafka_conf_t *conf;    /* what each client is made from */
    char topic_name[256];
    slot *slots;
    uint32_t *free_slots;
    uint32_t free_count;
    bt_report *refused;       /* what could not be enqueued: told by the next poll */
    size_t refused_count, refused_capacity;
    atomic_uint_fast64_t appended, reported_ok, reported_error, offset_unknown, recreated, broker_errors;
    atomic_uint incarnation, open;
    atomic_uint *abandoned;   /* shared with the threads that destroy old handles */
};

/* --- its lanes --- */

static bool is_open(const bt_producer *producer) { return producer->lanes[LANE_DIRECT].client != NULL; }

static void lanes_abandon(bt_producer *producer)
{
    for (int i = 0; i < LANE_COUNT; i++)
        lane_abandon(&producer->lanes[i], producer->wake, producer->abandoned);
    for (int32_t i = 0; i < producer->way_count; i++)
        producer->ways[i].open = 0;
}

static bool lanes_open(bt_producer *producer, bt_err *err)
{
    static const lane_kind kinds[LANE_COUNT] = { LANE_DIRECT, LANE_GATHERING };
    for (int i = 0; i < LANE_COUNT; i++)
        if (!lane_open(&producer->lanes[i], kinds[i], producer->conf, producer->topic_name, producer->wake, err)) {
            lanes_abandon(producer);
            return false;
        }
    producer->fatal = false;
    return true;
}

/* Few go directly and many together; but records of one partition do not overtake each other, so it keeps its lane while any is open. */
static way *way_of(bt_producer *producer, int32_t partition, size_t handed_over)
{
    if (partition >= producer->way_count) {
        int32_t count = partition + 16;
        producer->ways = bt_resize(producer->ways, (size_t)count * sizeof *producer->ways);
        memset(producer->ways + producer->way_count, 0, (size_t)(count - producer->way_count) * sizeof *producer->ways);
        producer->way_count = count;
    }
    way *found = &producer->ways[partition];
    if (found->open == 0)
        found->lane = handed_over > LANE_DIRECT_MAX ? LANE_GATHERING : LANE_DIRECT;
    return found;
}

static bool options_set(rd_kafka_conf_t *conf, const bt_producer_options *options, bt_err *err)
{
    int32_t in_flight = options->in_flight_max == 0 ? IN_FLIGHT_DEFAULT : options->in_flight_max;
    int32_t timeout = options->message_timeout_ms == 0 ? 10000 : options->message_timeout_ms;
    if (timeout < 1000 || timeout > 15000)
        return bt_fail(err, BT_ERR_INPUT, 0, "message timeout of %d ms: 1000 to 15000 are allowed; longer makes a zombie that appends late", timeout);
    if (in_flight < 1 || in_flight > 5)
        return bt_fail(err, BT_ERR_INPUT, 0, "%d requests in flight: 1 to 5 are allowed", in_flight);
    return bt_kafka_conf_set_i64(conf, "max.in.flight", in_flight, err) &&
           bt_kafka_conf_set_i64(conf, "message.timeout.ms", timeout, err) &&
           bt_kafka_conf_set_i64(conf, "message.max.bytes", BT_KAFKA_MESSAGE_BYTES_MAX, err) &&
           bt_kafka_conf_set_i64(conf, "queue.buffering.max.messages", BT_PRODUCER_OPEN_MAX + 1, err) &&
           bt_kafka_conf_set_i64(conf, "queue.buffering.max.kbytes", OPEN_KBYTES_MAX, err) &&
           bt_kafka_conf_set_i64(conf, "retry.backoff.ms", 50, err) &&
           bt_kafka_conf_set(conf, "compression.type", options->compression != NULL ? options->compression : "none", err);
}

bool bt_producer_new(const bt_kafka_config *config, const bt_producer_options *options, const bt_producer_outputs *outputs,
                     bt_wake *wake, bt_producer **ret_producer, bt_err *err)
{
    rd_kafka_conf_t *conf = bt_kafka_conf_new(config, BT_KAFKA_PRODUCER, err);
    if (conf == NULL)
        return false;
    if (!options_set(conf, options, err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    bt_producer *producer = bt_alloc(sizeof *producer);
    producer->conf = conf;
    producer->outputs = *outputs;
    producer->wake = wake;
    producer->abandoned = bt_alloc(sizeof *producer->abandoned);
    snprintf(producer->topic_name, sizeof producer->topic_name, "%s", options->topic);
    producer->slots = bt_alloc(BT_PRODUCER_OPEN_MAX * sizeof *producer->slots);
    producer->free_slots = bt_alloc(BT_PRODUCER_OPEN_MAX * sizeof *producer->free_slots);
    for (uint32_t i = 0; i < BT_PRODUCER_OPEN_MAX; i++)
        producer->free_slots[i] = BT_PRODUCER_OPEN_MAX - 1 - i;
    producer->free_count = BT_PRODUCER_OPEN_MAX;
    atomic_store(&producer->incarnation, 1);
    if (!lanes_open(producer, err)) {
        bt_producer_free(producer, 0);
        return false;
    }
    *ret_producer = producer;
    return true;
}

/* --- appending --- */

static bt_err_kind kind_of(rd_kafka_resp_err_t error, bool surely_absent)
{
    switch ((int)error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return BT_OK;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        return BT_ERR_INPUT;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return surely_absent ? BT_ERR_FATAL : BT_ERR_UNKNOWN;
    default:
        return surely_absent ? BT_ERR_RETRY : BT_ERR_UNKNOWN;
    }
}

static void refuse(bt_producer *producer, const bt_append *append, rd_kafka_resp_err_t error)
{
    if (producer->refused_count == producer->refused_capacity) {
        producer->refused_capacity = producer->refused_capacity == 0 ? 64 : producer->refused_capacity * 2;
        producer->refused = bt_resize(producer->refused, producer->refused_capacity * sizeof *producer->refused);
    }
    producer->refused[producer->refused_count++] = (bt_report){
        .generation = append->generation,
        .attempt = append->attempt,
        .offset = -1,
        .partition = append->partition,
        .error = error,
        .kind = kind_of(error, true),
        .incarnation = atomic_load(&producer->incarnation),
    };
}

static rd_kafka_headers_t *headers_of(const bt_append *append)
{
    if (append->header_count == 0)
        return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(append->header_count);
    for (size_t i = 0; i < append->header_count; i++)
        rd_kafka_header_add(headers, append->headers[i].name, -1, append->headers[i].value.at, (ssize_t)append->headers[i].value.size);
    return headers;
}

static rd_kafka_resp_err_t enqueue(bt_producer *producer, const bt_append *append, size_t handed_over)
{
    if (!is_open(producer) || producer->fatal)
        return RD_KAFKA_RESP_ERR__STATE;
    if (producer->free_count == 0)
        return RD_KAFKA_RESP_ERR__QUEUE_FULL;
    uint32_t number = producer->free_slots[producer->free_count - 1];
    way *taken = way_of(producer, append->partition, handed_over);
    lane *by = &producer->lanes[taken->lane];
    rd_kafka_headers_t *headers = headers_of(append);
    rd_kafka_vu_t fields[] = {
        { .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = by->topic },
        { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = append->partition },
        { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
        { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { (void *)append->key.at, append->key.size } },
        { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { (void *)append->value.at, append->value.size } },
        { .vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = append->time_us / 1000 },
        { .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)(number + 1) },
        { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
    };
    rd_kafka_error_t *error = rd_kafka_produceva(by->client, fields, BT_COUNT_OF(fields) - (headers == NULL ? 1 : 0));
    if (error != NULL) {
        rd_kafka_resp_err_t code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        if (headers != NULL)
            rd_kafka_headers_destroy(headers); /* taken by the library only on success */
        if (code == RD_KAFKA_RESP_ERR__FATAL)
            producer->fatal = true;
        return code;
    }
    producer->free_count--;
    producer->slots[number] = (slot){ append->generation, append->attempt, append->partition, true };
    taken->open++;
    by->open++;
    atomic_fetch_add(&producer->open, 1);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void bt_producer_append(bt_producer *producer, const bt_append *appends, size_t append_count)
{
    size_t refused_before = producer->refused_count;
    atomic_fetch_add(&producer->appended, append_count);
    for (size_t i = 0; i < append_count; i++) {
        rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
        for (size_t j = refused_before; j < producer->refused_count && error == RD_KAFKA_RESP_ERR_NO_ERROR; j++) {
            if (producer->refused[j].partition == appends[i].partition)
                error = RD_KAFKA_RESP_ERR__PURGE_QUEUE; /* its link is missing, so it would be void */
        }
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
            error = enqueue(producer, &appends[i], append_count);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            refuse(producer, &appends[i], error);
    }
    if (producer->lanes[LANE_GATHERING].open > 0)
        lane_flush(&producer->lanes[LANE_GATHERING]);
    if (producer->refused_count > refused_before && producer->wake != NULL)
        bt_wake_up(producer->wake);
}

/* --- reporting --- */

static void tell(bt_producer *producer, const bt_report *reports, size_t count)
{
    uint64_t ok = 0, unknown = 0;
    for (size_t i = 0; i < count; i++) {
        ok += reports[i].kind == BT_OK;
        unknown += reports[i].kind == BT_OK && reports[i].offset < 0;
    }
    atomic_fetch_add(&producer->reported_ok, ok);
    atomic_fetch_add(&producer->reported_error, count - ok);
    atomic_fetch_add(&producer->offset_unknown, unknown);
    if (count > 0)
        producer->outputs.reports(producer->outputs.context, reports, count);
}

static size_t tell_refused(bt_producer *producer)
{
    size_t count = producer->refused_count;
    if (count == 0)
        return 0;
    /* An append from inside the callback may refuse again: those wait in a list of their own for the next poll. */
    bt_report *reports = producer->refused;
    producer->refused = NULL;
    producer->refused_count = producer->refused_capacity = 0;
    tell(producer, reports, count);
    bt_release(reports);
    return count;
}

static bt_report report_take(bt_producer *producer, uint32_t number)
{
    slot *taken = &producer->slots[number];
    bt_assert(number < BT_PRODUCER_OPEN_MAX && taken->open);
    taken->open = false;
    producer->free_slots[producer->free_count++] = number;
    way *by = &producer->ways[taken->partition];
    if (by->open > 0) { /* 0: its lane was abandoned */
        by->open--;
        producer->lanes[by->lane].open--;
    }
    atomic_fetch_sub(&producer->open, 1);
    return (bt_report){
        .generation = taken->generation,
        .attempt = taken->attempt,
        .offset = -1,
        .partition = taken->partition,
        .incarnation = atomic_load(&producer->incarnation),
    };
}

static bt_report report_of(bt_producer *producer, const rd_kafka_message_t *message, bool offsets_known)
{
    bt_report report = report_take(producer, (uint32_t)(uintptr_t)message->_private - 1);
    report.error = message->err;
    report.kind = kind_of(message->err, rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED);
    if (report.kind == BT_OK && offsets_known)
        report.offset = message->offset;
    return report;
}

/* One event is one produce response (or one sweep of timed-out records). The library numbers its records upwards from what the
 * response says, also when that is "unknown" (-1) or "acknowledged by a later one" (-1001): then it counts
 * -1, 0, 1 ..., which look like offsets and are none. So the first one decides for all. */
static size_t tell_event(bt_producer *producer, rd_kafka_event_t *event)
{
    bt_report reports[REPORTS_A_CALL];
    size_t count = 0, told = 0;
    bool first = true, offsets_known = false;
    const rd_kafka_message_t *message;
    while ((message = rd_kafka_event_message_next(event)) != NULL) {
        if (first)
            offsets_known = message->offset >= 0;
        first = false;
        reports[count++] = report_of(producer, message, offsets_known);
        if (count == BT_COUNT_OF(reports)) {
            tell(producer, reports, count);
            told += count;
            count = 0;
        }
    }
    tell(producer, reports, count);
    return told + count;
}

static void on_error(bt_producer *producer, rd_kafka_event_t *event)
{
    atomic_fetch_add(&producer->broker_errors, 1);
    if (rd_kafka_event_error_is_fatal(event) || rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL)
        producer->fatal = true;
}

static size_t serve_lane(bt_producer *producer, lane *served, int timeout_ms)
{
    size_t told = 0;
    /* Bounded: no more events than records were open, and errors, when it began. */
    for (uint32_t left = served->open + 64; left > 0 && !producer->fatal; left--) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(served->queue, told > 0 ? 0 : timeout_ms);
        if (event == NULL)
            break;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
            told += tell_event(producer, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
            on_error(producer, event);
        rd_kafka_event_destroy(event);
        timeout_ms = 0;
    }
    return told;
}

/* Waits at the lane that has records open, by turns if both have. */
static size_t serve(bt_producer *producer, int timeout_ms)
{
    lane *direct = &producer->lanes[LANE_DIRECT], *gathering = &producer->lanes[LANE_GATHERING];
    size_t told = serve_lane(producer, direct, 0) + serve_lane(producer, gathering, 0);
    int64_t end_ms = bt_kafka_now_ms() + timeout_ms;
    for (int64_t left = timeout_ms; told == 0 && left > 0 && !producer->fatal; left = end_ms - bt_kafka_now_ms()) {
        bool both = direct->open > 0 && gathering->open > 0;
        told += serve_lane(producer, gathering->open > 0 ? gathering : direct, both ? 1 : (int)left);
        told += both ? serve_lane(producer, direct, 1) : 0;
    }
    return told;
}

static size_t tell_all_unknown(bt_producer *producer)
{
    bt_report reports[REPORTS_A_CALL];
    size_t count = 0, told = 0;
    for (uint32_t number = 0; number < BT_PRODUCER_OPEN_MAX; number++) {
        if (!producer->slots[number].open)
            continue;
        reports[count] = report_take(producer, number);
        reports[count].error = RD_KAFKA_RESP_ERR__FATAL;
        reports[count++].kind = BT_ERR_UNKNOWN;
        if (count == BT_COUNT_OF(reports)) {
            tell(producer, reports, count);
            told += count;
            count = 0;
        }
    }
    tell(producer, reports, count);
    return told + count;
}

/* Reports come before the new client: none of the open records may be sent by both without the owner's knowing. */
static size_t replace(bt_producer *producer)
{
    size_t told = 0;
    if (is_open(producer)) {
        lanes_abandon(producer);
        atomic_fetch_add(&producer->recreated, 1);
        told = tell_all_unknown(producer);
    }
    int64_t now_ms = bt_kafka_now_ms();
    if (producer->recreated_at_ms != 0 && now_ms - producer->recreated_at_ms < RECREATE_EVERY_MS)
        return told;
    producer->recreated_at_ms = now_ms;
    if (atomic_load(producer->abandoned) <= ABANDONED_MAX && lanes_open(producer, NULL))
        atomic_fetch_add(&producer->incarnation, 1);
    return told;
}

size_t bt_producer_poll(bt_producer *producer, int timeout_ms)
{
    size_t told = tell_refused(producer);
    if (is_open(producer))
        told += serve(producer, told > 0 ? 0 : timeout_ms);
    if (!is_open(producer) || producer->fatal)
        told += replace(producer);
    return told;
}

void bt_producer_free(bt_producer *producer, int limit_ms)
{
    if (producer == NULL)
        return;
    if (is_open(producer)) {
        int64_t end_ms = bt_kafka_now_ms() + limit_ms;
        while (atomic_load(&producer->open) > 0 && !producer->fatal && bt_kafka_now_ms() < end_ms)
            bt_producer_poll(producer, 10);
    }
    tell_refused(producer);
    if (is_open(producer)) {
        lanes_abandon(producer);
        tell_all_unknown(producer);
    }
    /* A short wait, so that an orderly end leaves no thread behind; a handle that hangs is left to the process's end. */
    int64_t end_ms = bt_kafka_now_ms() + DRAIN_AFTER_MS;
    while (atomic_load(producer->abandoned) > 0 && bt_kafka_now_ms() < end_ms)
        usleep(5000);
    if (atomic_load(producer->abandoned) == 0)
        bt_release(producer->abandoned);
    rd_kafka_conf_destroy(producer->conf);
    bt_release(producer->ways);
    bt_release(producer->slots);
    bt_release(producer->free_slots);
    bt_release(producer->refused);
    bt_release(producer);
}

void bt_producer_stats_of(const bt_producer *producer, bt_producer_stats *ret_stats)
{
    *ret_stats = (bt_producer_stats){
        .appended = atomic_load(&producer->appended),
        .reported_ok = atomic_load(&producer->reported_ok),
        .reported_error = atomic_load(&producer->reported_error),
        .offset_unknown = atomic_load(&producer->offset_unknown),
        .recreated = atomic_load(&producer->recreated),
        .abandoned = atomic_load(producer->abandoned),
        .broker_errors = atomic_load(&producer->broker_errors),
        .open = atomic_load(&producer->open),
        .incarnation = atomic_load(&producer->incarnation),
    };
}
