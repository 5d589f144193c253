"""scene - the trips that the load fights over: 40 hot seats on two trips, and 2,000 cold ones on four.

Their ids are chosen so that hot and cold trips spread over the partitions, whatever the tag of the run is."""
import datetime

from ..check.rule import partition_of

HOT_TRIPS, HOT_SEATS, HOT_POINTS = 2, 20, 4
COLD_TRIPS, COLD_SECTIONS, COLD_SEATS, COLD_POINTS = 4, 4, 125, 6


class Trip:
    """What a client has to know of a trip to ask for its seats. seats: (section, label)."""

    def __init__(self, trip, hot, points, sections):
        self.id, self.hot = trip, hot
        self.stops = [f"s{index}" for index in range(points)]
        self.sections = sections  # name -> labels
        self.seats = [(name, label) for name, labels in sections.items() for label in labels]

    def opening(self, first_departure):
        points = []
        for index, stop in enumerate(self.stops):
            arrives = first_departure + datetime.timedelta(hours=index)
            departs = arrives + datetime.timedelta(minutes=5)
            points.append({"stop": stop, "name": f"Stop {index}", "arrives_at": rfc3339(arrives), "departs_at": rfc3339(departs)})
        sections = [{"name": name, "class": "second", "seats": labels} for name, labels in self.sections.items()]
        return {"trip": self.id, "name": f"Trip {self.id}", "timezone": "UTC", "points": points, "sections": sections}


def first_departure():
    """Far enough from now that nothing leaves during a run."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)).replace(minute=0, second=0, microsecond=0)


def rfc3339(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def trip_id(stem, partition, partitions):
    """The first of stem-0, stem-1 … that lies in the partition."""
    for number in range(10000):
        if partition_of(f"{stem}-{number}".encode(), partitions) == partition % partitions:
            return f"{stem}-{number}"
    raise ValueError(f"no id of {stem} lies in partition {partition}")


def trips(tag, partitions):
    hot = {"A": [str(number) for number in range(1, HOT_SEATS + 1)]}
    cold = {chr(ord("A") + section): [str(number) for number in range(1, COLD_SEATS + 1)] for section in range(COLD_SECTIONS)}
    found = [Trip(trip_id(f"{tag}-hot{index}", index, partitions), True, HOT_POINTS, hot) for index in range(HOT_TRIPS)]
    # From the last partition down, so that with four of them the hot trips do not share theirs with all the cold ones.
    found += [Trip(trip_id(f"{tag}-cold{index}", partitions - 1 - index, partitions), False, COLD_POINTS, cold) for index in range(COLD_TRIPS)]
    return found
