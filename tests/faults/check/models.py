"""models - Postgres, Redis, the C programs' digest and the snapshots, each held against the fold."""
import json
import pathlib
import struct
import subprocess
import time
import urllib.request

from . import rule, trip
from .avro import Schemas, microseconds

POLL_S = 0.1


# ---- Postgres ----


def check_postgres(dsn, topic, folds, report, catch_up_s):
    """Waits until the model has read what the fold has, for a while; then every row of trips, holds and bookings must be the fold's, and no other."""
    import psycopg2

    try:
        connection = psycopg2.connect(dsn, connect_timeout=10)
    except psycopg2.Error as reason:
        report.violation("postgres-not-reached", str(reason))
        return
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with connection.cursor() as cursor:
        if wait_for(lambda: postgres_is_behind(connection, cursor, topic, folds), catch_up_s, report, "postgres"):
            check_positions(cursor, topic, folds, report)
            check_parked(cursor, report)
            check_rows(cursor, folds, report)
    connection.close()


def wait_for(is_behind, seconds, report, what):
    until = time.monotonic() + seconds
    while behind := is_behind():
        if time.monotonic() > until:
            report.violation(f"{what}-behind", f"{what} has not caught up with the log in {seconds} s", behind=behind)
            return False
        time.sleep(POLL_S)
    return True


def postgres_is_behind(connection, cursor, topic, folds):
    connection.rollback()  # a new moment
    cursor.execute("SELECT partition, next_offset, stopped FROM berth.positions WHERE model = 'trips' AND topic = %s", (topic,))
    found = {partition: (next_offset, stopped) for partition, next_offset, stopped in cursor.fetchall()}
    return {partition: found.get(partition) for partition, fold in folds.items() if found.get(partition, (-1, None))[0] < fold.chain.next_offset}


def check_positions(cursor, topic, folds, report):
    cursor.execute("SELECT partition, next_offset, head, height, void_count, log_time, stopped FROM berth.positions WHERE model = 'trips' AND topic = %s", (topic,))
    for partition, next_offset, head, height, void_count, log_time, stopped in cursor.fetchall():
        chain = folds[partition].chain
        if next_offset != chain.next_offset:
            report.count("postgres_moved_on")  # somebody still writes; the rows will differ, and say so
        said = (bytes(head), height, void_count, microseconds(log_time), stopped)
        expected = (chain.head, chain.height, chain.void_count, folds[partition].log_time, None)
        if said != expected:
            report.violation("postgres-position-differs", f"partition {partition}", told=said, fold=expected)


def check_parked(cursor, report):
    cursor.execute("SELECT model, partition, record_offset, stream, error FROM berth.parked ORDER BY record_offset LIMIT 10")
    for model, partition, offset, stream, error in cursor.fetchall():
        report.violation("parked", f"{model} could not apply {partition}@{offset} of {bytes(stream)}: {error}")


def check_rows(cursor, folds, report):
    trips, last = {}, {"holds": {}, "bookings": {}}
    for fold in folds.values():
        trips.update({found.id: found for found in fold.trips.values() if found.version > 0})
        for (table, claim), rows in fold.rows.items():
            last[table][claim.hex()] = rows[-1]
    cursor.execute("SELECT trip, name, timezone, status, reason, opened_at, departs_at, arrives_at FROM berth.trips")
    told = {row[0]: (*row[1:5], *map(microseconds, row[5:])) for row in cursor.fetchall()}
    expected = {found.id: (found.name, found.timezone, found.status, found.reason, found.opened_at, found.points[0]["departs_at"], found.points[-1]["arrives_at"])
                for found in trips.values()}  # fmt: skip
    compare("trips", told, expected, report)
    cursor.execute("SELECT hold, trip, customer, from_index, to_index, places, status, version, held_at, expires_at FROM berth.holds")
    compare("holds", {hexed(row[0]): (*row[1:8], *map(microseconds, row[8:])) for row in cursor.fetchall()},
            {claim: (*shown(row), row["held_at"], row["expires_at"]) for claim, row in last["holds"].items()}, report)  # fmt: skip
    cursor.execute("SELECT booking, trip, customer, from_index, to_index, places, status, version, booked_at, changed_at FROM berth.bookings")
    compare("bookings", {hexed(row[0]): (*row[1:8], *map(microseconds, row[8:])) for row in cursor.fetchall()},
            {claim: (*shown(row), row["booked_at"], row["changed_at"]) for claim, row in last["bookings"].items()}, report)  # fmt: skip
    cursor.execute("SELECT t.trip, greatest(t.version, (SELECT max(version) FROM berth.holds h WHERE h.trip = t.trip),"
                   " (SELECT max(version) FROM berth.bookings b WHERE b.trip = t.trip)) FROM berth.trips t")  # fmt: skip
    compare("versions", dict(cursor.fetchall()), {found.id: found.version for found in trips.values()}, report)


def shown(row):
    return (row["trip"], row["customer"], row["from"], row["to"], [number for place in row["places"] for number in place], row["status"], row["version"])


def hexed(uuid):
    return str(uuid).replace("-", "")


def compare(table, told, expected, report):
    report.count(f"postgres_{table}", len(expected))
    for key in sorted(set(told) | set(expected)):
        if told.get(key) != expected.get(key):
            report.violation("postgres-differs", f"{table} {key}", told=told.get(key), fold=expected.get(key))


# ---- Redis ----


def check_redis(url, topic, folds, report, catch_up_s):
    """The value of every trip, byte for byte as projections/availability/README.md lays it out. A value that is not there is no contradiction (readers
    then go to Postgres), but is counted; without any position nothing was written at all, and that is one."""
    import redis

    client = redis.Redis.from_url(url, socket_timeout=10)
    try:
        if not wait_for(lambda: redis_is_behind(client, topic, folds), catch_up_s, report, "redis"):
            return
        parked = client.hgetall("{berth}:parked:availability")
        for stream, why in parked.items():
            report.violation("parked", f"availability of {stream}: {why}")
        for fold in folds.values():
            for found in fold.trips.values():
                if found.version > 0:
                    check_value(client.get(f"{{berth}}:avail:{found.id}"), found, report)
    except redis.RedisError as reason:
        report.violation("redis-not-reached", str(reason))
    finally:
        client.close()


def redis_is_behind(client, topic, folds):
    import redis

    behind = {}
    for partition, fold in folds.items():
        try:
            position = client.get(f"{{berth}}:position:availability:{topic}:{partition}")
        except redis.RedisError as reason:
            position, behind[partition] = None, str(reason)
        if position is None or struct.unpack_from("<q", position)[0] < fold.chain.next_offset:
            behind[partition] = position and struct.unpack_from("<q", position)[0]
    return behind


def check_value(value, found, report):
    report.count("redis_values")
    if value is None:
        report.count("redis_values_absent")
        return
    expected = availability(found)
    told = value.ljust(len(expected), b"\0")
    if told != expected:
        at = next((index for index in range(min(len(told), len(expected))) if told[index] != expected[index]), min(len(told), len(expected)))
        report.violation("redis-differs", f"the value of {found.id} differs first at byte {at}", told=told[at:at + 32], fold=expected[at:at + 32],
                         told_version=struct.unpack_from("<q", told, 16)[0], fold_version=found.version)  # fmt: skip


def availability(found):
    """The value of a trip at its full size."""
    segments, sections = found.segments, found.sections
    width = (segments + 7) // 8
    status = ("open", "closed", "cancelled").index(found.status)
    counted = [index for index, section in enumerate(sections) if not section["seats"]]
    entries = sum(len(section["seats"]) for section in sections)
    head = struct.pack("<BBBBIIIqqq", 1, status, width, segments, entries, len(counted), len(sections), found.version, found.last_offset, found.last_time)
    held, booked = {}, {}
    counts = {(section, segment): [0, 0] for section in counted for segment in range(segments)}
    for claim in found.live.values():
        for section, seat in claim.places:
            if seat >= 0:
                masks = booked if claim.status == trip.BOOKED else held
                masks[section, seat] = masks.get((section, seat), 0) | trip.mask(claim.start, claim.end)
            else:
                for segment in range(claim.start, claim.end):
                    counts[section, segment][claim.status == trip.BOOKED] += 1
    body = b"".join(struct.pack("<I", len(section["seats"])) for section in sections)
    body += b"".join(struct.pack("<II", *counts[section, segment]) for section in counted for segment in range(segments))
    for index, section in enumerate(sections):
        for seat in range(len(section["seats"])):
            body += held.get((index, seat), 0).to_bytes(width, "little") + booked.get((index, seat), 0).to_bytes(width, "little")
    return head + body


# ---- the C programs ----


def check_digest(berth, kafka, folds, report, timeout_s=300):
    """`berth replay --to-nowhere --json`: the state that the C decider folds from the same log, as a digest."""
    done = subprocess.run([berth, "replay", "--to-nowhere", "--json=true", f"--kafka.bootstrap.servers={kafka}"], capture_output=True, text=True, timeout=timeout_s)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    told = {row["partition"]: row for line in lines for row in json.loads(line).get("partitions", [])}
    if done.returncode != 0 or set(told) != set(folds):
        report.violation("replay-failed", f"berth replay ended with {done.returncode}", output=done.stdout[-500:], errors=done.stderr[-500:])
        return
    for partition, fold in folds.items():
        row = told[partition]
        report.count("digests_compared")
        if (row["next_offset"], row["head"], row["digest"]) != (fold.chain.next_offset, fold.chain.head.hex(), fold.digest().hex()):
            report.violation("digest-differs", f"partition {partition}: the C state is not the fold's", told=row,
                             fold=(fold.chain.next_offset, fold.chain.head, fold.digest()))  # fmt: skip


def collect_digests(admins, partitions, path, timeout_s=6):
    """Asks nodes (name -> http://host:port of the admin port) for the digest of what each holds now, and adds the answers to a file. Returns how many
    there were: a node that is down, busy or has no state to tell is no failure."""
    count = 0
    with open(path, "a", encoding="utf-8") as file:
        for name, admin in admins.items():
            for partition in range(partitions):
                try:
                    with urllib.request.urlopen(f"{admin}/digest?partition={partition}", timeout=timeout_s) as answer:
                        file.write(json.dumps({"node": name, **json.loads(answer.read())}) + "\n")
                        count += 1
                except (OSError, ValueError):
                    continue
    return count


def check_node_digests(path, logs, report):
    """What nodes said that they held, at whatever moment, is the fold of the log up to the offset that they named."""
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    schemas, folds = Schemas(), {partition: StateFold(records) for partition, records in logs.items()}
    for row in sorted(rows, key=lambda row: row["next_offset"]):
        fold = folds[row["partition"]]
        fold.run_to(row["next_offset"], schemas)
        report.count("node_digests_compared")
        if (row["head"], row["digest"]) != (fold.head.hex(), fold.digest().hex()):
            report.violation("node-state-differs", f"{row['node']} held another state of partition {row['partition']} than the log up to {row['next_offset']}", told=row,
                             fold=(fold.head, fold.digest()))  # fmt: skip


def check_snapshots(program, root, logs, report, timeout_s=120):
    """The snapshots of all nodes under a folder: the state in each file is that of the fold from the log's start to its offset. A damaged one is nobody's
    state, and is counted (fault runs damage them on purpose). program: snapshot_digest, built from the file beside this one."""
    schemas = Schemas()
    for folder in sorted({path.parent for path in pathlib.Path(root).rglob("berth.trip-*") if path.is_dir()}):
        done = subprocess.run([program, str(folder), str(len(logs))], capture_output=True, text=True, timeout=timeout_s)
        if done.returncode != 0:
            report.violation("snapshots-not-read", f"{program} {folder} ended with {done.returncode}", errors=done.stderr[-500:])
        for row in map(json.loads, done.stdout.splitlines()):
            check_snapshot(row, folder, logs, schemas, report)


def check_snapshot(row, folder, logs, schemas, report):
    if row.get("error"):
        report.count("snapshots_damaged")
        return
    head, digest = state_at(logs[row["partition"]], row["next_offset"], schemas)
    report.count("snapshots_compared")
    if (row["head"], row["digest"]) != (head.hex(), digest.hex()):
        report.violation("snapshot-differs", f"a snapshot in {folder} holds another state than the log up to {row['next_offset']}", told=row, fold=(head, digest))


class StateFold:
    """Head and state of a partition after the records before an offset: the plain fold, without what else PartitionFold looks at."""

    def __init__(self, records):
        self.records, self.next, self.trips, self.head, self.log_time = records, 0, {}, rule.ZERO, 0

    def run_to(self, next_offset, schemas):
        while self.next < len(self.records) and self.records[self.next].offset < next_offset:
            record = self.records[self.next]
            self.next += 1
            if not record.valid:
                continue
            self.head = record.id
            name, event = record.event or schemas.decode(record.value)
            self.log_time = max(self.log_time, microseconds(event["meta"]["time"]))
            if record.key != rule.LOG_KEY:
                self.trips.setdefault(record.key, trip.Trip(record.key.decode())).apply(record.offset, name, event)

    def digest(self):
        return trip.digest_of_partition(self.trips, self.log_time)


def state_at(records, next_offset, schemas):
    fold = StateFold(records)
    fold.run_to(next_offset, schemas)
    return fold.head, fold.digest()
