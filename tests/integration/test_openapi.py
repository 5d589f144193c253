"""The OpenAPI document is valid, is the same in both forms, names every route of both servers, and both servers do what it says."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import requests
import schemathesis
import yaml
from openapi_spec_validator import validate

from conftest import Api
from query_trips import booked, held, opened

TOP = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = 20  # generated cases of each operation, besides those of the coverage phase


@pytest.fixture(scope="module")
def document(running_stack):
    return requests.get(running_stack.query + "/openapi.json", timeout=90).json()


@pytest.fixture(scope="module")
def example(running_stack):
    """A trip with a hold and a booking, so that paths lead somewhere."""
    api = Api(running_stack.api)
    trip = opened(api)
    hold = held(api, trip, "A", "B")["hold"]
    booking = booked(api, trip, start="B", end="C", customer="c-openapi")["booking"]
    return {"trip": trip, "hold": hold, "booking": booking, "customer": "c-openapi", "position": api.position,
            "id": "1", "subject": "berth.trip-berth.trip.SeatsHeld", "version": "latest"}  # fmt: skip


def test_the_document_is_valid_openapi(document):
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_yaml_and_json_are_the_same_document(running_stack, document):
    answer = requests.get(running_stack.query + "/openapi.yaml", timeout=90)
    assert yaml.safe_load(answer.text) == document
    assert answer.headers["Content-Type"] == "application/yaml"


def test_every_reference_leads_somewhere_and_every_component_is_used(document):
    references = set()

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                references.add(node["$ref"])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    components = {f"#/components/{kind}/{name}" for kind, members in document["components"].items() for name in members}
    assert references <= components
    assert components - references == set()


def test_every_route_of_both_servers_is_in_the_document_and_no_other(document):
    reads = set()
    for path in (TOP / "query-api").glob("*/*.c"):
        reads |= set(re.findall(r'\.pattern = "(/[^"]*)"', path.read_text()))
    commands = set(re.findall(r'\{ "(/[^"]*)"', (TOP / "commands/http/trip.c").read_text()))
    assert {path for path, methods in document["paths"].items() if "get" in methods} == reads
    assert {path for path, methods in document["paths"].items() if "post" in methods} == commands
    assert all(set(methods) <= {"get", "post"} for methods in document["paths"].values())


def test_every_path_is_there_behind_the_gateway(document, stack):
    """A path that no server knows is 404 no-such-path; a path of the document is anything else."""
    for path, operations in document["paths"].items():
        for method in operations:
            url = stack.api + path.replace("{", "x-").replace("}", "")
            answer = requests.request(method, url, json={} if method == "post" else None, timeout=90)
            assert answer.status_code < 500, f"{method} {path}: {answer.text}"
            if answer.status_code == 404 and "json" in answer.headers["Content-Type"]:
                assert answer.json().get("code") != "no-such-path", f"{method} {path}"


def test_each_verdict_is_a_status_that_commands_declare(document):
    declared = set(document["paths"]["/v1/trips/{trip}/holds"]["post"]["responses"])
    assert {str(row["status"]) for row in document["x-berth-verdicts"]} <= declared
    assert len({row["code"] for row in document["x-berth-verdicts"]}) == len(document["x-berth-verdicts"])


def schema_of(url, document):
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    return schema


def test_every_read_of_what_exists_answers_as_the_document_says(running_stack, document, example):
    schema = schema_of(running_stack.query, document)
    point = lambda name: f"{example['trip']}.{name}"
    queries = {"/v1/trips": {"from": point("A"), "to": point("C"), "date": "2026-11-22", "limit": 3}, "/v1/trips/{trip}/seats": {"from": point("A"), "to": point("B")},
               "/v1/stops": {"q": "Stop", "limit": 2}, "/v1/customers/{customer}/bookings": {"limit": 5}}  # fmt: skip
    for path, methods in document["paths"].items():
        if "get" not in methods:
            continue
        names = re.findall(r"\{(\w+)\}", path)
        case = schema[path]["GET"].Case(path_parameters={name: example[name] for name in names}, query=queries.get(path, {}), headers={"Berth-Min-Position": example["position"]})
        answer = case.call_and_validate()
        assert answer.status_code == 200, path


# What no schema can say: a position is one that the log has, and of the ids that have the right form half lead somewhere. What was generated
# to be wrong stays as it is.
HOOKS = '''
import random
import re
import schemathesis

EXAMPLE = {example!r}
FORMS = {{"trip": "[A-Za-z0-9._~-]{{1,80}}", "customer": "[A-Za-z0-9._~-]{{1,80}}", "hold": "[0-9a-f]{{32}}", "booking": "[0-9a-f]{{32}}",
         "id": "[0-9]{{1,9}}", "subject": "[A-Za-z0-9._-]+", "version": "[1-9][0-9]{{0,8}}|latest"}}
coin = random.Random(7)


@schemathesis.hook
def before_call(context, case, kwargs):
    position = (case.headers or {{}}).get("Berth-Min-Position")
    if position is not None and re.fullmatch("trip/[0-9]{{1,4}}@[0-9]{{1,18}}-[0-9a-f]{{8}}(, ?trip/[0-9]{{1,4}}@[0-9]{{1,18}}-[0-9a-f]{{8}})*", position):
        case.headers["Berth-Min-Position"] = EXAMPLE["position"]
    for name, value in (case.path_parameters or {{}}).items():
        if re.fullmatch(FORMS[name], str(value)) and coin.random() < 0.5:
            case.path_parameters[name] = EXAMPLE[name]
'''


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_generated_requests_are_answered_as_the_document_says(running_stack, document, example, method, tmp_path):
    """schemathesis' own runner, with a real position and real ids for the paths in half of the cases."""
    name = tmp_path / "openapi.json"
    name.write_text(json.dumps(document))
    hooks = tmp_path / "hooks.py"
    hooks.write_text(HOOKS.format(example=example))
    url = running_stack.query if method == "GET" else running_stack.commands
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method"
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", name, "--url", url, "--include-method", method, "--checks", checks, "--max-examples", str(EXAMPLES),
         "--phases", "examples,coverage,fuzzing", "--seed", "7", "--no-color", "--suppress-health-check", "all", "--request-timeout", "90"],
        capture_output=True, text=True, timeout=1800, cwd=tmp_path, env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
