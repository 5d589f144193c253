"""Trips for the tests of the query API: opened through the commands, so that what is read went all the way round."""
import time
import uuid


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def fresh(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def body(trip, starts_at=None, timezone="Australia/Brisbane"):
    """Three points an hour apart with stops of the trip's own; four seats, one of them blocked, an aisle, and a deck without numbers."""
    start = int(time.time()) + 86_400 if starts_at is None else starts_at
    point = lambda index, name: {"stop": f"{trip}.{name}", "name": f"Stop {name} of {trip}", "arrives_at": rfc3339(start + index * 3600), "departs_at": rfc3339(start + index * 3600 + 60 * (index < 2))}
    return {
        "trip": trip,
        "name": f'The "{trip}" Flyer',
        "timezone": timezone,
        "points": [point(0, "A"), point(1, "B"), point(2, "C")],
        "sections": [
            {"name": "1", "class": "first", "seats": ["1A", "1B", None, '1"C', "1D"], "blocked": ["1D"]},
            {"name": "Deck", "class": "second", "capacity": 5},
        ],
    }


def opened(api, **options):
    """A new trip; returns its id."""
    trip = fresh("q")
    answer = api.post("/v1/trips", body(trip, **options))
    assert answer.status_code == 201, answer.text
    return trip


def held(api, trip, start="A", end="C", customer="c1", **wish):
    """Holds; returns the answer's body."""
    wish = wish or {"count": 1}
    answer = api.post(f"/v1/trips/{trip}/holds", {"from": f"{trip}.{start}", "to": f"{trip}.{end}", "customer": customer, **wish})
    assert answer.status_code == 201, answer.text
    return answer.json()


def booked(api, trip, **options):
    hold = held(api, trip, **options)["hold"]
    answer = api.post(f"/v1/trips/{trip}/holds/{hold}/confirm")
    assert answer.status_code == 201, answer.text
    return answer.json()


def seat(section, label):
    return {"seats": [{"section": section, "seat": label}]}


def states(answer):
    assert answer.status_code == 200, answer.text
    return {entry["seat"]: entry["state"] for entry in answer.json()["seats"]}


def problem(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code, answer.text
    return answer.json()
