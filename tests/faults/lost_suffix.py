"""The negative phase: Kafka loses acknowledged records of one partition on all replicas, which no rule can bring back. It must be noticed, and nothing may be
served as if nothing had happened; then an operator accepts the loss on the record, and everything must go on.

A load runs for some seconds and ends. All brokers are killed, what their disks hold is kept for the checker, the partition's log is cut at a batch in the middle
of what was acknowledged and read, on all three, and they are started again. Then, within NOTICE_S:
- the nodes: the partition is read-only (metric), told in a log line at level error, /readyz says no, and every command on it gets 503;
- the projectors have stopped at it (metric, log line), and the query API refuses the tokens of its answers that name lost records;
- the other partitions go on.

Then `berth log accept-loss`: asked without --yes it does nothing; with it, within HEALED_S every node, both projectors and the query API go on by themselves. A
second load sells on the same trips, and the checker judges it all: the first load against the log as it was, the second against the log as it is, Postgres, Redis,
snapshots and digests against that too; nothing may be gone but what the acceptance names (check/loss.py).
"""
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
import uuid

from . import segments
from .check import models, topics
from .parts import wait_until
from .segments import truncate
from .watch import events_of

NOTICE_S, STAYS_S, ACCEPT_S, HEALED_S = 90, 5, 120, 120
LOAD_S, LOAD_CLIENTS = 4, 8
TOPIC, TAG = "berth.trip", "lost"
PHASE_READ_ONLY = 6
SEATS = 12


def play(run, found, say):
    """Fills found: partition, noticed_ms, observed, accepted, healed_ms, checked, violations, vacuous."""
    from .check.rule import partition_of

    cluster, began = run.cluster, time.monotonic()
    cluster.make_whole()
    victim = run.hot_partitions()[0]
    other = (victim + 1) % cluster.partitions
    say(f"the negative phase: partition {victim} is to lose a suffix on all replicas")
    client = Client(cluster)
    trips = {partition: trip_in(partition, cluster.partitions, partition_of) for partition in (victim, other)}
    for trip in trips.values():
        client.must(201, "/v1/trips", opening(trip))
    folder = cluster.run / "negative"
    kept = client.must(201, f"/v1/trips/{trips[victim]}/holds", wish(1))
    run.load_for(LOAD_S, folder / "before", TAG, clients=LOAD_CLIENTS)
    lost = [client.must(201, f"/v1/trips/{trips[victim]}/holds", wish(1)) for _ in range(6)]
    client.read_until(trips[victim], lost[-1]["position"])
    lose(cluster, victim, place_to_cut(folder / "before", victim, lost), folder / "topics-before", found)
    back = time.monotonic()
    expectations(run, client, found, victim, trips, lost, other)
    found["noticed_ms"] = round(max((at - back for at in found.pop("times")), default=0) * 1000)
    found["partition"] = victim
    say(f"the negative phase: {'noticed everywhere' if not found['violations'] else 'NOT as promised'} after {found['noticed_ms']} ms; {json.dumps(found['observed'])}")
    go_on(run, client, found, trips[victim], kept, lost, folder, say)
    found["seconds"] = round(time.monotonic() - began, 1)
    say(f"the negative phase: {found['seconds']} s in all")


def place_to_cut(history, victim, lost):
    """In the middle of what the load was told of, so that its records are lost and kept; all of `lost` go."""
    told = sorted(offset_of(operation["position"]) for path in history.glob("*-client-*.jsonl") for operation in map(json.loads, open(path, encoding="utf-8"))
                  if operation["key"] and (operation["position"] or "").startswith(f"trip/{victim}@"))  # fmt: skip
    return min([offset_of(lost[0]["position"])] + told[len(told) // 2:])


# ---- the way on ----


def go_on(run, client, found, trip, kept, lost, folder, say):
    """Accepted, everything goes on, and is judged."""
    cluster, began = run.cluster, time.monotonic()
    found["accepted"] = accept(cluster, found)
    series = f'partition="{found["partition"]}"'
    expect(found, "all nodes go on", HEALED_S, lambda: not [1 for node in cluster.nodes() if metric(cluster, node.name, "berth_owner_phase", series) == PHASE_READ_ONLY])
    expect(found, "both projectors go on", HEALED_S, lambda: not [1 for part in cluster.named("projector") if metric(cluster, part.name, "berth_projection_stopped", series) != 0])
    cluster.wait_ready(seconds=HEALED_S)
    found["healed_ms"] = round((time.monotonic() - began) * 1000)
    again_and_still(client, found, trip, kept, lost)
    run.load_for(LOAD_S, folder / "after", TAG, keys=f"{TAG}-on", clients=LOAD_CLIENTS, seed=run.options.seed + 1)
    digests = folder / "digests.jsonl"
    models.collect_digests({node.name: f"http://{node.address('admin')}" for node in cluster.nodes()}, cluster.partitions, digests, timeout_s=2)
    run.freeze()
    checked = run.check(name="negative-check", history=folder / "after", dump=folder / "topics-after", digests=digests,
                        more=["--before-topics", str(folder / "topics-before"), "--before-history", str(folder / "before")])  # fmt: skip
    found["violations"] += checked["violations"]
    counters = checked["counters"]
    found["checked"] = {name: counters.get(name, 0) for name in ("lost_on_record", "kept_acknowledged", "lost_records", "acknowledged", "reads_judged", "linear_operations", "digests_compared",
                                                                "node_digests_compared", "snapshots_compared", "postgres_holds", "redis_values")}  # fmt: skip
    found["vacuous"] = [f"{name} in the negative phase" for name, count in found["checked"].items() if not count] + [f"check of {name} in the negative phase" for name in checked["not_checked"]]
    say(f"the negative phase: accepted, everything went on after {found['healed_ms']} ms; {json.dumps(found['checked'])}")


def accept(cluster, found):
    """`berth log accept-loss`, as an operator calls it. A node that decides and has not noticed yet is told of; then it is called again."""
    argv = [str(cluster.binary("berth", "berth")), "log", "accept-loss", str(found["partition"]), "--reason", "the negative phase cut it off", "--actor", "faults", "--json",
            "--kafka.bootstrap.servers", cluster.kafka_direct(), "--postgres.dsn", cluster.postgres_dsn(), "--redis.url", cluster.redis_url(),
            "--nodes", ",".join(node.address("admin") for node in cluster.nodes())]  # fmt: skip
    told = []

    def call(*more):
        told[:] = [subprocess.run([*argv, *more], capture_output=True, text=True, timeout=ACCEPT_S, stdin=subprocess.DEVNULL)]
        return told[0]

    try:
        wait_until(lambda: call().returncode == 1 and result_of(told[0]) == "not accepted", ACCEPT_S, "accept-loss says what it would do")
        wait_until(lambda: call("--yes").returncode == 0, ACCEPT_S, "accept-loss accepts")
    except TimeoutError as error:
        raise RuntimeError(f"{error}: status {told[0].returncode}: {told[0].stderr.strip()[-600:]} {told[0].stdout.strip()[-300:]}") from None
    plan = json.loads(told[0].stdout)
    if plan["result"] != "accepted" or not plan["lost_from"] <= found["cut_at"] < plan["lost_to"]:
        found["violations"].append({"kind": "lost_suffix", "what": f"given up was {plan['lost_from']} to {plan['lost_to']}, cut was at {found['cut_at']}"})
    return {name: plan[name] for name in ("lost_from", "lost_to", "accepted_offset", "filled")}


def result_of(done):
    return json.loads(done.stdout)["result"] if done.stdout.startswith("{") else None


def again_and_still(client, found, trip, kept, lost):
    """What was kept is still there; what was lost is not, is never said to be, and its key may be used again."""

    def wrong(what):
        found["violations"].append({"kind": "lost_suffix", "what": f"after the acceptance: {what}"})

    served = client.read(trip, lost[-1]["position"])
    if served["status"] == 200:
        wrong(f"a read with the position {lost[-1]['position']} of a lost record was served: {served['body'][:200]}")
    client.must(201, f"/v1/trips/{trip}/holds/{json.loads(kept['body'])['hold']}/confirm", {})
    again = client.must(201, f"/v1/trips/{trip}/holds", wish(1), key=lost[0]["key"])
    if again["replayed"] or again["position"] == lost[0]["position"]:
        wrong(f"the key of a lost hold was answered from the record that was lost, at {again['position']}")
    client.read_until(trip, again["position"])


# ---- the loss, and that it is noticed ----


def expect(found, name, seconds, check):
    try:
        found["observed"][name] = wait_until(check, seconds, name)
        return True
    except TimeoutError as error:
        found["observed"][name] = False
        found["violations"].append({"kind": "lost_suffix", "what": f"after an acknowledged suffix was lost: {error}"})
        return False


def expectations(run, client, found, victim, trips, lost, other):
    cluster, found["times"] = run.cluster, []

    def soon(name, check):
        if expect(found, name, NOTICE_S, check):
            found["times"].append(time.monotonic())

    names = [node.name for node in cluster.nodes()]
    projectors = [part.name for part in cluster.named("projector")]
    series = f'partition="{victim}"'
    soon("a node says read-only in its metrics", lambda: [name for name in names if metric(cluster, name, "berth_owner_phase", series) == PHASE_READ_ONLY])
    soon("a node says so in its log, as an error", lambda: sorted({event["event"] for name in names for event in events_of(cluster, name)
                                                                  if event.get("level") == "error" and event.get("partition") == victim}))  # fmt: skip
    soon("a node is not ready and says why", lambda: [name for name in names if cluster[name].get("/readyz")[0] == 503])
    soon("a command on the partition gets 503", lambda: try_command(client, found, trips[victim]) == 503)
    soon("a projector has stopped at it", lambda: [name for name in projectors if metric(cluster, name, "berth_projection_stopped", series) == 1])
    soon("the query API refuses a token of the lost suffix", lambda: refusal(client.read(trips[victim], lost[-1]["position"])))
    soon("a command on another partition is accepted", lambda: client.post(f"/v1/trips/{trips[other]}/holds", wish(1))["status"] == 201)
    # It stays so: nobody may slip in a quiet refold.
    end = time.monotonic() + STAYS_S
    while time.monotonic() < end and not found["violations"]:
        try_command(client, found, trips[victim])
        time.sleep(0.2)


def try_command(client, found, trip):
    """Accepted or refused by what is lost, it would be as if nothing had happened."""
    answer = client.post(f"/v1/trips/{trip}/holds", wish(1))
    if answer["status"] not in (503, None):
        found["violations"].append({"kind": "lost_suffix", "what": f"a command on the partition that lost records got {answer['status']}: {answer['body'][:200]}"})
    return answer["status"]


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
                return {"status": answer.status, "body": answer.read().decode(), "position": answer.headers.get("Berth-Position"),
                        "replayed": answer.headers.get("Idempotent-Replayed") == "true"}  # fmt: skip
        except urllib.error.HTTPError as error:
            return {"status": error.code, "body": error.read().decode(errors="replace"), "position": None}
        except OSError as error:
            return {"status": None, "body": str(error), "position": None}

    def post(self, path, body, key=None):
        self.turn += 1
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Content-Type": "application/json"}
        return self.ask(urllib.request.Request(self.nodes[self.turn % len(self.nodes)] + path, json.dumps(body).encode(), headers))

    def must(self, status, path, body, key=None):
        """The same key until it is answered so, by whichever node owns the partition."""
        key, last = key or str(uuid.uuid4()), []

        def done():
            last[:] = [self.post(path, body, key)]
            return last[0]["status"] == status

        try:
            wait_until(done, 60, f"POST {path}")
        except TimeoutError as error:
            raise RuntimeError(f"{error}: {last[0]}") from None
        return {**last[0], "key": key}

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


def lose(cluster, partition, offset, kept_topics, found):
    """Brokers are killed, so that none of them hands its tail to another; what is cut is the same on all, so that no replica can heal another."""
    for broker in cluster.brokers():
        broker.kill()
    logs = {index: max((segments.read(broker.data / f"{TOPIC}-{index}") for broker in cluster.brokers()), key=len) for index in range(cluster.partitions)}
    topics.dump(logs, kept_topics, TOPIC)
    found["cut_at"] = offset
    found["lost_bytes"] = {broker.name: truncate(broker.data / f"{TOPIC}-{partition}", offset) for broker in cluster.brokers()}
    for broker in cluster.brokers():
        (broker.data / ".kafka_cleanshutdown").unlink(missing_ok=True)
        broker.start()
    cluster.wait_ready(*(broker.name for broker in cluster.brokers()))
