"""Further command nodes beside the stack's own, on its broker and in its group, for tests of several nodes."""
import json
import threading
import time
import uuid

import requests

from conftest import PATIENCE_S, Api, wait_until
from server_process import SANITIZED, Server
from test_commands import trip_body

PARTITIONS = 4
OWNING = 3


class Node(Server):
    """One berth-commands process of our own; slot chooses its ports."""

    def __init__(self, stack, slot, name, folder, hooks=False, **settings):
        folder.mkdir(parents=True, exist_ok=True)
        own = {"node.name": name, "state.dir": folder / "state"} | {key.replace("__", "."): value for key, value in settings.items()}
        super().__init__(stack, "commands", slot, own, {"BERTH_TEST_HOOKS": "1"} if hooks else {}, {}, folder / f"{name}.log")
        self.start()

    def client(self):
        return Api(self.url)

    def events(self, event):
        return [json.loads(line) for line in self.log().splitlines() if f'"event":"{event}"' in line and line.endswith("}")]

    def ready(self):
        self.wait_ready()
        return self

    def owned(self):
        """Partitions that it decides on now."""
        return {int(dict(labels)["partition"]) for (name, labels), value in self.metrics().items() if name == "berth_owner_phase" and value == OWNING}

    def end(self):
        """However it is by now; a sanitizer's report is a failure."""
        if self.process.poll() is None:
            assert self.stop() == 0, self.log()[-2000:]
        assert not SANITIZED.search(self.log()), self.log()[-6000:]


def fresh_trip(client, seats=2000):
    """(partition, trip): which partition it is in, its id decides."""
    opened = client.post("/v1/trips", trip_body(trip=f"n-{uuid.uuid4().hex[:16]}", seats=seats))
    assert opened.status_code == 201, opened.text
    return int(opened.headers["Berth-Position"].split("/")[1].split("@")[0]), opened.json()["trip"]


def trips_of_all_partitions(client, seats=2000):
    """partition -> a fresh trip in it."""
    trips = {}
    while len(trips) < PARTITIONS:
        trips.setdefault(*fresh_trip(client, seats))
    return trips


class Load:
    """Customers who hold one seat after the other, each at one of some addresses, and note what they were told and when.

    A trip that is sold out is followed by another of its partition: how long a test takes is the machine's affair."""

    def __init__(self, urls, trips, customers=8):
        self.urls, self.trips, self.stopped, self.lock = urls, list(trips.items()), threading.Event(), threading.Lock()
        self.following = threading.Lock()
        self.told = []  # (monotonic at the end, seconds, url, partition, status or error text, answer or None)
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(customers)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        session, turn = requests.Session(), number
        session.trust_env = False
        while not self.stopped.is_set():
            turn += 1
            partition, trip = self.trips[turn % len(self.trips)]
            url, began = self.urls[(number + turn // len(self.trips)) % len(self.urls)], time.monotonic()
            try:
                answer = session.post(f"{url}/v1/trips/{trip}/holds", json={"from": "a", "to": "f", "count": 1, "customer": f"c{number}"},
                                      headers={"Idempotency-Key": uuid.uuid4().hex}, timeout=PATIENCE_S)
                status, body = answer.status_code, answer.json()
            except requests.RequestException as error:
                status, body = type(error).__name__, None
            if status == 409 and body["code"] == "sold-out":
                self.follow(url, partition, trip)
                continue
            with self.lock:
                self.told.append((time.monotonic(), time.monotonic() - began, url, partition, status, body))
            if not isinstance(status, int):
                time.sleep(0.05)

    def follow(self, url, partition, sold_out):
        with self.following:
            if (partition, sold_out) not in self.trips:
                return  # another customer was quicker
            try:
                found = fresh_trip(Api(url))
            except (AssertionError, requests.RequestException):
                return  # no node takes it just now: the next customer tries again
            if found[0] == partition:
                self.trips[self.trips.index((partition, sold_out))] = found

    def accepted(self, after=0.0, partitions=None):
        with self.lock:
            return [each for each in self.told if each[4] == 201 and each[0] > after and (partitions is None or each[3] in partitions)]

    def failed(self):
        with self.lock:
            return [each for each in self.told if each[4] != 201]

    def wait_for(self, more, partitions=None, seconds=60):
        """So many more accepted, in those partitions."""
        began = time.monotonic()
        wait_until(lambda: len(self.accepted(began, partitions)) >= more, seconds, f"{more} holds are accepted in {partitions or 'any partition'}")

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(2 * PATIENCE_S)
            assert not thread.is_alive(), "a customer still waits for an answer"
        return self

    def check_seats(self):
        """No seat of a trip was given to two."""
        seats = [(body["trip"], seat["seat"]) for _, _, _, _, status, body in self.told if status == 201 for seat in body["seats"]]
        assert len(seats) == len(set(seats)), "a seat was held twice"
