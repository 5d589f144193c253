"""history - what one client did and was told: a file of JSON lines, one object an operation, written when the operation ends.

The fields are those that checker and Porcupine read:

    client, op         who, and hold | confirm | release | extend | change | cancel | open | read | read_hold | read_booking
    node               which server was asked: node1 …, or query
    begin_ns, end_ns   CLOCK_MONOTONIC of this machine, before the first byte is sent and after the last is read: one clock for all clients
    wall               Unix seconds at the end, for people
    trip, path, key    key: the Idempotency-Key, null for reads
    request, answer    bodies as JSON; of a seat map the answer's seats are shortened to states, one letter a listed seat (f h b x: free, held,
                       booked, blocked), and its sections to section_free
    status             null: no answer (time-out, reset, abandoned); the outcome is then unknown to this client
    position           the header Berth-Position; min_position: the Berth-Min-Position that was sent
    replayed           the header Idempotent-Replayed
    attempt            1 for the first sending of a key; the same key sent again is another line with the same key
    abandoned          this client closed the connection without reading
    strong             of a read: min_position is at least the newest position that any operation had been told that ended before this one began
    error              why there is no answer
"""
import json
import threading

STATES = {"free": "f", "held": "h", "booked": "b", "blocked": "x"}


class History:
    """One client's file. A line is flushed as it is written, so that a run that is killed keeps what it knew. Any thread."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.lock = threading.Lock()
        self.count = 0

    def write(self, operation):
        line = json.dumps(operation, separators=(",", ":"))
        with self.lock:
            self.file.write(line + "\n")
            self.file.flush()
            self.count += 1

    def close(self):
        with self.lock:
            self.file.close()


def shortened(answer):
    """A seat map of 500 seats is 30 KB; what matters of it is a letter a seat."""
    if not isinstance(answer, dict) or "seats" not in answer or "free" not in answer:
        return answer
    short = {name: value for name, value in answer.items() if name not in ("seats", "sections")}
    short["states"] = "".join(STATES.get(seat.get("state"), "?") for seat in answer["seats"])
    short["section_free"] = {section["name"]: section["free"] for section in answer.get("sections", [])}
    return short
