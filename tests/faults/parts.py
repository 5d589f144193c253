"""The parts of the cluster, each a process by name that can be started, stopped, killed, paused and resumed; real ones, as a user would run them.

A part knows its command line and when it is ready; it never outlives the harness by design: every process is a child in a session of its own and is
ended by its pid. Pausing stops the children too (Postgres has one a connection).
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
STOP_S = 40
POSTGRES_BIN = pathlib.Path(os.environ.get("BERTH_POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))
JVM = ["-Xms192m", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
LOG4J = f"-Dlog4j2.configurationFile={TOP / 'infra/kafka/log4j2.properties'}"
SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:")


def properties(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


class Part:
    """One process. cluster: where everything is (cluster.py); `net` places it, `folder` is its own state."""

    ready_s = 60

    def __init__(self, cluster, name):
        self.cluster, self.net, self.name = cluster, cluster.net, name
        self.process, self.state, self.starts = None, "stopped", 0
        self.folder = cluster.run / "state" / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = cluster.run / "logs" / f"{name}.log"
        self.net.add(name)

    def address(self, what):
        return f"{self.net.host(self.name)}:{self.net.port(self.name, what)}"

    def argv(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def is_ready(self):
        raise NotImplementedError

    def start(self):
        assert self.state == "stopped", f"{self.name} is {self.state}"
        self.starts += 1
        environment = {key: value for key, value in os.environ.items() if not key.startswith("BERTH_")}
        environment.update(self.environment())
        self.log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.net.inside(self.name, self.argv()), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                            env=environment, cwd=self.folder, start_new_session=True)
        self.state = "running"

    def ensure_alive(self):
        """A part that ended by itself is an error of the run, whatever else was found."""
        if self.state in ("running", "paused") and self.process.poll() is not None:
            self.state = "stopped"
            raise RuntimeError(f"{self.name} ended by itself with status {self.process.returncode}: {self.last_words()}")

    def last_words(self, lines=4):
        try:
            return " / ".join(self.log_path.read_text(errors="replace").strip().splitlines()[-lines:])[-800:]
        except OSError:
            return ""

    def pids(self):
        """Its own pid and its descendants'."""
        children = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
            except (OSError, IndexError):
                continue
        found = [self.process.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def send(self, number):
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def pause(self):
        self.ensure_alive()
        self.send(signal.SIGSTOP)
        self.state = "paused"

    def stopped_itself(self):
        """Has it raised SIGSTOP? From then on it counts as paused."""
        self.ensure_alive()
        if self.state == "running" and pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            self.state = "paused"
        return self.state == "paused"

    def resume(self):
        if self.state == "paused":
            self.send(signal.SIGCONT)
            self.state = "running"

    def kill(self):
        """SIGKILL to it and its children; gone when this returns."""
        if self.state == "stopped":
            return
        self.send(signal.SIGKILL)
        self.process.wait(30)
        self.state = "stopped"

    def leave(self):
        """Asks it to end gracefully, and does not wait: has_left tells."""
        self.resume()
        os.kill(self.process.pid, signal.SIGTERM)
        self.state = "leaving"

    def has_left(self):
        if self.state == "leaving" and self.process.poll() is not None:
            self.state = "stopped"
        return self.state == "stopped"

    def stop(self, number=signal.SIGTERM, seconds=STOP_S):
        """Gracefully; returns whether it ended by itself within the time."""
        if self.state == "stopped":
            return True
        self.resume()
        if self.process.poll() is None and self.state != "leaving":
            os.kill(self.process.pid, number)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self.state = "stopped"
        return True

    def complaints(self):
        """What the sanitizers wrote into its log."""
        if not self.log_path.exists():
            return []
        return [line for line in self.log_path.read_text(errors="replace").splitlines() if SANITIZER.search(line)]


class Broker(Part):
    """Broker and controller at once: three processes in all keep memory and start-up small, and whoever kills one kills a vote as well.

    Listeners: CLIENT is what servers use, advertised as the proxy's port; DIRECT for the harness and the checker, who must not suffer from faults;
    INTERNAL between brokers; CONTROLLER for the quorum."""

    ready_s = 120

    def __init__(self, cluster, name):
        super().__init__(cluster, name)
        self.id = int(name.removeprefix("broker"))
        self.settings_path = self.folder / "server.properties"
        self.data = self.folder / "data"

    def settings(self):
        host, port = self.net.host(self.name), lambda what: self.net.port(self.name, what)
        voters = ",".join(f"{b.id}@{b.address('controller')}" for b in self.cluster.brokers())
        count = str(len(self.cluster.brokers()))
        insync = "2" if int(count) >= 3 else "1"
        values = properties((TOP / "infra/kafka/server.properties").read_text())
        values.update({
            "node.id": str(self.id), "controller.quorum.voters": voters, "inter.broker.listener.name": "INTERNAL",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,DIRECT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": ",".join(f"{kind}://{host}:{port(kind.lower())}" for kind in ("CLIENT", "DIRECT", "INTERNAL", "CONTROLLER")),
            "advertised.listeners": f"CLIENT://{self.cluster.client_address(self)},DIRECT://{host}:{port('direct')},INTERNAL://{host}:{port('internal')}",
            "log.dirs": str(self.data), "default.replication.factor": count, "min.insync.replicas": insync,
            "replica.lag.time.max.ms": "5000", "controller.quorum.fetch.timeout.ms": "2000", "controller.quorum.election.timeout.ms": "1000",
            # Leaders go back to where they were, or all of them would gather on one broker that was never hurt.
            "leader.imbalance.check.interval.seconds": "5", "leader.imbalance.per.broker.percentage": "1",
        })
        for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
            values[topic + ".replication.factor"] = count
        values["transaction.state.log.min.isr"] = values["share.coordinator.state.topic.min.isr"] = insync
        return {**values, **self.cluster.extra_settings.get(self.name, {})}

    def prepare(self):
        self.settings_path.write_text("".join(f"{key}={value}\n" for key, value in self.settings().items()))
        if (self.data / "meta.properties").exists():
            return
        first = self.cluster.brokers()[0]
        if self is first:
            cluster_id = self.cluster.new_id()
            subprocess.run(["java", "-Xmx128m", LOG4J, "-cp", f"{self.cluster.jars}/*", "kafka.tools.StorageTool", "format", "--cluster-id", cluster_id,
                            "--config", str(self.settings_path)], check=True, capture_output=True, timeout=120)
            return
        # What format writes is the same for all but two values; a JVM for each would cost seconds.
        meta = properties((first.data / "meta.properties").read_text())
        meta.update({"node.id": str(self.id), "directory.id": self.cluster.new_id()})
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "meta.properties").write_text("".join(f"{key}={value}\n" for key, value in meta.items()))
        shutil.copy(first.data / "bootstrap.checkpoint", self.data / "bootstrap.checkpoint")

    def argv(self):
        return ["java", *JVM, LOG4J, "-cp", f"{self.cluster.jars}/*", "kafka.Kafka", str(self.settings_path)]

    def start(self):
        self.prepare()
        super().start()

    def is_ready(self):
        with open(self.log_path, "rb") as log:
            log.seek(self.log_from)
            return b"Kafka Server started" in log.read()


class Server(Part):
    """A server of ours, with a file of settings; asked on its admin port."""

    program = None

    def binary(self):
        return self.cluster.binary(self.name, self.program)

    def settings(self):
        raise NotImplementedError

    def argv(self):
        known = self.cluster.settings_of(self.binary())
        values = {"admin.listen": self.address("admin"), "log.level": "info", **self.settings(), **self.cluster.extra_settings.get(self.name, {})}
        lines = [f"{key} = {value}\n" for key, value in values.items() if key in known or key.startswith("kafka.")]
        path = self.folder / "settings.conf"
        path.write_text("".join(lines))
        return [str(self.binary()), "--config", str(path)]

    def environment(self):
        return {"ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0", **self.cluster.extra_environment.get(self.name, {})}

    def is_ready(self):
        return self.get("/readyz")[0] == 200

    def get(self, path, timeout=2):
        """(status, text) of its admin port; (0, reason) when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.address('admin')}{path}", timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)


class Node(Server):
    program = "berth-commands"

    def settings(self):
        return {"http.listen": self.address("http"), "node.name": self.name, "node.address": self.address("http"), "state.dir": str(self.cluster.run / "snapshots" / self.name),
                "node.session_timeout_ms": 1500, "snapshot.every": 500, "kafka.bootstrap.servers": self.cluster.kafka(), "kafka.client.id": self.name, "node.command_timeout_ms": 10000}


class Projector(Server):
    program = "berth-projections"

    def settings(self):
        return {"kafka.bootstrap.servers": self.cluster.kafka(), "kafka.client.id": self.name, "postgres.dsn": self.cluster.postgres_dsn(), "redis.url": self.cluster.redis_url()}


class Query(Server):
    program = "berth-query-api"

    def settings(self):
        return {"http.listen": self.address("http"), "postgres.dsn": self.cluster.postgres_dsn(), "redis.url": self.cluster.redis_url()}


class Postgres(Part):
    """Refuses to run as root, so root lends it to Debian's user postgres, with the right to pass through folders that are closed to that user."""

    def as_somebody(self):
        if os.geteuid() != 0:
            return []
        capability = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *capability]

    def prepare(self):
        data = self.folder / "data"
        if (self.folder / ".made").exists():
            return
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")

        def work(*argv, stdin=None):
            subprocess.run([*self.as_somebody(), *argv], check=True, capture_output=True, cwd=self.folder, text=True, input=stdin, timeout=120)

        work(str(POSTGRES_BIN / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth=reject", "--no-instructions", "--no-sync")
        (data / "pg_hba.conf").write_text(f"host all berth {'127.0.0.1/32' if self.net.kind == 'loopback' else '10.77.0.0/24'} trust\n")
        ours = (TOP / "infra/postgres/postgresql.conf").read_text().replace("'127.0.0.1'", f"'{self.net.host(self.name)}'")
        with open(data / "postgresql.conf", "a") as settings:
            settings.write(ours + f"port = {self.net.port(self.name, 'sql')}\n")
        roles = "CREATE ROLE berth LOGIN CREATEDB\nGRANT pg_signal_backend TO berth\nCREATE DATABASE berth OWNER berth\n"
        work(str(POSTGRES_BIN / "postgres"), "--single", "-D", str(data), "template1", stdin=roles)
        (self.folder / ".made").touch()

    def start(self):
        self.prepare()
        super().start()

    def argv(self):
        return [*self.as_somebody(), str(POSTGRES_BIN / "postgres"), "-D", str(self.folder / "data")]

    def is_ready(self):
        asked = [str(POSTGRES_BIN / "pg_isready"), "-q", "-h", self.net.host(self.name), "-p", str(self.net.port(self.name, "sql"))]
        return subprocess.run(asked, timeout=10).returncode == 0

    def stop(self, number=signal.SIGINT, seconds=STOP_S):
        return super().stop(number, seconds)


class Redis(Part):
    def argv(self):
        text = (TOP / "infra/redis/redis.conf").read_text().replace("bind 127.0.0.1", "bind " + self.net.host(self.name)).replace("protected-mode yes", "protected-mode no")
        path = self.folder / "redis.conf"
        path.write_text(text + f'\nport {self.net.port(self.name, "redis")}\ndir "{self.folder}"\n')
        return ["redis-server", str(path)]

    def is_ready(self):
        try:
            with socket.create_connection((self.net.host(self.name), self.net.port(self.name, "redis")), timeout=2) as connection:
                connection.settimeout(2)
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def wait_until(check, seconds, what):
    end = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)
