"""linear - the histories of the hot seats as operations on single seats, for Porcupine (../linear decides; its model.go says what each kind means).

Each key's effect is one operation: from the begin of its first attempt that was not refused, nor told that all was so already, to the end of the first that was told of it. An attempt
whose outcome nobody was told is taken from the log: void for good, it had no effect; valid, it had one before somebody was told of a later record.
That a hold's time ran out is the owner's own event: it happened after what stands before it was asked for, and before somebody was told of what
stands behind it. Refusals and "already so" are one operation an attempt. Of reads only the strong ones can be linearizable: they carry the newest
position that anyone had been told when they began.
"""
import collections
import json
import subprocess

from . import answers, trip
from .commands import is_of_record
from .fold import places_of, stretch_of
from .operations import FOREVER

ABSENT, HELD, BOOKED, RELEASED, EXPIRED, CANCELLED = range(6)
HOT_SEATS_MAX = 64  # trips with more seats are the cold ones
LIMIT_S = 120
# What must be so of a claim when its client is told this.
TOLD = {"hold-expired": [EXPIRED], "hold-released": [RELEASED], "hold-confirmed": [BOOKED], "booking-cancelled": [CANCELLED], "hold-limit": [HELD],
        "unknown-booking": [ABSENT, HELD, RELEASED, EXPIRED], "unknown-hold": [ABSENT]}  # fmt: skip
ALREADY = {"confirm": [BOOKED], "release": [RELEASED], "extend": [HELD], "cancel": [CANCELLED], "change": [BOOKED]}


class Seats:
    """Operations by seat, (trip, section, seat)."""

    def __init__(self, fold, timeline, found):
        self.fold, self.timeline = fold, timeline
        self.operations = []
        self.numbers = collections.defaultdict(dict)  # seat -> claim -> number
        self.trip = found
        self.by_claim = collections.defaultdict(set)  # claim -> seats that it ever had
        self.held_on = {}  # claim -> those that it began with: a hold does not move, a booking may
        self.asked = set()  # claims whose end somebody was told

    def add(self, place, call, back, kind, claim=None, start=0, end=0, was=0, now=0, any_of=(), text=""):
        number = -1 if claim is None else self.numbers[place].setdefault(claim, len(self.numbers[place]))
        self.operations.append({"seat": f"{self.trip.id}/{place[0]}/{place[1]}", "call": call, "return": max(call, min(back, FOREVER - 1)), "kind": kind, "claim": number,
                                "from": start, "to": end, "was": was, "now": now, "any": list(any_of), "text": text})  # fmt: skip

    # ---- what the log made ----

    def add_events(self, records, groups):
        """records: offset -> (name, event) of this trip's valid ones."""
        for offset, (name, event) in records:
            claim = event.get("hold", event.get("booking"))
            if claim is not None and "places" in event:
                self.by_claim[claim] |= set(places_of(event["places"])) | set(places_of(event.get("old_places", [])))
        for offset, (name, event) in records:
            if name in ("TripOpened", "SaleClosed", "TripCancelled"):
                continue
            # Who was told "already so" under this key, by another record, was told of another moment: nothing was done then, and no key is remembered of it.
            made_it = [op for op in groups.get(event["meta"]["command"], ()) if op.outcome != "accepted" or op.position is None or op.position[1] == offset]
            call, back = self.interval(offset, made_it)
            self.add_event(call, back, name, event)

    def interval(self, offset, group):
        told = [op.end for op in group if op.outcome == "accepted"]
        asked = [op.begin for op in group if op.outcome != "refused"]
        call = min(asked) if asked else self.timeline.in_log_after(offset)
        return call, min(told + [self.timeline.in_log_by(offset)])

    def add_event(self, call, back, name, event):
        claim = event.get("hold", event.get("booking"))
        if name == "HoldExtended":
            for place in self.held_on[claim]:
                self.add(place, call, back, "is", claim, any_of=[HELD])
            return
        places, start, end = places_of(event["places"]), event["from"], event["to"]
        if name == "SeatsHeld":
            self.held_on[claim] = places
            for place in places:
                self.add(place, call, back, "take", claim, start, end, was=HELD)
        elif name == "BookingChanged":
            self.add_change(call, back, claim, set(places_of(event["old_places"])), set(places), start, end)
        else:
            was, now = {"HoldConfirmed": (HELD, BOOKED), "HoldReleased": (HELD, RELEASED), "HoldExpired": (HELD, EXPIRED), "BookingCancelled": (BOOKED, CANCELLED)}[name]
            keep = now == BOOKED or claim in self.asked  # an end that nobody asks about is forgotten, so that states stay small
            for place in places:
                self.add(place, call, back, "turn", claim, was=was, now=now if keep else ABSENT)

    def add_change(self, call, back, claim, old, new, start, end):
        for place in old - new:
            self.add(place, call, back, "turn", claim, was=BOOKED, now=ABSENT)
        for place in new - old:
            self.add(place, call, back, "take", claim, start, end, was=BOOKED)
        for place in new & old:
            self.add(place, call, back, "move", claim, start, end)

    # ---- what clients were told besides ----

    def note_asked(self, attempts):
        for op in attempts:
            if op.problem in TOLD or op.outcome == "accepted":
                self.asked.add(op.target)

    def add_told(self, op):
        """A refusal or an "already so" of one attempt. False: it is not modelled."""
        if op.outcome == "accepted" or op.problem in TOLD:
            wanted = ALREADY.get(op.op) if op.outcome == "accepted" else TOLD[op.problem]
            places = self.by_claim.get(op.target, ())
            if wanted is None or len(places) != 1:
                return False  # a claim that moved: which of its seats knows, is not to be told from outside
            self.add(next(iter(places)), op.begin, op.end, "is", op.target, any_of=wanted)
            return True
        if op.problem != "seat-taken":
            return False
        return self.add_taken(op)

    def add_taken(self, op):
        start, end, named = answers.wishes(self.trip, op)
        if named is None or start is None or end is None:
            return False
        taken = op.answer.get("taken", [])
        for place in named:
            is_taken = answers.seats_shown(self.trip, [place])[0] in taken
            claim = op.target if op.op == "change" and op.target in self.numbers[place] else None
            self.add(place, op.begin, op.end, "taken" if is_taken else "free", claim, start, end)
        return True

    def add_read(self, op):
        start, end = stretch_of(op.path, self.trip)
        letters = iter(op.answer["states"])
        for section, found in enumerate(self.trip.sections):
            for seat, label in enumerate(found["seats"]):
                if label is not None:
                    self.add((section, seat), op.begin, op.end, "read", start=start, end=end, text=next(letters))


def prepare(operations, folds, timelines, report):
    """All operations on hot seats."""
    groups, by_trip, prepared = collections.defaultdict(list), collections.defaultdict(list), []
    for op in operations:
        by_trip[op.trip].append(op)
        if op.digest is not None:
            groups[op.digest].append(op)
    for partition, fold in folds.items():
        for found in fold.trips.values():
            if found.id in by_trip and found.status == "open" and sum(len(section["seats"]) for section in found.sections) <= HOT_SEATS_MAX and found.id not in fold.stopped:
                prepared += prepare_trip(Seats(fold, timelines[partition], found), by_trip[found.id], groups, report)
    return prepared


def prepare_trip(seats, operations, groups, report):
    fold = seats.fold
    own = {digest: [(made.partition, made.offset) for made in records] for digest, records in fold.made.items()}
    told = [op for op in operations if op.key is not None and op.outcome != "unknown" and not is_of_record(op, own.get(op.digest, ())) and op.problem != "key-reused"]
    seats.note_asked(told)
    seats.add_events([(record.offset, record.event) for record in fold.chain.records
                      if record.valid and record.event and record.key == seats.trip.id.encode()], groups)  # fmt: skip
    for op in told:
        report.count("linear_told" if seats.add_told(op) else "linear_told_not_modelled")
    for op in operations:
        if op.op == "read" and op.status == 200 and op.strong:
            report.count("linear_reads")
            seats.add_read(op)
    return seats.operations


def check(program, operations, folds, timelines, report, limit_s=LIMIT_S):
    """A seat that is not linearizable is a violation, and so is one that is not decided in time."""
    prepared = prepare(operations, folds, timelines, report)
    lines = "".join(json.dumps(operation) + "\n" for operation in prepared)
    done = subprocess.run([program, "-seconds", str(limit_s)], input=lines, capture_output=True, text=True, timeout=limit_s + 120)
    if done.returncode not in (0, 1, 2):
        report.violation("linear-failed", f"{program} ended with {done.returncode}", errors=done.stderr[-500:])
        return
    told = json.loads(done.stdout)
    report.count("linear_seats", told["seats"])
    report.count("linear_operations", told["operations"])
    for verdict in told["illegal"]:
        report.violation("not-linearizable", f"seat {verdict['seat']}: no order explains what {verdict['operations']} operations were told", placed=verdict["placed"], evidence=verdict["evidence"])
    for verdict in told["unknown"]:
        report.violation("linear-unknown", f"seat {verdict['seat']}: not decided in time", operations=verdict["operations"])


assert (trip.HELD, trip.BOOKED, trip.RELEASED, trip.EXPIRED, trip.CANCELLED) == (HELD - 1, BOOKED - 1, RELEASED - 1, EXPIRED - 1, CANCELLED - 1)
