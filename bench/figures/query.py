"""query - the seat map over 1,000 trips while bookings run, beside an empty GET of the same size and a bare Redis GET.

The limit is what is left of the machine's CPU-seconds beside the bookings, divided by those of an empty GET of the same size (server
and load generator) and of a bare Redis GET of the size that Redis holds for a trip (server and client).
"""
import http.client
import json
import os
import random
import re
import shutil
import subprocess
import time

from . import book
from .measure import CORES, Figure, Unmeasured, cpu_s, say

NAMES = ["query.seats", "query.seats.p99"]
PARTS = "kafka,postgres,redis,commands,projections,query"
PROGRAMS = ["bench_book_load", "bench_empty"]
ABOUT = "seat maps of 1,000 trips while bookings run: 2 minutes"

TRIPS = 1000
SECONDS = 6
LUA = """
local ready = {}
for i = 1, 4096 do
  local from = math.random(0, 18)
  local path = string.format("/v1/trips/%s%d/seats?from=s%02d&to=s%02d", "PREFIX", math.random(0, TRIPS - 1), from, math.random(from + 1, 19))
  ready[i] = wrk.format("GET", path, { ["Host"] = "127.0.0.1" })
end
local at = 0
request = function() at = at % 4096 + 1; return ready[at] end
"""


def wrk(bench, prefix, port, seconds):
    path = os.path.join(bench.state, "seats.lua")
    with open(path, "w") as file:
        file.write(LUA.replace("PREFIX", prefix).replace("TRIPS", str(TRIPS)))
    return subprocess.Popen(["wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", "-s", path, f"http://127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def measure_wrk(bench, prefix, port, pids):
    """Answers, CPU seconds by name (wrk's under "load"), and the 99th percentile in ms."""
    wrk(bench, prefix, port, 2).communicate(timeout=30)
    program = wrk(bench, prefix, port, SECONDS)
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    text = program.stdout.read()
    after = {name: cpu_s(pid) for name, pid in pids.items()}
    spent = {name: after[name] - before[name] for name in pids}
    spent["load"] = ended_cpu_s(program)
    program.wait()
    if "Non-2xx" in text:
        raise Unmeasured("seat maps were refused: " + re.search(r"Non-2xx.*", text).group(0))
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    if tail is None:
        raise Unmeasured(f"wrk told nothing: {text.strip()[:300]}")
    number, unit = tail.groups()
    return int(re.search(r"(\d+) requests in", text).group(1)), spent, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def one_map(bench, trip):
    """The answer's bytes, once the read model has the trip."""
    for _ in range(900):
        connection = http.client.HTTPConnection("127.0.0.1", bench.port_query, timeout=10)
        connection.request("GET", f"/v1/trips/{trip}/seats?from=s02&to=s09")
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status == 200:
            return text
        time.sleep(0.1)
    raise Unmeasured(f"the read model did not show {trip} within 90 s: {text[:200]!r}")


def ended_cpu_s(program):
    """CPU seconds of a child that has ended and was not waited for: its times are still there."""
    os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
    return cpu_s(program.pid)


def bare_redis(bench, size):
    """CPU-seconds of a GET of that size, server and client."""
    count, redis = 200000, bench.pid("redis")
    command = ["redis-benchmark", "-p", str(bench.port_base + 31), "-c", "64", "-d", str(size), "-r", str(TRIPS), "-q"]
    subprocess.run(command + ["-n", "20000", "-t", "set"], stdout=subprocess.DEVNULL, check=True, timeout=60)
    before = cpu_s(redis)
    program = subprocess.Popen(command + ["-n", str(count), "-t", "get"], stdout=subprocess.DEVNULL)
    spent = ended_cpu_s(program) + cpu_s(redis) - before
    program.wait()
    return spent / count


def run(bench):
    if shutil.which("wrk") is None or shutil.which("redis-benchmark") is None:
        raise Unmeasured("it needs wrk and redis-benchmark (Debian: wrk, redis-tools)")
    bench.fresh() # else the read models have the trips of other figures to fold first
    bench.up(PARTS)
    say(f"opening {TRIPS} trips")
    _, prefix = book.load(bench, 64, TRIPS, seconds=1, warmup=0, fill=0.1)
    for trip in range(0, TRIPS, 7): # partitions are projected each at its own pace
        body = one_map(bench, f"{prefix}{trip}")
    path = os.path.join(bench.state, "answer.seats.json")
    with open(path, "wb") as file:
        file.write(body)
    say("query.seats: with a client that books")
    booking_set = random.randrange(10**6)
    booking = subprocess.Popen([bench.program("bench_book_load"), "--port", str(bench.port_commands), "--connections", "1", "--trips", "1", "--seconds", "60", "--warmup", "0",
                                "--prefix", f"q{booking_set}-"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bench.children.append(booking)
    beside = {"booking": booking.pid, "commands": bench.pid("commands"), "kafka": bench.pid("kafka"), "projections": bench.pid("projections")}
    time.sleep(3)
    answers, spent, p99 = measure_wrk(bench, prefix, bench.port_query, dict(beside, query=bench.pid("query"), redis=bench.pid("redis")))
    bench.stop_child(booking)
    child = bench.start_child([bench.program("bench_empty"), str(bench.port_empty), "GET", "/v1/trips/{trip}/seats", "200", path], "listening")
    try:
        empties, empty, _ = measure_wrk(bench, prefix, bench.port_empty, {"empty": child.pid})
    finally:
        bench.stop_child(child)
    # What Redis holds for a trip of 2,000 seats and 19 segments: 8 bytes a seat, and a little
    redis_s = bare_redis(bench, 16384)
    empty_s = (empty["empty"] + empty["load"]) / empties
    left = CORES - sum(spent[name] for name in beside) / SECONDS
    value, limit = answers / SECONDS, left / (empty_s + redis_s)
    yield Figure("query.seats", value, "answers/s", limit, value / limit, 0.8,
                 note=f"{len(body)} bytes an answer; CPU us an answer: query {spent['query'] / answers * 1e6:.0f}, redis {spent['redis'] / answers * 1e6:.0f}, load "
                      f"{spent['load'] / answers * 1e6:.0f}; empty GET {empty_s * 1e6:.0f}, Redis GET {redis_s * 1e6:.0f}; bookings left {left:.2f} of {CORES} cores")
    yield Figure("query.seats.p99", p99, "ms")
