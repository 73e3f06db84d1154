"""A small site and its recordings, for the tests of this folder."""

from datetime import datetime, timedelta

import numpy as np

import config
from replay import replay

SITE = """
site: tri
name: {vi: Cơ khí Trí, en: Tri Mechanics}
timezone: Asia/Ho_Chi_Minh
devices:
  press:
    kind: modbus_tcp
    host: 192.0.2.1
    tags:
      running: {coil: 0}
      alarm: {holding: 90, type: uint16}
      strokes: {holding: 100, type: uint32}
      rejects: {holding: 102, type: uint16}
      oil: {input: 3, type: float32}
machines:
  press-1:
    name: {vi: Máy dập 1, en: Press 1}
    state:
      - {when: "press.alarm > 0", is: breakdown}
      - {when: "press.running", is: running}
      - {is: unplanned_stop}
    pieces: {total: press.strokes, reject: press.rejects}
    product: "1"
products:
  "1": {name: Ốp nhựa A, ideal: 4s}
shifts:
  - {name: A, days: mon-sun, from: "06:00", to: "14:00", breaks: ["10:00-10:15"]}
  - {name: B, days: mon-sun, from: "14:00", to: "22:00"}
"""
START = datetime.fromisoformat("2026-09-21T05:00:00+07:00")
TAGS = ("running", "alarm", "strokes", "rejects")


def site(recording=""):
    """The site; recording: how the press's file is written, as YAML of one line."""
    return config.parse_site(SITE + (f"recordings: {{press: {recording}}}\n" if recording else ""))[0]


def history(seconds, seed=1, start=START):
    """Columns of a press that runs, stops, fails and rejects, once a second: times and a dict by tag."""
    rng = np.random.default_rng(seed)
    state = np.zeros(seconds, np.int64)
    at = 0
    while at < seconds:
        length = int(rng.integers(30, 900))
        state[at : at + length] = rng.choice([0, 0, 0, 1, 2])
        at += length
    made = (state == 0) & (rng.random(seconds) < 0.2)
    bad = made & (rng.random(seconds) < 0.05)
    columns = {
        "running": (state == 0).astype(np.int64),
        "alarm": np.where(state == 2, 12, 0),
        "strokes": 1000 + np.cumsum(made),
        "rejects": np.cumsum(bad),
    }
    return [start + timedelta(seconds=second) for second in range(seconds)], columns


def write_csv(path, times, columns, *, say=lambda when: when.isoformat(), between=",", newline="\n", hold=False):
    """The columns as a file; hold: a cell that says the same as the one above it stays empty."""
    lines = [between.join(["time", *columns])]
    last = None
    for when, *row in zip(times, *(values.tolist() for values in columns.values()), strict=True):
        cells = ["" if hold and last is not None and value == last[i] else str(value) for i, value in enumerate(row)]
        last = row
        lines.append(between.join([say(when), *cells]))
    path.write_bytes((newline.join(lines) + newline).encode())


def facts(folder, recording="", **options):
    """Every sum that a replay finds, and what it says about its input."""
    outcome = replay(site(recording), folder, **options)
    found = {key: tuple(row.tolist()) for key, row in outcome.totals.facts.items() if row.any()}
    return found, outcome
