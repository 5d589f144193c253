"""rule - the fast-forward rule of docs/protocol.md section 1, written from that page, and why a record is void."""
import dataclasses
import hashlib

ZERO = bytes(16)
LOG_KEY = b"@log"


def partition_of(key, partitions):
    """Kafka's murmur2 partitioner, as the Java client computes it."""
    mask, length = 0xFFFFFFFF, len(key)
    h = (0x9747B28C ^ length) & mask
    for at in range(0, length - length % 4, 4):
        k = int.from_bytes(key[at:at + 4], "little") * 0x5BD1E995 & mask
        k = (k ^ k >> 24) * 0x5BD1E995 & mask
        h = h * 0x5BD1E995 & mask ^ k
    rest = key[length - length % 4:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & mask
    h = (h ^ h >> 13) * 0x5BD1E995 & mask
    h ^= h >> 15
    return (h & 0x7FFFFFFF) % partitions


def digest_of_parts(*parts):
    """The first 16 bytes of SHA-256 over the parts, each preceded by its size as a 4-byte big-endian number."""
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()[:16]


def record_id(key, value):
    return hashlib.sha256(len(key).to_bytes(4, "big") + key + value).digest()[:16]


@dataclasses.dataclass
class Record:
    """One record as it lies in a partition; the fields from `valid` on are what the rule says of it."""

    offset: int
    key: bytes | None
    value: bytes | None
    valid: bool = False
    id: bytes = ZERO
    void_cause: str = ""
    event: object = None  # (name, fields) once decoded; of a valid record only


@dataclasses.dataclass
class Chain:
    """What a reader keeps of a partition, and the records with their verdicts."""

    partition: int
    records: list
    head: bytes = ZERO
    height: int = 0
    void_count: int = 0
    log_time: int = 0
    jumps: list = dataclasses.field(default_factory=list)

    @property
    def next_offset(self):
        return self.records[-1].offset + 1 if self.records else 0

    def at(self, offset):
        """The record at an offset; None outside. Offsets are dense, or there are jumps, and those are violations."""
        if not self.records:
            return None
        index = offset - self.records[0].offset
        if 0 <= index < len(self.records) and self.records[index].offset == offset:
            return self.records[index]
        return next((record for record in self.records if record.offset == offset), None)


def is_well_formed(record):
    return record.key is not None and record.value is not None and len(record.value) >= 21 and record.value[0] == 0


def apply(partition, records):
    """Sets what the rule says of each record. Causes of void ones:

    malformed        no key, no value, under 21 bytes, or a first byte that is not 0
    stale_duplicate  a copy of a record that is valid earlier
    duplicate        a copy of a record that is void earlier
    zombie           its writer had not folded an OwnerTookOver that stands valid before it, and that is no descendant of its parent's own takeover
    child_of_void    its parent is void, or is not in the log
    foreign_parent   its parent is valid, but not the head any more: it lost a race
    """
    chain = Chain(partition, records)
    expected, places, void_ids, takeover_at = 0, {ZERO: -1}, set(), -1
    for record in records:
        if record.offset != expected:
            chain.jumps.append((expected, record.offset))
        expected = record.offset + 1
        if not is_well_formed(record):
            record.void_cause = "malformed"
        else:
            parent, record.id = record.value[5:21], record_id(record.key, record.value)
            if parent == chain.head:
                record.valid = True
                places[record.id] = record.offset
                chain.head, chain.height = record.id, chain.height + 1
                if record.key == LOG_KEY and is_takeover(record.value):
                    takeover_at = record.offset
            elif record.id in places:
                record.void_cause = "stale_duplicate"
            elif record.id in void_ids:
                record.void_cause = "duplicate"
            elif parent not in places:
                record.void_cause = "child_of_void"
            else:
                record.void_cause = "zombie" if places[parent] < takeover_at else "foreign_parent"
        if not record.valid:
            void_ids.add(record.id)
            chain.void_count += 1
    return chain


TAKEOVER_IDS = {3}  # rows of schemas/ids.tsv; avro.Schemas sets it from there


def is_takeover(value):
    return int.from_bytes(value[1:5], "big") in TAKEOVER_IDS
