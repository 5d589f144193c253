"""measure - running one program between its marks, and what the processes beside it spent meanwhile.

A program says "measuring" and "measured" on stderr; at these lines the CPU time of all processes that matter is read from
/proc/PID/stat, and the machine's from /proc/stat: what is not ours was somebody else's, and a run beside others says so.
"""
import dataclasses
import json
import os
import statistics
import subprocess
import sys

TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count()


@dataclasses.dataclass
class Figure:
    """One line of the table. want is a goal for the ratio where there is one, else for the value."""
    name: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    want: float | None = None
    at_most: bool = False  # want is the most that is good, not the least
    note: str = ""         # for people only

    def met(self):
        if self.want is None:
            return None
        got = self.value if self.ratio is None else self.ratio
        return got <= self.want if self.at_most else got >= self.want

    def as_json(self):
        return json.dumps({"name": self.name, "value": rounded(self.value), "unit": self.unit, "limit": rounded(self.limit),
                           "ratio": rounded(self.ratio), "want": self.want, "met": self.met()})


class Unmeasured(Exception):
    """A figure that cannot be had here, and why. It counts as not met."""


def rounded(number):
    """Four significant digits, or all that stand before the point."""
    if number is None or number == 0:
        return number
    return float(f"{number:.4g}") if abs(number) < 1000 else round(number)


def cpu_s(pid):
    """CPU seconds of a process so far, all its threads."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_busy_s():
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, irq, softirq = (int(word) for word in stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def resident_mb(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


@dataclasses.dataclass
class Run:
    """What came of a program between its marks."""
    said: dict            # the JSON object that it printed
    cpu: dict             # CPU seconds by name of process; "load" is the program itself
    others: float         # share of the machine that somebody else used, 0 to 1

    def cpu_of(self, *names):
        return sum(self.cpu[name] for name in names)


def run_marked(command, pids, seconds, limit_s=600):
    """Runs command, which prints one JSON object; pids names the processes whose CPU time counts besides its own."""
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watched = dict(pids, load=program.pid)
    before, after, complaint = {}, {}, []
    busy_before = busy_after = 0.0
    try:
        for line in program.stderr:
            if line.startswith("measuring"):
                before, busy_before = {name: cpu_s(pid) for name, pid in watched.items()}, machine_busy_s()
            elif line.startswith("measured"):
                after, busy_after = {name: cpu_s(pid) for name, pid in watched.items()}, machine_busy_s()
            else:
                complaint.append(line)
        text = program.stdout.read()
        code = program.wait(limit_s)
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()
    if code != 0 or not after:
        raise Unmeasured(f"{os.path.basename(command[0])} ended with {code}: {(''.join(complaint) + text).strip()[:300]}")
    spent = {name: after[name] - before[name] for name in watched}
    others = max(0.0, busy_after - busy_before - sum(spent.values())) / (seconds * CORES)
    return Run(json.loads(text), spent, min(1.0, others))


def median(values):
    return statistics.median(values)


def say(text):
    """Progress, for people; the figures go to stdout."""
    print(f"  {text}", file=sys.stderr, flush=True)
