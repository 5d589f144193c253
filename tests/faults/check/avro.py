"""avro - events decoded by fastavro with the registered texts; the prefix in front of them by hand (docs/protocol.md section 2)."""
import io
import json
import pathlib

import fastavro

from . import rule

SCHEMAS = pathlib.Path(__file__).resolve().parents[3] / "schemas"


class Schemas:
    """ids.tsv and the frozen texts that it names."""

    def __init__(self, folder=SCHEMAS):
        self.names, self.parsed = {}, {}
        for line in open(folder / "ids.tsv", encoding="utf-8"):
            if line.startswith("#") or not line.strip():
                continue
            number, subject, _, path, _ = line.rstrip("\n").split("\t")
            text = json.loads((folder / path).read_text(encoding="utf-8"))
            self.names[int(number)] = subject.rpartition(".")[2]
            self.parsed[int(number)] = fastavro.parse_schema(text, named_schemas={})
        rule.TAKEOVER_IDS = {number for number, name in self.names.items() if name == "OwnerTookOver"}

    def decode(self, value):
        """(name, fields); raises ValueError for what no registered schema reads."""
        number = int.from_bytes(value[1:5], "big")
        if value[0] != 0 or number not in self.parsed:
            raise ValueError(f"schema {number} is not registered")
        body = io.BytesIO(value[5:])
        try:
            fields = fastavro.schemaless_reader(body, self.parsed[number], None)
        except (EOFError, IndexError, KeyError, UnicodeDecodeError, OverflowError, TypeError) as reason:
            raise ValueError(f"{self.names[number]}: {type(reason).__name__} {reason}") from reason
        if body.read(1):
            raise ValueError(f"{self.names[number]}: bytes after its end")
        return self.names[number], fields

    def encode(self, name, fields):
        """The value of an event, for made-up logs in the checker's own tests."""
        number = max(number for number, known in self.names.items() if known == name)
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self.parsed[number], fields)
        return b"\0" + number.to_bytes(4, "big") + body.getvalue()


def microseconds(time):
    """fastavro gives timestamps as datetimes in UTC; all of ours are counted."""
    if isinstance(time, int):
        return time
    whole = int(time.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + time.microsecond
