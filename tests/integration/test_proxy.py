"""Each fault of the Kafka-frame proxy (tests/faults/proxy) on a real broker: it is seen to take effect, and what a broker and a log make of it.

The broker is one of this file's own, on the stack's jars: it must advertise the proxy's port, and the stack's own does not.
"""
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from conftest import PATIENCE_S, TOP, Api, wait_until
from server_process import preset_of
from test_commands import hold, trip_body

sys.path.insert(0, str(TOP / "tests/faults/proxy"))
from control import FAULTS, Proxy  # noqa: E402

CLIENT, DIRECT, CONTROLLER, FRONT, CONTROL, HTTP, ADMIN = range(22, 29)  # places in the stack's forty ports that nothing else has
QUICK = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "linger.ms": 0, "log_level": 2}


class Place:
    """A broker, the proxy before it, and the way past it."""

    def __init__(self, stack):
        base = int(stack.commands.rpartition(":")[2]) - 1
        self.stack, self.folder = stack, stack.state / "behind-proxy"
        self.bin = TOP / "build" / preset_of(stack) / "bin"
        self.at = lambda place: f"127.0.0.1:{base + place}"
        self.direct, self.front = self.at(DIRECT), self.at(FRONT)
        self.proxy, self.process = None, None

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        text = (TOP / "infra/kafka/server.properties").read_text()
        for name, value in (("PORT_CONTROLLER", self.at(CONTROLLER).partition(":")[2]), ("PORT", self.at(CLIENT).partition(":")[2]), ("DATA", str(self.folder / "data"))):
            text = text.replace(f"@{name}@", value)
        text += f"""
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=DIRECT
listeners=PLAINTEXT://{self.at(CLIENT)},DIRECT://{self.direct},CONTROLLER://{self.at(CONTROLLER)}
advertised.listeners=PLAINTEXT://{self.front},DIRECT://{self.direct}
"""
        settings = self.folder / "server.properties"
        settings.write_text(text)
        java = ["java", "-Xms128m", "-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={TOP}/infra/kafka/log4j2.properties", "-cp", f"{self.stack.state}/kafka/jars/*"]
        subprocess.run([*java, "kafka.tools.StorageTool", "format", "--cluster-id", "behind-the-proxy-00000", "--config", settings], check=True, capture_output=True, timeout=300)
        self.log = open(self.stack.state / "logs" / "behind-proxy-kafka.log", "wb")
        self.process = subprocess.Popen([*java, "kafka.Kafka", settings], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.proxy = Proxy(self.bin / "kafka_proxy", {"broker1": (self.front, self.at(CLIENT))}, self.at(CONTROL), seed=5)
        wait_until(self.is_ready, 300, "the broker behind the proxy is ready")

    def is_ready(self):
        assert self.process.poll() is None, "the broker behind the proxy ended: logs/behind-proxy-kafka.log"
        return "Kafka Server started" in open(self.log.name, errors="replace").read()

    def stop(self):
        """What the proxy ended with: ASan's verdict on it."""
        ended = 0
        if self.proxy:
            self.proxy.close()
            ended = self.proxy.process.returncode
        if self.process:
            self.process.kill()
            self.process.wait()
            self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return ended

    def topic(self, partitions=1):
        name = f"t-{uuid.uuid4().hex[:8]}"
        admin = AdminClient({"bootstrap.servers": self.direct})
        admin.create_topics([NewTopic(name, partitions, 1)], request_timeout=PATIENCE_S)[name].result(PATIENCE_S)
        return name

    def values(self, topic):
        """All records of partition 0, read past the proxy."""
        consumer = Consumer({"bootstrap.servers": self.direct, "group.id": "reader", "enable.auto.commit": False})
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE_S)
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = []
        while len(found) < end:
            message = consumer.poll(PATIENCE_S)
            assert message is not None and message.error() is None, f"{len(found)} of {end} records of {topic}"
            found.append(message.value().decode())
        consumer.close()
        return found

    def effects(self, fault):
        return self.proxy.counters()["faults"][fault]

    def outcomes(self):
        return self.proxy.counters()["late"]["outcomes"]


@pytest.fixture(scope="module")
def place(running_stack):
    found = Place(running_stack)
    try:
        found.start()
        yield found
    finally:
        ended = found.stop()
    assert ended == 0


@pytest.fixture(autouse=True)
def no_fault_remains(place):
    yield
    place.proxy.clear()


class Sender:
    """A producer behind the proxy; report: value -> None, or the error that it was told."""

    def __init__(self, place, name="node1", idempotent=True, **options):
        self.report = {}
        self.producer = Producer(QUICK | {"bootstrap.servers": place.front, "client.id": name, "enable.idempotence": idempotent, "acks": "all"} | options)

    def warm(self, topic):
        """Connected, and with a producer's id: the faults then meet what the test means."""
        self.send(topic, "warm")
        self.settle()

    def send(self, topic, *values):
        for value in values:
            self.producer.produce(topic, value.encode(), partition=0, on_delivery=lambda error, message: self.report.__setitem__(message.value().decode(), error))
        self.producer.poll(0)

    def settle(self, seconds=PATIENCE_S):
        assert self.producer.flush(seconds) == 0

    def wait_report(self, value, seconds=60):
        def told():
            self.producer.poll(0)
            return value in self.report

        wait_until(told, seconds, f"a report of {value}")
        return self.report[value]


def numbered(count):
    return [f"v{i}" for i in range(count)]


def send_one_by_one(sender, topic, values):
    """Each a request of its own."""
    for value in values:
        sender.send(topic, value)
        assert sender.wait_report(value) is None


# --- what passes ---


def test_without_a_rule_frames_pass_and_a_group_forms_through_the_proxy_alone(place):
    topic, sender = place.topic(), Sender(place)
    send_one_by_one(sender, topic, numbered(20))
    hole = place.proxy.set("black_hole", clients="reader1", apis="JoinGroup")
    consumer = Consumer({"bootstrap.servers": place.front, "client.id": "reader1", "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest", "log_level": 2})
    found = []

    def poll():
        message = consumer.poll(0.1)
        found.extend([message.value().decode()] if message is not None and message.error() is None else [])
        return found

    consumer.subscribe([topic])
    wait_until(lambda: poll() or place.effects("black_hole"), 60, "the coordinator is asked through the proxy")
    assert not found
    place.proxy.clear(hole)
    wait_until(lambda: len(poll()) == 20, 60, "the group reads")
    consumer.close()
    assert found == numbered(20) == place.values(topic)


@pytest.mark.parametrize("order, word", [
    ({"fault": "flood"}, "flood"), ({"fault": "delay", "then": "close"}, "then"), ({"fault": "black_hole", "probability": 0.5}, "probability"),
    ({"fault": "delay", "probability": 0}, "probability"), ({"fault": "delay", "ms": -1}, "ms"), ({"fault": "delay", "apis": ["produce"]}, "produce"),
    ({"fault": "stray", "apis": "Fetch"}, "stray"), ({"fault": "lose_answer", "direction": "to_broker"}, "lose_answer"), ({"fault": "reset", "direction": "up"}, "direction"),
    ({"fault": "delay", "clients": []}, "clients"), ({"fault": "delay", "clients": [3]}, "clients"),
])  # fmt: skip
def test_an_order_that_cannot_be_meant_is_refused_by_the_word_that_is_wrong(place, order, word):
    with pytest.raises(ValueError, match=word):
        place.proxy.ask({"do": "set", **order})
    assert place.proxy.clear() == 0


def test_a_length_that_no_frame_has_ends_the_connection(place):
    before = place.proxy.counters()["bad_frames"]
    host, port = place.front.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(b"\x7f\xff\xff\xff")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert place.proxy.counters()["bad_frames"] == before + 1


# --- one fault each ---


def test_a_duplicate_is_recognised_by_the_broker_and_appended_without_idempotence(place):
    for idempotent, copies in ((True, 1), (False, 2)):
        topic, sender = place.topic(), Sender(place, idempotent=idempotent)
        sender.warm(topic)
        rule, before = place.proxy.set("duplicate", clients="node1", apis="Produce"), place.effects("duplicate")
        send_one_by_one(sender, topic, numbered(10))
        wait_until(lambda: place.effects("duplicate") == before + 10, 30, "the broker has answered the duplicates")
        place.proxy.clear(rule)
        assert place.values(topic) == ["warm"] + [value for value in numbered(10) for _ in range(copies)]


def test_an_answer_that_comes_twice_does_no_harm(place):
    topic, sender = place.topic(), Sender(place)
    sender.warm(topic)
    before = place.effects("duplicate")
    place.proxy.set("duplicate", clients="node1", direction="to_client", apis="Produce")
    send_one_by_one(sender, topic, numbered(5))
    assert place.effects("duplicate") == before + 5
    assert place.values(topic) == ["warm"] + numbered(5)


def test_a_lost_acknowledgement_makes_the_client_send_again(place):
    for idempotent, copies in ((True, 1), (False, 2)):
        # It must be the reset that the client acts on: its own time-outs are beyond the test's.
        topic, sender = place.topic(), Sender(place, idempotent=idempotent, **{"request.timeout.ms": 300000, "socket.timeout.ms": 300000})
        sender.warm(topic)
        before = place.effects("lose_answer")
        place.proxy.set("lose_answer", clients="node1", apis="Produce", limit=1, then="close")
        send_one_by_one(sender, topic, ["a", "b"])
        assert place.effects("lose_answer") == before + 1
        assert place.values(topic) == ["warm"] + ["a"] * copies + ["b"]


def test_a_client_that_is_left_hanging_sends_again_after_its_own_time(place):
    topic, sender = place.topic(), Sender(place, **{"request.timeout.ms": 1000, "socket.timeout.ms": 1000})
    sender.warm(topic)
    place.proxy.set("lose_answer", clients="node1", apis="Produce", limit=1, then="hang")
    began = time.monotonic()
    send_one_by_one(sender, topic, ["a"])
    assert time.monotonic() - began > 0.9
    assert place.values(topic) == ["warm", "a"]


@pytest.mark.parametrize("direction", ["to_broker", "to_client"])
def test_a_reset_in_the_middle_of_a_frame_loses_and_doubles_nothing(place, direction):
    topic, sender = place.topic(), Sender(place)
    sender.warm(topic)
    before = place.effects("reset")
    place.proxy.set("reset", clients="node1", apis="Produce", direction=direction, limit=2)
    send_one_by_one(sender, topic, numbered(5))
    assert place.effects("reset") == before + 2
    assert place.values(topic) == ["warm"] + numbered(5)


def test_frames_in_slices_of_a_byte_are_whole_to_both_sides(place):
    topic, sender = place.topic(), Sender(place)
    before = place.effects("slice")
    place.proxy.set("slice", clients="node1", gap_us=20)
    sender.warm(topic)
    send_one_by_one(sender, topic, numbered(5))
    assert place.effects("slice") >= before + 12  # six requests and their answers
    assert place.values(topic) == ["warm"] + numbered(5)


def test_a_delay_delays_and_keeps_the_order(place):
    topic, sender = place.topic(), Sender(place, **{"max.in.flight": 5})
    sender.warm(topic)
    before = place.effects("delay")
    place.proxy.set("delay", clients="node1", apis="Produce", direction="to_broker", ms=300, jitter_ms=300)
    began = time.monotonic()
    sender.send(topic, *numbered(20))
    sender.settle()
    assert time.monotonic() - began > 0.3
    assert place.effects("delay") > before
    assert place.values(topic) == ["warm"] + numbered(20)


def test_a_throttle_lets_through_what_it_says(place):
    topic, sender = place.topic(), Sender(place, **{"compression.type": "none"})
    sender.warm(topic)
    place.proxy.set("throttle", clients="node1", apis="Produce", direction="to_broker", bytes_per_s=40000)
    began = time.monotonic()
    send_one_by_one(sender, topic, ["x" * 40000])
    assert time.monotonic() - began > 0.8
    assert place.effects("throttle") > 0


@pytest.mark.parametrize("then", ["deliver", "drop"])
@pytest.mark.parametrize("direction", ["to_broker", "to_client", "both"])
def test_a_black_hole_swallows_for_its_time_and_what_it_held_arrives_or_dies(place, direction, then):
    topic, sender = place.topic(), Sender(place, idempotent=False)
    sender.warm(topic)
    before = place.effects("black_hole")
    hole = place.proxy.set("black_hole", clients="node1", direction=direction, then=then)
    sender.send(topic, "a")
    wait_until(lambda: place.effects("black_hole") > before, 30, "a frame falls into it")
    time.sleep(0.2)
    sender.producer.poll(0)
    assert "a" not in sender.report
    place.proxy.clear(hole)
    assert sender.wait_report("a") is None
    died_answered = (direction, then) == ("to_client", "drop")
    assert place.values(topic) == ["warm", "a"] + ["a"] * died_answered


def test_a_black_hole_of_one_client_is_no_matter_to_another(place):
    topic, sender, other = place.topic(), Sender(place), Sender(place, "node2")
    sender.warm(topic)
    place.proxy.set("black_hole", clients="node1", brokers="broker1")
    sender.send(topic, "a")
    send_one_by_one(other, topic, ["b"])
    assert "a" not in sender.report
    place.proxy.clear()
    assert sender.wait_report("a") is None
    assert place.values(topic) == ["warm", "b", "a"]


def test_a_request_is_overtaken_by_another_connections(place):
    topic, slow, fast = place.topic(), Sender(place), Sender(place, "node2")
    slow.warm(topic)
    fast.warm(topic)
    before = place.effects("reorder")
    place.proxy.set("reorder", apis="Produce", limit=1, ms=30000)
    slow.send(topic, "first")
    wait_until(lambda: place.proxy.counters()["to_be_overtaken"] == 1, 30, "the first request waits in the proxy")
    send_one_by_one(fast, topic, ["second"])
    assert slow.wait_report("first") is None
    assert place.effects("reorder") == before + 1
    assert place.values(topic)[2:] == ["second", "first"]


def test_reset_by_order_ends_the_connections_of_a_client(place):
    topic, sender, other = place.topic(), Sender(place), Sender(place, "node2")
    sender.warm(topic)
    other.warm(topic)
    assert place.proxy.reset(clients="node1") >= 1
    send_one_by_one(sender, topic, ["a"])
    assert place.values(topic) == ["warm", "warm", "a"]


# --- appends that come late ---


def test_a_stray_of_a_living_producer_is_recognised(place):
    topic, sender = place.topic(), Sender(place)
    sender.warm(topic)
    place.proxy.set("stray", clients="node1", limit=1, ms=-1, then="close")
    send_one_by_one(sender, topic, ["a"])  # sent again, on a new connection
    seen = len(place.outcomes())
    assert place.proxy.release() == 1
    wait_until(lambda: len(place.outcomes()) > seen, 30, "the broker answers the stray")
    assert place.outcomes()[-1] | {"topic": "t"} == {"fault": "stray", "client": "node1", "broker": "broker1", "topic": "t", "partition": 0, "error": 0, "base_offset": 1}
    assert place.values(topic) == ["warm", "a"]


def test_a_stray_of_a_producer_that_gave_up_lands_after_its_successor(place):
    # It gives up after a time within which a slow machine gets it warm.
    topic, old, new = place.topic(), Sender(place, **{"message.timeout.ms": 10000}), Sender(place, "node1")
    old.warm(topic)
    rule = place.proxy.set("stray", clients="node1", ms=-1, then="close")
    old.send(topic, "late")
    assert old.wait_report("late") is not None  # it was told that nothing is known of it
    place.proxy.clear(rule)
    send_one_by_one(new, topic, ["new"])
    seen = len(place.outcomes())
    released = place.proxy.release()
    assert released >= 1
    wait_until(lambda: len(place.outcomes()) == seen + released, 30, "the broker answers the strays")
    assert place.values(topic) == ["warm", "new", "late"]


def test_a_replay_is_recognised_unless_it_is_anonymous(place):
    for anonymous, copies in ((False, 1), (True, 2)):
        topic, sender = place.topic(), Sender(place)
        sender.warm(topic)
        place.proxy.set("replay", clients="node1", limit=1, ms=-1, anonymous=anonymous)
        send_one_by_one(sender, topic, ["a"])
        seen, before = len(place.outcomes()), place.effects("replay")
        assert place.proxy.release() == 1
        wait_until(lambda: len(place.outcomes()) > seen, 30, "the broker answers the replay")
        assert place.effects("replay") == before + 1
        assert place.values(topic) == ["warm"] + ["a"] * copies


def test_a_produce_without_its_producers_name_is_appended_and_missing_in_the_sequence(place):
    topic, sender = place.topic(), Sender(place)
    sender.warm(topic)
    before = place.effects("nameless")
    place.proxy.set("nameless", clients="node1", limit=1)
    send_one_by_one(sender, topic, ["a"])
    sender.send(topic, "b")
    try:
        fate = str(sender.wait_report("b"))
    except KafkaException as fatal:
        fate = str(fatal)
    assert "OUT_OF_ORDER_SEQUENCE" in fate or "FATAL" in fate, f"the broker waits for a's number, and this producer has used it: {fate}"
    assert place.effects("nameless") == before + 1
    assert place.values(topic) == ["warm", "a"]


# --- Berth's own log ---


@contextlib.contextmanager
def berth_node(place):
    """A berth-commands that knows Kafka through the proxy only."""
    kafka = [f"--kafka.bootstrap.servers={place.front}", "--kafka.client.id=node1"]
    subprocess.run([place.bin / "berth", "topics", "create", "--partitions=1", "--replication=1", f"--kafka.bootstrap.servers={place.direct}"], check=True, capture_output=True, timeout=2 * PATIENCE_S)
    with open(place.stack.state / "logs" / "behind-proxy-commands.log", "wb") as log:
        node = subprocess.Popen([place.bin / "berth-commands", f"--http.listen={place.at(HTTP)}", f"--admin.listen={place.at(ADMIN)}", *kafka], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield Api(f"http://{place.at(HTTP)}")
        node.terminate()
        assert node.wait(2 * PATIENCE_S) == 0
    finally:
        if node.poll() is None:
            node.kill()
            node.wait()


def verified(place):
    """How many records of Berth's log are void; the log itself must be good. Read past the proxy."""
    done = subprocess.run([place.bin / "berth", "log", "verify", "--json=true", f"--kafka.bootstrap.servers={place.direct}"], capture_output=True, text=True, timeout=2 * PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["good"], found
    return sum(partition["void_parent"] + partition["void_malformed"] for partition in found["partitions"])


def accepted(api, ask):
    """The first answer that is a decision: a node that has just started, or lost its broker, says 503 for a while."""
    def decided():
        try:
            answer = ask()
        except OSError:
            return None
        return answer if answer.status_code < 500 else None

    answer = wait_until(decided, 60, "the node decides")
    assert answer.status_code == 201, answer.text
    return answer


def test_a_replay_into_berths_log_is_void_and_sells_nothing(place):
    with berth_node(place) as api:
        trip = accepted(api, lambda: api.post("/v1/trips", trip_body())).json()["trip"]
        accepted(api, lambda: hold(api, trip))
        for anonymous in (False, True):
            rule = place.proxy.set("replay", clients="node1", ms=-1, limit=1, anonymous=anonymous)
            accepted(api, lambda: hold(api, trip))
            accepted(api, lambda: hold(api, trip))
            place.proxy.clear(rule)
            seen, void = len(place.outcomes()), verified(place)
            assert place.proxy.release() == 1
            wait_until(lambda: len(place.outcomes()) > seen, 30, "the broker answers the replay")
            assert (verified(place) > void) is anonymous
        accepted(api, lambda: hold(api, trip))
        assert hold(api, trip, count=1).status_code == 409  # six seats, and six holds
        verified(place)


def test_every_fault_was_seen_to_take_effect(place):
    """Last in the file: what the tests above have made."""
    assert {fault for fault in FAULTS if not place.effects(fault)} == set()
