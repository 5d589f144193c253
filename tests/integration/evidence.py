"""What a failed test leaves for somebody who cannot log in to the machine: the state of the stack, and what its servers logged meanwhile.

CI keeps no log files, only what is printed. So a failure prints, bounded, the last lines that every log has got since the test began: those of
the stack, and those of servers that the test started itself in its own folder.
"""
import os
import pathlib
import re

import requests

LINES, LINES_OF_OTHERS = 25, 8  # of a server of ours, of anything else
OURS = re.compile(r"^(commands|projections|query|test-|n\d+-|node|projector)")
WIDTH = 400
LOGS_MAX = 12
# The same in every line, and long.
SAID_BY_ALL = re.compile(r'"server":"[^"]*",|"version":"[^"]*",')


def logs(*folders):
    """path -> size."""
    found = {}
    for folder in filter(None, folders):
        for path in pathlib.Path(folder).rglob("*.log"):
            try:
                found[path] = path.stat().st_size
            except OSError:
                continue
    return found


def tail(path, since):
    """The last lines of what was written behind `since`; all of a log that was begun anew."""
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(since if since <= end else 0, end - 200 * WIDTH))
        lines = file.read().decode(errors="replace").splitlines()
    lines = [SAID_BY_ALL.sub("", line)[:WIDTH] for line in lines if line.strip()]
    return lines[-(LINES if OURS.match(path.name) else LINES_OF_OTHERS) :]


def state(stack, paused):
    """A line a part, and why a server is not ready."""
    said = []
    try:
        status = stack.status()
        said.append(f"ready: {status['ready']}  " + "  ".join(f"{name}: {found}" for name, found in status["parts"].items()))
        said.append("paused: " + ", ".join(paused) if paused else "")
    except Exception as error:  # whatever it is, the rest is told all the same
        said.append(f"./dev status: {error}")
    for name, admin in stack.admin.items():
        try:
            answer = requests.get(admin + "/readyz", timeout=5)
            if answer.status_code != 200:
                said.append(f"{name}: {answer.status_code} {answer.text.strip()[:WIDTH]}")
        except requests.RequestException as error:
            said.append(f"{name}: {type(error).__name__}")
    return said


def of(stack, paused, sizes, *folders):
    """All of it as text. sizes: what logs() said when the test began; paused: names of parts."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    said = [f"load: {load}, {os.cpu_count()} processors", *filter(None, state(stack, paused))]
    grown = [path for path, size in logs(*folders).items() if size != sizes.get(path, 0)]
    grown.sort(key=lambda path: (not OURS.match(path.name), path.name))
    for path in grown[:LOGS_MAX]:
        said += [f"--- {path.name}", *tail(path, sizes.get(path, 0))]
    said += [f"--- and {len(grown) - LOGS_MAX} logs more"] if len(grown) > LOGS_MAX else []
    return "\n".join(said)
