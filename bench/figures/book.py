"""book - holds a second over HTTP, beside what HTTP and appending alone would allow.

The limit of book.* is 1 / (a + b): a, CPU-seconds of an empty POST of the same sizes through the same front, server and load
generator; b, CPU-seconds of a record in a bare batched idempotent append, client and broker. On the two cores that the limit is
meant for, it is what the machine could do if deciding, folding and hashing cost nothing: each hold that counts is followed by a
release that does not, so it takes two POSTs and two records, and there are two CPU-seconds in a second.
"""
import json
import os

from .measure import CORES, Figure, Unmeasured, run_marked, say

NAMES = ["book.one_trip.64", "book.one_trip.256", "book.many_trips.64", "book.many_trips.256", "book.one_trip.256.random_fill", "book.sold_out.256",
         "book.sold_out.256.p99"]
PARTS = "kafka,commands"
PROGRAMS = ["bench_book_load", "bench_empty", "bench_append"]
ABOUT = "holds and releases over HTTP on trips that are 82 % full, an empty POST, and a bare append: about 3 minutes"

SECONDS = 6
WARMUP = 3
MANY = 40
TOPIC = "berth.trip"


def load(bench, connections, trips, seconds=SECONDS, warmup=WARMUP, mode="hold", fill=0.82, filling="tiled", port=None, pids=None):
    """A run on new trips; their prefix comes back with it."""
    bench.trip_sets = getattr(bench, "trip_sets", 0) + 1
    prefix = f"b{bench.serial}-{bench.trip_sets}-"
    if pids is None:
        pids = {"commands": bench.pid("commands"), "kafka": bench.pid("kafka")}
    run = run_marked([bench.program("bench_book_load"), "--port", str(port or bench.port_commands), "--connections", str(connections), "--trips", str(trips),
                      "--seconds", str(seconds), "--warmup", str(warmup), "--mode", mode, "--fill", str(fill), "--filling", filling, "--prefix", prefix], pids, seconds)
    return run, prefix


def warm_up(bench):
    """A broker's first minute is its compiler's: half the speed and a tail of a second."""
    if not getattr(bench, "is_warm", False):
        say("warming up broker and server (20 s)")
        load(bench, 256, 8, seconds=12, warmup=1)
        bench.is_warm = True


def write_answers(bench, trip):
    """What the server really answers to a hold and a release goes to files: the empty handler answers with the same bytes."""
    status, hold = bench.post(f"/v1/trips/{trip}/holds", {"from": "s03", "to": "s09", "count": 2, "customer": "c00abcdef"})
    if status != 201:
        raise Unmeasured(f"a hold on {trip} was answered {status}: {hold[:200]!r}")
    status, release = bench.post(f"/v1/trips/{trip}/holds/{json.loads(hold)['hold']}/release", {})
    if status != 200:
        raise Unmeasured(f"a release on {trip} was answered {status}: {release[:200]!r}")
    paths = []
    for name, text in (("hold", hold), ("release", release)):
        paths.append(os.path.join(bench.state, f"answer.{name}.json"))
        with open(paths[-1], "wb") as file:
            file.write(text)
    return paths


def empty_post(bench, connections, trip):
    """CPU-seconds of an empty POST: half of them sized as a hold, half as a release. And how many holds a second that made."""
    hold, release = write_answers(bench, trip)
    child = bench.start_child([bench.program("bench_empty"), str(bench.port_empty), "POST", "/v1/trips", "201", hold, "POST", "/v1/trips/{trip}/holds", "201", hold,
                               "POST", "/v1/trips/{trip}/holds/{hold}/release", "200", release], "listening")
    try:
        run, _ = load(bench, connections, 1, seconds=4, warmup=1, fill=0, port=bench.port_empty, pids={"empty": child.pid})
    finally:
        bench.stop_child(child)
    posts = (run.said["accepted_per_s"] + run.said["released_per_s"]) * 4
    return run.cpu_of("empty", "load") / posts, run.said["accepted_per_s"], run


def bare_append(bench, window, partitions, sizes):
    """CPU-seconds of a record, client and broker."""
    topic = f"bench.append.{partitions}"
    bench.make_topic(topic, partitions)
    run = run_marked([bench.program("bench_append"), "--brokers", bench.kafka, "--topic", topic, "--partitions", str(partitions), "--window", str(window),
                      "--key", str(sizes[0]), "--value", str(sizes[1]), "--seconds", "4", "--warmup", "2"], {"kafka": bench.pid("kafka")}, 4)
    return run.cpu_of("kafka", "load") / run.said["records"], run


def holds(bench, name, connections, trips, partitions):
    say(f"{name}: {connections} clients on {trips} trip{'s' if trips > 1 else ''}")
    run, prefix = load(bench, connections, trips)
    post_s, empty_rate, empty = empty_post(bench, connections, prefix + "0")
    append_s, append = bare_append(bench, connections, partitions, bench.record_sizes(TOPIC, prefix))
    value, limit = run.said["accepted_per_s"], 1 / (post_s + append_s)
    spent = {part: run.cpu[part] / (value * SECONDS) * 1e6 for part in run.cpu}
    by_cpu = CORES * 1e6 / sum(spent.values())
    yield Figure(name, value, "holds/s", limit, value / limit, 0.8,
                 note=f"p50 {run.said['p50_us'] / 1000:.1f} p99 {run.said['p99_us'] / 1000:.1f} ms; CPU us a hold and its release: server {spent['commands']:.0f}, "
                      f"broker {spent['kafka']:.0f}, load {spent['load']:.0f} (both cores full: {by_cpu:.0f} holds/s); limit: POST {post_s * 1e6:.1f} + append {append_s * 1e6:.1f} us; refused "
                      f"{run.said['refused_per_s']:.0f}/s; others used {max(r.others for r in (run, empty, append)) * 100:.0f} % of the machine")
    yield Figure(name + ".of_empty", value, "holds/s", empty_rate, value / empty_rate, note="for information: beside the same load on the empty handler")


def run(bench):
    warm_up(bench)
    for connections in (64, 256):
        yield from holds(bench, f"book.one_trip.{connections}", connections, 1, 1)
    for connections in (64, 256):
        yield from holds(bench, f"book.many_trips.{connections}", connections, MANY, 4)
    say("book.one_trip.256.random_fill: what is left are short gaps")
    done, _ = load(bench, 256, 1, filling="random")
    yield Figure("book.one_trip.256.random_fill", done.said["accepted_per_s"], "holds/s",
                 note=f"for information; refused {done.said['refused_per_s']:.0f}/s beside; others used {done.others * 100:.0f} %")
    say("book.sold_out.256: a full trip")
    done, _ = load(bench, 256, 1, mode="soldout", fill=1.0)
    yield Figure("book.sold_out.256", done.said["refused_per_s"], "refusals/s", note=f"p50 {done.said['p50_us'] / 1000:.1f} ms; others used {done.others * 100:.0f} %")
    yield Figure("book.sold_out.256.p99", done.said["p99_us"] / 1000, "ms")
