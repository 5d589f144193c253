"""The gate: each mistake in a schema, and each change that would break an old reader or an old log, is a build error that
names the file and the JSON path and says what to do.

usage: test_gate.py SCHEMAC SCHEMAS_FOLDER
"""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCHEMAC, SCHEMAS = sys.argv[1], pathlib.Path(sys.argv[2])


def field(name, kind, **more):
    ceilings = {"max": "berth.max", "item_max": "berth.item.max"}
    return {"name": name, "type": kind, "doc": "A field.", **{ceilings.get(key, key): value for key, value in more.items()}}


def array(items):
    return {"type": "array", "items": items}


def record(name, *fields, **more):
    return {"type": "record", "name": name, **more, "fields": list(fields)}


META = json.loads((SCHEMAS / "Meta.avsc").read_text())


class Folder:
    """schemas/ with one kind, demo, of one event, Sold, frozen once."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        (self.path / "demo/events").mkdir(parents=True)
        (self.path / "demo/commands").mkdir()
        (self.path / "Meta.avsc").write_text(json.dumps(META))
        (self.path / "ids.tsv").write_text("# ids\n")
        self.fields = [field("meta", META), field("seat", "int"), field("note", "string", max=20, default="")]
        self.fields.append(field("places", array(record("Place", field("row", "int"), field("label", "string", max=9, default=""))), max=8))

    def write(self, members=None, name="Sold", where="demo/events", **more):
        schema = record(name, *(self.fields if members is None else members), namespace="berth.demo", doc="It was sold.")
        schema.update(more)
        (self.path / where / f"{name}.avsc").write_text(json.dumps({key: value for key, value in schema.items() if value is not None}))

    def run(self, *arguments):
        done = subprocess.run([SCHEMAC, "--schemas", str(self.path), *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr.replace(str(self.path) + "/", "")


class GateTest(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = Folder(held.name)
        self.folder.write()
        self.assertEqual(self.folder.run("--freeze"), (0, ""))
        self.assertEqual(self.folder.run("--check"), (0, ""))

    def refused(self, path, why, *arguments, file="demo/events/Sold.avsc"):
        code, said = self.folder.run(*(arguments or ("--check",)))
        self.assertEqual(code, 1, said)
        self.assertIn(f"{file}: {path}: " if path else f"{file}: ", said)
        self.assertIn(why, said)

    def with_last(self, last):
        self.folder.write(self.folder.fields + [last])

    # mistakes in one schema

    def test_a_mistake_in_a_field__is_an_error_at_its_path(self):
        cases = [
            (field("x", "integer"), "$.fields[4].type", "unknown type \"integer\""),
            (field("x", "double"), "$.fields[4].type", "unknown type"),
            (field("x", {"type": "map", "values": "int"}), "$.fields[4].type", "map is not supported"),
            (field("x", {"type": "enum", "name": "E", "symbols": ["A"]}), "$.fields[4].type", "enum is not supported"),
            (field("x", ["null", "int", "string"]), "$.fields[4].type", "the only union is"),
            (field("x", ["int", "null"]), "$.fields[4].type", "the only union is"),
            (field("x", array(array("int")), max=3), "$.fields[4].type.items", "an array of arrays"),
            (field("x", array(["null", "int"]), max=3), "$.fields[4].type.items[1]", "only strings may be null in an array"),
            (field("x", {"type": "fixed", "name": "F", "size": 8}), "$.fields[4].type", "the only fixed type is berth.Id"),
            (field("x", {"type": "long", "logicalType": "date"}), "$.fields[4].type", "the only logical type is timestamp-micros"),
            (field("x", "string"), "$.fields[4]", "needs \"berth.max\""),
            (field("x", "string", max=0), "$.fields[4]", "needs \"berth.max\""),
            (field("x", "string", max=2**20 + 1), "$.fields[4]", "1 to 1048576"),
            (field("x", array("string"), max=3), "$.fields[4]", "needs \"berth.item.max\""),
            (field("x", "int", max=3), "$.fields[4]", "\"berth.max\" means nothing here"),
            (field("x", "int", defualt=3), "$.fields[4]", "attribute \"defualt\" is not supported here"),
            (field("x", "int", aliases=["y"]), "$.fields[4]", "attribute \"aliases\""),
            (field("x", "int", default="3"), "$.fields[4]", "bad default"),
            (field("x", "int", default=2**31), "$.fields[4]", "bad default"),
            (field("x", ["null", "int"], default=3), "$.fields[4]", "bad default"),
            (field("x", array("int"), max=3, default=[1]), "$.fields[4]", "bad default"),
            (field("x", "string", max=3, default="long"), "$.fields[4]", "bad default"),
            (field("seat", "int"), "$.fields[4]", "field seat clashes with seat"),
            (field("places_count", "int"), "$.fields[4]", "places_count clashes with places"),
            (field("switch", "int"), "$.fields[4]", "\"switch\" is a word of C"),
            (field("Seat", "int"), "$.fields[4]", "a field's name is"),
            (field("x" * 65, "int"), "$.fields[4]", "at most 64 characters"),
            (field("x", "int", doc=""), "$.fields[4]", "field x needs a \"doc\""),
            (field("x", "int", doc="a */ b"), "$.fields[4]", "becomes a C comment"),
            ({"name": "x", "doc": "A field."}, "$.fields[4]", "field x needs a \"type\""),
            (field("x", record("Sold")), "$.fields[4].type", "record Sold is declared twice"),
            (field("x", "Sold"), "$.fields[4].type", "record Sold cannot hold itself"),
            (field("x", record("Deep", field("y", "nothing"))), "$.fields[4].type.fields[0].type", "unknown type \"nothing\""),
            (field("x", record("other", field("y", "int"))), "$.fields[4].type", "a record's name is"),
            (field("x", record("Far", field("y", "int"), namespace="berth.far")), "$.fields[4].type", "is of another kind"),
            ("x", "$.fields[4]", "not a field"),
        ]
        for last, path, why in cases:
            with self.subTest(field=last):
                self.with_last(last)
                self.refused(path, why)

    def test_a_mistake_in_the_record__is_an_error(self):
        cases = [
            ({"doc": None}, "$", "record Sold needs a \"doc\""),
            ({"fields": None}, "$", "record Sold needs \"fields\""),
            ({"namespace": "berth.other"}, "$", "its place says berth.demo.Sold"),
            ({"namespace": "else"}, "$", "the namespace is berth.<kind>"),
            ({"type": "enum"}, "$", "a schema is one record"),
            ({"aliases": ["Old"]}, "$", "attribute \"aliases\""),
        ]
        for change, path, why in cases:
            with self.subTest(change=change):
                self.folder.write(**change)
                self.refused(path, why)

    def test_a_record_in_many_records__is_refused_at_a_depth(self):
        deep = record("R0", field("x", "int"))
        for level in range(1, 12):
            deep = record(f"R{level}", field("x", deep))
        self.with_last(field("x", deep))
        self.refused(None, "records nest deeper than 8")

    def test_text_that_is_not_json__is_an_error_with_its_line(self):
        (self.folder.path / "demo/events/Sold.avsc").write_text('{\n  "type": "record",\n  "name": }')
        self.refused(None, "demo/events/Sold.avsc:3:11: $: not JSON", file="")

    def test_an_attribute_given_twice__is_an_error(self):
        (self.folder.path / "demo/events/Sold.avsc").write_text('{"type": "record", "type": "record"}')
        self.refused(None, "duplicate object key", file="")

    def test_an_event_without_meta__and_a_command_with_it__are_errors(self):
        self.folder.write(self.folder.fields[1:])
        self.refused("$.fields[0]", "an event's first field is \"meta\"")
        self.folder.write()
        self.folder.write(self.folder.fields[:1], name="Sell", where="demo/commands")
        self.refused("$.fields[0]", "a command has no meta", file="demo/commands/Sell.avsc")

    def test_a_meta_that_differs__is_an_error(self):
        changed = copy.deepcopy(META)
        changed["fields"][5]["berth.max"] = 81
        self.folder.write([field("meta", changed)] + self.folder.fields[1:])
        self.refused("$.fields[0].type.fields[5]", "is frozen in place")
        (self.folder.path / "Meta.avsc").write_text(json.dumps(changed))
        self.refused("$", "Meta is frozen", file="Meta.avsc")

    def test_a_nested_record_that_differs_between_files__is_an_error(self):
        other = record("Place", field("row", "int"), field("label", "string", max=10, default=""))
        self.folder.write([field("places", array(other), max=8)], name="Sell", where="demo/commands")
        self.refused("$.fields[0].type.items.fields[1]", "differs from its declaration in another schema", file="demo/commands/Sell.avsc")

    # the gate

    def test_a_breaking_change__fails_the_build_and_cannot_be_frozen(self):
        fields = self.folder.fields
        place = fields[3]["type"]["items"]
        place_without_row = record("Place", place["fields"][1])
        place_with_more = record("Place", *place["fields"], field("new", "int"))
        now, then = "demo/events/Sold.avsc", "demo/past/Sold.v1.avsc"  # which of the two cannot read the other

        def instead_of(index, changed):
            return fields[:index] + [changed] + fields[index + 1:]

        items = "$.fields[3].type.items.fields"
        cases = [
            (fields + [field("new", "int")], "$.fields[4]", "new is not in", now),
            (fields[:1] + fields[2:], "$.fields[1]", "seat is not in", then),
            (instead_of(1, field("chair", "int", default=0)), "$.fields[1]", "seat is not in", then),
            (instead_of(1, field("seat", "long")), "$.fields[1]", "seat is int, and cannot read long", then),
            (instead_of(1, field("seat", "boolean")), "$.fields[1]", "seat is boolean, and cannot read int", now),
            (instead_of(1, field("seat", ["null", "int"], default=None)), "$.fields[1]", "cannot read a null", then),
            (instead_of(2, field("note", "string", max=19, default="")), "$.fields[2]", "the ceiling of note is lower", now),
            (instead_of(2, field("note", "string", max=21, default="")), "$.fields[2]", "the ceiling of note is lower", then),
            (instead_of(3, field("places", array(place_without_row), max=8)), f"{items}[0]", "row is not in", then),
            (instead_of(3, field("places", array(place_with_more), max=8)), f"{items}[2]", "new is not in", now),
        ]
        before = (self.folder.path / "ids.tsv").read_text()
        for changed, path, why, file in cases:
            with self.subTest(why=why):
                self.folder.write(changed)
                self.refused(path, why, file=file)
                self.refused(path, why, "--freeze", file=file)
                self.refused(path, why, "--out", str(self.folder.path), file=file)
        self.assertEqual((self.folder.path / "ids.tsv").read_text(), before)

    def test_a_compatible_change__asks_to_be_frozen__and_then_builds(self):
        self.with_last(field("new", "int", default=0))
        self.refused("$", "--freeze to make version 2")
        self.assertEqual(self.folder.run("--freeze"), (0, ""))
        self.assertEqual(self.folder.run("--check"), (0, ""))
        self.assertIn("2\tberth.demo-berth.demo.Sold\t2\tdemo/past/Sold.v2.avsc\t", (self.folder.path / "ids.tsv").read_text())

    def test_a_change_that_fits_the_last_version_but_not_the_first__is_refused(self):
        fields = self.folder.fields
        self.folder.write(fields[:2] + fields[3:])
        self.assertEqual(self.folder.run("--freeze"), (0, ""))
        self.folder.write(fields[:2] + [field("note", "int", default=0)] + fields[3:])
        self.refused("$.fields[2]", "note is int, and cannot read string")

    def test_a_new_event__asks_for_an_id(self):
        self.folder.write(name="Lost")
        self.refused("$", "has no id yet", file="demo/events/Lost.avsc")

    def test_a_removed_event__is_refused(self):
        (self.folder.path / "demo/events/Sold.avsc").unlink()
        self.refused("line 2", "is never removed", file="ids.tsv")

    def test_a_frozen_text_that_was_changed__is_refused(self):
        path = self.folder.path / "demo/past/Sold.v1.avsc"
        path.write_text(path.read_text().replace("It was sold.", "It was sould."))
        self.refused(None, "is frozen and was changed", file="demo/past/Sold.v1.avsc")

    def test_rows_that_were_moved_or_cut__are_refused(self):
        path = self.folder.path / "ids.tsv"
        row = path.read_text()
        cases = [
            (row.replace("\n1\t", "\n2\t"), "id 2 is not the next"),
            (row.replace("\t1\tdemo", "\t2\tdemo"), "version 2 of"),
            (row.replace("\tdemo/past/Sold.v1.avsc", ""), "needs five cells"),
            (row.replace(".v1.avsc", ".v9.avsc"), "No such file"),
        ]
        for changed, why in cases:
            with self.subTest(why=why):
                path.write_text(changed)
                self.refused(None, why, file="")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
