"""Commands over HTTP against the real broker: who gets the seat, what a key means, and what every kind of bad input is told."""
import concurrent.futures
import datetime
import uuid

import pytest

from conftest import Api, raw_request, wait_until

STOPS = "abcdef"


def trip_body(trip=None, seats=6, **changes):
    start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)
    times = [(start + datetime.timedelta(minutes=10 * i)).strftime("%Y-%m-%dT%H:%M:%SZ") for i in range(len(STOPS))]
    body = {
        "name": "Test",
        "timezone": "Australia/Brisbane",
        "points": [{"stop": stop, "name": stop.upper(), "arrives_at": at, "departs_at": at} for stop, at in zip(STOPS, times)],
        "sections": [{"name": "A", "class": "standard", "seats": [str(i + 1) for i in range(seats)]}],
    }
    if trip:
        body["trip"] = trip
    return body | changes


@pytest.fixture
def trip(commands):
    answer = commands.post("/v1/trips", trip_body())
    assert answer.status_code == 201, answer.text
    return answer.json()["trip"]


def hold(client, trip, start="a", end="f", key=None, **body):
    return client.post(f"/v1/trips/{trip}/holds", {"from": start, "to": end, "customer": "c1"} | (body or {"count": 1}), key=key)


def code(answer):
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code and problem["title"] and problem["remedy"], problem
    return answer.status_code, problem["code"]


def test_a_hold_is_confirmed_changed_and_cancelled(commands, trip):
    held = hold(commands, trip, count=2)
    assert held.status_code == 201
    body = held.json()
    assert held.headers["Location"] == f"/v1/trips/{trip}/holds/{body['hold']}"
    assert [seat["section"] for seat in body["seats"]] == ["A", "A"]
    confirmed = commands.post(f"/v1/trips/{trip}/holds/{body['hold']}/confirm")
    assert confirmed.status_code == 201 and confirmed.json()["booking"] == body["hold"]
    again = commands.post(f"/v1/trips/{trip}/holds/{body['hold']}/confirm")
    assert again.status_code == 200 and again.json()["booking"] == body["hold"]
    path = f"/v1/trips/{trip}/bookings/{body['hold']}"
    changed = commands.post(path + "/change", {"seats": [{"section": "A", "seat": "5"}, {"section": "A", "seat": "6"}]})
    assert changed.status_code == 200 and [seat["seat"] for seat in changed.json()["seats"]] == ["5", "6"], changed.text
    assert commands.post(path + "/cancel").status_code == 200
    assert hold(commands, trip, count=6).status_code == 201


def test_stretches_that_only_touch_share_a_seat_and_others_do_not(commands, trip):
    seat = {"seats": [{"section": "A", "seat": "1"}]}
    assert hold(commands, trip, "a", "c", **seat).status_code == 201
    assert hold(commands, trip, "c", "f", **seat).status_code == 201
    assert code(hold(commands, trip, "b", "d", **seat)) == (409, "seat-taken")


def test_two_hundred_customers_want_six_seats_and_six_get_one(stack, commands, trip):
    def want(number):
        return Api(stack.commands).post(f"/v1/trips/{trip}/holds", {"from": "a", "to": "f", "count": 1, "customer": f"c{number}"})

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(want, range(200)))
    assert sorted(answer.status_code for answer in answers) == [201] * 6 + [409] * 194
    seats = [seat["seat"] for answer in answers if answer.status_code == 201 for seat in answer.json()["seats"]]
    assert sorted(seats) == ["1", "2", "3", "4", "5", "6"]


def test_the_same_key_gets_the_same_answer_and_another_body_is_refused(commands, trip):
    key = str(uuid.uuid4())
    first, again = hold(commands, trip, key=key), hold(commands, trip, key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content and first.headers["Location"] == again.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers and again.headers["Idempotent-Replayed"] == "true"
    assert code(hold(commands, trip, key=key, count=2)) == (422, "key-reused")


def test_the_same_key_at_the_same_time_is_one_hold(stack, commands, trip):
    key = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: hold(Api(stack.commands), trip, key=key), range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1


def test_a_key_is_remembered_across_a_restart_and_a_kill(stack, commands, trip):
    key = str(uuid.uuid4())
    first = hold(commands, trip, key=key)
    for end in (stack.stop, stack.kill):
        end("commands")
        stack.start("commands")
        stack.wait_ready("commands")
        again = hold(Api(stack.commands), trip, key=key)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"


def test_a_trip_without_an_id_is_found_again_by_its_key(commands):
    key = str(uuid.uuid4())
    body = trip_body()
    first, again = commands.post("/v1/trips", body, key=key), commands.post("/v1/trips", body, key=key)
    assert first.status_code == again.status_code == 201 and first.json() == again.json()


def test_a_hold_expires_and_its_seats_are_free_again(commands, trip):
    held = hold(commands, trip, count=6, ttl_seconds=1)
    assert held.status_code == 201
    wait_until(lambda: hold(commands, trip, count=6).status_code == 201, 10, "the seats are free again")
    assert code(commands.post(f"/v1/trips/{trip}/holds/{held.json()['hold']}/confirm")) == (409, "hold-expired")


def test_if_match_with_an_old_version_is_412(commands, trip):
    assert hold(commands, trip).headers["ETag"] == '"2"'
    answer = commands.post(f"/v1/trips/{trip}/close", headers={"If-Match": '"1"'})
    assert code(answer) == (412, "version-differs")
    assert commands.post(f"/v1/trips/{trip}/close", headers={"If-Match": '"2"'}).status_code == 200


def test_a_closed_or_cancelled_trip_sells_nothing(commands, trip):
    assert commands.post(f"/v1/trips/{trip}/close").status_code == 200
    assert code(hold(commands, trip)) == (409, "sale-closed")
    assert commands.post(f"/v1/trips/{trip}/cancel", {"reason": "snow"}).status_code == 200
    assert code(hold(commands, trip)) == (409, "trip-cancelled")


BAD_HOLDS = [
    ("not JSON", b"{", 400, "malformed-json", None),
    ("deep nesting", b"[" * 2000, 400, "malformed-json", None),
    ("not UTF-8", b'{"from":"\xff"}', 400, "malformed-json", None),
    ("a list", b"[]", 400, "malformed-json", None),
    ("a repeated member", b'{"from":"a","from":"a","to":"f","count":1,"customer":"c"}', 400, "malformed-json", None),
    ("an unknown member", b'{"from":"a","to":"f","count":1,"customer":"c","colour":1}', 422, "unknown-field", "/colour"),
    ("a missing member", b'{"from":"a","to":"f","count":1}', 422, "bad-value", "/customer"),
    ("a wrong type", b'{"from":"a","to":"f","count":"1","customer":"c"}', 422, "bad-value", "/count"),
    ("an unknown stop", b'{"from":"zz","to":"f","count":1,"customer":"c"}', 422, "unknown-stop", "/from"),
    ("from after to", b'{"from":"f","to":"a","count":1,"customer":"c"}', 422, "stops-reversed", "/to"),
    ("from is to", b'{"from":"a","to":"a","count":1,"customer":"c"}', 422, "stops-reversed", "/to"),
    ("zero", b'{"from":"a","to":"f","count":0,"customer":"c"}', 422, "bad-count", "/count"),
    ("a huge count", b'{"from":"a","to":"f","count":2147483647,"customer":"c"}', 422, "bad-count", "/count"),
    ("past 32 bits", b'{"from":"a","to":"f","count":2147483648,"customer":"c"}', 422, "bad-value", "/count"),
    ("count and seats", b'{"from":"a","to":"f","count":1,"seats":[{"section":"A","seat":"1"}],"customer":"c"}', 422, "count-or-seats", None),
    ("neither", b'{"from":"a","to":"f","customer":"c"}', 422, "count-or-seats", None),
    ("an unknown seat", b'{"from":"a","to":"f","seats":[{"section":"A","seat":"99"}],"customer":"c"}', 422, "unknown-seat", None),
    ("a seat twice", b'{"from":"a","to":"f","seats":[{"section":"A","seat":"1"},{"section":"A","seat":"1"}],"customer":"c"}', 422, "duplicate-seat", None),
    ("a bad customer", b'{"from":"a","to":"f","count":1,"customer":"a b"}', 422, "bad-name", "/customer"),
    ("a bad ttl", b'{"from":"a","to":"f","count":1,"customer":"c","ttl_seconds":0}', 422, "bad-ttl", "/ttl_seconds"),
]


@pytest.mark.parametrize("body, status, slug, field", [case[1:] for case in BAD_HOLDS], ids=[case[0] for case in BAD_HOLDS])
def test_a_bad_hold_is_told_the_field_and_changes_nothing(commands, trip, body, status, slug, field):
    answer = commands.session.post(f"{commands.url}/v1/trips/{trip}/holds", data=body, headers={"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/json"})
    assert code(answer) == (status, slug), answer.text
    if field is not None:
        assert answer.json()["field"] == field, answer.text
    assert hold(commands, trip, count=6).status_code == 201


def test_unknown_trips_holds_and_bookings_are_404(commands, trip):
    other = commands.post("/v1/trips", trip_body()).json()["trip"]
    held = hold(commands, trip).json()["hold"]
    assert code(hold(commands, "no-such-trip")) == (404, "unknown-trip")
    assert code(commands.post(f"/v1/trips/{other}/holds/{held}/confirm")) == (404, "unknown-hold")
    assert code(commands.post(f"/v1/trips/{trip}/holds/{'0' * 32}/release")) == (404, "unknown-hold")
    assert code(commands.post(f"/v1/trips/{trip}/bookings/{'0' * 32}/cancel")) == (404, "unknown-booking")
    assert code(commands.post(f"/v1/trips/{trip}/holds/short/confirm"))[0] == 404


@pytest.mark.parametrize("zone", ["Mars/Olympus", "europe/berlin", "Europe", "right/Europe/Berlin", "posix/Europe/Berlin", "localtime", "posixrules", "Factory", "zone.tab", "../UTC", ""])
def test_a_zone_that_does_not_exist_is_422_because_the_trip_could_never_be_shown(commands, zone):
    assert code(commands.post("/v1/trips", trip_body(timezone=zone))) == (422, "bad-timezone")


def test_times_in_the_past_and_times_that_decrease_are_422(commands):
    body = trip_body()
    body["points"][2]["arrives_at"] = body["points"][0]["arrives_at"]
    assert code(commands.post("/v1/trips", body)) == (422, "bad-times")
    past = trip_body()
    for point in past["points"]:
        point["arrives_at"] = point["departs_at"] = "2020-01-01T00:00:00Z"
    assert code(commands.post("/v1/trips", past)) == (422, "time-past")


@pytest.mark.parametrize("key, slug", [(None, "missing-key"), ("", "bad-key"), ("x" * 256, "bad-key"), ("a b", "bad-key")])
def test_a_missing_or_bad_key_is_400(commands, trip, key, slug):
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = commands.session.post(f"{commands.url}/v1/trips/{trip}/holds", json={"from": "a", "to": "f", "count": 1, "customer": "c"}, headers=headers)
    status, found = code(answer)
    assert status == 400 and found in (slug, "missing-key")


@pytest.mark.parametrize("headers, says", [
    (b"Idempotency-Key: k1\r\nIdempotency-Key: k2", b"bad-key"),
    (b"Idempotency-Key: k1\r\nBerth-Actor: a1\r\nBerth-Actor: a2", b"Berth-Actor"),
])  # fmt: skip
def test_a_repeated_header_that_tells_orders_apart_is_400(stack, trip, headers, says):
    body = b'{"from":"a","to":"f","count":1,"customer":"c"}'
    request = b"POST /v1/trips/%s/holds HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n%s\r\nContent-Length: %d\r\n\r\n%s" % (trip.encode(), headers, len(body), body)
    status, _, text = raw_request(stack.commands, request)
    assert status == 400 and says in text


def test_an_oversized_body_is_413(commands, trip):
    answer = commands.session.post(f"{commands.url}/v1/trips/{trip}/holds", data=b" " * (3 << 20), headers={"Idempotency-Key": "k", "Content-Type": "application/json"})
    assert answer.status_code == 413


def test_a_body_that_fills_a_requests_memory_to_the_last_byte_is_refused_like_any_other(commands):
    """Its strings take what a request may have, and the check after them needs a table of its own: the two met in an assertion once.
    The size is searched for at which the strings just fit."""
    def refusal(strings):
        body = trip_body()
        body["sections"] = [{"name": "A", "class": "c", "seats": [None] * 3999 + ["a"]}]
        while strings > 0:
            body["sections"].append({"name": f"B{len(body['sections'])}", "class": "c", "seats": [""] * min(strings, 4000)})
            strings -= 4000
        return code(commands.post("/v1/trips", body))

    fits, too_many = 100_000, 250_000
    assert (refusal(fits), refusal(too_many)) == ((422, "bad-seats"), (422, "bad-value"))
    while too_many - fits > 50:
        middle = (fits + too_many) // 2
        if refusal(middle) == (422, "bad-seats"):
            fits = middle
        else:
            too_many = middle


def test_a_dead_broker_is_503_and_heals(stack, commands, trip):
    stack.kill("kafka")
    key = str(uuid.uuid4())
    answer = hold(commands, trip, key=key)
    assert answer.status_code in (503, 504) and "Retry-After" in answer.headers, answer.text
    stack.start("kafka")
    stack.wait_ready("commands", seconds=90)
    again = wait_until(lambda: (lambda found: found if found.status_code == 201 else None)(hold(commands, trip, key=key)), 60, "the hold is made once the broker is back")
    assert hold(commands, trip, key=key).content == again.content
    assert hold(commands, trip, count=5).status_code == 201
    assert code(hold(commands, trip)) == (409, "sold-out")


def test_void_garbage_and_foreign_records_change_nothing(stack, commands, trip):
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": stack.kafka, "acks": "all"})
    held = hold(commands, trip)
    partition = int(held.headers["Berth-Position"].split("/")[1].split("@")[0])
    garbage = [(None, b"x"), (trip.encode(), None), (trip.encode(), b""), (trip.encode(), b"\x00" * 21), (trip.encode(), b"\x01" * 60), (b"@log", b"\x00\xff\xff\xff\xff" + b"\x07" * 80)]
    for name, value in garbage:
        producer.produce("berth.trip", value=value, key=name, partition=partition)
    assert producer.flush(60) == 0
    assert hold(commands, trip).status_code == 201
    stack.kill("commands")
    stack.start("commands")
    stack.wait_ready("commands")
    assert hold(commands, trip, count=4).status_code == 201
    assert code(hold(commands, trip)) == (409, "sold-out")
    metrics = stack.metrics("commands")
    assert sum(value for (name, _), value in metrics.items() if name == "berth_partition_void_records") >= len(garbage)
