"""mutants - the checker's proof on running servers: each build with one promise broken must be caught in a short run of a small cluster, and the sound
build must not be.

    ./dev faults --mutant NAME|all|list         all: every mutant that a run like this can show, and the sound one first

One broker, two nodes, one projector; both nodes own every partition at once (each has a consumer group of its own), so that they lose races all the
time. Meanwhile a node is paused and wakes up, nodes are killed and come back, the broker stands still for longer than an append may wait, and the proxy
before it loses answers, sends copies, and lets appends land long after they were given up.
What is not here needs a log that loses records (the negative phase of ./dev faults, and tests/model) or a turn of events too rare for half a minute;
NOT_HERE says so for each, and the simulation (tests/sim) catches all of them.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from . import cluster as clusters
from . import network
from .check import models
from .check import run as checking
from .parts import TOP, Server, wait_until

RUN_S, LOAD_STOP_S, STOP_S, CATCH_UP_S, LINEAR_S = 32, 60, 20, 20, 60
PROGRAMS = {"berth-commands": "berth-commands-mutant", "berth-projections": "berth-projections-mutant"}
NOT_HERE = {
    "no_comparison": "shows only when a log changes what it acknowledged: the simulation",
    "jump_ignored": "shows only when a reader is given a log with a hole: the simulation",
    "lost_suffix_ignored": "shows only when Kafka loses acknowledged records: the simulation and the negative phase",
    "old_acceptance": "shows only after berth log accept-loss: the simulation",
    "accepted_not_forgotten": "shows only after berth log accept-loss: the simulation",
}


def names(folder):
    found = ["none"]
    for program in PROGRAMS.values():
        listed = subprocess.run([folder / program], env={**os.environ, "BERTH_MUTANT": "list"}, capture_output=True, text=True, timeout=30)
        found += listed.stdout.split()
    return found


# Mutants that a crowd hides: with few clients the head stands still long enough for a late append to become valid. One owner, and strays most of the time.
QUIET = ("settle_without_barrier", "void_copy_settles", "resend_confirms", "proof_across_generations")
STRAY = {"apis": "Produce", "probability": 0.4, "ms": 1100, "jitter_ms": 1500, "anonymous": True}


class Trial:
    """One mutant's short life. dead: parts that ended by themselves, which is a way to be caught, too."""

    def __init__(self, mutant, run, net, preset, seed, linear, seconds):
        self.mutant, self.run, self.seed, self.linear, self.seconds = mutant, pathlib.Path(run) / mutant, seed, linear, seconds
        shutil.rmtree(self.run, ignore_errors=True)
        built = TOP / "build" / preset / "bin"
        self.cluster = clusters.Cluster(self.run, net, brokers=1, nodes=2, projectors=1, preset=preset, proxy=clusters.find_proxy(), programs={name: built / other for name, other in PROGRAMS.items()})
        of_projector = mutant.startswith("projector_")
        for part in self.cluster.parts.values():
            if isinstance(part, Server):
                applies = mutant if part.program in PROGRAMS and (part.program == "berth-projections") == of_projector else "none"
                self.cluster.extra_environment[part.name] = {"BERTH_MUTANT": applies} if part.program in PROGRAMS else {}
        self.quiet = mutant in QUIET
        for node in self.cluster.nodes():
            self.cluster.extra_settings[node.name] = {"node.group": "berth" if self.quiet else f"berth-{node.name}", "append.message_timeout_ms": 1000, "node.command_timeout_ms": 4000, "snapshot.every": 300}
            node.ready_s = 20
        self.dead, self.digests = [], self.run / "results/digests.jsonl"

    def go(self):
        with self.cluster as cluster:
            try:
                cluster.up()
            except TimeoutError as late:  # owners that take turns, or a mutant that its own guard has stopped: load and checker say what comes of it
                if not str(late).startswith(("node", "projector", "query")):
                    raise
            load = self.start_load()
            try:
                if load.poll() is None:
                    self.torment()
                    load.send_signal(signal.SIGTERM)
                    load.wait(LOAD_STOP_S)
            finally:
                if load.poll() is None:
                    load.kill()
                    load.wait()
            self.freeze()
            checked = checking.check(cluster.kafka_direct(), self.run / "history", cluster.postgres_dsn(), cluster.redis_url(), TOP / "build" / cluster.preset / "bin/berth",
                                     [self.run / "snapshots"], linear_program=self.linear, dump=self.run / "topics", catch_up_s=CATCH_UP_S, linear_s=LINEAR_S, node_digests=self.digests if self.digests.exists() else None)  # fmt: skip
        (self.run / "results/check.json").write_text(json.dumps(checked, indent=1))
        return checked

    def start_load(self):
        where = self.cluster.describe()
        nodes = [word for name, url in where["nodes"].items() for word in ("--node", f"{name}={url.removeprefix('http://')}")]
        clients, pause = ("5", "0.1,0.6") if self.quiet else ("16", "0.02,0.08")
        argv = [sys.executable, "-m", "faults.clients", *nodes, "--pause", pause, "--query", where["query"].removeprefix("http://"), "--history", str(self.run / "history"), "--clients", clients,
                "--seconds", str(self.seconds + 120), "--seed", str(self.seed), "--partitions", str(self.cluster.partitions), "--timeout", "3"]  # fmt: skip
        with open(self.run / "logs/load.log", "w") as log:
            load = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(TOP / "tests")})
        wait_until(lambda: load.poll() is not None or len(list((self.run / "history").glob("run-client-*.jsonl"))) == int(clients), 150, "the load begins")
        if load.poll() is not None:
            self.dead.append("no trip could be opened: " + (self.run / "logs/load.log").read_text()[-200:])
        return load

    def torment(self):
        """The same for every mutant: a share of the time for each trouble, and quiet between."""
        troubles = (self.pause_node, self.lost_answers, self.strays, self.kill_node, self.pause_broker, self.strays, self.copies, self.kill_other)
        cluster, share = self.cluster, self.seconds / len(troubles)
        if self.quiet:
            troubles = (self.late, self.late, self.kill_node, self.late, self.lost_answers, self.late, self.kill_other, self.late)
        for trouble in troubles:
            trouble(cluster, share)
            self.look_for_dead()
            self.collect()

    def collect(self):
        admins = {node.name: f"http://{node.address('admin')}" for node in self.cluster.nodes() if node.state == "running"}
        models.collect_digests(admins, self.cluster.partitions, self.digests, timeout_s=2)

    @staticmethod
    def proxied(cluster, share, fault):
        cluster.proxy("broker1").set(fault)
        time.sleep(share)
        cluster.proxy("broker1").clear(fault)

    def lost_answers(self, cluster, share):
        self.proxied(cluster, share, "lost_ack")

    def strays(self, cluster, share):
        """Appends that overtake each other, and some that land seconds after everybody has given them up."""
        self.proxied(cluster, share, "reorder")

    def late(self, cluster, share):
        rule = cluster.proxy("broker1").proxy.set("stray", **STRAY)
        time.sleep(share)
        cluster.proxy("broker1").proxy.clear(rule)

    def copies(self, cluster, share):
        self.proxied(cluster, share, "duplicate")

    @staticmethod
    def pause_node(cluster, share):
        cluster.pause("node2")
        time.sleep(share / 2)
        cluster.resume("node2")
        time.sleep(share / 2)

    @staticmethod
    def kill_node(cluster, share, name="node1"):
        cluster.kill(name)
        time.sleep(share / 4)
        cluster.start(name)
        time.sleep(share * 3 / 4)

    def kill_other(self, cluster, share):
        self.kill_node(cluster, share, "node2")

    @staticmethod
    def pause_broker(cluster, share):
        cluster.pause("broker1")
        time.sleep(max(1.5, share / 2))
        cluster.resume("broker1")
        time.sleep(share / 2)

    def look_for_dead(self):
        for part in self.cluster.parts.values():
            try:
                part.ensure_alive()
            except RuntimeError as error:
                self.dead.append(str(error)[:300])
                part.start()

    def freeze(self):
        """The log stands still while it is compared."""
        for node in self.cluster.nodes():
            if node.state != "stopped":
                node.stop(seconds=STOP_S)


def verdict_of(trial, checked):
    caught = bool(checked["violation_count"] or trial.dead)
    return {"mutant": trial.mutant, "caught": caught, "by": checked["violations_by_kind"], "died": trial.dead[:2], "takeovers": checked["counters"].get("takeovers", 0),
            "voids": checked["counters"]["voids"], "operations": checked["counters"].get("operations", 0), "as_wanted": caught == (trial.mutant != "none")}  # fmt: skip


def run(options, linear, say=print):
    """0: all as wanted. options: mutant, run, base, preset, seed, seconds."""
    known = names(TOP / "build" / options.preset / "bin")
    if options.mutant == "list":
        for name in known:
            say(f"{name:28} {NOT_HERE.get(name, '')}")
        return 0
    chosen = [name for name in known if name not in NOT_HERE] if options.mutant == "all" else options.mutant.split(",")
    if unknown := set(chosen) - set(known):
        raise ValueError(f"there is no mutant {', '.join(unknown)}: --mutant list names them")
    verdicts = []
    for name in chosen:
        trial = Trial(name, pathlib.Path(options.run) / "mutants", network.Loopback(options.base), options.preset, options.seed, linear, options.seconds or RUN_S)
        try:
            verdict = verdict_of(trial, trial.go())
        except (RuntimeError, TimeoutError, OSError, subprocess.SubprocessError) as failure:
            verdict = {"mutant": name, "caught": False, "by": {}, "died": [], "takeovers": 0, "voids": {}, "operations": 0, "as_wanted": False, "failure": str(failure)[:500]}
        verdicts.append(verdict)
        say(f"{'as wanted' if verdict['as_wanted'] else 'NOT AS WANTED':14} {name:28} {'caught by ' + json.dumps(verdict['by']) if verdict['caught'] else 'not caught'}"
            + (f" died: {verdict['died']}" if verdict["died"] else "") + (f" THE RUN FAILED: {verdict['failure']}" if "failure" in verdict else "") + f"  ({verdict['takeovers']} takeovers, voids {json.dumps(verdict['voids'])})")  # fmt: skip
    out = pathlib.Path(options.run) / "mutants/verdicts.json"
    out.write_text(json.dumps(verdicts, indent=1))
    missed = [verdict["mutant"] for verdict in verdicts if not verdict["as_wanted"]]
    say(f"{len(verdicts) - len(missed)} of {len(verdicts)} as wanted{', not: ' + ', '.join(missed) if missed else ''}; {out}")
    return 1 if missed else 0
