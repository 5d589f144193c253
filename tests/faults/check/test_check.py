"""The checker proves itself: of a right story it says nothing, and each way to spoil one is called by its name."""
import json
import pathlib
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from faults.check import linear, models, operations, rule, topics, trip  # noqa: E402
from faults.check.made import SCHEMAS, T0_US, TRIP, Story  # noqa: E402
from faults.check.report import Report  # noqa: E402
from faults.check.run import check_logs  # noqa: E402


def judged(story):
    report = Report()
    check_logs(story.logs(), story.operations(), report, SCHEMAS)
    return report


def kinds(story):
    return set(judged(story).by_kind)


@pytest.fixture
def story():
    """Two seats sold, one held and let go, one refused, and reads of it all."""
    told = Story()
    first, record, _ = told.hold(0)
    told.refuse_taken(0)
    told.confirm(first)
    told.read(told.token(told.records[-1]))
    told.read_booking(first, told.token(told.records[-1]))
    second, _, _ = told.hold(1, ttl=5)
    told.expire(second)
    told.read(told.token(told.records[-1]))
    return told


# ---- what is right ----


def test_a_right_story_has_no_violation_and_everything_in_it_was_judged(story):
    report = judged(story)
    assert report.violations == []
    assert (report.counters["reads_judged"], report.counters["refusals_judged"], report.counters["acknowledged"]) == (3, 1, 4)


def test_void_records_of_every_cause_are_counted_and_harm_nobody(story):
    parent_of_last = story.records[-2].value[5:21]
    story.raw(None, b"no key")
    story.raw(story.records[4].key, story.records[4].value)  # late, once more
    loser = story.value("Barrier", {"nonce": b"n" * 16}, {**story.meta(9), "parent": parent_of_last})
    story.raw(rule.LOG_KEY, loser)
    story.raw(rule.LOG_KEY, loser)
    story.raw(rule.LOG_KEY, story.value("Barrier", {"nonce": b"m" * 16}, {**story.meta(9), "parent": rule.record_id(rule.LOG_KEY, loser)}))
    story.take_over("node2")
    story.raw(rule.LOG_KEY, story.value("Barrier", {"nonce": b"o" * 16}, {**story.meta(9), "parent": parent_of_last}))
    report = judged(story)
    assert report.violations == []
    causes = {name: count for name, count in report.counters.items() if name.startswith("void_")}
    assert causes == dict.fromkeys(("void_malformed", "void_stale_duplicate", "void_foreign_parent", "void_duplicate", "void_child_of_void", "void_zombie"), 1)


def test_a_refused_key_that_is_tried_again_may_be_accepted(story):
    refused = story.refuse_taken(0)
    story.cancel(story.state.claims[min(story.state.live)].id)
    digest = operations.key_digest("HoldSeats", TRIP, refused["key"])
    story.tick()
    fields = {"hold": digest, "from": 0, "to": 2, "places": [{"section": 0, "seat": 0}], "customer": "c-2", "expires_at": story.now_us + 60_000_000}
    record, _ = story.event("SeatsHeld", fields, digest)
    story.note("hold", refused["key"], refused["request"], None, None, None, attempt=2)
    report = judged(story)
    assert report.violations == []
    assert report.counters["resolved_unknowns_applied"] == 1


def test_an_unknown_that_never_happened_is_no_violation(story):
    story.tick()
    story.note("confirm", story.key(), {}, None, None, None, target="00" * 16)
    assert kinds(story) == set()


def test_an_answer_from_one_of_two_moments_that_a_client_can_have_met_is_right():
    story = Story()
    hold, _, line = story.hold(0)
    refused = story.refuse_taken(0)
    refused["begin_ns"] = line["begin_ns"] - 1  # it may have met the seat free or taken
    assert kinds(story) == set()


# ---- the log ----


def test_two_holds_of_one_seat_on_one_segment_are_a_double_booking(story):
    fields = {"hold": b"x" * 16, "from": 0, "to": 1, "places": [{"section": 0, "seat": 0}], "customer": "c-9", "expires_at": story.now_us + 10_000_000}
    story.append(TRIP.encode(), "SeatsHeld", fields, story.meta(story.state.version + 1, b"d" * 16))
    assert kinds(story) == {"double-booking"}


def test_a_change_onto_somebody_elses_seat_is_a_double_booking(story):
    other, _, _ = story.hold(1)
    booking = min(claim.id for claim in story.state.live.values() if claim.status == trip.BOOKED)
    told = story.told_of(booking)
    fields = {"booking": booking, "old_from": told["from"], "old_to": told["to"], "old_places": told["places"], "from": 0, "to": 2, "places": [{"section": 0, "seat": 1}], "customer": "c-1"}
    story.append(TRIP.encode(), "BookingChanged", fields, story.meta(story.state.version + 1, b"d" * 16))
    assert kinds(story) == {"double-booking"}


def test_two_stretches_that_only_touch_are_no_double_booking():
    story = Story()
    story.hold(0, 0, 1)
    story.hold(0, 1, 2)
    assert kinds(story) == set()


def test_a_version_that_does_not_follow_is_a_contradiction(story):
    story.append(TRIP.encode(), "SaleClosed", {}, story.meta(story.state.version + 2, b"d" * 16))
    assert kinds(story) == {"contradiction"}


def test_a_hold_confirmed_after_its_time_is_a_contradiction_and_late():
    story = Story()
    hold, _, _ = story.hold(0, ttl=5)
    story.now_us += 10_000_000
    story.append(TRIP.encode(), "HoldConfirmed", {"hold": hold, **story.told_of(hold), "customer": "c-1"}, story.meta(3, b"d" * 16))
    assert kinds(story) == {"contradiction", "deadline-late"}


def test_a_command_before_an_expiry_that_was_due_is_a_late_deadline():
    story = Story()
    story.hold(0, ttl=5)
    story.now_us += 10_000_000
    story.hold(1)
    assert kinds(story) == {"deadline-late"}


def test_a_changed_byte_breaks_the_chain_and_what_was_acknowledged_behind_it(story):
    record = story.records[4]
    record.value = record.value[:-1] + bytes([record.value[-1] ^ 1])
    assert "acknowledged-not-valid" in kinds(story)


def test_a_record_that_was_dropped_from_the_middle_is_a_jump(story):
    del story.records[4]
    assert "jump" in kinds(story)


def test_a_suffix_that_was_lost_is_missed_by_those_who_were_told_of_it(story):
    del story.records[-3:]
    assert "acknowledged-not-valid" in kinds(story)


def test_a_log_that_begins_without_log_opened_is_told():
    story = Story()
    story.records = []
    story.head = rule.ZERO
    story.lines = []
    story.append(rule.LOG_KEY, "Barrier", {"nonce": b"n" * 16}, {**story.meta(1), "parent": rule.ZERO})
    assert kinds(story) == {"log-not-opened"}


def test_an_owner_that_proved_another_log_is_told(story):
    story.take_over("node2", proved_head=b"h" * 16)
    assert kinds(story) == {"owner-proved-another-log"}


def test_time_that_goes_back_is_told(story):
    story.now_us -= 100_000_000
    story.append(rule.LOG_KEY, "Barrier", {"nonce": b"n" * 16})
    assert kinds(story) == {"time-backwards"}


def test_a_valid_record_that_cannot_be_decoded_is_told(story):
    value = b"\0" + (9999).to_bytes(4, "big") + story.head + b"rest"
    story.raw(TRIP.encode(), value)
    assert kinds(story) == {"undecodable"}


def test_a_record_in_the_wrong_partition_is_told(story):
    logs = story.logs()
    report = Report()
    check_logs({1 - rule.partition_of(TRIP.encode(), 2): logs[0], rule.partition_of(TRIP.encode(), 2): []}, [], report, SCHEMAS)
    assert "wrong-partition" in report.by_kind


# ---- keys ----


def test_an_acknowledged_command_that_is_void_is_told(story):
    story.tick()
    key = story.key()
    digest = operations.key_digest("HoldSeats", TRIP, key)
    fields = {"hold": digest, "from": 0, "to": 2, "places": [{"section": 0, "seat": 3}], "customer": "c-1", "expires_at": story.now_us + 9_000_000}
    value = story.value("SeatsHeld", fields, {**story.meta(9, digest), "parent": b"p" * 16})
    record = story.raw(TRIP.encode(), value)
    story.note("hold", key, {}, 201, {"hold": digest.hex()}, story.token(record))
    assert kinds(story) == {"acknowledged-not-valid"}


def test_an_acknowledged_command_that_is_nowhere_is_told(story):
    story.tick()
    story.note("hold", story.key(), {}, 201, {}, story.token(story.records[-1]))
    assert kinds(story) == {"acknowledged-not-valid"}


def test_a_command_that_is_valid_twice_is_told(story):
    _, _, line = story.hold(3)
    digest = operations.key_digest("HoldSeats", TRIP, line["key"])
    story.release(digest)
    story.append(rule.LOG_KEY, "Barrier", {"nonce": b"n" * 16})
    again = {"hold": b"y" * 16, "from": 0, "to": 2, "places": [{"section": 0, "seat": 3}], "customer": "c-1", "expires_at": story.now_us + 60_000_000}
    story.event("SeatsHeld", again, digest)
    assert "applied-twice" in kinds(story)


def test_an_unknown_that_happened_twice_is_told(story):
    _, _, line = story.hold(3)
    line.update(status=None, answer=None, position=None)
    digest = operations.key_digest("HoldSeats", TRIP, line["key"])
    story.event("HoldReleased", {"hold": digest, **story.told_of(digest)}, digest)
    assert "applied-twice" in kinds(story)


def test_a_key_whose_every_attempt_was_refused_and_that_is_valid_is_told(story):
    _, _, line = story.hold(3)
    line.update(status=503, answer={"type": "urn:berth:problem:unavailable", "applied": False}, position=None)
    assert kinds(story) == {"applied-though-refused"}


def test_an_unavailable_that_promises_nothing_may_have_happened(story):
    _, _, line = story.hold(3)
    line.update(status=503, answer={"type": "urn:berth:problem:unavailable", "applied": "unknown"}, position=None)
    assert kinds(story) == set()


def test_a_refused_attempt_that_was_applied_before_the_second_attempt_began_is_told(story):
    _, _, line = story.hold(3)
    line.update(status=409, answer={"type": "urn:berth:problem:departed"}, position=None)
    story.read(story.token(story.records[-1]))["position"] = story.token(story.records[-1])
    story.tick()
    story.note("hold", line["key"], line["request"], None, None, None, attempt=2)
    assert kinds(story) == {"applied-though-refused"}


def test_a_key_that_gets_another_answer_is_told(story):
    _, record, line = story.hold(3)
    story.tick()
    story.note("hold", line["key"], line["request"], 201, {**line["answer"], "customer": "c-7"}, line["position"], replayed=True, attempt=2)
    assert kinds(story) == {"key-answer-differs"}


def test_a_key_that_gets_another_status_is_told(story):
    _, record, line = story.hold(3)
    story.tick()
    story.note("hold", line["key"], line["request"], 200, line["answer"], line["position"], replayed=True, attempt=2)
    assert kinds(story) == {"key-answer-differs"}


def test_a_key_that_is_forgotten_and_told_already_is_told(story):
    hold, _, _ = story.hold(3)
    _, line = story.confirm(hold)
    barrier = story.append(rule.LOG_KEY, "Barrier", {"nonce": b"n" * 16})
    story.tick()
    story.note("confirm", line["key"], {}, 200, line["answer"], story.token(barrier), target=hold.hex(), attempt=2)
    assert kinds(story) == {"key-forgotten"}


def test_a_key_that_is_forgotten_and_refused_is_told(story):
    hold, _, line = story.hold(3)
    story.confirm(hold)
    story.tick()
    story.note("hold", line["key"], line["request"], 409, {"type": "urn:berth:problem:hold-confirmed"}, None, attempt=2)
    assert kinds(story) == {"key-forgotten"}


def test_an_event_that_does_something_else_than_was_asked_for_is_told(story):
    _, _, line = story.hold(3)
    line["request"] = {**line["request"], "seats": [{"section": "car", "seat": "2"}]}
    assert kinds(story) == {"wrong-effect"}


def test_a_command_that_stands_before_what_was_known_when_it_was_asked_for_is_told(story):
    _, _, line = story.hold(3)
    line["begin_ns"] = story.now_ns + 10**10
    line["end_ns"] = line["begin_ns"] + 1
    story.tick()
    barrier = story.append(rule.LOG_KEY, "Barrier", {"nonce": b"n" * 16})
    story.read(None)["position"] = story.token(barrier)
    assert "log-order" in kinds(story)


def test_an_accepted_answer_without_a_position_is_told(story):
    _, _, line = story.hold(3)
    line["position"] = None
    assert "no-position" in kinds(story)


# ---- refusals ----


def test_a_refusal_of_a_seat_that_was_free_all_the_time_is_told(story):
    story.refuse_taken(3)
    assert kinds(story) == {"false-refusal"}


def test_a_refusal_with_a_stale_count_of_free_seats_is_told(story):
    story.refuse_taken(0, free=1 + story.state.free_count(0, 2))
    assert kinds(story) == {"false-refusal"}


def test_a_stale_refusal_after_the_seat_was_known_to_be_free_is_told(story):
    refused = story.refuse_taken(0)
    story.lines.remove(refused)
    story.cancel(min(claim.id for claim in story.state.live.values()))
    story.tick()
    refused.update(begin_ns=story.now_ns, end_ns=story.now_ns + 1)
    story.lines.append(refused)
    assert kinds(story) == {"false-refusal"}


def test_an_already_that_is_not_so_is_told(story):
    hold, _, _ = story.hold(3)
    story.tick()
    answer = {"hold": hold.hex(), "trip": TRIP, "status": "released"}
    story.note("release", story.key(), {}, 200, answer, story.token(story.records[-1]), target=hold.hex())
    assert kinds(story) == {"false-already"}


# ---- reads ----


def test_a_read_from_before_its_token_is_told(story):
    line = story.read()
    hold, record, _ = story.hold(3)
    story.lines.remove(line)
    story.tick()
    line.update(begin_ns=story.now_ns, end_ns=story.now_ns + 1, min_position=story.token(record))
    story.lines.append(line)
    assert kinds(story) == {"token-broken"}


def test_a_booking_that_its_own_token_does_not_find_is_told(story):
    hold, _, _ = story.hold(3)
    record, _ = story.confirm(hold)
    line = story.read_booking(hold, story.token(record))
    line.update(status=404, answer={"type": "urn:berth:problem:not-found"})
    assert kinds(story) == {"token-broken"}


def test_a_booking_row_from_before_its_token_is_told(story):
    hold, _, _ = story.hold(3)
    story.confirm(hold)
    line = story.read_booking(hold)
    record, _ = story.cancel(hold)
    line["min_position"] = story.token(record)
    assert "token-broken" in kinds(story)


def test_a_seat_map_that_shows_a_taken_seat_as_free_is_told(story):
    story.read()["answer"]["states"] = "fff"
    assert kinds(story) == {"wrong-read"}


def test_a_booking_that_shows_another_seat_is_told(story):
    hold, _, _ = story.hold(3)
    story.confirm(hold)
    story.read_booking(hold)["answer"]["seats"] = [{"section": "car", "seat": "2"}]
    assert kinds(story) == {"wrong-read"}


def test_a_read_of_a_version_that_never_was_is_told(story):
    story.read(version=77)
    assert kinds(story) == {"read-of-nothing"}


def test_a_read_of_what_was_asked_for_only_later_is_told(story):
    line = story.read()
    story.lines.remove(line)
    hold, _, asked = story.hold(3)
    late = story.read()
    late.update(begin_ns=asked["begin_ns"] - 3, end_ns=asked["begin_ns"] - 2)
    assert kinds(story) == {"read-of-the-future"}


def test_a_token_that_was_given_out_and_is_then_refused_is_told(story):
    story.read(story.token(story.records[-1])).update(status=409, answer={"type": "urn:berth:problem:position-mismatch"})
    assert kinds(story) == {"token-refused"}


def test_a_read_whose_position_is_of_a_void_record_is_told(story):
    record = story.raw(story.records[4].key, story.records[4].value)
    story.read()["position"] = story.token(record)
    assert "position-not-valid" in kinds(story)


# ---- Postgres, Redis, digests ----


class Rows:
    """A cursor that answers check_rows's four questions."""

    def __init__(self, *tables):
        self.tables = list(tables)

    def execute(self, *_):
        self.rows = self.tables.pop(0)

    def fetchall(self):
        return self.rows


def rows_of(story):
    report = Report()
    folds, _ = check_logs(story.logs(), [], report, SCHEMAS)
    fold = folds[0]
    found = fold.trips[TRIP.encode()]
    trips = [(found.id, found.name, found.timezone, found.status, found.reason, found.opened_at, found.points[0]["departs_at"], found.points[-1]["arrives_at"])]
    holds = [(claim.hex(), *models.shown(rows[-1]), rows[-1]["held_at"], rows[-1]["expires_at"]) for (table, claim), rows in fold.rows.items() if table == "holds"]
    bookings = [(claim.hex(), *models.shown(rows[-1]), rows[-1]["booked_at"], rows[-1]["changed_at"]) for (table, claim), rows in fold.rows.items() if table == "bookings"]
    return folds, trips, holds, bookings, [(found.id, found.version)]


@pytest.mark.parametrize("spoil", ["nothing", "a hold is missing", "a booking of nobody", "another seat", "another version"])
def test_postgres_must_have_the_rows_of_the_fold_and_no_others(story, spoil):
    folds, trips, holds, bookings, versions = rows_of(story)
    report = Report()
    if spoil == "a hold is missing":
        holds.pop()
    elif spoil == "a booking of nobody":
        bookings.append(("ab" * 16, *bookings[0][1:]))
    elif spoil == "another seat":
        bookings[0] = (*bookings[0][:5], [0, 3], *bookings[0][6:])
    elif spoil == "another version":
        versions[0] = (TRIP, 1)
    models.check_rows(Rows(trips, holds, bookings, versions), folds, report)
    assert set(report.by_kind) == (set() if spoil == "nothing" else {"postgres-differs"})


@pytest.mark.parametrize("spoil", ["nothing", "a taken seat shown as free", "another version"])
def test_redis_must_hold_the_bytes_of_the_fold(story, spoil):
    report, value = Report(), bytearray(models.availability(story.state))
    if spoil == "a taken seat shown as free":
        value[-8:] = bytes(8)
    elif spoil == "another version":
        struct.pack_into("<q", value, 16, 1)
    models.check_value(bytes(value).rstrip(b"\0"), story.state, report)
    assert set(report.by_kind) == (set() if spoil == "nothing" else {"redis-differs"})


def test_the_digest_is_that_of_the_page_that_describes_it():
    """docs/state-digest.md has a trip and its digest."""
    found = trip.Trip("t")
    hour, midnight = 3_600_000_000, T0_US
    found.version, found.status = 4, "open"
    found.points = [{"stop": stop, "arrives_at": midnight + (10 + index) * hour - 300_000_000, "departs_at": midnight + (10 + index) * hour, "board": stop != "B", "alight": True}
                    for index, stop in enumerate("ABC")]  # fmt: skip
    found.sections = [{"name": "car", "class": "second", "seats": ["1", None, "2", "3"], "blocked": [3], "capacity": 0},
                      {"name": "bikes", "class": "bike", "seats": [], "blocked": [], "capacity": 5}]  # fmt: skip
    held = trip.Claim(b"h1".ljust(16, b"\0"), 0, 2, [(0, 0), (1, -1)], "c-1", midnight, midnight + 600_000_000, 2)
    released = trip.Claim(b"h2".ljust(16, b"\0"), 1, 2, [(0, 2)], "c-1", midnight, midnight + 600_000_000, 3)
    released.status = trip.RELEASED
    found.live[held.id], found.ended = held, [released]
    assert rule.hashlib.sha256(found.digest()).hexdigest()[:32] == "ce56b8df8a6afec156523b4eacfed1e1"


def test_the_rule_is_that_of_the_vector_in_the_protocol():
    records, ids = [], {}

    def add(key, text, parent):
        value = b"\0\0\0\0\1" + parent + text
        records.append(rule.Record(len(records), key, value))
        if key is not None:
            ids[len(records) - 1] = rule.record_id(key, value)

    add(b"@log", b"genesis", rule.ZERO)
    add(b"@log", b"rival genesis", rule.ZERO)
    add(b"t1", b"a", ids[0])
    add(b"t1", b"b", ids[0])
    add(b"t1", b"a", ids[0])
    add(b"t2", b"c", ids[2])
    add(b"t1", b"child of void", ids[3])
    add(None, b"null key", ids[5])
    add(b"t1", b"d", ids[5])
    chain = rule.apply(0, records)
    assert (chain.height, chain.void_count, chain.head.hex()) == (4, 5, "4f5e4c67477c0fd9bcb631a136b0bc69")
    assert [record.valid for record in records] == [True, False, True, False, False, True, False, False, True]


@pytest.mark.parametrize("spoil", ["nothing", "another state", "another head"])
def test_what_a_node_said_that_it_holds_must_be_the_fold_up_to_there(story, tmp_path, spoil):
    logs, report = story.logs(), Report()
    rule.apply(0, logs[0])
    rows = []
    for next_offset in (len(logs[0]), 5):
        head, digest = models.state_at(logs[0], next_offset, SCHEMAS)
        rows.append({"node": "node1", "partition": 0, "next_offset": next_offset, "head": head.hex(), "digest": digest.hex()})
    if spoil == "another state":
        rows[0]["digest"] = rows[1]["digest"]
    elif spoil == "another head":
        rows[1]["head"] = "00" * 16
    path = tmp_path / "digests.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    models.check_node_digests(path, logs, report)
    assert set(report.by_kind) == (set() if spoil == "nothing" else {"node-state-differs"})
    assert report.counters["node_digests_compared"] == 2


# ---- for Porcupine ----


def prepared(story):
    report, found = Report(), story.operations()
    folds, timelines = check_logs(story.logs(), found, report, SCHEMAS)
    return linear.prepare(found, folds, timelines, report)


def test_each_effect_of_a_story_is_one_operation_of_its_seat(story):
    kinds_of = [(op["seat"][-1], op["kind"], op["was"], op["now"]) for op in prepared(story) if op["kind"] in ("take", "turn")]
    assert kinds_of == [("0", "take", linear.HELD, 0), ("0", "turn", linear.HELD, linear.BOOKED), ("1", "take", linear.HELD, 0), ("1", "turn", linear.HELD, linear.ABSENT)]


def test_a_refusal_is_a_question_to_its_seat_and_a_strong_read_one_to_every_seat(story):
    before = len(prepared(story))
    story.read()["strong"] = True
    assert len(prepared(story)) == before + 3
    assert [op["seat"][-1] for op in prepared(story) if op["kind"] == "taken"] == ["0"]


def test_an_unknown_that_happened_ends_when_somebody_was_told_of_what_stands_behind_it(story):
    hold, _, line = story.hold(3)
    line.update(status=None, answer=None, position=None)
    story.confirm(hold)
    take = next(op for op in prepared(story) if op["seat"].endswith("/3") and op["kind"] == "take")
    assert (take["call"], take["return"]) == (line["begin_ns"], story.lines[-1]["end_ns"])


def test_an_already_so_under_a_key_that_had_an_effect_later_is_no_part_of_that_effect(story):
    hold, held, _ = story.hold(3)
    _, line = story.confirm(hold)
    begin = line["begin_ns"]
    story.lines.insert(-1, {**line, "begin_ns": begin - 200_000_000, "end_ns": begin - 100_000_000, "position": story.token(held)})
    turn = next(op for op in prepared(story) if op["seat"].endswith("/3") and op["now"] == linear.BOOKED)
    assert (turn["call"], turn["return"]) == (begin, line["end_ns"])


def test_an_unknown_that_never_happened_is_no_operation(story):
    before = prepared(story)
    story.tick()
    story.note("hold", story.key(), {"from": "A", "to": "B", "seats": []}, None, None, None)
    assert prepared(story) == before


def test_an_expiry_lies_between_what_stands_before_and_behind_it(story):
    held = [line for line in story.lines if line["op"] == "hold"][-1]
    ended = next(op for op in prepared(story) if op["kind"] == "turn" and op["now"] == linear.ABSENT)
    assert ended["call"] == held["begin_ns"]
    assert ended["return"] == operations.FOREVER - 1


# ---- a dump ----


def test_a_dump_of_the_topics_is_read_back_as_it_was(story, tmp_path):
    story.raw(None, None)
    topics.dump(story.logs(), tmp_path, "berth.trip")
    again = topics.load(tmp_path, "berth.trip")
    assert [(record.offset, record.key, record.value) for record in again[0]] == [(record.offset, record.key, record.value) for record in story.records]
