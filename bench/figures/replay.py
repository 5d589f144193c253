"""replay - from Kafka to state, beside a bare consumer that hashes each record, over the same log."""
import json
import subprocess

from . import book
from .measure import Figure, Unmeasured, say

NAMES = ["replay"]
PARTS = "kafka,commands"
PROGRAMS = ["bench_log", "bench_book_load", "berth"]
ABOUT = "berth replay --to-nowhere beside a bare consumer with SHA-256: 1 minute"

RECORDS = 1000000


def lengthen(bench, records):
    """Partition 0 of the log goes on by so many records, of the trips that are in it; no server owns it meanwhile."""
    book.load(bench, 64, 40, seconds=1, warmup=0, fill=0.5)
    bench.dev("stop", "commands")
    say(f"writing {records} records")
    done = subprocess.run([bench.program("bench_log"), "--mode", "fill", "--brokers", bench.kafka, "--records", str(records)], capture_output=True, text=True, timeout=300)
    if done.returncode != 0 or json.loads(done.stdout)["records"] != records:
        raise Unmeasured(f"the log was not lengthened: {(done.stderr + done.stdout).strip()[:200]}")


def consume(bench):
    done = subprocess.run([bench.program("bench_log"), "--mode", "consume", "--brokers", bench.kafka], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Unmeasured(done.stderr.strip()[:200])
    return json.loads(done.stdout)


def berth_replay(bench):
    done = subprocess.run([bench.program("berth"), "replay", "--to-nowhere", "--json", "--kafka.bootstrap.servers=" + bench.kafka], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Unmeasured(f"berth replay: {(done.stderr + done.stdout).strip()[:200]}")
    return json.loads(done.stdout)


def run(bench):
    lengthen(bench, RECORDS)
    bare, ours = [], []
    for _ in range(3):
        bare.append(consume(bench))
        ours.append(berth_replay(bench))
    limit, value = max(said["records_per_s"] for said in bare), max(said["records_per_second"] for said in ours)
    bench.dev("start", "commands")
    yield Figure("replay", value, "records/s", limit, value / limit, 0.8, note=f"the best of three each, over {ours[0]['records']} records in {len(ours[0]['partitions'])} partitions")
