"""topics - a topic's records from the start, as raw bytes: read_uncommitted, up to the high watermark, all partitions.

A dump of them can be kept (run/topics) and read again, so that a run can be checked after its brokers are gone."""
import json
import pathlib
import time

from .rule import Record

END_S, READ_S = 60, 300


class Incomplete(Exception):
    """The topic could not be read to its end in time."""


def read(bootstrap, topic):
    """partition -> [Record]"""
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "berth-checker", "enable.auto.commit": False, "isolation.level": "read_uncommitted",
                         "auto.offset.reset": "error", "fetch.message.max.bytes": 4 << 20, "enable.partition.eof": False})  # fmt: skip
    try:
        until = time.monotonic() + END_S
        while True:
            try:
                found = consumer.list_topics(topic, timeout=10).topics[topic]
                if found.error is None and found.partitions:
                    ends = {partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1] for partition in found.partitions}
                    break
            except KafkaException:
                pass
            if time.monotonic() > until:
                raise Incomplete(f"the ends of {topic} are not to be had at {bootstrap}")
            time.sleep(0.5)
        return {partition: read_partition(consumer, TopicPartition(topic, partition, 0), end) for partition, end in sorted(ends.items())}
    finally:
        consumer.close()


def read_partition(consumer, place, end):
    records, until = [], time.monotonic() + READ_S
    if end <= 0:
        return records
    consumer.assign([place])
    while not records or records[-1].offset + 1 < end:
        for message in consumer.consume(5000, timeout=1):
            if message.error() is None and message.offset() < end:
                records.append(Record(message.offset(), message.key(), message.value()))
        if time.monotonic() > until:
            raise Incomplete(f"{place.topic}-{place.partition} was read to {len(records)} of {end} in {READ_S} s")
    consumer.unassign()
    return records


def dump(logs, folder, topic):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for partition, records in logs.items():
        with open(folder / f"{topic}-{partition}.jsonl", "w", encoding="ascii") as file:
            for record in records:
                file.write(json.dumps([record.offset, hexed(record.key), hexed(record.value)]) + "\n")


def load(folder, topic):
    logs = {}
    for path in sorted(pathlib.Path(folder).glob(f"{topic}-*.jsonl")):
        rows = [json.loads(line) for line in open(path, encoding="ascii")]
        logs[int(path.stem.rpartition("-")[2])] = [Record(offset, unhexed(key), unhexed(value)) for offset, key, value in rows]
    return logs


def hexed(value):
    return None if value is None else value.hex()


def unhexed(text):
    return None if text is None else bytes.fromhex(text)
