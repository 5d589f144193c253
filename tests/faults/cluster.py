#!/usr/bin/env python3
"""The cluster of the fault runs: three brokers, command nodes, two projectors, Postgres, Redis, the query API, each to be broken by name.

    PYTHONPATH=tests python3 -m faults.cluster up [--run DIR] [--base PORT] [--nodes N] [--preset NAME] [--no-proxy] [--namespaces]
    PYTHONPATH=tests python3 -m faults.cluster down [--run DIR]        after a harness that was killed

`up` stays in the foreground and takes orders on its standard input: `kill node1`, `pause broker2`, `resume broker2`, `start node1`, `stop query`,
`cut node1 broker1`, `cut node1 broker1 one-way`, `heal`, `status`, `quit`. From Python: `with Cluster(run) as cluster: cluster.up()`.

Everything lies in one run folder: logs/, state/ (data of the parts), snapshots/, history/, topics/, results/, and cluster.json, which says where
everything listens, for clients and checkers. One process drives a cluster, from one thread at a time.
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import uuid

from . import network, parts
from .parts import TOP, wait_until

STATE = pathlib.Path(os.environ.get("BERTH_FAULTS_STATE", TOP / ".berth-faults"))
FOLDERS = ("logs", "state", "snapshots", "history", "topics", "results")
PARTITIONS = 4


class Cluster:
    """preset: the build whose servers run. programs: part or program name -> another binary, for mutants. extra_settings and extra_environment:
    part name -> what is added to the defaults when it is started next. jars: Kafka's; else those of any stack of this clone."""

    def __init__(self, run, net=None, brokers=3, nodes=3, projectors=2, preset="release", proxy=None, programs=None, partitions=PARTITIONS, jars=None):
        self.run, self.net = pathlib.Path(run).resolve(), net or network.Loopback(22000)
        self.preset, self.programs, self.partitions = preset, dict(programs or {}), partitions
        self.extra_settings, self.extra_environment, self.known_settings = {}, {}, {}
        for folder in FOLDERS:
            (self.run / folder).mkdir(parents=True, exist_ok=True)
        self.jars = pathlib.Path(jars) if jars else find_jars()
        self.parts = {}
        kinds = [("broker", parts.Broker, brokers), ("node", parts.Node, nodes), ("projector", parts.Projector, projectors)]
        for kind, part, count in kinds:
            for index in range(1, count + 1):
                self.parts[f"{kind}{index}"] = part(self, f"{kind}{index}")
        for name, part in (("postgres", parts.Postgres), ("redis", parts.Redis), ("query", parts.Query)):
            self.parts[name] = part(self, name)
        self.proxies = proxy(self) if proxy else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()

    def __getitem__(self, name):
        return self.parts[name]

    def named(self, kind):
        return [part for name, part in self.parts.items() if network.split(name)[0] == kind]

    def brokers(self):
        return self.named("broker")

    def nodes(self):
        return self.named("node")

    # Where things are.

    def client_address(self, broker):
        """What a broker tells its clients to connect to."""
        return broker.address("proxy" if self.proxies else "client")

    def kafka(self):
        return ",".join(self.client_address(broker) for broker in self.brokers())

    def kafka_direct(self):
        return ",".join(broker.address("direct") for broker in self.brokers())

    def postgres_dsn(self):
        return f"postgresql://berth@{self['postgres'].address('sql')}/berth"

    def redis_url(self):
        return f"redis://{self['redis'].address('redis')}"

    def describe(self):
        return {
            "run": str(self.run), "network": self.net.kind, "preset": self.preset, "kafka": self.kafka(), "kafka_direct": self.kafka_direct(),
            "topic": "berth.trip", "partitions": self.partitions, "postgres": self.postgres_dsn(), "redis": self.redis_url(),
            "nodes": {node.name: f"http://{node.address('http')}" for node in self.nodes()},
            "admin": {part.name: f"http://{part.address('admin')}" for part in self.parts.values() if isinstance(part, parts.Server)},
            "query": f"http://{self['query'].address('http')}",
        }  # fmt: skip

    def binary(self, name, program):
        """programs may name a part (node1) or a program (berth-commands)."""
        return pathlib.Path(self.programs.get(name) or self.programs.get(program) or TOP / "build" / self.preset / "bin" / program)

    def settings_of(self, binary):
        """Settings that this binary knows, so that the harness runs older and newer ones alike."""
        if binary not in self.known_settings:
            text = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
            self.known_settings[binary] = {line.strip()[2:].split("=")[0].split()[0] for line in text.splitlines() if line.strip().startswith("--")}
        return self.known_settings[binary]

    @staticmethod
    def new_id():
        return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")

    # One part by its name.

    def start(self, name, wait=False):
        self[name].start()
        self.remember()
        if wait:
            self.wait_ready(name)

    def kill(self, name):
        self[name].kill()

    def stop(self, name):
        return self[name].stop()

    def pause(self, name):
        self[name].pause()

    def resume(self, name):
        self[name].resume()

    def restart(self, name, wait=False):
        self.stop(name)
        self.start(name, wait)

    def partition(self, one, other, one_way=False):
        """one_way: other no longer hears one, but one hears other."""
        for source, target in [(one, other)] if one_way else [(one, other), (other, one)]:
            if self.net.can_cut:
                self.net.cut(source, target)
            else:
                self._hole(source, target)

    def _hole(self, source, target):
        """Without namespaces the proxies can keep a server and a broker apart, and nobody else."""
        kinds = (network.split(source)[0], network.split(target)[0])
        if not self.proxies or kinds not in (("broker", "node"), ("node", "broker"), ("broker", "projector"), ("projector", "broker")):
            raise RuntimeError(f"{source} cannot be cut off from {target} on loopback")
        if kinds[0] == "broker":
            self.proxies[source].hole(target, "to_client")
        else:
            self.proxies[target].hole(source, "to_broker")

    def heal_cuts(self, pairs):
        """Both directions of each pair."""
        for one, other in pairs:
            if self.net.can_cut:
                self.net.uncut(one, other)
                self.net.uncut(other, one)
            else:
                broker, client = (one, other) if network.split(one)[0] == "broker" else (other, one)
                self.proxies[broker].clear(f"hole {client}")

    def heal(self):
        """All cuts and all proxies' faults are over."""
        self.net.heal()
        if self.proxies:
            self.proxies.heal()

    def proxy(self, name):
        """The proxy before a broker, by the broker's name."""
        return self.proxies[name]

    # All of them.

    def up(self, say=lambda text: None):
        """Starts everything and waits until it is ready: 20 to 40 s on two quiet cores."""
        began = time.monotonic()
        first = self.brokers()[0]
        first.prepare()
        for part in [*self.brokers(), self["postgres"], self["redis"]]:
            part.start()
        self.remember()
        if self.proxies:
            self.proxies.start()
            self.remember()
        self.wait_ready("postgres", "redis", *(broker.name for broker in self.brokers()))
        say(f"brokers, Postgres and Redis after {time.monotonic() - began:.1f} s")
        self.topics_create()
        for part in self.parts.values():
            if isinstance(part, parts.Server):
                part.start()
        self.remember()
        self.wait_ready()
        say(f"servers after {time.monotonic() - began:.1f} s")

    def topics_create(self):
        berth = self.binary("berth", "berth")
        argv = [str(berth), "topics", "create", "--partitions", str(self.partitions), "--replication", str(min(3, len(self.brokers()))), "--kafka.bootstrap.servers", self.kafka_direct()]
        done = []

        def made():
            done[:] = [subprocess.run(argv, capture_output=True, text=True, timeout=60)]
            return done[0].returncode == 0

        try:
            wait_until(made, 60, "the topics are made")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {done[0].stderr or done[0].stdout}") from None
        # Each broker hears of a new topic in its own time, and a server that is told "unknown topic" by one does not start.
        for broker in self.brokers():
            wait_until(lambda: self.knows_topic(broker), 60, f"{broker.name} knows the topic")

    def knows_topic(self, broker):
        from confluent_kafka.admin import AdminClient

        topic = AdminClient({"bootstrap.servers": broker.address("direct")}).list_topics("berth.trip", timeout=10).topics["berth.trip"]
        return topic.error is None and len(topic.partitions) == self.partitions and all(p.leader >= 0 for p in topic.partitions.values())

    def wait_ready(self, *names, seconds=None):
        """Ready by their own account. A part that ended by itself fails at once, with its last words."""
        for name in names or self.parts:
            part = self[name]
            if part.state == "stopped" and not names:
                continue

            def ready():
                part.ensure_alive()
                return part.is_ready()

            try:
                wait_until(ready, seconds or part.ready_s, f"{name} is ready")
            except TimeoutError as error:
                why = part.get("/readyz")[1] if isinstance(part, parts.Server) else part.last_words()
                raise TimeoutError(f"{error}: {why.strip()[:600]}") from None

    def make_whole(self, wait=True):
        """Heals cuts, resumes what is paused, starts what is stopped."""
        self.heal()
        for part in self.parts.values():
            part.resume()
            if part.state == "stopped":
                part.start()
        self.remember()
        if wait:
            self.wait_ready()

    def ensure_alive(self):
        for part in self.parts.values():
            part.ensure_alive()

    def down(self):
        for part in reversed(self.parts.values()):
            part.kill()
        if self.proxies:
            self.proxies.stop()
        self.net.close()
        (self.run / "pids").unlink(missing_ok=True)

    def remember(self):
        """Pids with the time at which they began, for `down` after a harness that was killed; and where everything is."""
        processes = [part.process for part in self.parts.values() if part.process] + (self.proxies.processes() if self.proxies else [])
        lines = [f"{process.pid} {began_at(process.pid)}\n" for process in processes if process.poll() is None]
        (self.run / "pids").write_text("".join(lines))
        (self.run / "cluster.json").write_text(json.dumps(self.describe(), indent=2) + "\n")

    def metrics(self, name):
        """name{labels} -> value, of a server's /metrics; {} when it does not answer."""
        status, text = self[name].get("/metrics")
        return parse_metrics(text) if status == 200 else {}


def parse_metrics(text):
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.rpartition(" ")
            found[key] = float(value)
    return found


def began_at(pid):
    """In clock ticks since boot: with the pid it names one process, for good."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def end_remembered(run):
    """Ends what an earlier harness of this run folder left, and nothing else."""
    path = pathlib.Path(run) / "pids"
    for line in path.read_text().splitlines() if path.exists() else ():
        pid, began = line.split()[:2] if " " in line.strip() else (line, "?")
        if began == began_at(int(pid)):
            os.kill(int(pid), signal.SIGKILL)
    path.unlink(missing_ok=True)


def find_jars():
    """`./dev faults` fetches them; any other stack of this clone will do."""
    wanted = (TOP / "infra/kafka/pom.xml").read_bytes()
    for state in (STATE, TOP / ".berth-test", TOP / ".berth", TOP / ".berth-bench"):
        known = state / "kafka/jars/pom.xml"
        if known.exists() and known.read_bytes() == wanted:
            return state / "kafka/jars"
    raise RuntimeError("there are no jars of Kafka in this clone: ./dev faults --setup fetches them, and so does ./dev up")


def obey(cluster, words):
    order, names = words[0], words[1:]
    if order == "status":
        for part in cluster.parts.values():
            print(f"  {part.name:12} {part.state:8} {'ready' if part.state == 'running' and part.is_ready() else ''}")
    elif order == "cut":
        cluster.partition(names[0], names[1], one_way="one-way" in names)
    elif order == "heal":
        cluster.heal()
    elif order in ("start", "stop", "kill", "pause", "resume", "restart"):
        for name in names:
            getattr(cluster, order)(name)
    else:
        print(f"  no such order: {order}; start stop kill pause resume restart NAME, cut A B [one-way], heal, status, quit")


def main(arguments):
    parser = argparse.ArgumentParser(prog="faults.cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("order", choices=("up", "down"))
    parser.add_argument("--run", default=STATE / "by-hand")
    parser.add_argument("--base", type=int, default=22000)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--preset", default="release")
    parser.add_argument("--no-proxy", action="store_true")
    parser.add_argument("--namespaces", action="store_true")
    options = parser.parse_args(arguments)
    end_remembered(options.run)
    if options.order == "down":
        return 0
    shutil.rmtree(options.run, ignore_errors=True)
    net = network.Namespaces() if options.namespaces else network.Loopback(options.base)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Cluster(options.run, net, brokers=options.brokers, nodes=options.nodes, preset=options.preset, proxy=None if options.no_proxy else find_proxy()) as cluster:
        cluster.up(say=print)
        print(json.dumps(cluster.describe(), indent=2), flush=True)
        for line in sys.stdin:
            if line.strip() == "quit":
                break
            if line.split():
                try:
                    obey(cluster, line.split())
                except (KeyError, RuntimeError, AssertionError, IndexError) as error:
                    print(f"  {error!r}")
        else:
            while True:  # no standard input: until a signal
                time.sleep(3600)
    return 0


def find_proxy():
    """The proxies of tests/faults/proxy, when this clone has them."""
    try:
        from .proxies import Proxies
    except ImportError:
        return None
    return Proxies


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
