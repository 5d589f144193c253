"""client - one customer's program: holds seats, and then confirms, extends, releases, changes, cancels or forgets them; reads in between; sends
keys twice, gives up, tries again. It survives every answer and every outage, and writes down each operation (history.py).

What it does is drawn from a generator of its own seed; what it is told depends on everybody else."""
import concurrent.futures
import random
import threading
import time

from ..check.rule import partition_of
from .board import Positions
from .history import shortened
from .wire import Wire

TWICE, ABANDONED = 0.10, 0.05
REPLAYED_LATER, OTHER_BODY = 0.03, 0.01
ATTEMPTS_MAX = 5
OWN_MAX = 12
KEPT_KEYS_MAX = 50


class Thing:
    """A hold or booking as its client last heard of it."""

    def __init__(self, trip, hold, seats, stretch, state="held"):
        self.trip, self.id, self.seats, self.stretch, self.state = trip, hold, seats, stretch, state
        self.at = time.monotonic()


class Client(threading.Thread):
    def __init__(self, number, plan, board, history):
        """plan: nodes (name -> address), query (address), trips, partitions, seed, tag, keys, pause_s (low, high), timeout_s."""
        super().__init__(name=f"client-{number}", daemon=True)
        self.number, self.plan, self.board, self.history = number, plan, board, history
        self.rng = random.Random(f"{plan.seed}/{number}")
        self.wire = Wire({**plan.nodes, "query": plan.query}, plan.timeout_s)
        self.second_wire = Wire(dict(plan.nodes), plan.timeout_s)
        self.second = concurrent.futures.ThreadPoolExecutor(1)
        self.positions = Positions()
        self.things, self.kept_keys = [], []
        self.keys = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            self.step()
            self.ended.wait(self.rng.uniform(*self.plan.pause_s))
        self.second.shutdown(wait=True)
        self.wire.close()
        self.second_wire.close()

    # ---- what next ----

    def step(self):
        draw = self.rng.random()
        if draw < 0.26:
            self.read()
        elif draw < 0.29 and self.kept_keys:
            self.send_again()
        elif draw < 0.33 and (thing := self.board.any_thing(self.rng)) is not None:
            self.act_on(thing, foreign=True)
        elif draw < 0.78 and self.things:
            self.act_on(self.rng.choice(self.things))
        elif len(self.things) < OWN_MAX:
            self.hold()
        else:
            self.act_on(self.things[0])

    def hold(self):
        hot = self.rng.random() < 0.7
        trip = self.rng.choice([trip for trip in self.plan.trips if trip.hot == hot])
        stretch = sorted(self.rng.sample(range(len(trip.stops)), 2))
        body = {"from": trip.stops[stretch[0]], "to": trip.stops[stretch[1]], "customer": f"customer-{self.number}",
                "ttl_seconds": self.rng.choice([1, 2, 2, 3, 5, 20])}
        if hot:
            body["seats"] = [seat(self.rng.choice(trip.seats))]
        elif self.rng.random() < 0.5:
            first = self.rng.randrange(len(trip.seats) - 3)
            body["seats"] = [seat(place) for place in trip.seats[first:first + self.rng.randint(1, 3)]]
        else:
            body["count"] = self.rng.randint(1, 4)
        answer = self.command("hold", trip, f"/v1/trips/{trip.id}/holds", body)
        if answer.status in (200, 201) and "hold" in answer.body:
            seats = [(place["section"], place["seat"]) for place in answer.body["seats"]]
            thing = Thing(trip, answer.body["hold"], seats, stretch)
            self.things.append(thing)
            self.board.share(thing)

    def act_on(self, thing, foreign=False):
        orders = {"held": ["confirm"] * 5 + ["release"] * 2 + ["extend"] * 2 + ["forget"] * 2,
                  "booked": ["change"] * 4 + ["cancel"] * 5 + ["confirm", "release"], "ended": ["confirm", "cancel", "change", "forget", "forget"]}  # fmt: skip
        order = self.rng.choice(orders[thing.state])
        if order == "forget":
            self.drop(thing)  # its time runs out
        elif order in ("confirm", "release", "extend"):
            body = {"ttl_seconds": self.rng.choice([2, 5, 20])} if order == "extend" else {}
            answer = self.command(order, thing.trip, f"/v1/trips/{thing.trip.id}/holds/{thing.id}/{order}", body)
            self.learn(thing, order, answer, foreign)
        else:
            body = self.change_of(thing) if order == "change" else {}
            answer = self.command(order, thing.trip, f"/v1/trips/{thing.trip.id}/bookings/{thing.id}/{order}", body)
            self.learn(thing, order, answer, foreign)

    def change_of(self, thing):
        trip = thing.trip
        if self.rng.random() < 0.4 and thing.stretch[1] - thing.stretch[0] > 1:
            return {"from": trip.stops[thing.stretch[0]], "to": trip.stops[thing.stretch[1] - 1]}
        first = self.rng.randrange(len(trip.seats) - len(thing.seats) + 1)
        return {"seats": [seat(place) for place in trip.seats[first:first + len(thing.seats)]]}

    def learn(self, thing, order, answer, foreign):
        if foreign or answer.is_unknown:
            return
        if answer.status >= 400:
            if thing.state == "ended" or answer.problem in ("unknown-hold", "unknown-booking"):
                self.drop(thing)
            elif answer.problem == "hold-confirmed":
                thing.state = "booked"
            elif answer.problem not in ("seat-taken", "sold-out", "hold-limit"):
                thing.state = "ended"
        elif order == "confirm":
            thing.state = "booked"
        elif order in ("release", "cancel"):
            thing.state = "ended"
        elif order == "change" and isinstance(answer.body, dict) and "from" in answer.body:
            thing.stretch = [thing.trip.stops.index(answer.body[end]) for end in ("from", "to")]

    def drop(self, thing):
        if thing in self.things:
            self.things.remove(thing)

    # ---- commands ----

    def command(self, op, trip, path, body):
        """One key: sent once, or twice at once, or given up and sent again; and again after no answer. The last answer."""
        self.keys += 1
        key = f"{self.plan.keys or self.plan.tag}-{self.number}-{self.keys}"
        draw = self.rng.random()
        node = self.rng.choice(list(self.plan.nodes))
        if draw < TWICE:
            answer = self.send_twice(op, trip, path, body, key, node)
            attempt = 2
        elif draw < TWICE + ABANDONED:
            self.send(op, trip, path, body, key, node, 1, abandon_after_s=self.rng.uniform(0, 0.03))
            answer = self.send(op, trip, path, body, key, self.another(node), 2)
            attempt = 2
        else:
            answer = self.send(op, trip, path, body, key, node, 1)
            attempt = 1
        while answer.is_unknown and attempt < ATTEMPTS_MAX and self.rng.random() < 0.8 and not self.ended.wait(self.rng.uniform(0.05, 0.3 * attempt)):
            attempt += 1
            answer = self.send(op, trip, path, body, key, self.rng.choice(list(self.plan.nodes)), attempt)
        if not answer.is_unknown and answer.status < 300:
            self.kept_keys.append((op, trip, path, body, key, attempt))
            del self.kept_keys[:-KEPT_KEYS_MAX]
        return answer

    def send_twice(self, op, trip, path, body, key, node):
        other = self.second.submit(self.send, op, trip, path, body, key, self.another(node), 2, wire=self.second_wire)
        answer = self.send(op, trip, path, body, key, node, 1)
        second = other.result()
        return second if answer.is_unknown else answer

    def send_again(self):
        """A key that was accepted earlier, to any node: the same answer; or with another body: told so."""
        op, trip, path, body, key, attempt = self.rng.choice(self.kept_keys)
        if op in ("hold", "extend") and self.rng.random() < OTHER_BODY / REPLAYED_LATER:
            body = {**body, "ttl_seconds": 7}
        self.send(op, trip, path, body, key, self.rng.choice(list(self.plan.nodes)), attempt + 1)

    def another(self, node):
        return self.rng.choice([name for name in self.plan.nodes if name != node] or [node])

    def send(self, op, trip, path, body, key, node, attempt, abandon_after_s=None, wire=None):
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        answer = (wire or self.wire).ask(node, "POST", path, body, headers, abandon_after_s)
        self.note(op, node, answer, trip, path, key, body, attempt=attempt, abandoned=abandon_after_s is not None)
        return answer

    # ---- reads ----

    def read(self):
        own = self.rng.choice(self.things) if self.things and self.rng.random() < 0.35 else None
        if own is None:
            trip = self.rng.choice([trip for trip in self.plan.trips if trip.hot == (self.rng.random() < 0.85)] or self.plan.trips)
            op, path = "read", f"/v1/trips/{trip.id}/seats?from={trip.stops[0]}&to={trip.stops[-1]}"
            if self.rng.random() < 0.6:
                stretch = sorted(self.rng.sample(range(len(trip.stops)), 2))
                path = f"/v1/trips/{trip.id}/seats?from={trip.stops[stretch[0]]}&to={trip.stops[stretch[1]]}"
        else:
            trip = own.trip
            op = "read_booking" if own.state != "held" and self.rng.random() < 0.7 else "read_hold"
            path = f"/v1/bookings/{own.id}" if op == "read_booking" else f"/v1/trips/{trip.id}/holds/{own.id}"
        draw = self.rng.random()
        partition = partition_of(trip.id.encode(), self.plan.partitions)
        strong = draw < 0.4
        begin_ns = time.monotonic_ns()  # before the board is asked: whoever ended before this has told it
        token = self.board.positions.of(partition) if strong else self.positions.of(partition) if draw < 0.8 else None
        answer = self.wire.ask("query", "GET", path, None, {"Berth-Min-Position": token} if token else {})
        answer.begin_ns = begin_ns
        self.note(op, "query", answer, trip, path, None, None, min_position=token, strong=strong and token is not None)

    def note(self, op, node, answer, trip, path, key, request, attempt=1, abandoned=False, min_position=None, strong=False):
        position = answer.headers.get("Berth-Position")
        self.positions.see(position)
        self.board.positions.see(position)
        if answer.status is not None:
            answer.end_ns = time.monotonic_ns()  # after the board was told: whoever begins later finds it there
        self.history.write({
            "client": self.number, "op": op, "node": node, "begin_ns": answer.begin_ns, "end_ns": answer.end_ns, "wall": time.time(), "trip": trip.id,
            "key": key, "path": path, "request": request, "status": answer.status, "answer": shortened(answer.body), "position": position,
            "min_position": min_position, "replayed": answer.headers.get("Idempotent-Replayed") == "true", "attempt": attempt, "abandoned": abandoned,
            "strong": strong, "error": answer.error})  # fmt: skip


def seat(place):
    return {"section": place[0], "seat": place[1]}
