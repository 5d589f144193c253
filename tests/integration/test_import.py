"""`berth import gtfs` into the running system: a day of a real feed, twice; an import that breaks off; a call that cannot work."""
import datetime
import json
import os
import signal
import subprocess
import time
import zipfile

import pytest

from conftest import TOP, wait_until
from test_berth_cli import BERTH

FEED = TOP / "data/cairns_gtfs.zip"
FAR = datetime.date.today() + datetime.timedelta(days=200)  # no other test and no ./dev up puts trips there


def run(*arguments, status=0):
    done = subprocess.run([BERTH, "import", "gtfs", *arguments, "--json"], capture_output=True, text=True, timeout=600)
    assert done.returncode == status, f"{done.returncode}: {done.stdout} {done.stderr}"
    return json.loads(done.stdout) if done.stdout else done.stderr


def count_of(postgres, day):
    with postgres.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM berth.trips WHERE trip LIKE %s", (f"%-{day:%Y%m%d}",))
        return cursor.fetchone()[0]


def test_a_day_is_imported_once_however_often_it_is_asked_for(stack, postgres):
    day = FAR + datetime.timedelta(days=1)
    call = (FEED, "--api.url", stack.api, "--date", "2014-06-02", "--as-of", f"{FAR}", "--seats", "A:standard:2x2+2,S:standing:5")
    first = run(*call)
    assert (first["trips_opened"], first["trips_there_already"], first["trips_failed"]) == (622, 0, 0), first
    again = run(*call)
    assert (again["trips_opened"], again["trips_there_already"], again["trips_failed"]) == (0, 622, 0), again
    wait_until(lambda: count_of(postgres, day) == 622, 20, "622 trips in the read model")


def test_an_import_that_was_killed_is_run_again_and_makes_up_what_is_missing(stack, postgres):
    for days in range(10, 20):  # an import that was through before it was killed says nothing: another day then
        as_of = FAR + datetime.timedelta(days=days)
        call = (FEED, "--api.url", stack.api, "--date", "2014-06-02", "--as-of", f"{as_of}")
        broken = subprocess.Popen([BERTH, "import", "gtfs", *call, "--concurrency", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: count_of(postgres, as_of + datetime.timedelta(days=1)) > 20, what="some trips")
        broken.send_signal(signal.SIGKILL)
        broken.wait()
        done = run(*call)
        if done["trips_opened"] > 0:
            break
    assert done["trips_opened"] > 0 and done["trips_there_already"] > 0 and done["trips_opened"] + done["trips_there_already"] == 622, done
    wait_until(lambda: count_of(postgres, as_of + datetime.timedelta(days=1)) == 622, 20, "622 trips in the read model")


def test_an_import_that_nobody_answers_gives_up(stack):
    done = run(FEED, "--api.url", "http://127.0.0.1:1", "--date", "2014-06-02", status=3)
    assert done["trips_failed"] == 622 and "127.0.0.1" in done["first_failure"], done


@pytest.mark.parametrize("arguments, word", [((FEED, "--date", "2010-01-01"), "from 2014-"), ((FEED, "--date", "soon"), "--date"), ((FEED, "--as-of", "soon"), "--as-of"),
                                             ((FEED, "--days", "0"), "days"), ((FEED, "--seats", "A"), "--seats"), (("/nowhere.zip",), "/nowhere.zip"), ((), "argument")])  # fmt: skip
def test_a_call_that_cannot_work_is_told_in_a_line(arguments, word):
    assert word in run(*arguments, status=2)


def test_the_first_day_with_trips_is_taken_when_none_is_named(stack, tmp_path):
    files = {
        "agency.txt": "agency_timezone\nAustralia/Brisbane\n",
        "stops.txt": "stop_id,stop_name\nfirst-day-a,A\nfirst-day-b,B\n",
        "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\ns,0,0,1,0,0,0,0,20140601,20140630\n",
        "trips.txt": f"trip_id,service_id\nfirst-day-{os.getpid()}-{int(time.time())},s\n",
        "stop_times.txt": "",
    }
    trip = files["trips.txt"].split("\n")[1].split(",")[0]
    files["stop_times.txt"] = f"trip_id,stop_id,stop_sequence,arrival_time,departure_time\n{trip},first-day-a,1,06:00:00,06:00:00\n{trip},first-day-b,2,,\n{trip},first-day-a,3,06:30:00,06:30:00\n"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert run(tmp_path, "--api.url", stack.api)["trips_opened"] == 1


def test_what_a_feed_gets_wrong_costs_only_the_trips_that_it_concerns(stack, tmp_path):
    name = f"spoilt-{os.getpid()}-{int(time.time())}"
    files = {
        "agency.txt": "agency_timezone\nAustralia/Brisbane\n",
        "stops.txt": "stop_id,stop_name\nspoilt-a,A\nspoilt-b,B\nde:08111:1,C\n",
        "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\ns,1,1,1,1,1,1,1,20140601,20140630\n",
        "trips.txt": f"trip_id,service_id\n{name}-good,s\n{name}-bad,s\n",
        "stop_times.txt": "trip_id,stop_id,stop_sequence,arrival_time,departure_time\n\n"
        f"{name}-good,spoilt-a,1,06:00:00,06:00:00\n{name}-good,spoilt-b,2,06:10:00,06:10:00\n"
        f"{name}-bad,spoilt-a,1,06:00:00,06:00:00\n{name}-bad,de:08111:1,2,06:10:00,06:10:00\n",
    }
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    done = run(tmp_path, "--api.url", stack.api, "--days", "2", status=1)
    assert (done["trips_opened"], done["trips_skipped"], done["trips_failed"], len(done["left_out"])) == (2, 2, 0, 1), done
    assert done["left_out"][0]["trip"] == f"{name}-bad" and "stop_times.txt line 6" in done["left_out"][0]["reason"] and "stops.txt (line 4)" in done["left_out"][0]["reason"], done
    told = subprocess.run([BERTH, "import", "gtfs", tmp_path, "--api.url", stack.api, "--days", "2"], capture_output=True, text=True, timeout=600)
    assert f"left out: {name}-bad: stop_times.txt line 6" in told.stderr and "2 were there already" in told.stdout, told
