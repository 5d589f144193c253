"""Which faults come when: a pure function of seed, length and form, so that a run can be replayed.

A phase is a stretch of time with its own kinds of faults; faults of a phase follow each other, and in the mix they overlap. What a fault hits is chosen when it
comes (the owner of a partition, its leader), by a random number generator that the schedule seeded.
"""
import dataclasses
import random

from .injuries import KINDS

FULL_S, SHORT_S = 480, 60
SETTLE_S = 2  # at the end of a phase nothing new begins
BESIDES_S = {"node_zombie": 6.0}  # what a kind takes besides the time that is named: for its slot, and nothing else


@dataclasses.dataclass
class Fault:
    kind: str
    at_s: float  # from the beginning of its phase
    for_s: float
    seed: str


@dataclasses.dataclass
class Phase:
    name: str
    seconds: float
    faults: list


# On loopback the proxies can keep a server and a broker apart; these need more than that.
NEEDS_NAMESPACES = {"cut_nodes_from_each_other", "cut_brokers", "cut_projector", "cut_leader", "broker_dark", "snapshot_full"}

# name: (seconds, what it is for, [(kind, shortest, longest)])
FULL = {
    "calm": (20, "nothing is broken: what the figures of the other phases are to be held against", []),
    "owners": (68, "owners paused past their session, stopped between deciding and appending, killed, told to leave", [
        ("node_pause", 0.5, 1.0), ("node_zombie", 0.5, 1.0), ("node_pause", 3.0, 4.0), ("node_kill", 1.0, 2.0), ("node_leave", 0.5, 1.0), ("node_pause", 4.0, 5.0), ("node_zombie", 0.5, 1.0),
        ("node_kill", 2.0, 3.0)]),
    "storm": (20, "nodes leave, die and come back in quick turn", [("node_storm", 12.0, 14.0)]),
    "readers": (40, "projectors, query API, Postgres and Redis paused and killed", [
        ("projector_pause", 1.0, 2.0), ("projector_kill", 0.5, 1.5), ("query_pause", 0.5, 1.5), ("query_kill", 0.3, 1.0),
        ("postgres_pause", 1.0, 2.0), ("postgres_kill", 0.5, 1.0), ("redis_pause", 1.0, 2.0), ("redis_kill", 0.5, 1.0)]),
    "broker kill": (30, "brokers killed", [("broker_kill", 1.0, 2.0), ("broker_kill", 4.0, 5.0)]),
    "broker roll": (45, "a rolling restart of all brokers", [("broker_roll", 0.5, 1.0)]),
    "broker pause": (30, "one broker paused, then two: no quorum", [("broker_pause", 3.0, 5.0), ("broker_pause_two", 3.0, 4.0)]),
    "broker dark": (20, "a broker's machine is gone without a word", [("broker_dark", 8.0, 9.0)]),
    "partitions": (50, "nodes, brokers and projectors cut off from each other, one way and both", [
        ("cut_node_from_brokers", 2.0, 4.0), ("cut_node_deaf", 2.0, 4.0), ("cut_node_mute", 2.0, 4.0), ("cut_nodes_from_each_other", 2.0, 3.0),
        ("cut_brokers", 3.0, 5.0), ("cut_projector", 2.0, 3.0)]),
    "cut leader": (30, "a leader keeps its nodes and loses its followers", [("cut_leader", 8.0, 9.0), ("cut_leader", 4.0, 5.0)]),
    "network": (50, "the proxy before a broker delays, duplicates, reorders, loses acknowledgements, resets in a frame, sends byte by byte, takes producers' names away", [
        ("proxy_lost_ack", 2.0, 3.0), ("proxy_delay", 3.0, 4.0), ("proxy_duplicate", 3.0, 4.0), ("proxy_reorder", 3.0, 4.0), ("proxy_reset", 3.0, 4.0),
        ("proxy_slice", 3.0, 4.0), ("proxy_nameless", 2.0, 3.0), ("proxy_lost_ack", 3.0, 4.0)]),
    "clocks": (40, "a node's clock jumps by an hour, forward and back", [("clock_forward", 3.0, 4.0), ("clock_back", 4.0, 5.0)]),
    "snapshots": (40, "torn, bit-flipped and stale snapshots, and a full disk for them", [
        ("snapshot_torn", 0.5, 1.0), ("snapshot_flipped", 0.5, 1.0), ("snapshot_stale", 0.5, 1.0), ("snapshot_full", 3.0, 4.0)]),
}
MIX_S = 40  # a quarter of it quiet
MIX = ["node_pause", "node_pause", "node_kill", "node_leave", "projector_kill", "query_kill", "postgres_kill", "redis_kill", "broker_kill", "broker_pause", "cut_node_deaf",
       "cut_node_from_brokers", "cut_brokers", "cut_nodes_from_each_other", "proxy_lost_ack", "proxy_delay", "proxy_reset", "proxy_duplicate"]  # fmt: skip
SHORT = {
    "calm": (4, "nothing is broken", []),
    "owners": (23, "an owner paused past its session, one that wakes up as a zombie, one killed, one told to leave", [
        ("node_pause", 2.5, 3.0), ("node_zombie", 0.3, 0.5), ("node_kill", 0.5, 1.0), ("node_leave", 0.2, 0.5)]),
    "readers": (7, "a projector and Redis killed", [("projector_kill", 0.3, 0.5), ("redis_kill", 0.3, 0.5)]),
    "brokers": (7, "a broker killed", [("broker_kill", 0.5, 1.0)]),
    "network": (10, "a node that hears no broker; lost acknowledgements", [("cut_node_deaf", 2.0, 2.5), ("proxy_lost_ack", 2.0, 2.5)]),
    "snapshots": (9, "torn snapshots", [("snapshot_torn", 0.3, 0.5)]),
}


def make(seed, seconds, full, only=None, leave_out=lambda kind: False):
    """[Phase]; leave_out says which kinds this machine cannot make (cuts without namespaces)."""
    plan = {name: (length, kinds) for name, (length, _, kinds) in (FULL if full else SHORT).items()}
    if full:
        plan["mix"] = (MIX_S, None)
    known = set(plan) | {name.replace(" ", "-") for name in plan}
    if only:
        everything = {**{name: (length, kinds) for name, (length, _, kinds) in FULL.items()}, "mix": (MIX_S, None)}
        wanted = only.replace("-", " ")
        if wanted not in everything:
            raise ValueError(f"there is no phase {only}; there are: {', '.join(sorted({*everything, *known}))}")
        plan = {"calm": (5, []), wanted: everything[wanted]}
        seconds = seconds or 5 + plan[wanted][0]
    factor = (seconds or (FULL_S if full else SHORT_S)) / sum(length for length, _ in plan.values())
    phases = []
    for name, (length, kinds) in plan.items():
        chance = random.Random(f"{seed}/{name}")
        length *= factor
        faults = mix(chance, length, leave_out) if kinds is None else in_turn(chance, length, [row for row in kinds if not leave_out(row[0])])
        for index, fault in enumerate(faults):
            fault.seed = f"{seed}/{name}/{index}"
            assert fault.kind in KINDS, fault.kind
        phases.append(Phase(name, round(length, 2), faults))
    return phases


def in_turn(chance, length, kinds):
    """Each has a slot of its own, as long as it needs."""
    if not kinds:
        return []
    faults, spare = [], max(0.0, length - SETTLE_S - sum(longest + BESIDES_S.get(kind, 0) for kind, _, longest in kinds)) / len(kinds)
    at = 0.3
    for kind, shortest, longest in kinds:
        at += chance.uniform(0, 0.3 * spare)
        faults.append(Fault(kind, round(at, 2), round(chance.uniform(shortest, longest), 2), ""))
        at += longest + BESIDES_S.get(kind, 0) + 0.7 * spare
    return faults


def mix(chance, length, leave_out):
    """Whatever may come, two at a time on average; the last quarter is quiet."""
    kinds, faults, at = [kind for kind in MIX if not leave_out(kind)], [], 0.5
    while at < length * 0.75:
        faults.append(Fault(chance.choice(kinds), round(at, 2), round(chance.uniform(0.5, 3.0), 2), ""))
        at += chance.uniform(0.5, 2.5)
    return faults


def kinds_of(phases):
    return sorted({fault.kind for phase in phases for fault in phase.faults})
