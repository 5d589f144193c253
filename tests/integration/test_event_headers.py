"""events.headers=cloudevents: what a consumer that does not read Avro finds in the headers, as the Kafka binding of CloudEvents says it in binary mode."""
import hashlib
import re
import uuid

from confluent_kafka import Consumer, TopicPartition

from conftest import Api
from server_process import server
from test_commands import hold, trip_body

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NAMES = {"content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject"}


def record_at(stack, position):
    """The record that a Berth-Position names."""
    partition, offset = (int(number) for number in re.fullmatch(r"trip/(\d+)@(\d+)-[0-9a-f]{8}", position).groups())
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": "headers-test", "enable.auto.commit": False, "auto.offset.reset": "error"})
    consumer.assign([TopicPartition("berth.trip", partition, offset)])
    message = consumer.poll(60)
    consumer.close()
    assert message is not None and message.error() is None and message.offset() == offset
    return message


def headers_of(message):
    headers = message.headers() or []
    assert len(dict(headers)) == len(headers), "a header is there twice"
    return {name: value.decode() for name, value in headers}


def test_without_the_setting_there_are_none(stack, commands):
    assert headers_of(record_at(stack, commands.post("/v1/trips", trip_body()).headers["Berth-Position"])) == {}


def test_records_say_what_they_are_and_which_request_they_came_from(stack):
    stack.stop("commands")
    with server(stack, "commands", settings={"events.headers": "cloudevents", "node.name": "with-headers"}) as node:
        node.wait_ready(90)
        client = Api(node.url)
        trip = client.post("/v1/trips", trip_body()).json()["trip"]
        held = hold(client, trip)
        traced = client.post(f"/v1/trips/{trip}/holds/{held.json()['hold']}/confirm", headers={"traceparent": TRACE})
        malformed = client.post(f"/v1/trips/{trip}/close", headers={"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"})
        for answer, event, trace in ((held, "SeatsHeld", None), (traced, "HoldConfirmed", TRACE), (malformed, "SaleClosed", None)):
            message = record_at(stack, answer.headers["Berth-Position"])
            headers = headers_of(message)
            assert set(headers) == NAMES | ({"traceparent"} if trace else set()), headers
            key, value = message.key(), message.value()
            assert headers["ce_id"] == hashlib.sha256(len(key).to_bytes(4, "big") + key + value).hexdigest()[:32]
            assert headers["ce_id"][:8] == answer.headers["Berth-Position"][-8:]
            assert (headers["ce_specversion"], headers["ce_type"], headers["ce_subject"]) == ("1.0", f"berth.trip.{event}", trip)
            assert headers["ce_source"] == f"/berth.trip/{message.partition()}" and headers["content-type"] == "application/vnd.confluent.avro"
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", headers["ce_time"])
            assert headers.get("traceparent") == trace
    stack.start("commands")
    stack.wait_ready("commands")
    key = str(uuid.uuid4())
    assert hold(Api(stack.commands), trip, key=key).status_code == 409, "records with headers are folded like others: the sale is closed"
