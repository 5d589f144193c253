"""mutants - the checker's proof on running servers: each build with one promise broken must be caught in a short run of a small cluster, and the sound
build must not be.

    ./dev faults --mutant NAME|all|quick|list   quick: two that are certain, in a minute; all: the sound build in every play, and every mutant in its own
    ./dev faults --mutant none/NAME             the sound build in the play of NAME

One broker, two nodes, one projector; both nodes own every partition at once (each has a consumer group of its own), so that they lose races all the
time. Meanwhile a node is paused and wakes up, nodes are killed and come back, the broker stands still for longer than an append may wait, and the proxy
before it loses answers, sends copies, and lets appends land long after they were given up: the crowd. RECIPES are for mutants that such a crowd hides, and
mutant_scenes.py has plays for those that no crowd would ever meet. The simulation (tests/sim) catches all of them, too.
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
from .mutant_scenes import SCENES
from .parts import TOP, Server, wait_until

RUN_S, LOAD_STOP_S, STOP_S, CATCH_UP_S, LINEAR_S = 32, 60, 20, 20, 60
CLIENTS, LATE_S = 16, 60
SOUND, CROWD = "none", "crowd"
PROGRAMS = {"berth-commands": "berth-commands-mutant", "berth-projections": "berth-projections-mutant"}


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
    "void_copy_settles": Recipe(
        "each record is a request of its own; now and then one lands later than those that follow it and name it as their parent: read back, they are void, and sent again they are valid",
        [("stray", {**LATE, "probability": 0.1, "ms": 300, "jitter_ms": 300}), ("nameless", {})], on_s=10.0, settings={"kafka.batch.num.messages": 1, "append.gather_us": 5000}),
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
    found = [SOUND]
    for program in PROGRAMS.values():
        listed = subprocess.run([folder / program], env={**os.environ, "BERTH_MUTANT": "list"}, capture_output=True, text=True, timeout=30)
        found += listed.stdout.split()
    return found


class Trial:
    """One mutant's short life. dead: parts that ended by themselves, which is a way to be caught, too."""

    def __init__(self, mutant, play, run, base, preset, seed, linear, seconds):
        self.mutant, self.run, self.seed, self.linear, self.seconds = mutant, pathlib.Path(run) / f"{mutant}-{play}", seed, linear, seconds
        shutil.rmtree(self.run, ignore_errors=True)
        built, self.recipe, scene = TOP / "build" / preset / "bin", RECIPES.get(play), SCENES.get(play)
        nodes = (self.recipe or scene).nodes if self.recipe or scene else 2
        net = network.Namespaces() if scene and scene.namespaces else network.Loopback(base)
        self.cluster = clusters.Cluster(self.run, net, brokers=scene.brokers if scene else 1, nodes=nodes, projectors=1, preset=preset, proxy=clusters.find_proxy(), programs={name: built / other for name, other in PROGRAMS.items()})
        settings = (self.recipe or scene).settings if self.recipe or scene else {}
        of_projector = mutant.startswith("projector_")
        for part in self.cluster.parts.values():
            if isinstance(part, Server):
                applies = mutant if part.program in PROGRAMS and (part.program == "berth-projections") == of_projector else "none"
                self.cluster.extra_environment[part.name] = {"BERTH_MUTANT": applies} if part.program in PROGRAMS else {}
        for node in self.cluster.nodes():
            self.cluster.extra_settings[node.name] = {"node.group": "berth" if self.recipe or scene else f"berth-{node.name}", "append.message_timeout_ms": 1000,
                                                      "node.command_timeout_ms": 4000, "snapshot.every": 300, **settings}  # fmt: skip
            self.cluster.extra_environment[node.name].update(scene.environment if scene else {})
            node.ready_s = 20
        for broker in self.cluster.brokers() if scene else ():
            self.cluster.extra_settings[broker.name] = {name: str(value) for name, value in scene.broker_settings.items()}
        self.dead, self.digests = [], self.run / "results/digests.jsonl"
        self.scene = scene and scene(self)

    def go(self):
        with self.cluster as cluster:
            try:
                cluster.up()
            except TimeoutError as late:  # owners that take turns, or a mutant that its own guard has stopped: load and checker say what comes of it
                if not str(late).startswith(("node", "projector", "query")):
                    raise
            if self.scene:
                self.scene.play()
            else:
                self.suffer()
            self.freeze()
            checked = checking.check(cluster.kafka_direct(), self.run / "history", cluster.postgres_dsn(), cluster.redis_url(), TOP / "build" / cluster.preset / "bin/berth",
                                     [self.run / "snapshots"], linear_program=self.linear if self.scene is None or self.scene.linear else None, dump=self.run / "topics", catch_up_s=CATCH_UP_S, linear_s=LINEAR_S, node_digests=self.digests if self.digests.exists() else None)  # fmt: skip
        for violation in self.scene.found if self.scene else ():
            checked["violations"].append(violation)
            checked["violations_by_kind"][violation["kind"]] = checked["violations_by_kind"].get(violation["kind"], 0) + 1
            checked["violation_count"] += 1
        (self.run / "results/check.json").write_text(json.dumps(checked, indent=1))
        return checked

    def suffer(self):
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
    return {"caught": caught, "by": checked["violations_by_kind"], "died": trial.dead[:2], "takeovers": checked["counters"].get("takeovers", 0),
            "voids": checked["counters"]["voids"], "operations": checked["counters"].get("operations", 0), "as_wanted": caught == (trial.mutant != SOUND)}  # fmt: skip


NOTHING = {"caught": False, "by": {}, "died": [], "takeovers": 0, "voids": {}, "operations": 0, "as_wanted": False}

# Nothing in these is left to chance, and each is over in half a minute.
QUICK = "no_key_memory/same-key,no_parent_check/zombie"


def chosen_trials(wanted, known):
    """[(mutant, play)]: play is a recipe, a scene or "crowd". The sound build goes through all of them: what one finds must be the mutant's doing."""
    plays = {name: name if name in RECIPES or name in SCENES else CROWD for name in known}
    trials = []
    for name in known if wanted == "all" else (QUICK if wanted == "quick" else wanted).split(","):
        mutant, _, play = name.partition("/")
        if mutant not in known or play and play not in {CROWD, *RECIPES, *SCENES}:
            raise ValueError(f"there is no mutant {name}: --mutant list names them; {SOUND}/NAME is the sound build in the play of NAME")
        trials += [(SOUND, play or one) for one in ([play] if play else [CROWD, *RECIPES, *SCENES])] if mutant == SOUND else [(mutant, play or plays[name])]
    return trials


def attempt(mutant, play, options, linear):
    """The verdict on one trial. Whatever goes wrong is not what was wanted."""
    began = time.monotonic()
    scene = SCENES.get(play)
    if scene and scene.namespaces and not network.Namespaces.is_possible():
        verdict = {**NOTHING, "failure": "it needs network namespaces: root, ip, nft, unshare, nsenter"}
    else:
        try:
            trial = Trial(mutant, play, pathlib.Path(options.run) / "mutants", options.base, options.preset, options.seed, linear, options.seconds or RUN_S)
            verdict = verdict_of(trial, trial.go())
        except (RuntimeError, TimeoutError, OSError, subprocess.SubprocessError) as failure:
            verdict = {**NOTHING, "failure": str(failure)[:500]}
    return {"mutant": mutant, "play": play, **verdict, "seconds": round(time.monotonic() - began)}


def line_of(verdict):
    name = verdict["mutant"] + (f" ({verdict['play']})" if verdict["mutant"] == SOUND else "")
    found = ", ".join(f"{kind} {count}" for kind, count in sorted(verdict["by"].items(), key=lambda item: -item[1])) or ("it died" if verdict["died"] else "nothing")
    failure = f"  THE RUN FAILED: {verdict['failure']}" if "failure" in verdict else ""
    return f"{'as wanted' if verdict['as_wanted'] else 'NOT AS WANTED':14} {name:34} {verdict['seconds']:4} s  {found}{failure}"


def table_of(verdicts):
    """For tests/faults/README.md."""
    rows = ["| build | what it went through | found | records void | seconds, start and check included |", "|---|---|---|---|---|"]
    for verdict in verdicts:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(verdict["by"].items(), key=lambda item: -item[1])) or ("it died" if verdict["died"] else "nothing")
        rows.append(f"| {'sound' if verdict['mutant'] == SOUND else verdict['mutant']} | {verdict['play']} | {kinds}{'' if verdict['as_wanted'] else ', **not as wanted**'} | {sum(verdict['voids'].values())} | {verdict['seconds']} |")
    return "\n".join(rows) + "\n"


def run(options, linear, say=print):
    """0: all as wanted. options: mutant, run, base, preset, seed, seconds."""
    known = names(TOP / "build" / options.preset / "bin")
    if options.mutant == "list":
        for name in known:
            say(f"{name:28} {(RECIPES[name] if name in RECIPES else SCENES[name]).why if name in RECIPES or name in SCENES else CROWD}")
        return 0
    verdicts = []
    for mutant, play in chosen_trials(options.mutant, known):
        verdicts.append(attempt(mutant, play, options, linear))
        say(line_of(verdicts[-1]))
    out = pathlib.Path(options.run) / "mutants"
    out.mkdir(parents=True, exist_ok=True)
    (out / "verdicts.json").write_text(json.dumps(verdicts, indent=1))
    (out / "table.md").write_text(table_of(verdicts))
    missed = [f"{verdict['mutant']} ({verdict['play']})" for verdict in verdicts if not verdict["as_wanted"]]
    say(f"seed {options.seed}: {len(verdicts) - len(missed)} of {len(verdicts)} as wanted{', not: ' + ', '.join(missed) if missed else ''}; {out}/table.md")
    return 1 if missed else 0
