"""Runs the model of the rule and the owner (owner.pml) to its end, or looks for a mutant in it.

usage: run.py [NAME ...]     names of searches or mutants; none: all of them

A search counts only when it was complete: every state was visited (no bit-state hashing, no state left out for want of depth or
memory), no line of the model that it should reach was left out over all searches together, and it was no smaller than it is known to be.
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
MODEL = HERE / "owner.pml"
DEPTH = 20000
FAULTS = ("DUPLICATES", "LOSSES", "TROUBLES", "TRUNCATIONS", "CRASHES", "NOISES", "STALE_ENDS", "REJECTIONS")
LIMIT_S = 280


def settings(log, ids, pipe, owners=2, **faults):
    return {"LOG": log, "IDS": ids, "PIPE": pipe, "OWNERS": owners, **{name: faults.get(name.lower(), 0) for name in FAULTS}}


# name: (what may go wrong, at least so many states)
SEARCHES = {
    "pipelines": (settings(4, 5, 2), 50_000),
    "troubles": (settings(3, 4, 1, troubles=1), 10_000),
    "losses": (settings(3, 4, 1, losses=1, troubles=1), 10_000),
    "crashes": (settings(3, 4, 1, crashes=1), 10_000),
    "duplicates_cut_off": (settings(3, 4, 1, duplicates=1, truncations=1), 10_000),
    "cut_off_leader": (settings(3, 4, 1, truncations=1, noises=1, stale_ends=1), 10_000),
    "rejections": (settings(3, 4, 2, troubles=1, rejections=1), 10_000),
    "one_owner": (settings(4, 5, 2, owners=1, **{name.lower(): 1 for name in FAULTS if name != "NOISES"}), 10_000),
}

MUTANTS = {
    "NO_PARENT_CHECK": settings(4, 5, 2),
    "ANSWER_ON_APPEND": settings(4, 5, 2),
    "REFUSE_UNCONFIRMED": settings(4, 5, 1),
    "NO_KEY_MEMORY": settings(4, 5, 1),
    "HEAD_BEFORE_PROOF": settings(4, 5, 1),
    "SETTLE_WITHOUT_BARRIER": settings(4, 5, 1, troubles=1, rejections=1),
    "FORGET_KEYS_AT_TAKEOVER": settings(4, 5, 1, crashes=1),
    "VOID_COPY_SETTLES": settings(4, 5, 2, duplicates=1),
    "PROOF_ACROSS_GENERATIONS": settings(4, 5, 1, troubles=1, rejections=1),
    "RESEND_CONFIRMS": settings(4, 5, 1, troubles=1),
    "NO_ROLL_BACK": settings(4, 5, 1),
    "ACKS_ONE": settings(4, 5, 1, truncations=1),
    "READ_PAST_HIGH_WATERMARK": settings(4, 5, 1, truncations=1),
}


def build(folder, flags):
    defines = [f"-D{name}={value}" for name, value in flags.items()]
    subprocess.run(["spin", *defines, "-a", str(MODEL)], cwd=folder, check=True, capture_output=True, timeout=LIMIT_S)
    subprocess.run(["gcc", "-O0", "-w", "-DSAFETY", "-DNOFAIR", "-DCOLLAPSE", "-DMEMLIM=3000", "-o", "pan", "pan.c"], cwd=folder, check=True, timeout=LIMIT_S)


def visit(flags):
    """What pan says, and which lines it did not reach."""
    with tempfile.TemporaryDirectory() as folder:
        build(folder, flags)
        said = subprocess.run(["./pan", f"-m{DEPTH}", "-w20"], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S).stdout
    # A line is reached when any copy of it is: an inline stands once for each owner.
    unreached = {(line, text) for line, text in re.findall(r"owner\.pml:(\d+), state \d+, \"(.*)\"", said)}
    return said, unreached


def number(said, pattern):
    found = re.search(pattern, said)
    return int(float(found.group(1))) if found else -1


def search(name):
    flags, least = SEARCHES[name]
    began = time.monotonic()
    said, unreached = visit(flags)
    states, depth, errors = number(said, r"([\d.e+]+) states, stored"), number(said, r"depth reached (\d+)"), number(said, r"errors: (\d+)")
    print(f"{name}: {states} states, depth {depth}, {errors} errors, {time.monotonic() - began:.1f} s", flush=True)
    failures = []
    if errors != 0:
        failures.append(f"{name}: {re.search(r'pan:1: .*', said).group(0) if 'pan:1:' in said else said}")
    if "max search depth too small" in said or "out of memory" in said or "memory limit" in said or "Search not completed" in said or "bit statespace" in said:
        failures.append(f"{name}: the search is not complete")
    if depth < 0 or depth >= DEPTH:
        failures.append(f"{name}: the search went to depth {depth}")
    if states < least:
        failures.append(f"{name}: {states} states are fewer than the {least} that it had: what does it leave out?")
    return failures, unreached


def find_mutant(name):
    began = time.monotonic()
    said, _ = visit({name: 1, **MUTANTS[name]})
    found = re.search(r"pan:1: (assertion violated .*) \(at depth (\d+)\)", said)
    print(f"mutant {name}: {'found: ' + found.group(1) if found else 'NOT FOUND'}, {time.monotonic() - began:.1f} s", flush=True)
    return [] if found else [f"mutant {name} was not found"]


def main(names):
    failures, unreached = [], None
    for name in names or [*SEARCHES, *MUTANTS]:
        if name in MUTANTS:
            failures += find_mutant(name)
            continue
        found, missed = search(name)
        failures += found
        unreached = missed if unreached is None else unreached & missed
    if not names or set(SEARCHES) <= set(names):
        failures += [f"no search reaches owner.pml:{line}: {text}" for line, text in sorted(unreached) if text != "-end-"]
    for failure in failures:
        print(f"FAILED {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
