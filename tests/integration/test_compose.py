"""docker-compose.kafka.yml: fits the Compose specification, publishes on loopback only, and agrees with what is in the tree.

There was no Docker engine where this was written: nothing here shows that it runs. The Dockerfile's steps can be carried out without one: infra/images/rehearse."""
import re
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


PROGRAMS = {"commands": "berth-commands", "projections": "berth-projections", "query": "berth-query-api"}


def built(program):
    binaries = list(TOP.glob(f"build/*/bin/{program}"))
    assert binaries, f"{program} is not built"
    return binaries[0]


def test_every_setting_of_a_server_is_one_that_it_knows(compose):
    for name, program in PROGRAMS.items():
        shown = subprocess.run([built(program), "--help"], capture_output=True, text=True, check=True).stdout
        known = {found.replace(".", "_").upper() for found in re.findall(r"^  --([a-z_.]+)=", shown, re.M)}
        for variable in compose["services"][name]["environment"]:
            setting = variable.removeprefix("BERTH_")
            assert setting in known or setting.startswith("KAFKA_"), f"{name}: {variable}"


def test_servers_are_asked_where_they_listen_and_published_where_dev_puts_them(compose):
    text = (TOP / "infra/dev/settings.sh").read_text()
    base = int(re.search(r"SETTINGS_PORT_BASE_DEFAULT=(\d+)", text)[1])
    places = {name: base + int(plus) for name, plus in re.findall(r"PORT_(\w+)=\$\(\(PORT_BASE \+ (\d+)\)\)", text)}
    for name in PROGRAMS:
        service = compose["services"][name]
        listens = {variable: int(value.rpartition(":")[2]) for variable, value in service["environment"].items() if variable.endswith("_LISTEN")}
        assert {f"127.0.0.1:{port}:{port}" for port in listens.values()} == set(service["ports"])
        assert listens["BERTH_ADMIN_LISTEN"] == places[f"{name.upper()}_ADMIN"] and listens.get("BERTH_HTTP_LISTEN") == places.get(name.upper())
        assert f"http://127.0.0.1:{listens['BERTH_ADMIN_LISTEN']}/readyz" in service["healthcheck"]["test"]
    for name in ("kafka", "postgres", "redis"):
        assert [int(port.split(":")[1]) for port in compose["services"][name]["ports"]] == [places[name.upper()]], name
    assert compose["services"]["gateway"]["ports"] == [f"127.0.0.1:{base}:{base}"]


def test_the_broker_is_set_up_as_the_one_of_dev(compose):
    """What a log needs of its broker; the rest is addresses, and what a laptop can do."""
    ours = dict(line.split("=", 1) for line in (TOP / "infra/kafka/server.properties").read_text().splitlines() if "=" in line and not line.startswith("#"))
    theirs = {name.removeprefix("KAFKA_").replace("_", ".").lower(): str(value) for name, value in compose["services"]["kafka"]["environment"].items() if name.startswith("KAFKA_")}
    for name in ("auto.create.topics.enable", "unclean.leader.election.enable", "log.retention.ms", "log.retention.bytes", "log.message.timestamp.after.max.ms",
                 "group.initial.rebalance.delay.ms", "group.min.session.timeout.ms", "default.replication.factor", "min.insync.replicas", "offsets.topic.replication.factor"):  # fmt: skip
        assert theirs[name] == ours[name], name
    pom = (TOP / "infra/kafka/pom.xml").read_text()
    assert f">{compose['services']['kafka']['image'].rpartition(':')[2]}<" in pom, "another Kafka than ./dev's"
    assert "postgresql-" + compose["services"]["postgres"]["image"].rpartition(":")[2] in (TOP / "infra/packages.txt").read_text()


def test_the_image_of_the_gateway_fills_in_all_that_its_settings_leave_open(compose):
    dockerfile = (TOP / "infra/images/Dockerfile").read_text()
    left_open = set(re.findall(r"@[A-Z]+@", (TOP / "infra/gateway/nginx.conf").read_text()))
    assert left_open and all(f"s|{name}|" in dockerfile for name in left_open)
    for name, program in (("commands", "COMMANDS"), ("query", "QUERY")):
        port = compose["services"][name]["environment"]["BERTH_HTTP_LISTEN"].rpartition(":")[2]
        assert f"s|@{program}@|{name}:{port}|" in dockerfile


def test_what_the_images_are_made_from_is_there():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (TOP / "infra/images/Dockerfile").read_text(), re.M)
    assert copied and all((TOP / name).exists() for names in copied for name in names.split()), copied


def test_the_image_brings_every_library_that_the_servers_are_linked_with():
    """The packages that own the libraries of the built programs are those that the image installs, or are brought by them."""
    installed = (TOP / "infra/images/Dockerfile").read_text()
    for program in ("berth-commands", "berth-projections", "berth-query-api", "berth"):
        for library in needed_libraries(built(program)):
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
