"""The negative phase: Kafka loses acknowledged records of one partition on all replicas, which no rule can bring back. It must be noticed, and nothing may be
served as if nothing had happened.

All brokers are stopped, the partition's log is cut at a batch in the middle of what was acknowledged and read, on all three, and they are started again. Then,
within NOTICE_S:
- the nodes: the partition is read-only (metric), told in a log line at level error, /readyz says no, and every command on it gets 503;
- the projectors have stopped at it (metric, log line), and the query API refuses the tokens of its answers that name lost records;
- the other partitions go on.
"""
import json
import pathlib
import re
import struct
import time
import urllib.error
import urllib.request
import uuid

from .parts import wait_until
from .watch import events_of

NOTICE_S = 45
TOPIC = "berth.trip"
PHASE_READ_ONLY = 6
SEATS = 12


def play(run, say):
    """{"partition", "lost_records", "noticed_ms", "observed", "violations"}"""
    from .check.rule import partition_of

    cluster, found = run.cluster, {"violations": [], "observed": {}}
    cluster.make_whole()
    victim = run.hot_partitions()[0]
    other = (victim + 1) % cluster.partitions
    say(f"the negative phase: partition {victim} is to lose a suffix on all replicas")
    client = Client(cluster)
    trips = {partition: trip_in(partition, cluster.partitions, partition_of) for partition in (victim, other)}
    for trip in trips.values():
        client.must(201, "/v1/trips", opening(trip))
    kept = client.must(201, f"/v1/trips/{trips[victim]}/holds", wish(1))
    lost = [client.must(201, f"/v1/trips/{trips[victim]}/holds", wish(1)) for _ in range(6)]
    client.read_until(trips[victim], lost[-1]["position"])
    cut_at = offset_of(kept["position"]) + 1
    lose(cluster, victim, cut_at, found)
    began = time.monotonic()
    expectations(run, client, found, victim, trips, lost, other)
    found["noticed_ms"] = round(max((at - began for at in found.pop("times")), default=0) * 1000)
    found["partition"], found["cut_at"], found["acknowledged_and_lost"] = victim, cut_at, len(lost)
    say(f"the negative phase: {'noticed everywhere' if not found['violations'] else 'NOT as promised'} after {found['noticed_ms']} ms; {json.dumps(found['observed'])}")
    return found


def expectations(run, client, found, victim, trips, lost, other):
    cluster, found["times"] = run.cluster, []

    def expect(name, check):
        try:
            found["observed"][name] = wait_until(check, NOTICE_S, name)
            found["times"].append(time.monotonic())
        except TimeoutError as error:
            found["observed"][name] = False
            found["violations"].append({"kind": "lost_suffix", "what": f"after an acknowledged suffix was lost: {error}"})

    names = [node.name for node in cluster.nodes()]
    projectors = [part.name for part in cluster.named("projector")]
    series = f'partition="{victim}"'
    expect("a node says read-only in its metrics", lambda: [name for name in names if metric(cluster, name, "berth_owner_phase", series) == PHASE_READ_ONLY])
    expect("a node says so in its log, as an error", lambda: sorted({event["event"] for name in names for event in events_of(cluster, name)
                                                                    if event.get("level") == "error" and event.get("partition") == victim}))  # fmt: skip
    expect("a node is not ready and says why", lambda: [name for name in names if cluster[name].get("/readyz")[0] == 503])
    expect("a command on the partition gets 503", lambda: client.post(f"/v1/trips/{trips[victim]}/holds", wish(1))["status"] == 503)
    expect("a projector has stopped at it", lambda: [name for name in projectors if metric(cluster, name, "berth_projection_stopped", series) == 1])
    expect("the query API refuses a token of the lost suffix", lambda: refusal(client.read(trips[victim], lost[-1]["position"])))
    expect("a command on another partition is accepted", lambda: client.post(f"/v1/trips/{trips[other]}/holds", wish(1))["status"] == 201)
    # It stays so: nobody may slip in a quiet refold.
    end = time.monotonic() + 5
    while time.monotonic() < end:
        answer = client.post(f"/v1/trips/{trips[victim]}/holds", wish(1))
        if answer["status"] not in (503, None):
            found["violations"].append({"kind": "lost_suffix", "what": f"a command on the read-only partition got {answer['status']}: {answer['body'][:200]}"})
            break
        time.sleep(0.2)


def refusal(answer):
    return answer["status"] if answer["status"] in (409, 503) and "position" in answer["body"] else None


def metric(cluster, name, metric_name, series):
    values = [value for key, value in cluster.metrics(name).items() if key.startswith(metric_name + "{") and series in key]
    return max(values, default=None)


class Client:
    """Asks one node after the other; a key is new for each order."""

    def __init__(self, cluster):
        where = cluster.describe()
        self.nodes, self.query, self.turn = list(where["nodes"].values()), where["query"], 0

    def ask(self, request, timeout=12):
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return {"status": answer.status, "body": answer.read().decode(), "position": answer.headers.get("Berth-Position")}
        except urllib.error.HTTPError as error:
            return {"status": error.code, "body": error.read().decode(errors="replace"), "position": None}
        except OSError as error:
            return {"status": None, "body": str(error), "position": None}

    def post(self, path, body, key=None):
        self.turn += 1
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Content-Type": "application/json"}
        return self.ask(urllib.request.Request(self.nodes[self.turn % len(self.nodes)] + path, json.dumps(body).encode(), headers))

    def must(self, status, path, body):
        """The same key until it is answered so, by whichever node owns the partition."""
        key, last = str(uuid.uuid4()), []

        def done():
            last[:] = [self.post(path, body, key)]
            return last[0]["status"] == status

        try:
            wait_until(done, 60, f"POST {path}")
        except TimeoutError as error:
            raise RuntimeError(f"{error}: {last[0]}") from None
        return last[0]

    def read(self, trip, position):
        return self.ask(urllib.request.Request(f"{self.query}/v1/trips/{trip}/seats?from=a&to=b", headers={"Berth-Min-Position": position}))

    def read_until(self, trip, position):
        wait_until(lambda: self.read(trip, position)["status"] == 200, 60, f"the read model has {position}")


def trip_in(partition, partitions, partition_of):
    return next(name for name in (f"lost-{number}" for number in range(1000)) if partition_of(name.encode(), partitions) == partition)


def opening(trip):
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 2 * 86400))
    points = [{"stop": "a", "name": "A", "arrives_at": day + "T08:00:00Z", "departs_at": day + "T08:00:00Z"},
              {"stop": "b", "name": "B", "arrives_at": day + "T09:00:00Z", "departs_at": day + "T09:00:00Z"}]  # fmt: skip
    seats = [str(number) for number in range(1, SEATS + 1)]
    return {"trip": trip, "name": trip, "timezone": "UTC", "points": points, "sections": [{"name": "A", "class": "second", "seats": seats}]}


def wish(count):
    return {"from": "a", "to": "b", "count": count, "customer": "lost"}


def offset_of(position):
    """1042 of trip/3@1042-ab12cd34."""
    return int(re.match(r"[^@]*@(\d+)", position).group(1))


def lose(cluster, partition, offset, found):
    """Brokers are killed, so that none of them hands its tail to another; what is cut is the same on all, so that no replica can heal another."""
    for broker in cluster.brokers():
        broker.kill()
    found["lost_bytes"] = {broker.name: truncate(broker.data / f"{TOPIC}-{partition}", offset) for broker in cluster.brokers()}
    for broker in cluster.brokers():
        (broker.data / ".kafka_cleanshutdown").unlink(missing_ok=True)
        broker.start()
    cluster.wait_ready(*(broker.name for broker in cluster.brokers()))


def truncate(folder, offset):
    """Cuts a partition's files before the first batch that holds `offset` or more; returns how many bytes went. Indexes and what hangs on them are made anew."""
    segments, lost = sorted(pathlib.Path(folder).glob("*.log")), 0
    for segment in segments:
        keep = batches_end_before(segment.read_bytes(), offset)
        lost += segment.stat().st_size - keep
        if keep == 0 and segment is not segments[0]:
            segment.unlink()
        else:
            with open(segment, "r+b") as file:
                file.truncate(keep)
    for pattern in ("*.index", "*.timeindex", "*.snapshot", "leader-epoch-checkpoint"):
        for path in pathlib.Path(folder).glob(pattern):
            path.unlink()
    return lost


def batches_end_before(data, offset):
    """The size of the leading batches whose records all stand before `offset`: base offset (8 bytes), length (4), …, last offset's delta at byte 23."""
    at = 0
    while at + 27 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        last_delta = struct.unpack_from(">i", data, at + 23)[0]
        if length <= 0 or base + last_delta >= offset:
            break
        at += 12 + length
    return at
