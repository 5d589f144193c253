#!/usr/bin/env python3
"""Bookings by day and load by segment, from the topic itself: no access to Berth's databases.
usage: bookings.py BOOTSTRAP REGISTRY_URL [TOPIC]        pip install "confluent-kafka[avro,schemaregistry]" """
import collections, hashlib, json, sys
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

bootstrap, registry, topic = (sys.argv[1:] + ["berth.trip"])[:3]
schemas, names = SchemaRegistryClient({"url": registry}), {}
deserialize = AvroDeserializer(schemas)
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bookings-by-day", "enable.auto.commit": False,
                     "isolation.level": "read_uncommitted", "auto.offset.reset": "error"})

def event_name(value):
    """The record's name is in the schema behind the id in bytes 1 to 4; the deserializer gives the fields alone."""
    schema_id = int.from_bytes(value[1:5], "big")
    if schema_id not in names:
        names[schema_id] = json.loads(schemas.get_schema(schema_id).schema_str)["name"]
    return names[schema_id]

def valid_events(topic):
    """Every record that counts: its parent is the id of the valid record before it in its partition. All else is void."""
    for partition in consumer.list_topics(topic, 10).topics[topic].partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)
        consumer.assign([TopicPartition(topic, partition, 0)])
        head, offset = bytes(16), 0
        while offset < end:
            message = consumer.poll(10)
            if message is None or message.error() or message.offset() != offset:  # a jump: a record was missed
                sys.exit(f"partition {partition} stopped at {offset}: {message and (message.error() or message.offset())}")
            offset += 1
            key, value = message.key(), message.value()
            if key is None or value is None or len(value) < 21 or value[0] != 0 or value[5:21] != head:
                continue
            head = hashlib.sha256(len(key).to_bytes(4, "big") + key + value).digest()[:16]
            if key != b"@log":
                yield key.decode(), event_name(value), deserialize(value, SerializationContext(topic, MessageField.VALUE))

by_day, load = collections.Counter(), collections.Counter()
for trip, name, event in valid_events(topic):
    places, stretch = len(event.get("places", [])), range(event.get("from", 0), event.get("to", 0))
    if name == "HoldConfirmed":
        by_day[event["meta"]["time"].date()] += places
        load.update({(trip, segment): places for segment in stretch})
    elif name == "BookingCancelled":
        load.subtract({(trip, segment): places for segment in stretch})
    elif name == "BookingChanged":
        old, count = range(event["old_from"], event["old_to"]), len(event["old_places"])
        load.subtract({(trip, segment): count for segment in old})
        load.update({(trip, segment): places for segment in stretch})
    elif name == "TripCancelled":
        load = collections.Counter({key: places for key, places in load.items() if key[0] != trip})
for day, places in sorted(by_day.items()):
    print(f"booked\t{day}\t{places}")
for (trip, segment), places in sorted((+load).items()):
    print(f"load\t{trip}\t{segment}\t{places}")
