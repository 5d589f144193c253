"""failover - how long a partition accepts nothing when its node leaves, dies or sleeps, or a broker dies or sleeps, on three brokers and three nodes.

Customers hold places in every partition, at nodes that are not the victim; the longest time without an accepted hold in a partition of the
victim's is what counts, noticing included (node.session_timeout_ms is 1,500, the brokers' session 3,000).
"""
import json
import os
import statistics
import subprocess
import time

from .cluster import BenchCluster, Customers
from .measure import Figure, Unmeasured, say

KINDS = ["leave", "kill", "pause", "broker", "stuck"]
NAMES = [f"failover.{kind}{part}" for kind in KINDS for part in ("", ".worst")]
PARTS = "kafka"
PROGRAMS = []
ABOUT = "the longest time without an accepted hold when a node leaves, is killed, is paused, or a broker is killed or stuck: p50 and worst of 20: 4 minutes, and 5 more for each way of the broker's"

ROUNDS = int(os.environ.get("BERTH_BENCH_ROUNDS", "20"))
AFTER_S = 0.3  # the watch goes on so long after the last partition has come back


def in_sync(cluster):
    """Every replica of the topic follows its leader: one broker more may be lost."""
    done = subprocess.run(["kcat", "-L", "-J", "-b", cluster.kafka_direct(), "-t", "berth.trip"], capture_output=True, text=True)
    if done.returncode != 0:
        return False
    topics = json.loads(done.stdout)["topics"]
    return bool(topics) and all(len(partition["isrs"]) == len(cluster.brokers()) for partition in topics[0]["partitions"])


def wait_in_sync(cluster):
    end = time.monotonic() + 120
    while not in_sync(cluster):
        if time.monotonic() > end:
            raise Unmeasured("the brokers' replicas do not come back in sync")
        time.sleep(0.1)


def round_of(cluster, trips, hurt, victim):
    """The gap in ms, and what failed at those that lived."""
    others = [cluster.url(node.name) for node in cluster.nodes() if node.name != victim]
    hit = cluster.wait_spread().get(victim, set(range(cluster.partitions)))
    customers = Customers(others, trips)
    try:
        customers.wait_accepted(trips, time.time())
        began = time.time()
        hurt(victim)
        customers.wait_accepted(hit, began + 0.5, limit_s=90)
        time.sleep(AFTER_S)
        until = time.time()
    finally:
        customers.stop()
    return customers.longest_gap_ms(hit, began, until), customers.failed


def rounds_of(cluster, trips, name, hurt, mend, victims):
    """For each round: the gap in ms, and how many holds failed."""
    gaps, failed = [], 0
    for number in range(ROUNDS):
        victim = victims[number % len(victims)]
        wait_in_sync(cluster)
        gap, failures = round_of(cluster, trips, hurt, victim)
        gaps.append(gap)
        failed += len(failures)
        say(f"failover.{name}: round {number + 1} of {ROUNDS}: {gap:.0f} ms, {len(failures)} failed{f', as {failures[0][2:]}' if failures else ''}")
        mend(victim)
        cluster.wait_ready(victim)
    return gaps, failed


def figures_of(name, gaps, failed, what):
    note = f"{what}; {failed} requests of {len(gaps)} rounds failed at the nodes that lived"
    yield Figure(f"failover.{name}", statistics.median(gaps), "ms p50", note=note)
    yield Figure(f"failover.{name}.worst", max(gaps), "ms", note=f"the worst of {len(gaps)}")


def run(bench):
    bench.dev("down")  # its broker brought Kafka's jars
    bench.running.clear()
    with BenchCluster(bench, brokers=3, nodes=3) as cluster:
        say("three brokers, three nodes")
        cluster.up_for_bench()
        trips = cluster.trips()
        warm = Customers([node.address("http") for node in cluster.nodes()], trips)
        time.sleep(10)
        warm.stop()
        nodes, brokers = ([part.name for part in parts] for parts in (cluster.nodes(), cluster.brokers()))
        ways = {"leave": (cluster.stop, cluster.start, nodes, "SIGTERM: the node hands over"), "kill": (cluster.kill, cluster.start, nodes, "SIGKILL"),
                "pause": (cluster.pause, cluster.resume, nodes, "SIGSTOP"), "broker": (cluster.kill, cluster.start, brokers, "SIGKILL of a broker; every partition counts"),
                "stuck": (cluster.pause, cluster.resume, brokers, "SIGSTOP of a broker: it takes what is sent and never answers; every partition counts")}
        for kind in KINDS:
            if bench.wants(f"failover.{kind}"):
                hurt, mend, victims, what = ways[kind]
                yield from figures_of(kind, *rounds_of(cluster, trips, kind, hurt, mend, victims), what)
