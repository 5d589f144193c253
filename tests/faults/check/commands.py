"""commands - every answer to a command held against the log: what was accepted is there once, where it was said to be; what was refused is not; a
key has one answer; an unknown outcome happened once or never.

First `prepare` (before the fold) turns answers that appended nothing into questions; then, after it, `judge` looks at every key."""
import collections

from . import answers
from .fold import Question
from .operations import COMMANDS, FOREVER, MAKES


class Keys:
    def __init__(self, operations, timelines, partition_of, report):
        self.timelines, self.partition_of, self.report = timelines, partition_of, report
        self.groups = collections.defaultdict(list)
        for op in operations:
            if op.digest is not None:
                self.groups[op.digest].append(op)
        for group in self.groups.values():
            group.sort(key=lambda op: (op.begin, op.attempt))

    def prepare(self, folds, chains):
        """Asks the folds; the log's offsets of each key are needed before, and are read off the records' meta."""
        offsets = collections.defaultdict(list)
        for partition, chain in chains.items():
            for record in chain.records:
                if record.valid and record.event and record.event[1]["meta"]["command"].strip(b"\0"):
                    offsets[record.event[1]["meta"]["command"]].append((partition, record.offset))
        self.offsets = offsets
        for digest, group in self.groups.items():
            folds[self.partition_of(group[0].trip)].asked_by[digest] = group[0]
            for op in group:
                self._ask(op, offsets.get(digest, []), folds)

    def _ask(self, op, own, folds):
        if op.outcome == "unknown" or is_of_record(op, own) or op.problem == "key-reused":
            return
        partition = self.partition_of(op.trip)
        timeline = self.timelines[partition]
        first, last = timeline.known_at(op.begin), timeline.last_possible_at(op.end)
        own_later = [offset for _, offset in own if offset > first]
        if own_later:  # had its own record been there, it would have been answered from that
            last = min(last, own_later[0] - 1)
        if op.outcome == "accepted" and op.status == 201:
            return  # it says that it made something: judge looks for its record
        if op.outcome == "accepted":
            folds[partition].questions[op.trip].append(Question(op, answers.is_already, first, last, "false-already"))
        elif op.problem in answers.REFUSALS:
            folds[partition].questions[op.trip].append(Question(op, answers.REFUSALS[op.problem], first, last, "false-refusal"))
        elif op.status < 500:
            self.report.count("refusals_not_judged")

    # ---- after the fold ----

    def judge(self, folds, chains):
        made = collections.defaultdict(list)
        for fold in folds.values():
            for digest, records in fold.made.items():
                made[digest] += records
        for digest, group in self.groups.items():
            self._judge_key(group, made.get(digest, []), chains)
        self.report.count("records_of_unknown_clients", sum(len(records) for digest, records in made.items() if digest not in self.groups))

    def _judge_key(self, group, records, chains):
        if len(records) > 1:
            self.report.violation("applied-twice", f"key {group[0].key} is valid {len(records)} times", key=group[0].key, operations=[str(op) for op in group],
                                  at=[f"{record.partition}@{record.offset}" for record in records])  # fmt: skip
        record = records[0] if records else None
        if record is not None:
            self._judge_record(group, record)
        self._count_unknown(group, record)
        for op in group:
            self._check_position(op, chains)
            self.report.count("key_hits", op.replayed)
            if op.outcome == "accepted":
                self._judge_accepted(op, record)
            elif op.outcome == "refused":
                self._judge_refused(op, record, group)

    def _judge_record(self, group, record):
        """It was asked for, by an attempt that was not refused, before it was there; and it does what was asked."""
        partition = self.partition_of(group[0].trip)
        timeline = self.timelines[partition]
        where = f"{record.partition}@{record.offset}"
        if all(op.outcome == "refused" for op in group):
            self.report.violation("applied-though-refused", f"every attempt of {group[0].key} was told that nothing was done, but it is valid", at=where, operations=[str(op) for op in group],
                                  answers=[(op.status, op.problem) for op in group])  # fmt: skip
        elif min(op.begin for op in group if op.outcome != "refused") > timeline.in_log_by(record.offset):
            self.report.violation("applied-though-refused", f"key {group[0].key} was valid before any attempt of it that was not refused began", at=where, operations=[str(op) for op in group])
        if record.wrong and not any(op.request != group[0].request for op in group):
            self.report.violation("wrong-effect", f"{record.name} of {record.stream}: {record.wrong}", at=where, operation=group[0])
        if timeline.known_at(group[0].begin) >= record.offset:
            self.report.violation("log-order", f"the record of {group[0].key} stands before one that was known before it was asked for", at=where, operation=group[0])

    def _count_unknown(self, group, record):
        if not any(op.outcome == "unknown" for op in group):
            return
        self.report.count("unknown_keys")
        if record is not None:
            self.report.count("resolved_unknowns")
            self.report.count("resolved_unknowns_applied")
        elif any(op.outcome == "refused" for op in group):
            self.report.count("resolved_unknowns")
            self.report.count("resolved_unknowns_not_applied")

    def _check_position(self, op, chains):
        if op.position is None:
            if op.outcome == "accepted":
                self.report.violation("no-position", "an accepted command was answered without a Berth-Position", operation=op)
            return
        check_token(op, op.position, chains, self.report)
        if op.position[0] != self.partition_of(op.trip):
            self.report.violation("wrong-partition", f"the answer names partition {op.position[0]}", operation=op)

    def _judge_accepted(self, op, record):
        self.report.count("acknowledged")
        if record is None:
            if op.status == 201:
                self.report.violation("acknowledged-not-valid", f"{op.op} of {op.trip} was accepted, and no valid record has its key", operation=op, key=op.key, position=op.position)
            return
        if op.position and op.position[:2] == (record.partition, record.offset):
            expected = 201 if op.op in MAKES else 200
            if op.status != expected:
                self.report.violation("key-answer-differs", f"status {op.status} where its record makes {expected}", operation=op, at=f"{record.partition}@{record.offset}")
            if answers.comparable(op.answer) != record.answer:
                self.report.violation("key-answer-differs", "the body is not what its record makes", operation=op, at=f"{record.partition}@{record.offset}", told=op.answer, expected=record.answer)
        elif op.status == 201:
            self.report.violation("acknowledged-not-valid", f"the answer names {op.position[:2] if op.position else None}, its record stands at {record.partition}@{record.offset}", operation=op, key=op.key)
        else:
            self._must_remember(op, record)

    def _judge_refused(self, op, record, group):
        self.report.count("refused")
        if op.problem == "key-reused":
            if record is None or all(other.request == op.request for other in group):
                self.report.violation("false-refusal", "the key was called reused, and was not used with another body", operation=op, key=op.key)
        elif record is not None:
            self._must_remember(op, record)

    def _must_remember(self, op, record):
        """An answer that is not the record's, to somebody who began when it was known to be there."""
        if self.timelines[record.partition].known_at(op.begin) >= record.offset and not (op.status == 503):
            self.report.violation("key-forgotten", f"{op.op} was accepted at {record.partition}@{record.offset}, and then told {op.status} {op.problem} at {op.position}", operation=op, key=op.key)


def is_of_record(op, own):
    """Was it answered from its key's own record?"""
    return op.outcome == "accepted" and op.position is not None and op.position[:2] in own


def check_token(op, position, chains, report):
    """A position that anyone was told is of a valid record."""
    partition, offset, start = position
    record = chains[partition].at(offset) if partition in chains else None
    if record is None or not record.valid or record.id[:4] != start:
        what = "there is no such record" if record is None else f"it is void ({record.void_cause})" if not record.valid else f"its id is {record.id.hex()}"
        kind = "acknowledged-not-valid" if op.key is not None and op.outcome == "accepted" else "position-not-valid"
        report.violation(kind, f"{op.op} was told {partition}@{offset}-{start.hex()}: {what}", operation=op, key=op.key)


__all__ = ["COMMANDS", "FOREVER", "Keys", "check_token"]
