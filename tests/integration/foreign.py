"""A Kafka, a Postgres with a PgBouncer before it, and a Redis as somebody else would run them: TLS and passwords everywhere, nothing in the clear.

They are real ones, on ports of the stack's forty that nothing else has, in a folder of their own; children of the test, ended by their pids. Their
certificates are made by openssl when they start, so nothing secret lies in the tree.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from conftest import PATIENCE_S, TOP, wait_until
from server_process import Server, preset_of

POSTGRES_BIN = pathlib.Path(os.environ.get("BERTH_POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))
LOG4J = f"-Dlog4j2.configurationFile={TOP / 'infra/kafka/log4j2.properties'}"
JVM = ["-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
PLACES = {"kafka": 23, "controller": 24, "postgres": 33, "pgbouncer": 34, "redis": 35}
# Each is a word that occurs nowhere else, so that it is found wherever it should not be.
SECRETS = {"kafka": "kafkaSecret-7f3a", "admin": "kafkaAdmin-51be", "postgres": "postgresSecret-90cd", "redis": "redisSecret-e4d2", "wrong": "wrongSecret-b8a6"}


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=PATIENCE_S)


def make_ca(folder, name):
    """A certificate that signs others: folder/NAME.pem, and its key."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN=Berth test {name}",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")


def make_certificate(folder, ca):
    """folder/server.pem and .key, made out to this machine's loopback; server-both.pem holds both, as Kafka wants it."""
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost", "-keyout", folder / "server.key", "-out", folder / "server.csr")
    openssl("x509", "-req", "-in", folder / "server.csr", "-CA", folder / f"{ca}.pem", "-CAkey", folder / f"{ca}.key", "-CAcreateserial", "-days", "2",
            "-extfile", folder / "names", "-out", folder / "server.pem")
    (folder / "server-both.pem").write_text((folder / "server.key").read_text() + (folder / "server.pem").read_text())


KAFKA = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=SECURED
listener.security.protocol.map=SECURED:SASL_SSL,CONTROLLER:PLAINTEXT
listeners=SECURED://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SECURED://127.0.0.1:{kafka}
log.dirs={folder}/data
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server-both.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="{admin}" user_admin="{admin}" user_berth="{secret}";
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
auto.create.topics.enable=false
unclean.leader.election.enable=false
log.message.timestamp.after.max.ms=60000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""

PGBOUNCER = """
[databases]
berth = host=127.0.0.1 port={postgres} dbname=berth user=berth password={secret}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {pgbouncer}
unix_socket_dir =
pool_mode = transaction
default_pool_size = 3
auth_type = scram-sha-256
auth_file = {folder}/users.txt
client_tls_sslmode = require
client_tls_cert_file = {folder}/server.pem
client_tls_key_file = {folder}/server.key
server_tls_sslmode = verify-full
server_tls_ca_file = {folder}/ca.pem
"""


class Foreign:
    """The servers; `settings()` is what Berth is told of them, as environment variables."""

    def __init__(self, stack):
        self.stack = stack
        base = int(stack.commands.rpartition(":")[2]) - 1
        self.ports = {name: base + place for name, place in PLACES.items()}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-foreign-"))
        self.processes = {}
        # Postgres and PgBouncer refuse root: then all of it is the user's that Debian's package makes.
        self.other_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        make_ca(self.folder, "ca")
        make_ca(self.folder, "other-ca")
        make_certificate(self.folder, "ca")
        self.own()

    def own(self):
        if self.other_user:
            for path in (self.folder, *self.folder.rglob("*")):
                with contextlib.suppress(FileNotFoundError):  # Kafka writes beside it
                    shutil.chown(path, "postgres", "postgres")
        (self.folder / "server.key").chmod(0o600)

    def launch(self, name, *command, user=()):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen([*user, *map(str, command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait_for(self, name, check):
        def ready():
            assert self.processes[name].poll() is None, f"{name} ended: {self.log(name)[-2000:]}"
            return check()

        wait_until(ready, PATIENCE_S, f"the foreign {name} is ready")

    def listens(self, name):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[name]), timeout=1):
            return True
        return False

    def start(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for started in [pool.submit(start) for start in (self.start_kafka, self.start_redis, self.start_postgres)]:
                started.result()
        self.wait_for("redis", lambda: self.listens("redis"))
        self.wait_for("pgbouncer", lambda: self.listens("pgbouncer"))
        self.wait_for("kafka", lambda: "Kafka Server started" in self.log("kafka"))

    def start_kafka(self):
        jars, settings = f"{self.stack.state}/kafka/jars/*", self.folder / "kafka.properties"
        settings.write_text(KAFKA.format(folder=self.folder, admin=SECRETS["admin"], secret=SECRETS["kafka"], **self.ports))
        made = subprocess.run(["java", "-Xmx128m", LOG4J, "-cp", jars, "kafka.tools.StorageTool", "format", "--cluster-id", "Rm9yZWlnbkZvcmVpZ25GZw", "--config", settings,
                               "--add-scram", f"SCRAM-SHA-512=[name=berth,password={SECRETS['kafka']}]"], capture_output=True, text=True, timeout=PATIENCE_S)  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        self.launch("kafka", "java", *JVM, LOG4J, "-cp", jars, "kafka.Kafka", settings)

    def start_redis(self):
        self.launch("redis", "redis-server", "--port", 0, "--tls-port", self.ports["redis"], "--bind", "127.0.0.1", "--dir", self.folder, "--save", "", "--appendonly", "no",
                    "--tls-cert-file", self.folder / "server.pem", "--tls-key-file", self.folder / "server.key", "--tls-ca-cert-file", self.folder / "ca.pem",
                    "--tls-auth-clients", "no", "--requirepass", SECRETS["redis"], user=self.other_user)  # fmt: skip

    def start_postgres(self):
        data = self.folder / "postgres"
        (self.folder / "password").write_text(SECRETS["postgres"])
        (self.folder / "hba").write_text("hostssl all berth 127.0.0.1/32 scram-sha-256\n")
        (self.folder / "users.txt").write_text(f'"berth" "{SECRETS["postgres"]}"\n')
        (self.folder / "pgbouncer.ini").write_text(PGBOUNCER.format(folder=self.folder, secret=SECRETS["postgres"], **self.ports))
        self.own()
        subprocess.run([*self.other_user, POSTGRES_BIN / "initdb", "-D", data, "-U", "berth", "-E", "UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync",
                        f"--pwfile={self.folder / 'password'}"], check=True, capture_output=True, timeout=PATIENCE_S, cwd=self.folder)  # fmt: skip
        subprocess.run([*self.other_user, POSTGRES_BIN / "postgres", "--single", "-D", data, "template1"], input=b"CREATE DATABASE berth\n", check=True, capture_output=True,
                       timeout=PATIENCE_S, cwd=self.folder)  # fmt: skip
        own = {"ssl": "on", "ssl_cert_file": self.folder / "server.pem", "ssl_key_file": self.folder / "server.key", "hba_file": self.folder / "hba", "listen_addresses": "127.0.0.1",
               "unix_socket_directories": "", "fsync": "off", "shared_buffers": "16MB", "max_connections": "40"}  # fmt: skip
        self.launch("postgres", POSTGRES_BIN / "postgres", "-D", data, "-p", self.ports["postgres"], *(word for name, value in own.items() for word in ("-c", f"{name}={value}")), user=self.other_user)
        self.launch("pgbouncer", shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", self.folder / "pgbouncer.ini", user=self.other_user)
        self.wait_for("postgres", lambda: subprocess.run([POSTGRES_BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.ports["postgres"])], timeout=PATIENCE_S).returncode == 0)

    def stop(self):
        for name, process in self.processes.items():
            if process.poll() is None:
                process.send_signal(signal.SIGINT if name in ("postgres", "pgbouncer") else signal.SIGTERM)
        end = time.monotonic() + 30
        for process in self.processes.values():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kafka(self, secret="kafka", ca="ca", protocol="SASL_SSL", mechanism="PLAIN"):
        return {"BERTH_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.ports['kafka']}", "BERTH_KAFKA_SECURITY_PROTOCOL": protocol, "BERTH_KAFKA_SASL_MECHANISM": mechanism,
                "BERTH_KAFKA_SASL_USERNAME": "berth", "BERTH_KAFKA_SASL_PASSWORD": SECRETS[secret], "BERTH_KAFKA_SSL_CA_LOCATION": str(self.folder / f"{ca}.pem")}  # fmt: skip

    def postgres(self, secret="postgres", ca="ca", mode="verify-full", through="postgres"):
        return {"BERTH_POSTGRES_DSN": f"postgresql://berth:{SECRETS[secret]}@127.0.0.1:{self.ports[through]}/berth?sslmode={mode}&sslrootcert={self.folder}/{ca}.pem"}

    def redis(self, secret="redis", ca="ca", scheme="rediss"):
        file = f"?ssl_ca_certs={self.folder}/{ca}.pem" if scheme == "rediss" else ""
        return {"BERTH_REDIS_URL": f"{scheme}://:{SECRETS[secret]}@127.0.0.1:{self.ports['redis']}/2{file}"}

    def run(self, program, *arguments, environment):
        """A program of Berth's to its end: what it printed, and its status."""
        binary = TOP / "build" / preset_of(self.stack) / "bin" / program
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BERTH_")}
        done = subprocess.run([binary, *arguments], capture_output=True, text=True, env=clean | environment, timeout=PATIENCE_S)
        return done.returncode, done.stdout + done.stderr


class ForeignServer(Server):
    """One of ours on the foreign servers: told of them by the environment, where a secret belongs and `ps` does not show it."""

    def __init__(self, foreign, name, slot, environment, **settings):
        super().__init__(foreign.stack, name, slot, settings, environment, {}, foreign.folder / f"{name}-{slot}.log")
        self.start()

    def own_settings(self):
        return {} if self.name == "projections" else {"http.listen": self.url.removeprefix("http://")}
