"""berth-projections on real parts: whatever is done to it, the rows and values in the end are those of a rebuild from the same log.

Each test has a topic, a database and a Redis database of its own, and starts its own projectors; the probe (tests/integration/projections/probe.c)
feeds logs that are known beforehand and folds them a second time, at once, by COPY into another schema, to compare with.
"""
import concurrent.futures
import itertools
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time

import psycopg2
import pytest
import redis as redis_client
import requests

from conftest import PATIENCE_S, TOP, wait_until

PARTITIONS = 4
TABLES = ("trips", "trip_points", "stops", "holds", "bookings")
MISFITS = {b"bad-zone", b"bad-schema", b"bad\xff\x00id"[:6], b"bad-release"}
numbers = itertools.count(os.getpid() * 100)


def built(path):
    for preset in (os.environ.get("BERTH_PRESET"), os.environ.get("BERTH_TEST_PRESET"), "dev", "release"):
        found = TOP / "build" / (preset or "-") / path
        if found.exists():
            return found
    raise AssertionError(f"{path} is not built")


def free_port():
    """Below the ports that the kernel gives to outgoing connections: one of those is taken again before a server listens there."""
    for port in random.sample(range(20000, 27000), 1000):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


class Projector:
    def __init__(self, world, **settings):
        self.admin = f"http://127.0.0.1:{free_port()}"
        self.log_path = world.folder / f"projector-{next(numbers)}.log"
        options = {
            "kafka.bootstrap.servers": world.stack.kafka,
            "postgres.dsn": world.dsn,
            "redis.url": world.redis_url,
            "topics.prefix": world.prefix,
            "admin.listen": self.admin.removeprefix("http://"),
            **settings,
        }
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([built("bin/berth-projections"), *(f"--{name}={value}" for name, value in options.items())], stderr=log)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def events(self, name):
        return [line for line in map(json.loads, filter(lambda l: l.startswith("{"), self.log().splitlines())) if line["event"] == name]

    def ready(self):
        try:
            answer = requests.get(self.admin + "/readyz", timeout=PATIENCE_S)
        except requests.RequestException:
            return None
        return answer.status_code == 200, answer.text

    def is_ready(self):
        found = self.ready()
        return found is not None and found[0]

    def metric(self, name, **labels):
        want = [f'{key}="{value}"' for key, value in labels.items()]
        total = 0.0
        for line in requests.get(self.admin + "/metrics", timeout=PATIENCE_S).text.splitlines():
            if line.startswith(name + "{") and all(w in line for w in want):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=2 * PATIENCE_S)


class World:
    """One log and where it is folded to."""

    def __init__(self, stack, folder, seed, records):
        self.stack, self.folder, self.seed, self.records = stack, folder, seed, records
        number = next(numbers)
        self.prefix, self.database, self.redis_number = f"pt{number}.", f"pt{number}", 1 + number % 15
        self.topic = self.prefix + "trip"
        self.dsn = stack.postgres.rsplit("/", 1)[0] + "/" + self.database
        self.redis_url = f"{stack.redis.rstrip('/')}/{self.redis_number}"
        self.sql_at(stack.postgres, f"CREATE DATABASE {self.database}")
        self.redis = redis_client.Redis.from_url(self.redis_url)
        self.redis.flushdb()
        self.projectors = []

    def sql_at(self, dsn, text, *values):
        connection = psycopg2.connect(dsn)
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(text, values)
            return cursor.fetchall() if cursor.description else cursor.rowcount
        finally:
            connection.close()

    def sql(self, text, *values):
        return self.sql_at(self.dsn, text, *values)

    def start(self, **settings):
        self.projectors.append(Projector(self, **settings))
        return self.projectors[-1]

    def probe(self, *arguments):
        done = subprocess.run([built("tests/integration/projections/projections_probe"), *map(str, arguments)], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def feed(self, since=0, to=10**9, pause_ms=0):
        self.probe("feed", self.stack.kafka, self.topic, self.seed, self.records, since, to, pause_ms)

    def tables_at(self):
        try:
            return {p: n for p, n in self.sql("SELECT partition, next_offset FROM berth.positions")}
        except psycopg2.Error:
            return {}

    def redis_at(self):
        found = {}
        for partition in range(PARTITIONS):
            stored = self.redis.get(f"{{berth}}:position:availability:{self.topic}:{partition}")
            found[partition] = int.from_bytes(stored[:8], "little") if stored else 0
        return found

    def ends(self):
        """Where each partition ends when all is fed: the misfits stand in partition 0."""
        return {partition: self.length(partition) for partition in range(PARTITIONS)}

    def length(self, partition):
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.stack.kafka, "group.id": "unused"})
        try:
            return consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=60)[1]
        finally:
            consumer.close()

    def wait_folded(self, seconds=60):
        ends = self.ends()
        wait_until(lambda: self.tables_at() == ends, seconds, f"tables at {ends}, not {self.tables_at()}")
        wait_until(lambda: self.redis_at() == ends, seconds, f"Redis at {ends}")

    def check(self, to=10**9):
        """Rows of the tables and values in Redis against a rebuild."""
        self.probe("rebuild", self.dsn, self.topic, self.seed, self.records, to)
        for table in TABLES:
            live, rebuilt = f"SELECT t::text FROM berth.{table} t", f"SELECT t::text FROM shadow.{table} t"
            assert self.sql(f"({live}) EXCEPT ALL ({rebuilt})") == [], table
            assert self.sql(f"({rebuilt}) EXCEPT ALL ({live})") == [], table
        assert self.sql("SELECT count(*) FROM shadow.bookings")[0][0] > 50
        for line in self.probe("values", self.topic, self.seed, self.records, to).splitlines():
            trip, _, value = line.partition(" ")
            stored = self.redis.get("{berth}:avail:" + trip) or b""
            assert stored.rstrip(b"\0") == bytes.fromhex(value).rstrip(b"\0"), trip

    def delete_topic(self):
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": self.stack.kafka})
        admin.delete_topics([self.topic])[self.topic].result(60)
        wait_until(lambda: self.topic not in admin.list_topics(timeout=60).topics, what="the topic is gone")

    def close(self):
        for projector in self.projectors:
            if projector.process.poll() is None:
                projector.kill()
        self.stack.heal()
        self.redis.flushdb()
        self.sql_at(self.stack.postgres, f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        try:
            self.delete_topic()
        except Exception:  # a test that never made it
            pass


@pytest.fixture
def world(stack, tmp_path, request):
    made = World(stack, tmp_path, seed=next(numbers), records=getattr(request, "param", 1500))
    yield made
    made.close()


def test_a_log_is_folded_to_the_rows_of_a_rebuild_and_what_does_not_fit_is_parked(world):
    world.feed()
    projector = world.start()
    world.wait_folded()
    world.check()
    wait_until(projector.is_ready, 20, "ready")

    parked = world.sql("SELECT stream, error FROM berth.parked ORDER BY record_offset")
    assert {bytes(stream)[:6] for stream, _ in parked} == {name[:6] for name in (b"bad-zone", b"bad-schema", b"bad\xff\x00id", b"bad-release")}
    assert "Mars/Olympus" in parked[0][1] and parked[1][1] == "behind a parked event" and "9999" in parked[2][1]
    wait_until(lambda: projector.metric("berth_projection_parked_streams", model="trips") == 4, what="the metric tells of four")
    voids = world.sql("SELECT sum(void_count), sum(height) FROM berth.positions")[0]
    assert voids[0] > 100 and voids[0] + voids[1] == sum(world.ends().values())

    # Each record has its 4 bytes, and the last valid one's are those of the head.
    for partition, head, head_offset, end in world.sql("SELECT partition, head, head_offset, next_offset FROM berth.positions"):
        rows = world.sql("SELECT first_offset, ids FROM berth.record_ids WHERE partition = %s ORDER BY first_offset", partition)
        ids = b"".join(bytes(row[1]) for row in rows)
        assert len(ids) == 4 * end and rows[0][0] == 0
        assert ids[4 * head_offset : 4 * head_offset + 4] == bytes(head)[:4]
    assert projector.stop() == 0


def test_a_projector_killed_again_and_again_loses_and_doubles_nothing(world):
    feeder = threading.Thread(target=world.feed)
    feeder.start()
    for pause in (0.9, 0.5, 1.1, 0.7, 0.6, 1.3):
        projector = world.start()
        time.sleep(pause)
        projector.kill()
    feeder.join()
    world.start()
    world.wait_folded()
    world.check()


def test_two_projectors_at_once_apply_each_event_once_and_one_takes_over_from_the_other(world):
    first, second = world.start(), world.start()
    world.feed(0, 100)
    for projector in (first, second):  # both stand at the same place when the rest comes: each batch is one's, and the other is told so
        wait_until(projector.is_ready, what="both follow")
    for since in range(100, 1000, 100):
        world.feed(since, since + 100)
    wait_until(lambda: set(world.tables_at().values()) == {1000}, 60, "the first thousand")
    wait_until(lambda: set(world.redis_at().values()) == {1000}, 60, "the first thousand in Redis")
    both = lambda name, **labels: sum(projector.metric(name, **labels) for projector in (first, second))
    height = world.sql("SELECT sum(height) - 4 FROM berth.positions")[0][0]  # all but LogOpened
    wait_until(lambda: both("berth_projection_events_applied_total", model="trips") >= height, what="the metric tells of all")
    assert both("berth_projection_events_applied_total", model="trips") == height
    wait_until(lambda: both("berth_projection_moved_by_other_total") > 0, what="one found that the other had been there")
    first.kill()
    world.feed(1000)
    world.wait_folded()
    world.check()


def test_redis_that_is_emptied_is_filled_again_without_a_further_event(world):
    world.feed()
    world.start()
    world.wait_folded()
    world.redis.flushdb()
    world.wait_folded(30)
    world.check()


def test_a_value_that_redis_lost_alone_stays_away_and_stops_nobody(world):
    world.feed(0, 1200)
    projector = world.start()
    wait_until(lambda: set(world.redis_at().values()) == {1200}, 60, "Redis")
    for key in world.redis.keys("{berth}:avail:p1-*"):
        world.redis.delete(key)
    world.feed(1200)
    world.wait_folded()
    wait_until(projector.is_ready, what="ready")
    assert world.redis.hlen("{berth}:parked:availability") == 0


def test_a_crash_between_postgres_and_redis_is_caught_up_from_the_log(world):
    world.feed(0, 500)
    projector, fell_behind = world.start(), 0
    for since, to in ((500, 900), (900, 1300), (1300, 10**9)):
        wait_until(lambda: set(world.redis_at().values()) == {since}, what="Redis")
        world.stack.pause("redis")
        try:
            for part in ((since, since + 100), (since + 100, to)):  # Redis is sent a second only after it has answered for the first
                world.feed(*part)
                ends = world.ends()
                wait_until(lambda: world.tables_at() == ends, what="tables go on without Redis")
            projector.kill()
        finally:
            world.stack.resume("redis")
        fell_behind += world.redis_at() != ends  # unless all was sent in one piece, and is carried out now that its sender is dead
        projector = world.start()
        world.wait_folded()
    assert fell_behind > 0
    world.check()


def test_a_restart_of_postgres_is_survived(world):
    feeder = threading.Thread(target=world.feed)
    projector = world.start()
    feeder.start()
    time.sleep(1)
    world.stack.kill("postgres")
    feeder.join()
    wait_until(lambda: projector.ready() is not None and not projector.is_ready(), 20, "not ready without Postgres")
    ends = world.ends()
    wait_until(lambda: world.redis_at() == ends, 60, "Redis goes on without Postgres")
    world.stack.start("postgres")
    world.wait_folded()
    wait_until(projector.is_ready, 20, "ready again")
    world.check()
    assert projector.process.poll() is None


@pytest.mark.parametrize("dropped", ["bookings", "stops", "positions", "trips, berth.trip_points, berth.stops, berth.holds, berth.bookings"])
def test_a_table_that_was_dropped_makes_the_model_begin_anew_and_not_go_on_without_its_rows(world, dropped):
    world.feed(0, 900)
    projector = world.start()
    wait_until(lambda: set(world.tables_at().values()) == {900}, 60, "the first part")
    wait_until(projector.is_ready, 20, "ready")
    world.sql(f"DROP TABLE berth.{dropped} CASCADE")
    wait_until(lambda: projector.events("projection.begun_anew"), 20, "it was noticed, with no further event")
    world.feed(900)
    world.wait_folded()
    world.check()
    assert projector.process.poll() is None
    assert len(projector.events("projection.begun_anew")) == 1


def test_a_restart_of_the_broker_is_survived(world):
    world.feed(0, 700)
    projector = world.start()
    wait_until(lambda: set(world.tables_at().values()) == {700}, 60, "the first part")
    world.stack.kill("kafka")
    world.stack.start("kafka")
    world.feed(700)
    world.wait_folded(90)
    world.check()
    assert projector.process.poll() is None


def test_a_stored_head_that_the_log_contradicts_stops_that_partition_alone_with_an_alarm(world):
    world.feed(0, 600)
    projector = world.start()
    wait_until(lambda: set(world.tables_at().values()) == {600}, 60, "the first part")
    wait_until(lambda: set(world.redis_at().values()) == {600}, 60, "Redis")
    projector.stop()
    world.sql("UPDATE berth.positions SET head = decode(repeat('ab', 16), 'hex') WHERE partition = 2")
    world.feed(600, 900)
    projector = world.start()
    wait_until(lambda: world.tables_at() == {0: 900, 1: 900, 2: 600, 3: 900}, 60, "the other partitions")
    wait_until(lambda: "partition 2 is stopped: lost suffix" in (projector.ready() or (None, ""))[1], what="it says that the partition is stopped")
    assert not projector.is_ready()
    assert projector.events("projection.partition_stopped")[0]["partition"] == 2
    wait_until(lambda: projector.metric("berth_projection_stopped", model="trips", partition=2) == 1, what="the metric tells it too")
    wait_until(lambda: "lost suffix" in (world.sql("SELECT stopped FROM berth.positions WHERE partition = 2")[0][0] or ""), what="the table tells it too")
    assert set(wait_until(lambda: set(world.redis_at().values()) == {900} and world.redis_at(), 20, "Redis is not concerned").values()) == {900}
    projector.stop()
    projector = world.start()  # not refolded, not gone on with
    wait_until(lambda: projector.events("projection.partition_stopped"), 20, "stopped again")
    assert world.tables_at()[2] == 600


def test_a_topic_that_was_made_anew_is_noticed(world):
    world.feed(0, 400)
    projector = world.start()
    wait_until(lambda: set(world.tables_at().values()) == {400}, 60, "the first part")
    projector.stop()
    world.delete_topic()
    world.seed += 1000  # another log
    world.feed(0, 300)
    projector = world.start()
    wait_until(lambda: len(projector.events("projection.partition_stopped")) >= 2 * PARTITIONS, 40, "all partitions of both models stop")
    wait_until(lambda: projector.ready() is not None, what="an answer")
    assert not projector.is_ready()
    assert set(world.tables_at().values()) == {400}


def test_a_parked_stream_is_applied_when_its_cause_has_gone(world):
    world.feed()
    projector = world.start()
    world.wait_folded()
    waiting = world.sql("SELECT count(DISTINCT stream) FROM berth.parked")[0][0]
    world.sql(
        "INSERT INTO berth.holds (hold, trip, customer, from_index, to_index, places, status, held_at, expires_at, version)"
        " VALUES ('bad10000000000000000000000000000', 'bad-release', 'c', 0, 1, '{0,0}', 'held', now(), now(), 8)"
    )
    projector.stop()
    world.start()
    wait_until(lambda: world.sql("SELECT count(DISTINCT stream) FROM berth.parked")[0][0] == waiting - 1, 20, "the stream is not parked any more")
    assert world.sql("SELECT status, version FROM berth.holds WHERE trip = 'bad-release'") == [("released", 9)]


class Yardstick:
    """A bare consumer of the same topic at the same time: how long after a record's timestamp this machine lets anybody see it."""

    def __init__(self, world):
        from confluent_kafka import Consumer, TopicPartition

        self.consumer = Consumer({"bootstrap.servers": world.stack.kafka, "group.id": "unused", "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(world.topic, partition, end) for partition, end in world.ends().items()])

    def median(self, count):
        delays = []
        while len(delays) < count:
            message = self.consumer.poll(PATIENCE_S)
            assert message is not None and message.error() is None, f"{len(delays)} of {count} records"
            delays.append(time.time() - message.timestamp()[1] / 1000)
        return sorted(delays)[count // 2]


def test_a_lone_event_is_seen_soon(world):
    """A batch is not kept waiting for company: half of them are read about as soon as a bare consumer reads their records. Measured again for as
    long as others keep this machine from showing it."""
    world.feed(0, 300)
    projector = world.start()
    wait_until(lambda: set(world.tables_at().values()) == {300}, 60, "the first part")
    wait_until(lambda: set(world.redis_at().values()) == {300}, 60, "Redis")
    yardstick, told = Yardstick(world), []

    def delays(bound):
        """How many batches could be read within `bound` seconds of their newest record's timestamp, and how many there were."""
        return [projector.metric(f"berth_projection_delay_seconds_{which}", model="trips", **labels) for which, labels in (("bucket", {"le": bound}), ("count", {}))]

    for since in range(300, 1300, 50):
        before = {bound: delays(bound) for bound in ("0.02", "0.05", "0.1", "0.2", "0.5")}
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            fed = pool.submit(world.feed, since, since + 50, pause_ms=40)
            bare = yardstick.median(50 * PARTITIONS)
            fed.result()
        wait_until(lambda: set(world.tables_at().values()) == {since + 50}, what="fifty more")
        wait_until(lambda: delays("0.02")[1] > before["0.02"][1], what="the metric")
        bound = next((bound for bound in before if float(bound) >= 0.02 and float(bound) > 2 * bare), "0.5")
        soon, count = (after - first for after, first in zip(delays(bound), before[bound]))
        told.append(f"{soon} of {count} batches within {bound} s, a bare consumer's median is {bare:.3f} s")
        if count >= 10 and soon > count / 2:
            return
    pytest.fail("; ".join(told))


def test_settings_that_cannot_work_are_refused_with_a_line_that_says_why(world):
    projector = world.start(**{"redis.url": "http://nowhere"})
    assert projector.process.wait(90) == 2
    assert "redis://" in projector.log()
    projector = world.start(**{"models": "nothing"})
    assert projector.process.wait(90) == 2
    assert "no such read model" in projector.log()
