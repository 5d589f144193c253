"""reads - what the query API showed: of some moment of the log that is not before the token that was sent, and not after the read ended."""
import bisect

from .answers import seats_shown, time_of
from .commands import check_token

FIELDS = {"read_hold": "holds", "read_booking": "bookings"}


class Reads:
    def __init__(self, operations, timelines, partition_of, report):
        self.operations = [op for op in operations if op.key is None]
        self.timelines, self.partition_of, self.report = timelines, partition_of, report

    def prepare(self, folds):
        for op in self.operations:
            if op.op == "read" and op.status == 200:
                folds[self.partition_of(op.trip)].maps[op.trip, op.answer["version"]].append(op)

    def judge(self, folds, chains):
        for op in self.operations:
            fold = folds[self.partition_of(op.trip)]
            if op.position:
                check_token(op, op.position, chains, self.report)
            if op.status == 409:
                self.report.violation("token-refused", f"a read with {op.min_position} was told {op.problem}", operation=op)
            elif op.status is None or op.status >= 429:
                self.report.count("reads_not_served")
            elif op.op == "read" and op.status == 200:
                self._judge_map(op, fold)
            elif op.op in FIELDS:
                self._judge_row(op, fold)

    def _token(self, op):
        """The offset that the read must not be from before; -1: none."""
        return op.min_position[1] if op.min_position and op.min_position[0] == self.partition_of(op.trip) else -1

    def _judge_map(self, op, fold):
        offsets, version = fold.version_offsets[op.trip], op.answer["version"]
        if not 1 <= version <= len(offsets):
            return  # the fold has said so
        begins = offsets[version - 1]
        ends = offsets[version] - 1 if version < len(offsets) else 1 << 62
        self._judge_interval(op, begins, ends, f"version {version}")
        if op.position and not begins <= op.position[1] <= ends:
            self.report.violation("read-position-differs", f"version {version} stands from {begins} to {ends}, the answer says {op.position[1]}", operation=op)

    def _judge_interval(self, op, begins, ends, what):
        """What was shown stood in the log from one offset to another."""
        token, last = self._token(op), self.timelines[self.partition_of(op.trip)].last_possible_at(op.end)
        if token >= 0:
            self.report.count("token_reads")
        if ends < token:
            self.report.violation("token-broken", f"{what} ended at {ends}, the token was {token}", operation=op)
        if begins > last:
            self.report.violation("read-of-the-future", f"{what} began at {begins}, and nothing after {last} was asked for when the read ended", operation=op)

    def _judge_row(self, op, fold):
        table = FIELDS[op.op]
        rows = fold.rows.get((table, op.target), [])
        if op.status == 404:
            if rows and rows[0]["offset"] <= self._token(op):
                self.report.violation("token-broken", f"there is no such row, but since {rows[0]['offset']} there is; the token was {self._token(op)}", operation=op)
            return
        if op.status != 200 or fold.trips[op.trip.encode()].status == "cancelled":
            self.report.count("reads_not_judged")
            return
        index = bisect.bisect_left([row["version"] for row in rows], op.answer["version"])
        if index == len(rows) or rows[index]["version"] != op.answer["version"]:
            self.report.violation("read-of-nothing", f"no row has version {op.answer['version']}", operation=op)
            return
        self.report.count("reads_judged")
        row = rows[index]
        self._judge_interval(op, row["offset"], rows[index + 1]["offset"] - 1 if index + 1 < len(rows) else 1 << 62, f"row version {row['version']}")
        trip, answer = fold.trips[op.trip.encode()], op.answer
        status = "booked" if table == "bookings" and row["status"] == "confirmed" else row["status"]
        expected = {"trip": row["trip"], "customer": row["customer"], "status": status, "from": trip.points[row["from"]]["stop"], "to": trip.points[row["to"]]["stop"],
                    "seats": seats_shown(trip, row["places"])}  # fmt: skip
        told = {name: answer.get(name) for name in expected}
        told["seats"] = [{"section": seat["section"], "seat": seat["seat"]} for seat in answer.get("seats", [])]
        times = [name for name in ("held_at", "expires_at", "booked_at", "changed_at") if name in row]
        if told != expected or any(time_of(answer[name]) != row[name] for name in times):
            self.report.violation("wrong-read", f"{table} row version {row['version']}", operation=op, told=told, fold=expected)
