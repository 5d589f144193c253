/* event_headers - what a record says of itself to those who do not read Avro: the CloudEvents attributes in the binary mode of the Kafka
 * binding (https://github.com/cloudevents/spec, kafka-protocol-binding), and the traceparent of the request that it came from.
 *
 *   content-type    application/vnd.confluent.avro   five bytes of prefix, then Avro: not plain application/avro
 *   ce_specversion  1.0
 *   ce_id           the record's id, 32 hex digits
 *   ce_source       /berth.trip/3                    topic and partition
 *   ce_type         berth.trip.SeatsHeld
 *   ce_time         meta.time, RFC 3339
 *   ce_subject      the key: the stream
 *   traceparent     W3C trace context, if the request had one
 *
 * They are for others: no reader of ours looks at them, no void record is known by them, and they are not part of the record's id. Off
 * unless events.headers=cloudevents, for what they cost: docs/decisions/0009. */
#ifndef BERTH_COMMANDS_SERVER_EVENT_HEADERS_H
#define BERTH_COMMANDS_SERVER_EVENT_HEADERS_H

#include "core/memory.h"
#include "io/kafka/producer.h"

/* Sets append's headers, in the arena. append's key, value, partition and time_us are filled in; topic lives as long as the arena. */
void bt_event_headers_add(bt_append *append, bt_str topic, bt_str traceparent, bt_arena *arena);

#endif
