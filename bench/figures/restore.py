"""restore - from the start of the server to owning all partitions, with a million events in one of them."""
import os
import shutil
import threading
import time
import urllib.request

from . import replay
from .measure import Figure, Unmeasured, resident_mb, say

NAMES = ["restore.whole_log", "restore.snapshot"]
PARTS = "kafka,commands"
PROGRAMS = ["bench_log", "bench_book_load"]
ABOUT = "a log with a million events in a partition: seconds until its server owns it, without and with a snapshot: 1 minute"

EVENTS = 1000000
LIMIT_S = 300


def owns_all(bench):
    """Every partition is owned: asked of the metrics, which cannot be early."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{bench.port_base + 11}/metrics", timeout=2) as answer:
            rows = [line for line in answer.read().decode().splitlines() if line.startswith("berth_owner_phase{")]
    except OSError:
        return False
    return bool(rows) and all(row.endswith(" 3") for row in rows)


def start_timed(bench):
    starter = threading.Thread(target=bench.dev, args=("start", "commands"), kwargs={"check": False})
    began = time.monotonic()
    starter.start()
    while not owns_all(bench):
        if time.monotonic() - began > LIMIT_S:
            raise Unmeasured(f"the server did not own its partitions within {LIMIT_S} s")
        time.sleep(0.05)
    took = time.monotonic() - began
    starter.join()
    return took


def run(bench):
    bench.fresh()
    bench.up(PARTS)
    replay.lengthen(bench, EVENTS)
    shutil.rmtree(os.path.join(bench.state, "commands"), ignore_errors=True)
    say("restore: from the whole log")
    took = start_timed(bench)
    yield Figure("restore.whole_log", took, "s", note=f"resident afterwards {resident_mb(bench.pid('commands')):.0f} MB; half a second of it is ./dev and joining the group")
    bench.dev("stop", "commands")
    say("restore: from the snapshot")
    yield Figure("restore.snapshot", start_timed(bench), "s")
