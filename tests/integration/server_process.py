"""One more server beside those of the stack, on its Kafka, Postgres and Redis, with settings, an environment and limits of its own.

    with server(stack, "commands", slot=0, settings={"node.name": "zombie"}, limits={resource.RLIMIT_NOFILE: (64, 64)}) as node:
        node.wait_ready()
        hold(Api(node.url), ...)

A child of the test: it is stopped, continued and killed by its own pid, and gone when the block ends. Its ports are free ones of the
stack's forty (slot 0 to 2), so two stacks never meet. What a sanitizer wrote into its log fails the test.
"""
import contextlib
import os
import pathlib
import re
import resource
import signal
import subprocess
import time

import requests

from conftest import PATIENCE_S, TOP, wait_until

PROGRAMS = {"commands": "berth-commands", "query": "berth-query-api", "projections": "berth-projections"}
FIRST_HTTP, FIRST_ADMIN = 5, 15  # places in the stack's forty ports that nothing else has
SANITIZED = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:")


def preset_of(stack):
    lines = (stack.state / "settings").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)["preset"]


def binary_of(stack, name):
    return TOP / "build" / preset_of(stack) / "bin" / PROGRAMS[name]


def is_sanitized(stack):
    """ASan keeps a shadow of all memory: such a program cannot live under RLIMIT_AS."""
    return b"__asan_init" in binary_of(stack, "commands").read_bytes()


class Server:
    def __init__(self, stack, name, slot, settings, environment, limits, log):
        base = int(stack.commands.rpartition(":")[2]) - 1
        self.stack, self.name, self.environment, self.limits = stack, name, environment, limits
        self.url, self.admin = f"http://127.0.0.1:{base + FIRST_HTTP + slot}", f"http://127.0.0.1:{base + FIRST_ADMIN + slot}"
        self.settings = {"admin.listen": self.admin.removeprefix("http://"), **self.own_settings(), **settings}
        self.log_path = log or stack.state / "logs" / f"test-{name}-{slot}.log"
        self.process = None

    def own_settings(self):
        databases = {"postgres.dsn": self.stack.postgres, "redis.url": self.stack.redis}
        kafka = {"kafka.bootstrap.servers": self.stack.kafka}
        listen = {"http.listen": self.url.removeprefix("http://")}
        return {"commands": listen | kafka, "query": listen | databases, "projections": kafka | databases}[self.name]

    def start(self):
        flags = [f"--{name}={value}" for name, value in self.settings.items()]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([binary_of(self.stack, self.name), *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=os.environ | self.environment, preexec_fn=self.limit, start_new_session=True)  # fmt: skip

    def limit(self):
        for what, (soft, hard) in self.limits.items():
            resource.setrlimit(what, (soft, hard))

    @property
    def pid(self):
        return self.process.pid

    def state(self):
        """As the process table says: S, R, T (stopped) ..."""
        return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def rss_kb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.pid}/status").read_text())[1])

    def fd_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")

    def is_ready(self):
        try:
            return requests.get(self.admin + "/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def wait_ready(self, seconds=60):
        def ready():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log()[-2000:]}"
            return self.is_ready()

        wait_until(ready, seconds, f"{self.name} is ready")

    def metrics(self):
        """(name, labels) -> value."""
        from prometheus_client.parser import text_string_to_metric_families

        families = text_string_to_metric_families(requests.get(self.admin + "/metrics", timeout=PATIENCE_S).text)
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}

    def metric(self, name, **labels):
        """The sum of all series of that name that have these labels."""
        return sum(value for (found, having), value in self.metrics().items() if found == name and labels.items() <= dict(having).items())

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=2 * PATIENCE_S):
        """Gracefully; what it ended with."""
        self.resume()
        self.process.terminate()
        return self.process.wait(seconds)

    def abandon(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()


@contextlib.contextmanager
def server(stack, name, slot=0, settings=None, environment=None, limits=None, log=None):
    """Started, not yet ready. Leaving the block stops it gracefully if it still runs, and looks at what the sanitizers said."""
    found = Server(stack, name, slot, settings or {}, environment or {}, limits or {}, log)
    pathlib.Path(found.log_path).unlink(missing_ok=True)
    try:
        found.start()
        yield found
        if found.process.poll() is None:
            assert found.stop() == 0, found.log()[-2000:]
    finally:
        found.abandon()
    assert not SANITIZED.search(found.log()), found.log()[-6000:]


@contextlib.contextmanager
def instead_of(stack, name):
    """The stack's own server of that name is away meanwhile."""
    stack.stop(name)
    try:
        yield
    finally:
        stack.start(name)
        stack.wait_ready(name)


def wait_gone(process, seconds):
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    return process.returncode
