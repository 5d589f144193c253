"""Watches the servers' metrics and logs through a run: who owns what now, and what was counted in all their lives.

A counter begins at nought when a server is started again, so the last value of every life is kept and added up. What a life counted after it was last asked
is lost: the sums are lower bounds. Servers are asked once a second, each on a thread of its own, and before they are killed.
"""
import json
import threading
import time

from .cluster import parse_metrics
from .parts import Server

PACE_S = 1.0


class Watch:
    def __init__(self, cluster):
        self.cluster, self.lives, self.ended, self.lock = cluster, {}, threading.Event(), threading.Lock()
        self.threads = []

    def start(self):
        for part in self.cluster.parts.values():
            if isinstance(part, Server):
                self.threads.append(threading.Thread(target=self._follow, args=(part,), daemon=True))
                self.threads[-1].start()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(5)
        for part in self.cluster.parts.values():
            if isinstance(part, Server):
                self.ask(part)

    def _follow(self, part):
        while not self.ended.wait(PACE_S):
            self.ask(part)

    def ask(self, part):
        if part.state != "running":
            return
        life = (part.name, part.starts)
        status, text = part.get("/metrics", timeout=0.8)
        if status == 200:
            try:
                found = parse_metrics(text)
            except ValueError:
                return
            with self.lock:
                self.lives[life] = (time.monotonic(), found)

    def owned(self, name):
        """Partitions that a node owned when it was last asked in this life."""
        with self.lock:
            _, found = self.lives.get((name, self.cluster[name].starts), (0, {}))
        return sorted(int(key.split('partition="')[1].split('"')[0]) for key, value in found.items() if key.startswith("berth_owner_phase{") and value == 3)

    def total(self, metric, **labels):
        """A counter of all servers and all their lives; only series that have these labels."""
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        with self.lock:
            lives = [found for _, found in self.lives.values()]
        return int(sum(value for found in lives for key, value in found.items()
                       if (key == metric or key.startswith(metric + "{")) and all(label in key for label in wanted)))  # fmt: skip

    def _values(self, metric, label):
        """(label's value, series' value) in all servers and all their lives."""
        with self.lock:
            lives = [found for _, found in self.lives.values()]
        for found in lives:
            for key, value in found.items():
                if key.startswith(metric + "{") and f'{label}="' in key:
                    yield key.split(f'{label}="')[1].split('"')[0], int(value)

    def by_label(self, metric, label):
        sums = {}
        for name, value in self._values(metric, label):
            sums[name] = sums.get(name, 0) + value
        return sums

    def highest_by_label(self, metric, label):
        highest = {}
        for name, value in self._values(metric, label):
            highest[name] = max(highest.get(name, 0), value)
        return highest

    def counters(self):
        """Those that servers count; the checker finds the rest in the topics and histories."""
        events = count_events(self.cluster)
        return {
            "yields": self.total("berth_yields_total"),
            "key_hits": self.total("berth_key_hits_total"),
            "forwarded": self.total("berth_forwarded_total"),
            "forwarded_by_result": self.by_label("berth_forwarded_total", "result"),
            "settled_attempts": self.total("berth_settled_attempts_total"),
            "pipeline_drops": self.total("berth_pipeline_drops_total"),
            "report_gaps": self.total("berth_report_gaps_total"),
            "foreign_valid_records": self.total("berth_foreign_valid_records_total"),
            "projector_batches_left_to_other": self.total("berth_projection_moved_by_other_total"),
            "position_mismatches": self.total("berth_query_position_mismatches_total"),
            "producer_recreations": events.get("producer.recreated", 0),
            "snapshot_fallbacks": events.get("snapshot.ignored", 0),
            "snapshots_loaded": events.get("snapshot.loaded", 0),
            "snapshots_not_written": events.get("snapshot.not_written", 0) + events.get("snapshot.not_taken", 0),
        }


def events_of(cluster, name):
    """The log lines of one server, as objects; lines of others (sanitizers, the loader) are left out."""
    path = cluster[name].log_path
    for line in path.open(encoding="utf-8", errors="replace") if path.exists() else ():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:
                continue


def count_events(cluster):
    counts = {}
    for part in cluster.parts.values():
        if isinstance(part, Server):
            for event in events_of(cluster, part.name):
                counts[event.get("event")] = counts.get(event.get("event"), 0) + 1
    return counts
