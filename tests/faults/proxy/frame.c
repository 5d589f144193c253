/* frame - see the header. Layouts: Kafka's protocol guide, Produce (key 0) and record batches of magic 2. */
#include "tests/faults/proxy/frame.h"

#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define ROOM_LEAST 65536
#define PRODUCE_VERSION_MIN 3
#define PRODUCE_VERSION_MAX 12
#define PRODUCE_VERSION_FLEXIBLE 9

/* --- splitting --- */

void frames_release(frames *buffer)
{
    bt_release(buffer->at);
    *buffer = (frames){ 0 };
}

uint8_t *frames_room(frames *buffer, size_t least, size_t *ret_room)
{
    if (least < ROOM_LEAST)
        least = ROOM_LEAST;
    if (buffer->begin > 0) {
        memmove(buffer->at, buffer->at + buffer->begin, buffer->end - buffer->begin);
        buffer->end -= buffer->begin;
        buffer->begin = 0;
    }
    if (buffer->capacity - buffer->end < least) {
        buffer->capacity = buffer->capacity * 2 > buffer->end + least ? buffer->capacity * 2 : buffer->end + least;
        buffer->at = bt_resize(buffer->at, buffer->capacity);
    }
    *ret_room = buffer->capacity - buffer->end;
    return buffer->at + buffer->end;
}

void frames_filled(frames *buffer, size_t size)
{
    bt_assert(size <= buffer->capacity - buffer->end);
    buffer->end += size;
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

frame_found frames_next(frames *buffer, bt_bytes *ret_frame)
{
    size_t size = buffer->end - buffer->begin;
    if (size < FRAME_LENGTH_SIZE)
        return FRAME_NONE;
    uint32_t length = get_u32(buffer->at + buffer->begin);
    if (length > FRAME_BYTES_MAX)
        return FRAME_OVERSIZED;
    if (size < FRAME_LENGTH_SIZE + length)
        return FRAME_NONE;
    *ret_frame = (bt_bytes){ buffer->at + buffer->begin, FRAME_LENGTH_SIZE + length };
    buffer->begin += FRAME_LENGTH_SIZE + length;
    return FRAME_WHOLE;
}

/* --- names --- */

static const char *const API_NAMES[API_COUNT] = {
    [0] = "Produce", [1] = "Fetch", [2] = "ListOffsets", [3] = "Metadata", [8] = "OffsetCommit", [9] = "OffsetFetch", [10] = "FindCoordinator",
    [11] = "JoinGroup", [12] = "Heartbeat", [13] = "LeaveGroup", [14] = "SyncGroup", [15] = "DescribeGroups", [16] = "ListGroups", [17] = "SaslHandshake",
    [18] = "ApiVersions", [19] = "CreateTopics", [20] = "DeleteTopics", [21] = "DeleteRecords", [22] = "InitProducerId", [23] = "OffsetForLeaderEpoch",
    [24] = "AddPartitionsToTxn", [25] = "AddOffsetsToTxn", [26] = "EndTxn", [28] = "TxnOffsetCommit", [32] = "DescribeConfigs", [33] = "AlterConfigs",
    [36] = "SaslAuthenticate", [37] = "CreatePartitions", [60] = "DescribeCluster",
};

const char *api_name(int api)
{
    static char unnamed[16];
    if (api >= 0 && api < API_COUNT && API_NAMES[api] != NULL)
        return API_NAMES[api];
    snprintf(unnamed, sizeof unnamed, "Api%d", api);
    return unnamed;
}

int api_of(const char *name)
{
    for (int api = 0; api < API_COUNT; api++) {
        if (API_NAMES[api] != NULL && strcmp(API_NAMES[api], name) == 0)
            return api;
    }
    if (strncmp(name, "Api", 3) == 0 && name[3] >= '0' && name[3] <= '9' && strlen(name) <= 6) {
        int api = atoi(name + 3);
        return api < API_COUNT ? api : -1;
    }
    return -1;
}

/* --- reading within bounds: after the first step outside, everything is zero and failed stays true --- */

typedef struct cursor {
    uint8_t *at;
    size_t size, next;
    bool flexible, failed;
} cursor;

static uint64_t take(cursor *c, size_t size)
{
    if (c->failed || size > c->size - c->next) {
        c->failed = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | c->at[c->next + i];
    c->next += size;
    return value;
}

static void skip(cursor *c, uint64_t size)
{
    if (c->failed || size > c->size - c->next)
        c->failed = true;
    else
        c->next += size;
}

static uint32_t take_varint(cursor *c)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
        uint64_t byte = take(c, 1);
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value <= INT32_MAX ? (uint32_t)value : (c->failed = true, 0);
    }
    c->failed = true;
    return 0;
}

/* A length or count: -1 is null. size_size: what it takes where it is not a varint. */
static int64_t take_count(cursor *c, size_t size_size)
{
    if (c->flexible)
        return (int64_t)take_varint(c) - 1;
    uint64_t value = take(c, size_size);
    return size_size == 2 ? (int16_t)value : (int32_t)value;
}

static bt_str take_text(cursor *c)
{
    int64_t size = take_count(c, 2);
    if (size <= 0)
        return (bt_str){ NULL, 0 };
    size_t from = c->next;
    skip(c, (uint64_t)size);
    return c->failed ? (bt_str){ NULL, 0 } : (bt_str){ (const char *)c->at + from, (size_t)size };
}

static void skip_tags(cursor *c)
{
    if (!c->flexible)
        return;
    for (uint32_t left = take_varint(c); left > 0 && !c->failed; left--) {
        take_varint(c);
        skip(c, take_varint(c));
    }
}

bool frame_request_read(bt_bytes frame, frame_request *ret_request)
{
    cursor c = { .at = (uint8_t *)frame.at, .size = frame.size, .next = FRAME_LENGTH_SIZE };
    if (frame.size < FRAME_LENGTH_SIZE)
        return false;
    frame_request found = { .api = (int16_t)take(&c, 2), .version = (int16_t)take(&c, 2), .correlation = (int32_t)take(&c, 4) };
    found.client = take_text(&c);
    if (c.failed || found.api < 0 || found.api >= API_COUNT)
        return false;
    *ret_request = found;
    return true;
}

bool frame_correlation_read(bt_bytes answer, int32_t *ret_correlation)
{
    if (answer.size < FRAME_LENGTH_SIZE + 4)
        return false;
    *ret_correlation = (int32_t)get_u32(answer.at + FRAME_LENGTH_SIZE);
    return true;
}

/* --- Produce --- */

#define BATCH_MAGIC_AT 16
#define BATCH_CRC_AT 17
#define BATCH_ATTRIBUTES_AT 21 /* the CRC covers from here to the end */
#define BATCH_PRODUCER_ID_AT 43
#define BATCH_HEADER_SIZE 61
#define BATCH_IS_TRANSACTIONAL 0x10

typedef struct batch_visitor {
    bool (*visit)(void *context, bt_str topic, int32_t partition, uint8_t *batch, size_t size); /* false ends the walk, as a failure */
    void *context;
    int16_t acks;
} batch_visitor;

static bool walk_partitions(cursor *c, bt_str topic, batch_visitor *visitor)
{
    int64_t count = take_count(c, 4);
    for (int64_t i = 0; i < count && !c->failed; i++) {
        int32_t partition = (int32_t)take(c, 4);
        int64_t size = take_count(c, 4);
        size_t from = c->next;
        skip(c, size < 0 ? 0 : (uint64_t)size);
        skip_tags(c);
        if (c->failed || size < BATCH_HEADER_SIZE || !visitor->visit(visitor->context, topic, partition, c->at + from, (size_t)size))
            return false;
    }
    return !c->failed && count > 0;
}

static bool walk_batches(uint8_t *frame, size_t size, batch_visitor *visitor)
{
    frame_request request;
    if (!frame_request_read((bt_bytes){ frame, size }, &request) || request.api != API_PRODUCE || request.version < PRODUCE_VERSION_MIN ||
        request.version > PRODUCE_VERSION_MAX)
        return false;
    cursor c = { .at = frame, .size = size, .next = FRAME_LENGTH_SIZE + 8 };
    take_text(&c); /* client.id: never compact */
    c.flexible = request.version >= PRODUCE_VERSION_FLEXIBLE;
    skip_tags(&c);
    bt_str transaction = take_text(&c);
    visitor->acks = (int16_t)take(&c, 2);
    skip(&c, 4); /* time-out */
    int64_t count = take_count(&c, 4);
    if (transaction.size > 0 || count <= 0)
        return false;
    for (int64_t i = 0; i < count; i++) {
        bt_str topic = take_text(&c);
        if (!walk_partitions(&c, topic, visitor))
            return false;
        skip_tags(&c);
    }
    skip_tags(&c);
    return !c.failed;
}

static bool note_first(void *context, bt_str topic, int32_t partition, uint8_t *batch, size_t size)
{
    frame_produce *found = context;
    if (found->topic.at != NULL)
        return true;
    cursor c = { .at = batch, .size = size, .next = BATCH_PRODUCER_ID_AT };
    found->topic = topic;
    found->partition = partition;
    found->producer_id = (int64_t)take(&c, 8);
    found->producer_epoch = (int16_t)take(&c, 2);
    found->sequence = (int32_t)take(&c, 4);
    return batch[BATCH_MAGIC_AT] == 2;
}

bool frame_produce_read(bt_bytes frame, frame_produce *ret_produce)
{
    frame_produce found = { 0 };
    batch_visitor visitor = { note_first, &found, 0 };
    if (!walk_batches((uint8_t *)frame.at, frame.size, &visitor)) /* note_first only reads */
        return false;
    found.acks = visitor.acks;
    *ret_produce = found;
    return true;
}

static bool can_be_anonymous(void *context, bt_str topic, int32_t partition, uint8_t *batch, size_t size)
{
    (void)context;
    (void)topic;
    (void)partition;
    return batch[BATCH_MAGIC_AT] == 2 && (batch[BATCH_ATTRIBUTES_AT + 1] & BATCH_IS_TRANSACTIONAL) == 0 && size - 12 == get_u32(batch + 8);
}

static bool make_anonymous(void *context, bt_str topic, int32_t partition, uint8_t *batch, size_t size)
{
    (void)context;
    (void)topic;
    (void)partition;
    memset(batch + BATCH_PRODUCER_ID_AT, 0xff, 8 + 2 + 4); /* -1 each: no producer, no epoch, no sequence */
    uint32_t crc = crc32c((bt_bytes){ batch + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT });
    for (int i = 0; i < 4; i++)
        batch[BATCH_CRC_AT + i] = (uint8_t)(crc >> (24 - 8 * i));
    return true;
}

bool frame_produce_make_anonymous(uint8_t *frame, size_t size)
{
    /* Looked at whole before anything is changed: a request is rewritten altogether or not at all. */
    batch_visitor look = { can_be_anonymous, NULL, 0 }, change = { make_anonymous, NULL, 0 };
    return walk_batches(frame, size, &look) && walk_batches(frame, size, &change);
}

bool frame_produce_answer_read(bt_bytes frame, int16_t version, int16_t *ret_error, int64_t *ret_base_offset)
{
    if (version < PRODUCE_VERSION_MIN || version > PRODUCE_VERSION_MAX || frame.size < FRAME_LENGTH_SIZE + 4)
        return false;
    cursor c = { .at = (uint8_t *)frame.at, .size = frame.size, .next = FRAME_LENGTH_SIZE + 4, .flexible = version >= PRODUCE_VERSION_FLEXIBLE };
    skip_tags(&c);
    int64_t topics = take_count(&c, 4);
    take_text(&c);
    int64_t partitions = take_count(&c, 4);
    skip(&c, 4);
    int16_t error = (int16_t)take(&c, 2);
    int64_t base_offset = (int64_t)take(&c, 8);
    if (c.failed || topics < 1 || partitions < 1)
        return false;
    *ret_error = error;
    *ret_base_offset = base_offset;
    return true;
}

uint32_t crc32c(bt_bytes data)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < data.size; i++) {
        crc ^= data.at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}
