"""run - the whole check of a run, once its load has ended and its parts are healed.

    PYTHONPATH=tests python3 -m faults.check --kafka HOST:PORT --history DIR [--postgres DSN] [--redis URL] [--berth PROGRAM]
        [--snapshots DIR ...] [--snapshot-digest PROGRAM] [--linear PROGRAM] [--node-digests FILE] [--dump DIR | --topics DIR] [--out FILE]
        [--before-topics DIR --before-history DIR]

Prints (and writes to --out) {"violations": [...], "violations_by_kind", "violation_count", "counters", "seconds"}; exits 1 on a violation.
--node-digests: what models.collect_digests wrote during the run. --topics checks a dump instead of a broker. What is not given is not checked, and stands under "not_checked".
--before-topics and --before-history: the topics as they were before acknowledged records were lost, and what clients did until then; --history is then what they did
after the loss had been accepted on the record. See loss.py.
"""
import argparse
import json
import pathlib
import sys
import time

from . import linear, loss, models, operations, rule, topics
from .avro import Schemas
from .commands import Keys
from .fold import PartitionFold
from .reads import Reads
from .report import Report

TOPIC = "berth.trip"


def fold_logs(logs, schemas, report):
    """partition -> PartitionFold, not yet run, and partition -> Chain."""
    chains = {partition: rule.apply(partition, records) for partition, records in logs.items()}
    return {partition: PartitionFold(chain, schemas, report, len(chains)) for partition, chain in chains.items()}, chains


def check_logs(logs, found, report, schemas=None):
    """Histories against the topics. Returns the folds, run to the end."""
    folds, chains = fold_logs(logs, schemas or Schemas(), report)

    def partition_of(trip):
        return rule.partition_of(trip.encode(), len(chains))

    timelines = {partition: operations.Timeline(partition, [op for op in found if partition_of(op.trip) == partition], chain) for partition, chain in chains.items()}
    keys, reads = Keys(found, timelines, partition_of, report), Reads(found, timelines, partition_of, report)
    keys.prepare(folds, chains)
    reads.prepare(folds)
    for fold in folds.values():
        fold.run()
    keys.judge(folds, chains)
    reads.judge(folds, chains)
    report.count("operations", len(found))
    report.count("records", sum(len(chain.records) for chain in chains.values()))
    report.count("valid_records", sum(chain.height for chain in chains.values()))
    report.count("takeovers", sum(len(fold.takeovers) for fold in folds.values()))
    return folds, timelines


class BeforeLoss:
    """A run until records were lost, when there is one; see loss.py."""

    def __init__(self, logs, found):
        self.logs, self.found = logs, found

    def untouched(self, logs):
        return loss.untouched(self.found, loss.first_lost(self.logs, logs), lambda trip: rule.partition_of(trip.encode(), len(logs)))

    def check(self, after, report, linear_program=None, linear_s=linear.LIMIT_S, schemas=None):
        """As strictly as if nothing had happened; and that nothing went but what was given up since. after: the folds of the log as it is."""
        folds, timelines = check_logs(self.logs, self.found, report, schemas)
        if linear_program:
            linear.check(linear_program, self.found, folds, timelines, report, linear_s)
        loss.judge({partition: fold.chain for partition, fold in folds.items()}, self.found, {partition: fold.chain for partition, fold in after.items()}, report)


def check(kafka=None, history=None, postgres=None, redis=None, berth=None, snapshots=(), snapshot_program=None, linear_program=None, dump=None, kept_topics=None, catch_up_s=120,
          linear_s=linear.LIMIT_S, node_digests=None, before_topics=None, before_history=None):  # fmt: skip
    """What main does, for a runner in Python. snapshots: folders that hold nodes' snapshots somewhere below; snapshot_program: beside berth unless said
    otherwise. Returns the object that it prints."""
    snapshot_program = snapshot_program or berth and pathlib.Path(berth).parent / "snapshot_digest"
    began, report, not_checked = time.monotonic(), Report(), []
    logs = topics.load(kept_topics, TOPIC) if kept_topics else topics.read(kafka, TOPIC)
    if dump:
        topics.dump(logs, dump, TOPIC)
    found, torn = operations.read(history)
    report.count("torn_lines", torn)
    before = BeforeLoss(topics.load(before_topics, TOPIC), operations.read(before_history)[0]) if before_topics else None
    found += before.untouched(logs) if before else []
    folds, timelines = check_logs(logs, found, report)
    steps = {"postgres": (postgres, lambda: models.check_postgres(postgres, TOPIC, folds, report, catch_up_s)),
             "redis": (redis, lambda: models.check_redis(redis, TOPIC, folds, report, catch_up_s)),
             "digest": (berth, lambda: models.check_digest(berth, kafka, folds, report)),
             "snapshots": (snapshots and snapshot_program, lambda: [models.check_snapshots(snapshot_program, folder, logs, report) for folder in snapshots]),
             "node_digests": (node_digests, lambda: models.check_node_digests(node_digests, logs, report)),
             "linear": (linear_program, lambda: linear.check(linear_program, found, folds, timelines, report, linear_s))}  # fmt: skip
    if before:
        before.check(folds, report, linear_program, linear_s)
    for name, (given, step) in steps.items():
        if given:
            step()
        else:
            not_checked.append(name)
    return {**report.as_dict(), "not_checked": not_checked, "seconds": round(time.monotonic() - began, 1)}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="faults.check")
    for name in ("kafka", "history", "postgres", "redis", "berth", "snapshot-digest", "linear", "dump", "topics", "node-digests", "before-topics", "before-history", "out"):
        parser.add_argument("--" + name)
    parser.add_argument("--snapshots", action="append", default=[], metavar="DIR", help="nodes' snapshots lie somewhere below")
    given = parser.parse_args(arguments)
    result = check(given.kafka, given.history, given.postgres, given.redis, given.berth, given.snapshots,
                   given.snapshot_digest, given.linear, given.dump, given.topics, node_digests=given.node_digests,
                   before_topics=given.before_topics, before_history=given.before_history)  # fmt: skip
    text = json.dumps(result, indent=1)
    if given.out:
        pathlib.Path(given.out).write_text(text, encoding="utf-8")
    print(text)
    return 1 if result["violation_count"] else 0


if __name__ == "__main__":
    sys.exit(main())
