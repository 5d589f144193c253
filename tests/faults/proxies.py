"""The proxies of a cluster: one before each broker, in the broker's network namespace, so that whoever is cut off from a broker is cut off from its proxy.

What they can do is proxy/rule.h; here are the faults of the schedule in its words, with figures for servers that are not to be throttled to death: faults that hit
one frame are made with a probability, so that work goes on between them. A server is known by its client.id, which the cluster sets to its name.
"""
from .parts import TOP
from .proxy.control import Proxy

# name: rules, each (what proxy/rule.h calls it, how)
# Anonymous: without the producer's id, so that the broker appends what it would have recognised, and only the rule is left to leave it out.
FAULTS = {
    "delay": [("delay", {"ms": 30, "jitter_ms": 150, "direction": "both"})],
    "duplicate": [("duplicate", {"apis": "Produce", "probability": 0.2}), ("replay", {"apis": "Produce", "probability": 0.1, "ms": 200, "jitter_ms": 800, "anonymous": True})],
    "copies": [("replay", {"apis": "Produce", "ms": 300, "anonymous": True})],
    "reorder": [("reorder", {"probability": 0.05, "ms": 500}), ("stray", {"apis": "Produce", "probability": 0.2, "ms": 500, "jitter_ms": 2500, "anonymous": True})],
    "lost_ack": [("lose_answer", {"apis": "Produce", "probability": 0.3, "then": "close"})],
    "reset": [("reset", {"probability": 0.05, "direction": "both"})],
    "nameless": [("nameless", {"probability": 0.2, "limit": 3})],
    "slice": [("slice", {"gap_us": 100, "slice_bytes": 256, "direction": "both"})],
}


class Proxies:
    """proxies["broker1"].set("delay"); one thread at a time."""

    def __init__(self, cluster):
        self.cluster, self.by_broker, self.counted = cluster, {}, {}

    def start(self):
        program = TOP / "build" / self.cluster.preset / "bin/kafka_proxy"
        with open(self.cluster.run / "logs/proxies.log", "ab") as log:
            for broker in self.cluster.brokers():
                self.by_broker[broker.name] = One(program, broker, self.cluster, log)

    def __getitem__(self, name):
        return self.by_broker[name]

    def processes(self):
        return [one.proxy.process for one in self.by_broker.values()]

    def heal(self):
        for one in self.by_broker.values():
            one.proxy.clear()
            one.rules = {}

    def counts(self):
        """How often each fault took effect, on all brokers."""
        sums = {}
        for one in self.by_broker.values():
            for fault, count in one.proxy.counters()["faults"].items():
                sums[fault] = sums.get(fault, 0) + count
        return sums

    def stop(self):
        for one in self.by_broker.values():
            one.proxy.close()
        self.by_broker = {}


class One:
    """The proxy before one broker."""

    def __init__(self, program, broker, cluster, log):
        self.name, self.rules = broker.name, {}
        prefix = cluster.net.inside(broker.name, [])
        self.proxy = Proxy(program, {broker.name: (broker.address("proxy"), broker.address("client"))}, broker.address("control"), broker.id, prefix, log)

    def set(self, fault, **more):
        self.rules.setdefault(fault, []).extend(self.proxy.set(kind, **{**what, **more}) for kind, what in FAULTS[fault])

    def hole(self, client, direction):
        """Frames of one client in one direction stay in the proxy, and die when the hole closes."""
        self.rules.setdefault(f"hole {client}", []).append(self.proxy.set("black_hole", clients=client, direction=direction, then="drop"))

    def clear(self, fault):
        for rule in self.rules.pop(fault, ()):
            self.proxy.clear(rule)
