"""segments - a partition as it lies on a broker's disk, while the broker is down: its records, and how to cut them off.

Kafka writes record batches one after the other (base offset 8 bytes, length 4, …, magic 2), and a killed broker's are all there: what it had taken is in
the files, for the machine goes on. So this says what a log held when its brokers ended, to the last record, which nobody could have read in time.
"""
import pathlib
import struct

from .check.rule import Record

HEADER = 61  # of a batch: up to its first record
COMPRESSED, CONTROL = 0x07, 0x20


def read(folder):
    """[Record] of a partition's folder. None of our writers compresses, and none has transactions."""
    records = []
    for segment in sorted(pathlib.Path(folder).glob("*.log")):
        data, at = segment.read_bytes(), 0
        while at + HEADER <= len(data):
            base, length = struct.unpack_from(">qi", data, at)
            if length <= 0 or at + 12 + length > len(data):
                break  # a batch that was cut short is none
            attributes, = struct.unpack_from(">h", data, at + 21)
            count, = struct.unpack_from(">i", data, at + 57)
            if attributes & (COMPRESSED | CONTROL):
                raise ValueError(f"{segment} at byte {at}: a batch with attributes {attributes}")
            records += batch(data, at + HEADER, base, count)
            at += 12 + length
    return records


def batch(data, at, base, count):
    found = []
    for _ in range(count):
        size, at = varint(data, at)
        end = at + size
        _, at = varint(data, at + 1)  # past its attributes: the time
        offset, at = varint(data, at)
        key, at = sized(data, at)
        value, at = sized(data, at)
        found.append(Record(base + offset, key, value))
        at = end
    return found


def sized(data, at):
    size, at = varint(data, at)
    return (None, at) if size < 0 else (data[at:at + size], at + size)


def varint(data, at):
    shift = value = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value >> 1 ^ -(value & 1), at


def truncate(folder, offset):
    """Cuts a partition's files before the first batch that holds `offset` or more; returns how many bytes went. Indexes and what hangs on them are made anew."""
    segments, lost = sorted(pathlib.Path(folder).glob("*.log")), 0
    for segment in segments:
        keep = batches_end_before(segment.read_bytes(), offset)
        lost += segment.stat().st_size - keep
        if keep == 0 and segment is not segments[0]:
            segment.unlink()
        else:
            with open(segment, "r+b") as file:
                file.truncate(keep)
    forget_indexes(folder)
    return lost


def forget_indexes(folder):
    for pattern in ("*.index", "*.timeindex", "*.snapshot", "leader-epoch-checkpoint"):
        for path in pathlib.Path(folder).glob(pattern):
            path.unlink()


def take_out(folder, offset):
    """(place in the file, bytes) of the batch that holds this record; there is one segment."""
    segment, = pathlib.Path(folder).glob("*.log")
    data = segment.read_bytes()
    begin = batches_end_before(data, offset)
    end = begin + 12 + struct.unpack_from(">i", data, begin + 8)[0]
    segment.write_bytes(data[:begin] + data[end:])
    forget_indexes(folder)
    return begin, data[begin:end]


def put_back(folder, taken):
    segment, = pathlib.Path(folder).glob("*.log")
    begin, batch = taken
    data = segment.read_bytes()
    segment.write_bytes(data[:begin] + batch + data[begin:])
    forget_indexes(folder)


def batches_end_before(data, offset):
    """The size of the leading batches whose records all stand before `offset`: base offset (8 bytes), length (4), …, last offset's delta at byte 23."""
    at = 0
    while at + 27 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        last_delta = struct.unpack_from(">i", data, at + 23)[0]
        if length <= 0 or base + last_delta >= offset:
            break
        at += 12 + length
    return at
