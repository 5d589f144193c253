"""Our codec against fastavro: the same bytes for the same values in both directions, and the same resolution of old versions.

usage: test_fastavro.py CODEC_PIPE SCHEMAS_FOLDER
fastavro stands for every reader that is not ours: an analyst's consumer resolves old versions as it does.
"""
import datetime
import io
import json
import pathlib
import random
import subprocess
import sys

import fastavro

ROUNDS = 200


class Version:
    """A row of ids.tsv: the frozen text, parsed twice, with and without times as datetimes (which cannot hold every long)."""

    def __init__(self, folder, row):
        self.id, self.subject, self.number, path = int(row[0]), row[1], int(row[2]), row[3]
        self.schema = json.loads((folder / path).read_text())
        self.wire = fastavro.parse_schema(without_logical_types(self.schema))
        self.named = {}
        collect_names(self.schema, "", self.named)


def without_logical_types(node):
    if isinstance(node, dict):
        return {key: without_logical_types(value) for key, value in node.items() if key != "logicalType"}
    return [without_logical_types(item) for item in node] if isinstance(node, list) else node


def collect_names(node, namespace, named):
    if isinstance(node, list):
        for item in node:
            collect_names(item, namespace, named)
    elif isinstance(node, dict):
        namespace = node.get("namespace", namespace)
        if node["type"] in ("record", "fixed"):
            named[f"{namespace}.{node['name']}"] = named[node["name"]] = node
        for field in node.get("fields", []):
            collect_names(field["type"], namespace, named)
        collect_names(node.get("items", []), namespace, named)


def time_text(time_us):
    seconds, micros = divmod(time_us, 1_000_000)
    text = (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{micros:06}" if micros else "") + "Z"


def resolve(version, node):
    """The type itself: a name's declaration, or a union's T. Also whether it was ["null", T]."""
    if isinstance(node, list):
        return resolve(version, node[1])[0], True
    if isinstance(node, str):
        return version.named.get(node, {"type": node}), False
    return node, False


def json_form(version, node, value):
    """What bt_record_to_json would say of this value."""
    node, _ = resolve(version, node)
    if value is None:
        return None
    if node["type"] == "record":
        form = {field["name"]: json_form(version, field["type"], value[field["name"]]) for field in node["fields"]}
        return {name: item for name, item in form.items() if item is not None}
    if node["type"] == "array":
        return [json_form(version, node["items"], item) for item in value]
    if node["type"] in ("bytes", "fixed"):
        return value.hex()
    return time_text(value) if node.get("logicalType") == "timestamp-micros" else value


def random_text(chance, size_max):
    text = "".join(chance.choice("aZ0 \"\\\n\u00f6\u20ac\U0001f686") for _ in range(chance.choice([0, 1, 3, size_max])))
    while len(text.encode()) > size_max:
        text = text[:-1]
    return text


def random_value(chance, version, node, ceilings):
    node, optional = resolve(version, node)
    if optional and chance.random() < 0.4:
        return None
    kind = node["type"]
    if kind == "record":
        return {field["name"]: random_value(chance, version, field["type"], field) for field in node["fields"]}
    if kind == "array":
        count = chance.choice([0, 1, 2, min(ceilings["berth.max"], 12)])
        return [random_value(chance, version, node["items"], {"berth.max": ceilings.get("berth.item.max")}) for _ in range(count)]
    if kind == "boolean":
        return chance.random() < 0.5
    if kind == "string":
        return random_text(chance, ceilings["berth.max"])
    if kind == "bytes":
        return chance.randbytes(chance.choice([0, 1, ceilings["berth.max"]]))
    if kind == "fixed":
        return chance.randbytes(node["size"])
    if node.get("logicalType") == "timestamp-micros":
        return chance.randrange(4_000_000_000_000_000)
    bits = 31 if kind == "int" else 63
    return chance.choice([0, 1, -1, 63, -64, 64, -65, 2**bits - 1, -(2**bits), chance.randrange(-(2**bits), 2**bits)])


def encoded(version, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, version.wire, value)
    return out.getvalue()


def decoded(writer, reader, data):
    source = io.BytesIO(data)
    value = fastavro.schemaless_reader(source, writer.wire, reader.wire)
    assert source.read() == b"", "fastavro left bytes unread"
    return value


def ours_to_fastavro(pipe, versions):
    lines = subprocess.run([pipe, "emit", str(ROUNDS), "1"], check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
    for line in lines:
        number, text, form = line.split("\t")
        version = versions[int(number)]
        value = decoded(version, version, bytes.fromhex(text))
        assert json_form(version, version.schema, value) == json.loads(form), (version.subject, line)
        assert encoded(version, value).hex() == text, (version.subject, text)
    return len(lines)


def fastavro_to_ours(pipe, versions, newest):
    chance = random.Random(1)
    writers = [version for version in versions.values() for _ in range(ROUNDS)]
    sent = [(version, encoded(version, random_value(chance, version, version.schema, {}))) for version in writers]
    feed = "".join(f"{version.id}\t{data.hex()}\n" for version, data in sent)
    answers = subprocess.run([pipe, "absorb"], input=feed, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
    assert len(answers) == len(sent)
    for (version, data), answer in zip(sent, answers):
        reader = newest[version.subject]
        what = f"{version.subject} version {version.number} as {reader.number}: {data.hex()}: {answer}"
        assert answer.startswith("ok\t"), what
        _, form, again = answer.split("\t")
        value = decoded(version, reader, data)
        assert json_form(reader, reader.schema, value) == json.loads(form), what
        assert encoded(reader, value).hex() == again, what
    return len(sent)


def main():
    pipe, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    rows = [line.split("\t") for line in (folder / "ids.tsv").read_text().splitlines() if line and not line.startswith("#")]
    versions = {int(row[0]): Version(folder, row) for row in rows}
    newest = {version.subject: version for version in versions.values()}
    print(f"{len(versions)} versions of {len(newest)} events")
    print(f"{ours_to_fastavro(pipe, versions)} values read by fastavro and written again: equal")
    print(f"{fastavro_to_ours(pipe, versions, newest)} values of all versions read by us, resolved as fastavro does: equal")


if __name__ == "__main__":
    main()
