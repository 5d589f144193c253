"""A repeated key is answered again from its record, which is looked up in the log: how much lies behind it there, how many ask at once and how slow the
broker is just now makes nobody hear 503 who could be answered."""
import concurrent.futures
import threading
import time
import uuid

import pytest

from conftest import Api
from nodes import fresh_trip, trips_of_all_partitions
from test_commands import hold

RECORDS_A_FETCH = 16  # FETCH_BATCH_MAX of commands/server/node.c
HOLDS = 500  # in each partition


class Customers:
    """Many at once, each thread with a connection of its own."""

    def __init__(self, url, count):
        self.url, self.own, self.pool = url, threading.local(), concurrent.futures.ThreadPoolExecutor(count)

    def hold(self, trip, key):
        if not hasattr(self.own, "api"):
            self.own.api = Api(self.url)
        return hold(self.own.api, trip, key=key)

    def start(self, asked):
        return [self.pool.submit(self.hold, trip, key) for trip, key in asked]

    def hold_all(self, asked):
        return [each.result() for each in self.start(asked)]


@pytest.fixture(scope="module")
def long_logs(running_stack):
    """[(trip, key, first answer)]: of each partition in turn, the oldest first."""
    trips = trips_of_all_partitions(Api(running_stack.commands)).values()
    asked = [(trip, str(uuid.uuid4())) for _ in range(HOLDS) for trip in trips]
    answers = Customers(running_stack.commands, 16).hold_all(asked)
    assert {answer.status_code for answer in answers} == {201}
    return [(trip, key, answer) for (trip, key), answer in zip(asked, answers)]


def check_repeated(held, again):
    for (_, _, first), answer in zip(held, again, strict=True):
        assert (answer.status_code, answer.content) == (201, first.content), answer.text
        assert answer.headers["Location"] == first.headers["Location"] and answer.headers["Idempotent-Replayed"] == "true"


def far_apart(long_logs, count):
    """So many of the older half, neighbours never, of all partitions in turn."""
    step = len(long_logs) // 2 // count | 1
    return long_logs[: step * count : step]


def fetched(stack):
    """(look-ups, records that were read for them) since the server has run."""
    metrics = stack.metrics("commands")
    return [sum(value for (name, _), value in metrics.items() if name == wanted) for wanted in ("berth_fetches_total", "berth_fetch_records_total")]


def repeat_all(customers, held):
    check_repeated(held, customers.hold_all([(trip, key) for trip, key, _ in held]))


def test_repeats_of_old_records_get_their_first_answers_and_read_none_of_the_log_behind_them(stack, long_logs):
    """Who read on behind a record would have the next look-ups wait until the log was read to its end, the longer the longer it is."""
    fetches_before, records_before = fetched(stack)
    crowd = far_apart(long_logs, 128)
    repeat_all(Customers(stack.commands, len(crowd)), crowd)
    in_turn = far_apart(long_logs, 40)
    repeat_all(Customers(stack.commands, 1), in_turn)
    fetches, records = fetched(stack)
    fetches, records = fetches - fetches_before, records - records_before
    assert fetches >= len(crowd) + len(in_turn) and fetches <= records <= RECORDS_A_FETCH * (fetches + 1), (fetches, records)


def test_repeats_while_the_broker_is_away_for_a_while_get_their_first_answers_when_it_is_back(stack, long_logs):
    """And so do those who come while the partitions recover: two new holds are in flight all the while."""
    _, trip = fresh_trip(Api(stack.commands))
    held = far_apart(long_logs, 64)
    stack.pause("kafka")
    try:
        new = Customers(stack.commands, 2).start([(trip, str(uuid.uuid4()))] * 2)
        asked = Customers(stack.commands, len(held)).start([(trip, key) for trip, key, _ in held])
        time.sleep(6)  # longer than the five seconds after which a look-up was once given up
        assert not any(each.done() for each in asked + new)
    finally:
        stack.resume("kafka")
    check_repeated(held, [each.result() for each in asked])
    assert {each.result().status_code for each in new} == {201}
