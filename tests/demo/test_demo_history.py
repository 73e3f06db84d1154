"""The demo that people look at: its history, its end, and what it says when a part dies."""

import json
import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from urllib.request import Request, urlopen

import pytest
from nhip_demo import NHIP
from servers import PATIENCE_S, eventually

from demo.stage import Child, StageBroken
from words import say


def test_the_demo_makes_history_that_can_be_corrected_and_ends_cleanly_on_ctrl_c(tmp_path):
    """The history is longer than the seven days that can be corrected."""
    command = [*NHIP, "demo", "--days", "8", "--port", "0", "--folder", str(tmp_path / "stage"), "--lang", "vi"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        text = ""
        while "/docs" not in text:
            line = process.stdout.readline()
            assert line, text
            text += line
        url = next(word for word in text.split() if word.startswith("http"))
        rows = _get(f"{url}/api/v1/trend?site=song-hong&bucket=all")["rows"]
        assert len(rows) == 6
        assert all(row["kpis"]["coverage"] > 0.9 for row in rows)
        _some_are_below_their_targets_and_the_worklist_says_so(url)
        _give_reasons_to_old_stops(url)
        children = _children(process.pid)
        assert len(children) >= 3
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert not [pid for pid in children if _alive(pid)]
    finally:
        if process.poll() is None:  # it ends its children; a kill would orphan them
            process.terminate()
            process.wait(PATIENCE_S)


def _some_are_below_their_targets_and_the_worklist_says_so(url):
    """And some are not: a target that nobody reaches, or everybody, says nothing."""
    since = _text(datetime.now(UTC) - timedelta(days=7))
    rows = _get(f"{url}/api/v1/trend?site=song-hong&bucket=all&from={since}")["rows"]
    gaps = [gap["points"] for row in rows for gap in row["targets"] if gap["kind"] == "oee" and gap["points"]]
    assert min(gaps) < -0.5
    assert max(gaps) > 0.5
    with urlopen(Request(f"{url}/work", headers={"Accept-Language": "vi"}), timeout=PATIENCE_S) as answer:
        page = answer.read().decode()
    assert say("work.act.losses", "vi") in page
    assert say("work.act.reasons", "vi") in page


def _give_reasons_to_old_stops(url):
    """To one of almost seven days ago and to one of today, as a visitor does."""
    now = datetime.now(UTC)
    wanted = []
    for since, until in ((now - timedelta(days=6.9), now - timedelta(days=5)), (now - timedelta(days=2), now)):
        window = f"from={_text(since)}&to={_text(until)}"
        stops = _get(f"{url}/api/v1/stops?site=song-hong&machine=press-1&limit=1000&{window}")["rows"]
        stop = next(item for item in stops if item["state"] == "minor_stop" and item["end"])
        body = {"site": "song-hong", "machine": "press-1", "field": "reason", "value": "hydraulics"}
        body |= {"from": stop["start"], "to": stop["end"]}
        request = Request(f"{url}/api/v1/declarations", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=PATIENCE_S) as answer:
            wanted.append(json.load(answer)["id"])
    rows = eventually(lambda: _decided(url, wanted))
    assert [(row["state"], row["why"]) for row in rows] == [("done", "")] * 2


def _decided(url, wanted):
    rows = [row for row in _get(f"{url}/api/v1/declarations?site=song-hong")["rows"] if row["id"] in wanted]
    return rows if len(rows) == len(wanted) and all(row["state"] != "sent" for row in rows) else None


def _text(when):
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _get(url):
    with urlopen(url, timeout=PATIENCE_S) as answer:
        return json.load(answer)


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv of util-linux")
def test_no_part_outlives_a_demo_that_was_killed(tmp_path):
    command = [*NHIP, "demo", "--days", "1", "--port", "0", "--folder", str(tmp_path / "stage")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    eventually(lambda: len(_children(process.pid)) >= 3, every_s=0.1)
    children = _children(process.pid)
    process.kill()
    process.wait(PATIENCE_S)
    assert len(children) >= 3
    eventually(lambda: not [pid for pid in children if _alive(pid)], every_s=0.1)


def _children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_part_that_dies_is_named_with_its_last_words(tmp_path):
    child = Child("agent", ["agent", str(tmp_path / "nowhere.yaml")], tmp_path / "agent.log")
    child.start()
    with pytest.raises(StageBroken, match=r"agent ended with status 2:[\s\S]*nowhere\.yaml"):
        eventually(child.check, every_s=0.1)
