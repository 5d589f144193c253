"""postgres - the same trips sold by Postgres with row locks, by pgbench over a Unix socket, without HTTP; and Berth with it.

Two pairs: synchronous_commit=off beside Berth's defaults (an acknowledged booking survives kill -9, not a power cut, on both sides),
and on beside flush.messages=1 (both write to the disk before they answer). Postgres has a cluster of its own, tuned for this, and
the number of clients that suits it best; Berth has 256 clients over HTTP.
"""
import os
import pwd
import re
import shutil
import subprocess
import tempfile

from . import book
from .measure import Figure, Unmeasured, say
from .stack import TOP

NAMES = [f"book.postgres.{pair}.{trips}" for pair in ("async", "sync") for trips in ("one_trip", "many_trips")]
PARTS = "kafka,commands"
PROGRAMS = ["bench_book_load"]
ABOUT = "the same sale in Postgres by pgbench, and in Berth, without and with a flush to disk before each answer: about 4 minutes"

BIN = os.environ.get("BERTH_POSTGRES_BIN", "/usr/lib/postgresql/15/bin")
HERE = os.path.join(TOP, "bench", "postgres")
SECONDS = 6
CLIENTS = (4, 16, 64)
SETTINGS = ["listen_addresses=''", "shared_buffers=512MB", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=8GB", "checkpoint_timeout=1h",
            "max_connections=300", "jit=off", "autovacuum_naptime=5s", "wal_compression=off", "wal_buffers=64MB", "effective_io_concurrency=0",
            "max_parallel_workers_per_gather=0", "plan_cache_mode=force_generic_plan", "track_activities=off", "track_counts=on", "commit_delay=0"]


class Cluster:
    """A Postgres of our own in a folder that its user can reach; gone at the end."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="berth-bench-", dir="/var/tmp")
        self.data = os.path.join(self.folder, "data")
        self.as_user = {}
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.name = pwd.getpwuid(self.as_user.get("user", os.getuid())).pw_name
        self.call(os.path.join(BIN, "initdb"), "-D", self.data, "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync", "-U", "bench")
        options = " ".join(f"-c {setting}" for setting in SETTINGS) + f" -c unix_socket_directories={self.folder}"
        self.call(os.path.join(BIN, "pg_ctl"), "-D", self.data, "-w", "-l", os.path.join(self.folder, "log"), "-o", options, "start")

    def call(self, *command, text=None):
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=self.folder, env=dict(os.environ, PGHOST=self.folder, PGUSER="bench",
                              PGDATABASE="postgres"), **self.as_user)
        if done.returncode != 0:
            raise Unmeasured(f"{os.path.basename(command[0])}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout

    def sql(self, text):
        return self.call(os.path.join(BIN, "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", text=text)

    def fill(self, trips):
        self.sql(f"TRUNCATE seat, hold; SELECT fill({trips}, 2000, 0.82); VACUUM ANALYZE; CHECKPOINT;")

    def bench(self, clients, seconds, trips):
        with open(os.path.join(HERE, "book.pgbench")) as file:
            script = os.path.join(self.folder, "book.pgbench")
            with open(script, "w") as copy:
                copy.write(file.read())
        os.chmod(script, 0o644)
        return self.call(os.path.join(BIN, "pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(seconds), "-D", f"trips={trips}", "-f", script)

    def close(self):
        subprocess.run([os.path.join(BIN, "pg_ctl"), "-D", self.data, "-m", "immediate", "stop"], capture_output=True, cwd="/", **self.as_user)
        shutil.rmtree(self.folder, ignore_errors=True)


def holds_of(cluster, clients, trips):
    """Accepted holds a second: rows of hold that came into being."""
    cluster.fill(trips)
    cluster.bench(clients, 3, trips)
    before = int(cluster.sql("SELECT count(*) FROM hold"))
    text = cluster.bench(clients, SECONDS, trips)
    after = int(cluster.sql("SELECT count(*) FROM hold"))
    seconds = SECONDS
    match = re.search(r"number of transactions actually processed: (\d+)", text)
    rate = re.search(r"tps = ([\d.]+)", text)
    if match and rate and float(rate.group(1)) > 0:
        seconds = int(match.group(1)) / float(rate.group(1))
    return (after - before) / seconds


def best_of(cluster, trips):
    rates = {clients: holds_of(cluster, clients, trips) for clients in CLIENTS}
    clients = max(rates, key=rates.get)
    return rates[clients], clients


def pair(bench, cluster, name, synchronous):
    cluster.sql(f"ALTER ROLE bench SET synchronous_commit = {'on' if synchronous else 'off'}")
    if synchronous:
        bench.flush_each_message(book.TOPIC, True)
    try:
        for kind, trips in (("one_trip", 1), ("many_trips", book.MANY)):
            say(f"book.postgres.{name}.{kind}")
            theirs, clients = best_of(cluster, trips)
            ours, _ = book.load(bench, 256, trips)
            value = ours.said["accepted_per_s"]
            yield Figure(f"book.postgres.{name}.{kind}", value, "holds/s", theirs, value / theirs, 3,
                         note=f"Postgres was best with {clients} clients of {', '.join(map(str, CLIENTS))}; others used {ours.others * 100:.0f} % during ours")
    finally:
        if synchronous:
            bench.flush_each_message(book.TOPIC, False)


def run(bench):
    if not os.path.exists(os.path.join(BIN, "pgbench")):
        raise Unmeasured(f"there is no pgbench in {BIN}")
    book.warm_up(bench)
    cluster = Cluster()
    try:
        with open(os.path.join(HERE, "book.sql")) as file:
            cluster.sql(file.read())
        yield from pair(bench, cluster, "async", False)
        yield from pair(bench, cluster, "sync", True)
    finally:
        cluster.close()
