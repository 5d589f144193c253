"""What every server has in common: health, metrics that Prometheus can read, a version, help, and one line about a wrong setting."""
import json
import socket
import subprocess

import pytest
import requests

from conftest import PATIENCE_S, TOP, wait_until
from server_process import server as server_beside

PROGRAMS = {"commands": "berth-commands", "projections": "berth-projections", "query": "berth-query-api"}
SERVERS = list(PROGRAMS)


def program(stack, server):
    """The binary that runs in this stack."""
    pid = (stack.state / "run" / f"{server}.pid").read_text().split()[0]
    return f"/proc/{pid}/exe"


@pytest.mark.parametrize("server", SERVERS)
def test_metrics_pass_promtool(stack, server):
    text = requests.get(stack.admin[server] + "/metrics", timeout=PATIENCE_S)
    assert text.headers["Content-Type"].startswith("text/plain")
    done = subprocess.run(["promtool", "check", "metrics"], input=text.text, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_the_version_is_the_commit_that_was_built(stack, server):
    told = requests.get(stack.admin[server] + "/version", timeout=PATIENCE_S).json()
    shown = subprocess.run([program(stack, server), "--version"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert shown.returncode == 0 and told["version"] in shown.stdout
    commit = subprocess.run(["git", "-C", TOP, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True)
    if commit.returncode == 0:
        assert f"git {commit.stdout.strip()}" in told["version"]


@pytest.mark.parametrize("server", SERVERS)
def test_help_goes_to_standard_output_and_lists_settings(stack, server):
    done = subprocess.run([program(stack, server), "--help"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0 and done.stderr == ""
    assert PROGRAMS[server] in done.stdout and "--admin.listen" in done.stdout and "--config FILE" in done.stdout


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("flag", ["--no.such=1", "--log.level=loud", "--config=/does/not/exist"])
def test_a_wrong_setting_is_one_line_and_nothing_starts(stack, server, flag):
    done = subprocess.run([program(stack, server), flag], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1 and PROGRAMS[server] in done.stderr, done.stderr


LISTENS = [("commands", "http.listen"), ("commands", "admin.listen"), ("projections", "admin.listen"), ("query", "http.listen"), ("query", "admin.listen")]


@pytest.mark.parametrize("server, setting", LISTENS)
@pytest.mark.parametrize("kind, remedy", [("garbage", "host:port"), ("no port", "host:port"), ("taken", "another port"), ("foreign", "ip addr")])
def test_an_address_that_cannot_be_listened_on_is_one_line_with_the_remedy(stack, server, setting, kind, remedy):
    taken = socket.create_server(("127.0.0.1", 0))
    where = {"garbage": "garbage", "no port": "127.0.0.1:", "taken": f"127.0.0.1:{taken.getsockname()[1]}", "foreign": "192.0.2.1:9000"}[kind]
    free = {name: "--" + name + "=127.0.0.1:0" for _, name in LISTENS} | {setting: f"--{setting}={where}"}
    flags = [flag for name, flag in free.items() if (server, name) in LISTENS]
    done = subprocess.run([program(stack, server), *flags], capture_output=True, text=True, timeout=PATIENCE_S)
    taken.close()
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and len(lines) == 1, (done.returncode, done.stderr)
    assert PROGRAMS[server] in lines[0] and setting in lines[0] and where in lines[0] and remedy in lines[0], lines


@pytest.mark.parametrize("server", SERVERS)
def test_unknown_paths_of_the_admin_port_are_404(stack, server):
    assert requests.get(stack.admin[server] + "/etc", timeout=PATIENCE_S).status_code == 404


@pytest.mark.parametrize("name", ["commands", "projections"])
def test_every_line_of_a_log_is_json_what_the_kafka_library_says_too(stack, name):
    with server_beside(stack, name, settings={"kafka.bootstrap.servers": "127.0.0.1:1"}) as found:
        wait_until(lambda: "Connection refused" in found.log(), what="the library tells that it cannot connect")
        found.stop()  # with what status is no matter here: it had not yet started for good
    lines = [json.loads(line) for line in found.log().splitlines()]
    assert "kafka.client" in {line["event"] for line in lines}
