"""From a summary and the histories to what a person reads: figures of each phase, a table, and a plot that needs nothing but a browser."""
import html
import json
import math
import pathlib

from .parts import TOP

DOCUMENT = TOP / "docs/reliability.md"
BEGIN, END = "<!-- the last full run: written by ./dev faults --full --document -->", "<!-- end of the last full run -->"
COMMANDS = {"hold", "confirm", "release", "extend", "change", "cancel", "open"}


def operations(folder):
    """All lines of the histories; one that a killed process left half written is left out."""
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        for line in open(path, encoding="utf-8"):
            try:
                yield json.loads(line)
            except ValueError:
                continue


def add_history(summary, cluster):
    """Adds to each phase its operations by outcome and the longest unavailability, and to the summary a figure for each second."""
    from .check.rule import partition_of
    from .clients.load import outcome_of

    began, phases = summary["began"]["ns"], summary["phases"]
    length = math.ceil(max((phase["end_s"] for phase in phases), default=0)) + 1
    seconds = [{"ok": 0, "fail": 0, "unknown": 0, "latencies": []} for _ in range(length)]
    answered, totals = {}, {"ok": 0, "fail": 0, "unknown": 0}
    for phase in phases:
        phase["ops"] = {"ok": 0, "fail": 0, "unknown": 0}
    for operation in operations(cluster.run / "history"):
        at = (operation["end_ns"] - began) / 1e9
        outcome = "ok" if is_decided(operation) else outcome_of(operation)
        totals[outcome] += 1
        for phase in phases:
            if phase["begin_s"] <= at < phase["end_s"]:
                phase["ops"][outcome] += 1
        if 0 <= at < length:
            seconds[int(at)][outcome] += 1
            if outcome == "ok" and operation["op"] in COMMANDS:
                seconds[int(at)]["latencies"].append((operation["end_ns"] - operation["begin_ns"]) / 1e6)
        if operation["op"] in COMMANDS and operation["trip"]:
            partition = partition_of(operation["trip"].encode(), cluster.partitions)
            if is_decided(operation):
                answered.setdefault(partition, []).append(at)
            note_cut(summary, partition, operation)
    unavailability(phases, answered)
    summary["ops"] = totals
    summary["per_second"] = [{**{name: second[name] for name in ("ok", "fail", "unknown")}, "p50_ms": quantile(second["latencies"], 0.5),
                              "p99_ms": quantile(second["latencies"], 0.99)} for second in seconds]  # fmt: skip


def add_records(summary, cluster):
    """Adds to each phase the takeovers and void records that its stretch of the log holds, by the checker's own rule."""
    from .check import rule, topics

    bounds = [phase.pop("ends", {}) for phase in summary["phases"]]
    for phase in summary["phases"]:
        phase["takeovers"], phase["voids"] = 0, 0
    for partition, records in topics.load(cluster.run / "topics", "berth.trip").items():
        for record in rule.apply(partition, records).records:
            phase = phase_of_offset(summary["phases"], bounds, str(partition), record.offset)
            if phase and not record.valid:
                phase["voids"] += 1
            elif phase and record.key == rule.LOG_KEY and rule.is_takeover(record.value):
                phase["takeovers"] += 1


def phase_of_offset(phases, bounds, partition, offset):
    return next((phase for phase, ends in zip(phases, bounds) if offset < ends.get(partition, 0)), None)


def is_decided(operation):
    """A verdict, for or against: the system did its work."""
    status = operation["status"]
    return status is not None and status < 500 and status != 429


def note_cut(summary, partition, operation):
    """While a leader was cut off: what was asked of its partition, and what was refused then."""
    for cut in summary["cut_leaders"]:
        if partition == cut["partition"] and cut["begin_ns"] <= operation["begin_ns"] <= cut.get("end_ns", 0):
            cut["asked"] = cut.get("asked", 0) + 1
            if operation["status"] is not None and 400 <= operation["status"] < 500:
                cut["refused"] = cut.get("refused", 0) + 1
            elif is_decided(operation):
                cut["accepted"] = cut.get("accepted", 0) + 1


def unavailability(phases, answered):
    """The longest time without a decided command on a partition, among all partitions, told in the phase in which it began."""
    for phase in phases:
        longest = 0.0
        for times in answered.values():
            times.sort()
            for earlier, later in zip(times, times[1:]):
                if phase["begin_s"] <= earlier < phase["end_s"]:
                    longest = max(longest, later - earlier)
        phase["longest_unavailable_ms"] = round(longest * 1000)


def quantile(values, q):
    values = sorted(values)
    return round(values[min(len(values) - 1, int(q * len(values)))], 1) if values else None


def phase_violations(summary, phase):
    """Those that say when they were seen."""
    return sum(1 for violation in summary["violations"] if is_of(violation, phase))


def is_of(violation, phase):
    return phase["begin_s"] <= violation.get("at_s", -1) < phase["end_s"]


def table(summary):
    lines = ["| phase | faults | ok | failed | unknown | takeovers | void | longest unavailability | violations |", "|---|---|---|---|---|---|---|---|---|"]
    for phase in summary["phases"]:
        counts = {}
        for fault in phase["faults"]:
            if "skipped" not in fault:
                counts[fault["kind"]] = counts.get(fault["kind"], 0) + 1
        faults = ", ".join(f"{kind.replace('_', ' ')}{f' ×{count}' if count > 1 else ''}" for kind, count in counts.items()) or "none"
        ops = phase["ops"]
        lines.append(f"| {phase['name']} ({phase['end_s'] - phase['begin_s']:.0f} s) | {faults} | {ops['ok']} | {ops['fail']} | {ops['unknown']} "
                     f"| {phase.get('takeovers', '')} | {phase.get('voids', '')} | {phase['longest_unavailable_ms'] / 1000:.1f} s "
                     f"| {phase_violations(summary, phase)} |")  # fmt: skip
    ops = summary["ops"]
    lines.append(f"| all ({summary['seconds']:.0f} s) | {sum(summary['counters']['faults'].values())} | {ops['ok']} | {ops['fail']} | {ops['unknown']} "
                 f"| {summary['counters'].get('takeovers', 0)} | {total(summary['counters'].get('voids', 0))} | | {len(summary['violations'])} |")  # fmt: skip
    return "\n".join(lines)


def total(count):
    return sum(count.values()) if isinstance(count, dict) else count


# What a run tells of its counters; all of them are in summary.json.
TOLD = {
    "Provoked": ("takeovers", "voids", "zombie_appends", "resolved_unknowns_applied", "resolved_unknowns_not_applied", "key_hits", "forwarded", "producer_recreations", "snapshot_fallbacks",
                 "pipeline_drops", "settled_attempts"),
    "Checked": ("records", "acknowledged", "refusals_judged", "reads_judged", "token_reads", "linear_operations", "linear_seats", "node_digests_compared", "snapshots_compared",
                "digests_compared", "postgres_holds", "postgres_bookings", "redis_values"),
}  # fmt: skip


def shown(name, value):
    return f"{name.replace('_', ' ')} " + (", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in value.items()) or "0" if isinstance(value, dict) else f"{value}")


def text(summary):
    lines = [f"Seed {summary['seed']}, {summary['form']} form, {summary['clients']} clients, {summary['network']}, build {summary['preset']}"
             + f": **{len(summary['violations']) or 'no'} violations**"
             + (f"; vacuous: no {', no '.join(summary['vacuous'])}" if summary["vacuous"] else "") + ".", "", table(summary), ""]  # fmt: skip
    lines.append("\n\n".join(f"{what}: " + "; ".join(shown(name, summary["counters"].get(name, 0)) for name in names) + "." for what, names in TOLD.items()))
    if summary["counters"].get("proxy"):
        lines += ["", "Done by the proxies: " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(summary["counters"]["proxy"].items())) + "."]
    for cut in summary["cut_leaders"]:
        lines += ["", f"While {cut['leader']} led partition {cut['partition']} without its followers: {cut.get('asked', 0)} commands were sent to it, {cut.get('accepted', 0)} accepted, "
                      f"{cut.get('refused', 0)} refused; each refusal was checked against what was true then."]  # fmt: skip
    negative = summary["negative"]
    if negative:
        lines += ["", *negative_text(negative)]
    if summary["violations"]:
        lines += ["", "Violations:", ""] + [f"- {violation['kind']}: {violation['what']}" for violation in summary["violations"][:40]]
    return "\n".join(lines) + "\n"


def negative_text(negative):
    told = "**not as promised**" if negative["violations"] else f"noticed by all within {negative['noticed_ms'] / 1000:.0f} s of the brokers' return; all went on {negative['healed_ms'] / 1000:.0f} s after `berth log accept-loss` was called"
    lines = [f"Negative phase: partition {negative['partition']} lost {negative['checked'].get('lost_on_record', 0)} acknowledged commands on all replicas: {told}. "
             + "; ".join(f"{name.replace('_', ' ')} {value}" for counts in (negative["accepted"], negative["checked"]) for name, value in counts.items()) + ".", ""]  # fmt: skip
    return lines + [f"- {name}: {'yes' if value is True else ', '.join(value) if isinstance(value, list) else value or '**no**'}" for name, value in negative["observed"].items()]


def write(summary, folder):
    folder = pathlib.Path(folder)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    (folder / "reliability.svg").write_text(svg(summary))
    (folder / "report.md").write_text("# Fault run\n\n" + text(summary) + "\n![throughput and latency](reliability.svg)\n")


def document(summary, folder):
    """Puts this run into docs/reliability.md, between two marks; the rest of that page is written by hand."""
    page = DOCUMENT.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise RuntimeError(f"{DOCUMENT} has lost the marks between which a run is written")
    DOCUMENT.write_text(before + BEGIN + "\n" + text(summary) + END + after)
    (DOCUMENT.parent / "reliability.svg").write_text((pathlib.Path(folder) / "reliability.svg").read_text())


def last_warnings(folder, lines=6, width=300):
    """What each server warned of last: for somebody who has only what was printed."""
    said = []
    for path in sorted(pathlib.Path(folder).glob("*.log")):
        found = [line[:width] for line in path.read_text(errors="replace").splitlines() if '"level":"warn"' in line or '"level":"error"' in line or "Sanitizer" in line]
        said += [f"--- {path.name}: {len(found)} warnings and errors, the last", *found[-lines:]] if found else []
    return said


def junit(summary, path, logs):
    """For ./dev test: a case a phase, and one for what the checker found. What failed says what was found, and what the servers warned of."""
    cases = [(f"phase {phase['name']}", [found for found in summary["violations"] if is_of(found, phase)]) for phase in summary["phases"]]
    cases.append(("the independent checker finds nothing", [found for found in summary["violations"] if "at_s" not in found]))
    cases.append(("nothing that this form promises is at nought", summary["vacuous"]))
    rows = []
    for name, found in cases:
        text = "".join(f"{one['kind']}: {one['what']}\n"[:500] if isinstance(one, dict) else f"no {one}\n" for one in found[:10])
        said = f"<failure>{html.escape(text)}</failure><system-out>{html.escape(chr(10).join(last_warnings(logs)))}</system-out>" if found else ""
        rows.append(f'<testcase classname="faults" name="{html.escape(name)}">{said}</testcase>')
    failures = sum(1 for _, found in cases if found)
    pathlib.Path(path).write_text(f'<testsuite name="faults" tests="{len(cases)}" failures="{failures}">{"".join(rows)}</testsuite>\n')


# The plot: operations a second above, latency on a logarithmic scale below, phases as bands, faults as ticks.

WIDTH, LEFT, RIGHT, TOP_Y, HEIGHT, GAP = 1200, 70, 20, 75, 200, 70
COLOURS = {"ok": "#2a7f3f", "fail": "#d98b1f", "unknown": "#b3261e", "p50_ms": "#2b5fa8", "p99_ms": "#7aa6de"}


def svg(summary):
    rows, length = summary["per_second"], max(1, len(summary["per_second"]) - 1)

    def x(at_s):
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(at_s, 0), length) / length

    top = nice(max((row["ok"] + row["fail"] + row["unknown"] for row in rows), default=1))
    second = TOP_Y + HEIGHT + GAP

    def rate(count):
        return TOP_Y + HEIGHT * (1 - count / top)

    def latency(ms):
        return second + HEIGHT * (1 - (math.log10(min(max(ms, 1), 20000))) / math.log10(20000))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {second + HEIGHT + 60}" font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="15">Operations a second and latency of commands through the faults (seed {summary["seed"]}, {summary["clients"]} clients, '
           f'{len(summary["violations"])} violations)</text>']  # fmt: skip
    out += bands(summary, x, second)
    out += [line(x(0), rate(value), x(length), rate(value), "#ddd") + label(LEFT - 6, rate(value) + 4, f"{value:g}", "end") for value in (0, top / 2, top)]
    out += [line(x(0), latency(ms), x(length), latency(ms), "#ddd") + label(LEFT - 6, latency(ms) + 4, what, "end") for ms, what in ((1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1000, "1 s"), (10000, "10 s"))]
    minute = 60 if length > 180 else 10
    out += [label(x(at), second + HEIGHT + 16, f"{at // 60} min" if minute == 60 else f"{at} s", "middle") for at in range(0, length + 1, minute)]
    out.append(label(LEFT - 6, TOP_Y - 10, "a second", "end"))
    for name in ("ok", "fail", "unknown"):
        out.append(path([(x(at + 0.5), rate(row[name])) for at, row in enumerate(rows)], COLOURS[name]))
    for name in ("p99_ms", "p50_ms"):
        for part in unbroken(rows, name):
            out.append(path([(x(at + 0.5), latency(row[name])) for at, row in part], COLOURS[name]))
    out += [legend(LEFT + 10 + 220 * index, second + HEIGHT + 45, COLOURS[name], what) for index, (name, what) in enumerate((
        ("ok", "decided (accepted or refused)"), ("fail", "told: not done"), ("unknown", "no answer"), ("p50_ms", "median of commands"), ("p99_ms", "99th percentile")))]  # fmt: skip
    return "\n".join(out) + "\n</svg>\n"


def bands(summary, x, second):
    out = []
    for index, phase in enumerate(summary["phases"]):
        left, right = x(phase["begin_s"]), x(phase["end_s"])
        fill = "#f4f4f8" if index % 2 else "#fbfbfd"
        for top in (TOP_Y, second):
            out.append(f'<rect x="{left:.1f}" y="{top}" width="{max(0, right - left):.1f}" height="{HEIGHT}" fill="{fill}"/>')
        out.append(f'<text transform="translate({(left + right) / 2 + 4:.1f},{TOP_Y - 6}) rotate(-25)" fill="#444">{html.escape(phase["name"])}</text>')
        for fault in phase["faults"]:
            if "skipped" not in fault:
                at, width = x(fault["at_s"]), max(1.5, x(fault["at_s"] + fault["for_s"]) - x(fault["at_s"]))
                title = html.escape(f"{fault['kind']} of {fault['target']}, {fault['for_s']} s")
                out.append(f'<rect x="{at:.1f}" y="{TOP_Y + HEIGHT + 6}" width="{width:.1f}" height="8" fill="#b3261e" fill-opacity="0.5"><title>{title}</title></rect>')
    out.append(label(LEFT - 6, TOP_Y + HEIGHT + 14, "faults", "end"))
    return out


def unbroken(rows, name):
    """A second without an answer is a gap, not a line across it."""
    part = []
    for at, row in enumerate(rows):
        if row[name] is None:
            if part:
                yield part
            part = []
        else:
            part.append((at, row))
    if part:
        yield part


def nice(value):
    step = 10 ** math.floor(math.log10(max(value, 1)))
    return next(step * factor for factor in (1, 2, 5, 10) if step * factor >= value)


def line(x1, y1, x2, y2, colour):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def label(x, y, what, anchor):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#444">{html.escape(what)}</text>'


def path(points, colour):
    return f'<path d="{"M" if points else ""}{" L".join(f"{px:.1f},{py:.1f}" for px, py in points)}" fill="none" stroke="{colour}" stroke-width="1.4"/>'


def legend(x, y, colour, what):
    return f'<rect x="{x}" y="{y - 9}" width="12" height="10" fill="{colour}"/>' + label(x + 18, y, what, "start")
