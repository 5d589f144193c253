#!/usr/bin/env python3
"""No server that runs in earnest can be told to be a mutant: neither the switch nor the name of its environment variable is in it.

    test_production.py SERVER... --mutants MUTANT...      the mutants must hold both, else this test looks for the wrong thing
"""
import os
import subprocess
import sys

MARKS = (b"BERTH_MUTANT", b"bt_mutant", b"bt_projector_mutant")


def marks_of(path):
    with open(path, "rb") as file:
        content = file.read()
    return [mark.decode() for mark in MARKS if mark in content]


def main(arguments):
    at = arguments.index("--mutants")
    wrong = [f"{path} holds {marks}" for path in arguments[:at] if (marks := marks_of(path))]
    for path in arguments[at + 1:]:
        if "BERTH_MUTANT" not in marks_of(path):
            wrong.append(f"{path} is no mutant build")
        names = subprocess.run([path], env={**os.environ, "BERTH_MUTANT": "list"}, capture_output=True, text=True, timeout=20).stdout.split()
        unknown = subprocess.run([path, "--help"], env={**os.environ, "BERTH_MUTANT": "no_such"}, capture_output=True, timeout=20)
        if not names or unknown.returncode != 2:
            wrong.append(f"{path} knows {names}, and ends with {unknown.returncode} for a name that it does not know")
    print("\n".join(wrong) or f"{at} servers without mutants")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
