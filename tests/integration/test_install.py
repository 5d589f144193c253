"""`cmake --install`: what a user runs, and nothing else, works from where it was put."""
import os
import subprocess

import pytest

from conftest import PATIENCE_S, TOP

PROGRAMS = {"berth", "berth-commands", "berth-projections", "berth-query-api"}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    build = TOP / "build" / (os.environ.get("BERTH_PRESET") or os.environ.get("BERTH_TEST_PRESET") or "dev")
    done = subprocess.run(["cmake", "--install", build, "--prefix", prefix], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return prefix


def test_the_servers_and_the_command_line_are_installed_and_nothing_else(prefix):
    assert {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()} == {f"bin/{name}" for name in PROGRAMS}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_what_is_installed_runs_from_there(prefix, name):
    for flag, word in (("--version", "0.1.0"), ("--help", name)):
        done = subprocess.run([prefix / "bin" / name, flag], capture_output=True, text=True, timeout=PATIENCE_S, cwd="/")
        assert done.returncode == 0 and word in done.stdout, done.stdout + done.stderr
