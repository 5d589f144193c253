"""mutants - the checker's proof on running servers: each build with one promise broken must be caught in a short run of a small cluster, and the sound
build must not be.

    ./dev faults --mutant NAME|all|list         all: every mutant that a run like this can show, and the sound one first

One broker, two nodes, one projector; both nodes own every partition at once (each has a consumer group of its own), so that they lose races all the
time. Meanwhile a node is paused and wakes up, nodes are killed and come back, the broker stands still for longer than an append may wait, and the proxy
before it loses answers, sends copies, and lets appends land long after they were given up. RECIPES are for mutants that such a crowd hides.
NOT_HERE says what cannot be shown by a server in a short run, and why; the simulation (tests/sim) catches all of them.
"""
import dataclasses
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
CLIENTS, LATE_S = 16, 60
PROGRAMS = {"berth-commands": "berth-commands-mutant", "berth-projections": "berth-projections-mutant"}
NOT_HERE = {
    "no_comparison": "shows only when a log changes what it acknowledged: the simulation",
    "jump_ignored": "shows only when a reader is given a log with a hole: the simulation",
    "lost_suffix_ignored": "shows only when Kafka loses acknowledged records: the simulation and the negative phase",
    "old_acceptance": "shows only after berth log accept-loss: the simulation",
    "accepted_not_forgotten": "shows only after berth log accept-loss: the simulation",
    "head_not_probed": "shows only when a log that lost records grows past them before anybody looks: the simulation",
    "void_copy_settles": "shows only when a copy of a record lands before its parent does, and a node has one append under way at a time, in order: the simulation",
    "resend_confirms": "shows only when a leader is cut off within the milliseconds in which its followers have a record and it does not know so yet: the simulation",
}


@dataclasses.dataclass
class Recipe:
    """Faults of the proxy that are on for a while, off for a while, and so on, while one node owns a partition at a time; nothing else happens."""

    why: str
    rules: list
    on_s: float
    off_s: float = 2.0
    rounds: int = 2
    nodes: int = 2
    kills: bool = False  # all nodes, at the end of each round
    settings: dict = dataclasses.field(default_factory=dict)
    clients: int = CLIENTS
    timeout_s: float = 3.0


LATE = {"apis": "Produce", "then": "hang", "anonymous": True}
RECIPES = {
    "save_unproved": Recipe(
        "appends take long, so there is nearly always one under way; snapshots are due all the time, and nodes die and begin with them",
        [("delay", {"apis": "Produce", "direction": "to_broker", "ms": 60, "jitter_ms": 60})], on_s=8.0, off_s=6.0, kills=True, settings={"snapshot.every": 10}),
    "settle_without_barrier": Recipe(
        "an append lands after it was given up as often as the owner tries, and the head still stands where it was: nothing else lands earlier",
        [("stray", {**LATE, "ms": 18000})], on_s=26.0, rounds=1, nodes=1, settings={"node.command_timeout_ms": 17000}, clients=8, timeout_s=20.0),
    "proof_across_generations": Recipe(
        "an append and its second copy land in turn, and the report of the second is faster than the reading of it, while a third waits for its own",
        [("stray", {**LATE, "probability": 0.5, "ms": 1050, "jitter_ms": 300}), ("delay", {"apis": "Produce", "direction": "to_broker", "ms": 150, "jitter_ms": 150}),
         ("delay", {"apis": "Fetch", "direction": "to_client", "ms": 60})], on_s=14.0),
}  # fmt: skip


def names(folder):
    found = ["none"]
    for program in PROGRAMS.values():
        listed = subprocess.run([folder / program], env={**os.environ, "BERTH_MUTANT": "list"}, capture_output=True, text=True, timeout=30)
        found += listed.stdout.split()
    return found


class Trial:
    """One mutant's short life. dead: parts that ended by themselves, which is a way to be caught, too."""

    def __init__(self, mutant, run, net, preset, seed, linear, seconds, recipe=None):
        self.mutant, self.run, self.seed, self.linear, self.seconds = mutant, pathlib.Path(run) / mutant, seed, linear, seconds
        shutil.rmtree(self.run, ignore_errors=True)
        built, self.recipe = TOP / "build" / preset / "bin", RECIPES.get(recipe or mutant)
        self.cluster = clusters.Cluster(self.run, net, brokers=1, nodes=self.recipe.nodes if self.recipe else 2, projectors=1, preset=preset, proxy=clusters.find_proxy(), programs={name: built / other for name, other in PROGRAMS.items()})
        of_projector = mutant.startswith("projector_")
        for part in self.cluster.parts.values():
            if isinstance(part, Server):
                applies = mutant if part.program in PROGRAMS and (part.program == "berth-projections") == of_projector else "none"
                self.cluster.extra_environment[part.name] = {"BERTH_MUTANT": applies} if part.program in PROGRAMS else {}
        for node in self.cluster.nodes():
            self.cluster.extra_settings[node.name] = {"node.group": "berth" if self.recipe else f"berth-{node.name}", "append.message_timeout_ms": 1000,
                                                      "node.command_timeout_ms": 4000, "snapshot.every": 300, **(self.recipe.settings if self.recipe else {})}  # fmt: skip
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
        clients, timeout_s = (self.recipe.clients, self.recipe.timeout_s) if self.recipe else (CLIENTS, 3.0)
        argv = [sys.executable, "-m", "faults.clients", *nodes, "--query", where["query"].removeprefix("http://"), "--history", str(self.run / "history"), "--clients", str(clients),
                "--seconds", str(self.seconds + 120), "--seed", str(self.seed), "--partitions", str(self.cluster.partitions), "--timeout", str(timeout_s)]  # fmt: skip
        with open(self.run / "logs/load.log", "w") as log:
            load = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(TOP / "tests")})
        wait_until(lambda: load.poll() is not None or len(list((self.run / "history").glob("run-client-*.jsonl"))) == clients, 150, "the load begins")
        if load.poll() is not None:
            self.dead.append("no trip could be opened: " + (self.run / "logs/load.log").read_text()[-200:])
        return load

    def torment(self):
        """The same for every mutant without a recipe: a share of the time for each trouble, and quiet between."""
        troubles = (self.pause_node, self.lost_answers, self.strays, self.kill_node, self.pause_broker, self.strays, self.copies, self.kill_other)
        cluster, share = self.cluster, self.seconds / len(troubles)
        if self.recipe:
            troubles = (self.cook,) * self.recipe.rounds
        for trouble in troubles:
            trouble(cluster, share)
            self.look_for_dead()
            self.collect()

    def cook(self, cluster, _):
        proxy = cluster.proxy("broker1").proxy
        rules = [proxy.set(fault, **what) for fault, what in self.recipe.rules]
        time.sleep(self.recipe.on_s)
        for node in cluster.nodes() if self.recipe.kills else ():
            cluster.kill(node.name)
            cluster.start(node.name)
        for rule in rules:
            proxy.clear(rule)
        time.sleep(self.recipe.off_s)

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
        """The log stands still while it is compared: what the proxy still has in hand lands before."""
        wait_until(lambda: all(one.proxy.counters()["late"]["waiting"] == 0 for one in self.cluster.proxies.by_broker.values()), LATE_S, "the proxy has nothing left")
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
    # The sound build goes through every recipe too: what a recipe finds must be the mutant's doing.
    trials = [(name, recipe) for name in chosen for recipe in ([None, *RECIPES] if name == "none" else [None])]
    for name, recipe in trials:
        trial = Trial(name, pathlib.Path(options.run) / "mutants", network.Loopback(options.base), options.preset, options.seed, linear, options.seconds or RUN_S, recipe)
        try:
            verdict = verdict_of(trial, trial.go())
        except (RuntimeError, TimeoutError, OSError, subprocess.SubprocessError) as failure:
            verdict = {"mutant": name, "caught": False, "by": {}, "died": [], "takeovers": 0, "voids": {}, "operations": 0, "as_wanted": False, "failure": str(failure)[:500]}
        verdict["recipe"] = recipe
        verdicts.append(verdict)
        say(f"{'as wanted' if verdict['as_wanted'] else 'NOT AS WANTED':14} {name + (f' ({recipe})' if recipe else ''):28} {'caught by ' + json.dumps(verdict['by']) if verdict['caught'] else 'not caught'}"
            + (f" died: {verdict['died']}" if verdict["died"] else "") + (f" THE RUN FAILED: {verdict['failure']}" if "failure" in verdict else "") + f"  ({verdict['takeovers']} takeovers, voids {json.dumps(verdict['voids'])})")  # fmt: skip
    out = pathlib.Path(options.run) / "mutants/verdicts.json"
    out.write_text(json.dumps(verdicts, indent=1))
    missed = [verdict["mutant"] for verdict in verdicts if not verdict["as_wanted"]]
    say(f"{len(verdicts) - len(missed)} of {len(verdicts)} as wanted{', not: ' + ', '.join(missed) if missed else ''}; {out}")
    return 1 if missed else 0
