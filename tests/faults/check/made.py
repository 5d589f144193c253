"""made - a log and a history made by hand, for the tests of the checker: what a right system would have written, then spoiled in one place.

A Story is one partition with one trip. Each order appends what a right owner would have appended, and writes down what a right client would have been
told; the tests then change a record, a line or a row. Time goes on by one second an order, on both clocks."""
import copy
import datetime

from . import answers, operations, rule, trip
from .avro import Schemas

SCHEMAS = Schemas()
T0_US = 1_893_456_000_000_000  # 2030-01-01
TRIP = "t-1"
DAY_US = 86_400_000_000
PATHS = {"hold": "/v1/trips/{trip}/holds", "confirm": "/v1/trips/{trip}/holds/{target}/confirm", "release": "/v1/trips/{trip}/holds/{target}/release",
         "extend": "/v1/trips/{trip}/holds/{target}/extend", "change": "/v1/trips/{trip}/bookings/{target}/change",
         "cancel": "/v1/trips/{trip}/bookings/{target}/cancel", "open": "/v1/trips"}  # fmt: skip


class Story:
    def __init__(self):
        self.records, self.lines, self.head, self.height = [], [], rule.ZERO, 0
        self.now_us, self.now_ns, self.keys = T0_US, 10**12, 0
        self.state = trip.Trip(TRIP)
        self.append(rule.LOG_KEY, "LogOpened", {"log": b"L" * 16, "topic": "berth.trip", "partition": 0, "partition_count": 1, "registry": "berth"})
        self.take_over("node1")
        self.open()

    # ---- the log ----

    def meta(self, version=0, command=rule.ZERO):
        return {"parent": self.head, "version": version, "time": self.now_us, "command": command, "body": b"b" * 16 if command != rule.ZERO else rule.ZERO, "actor": "anonymous"}

    def value(self, name, fields, meta=None):
        return SCHEMAS.encode(name, {"meta": meta or self.meta(self.height + 1), **fields})

    def append(self, key, name, fields, meta=None):
        """A valid record. Returns it."""
        value = self.value(name, fields, meta)
        record = self.raw(key, value)
        self.head, self.height = rule.record_id(key, value), self.height + 1
        return record

    def raw(self, key, value):
        record = rule.Record(len(self.records), key, value)
        self.records.append(record)
        return record

    def take_over(self, node, **said):
        fields = {"node": node, "address": "127.0.0.1:1", "schemas": b"s" * 16, "nonce": len(self.records).to_bytes(16, "big"), "proved_offset": len(self.records),
                  "proved_height": self.height, "proved_head": self.head, **said}  # fmt: skip
        return self.append(rule.LOG_KEY, "OwnerTookOver", fields)

    def event(self, name, fields, digest=rule.ZERO):
        """An event of the trip, folded too."""
        meta = self.meta(self.state.version + 1, digest)
        record = self.append(TRIP.encode(), name, fields, meta)
        decoded = SCHEMAS.decode(record.value)[1]
        wrong = self.state.apply(record.offset, name, decoded)
        assert wrong is None, wrong
        return record, decoded

    # ---- orders, and what the client was told ----

    def tick(self):
        self.now_us += 1_000_000
        self.now_ns += 1_000_000_000

    def token(self, record):
        return f"trip/0@{record.offset}-{rule.record_id(record.key, record.value)[:4].hex()}"

    def note(self, op, key, request, status, answer, position, target="", replayed=False, attempt=1, **more):
        line = {"client": 1, "op": op, "node": "node1", "begin_ns": self.now_ns, "end_ns": self.now_ns + 500_000_000, "wall": 0, "trip": TRIP, "key": key,
                "path": PATHS.get(op, "").format(trip=TRIP, target=target), "request": request, "status": status, "answer": answer, "position": position,
                "min_position": None, "replayed": replayed, "attempt": attempt, "abandoned": False, "strong": False, **more}  # fmt: skip
        self.lines.append(line)
        return line

    def key(self):
        self.keys += 1
        return f"k{self.keys}"

    def order(self, op, name, fields, request, target="", status=None):
        """An accepted command: its record, and its line."""
        self.tick()
        key = self.key()
        record, event = self.event(name, fields(operations.key_digest(operations.COMMANDS[op], TRIP, key)), operations.key_digest(operations.COMMANDS[op], TRIP, key))
        answer = shown(answers.of_event(self.state, name, event))
        return record, self.note(op, key, request, status or (201 if op in operations.MAKES else 200), answer, self.token(record), target)

    def open(self):
        def fields(_):
            points = [{"stop": stop, "name": stop, "arrives_at": T0_US + DAY_US * (index + 1), "departs_at": T0_US + DAY_US * (index + 1), "board": True, "alight": True}
                      for index, stop in enumerate("ABC")]  # fmt: skip
            return {"name": "Trip", "timezone": "UTC", "points": points,
                    "sections": [{"name": "car", "class": "second", "seats": ["1", "2", None, "3"], "blocked": [], "capacity": 0}]}  # fmt: skip

        return self.order("open", "TripOpened", fields, {"points": [{"stop": stop} for stop in "ABC"]})

    def hold(self, seat=0, start=0, end=2, ttl=60):
        label = self.state.sections[0]["seats"][seat]
        request = {"from": "ABC"[start], "to": "ABC"[end], "customer": "c-1", "ttl_seconds": ttl, "seats": [{"section": "car", "seat": label}]}

        def fields(digest):
            return {"hold": digest, "from": start, "to": end, "places": [{"section": 0, "seat": seat}], "customer": "c-1", "expires_at": self.now_us + ttl * 1_000_000}

        record, line = self.order("hold", "SeatsHeld", fields, request)
        return operations.key_digest("HoldSeats", TRIP, line["key"]), record, line

    def told_of(self, hold):
        claim = self.state.claims[hold]
        return {"from": claim.start, "to": claim.end, "places": [{"section": section, "seat": seat} for section, seat in claim.places]}

    def confirm(self, hold):
        return self.order("confirm", "HoldConfirmed", lambda _: {"hold": hold, **self.told_of(hold), "customer": "c-1"}, {}, hold.hex())

    def cancel(self, hold):
        return self.order("cancel", "BookingCancelled", lambda _: {"booking": hold, **self.told_of(hold), "customer": "c-1"}, {}, hold.hex())

    def release(self, hold):
        return self.order("release", "HoldReleased", lambda _: {"hold": hold, **self.told_of(hold)}, {}, hold.hex())

    def expire(self, hold):
        self.tick()
        self.now_us = max(self.now_us, self.state.claims[hold].expires_at)
        return self.event("HoldExpired", {"hold": hold, **self.told_of(hold)})[0]

    def refuse_taken(self, seat=0, start=0, end=2, free=None):
        """seat-taken, as it is true now."""
        self.tick()
        wanted = {"section": "car", "seat": self.state.sections[0]["seats"][seat]}
        request = {"from": "ABC"[start], "to": "ABC"[end], "customer": "c-2", "ttl_seconds": 60, "seats": [wanted]}
        answer = {"type": "urn:berth:problem:seat-taken", "status": 409, "taken": [wanted], "free": self.state.free_count(start, end) if free is None else free}
        return self.note("hold", self.key(), request, 409, answer, None)

    def read(self, token=None, version=None):
        """The seat map as it is now."""
        self.tick()
        answer = {"trip": TRIP, "from": "A", "to": "C", "status": self.state.status, "version": version or self.state.version, "free": self.state.free_count(0, 2),
                  "states": self.state.states(0, 2)}  # fmt: skip
        line = self.note("read", None, None, 200, answer, None, min_position=token)
        line["path"] = f"/v1/trips/{TRIP}/seats?from=A&to=C"
        return line

    def read_booking(self, hold, token=None):
        self.tick()
        claim = self.state.claims[hold]
        answer = {"booking": hold.hex(), "trip": TRIP, "customer": "c-1", "status": "booked" if claim.status == trip.BOOKED else "cancelled", "from": "ABC"[claim.start],
                  "to": "ABC"[claim.end], "seats": answers.seats_shown(self.state, claim.places), "booked_at": rfc3339(claim.booked_at),
                  "changed_at": rfc3339(claim.changed_at), "version": claim.version}  # fmt: skip
        line = self.note("read_booking", None, None, 200, answer, None, min_position=token)
        line["path"] = f"/v1/bookings/{hold.hex()}"
        return line

    # ---- for the checker ----

    def logs(self):
        return {0: [rule.Record(record.offset, record.key, record.value) for record in self.records]}

    def operations(self):
        return [operations.Operation("made.jsonl", number, copy.deepcopy(line)) for number, line in enumerate(self.lines, 1)]


def rfc3339(time_us):
    return datetime.datetime.fromtimestamp(time_us / 1e6, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def shown(body):
    """Times as an HTTP answer has them."""
    if isinstance(body, dict):
        return {name: rfc3339(value) if name in answers.TIMES else shown(value) for name, value in body.items()}
    return [shown(item) for item in body] if isinstance(body, list) else body
