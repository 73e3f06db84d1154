"""A site without a line: what waits in the outbox travels as a file, and arrives once however it comes."""

import json
import subprocess
import sys

import pytest
from fault_history import FILES
from fault_stage import ROOT, Stage, eventually
from servers import PATIENCE_S
from test_kills import agrees


def nhip(*command, status=0, **more):
    found = subprocess.run(
        [sys.executable, "-m", "nhip", *map(str, command)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        **more,
    )
    assert found.returncode == status, found.stdout + found.stderr
    return found.stdout


@pytest.mark.parametrize("running", [True, False], ids=["center runs", "center stopped"])
def test_a_stick_instead_of_a_broker(tmp_path, expected, running):
    stick, center = tmp_path / "stick.nhip", tmp_path / "center.yaml"
    with Stage(tmp_path) as stage:
        stage.wait_center()
        stage.broker.kill()
        if not running:
            stage.center.stop()
        before = 0
        for files in (10, FILES):
            stage.feed(files)
            stage.wait_agent(files)
            told = json.loads(nhip("outbox", stage.outbox, "--export", stick, "--json"))
            assert told["exported"] == told["waiting"] >= files
            outcome = json.loads(nhip("import", stick, "--center", center, "--json"))
            assert outcome["settled"] == outcome["envelopes"] == told["exported"]
            assert outcome["skipped"] == before  # a second stick costs nothing twice
            before = outcome["settled"]
        if running:
            books = stage.api("trend?site=test&bucket=all&by=calendar&from=2026-03-02&to=2026-03-03")["rows"]
            assert sum(row["sums"]["pieces_total"] for row in books) == expected.total("pieces_total")
        else:
            stage.center.start()
        stage.start_broker()  # the line is back: the gateway hears at once that nothing need be sent
        agrees(stage.finish(), expected)
        assert sum(row["duplicates"] for row in stage.last_rows.values()) <= 32 + 2  # what was in flight


def test_a_torn_stick_is_taken_as_far_as_it_goes(tmp_path, expected):
    stick = tmp_path / "stick.nhip"
    with Stage(tmp_path) as stage:
        stage.wait_center()
        stage.broker.kill()
        stage.feed()
        stage.wait_agent(FILES)
        nhip("outbox", stage.outbox, "--export", stick)
        whole = stick.read_bytes().splitlines(keepends=True)
        damaged = whole[5][:-9] + b"!!!" + whole[5][-6:]
        stick.write_bytes(b"".join([*whole[:5], damaged, *whole[6:12]]) + whole[12][:50])
        outcome = json.loads(
            nhip("import", stick, "--center", f"http://127.0.0.1:{stage.http_port}", "--json", status=1)
        )
        assert (outcome["settled"], len(outcome["damaged"]), outcome["complete"]) == (10, 2, False)
        assert "bị cắt" in nhip("import", stick, "--center", tmp_path / "center.yaml", "--lang", "vi", status=1)
        stick.write_bytes(b"".join(whole))
        nhip("import", stick, "--center", tmp_path / "center.yaml")
        eventually(stage.delivered, what="the whole stick")
        stage.start_broker()
        agrees(stage.finish(), expected)
