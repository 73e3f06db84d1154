"""Four hours of two machines, recorded: the same input for every run, and what must come of it."""

from functools import cache

import numpy as np

from agent.compute.pipeline import Pipeline
from agent.feed.history_files import blocks, day_path, read_day
from center.contract.store import Origin, RowBatch
from config import compile_site, load_profiles, load_site

S = 1_000_000_000
FIRST_NS = 1_772_427_600 * S  # 2026-03-02 12:00 in Vietnam: two shifts and a break
FILES, SECONDS = 24, 600
END_NS = FIRST_NS + FILES * SECONDS * S

SITE = """
site: test
gateway: {gateway}
timezone: Asia/Ho_Chi_Minh
name: {{vi: Xưởng thử, en: Test shop}}
center: {{broker: "mqtt://127.0.0.1:{port}"{account}}}
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
shifts:
  - {{name: A, days: daily, from: "06:00", to: "14:00", breaks: ["12:30-12:45"]}}
  - {{name: B, days: daily, from: "14:00", to: "22:00"}}
"""


def site_file(folder, port, *, gateway="main", account=""):
    path = folder / "site.yaml"
    path.write_text(SITE.format(port=port, gateway=gateway, account=account), encoding="utf-8")
    return path


def _stretches(dice, weights, lengths):
    """A value for each second: values drawn with these weights, each held for a while."""
    out = []
    while len(out) < FILES * SECONDS:
        value = dice.choice(len(weights), p=weights)
        out += [value] * int(dice.integers(*lengths[value]))
    return np.array(out[: FILES * SECONDS], np.int64)


@cache
def signals():
    """Values second by second: state 0 runs, 1 stands, 2 and 3 have an alarm."""
    dice = np.random.default_rng(5)
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


def write_files(folder, first=0, last=FILES):
    """The recorded files first..last-1, numbered from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, last):
        piece = slice(number * SECONDS, (number + 1) * SECONDS)
        t_ns = FIRST_NS + np.arange(number * SECONDS, (number + 1) * SECONDS, dtype=np.int64) * S + 137_000_000
        arrays = {"until": np.array([FIRST_NS + (number + 1) * SECONDS * S], np.int64)}
        for name, column in signals().items():
            value = column[piece]
            kept = np.append(number == first or value[0] != column[piece.start - 1], value[1:] != value[:-1])
            arrays |= {f"plc.{name}/t": t_ns[kept], f"plc.{name}/v": value[kept]}
            arrays[f"plc.{name}/q"] = np.zeros(int(kept.sum()), np.uint8)
        np.savez(folder / "part.npz", **arrays)
        (folder / "part.npz").rename(day_path(folder, number - first))
    return folder


def batches(folder, *, stream="00000000000000aa", gateway="main", files=FILES):
    """What a gateway that nothing ever disturbs makes of the files, as batches for a store."""
    pipeline = Pipeline(compile_site(load_site(site_file(folder, 1)), load_profiles()), {})
    out = []
    for number in range(files):
        for samples, until_ns in blocks(read_day(day_path(folder, number)), 0):
            pipeline.feed(samples, until_ns)
            out += [
                RowBatch(Origin("test", gateway, stream), number + 1, part.facts, part.losses, part.stops)
                for part in pipeline.take()
            ]
    return out
