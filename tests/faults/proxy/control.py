"""control - the Kafka-frame proxy of the fault runs, for a test: starts it, tells it which faults to make, asks what became of them.

    with Proxy(program, {"broker1": ("127.0.0.1:24031", "127.0.0.1:24061")}, control="127.0.0.1:24100", seed=7) as proxy:
        rule = proxy.set("lose_answer", clients="node1", apis="Produce", probability=0.05, then="close")
        ...
        proxy.clear(rule)                       # or proxy.clear(): all
        proxy.counters()["faults"]["lose_answer"]  # how often it took effect

A client is named by its client.id. rule.h says what the faults are; in short, with what each may be told and its defaults:
    delay        ms=100, jitter_ms=0
    throttle     bytes_per_s=65536                         no probability, no limit
    slice        gap_us=50, slice_bytes=1024               the first bytes of a frame go one by one
    reset                                                  half of the frame, then RST both ways
    lose_answer  then="close"|"hang"                       done, and never answered
    duplicate                                              to_broker: the request twice; to_client: the answer twice
    reorder      ms=1000, overtakers=1                     waits until frames of other connections have passed it
    stray        ms=100, jitter_ms=0, then="close"|"hang", anonymous=False    a Produce that arrives later, on another connection
    replay       ms=100, jitter_ms=0, anonymous=False      a Produce that arrives as well later, on another connection
    nameless                                               a Produce without its producer's id: it is missing in that producer's sequence
    black_hole   then="deliver"|"drop"                     no probability, no limit
and all of them clients="*", brokers="*", apis="*" (a name or a list), direction="to_broker"|"to_client"|"both", probability=1.0, limit=N.
stray and replay with ms=-1 wait for release(). anonymous=True takes the producer's id out, so that the broker appends what it would have recognised.
"""
import json
import socket
import subprocess

PATIENCE_S = 90  # with a proxy on a slow machine
FAULTS = ("delay", "throttle", "slice", "reset", "lose_answer", "duplicate", "reorder", "stray", "replay", "nameless", "black_hole")


class Proxy:
    """One process for any number of brokers: brokers is name -> (where it listens, where it leads). prefix: words before the command, such as
    nsenter's. It ends with close(), or with the process that made it. One thread at a time."""

    def __init__(self, program, brokers, control, seed=1, prefix=(), log=None):
        self.argv = [*prefix, str(program), "--control", control, "--seed", str(seed)]
        for name, (listens, leads) in brokers.items():
            self.argv += ["--broker", f"{name}={listens}={leads}"]
        self.control, self.connection = control, None
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline()
        if line != b"ready\n":
            raise RuntimeError(f"kafka_proxy did not start: {line or self.process.wait(10)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def ask(self, order):
        if self.connection is None:
            host, port = self.control.split(":")
            self.connection = socket.create_connection((host, int(port)), timeout=PATIENCE_S).makefile("rwb")
        self.connection.write(json.dumps(order).encode() + b"\n")
        self.connection.flush()
        line = self.connection.readline()
        if not line:
            raise RuntimeError("kafka_proxy is gone")
        answer = json.loads(line)
        if not answer.pop("ok"):
            raise ValueError(answer["why"])
        return answer

    def set(self, fault, **what):
        """The number of the rule, for clear()."""
        return self.ask({"do": "set", "fault": fault, **{word: value for word, value in what.items() if value is not None}})["rule"]

    def clear(self, rule=None):
        """One rule, or all. What a black hole held arrives now, or dies. Returns how many rules that were."""
        return self.ask({"do": "clear"} if rule is None else {"do": "clear", "rule": rule})["rules"]

    def reset(self, clients="*", brokers="*"):
        """Resets the connections of these now; returns how many."""
        return self.ask({"do": "reset", "clients": clients, "brokers": brokers})["links"]

    def release(self):
        """Sends the requests of stray and replay that wait to be told; returns how many."""
        return self.ask({"do": "release"})["requests"]

    def counters(self):
        """{"faults": {kind: effects}, "by": [...], "frames": {broker: {"to_broker", "to_client"}}, "late": {"outcomes": [...], "waiting", ...}, ...}"""
        return self.ask({"do": "counters"})
