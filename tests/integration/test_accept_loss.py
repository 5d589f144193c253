"""Kafka loses acknowledged records of a partition: everybody who remembers them stops, an operator accepts the loss on the record
(`berth log accept-loss`), and everything goes on from what the log holds: command server, both read models, reads with positions, snapshots.

The loss is real: the broker is killed and the partition's file cut, as a power cut of a machine with dirty pages would.
"""
import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import uuid

import pytest

from conftest import DEV, TOP, wait_until
from server_process import preset_of
from test_commands import hold, trip_body

sys.path.insert(0, str(TOP / "tests"))
from faults.check import models, rule, run, topics  # noqa: E402
from faults.check.avro import Schemas  # noqa: E402
from faults.check.report import Report  # noqa: E402
from faults.lost_suffix import truncate  # noqa: E402

TOPIC, PARTITIONS = "berth.trip", 4
OWNING, READ_ONLY = 3, 6
LOSS_S = 240  # a loss is believed after 10 s by a node, and after 20 s by a projector, of a machine that has time for them


def name_in(partition):
    return next(name for name in iter(lambda: f"loss-{uuid.uuid4().hex[:12]}", "") if rule.partition_of(name.encode(), PARTITIONS) == partition)


def place_of_text(position):
    """(partition, offset)"""
    partition, offset = re.fullmatch(r"trip/(\d+)@(\d+)-[0-9a-f]{8}", position).groups()
    return int(partition), int(offset)


def place_of(answer):
    """Where the record stands that an answer rests on."""
    return place_of_text(answer.headers["Berth-Position"])


def accepted(answer, status=201):
    assert answer.status_code == status, answer.text
    return answer


def open_trip(client, partition):
    name = name_in(partition)
    accepted(client.post("/v1/trips", trip_body(trip=name, seats=4)))
    return name


def seat(number, **more):
    return {"seats": [{"section": "A", "seat": str(number)}], "ttl_seconds": 3600} | more


def book(client, trip, number):
    held = accepted(hold(client, trip, **seat(number))).json()["hold"]
    return accepted(client.post(f"/v1/trips/{trip}/holds/{held}/confirm")).json()["booking"]


def metric(stack, server, name, **labels):
    return [value for (found, having), value in stack.metrics(server).items() if found == name and labels.items() <= dict(having).items()]


def phase(stack, partition):
    return metric(stack, "commands", "berth_owner_phase", partition=str(partition))


def stopped_models(stack, partition):
    return sum(metric(stack, "projections", "berth_projection_stopped", partition=str(partition)))


def read(query, path, position):
    return query.session.get(query.url + path, headers={"Berth-Min-Position": position, "Prefer": "wait=1"}, timeout=90)


def read_healed(query, path, position):
    """The query API hears of an acceptance a moment after the read models have gone on."""
    answers = [read(query, path, position)]
    with contextlib.suppress(AssertionError):
        wait_until(lambda: answers[-1].status_code != 503 or answers.append(read(query, path, position)), LOSS_S)
    assert answers[-1].status_code != 503, (answers[-1].text, position)
    return answers[-1]


def accept_loss(partition, *more):
    """(exit status, the object that it prints, standard error)."""
    done = subprocess.run([DEV, "berth", "log", "accept-loss", str(partition), "--reason", "a test has cut the log", "--json", *more], capture_output=True, text=True,
                          timeout=600, stdin=subprocess.DEVNULL)  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def cut(stack, *places):
    """What stands at (topic, partition, offset) and behind is gone."""
    stack.kill("kafka")
    for topic, partition, offset in places:
        assert truncate(stack.state / "kafka/data" / f"{topic}-{partition}", offset) > 0
    (stack.state / "kafka/data/.kafka_cleanshutdown").unlink(missing_ok=True)
    stack.start("kafka")


def differences(stack):
    """Between what the log says, by an independent reader, and Postgres, Redis and the state that `berth replay` folds to. Nobody may write meanwhile."""
    report = Report()
    folds, _ = run.fold_logs(topics.read(stack.kafka, TOPIC), Schemas(), report)
    for fold in folds.values():
        fold.run()
    models.check_postgres(stack.postgres, TOPIC, folds, report, LOSS_S)
    models.check_redis(stack.redis, TOPIC, folds, report, LOSS_S)
    models.check_digest(str(TOP / "build" / preset_of(stack) / "bin/berth"), stack.kafka, folds, report)
    return [violation for violation in report.as_dict()["violations"] if re.match("postgres|redis|digest|replay", violation["kind"])]


@contextlib.contextmanager
def without_writers(stack):
    stack.stop("commands")
    try:
        yield
    finally:
        stack.start("commands")
        wait_until(lambda: stack.is_ready("commands"), LOSS_S, "the command server is ready")


class Loss:
    """A partition with what is kept and what will be lost: a hold of seat 2, a booking of seat 3, the cancellation of seat 1's, and a trip."""

    def __init__(self, stack, commands, query, folder):
        self.stack, self.commands, self.query = stack, commands, query
        self.partition = 1
        self.trip, self.elsewhere = open_trip(commands, self.partition), open_trip(commands, (self.partition + 1) % PARTITIONS)
        self.kept = book(commands, self.trip, 1)
        self.kept_position = commands.position
        self.make_what_is_lost()
        self.save_snapshots(folder)
        self.cut()

    def make_what_is_lost(self):
        held = accepted(hold(self.commands, self.trip, **seat(2)))
        self.lost_hold, (_, self.cut_at) = held.json()["hold"], place_of(held)
        self.lost_booking = book(self.commands, self.trip, 3)
        accepted(self.commands.post(f"/v1/trips/{self.trip}/bookings/{self.kept}/cancel"), 200)
        self.lost_trip = open_trip(self.commands, self.partition)
        self.lost_position = self.commands.position
        wait_until(lambda: read(self.query, f"/v1/trips/{self.lost_trip}/seats?from=a&to=f", self.lost_position).status_code == 200, LOSS_S, "the read models have it")

    def save_snapshots(self, folder):
        """As they are after a graceful stop: with all that will be lost."""
        self.snapshots, self.saved = self.stack.state / "commands/snapshots", folder / "snapshots"
        self.stack.stop("commands")
        shutil.copytree(self.snapshots, self.saved)
        self.stack.start("commands")
        self.stack.wait_ready("commands")

    def cut(self):
        cut(self.stack, (TOPIC, self.partition, self.cut_at))

    def wait_noticed(self):
        wait_until(lambda: phase(self.stack, self.partition) == [READ_ONLY], LOSS_S, "the node is read-only")
        wait_until(lambda: stopped_models(self.stack, self.partition) == 2, LOSS_S, "both read models have stopped")

    def wait_healed(self):
        wait_until(lambda: phase(self.stack, self.partition) == [OWNING], LOSS_S, "the node owns the partition again")
        wait_until(lambda: stopped_models(self.stack, self.partition) == 0, LOSS_S, "both read models go on")
        self.stack.wait_ready("commands", "projections", "query")


def check_that_nothing_is_served_as_if_nothing_had_happened(loss):
    stack, commands, query = loss.stack, loss.commands, loss.query
    refused = hold(commands, loss.trip, **seat(4))
    assert refused.status_code == 503 and "Retry-After" in refused.headers, refused.text
    assert not stack.is_ready("commands") and not stack.is_ready("projections")
    assert "lost" in stack.log("commands") and "projection.partition_stopped" in stack.log("projections")
    behind = read(query, f"/v1/trips/{loss.trip}/seats?from=a&to=f", re.sub(r"@\d+", f"@{10**12}", loss.lost_position))
    assert behind.status_code == 503 and "position-stopped" in behind.text, behind.text
    accepted(hold(commands, loss.elsewhere, **seat(1)))  # the other partitions go on


def progress(stack, partition):
    """For a failure's report: how far everybody is, by the servers' own metrics and last words."""
    told = {f"{name}{dict(labels)}": value for server in ("commands", "projections") for (name, labels), value in stack.metrics(server).items()
            if dict(labels).get("partition") == str(partition) and re.search("offset|lag|stopped|phase", name)}  # fmt: skip
    return "\n".join([str(told), *stack.log("projections").splitlines()[-8:], *stack.log("query").splitlines()[-4:]])


def check_the_lost_position(loss):
    """Never served: 503 until the query API has heard that the partition goes on, then 409, though nobody writes to it: behind the acceptance stand void records."""
    told = read_healed(loss.query, f"/v1/trips/{loss.trip}/seats?from=a&to=f", loss.lost_position)
    assert told.status_code == 409 and "position-mismatch" in told.text, (told.text, progress(loss.stack, loss.partition))


def check_what_came_of_it(loss):
    commands, query = loss.commands, loss.query
    for path, status in ((f"/v1/bookings/{loss.lost_booking}", 404), (f"/v1/trips/{loss.trip}/holds/{loss.lost_hold}", 404), (f"/v1/trips/{loss.lost_trip}", 404)):
        wait_until(lambda: query.get(path, fresh=False).status_code == status, LOSS_S, f"{path} is gone")
    check_the_lost_position(loss)
    assert read_healed(query, f"/v1/trips/{loss.trip}/seats?from=a&to=f", loss.kept_position).status_code == 200
    # The booking whose cancellation was lost stands; what else was lost can be sold again, once.
    assert hold(commands, loss.trip, **seat(1)).status_code == 409
    again = accepted(hold(commands, loss.trip, **seat(2)))
    shown = read_healed(query, f"/v1/trips/{loss.trip}/seats?from=a&to=f", again.headers["Berth-Position"])
    states = {one["seat"]: one["state"] for one in shown.json()["seats"]}
    assert (states["1"], states["2"], states["3"]) == ("booked", "held", "free"), shown.text


def check_the_command_line(loss):
    """It says what would be done; does nothing unasked; finds the loss by itself."""
    status, plan, said = accept_loss(loss.partition)
    assert status == 1 and plan["result"] == "not accepted" and "--yes" in said, (status, plan, said)
    assert plan["lost_from"] <= loss.cut_at < place_of_text(loss.lost_position)[1] < plan["lost_to"], plan
    assert {one["by"].split()[0] for one in plan["known"]} == {"postgres", "redis", "node"}, plan
    assert accept_loss(loss.partition, "--from", str(plan["lost_to"]), "--to", str(plan["lost_from"]), "--yes")[0] == 2
    healthy = (loss.partition + 1) % PARTITIONS
    status, _, said = accept_loss(healthy, "--yes")
    assert status == 1 and "nobody who was asked remembers more" in said, said
    return plan


def test_a_loss_that_is_accepted_on_the_record_lets_everything_go_on_from_what_the_log_holds(stack, commands, query, tmp_path):
    loss = Loss(stack, commands, query, tmp_path)
    loss.wait_noticed()
    check_that_nothing_is_served_as_if_nothing_had_happened(loss)
    plan = check_the_command_line(loss)

    status, done, said = accept_loss(loss.partition, "--yes", "--actor", "operator-7")
    assert status == 0 and done["result"] == "accepted", (status, done, said)
    assert (done["lost_from"], done["lost_to"]) == (plan["lost_from"], plan["lost_to"]) and done["accepted_offset"] >= plan["lost_from"], done
    loss.wait_healed()
    check_what_came_of_it(loss)
    with without_writers(stack):
        assert differences(stack) == []

    verified = stack.berth("log", "verify", "--partition", str(loss.partition))
    assert "the log is good" in verified and "operator-7" in verified and "a test has cut the log" in verified, verified
    status, _, said = accept_loss(loss.partition, "--yes")
    assert status == 1 and "nobody who was asked remembers more" in said, said

    # A snapshot that holds lost records: found out, and given up by the same record.
    stack.stop("commands")
    shutil.rmtree(loss.snapshots)
    shutil.copytree(loss.saved, loss.snapshots)
    stack.start("commands")
    wait_until(lambda: phase(stack, loss.partition) == [OWNING] and stack.is_ready("commands"), LOSS_S, "the node owns the partition with an old snapshot")
    assert hold(commands, loss.trip, **seat(1)).status_code == 409 and accepted(hold(commands, loss.trip, **seat(3)))
    with without_writers(stack):
        assert differences(stack) == []


def append_as_it_is(stack, topic, records, *partitions):
    """(key, value)s, each a batch of its own."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": stack.kafka, "acks": "all"})
    for key, value in records:
        for partition in partitions:
            producer.produce(topic, partition=partition, key=key, value=value)
        assert producer.flush(LOSS_S) == 0


def test_a_loss_of_the_record_that_opened_the_log_is_refused_and_nothing_is_appended(stack):
    """An acceptance would be the first valid record then, and the partition nobody's log for good. Beside it the same log, of which the opening is left."""
    topic, opened, all_lost = f"lost.{uuid.uuid4().hex[:8]}", 1, 0
    copied = [(record.key, record.value) for record in topics.read(stack.kafka, TOPIC)[0][:6]]
    stack.berth("topics", "create", "--topic", topic, "--partitions", "2")
    append_as_it_is(stack, topic, copied, all_lost, opened)  # as good a log as the first: the rule knows bytes only
    asked = ("--topic", topic, "--nodes", "", "--to", str(len(copied)), "--yes")
    cut(stack, (topic, all_lost, 0), (topic, opened, 1))
    status, done, said = accept_loss(all_lost, *asked)
    assert status == 1 and done is None and "not even the one that opened the log" in said and "Begin a new topic" in said, (status, done, said)
    status, done, said = accept_loss(opened, *asked)
    assert status == 0 and done["result"] == "accepted" and (done["lost_from"], done["lost_to"]) == (1, len(copied)), (status, done, said)
    held = topics.read(stack.kafka, topic)
    assert held[all_lost] == [] and len(held[opened]) == len(copied) and (held[opened][0].key, held[opened][0].value) == copied[0], held

    # What is written behind the loss does not change that: none of it is valid.
    append_as_it_is(stack, topic, copied[1:], all_lost)
    status, done, said = accept_loss(all_lost, *asked)
    assert status == 1 and done is None and "not even the one that opened the log" in said, (status, done, said)
    assert [(record.key, record.value) for record in topics.read(stack.kafka, topic)[all_lost]] == copied[1:]
