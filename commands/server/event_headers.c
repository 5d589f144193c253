/* event_headers - see the header; all of it follows from the record's own bytes. */
#include "commands/server/event_headers.h"

#include "core/buf.h"
#include "core/digest.h"
#include "core/schema.h"

#define HEADERS_MAX 8

static bt_str type_of(bt_bytes value)
{
    uint32_t schema_id = (uint32_t)value.at[1] << 24 | (uint32_t)value.at[2] << 16 | (uint32_t)value.at[3] << 8 | value.at[4];
    const bt_message_type *type = bt_event_type_by_id(schema_id);
    return type == NULL ? BT_STR("unknown") : bt_str_of(type->record->fullname); /* the newest version's: it is what we write */
}

void bt_event_headers_add(bt_append *append, bt_str topic, bt_str traceparent, bt_arena *arena)
{
    char id[BT_ID_HEX_SIZE], time[BT_TIME_TEXT_MAX];
    bt_id_to_hex(bt_record_id(append->key, append->value), id);
    size_t time_size = bt_time_to_text(append->time_us, time);
    bt_kafka_header *headers = bt_arena_take(arena, HEADERS_MAX * sizeof headers[0]);
    size_t count = 0;
    headers[count++] = (bt_kafka_header){ "content-type", BT_STR("application/vnd.confluent.avro") };
    headers[count++] = (bt_kafka_header){ "ce_specversion", BT_STR("1.0") };
    headers[count++] = (bt_kafka_header){ "ce_id", bt_arena_copy(arena, (bt_str){ id, 32 }) };
    headers[count++] = (bt_kafka_header){ "ce_source", bt_arena_printf(arena, "/" BT_STR_FMT "/%d", BT_STR_ARG(topic), append->partition) };
    headers[count++] = (bt_kafka_header){ "ce_type", type_of(append->value) };
    headers[count++] = (bt_kafka_header){ "ce_time", bt_arena_copy(arena, (bt_str){ time, time_size }) };
    headers[count++] = (bt_kafka_header){ "ce_subject", append->key };
    if (traceparent.size > 0)
        headers[count++] = (bt_kafka_header){ "traceparent", bt_arena_copy(arena, traceparent) };
    bt_assert(count <= HEADERS_MAX);
    append->headers = headers;
    append->header_count = count;
}
