"""What the checker says of a run in which Kafka lost acknowledged records: of a right one nothing, and what is wrong by its name."""
import copy
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from faults.check import rule  # noqa: E402
from faults.check.made import SCHEMAS, Story  # noqa: E402
from faults.check.report import Report  # noqa: E402
from faults.check.run import BeforeLoss, check_logs  # noqa: E402


class Loss:
    """Two seats sold; then the second's records are gone, an operator accepts that, and somebody else buys it."""

    def __init__(self):
        self.before, self.after = Story(), None
        first, _, _ = self.before.hold(0)
        self.before.confirm(first)
        kept, lines = copy.deepcopy(self.before), len(self.before.lines)
        self.lost_from = len(self.before.records)
        second, _, _ = self.before.hold(1)
        self.before.confirm(second)
        self.before.read(self.before.token(self.before.records[-1]))
        self.lost_to = len(self.before.records)
        self.after = kept
        self.after.now_us, self.after.now_ns = self.before.now_us, self.before.now_ns
        del self.after.lines[:lines]

    def accept(self, lost_from=None, lost_to=None):
        self.after.tick()
        fields = {"reason": "a test", "lost_from": self.lost_from if lost_from is None else lost_from, "lost_to": self.lost_to if lost_to is None else lost_to, "lost_head": rule.ZERO,
                  "lost_height": 0, "proved_offset": len(self.after.records), "proved_height": self.after.height}  # fmt: skip
        self.after.append(rule.LOG_KEY, "LossAccepted", fields)
        return self

    def sell_again(self):
        self.after.keys = 100
        hold, _, _ = self.after.hold(1)
        self.after.confirm(hold)
        self.after.read(self.after.token(self.after.records[-1]))
        return self

    def judged(self):
        report, before, logs = Report(), BeforeLoss(self.before.logs(), self.before.operations()), self.after.logs()
        folds, _ = check_logs(logs, self.after.operations() + before.untouched(logs), report, SCHEMAS)
        before.check(folds, report, schemas=SCHEMAS)
        return report


def kinds(loss):
    return set(loss.judged().by_kind)


@pytest.fixture
def loss():
    return Loss()


def test_an_accepted_loss_is_no_violation_and_what_it_took_is_counted(loss):
    report = loss.accept().sell_again().judged()
    assert report.violations == []
    assert {name: report.counters[name] for name in ("lost_on_record", "kept_acknowledged", "lost_records", "losses_accepted")} == {
        "lost_on_record": 2, "kept_acknowledged": 3, "lost_records": 2, "losses_accepted": 1}  # fmt: skip


def test_a_loss_that_nobody_accepted_is_called_by_its_name(loss):
    assert kinds(loss.sell_again()) == {"lost-off-the-record"}


def test_an_acceptance_of_less_than_was_lost_leaves_the_rest_off_the_record(loss):
    assert kinds(loss.accept(lost_from=loss.lost_from + 1).sell_again()) == {"lost-off-the-record"}
    assert kinds(Loss().accept(lost_to=loss.lost_to - 1).sell_again()) == {"lost-off-the-record"}


def test_an_acceptance_where_nothing_was_lost_is_a_violation(loss):
    loss.after, loss.before = copy.deepcopy(loss.before), loss.before
    del loss.after.lines[:]
    assert kinds(loss.accept()) == {"accepted-nothing"}


def test_a_record_that_nobody_was_told_of_behind_all_that_was_given_up_was_never_promised(loss):
    loss.accept().sell_again()
    loss.before.append(rule.LOG_KEY, "Barrier", {"nonce": b"n" * 16})
    report = loss.judged()
    assert report.violations == [] and report.counters["lost_unpromised"] == 1
    loss.before.read()["position"] = loss.before.token(loss.before.records[-1])  # unless somebody was shown it
    assert kinds(loss) == {"lost-off-the-record"}


def test_a_record_that_is_gone_from_before_the_accepted_range_is_a_violation(loss):
    story = Story()
    story.now_us, story.now_ns = loss.before.now_us, loss.before.now_ns
    del story.lines[:]
    loss.after = story
    assert "lost-off-the-record" in kinds(loss.accept())


def test_what_was_acknowledged_before_the_loss_is_judged_as_strictly_as_ever(loss):
    loss.accept().sell_again()
    loss.before.lines[2]["answer"]["status"] = "held"
    assert kinds(loss) == {"key-answer-differs"}
    loss.before.lines[-2]["position"] = "trip/0@2-00000000"
    assert "acknowledged-not-valid" in kinds(loss)


def test_a_lost_record_that_is_named_after_the_acceptance_is_a_violation(loss):
    loss.accept().sell_again()
    token = loss.before.token(loss.before.records[-1])
    loss.after.lines[-1]["position"] = token
    assert "position-not-valid" in kinds(loss)


def test_a_key_that_was_kept_has_one_answer_after_the_loss_too(loss):
    """What rests on nothing that was lost is judged against the log as it is, together with what came later."""
    held = next(line for line in loss.before.lines if line["op"] == "hold")
    loss.accept().sell_again()
    loss.after.tick()
    loss.after.note("hold", held["key"], held["request"], 409, {"type": "urn:berth:problem:seat-taken", "status": 409, "taken": held["request"]["seats"], "free": 1}, None, attempt=2)
    assert "key-forgotten" in kinds(loss)


def test_a_seat_that_is_sold_twice_after_the_loss_is_a_double_booking(loss):
    loss.accept()
    loss.after.state.claims.clear()
    loss.after.state.live.clear()
    loss.after.state.taken.clear()
    loss.after.keys = 100
    loss.after.hold(0)
    assert "double-booking" in kinds(loss)
