"""cluster - several brokers and nodes for the figures: the fault runs' own, without what these figures do not need."""
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from http.client import HTTPConnection, HTTPException

from .measure import Unmeasured, say
from .stack import TOP

sys.path.insert(0, os.path.join(TOP, "tests"))
from faults import network  # noqa: E402
from faults.cluster import Cluster  # noqa: E402

READY_S = 60


class BenchCluster(Cluster):
    """Brokers and command nodes only; the release build. Kafka's jars are those of the bench's own stack."""

    def __init__(self, bench, brokers, nodes):
        folder = os.path.join(bench.state, "cluster")
        shutil.rmtree(folder, ignore_errors=True)
        super().__init__(folder, network.Loopback(bench.port_base + 400), brokers=brokers, nodes=nodes, projectors=0,
                         jars=os.path.join(bench.state, "kafka", "jars"))
        self.bench = bench

    def knows_topic(self, broker):
        done = subprocess.run(["kcat", "-L", "-J", "-b", broker.address("direct"), "-t", "berth.trip"], capture_output=True, text=True)
        topics = json.loads(done.stdout)["topics"] if done.returncode == 0 else []
        return bool(topics) and len(topics[0]["partitions"]) == self.partitions and all(p.get("leader", -1) >= 0 for p in topics[0]["partitions"])

    def up_for_bench(self):
        self.brokers()[0].prepare()
        for broker in self.brokers():
            broker.start()
        self.wait_ready(*(broker.name for broker in self.brokers()))
        self.topics_create()
        for node in self.nodes():
            self.extra_settings.setdefault(node.name, {})["snapshot.every"] = 200000
            node.start()
        self.remember()
        self.wait_ready(*(node.name for node in self.nodes()))
        return self

    def url(self, node):
        return self[node].address("http")

    def owned(self, node):
        """Partitions that the node decides on now."""
        rows = self.metrics(node)
        return {int(key.split('partition="')[1].split('"')[0]) for key, value in rows.items() if key.startswith("berth_owner_phase") and value == 3}

    def wait_spread(self):
        """Every partition has an owner, every node is ready and owns one, and a moment later the same one: nothing is on its way."""
        end, before = time.monotonic() + READY_S, None
        while True:
            ready, owned = all(node.is_ready() for node in self.nodes()), [self.owned(node.name) for node in self.nodes()]
            spread = ready and all(owned) and sum(len(each) for each in owned) == self.partitions
            if spread and owned == before:
                return dict(zip((node.name for node in self.nodes()), owned))
            if time.monotonic() > end:
                raise Unmeasured(f"the partitions are not spread: {owned}")
            before = owned if spread else None
            time.sleep(0.25)

    def trips(self):
        return trips_at(self.url("node1"), self.partitions)


def trips_at(address, partitions):
    """partition -> a new trip of a million places in it."""
    found, start = {}, time.time() + 2 * 86400
    at = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + 600 * i)) for i in range(3)]
    for _ in range(200):
        body = {"trip": f"f-{uuid.uuid4().hex[:12]}", "name": "F", "timezone": "UTC", "sections": [{"name": "A", "class": "standard", "capacity": 1000000}],
                "points": [{"stop": s, "name": s, "arrives_at": t, "departs_at": t} for s, t in zip("abc", at)]}
        status, headers, text = post(address, "/v1/trips", body)
        if status != 201:
            raise Unmeasured(f"no trip: {status} {text[:200]}")
        found.setdefault(int(headers["Berth-Position"].split("/")[1].split("@")[0]), body["trip"])
        if len(found) == partitions:
            return found
    raise Unmeasured("200 trips, and not one in each partition")


def post(address, path, body, connection=None):
    made = connection or HTTPConnection(address, timeout=30)
    try:
        made.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex})
        answer = made.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        if connection is None:
            made.close()


class Customers:
    """Threads that hold a place one after the other, two a partition, at nodes that live; they note when each was accepted."""

    def __init__(self, addresses, trips):
        self.stopping, self.accepted, self.failed = threading.Event(), {partition: [] for partition in trips}, []
        self.threads = [threading.Thread(target=self.work, args=(addresses[n % len(addresses)], partition, trip)) for partition, trip in trips.items() for n in range(2)]
        for thread in self.threads:
            thread.start()

    def work(self, address, partition, trip):
        connection = HTTPConnection(address, timeout=30)
        while not self.stopping.is_set():
            try:
                status, _, text = post(address, f"/v1/trips/{trip}/holds", {"from": "a", "to": "c", "count": 1, "customer": "c1", "ttl_seconds": 60}, connection)
            except (OSError, HTTPException) as error:
                status, text = 0, str(error)
                connection.close()
            if status == 201:
                self.accepted[partition].append(time.time())
            else:
                self.failed.append((time.time(), partition, status, text[:200]))

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def wait_accepted(self, partitions, after, more=5, limit_s=60):
        """Until so many were accepted after that time, in each of the partitions."""
        end = time.monotonic() + limit_s
        while any(sum(at > after for at in self.accepted[partition][-200:]) < more for partition in partitions):
            if time.monotonic() > end:
                raise Unmeasured(f"nothing was accepted in some of the partitions {sorted(partitions)} for {limit_s} s: {self.failed[-1:]}")
            time.sleep(0.01)

    def longest_gap_ms(self, partitions, since, until):
        """The longest time between two accepted holds of a partition; the one that was open at `since` counts whole."""
        longest = 0.0
        for partition in partitions:
            times = [at for at in self.accepted[partition] if since - 1 < at < until]
            longest = max([longest, *(later - earlier for earlier, later in zip(times, times[1:]) if later > since)])
        return longest * 1000
