"""Restarts of the command server: snapshots are a cache, and a graceful stop loses no accepted command."""
import json
import threading

import requests

from conftest import PATIENCE_S, Api, wait_until
from test_commands import code, hold, trip_body


def snapshots(stack):
    return sorted(stack.state.rglob("*.snapshot"))


def test_a_restart_from_a_snapshot_knows_what_a_restart_from_the_log_knows(stack, commands):
    trip = commands.post("/v1/trips", trip_body()).json()["trip"]
    held = hold(commands, trip, count=5, ttl_seconds=600).json()
    stack.restart("commands")
    stack.wait_ready("commands")
    assert snapshots(stack), "a graceful stop writes snapshots"
    assert "snapshot.loaded" in stack.log("commands")
    assert code(hold(commands, trip, count=2)) == (409, "sold-out")
    stack.stop("commands")
    for path in snapshots(stack):
        path.unlink()
    stack.start("commands")
    stack.wait_ready("commands")
    assert code(hold(commands, trip, count=2)) == (409, "sold-out")
    assert commands.post(f"/v1/trips/{trip}/holds/{held['hold']}/confirm").status_code == 201


def test_damaged_snapshots_are_ignored_with_a_warning(stack, commands):
    trip = commands.post("/v1/trips", trip_body()).json()["trip"]
    assert hold(commands, trip, count=5).status_code == 201
    stack.stop("commands")
    for number, path in enumerate(snapshots(stack)):
        whole = bytearray(path.read_bytes())
        if number % 2:
            path.write_bytes(whole[: len(whole) // 2])
        else:
            whole[-1] ^= 1
            path.write_bytes(whole)
    stack.start("commands")
    stack.wait_ready("commands")
    assert "snapshot.ignored" in stack.log("commands")
    assert code(hold(commands, trip, count=2)) == (409, "sold-out")
    assert hold(commands, trip, count=1).status_code == 201


def test_a_graceful_stop_under_load_loses_no_accepted_command(stack, commands):
    trip = commands.post("/v1/trips", trip_body(seats=2000)).json()["trip"]
    accepted, lock, stop = [], threading.Lock(), threading.Event()

    def customer():
        client = Api(stack.commands)
        while not stop.is_set():
            try:
                answer = hold(client, trip, count=1, ttl_seconds=3600)
            except requests.RequestException:
                return
            if answer.status_code == 201:
                with lock:
                    accepted.append(answer.json())

    threads = [threading.Thread(target=customer) for _ in range(12)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(accepted) > 50, 20, "some holds are accepted")
    assert "is killed" not in stack.dev("stop", "commands"), "it did not end by itself"
    stop.set()
    for thread in threads:
        thread.join()
    stack.start("commands")
    stack.wait_ready("commands")
    seats = [seat["seat"] for held in accepted for seat in held["seats"]]
    assert len(seats) == len(set(seats)), "no seat is held twice"
    for held in accepted[-20:]:
        assert commands.post(f"/v1/trips/{trip}/holds/{held['hold']}/confirm").status_code == 201


def digest(stack, partition):
    answer = requests.get(f"{stack.admin['commands']}/digest?partition={partition}", timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    return answer.json()


def assert_state_is_that_of_the_log(stack):
    """What the server holds of each partition is what `berth replay` folds from the log's start; a deadline may add a record meanwhile."""

    def agree():
        replayed = {found["partition"]: found for found in json.loads(stack.berth("replay", "--to-nowhere", "--json"))["partitions"]}
        live = {partition: digest(stack, partition) for partition in replayed}
        if any(live[partition]["next_offset"] != found["next_offset"] for partition, found in replayed.items()):
            return None
        for partition, found in replayed.items():
            assert (live[partition]["head"], live[partition]["height"]) == (found["head"], found["height"])
            assert live[partition]["digest"] == found["digest"], f"partition {partition}: the state differs from the log's"
        return live

    return wait_until(agree, what="the server and the replay at the same offset")


def test_the_state_in_memory_is_that_of_the_log_after_load_and_after_a_restart_from_a_snapshot(stack, commands):
    def customer(number):
        client = Api(stack.commands)
        trip = client.post("/v1/trips", trip_body(seats=50)).json()["trip"]
        for i in range(30):
            held = hold(client, trip, count=1 + i % 3, ttl_seconds=1 if i % 7 == 0 else 600).json().get("hold")
            what = ("confirm", "release", "extend")[(i + number) % 3]
            client.post(f"/v1/trips/{trip}/holds/{held}/{what}")
            if what == "confirm" and i % 2:
                client.post(f"/v1/trips/{trip}/bookings/{held}/cancel")

    threads = [threading.Thread(target=customer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    digest(stack, 0)  # under load too
    for thread in threads:
        thread.join()
    before = assert_state_is_that_of_the_log(stack)
    loaded = stack.log("commands").count("snapshot.loaded")
    stack.restart("commands")
    stack.wait_ready("commands")
    assert stack.log("commands").count("snapshot.loaded") > loaded
    after = assert_state_is_that_of_the_log(stack)
    assert {found["phase"] for found in after.values()} == {"owning"} and sum(found["streams"] for found in before.values()) >= 8


def test_a_digest_of_no_partition_is_422(stack):
    for wrong in ("", "?partition=", "?partition=99999", "?partition=-1", "?partition=x"):
        assert requests.get(stack.admin["commands"] + "/digest" + wrong, timeout=PATIENCE_S).status_code == 422, wrong
