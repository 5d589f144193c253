"""takeover - a command server is killed -9 under load, with a million events in one of its partitions: how soon the other accepts the next hold.

Two nodes in one group on one broker. What counts is from the moment at which the group gives the dead one's partitions to the other (the line
partition.assigned in its log) to the next accepted hold in the last of them; the time to notice, before it, is node.session_timeout_ms and what the
group needs to agree. Warm: the heir has followed the log (node.standby=all). Cold: it knows nothing but a snapshot on its disk (node.standby=none).
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
from .cluster import Customers, trips_at
from .measure import Figure, Unmeasured, resident_mb, say

NAMES = [f"takeover.{name}{part}" for name in ("warm", "cold") for part in ("", ".notice", ".others")]
PARTS = "kafka,commands"
PROGRAMS = ["bench_log", "bench_book_load"]
ABOUT = "kill -9 of an owner with a million events: from the group's notice to the next accepted hold, by a standby and from a snapshot: 3 minutes"

ROUNDS = int(os.environ.get("BERTH_BENCH_ROUNDS", "5"))
EVENTS = 1000000
PARTITIONS = 4
OWNING = 3


def time_of(line):
    said = json.loads(line)["time"]
    return calendar.timegm(time.strptime(said[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + said[19:-1])


class Pair:
    """Two nodes on the bench's own broker, in one group. By number, 0 and 1."""

    def __init__(self, bench):
        self.bench, self.folder, self.running = bench, os.path.join(bench.state, "pair"), {}
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

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

    def start(self, number, standby):
        flags = {"http.listen": self.address(number), "admin.listen": self.address(number, "admin"), "node.name": f"pair{number}", "node.standby": standby,
                 "state.dir": os.path.join(self.folder, str(number)), "kafka.bootstrap.servers": self.bench.kafka}
        with open(self.log_path(number), "ab") as log:
            self.running[number] = subprocess.Popen([self.bench.program("berth-commands"), *(f"--{k}={v}" for k, v in flags.items())], stdout=log, stderr=log)

    def stop(self):
        """Gracefully, and one after the other, so that each has owned all and writes a snapshot of it."""
        for number in sorted(self.running):
            self.running[number].terminate()
            if self.running.pop(number).wait(60) != 0:
                raise Unmeasured(f"node {number} did not stop in order: {self.log_path(number)}")

    def owned(self, number):
        try:
            with urllib.request.urlopen(f"http://{self.address(number, 'admin')}/metrics", timeout=5) as answer:
                rows = answer.read().decode().splitlines()
        except OSError:
            return set()
        return {int(row.split('partition="')[1].split('"')[0]) for row in rows if row.startswith("berth_owner_phase{") and row.endswith(f" {OWNING}")}

    def is_ready(self, number):
        try:
            with urllib.request.urlopen(f"http://{self.address(number, 'admin')}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def wait_spread(self):
        """Both are ready, and own a part each; and half a second later still the same one, so that nothing is on its way from one to the other."""
        end, before = time.monotonic() + 120, None
        while True:
            ready, owned = all(map(self.is_ready, (0, 1))), [self.owned(number) for number in (0, 1)]
            spread = ready and all(owned) and len(owned[0] | owned[1]) == sum(map(len, owned)) == PARTITIONS
            if spread and owned == before:
                return owned
            before = owned if spread else None
            for number, child in self.running.items():
                if child.poll() is not None:
                    raise Unmeasured(f"node {number} ended with {child.returncode}: {open(self.log_path(number), errors='replace').read()[-400:]}")
            if time.monotonic() > end:
                raise Unmeasured(f"the pair does not own its partitions: {owned}; {self.folder}")
            time.sleep(0.5)

    def noticed(self, number, partitions, after):
        """When the group gave these partitions to the node: the first time after `after`."""
        found = {}
        for line in open(self.log_path(number), errors="replace"):
            if '"event":"partition.assigned"' in line and (at := time_of(line)) > after:
                found.setdefault(json.loads(line)["partition"], at)
        if not partitions <= found.keys():
            raise Unmeasured(f"{self.log_path(number)} tells of no assignment of {sorted(partitions)}")
        return max(found[partition] for partition in partitions)

    def succeed(self, trips):
        """Kills the owner of partition 0. ms from the kill to the notice, from the notice to the next accepted hold in the last of its partitions,
        the longest gap in those of the heir, and the heir's size in MB."""
        owned = self.wait_spread()
        victim = next(number for number in (0, 1) if 0 in owned[number])
        heir, lost = 1 - victim, owned[victim]
        customers = Customers([self.address(heir)], trips)
        try:
            customers.wait_accepted(trips, time.time(), more=100)
            killed = time.time()
            self.running[victim].kill()
            self.running.pop(victim).wait()
            customers.wait_accepted(lost, killed + 0.5, limit_s=90)
            time.sleep(0.3)
        finally:
            customers.stop()
        noticed = self.noticed(heir, lost, killed)
        back = max(min(at for at in customers.accepted[partition] if at > noticed) for partition in lost)
        others = customers.longest_gap_ms(owned[heir], killed, time.time())
        return (noticed - killed) * 1000, (back - noticed) * 1000, others, resident_mb(self.running[heir].pid), victim


def rounds_of(pair, name, standby):
    found = []
    trips = None
    for number in range(ROUNDS):
        for node in {0, 1} - pair.running.keys():
            pair.start(node, standby)
        pair.wait_spread()
        trips = trips or trips_at(pair.address(0), PARTITIONS)
        found.append(pair.succeed(trips)[:4])
        notice, after, others, resident = found[-1]
        say(f"takeover.{name}: round {number + 1} of {ROUNDS}: noticed after {notice:.0f} ms, the next hold {after:.0f} ms later; the heir's own stood {others:.0f} ms; it has {resident:.0f} MB")
    return list(zip(*found))


def figures_of(name, rounds, want, what):
    notice, after, others, resident = rounds
    yield Figure(f"takeover.{name}", max(after), "ms", want=want, at_most=True,
                 note=f"{what}: from the group's notice to the next hold in the last of its partitions, the worst of {len(after)}, p50 {statistics.median(after):.0f} ms; {max(resident):.0f} MB afterwards")
    yield Figure(f"takeover.{name}.notice", statistics.median(notice), "ms p50", note=f"from the kill to the group's notice, which the session's 1,500 ms are part of; the worst {max(notice):.0f} ms")
    yield Figure(f"takeover.{name}.others", max(others), "ms", note="the longest time without an accepted hold in a partition that the heir had before, the rebalance included")


def run(bench):
    bench.fresh()
    bench.up(PARTS)
    say("a million events in a partition")
    replay.lengthen(bench, EVENTS)  # it stops the stack's own node
    if bench.wants("takeover.warm"):
        with Pair(bench) as pair:
            yield from figures_of("warm", rounds_of(pair, "warm", "all"), 1000, "the heir followed")
    if bench.wants("takeover.cold"):
        with Pair(bench) as pair:
            for number in (0, 1):  # a first life writes the snapshots; the second follows nothing but who owns
                pair.start(number, "all")
            pair.wait_spread()
            pair.stop()
            yield from figures_of("cold", rounds_of(pair, "cold", "none"), 3000, "from a snapshot")
    bench.dev("start", "commands")
