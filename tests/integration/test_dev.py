"""./dev itself: what it says when the machine does not give what it needs, and whom it never stops.

Whatever goes wrong is one line that names the thing and the remedy. Where the cause cannot be made without harm (a full disk, no root, a
package that apt does not know), a stand-in for the one tool that reports it comes first in PATH.
"""
import fcntl
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

from conftest import DEV, TOP, wait_until


def free_base():
    """40 ports that ./dev test itself does not use, and no other run of these tests either: each holds a lock on its own."""
    for base in range(27_000, 28_040, 40):
        lock = open(f"/tmp/berth-test-dev-{base}.lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for port in range(base, base + 40):
                socket.create_server(("127.0.0.1", port)).close()
            return base, lock
        except OSError:
            lock.close()
    raise AssertionError("no 40 ports in a row are free")


BASE, BASE_LOCK = free_base()


@pytest.fixture
def dev(tmp_path):
    """Runs ./dev with a state folder of its own, and stand-ins: name -> the text of a shell script."""
    binaries = tmp_path / "bin"
    binaries.mkdir()

    def run(*arguments, stand_ins=None, timeout=600, **settings):
        for name, script in (stand_ins or {}).items():
            (binaries / name).write_text("#!/bin/sh\n" + script)
            (binaries / name).chmod(0o755)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BERTH_")}
        environment.update(PATH=f"{binaries}:{environment['PATH']}", BERTH_STATE=str(tmp_path / "state"), BERTH_PORT_BASE=str(BASE), **settings)
        return subprocess.run([DEV, *arguments], capture_output=True, text=True, env=environment, timeout=timeout)

    yield run
    run("down", "--wipe")


def complaint(done):
    """The one line on standard error."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("./dev: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def is_gone(pid):
    """Ended; it may still wait to be collected by its parent."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_taken_port_is_named_with_its_holder_and_another_base(dev):
    with socket.create_server(("127.0.0.1", BASE + 31)):
        line = complaint(dev("up", "--parts", "redis"))
    assert f"port {BASE + 31}, for redis, is taken by" in line and f"(pid {os.getpid()})" in line
    assert "BERTH_PORT_BASE=" in line


def test_more_parts_than_one_are_refused_before_anything_happens_to_the_first(dev):
    for action in ("start", "stop", "kill", "pause", "resume"):
        told = dev(action, "kafka", "redis")
        assert (told.returncode, "takes one part" in told.stderr) == (2, True), told


def test_a_stack_keeps_its_addresses_whatever_base_is_named_later(dev, tmp_path):
    """Also while it runs: kept for its folder, not guessed from the environment of whoever asks."""
    assert dev("up", "--parts", "redis").returncode == 0
    elsewhere = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "BERTH_STATE": str(tmp_path / "state"), "BERTH_PORT_BASE": str(BASE + 4000)}
    for command in (("status", "--json"), ("stop", "redis"), ("start", "redis"), ("status", "--json")):
        done = subprocess.run([DEV, *command], capture_output=True, text=True, env=elsewhere, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr.count("\n") == 1 and f"has its ports from {BASE}" in done.stderr
        if command[0] == "status":
            status = json.loads(done.stdout)
            assert (status["redis"], status["api"]) == (f"redis://127.0.0.1:{BASE + 31}", f"http://127.0.0.1:{BASE}")
            assert status["parts"]["redis"] == "running"
    socket.create_connection(("127.0.0.1", BASE + 31), timeout=10).close()


def test_a_full_disk_is_named_with_what_is_needed(dev):
    full = "echo 'Filesystem 1M-blocks Used Available Capacity Mounted'; echo 'disk 1000 995 5 99% /'\n"
    line = complaint(dev("up", "--parts", "redis", stand_ins={"df": full}))
    assert "5 MB free" in line and "BERTH_STATE=" in line


def test_without_root_and_sudo_the_missing_packages_are_named(dev):
    nothing = {"id": 'if [ "$1" = -u ]; then echo 1000; else exec /usr/bin/id "$@"; fi\n', "dpkg-query": "exit 1\n"}
    if subprocess.run(["which", "sudo"], capture_output=True).returncode == 0:
        nothing["sudo"] = "exit 1\n"
    line = complaint(dev("up", "--parts", "redis", stand_ins=nothing))
    assert "redis-server" in line and ("apt-get install" in line)


def test_a_package_that_apt_does_not_know_is_named(dev):
    stand_ins = {
        "id": 'if [ "$1" = -u ]; then echo 1000; else exec /usr/bin/id "$@"; fi\n',
        "dpkg-query": "exit 1\n",
        "sudo": '[ "$1" = -v ] || { echo "E: Unable to locate package libcivetweb-dev"; exit 100; }\n',
    }
    line = complaint(dev("up", "--parts", "redis", stand_ins=stand_ins))
    assert "the package libcivetweb-dev is not in this system's lists" in line


def test_kafka_that_cannot_be_fetched_is_one_line_that_names_the_way_round(dev):
    line = complaint(dev("up", "--parts", "kafka", stand_ins={"mvn": "echo '[ERROR] Could not transfer artifact: Unknown host'; exit 1\n", "cmp": "exit 1\n"}))
    assert "Unknown host" in line and "BERTH_KAFKA_BOOTSTRAP_SERVERS" in line


def test_a_part_that_is_somebody_elses_is_not_started(dev):
    done = dev("up", "--parts", "redis", BERTH_REDIS_URL="redis://:secret@127.0.0.1:1")
    assert done.returncode == 0 and "secret" not in done.stdout
    assert "foreign" in done.stdout


def test_redis_survives_a_second_up_and_down_stops_it(dev, tmp_path):
    assert dev("up", "--parts", "redis").returncode == 0
    pid_file = tmp_path / "state/run/redis.pid"
    first = pid_file.read_text()
    second = dev("up", "--parts", "redis")
    assert second.returncode == 0 and "runs already" in second.stdout and pid_file.read_text() == first
    assert dev("down").returncode == 0
    assert is_gone(first.split()[0]) and not pid_file.exists()
    assert (tmp_path / "state").exists()
    assert dev("down", "--wipe").returncode == 0
    assert not (tmp_path / "state").exists()


def test_a_pid_that_now_belongs_to_another_process_is_never_signalled(dev, tmp_path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert dev("up", "--parts", "redis").returncode == 0
        pid_file = tmp_path / "state/run/redis.pid"
        ours = pid_file.read_text()
        pid_file.write_text(f"{stranger.pid} 1 {boot}\n")
        assert dev("down").returncode == 0
        assert stranger.poll() is None, "a stranger was stopped"
        os.kill(int(ours.split()[0]), signal.SIGTERM)
        wait_until(lambda: is_gone(ours.split()[0]), what="our own redis is gone: the next test's has the same port")
    finally:
        stranger.kill()
        stranger.wait()


def test_a_process_whose_first_thread_is_dead_is_not_gone_while_others_hold_its_ports():
    began = lambda pid: subprocess.run(["bash", "-c", f". {TOP}/infra/dev/process.sh; process_began {pid}"], capture_output=True, text=True).stdout.strip()
    half_dead = subprocess.Popen([sys.executable, "-c", "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start(); ctypes.CDLL(None).pthread_exit(None)"])
    try:
        state = lambda: pathlib.Path(f"/proc/{half_dead.pid}/stat").read_text().rpartition(")")[2].split()[0]
        wait_until(lambda: state() == "Z", what="the first thread is dead")
        assert began(half_dead.pid), "it is taken for gone while a thread lives"
        half_dead.kill()
        wait_until(lambda: not began(half_dead.pid), what="it is gone, though nobody has waited for it yet")
    finally:
        half_dead.kill()
        half_dead.wait()


def test_state_is_remembered_without_the_settings_that_made_it(dev, tmp_path):
    assert dev("up", "--parts", "redis").returncode == 0
    environment = {**os.environ, "BERTH_STATE": str(tmp_path / "state")}
    environment.pop("BERTH_PORT_BASE", None)
    done = subprocess.run([DEV, "status", "--json"], capture_output=True, text=True, env=environment, timeout=600)
    assert f"127.0.0.1:{BASE + 31}" in done.stdout


def test_the_scripts_are_short_enough_to_be_read():
    for path in [TOP / "dev", *(TOP / "infra/dev").iterdir()]:
        assert path.read_text().count("\n") <= 160, path
