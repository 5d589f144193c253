"""soak - does anything leak? Mixed load on one stack for ten minutes, resident memory and open files of the three servers once a second.

    ./dev faults --soak [--seconds 600] [--clients 16] [--svg docs/soak.svg] [--preset release] [--keep]

It brings up a stack of its own (.berth-soak, ports from 27000, released binaries), runs the clients of the fault runs against it, and takes it
down. After a warm-up, a quarter of the time, each series gets a robust slope (Theil-Sen: the median of all pairs, so that one collection or one
grown table does not make a trend). What growth is tolerated over the rest of the run:

  - memory: 3 MiB for any server, for pages, pools and allocators settle late;
  - memory of berth-commands: besides that, 128 bytes for each record that was appended meanwhile. It keeps the key of each for 24 hours (48 bytes,
    in a table that doubles) and the holds and bookings of open trips: state, which grows with what is sold, and no leak;
  - open files: 2 between the median of the first and of the last quarter.

Exit status 0: no trend. 1: a trend, or a server ended. 3: the run itself failed, or the load did too little to mean anything.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
SERVERS = {"commands": "#c0392b", "projections": "#2471a3", "query": "#1e8449"}
WARM_UP = 0.25
SETTLING_KB = 3 * 1024
RECORD_BYTES = 128
FDS_TOLERATED = 2
OPERATIONS_MIN = 20  # a second; below that the load was no load
PAIRS_POINTS_MAX = 200


class Stack:
    """One that ./dev brings up and takes down."""

    def __init__(self, state, base, preset):
        self.state = pathlib.Path(state)
        self.environment = os.environ | {"BERTH_STATE": str(state), "BERTH_PORT_BASE": str(base), "BERTH_PRESET": preset}
        self.environment.pop("BERTH_CONFIG", None)

    def dev(self, *arguments):
        done = subprocess.run([TOP / "dev", *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"./dev {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def up(self):
        for jars in (TOP / ".berth/kafka/jars", TOP / ".berth-test/kafka/jars"):
            if jars.exists() and not (self.state / "kafka/jars").exists():
                shutil.copytree(jars, self.state / "kafka/jars")
        self.dev("up")
        self.status = json.loads(self.dev("status", "--json"))

    def down(self, wipe):
        self.dev("down", *(["--wipe"] if wipe else []))

    def pid(self, name):
        return int((self.state / "run" / f"{name}.pid").read_text().split()[0])

    def records(self):
        """Valid records of all partitions, as the command server has proved them."""
        text = urllib.request.urlopen(self.status["admin"]["commands"] + "/metrics", timeout=10).read().decode()
        return sum(float(value) for value in re.findall(r"^berth_partition_height\{[^}]*\} (\S+)", text, re.MULTILINE))


class Ended(Exception):
    pass


def sample(pids):
    """name -> (resident kB, open files)."""
    found = {}
    for name, pid in pids.items():
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            found[name] = int(re.search(r"VmRSS:\s+(\d+)", status)[1]), len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, TypeError):  # a process that has just died has no VmRSS
            raise Ended(f"{name} ended during the soak") from None
    return found


def watch(stack, seconds):
    """Samples until the time is over: [(at_s, {name: (kb, fds)})], and the records proved after the warm-up."""
    pids = {name: stack.pid(name) for name in SERVERS}
    began, rows, records_warm = time.monotonic(), [], None
    while (at := time.monotonic() - began) < seconds:
        rows.append((at, sample(pids)))
        if records_warm is None and at >= seconds * WARM_UP:
            records_warm = stack.records()
        time.sleep(max(0.0, len(rows) - (time.monotonic() - began)))
    return rows, stack.records() - records_warm


def slope(points):
    """Theil-Sen: the median of the slopes of all pairs; of an even selection of the points where there are many."""
    step = max(1, len(points) // PAIRS_POINTS_MAX)
    chosen = points[::step]
    slopes = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(chosen) for x2, y2 in chosen[i + 1 :]]
    return statistics.median(slopes)


def judge(rows, records):
    """name -> what grew, what was tolerated, and whether it is within."""
    end = rows[-1][0]
    warm = [row for row in rows if row[0] >= end * WARM_UP]
    quarter = max(1, len(warm) // 4)
    found = {}
    for name in SERVERS:
        memory = [(at, values[name][0]) for at, values in warm]
        files = [values[name][1] for _, values in warm]
        growth = slope(memory) * (warm[-1][0] - warm[0][0])
        tolerated = SETTLING_KB + (records * RECORD_BYTES / 1024 if name == "commands" else 0)
        files_growth = statistics.median(files[-quarter:]) - statistics.median(files[:quarter])
        found[name] = {"rss_first_kb": memory[0][1], "rss_last_kb": memory[-1][1], "rss_max_kb": max(kb for _, kb in memory), "rss_growth_kb": round(growth), "rss_tolerated_kb": round(tolerated),
                       "fds_first": files[0], "fds_last": files[-1], "fds_max": max(files), "fds_growth": files_growth,
                       "ok": growth <= tolerated and files_growth <= FDS_TOLERATED}  # fmt: skip
    return found


# ---- the plot ----

WIDTH, HEIGHT, LEFT, GAP, HEAD = 900, 220, 70, 50, 54


def round_step(most):
    """The smallest of 1, 2, 5, 10, 20 … of which five reach beyond it."""
    return next(digit * 10**power for power in range(12) for digit in (1, 2, 5) if 5 * digit * 10**power > most)


def svg(rows, found):
    """Two panels over one axis of time: resident memory, open files."""
    end = rows[-1][0]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {2 * (HEIGHT + GAP) + HEAD}" font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    for number, (index, title, unit) in enumerate(((0, "resident memory, MB", 1024), (1, "open files", 1))):
        top = HEAD + number * (HEIGHT + GAP)
        step = round_step(max(values[name][index] / unit for _, values in rows for name in SERVERS))
        highest = 5 * step
        parts.append(f'<text x="{LEFT}" y="{top - 8}">{title}; grey: warm-up</text>')
        parts.append(f'<rect x="{LEFT}" y="{top}" width="{(WIDTH - LEFT - 20) * WARM_UP:.0f}" height="{HEIGHT}" fill="#eeeeee"/>')
        for tick in range(6):
            y = top + HEIGHT - HEIGHT * tick / 5
            parts.append(f'<path d="M{LEFT} {y:.0f}H{WIDTH - 20}" stroke="#cccccc"/><text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{step * tick}</text>')
        for name, colour in SERVERS.items():
            points = " ".join(f"{LEFT + (WIDTH - LEFT - 20) * at / end:.1f},{top + HEIGHT - HEIGHT * values[name][index] / unit / highest:.1f}" for at, values in rows)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for tick in range(7):
            parts.append(f'<text x="{LEFT + (WIDTH - LEFT - 20) * tick / 6:.0f}" y="{top + HEIGHT + 16}" text-anchor="middle">{end * tick / 6:.0f} s</text>')
    for number, (name, colour) in enumerate(SERVERS.items()):
        x = LEFT + number * 260
        parts.append(f'<rect x="{x}" y="12" width="12" height="10" fill="{colour}"/><text x="{x + 18}" y="22">{name}: {found[name]["rss_growth_kb"] / 1024:+.1f} of {found[name]["rss_tolerated_kb"] / 1024:.1f} MB</text>')
    return "\n".join(parts) + "\n</svg>\n"


# ---- the run ----


def start_load(stack, options, folder):
    host = {name: stack.status[name].removeprefix("http://") for name in ("commands", "query")}
    command = [sys.executable, "-m", "faults.clients", "--node", f"node1={host['commands']}", "--query", host["query"], "--history", folder, "--clients", str(options.clients),
               "--seconds", str(options.seconds + 120), "--tag", "soak"]  # fmt: skip
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(TOP / "tests")}, stdout=subprocess.PIPE, text=True)


def run(stack, options):
    history = stack.state / "soak-history"
    shutil.rmtree(history, ignore_errors=True)
    load_before = os.getloadavg()
    load = start_load(stack, options, history)
    try:
        rows, records = watch(stack, options.seconds)
    finally:
        load.terminate()
        told = json.loads(load.communicate(timeout=120)[0].strip().splitlines()[-1])
    found = judge(rows, records)
    return rows, {"seconds": options.seconds, "clients": options.clients, "preset": options.preset, "load": told, "operations_per_second": round(told["operations"] / options.seconds, 1),
                  "records_after_warm_up": round(records), "load_average": {"before": load_before[0], "after": os.getloadavg()[0]}, "servers": found}  # fmt: skip


def parse(arguments):
    parser = argparse.ArgumentParser(prog="faults.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--svg", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--preset", default=os.environ.get("BERTH_PRESET", "release"))
    parser.add_argument("--state", type=pathlib.Path, default=TOP / ".berth-soak")
    parser.add_argument("--base", type=int, default=int(os.environ.get("BERTH_SOAK_PORT_BASE", 27000)))
    parser.add_argument("--keep", action="store_true", help="leave the state folder, with its logs")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    stack = Stack(options.state, options.base, options.preset)
    stack.up()
    try:
        rows, result = run(stack, options)
    except Ended as ended:
        print(ended)
        return 1
    finally:
        stack.down(wipe=not options.keep)
    print(json.dumps(result, indent=2))
    if options.svg:
        options.svg.write_text(svg(rows, result["servers"]))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    for name, one in result["servers"].items():
        print(f"{'ok  ' if one['ok'] else 'GROWS'} {name}: {one['rss_growth_kb']:+} kB, {one['rss_tolerated_kb']} tolerated; open files {one['fds_growth']:+}, {FDS_TOLERATED} tolerated")
    if result["operations_per_second"] < OPERATIONS_MIN:
        print(f"the load did {result['operations_per_second']} operations a second: this proves nothing")
        return 3
    return 0 if all(one["ok"] for one in result["servers"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
