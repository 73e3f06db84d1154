"""Advice for many machines: CPU and memory of a night, how both grow, and three rules beside a plain pandas version.

    .venv/bin/python bench/advice.py [--machines 10,50,200] [--stored 4,8] [--only NAME]
    .venv/bin/python bench/advice.py --bed N0,N1,N2,N3,N4,N5,P1,P2,P3 [--nulls 40] [--of-each 3] [--weeks 20] [--seed 1]

Each variant runs in a process of its own, so that its peak memory is its own; its time is CPU time of that process. Every
machine has 8 weeks of two shifts on six days (some 41,000 rows of facts and 4,000 stops) and all rules. `rules`: columns
are at hand. `night`: they are read from the embedded store, and results are written to SQLite, as the center does.

`--bed` measures no time but errors: of centers of machines without a cause (N0 to N5, each with another thing that could be
taken for one), with strong causes (P1), weak ones (P2) and ones that overlap (P3), what weekly nights open (`tests/advice_bed.py`).
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
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "center")]

import advice_bed as bed
import numpy as np
import pandas as pd
from advice_plant import fill, opened
from histories import CALENDAR, DAY_NS, NULL, START_NS, history

from center.database.findings import open_findings
from center.runtime.advice.night import run_night
from oee.advice.catalogue import rules, significant
from oee.advice.life import next_records
from oee.advice.look import look
from oee.advice.window import MachineWindow, machine_window
from oee.model.facts import FACT_COLUMNS, MINUTE_NS
from oee.model.states import State

WEEKS = 8
SEEDS = 4
END_NS = START_NS + WEEKS * 7 * DAY_NS
PLAN = replace(NULL, weeks=WEEKS, late_min=8)
THREE = ("slow_start", "micro_cluster", "changeover_tail")


@cache
def past(seed: int) -> MachineWindow:
    """One of a few histories, which machines share."""
    return history(PLAN, seed)


def window(seed: int, weeks: int) -> MachineWindow:
    """As the center makes it from rows of its store."""
    whole = past(seed)
    start_ns = max(START_NS, END_NS - weeks * 7 * DAY_NS)
    return machine_window("m", CALENDAR, whole.facts, whole.stops, start_ns, END_NS)


def all_rules(machines: int) -> dict[str, Any]:
    """Looks at each machine, then judges all tests together."""
    tests, looks = [], []
    for number in range(machines):
        seen = look(lambda weeks, seed=number % SEEDS: window(seed, weeks), {})
        tests.append([(item.p, item.passes) for item in seen.findings])
        looks.append(replace(seen, findings=tuple(item for item in seen.findings if item.passes)))
    kept = significant([test for of_machine in tests for test in of_machine])
    records = [next_records([], seen, {item.identity for item in seen.findings}) for seen in looks]
    return {"tests": len(kept), "found": sum(len(found) for found in records)}


def stored_night(machines: int) -> dict[str, Any]:
    """The whole night over a store; only the night is timed."""
    with tempfile.TemporaryDirectory() as folder:
        center = opened("duckdb", Path(folder), END_NS)
        fill(center, {f"m-{number:03}": (PLAN, number % SEEDS) for number in range(machines)})
        engine = open_findings(f"sqlite:///{folder}/findings.sqlite")
        before_mb, begun = _peak_mb(), time.process_time()
        found = run_night(center, engine, END_NS, lambda *_: True)
        out = {"cpu_s": time.process_time() - begun, "more_mb": _peak_mb() - before_mb, "found": len(found or ())}
        center.store.close()
    return out


def three_rules(machines: int) -> dict[str, Any]:
    """Our windows and three rules."""
    found = 0
    for number in range(machines):
        made = window(number % SEEDS, WEEKS)
        found += sum(len(rules()[key].find(made)) for key in THREE)
    return {"contrasts": found}


def three_in_pandas(machines: int) -> dict[str, Any]:
    """The same three questions as somebody would ask them in a notebook: no odd days, no long-run variance."""
    found = 0
    for number in range(machines):
        facts, stops = _frames(number % SEEDS)
        found += len(_pandas_edges(facts)) + len(_pandas_minor(facts, stops)) + len(_pandas_setups(stops))
    return {"contrasts": found}


def _frames(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    whole = past(seed)
    facts = pd.DataFrame(whole.facts.sums, columns=list(FACT_COLUMNS))
    facts["minute"] = pd.to_datetime(whole.facts.minute_ns, utc=True).tz_convert(CALENDAR.zone)
    facts["date"], facts["shift"] = whole.facts.business_date, whole.facts.shift
    facts["product"] = whole.facts.product
    columns = {name: getattr(whole.stops, name) for name in ("start_ns", "end_ns", "state", "product", "to_product")}
    stops = pd.DataFrame(columns)
    stops["start"] = pd.to_datetime(stops["start_ns"], utc=True).dt.tz_convert(CALENDAR.zone)
    stops["minutes"] = (stops["end_ns"] - stops["start_ns"]) / MINUTE_NS
    return facts, stops


def _pandas_edges(facts: pd.DataFrame) -> pd.DataFrame:
    begun = facts.groupby(["date", "shift"])["minute"].transform("min")
    into = (facts["minute"] - begun).dt.total_seconds() // 60
    blocks = facts.assign(block=into // 30)
    lost = 30 - blocks.pivot_table("ideal_good_us", ["date", "shift"], "block", "sum") / 6e7
    extra = lost[0] - lost.loc[:, 4:].median(axis=1)
    return pd.DataFrame({"mean": [extra.mean()], "half": [1.96 * extra.sem()]})


def _pandas_minor(facts: pd.DataFrame, stops: pd.DataFrame) -> pd.DataFrame:
    begun = facts.groupby(["date", "shift"])["minute"].min().rename("begun").reset_index().sort_values("begun")
    minor = stops[stops["state"] == int(State.MINOR_STOP)].sort_values("start")
    at = pd.merge_asof(minor, begun, left_on="start", right_on="begun")
    at["early"] = (at["start"] - at["begun"]).dt.total_seconds() < 1800
    early = (facts["minute"] - facts.groupby(["date", "shift"])["minute"].transform("min")).dt.total_seconds() < 1800
    hours = facts.groupby(early)["running_ms"].sum() / 3.6e6
    counts = at.groupby("early").size()
    by_product = minor.groupby("product").size() / facts.groupby("product")["running_ms"].sum() * 3.6e6
    return pd.concat([counts / hours, by_product]).to_frame("rate")


def _pandas_setups(stops: pd.DataFrame) -> pd.DataFrame:
    setups = stops[(stops["state"] == int(State.SETUP)) & (stops["to_product"] != "")]
    pairs = setups.groupby(["product", "to_product"])["minutes"]
    described = pd.DataFrame({share: pairs.quantile(share) for share in (0.2, 0.5, 0.9)})
    return described[described[0.9] / described[0.5] > 0]


VARIANTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "rules": all_rules,
    "night": stored_night,
    "three": three_rules,
    "pandas": three_in_pandas,
}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(name: str, machines: int) -> None:
    """Runs a variant in this process and prints what it took."""
    for seed in range(SEEDS):
        past(seed)
        _ = _frames(seed) if name == "pandas" else None
    before_mb, begun = _peak_mb(), time.process_time()
    told = VARIANTS[name](machines)
    told = {"cpu_s": time.process_time() - begun, "more_mb": _peak_mb() - before_mb} | told
    print(json.dumps({"variant": name, "machines": machines, "peak_mb": _peak_mb()} | told))


def null_errors(kind: str, asked: argparse.Namespace) -> None:
    """Prints what was opened on machines without a cause."""
    told = bed.nights(bed.nulls(kind, asked.nulls, asked.seed), asked.weeks)
    each = 100 * len(told.opened) / told.months
    print(f"{kind}: {each:.2f} false findings opened per 100 of {told.months:.0f} machine-months, ", end="")
    print(f"{len(told.watched)} watched; {bed.share_below(told.p):.3f} of {len(told.p)} p below 0.05")
    print(f"    {sorted(told.opened)}")


def planted_errors(kind: str, asked: argparse.Namespace) -> None:
    """Prints by rule how many planted causes were opened, the weeks that took, and what was opened wrongly."""
    causes = {"P1": bed.STRONG, "P2": bed.WEAK, "P3": bed.PAIRS}[kind]
    plans = bed.planted(causes, asked.of_each, asked.seed) | bed.untrusted(2, asked.seed)
    told = bed.nights(plans, asked.weeks)
    keys = sorted({key for name in plans if "unwatched" not in name for key in bed.causes_of(name)})
    weeks: list[int] = []
    for key in keys:
        of, opened = sum(key in bed.causes_of(name) for name in plans), bed.found(told, key)
        weeks += opened.values()
        print(f"{kind} {key:<20} {len(opened)} of {of}, weeks {sorted(opened.values())}")
    inside = bed.gains_inside(told, plans)
    wrong = bed.wrong(told)
    print(f"{kind}: recall {len(weeks)} of {sum(len(bed.causes_of(name)) for name in plans)}, ", end="")
    print(f"precision {1 - len(wrong) / max(1, len(told.opened)):.3f}, median {np.median(weeks)} weeks, ", end="")
    print(f"true gain in the range {sum(ok for _, ok, _, _ in inside)} of {len(inside)}")
    print(f"    wrong: {wrong}\n    not in the range: {[item for item in inside if not item[1]]}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--machines", default="10,50,200")
    parser.add_argument("--stored", default="4,8")
    parser.add_argument("--only", choices=sorted(VARIANTS))
    parser.add_argument("--here", type=int)
    parser.add_argument("--bed", help="N0 to N5, P1 to P3, with commas between them")
    for name, usual in (("nulls", 40), ("of-each", 3), ("weeks", 20), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    for kind in asked.bed.split(",") if asked.bed else ():
        (null_errors if kind in bed.CONFOUNDED else planted_errors)(kind, asked)
    if asked.bed:
        return
    if asked.here is not None:
        one(asked.only, asked.here)
        return
    runs = [(name, n) for name in ("rules", "three", "pandas") for n in map(int, asked.machines.split(","))]
    runs += [("night", int(n)) for n in asked.stored.split(",")]
    print(f"NumPy {np.__version__}, pandas {pd.__version__}; {WEEKS} weeks a machine, {len(rules())} rules")
    print(f"{'variant':<8} {'machines':>8} {'CPU s':>8} {'ms a machine':>13} {'peak MB':>8} {'more MB':>8}")
    for name, n in runs:
        if asked.only in (None, name):
            command = [sys.executable, __file__, "--only", name, "--here", str(n)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            cpu, each = told["cpu_s"], 1000 * told["cpu_s"] / n
            print(f"{name:<8} {n:>8} {cpu:>8.2f} {each:>13.1f} {told['peak_mb']:>8.0f} {told['more_mb']:>8.1f}")


if __name__ == "__main__":
    main()
