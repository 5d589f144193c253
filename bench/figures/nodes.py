"""nodes - what several nodes and several brokers cost or bring, all on the same two cores: holds a second by one node and by three, on one broker
and on three; and a lone client's hold on three brokers beside a bare idempotent append to the same three."""
import concurrent.futures
import json
import subprocess

from .cluster import BenchCluster
from .measure import Figure, Unmeasured, median, run_marked, say

NAMES = ["nodes.one", "nodes.three", "nodes.one.three_brokers", "nodes.three.three_brokers", "nodes.latency.three_brokers", "nodes.latency.three_brokers.p99"]
PARTS = ""
PROGRAMS = ["bench_book_load", "bench_append"]
ABOUT = "holds/s with one node and three, on one broker and three; a lone client's latency on three brokers: 5 minutes"

CONNECTIONS = 256
SECONDS = 6
TRIPS = 64
ROUNDS = 3
TOPIC = "bench.latency"


def load(cluster, node, connections, trips, seconds, prefix):
    port = cluster.url(node).rpartition(":")[2]
    done = subprocess.run([cluster.bench.program("bench_book_load"), "--port", port, "--connections", str(connections), "--trips", str(trips), "--seconds", str(seconds),
                           "--warmup", "2", "--mode", "hold", "--fill", "0.5", "--filling", "tiled", "--prefix", prefix], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Unmeasured(f"bench_book_load on {node}: {(done.stdout + done.stderr).strip()[-300:]}")
    return json.loads(done.stdout)


def holds(cluster, name):
    """Clients spread over all nodes; each node's trips lie in all partitions, so most of the commands of three nodes are passed on."""
    nodes = [node.name for node in cluster.nodes()]
    share, trips = CONNECTIONS // len(nodes), TRIPS // len(nodes)
    for number, seconds in enumerate((8, SECONDS)):  # the first warms up broker and servers
        say(f"{name}: {len(nodes)} node(s), {len(cluster.brokers())} broker(s){', warming up' if number == 0 else ''}")
        with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
            said = list(pool.map(lambda node: load(cluster, node, share, trips, seconds, f"{name}-{number}-{node}-".replace(".", "-")), nodes))
    passed_on = sum(value for node in nodes for key, value in cluster.metrics(node).items() if key.startswith("berth_forwarded_total") and 'result="answered"' in key)
    yield Figure(name, sum(each["accepted_per_s"] for each in said), "holds/s",
                 note=f"p50 {median([each['p50_us'] for each in said]) / 1000:.1f} p99 {max(each['p99_us'] for each in said) / 1000:.1f} ms; {passed_on:.0f} commands were passed on so far")


def latency(cluster):
    bench, brokers = cluster.bench, cluster.kafka_direct()
    tool = ["java", "-Xmx128m", "-cp", str(cluster.jars / "*"), "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", brokers, "--create", "--if-not-exists",
            "--topic", TOPIC, "--partitions", "1", "--replication-factor", "3", "--config", "min.insync.replicas=2"]
    done = subprocess.run(tool, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unmeasured(f"no topic {TOPIC}: {done.stderr.strip()[:200]}")
    load(cluster, "node1", 32, 8, 6, "warm-")
    ours, theirs, sizes = [], [], None
    for number in range(ROUNDS):
        say(f"nodes.latency.three_brokers: round {number + 1} of {ROUNDS}")
        ours.append(load(cluster, "node1", 1, 1, 4, f"lone-{number}-"))
        sizes = sizes or bench.record_sizes("berth.trip", "lone-0-", brokers)
        theirs.append(run_marked([bench.program("bench_append"), "--brokers", brokers, "--topic", TOPIC, "--mode", "lone", "--key", str(sizes[0]), "--value", str(sizes[1]),
                                  "--seconds", "4", "--warmup", "1"], {}, 4).said)
    for name, part in (("nodes.latency.three_brokers", "p50_us"), ("nodes.latency.three_brokers.p99", "p99_us")):
        value, limit = median([said[part] for said in ours]) / 1000, median([said[part] for said in theirs]) / 1000
        goal = {"want": 1.5, "at_most": True} if part == "p50_us" else {"note": "for information"}
        yield Figure(name, value, f"ms {part[:3]}", limit, value / limit, **goal)


def run(bench):
    bench.up("kafka")  # it brings Kafka's jars
    bench.dev("down")
    bench.running.clear()
    for name, brokers, nodes in (("nodes.one", 1, 1), ("nodes.three", 1, 3), ("nodes.one.three_brokers", 3, 1), ("nodes.three.three_brokers", 3, 3)):
        measures = [lambda cluster: holds(cluster, name)] if bench.wants(name) else []
        measures += [latency] if (brokers, nodes) == (3, 1) and bench.wants("nodes.latency") else []
        if not measures:
            continue
        with BenchCluster(bench, brokers, nodes) as cluster:
            cluster.up_for_bench()
            for measure in measures:
                yield from measure(cluster)
