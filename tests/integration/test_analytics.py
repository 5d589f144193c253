"""The analyst's example against the running system: it must see what the seat maps show, and no void record."""
import collections
import subprocess
import sys

from conftest import TOP
from test_commands import STOPS, hold, trip_body


def load_of(stack, trip):
    done = subprocess.run([sys.executable, TOP / "examples/analytics/bookings.py", stack.kafka, stack.query], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert any(row[0] == "booked" for row in rows)
    return {int(row[2]): int(row[3]) for row in rows if row[0] == "load" and row[1] == trip}


def book(commands, trip, start, end, count):
    held = hold(commands, trip, start, end, count=count)
    assert held.status_code == 201, held.text
    assert commands.post(f"/v1/trips/{trip}/holds/{held.json()['hold']}/confirm").status_code == 201
    return held.json()["hold"]


def test_the_example_is_short():
    assert len((TOP / "examples/analytics/bookings.py").read_text().splitlines()) < 60


def test_load_by_segment_is_what_the_seat_maps_show(stack, commands, query):
    trip = commands.post("/v1/trips", trip_body()).json()["trip"]
    book(commands, trip, "a", "c", 2)
    book(commands, trip, "b", "f", 1)
    cancelled = book(commands, trip, "c", "f", 3)
    changed = book(commands, trip, "c", "f", 1)
    hold(commands, trip, "a", "f", count=1)  # held and not booked: no load
    assert commands.post(f"/v1/trips/{trip}/bookings/{cancelled}/cancel").status_code == 200
    assert commands.post(f"/v1/trips/{trip}/bookings/{changed}/change", {"from": "d"}).status_code == 200
    expected = collections.Counter({0: 2, 1: 3, 2: 1, 3: 2, 4: 2})
    assert load_of(stack, trip) == expected
    for segment, booked in expected.items():
        query.position = commands.position
        seats = query.get(f"/v1/trips/{trip}/seats", params={"from": STOPS[segment], "to": STOPS[segment + 1]}).json()["seats"]
        assert sum(seat["state"] == "booked" for seat in seats) == booked


def test_bookings_of_a_cancelled_trip_are_no_load(stack, commands):
    trip = commands.post("/v1/trips", trip_body()).json()["trip"]
    book(commands, trip, "a", "f", 2)
    assert commands.post(f"/v1/trips/{trip}/cancel", {"reason": "snow"}).status_code == 200
    assert load_of(stack, trip) == {}
