"""latency - one client alone, whose command waits for nothing but its own append: beside a bare append, and beside transactions."""
import json
import os
import shutil
import subprocess

from . import book
from .measure import Figure, median, run_marked, say
from .stack import TOP

NAMES = ["book.latency.append", "book.latency.append.p99", "book.latency.transaction"]
PARTS = "kafka,commands"
PROGRAMS = ["bench_book_load", "bench_append"]
ABOUT = "a lone client's hold beside a bare idempotent append and beside a Kafka transaction for each append: about 1 minute"

ROUNDS = 3
SECONDS = 3
TOPIC = "bench.latency"


def append(bench, mode, sizes, seconds=SECONDS):
    return run_marked([bench.program("bench_append"), "--brokers", bench.kafka, "--topic", TOPIC, "--mode", mode, "--key", str(sizes[0]), "--value", str(sizes[1]),
                       "--seconds", str(seconds), "--warmup", "1"], {"kafka": bench.pid("kafka")}, seconds).said


def java_transactions(bench, sizes):
    """What the Java client needs, or None where there is no compiler for it."""
    if shutil.which("javac") is None:
        say("no javac here (Debian: default-jdk-headless): the Java client is left out, librdkafka alone is the rival")
        return None
    classes = os.path.join(bench.state, "classes")
    os.makedirs(classes, exist_ok=True)
    subprocess.run(["javac", "-nowarn", "-cp", bench.jars(), "-d", classes, os.path.join(TOP, "bench", "append", "Transactions.java")], check=True)
    done = subprocess.run(["java", "-Xmx256m", "-cp", f"{classes}:{bench.jars()}", "Transactions", bench.kafka, TOPIC, str(SECONDS * 2), str(sizes[1])],
                          capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        say(f"the Java client failed and is left out: {done.stderr.strip()[-200:]}")
        return None
    return json.loads(done.stdout)


def run(bench):
    book.warm_up(bench)
    bench.make_topic(TOPIC, 1)
    ours, theirs, noise = [], [], 0
    sizes = None
    for number in range(ROUNDS):
        say(f"book.latency.append: round {number + 1} of {ROUNDS}")
        done, prefix = book.load(bench, 1, 1, seconds=SECONDS, warmup=1)
        sizes = sizes or bench.record_sizes(book.TOPIC, prefix)
        ours.append(done.said)
        noise = max(noise, done.others)
        theirs.append(append(bench, "lone", sizes))
    p50, p99 = (median([said[name] for said in ours]) / 1000 for name in ("p50_us", "p99_us"))
    their_p50, their_p99 = (median([said[name] for said in theirs]) / 1000 for name in ("p50_us", "p99_us"))
    yield Figure("book.latency.append", p50, "ms p50", their_p50, p50 / their_p50, 1.5, at_most=True, note=f"others used {noise * 100:.0f} % of the machine")
    yield Figure("book.latency.append.p99", p99, "ms p99", their_p99, p99 / their_p99, note="for information")
    say("book.latency.transaction: librdkafka, then the Java client")
    rdkafka = append(bench, "transaction", sizes, SECONDS * 2)["p50_us"] / 1000
    java = java_transactions(bench, sizes)
    rival = rdkafka if java is None else min(rdkafka, java["p50_us"] / 1000)
    yield Figure("book.latency.transaction", p50, "ms p50", rival, rival / p50, 5,
                 note=f"p50 of a transaction: librdkafka {rdkafka:.2f} ms, Java {'left out' if java is None else format(java['p50_us'] / 1000, '.2f') + ' ms'}")
