#!/usr/bin/env python3
"""chain_check - the fast-forward rule, written a second time from the design alone, over a partition as it lies on the broker.

    chain_check.py BOOTSTRAP TOPIC PARTITION [ACKS_FILE...]

Each acks file holds ids, 32 hex digits a line, that somebody was told are valid. Checks that offsets are dense, and that every such id is
valid exactly once. Prints counts as JSON; exits 1 on a violation. Shares no code with Berth.
"""
import collections
import hashlib
import json
import sys
import time

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition


def end_of(consumer, place, seconds=60):
    """A broker that has just come back is not at once the leader of what it has."""
    for attempt in range(seconds):
        try:
            _, end = consumer.get_watermark_offsets(place, timeout=30)
            assert end != OFFSET_INVALID
            return end
        except KafkaException:
            if attempt == seconds - 1:
                raise
            time.sleep(1)


def records(bootstrap, topic, partition):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "chain-check", "enable.auto.commit": False, "isolation.level": "read_uncommitted",
                         "auto.offset.reset": "error", "fetch.message.max.bytes": 4 << 20})  # fmt: skip
    place = TopicPartition(topic, partition, 0)
    end = end_of(consumer, place)
    consumer.assign([place])
    at = 0
    while at < end:
        for message in consumer.consume(10000, timeout=1):
            assert message.error() is None, message.error()
            at = message.offset() + 1
            yield message.offset(), message.key(), message.value()
    consumer.close()


def check(bootstrap, topic, partition, ack_files):
    head, expected, problems = bytes(16), 0, []
    valid, void = collections.Counter(), collections.Counter()
    for offset, key, value in records(bootstrap, topic, partition):
        if offset != expected:
            problems.append(f"offset {offset} follows {expected - 1}")
        expected = offset + 1
        if key is None or value is None or len(value) < 21 or value[0] != 0:
            void["malformed"] += 1
        elif value[5:21] != head:
            void["parent"] += 1
        else:
            head = hashlib.sha256(len(key).to_bytes(4, "big") + key + value).digest()[:16]
            valid[head.hex()] += 1
    acked = [line.strip() for name in ack_files for line in open(name)]
    problems += [f"{count} times valid: {record}" for record, count in valid.items() if count != 1]
    problems += [f"acknowledged but not valid: {record}" for record in acked if valid[record] == 0]
    problems += [f"acknowledged {count} times: {record}" for record, count in collections.Counter(acked).items() if count != 1]
    return {"records": expected, "valid": sum(valid.values()), "void": dict(void), "acknowledged": len(acked), "head": head.hex(), "problems": problems}


if __name__ == "__main__":
    found = check(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
    print(json.dumps({**found, "problems": found["problems"][:10], "problem_count": len(found["problems"])}))
    sys.exit(1 if found["problems"] else 0)
