"""Two projectors on one database when a loss is accepted: both find the acceptance at the same moment, and both set out to forget the partition. Each read
model is forgotten once; no row is lost or doubled; both go on, and each alone can."""
import re
import signal

from conftest import wait_until
from server_process import instead_of, server
from test_accept_loss import LOSS_S, Loss, accept_loss, accepted, differences, hold, read_healed, seat, stopped_models, without_writers

MODELS = ("trips", "availability")


def stopped(second, partition):
    return second.metric("berth_projection_stopped", partition=str(partition))


def forgotten(log):
    """model -> how often it was forgotten for an accepted loss, as a log says."""
    return {model: len(re.findall(rf'"event":"projection\.loss_accepted".*"model":"{model}".*is forgotten', log)) for model in MODELS}


def shown(query, loss, answer):
    states = read_healed(query, f"/v1/trips/{loss.trip}/seats?from=a&to=f", accepted(answer).headers["Berth-Position"]).json()["seats"]
    return {one["seat"]: one["state"] for one in states}


def test_two_projectors_that_race_to_forget_lose_and_double_no_row_and_both_go_on(stack, commands, query, tmp_path):
    with server(stack, "projections", slot=0, log=tmp_path / "second.log") as second:
        second.wait_ready(LOSS_S)
        begin = len(stack.log("projections"))
        loss = Loss(stack, commands, query, tmp_path)
        loss.wait_noticed()
        wait_until(lambda: stopped(second, loss.partition) == 2, LOSS_S, "the second projector has stopped too")

        # Both asleep while the acceptance is written, and woken together.
        stack.signal("projections", signal.SIGSTOP)
        second.process.send_signal(signal.SIGSTOP)
        try:
            status, _, said = accept_loss(loss.partition, "--yes")
            assert status == 0, said
        finally:
            second.resume()
            stack.signal("projections", signal.SIGCONT)
        loss.wait_healed()
        wait_until(lambda: stopped(second, loss.partition) == 0, LOSS_S, "the second projector goes on")
        second.wait_ready(LOSS_S)

        states = shown(query, loss, hold(commands, loss.trip, **seat(2)))
        assert (states["1"], states["2"], states["3"]) == ("booked", "held", "free"), states
        with without_writers(stack):
            assert differences(stack) == []
        times = [forgotten(stack.log("projections")[begin:]), forgotten(second.log())]
        assert {model: sum(of[model] for of in times) for model in MODELS} == dict.fromkeys(MODELS, 1), times

        with instead_of(stack, "projections"):  # the second alone
            assert shown(query, loss, hold(commands, loss.trip, **seat(3)))["3"] == "held"
        second.stop()  # and the first alone
        assert shown(query, loss, hold(commands, loss.trip, **seat(4)))["4"] == "held"
        with without_writers(stack):
            assert differences(stack) == []
