#!/usr/bin/env python3
"""One fault run: cluster, load, schedule, check, report. `./dev faults` prepares what it needs and starts it; options.py says how it is called."""
import functools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

from . import cluster as clusters
from . import injuries, lost_suffix, mutants, network, proxies, report, schedule
from .check import models
from .options import parse
from .parts import TOP, Server
from .watch import Watch

LOAD_STOP_S, CHECK_S = 90, 1200
HEALED_S = 120  # after a phase everything must be ready again within this time
TARGET_S = 30  # so long a fault looks for something to hit
DISK_MB = 64
# check/rule.py tells causes apart. Malformed records come from no writer of ours: the integration tests make them.
VOID_CAUSES = ("child_of_void", "duplicate", "foreign_parent", "stale_duplicate", "zombie")
# The short form promises what it makes for certain; which other voids there are, and whether a producer has to be replaced, is luck in a minute.
SHORT_PROMISES = ("takeovers", "zombie_appends", "key_hits", "forwarded", "snapshot_fallbacks", "resolved_unknowns")
FULL_PROMISES = SHORT_PROMISES + ("voids", "producer_recreations")


class Run:
    """The state of a run; injuries.py works on it. One thread: the schedule's."""

    def __init__(self, options, cluster):
        self.options, self.cluster = options, cluster
        self.watch = Watch(cluster)
        self.violations, self.phases, self.t0 = [], [], None
        self.cut_leaders = []
        self.load = None

    # What injuries ask.

    def owned(self, name):
        return self.watch.owned(name)

    def heights(self):
        """Partition -> valid records that some node knew of when it was last asked."""
        return self.watch.highest_by_label("berth_partition_height", "partition")

    def have_grown(self, before):
        now = self.heights()
        return all(now.get(partition, 0) > height for partition, height in before.items())

    def scrape(self, name):
        if isinstance(self.cluster[name], Server):
            self.watch.ask(self.cluster[name])

    def violation(self, kind, what):
        self.violations.append({"kind": kind, "what": what, "at_s": round(self.now(), 2)})
        say(f"VIOLATION {kind}: {what}")

    def hot_partitions(self):
        from .clients import scene
        from .check.rule import partition_of

        return sorted({partition_of(trip.id.encode(), self.cluster.partitions) for trip in scene.trips("run", self.cluster.partitions) if trip.hot})

    def topic(self, timeout_s=10):
        return self.admin.list_topics("berth.trip", timeout=timeout_s).topics["berth.trip"]

    @functools.cached_property
    def admin(self):
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.cluster.kafka_direct(), "socket.timeout.ms": 5000, "log_level": 0})

    def leader(self, partition):
        from confluent_kafka import KafkaException

        try:
            leader = self.topic().partitions[partition].leader
        except KafkaException as reason:
            raise injuries.Skip(f"nobody says who leads partition {partition}: {reason}") from None
        names = [broker.name for broker in self.cluster.brokers() if broker.id == leader]
        if not names:
            raise injuries.Skip(f"partition {partition} has no leader")
        return names[0]

    def replicas_are_in_sync(self):
        from confluent_kafka import KafkaException

        try:
            return all(len(p.isrs) == len(p.replicas) for p in self.topic(timeout_s=2).partitions.values())
        except KafkaException:
            return False

    def ends(self):
        """Where each partition ends; {} when nobody says so in time. The report counts a phase's records between two of these."""
        from confluent_kafka import Consumer, KafkaException, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.cluster.kafka_direct(), "group.id": "berth-faults", "enable.auto.commit": False, "log_level": 0})
        try:
            return {str(partition): consumer.get_watermark_offsets(TopicPartition("berth.trip", partition), timeout=5)[1] for partition in range(self.cluster.partitions)}
        except KafkaException:
            return {}
        finally:
            consumer.close()

    def note_cut_leader(self, partition, leader):
        if leader:
            self.cut_leaders.append({"partition": partition, "leader": leader, "begin_ns": time.monotonic_ns()})
        else:
            self.cut_leaders[-1]["end_ns"] = time.monotonic_ns()

    def fill_disk(self, name):
        """In namespaces the snapshots of each node have a small file system of their own (see prepare_disks)."""
        folder = self.cluster.run / "snapshots" / name
        if not os.path.ismount(folder):
            raise injuries.Skip("the node's snapshots have no file system of their own")
        filler = folder / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 65536):
                    pass
            except OSError:
                pass
        return filler

    def sanitizer_library(self):
        return subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()

    # The schedule.

    def now(self):
        return time.monotonic() - self.t0 if self.t0 else 0.0

    def play(self, phase):
        """Plays one phase to its end, heals what is left, and waits until everything is ready again."""
        begin = self.now()
        record = {"name": phase.name, "begin_s": round(begin, 2), "faults": []}
        self.phases.append(record)
        say(f"{begin:6.1f} s  {phase.name}: {', '.join(dict.fromkeys(fault.kind for fault in phase.faults)) or 'no faults'}")
        waiting, at_work = list(phase.faults), []
        while self.now() - begin < phase.seconds or at_work or waiting:
            # One fault at a time but in the mix: on a slow machine one outlasts its slot, and the next would undo what it waits for.
            while waiting and self.now() - begin >= waiting[0].at_s and (phase.name == "mix" or not at_work):
                self.begin(waiting.pop(0), at_work, record)
            at_work = [injury for injury in at_work if self.advance(injury)]
            self.look_for_dead()
            time.sleep(0.02)
        self.settle(phase)
        record["end_s"], record["ends"] = round(self.now(), 2), self.ends()

    def begin(self, fault, at_work, record):
        entry = {"kind": fault.kind, "target": None, "at_s": round(self.now(), 2), "for_s": fault.for_s}
        record["faults"].append(entry)
        # In the mix faults overlap, and one may find all that it could hit broken; elsewhere a fault that finds no target finds one a little later.
        patience_s = 0 if record["name"] == "mix" else TARGET_S
        injury = {"fault": fault, "entry": entry, "until": 0, "condition": None, "try_until": time.monotonic() + patience_s}
        at_work.append(injury | {"generator": self.generator(fault)})

    def generator(self, fault):
        return injuries.KINDS[fault.kind](self, random.Random(fault.seed), fault.for_s)

    def advance(self, injury):
        """False when it is over."""
        condition, now = injury["condition"], time.monotonic()
        if condition is not None and not condition() and now < injury["until"]:
            return True
        if condition is None and now < injury["until"]:
            return True
        if condition is not None and now >= injury["until"] and not condition():
            self.violation("heal", f"{injury['entry']['kind']} of {injury['entry']['target']}: it did not come back within {injuries.WAIT_MAX_S} s")
        try:
            told = next(injury["generator"])
        except StopIteration:
            injury["entry"]["for_s"] = round(self.now() - injury["entry"]["at_s"], 2)
            return False
        except injuries.Skip as reason:
            if injury["entry"]["target"] is None and now < injury["try_until"]:
                injury["generator"], injury["until"], injury["condition"] = self.generator(injury["fault"]), now + 1, None
                return True
            injury["entry"]["skipped"] = str(reason)
            return False
        except AssertionError as reason:
            injury["entry"]["skipped"] = str(reason) or "a part is not as it should be"
            return False
        if isinstance(told, str):
            injury["entry"]["target"] = told
            injury["until"], injury["condition"] = 0, None
        elif callable(told):
            injury["until"], injury["condition"] = now + injuries.WAIT_MAX_S, told
        else:
            injury["until"], injury["condition"] = now + told, None
        return True

    def look_for_dead(self):
        """A part that ends by itself is a violation; it is started again so that the rest of the run says something too."""
        for part in self.cluster.parts.values():
            try:
                part.ensure_alive()
            except RuntimeError as error:
                self.violation("crash", str(error))
                part.start()

    def settle(self, phase):
        for part in self.cluster.parts.values():
            part.has_left()
        try:
            self.cluster.make_whole(wait=False)
            end = time.monotonic() + HEALED_S
            while not self.is_whole():
                self.look_for_dead()
                if time.monotonic() > end:
                    raise TimeoutError(", ".join(f"{part.name}: {part.get('/readyz')[1].strip()[:200] if isinstance(part, Server) else 'not ready'}"
                                                 for part in self.cluster.parts.values() if not part.is_ready()))  # fmt: skip
                time.sleep(0.1)
        except TimeoutError as error:
            self.violation("heal", f"{HEALED_S} s after phase {phase.name} not everything is ready: {error}")
        admins = {node.name: f"http://{node.address('admin')}" for node in self.cluster.nodes()}
        models.collect_digests(admins, self.cluster.partitions, self.digests(), timeout_s=2)

    def digests(self):
        """What the nodes said after each phase that they held; the checker compares it with its fold."""
        return self.cluster.run / "results/digests.jsonl"

    def is_whole(self):
        return all(part.is_ready() for part in self.cluster.parts.values()) and self.replicas_are_in_sync()

    # The load.

    def start_load(self, seconds, history=None, tag="run", keys="", clients=None, seed=None):
        """A process of its own, ended by SIGTERM when the schedule is over."""
        history, clients = history or self.cluster.run / "history", clients or self.options.clients
        where = self.cluster.describe()
        nodes = [word for name, url in where["nodes"].items() for word in ("--node", f"{name}={url.removeprefix('http://')}")]
        argv = [sys.executable, "-m", "faults.clients", *nodes, "--query", where["query"].removeprefix("http://"), "--history", str(history), "--tag", tag, "--keys", keys,
                "--clients", str(clients), "--seconds", str(seconds), "--seed", str(seed or self.options.seed), "--partitions", str(self.cluster.partitions)]  # fmt: skip
        with open(self.cluster.run / "logs/load.log", "w") as log:
            self.load = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(TOP / "tests")})
        end = time.monotonic() + 150
        while len(list(history.glob(f"{keys or tag}-client-*.jsonl"))) < clients:
            if self.load.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the load did not begin: " + (self.cluster.run / "logs/load.log").read_text()[-600:])
            time.sleep(0.1)

    def load_for(self, seconds, history, tag, **more):
        """A load that nothing disturbs, from its first operation to its last."""
        self.start_load(600, history, tag, **more)
        time.sleep(seconds)
        self.stop_load()

    def stop_load(self):
        if self.load.poll() is None:
            self.load.send_signal(signal.SIGTERM)
        try:
            status = self.load.wait(LOAD_STOP_S)
        except subprocess.TimeoutExpired:
            self.load.kill()
            self.load.wait()
            status = "killed"
        if status != 0:
            self.violation("load", f"the load ended with {status}: " + (self.cluster.run / "logs/load.log").read_text()[-400:])

    # The whole.

    def drive(self, phases):
        """Phases under load; afterwards all is whole and quiet."""
        self.watch.start()
        self.start_load(sum(phase.seconds for phase in phases) * 3 + 600)
        self.t0 = time.monotonic()
        self.began = {"ns": time.monotonic_ns(), "wall": time.time()}
        for phase in phases:
            self.play(phase)
        self.stop_load()
        self.ended_s = self.now()
        self.watch.stop()
        self.freeze()

    def freeze(self):
        """Command nodes end, so that the log stands still while it is compared with what was made of it: a hold that expires would move it on."""
        for node in self.cluster.nodes():
            node.leave()
        for node in self.cluster.nodes():
            if not node.stop():
                self.violation("stop", f"{node.name} did not end by itself when the run was over")

    def check(self, name="check", history=None, dump=None, digests=None, more=()):
        """The independent checker, as a process of its own: {"violations", "counters"}."""
        out, digests = self.cluster.run / f"results/{name}.json", digests or self.digests()
        cluster, linear = self.cluster, TOP / "build" / self.options.preset / "linear/linear"
        argv = [sys.executable, "-m", "faults.check", "--kafka", cluster.kafka_direct(), "--history", str(history or cluster.run / "history"), "--postgres", cluster.postgres_dsn(),
                "--redis", cluster.redis_url(), "--berth", str(cluster.binary("berth", "berth")), "--snapshots", str(cluster.run / "snapshots"),
                "--snapshot-digest", str(cluster.binary("snapshot_digest", "snapshot_digest")), "--dump", str(dump or cluster.run / "topics"), "--out", str(out), *more]  # fmt: skip
        argv += ["--node-digests", str(digests)] if digests.exists() else []
        argv += ["--linear", str(linear)] if linear.exists() else []
        with open(self.cluster.run / f"logs/{name}.log", "w") as log:
            try:
                done = subprocess.run(argv, stdout=log, stderr=subprocess.STDOUT, timeout=CHECK_S, env={**os.environ, "PYTHONPATH": str(TOP / "tests")})
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"the checker did not end within {CHECK_S} s; its log: {log.name}") from None
        if not out.exists():
            raise RuntimeError(f"the checker found nothing out (status {done.returncode}): " + pathlib.Path(log.name).read_text()[-800:])
        return json.loads(out.read_text())


def play_negative(run):
    """What cannot be played to its end is a violation of the run's, and no reason to forget the rest of it."""
    found = {"partition": "none", "noticed_ms": 0, "healed_ms": 0, "observed": {}, "accepted": {}, "checked": {}, "violations": [], "vacuous": []}
    try:
        lost_suffix.play(run, found, say)
    except (RuntimeError, TimeoutError) as problem:
        found["violations"].append({"kind": "lost_suffix", "what": f"it could not be played to its end: {problem}"})
    return found


def say(text):
    print(f"  faults     {text}", flush=True)


def prepare_disks(cluster):
    """A small file system for each node's snapshots, in the mount namespace of this process and its children: it can be filled, and goes with them."""
    if cluster.net.kind != "namespaces":
        return
    for node in cluster.nodes():
        folder = cluster.run / "snapshots" / node.name
        folder.mkdir(parents=True, exist_ok=True)
        network.run("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "berth-snapshots", str(folder))


def summarize(run, checked, negative):
    found = checked.get("counters", {})
    counters = {name: count for name, count in found.items() if not name.startswith("void")}
    voids = found.get("voids", {})
    counters["voids"] = {cause: voids.get(cause, 0) for cause in VOID_CAUSES}
    counters["zombie_appends"] = voids.get("zombie", 0)
    counters.update(run.watch.counters())
    counters["takeovers"] = found.get("takeovers", 0) - run.cluster.partitions  # each partition's first took over from nobody
    faults = {}
    for phase in run.phases:
        for fault in phase["faults"]:
            if "skipped" not in fault:
                faults[fault["kind"]] = faults.get(fault["kind"], 0) + 1
    counters["faults"] = faults
    if run.cluster.proxies:
        counters["proxy"] = run.cluster.proxies.counts()
    violations = run.violations + checked["violations"] + negative.get("violations", [])
    for part in run.cluster.parts.values():
        violations += [{"kind": "sanitizer", "what": f"{part.name}: {line[:300]}"} for line in part.complaints()[:3]]
    summary = {"seed": run.options.seed, "seconds": round(run.ended_s, 1), "form": run.options.form, "network": run.cluster.net.kind, "preset": run.cluster.preset,
               "clients": run.options.clients, "phases": run.phases, "counters": counters, "violations": violations,
               "negative": negative, "not_checked": checked["not_checked"], "cut_leaders": run.cut_leaders, "began": run.began}  # fmt: skip
    report.add_history(summary, run.cluster)
    report.add_records(summary, run.cluster)
    summary["vacuous"] = vacuous(summary, run.options)
    return summary


def vacuous(summary, options):
    """What this form promises to have seen and has not. A single phase promises only that its own faults were made."""
    counters, missing = summary["counters"], []
    promises = () if options.phase else FULL_PROMISES if options.form == "full" else SHORT_PROMISES
    for name in promises:
        found = counters.get(name, 0)
        if isinstance(found, dict):
            missing += [f"{name} of cause {cause}" for cause, count in found.items() if not count] if found else [name]
        elif not found:
            missing.append(name)
    wanted = {kind for phase in options.schedule for kind in [fault.kind for fault in phase.faults]}
    if options.form == "full" and not options.phase:
        wanted |= {kind for _, _, kinds in schedule.FULL.values() for kind, _, _ in kinds}
    missing += [f"fault {kind}" for kind in sorted(wanted) if not counters["faults"].get(kind)]
    made = {rule for kind in wanted if kind.startswith("proxy_") for rule, _ in proxies.FAULTS[kind.removeprefix("proxy_")]}
    missing += [f"effect of the proxies' {rule}" for rule in sorted(made) if not counters.get("proxy", {}).get(rule)]
    missing += [f"{outcome} operations" for outcome in ("ok",) if not summary["ops"][outcome]]
    missing += [f"check of {name}" for name in summary["not_checked"]] + summary["negative"].get("vacuous", [])
    for cut in summary["cut_leaders"]:
        if not cut.get("asked"):
            missing.append(f"commands to partition {cut['partition']} while {cut['leader']} was cut off")
    return missing


def list_phases():
    for form, plan in (("short", schedule.SHORT), ("full", schedule.FULL)):
        print(f"{form}:")
        for name, (seconds, what, kinds) in plan.items():
            print(f"  {name:14} {seconds:3} s  {what}\n                        {', '.join(dict.fromkeys(kind for kind, _, _ in kinds))}")
    print(f"  {'mix':14} {schedule.MIX_S:3} s  anything, overlapping; the last quarter quiet\n  {'lost suffix':14}        (full) an acknowledged suffix is cut off all replicas, noticed, accepted on the record, and all goes on")


def main(arguments):
    options = parse(arguments)
    if options.list:
        list_phases()
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.mutant:
        linear = TOP / "build" / options.preset / "linear/linear"
        return mutants.run(options, linear if linear.exists() else None, say)
    clusters.end_remembered(options.run)
    shutil.rmtree(options.run, ignore_errors=True)
    net = network.Namespaces() if options.network == "namespaces" else network.Loopback(options.base)
    negative_only = options.phase in ("lost-suffix", "lost suffix")
    options.schedule = [] if negative_only else schedule.make(options.seed, options.seconds, options.full, options.phase, lambda kind: not net.can_cut and kind in schedule.NEEDS_NAMESPACES)
    if negative_only:
        options.schedule = [schedule.Phase("calm", 10.0, [])]
    say(f"seed {options.seed}, {options.form} form, {sum(phase.seconds for phase in options.schedule):.0f} s of schedule, {options.network}, {options.preset}")
    with clusters.Cluster(options.run, net, preset=options.preset, proxy=clusters.find_proxy()) as cluster:
        prepare_disks(cluster)
        cluster.up(say=say)
        run = Run(options, cluster)
        try:
            run.drive(options.schedule)
            say("the schedule is over; checking")
            checked = run.check()
            negative = play_negative(run) if options.full and not options.phase or negative_only else {}
            summary = summarize(run, checked, negative)
        finally:
            if run.load and run.load.poll() is None:
                run.load.kill()
        report.write(summary, cluster.run / "results")
    if options.document:
        report.document(summary, cluster.run / "results")
    if options.junit:
        report.junit(summary, options.junit, cluster.run / "logs")
    return verdict(summary, cluster.run)


def verdict(summary, folder):
    for violation in summary["violations"][:20]:
        say(f"VIOLATION {violation['kind']}: {violation['what']}"[:600])
    for name in summary["vacuous"]:
        say(f"VACUOUS: no {name}")
    say(f"{summary['ops']['ok']} ok, {summary['ops']['fail']} failed, {summary['ops']['unknown']} unknown; {len(summary['violations'])} violations; {folder}/results/report.md")
    return 1 if summary["violations"] else 2 if summary["vacuous"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RuntimeError, TimeoutError, ValueError) as problem:
        print(f"./dev faults: {problem}", file=sys.stderr)
        sys.exit(3)
