"""Restarts of the command server: snapshots are a cache, and a graceful stop loses no accepted command."""
import threading
import time

import requests

from conftest import Api, wait_until
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
    began = time.monotonic()
    stack.stop("commands")
    assert time.monotonic() - began < 90  # it may take 30 s; a slow machine adds to it
    stop.set()
    for thread in threads:
        thread.join()
    stack.start("commands")
    stack.wait_ready("commands")
    seats = [seat["seat"] for held in accepted for seat in held["seats"]]
    assert len(seats) == len(set(seats)), "no seat is held twice"
    for held in accepted[-20:]:
        assert commands.post(f"/v1/trips/{trip}/holds/{held['hold']}/confirm").status_code == 201
