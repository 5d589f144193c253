"""How a fault run is called.

    ./dev faults [--seed N] [--seconds S] [--full] [--phase NAME] [--mutant NAME] [--document]

  --seed N        the schedule and the clients' choices; without it one of the clock's, which is printed. The same seed, form and length give the same schedule.
  --seconds S     length of the schedule: 60 in the short form, 480 in the full one; phases grow and shrink with it
  --full          all phases, and the negative one: an acknowledged suffix is cut off all replicas, noticed, accepted on the record, and all goes on
  --phase NAME    a calm, then this phase alone; `lost-suffix` is the negative phase
  --mutant NAME   instead of all that: short runs of a small cluster with one promise broken, which must be caught; all, quick, list, or names with commas
                  between; none/NAME is the sound build in what NAME goes through, which must not be
  --document      writes docs/reliability.md's table and docs/reliability.svg from this run
  --list          the phases and what is in them
  --setup         prepares everything and stops

Exit status 0: no violation, and nothing that this form promises was at nought. 1: a violation. 2: it proved nothing (vacuous, or the load did nothing).
3: the run itself failed. Results: results/summary.json, results/report.md, results/reliability.svg in the run folder.
"""
import argparse
import os
import time

from . import network
from .cluster import STATE

CLIENTS = 24


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=True)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--phase")
    parser.add_argument("--mutant")
    parser.add_argument("--document", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--junit")
    parser.add_argument("--preset", default=os.environ.get("BERTH_PRESET", "release"))
    parser.add_argument("--run", default=STATE / "last")
    parser.add_argument("--network", choices=("namespaces", "loopback"), default="namespaces" if network.Namespaces.is_possible() else "loopback")
    parser.add_argument("--base", type=int, default=int(os.environ.get("BERTH_FAULTS_PORT_BASE", 29200)))
    options = parser.parse_args(arguments)
    options.form = "full" if options.full else "short"
    if options.seed is None:
        options.seed = int(time.time()) % 1000000
    if options.network == "loopback" or options.mutant:
        options.base = network.free_base(options.base)
    return options
