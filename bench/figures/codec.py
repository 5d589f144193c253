"""codec - our codec beside avro-c's generic values: the same event, every field touched on both sides."""
import json
import subprocess

from .measure import Figure, Unmeasured

NAMES = ["codec.encode", "codec.decode"]
PARTS = ""
PROGRAMS = ["bench_codec"]
ABOUT = "encoding and decoding one event of 4 seats, ours and avro-c: 10 seconds"


def lines_of(bench, program, *words):
    done = subprocess.run([bench.program(program), "--json", *words], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Unmeasured(f"{program}: {done.stderr.strip()[:200]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def run(bench):
    for line in lines_of(bench, "bench_codec"):
        yield Figure(line["name"], line["value"], line["unit"], line["limit"], line["ratio"], line["want"])
