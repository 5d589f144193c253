#!/usr/bin/env python3
"""Measures what a request costs the front: CPU microseconds of the server's process, requests a second, latency, resident memory.

    bench/front/run.py [--build build/release] [--seconds 3] [--port 25100] [--json]

wrk (Debian) is the load generator, on the same machine. Run it on a quiet one; the order of the figures is what it is for otherwise.
"""
import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
LUA = """
wrk.method = "POST"
wrk.path = "/v1/trips/t-2026-11-22-IC703/holds"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Idempotency-Key"] = "5b0c9a7e-6f0e-4b43-9a42-0d2c6a2d7f11"
wrk.body = '{"from":"8503000","to":"8507000","class":"2","count":2,"adjacent":true,"customer":"c-123456","ttl_seconds":600}'
"""
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_us(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / TICKS


def resident_mb(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def wait_for(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"nothing listens on {port}")


def to_ms(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def measure(binary, lua, backend, tick_us, connections, threads, port, seconds):
    server = subprocess.Popen([binary, backend, str(port), str(tick_us), str(threads)])
    try:
        wait_for(port)
        wrk = ["wrk", "-t1", f"-c{connections}", "--latency", "-s", lua, f"http://127.0.0.1:{port}"]
        subprocess.run(wrk + ["-d1"], stdout=subprocess.DEVNULL, check=True)
        before = cpu_us(server.pid)
        text = subprocess.run(wrk + [f"-d{seconds}"], capture_output=True, text=True, check=True).stdout
        used = cpu_us(server.pid) - before
        requests = int(re.search(r"(\d+) requests in", text).group(1))
        return {
            "backend": backend, "tick_us": tick_us, "connections": connections, "threads": threads,
            "cpu_us_per_request": round(used / requests, 2),
            "requests_per_s": round(float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))),
            "p50_ms": to_ms(re.search(r"^\s+50%\s+(\S+)", text, re.M).group(1)),
            "p99_ms": to_ms(re.search(r"^\s+99%\s+(\S+)", text, re.M).group(1)),
            "rss_mb": round(resident_mb(server.pid), 1),
            "errors": "Socket errors" in text or "Non-2xx" in text,
        }
    finally:
        server.kill()
        server.wait()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--build", default=os.path.join(TOP, "build", "release"))
    arguments.add_argument("--seconds", type=int, default=3)
    arguments.add_argument("--port", type=int, default=25100)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    binary = os.path.join(options.build, "bench", "front", "bench_front")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(LUA)
        lua.flush()
        if not options.json:
            print("backend   tick  conns threads  CPU us/req    req/s   p50 ms   p99 ms  RSS MB")
        port = options.port
        for tick_us in (0, 1000, 5000):
            for connections in (64, 256):
                for backend, threads in (("civetweb", connections + 32), ("evhttp", 1), ("loop", 1), ("loop", 2)):
                    port += 1
                    row = measure(binary, lua.name, backend, tick_us, connections, threads, port, options.seconds)
                    if options.json:
                        print(json.dumps(row), flush=True)
                    else:
                        print(f"{backend:9} {tick_us:5} {connections:6} {threads:7} {row['cpu_us_per_request']:11.1f} {row['requests_per_s']:8}"
                              f" {row['p50_ms']:8.2f} {row['p99_ms']:8.2f} {row['rss_mb']:7.1f}{'  errors' if row['errors'] else ''}", flush=True)


if __name__ == "__main__":
    main()
