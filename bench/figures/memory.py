"""memory - what the server holds of a whole timetable: all dated trips of the feed, none of them sold."""
import json
import os
import shutil
import subprocess
import time

from . import restore
from .measure import Figure, Unmeasured, resident_mb, say
from .stack import TOP

NAMES = ["memory.feed.trips", "memory.feed.rss", "memory.feed.per_trip", "memory.feed.restore.whole_log", "memory.feed.restore.snapshot"]
PARTS = "kafka,commands"
PROGRAMS = ["berth"]
ABOUT = "all dated trips of the feed imported by commands: resident memory, and seconds to restore: 2 minutes"

LIMIT_S = 400


def wait_for_streams(bench, opened):
    """The gauge is told four times a second: read at once after the import it lacks the trips of the last moment (275 of 117,199 once)."""
    end = time.monotonic() + 30
    while (found := bench.metric("berth_partition_streams")) != opened:
        if time.monotonic() > end:
            raise Unmeasured(f"{opened:.0f} trips were opened, and {found:.0f} are in memory")
        time.sleep(0.1)


def run(bench):
    bench.fresh()
    bench.up(PARTS)
    before = resident_mb(bench.pid("commands"))
    say("importing every day of the feed")
    began = time.monotonic()
    done = subprocess.run([bench.program("berth"), "import", "gtfs", os.path.join(TOP, "data", "cairns_gtfs.zip"), "--days=1000", "--concurrency=64", "--json",
                           f"--api.url=http://127.0.0.1:{bench.port_commands}"], capture_output=True, text=True, timeout=LIMIT_S)
    if done.returncode != 0:
        raise Unmeasured(f"the import ended with {done.returncode}: {(done.stderr + done.stdout).strip()[-200:]}")
    opened = json.loads(done.stdout)["trips_opened"]
    wait_for_streams(bench, opened)
    yield Figure("memory.feed.trips", opened, "trips", note=f"imported in {time.monotonic() - began:.0f} s, each with 40 seats")
    resident = resident_mb(bench.pid("commands"))
    yield Figure("memory.feed.rss", resident, "MB")
    yield Figure("memory.feed.per_trip", (resident - before) * 1e6 / opened, "bytes")
    bench.dev("stop", "commands")
    snapshots, aside = os.path.join(bench.state, "commands"), os.path.join(bench.state, "commands.aside")
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(snapshots, aside)
    yield Figure("memory.feed.restore.whole_log", restore.start_timed(bench), "s")
    bench.dev("stop", "commands")
    yield Figure("memory.feed.restore.snapshot", restore.start_timed(bench), "s")
