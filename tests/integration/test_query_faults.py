"""Reads while a part is away: what goes on, what says so, how long it takes, and that it heals by itself."""
import concurrent.futures
import os
import random
import signal
import threading
import time

import requests

from conftest import PATIENCE_S, wait_until
from query_trips import booked, held, opened, problem, seat, states


def ready(stack):
    return requests.get(stack.admin["query"] + "/readyz", timeout=PATIENCE_S)


def test_redis_away__seat_maps_come_from_postgres_and_say_so(stack, api, query):
    trip = opened(api)
    held(api, trip, "A", "B", **seat("1", "1A"))
    booked(api, trip, start="B", end="C", **seat("1", "1B"))
    held(api, trip, "A", "C", count=2, **{"class": "second"})
    path = f"/v1/trips/{trip}/seats"
    closed, cancelled = opened(api), opened(api)
    for other, what, body in ((closed, "close", {}), (cancelled, "cancel", {"reason": "Flood"})):
        booked(api, other, start="A", end="B", **seat("1", "1A"))
        assert api.post(f"/v1/trips/{other}/{what}", body).status_code == 200
    maps = [f"/v1/trips/{name}/seats{stretch}" for name in (trip, closed, cancelled) for stretch in ("", f"?from={name}.A&to={name}.B", f"?from={name}.B&to={name}.C")]
    from_redis = [wait_until(lambda: (a := api.get(map_)).headers.get("Berth-Source") == "redis" and a, 60, "Redis has it") for map_ in maps]
    stack.kill("redis")
    for map_, before in zip(maps, from_redis):
        after = wait_until(lambda: (a := query.get(map_, fresh=False)).headers.get("Berth-Source") == "postgres" and a, 10, "Postgres answers")
        assert after.json() == before.json() and after.headers["ETag"] == before.headers["ETag"], map_
    wait_until(lambda: not ready(stack).json()["checks"][1]["ready"], 10, "readyz tells of Redis")
    assert ready(stack).status_code == 200, "without Redis it is ready all the same"
    held(api, trip, "A", "B", **seat("1", '1"C'))
    assert states(api.get(path))['1"C'] == "held", "one reads one's own writes without Redis too"
    stack.start("redis")
    healed = wait_until(lambda: (a := query.get(path, fresh=False)).headers.get("Berth-Source") == "redis" and states(a)['1"C'] == "held" and a, 60, "Redis has it again")
    assert healed.json() == api.get(path).json()


def test_many_maps_at_once__each_is_its_own_trips__while_redis_goes_and_comes(stack, api, query):
    """Maps that wait at once share a round trip to Redis: none may be answered with another's."""
    trips = {}
    for i in range(24):
        trip = opened(api)
        taken = [label for bit, label in enumerate(("1A", "1B", '1"C')) if i >> bit & 1]
        for label in taken:
            held(api, trip, "A", "C", **seat("1", label))
        trips[trip] = {label: "held" if label in taken else "free" for label in ("1A", "1B", '1"C')} | {"1D": "blocked"}
    for trip in trips:
        assert states(api.get(f"/v1/trips/{trip}/seats")) == trips[trip]
    ends, sources = threading.Event(), set()

    def read(seed):
        chosen, session, wrong = random.Random(seed), requests.Session(), []
        session.trust_env = False
        while not ends.is_set():
            trip = chosen.choice(list(trips))
            answer = session.get(f"{query.url}/v1/trips/{trip}/seats", timeout=PATIENCE_S)
            if answer.status_code == 503 and "Retry-After" in answer.headers:
                continue  # too many for a slow machine: told so, and nothing wrong
            sources.add(answer.headers.get("Berth-Source"))
            if answer.json().get("trip") != trip or states(answer) != trips[trip]:
                wrong.append((trip, answer.text))
        return wrong

    with concurrent.futures.ThreadPoolExecutor(48) as pool:
        reads = [pool.submit(read, seed) for seed in range(48)]
        try:
            for _ in range(2):
                sources.clear()
                wait_until(lambda: "redis" in sources, what="Redis is read")
                stack.kill("redis")
                wait_until(lambda: "postgres" in sources, what="Postgres is read")
                stack.start("redis")
            sources.clear()
            wait_until(lambda: "redis" in sources, what="Redis is read again")
        finally:
            ends.set()
        assert [wrong for done in reads for wrong in done.result(PATIENCE_S)] == []


def test_redis_hanging__answers_stay_quick(stack, api, query):
    trip = opened(api)
    held(api, trip, "A", "B", **seat("1", "1A"))
    path = f"/v1/trips/{trip}/seats"
    assert states(api.get(path))["1A"] == "held"
    stack.pause("redis")
    try:
        for _ in range(20):
            assert states(query.get(path, fresh=False))["1A"] == "held"
            time.sleep(0.12)  # past the age that is served from memory
        assert query.get(path, fresh=False).headers["Berth-Source"] == "postgres"
    finally:
        stack.resume("redis")
    wait_until(lambda: query.get(path, fresh=False).headers.get("Berth-Source") == "redis", 90, "Redis is asked again")


def test_redis_emptied__seat_maps_stay_right(stack, api, query, redis):
    trip = opened(api)
    held(api, trip, "A", "B", **seat("1", "1A"))
    path = f"/v1/trips/{trip}/seats"
    assert states(api.get(path))["1A"] == "held"
    redis.flushall()
    time.sleep(0.15)
    for _ in range(20):
        assert states(api.get(path))["1A"] == "held"
        time.sleep(0.12)


def test_kafka_away__reads_go_on(stack, api, query):
    trip = opened(api)
    held(api, trip, "A", "B", **seat("1", "1A"))
    assert states(api.get(f"/v1/trips/{trip}/seats"))["1A"] == "held"
    stack.kill("kafka")
    time.sleep(1)
    for path in (f"/v1/trips/{trip}", f"/v1/trips/{trip}/seats", "/v1/stops", "/v1/customers/c1/bookings", "/subjects"):
        assert query.get(path, fresh=False).status_code == 200, path
        assert api.get(path).status_code == 200, path
    assert ready(stack).status_code == 200


def test_postgres_away__reads_are_refused_and_heal(stack, api, query):
    trip = opened(api)
    held(api, trip, "A", "B", **seat("1", "1A"))
    paths = (f"/v1/trips/{trip}", "/v1/stops", "/v1/customers/c1/bookings", "/v1/bookings/00000000000000000000000000000000")
    # An earlier test emptied Redis: while it is folded again, a trip that it does not have yet is answered from Postgres.
    wait_until(lambda: api.get(f"/v1/trips/{trip}/seats").headers.get("Berth-Source") == "redis", 90, "Redis has the trip")
    stack.kill("postgres")
    for path in paths:
        refused = query.get(path, fresh=False)
        problem(refused, 503, "unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
    assert states(query.get(f"/v1/trips/{trip}/seats", fresh=False))["1A"] == "held", "the map of a trip that is known comes from Redis"
    wait_until(lambda: ready(stack).status_code == 503, 10, "readyz says so")
    stack.start("postgres")
    wait_until(lambda: query.get(paths[0], fresh=False).status_code == 200, 30, "reads are answered again")
    wait_until(lambda: ready(stack).status_code == 200, 30, "it is ready again")
    assert api.get(f"/v1/trips/{trip}").json()["version"] == 2


def test_postgres_hanging__no_read_waits_longer_than_its_limits(stack, api, query, postgres):
    trip = opened(api)
    assert api.get(f"/v1/trips/{trip}").status_code == 200
    with postgres.cursor() as cursor:  # a lock that every read needs: the server lives, the statement hangs
        postgres.autocommit = False
        cursor.execute("LOCK TABLE berth.stops IN ACCESS EXCLUSIVE MODE")
        problem(query.get("/v1/stops", fresh=False), 503, "unavailable")
        assert query.get(f"/v1/trips/{trip}", fresh=False).status_code == 200, "other reads go on"
        postgres.rollback()
        postgres.autocommit = True
    wait_until(lambda: query.get("/v1/stops", fresh=False).status_code == 200, 10, "it heals")


def test_postgres_silent__reads_do_not_wait_for_it_each_anew(stack, api, query, postgres):
    """It takes connections and says nothing: a read that asked for one would wait for three seconds."""
    trip = opened(api)
    assert api.get(f"/v1/trips/{trip}").status_code == 200
    with postgres.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'berth-query-api%'")
        sessions = [pid for pid, in cursor.fetchall()]
    stack.pause("postgres")
    try:
        for pid in sessions:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: ready(stack).status_code == 503, PATIENCE_S, "readyz says so")
        began = time.monotonic()
        for _ in range(120):
            problem(query.get(f"/v1/trips/{trip}", fresh=False), 503, "unavailable")
        assert time.monotonic() - began < 180, "it would be 360 s"
    finally:
        stack.resume("postgres")
    wait_until(lambda: query.get(f"/v1/trips/{trip}", fresh=False).status_code == 200, PATIENCE_S, "it heals")


def test_a_server_that_stops_answers_whoever_waits(stack, api, query):
    trip = opened(api)
    partition = api.position.partition("@")[0]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(query.get, f"/v1/trips/{trip}", headers={"Berth-Min-Position": f"{partition}@99999999-00000000", "Prefer": "wait=10"})
        wait_until(lambda: stack.metrics("query")[("berth_query_waiting", ())] >= 1, 5, "it waits")
        stack.signal("query", signal.SIGTERM)  # while it waits: it does for ten seconds
        problem(waiting.result(PATIENCE_S), 503, "stopping")
    stack.stop("query")
    stack.start("query")
    stack.wait_ready("query")
