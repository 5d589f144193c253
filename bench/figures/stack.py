"""stack - the real parts that the figures are measured on, started by ./dev in a state folder and on ports of their own."""
import http.client
import json
import os
import shutil
import subprocess
import time
import urllib.request
import uuid

from .measure import Unmeasured, say

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Bench:
    """Where everything is. Programs and servers are the release build's."""

    def __init__(self, state, port_base, options):
        self.state = state
        self.port_base = port_base
        self.options = options
        self.build = os.path.join(TOP, "build", "release")
        self.kafka = f"127.0.0.1:{port_base + 20}"
        self.port_commands = port_base + 1
        self.port_query = port_base + 2
        self.port_empty = port_base + 35
        self.serial = f"{int(time.time()) % 1000000:x}"
        self.running = set()
        self.children = []

    def wants(self, name):
        """Whether the figure of that name, or one below it, was asked for: a group may leave out what was not."""
        names = self.options.names
        return not names or any(name == wanted or name.startswith(wanted + ".") or wanted.startswith(name + ".") for wanted in names)

    # --- the stack ---

    def dev(self, *words, check=True):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BERTH_")}
        environment.update(BERTH_STATE=self.state, BERTH_PORT_BASE=str(self.port_base), BERTH_PRESET="release")
        log_path = os.path.join(TOP, "build", "bench.log")  # not in the state folder, which goes when a run fails
        with open(log_path, "a") as log:
            done = subprocess.run([os.path.join(TOP, "dev"), *words], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise Unmeasured(f"./dev {' '.join(words)} failed; its words: {log_path}")

    def up(self, parts):
        """The parts that a group needs run afterwards, and no servers that it does not need."""
        wanted = set(filter(None, parts.split(",")))
        for server in self.running - wanted - {"kafka"}:
            self.dev("stop", server)
            self.running.discard(server)
        if wanted - self.running:
            say(f"starting {', '.join(sorted(wanted - self.running))}")
            self.dev("up", "--parts", ",".join(sorted(wanted | self.running)))
            self.running |= wanted

    def down(self):
        for child in self.children:
            stop(child)
        self.children.clear()
        self.dev("down", "--wipe", check=False)

    def fresh(self):
        """A new, empty log; the jars stay."""
        say("a new log")
        self.dev("down")
        for folder in ("kafka/data", "commands", "projections", "query", "postgres", "redis"):
            shutil.rmtree(os.path.join(self.state, folder), ignore_errors=True)
        self.running.clear()
        self.is_warm = False

    def metric(self, name):
        """The sum of a metric of berth-commands over its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port_base + 11}/metrics", timeout=5) as answer:
            return sum(float(line.rsplit(" ", 1)[1]) for line in answer.read().decode().splitlines() if line.startswith(name + "{"))

    def pid(self, part):
        with open(os.path.join(self.state, "run", f"{part}.pid")) as file:
            return int(file.read().split()[0])

    def program(self, name):
        for folder in ("bin", f"bench/{name.removeprefix('bench_')}"):
            path = os.path.join(self.build, folder, name)
            if os.path.exists(path):
                return path
        raise Unmeasured(f"{name} was not built")

    # --- topics ---

    def jars(self):
        return os.path.join(self.state, "kafka", "jars", "*")

    def kafka_tool(self, name, *words):
        done = subprocess.run(["java", "-Xmx128m", "-cp", self.jars(), name, "--bootstrap-server", self.kafka, *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise Unmeasured(f"{name}: {(done.stderr or done.stdout).strip()[:300]}")

    def make_topic(self, name, partitions):
        self.kafka_tool("org.apache.kafka.tools.TopicCommand", "--create", "--if-not-exists", "--topic", name, "--partitions", str(partitions),
                        "--replication-factor", "1")

    def flush_each_message(self, topic, on):
        change = ["--add-config", "flush.messages=1"] if on else ["--delete-config", "flush.messages"]
        self.kafka_tool("kafka.admin.ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", topic, *change)

    def record_sizes(self, topic, key_prefix, brokers=None):
        """Mean sizes of key and value of the newest records of these keys; on the bench's own broker, or others."""
        done = subprocess.run(["kcat", "-b", brokers or self.kafka, "-C", "-t", topic, "-o", "-2000", "-e", "-q", "-f", "%k %K %S\n"], capture_output=True)
        rows = [line.rsplit(b" ", 2) for line in done.stdout.splitlines()]
        sizes = [(int(key), int(value)) for name, key, value in (row for row in rows if len(row) == 3) if name.startswith(key_prefix.encode())]
        if not sizes:
            raise Unmeasured(f"no records of {key_prefix} in {topic}: {done.stderr.decode()[:200]}")
        return round(sum(s[0] for s in sizes) / len(sizes)), round(sum(s[1] for s in sizes) / len(sizes))

    # --- servers of our own making ---

    def start_child(self, command, ready, **more):
        """A background program, stopped with the stack; it is ready when it says so on stderr."""
        child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **more)
        self.children.append(child)
        line = child.stderr.readline()
        if ready not in line:
            raise Unmeasured(f"{os.path.basename(command[0])} did not start: {line.strip()[:200]}")
        return child

    def stop_child(self, child):
        self.children.remove(child)
        stop(child)

    def post(self, path, body, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port_commands, timeout=30)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def stop(child):
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
