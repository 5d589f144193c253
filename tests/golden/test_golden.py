"""What was written once is read for ever: golden bytes of every event version, and one generated header.

usage: test_golden.py CODEC_PIPE SCHEMAS_FOLDER GENERATED_HEADER [--update]
events.tsv holds a row a version (id, event, whole value in hex, its JSON). A row is never changed: its bytes may stand in a
log. --update appends the rows of versions that have none and copies the header.
"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SEED = "20261121"
REMEDY = "look at the difference; if it is meant, run: cmake --build --preset dev --target golden"


def rows_of(path):
    return [line.split("\t") for line in path.read_text().splitlines() if line and not line.startswith("#")]


def update(pipe, frozen, golden, header):
    known = {row[0] for row in golden}
    emitted = subprocess.run([pipe, "emit", "1", SEED], check=True, capture_output=True, text=True).stdout.splitlines()
    fresh = {line.split("\t")[0]: line.split("\t") for line in emitted}
    with (HERE / "events.tsv").open("a") as out:
        for number, subject, version, *_ in frozen:
            if number not in known and number in fresh:
                name = subject.split("-", 1)[1]
                out.write(f"{number}\t{name} {version}\t00{int(number):08x}{fresh[number][1]}\t{fresh[number][2]}\n")
    (HERE / "trip.h").write_text(header.read_text())


def check(pipe, frozen, golden, header):
    failures = []
    missing = [row[1] for row in frozen if row[0] not in {known[0] for known in golden}]
    if missing:
        failures.append(f"no golden bytes of {missing}: run cmake --build --preset dev --target golden, and commit events.tsv")
    newest = {row[1]: row[0] for row in frozen}
    feed = "".join(f"{row[0]}\t{row[2][10:]}\n" for row in golden)
    answers = subprocess.run([pipe, "absorb"], input=feed, check=True, capture_output=True, text=True).stdout.splitlines()
    for (number, event, value, form), answer in zip(golden, answers):
        if value[:10] != f"00{int(number):08x}":
            failures.append(f"{event}: its prefix is not a zero byte and id {number}")
        cells = answer.split("\t")
        if cells[0] != "ok" or cells[1] != form:
            failures.append(f"{event}: the same bytes are read as something else:\n  was {form}\n  is  {answer}")
        elif number in newest.values() and cells[2] != value[10:]:
            failures.append(f"{event}: the same event has other bytes:\n  was {value[10:]}\n  is  {cells[2]}")
    if header.read_text() != (HERE / "trip.h").read_text():
        failures.append(f"{header} differs from tests/golden/trip.h: {REMEDY}")
    return failures


def main():
    pipe, frozen, header = sys.argv[1], rows_of(pathlib.Path(sys.argv[2]) / "ids.tsv"), pathlib.Path(sys.argv[3])
    golden = rows_of(HERE / "events.tsv")
    if sys.argv[4:] == ["--update"]:
        update(pipe, frozen, golden, header)
        return 0
    failures = check(pipe, frozen, golden, header)
    for failure in failures:
        print(failure)
    print(f"{len(golden)} golden events, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
