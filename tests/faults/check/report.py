"""report - violations with their evidence, and counters, gathered over a check."""
import collections

SHOWN_MAX = 50


class Report:
    """A kind is a stable name; evidence is anything that JSON can say."""

    def __init__(self):
        self.violations = []
        self.by_kind = collections.Counter()
        self.counters = collections.Counter()

    def violation(self, kind, what, **evidence):
        self.by_kind[kind] += 1
        if self.by_kind[kind] <= SHOWN_MAX:
            self.violations.append({"kind": kind, "what": what, **{name: plain(value) for name, value in evidence.items()}})

    def count(self, name, by=1):
        self.counters[name] += by

    def as_dict(self):
        voids = {name.removeprefix("void_"): count for name, count in self.counters.items() if name.startswith("void_")}
        self.counters["zombie_appends"] = voids.get("zombie", 0)
        return {"violations": self.violations, "violations_by_kind": dict(self.by_kind), "violation_count": sum(self.by_kind.values()),
                "counters": {**dict(sorted(self.counters.items())), "voids": voids}}  # fmt: skip


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value if value is None or isinstance(value, (int, float, str, bool)) else str(value)
