"""`berth topics` and `berth log` on a real broker: what they say of a good log, of one with garbage in it, and of one that is broken."""
import json
import os
import subprocess
import time
import uuid

import pytest
from confluent_kafka import Producer

import chain_check
from conftest import PATIENCE_S
from test_two_writers import TOP, WRITER, topic_make

BERTH = TOP / "build" / os.environ.get("BERTH_PRESET", "dev") / "bin/berth"
KAFKA = os.environ.get("BERTH_KAFKA", "")


def berth_words(*arguments, status=0):
    done = subprocess.run([BERTH, *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == status, f"berth {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def berth(*arguments, status=0, kafka=KAFKA):
    return berth_words(*arguments, "--kafka.bootstrap.servers", kafka, status=status)


def append(topic, *records):
    producer = Producer({"bootstrap.servers": KAFKA})
    for key, value in records:
        producer.produce(topic, key=key, value=value, partition=0)
    assert producer.flush(PATIENCE_S) == 0


@pytest.fixture
def log(tmp_path):
    """A topic with a log of one writer in it, garbage among its records."""
    assert KAFKA, "BERTH_KAFKA names no broker"
    topic = topic_make(KAFKA)
    acks = tmp_path / "acks"
    writer = subprocess.Popen([WRITER, "--kafka", KAFKA, "--topic", topic, "--acks", acks], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 2 * PATIENCE_S
        while not acks.exists() or acks.stat().st_size < 33 * 5:
            assert time.monotonic() < end and writer.poll() is None
            time.sleep(0.05)
        append(topic, (None, b"no key"), (b"key", None), (b"key", b"short"), (b"key", b"\x01" + bytes(30)), (b"\xff\xfe", bytes(40) + b"old parent"))
    finally:
        writer.terminate()
        assert writer.wait(60) == 0
    return topic


def verdict(topic, status):
    lines = berth("log", "verify", "--topic", topic, "--json", status=status)[0].splitlines()
    return json.loads(lines[-1]), [json.loads(line) for line in lines[:-1]]


def test_a_log_with_void_records_is_good_and_its_voids_are_counted_by_cause(log):
    ours, violations = verdict(log, status=0)
    theirs = chain_check.check(KAFKA, log, 0, [])
    assert ours["good"] and violations == []
    partition = ours["partitions"][0]
    assert partition["void_malformed"] == 4 == theirs["void"]["malformed"]
    assert partition["void_parent"] == theirs["void"]["parent"] >= 1
    assert (partition["valid"], partition["head"]) == (theirs["valid"], theirs["head"])


def test_a_valid_record_that_cannot_be_decoded_is_a_violation(log):
    head = bytes.fromhex(chain_check.check(KAFKA, log, 0, [])["head"])
    append(log, (b"trip-1", b"\x00\x00\x00\x03\xe7" + head + b"of a schema that nobody knows"))
    found, violations = verdict(log, status=1)
    assert not found["good"]
    assert "decoded" in violations[0]["violation"]


def test_a_valid_record_out_of_its_streams_order_is_a_violation(log):
    head = bytes.fromhex(chain_check.check(KAFKA, log, 0, [])["head"])
    barrier = b"\x00\x00\x00\x00\x01" + head + b"\x02\x02" + bytes(32) + b"\x00" + bytes(16)  # version 1, at 1 us after 1970
    append(log, (b"@log", barrier))
    _, violations = verdict(log, status=1)
    assert [word for word in ("time", "version") for violation in violations if word in violation["violation"]] == ["time", "version"]


def test_tail_shows_each_record_and_why_a_void_one_is_void(log):
    lines = [json.loads(line) for line in berth("log", "tail", "--topic", log, "--from", "0", "--limit", "100000", "--json")[0].splitlines()]
    assert lines[0]["event"] == "LogOpened" and lines[0]["valid"]
    assert [line["offset"] for line in lines] == list(range(len(lines)))
    assert sum(line.get("void") == "malformed" for line in lines) == 4
    shown = berth("log", "tail", "--topic", log, "--from", "0", "--limit", "100000")[0]  # text: a key of other bytes than UTF-8 is scrubbed
    assert len(shown.splitlines()) == len(lines)
    last = berth("log", "tail", "--topic", log, "--limit", "2")[0].splitlines()
    assert len(last) == 2 and f"0@{lines[-1]['offset']}" in last[-1]


def test_stats_count_the_events_of_each_type(log):
    found = json.loads(berth("log", "stats", "--topic", log, "--json")[0])
    assert found["events"]["LogOpened"] == 1
    assert sum(found["events"].values()) == found["partitions"][0]["valid"]


def test_topics_are_made_once_and_what_differs_is_told_with_its_remedy():
    name = f"cli-{uuid.uuid4().hex[:8]}"
    assert "absent" in berth("topics", "check", "--topic", name, status=1)[0]
    assert "created with 3 partitions" in berth("topics", "create", "--topic", name, "--partitions", "3")[0]
    assert "as it should be" in berth("topics", "create", "--topic", name)[0]
    differs = topic_make(KAFKA)
    found = json.loads(berth("topics", "check", "--topic", differs, "--min-insync", "2", "--json", status=1)[0])
    assert {"max.message.bytes", "min.insync.replicas"} <= {finding["what"] for finding in found["findings"]}


@pytest.mark.parametrize("arguments", [("log", "verify"), ("topics", "create"), ("log", "tail"), ("replay", "--to-nowhere"), ("log", "accept-loss", "1", "--reason", "x")])
def test_without_a_broker_every_verb_ends_and_says_so(arguments):
    _, said = berth(*arguments, "--timeout-ms", "2000", status=3, kafka="127.0.0.1:1")
    assert "broker" in said


@pytest.mark.parametrize("group, verbs", [("log", ["tail", "verify", "stats", "accept-loss"]), ("topics", ["create", "check"]), ("import", ["gtfs"])])
def test_a_group_without_a_verb_shows_its_verbs(group, verbs):
    for said, asked in [(berth_words(group, "--help", status=0)[0], True), (berth_words(group, status=2)[1], False)]:
        assert [line.split()[:2] for line in said.splitlines()] == [[group, verb] for verb in verbs], asked
    assert "berth --help" in berth_words("nothing", "--help", status=2)[1]


@pytest.mark.parametrize("arguments, word", [(("log", "nothing"), "no"), (("log", "tail", "--limit", "x"), "limit"), (("log", "tail", "--nonsense"), "nonsense"),
                                             (("log", "tail", "--kafka.acks", "1"), "acks")])  # fmt: skip
def test_a_wrong_call_is_told_in_a_line(arguments, word):
    _, said = berth(*arguments, status=2)
    assert word in said
