"""Berth-Min-Position: everyone reads their own writes, nobody waits for ever, and a position of another log is noticed."""
import concurrent.futures
import signal
import time

from conftest import PATIENCE_S, Api, wait_until
from query_trips import booked, held, opened, problem, states


def parts(position):
    """trip/3@1042-1a2b3c4d -> (3, 1042, "1a2b3c4d")."""
    partition, _, rest = position.removeprefix("trip/").partition("@")
    offset, _, identity = rest.partition("-")
    return int(partition), int(offset), identity


def test_every_read_after_a_write_sees_it(stack, api):
    def one_customer(number):
        mine = Api(stack.api)
        trip = opened(mine)
        for start, end in (("A", "B"), ("B", "C")):
            label = held(mine, trip, start, end, customer=f"c{number}", count=1, **{"class": "first"})["seats"][0]["seat"]
            assert states(mine.get(f"/v1/trips/{trip}/seats?from={trip}.{start}&to={trip}.{end}"))[label] == "held"
        return mine.get(f"/v1/trips/{trip}").json()["version"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one_customer, range(64))) == {3}


def test_a_read_waits_until_the_read_model_has_come(stack, api):
    trip = opened(api)
    assert api.get(f"/v1/trips/{trip}").status_code == 200
    stack.pause("projections")
    try:
        held(api, trip)
        behind = api.get(f"/v1/trips/{trip}/seats", headers={"Prefer": "wait=1"})
        assert problem(behind, 503, "read-model-behind")["field"] == "Berth-Min-Position"
        assert int(behind.headers["Retry-After"]) >= 1
        assert states(api.get(f"/v1/trips/{trip}/seats", fresh=False))["1A"] == "free", "without a position the read does not wait"
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(Api(stack.api).get, path, headers={"Berth-Min-Position": api.position, "Prefer": "wait=10"}) for path in
                       (f"/v1/trips/{trip}", f"/v1/trips/{trip}/seats", f"/v1/customers/c1/bookings")]
            wait_until(lambda: stack.metrics("query")[("berth_query_waiting", ())] >= 3, what="all three wait")
            assert not any(answer.done() for answer in waiting)
            stack.signal("projections", signal.SIGCONT)  # while they wait: they do for ten seconds
            answers = [answer.result(PATIENCE_S) for answer in waiting]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert answers[0].json()["version"] == 2 and "held" in states(answers[1]).values()
    finally:
        stack.resume("projections")


def test_a_read_gives_up_in_time(query, api):
    partition, offset, _ = parts(opened(api) and api.position)
    for prefer, least in ((None, 1.9), ("wait=1", 0.9), ("respond-async, wait=0", 0)):  # how much later is the machine's affair
        began = time.monotonic()
        answer = query.get("/v1/stops", headers={"Berth-Min-Position": f"trip/{partition}@{offset + 10**6}-00000000", **({"Prefer": prefer} if prefer else {})})
        took = time.monotonic() - began
        problem(answer, 503, "read-model-behind")
        assert least <= took, (prefer, took)


def test_a_position_of_another_log_is_refused_and_raises_the_alarm(stack, api, query):
    trip = opened(api)
    partition, offset, identity = parts(api.position)
    held(api, trip)  # so that the position is not the head any more
    assert api.get(f"/v1/trips/{trip}").status_code == 200
    name = ("berth_query_position_mismatches_total", ())
    for wrong_offset, path in ((offset, f"/v1/trips/{trip}"), (offset, f"/v1/trips/{trip}/seats"), (parts(api.position)[1], "/v1/stops")):
        before = stack.metrics("query")[name]
        wrong = f"trip/{partition}@{wrong_offset}-{'00000001' if identity != '00000001' else '00000002'}"
        problem(query.get(path, headers={"Berth-Min-Position": wrong}), 409, "position-mismatch")
        assert stack.metrics("query")[name] == before + 1
    wait_until(lambda: '"event":"position.mismatch"' in stack.log("query"), 5, "the alarm is in the log")


def test_several_positions_must_all_be_reached(query, api):
    opened(api)
    first = api.position
    while parts(api.position)[0] == parts(first)[0]:
        opened(api)
    both = f"{first}, {api.position}"
    assert query.get("/v1/stops", headers={"Berth-Min-Position": both}).status_code == 200
    partition, offset, _ = parts(first)
    far = f"{api.position},trip/{partition}@{offset + 10**6}-00000000"
    problem(query.get("/v1/stops", headers={"Berth-Min-Position": far, "Prefer": "wait=0"}), 503, "read-model-behind")


def test_what_is_no_position_is_refused(query):
    for wrong in ("x", "trip/0", "trip/0@1", "trip/0@-1-00000000", "trip/9999@1-00000000", "hotel/0@1-00000000", ",".join(["trip/0@0-00000000"] * 17)):
        assert problem(query.get("/v1/stops", headers={"Berth-Min-Position": wrong}), 400, "bad-position")["field"] == "Berth-Min-Position"


def test_an_answers_own_position_can_be_sent_back(query, api):
    trip = opened(api)
    hold = booked(api, trip, customer=trip)["booking"]
    partition, offset = parts(api.position)[:2]
    for path in (f"/v1/trips/{trip}", f"/v1/trips/{trip}/seats", f"/v1/trips/{trip}/holds/{hold}", f"/v1/bookings/{hold}"):
        position = api.get(path).headers["Berth-Position"]
        assert parts(position)[0] == partition and parts(position)[1] >= offset
        assert query.get(path, headers={"Berth-Min-Position": position}).status_code == 200


def test_a_lists_position_is_that_of_every_partition(query, api):
    trip = opened(api)
    booked(api, trip, customer=trip)
    partition, offset = parts(api.position)[:2]
    for path in (f"/v1/customers/{trip}/bookings", "/v1/stops?limit=1"):
        positions = api.get(path).headers["Berth-Position"]
        found = {parts(position)[0]: parts(position)[1] for position in positions.split(",")}
        assert found[partition] >= offset
        assert query.get(path, headers={"Berth-Min-Position": positions}).status_code == 200
    assert "Berth-Position" not in query.get("/v1/customers/nobody-at-all/bookings").headers
