"""The schema registry: confluent-kafka's stock deserializer reads the topic with the query API's address and nothing else."""
import json
import uuid

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from query_trips import held, opened, seat


@pytest.fixture
def registry(stack):
    return SchemaRegistryClient({"url": stack.query})


def test_a_stock_deserializer_reads_every_record_of_a_trip(stack, api, registry, kafka):
    trip = opened(api)
    hold = held(api, trip, "A", "B", customer="c-9", **seat("1", "1B"))
    partition, _, rest = api.position.removeprefix("trip/").partition("@")
    end = int(rest.partition("-")[0])
    deserialize = AvroDeserializer(registry)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    consumer.assign([TopicPartition("berth.trip", int(partition), 0)])
    known = {registry.get_latest_version(subject).schema_id for subject in registry.get_subjects()}
    events, schema_ids = [], set()
    try:
        while True:
            message = consumer.poll(10)
            assert message is not None and message.error() is None
            value = message.value() or b""
            if value[:1] == b"\0" and int.from_bytes(value[1:5], "big") in known:  # other tests put garbage into the topic
                event = deserialize(value, SerializationContext("berth.trip", MessageField.VALUE))
                schema_ids.add(int.from_bytes(value[1:5], "big"))
                if message.key() == trip.encode():
                    events.append(event)
            if message.offset() >= end:
                break
    finally:
        consumer.close()
    assert len(schema_ids) >= 3 and [event["meta"]["version"] for event in events] == [1, 2]
    assert events[0]["timezone"] == "Australia/Brisbane" and [section["name"] for section in events[0]["sections"]] == ["1", "Deck"]
    assert events[1]["customer"] == "c-9" and events[1]["hold"].hex() == hold["hold"]


def test_the_client_finds_subjects_versions_and_the_rule(registry):
    subject = "berth.trip-berth.trip.SeatsHeld"
    assert subject in registry.get_subjects()
    assert registry.get_versions(subject) == [1]
    latest = registry.get_latest_version(subject)
    assert (latest.subject, latest.version) == (subject, 1)
    assert registry.get_version(subject, 1).schema_id == latest.schema_id
    assert registry.get_schema(latest.schema_id).schema_str == latest.schema.schema_str
    assert json.loads(latest.schema.schema_str)["name"] == "SeatsHeld"
    assert registry.get_compatibility() == "FULL_TRANSITIVE"


def test_an_id_leads_back_to_its_subject_and_version(registry, query):
    for subject in registry.get_subjects():
        for version in registry.get_versions(subject):
            schema_id = registry.get_version(subject, version).schema_id
            assert query.get(f"/schemas/ids/{schema_id}/subjects").json() == [subject]
            assert query.get(f"/schemas/ids/{schema_id}/versions").json() == [{"subject": subject, "version": version}]


def test_what_it_does_not_know_is_told_as_confluent_tells_it(query, registry):
    for path, status, code in (
        ("/schemas/ids/999999", 404, 40403), ("/schemas/ids/x", 404, 40403), ("/schemas/ids/999999/subjects", 404, 40403), ("/schemas/ids/999999/versions", 404, 40403), ("/subjects/nothing/versions", 404, 40401), ("/subjects/nothing/versions/1", 404, 40401),
        ("/subjects/berth.trip-berth.trip.SeatsHeld/versions/99", 404, 40402), ("/subjects/berth.trip-berth.trip.SeatsHeld/versions/x", 422, 42202),
    ):  # fmt: skip
        answer = query.get(path)
        assert (answer.status_code, answer.json()["error_code"]) == (status, code), path
        assert answer.headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"
    with pytest.raises(SchemaRegistryError):
        registry.get_schema(999999)


def test_nothing_can_be_registered(query):
    answer = query.session.post(query.url + "/subjects/x/versions", json={"schema": '"string"'}, timeout=90)
    assert answer.status_code == 405 and "GET" in answer.headers["Allow"]


def test_an_id_may_be_kept_for_good(query):
    assert "immutable" in query.get("/schemas/ids/1").headers["Cache-Control"]
