"""failover - how long a partition accepts nothing when its node leaves, dies or sleeps, or a broker dies, on three brokers and three nodes.

Customers hold places in every partition, at nodes that are not the victim; the longest time without an accepted hold in a partition of the
victim's is what counts, noticing included (node.session_timeout_ms is 1,500).
"""
import calendar
import json
import os
import shutil
import statistics
import subprocess
import time
import urllib.request

from . import replay
from .cluster import BenchCluster, Customers, trips_at
from .measure import Figure, Unmeasured, resident_mb, say

NAMES = ["failover.leave", "failover.leave.worst", "failover.kill", "failover.kill.worst", "failover.pause", "failover.pause.worst", "failover.broker",
         "failover.broker.worst", "failover.million.warm", "failover.million.cold"]
PARTS = "kafka,commands"
PROGRAMS = ["bench_log", "bench_book_load"]
ABOUT = "the longest time without an accepted hold when a node leaves, is killed, is paused, or a broker is killed: p50 and worst of 20: 15 minutes"

ROUNDS = int(os.environ.get("BERTH_BENCH_ROUNDS", "20"))
EVENTS = 1000000


def assigned_at(log_path, partition, after):
    """Wall time at which the log says that the group gave the partition to this node."""
    for line in open(log_path, errors="replace"):
        if '"event":"partition.assigned"' in line and f'"partition":{partition}}}' in line.replace(" ", ""):
            said = json.loads(line)["time"]
            at = calendar.timegm(time.strptime(said[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + said[19:-1])
            if at > after:
                return at
    return None


def rounds_of(cluster, trips, name, hurt, mend, victims):
    """For each round: the gap in ms, and how many holds failed."""
    gaps, failed = [], 0
    for number in range(ROUNDS):
        victim = victims[number % len(victims)]
        others = [cluster.url(node.name) for node in cluster.nodes() if node.name != victim]
        owned = cluster.wait_spread()
        hit = owned.get(victim, set(range(cluster.partitions)))
        customers = Customers(others, trips)
        try:
            customers.wait_accepted(trips, time.time())
            began = time.time()
            hurt(victim)
            customers.wait_accepted(hit, began + 1.0, limit_s=90)
            time.sleep(1)
            until = time.time()
        finally:
            customers.stop()
        gaps.append(customers.longest_gap_ms(hit, began, until))
        failed += len(customers.failed)
        say(f"failover.{name}: round {number + 1} of {ROUNDS}: {gaps[-1]:.0f} ms, {len(customers.failed)} failed")
        mend(victim)
        cluster.wait_ready(victim)
    return gaps, failed


def figures_of(name, gaps, failed, what):
    note = f"{what}; {failed} requests of {len(gaps)} rounds failed at the nodes that lived"
    yield Figure(f"failover.{name}", statistics.median(gaps), "ms p50", note=note)
    yield Figure(f"failover.{name}.worst", max(gaps), "ms", note=f"the worst of {len(gaps)}")


def on_a_cluster(bench):
    bench.dev("down")  # its broker brought Kafka's jars
    bench.running.clear()
    with BenchCluster(bench, brokers=3, nodes=3) as cluster:
        say("three brokers, three nodes")
        cluster.up_for_bench()
        trips = cluster.trips()
        warm = Customers([cluster.url("node1"), cluster.url("node2"), cluster.url("node3")], trips)
        time.sleep(10)
        warm.stop()
        nodes = [node.name for node in cluster.nodes()]
        yield from figures_of("leave", *rounds_of(cluster, trips, "leave", cluster.stop, cluster.start, nodes), "SIGTERM: the node hands over")
        yield from figures_of("kill", *rounds_of(cluster, trips, "kill", cluster.kill, cluster.start, nodes), "SIGKILL")
        yield from figures_of("pause", *rounds_of(cluster, trips, "pause", cluster.pause, cluster.resume, nodes), "SIGSTOP")
        brokers = [broker.name for broker in cluster.brokers()]
        yield from figures_of("broker", *rounds_of(cluster, trips, "broker", cluster.kill, cluster.start, brokers), "SIGKILL of a broker; every partition counts")


class Pair:
    """Two nodes on the bench's own broker, in one group; one of them owns partition 0."""

    def __init__(self, bench):
        self.bench, self.folder, self.running = bench, os.path.join(bench.state, "pair"), {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.running.values():
            child.kill()
            child.wait()

    def address(self, number, what="http"):
        return f"127.0.0.1:{self.bench.port_base + (5 if what == 'http' else 15) + number}"

    def log_path(self, number):
        return os.path.join(self.folder, f"{number}.log")

    def start(self, standby):
        os.makedirs(self.folder, exist_ok=True)
        for number in (0, 1):
            flags = {"http.listen": self.address(number), "admin.listen": self.address(number, "admin"), "node.name": f"pair{number}", "node.standby": standby,
                     "state.dir": os.path.join(self.folder, str(number)), "kafka.bootstrap.servers": self.bench.kafka}
            with open(self.log_path(number), "ab") as log:
                self.running[number] = subprocess.Popen([self.bench.program("berth-commands"), *(f"--{k}={v}" for k, v in flags.items())], stdout=log, stderr=log)
        end = time.monotonic() + 120
        while sum(self.owns(number, p) for number in (0, 1) for p in range(4)) != 4 or not all(any(self.owns(n, p) for p in range(4)) for n in (0, 1)):
            if time.monotonic() > end:
                raise Unmeasured("the pair does not own its partitions")
            time.sleep(0.1)
        time.sleep(2)

    def owns(self, number, partition):
        try:
            with urllib.request.urlopen(f"http://{self.address(number, 'admin')}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return False
        return any(row.startswith("berth_owner_phase{") and f'partition="{partition}"' in row and row.endswith(" 3") for row in text.splitlines())

    def stop(self):
        """Gracefully, one after the other: snapshots are written of what each had folded."""
        for child in self.running.values():
            child.terminate()
        for child in self.running.values():
            child.wait(60)
        self.running.clear()

    def succeed_in_partition_zero(self):
        """Kills its owner; ms from the group's notice at the other to the next accepted hold, and the other's size in MB."""
        victim = next(number for number in (0, 1) if self.owns(number, 0))
        heir = 1 - victim
        trips = {0: trips_at(self.address(heir), 4)[0]}
        customers = Customers([self.address(heir)], trips)
        try:
            customers.wait_accepted(trips, time.time())
            killed = time.time()
            self.running[victim].kill()
            self.running.pop(victim).wait()
            customers.wait_accepted(trips, killed + 0.5, limit_s=90)
        finally:
            customers.stop()
        noticed = assigned_at(self.log_path(heir), 0, killed)
        first = min(at for at in customers.accepted[0] if at > noticed)
        return (first - noticed) * 1000, (first - killed) * 1000, resident_mb(self.running[heir].pid)


def of_a_million(bench, name, cold, want):
    with Pair(bench) as pair:
        if cold:  # a first life writes the snapshots; the second follows nothing but who owns
            pair.start("all")
            pair.stop()
        pair.start("none" if cold else "all")
        after_notice_ms, in_all_ms, resident = pair.succeed_in_partition_zero()
    yield Figure(f"failover.million.{name}", after_notice_ms, "ms", want=want, at_most=True,
                 note=f"from the group's notice at the new owner to the next accepted hold; {in_all_ms:.0f} ms from the kill; the new owner has {resident:.0f} MB")


def run(bench):
    yield from on_a_cluster(bench)
    bench.fresh()
    bench.up(PARTS)
    say("a million events in a partition")
    replay.lengthen(bench, EVENTS) # it stops the stack's own node
    yield from of_a_million(bench, "warm", False, 1000)
    yield from of_a_million(bench, "cold", True, 3000)
    bench.dev("start", "commands")
