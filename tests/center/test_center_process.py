"""The center as a process of its own: from a gateway's publish over a real broker to an answer over real HTTP."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from center_plant import STREAM, Gateway, center_command, envelope, eventually, mosquitto, ns, running, site_body
from servers import PATIENCE_S

from oee.model.facts import MINUTE_NS
from wire.envelope import seal

T = ns("2026-03-02T08:00:00")
ROOT = Path(__file__).parents[2]


class Process:
    def __init__(self, folder, port):
        self.config, self.ready = folder / "center.yaml", folder / "ready.json"
        self.config.write_text(
            f"accounts: off\nbroker: mqtt://127.0.0.1:{port}\nlisten: 127.0.0.1:0\nstore: {{kind: duckdb, file: {folder}/nhip.duckdb}}\n"
        )

    def start(self):
        self.ready.unlink(missing_ok=True)
        command = center_command(self.config, self.ready)
        self.child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
        eventually(lambda: self.ready.exists() or self.child.poll() is not None)
        assert self.child.poll() is None, self.child.stderr.read().decode()
        self.url = json.loads(self.ready.read_text())["url"]
        eventually(lambda: self.get("/health")["broker"] == "ok")

    def get(self, path, **parameters):
        answer = httpx.get(f"{self.url}/api/v1{path}", params=parameters, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def end(self, number):
        self.child.send_signal(number)
        code = self.child.wait(PATIENCE_S)
        self.child.stderr.close()
        return code


@pytest.fixture
def process(tmp_path):
    with mosquitto(tmp_path) as port:
        made = Process(tmp_path, port)
        made.port = port
        yield made
        if made.child.poll() is None:
            made.end(signal.SIGKILL)


def _pieces(process):
    window = {"from": "2026-03-02", "to": "2026-03-04", "bucket": "all"}
    (row,) = process.get("/trend", site="van-long", **window)["rows"]
    return row["sums"]["pieces_good"]


def test_terminated_it_drains_and_goes_on_where_it_was(process):
    for seq in (1, 2):
        process.start()
        gateway = Gateway(process.port)
        gateway.send(envelope(seq, running(T + seq * 30 * MINUTE_NS, 30)))
        eventually(lambda g=gateway, s=seq: g.mark() == s)
        gateway.close()
        assert _pieces(process) == 300 * seq
        assert process.end(signal.SIGTERM) == 0
        assert not process.ready.exists()


def test_killed_while_facts_stream_in_it_loses_and_doubles_nothing(process):
    """kill -9 at random moments; the gateway sends again what was not receipted."""
    process.start()
    gateway = Gateway(process.port)
    sent = [envelope(seq, running(T + seq * MINUTE_NS, 1)) for seq in range(1, 301)]
    for part in (100, 200):
        gateway.send(*sent[gateway.mark() : part - 50])
        eventually(lambda p=part: gateway.mark() > p - 100)
        gateway.send(*sent[part - 50 : part])
        process.end(signal.SIGKILL)
        told = gateway.mark()
        process.start()
        (row,) = [row for row in process.get("/delivery")["rows"] if row["stream"] == STREAM]
        assert row["mark"] >= told
        assert _pieces(process) == 10 * row["stored"]
    gateway.send(*sent[gateway.mark() :])
    eventually(lambda: gateway.mark() == 300)
    assert _pieces(process) == 3000
    gateway.close()


def test_a_second_center_on_the_same_file_says_why_it_waits_and_takes_over(process):
    process.start()
    second = Process(process.config.parent, process.port)
    second.ready = process.ready.with_name("second.json")
    command = center_command(process.config, second.ready)
    second.child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    try:
        assert b"in use by another center" in second.child.stderr.readline()
        assert process.get("/health")["status"] == "ok"
        process.end(signal.SIGTERM)
        eventually(second.ready.exists)
    finally:
        second.end(signal.SIGKILL)


def test_what_is_loaded_is_not_searched_for_garbage_again():
    code = (
        "import gc, sys; from center.run.process import make_way; make_way(); "
        "print(gc.get_freeze_count(), len(gc.get_objects()), sys.getswitchinterval())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    frozen, searched, turn_s = map(float, done.stdout.split())
    assert frozen > 50_000
    assert searched < 1_000
    assert turn_s == pytest.approx(0.001)


def test_a_page_of_very_many_machines_answers(process):
    """Forty-eight cards at a time; the summary counts all of them."""
    process.start()
    gateway = Gateway(process.port)
    machines = [f"press-{number:03}" for number in range(400)]
    gateway.send(seal(STREAM, 1, 1, site_body(machines)).data, kind="site")
    eventually(lambda: process.get("/sites"))
    shown = []
    for part in (1, 2, 9):
        answer = httpx.get(f"{process.url}/", params={"part": part, "order": "worst"}, timeout=PATIENCE_S)
        assert answer.status_code == 200
        found = sorted(set(re.findall(r"/machine/van-long/(press-\d+)", answer.text)))
        assert len(found) == (48 if part < 9 else 400 % 48)
        assert "part=9" in answer.text
        shown += found
    assert len(set(shown)) == len(shown)
    gateway.close()
