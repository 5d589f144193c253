"""trip - the fold of one trip, from docs/protocol.md and docs/state-digest.md alone: who has which seat on which segments.

Every event is first held against the state: a seat that two people would have, an expired hold that is confirmed, a version that does not
follow. What contradicts is returned as text, and is a violation in every valid record."""
import hashlib
import struct

from .avro import microseconds

HELD, BOOKED, RELEASED, EXPIRED, CANCELLED = range(5)
NAMES = ("held", "booked", "released", "expired", "cancelled")
ENDED_MAX = 4096
LEAVES_AFTER_US = 24 * 3600 * 1_000_000


class Claim:
    """A hold, or the booking that it became."""

    __slots__ = ("id", "status", "held_at", "expires_at", "start", "end", "places", "customer", "version", "booked_at", "changed_at")

    def __init__(self, claim, start, end, places, customer, held_at, expires_at, version):
        self.id, self.start, self.end, self.places, self.customer = claim, start, end, places, customer
        self.status, self.held_at, self.expires_at = HELD, held_at, expires_at
        self.version, self.booked_at, self.changed_at = version, None, None


class Trip:
    def __init__(self, trip):
        self.id, self.version, self.status, self.reason = trip, 0, None, ""
        self.points, self.sections, self.name, self.timezone = [], [], "", ""
        self.claims, self.live, self.ended = {}, {}, []  # live: held or booked; ended: in the order of ending, at most ENDED_MAX remembered
        self.taken, self.used = {}, {}  # (section, seat) -> mask of segments; section -> counts by segment
        self.last_offset, self.last_time, self.opened_at = -1, 0, 0

    @property
    def segments(self):
        return len(self.points) - 1

    @property
    def ends_at(self):
        return self.points[-1]["arrives_at"] + LEAVES_AFTER_US if self.points else 1 << 62

    # ---- places ----

    def is_place(self, section, seat):
        if not 0 <= section < len(self.sections):
            return False
        seats = self.sections[section]["seats"]
        return (seat == -1) if not seats else 0 <= seat < len(seats) and seats[seat] is not None and seat not in self.sections[section]["blocked"]

    def overlap(self, places, start, end, but=None):
        """The first place that somebody else has on a segment of the stretch; None when all are free."""
        wanted = mask(start, end)
        given_back = {place: mask(but.start, but.end) for place in but.places} if but else {}
        asked = {}
        for section, seat in places:
            if seat >= 0:
                if self.taken.get((section, seat), 0) & ~given_back.get((section, seat), 0) & wanted or (section, seat) in asked:
                    return section, seat
                asked[section, seat] = True
            else:
                asked[section] = asked.get(section, 0) + 1
                counts = self.used.get(section, [0] * self.segments)
                own = sum(1 for place in but.places if place == (section, -1)) if but else 0
                for segment in range(start, end):
                    had = own if but and but.start <= segment < but.end else 0
                    if counts[segment] - had + asked[section] > self.sections[section]["capacity"]:
                        return section, seat
        return None

    def take(self, claim, sign):
        for section, seat in claim.places:
            if seat >= 0:
                now = self.taken.get((section, seat), 0)
                self.taken[section, seat] = now | mask(claim.start, claim.end) if sign > 0 else now & ~mask(claim.start, claim.end)
            else:
                counts = self.used.setdefault(section, [0] * self.segments)
                for segment in range(claim.start, claim.end):
                    counts[segment] += sign

    def free_count(self, start, end, but=None):
        """Places free on the whole stretch, all sections together; `but`'s own count as free."""
        if but:
            self.take(but, -1)
        wanted, free = mask(start, end), 0
        for index, section in enumerate(self.sections):
            if section["seats"]:
                free += sum(1 for seat, label in enumerate(section["seats"]) if label is not None and seat not in section["blocked"] and not self.taken.get((index, seat), 0) & wanted)
            else:
                free += section["capacity"] - max(self.used.get(index, [0] * self.segments)[start:end])
        if but:
            self.take(but, 1)
        return free

    # ---- events ----

    def apply(self, offset, name, event):
        """None, or what contradicts; the state is then as it was."""
        meta = event["meta"]
        time = microseconds(meta["time"])
        if meta["version"] != self.version + 1:
            return f"version {meta['version']} follows version {self.version}"
        if (self.version == 0) != (name == "TripOpened"):
            return "the trip is not open" if self.version == 0 else "the trip is opened twice"
        if self.status == "cancelled":
            return "the trip was cancelled"
        wrong = getattr(self, "on_" + name, lambda *_: f"{name} is no event of a trip")(event, time)
        if wrong:
            return wrong
        self.version, self.last_offset, self.last_time = meta["version"], offset, time
        return None

    def on_TripOpened(self, event, time):
        self.status, self.name, self.timezone, self.opened_at = "open", event["name"], event["timezone"], time
        self.points = [{**point, "arrives_at": microseconds(point["arrives_at"]), "departs_at": microseconds(point["departs_at"])} for point in event["points"]]
        self.sections = event["sections"]

    def on_SeatsHeld(self, event, time):
        places, start, end = places_of(event["places"]), event["from"], event["to"]
        if self.status != "open":
            return "seats are held after the sale was closed"
        if event["hold"] in self.claims:
            return "a hold of this id is there already"
        if wrong := self.wrong_places(places, start, end):
            return wrong
        if (place := self.overlap(places, start, end)) is not None:
            return f"double booking: place {place} from point {start} to {end} is taken by {self.who_has(place, start, end)}"
        claim = Claim(event["hold"], start, end, places, event["customer"], time, microseconds(event["expires_at"]), event["meta"]["version"])
        if claim.expires_at <= time:
            return "a hold that has expired when it begins"
        self.claims[claim.id] = self.live[claim.id] = claim
        self.take(claim, 1)

    def wrong_places(self, places, start, end):
        if not 0 <= start < end <= self.segments:
            return f"there is no stretch from {start} to {end}"
        if not places or any(not self.is_place(*place) for place in places) or places != sorted(places):
            return f"there are no such places: {places}"
        return None

    def who_has(self, place, start, end):
        return [claim.id.hex() for claim in self.live.values() if place in claim.places and mask(claim.start, claim.end) & mask(start, end)]

    def find(self, claim, status):
        found = self.claims.get(claim)
        return found if found is not None and found.status == status else None

    def on_HoldExtended(self, event, time):
        claim, until = self.find(event["hold"], HELD), microseconds(event["expires_at"])
        if claim is None or until <= claim.expires_at or time >= claim.expires_at:
            return "a hold is extended that is not there, is over, or lasts as long already"
        claim.expires_at, claim.version = until, event["meta"]["version"]

    def on_HoldConfirmed(self, event, time):
        claim = self.find(event["hold"], HELD)
        if claim is None or not tells(claim, event["from"], event["to"], event["places"]) or event["customer"] != claim.customer:
            return "what is confirmed is no such hold"
        if time >= claim.expires_at:
            return f"a hold is confirmed {time - claim.expires_at} us after its time was up"
        claim.status, claim.version, claim.booked_at, claim.changed_at = BOOKED, event["meta"]["version"], time, time

    def on_HoldReleased(self, event, time):
        claim = self.find(event["hold"], HELD)
        if claim is None or not tells(claim, event["from"], event["to"], event["places"]):
            return "what is released is no such hold"
        self.finish(claim, RELEASED, event, time)

    def on_HoldExpired(self, event, time):
        claim = self.find(event["hold"], HELD)
        if claim is None or not tells(claim, event["from"], event["to"], event["places"]):
            return "what expires is no such hold"
        if time < claim.expires_at:
            return f"a hold expires {claim.expires_at - time} us before its time is up"
        self.finish(claim, EXPIRED, event, time)

    def on_BookingCancelled(self, event, time):
        claim = self.find(event["booking"], BOOKED)
        if claim is None or not tells(claim, event["from"], event["to"], event["places"]):
            return "what is cancelled is no such booking"
        self.finish(claim, CANCELLED, event, time)

    def on_BookingChanged(self, event, time):
        claim, places = self.find(event["booking"], BOOKED), places_of(event["places"])
        if claim is None or not tells(claim, event["old_from"], event["old_to"], event["old_places"]):
            return "what is changed is no such booking"
        if wrong := self.wrong_places(places, event["from"], event["to"]):
            return wrong
        if len(places) != len(claim.places):
            return "a change keeps the number of seats"
        if (place := self.overlap(places, event["from"], event["to"], but=claim)) is not None:
            return f"double booking: place {place} is changed to, and is taken by {self.who_has(place, event['from'], event['to'])}"
        self.take(claim, -1)
        claim.places, claim.start, claim.end = places, event["from"], event["to"]
        claim.version, claim.changed_at = event["meta"]["version"], time
        self.take(claim, 1)

    def on_SaleClosed(self, event, time):
        if self.status != "open":
            return "a sale is closed twice"
        self.status = "closed"

    def on_TripCancelled(self, event, time):
        self.status, self.reason = "cancelled", event["reason"]
        self.claims, self.live, self.ended, self.taken, self.used = {}, {}, [], {}, {}

    def finish(self, claim, status, event, time):
        self.take(claim, -1)
        claim.status, claim.version = status, event["meta"]["version"]
        del self.live[claim.id]
        if status == CANCELLED:
            claim.changed_at = time
        self.ended.append(claim)
        if len(self.ended) > ENDED_MAX:
            del self.claims[self.ended.pop(0).id]

    # ---- what others are shown ----

    def states(self, start, end):
        """One letter a listed seat, as the history keeps seat maps: f h b x."""
        held = {}
        for claim in self.live.values():
            if mask(claim.start, claim.end) & mask(start, end):
                for place in claim.places:
                    held[place] = "b" if claim.status == BOOKED or held.get(place) == "b" else "h"
        letters = []
        for index, section in enumerate(self.sections):
            for seat, label in enumerate(section["seats"]):
                if label is not None:
                    letters.append("x" if seat in section["blocked"] else held.get((index, seat), "f"))
        return "".join(letters)

    def digest(self):
        """The bytes that docs/state-digest.md feeds for one trip."""
        if self.version == 0:
            return number(0)
        fed = [number(self.version), number(("open", "closed", "cancelled").index(self.status)), text(self.reason), number(len(self.points))]
        for point in self.points:
            fed += [text(point["stop"]), number(point["arrives_at"]), number(point["departs_at"]), number(int(point["board"])), number(int(point["alight"]))]
        fed.append(number(len(self.sections)))
        for section in self.sections:
            fed += [text(section["name"]), text(section["class"]), number(section["capacity"]), number(len(section["seats"]))]
            for index, label in enumerate(section["seats"]):
                fed += [number(0)] if label is None else [number(2 if index in section["blocked"] else 1), text(label)]
        live = sorted(self.live.values(), key=lambda claim: claim.id)
        for claims in (live, self.ended):
            fed.append(number(len(claims)))
            fed += [claim_digest(claim) for claim in claims]
        return b"".join(fed)


def claim_digest(claim):
    is_hold = claim.status == HELD
    fed = [claim.id, number(claim.status), number(claim.held_at if is_hold else 0), number(claim.expires_at if is_hold else 0),
           number(claim.start), number(claim.end), number(len(claim.places))]  # fmt: skip
    fed += [number(section) + number(seat) for section, seat in claim.places]
    return b"".join(fed) + text(claim.customer)


def digest_of_partition(trips, log_time):
    """docs/protocol.md 1.9; None of the trips that are over, or that no event was understood of."""
    whole = hashlib.sha256()
    for key in sorted(trips):
        trip = trips[key]
        has_deadline = any(claim.status == HELD for claim in trip.live.values())
        if trip.version > 0 and not (trip.ends_at <= log_time and not has_deadline):
            whole.update(len(key).to_bytes(4, "big") + key + trip.digest())
    return whole.digest()[:16]


def mask(start, end):
    return (1 << end) - (1 << start)


def places_of(places):
    return [(place["section"], place["seat"]) for place in places]


def tells(claim, start, end, places):
    return (claim.start, claim.end, claim.places) == (start, end, places_of(places))


def number(value):
    return struct.pack(">q", value)


def text(value):
    return number(len(value.encode())) + value.encode()
