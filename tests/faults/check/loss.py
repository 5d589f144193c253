"""loss - Kafka lost acknowledged records, and an operator accepted it on the record: the log as it was before, held against the log as it is.

What clients did before the loss is judged against the log as it was then; what they did after the acceptance, and all of what they did before that can have
seen nothing of what was lost, against the log as it is: both as strictly as any run (run.py). This looks at what lies between: nothing is gone but what a
valid LossAccepted names, and what was acknowledged there is counted as lost on the record."""
import collections

from . import rule


def first_lost(before, after):
    """partition -> the first offset whose record is gone or another one now."""
    found = {}
    for partition, records in before.items():
        now = {record.offset: (record.key, record.value) for record in after.get(partition, ())}
        gone = [record.offset for record in records if now.get(record.offset) != (record.key, record.value)]
        if gone:
            found[partition] = min(gone)
    return found


def untouched(operations, lost, partition_of):
    """Those that had ended before anybody began who was told of a lost record: they rest on nothing that is gone. lost: as first_lost says."""
    seen = {}
    for op in operations:
        if op.position and op.position[1] >= lost.get(op.position[0], 1 << 62):
            seen[op.position[0]] = min(seen.get(op.position[0], op.begin), op.begin)
    return [op for op in operations if op.end < seen.get(partition_of(op.trip), 1 << 63)]


def acceptances(chains):
    """partition -> [(offset, from, to)] of the valid LossAccepted."""
    found = collections.defaultdict(list)
    for partition, chain in chains.items():
        for record in chain.records:
            if record.valid and record.key == rule.LOG_KEY and record.event and record.event[0] == "LossAccepted":
                found[partition].append((record.offset, record.event[1]["lost_from"], record.event[1]["lost_to"]))
    return found


def still_stands(record, chain):
    """A record that was valid before, in a log as it is."""
    now = chain.at(record.offset) if chain else None
    return now is not None and now.valid and now.id == record.id


def judge(before, operations, after, report):
    """before, after: partition -> Chain, decoded; operations: those that ended before the loss. They have been judged against `before`."""
    given_up, told = acceptances(after), collections.defaultdict(lambda: -1)
    for op in operations:
        if op.position:
            told[op.position[0]] = max(told[op.position[0]], op.position[1])
    lost = {}
    for partition, chain in before.items():
        for record in chain.records:
            if record.valid and not still_stands(record, after.get(partition)):
                judge_lost(partition, record, given_up[partition], told[partition], report)
                lost[partition, record.offset] = record
    report.count("losses_accepted", sum(map(len, given_up.values())))
    report.count("lost_records", len(lost))
    for op in operations:
        if op.outcome == "accepted" and op.key is not None and op.position and op.position[:2] in lost:
            report.count("lost_on_record")
        elif op.outcome == "accepted" and op.key is not None and op.position:
            report.count("kept_acknowledged")
    for partition, found in given_up.items():
        for offset, begin, end in found:
            if not any(where == partition and begin <= at < end for where, at in lost):
                report.violation("accepted-nothing", f"what was given up, {begin} to {end}, was not lost", at=f"{partition}@{offset}")


def judge_lost(partition, record, given_up, told, report):
    """What stands behind the last record that anybody was told of or remembers had only just been written when the brokers died: nobody had a promise of it."""
    if record.offset > max([told, *(end - 1 for _, _, end in given_up)]):
        report.count("lost_unpromised")
    elif not any(begin <= record.offset < end for _, begin, end in given_up):
        report.violation("lost-off-the-record", f"a record that was valid is gone, and no acceptance names its place: {given_up}", at=f"{partition}@{record.offset}")
