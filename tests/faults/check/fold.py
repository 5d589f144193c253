"""fold - one partition from its first record to its last: the rule, the log's own records, the deadlines, the trips, and, at each point of it, the
operations that were told something which must be so there.

A Question is an answer that appended nothing ("seat taken", "already so"): it must be true in some prefix of the log that its client can have met,
from what was known when it was asked to what can have been there when it was answered."""
import collections
import dataclasses
import heapq

from . import answers, rule
from .avro import microseconds
from .trip import HELD, Trip, digest_of_partition, places_of

CLIENT_EVENTS = {"TripOpened", "SeatsHeld", "HoldExtended", "HoldConfirmed", "HoldReleased", "BookingChanged", "BookingCancelled", "SaleClosed", "TripCancelled"}


@dataclasses.dataclass
class Question:
    """holds(trip): is it so in this state? Prefixes are named by their last offset; -1 is the empty log."""

    op: object
    holds: object
    first: int
    last: int
    kind: str


@dataclasses.dataclass
class Made:
    """A valid record of a client's command, and the answer that it makes."""

    partition: int
    offset: int
    id: bytes
    name: str
    event: dict
    stream: str
    time: int
    answer: dict
    wrong: str | None  # how it differs from what was asked for, if that is known


class PartitionFold:
    def __init__(self, chain, schemas, report, partitions):
        self.chain, self.report, self.partitions = chain, report, partitions
        self.trips, self.log_time = {}, 0
        self.opened = None
        self.made = collections.defaultdict(list)  # command digest -> [Made]
        self.version_offsets = collections.defaultdict(list)  # trip -> offset of version 1, 2, …
        self.rows = collections.defaultdict(list)  # ("holds" | "bookings", id) -> [row], each as it was from its offset on
        self.maps = collections.defaultdict(list)  # (trip, version) -> reads of it, judged when the fold is there
        self.questions = collections.defaultdict(list)  # trip -> [Question], in order of first
        self.asked_by = {}  # command digest -> an operation that asked, for wrong_effect
        self.deadlines, self.takeovers, self.stopped = [], [], {}
        self.positions = {-1: (0, rule.ZERO)}  # last offset -> (height, head), to check what owners say that they had proved
        self._decode(schemas)

    def where(self, record):
        return f"{self.chain.partition}@{record.offset}"

    def _decode(self, schemas):
        for record in self.chain.records:
            if record.valid:
                try:
                    record.event = schemas.decode(record.value)
                except ValueError as reason:
                    self.report.violation("undecodable", str(reason), at=self.where(record))

    # ---- the fold ----

    def run(self):
        height = 0
        for expected, found in self.chain.jumps:
            self.report.violation("jump", f"offset {found} stands where {expected} was expected", partition=self.chain.partition)
        self.pending = {trip: collections.deque(sorted(questions, key=lambda question: question.first)) for trip, questions in self.questions.items()}
        self.active = collections.defaultdict(list)
        for record in self.chain.records:
            if record.valid:
                height += 1
                if record.event is not None:
                    self._fold(record, height)
                self.positions[record.offset] = (height, record.id)
            else:
                self.positions[record.offset] = (height, self.positions[record.offset - 1][1] if record.offset - 1 in self.positions else rule.ZERO)
                self.report.count("void_" + record.void_cause)
        for trip in list(self.pending):
            self._activate(trip, 1 << 62)
            self._retire(trip, 1 << 62)
        for reads in self.maps.values():
            for op in reads:
                self.report.violation("read-of-nothing", "a seat map has a version that the trip never had", operation=op, version=op.answer.get("version"))

    def _fold(self, record, height):
        name, event = record.event
        time = microseconds(event["meta"]["time"])
        if time < self.log_time:
            self.report.violation("time-backwards", f"meta.time {time} follows {self.log_time}", at=self.where(record))
        self.log_time = max(self.log_time, time)
        if height == 1:
            self._log_opened(record, name, event)
        if record.key == rule.LOG_KEY:
            self._log_record(record, name, event)
            return
        if rule.partition_of(record.key, self.partitions) != self.chain.partition:
            self.report.violation("wrong-partition", f"{record.key} is of partition {rule.partition_of(record.key, self.partitions)}", at=self.where(record))
        key = record.key.decode("utf-8", "replace")
        trip = self.trips.setdefault(record.key, Trip(key))
        if event["meta"]["command"] != rule.ZERO:
            self._check_due(record, name, time)
        self._activate(key, record.offset)
        op = self.asked_by.get(event["meta"]["command"])
        wrong = answers.wrong_effect(trip, op, name, event, time) if op is not None and trip.version + 1 == event["meta"]["version"] else None
        contradiction = trip.apply(record.offset, name, event)
        if contradiction:
            self.stopped[key] = contradiction
            self.report.violation("double-booking" if "double booking" in contradiction else "contradiction", f"{name} of {key}: {contradiction}", at=self.where(record))
            return
        self._after(record, trip, name, event, time, wrong)

    def _log_opened(self, record, name, event):
        self.opened = event if name == "LogOpened" else None
        if name != "LogOpened" or event["partition"] != self.chain.partition or event["partition_count"] != self.partitions:
            self.report.violation("log-not-opened", f"the first valid record is {name} {event}", at=self.where(record))

    def _log_record(self, record, name, event):
        self.report.count("log_" + name)
        if name != "OwnerTookOver":
            return
        self.takeovers.append((record.offset, event["node"]))
        said = (event["proved_height"], event["proved_head"])
        known = self.positions.get(event["proved_offset"] - 1)
        if event["proved_offset"] > record.offset or known != said:
            self.report.violation("owner-proved-another-log", f"{event['node']} says that before {event['proved_offset']} it had proved {said[0]} records to {said[1].hex()}; here it is {known}",
                                  at=self.where(record))  # fmt: skip

    def _check_due(self, record, name, time):
        """docs/protocol.md 1.7: no command stands before an expiry that was due at its time."""
        while self.deadlines:
            due, key, hold = self.deadlines[0]
            claim = self.trips[key].claims.get(hold)
            if claim is not None and claim.status == HELD and claim.expires_at == due:
                if due <= time:
                    self.report.violation("deadline-late", f"{name} at {time} stands before the expiry of {hold.hex()}, due at {due}", at=self.where(record))
                    heapq.heappop(self.deadlines)
                    continue
                return
            heapq.heappop(self.deadlines)

    def _after(self, record, trip, name, event, time, wrong):
        key = trip.id
        self.version_offsets[key].append(record.offset)
        claim_id = event.get("hold", event.get("booking"))
        if name in ("SeatsHeld", "HoldExtended"):
            heapq.heappush(self.deadlines, (trip.claims[claim_id].expires_at, record.key, claim_id))
        if event["meta"]["command"] != rule.ZERO:
            made = Made(self.chain.partition, record.offset, record.id, name, event, key, time, answers.of_event(trip, name, event) if name in CLIENT_EVENTS - {"SaleClosed", "TripCancelled"} else {}, wrong)
            self.made[event["meta"]["command"]].append(made)
        elif name in CLIENT_EVENTS:
            self.report.violation("nobody-asked", f"{name} without a command", at=self.where(record))
        self._write_rows(record.offset, trip, name, claim_id)
        for op in self.maps.pop((key, trip.version), ()):
            self._check_map(op, trip, record)
        self.active[key] = [question for question in self.active[key] if not self._settled(question, trip, record.offset)]

    def _write_rows(self, offset, trip, name, claim_id):
        if claim_id is None:
            return
        claim = trip.claims[claim_id] if claim_id in trip.claims else None
        if claim is None:
            return
        base = {"offset": offset, "trip": trip.id, "customer": claim.customer, "from": claim.start, "to": claim.end, "places": list(claim.places), "version": trip.version}
        if name in ("SeatsHeld", "HoldExtended", "HoldConfirmed", "HoldReleased", "HoldExpired"):
            status = {"HoldConfirmed": "confirmed", "HoldReleased": "released", "HoldExpired": "expired"}.get(name, "held")
            self.rows["holds", claim_id].append({**base, "status": status, "held_at": claim.held_at, "expires_at": claim.expires_at})
        if name in ("HoldConfirmed", "BookingChanged", "BookingCancelled"):
            status = "cancelled" if name == "BookingCancelled" else "confirmed"
            self.rows["bookings", claim_id].append({**base, "status": status, "booked_at": claim.booked_at, "changed_at": claim.changed_at})

    def _check_map(self, op, trip, record):
        start, end = stretch_of(op.path, trip)
        answer = op.answer
        self.report.count("reads_judged")
        if answer["states"] != trip.states(start, end) or answer["free"] != trip.free_count(start, end) or answer["status"] != trip.status:
            self.report.violation("wrong-read", f"the seat map of {trip.id} at version {trip.version} is another", operation=op, at=self.where(record),
                                  told=(answer["status"], answer["free"], answer["states"][:80]), fold=(trip.status, trip.free_count(start, end), trip.states(start, end)[:80]))  # fmt: skip

    # ---- questions ----

    def _activate(self, key, before_offset):
        """Those whose first prefix is before this offset are asked of the state as it is before it."""
        waiting, trip = self.pending.get(key), self.trips.get(key.encode(), Trip(key))
        while waiting and waiting[0].first < before_offset:
            question = waiting.popleft()
            if not question.holds(trip, question.op):
                self.active[key].append(question)
            else:
                self.report.count("refusals_judged")

    def _settled(self, question, trip, offset):
        """Answered yes, or too late for it: then it was false all the time."""
        if question.last < offset:
            self._false(question)
            return True
        if question.holds(trip, question.op):
            self.report.count("refusals_judged")
            return True
        return False

    def _retire(self, key, offset):
        for question in self.active.pop(key, ()):
            self._false(question)

    def _false(self, question):
        op = question.op
        self.report.count("refusals_judged")
        self.report.violation(question.kind, f"{op.op} was answered {op.status} {op.problem}: that was so at no moment from its begin to its end", operation=op, key=op.key,
                              trip=op.trip, prefixes=(question.first, question.last), answer=op.answer)  # fmt: skip

    def digest(self):
        return digest_of_partition(self.trips, self.log_time)


def stretch_of(path, trip):
    given = dict(pair.split("=") for pair in path.partition("?")[2].split("&") if "=" in pair)
    start = answers.point_of(trip, given["from"]) if "from" in given else 0
    end = answers.point_of(trip, given["to"]) if "to" in given else len(trip.points) - 1
    return start, end


__all__ = ["Made", "PartitionFold", "Question", "places_of", "stretch_of"]
