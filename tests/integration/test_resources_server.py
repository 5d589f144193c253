"""What a command server does when its queue, a disk or its memory is full: it says so, keeps what it accepted, and heals when there is room."""
import concurrent.futures
import contextlib
import json
import resource
import signal
import time
import uuid

from conftest import Api, wait_until
from server_process import instead_of, server
from small_disk import small_disk
from test_commands import code, hold, trip_body

NEVER_SOLD_OUT = [{"name": "A", "class": "standard", "capacity": 1000000}]  # however often a slow machine has to ask


def test_a_full_queue_is_503_with_retry_after_and_loses_nothing_that_was_accepted(stack):
    """The broker is paused, so that all who come must wait, and only thirty may."""
    room, crowd = 30, 120
    with instead_of(stack, "commands"), server(stack, "commands", settings={"node.waiting_max": room, "node.command_timeout_ms": 120000,
                                                                          "append.message_timeout_ms": 15000}) as node:  # fmt: skip
        node.wait_ready()
        trip = Api(node.url).post("/v1/trips", trip_body(seats=500)).json()["trip"]
        keys = [str(uuid.uuid4()) for _ in range(crowd)]

        def ask(key):
            return hold(Api(node.url), trip, key=key)

        with concurrent.futures.ThreadPoolExecutor(crowd) as pool:
            stack.pause("kafka")
            try:
                asked = [pool.submit(ask, key) for key in keys]
                wait_until(lambda: sum(one.done() for one in asked) == crowd - room, 60, "all but thirty are turned away")
                refused = [one.result() for one in asked if one.done()]
                assert {code(answer) for answer in refused} == {(503, "overloaded")}
                assert all("Retry-After" in answer.headers for answer in refused)
            finally:
                stack.resume("kafka")
            answers = [one.result() for one in asked]
        assert {answer.status_code for answer in answers} <= {201, 503}
        again = [wait_until(lambda: served(ask(key)), 60, "it is accepted at the second attempt") for key in keys]
        for first, second in zip(answers, again):
            assert first.status_code != 201 or second.content == first.content, "what was accepted is kept"
        seats = [seat["seat"] for answer in again for seat in answer.json()["seats"]]
        assert len(set(seats)) == len(seats) == crowd


def served(answer):
    assert answer.status_code in (201, 503), answer.text
    return answer if answer.status_code == 201 else None


def test_a_full_disk_under_the_log_loses_log_lines_only_and_says_how_many(stack, tmp_path):
    """Each snapshot writes a line, and there is one after nearly every hold."""
    settings = {"state.dir": tmp_path, "snapshot.every": 1, "node.name": "chatterer"}
    with small_disk(2) as disk, instead_of(stack, "commands"), server(stack, "commands", settings=settings, log=disk.folder / "log") as node:
        node.wait_ready()
        client = Api(node.url)
        trip = client.post("/v1/trips", trip_body(sections=NEVER_SOLD_OUT)).json()["trip"]

        def sells():
            time.sleep(0.1)
            assert hold(client, trip).status_code == 201
            return True

        disk.fill(node)
        wait_until(lambda: sells() and node.metric("berth_log_lost_lines_total") > 3, 60, "lines are lost")
        assert node.is_ready()
        disk.empty(node)
        lost = wait_until(lambda: sells() and [line for line in lines_of(node) if line.get("event") == "log.lost"], 60, "the log tells of its loss")
        assert lost[0]["count"] >= 3 and lost[0]["error"], lost
        assert sum(line["count"] for line in lost) == node.metric("berth_log_lost_lines_total")


def lines_of(server_process):
    """The log's lines, except that the one at which the disk became full may be cut short."""
    found = []
    for line in server_process.log().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def test_a_full_disk_under_the_snapshots_stops_nothing_and_heals(stack):
    with small_disk(4) as disk, instead_of(stack, "commands"):
        settings = {"state.dir": disk.folder / "state", "snapshot.every": 20, "node.name": "small-disk"}
        with server(stack, "commands", settings=settings) as node:
            node.wait_ready()
            client = Api(node.url)
            trip = client.post("/v1/trips", trip_body(sections=NEVER_SOLD_OUT)).json()["trip"]
            disk.fill(node)

            def sell(count=25):
                for _ in range(count):
                    assert hold(client, trip).status_code == 201
                return True

            wait_until(lambda: sell() and node.metric("berth_snapshot_failures_total") > 0, 60, "a snapshot fails")
            assert node.is_ready() and ("snapshot.not_written" in node.log() or not disk.is_alone)
            written = node.metric("berth_snapshots_written_total")
            disk.empty(node)
            wait_until(lambda: node.metric("berth_snapshots_written_total") > written, 60, "it is tried again, and written")
            wait_until(lambda: not list(disk.folder.rglob("*.partial")), what="what was half written is gone")
            node.kill()
        with server(stack, "commands", settings=settings) as node:
            node.wait_ready()
            assert "snapshot.loaded" in node.log() and "snapshot.ignored" not in node.log()
            assert hold(Api(node.url), trip).status_code == 201


def large_trip():
    seats = [[f"{section}{seat:04}-by-the-window" for seat in range(500)] for section in "ABCD"]
    return trip_body(trip=f"large-{uuid.uuid4().hex}", sections=[{"name": labels[0][0], "class": "standard", "seats": labels} for labels in seats])


def test_short_of_memory_it_refuses_commands_and_keeps_what_it_accepted(stack):
    """It may have a little more than it has, and is told of trips until it says no."""
    accepted = {}
    with instead_of(stack, "commands"):
        with server(stack, "commands") as node:
            node.wait_ready()
            room_mb = node.rss_kb() * 12 // 10240 + 60
        with server(stack, "commands", settings={"node.memory_max_mb": room_mb}) as node:
            node.wait_ready()
            client = Api(node.url)

            def refused():
                key, body = str(uuid.uuid4()), large_trip()
                answer = client.post("/v1/trips", body, key=key)
                if answer.status_code == 201:
                    accepted[key] = body
                    return None
                assert answer.status_code == 503, answer.text
                return [answer]  # in a list, for an answer of 503 is as good as False

            answer = wait_until(refused, 120, "it is short of memory")[0]
            assert code(answer) == (503, "overloaded") and "memory" in answer.json()["detail"] and "Retry-After" in answer.headers
            assert node.metric("berth_memory_short") == 1 and '"memory.short"' in node.log()
            assert node.rss_kb() // 1024 <= room_mb and node.is_ready()
        with server(stack, "commands") as node:
            node.wait_ready()
            for key, body in accepted.items():
                again = Api(node.url).post("/v1/trips", body, key=key)
                assert again.status_code == 201 and again.headers["Idempotent-Replayed"] == "true", again.text
    assert accepted


def test_a_full_disk_under_the_broker_is_503_and_heals(stack, commands):
    """Its files may not grow any more (RLIMIT_FSIZE, as a full disk that needs no root). A broker whose only folder fails halts: it is started again."""
    trip = commands.post("/v1/trips", trip_body(seats=50)).json()["trip"]
    kept, doubtful = str(uuid.uuid4()), str(uuid.uuid4())
    accepted = hold(commands, trip, key=kept)
    assert accepted.status_code == 201
    broker = int((stack.state / "run" / "kafka.pid").read_text().split()[0])
    limits = resource.prlimit(broker, resource.RLIMIT_FSIZE)
    resource.prlimit(broker, resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        refused = hold(commands, trip, key=doubtful)
        assert refused.status_code in (503, 504) and "Retry-After" in refused.headers, refused.text
        assert stack.status()["parts"]["commands"] == "running"
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may have halted by itself
            stack.signal("kafka", signal.SIGKILL)
        wait_until(lambda: stack.status()["parts"]["kafka"] == "stopped", what="the broker is gone")
        stack.start("kafka")
    stack.wait_ready("commands", seconds=120)
    again = wait_until(lambda: served(hold(commands, trip, key=doubtful)) is not None and hold(commands, trip, key=doubtful), 90, "it is accepted now")
    seats = [answer.json()["seats"][0]["seat"] for answer in (hold(commands, trip, key=kept), again)]
    assert hold(commands, trip, key=kept).content == accepted.content and len(set(seats)) == 2
    assert stack.berth("log", "verify")
