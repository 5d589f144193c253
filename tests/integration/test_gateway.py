"""The gateway: reads to the query API, orders to the commands, and nothing malformed to either."""
import json
import time

import pytest

from conftest import raw_request

HEAD = b"Host: x\r\nConnection: close\r\n"


def assert_problem(status, headers, body, expected, code):
    assert status == expected, body
    assert headers["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["type"] == f"urn:berth:problem:{code}" and problem["status"] == expected and problem["remedy"]


@pytest.mark.parametrize(
    "name, lines",
    [
        ("length twice", b"Content-Length: 2\r\nContent-Length: 2\r\n"),
        ("two lengths that differ", b"Content-Length: 2\r\nContent-Length: 3\r\n"),
        ("length and encoding", b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
        ("encoding and length", b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"),
        ("encoding twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("length that is no number", b"Content-Length: abc\r\n"),
        ("length with a sign", b"Content-Length: +2\r\n"),
        ("list of lengths", b"Content-Length: 2, 2\r\n"),
    ],
)
def test_a_request_whose_length_is_ambiguous_is_refused(stack, name, lines):
    answer = raw_request(stack.api, b"POST /v1/trips HTTP/1.1\r\n" + HEAD + lines + b"\r\n{}")
    assert_problem(*answer, 400, "bad-request")


def test_headers_target_and_body_have_limits(stack):
    assert_problem(*raw_request(stack.api, b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * 9000 + b"\r\n\r\n"), 431, "headers-too-large")
    assert_problem(*raw_request(stack.api, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n"), 414, "target-too-long")
    assert_problem(*raw_request(stack.api, b"POST /v1/trips HTTP/1.1\r\n" + HEAD + b"Content-Length: 2000000\r\n\r\n{}"), 413, "body-too-large")


# Where it is asked, what a path that exists is asked, and what it takes instead; a method that this server does not take itself is not in its Allow.
WRONG_METHODS = [
    ("api", "PUT", "/v1/trips", "GET, HEAD, POST, OPTIONS"),
    ("api", "PATCH", "/v1/trips/x/holds", "POST, OPTIONS"),
    ("api", "DELETE", "/v1/stops", "GET, HEAD, OPTIONS"),
    ("api", "GET", "/v1/trips/x/holds/y/confirm", "POST, OPTIONS"),
    ("api", "HEAD", "/v1/trips/x/close", "POST, OPTIONS"),
    ("api", "POST", "/v1/stops", "GET, HEAD, OPTIONS"),
    ("api", "POST", "/schemas/ids/1", "GET, HEAD, OPTIONS"),
    ("api", "TRACE", "/v1/trips", "GET, HEAD, POST"),
    ("query", "POST", "/v1/trips/x/holds", "OPTIONS"),
    ("query", "POST", "/v1/trips", "GET, HEAD, OPTIONS"),
    ("query", "DELETE", "/v1/trips/x/holds", "POST, OPTIONS"),
    ("commands", "GET", "/v1/trips/x", "OPTIONS"),
    ("commands", "GET", "/v1/trips", "POST, OPTIONS"),
    ("commands", "PUT", "/v1/trips", "GET, HEAD, POST, OPTIONS"),
    ("commands", "PUT", "/v1/bookings/x", "GET, HEAD, OPTIONS"),
]


@pytest.mark.parametrize("where, method, path, allow", WRONG_METHODS)
def test_a_wrong_method_on_a_path_that_either_server_knows_is_405_and_says_which_it_takes(stack, where, method, path, allow):
    status, headers, body = raw_request(getattr(stack, where), f"{method} {path} HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
    if method == "HEAD":
        assert status == 405
    else:
        assert_problem(status, headers, body, 405, "method-not-allowed")
    assert headers["allow"] == allow


@pytest.mark.parametrize("where", ["api", "query", "commands"])
def test_a_path_that_no_server_knows_is_404_whatever_the_method(stack, where):
    for method in (b"GET", b"POST", b"DELETE"):
        assert_problem(*raw_request(getattr(stack, where), method + b" /v1/nothing HTTP/1.1\r\n" + HEAD + b"\r\n"), 404, "no-such-path")


def test_options_says_what_a_path_takes(stack):
    status, headers, _ = raw_request(stack.api, b"OPTIONS /v1/trips HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert (status, headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")


@pytest.mark.parametrize("server, request_line", [("query", b"GET /v1/trips/x"), ("commands", b"POST /v1/trips")])
def test_a_server_that_is_down_is_502_with_retry_after_and_the_other_goes_on(stack, server, request_line):
    stack.stop(server)
    length = b"" if request_line.startswith(b"GET") else b"Content-Length: 2\r\n"
    status, headers, body = raw_request(stack.api, request_line + b" HTTP/1.1\r\n" + HEAD + length + b"\r\n" + (b"{}" if length else b""))
    assert_problem(status, headers, body, 502, "unavailable")
    assert headers["retry-after"] == "1"
    stack.start(server)
    status, _, _ = raw_request(stack.api, request_line + b" HTTP/1.1\r\n" + HEAD + length + b"\r\n" + (b"{}" if length else b""))
    assert 400 <= status < 500


def test_a_gateway_that_was_killed_leaves_no_worker_that_holds_its_port(stack):
    stack.kill("gateway")
    stack.start("gateway")
    time.sleep(4)  # nginx tries to bind for two and a half seconds before it ends
    assert stack.status()["parts"]["gateway"] == "running"
    assert raw_request(stack.api, b"GET /v1/stops HTTP/1.1\r\n" + HEAD + b"\r\n")[0] == 200
