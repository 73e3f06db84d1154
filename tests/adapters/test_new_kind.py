"""A device kind that exists nowhere else, added as one folder: every command and the contract suite take it.

The kind reads a counter box that answers lines of text over TCP: `strokes` is answered by `strokes 42`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
from servers import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "strokebox"

EXAMPLE = ROOT / "docs" / "examples" / NAME
"""The files that CONTRIBUTING.md shows."""


SITE = """
site: new-kind
timezone: UTC
clock: system
devices:
  box: {{kind: strokebox, host: 127.0.0.1, port: {port}, every: 100ms, tags: {{n: {{counter: strokes}}, x: {{counter: none}}}}}}
machines:
  m-1: {{state: {{from_counts: {{ideals: 2.5, at_least: 30s}}}}, pieces: {{total: box.n, reject: operator}}, product: "1"}}
products: {{"1": {{name: part, ideal: 1s}}}}
shifts: [{{name: A, from: "00:00", to: "24:00"}}]
"""


class Answer(StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.server.asked += 1
            self.wfile.write({b"strokes\n": b"strokes 42\n"}.get(line, b"no such\n"))


@contextmanager
def counter_box():
    with ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads, server.asked = True, 0
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """What a command must be told to find the kind: the folder that holds its folder."""
    kinds = tmp_path_factory.mktemp("kinds")
    shutil.copytree(EXAMPLE, kinds / NAME)
    return {**os.environ, "NHIP_KINDS": str(kinds), "PYTHONPATH": str(ROOT), "NHIP_LANG": "en"}


@pytest.fixture
def site(tmp_path):
    with counter_box() as server:
        path = tmp_path / "site.yaml"
        path.write_text(SITE.format(port=server.server_address[1]), encoding="utf-8")
        yield path, server


def python(environment, *arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], env=environment, capture_output=True, text=True, cwd=ROOT
    )


def nhip(environment, *arguments):
    return python(environment, "nhip.py", *arguments)


def test_nothing_outside_its_folder_names_it():
    found = subprocess.run(["git", "grep", "-l", NAME], cwd=ROOT, capture_output=True, text=True)
    mine = {
        "tests/adapters/test_new_kind.py",
        "CONTRIBUTING.md",
        *(f"docs/examples/{NAME}/{name}.py" for name in ("kind", "adapter")),
    }
    assert set(found.stdout.split()) <= mine


def test_without_the_folder_the_site_file_names_no_kind(site):
    path, _ = site
    refused = nhip({**os.environ, "PYTHONPATH": str(ROOT)}, "check", path, "--offline", "--lang", "en")
    assert refused.returncode == 2
    assert NAME in refused.stderr
    assert "modbus_tcp" in refused.stderr


def test_check_reads_and_judges_its_tags(environment, site):
    path, server = site
    result = nhip(environment, "check", path, "--for", "500ms", "--json", "--certificate", path.with_suffix(".html"))
    assert result.returncode == 1, result.stderr  # one of its tags is bad
    report = json.loads(result.stdout)
    counter, missing = report["tags"]
    assert (counter["tag"], counter["value"], counter["address"], counter["ok"]) == ("box.n", 42, "strokes", True)
    assert [fault["code"] for fault in missing["faults"]] == ["bad_quality"]
    assert server.asked >= 4
    assert f"127.0.0.1:{server.server_address[1]}" in path.with_suffix(".html").read_text(encoding="utf-8")


def test_check_says_why_it_cannot_be_reached(environment, tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(SITE.format(port=free_port()), encoding="utf-8")
    result = nhip(environment, "check", path, "--for", "100ms", "--json")
    (device,) = json.loads(result.stdout)["devices"]
    assert device["fault"]["code"] == "port_closed"


def test_a_mistake_in_it_has_its_line_and_the_nearest_key(environment, tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(SITE.format(port=1).replace("every: 100ms", "evry: 100ms"), encoding="utf-8")
    result = nhip(environment, "check", path, "--offline", "--lang", "en")
    assert result.returncode == 2
    assert re.search(r"site.yaml:6: devices.box.evry.*every", result.stderr, re.DOTALL), result.stderr


def test_plan_has_a_row_for_it(environment, site):
    path, server = site
    result = nhip(environment, "plan", path, "--json")
    assert result.returncode == 0, result.stderr
    (planned,) = json.loads(result.stdout)["servers"]
    assert planned == {
        "device": "box", "url": f"127.0.0.1:{server.server_address[1]}", "mode": "poll", "nodes": 2, "every_s": 0.1, "requests": 2,
    }  # fmt: skip
    shown = nhip(environment, "plan", path).stdout
    assert NAME in shown
    assert "no devices" not in shown


def test_init_writes_it(environment, site):
    path, server = site
    written = path.with_name("written.yaml")
    place = f"box={NAME}://127.0.0.1:{server.server_address[1]}"
    result = nhip(environment, "init", written, "--site", "s", "--shift", "A daily 06:00-14:00", "--device", place,
                  "--tag", "box.n: {counter: strokes}", "--machine", "m-1 count=box.n", "--product", "part", "--ideal", "1s", "--yes")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert nhip(environment, "check", written, "--for", "300ms").returncode == 0
    wrong = nhip(
        environment, "init", path.with_name("wrong.yaml"), "--device", place, "--tag", "box.n: {count: x}", "--yes"
    )
    assert wrong.returncode == 2
    asked = subprocess.run(
        [sys.executable, "nhip.py", "init", str(path.with_name("asked.yaml")), "--site", "s", "--name", "s", "--timezone", "UTC",
         "--shift", "A daily 06:00-14:00", "--broker", "mqtts://b"],
        env=environment, capture_output=True, text=True, cwd=ROOT, input=f"{place}\n\nn: {{counter: strokes}}\n\n\nm-1 count=box.n\n\n\n",
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr


def test_the_agent_reads_it(environment, site):
    path, server = site
    metrics, ready = f"127.0.0.1:{free_port()}", path.with_name("ready")
    command = [sys.executable, "nhip.py", "agent", str(path), "--metrics", metrics, "--ready-file", str(ready)]
    agent = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        until_s, page = time.monotonic() + 60, ""
        while not re.search(r"nhip_agent_tags_read_total [1-9]", page):
            assert time.monotonic() < until_s, page
            assert agent.poll() is None, agent.stderr.read()
            time.sleep(0.1)
            if ready.exists():
                with urllib.request.urlopen(f"http://{metrics}/metrics") as answer:
                    page = answer.read().decode()
        assert 'nhip_agent_device_up{device="box"} 1' in page
        assert server.asked
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate()
    assert agent.returncode == 0


def test_the_contract_suite_takes_it(environment):
    suite = Path(__file__).with_name("test_adapter_contract.py")
    result = python(environment, "-m", "pytest", "-p", "no:cacheprovider", "-k", f"{NAME} or every_folder", suite)
    assert result.returncode == 0, result.stdout
    assert int(re.search(r"(\d+) passed", result.stdout)[1]) >= 9, result.stdout
