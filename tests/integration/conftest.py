"""The harness of the integration tests: where the stack under test listens, how its API is spoken to, and how its parts are broken.

The stack is the one that BERTH_STATE names (`./dev test` starts it and says so; by hand: BERTH_STATE=/tmp/x ./dev up, then pytest).
Real parts only. A test may stop, kill or pause anything by name; what it leaves broken is healed after it, and the healing is waited for,
so that no test suffers from another.
"""
import json
import os
import pathlib
import socket
import subprocess
import time
import uuid

import pytest
import requests

import evidence

TOP = pathlib.Path(__file__).resolve().parents[2]
DEV = TOP / "dev"
HEAL_S = 300
# How long a test waits at the least for what must come, and a request for its answer. A test that passes never uses it up, so a slow
# machine loses nothing by it being long; what is to be quick is measured by the benches.
PATIENCE_S = 90
PARTS = ("kafka", "postgres", "redis", "commands", "projections", "query", "gateway")


def wait_until(check, seconds=PATIENCE_S, what="it"):
    """Asks check() until it is true and returns what it said; fails with `what` when the time is over: at the least PATIENCE_S."""
    seconds = max(seconds, PATIENCE_S)
    end = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


class Stack:
    """What `./dev status --json` says, and the hands on the parts: kafka, postgres, redis, commands, projections, query, gateway."""

    last = None

    def __init__(self):
        status = self.status()
        self.api, self.commands, self.query = status["api"], status["commands"], status["query"]
        self.admin = status["admin"]  # by server: commands, projections, query
        self.kafka, self.postgres, self.redis = status["kafka"], status["postgres"], status["redis"]
        self.state = pathlib.Path(status["state"])

    def status(self):
        return json.loads(self.dev("status", "--json"))

    def dev(self, *arguments, timeout=600):
        done = subprocess.run([DEV, *arguments], capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, f"./dev {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout

    def berth(self, *arguments, timeout=600):
        """The command line; its standard output."""
        return self.dev("berth", *arguments, timeout=timeout)

    # One part by its name.
    def start(self, name):
        self.dev("start", name)

    def stop(self, name):
        """Gracefully: it finishes what it accepted."""
        self.dev("stop", name)

    def restart(self, name):
        self.stop(name)
        self.start(name)

    def kill(self, name):
        """SIGKILL, and gone when this returns."""
        self.dev("kill", name)

    def pause(self, name):
        """SIGSTOP: it keeps its ports and connections, and does nothing. Postgres: its main process only."""
        self.dev("pause", name)

    def resume(self, name):
        self.dev("resume", name)

    def signal(self, name, number):
        """At once and without waiting for what comes of it: for what must not take as long as a ./dev."""
        os.kill(int((self.state / "run" / f"{name}.pid").read_text().split()[0]), number)

    def log(self, name):
        return (self.state / "logs" / f"{name}.log").read_text(errors="replace")

    def is_ready(self, server):
        """What the server's /readyz says."""
        try:
            return requests.get(self.admin[server] + "/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def wait_ready(self, *servers, seconds=PATIENCE_S):
        for server in servers or self.admin:
            wait_until(lambda: self.is_ready(server), seconds, f"{server} is ready")

    def metrics(self, server):
        """name{labels} -> value, of a server's /metrics."""
        from prometheus_client.parser import text_string_to_metric_families

        text = requests.get(self.admin[server] + "/metrics", timeout=PATIENCE_S).text
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def heal(self):
        for name, state in self.status()["parts"].items():
            if state == "running":
                self.resume(name)
            elif state == "stopped":
                self.start(name)
        wait_until(lambda: self.status()["ready"], HEAL_S, "the stack is ready again")


class Api:
    """The API as a client uses it: every POST carries an Idempotency-Key, and reads see the client's own writes."""

    def __init__(self, url):
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.position = None  # the Berth-Position of the last accepted command

    def post(self, path, body=None, key=None, timeout=PATIENCE_S, **options):
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), **options.pop("headers", {})}
        answer = self.session.post(self.url + path, json={} if body is None else body, headers=headers, timeout=timeout, **options)
        self.position = answer.headers.get("Berth-Position", self.position)
        return answer

    def get(self, path, fresh=True, timeout=PATIENCE_S, **options):
        """fresh: not before the read model has got to the last command's position, however long that takes it."""
        headers = dict(options.pop("headers", {}))
        waits = fresh and self.position and "Berth-Min-Position" not in headers and "Prefer" not in headers
        if fresh and self.position:
            headers.setdefault("Berth-Min-Position", self.position)
        if waits:
            headers["Prefer"] = "wait=10"
        end = time.monotonic() + PATIENCE_S
        while True:
            answer = self.session.get(self.url + path, headers=headers, timeout=timeout, **options)
            if not (waits and answer.status_code == 503 and "read-model-behind" in answer.text and time.monotonic() < end):
                return answer


def is_whole(answer):
    """Has all of the answer come that its head announces?"""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = next((line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    return bool(end) and length is not None and len(body) >= int(length)


def raw_request(url, data, timeout=PATIENCE_S):
    """Sends bytes as they are, which no client library would, and returns (status, headers, body) of the first answer."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(data)
        answer = b""
        try:
            while not is_whole(answer) and (chunk := connection.recv(65536)):
                answer += chunk
        except (TimeoutError, ConnectionResetError):
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return (int(lines[0].split()[1]) if lines[0] else 0), headers, body


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """How long each log is when a test begins."""
    item.log_sizes = evidence.logs(os.environ.get("BERTH_STATE") and pathlib.Path(os.environ["BERTH_STATE"]) / "logs")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test brings the stack's state and the logs of its time along, as they are before anything is healed."""
    report = (yield).get_result()
    stack = getattr(item, "funcargs", {}).get("running_stack") or Stack.last
    if report.failed and stack:
        report.sections.append((f"Captured stdout: the stack at the end of {call.when}", evidence.of(stack, paused(stack), item.log_sizes, stack.state / "logs", item.funcargs.get("tmp_path"))))


@pytest.fixture(scope="session")
def running_stack():
    found = Stack.last = Stack()
    wait_until(lambda: found.status()["ready"], what=f"the stack in {found.state} is ready (./dev up, or ./dev test integration)")
    return found


@pytest.fixture
def stack(running_stack):
    """The stack, healed after the test when a part of it is not as it was."""
    yield running_stack
    if not running_stack.status()["ready"] or paused(running_stack):
        running_stack.heal()


def paused(stack):
    """Names of parts that are stopped by SIGSTOP, as the process table says."""
    found = []
    for name in PARTS:
        try:
            pid = (stack.state / "run" / f"{name}.pid").read_text().split()[0]
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                found.append(name)
        except (OSError, IndexError):
            continue
    return found


@pytest.fixture
def api(stack):
    """A client of its own for each test, through the gateway."""
    return Api(stack.api)


@pytest.fixture
def commands(stack):
    """A client that goes to the command server directly."""
    return Api(stack.commands)


@pytest.fixture
def query(stack):
    """A client that goes to the query server directly."""
    return Api(stack.query)


@pytest.fixture
def kafka(stack):
    return stack.kafka


@pytest.fixture
def postgres(stack):
    import psycopg2

    connection = psycopg2.connect(stack.postgres)
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture
def redis(stack):
    import redis as client

    return client.Redis.from_url(stack.redis)
