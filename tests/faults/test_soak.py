"""The soak's judgement on made-up series: it sees a leak, and is not taken in by what only looks like one."""
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from faults import soak  # noqa: E402


def series(memory=lambda at: 20000, files=lambda at: 50, seconds=600):
    """All three servers alike."""
    return [(at, {name: (memory(at), files(at)) for name in soak.SERVERS}) for at in range(seconds)]


def grows(rows, records=0):
    return {name for name, one in soak.judge(rows, records).items() if not one["ok"]}


def test_memory_that_grows_by_ten_kb_a_second_is_a_leak():
    assert grows(series(memory=lambda at: 20000 + 10 * at)) == set(soak.SERVERS)


def test_a_sawtooth_a_step_and_noise_are_none():
    noise = random.Random(1)
    assert grows(series(memory=lambda at: 20000 + at % 60 * 100)) == set()
    assert grows(series(memory=lambda at: 20000 + (8000 if at > 500 else 0))) == set()
    assert grows(series(memory=lambda at: 20000 + noise.randrange(2000))) == set()


def test_growth_while_warming_up_is_none():
    assert grows(series(memory=lambda at: min(20000 + 200 * at, 50000))) == set()


def test_the_command_server_may_keep_what_it_was_told_and_the_others_not():
    rows = series(memory=lambda at: 20000 + 15 * at)
    assert grows(rows, records=100000) == {"projections", "query"}


def test_open_files_that_grow_by_one_a_minute_are_a_leak():
    assert grows(series(files=lambda at: 50 + at // 60)) == set(soak.SERVERS)
    assert grows(series(files=lambda at: 50 + at % 3)) == set()


def test_the_plot_is_drawn():
    rows = series()
    picture = soak.svg(rows, soak.judge(rows, 0))
    assert picture.count("<polyline") == 2 * len(soak.SERVERS) and picture.endswith("</svg>\n")
