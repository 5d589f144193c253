#!/usr/bin/env python3
"""table - bench_kafka append over the settings that docs/decisions/0002 chose from, as a Markdown table.

    bench/kafka/table.py --bin build/release/bin --kafka HOST:PORT [--broker-pid PID] [--seconds 5]

Makes topics bench.append.<partitions> where they are not there. On a machine that does other work too, only large differences mean anything.
"""
import argparse
import json
import os
import pathlib
import subprocess

PARTITIONS, IN_FLIGHT = (1, 4, 16), (1, 5)


def run(arguments, partitions, clients, in_flight, windows=1):
    topic = f"bench.append.{partitions}"
    subprocess.run([arguments.bin / "berth", "topics", "create", "--topic", topic, "--partitions", str(partitions), "--kafka.bootstrap.servers", arguments.kafka],
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    options = {"kafka": arguments.kafka, "topic": topic, "partitions": partitions, "clients": clients, "in-flight": in_flight, "windows": windows,
               "seconds": arguments.seconds, "broker-pid": arguments.broker_pid}  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return json.loads(subprocess.run([arguments.bin / "bench_kafka", "append", *words], check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"))
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--broker-pid", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| clients | partitions | in flight | windows | records/s | p50 ms | p99 ms | client µs/record | broker µs/record |")
    print("|---|---|---|---|---|---|---|---|---|")
    runs = [(1, 1, in_flight, 1) for in_flight in IN_FLIGHT]
    runs += [(256, partitions, in_flight, 1) for partitions in PARTITIONS for in_flight in IN_FLIGHT]
    runs += [(256, partitions, 5, windows) for partitions in PARTITIONS for windows in (2, 4)]
    for clients, partitions, in_flight, windows in runs:
        found = run(arguments, partitions, clients, in_flight, windows)
        print(f"| {clients} | {partitions} | {in_flight} | {windows} | {found['records_per_second']:,} | {found['p50_us'] / 1000:.2f} | "
              f"{found['p99_us'] / 1000:.2f} | {found['client_cpu_us']:.1f} | {found['broker_cpu_us']:.1f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
