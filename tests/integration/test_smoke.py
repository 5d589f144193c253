"""The stack as ./dev up leaves it: everything answers, and one booking goes all the way round."""
import concurrent.futures
import time
import uuid

import pytest
import requests

from conftest import PATIENCE_S, Api


def trip_body(trip):
    """A train of two stretches with four numbered seats, tomorrow."""
    start = int(time.time()) + 86_400
    at = lambda hours: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + hours * 3600))
    return {
        "trip": trip,
        "name": "Smoke Express",
        "timezone": "Europe/Berlin",
        "points": [
            {"stop": "A", "name": "Alpha", "arrives_at": at(0), "departs_at": at(0)},
            {"stop": "B", "name": "Beta", "arrives_at": at(1), "departs_at": at(1)},
            {"stop": "C", "name": "Gamma", "arrives_at": at(2), "departs_at": at(2)},
        ],
        "sections": [{"name": "1", "class": "standard", "seats": ["1A", "1B", None, "1C", "1D"]}],
    }


@pytest.mark.parametrize("server", ["commands", "projections", "query"])
def test_each_server_is_alive_ready_and_tells_its_metrics(stack, server):
    for path in ("/livez", "/readyz", "/version"):
        assert requests.get(stack.admin[server] + path, timeout=PATIENCE_S).status_code == 200, path
    assert stack.metrics(server)


def test_a_seat_is_held_confirmed_and_read_back(api):
    trip = f"smoke-{uuid.uuid4().hex[:12]}"
    opened = api.post("/v1/trips", trip_body(trip))
    assert opened.status_code == 201, opened.text
    assert opened.headers["Location"].endswith(f"/v1/trips/{trip}")

    held = api.post(f"/v1/trips/{trip}/holds", {"from": "A", "to": "B", "count": 1, "customer": "smoke"})
    assert held.status_code == 201, held.text
    hold, seat = held.json()["hold"], held.json()["seats"][0]

    confirmed = api.post(f"/v1/trips/{trip}/holds/{hold}/confirm")
    assert confirmed.status_code == 201, confirmed.text
    booking = confirmed.json()["booking"]

    read = api.get(f"/v1/bookings/{booking}")
    assert read.status_code == 200, read.text
    assert read.json()["trip"] == trip
    seats = api.get(f"/v1/trips/{trip}/seats?from=A&to=C").json()
    taken = [entry for entry in seats["seats"] if entry["state"] != "free"]
    assert [entry["seat"] for entry in taken] == [seat["seat"]]


def test_a_seat_that_is_taken_is_refused(api):
    trip = f"smoke-{uuid.uuid4().hex[:12]}"
    api.post("/v1/trips", trip_body(trip))
    wanted = {"from": "A", "to": "B", "seats": [{"section": "1", "seat": "1A"}], "customer": "first"}
    assert api.post(f"/v1/trips/{trip}/holds", wanted).status_code == 201
    refused = api.post(f"/v1/trips/{trip}/holds", {**wanted, "customer": "second"})
    assert refused.status_code == 409, refused.text
    assert refused.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize("server", ["commands", "projections", "query"])
def test_a_server_that_was_killed_comes_back_and_knows_everything(stack, api, server):
    trip = f"smoke-{uuid.uuid4().hex[:12]}"
    api.post("/v1/trips", trip_body(trip))
    stack.kill(server)
    stack.start(server)
    stack.wait_ready()
    assert api.get(f"/v1/trips/{trip}").status_code == 200
    assert api.post(f"/v1/trips/{trip}/holds", {"from": "A", "to": "C", "count": 4, "customer": "c"}).status_code == 201


def test_read_models_follow_a_log_that_does_not_rest(stack, api):
    """The end of the log that Kafka tells is always older than what was read meanwhile: that is no lost record."""
    trip = f"smoke-{uuid.uuid4().hex[:12]}"
    many = trip_body(trip) | {"sections": [{"name": "1", "class": "standing", "capacity": 100000}]}
    assert api.post("/v1/trips", many).status_code == 201
    stopped_before = stack.log("projections").count("partition_stopped")  # by tests that take records away
    end = time.monotonic() + 12

    def buy(number):
        client = Api(stack.api)
        while time.monotonic() < end:
            answer = client.post(f"/v1/trips/{trip}/holds", {"from": "A", "to": "B", "count": 1, "customer": f"c{number}"})
            assert answer.status_code == 201, answer.text

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(buy, range(8)))
    assert stack.log("projections").count("partition_stopped") == stopped_before
    stack.wait_ready("projections")
    held = api.post(f"/v1/trips/{trip}/holds", {"from": "A", "to": "B", "count": 1, "customer": "last"})
    assert api.get(f"/v1/trips/{trip}/holds/{held.json()['hold']}").status_code == 200
