"""Visits every state of the model of the rule and the owner (owner.pml), and looks for each mutant in it.

usage: run.py [NAME ...]     names of searches or mutants; none: all of them

A search counts only when it was complete (no bit-state hashing, no state left out for want of depth or memory), found no error, and was no smaller than it
is known to be; all searches together must reach every step of the model. A mutant counts only when an assertion of the model fails
in it, with the settings of a search in which none fails without the mutant.
"""
import concurrent.futures
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
MODEL = HERE / "owner.pml"
DEPTH = 20000
MEMORY_MB = 3000
AT_ONCE = 2
FAULTS = ("DUPLICATES", "LOSSES", "TROUBLES", "TRUNCATIONS", "CRASHES", "NOISES", "STALE_ENDS", "REJECTIONS")
LIMIT_S = 800  # of one program, on a machine that does other things too


def settings(log, ids, pipe, calls="10 20 21", owners=2, **faults):
    """calls: which command comes to which owner, two digits each; faults: how often each may strike in one run."""
    called = sum(1 << (2 * int(call[0]) + int(call[1])) for call in calls.split())
    commands = max(int(call[0]) for call in calls.split())
    return {"LOG": log, "IDS": ids, "PIPE": pipe, "OWNERS": owners, "COMMANDS": commands, "CALLED": called,
            **{name: faults.pop(name.lower(), 0) for name in FAULTS}, **faults}


# name: (what may go wrong, at least so many states)
SEARCHES = {
    "pipelines": (settings(4, 5, 2), 38_000),
    "troubles": (settings(3, 4, 1, troubles=1), 220_000),
    "losses": (settings(3, 4, 1, losses=1, troubles=1), 680_000),
    "crashes": (settings(3, 4, 1, crashes=1), 810_000),
    "duplicates_cut_off": (settings(3, 4, 1, duplicates=1, truncations=1), 310_000),
    "cut_off_leader": (settings(3, 4, 1, truncations=1, noises=1, stale_ends=1), 470_000),
    "late_refusal": (settings(3, 4, 2, "20 11 30", troubles=1, stale_ends=1), 1_070_000),
    "rejections": (settings(3, 4, 2, troubles=1, rejections=1), 3_300_000),
    "one_owner": (settings(3, 4, 2, owners=1, **{name.lower(): 1 for name in FAULTS if name != "NOISES"}), 3_800_000),
}

# name: the search in which it is found
MUTANTS = {
    "NO_PARENT_CHECK": "pipelines",
    "ANSWER_ON_APPEND": "pipelines",
    "REFUSE_UNCONFIRMED": "pipelines",
    "NO_KEY_MEMORY": "pipelines",
    "HEAD_BEFORE_PROOF": "pipelines",
    "SETTLE_WITHOUT_BARRIER": "rejections",
    "FORGET_KEYS_AT_TAKEOVER": "crashes",
    "VOID_COPY_SETTLES": "pipelines",
    "PROOF_ACROSS_GENERATIONS": "rejections",
    "RESEND_CONFIRMS": "late_refusal",
    "NO_ROLL_BACK": "pipelines",
    "ACKS_ONE": "duplicates_cut_off",
    "READ_PAST_HIGH_WATERMARK": "duplicates_cut_off",
}


def command(folder, *words):
    try:
        return subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
    except FileNotFoundError:
        raise SystemExit(f"there is no {words[0]} here: apt-get install {words[0]}")


def visit(flags, optimize):
    """What the visitor of all states (pan, which spin writes in C) says."""
    defines = [f"-D{name}={value}" for name, value in flags.items()]
    with tempfile.TemporaryDirectory() as folder:
        for step in (["spin", *defines, "-a", str(MODEL)],
                     ["gcc", optimize, "-w", "-DSAFETY", "-DNOFAIR", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c"]):
            ended = command(folder, *step)
            if ended.returncode != 0:
                raise SystemExit(f"{step[0]} fails: {ended.stdout[-2000:]}")
        return command(folder, "./pan", f"-m{DEPTH}", "-w22").stdout


def number(said, pattern):
    found = re.search(pattern, said)
    return int(float(found.group(1))) if found else -1


def search(name):
    """Prints a line; returns what failed, and the steps that were not reached."""
    flags, least = SEARCHES[name]
    began = time.monotonic()
    said = visit(flags, "-O1")
    states, depth, errors = number(said, r"([\d.e+]+) states, stored"), number(said, r"depth reached (\d+)"), number(said, r"errors: (\d+)")
    print(f"{name}: {states} states, depth {depth}, {errors} errors, {time.monotonic() - began:.1f} s", flush=True)
    failures = []
    if errors != 0:
        failures.append(f"{name}: {re.search(r'pan:1: .*', said).group(0) if 'pan:1:' in said else said[-2000:]}")
    if any(words in said for words in ("max search depth too small", "out of memory", "memory limit", "Search not completed", "bit statespace")):
        failures.append(f"{name}: the search is not complete")
    if depth < 0 or depth >= DEPTH:
        failures.append(f"{name}: the search went to depth {depth}")
    if states < least:
        failures.append(f"{name}: {states} states are fewer than the {least} that it had: what does it leave out?")
    return failures, {(line, text) for line, text in re.findall(r"owner\.pml:(\d+), state \d+, \"(.*)\"", said)}


def find_mutant(name):
    began = time.monotonic()
    said = visit({name: 1, **SEARCHES[MUTANTS[name]][0]}, "-O0")
    found = re.search(r"pan:1: (assertion violated .*) \(at depth (\d+)\)", said)
    print(f"mutant {name} in {MUTANTS[name]}: {'found: ' + found.group(1) if found else 'NOT FOUND'}, {time.monotonic() - began:.1f} s", flush=True)
    return [] if found else [f"mutant {name} was not found"]


def main(names):
    unknown = [name for name in names if name not in SEARCHES and name not in MUTANTS]
    if unknown:
        print(f"no such search or mutant: {' '.join(unknown)}\n{__doc__}\nsearches: {' '.join(SEARCHES)}\nmutants: {' '.join(MUTANTS)}", file=sys.stderr)
        return 2
    failures, missed = [], []
    longest_first = sorted(names or [*SEARCHES, *MUTANTS], key=lambda name: -SEARCHES[name][1] if name in SEARCHES else 0)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for name, done in [(name, pool.submit(search if name in SEARCHES else find_mutant, name)) for name in longest_first]:
            if name in MUTANTS:
                failures += done.result()
            else:
                failures += done.result()[0]
                missed.append(done.result()[1])
    if len(missed) == len(SEARCHES):
        failures += [f"no search takes the step owner.pml:{line}: {text}" for line, text in sorted(set.intersection(*missed)) if text != "-end-"]
    for failure in failures:
        print(f"FAILED {failure}")
    cpu_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    print(f"{len(longest_first)} searches and mutants, {len(failures)} failures, {cpu_s:.0f} s of processor time")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
