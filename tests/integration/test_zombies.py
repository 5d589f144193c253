"""Forced zombies: a node is stopped at a chosen point of one command, another takes its partition over, and the first wakes up.

For each point it is known beforehand which record is valid and which is void, and what each client is told; nothing here is left to luck.
The hook is commands/server/stop_hook.h.
"""
import concurrent.futures
import contextlib
import uuid

import pytest

import chain_check
from conftest import PATIENCE_S, Api, wait_until
from server_process import server
from test_commands import hold, trip_body

TOPIC = "berth.trip"
SEATS = 4
OWNING = 3


def partition_of(answer):
    return int(answer.headers["Berth-Position"].split("/")[1].split("@")[0])


def trips_in_all_partitions(commands, count=4):
    """A new trip in each partition."""
    found = {}
    for _ in range(200):
        opened = accepted_by(commands, lambda client: client.post("/v1/trips", trip_body(seats=SEATS)))
        found.setdefault(partition_of(opened), opened.json()["trip"])
        if len(found) == count:
            return found
    raise AssertionError(f"200 trips lie in partitions {sorted(found)} only")


def owned_partition(node, partitions):
    """One that the node owns, once it owns any."""
    def find():
        owned = [p for p in partitions if node.metric("berth_owner_phase", partition=str(p), topic=TOPIC) == OWNING]
        return owned if owned and node.is_ready() else None

    node.wait_ready(90)
    return wait_until(find, 90, "the node owns a partition")[0]


@contextlib.contextmanager
def zombie_to_be(stack, commands, point):
    """A second node that will stop itself at the first record that a command makes; with a trip in one of its partitions. Meanwhile holds of other
    trips run out, as those of earlier tests do: what the owner records of them is no command's."""
    for trip in trips_in_all_partitions(commands).values():
        for seat in range(SEATS):
            accepted_by(commands, lambda client: hold(client, trip, count=1, ttl_seconds=2 + 3 * seat))
    trips = trips_in_all_partitions(commands)
    settings = {"node.name": f"zombie-{point}", "node.command_timeout_ms": 200000, "test.stop_at": point}
    with server(stack, "commands", settings=settings, environment={"BERTH_TEST_HOOKS": "1"}) as node:
        partition = owned_partition(node, trips)
        yield node, trips[partition], partition
    wait_until(lambda: owns_all(stack), 90, "the stack's own node has all partitions again")


def owns_all(stack, count=4):
    phases = [value for (name, _), value in stack.metrics("commands").items() if name == "berth_owner_phase"]
    return phases == [OWNING] * count


def records_of(stack, partition, trip):
    """[(offset, valid)] of the trip's records, by a fold that shares no code with Berth."""
    import hashlib

    head, found = bytes(16), []
    for offset, key, value in chain_check.records(stack.kafka, TOPIC, partition):
        valid = key is not None and value is not None and len(value) >= 21 and value[0] == 0 and value[5:21] == head
        if valid:
            head = hashlib.sha256(len(key).to_bytes(4, "big") + key + value).digest()[:16]
        if key == trip.encode():
            found.append((offset, valid))
    return found


def slow_hold(node, trip, key, **body):
    """By a client that waits for as long as a node may sleep."""
    return Api(node.url).post(f"/v1/trips/{trip}/holds", {"from": "a", "to": "f", "customer": "c1"} | body, key=key, timeout=240)


def wait_stopped(node):
    wait_until(lambda: node.state() == "T", 30, "the node has stopped itself")


def accepted_by(client, send):
    """Sends until the node that was asked owns the partition and accepts it."""
    def attempt():
        answer = send(client)
        assert answer.status_code in (200, 201, 503), answer.text
        return answer if answer.status_code != 503 else None

    return wait_until(attempt, 90, "the other node has taken over")


# What the log holds of the command in the end (valid records, void records), and whether the other node had to decide anew.
OUTCOMES = {"decided": (1, 1, False), "appended": (1, 0, True), "acknowledged": (1, 0, True)}


@pytest.mark.parametrize("point", OUTCOMES)
def test_a_node_that_sleeps_through_a_takeover_sells_nothing_twice_and_tells_its_client_the_truth(stack, commands, point):
    valid, void, replayed = OUTCOMES[point]
    with zombie_to_be(stack, commands, point) as (node, trip, partition), concurrent.futures.ThreadPoolExecutor() as pool:
        key, seats = str(uuid.uuid4()), {"seats": [{"section": "A", "seat": "1"}], "ttl_seconds": 3600}
        asked = pool.submit(slow_hold, node, trip, key, **seats)
        wait_stopped(node)
        before = records_of(stack, partition, trip)
        assert len(before) == (1 if point == "decided" else 2), "the trip was opened; the hold is in the log or not, by the point"

        again = accepted_by(commands, lambda client: hold(client, trip, key=key, **seats))
        assert again.status_code == 201
        assert ("Idempotent-Replayed" in again.headers) == replayed
        assert not asked.done(), "its own node still sleeps"

        node.resume()
        told = asked.result(timeout=120)
        # Where another has the partition now, it passes the command on, and the answer is that of the record that counts.
        assert (told.status_code, told.content) == (201, again.content), told.text
        assert ("Idempotent-Replayed" in told.headers) == (point == "decided"), "only its own record can be proved by it"

        wait_until(lambda: len(records_of(stack, partition, trip)) == 1 + valid + void, 60, "what the zombie had in hand is in the log")
        found = [valid for _, valid in records_of(stack, partition, trip)]
        assert (found.count(True), found.count(False)) == (1 + valid, void)
        last = accepted_by(commands, lambda client: hold(client, trip, key=key, **seats))
        assert last.content == again.content and last.headers["Idempotent-Replayed"] == "true"
    others = accepted_by(commands, lambda client: hold(client, trip, count=SEATS - 1))
    assert [seat["seat"] for seat in others.json()["seats"]] == ["2", "3", "4"]
    assert stack.berth("log", "verify")


def test_a_node_that_wakes_up_after_a_takeover_refuses_nobody_by_what_it_knew(stack, commands):
    """It went to sleep with the trip sold out. The other node has let a seat go since; who asks for it must not hear of the old state."""
    with zombie_to_be(stack, commands, "acknowledged") as (node, trip, _), concurrent.futures.ThreadPoolExecutor() as pool:
        key, all_seats = str(uuid.uuid4()), {"count": SEATS, "ttl_seconds": 3600}
        asked = pool.submit(slow_hold, node, trip, key, **all_seats)
        wait_stopped(node)
        held = accepted_by(commands, lambda client: hold(client, trip, key=key, **all_seats)).json()["hold"]
        assert hold(commands, trip, count=1).status_code == 409
        assert commands.post(f"/v1/trips/{trip}/holds/{held}/release").status_code == 200
        hopeful = [pool.submit(slow_hold, node, trip, str(uuid.uuid4()), count=1) for _ in range(3)]
        node.resume()
        assert asked.result(timeout=120).status_code == 201, "it had been accepted, whatever came later"
        answers = [one.result(timeout=120) for one in hopeful]
        assert {answer.status_code for answer in answers} <= {201, 503}, [answer.text for answer in answers]
        sold = sum(answer.status_code == 201 for answer in answers)
        assert accepted_by(commands, lambda client: hold(client, trip, count=SEATS - sold)).status_code == 201
        assert hold(commands, trip, count=1).status_code == 409
    assert stack.berth("log", "verify")


def test_the_hook_is_refused_outside_of_tests(stack):
    with server(stack, "commands", settings={"test.stop_at": "decided"}, environment={"BERTH_TEST_HOOKS": ""}) as node:
        assert node.process.wait(PATIENCE_S) == 1
        assert "BERTH_TEST_HOOKS" in node.log()
