"""A small plant around files that a release wrote: real processes of one checkout, all on the clock of that time.

Everything goes through commands, the HTTP API and files whose format is documented, so that one script works with
every release. Times of the recording: `FIRST_NS` to `END_NS`; the processes' wall clock is moved there, since a
correction reaches back seven days and no further.
"""

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import paho.mqtt.client as paho
from edge_plc import Plc
from paho.mqtt.enums import CallbackAPIVersion
from servers import answers, eventually, free_port, mosquitto_command

ROOT = Path(__file__).parents[2]
S = 1_000_000_000
FIRST_NS = 1_772_427_600 * S  # 2026-03-02 12:00 in Vietnam
FILES, SECONDS = 24, 600
END_NS = FIRST_NS + FILES * SECONDS * S
PATIENCE_S = 90.0

RECORDED = """
site: recorded
timezone: Asia/Ho_Chi_Minh
clock: system
name: {{vi: Xưởng ghi, en: Recorded shop}}
center: {{broker: "mqtt://127.0.0.1:{broker}"}}
devices:
  plc:
    kind: modbus_tcp
    host: 127.0.0.1
    port: 9
    tags:
      run: {{coil: 0}}
      alarm: {{holding: 0, type: uint16}}
      count: {{holding: 1, type: uint16}}
      reject: {{holding: 2, type: uint16}}
      recipe: {{holding: 3, type: uint16}}
      beat: {{holding: 4, type: uint16}}
machines:
  press:
    line: stamping
    state:
      - {{when: "plc.alarm > 0", is: breakdown}}
      - {{when: "plc.run", is: running}}
      - {{is: unplanned_stop}}
    reason: {{tag: plc.alarm, map: {{1: die-jam, 2: no-air}}}}
    pieces: {{total: plc.count, reject: plc.reject}}
    product: plc.recipe
  sew:
    line: sewing
    state: {{from_counts: {{ideals: 2.5, at_least: 30s}}}}
    pieces: {{total: plc.beat}}
    product: "2"
products:
  "1": {{name: {{vi: Ốp, en: Cover}}, ideal: 2s}}
  "2": {{name: {{vi: Áo, en: Shirt}}, ideal: 9s}}
reasons:
  die-jam: {{name: {{vi: Kẹt khuôn, en: Die jam}}, is: breakdown}}
  no-air: {{name: {{vi: Mất khí, en: No air}}, is: breakdown}}
  no-blanks: {{name: {{vi: Hết phôi, en: No blanks}}, is: starved}}
shifts:
  - {{name: A, days: daily, from: "06:00", to: "14:00", breaks: ["12:30-12:45"]}}
  - {{name: B, days: daily, from: "14:00", to: "22:00"}}
"""
LIVE = """
site: {site}
timezone: Asia/Ho_Chi_Minh
clock: guarded
name: {{vi: Xưởng chạy, en: Live shop}}
center: {{broker: "mqtt://127.0.0.1:{broker}"}}
devices:
  plc:
    kind: modbus_tcp
    host: 127.0.0.1
    port: {plc}
    every: 200ms
    stale_after: 2s
    retry_every: 200ms
    tags:
      run: {{coil: 0}}
      count: {{holding: 0, type: uint16}}
machines:
  m-1:
    name: {{vi: Máy một, en: Machine one}}
    state:
      - {{when: "plc.run", is: running}}
      - {{is: unplanned_stop}}
    pieces: {{total: plc.count}}
    product: "1"
products:
  "1": {{name: {{vi: Ốp, en: Cover}}, ideal: 100ms}}
shifts:
  - {{name: A, days: daily, from: "00:00", to: "24:00"}}
values:
  plc.*: {{at_least_every: 5s}}
"""
CENTER = """
name: Trung tâm
broker: mqtt://127.0.0.1:{broker}
listen: 127.0.0.1:{http}
store: {{kind: duckdb, file: {folder}/nhip.duckdb}}
"""


def write_recording(folder):
    """Four hours of two machines as files for `nhip agent --history`, the same at every call."""
    folder.mkdir(parents=True)
    columns = _signals()
    for number in range(FILES):
        piece = slice(number * SECONDS, (number + 1) * SECONDS)
        t_ns = FIRST_NS + np.arange(piece.start, piece.stop, dtype=np.int64) * S + 137_000_000
        arrays = {"until": np.array([FIRST_NS + piece.stop * S], np.int64)}
        for name, column in columns.items():
            value = column[piece]
            kept = np.append(number == 0 or value[0] != column[piece.start - 1], value[1:] != value[:-1])
            arrays |= {f"plc.{name}/t": t_ns[kept], f"plc.{name}/v": value[kept]}
            arrays[f"plc.{name}/q"] = np.zeros(int(kept.sum()), np.uint8)
        np.savez(folder / f"day-{number:03d}.npz", **arrays)


def _stretches(dice, weights, lengths):
    """A value for each second: drawn with these weights, each held for a while."""
    out = []
    while len(out) < FILES * SECONDS:
        value = dice.choice(len(weights), p=weights)
        out += [value] * int(dice.integers(*lengths[value]))
    return np.array(out[: FILES * SECONDS], np.int64)


def _signals():
    dice = np.random.default_rng(25)
    state = _stretches(dice, [0.55, 0.3, 0.1, 0.05], [(60, 900), (5, 700), (60, 500), (60, 300)])
    moving = state == 0
    beats = _stretches(dice, [0.8, 0.2], [(60, 900), (20, 400)]) == 0
    made = np.cumsum(moving & (np.arange(len(moving)) % 2 == 0))
    return {
        "run": moving,
        "alarm": np.maximum(state - 1, 0),
        "count": (65_000 + made) % 65_536,
        "reject": np.cumsum(moving & (dice.random(len(moving)) < 0.01)),
        "recipe": np.where(_stretches(dice, [0.7, 0.3], [(900, 4000), (900, 4000)]) == 0, 1, 2),
        "beat": np.cumsum(beats & (np.arange(len(beats)) % 10 == 0)),
    }


class Machine:
    """A PLC on a thread of its own whose machine runs and makes ten pieces a second."""

    def __enter__(self):
        self._plc, self._loop = Plc(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._plc.start(), self._loop).result(60)
        self._made = asyncio.run_coroutine_threadsafe(self._make(), self._loop)
        return self

    async def _make(self):
        self._plc.coils[0] = True
        while True:
            self._plc.holding[0] = (self._plc.holding[0] + 1) % 65_536
            await asyncio.sleep(0.1)

    @property
    def port(self):
        return self._plc.port

    def __exit__(self, *_):
        self._made.cancel()
        asyncio.run_coroutine_threadsafe(self._plc.stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)


def clock_library(folder):
    """The library that moves one process's wall clock."""
    library = folder / "wall_clock.so"
    source = ROOT / "tests" / "faults" / "wall_clock.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


class Plant:
    """Broker, center and gateways in `folder`, run by the programs of the checkout `code`, whose time now is `at_ns`."""

    def __init__(self, folder, code=ROOT, at_ns=END_NS, plc_port=9):
        self.folder, self.code = folder, Path(code)
        self.broker_port, self.http_port = free_port(), free_port()
        self.shift_ns = at_ns - time.time_ns()
        moved = folder / "shift"
        moved.write_bytes(struct.pack("=q", self.shift_ns))
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(self.code),
            "OPENBLAS_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
            "WALL_CLOCK_FILE": str(moved),
            "LD_PRELOAD": str(clock_library(folder)),
        }
        ports = {"broker": self.broker_port, "plc": plc_port, "http": self.http_port, "folder": folder}
        self.center_file = self._write("center.yaml", CENTER, ports)
        self._write("recorded.yaml", RECORDED, ports)
        for site in ("live", "dark"):
            self._write(f"{site}.yaml", LIVE, {**ports, "site": site})
        self.secret = ""
        self._running = {}

    def _write(self, name, text, values):
        path = self.folder / name
        path.write_text(text.format(**values), encoding="utf-8")
        return path

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for name, child in self._running.items():
            child.kill()
            child.wait()
            if any(error):
                print(f"--- {name}\n{self.log(name)}")

    # processes

    @property
    def now_ns(self):
        """What time it is for the processes."""
        return time.time_ns() + self.shift_ns

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def nhip(self, *arguments, status=0):
        """What a command prints."""
        command = [sys.executable, "-m", "nhip", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.code, env=self._environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, name, command):
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command, cwd=self.code, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        return self._running[name]

    def stop(self, name):
        child = self._running.pop(name)
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE_S) == 0, f"{name}: {child.returncode}\n{self.log(name)}"

    def kill(self, name):
        child = self._running.pop(name)
        child.kill()
        child.wait()

    def start_broker(self):
        self.start("broker", mosquitto_command(self.folder, self.broker_port))
        self.until(lambda: answers(self.broker_port), "the broker")

    def start_center(self):
        ready = self.folder / "center.ready"
        child = self.start(
            "center", [sys.executable, "-m", "nhip", "center", str(self.center_file), "--ready-file", str(ready)]
        )
        self.until(lambda: ready.exists() or child.poll() is not None, "the center")
        assert child.poll() is None, self.log("center")

    def wait_center(self):
        """Until it hears the broker."""
        self.until(lambda: self.get("/api/v1/health").json()["broker"] == "ok", "the center at the broker")

    def start_agent(self, name, *more):
        command = [sys.executable, "-m", "nhip", "agent", str(self.folder / f"{name}.yaml"), "--commit-every", "1s"]
        return self.start(name, [*command, *map(str, more)])

    def start_live(self, name):
        """The agent of a site that polls the PLC, until it does."""
        ready = self.folder / f"{name}.ready"
        ready.unlink(missing_ok=True)
        child = self.start_agent(name, "--ready-file", ready)
        self.until(lambda: ready.exists() or child.poll() is not None, name)
        assert child.poll() is None, self.log(name)

    def start_recorded(self, files):
        """The agent that is fed the recording, until it has worked out so many files of it."""
        history, progress = self.folder / "history", self.folder / "progress"
        progress.unlink(missing_ok=True)
        history.mkdir(exist_ok=True)
        for number in range(files):
            target = history / f"day-{number:03d}.npz"
            if not target.exists():
                target.write_bytes((self.folder / "recording" / target.name).read_bytes())
        child = self.start_agent("recorded", "--history", history, "--progress-file", progress)

        def computed():
            assert child.poll() is None, self.log("recorded")
            return progress.exists() and json.loads(progress.read_text())["history_day"] >= files

        self.until(computed, f"file {files}")

    @staticmethod
    def until(condition, what):
        return eventually(condition, every_s=0.2, what=what)

    # what is in it

    def outbox(self, name):
        """What `nhip outbox` says."""
        return json.loads(self.nhip("outbox", self.folder / f"{name}.outbox", "--json"))

    def delivered(self, name):
        """Waits until the center has receipted all that the outbox holds."""
        self.until(lambda: self.outbox(name)["waiting"] == 0, f"delivery of {name}")

    def get(self, path, **more):
        return httpx.get(f"http://127.0.0.1:{self.http_port}{path}", timeout=60, **more)

    def ask(self, path):
        """The API's answer."""
        answer = self.get(f"/api/v1/{path}", headers=self._bearer())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def say(self, **declaration):
        """Declares something through the center's API and returns its id."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.http_port}/api/v1/declarations",
            json=declaration,
            headers=self._bearer(),
            timeout=60,
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def settled(self, id_):
        """Waits until a gateway has answered a declaration made at the center."""
        self.until(
            lambda: {row["id"]: row["state"] for row in self.ask("declarations")["rows"]}[id_] == "done",
            "a declaration from the center",
        )

    def _bearer(self):
        return {"Authorization": f"Bearer {self.secret}"} if self.secret else {}

    def log_in(self, name, password):
        """Whether this password opens the account's page."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.http_port}", timeout=60, follow_redirects=True) as client:
            client.post("/login", data={"name": name, "password": password})
            return client.get("/account", follow_redirects=False).status_code == 200

    def publish(self, topic, payload):
        """Puts bytes on a topic."""
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", self.broker_port)
        client.loop_start()
        client.publish(topic, payload, 1).wait_for_publish(PATIENCE_S)
        client.disconnect()
        client.loop_stop()

    def new_secret(self, *arguments):
        """The password or token that a command prints once."""
        return self.nhip(*arguments, "--lang", "en").split()[-1]


def numbers(plant):
    """What the API says of everything counted at the recorded site, by question: the same whoever computed it."""
    window = "from=2026-03-02&to=2026-03-02T16:00:00%2B07:00"
    asked = [
        f"trend?site=recorded&bucket=all&by=machine,shift,product,calendar&{window}",
        f"trend?site=recorded&bucket=hour&by=machine&{window}",
        f"trend?site=recorded&bucket=shift&by=calendar&{window}",
        f"losses?site=recorded&by=machine,state,reason,shift,product,calendar&{window}",
        f"stops?site=recorded&{window}",
        f"coverage?site=recorded&{window}",
        f"compare?site=recorded&{window}",
        "machines?site=recorded",
    ]
    return {path: plant.ask(path) for path in asked}


_HOURS = "from=2026-03-02T15:00:00%2B07:00&to=2026-03-02T18:00:00%2B07:00"


def measured(plant, site):
    """Pieces and running time [s] of a site that polled a PLC. Zeros while the center has none of it."""
    rows = []
    if site in [row["id"] for row in plant.ask("sites")]:
        rows = plant.ask(f"trend?site={site}&bucket=all&{_HOURS}")["rows"]
    sums = rows[0]["sums"] if rows else {"pieces_total": 0, "running_ms": 0}
    return [sums["pieces_total"], round(sums["running_ms"] / 1000)]


def values(plant, before_ns):
    """The live site's process values before a time: by tag, each (time, value, quality)."""
    before = datetime.fromtimestamp(before_ns / 1e9, ZoneInfo("Asia/Ho_Chi_Minh")).isoformat()
    rows = {
        item["tag"]: zip(item["t"], item["value"], item["quality"], strict=True)
        for item in plant.ask(f"values?site=live&{_HOURS}")["series"]
    }
    return {tag: [list(row) for row in found if row[0] < before] for tag, found in rows.items()}
