"""linear - builds and tests the Go program of this folder, with whichever Go is there: Debian 12's golang-go 1.19 is enough. Its one module, Porcupine,
comes through the Go module proxy, at the version and checksum of go.sum.

    PYTHONPATH=tests python3 -m faults.linear FOLDER [--test]     builds FOLDER/linear; what Go keeps besides lies under FOLDER too
"""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BUILD_S = 600


def go():
    found = shutil.which("go") or next((path for path in ("/usr/local/go/bin/go", "/usr/lib/go-1.19/bin/go") if os.access(path, os.X_OK)), None)
    if found is None:
        raise FileNotFoundError("there is no go: Debian's golang-go (infra/packages.txt, group test) brings it")
    return found


def run(folder, *arguments):
    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    keep = {"GOPATH": str(folder / "go"), "GOMODCACHE": str(folder / "go/mod"), "GOCACHE": str(folder / "go/cache"), "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw",
            "CGO_ENABLED": "0"}  # fmt: skip
    done = subprocess.run([go(), *arguments], cwd=HERE, env={**os.environ, **keep}, capture_output=True, text=True, timeout=BUILD_S)
    if done.returncode != 0:
        raise RuntimeError(f"go {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def build(folder):
    """Returns the program. Go itself knows whether anything has changed."""
    program = pathlib.Path(folder).resolve() / "linear"
    run(folder, "build", "-buildvcs=false", "-o", str(program), ".")
    return program


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    if "--test" in arguments:
        print(run(arguments[0], "test", "-buildvcs=false", "-count=1", "-v", "."))
    print(build(arguments[0]))
    return 0
