"""Samples a second: one machine-year at 1 Hz, three tags, through the engine and through alternatives.

    .venv/bin/python bench/oee.py [--days 365] [--only NAME]

Each variant runs in a process of its own, so that its peak memory is its own; its time is CPU time of that process
(best of `ROUNDS`), since a shared machine's wall clock says little. A sample is one row of all three tags.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this file's name must not hide the package `oee`

from config import parse_site
from oee.engine import step as engine
from oee.engine.aggregate import aggregate
from oee.model.calendars import Calendar, Shift
from oee.model.conditions import parse
from oee.model.facts import FACT_COLUMNS, MINUTE_NS
from oee.model.machine import Counter, Ideal, Machine, Pieces, Product, Rule
from oee.model.states import State
from replay.drive import BLOCK_NS, replay
from replay.read.cells import Cells
from replay.read.clean import Cleaner, Raw
from replay.read.conflicts import Conflicts

S = 1_000_000_000
T0 = 1_767_200_400 * S
DAY = 86_400
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
CHANGES_A_DAY = 960
ROUNDS = 3
TAGS = ("plc.running", "plc.alarm", "plc.strokes")

SITE = """
site: bench
timezone: Asia/Ho_Chi_Minh
devices:
  plc:
    kind: modbus_tcp
    host: 192.0.2.1
    tags: {running: {coil: 0}, alarm: {holding: 1, type: uint16}, strokes: {holding: 2, type: uint32}}
machines:
  m:
    state:
      - {when: "plc.alarm > 0", is: breakdown}
      - {when: "plc.running", is: running}
      - {is: unplanned_stop}
    pieces: {total: plc.strokes}
    product: "1"
products: {"1": {ideal: 25s}}
shifts:
  - {name: A, days: mon-sun, from: "06:00", to: "14:00", breaks: ["10:00-10:15"]}
  - {name: B, days: mon-sun, from: "14:00", to: "22:00"}
  - {name: C, days: mon-sun, from: "22:00", to: "06:00"}
"""


def machine() -> Machine:
    week = frozenset(range(7))
    calendar = Calendar(
        ZONE,
        (
            Shift("A", week, 6 * 3600, 14 * 3600, ((36_000, 36_900),)),
            Shift("B", week, 14 * 3600, 22 * 3600),
            Shift("C", week, 22 * 3600, 30 * 3600),
        ),
    )
    return Machine(
        "m",
        calendar,
        rules=(
            Rule(parse("plc.alarm > 0"), State.BREAKDOWN),
            Rule(parse("plc.running"), State.RUNNING),
            Rule(None, State.UNPLANNED_STOP),
        ),
        pieces=Pieces(total=Counter("plc.strokes")),
        product="1",
        products={"1": Product("1", (Ideal(25_000_000),))},
    )


def history(days: int, *, irregular: bool = False) -> dict[str, Any]:
    """Columns as a poller would have recorded them."""
    rng = np.random.default_rng(1)
    n = days * DAY
    flips = np.zeros(n, np.uint8)
    flips[rng.choice(n, CHANGES_A_DAY * days, replace=False)] = 1
    running = (np.cumsum(flips, dtype=np.int64) % 2).astype(np.bool_)
    alarm = np.zeros(n, np.uint16)
    starts = np.flatnonzero((flips == 1) & ~running)[::50]
    for start in starts.tolist():
        alarm[start : start + 60] = np.where(running[start : start + 60], 0, 12)
    strokes = np.cumsum(running & (rng.random(n, np.float32) < 1 / 30), dtype=np.uint32)
    t_ns = T0 + np.arange(n, dtype=np.int64) * S
    if irregular:
        t_ns += rng.integers(0, 900, n) * 1_000_000
    return {"t": t_ns, "plc.running": running, "plc.alarm": alarm, "plc.strokes": strokes}


def from_columns(data: dict[str, Any], block: int = BLOCK_NS // S) -> dict[str, int]:
    """Tag columns to facts, losses and stops: changes, engine steps of four weeks, as `nhip replay` does it."""
    cleaner, state, bench_machine = (
        Cleaner("bench", ZONE, Conflicts(), frozenset({"plc.strokes"})),
        engine.start(),
        machine(),
    )
    n, lost_ms, stops = len(data["t"]), 0, 0
    sums = np.zeros(len(FACT_COLUMNS), np.int64)
    for low in range(0, n, block):
        part = slice(low, low + block)
        chunk = cleaner.clean(Raw(data["t"][part], {tag: Cells(data[tag][part]) for tag in TAGS}, low))
        assert chunk is not None
        last = low + block >= n
        until = chunk.last_ns + S
        step = engine.step(bench_machine, state, chunk.samples, (), until, 2**62 if last else until - until % MINUTE_NS)
        state = step.state
        sums += step.facts.sums.sum(axis=0)
        lost_ms += int(step.losses.sums[:, 0].sum())
        stops += int((step.stops.revision == 0).sum())
    totals = {name: int(total) for name, total in zip(FACT_COLUMNS, sums.tolist(), strict=True) if total}
    return totals | {"losses": lost_ms, "stop_rows": stops}


def ready(data: dict[str, Any]) -> tuple[Any, int]:
    """The classified window over the whole time, and the number of its intervals."""
    cleaner = Cleaner("bench", ZONE, Conflicts(), frozenset({"plc.strokes"}))
    chunk = cleaner.clean(Raw(data["t"], {tag: Cells(data[tag]) for tag in TAGS}, 0))
    assert chunk is not None
    begin = chunk.first_ns
    state = engine.EngineState(settled_ns=begin, until_ns=begin, since_ns=begin, rows=chunk.samples)
    window = engine.assess(machine(), state, chunk.last_ns + S).window
    return window, len(window.timeline)


def kernel(window: Any, end_ns: int) -> int:
    return len(aggregate(replace(window), T0, end_ns)[0])  # a new window: nothing cached yet


def with_pandas(data: dict[str, Any]) -> dict[str, int]:
    """The same facts, losses and stops as someone fluent in pandas would make them of one frame, in pandas' favour where
    there is a choice: the clock is integer arithmetic (no time zone with seasons), shifts and break are written out,
    a counter only wraps, and there is one product, so nothing is looked up for it. Nothing is streamed.
    """
    import pandas as pd  # noqa: PLC0415

    strokes = data["plc.strokes"].astype(np.int64)
    frame = pd.DataFrame(
        {
            "t": data["t"],
            "state": np.where(data["plc.alarm"] > 0, 3, np.where(data["plc.running"], 0, 2)).astype(np.int8),
            "made": np.diff(strokes, prepend=strokes[0]) % 2**32,
            "ms": np.diff(data["t"], append=data["t"][-1] + S) // 1_000_000,
        }
    )
    local_s = frame["t"] // S + 7 * 3600
    clock_s = local_s % DAY
    frame["minute"] = frame["t"] // MINUTE_NS
    frame["date"] = ((local_s - 6 * 3600) // DAY).astype(np.int32)
    frame["shift"] = np.searchsorted([6 * 3600, 14 * 3600, 22 * 3600], clock_s, "right").astype(np.int8) % 3
    frame["pause"] = (clock_s >= 36_000) & (clock_s < 36_900)
    frame["scheduled_ms"] = frame["ms"].where(~frame["pause"], 0)
    # stretches of one state: short unplanned stops are minor, judged on their whole scheduled time
    stretch = (frame["state"] != frame["state"].shift()).cumsum() - 1
    stops = frame.groupby(stretch).agg(
        start=("t", "first"), state=("state", "first"), ms=("ms", "sum"), scheduled_ms=("scheduled_ms", "sum")
    )
    stops.loc[(stops["state"] == 2) & (stops["scheduled_ms"] <= 300_000), "state"] = 1
    frame["state"] = stops["state"].to_numpy()[stretch]
    keys = ["minute", "pause", "date", "shift"]
    cells = frame.groupby([*keys, "state"])[["ms", "made"]].sum()
    facts = cells["ms"].unstack(fill_value=0)  # noqa: PD010
    facts.columns = pd.Index([f"{State(code).word}_ms" for code in facts.columns])
    facts["running_ideal_known_ms"], facts["minor_stop_ideal_known_ms"] = facts["running_ms"], facts["minor_stop_ms"]
    facts["pieces_total"] = facts["cycles"] = cells["made"].groupby(keys).sum()
    facts["ideal_total_us"] = facts["pieces_total"] * 25_000_000
    losses = cells[(cells.index.get_level_values("state") != 0)]
    # closed stops, booked in the minute in which they first cost scheduled time
    stops = stops[stops["state"] != 0]
    closed = stops[stops["start"] + stops["ms"] * 1_000_000 <= data["t"][-1]]
    begin_s = closed["start"] // S + 7 * 3600
    waits_s = np.where((begin_s % DAY >= 36_000) & (begin_s % DAY < 36_900), 36_900 - begin_s % DAY, 0)
    waits_s = np.where(closed["scheduled_ms"] > 0, waits_s, 0)
    booked = closed.assign(minute=(closed["start"] + waits_s * S) // MINUTE_NS, failed=closed["state"] == 3)
    booked["failures_ms"] = booked["scheduled_ms"].where(booked["failed"], 0)
    by_minute = booked.groupby("minute").agg(
        stops=("state", "size"),
        stops_ms=("scheduled_ms", "sum"),
        failures=("failed", "sum"),
        failures_ms=("failures_ms", "sum"),
    )
    facts = facts.join(by_minute, on="minute").fillna(0)
    totals = {name: int(total) for name, total in facts.sum().items() if total}
    return totals | {"losses": int(losses["ms"].sum()), "stop_rows": len(stops)}


def read_once(data: dict[str, Any]) -> int:
    return sum(int(column.sum()) for column in data.values())


def make_file(path: Path, days: int) -> None:
    import pyarrow as pa  # noqa: PLC0415  # each variant loads only what it needs
    import pyarrow.parquet as pq  # noqa: PLC0415

    data = history(days)
    columns = {"time": pa.array(data["t"], pa.timestamp("ns", "UTC"))}
    columns |= {tag.removeprefix("plc."): data[tag] for tag in TAGS}
    pq.write_table(pa.table(columns), path)


def parquet(days: int) -> dict[str, Any]:
    """`nhip replay` of a Parquet file, without starting Python."""
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
        path = Path(folder) / "plc.parquet"  # written by another process, whose memory does not count here
        subprocess.run([sys.executable, __file__, "--days", str(days), "--make", str(path)], check=True)
        site = parse_site(SITE)[0]
        return timed(lambda: len(replay(site, Path(folder)).totals.facts), days * DAY)


NAMES = {
    "kernel": "(a) aggregating a ready timeline",
    "columns": "(b) tag columns to facts",
    "irregular": "(b) the same, irregular stamps",
    "pandas": "(c) pandas, the same",
    "read": "(d) reading the arrays once",
    "parquet": "(e) nhip replay, Parquet",
}


def measure(name: str, days: int) -> dict[str, Any]:
    if name == "parquet":
        return parquet(days)
    data = history(days, irregular=name == "irregular")
    if name == "kernel":
        window, changes = ready(data)
        end_ns = int(window.timeline.end_ns[-1])
        return timed(lambda: kernel(window, end_ns), len(data["t"])) | {"changes": changes}
    run: Callable[[dict[str, Any]], Any] = {"pandas": with_pandas, "read": read_once}.get(name, from_columns)
    return timed(lambda: run(data), len(data["t"]))


def timed(call: Callable[[], Any], samples: int) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best_cpu, best_wall = float("inf"), float("inf")
    for _ in range(ROUNDS):
        cpu, wall = time.process_time(), time.perf_counter()
        result = call()
        best_cpu = min(best_cpu, time.process_time() - cpu)
        best_wall = min(best_wall, time.perf_counter() - wall)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "result": result,
        "samples": samples,
        "cpu_s": round(best_cpu, 4),
        "wall_s": round(best_wall, 4),
        "samples_per_s": round(samples / best_cpu),
        "peak_mib": round(peak / 1024),
        "before_mib": round(before / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make_file(arguments.make, arguments.days)
        return
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.days)))
        return
    results: dict[str, Any] = {}
    print(f"{'':34}{'CPU s':>9}{'wall s':>9}{'M samples/s':>13}{'peak MiB':>10}{'before it':>11}")
    for name, label in NAMES.items():
        command = [sys.executable, __file__, "--days", str(arguments.days), "--only", name]
        process = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
        item = results[name] = json.loads(process.stdout)
        rate = item["samples_per_s"] / 1e6
        print(
            f"{label:34}{item['cpu_s']:9.3f}{item['wall_s']:9.3f}{rate:13.1f}{item['peak_mib']:10}{item['before_mib']:11}"
        )
    differs = [
        name for name, total in results["columns"]["result"].items() if results["pandas"]["result"].get(name) != total
    ]
    if differs:
        sys.exit(f"pandas comes to other sums: {', '.join(differs)}")
    ratio = results["columns"]["samples_per_s"] / results["pandas"]["samples_per_s"]
    print(f"(b) is {ratio:.1f} times pandas, and both come to the same {len(results['columns']['result'])} sums")
    print(f"the timeline of (a) has {results['kernel']['changes']:,} intervals")
    for item in results.values():
        del item["result"]
    print(json.dumps({"days": arguments.days, "columns_over_pandas": round(ratio, 2), **results}))


if __name__ == "__main__":
    main()
