"""mutant_scenes - short plays in which one broken promise must show: for the mutants that a crowd of clients under random faults does not bring to light.

A scene is written for one mutant: it says what happens to the servers, in which order, and nothing in it is left to chance. The sound build plays every
scene too, and must come out clean. In most of them Kafka loses records of a partition, for only then do those clauses count: the broker is killed, its
file is cut (or a batch is taken out of the middle), and it is started again.

What is acknowledged and then lost is nobody's mistake, so those operations are kept out of the history that the checker gets. All others are in it, and
must be true of the log as it is in the end. What the checker cannot see, since it only knows that log, a scene expects by itself: that a loss is noticed, and
that nobody goes on without an acceptance that covers it. The projector is killed before what will be lost is written, so that it remembers none of it.
"""
import http.client
import json
import shutil
import subprocess
import threading
import time

from . import lost_suffix, segments
from .clients import scene as trips
from .clients.board import Board
from .clients.client import Client
from .clients.history import History
from .clients.load import Plan
from .clients.wire import Answer
from .parts import wait_until

LOST, SEATS = 6, 24
OWNING, READ_ONLY = 3, 6
NOTICE_S, STAYS_S, ANSWER_S = 45, 3, 40
TOPIC = "berth.trip"


class Nowhere:
    """The history of what will be lost."""

    def write(self, operation):
        pass

    def close(self):
        pass


class Desk:
    """A customer who does one thing after the other at the node that is named, under keys of its own."""

    def __init__(self, trial, name, history=None, timeout_s=6.0):
        where = trial.cluster.describe()
        self.history = history or History(trial.run / "history" / f"scene-{name}.jsonl")
        plan = Plan({node: url.removeprefix("http://") for node, url in where["nodes"].items()}, where["query"].removeprefix("http://"), str(trial.run / "history"),
                    seed=trial.seed, tag=f"scene-{name}", partitions=trial.cluster.partitions, timeout_s=timeout_s)  # fmt: skip
        self.client, self.name, self.count = Client(1, plan, Board(), self.history), name, 0

    def ask(self, op, trip, path, body, node, key=None, attempt=1):
        self.count += 1
        return self.client.send(op, trip, path, body, key or f"{self.name}-{self.count}", node, attempt)

    def hold(self, trip, number, node, **again):
        body = {"from": trip.stops[0], "to": trip.stops[-1], "customer": self.name, "ttl_seconds": 3600, "seats": [{"section": "A", "seat": str(number)}]}
        return self.ask("hold", trip, f"/v1/trips/{trip.id}/holds", body, node, **again)

    def confirm(self, trip, hold, node):
        return self.ask("confirm", trip, f"/v1/trips/{trip.id}/holds/{hold}/confirm", {}, node)

    def cancel(self, trip, booking, node):
        return self.ask("cancel", trip, f"/v1/trips/{trip.id}/bookings/{booking}/cancel", {}, node)

    def open(self, trip, node):
        return self.ask("open", trip, "/v1/trips", trip.opening(trips.first_departure()), node)


def until_accepted(what, ask, status=201):
    """Each try is an operation of its own; the last one's answer."""
    last = []

    def done():
        last[:] = [ask()]
        return last[0].status == status

    try:
        wait_until(done, ANSWER_S, what)
    except TimeoutError as error:
        raise RuntimeError(f"{error}: {last[0].status} {last[0].body or last[0].error}") from None
    return last[0]


class Scene:
    """settings, environment: of each node; broker_settings: of each broker. why: for people. found: violations that the scene itself saw, as the checker would write them."""

    why, nodes, brokers, namespaces, linear, settings, environment, broker_settings = "", 1, 1, False, True, {}, {}, {}

    def __init__(self, trial):
        self.trial, self.cluster, self.found = trial, trial.cluster, []
        self.desk = Desk(trial, "kept")
        self.victim = 0
        self.trip = self.trip_in(self.victim)

    def play(self):
        raise NotImplementedError

    def trip_in(self, partition, stem="scene"):
        return trips.Trip(trips.trip_id(stem, partition, self.cluster.partitions), True, 3, {"A": [str(number) for number in range(1, SEATS + 1)]})

    def violation(self, kind, what):
        self.found.append({"kind": kind, "what": what})

    def expect(self, what, check, kind="loss-not-noticed", seconds=NOTICE_S):
        """False, and a violation, if it does not come."""
        try:
            wait_until(check, seconds, what)
            return True
        except TimeoutError as error:
            self.violation(kind, str(error))
            return False

    # Steps of several scenes.

    def phase(self, node):
        return lost_suffix.metric(self.cluster, node, "berth_owner_phase", f'partition="{self.victim}"')

    def start(self, node):
        self.cluster.start(node)
        wait_until(lambda: self.cluster[node].get("/livez")[0] == 200, 30, f"{node} lives")

    def must_end(self, name):
        if not self.cluster.stop(name):
            raise RuntimeError(f"{name} did not end by itself")

    def only(self, name):
        """The other nodes die before they have had anything to do, and leave nothing behind."""
        for node in self.cluster.nodes():
            if node.name != name:
                node.kill()
                self.forget_snapshots(node.name)
        wait_until(lambda: self.phase(name) == OWNING, ANSWER_S, f"{name} owns partition {self.victim}")

    def forget_snapshots(self, name):
        shutil.rmtree(self.cluster.run / "snapshots" / name, ignore_errors=True)

    def open_trip(self, node):
        until_accepted("the trip is opened", lambda: self.desk.open(self.trip, node))
        return until_accepted("a seat is held", lambda: self.desk.hold(self.trip, 1, node))

    def write_what_will_be_lost(self, node):
        """Offset of the first of LOST acknowledged records."""
        self.cluster.kill("projector1")
        lost = Desk(self.trial, "lost", Nowhere())
        told = [until_accepted("a seat is held", lambda: lost.hold(self.trip, 2 + number, node)) for number in range(LOST)]
        return lost_suffix.offset_of(told[0].headers["Berth-Position"]), lost_suffix.offset_of(told[-1].headers["Berth-Position"])

    def lose_suffix(self, node):
        """The node stops with a snapshot of what Kafka then loses."""
        self.open_trip(node)
        self.lost_from, self.lost_last = self.write_what_will_be_lost(node)
        self.must_end(node)
        if not list((self.cluster.run / "snapshots" / node).rglob("*.snapshot")):
            raise RuntimeError(f"{node} left no snapshot")
        lost_suffix.lose(self.cluster, self.victim, self.lost_from, self.trial.run / "topics-before", {})

    def accept_loss(self, *more):
        berth = self.cluster.binary("berth", "berth")
        argv = [str(berth), "log", "accept-loss", str(self.victim), "--reason", "a scene has cut the log", "--yes", "--json", "--kafka.bootstrap.servers", self.cluster.kafka_direct(), *more]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"berth log accept-loss ended with {done.returncode}: {done.stderr or done.stdout}")
        return json.loads(done.stdout)

    def expect_noticed(self, node):
        self.expect(f"{node} is read-only after acknowledged records were lost", lambda: self.phase(node) == READ_ONLY)

    def expect_no_answers(self, node, seat):
        """For STAYS_S, or the time that it takes to be answered by a node that goes on."""
        end = time.monotonic() + STAYS_S
        while time.monotonic() < end:
            answer = self.desk.hold(self.trip, seat, node)
            if answer.status not in (503, None):
                self.violation("went-on-after-loss", f"{node} remembers records that are not in the log, and answered {answer.status}: {json.dumps(answer.body)[:200]}")
                return
            time.sleep(0.2)

    def end(self, *forgetful):
        """What remembers lost records goes, as their operator would have it go; the read models then fold the log as it is."""
        for node in self.cluster.nodes():
            node.stop()
        for name in forgetful:
            self.forget_snapshots(name)
        if self.cluster["projector1"].state == "stopped":
            self.start("projector1")


class SameKey(Scene):
    why = "a key is sent twice: quick and certain"

    def play(self):
        self.open_trip("node1")
        answer = until_accepted("a seat is held", lambda: self.desk.hold(self.trip, 2, "node1", key="again"))
        if self.desk.hold(self.trip, 2, "node1", key="again", attempt=2).body != answer.body:
            self.violation("key-forgotten", "the same key was answered otherwise the second time")
        self.end()


class Zombie(Scene):
    why = "a node stops itself between deciding and appending, another takes over, and it wakes up: quick and certain"
    nodes, settings, environment = 2, {"node.leave_limit_ms": 0}, {"BERTH_TEST_HOOKS": "1"}
    STOP_AFTER = 12  # records; its own takeovers are the first

    def play(self):
        node1 = self.cluster["node1"]
        other = self.trip_in(self.victim, "other")  # what follows upon the void record must not contradict it, or the stream stops, and nothing wrong is said
        self.only("node1")
        self.open_trip("node1")
        until_accepted("another trip is opened", lambda: self.desk.open(other, "node1"))
        self.must_end("node1")
        self.cluster.extra_settings["node1"].update({"test.stop_at": "decided", "test.stop_after": self.STOP_AFTER})
        self.start("node1")
        wait_until(lambda: node1.stopped_itself() or self.phase("node1") == OWNING, ANSWER_S, "node1 owns its partition again")
        hasty = Desk(self.trial, "hasty", self.desk.history, timeout_s=2.0)
        for seat in range(2, SEATS):
            if not node1.stopped_itself():
                hasty.hold(self.trip, seat, "node1")
        wait_until(node1.stopped_itself, 5, "node1 has stopped itself with a record in hand")
        self.start("node2")
        wait_until(lambda: self.phase("node2") == OWNING, ANSWER_S, "node2 takes over")
        until_accepted("a seat is held at the other node", lambda: self.desk.hold(other, 1, "node2"))
        read_to = self.next_offset("node2")
        node1.resume()
        wait_until(lambda: self.next_offset("node2") > read_to, ANSWER_S, "the zombie's record has landed")
        for seat in (2, 3, 4):
            self.desk.hold(other, seat, "node2")
        self.end()

    def next_offset(self, node):
        return lost_suffix.metric(self.cluster, node, "berth_partition_next_offset", f'partition="{self.victim}"')


class LostSuffix(Scene):
    why = "a node comes back with a snapshot of records that the log has no longer, and the log ends before them"
    settings = {"node.leave_limit_ms": 0}

    def play(self):
        self.lose_suffix("node1")
        self.start("node1")
        self.expect_noticed("node1")
        self.expect_no_answers("node1", 10)
        self.end("node1")


class Slept(Scene):
    """What lies between: a node sleeps while the log loses what it remembers and grows again. It owns its partitions whatever the group says, for who comes back
    to the group reads its head anew, and that is another scene."""

    nodes, settings, environment = 2, {"node.leave_limit_ms": 0, "test.own_all": "true"}, {"BERTH_TEST_HOOKS": "1"}

    def sleep_through_the_loss(self, grown):
        """grown: how many records longer than it was the log is in the end."""
        self.lost_from, self.lost_last = self.write_what_will_be_lost("node1")
        self.cluster.pause("node1")
        lost_suffix.lose(self.cluster, self.victim, self.lost_from, self.trial.run / "topics-before", {})
        self.start("node2")
        wait_until(lambda: self.phase("node2") == OWNING, ANSWER_S, "node2 takes over")
        end, seat = -1, 1
        while end < self.lost_last + grown:
            seat += 1
            end = lost_suffix.offset_of(until_accepted("a seat is held at the other node", lambda: self.desk.hold(self.trip, seat, "node2")).headers["Berth-Position"])
        if end != self.lost_last + grown:
            raise RuntimeError(f"the log ends with {end}, it was to end with {self.lost_last + grown}")
        self.must_end("node2")

    def wake(self):
        self.cluster.resume("node1")
        self.expect_noticed("node1")
        self.expect_no_answers("node1", 20)
        self.end("node1")


class Rewritten(Slept):
    why = "what a node was told of by reports, and has not read yet, is lost, and other records stand in exactly those places: only comparing tells"

    def play(self):
        self.only("node1")
        self.open_trip("node1")
        proxy = self.cluster.proxy("broker1").proxy
        hole = proxy.set("black_hole", clients="node1", apis="Fetch", direction="to_client", then="drop")
        self.sleep_through_the_loss(0)
        proxy.clear(hole)
        self.wake()


class GrownAgain(Slept):
    why = "a node sleeps while Kafka loses what it has proved and another node makes the log longer than it was: nothing that it reads next contradicts it"

    def play(self):
        self.only("node1")
        self.open_trip("node1")
        self.sleep_through_the_loss(5)
        self.wake()


class ShortAcceptance(Scene):
    why = "the log holds an acceptance that gives up less than a node remembers"
    settings = {"node.leave_limit_ms": 0}

    def play(self):
        self.lose_suffix("node1")
        accepted = self.accept_loss("--from", str(self.lost_from), "--to", str(self.lost_from + 2))
        if not accepted["lost_to"] <= self.lost_last:
            raise RuntimeError(f"that gives up all of it: {accepted}")
        self.start("node1")
        self.expect_noticed("node1")
        self.expect_no_answers("node1", 10)
        self.end("node1")


class AcceptedLoss(Scene):
    why = "a loss is accepted, and what was lost is sold again"
    settings = {"node.leave_limit_ms": 0}

    def play(self):
        self.lose_suffix("node1")
        self.start("node1")
        wait_until(lambda: self.phase("node1") == READ_ONLY, NOTICE_S, "the node has noticed")
        self.accept_loss("--nodes", self.cluster["node1"].address("admin"))
        if self.expect("node1 goes on after the loss was accepted", lambda: self.phase("node1") == OWNING, "not-healed"):
            for seat in range(2, 2 + LOST):
                answer = self.desk.hold(self.trip, seat, "node1")
                if answer.status == 503:
                    self.violation("not-healed", f"a seat whose hold was lost and given up: {json.dumps(answer.body)[:200]}")
            self.trial.collect()
        self.end("node1")


class Hole(Scene):
    why = "a node is given a log without one record in its middle; afterwards the record is back in its place"
    nodes, settings = 2, {"node.leave_limit_ms": 0}

    def play(self):
        self.only("node1")
        self.open_trip("node1")
        told = [until_accepted("a seat is held", lambda: self.desk.hold(self.trip, seat, "node1")) for seat in range(2, 8)]
        self.must_end("node1")
        batch = self.at_rest(lambda folder: segments.take_out(folder, lost_suffix.offset_of(told[2].headers["Berth-Position"])))
        self.start("node2")
        self.expect("node2 is read-only, since a record is missing", lambda: self.phase("node2") == READ_ONLY)
        self.expect_no_answers("node2", 4)
        self.cluster.stop("node2")
        self.forget_snapshots("node2")
        self.at_rest(lambda folder: segments.put_back(folder, batch))
        self.end()

    def at_rest(self, surgery):
        """On the partition's folder while the broker is down."""
        broker = self.cluster.brokers()[0]
        broker.kill()
        done = surgery(broker.data / f"{TOPIC}-{self.victim}")
        (broker.data / ".kafka_cleanshutdown").unlink(missing_ok=True)
        broker.start()
        self.cluster.wait_ready(broker.name)
        return done


class CutOffLeader(Scene):
    """
    node1 hears nobody but its partition's leader, and that no longer hears its followers; they hear it, for one fetch more. So F, the record that node1 appends
    now, reaches them, and the leader never knows it. They elect another, on whom F stands; node2 takes over, and a booking is cancelled.

    Now customers ask node1 for that booking. Its answers are decided, and wait for a barrier, which may not be sent yet. Then its connections die for the second
    time, which is once too often for its producer: the old leader still says that the log ends before F, and F is sent again. When node1 is let back it finds F in
    the log. What it had decided after F was first sent must not go out with F's proof.
    """

    why = "a leader is cut off with a record that its followers have; what is decided upon it afterwards must not rest on that record's proof when it is sent again"
    nodes, brokers, namespaces = 2, 3, True
    settings = {"test.own_all": "true", "append.batches_in_flight": 5, "append.message_timeout_ms": 15000, "node.command_timeout_ms": 60000,
                "append.barrier_every_us": 10000000, "kafka.retries": 1}  # fmt: skip
    environment = {"BERTH_TEST_HOOKS": "1"}
    broker_settings = {"replica.fetch.wait.max.ms": 4000}

    def play(self):
        self.cluster.kill("projector1")  # a partition whose leader is cut off holds it up, and it is not what is looked at
        self.leader = self.leader_as_told_by(broker.name for broker in self.cluster.brokers())
        self.others = [broker.name for broker in self.cluster.brokers() if broker.name != self.leader]
        self.only("node1")
        self.open_trip("node1")
        hold = until_accepted("a seat is held", lambda: self.desk.hold(self.trip, 2, "node1")).body["hold"]
        until_accepted("and booked", lambda: self.desk.confirm(self.trip, hold, "node1"))
        first = self.append_behind_the_leaders_back()
        wait_until(lambda: self.leader_as_told_by(self.others) not in (None, self.leader), 30, "the followers elect another leader")
        self.cluster.partition("node2", self.leader)
        self.cluster.extra_settings["node2"]["kafka.bootstrap.servers"] = ",".join(self.cluster.client_address(self.cluster[name]) for name in self.others)
        self.start("node2")
        wait_until(lambda: self.phase("node2") == OWNING, ANSWER_S, "node2 takes over")
        until_accepted("the booking is cancelled", lambda: self.desk.cancel(self.trip, hold, "node2"), 200)
        self.send_again(hold)
        first.join(ANSWER_S)
        self.end()

    def send_again(self, hold):
        crowd, drops, links = Crowd(self, hold, "node1"), self.drops(), self.cluster.proxy(self.leader).proxy
        rule = links.set("delay", clients="node1", apis="Produce", ms=1)  # it counts them
        links.reset(clients="node1")
        wait_until(lambda: sum(one["count"] for one in links.counters()["by"] if one["fault"] == "delay"), 20, "F is on its way again, for the last time that this producer tries")
        links.clear(rule)
        crowd.ask()
        links.reset(clients="node1")
        # It drops its pipeline, is told by the old leader where the log ends, and sends F again.
        wait_until(lambda: self.drops() > drops and self.phase("node1") == OWNING, 25, "node1 goes on behind the cut-off leader")
        self.cluster.heal()
        crowd.hear()

    def drops(self):
        return lost_suffix.metric(self.cluster, "node1", "berth_pipeline_drops_total", f'partition="{self.victim}"')

    def leader_as_told_by(self, names):
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": ",".join(self.cluster[name].address("direct") for name in names), "log_level": 0})
        leader = admin.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions[self.victim].leader
        return next((broker.name for broker in self.cluster.brokers() if broker.id == leader), None)

    def sizes(self):
        return [sum(path.stat().st_size for path in (self.cluster[name].data / f"{TOPIC}-{self.victim}").glob("*.log")) for name in self.others]

    def append_behind_the_leaders_back(self):
        for other in self.others:
            self.cluster.partition("node1", other)
        time.sleep(1.0)  # the followers ask for more, and are made to wait
        before = self.sizes()
        for other in self.others:
            self.cluster.partition(other, self.leader, one_way=True)
        first = threading.Thread(target=lambda: self.desk.hold(self.trip, 3, "node1"), daemon=True)
        first.start()
        wait_until(lambda: all(now > then for now, then in zip(self.sizes(), before)), 3, "the followers have a record that its leader does not know them to have")
        for other in self.others:
            self.cluster.partition(self.leader, other)
        return first


class Crowd:
    """Customers with an order each, on connections that are open already, one every PAUSE_S. The first is given a barrier, the others wait for the next one."""

    COUNT, PAUSE_S = 8, 0.05

    def __init__(self, scene, hold, node):
        self.scene, self.path = scene, f"/v1/trips/{scene.trip.id}/holds/{hold}/confirm"
        self.node, self.calls = node, []
        host, port = scene.cluster.describe()["nodes"][node].removeprefix("http://").split(":")
        for _ in range(self.COUNT):
            connection = http.client.HTTPConnection(host, int(port), timeout=90)
            connection.connect()
            self.calls.append([connection, f"crowd-{len(self.calls)}", 0])

    def ask(self):
        for call in self.calls:
            call[2] = time.monotonic_ns()
            call[0].request("POST", self.path, body=b"{}", headers={"Content-Type": "application/json", "Idempotency-Key": call[1]})
            time.sleep(self.PAUSE_S)

    def hear(self):
        for connection, key, begin_ns in self.calls:
            try:
                response = connection.getresponse()
                answer = Answer(response.status, json.loads(response.read() or b"null"), response.headers, None, begin_ns, time.monotonic_ns())
            except (OSError, http.client.HTTPException, ValueError) as reason:
                answer = Answer(error=str(reason), begin_ns=begin_ns, end_ns=time.monotonic_ns())
            self.scene.desk.client.note("confirm", self.node, answer, self.scene.trip, self.path, key, {})
            connection.close()


SCENES = {
    "lost_suffix_ignored": LostSuffix,
    "no_comparison": Rewritten,
    "head_not_probed": GrownAgain,
    "old_acceptance": ShortAcceptance,
    "accepted_not_forgotten": AcceptedLoss,
    "jump_ignored": Hole,
    "resend_confirms": CutOffLeader,
    "same-key": SameKey,
    "zombie": Zombie,
}
