"""load - opens the trips and runs the clients for a while, or until it is told to stop.

    PYTHONPATH=tests python3 -m faults.clients --node node1=127.0.0.1:8081 [--node ...] --query 127.0.0.1:8082 --history DIR
        [--clients 24] [--seconds 60] [--seed 1] [--tag run] [--keys again] [--partitions 4] [--pause 0.02,0.08] [--timeout 6]

SIGTERM or SIGINT ends it as the end of its time does: clients finish the operation that they are in. Prints one JSON object with counts.
A process of its own is best: it then has an interpreter to itself, and a network namespace if need be.
"""
import argparse
import collections
import dataclasses
import json
import pathlib
import signal
import sys
import threading
import time

from ..check.rule import partition_of
from . import scene
from .board import Board
from .client import Client
from .history import History
from .wire import Wire


@dataclasses.dataclass
class Plan:
    nodes: dict  # name -> host:port
    query: str
    history: str
    seed: int = 1
    tag: str = "run"  # begins the ids of trips and keys: two loads on one log need two tags
    clients: int = 24
    partitions: int = 4
    pause_s: tuple = (0.02, 0.08)
    timeout_s: float = 6.0
    trips: list = dataclasses.field(default_factory=list)
    keys: str = ""  # begins the keys instead of the tag: a second load then goes on with the trips of a first


class Load:
    """load = Load(plan); load.open_trips(); load.start(); …; load.stop() -> counts."""

    OPEN_S = 120

    def __init__(self, plan):
        self.plan = plan
        self.folder = pathlib.Path(plan.history)
        self.folder.mkdir(parents=True, exist_ok=True)
        plan.trips = plan.trips or scene.trips(plan.tag, plan.partitions)
        self.board = Board()
        self.histories, self.clients = [], []

    def _history(self, name):
        history = History(self.folder / f"{self.plan.keys or self.plan.tag}-{name}.jsonl")
        self.histories.append(history)
        return history

    def open_trips(self):
        """Each by one key, tried until it is accepted. Raises TimeoutError when nobody opens them for two minutes."""
        opener = Client(0, self.plan, self.board, self._history("open"))
        first = scene.first_departure()
        until = time.monotonic() + self.OPEN_S
        for trip in self.plan.trips:
            body, attempt, answer = trip.opening(first), 0, None
            while answer is None or answer.status not in (200, 201):
                if time.monotonic() > until:
                    raise TimeoutError(f"trip {trip.id} could not be opened: {answer.status} {answer.body or answer.error}")
                if answer is not None:
                    time.sleep(0.3)
                attempt += 1
                node = list(self.plan.nodes)[attempt % len(self.plan.nodes)]
                answer = opener.send("open", trip, "/v1/trips", body, f"{self.plan.tag}-open-{trip.id}", node, attempt)

    def start(self):
        for number in range(1, self.plan.clients + 1):
            client = Client(number, self.plan, self.board, self._history(f"client-{number:02}"))
            self.clients.append(client)
            client.start()

    def stop(self, limit_s=60):
        for client in self.clients:
            client.ended.set()
        until = time.monotonic() + limit_s
        for client in self.clients:
            client.join(max(0.1, until - time.monotonic()))
        late = [client.name for client in self.clients if client.is_alive()]
        for history in self.histories:
            if not late:
                history.close()
        return {"operations": sum(history.count for history in self.histories), "clients": len(self.clients), "late": late}


def count_outcomes(folder):
    """What became of the operations of all files in a folder: op -> outcome -> count."""
    counts = collections.defaultdict(collections.Counter)
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        for line in open(path, encoding="utf-8"):
            try:
                operation = json.loads(line)
            except ValueError:
                continue  # a line that a killed process left half written
            counts[operation["op"]][outcome_of(operation)] += 1
    return {op: dict(found) for op, found in counts.items()}


def outcome_of(operation):
    """ok, fail (it was told that nothing was done) or unknown. A read that is not served has failed."""
    status = operation["status"]
    if status is not None and status < 400:
        return "ok"
    refused = status is not None and status < 500 and status != 429
    told = isinstance(operation["answer"], dict) and operation["answer"].get("applied") is False
    return "fail" if refused or told or operation["key"] is None else "unknown"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="faults.clients")
    parser.add_argument("--node", action="append", required=True, help="NAME=HOST:PORT")
    parser.add_argument("--query", required=True)
    parser.add_argument("--history", required=True)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tag", default="run")
    parser.add_argument("--keys", default="", help="begins the keys instead of the tag: a second load on the trips of a first")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--pause", default="0.02,0.08", help="seconds between two operations of a client: LOW,HIGH")
    parser.add_argument("--timeout", type=float, default=6)
    given = parser.parse_args(arguments)
    nodes = dict(node.split("=", 1) for node in given.node)
    plan = Plan(nodes, given.query, given.history, given.seed, given.tag, given.clients, given.partitions,
                tuple(float(part) for part in given.pause.split(",")), given.timeout, keys=given.keys)  # fmt: skip
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    load = Load(plan)
    load.open_trips()
    load.start()
    ended.wait(given.seconds)
    done = load.stop()
    print(json.dumps({**done, "outcomes": count_outcomes(plan.history), "partitions": {trip.id: partition_of(trip.id.encode(), plan.partitions) for trip in plan.trips}}))
    return 1 if done["late"] else 0


if __name__ == "__main__":
    sys.exit(main())
