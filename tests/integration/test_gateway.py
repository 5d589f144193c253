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


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_405_and_say_which_there_are(stack, method):
    status, headers, body = raw_request(stack.api, method.encode() + b" /v1/trips HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert_problem(status, headers, body, 405, "method-not-allowed")
    assert headers["allow"] == "GET, HEAD, POST"


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
