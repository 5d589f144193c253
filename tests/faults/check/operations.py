"""operations - the histories of the clients, and what the order of begins, ends and positions says about when a record came to be.

All times are CLOCK_MONOTONIC of one machine. A Timeline gives bounds that hold whatever the nodes' clocks do: what was told to anyone before an
operation began had happened before it; what was asked after it ended had not."""
import bisect
import collections
import json
import pathlib
import re

from . import rule

COMMANDS = {"open": "OpenTrip", "hold": "HoldSeats", "confirm": "ConfirmHold", "release": "ReleaseHold", "extend": "ExtendHold",
            "change": "ChangeBooking", "cancel": "CancelBooking"}  # fmt: skip
MAKES = {"open", "hold", "confirm"}  # 201; the others 200
POSITION = re.compile(r"^trip/(\d+)@(\d+)-([0-9a-f]{8})$")
FOREVER = 1 << 63


class Operation:
    """A line of a history. Its text is kept, as evidence."""

    __slots__ = ("file", "line", "op", "node", "begin", "end", "trip", "key", "path", "request", "status", "answer", "position", "min_position", "replayed", "attempt",
                 "abandoned", "strong", "client", "digest")  # fmt: skip

    def __init__(self, file, line, given):
        self.file, self.line = file, line
        self.op, self.node, self.begin, self.end = given["op"], given["node"], given["begin_ns"], given["end_ns"]
        self.client, self.trip, self.key, self.path, self.request = given["client"], given["trip"], given["key"], given["path"], given["request"]
        self.status, self.answer, self.replayed, self.attempt = given["status"], given["answer"], given["replayed"], given["attempt"]
        self.abandoned, self.strong = given["abandoned"], given.get("strong", False)
        self.position, self.min_position = parse_position(given["position"]), parse_position(given["min_position"])
        self.digest = key_digest(COMMANDS[self.op], self.trip, self.key) if self.key is not None else None

    @property
    def outcome(self):
        """accepted, refused (it was said that this attempt did nothing), or unknown."""
        if self.status is not None and self.status < 300:
            return "accepted"
        if self.status is not None and 400 <= self.status < 500 and self.status != 429:
            return "refused"
        return "refused" if isinstance(self.answer, dict) and self.answer.get("applied") is False else "unknown"

    @property
    def problem(self):
        return str(self.answer.get("type", "")).rpartition(":")[2] if isinstance(self.answer, dict) else ""

    @property
    def target(self):
        """The hold or booking that the path names."""
        parts = self.path.partition("?")[0].split("/")
        for name in ("holds", "bookings"):
            if name in parts and parts.index(name) + 1 < len(parts):
                return bytes.fromhex(parts[parts.index(name) + 1])
        return None

    def __str__(self):
        return f"{self.file}:{self.line}"


def parse_position(text):
    """(partition, offset, first bytes of the id), or None."""
    found = POSITION.match(text or "")
    return (int(found[1]), int(found[2]), bytes.fromhex(found[3])) if found else None


def key_digest(command, trip, key, actor="anonymous"):
    """docs/protocol.md 1.6: of (tenant, principal, command type, stream, idempotency key)."""
    return rule.digest_of_parts(b"", actor.encode(), command.encode(), trip.encode(), key.encode())


def read(folder):
    """All operations of a folder's files, and how many lines were cut short (by a client that was killed)."""
    found, torn = [], 0
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        with open(path, encoding="utf-8") as file:
            for line, text in enumerate(file, 1):
                try:
                    given = json.loads(text)
                except ValueError:
                    torn += 1
                    continue
                found.append(Operation(path.name, line, given))
    return found, torn


class Timeline:
    """Of one partition: which prefixes of the log an operation can have seen."""

    def __init__(self, partition, operations, chain):
        acks = sorted((op.end, op.position[1]) for op in operations if op.position and op.position[0] == partition)
        self.ack_ends, self.ack_offsets, newest = [], [], -1
        for end, offset in acks:
            newest = max(newest, offset)
            self.ack_ends.append(end)
            self.ack_offsets.append(newest)
        by_offset = sorted((offset, end) for end, offset in acks)
        self.told_offsets, self.told_ends, earliest = [], [], FOREVER
        for offset, end in reversed(by_offset):
            earliest = min(earliest, end)
            self.told_offsets.append(-offset)
            self.told_ends.append(earliest)
        self.first_begin = collections.defaultdict(lambda: FOREVER)
        for op in operations:
            if op.digest is not None:
                self.first_begin[op.digest] = min(self.first_begin[op.digest], op.begin)
        self.begin_offsets, self.begins, latest = [], [], -1
        for record in chain.records:
            begin = self.first_begin.get(record.event[1]["meta"]["command"]) if record.valid and record.event else None
            if begin is not None and begin > latest:
                latest = begin
                self.begin_offsets.append(record.offset)
                self.begins.append(begin)
        self.end = chain.next_offset - 1

    def known_at(self, time):
        """The last offset that somebody had been told of before this time; -1: none. Whoever begins then finds it in the log."""
        index = bisect.bisect_left(self.ack_ends, time)
        return self.ack_offsets[index - 1] if index else -1

    def last_possible_at(self, time):
        """The last offset that can have been in the log at this time: before the first record that was asked for later."""
        index = bisect.bisect_right(self.begins, time)
        return self.begin_offsets[index] - 1 if index < len(self.begins) else self.end

    def in_log_by(self, offset):
        """A time at which the record at this offset was in the log for sure; FOREVER if nobody was told of it or of a later one."""
        index = bisect.bisect_right(self.told_offsets, -offset)
        return self.told_ends[index - 1] if index else FOREVER

    def in_log_after(self, offset):
        """A time before which the record at this offset cannot have been there: something at or before it was asked for then. 0: unknown."""
        index = bisect.bisect_right(self.begin_offsets, offset)
        return self.begins[index - 1] if index else 0
