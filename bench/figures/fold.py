"""fold - what folding costs on one core, in CPU time, so that others on the machine count little."""
import json
import subprocess

from . import book, codec
from .measure import Figure, Unmeasured, say

NAMES = ["fold.evolve", "decide.hold", "decide.sold_out", "memory.trip", "fold.full"]
PARTS = "kafka,commands"
PROGRAMS = ["bench_fold", "bench_log", "bench_book_load"]
ABOUT = "events folded in memory, and a real partition by rule, decode and evolve beside SHA-256 and decode alone: 1 minute"


def run(bench):
    for line in codec.lines_of(bench, "bench_fold"):
        # decide.* wants at most so many nanoseconds; the rest wants at least
        yield Figure(line["name"], line["value"], line["unit"], None, None, line["want"], at_most=line["name"].startswith("decide."))
    say("fold.full: a partition of holds and releases")
    _, prefix = book.load(bench, 256, 40, seconds=8, warmup=1)
    done = subprocess.run([bench.program("bench_log"), "--mode", "fold", "--brokers", bench.kafka, "--records", "1000000"], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Unmeasured(done.stderr.strip()[:200])
    said = json.loads(done.stdout)
    yield Figure("fold.full", said["full_per_s"], "records/s", said["bare_per_s"], said["full_per_s"] / said["bare_per_s"], 0.8,
                 note=f"{said['records']} records of one partition, in memory")
