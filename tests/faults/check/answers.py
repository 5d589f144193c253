"""answers - what a client must be told: of an event, and of a state in which nothing is to be done or cannot be done."""
import datetime

from .avro import microseconds
from .trip import BOOKED, CANCELLED, EXPIRED, HELD, RELEASED, places_of


def time_of(text):
    """RFC 3339 in microseconds since 1970."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc).timestamp())
    return seconds * 1_000_000 + int((fraction or "0").ljust(6, "0")[:6])


def seats_shown(trip, places):
    return [{"section": trip.sections[section]["name"], "seat": trip.sections[section]["seats"][seat] if seat >= 0 else None} for section, seat in places]


def stretch_shown(trip, start, end):
    return {"from": trip.points[start]["stop"], "to": trip.points[end]["stop"], "departs_at": trip.points[start]["departs_at"], "arrives_at": trip.points[end]["arrives_at"]}


def of_event(trip, name, event):
    """The body of the answer to the command that made this event; times as microseconds."""
    if name == "TripOpened":
        seats = sum(sum(label is not None for label in section["seats"]) - len(section["blocked"]) for section in event["sections"])
        return {"trip": trip.id, "status": "open", "name": event["name"], "timezone": event["timezone"],
                "points": [{"stop": point["stop"], "arrives_at": microseconds(point["arrives_at"]), "departs_at": microseconds(point["departs_at"])} for point in event["points"]],
                "seats_for_sale": seats, "places_for_sale": sum(section["capacity"] for section in event["sections"])}  # fmt: skip
    if name == "HoldExtended":
        return {"hold": event["hold"].hex(), "trip": trip.id, "status": "held", "expires_at": microseconds(event["expires_at"])}
    what, status = {"SeatsHeld": ("hold", "held"), "HoldConfirmed": ("booking", "booked"), "HoldReleased": ("hold", "released"),
                    "BookingChanged": ("booking", "booked"), "BookingCancelled": ("booking", "cancelled")}[name]  # fmt: skip
    claim = event.get("hold", event.get("booking"))
    body = {what: claim.hex(), "trip": trip.id, "status": status, **stretch_shown(trip, event["from"], event["to"]), "seats": seats_shown(trip, places_of(event["places"]))}
    if name == "BookingChanged":
        body["seats_before"] = seats_shown(trip, places_of(event["old_places"]))
    if "customer" in event:
        body["customer"] = event["customer"]
    if name == "SeatsHeld":
        body["expires_at"] = microseconds(event["expires_at"])
    return body


TIMES = {"departs_at", "arrives_at", "expires_at"}


def comparable(body):
    """An answer with its times as microseconds."""
    if isinstance(body, dict):
        return {name: time_of(value) if name in TIMES and isinstance(value, str) else comparable(value) for name, value in body.items()}
    return [comparable(item) for item in body] if isinstance(body, list) else body


def of_claim(trip, claim, op):
    """The body of "already so": as the event would say it."""
    if op == "extend":
        return {"hold": claim.id.hex(), "trip": trip.id, "status": "held", "expires_at": claim.expires_at}
    what = "hold" if op in ("hold", "release") else "booking"
    status = {"hold": "held", "confirm": "booked", "release": "released", "change": "booked", "cancel": "cancelled"}[op]
    body = {what: claim.id.hex(), "trip": trip.id, "status": status, **stretch_shown(trip, claim.start, claim.end), "seats": seats_shown(trip, claim.places)}
    if op == "change":
        body["seats_before"] = body["seats"]
    if op != "release":
        body["customer"] = claim.customer
    if op == "hold":
        body["expires_at"] = claim.expires_at
    return body


ALREADY = {"hold": HELD, "confirm": BOOKED, "release": RELEASED, "extend": HELD, "change": BOOKED, "cancel": CANCELLED}


def is_already(trip, op):
    """Is what this operation asks for so already, and is that what it was told?"""
    if op.op == "open":
        return False
    claim = trip.claims.get(op.digest if op.op == "hold" else op.target)
    return claim is not None and claim.status == ALREADY[op.op] and comparable(op.answer) == of_claim(trip, claim, op.op)


def point_of(trip, stop):
    return next((index for index, point in enumerate(trip.points) if point["stop"] == stop), None)


def wishes(trip, op, claim=None):
    """(start, end, named places or None) of a hold or change."""
    start, end = point_of(trip, op.request.get("from")), point_of(trip, op.request.get("to"))
    if claim is not None:
        start, end = claim.start if start is None else start, claim.end if end is None else end
    named = None
    if op.request.get("seats") is not None:
        names = [section["name"] for section in trip.sections]
        named = [(names.index(wish["section"]), trip.sections[names.index(wish["section"])]["seats"].index(wish["seat"])) for wish in op.request["seats"]]
    return start, end, named


def is_taken(trip, op):
    """seat-taken, with exactly the seats that are, and exactly as many free as it says."""
    claim = None
    if op.op == "change":
        claim = trip.claims.get(op.target)
        if claim is None or claim.status != BOOKED:
            return False
    elif trip.status != "open":
        return False
    start, end, named = wishes(trip, op, claim)
    if named is None or start is None or end is None:
        return False
    taken = [place for place in named if trip.overlap([place], start, end, claim) is not None]
    return bool(taken) and seats_shown(trip, taken) == op.answer.get("taken") and trip.free_count(start, end, claim) == op.answer.get("free")


def is_sold_out(trip, op):
    start, end, named = wishes(trip, op)
    return trip.status == "open" and named is None and op.answer.get("free") == trip.free_count(start, end) < op.request["count"]


def claim_is(*statuses):
    return lambda trip, op: (claim := trip.claims.get(op.digest if op.op == "hold" else op.target)) is not None and claim.status in statuses


# What must be so when an operation is refused for a reason. A reason that is not here is counted, and not judged.
REFUSALS = {
    "seat-taken": is_taken,
    "sold-out": is_sold_out,
    "unknown-trip": lambda trip, op: trip.version == 0,
    "trip-exists": lambda trip, op: trip.version > 0,
    "unknown-hold": lambda trip, op: op.target not in trip.claims,
    "unknown-booking": lambda trip, op: op.target not in trip.claims or trip.claims[op.target].status not in (BOOKED, CANCELLED),
    "hold-expired": claim_is(EXPIRED),
    "hold-released": claim_is(RELEASED),
    "hold-confirmed": claim_is(BOOKED),
    "hold-exists": claim_is(RELEASED, EXPIRED, CANCELLED),
    "hold-limit": claim_is(HELD),
    "booking-cancelled": claim_is(CANCELLED),
    "sale-closed": lambda trip, op: trip.status == "closed",
    "trip-cancelled": lambda trip, op: trip.status == "cancelled",
}


def wrong_effect(trip, op, name, event, time):
    """None, or how the event differs from what this operation asked for. trip: the state that it was decided on."""
    expected = {"open": "TripOpened", "hold": "SeatsHeld", "confirm": "HoldConfirmed", "release": "HoldReleased", "extend": "HoldExtended",
                "change": "BookingChanged", "cancel": "BookingCancelled"}[op.op]  # fmt: skip
    if name != expected:
        return f"{op.op} made {name}"
    if op.op == "open":
        return None if [point["stop"] for point in event["points"]] == [point["stop"] for point in op.request["points"]] else "other points"
    claim = event.get("hold", event.get("booking"))
    if claim != (op.digest if op.op == "hold" else op.target):
        return f"it is of {claim.hex()}"
    if op.op == "extend":
        return None if microseconds(event["expires_at"]) <= time + op.request["ttl_seconds"] * 1_000_000 else "it lasts longer than was asked for"
    if op.op not in ("hold", "change"):
        return None
    before = trip.claims.get(claim) if op.op == "change" else None
    start, end, named = wishes(trip, op, before)
    places = places_of(event["places"])
    if (event["from"], event["to"]) != (start, end):
        return "another stretch"
    if named is not None and sorted(named) != places:
        return f"other seats: {places}, not {named}"
    if op.op == "change":
        return None
    if named is None and len(places) != op.request["count"]:
        return "another number of seats"
    if event["customer"] != op.request["customer"]:
        return "another customer"
    due = min(time + op.request["ttl_seconds"] * 1_000_000, trip.points[start]["departs_at"])
    return None if microseconds(event["expires_at"]) == due else "another time to live"
