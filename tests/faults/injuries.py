"""What can be done to a cluster: one generator a kind of fault, that does it, waits, and undoes it.

A generator yields its target (a text) once, then numbers of seconds or conditions (functions that return true) to wait for; the schedule's runner (run.py)
drives several at once on one thread. `chance` is the fault's own random number generator, seeded by the schedule, so what is chosen depends on nothing but the
seed and the cluster's state. Conditions have limits: the runner gives up on one after WAIT_MAX_S. What a fault leaves undone is undone at the end of its phase.

To add a kind: write its generator, add @kind, and name it in a phase of schedule.py.
"""
import os
import shutil
import time

WAIT_MAX_S = 120
ZOMBIE_AFTER = 20  # records that a node appends before it stops itself
METRICS_S = 1.0  # a node's metrics are at most so old
SERVED_S = 30  # a limit for a machine with much else to do: it takes some seconds
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
KINDS = {}


class Skip(Exception):
    """The fault has no target now: everything that it could hit is broken already."""


def kind(function):
    KINDS[function.__name__] = function
    return function


def running(run, group):
    """Names of parts of a kind that run; at least one other must, so that no fault takes all of them by accident."""
    names = [part.name for part in run.cluster.named(group) if part.state == "running"]
    if len(names) < 2:
        raise Skip(f"no two {group}s run")
    return names


def owner(run, chance):
    """A running node that owns something, if any says so."""
    names = running(run, "node")
    return chance.choice([name for name in names if run.owned(name)] or names)


def pause(run, name, for_s):
    run.cluster.pause(name)
    yield name
    yield for_s
    run.cluster.resume(name)


def kill(run, name, for_s):
    run.scrape(name)
    run.cluster.kill(name)
    yield name
    yield for_s
    run.cluster.start(name)


def leave(run, name):
    """SIGTERM, and away when it has ended by itself; a failure to do so within the limit is a violation."""
    part = run.cluster[name]
    run.scrape(name)
    part.leave()
    yield part.has_left
    if not part.has_left():
        run.violation("stop", f"{name} did not end within {WAIT_MAX_S} s of SIGTERM")
        part.kill()


@kind
def node_pause(run, chance, for_s):
    yield from pause(run, owner(run, chance), for_s)


@kind
def node_kill(run, chance, for_s):
    yield from kill(run, owner(run, chance), for_s)


@kind
def node_leave(run, chance, for_s):
    name = owner(run, chance)
    yield name
    yield from leave(run, name)
    yield for_s
    run.cluster.start(name)


@kind
def node_zombie(run, chance, for_s):
    """A node stops itself when it has decided and not yet appended (commands/server/stop_hook.h), others take its partitions over, and it wakes up: what it
    had in hand is appended by a zombie, as surely as a pause at any moment may miss that."""
    name = owner(run, chance)
    node = run.cluster[name]
    yield name
    yield from leave(run, name)
    run.cluster.extra_settings[name] = {"test.stop_at": "decided", "test.stop_after": ZOMBIE_AFTER}
    run.cluster.extra_environment[name] = {"BERTH_TEST_HOOKS": "1"}
    run.cluster.start(name)
    del run.cluster.extra_settings[name], run.cluster.extra_environment[name]
    yield node.stopped_itself
    others = [other.name for other in run.cluster.nodes() if other is not node]
    yield METRICS_S  # what they say of themselves may be from before it took its partitions
    yield lambda: {partition for other in others for partition in run.owned(other)} == set(range(run.cluster.partitions))
    yield for_s
    # And the network sends it once more: a copy of what was void already.
    for broker in run.cluster.brokers():
        run.cluster.proxy(broker.name).set("copies", clients=name)
    run.cluster.resume(name)
    yield 2.0
    for broker in run.cluster.brokers():
        run.cluster.proxy(broker.name).clear("copies")


@kind
def node_storm(run, chance, for_s):
    """Nodes leave or die and come back in quick turn, so that the group never rests."""
    names = running(run, "node")
    yield ",".join(names)
    for turn in range(max(2, int(for_s / 1.5))):
        name = names[turn % len(names)]
        if chance.random() < 0.5:
            yield from leave(run, name)
        else:
            run.scrape(name)
            run.cluster.kill(name)
        yield 0.3
        run.cluster.start(name)
        yield 1.0


@kind
def projector_pause(run, chance, for_s):
    yield from pause(run, chance.choice(running(run, "projector")), for_s)


@kind
def projector_kill(run, chance, for_s):
    yield from kill(run, chance.choice(running(run, "projector")), for_s)


def single(name, verb):
    """Parts that are there once: the fault takes all there is of them."""

    def injury(run, chance, for_s):
        if run.cluster[name].state != "running":
            raise Skip(f"{name} is {run.cluster[name].state}")
        yield from verb(run, name, for_s)

    injury.__name__ = f"{name}_{verb.__name__}"
    return kind(injury)


for part_name in ("query", "postgres", "redis"):
    single(part_name, pause)
    single(part_name, kill)


@kind
def broker_kill(run, chance, for_s):
    """Not before all replicas are in sync: one that is still on its way back would make it two, and that is another fault."""
    yield run.replicas_are_in_sync
    name = chance.choice(running(run, "broker"))
    yield from kill(run, name, for_s)
    yield run.cluster[name].is_ready


@kind
def broker_roll(run, chance, for_s):
    """A rolling restart: each leaves gracefully and is back before the next goes. for_s is the pause between them."""
    names = running(run, "broker")
    chance.shuffle(names)
    yield ",".join(names)
    for name in names:
        yield from leave(run, name)
        run.cluster.start(name)
        yield run.cluster[name].is_ready
        yield run.replicas_are_in_sync
        yield for_s


@kind
def broker_pause(run, chance, for_s):
    yield from pause(run, chance.choice(running(run, "broker")), for_s)


@kind
def broker_pause_two(run, chance, for_s):
    """Nobody can append: fewer than min.insync.replicas are left, and no quorum."""
    names = chance.sample(running(run, "broker"), 2)
    for name in names:
        run.cluster.pause(name)
    yield ",".join(names)
    yield for_s
    for name in names:
        run.cluster.resume(name)


def cut(run, pairs, for_s, what, one_way=False):
    for one, other in pairs:
        run.cluster.partition(one, other, one_way)
    yield what
    yield for_s
    run.cluster.heal_cuts(pairs)


@kind
def cut_node_from_brokers(run, chance, for_s):
    name = owner(run, chance)
    yield from cut(run, [(name, broker.name) for broker in run.cluster.brokers()], for_s, f"{name} - brokers")


@kind
def cut_node_deaf(run, chance, for_s):
    """The node's requests arrive and are obeyed; the answers do not come back."""
    name = owner(run, chance)
    yield from cut(run, [(broker.name, name) for broker in run.cluster.brokers()], for_s, f"brokers > {name}", one_way=True)


@kind
def cut_node_mute(run, chance, for_s):
    name = owner(run, chance)
    yield from cut(run, [(name, broker.name) for broker in run.cluster.brokers()], for_s, f"{name} > brokers", one_way=True)


@kind
def cut_nodes_from_each_other(run, chance, for_s):
    """Forwarding finds no way; the log is reachable to both."""
    one, other = chance.sample(running(run, "node"), 2)
    yield from cut(run, [(one, other)], for_s, f"{one} - {other}")


@kind
def cut_brokers(run, chance, for_s):
    one, other = chance.sample(running(run, "broker"), 2)
    yield from cut(run, [(one, other)], for_s, f"{one} - {other}", one_way=chance.random() < 0.5)


@kind
def cut_projector(run, chance, for_s):
    name = chance.choice(running(run, "projector"))
    yield from cut(run, [(name, "postgres")], for_s, f"{name} - postgres", one_way=chance.random() < 0.5)


@kind
def cut_leader(run, chance, for_s):
    """The leader of a hot partition loses its followers and the controllers, and keeps the nodes: whoever asks it for the end of the log is told
    of a past in which nothing new happened. No refusal and no strong read may rest on that."""
    partition = chance.choice(run.hot_partitions())
    leader = run.leader(partition)
    others = [broker.name for broker in run.cluster.brokers() if broker.name != leader]
    run.note_cut_leader(partition, leader)
    yield from cut(run, [(leader, other) for other in others], for_s, f"{leader} of partition {partition} - {','.join(others)}")
    run.note_cut_leader(None, None)


@kind
def broker_dark(run, chance, for_s):
    """The machine of a broker that leads a hot partition is gone without a word, as by a power cut: nothing refuses, nothing ends, nothing answers. Others
    lead by the time that the brokers have noticed, and while it is gone its partitions must be sold from again: no client of ours may wait for the dead."""
    yield run.replicas_are_in_sync
    name = run.leader(chance.choice(run.hot_partitions()))
    pairs = [(name, other.name) for kind in ("broker", "node", "projector") for other in run.cluster.named(kind) if other.name != name]
    injury = cut(run, pairs, for_s, name)
    yield next(injury)
    yield next(injury)
    before, until = run.heights(), time.monotonic() + SERVED_S
    yield lambda: run.have_grown(before) or time.monotonic() > until
    if not run.have_grown(before):
        run.violation("dark", f"{name} was gone for {for_s:.0f} s and more, and some partition still did not grow after {SERVED_S} s: {before} became {run.heights()}")
    yield from injury


def proxied(name):
    """A fault of the proxy before the leader of a hot partition, where appends go."""

    def injury(run, chance, for_s):
        if not run.cluster.proxies:
            raise Skip("there are no proxies")
        target = run.leader(chance.choice(run.hot_partitions()))
        run.cluster.proxy(target).set(name)
        yield target
        yield for_s
        run.cluster.proxy(target).clear(name)

    injury.__name__ = f"proxy_{name}"
    return kind(injury)


for proxy_fault in ("delay", "duplicate", "reorder", "lost_ack", "reset", "slice", "nameless"):
    proxied(proxy_fault)


def clock(name, offset):
    """A node's clock jumps, and back. The node is restarted under libfaketime first: the others never know it."""

    def injury(run, chance, for_s):
        node = owner(run, chance)
        path = run.cluster[node].folder / "clock"
        path.write_text("+0s\n")
        yield node
        yield from leave(run, node)
        run.cluster.extra_environment[node] = {
            "LD_PRELOAD": preloads(run), "FAKETIME_TIMESTAMP_FILE": str(path), "DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1", "FAKETIME_NO_CACHE": "0",
        }  # fmt: skip
        run.cluster.start(node)
        yield run.cluster[node].is_ready
        yield 1.0
        path.write_text(offset + "\n")
        yield for_s
        path.write_text("+0s\n")
        yield 2.0
        yield from leave(run, node)
        del run.cluster.extra_environment[node]
        run.cluster.start(node)

    injury.__name__ = name
    return kind(injury)


def preloads(run):
    """A sanitized server wants its sanitizer first."""
    return FAKETIME if run.cluster.preset == "release" else f"{run.sanitizer_library()} {FAKETIME}"


clock("clock_forward", "+3600s")
clock("clock_back", "-3600s")


def snapshots(run, name):
    """Files of a node, the newest of each partition first."""
    found = {}
    for path in sorted((run.cluster.run / "snapshots" / name).rglob("*.snapshot"), key=lambda path: int(path.stem) if path.stem.isdigit() else 0, reverse=True):
        found.setdefault(path.parent, []).append(path)
    return found


def damaged(name, damage):
    """A node dies, its newest snapshots are damaged, it starts again: it must notice, and go on from an older one or from the log."""

    def injury(run, chance, for_s):
        names = [node for node in running(run, "node") if snapshots(run, node)]
        if not names:
            raise Skip("no node has a snapshot yet")
        node = chance.choice(names)
        run.scrape(node)
        run.cluster.kill(node)
        for files in snapshots(run, node).values():
            damage(chance, files)
        yield node
        yield for_s
        run.cluster.start(node)
        yield run.cluster[node].is_ready

    injury.__name__ = name
    return kind(injury)


def tear(chance, files):
    size = files[0].stat().st_size
    os.truncate(files[0], chance.randrange(size))


def flip(chance, files):
    with open(files[0], "r+b") as file:
        at = chance.randrange(files[0].stat().st_size)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))


def age(chance, files):
    """An older state under the newest's name, and a newest that is not of this partition's log at all where there is no older."""
    if len(files) > 1:
        shutil.copy(files[-1], files[0])
    else:
        files[0].rename(files[0].with_name(f"{int(files[0].stem) + 100000}.snapshot"))


damaged("snapshot_torn", tear)
damaged("snapshot_flipped", flip)
damaged("snapshot_stale", age)


@kind
def snapshot_full(run, chance, for_s):
    """The disk for snapshots is full (ENOSPC): a node goes on deciding, and says that it could write none."""
    node = chance.choice(running(run, "node"))
    filler = run.fill_disk(node)
    yield node
    yield for_s
    # A graceful leave wants to write one as well.
    yield from leave(run, node)
    run.cluster.start(node)
    yield 1.0
    os.unlink(filler)

