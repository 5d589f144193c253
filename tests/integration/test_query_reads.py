"""What the query API shows of what the commands did, resource by resource, and what it refuses."""
import calendar

import pytest

from query_trips import booked, body, fresh, held, opened, problem, seat, states


def test_a_search_finds_a_trip_by_its_local_day(api):
    starts_at = calendar.timegm((2031, 3, 10, 20, 30, 0))  # the 11th in Brisbane, ten hours ahead
    trip = opened(api, starts_at=starts_at)
    search = lambda day: api.get(f"/v1/trips?from={trip}.A&to={trip}.C&date={day}").json()["trips"]
    assert search("2031-03-10") == []
    (found,) = search("2031-03-11")
    assert (found["trip"], found["status"], found["timezone"]) == (trip, "open", "Australia/Brisbane")
    assert found["departs_at"] == "2031-03-10T20:31:00Z" and found["departs_local"] == "2031-03-11T06:31:00+10:00"
    assert found["arrives_local"] == "2031-03-11T08:30:00+10:00"
    assert api.get(f"/v1/trips?from={trip}.C&to={trip}.A&date=2031-03-11").json()["trips"] == []


def test_a_search_pages_by_cursor_in_order_of_departure(api):
    trips, stops = [], None
    for hour in (5, 3, 4, 3, 2):
        trip = fresh("q")
        wanted = body(trip, starts_at=calendar.timegm((2031, 3, 12, hour, 0, 0)), timezone="UTC")
        stops = stops or [point["stop"] for point in wanted["points"]]
        for point, stop in zip(wanted["points"], stops):
            point["stop"] = stop
        assert api.post("/v1/trips", wanted).status_code == 201
        trips.append((hour, trip))
    path = f"/v1/trips?from={stops[0]}&to={stops[2]}&date=2031-03-12"
    seen, cursor = [], None
    for _ in range(5):
        page = api.get(path + "&limit=2" + (f"&cursor={cursor}" if cursor else "")).json()
        seen += [entry["trip"] for entry in page["trips"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == 5 and set(seen) == {trip for _, trip in trips}
    hours = dict((trip, hour) for hour, trip in trips)
    assert [hours[trip] for trip in seen] == [2, 3, 3, 4, 5]


def test_a_trip_is_shown_as_it_was_opened(api):
    trip = opened(api)
    answer = api.get(f"/v1/trips/{trip}")
    shown = answer.json()
    assert (shown["trip"], shown["name"], shown["status"], shown["version"]) == (trip, f'The "{trip}" Flyer', "open", 1)
    assert [point["stop"] for point in shown["points"]] == [f"{trip}.{name}" for name in "ABC"]
    assert all(point["departs_local"].endswith("+10:00") for point in shown["points"])
    assert shown["sections"] == [
        {"name": "1", "class": "first", "seats": ["1A", "1B", None, '1"C', "1D"], "blocked": ["1D"]},
        {"name": "Deck", "class": "second", "capacity": 5},
    ]
    assert answer.headers["ETag"] == '"1"' and answer.headers["Berth-Position"].startswith("trip/")


def test_the_etag_changes_with_the_trip_and_only_then(api):
    trip = opened(api)
    for path in (f"/v1/trips/{trip}", f"/v1/trips/{trip}/seats"):
        tag = api.get(path).headers["ETag"]
        same = api.get(path, headers={"If-None-Match": f'"x", W/{tag}'})
        assert (same.status_code, same.content) == (304, b"") and same.headers["ETag"] == tag
    held(api, trip)
    for path in (f"/v1/trips/{trip}", f"/v1/trips/{trip}/seats"):
        after = api.get(path, headers={"If-None-Match": tag})
        assert after.status_code == 200 and after.headers["ETag"] == '"2"'
    refused = api.post(f"/v1/trips/{trip}/close", headers={"If-Match": tag})
    assert refused.status_code == 412, "a read's tag is what If-Match compares"
    assert api.post(f"/v1/trips/{trip}/close", headers={"If-Match": after.headers["ETag"]}).status_code == 200


def test_a_seat_map_shows_each_seat_for_the_stretch_that_was_asked_for(api):
    trip = opened(api)
    held(api, trip, "A", "B", **seat("1", "1A"))
    booked(api, trip, start="B", end="C", **seat("1", "1B"))
    seats = lambda start, end: api.get(f"/v1/trips/{trip}/seats?from={trip}.{start}&to={trip}.{end}")
    assert states(seats("A", "C")) == {"1A": "held", "1B": "booked", '1"C': "free", "1D": "blocked"}
    assert states(seats("A", "B")) == {"1A": "held", "1B": "free", '1"C': "free", "1D": "blocked"}
    assert states(seats("B", "C")) == {"1A": "free", "1B": "booked", '1"C': "free", "1D": "blocked"}
    assert states(api.get(f"/v1/trips/{trip}/seats")) == states(seats("A", "C")), "without a stretch: the whole trip"
    shown = seats("A", "B").json()
    assert shown["free"] == 2 + 5 and shown["version"] == 4
    assert shown["sections"][0] == {"name": "1", "class": "first", "numbered": True, "capacity": 4, "free": 2}


def test_places_without_a_number_are_counted_by_their_fullest_segment(api):
    trip = opened(api)
    deck = lambda start, end: api.get(f"/v1/trips/{trip}/seats?from={trip}.{start}&to={trip}.{end}").json()["sections"][1]["free"]
    held(api, trip, "A", "B", count=2, **{"class": "second"})
    booked(api, trip, start="B", end="C", count=3, **{"class": "second"})
    assert (deck("A", "B"), deck("B", "C"), deck("A", "C")) == (3, 2, 2)


def test_nothing_is_free_on_a_trip_that_is_closed_or_cancelled(api):
    trip = opened(api)
    booked(api, trip, **seat("1", "1A"))
    assert api.post(f"/v1/trips/{trip}/close").status_code == 200
    closed = api.get(f"/v1/trips/{trip}/seats")
    assert closed.json()["free"] == 0 and closed.json()["status"] == "closed"
    assert states(closed) == {"1A": "booked", "1B": "blocked", '1"C': "blocked", "1D": "blocked"}
    assert api.post(f"/v1/trips/{trip}/cancel", {"reason": "Flood"}).status_code == 200
    cancelled = api.get(f"/v1/trips/{trip}/seats")
    assert cancelled.json()["free"] == 0 and set(states(cancelled).values()) == {"blocked"}
    shown = api.get(f"/v1/trips/{trip}").json()
    assert (shown["status"], shown["reason"]) == ("cancelled", "Flood")


def test_a_hold_is_shown_through_its_life(api):
    trip = opened(api)
    hold = held(api, trip, "A", "B", customer="c-7", **seat("1", "1A"))
    path = f"/v1/trips/{trip}/holds/{hold['hold']}"
    shown = api.get(path).json()
    assert (shown["status"], shown["customer"], shown["expires_at"]) == ("held", "c-7", hold["expires_at"])
    assert shown["seats"] == [{"section": "1", "seat": "1A", "class": "first"}]
    assert (shown["from"], shown["to"], shown["departs_at"]) == (hold["from"], hold["to"], hold["departs_at"])
    assert "booking" not in shown
    tag = api.get(path).headers["ETag"]
    held(api, trip, "A", "B")
    assert api.get(path, headers={"If-None-Match": tag}).status_code == 304, "another hold of the trip is none of its business"
    assert api.post(path + "/confirm").status_code == 201
    confirmed = api.get(path, headers={"If-None-Match": tag})
    assert confirmed.status_code == 200 and confirmed.json()["status"] == "confirmed" and confirmed.json()["booking"] == hold["hold"]
    other = held(api, trip, "A", "B")["hold"]
    assert api.post(f"/v1/trips/{trip}/holds/{other}/release").status_code == 200
    assert api.get(f"/v1/trips/{trip}/holds/{other}").json()["status"] == "released"


def test_a_hold_of_another_trip_is_not_found(api):
    first, second = opened(api), opened(api)
    hold = held(api, first)["hold"]
    problem(api.get(f"/v1/trips/{second}/holds/{hold}"), 404, "not-found")


def test_a_booking_is_shown_and_its_cancelling_too(api):
    trip = opened(api)
    booking = booked(api, trip, customer="c-8", **seat("1", '1"C'))
    path = f"/v1/bookings/{booking['booking']}"
    shown = api.get(path).json()
    for member in ("booking", "trip", "customer", "status", "from", "to", "departs_at", "arrives_at"):
        assert shown[member] == booking[member], member
    assert shown["seats"] == [{"section": "1", "seat": '1"C', "class": "first"}]
    assert api.post(f"/v1/trips/{trip}/bookings/{booking['booking']}/cancel").status_code == 200
    assert api.get(path).json()["status"] == "cancelled"
    assert states(api.get(f"/v1/trips/{trip}/seats"))['1"C'] == "free"


def test_a_customers_bookings_page_by_cursor_the_newest_first(api):
    trip, customer = opened(api), fresh("c")
    made = [booked(api, trip, start="A", end="B", customer=customer, count=1, **{"class": "second"})["booking"] for _ in range(5)]
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = api.get(f"/v1/customers/{customer}/bookings?limit=2" + (f"&cursor={cursor}" if cursor else "")).json()
        seen += [entry["booking"] for entry in page["bookings"]]
        cursor, pages = page["next_cursor"], pages + 1
        if pages == 1:
            problem(api.get(f"/v1/customers/{customer}x/bookings?cursor={cursor}"), 400, "bad-parameter")
    assert seen == made[::-1] and pages == 3
    assert api.get(f"/v1/customers/{fresh('nobody')}/bookings").json() == {"bookings": [], "next_cursor": None}


def test_stops_are_found_by_a_piece_of_their_name_and_by_id(api):
    trip = opened(api)
    stops = lambda **query: api.get("/v1/stops", params=query).json()
    assert [entry["stop"] for entry in stops(q=f"{trip}.B")["stops"]] == [f"{trip}.B"]
    assert [entry["stop"] for entry in stops(q=f"b OF {trip}")["stops"]] == [f"{trip}.B"]
    assert {entry["stop"] for entry in stops(q=f"of {trip}")["stops"]} == {f"{trip}.{name}" for name in "ABC"}
    page = stops(q=f"of {trip}", limit=2)
    rest = stops(q=f"of {trip}", limit=2, cursor=page["next_cursor"])
    assert [entry["name"] for entry in page["stops"] + rest["stops"]] == [f"Stop {name} of {trip}" for name in "ABC"] and rest["next_cursor"] is None
    assert stops(q="%_%")["stops"] == [], "wildcards of LIKE are letters like any other"


@pytest.mark.parametrize(
    "path, status, code, field",
    [
        ("/v1/trips", 400, "bad-parameter", "from"),
        ("/v1/trips?from=a&to=b", 400, "bad-parameter", "date"),
        ("/v1/trips?from=a&to=b&date=2026-02-30", 422, "bad-value", "date"),
        ("/v1/trips?from=a&to=b&date=tomorrow", 422, "bad-value", "date"),
        ("/v1/trips?from=&to=b&date=2026-02-03", 422, "bad-value", "from"),
        ("/v1/trips?from=a&to=b&date=2026-02-03&limit=0", 422, "bad-value", "limit"),
        ("/v1/trips?from=a&to=b&date=2026-02-03&limit=101", 422, "bad-value", "limit"),
        ("/v1/trips?from=a&to=b&date=2026-02-03&limit=99999999999", 422, "bad-value", "limit"),
        ("/v1/trips?from=a&to=b&date=2026-02-03&cursor=zzz", 400, "bad-parameter", "cursor"),
        ("/v1/trips?from=a&to=b&date=2026-02-03&form=a", 400, "bad-parameter", None),
        ("/v1/trips?from=a&from=b&to=b&date=2026-02-03", 400, "bad-parameter", None),
        ("/v1/stops?q=" + "x" * 101, 422, "bad-value", "q"),
        ("/v1/stops?q=%01", 400, "bad-request", None),
        ("/v1/stops?q=%ff", 400, "bad-request", None),
        ("/v1/trips/no-such-trip", 404, "not-found", "trip"),
        ("/v1/trips/no-such-trip/seats", 404, "not-found", "trip"),
        ("/v1/trips/not%20an%20id", 404, "not-found", "trip"),
        ("/v1/trips/x/holds/y", 404, "not-found", "hold"),
        ("/v1/bookings/00000000000000000000000000000000", 404, "not-found", "booking"),
        ("/v1/bookings/zz", 404, "not-found", "booking"),
        ("/v1/customers/a%2Fb/bookings", 404, "not-found", "customer"),
        ("/v1/nothing", 404, "no-such-path", None),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_field(query, path, status, code, field):
    assert problem(query.get(path), status, code).get("field") == field


def test_a_stretch_that_the_trip_has_not_is_refused(api):
    trip = opened(api)
    seats = f"/v1/trips/{trip}/seats"
    assert problem(api.get(seats + "?from=nowhere"), 422, "bad-value")["field"] == "from"
    assert problem(api.get(seats + f"?from={trip}.A&to=nowhere"), 422, "bad-value")["field"] == "to"
    assert problem(api.get(seats + f"?from={trip}.B&to={trip}.A"), 422, "bad-value")["field"] == "to"
    assert problem(api.get(seats + f"?from={trip}.B&to={trip}.B"), 422, "bad-value")["field"] == "to"
