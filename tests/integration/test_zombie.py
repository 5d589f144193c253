"""Another owner of the same partition, by its own valid records: this node yields, tells no lie, and takes over again."""
import hashlib
import io
import json
import time

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

from conftest import TOP, wait_until
from test_commands import code, hold, trip_body


def fold(stack, partition):
    """(next offset, height, head, valid records of the log itself) of a partition, by the rule."""
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": "zombie-test", "enable.auto.commit": False, "auto.offset.reset": "error"})
    _, end = consumer.get_watermark_offsets(TopicPartition("berth.trip", partition), 60)
    consumer.assign([TopicPartition("berth.trip", partition, 0)])
    height, head, of_log = 0, bytes(16), 0
    for offset in range(end):
        message = consumer.poll(60)
        assert message is not None and message.offset() == offset
        key, value = message.key(), message.value()
        if key is not None and value is not None and len(value) >= 21 and value[0] == 0 and value[5:21] == head:
            height += 1
            of_log += key == b"@log"
            head = hashlib.sha256(len(key).to_bytes(4, "big") + key + value).digest()[:16]
    consumer.close()
    return end, height, head, of_log


def take_over(stack, partition):
    """Appends an OwnerTookOver of a node that does not exist, valid if nothing came between."""
    offset, height, head, of_log = fold(stack, partition)
    schema = json.loads((TOP / "schemas/log/events/OwnerTookOver.avsc").read_text())
    rows = [line.split("\t") for line in (TOP / "schemas/ids.tsv").read_text().splitlines()]
    schema_id = next(int(row[0]) for row in rows if len(row) > 1 and row[1].endswith("berth.log.OwnerTookOver"))
    meta = {"parent": head, "version": of_log + 1, "time": int(time.time() * 1e6), "command": bytes(16), "body": bytes(16), "actor": "zombie"}
    text = io.BytesIO()
    fastavro.schemaless_writer(text, fastavro.parse_schema(schema), {"meta": meta, "node": "zombie", "address": "127.0.0.1:1", "schemas": bytes(16), "nonce": b"n" * 16,
                                                                     "proved_offset": offset, "proved_height": height, "proved_head": head})
    producer = Producer({"bootstrap.servers": stack.kafka, "acks": "all"})
    producer.produce("berth.trip", key=b"@log", value=b"\x00" + schema_id.to_bytes(4, "big") + text.getvalue(), partition=partition)
    assert producer.flush(60) == 0
    return fold(stack, partition)[1] == height + 1


def test_a_node_that_another_took_over_from_yields_and_takes_over_again(stack, commands):
    opened = commands.post("/v1/trips", trip_body())
    trip = opened.json()["trip"]
    assert hold(commands, trip, count=5).status_code == 201
    partition = int(opened.headers["Berth-Position"].split("/")[1].split("@")[0])
    assert wait_until(lambda: take_over(stack, partition), 20, "a foreign OwnerTookOver is valid")
    wait_until(lambda: "owner.yielded" in stack.log("commands"), 10, "the node yields")
    answer = hold(commands, trip, count=2)
    assert answer.status_code in (409, 503), answer.text  # 409 only if it owns again by now
    wait_until(lambda: hold(commands, trip, count=2).status_code == 409, 20, "it decides again")
    assert code(hold(commands, trip, count=2)) == (409, "sold-out")
    assert hold(commands, trip, count=1).status_code == 201
