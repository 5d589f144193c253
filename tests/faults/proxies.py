"""The proxies of a cluster: one before each broker, in the broker's own network namespace, and what a fault of the schedule means to them.

A broker tells its clients the proxy's address, so all that nodes and projectors say to it passes here; brokers among themselves, the harness and
the checker do not. A fault of the schedule is one broker's: `proxies["broker2"].set("lost_ack", chance)`; tests/faults/proxy/control.py says what can be
made beyond these recipes, by `proxies["broker2"].make("delay", clients="node1", ms=300)`. A client goes by its client.id, which is the part's name.
"""
from .proxy.control import FAULTS, Proxy

# name: what is set at once, by the fault's own random numbers. Probabilities leave most of the traffic alone, so that work goes on under the fault.
CLOSE_OR_HANG = ((0.1, "close"), (0.01, "hang"))  # a client that is left hanging sends nothing more there until its own time-out, 10 s
RECIPES = {
    "delay": lambda chance: [("delay", {"ms": chance.choice((5, 20, 80)), "jitter_ms": chance.choice((20, 150, 400)), "probability": 0.5})],
    "throttle": lambda chance: [("throttle", {"bytes_per_s": chance.choice((20_000, 60_000, 200_000))})],
    "duplicate": lambda chance: [("duplicate", {"apis": "Produce", "probability": 0.3})],
    "reorder": lambda chance: [("reorder", {"apis": ["Produce", "Fetch", "Heartbeat"], "probability": 0.3, "ms": 400, "overtakers": chance.choice((1, 3))})],
    "lost_ack": lambda chance: [("lose_answer", {"apis": "Produce", "probability": share, "then": then}) for share, then in CLOSE_OR_HANG],
    "reset": lambda chance: [("reset", {"direction": direction, "probability": 0.02}) for direction in ("to_broker", "to_client")],
    "slice": lambda chance: [("slice", {"probability": 0.3, "gap_us": chance.choice((0, 20, 100)), "slice_bytes": 400})],
    "stray": lambda chance: [("stray", {"probability": share, "ms": 200, "jitter_ms": 3000, "then": then}) for share, then in CLOSE_OR_HANG],
    "replay": lambda chance: [("replay", {"probability": 0.2, "ms": 50, "jitter_ms": 3000, "anonymous": anonymous}) for anonymous in (False, True)],
    "black_hole": lambda chance: [("black_hole", {"direction": chance.choice(("to_broker", "to_client", "both")), "then": chance.choice(("deliver", "drop"))})],
}


class BrokerProxy:
    """One broker's. Rules that an injury has set are cleared by its name."""

    def __init__(self, cluster, broker):
        self.cluster, self.broker, self.proxy, self.rules, self.last = cluster, broker, None, {}, {}

    def start(self):
        net, name = self.cluster.net, self.broker.name
        net.add(name)
        binary = self.cluster.binary("proxy", "kafka_proxy")
        with open(self.cluster.run / "logs" / f"proxy-{name}.log", "ab") as log:
            self.proxy = Proxy(binary, {name: (self.broker.address("proxy"), self.broker.address("client"))}, self.broker.address("control"),
                               seed=self.broker.id, prefix=net.inside(name, []), log=log)

    def make(self, fault, **what):
        return self.proxy.set(fault, **what)

    def set(self, name, chance):
        self.rules.setdefault(name, []).extend(self.make(fault, **what) for fault, what in RECIPES[name](chance))

    def clear(self, name):
        for rule in self.rules.pop(name, []):
            self.proxy.clear(rule)

    def heal(self):
        self.rules = {}
        self.proxy.clear()

    def counters(self):
        """The last that it said, after it has ended."""
        if self.proxy:
            self.last = self.proxy.counters()
        return self.last

    def stop(self):
        if self.proxy:
            self.proxy.close()
            self.proxy = None


class Proxies:
    def __init__(self, cluster):
        self.at = {broker.name: BrokerProxy(cluster, broker) for broker in cluster.brokers()}

    def __getitem__(self, broker):
        return self.at[broker]

    def start(self):
        for proxy in self.at.values():
            proxy.start()

    def stop(self):
        for proxy in self.at.values():
            proxy.stop()

    def heal(self):
        for proxy in self.at.values():
            if proxy.proxy:
                proxy.heal()

    def processes(self):
        return [proxy.proxy.process for proxy in self.at.values() if proxy.proxy]

    def counts(self):
        """Fault -> how often it took effect, at all brokers."""
        found = [proxy.counters() for proxy in self.at.values()]
        return {fault: sum(counters["faults"][fault] for counters in found if counters) for fault in FAULTS}
