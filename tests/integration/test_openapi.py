"""The OpenAPI document: valid, served by the query API for both servers, and true of what they answer.

schemathesis makes requests from the document, good and bad ones, and holds each answer against it: status, media type, body, headers.
"""
import json
import pathlib
import subprocess
import sys

import pytest
import requests

# Enough to meet each constraint of each operation, few enough for a run of the whole suite.
EXAMPLES = 10
# 503 is an answer that the document promises: a position that no read model has reached yet. Any other 5xx is a fault of ours.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance"


@pytest.fixture(scope="module")
def document(running_stack):
    answer = requests.get(running_stack.query + "/openapi.json", timeout=5)
    assert answer.status_code == 200
    return answer.json()


def test_the_document_is_valid_openapi_3_1(document, tmp_path):
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    done = subprocess.run([sys.executable, "-m", "openapi_spec_validator", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert document["openapi"].startswith("3.1")


def test_every_path_is_there_behind_the_gateway(document, stack):
    """A path that no server knows is 404 no-such-path; a path of the document is anything else."""
    for path, operations in document["paths"].items():
        for method in set(operations) & {"get", "post"}:
            url = stack.api + path.replace("{", "x-").replace("}", "")
            answer = requests.request(method, url, json={} if method == "post" else None, timeout=10)
            assert answer.status_code < 500, f"{method} {path}: {answer.text}"
            if answer.status_code == 404 and "json" in answer.headers["Content-Type"]:
                assert answer.json().get("code") != "no-such-path", f"{method} {path}"


def test_the_servers_answer_as_the_document_says(stack, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [pathlib.Path(sys.executable).with_name("schemathesis"), "--config-file", tmp_path / "schemathesis.toml", "run", stack.query + "/openapi.json", "--url", stack.api, "--checks", CHECKS]
    command += ["--max-examples", str(EXAMPLES), "--seed", "1", "--generation-database", "none", "--no-color", "--phases", "examples,coverage,fuzzing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
