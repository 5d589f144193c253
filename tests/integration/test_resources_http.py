"""Clients that use up what a front has: connections, descriptors, its patience and its buffers. Others are served meanwhile, and it heals."""
import concurrent.futures
import contextlib
import json
import os
import resource
import select
import socket
import struct
import time

import pytest
import requests

from conftest import PATIENCE_S, Api, wait_until
from server_process import instead_of, server
from test_commands import hold, trip_body

IDLE_WANTED = 10000


def raise_fds(wanted):
    """This process may then have so many, or as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        with contextlib.suppress(ValueError, PermissionError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Crowd:
    """Connections that are closed by a reset, so that their ports are free at once."""

    def __init__(self, url):
        host, port = url.removeprefix("http://").split(":")
        self.address, self.sockets = (host, int(port)), []

    def connect(self, timeout=PATIENCE_S, receive_buffer=None):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if receive_buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        one.settimeout(timeout)
        try:
            one.connect(self.address)
        except OSError:
            one.close()
            raise
        self.sockets.append(one)
        return one

    def open_count(self):
        """Those that the server has not closed; nothing was asked, so nothing can be read but an end."""
        poll = select.poll()
        for one in self.sockets:
            poll.register(one, select.POLLIN | select.POLLRDHUP)
        return len(self.sockets) - len(poll.poll(0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self.sockets:
            one.close()


def hear(one, timeout=PATIENCE_S):
    """(status, headers, body) of one answer, (0, {}, b"") when the connection ended without."""
    one.settimeout(timeout)
    data = b""
    with contextlib.suppress(ConnectionError):
        while b"\r\n\r\n" not in data:
            chunk = one.recv(65536)
            if not chunk:
                return 0, {}, b""
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += one.recv(65536)
        return int(lines[0].split()[1]), headers, body
    return 0, {}, b""


def cpu_share(found, seconds=1):
    """What it uses of a processor. What it had in hand may go on for a while: asked again, an idle server says little."""
    used, began = found.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (found.cpu_seconds() - used) / (time.monotonic() - began)


@contextlib.contextmanager
def front(stack, name, **options):
    """A server of that name for the test to be rude to, and a call that a good client makes of it, which asserts that it is served."""
    trip = Api(stack.commands).post("/v1/trips", trip_body(seats=500)).json()["trip"]
    with contextlib.ExitStack() as context:
        if name == "commands":
            context.enter_context(instead_of(stack, "commands"))
        found = context.enter_context(server(stack, name, **options))
        found.wait_ready()
        client = Api(found.url)

        def call():
            if name == "commands":
                answer = hold(client, trip)
                assert answer.status_code == 201, answer.text
            else:
                answer = client.get(f"/v1/trips/{trip}")
                assert answer.status_code == 200, answer.text
            return answer

        wait_until(lambda: attempt(call), 30, "a good client is served")
        yield found, call


def attempt(call):
    try:
        return call()
    except AssertionError:
        return None


FRONTS = ["commands", "query"]


@pytest.mark.parametrize("name", FRONTS)
def test_ten_thousand_idle_connections_cost_the_others_little(stack, name):
    count = min(IDLE_WANTED, raise_fds(IDLE_WANTED + 4000) - 2000)
    settings = {"http.idle_timeout_ms": 600000}
    with front(stack, name, settings=settings) as (found, call), Crowd(found.url) as crowd:
        before = found.rss_kb()
        for _ in range(count):
            crowd.connect()
        wait_until(lambda: found.metric("berth_http_connections", server=name) >= count, 60, f"{count} connections are open")
        for _ in range(50):
            call()
        assert crowd.open_count() == count, "none was closed, and yet the others were served"
        assert (found.rss_kb() - before) / count < 8, "an idle connection costs less than 8 kB"
        wait_until(lambda: cpu_share(found) < 0.5, what="idle connections are no work")


@pytest.mark.parametrize("name", FRONTS)
def test_past_the_limit_a_connection_is_told_so_and_those_inside_are_served(stack, name):
    settings = {"http.connections_max": 100, "http.idle_timeout_ms": 600000} | ({"http.loops": 1} if name == "query" else {})
    with front(stack, name, settings=settings) as (found, call), Crowd(found.url) as crowd:
        call()
        wait_until(lambda: found.metric("berth_http_connections", server=name) == 1, 30, "only the good client is there")
        for _ in range(99):
            crowd.connect()
        wait_until(lambda: found.metric("berth_http_connections", server=name) == 100, 30, "the house is full")
        for _ in range(20):
            late = crowd.connect()
            with contextlib.suppress(ConnectionError):
                late.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            status, headers, body = hear(late)
            assert status == 503 and headers["retry-after"] and json.loads(body)["code"] == "overloaded"
            call()
        assert found.metric("berth_http_connections_refused_total", server=name) == 20
        for one in crowd.sockets[:50]:
            one.close()
        wait_until(lambda: found.metric("berth_http_connections", server=name) <= 51, 30, "the leavers are forgotten")
        fresh = crowd.connect()
        fresh.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert hear(fresh)[0] == 404, "there is room again"


@pytest.mark.parametrize("name", FRONTS)
def test_with_few_open_files_the_limit_of_connections_is_lower_and_is_told(stack, name):
    files = 256
    with front(stack, name, limits={resource.RLIMIT_NOFILE: (files, files)}) as (found, call), Crowd(found.url) as crowd:
        assert "http.connections_limited" in found.log()
        answers = []
        for _ in range(files):
            one = crowd.connect()
            one.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            answers.append(hear(one)[0])
            if answers[-1] == 503:
                one.close()
        assert set(answers) == {404, 503}, "served or told; nobody is left in the dark"
        call()
        assert found.fd_count() < files


def test_without_descriptors_accepting_pauses_without_spinning_and_heals(stack):
    with front(stack, "commands") as (found, call), Crowd(found.url) as crowd:
        call()
        limits = resource.prlimit(found.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(found.pid, resource.RLIMIT_NOFILE, (found.fd_count(), limits[1]))
        waiting = [crowd.connect() for _ in range(50)]
        for one in waiting:
            one.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: "http.out_of_descriptors" in found.log(), 30, "it says that it has none left")
        wait_until(lambda: cpu_share(found, 2) < 0.5, what="it does not spin")
        call()  # on a connection that it has
        resource.prlimit(found.pid, resource.RLIMIT_NOFILE, limits)
        assert [hear(one)[0] for one in waiting] == [404] * 50, "those who waited are served"
        assert "http.accepts_again" in found.log()
        assert found.log().count("http.out_of_descriptors") < 20


def drip(one, data, seconds, every=0.25):
    """Sends a byte at a time until it is cut off or the time is over."""
    end = time.monotonic() + seconds
    for byte in data:
        if time.monotonic() > end or select.select([one], [], [], 0)[0]:
            return
        try:
            one.sendall(bytes([byte]))
        except ConnectionError:
            return
        time.sleep(every)


@pytest.mark.parametrize("name", FRONTS)
def test_a_request_that_drips_is_ended_by_408_and_others_are_served(stack, name):
    limit = 6.0
    head = b"GET /v1/trips HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 400
    if name == "commands":
        head = b"POST /v1/trips HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: 400\r\n\r\n"

    def slow_client(whole_head):
        one = crowd.connect()
        began = time.monotonic()
        if whole_head:
            one.sendall(head)
            drip(one, b" " * 400, PATIENCE_S)
        else:
            drip(one, head + b" " * 400, PATIENCE_S)
        status, _, body = hear(one)
        return status, json.loads(body)["code"] if body else None, time.monotonic() - began

    with front(stack, name, settings={"http.read_timeout_ms": int(limit * 1000)}) as (found, call), Crowd(found.url) as crowd:
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            slow = [pool.submit(slow_client, name == "commands" and number % 2 == 0) for number in range(40)]
            beside = [(call(), any(one.done() for one in slow))[1] for _ in range(30)]
            answers = [one.result() for one in slow]
        assert False in beside, "nobody was served before the first of the slow was ended"
        assert {(status, code) for status, code, _ in answers} == {(408, "too-slow")}, answers
        assert all(limit - 0.5 <= seconds for _, _, seconds in answers), answers


def ask_without_end(one, request):
    """Until the server takes no more, for it cannot get rid of its answers."""
    one.settimeout(1.5)
    with contextlib.suppress(TimeoutError, ConnectionError):
        for _ in range(200):
            one.sendall(request * (1 + 100000 // len(request)))
        raise AssertionError("20 MB were taken, and no answer")


@pytest.mark.parametrize("name", FRONTS)
def test_a_client_that_never_reads_is_cut_off_within_bounded_memory(stack, name):
    """It asks again and again and takes nothing. One answer a connection may be in memory, and the kernel's buffers."""
    clients = 40
    settings = {"http.write_timeout_ms": 6000, "http.idle_timeout_ms": 600000}
    quick_to_free = {"ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=1", "thread_local_quarantine_size_kb=64"]))}
    with front(stack, name, settings=settings, environment=quick_to_free) as (found, call), Crowd(found.url) as crowd:
        request = seat_map_request(stack) if name == "query" else b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        before = found.rss_kb()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            deaf = [pool.submit(ask_without_end, crowd.connect(receive_buffer=4096), request) for _ in range(clients)]
            beside = [(call(), found.metric("berth_http_connections", server=name))[1] for _ in range(20)]
            peak = max(found.rss_kb() for _ in range(100) if not time.sleep(0.02))
            for one in deaf:
                one.result()
        wait_until(lambda: found.metric("berth_http_connections", server=name) < 5, 60, "those who do not read are cut off")
        call()
        assert max(beside) > clients / 2, "nobody was served before those who do not read were cut off"
        assert peak - before < clients * 400 + 20000, f"{peak - before} kB for {clients} clients"


def seat_map_request(stack):
    """A request whose answer is large."""
    trip = Api(stack.commands).post("/v1/trips", trip_body(seats=2000)).json()["trip"]
    url = f"/v1/trips/{trip}/seats?from=a&to=f"
    wait_until(lambda: requests.get(stack.query + url, timeout=PATIENCE_S).status_code == 200, 30, "the trip is in the read model")
    assert len(requests.get(stack.query + url, timeout=PATIENCE_S).content) > 20000
    return f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
