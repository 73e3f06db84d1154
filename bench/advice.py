"""Advice for many machines: CPU and memory of a night, how both grow, and three rules beside a plain pandas version.

    .venv/bin/python bench/advice.py [--machines 10,50,200] [--stored 4,8] [--only NAME]
    .venv/bin/python bench/advice.py --bed N0,N1,N2,N3,N4,N5,P1,P2,P3 [--seeds 1,2,3,4,5] [--weeks 26] [--nulls 40]
        [--of-each 1] [--keep FOLDER]

Each variant runs in a process of its own, so that its peak memory is its own; its time is CPU time of that process. Every
machine has 8 weeks of two shifts on six days (some 41,000 rows of facts and 4,000 stops) and all rules. `rules`: columns
are at hand. `night`: they are read from the embedded store, and results are written to SQLite, as the center does.

`--bed` measures no time but errors: of centers of machines without a cause (N0 to N5, each with another thing that could be
taken for one), with strong causes (P1), weak ones (P2) and ones that overlap (P3), what weekly nights open (`tests/advice_bed.py`).
What one machine showed in one night is kept in the folder of `--keep`, so a run that was interrupted goes on, several runs can
share the work, and only what the sources changed is made again.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "tests"), str(ROOT / "tests" / "center")]

import advice_bed as bed
import numpy as np
from advice_plant import fill, opened
from histories import CALENDAR, DAY_NS, NULL, START_NS, recorded

from center.database.findings import open_findings
from center.runtime.advice.night import run_night
from oee.advice.catalogue import rules, significant
from oee.advice.life import next_records
from oee.advice.look import look
from oee.advice.window import MachineWindow, StopColumns, machine_window
from oee.model.facts import Facts

WEEKS = 8
SEEDS = 4
END_NS = START_NS + WEEKS * 7 * DAY_NS
PLAN = replace(NULL, weeks=WEEKS, late_min=8)
THREE = ("slow_start", "micro_cluster", "changeover_tail")


@dataclass(frozen=True)
class Past:
    """What a store has of a machine."""

    facts: Facts
    stops: StopColumns


@cache
def past(seed: int) -> Past:
    """One of a few histories, which machines share, in the order of time, as a store gives it."""
    facts, stops = recorded(PLAN, seed)
    return Past(bed.in_time(facts), stops)


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
        tests.append([(item.rule, item.p, item.passes) for item in seen.findings])
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
    """The same three rules in plain pandas, which no other variant loads."""
    import advice_pandas  # noqa: PLC0415

    found = 0
    for number in range(machines):
        found += len(advice_pandas.three_rules(past(number % SEEDS), CALENDAR, START_NS, END_NS))
    return {"contrasts": found}


def differences() -> list[str]:
    """Figures of the three rules of which both ways do not say the same."""
    import advice_pandas  # noqa: PLC0415

    out = []
    for seed in range(SEEDS):
        ours = {item.identity: item.figures for key in THREE for item in rules()[key].find(window(seed, WEEKS))}
        theirs = advice_pandas.three_rules(past(seed), CALENDAR, START_NS, END_NS)
        out += [f"{seed}: {identity} is on one side only" for identity in set(ours) ^ set(theirs)]
        for identity in sorted(set(ours) & set(theirs)):
            pairs = [(name, value, ours[identity].get(name, value)) for name, value in theirs[identity].items()]
            out += [f"{seed}: {identity} {pair}" for pair in pairs if not np.isclose(pair[1], pair[2], rtol=1e-9)]
    return out


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
    before_mb, begun = _peak_mb(), time.process_time()
    told = VARIANTS[name](machines)
    told = {"cpu_s": time.process_time() - begun, "more_mb": _peak_mb() - before_mb} | told
    print(json.dumps({"variant": name, "machines": machines, "peak_mb": _peak_mb()} | told))


def _nights(kind: str, seed: int, plans: dict[str, Any], asked: argparse.Namespace) -> bed.Told:
    """Nights over these machines, with a bar where somebody looks on."""
    begun = time.monotonic()
    weeks = [week for week in bed.NIGHTS if week <= asked.weeks]

    def progress(week: int, number: int) -> None:
        done = (weeks.index(week) + number / len(plans)) / len(weeks)
        bar = ("█" * round(30 * done)).ljust(30, "·")
        passed_s = time.monotonic() - begun
        print(
            f"\r{kind} seed {seed} {bar} {done:4.0%} week {week}, {passed_s:.0f} s", end="", file=sys.stderr, flush=True
        )

    told = bed.nights(
        plans, asked.weeks, weeks, folder=asked.keep, progress=progress if sys.stderr.isatty() else lambda *_: None
    )
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return told


def null_errors(kind: str, seed: int, asked: argparse.Namespace) -> None:
    """Prints what was opened on machines without a cause."""
    told = _nights(kind, seed, bed.nulls(kind, asked.nulls, seed), asked)
    each = 100 * len(told.opened) / told.months
    print(f"{kind} seed {seed}: {each:.2f} false findings opened per 100 of {told.months:.0f} machine-months, ", end="")
    print(f"{len(told.watched)} watched; {bed.share_below(told.p):.3f} of {len(told.p)} p below 0.05")
    print(f"    {sorted(told.opened)}", flush=True)


def planted_errors(kind: str, seed: int, asked: argparse.Namespace) -> None:
    """Prints by rule how many planted causes were opened, the weeks that took, and what was opened wrongly. As many machines
    have no cause, and two are not watched enough.
    """
    causes = {"P1": bed.STRONG, "P2": bed.WEAK, "P3": bed.PAIRS}[kind]
    plans = bed.planted(causes, asked.of_each, seed)
    plans |= bed.nulls("N0", len(plans), seed, first=500) | bed.untrusted(2, seed)
    told = _nights(kind, seed, plans, asked)
    keys = sorted({key for name in plans if "unwatched" not in name for key in bed.causes_of(name)})
    weeks: list[int] = []
    for key in keys:
        of, opened = sum(key in bed.causes_of(name) for name in plans), bed.found(told, key)
        weeks += opened.values()
        print(f"{kind} seed {seed} {key:<20} {len(opened)} of {of}, weeks {sorted(opened.values())}")
    inside = bed.gains_inside(told, plans)
    wrong = bed.wrong(told)
    print(f"{kind} seed {seed}: recall {len(weeks)} of {sum(len(bed.causes_of(name)) for name in plans)}, ", end="")
    print(f"precision {1 - len(wrong) / max(1, len(told.opened)):.3f}, median {np.median(weeks)} weeks, ", end="")
    print(f"true gain in the range {sum(ok for _, ok, _, _ in inside)} of {len(inside)}")
    print(f"    wrong: {wrong}\n    not in the range: {[item for item in inside if not item[1]]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--machines", default="10,50,200")
    parser.add_argument("--stored", default="4,8")
    parser.add_argument("--only", choices=sorted(VARIANTS))
    parser.add_argument("--here", type=int)
    parser.add_argument("--bed", help="N0 to N5, P1 to P3, with commas between them")
    parser.add_argument("--keep", help="a folder in which looks are kept: a run goes on where an earlier one ended")
    parser.add_argument("--seeds", default="1")
    for name, usual in (("nulls", 40), ("of-each", 1), ("weeks", 26)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    for kind in asked.bed.split(",") if asked.bed else ():
        for seed in map(int, asked.seeds.split(",")):
            (null_errors if kind in bed.CONFOUNDED else planted_errors)(kind, seed, asked)
    if asked.bed:
        return
    if asked.here is not None:
        one(asked.only, asked.here)
        return
    runs = [(name, n) for name in ("rules", "three", "pandas") for n in map(int, asked.machines.split(","))]
    runs += [("night", int(n)) for n in asked.stored.split(",")]
    print(f"NumPy {np.__version__}, pandas {version('pandas')}; {WEEKS} weeks a machine, {len(rules())} rules")
    print(f"{'variant':<8} {'machines':>8} {'CPU s':>8} {'ms a machine':>13} {'peak MB':>8} {'more MB':>8}")
    if asked.only in (None, "pandas"):
        print("\n".join(differences()) or "pandas and the rules give the same figures")
    for name, n in runs:
        if asked.only in (None, name):
            command = [sys.executable, __file__, "--only", name, "--here", str(n)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            cpu, each = told["cpu_s"], 1000 * told["cpu_s"] / n
            print(f"{name:<8} {n:>8} {cpu:>8.2f} {each:>13.1f} {told['peak_mb']:>8.0f} {told['more_mb']:>8.1f}")


if __name__ == "__main__":
    main()
