"""board - what all clients of a run know together: the newest position that anyone was told, and each other's holds to meddle with."""
import random
import re
import threading

POSITION = re.compile(r"^(?P<kind>[^/]+)/(?P<partition>\d+)@(?P<offset>\d+)-(?P<id>[0-9a-f]{8})$")
SHARED_MAX = 200


class Positions:
    """The newest position of each partition. Any thread."""

    def __init__(self):
        self.newest = {}
        self.lock = threading.Lock()

    def see(self, text):
        found = POSITION.match(text or "")
        if not found:
            return
        partition, offset = int(found["partition"]), int(found["offset"])
        with self.lock:
            if offset > self.newest.get(partition, (-1, ""))[0]:
                self.newest[partition] = (offset, text)

    def of(self, partition):
        with self.lock:
            return self.newest.get(partition, (-1, None))[1]


class Board:
    def __init__(self):
        self.positions = Positions()
        self.lock = threading.Lock()
        self.things = []

    def share(self, thing):
        with self.lock:
            self.things.append(thing)
            del self.things[:-SHARED_MAX]

    def any_thing(self, rng: random.Random):
        with self.lock:
            return rng.choice(self.things) if self.things else None
