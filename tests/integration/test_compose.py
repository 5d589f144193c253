"""docker-compose.kafka.yml: fits the Compose specification, publishes on loopback only, and agrees with what is in the tree.

There was no Docker engine where this was written: nothing here shows that it runs."""
import subprocess
import sys

import pytest
import yaml

from conftest import TOP

COMPOSE = TOP / "docker-compose.kafka.yml"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(COMPOSE.read_text())


def test_it_fits_the_compose_specification():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_port_is_published_on_loopback(compose):
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"


def test_what_it_mounts_and_builds_from_exists(compose):
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"], f"{name}: {volume}"
        if "build" in service:
            dockerfile = (TOP / service["build"]["dockerfile"]).read_text()
            assert f" AS {service['build']['target']}\n" in dockerfile


def test_every_service_that_is_waited_for_can_be(compose):
    for name, service in compose["services"].items():
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in compose["services"][other], f"{name} waits for {other}"


def test_the_image_brings_every_library_that_the_servers_are_linked_with():
    """The packages that own the libraries of the built programs are those that the image installs, or are brought by them."""
    installed = (TOP / "infra/images/Dockerfile").read_text()
    for program in ("berth-commands", "berth-projections", "berth-query-api", "berth"):
        binaries = list(TOP.glob(f"build/*/bin/{program}"))
        assert binaries, f"{program} is not built"
        for library in needed_libraries(binaries[0]):
            package = owner_of(library)
            assert package in installed or package in ("libc6", "libasan8", "libtsan2", "libubsan1", "libgcc-s1"), f"{program} needs {library} of {package}"


def needed_libraries(binary):
    """Paths of the libraries that the binary itself names."""
    named = subprocess.run(["objdump", "-p", binary], capture_output=True, text=True, check=True).stdout
    needed = {line.split()[1] for line in named.splitlines() if line.strip().startswith("NEEDED")}
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    return [words[2] for words in map(str.split, linked.splitlines()) if len(words) > 2 and words[0] in needed]


def owner_of(path):
    for candidate in (path, path.replace("/lib/", "/usr/lib/", 1)):
        done = subprocess.run(["dpkg", "-S", candidate], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    raise AssertionError(f"no package owns {path}")
