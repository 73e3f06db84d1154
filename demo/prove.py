"""The headless demo: runs for a while, then compares the center's figures with the simulator's true ones."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from cli.files import write_whole
from demo.proof import NOT_BUSY, STATES, Comparison, compare, count_transitions, measured_figures, truth_figures
from demo.stage import Stage, StageBroken, request_json

_MINUTE_NS: Final = 60_000_000_000
_LEAD_NS: Final = 5_000_000_000
_SETTLE_S: Final = 45.0
_CORRECTIONS_NS: Final = 75_000_000_000
"""After the window's end: the sewing station's gap counts as a stop only once it has lasted 2.5 ideal times (50 s), and
what follows from that is sent with the next ten seconds' facts. Until then a difference may be a correction on its way."""
_RETRY_S: Final = 3.0
_UNDECIDED: Final = ("minor_stop", "unplanned_stop", "setup")
"""What a stop is depends on its full length and on what came before it."""
_UNSEEN: Final = ("running", *_UNDECIDED)
"""A machine known only by its pulses stands once none came for some time: of a stop that a gap cuts, a part may be too short
to be one."""

OnStep = Callable[[str, float], None]
"""Takes the name of the current step and its progress [1]."""


@dataclass(frozen=True)
class Plan:
    """for_s: length of the compared window [s], rounded up to whole minutes.

    kill_after_s: seconds into the window at which the agent is killed (SIGKILL); None: never. down_s: how long until
    it is started again.
    """

    for_s: float
    kill_after_s: float | None = None
    down_s: float = 8.0


@dataclass(frozen=True)
class Report:
    """What `nhip demo --for` writes."""

    from_ns: int
    to_ns: int
    machines: tuple[Comparison, ...]
    delivery: Mapping[str, int]
    gaps: Mapping[str, tuple[tuple[int, int], ...]]

    @property
    def not_judged(self) -> list[str]:
        """The machines for whose OEE the window is too short."""
        return [item.machine for item in self.machines if item.tolerance_oee is None]

    @property
    def complaints(self) -> list[str]:
        """Everything that is out of tolerance; empty if all agrees."""
        complaints = [f"{item.machine}: {text}" for item in self.machines for text in item.complaints]
        if self.delivery["missing"]:
            complaints.append(f"{self.delivery['missing']} envelopes are missing at the center")
        if self.delivery["quarantined"]:
            complaints.append(f"{self.delivery['quarantined']} envelopes are in quarantine")
        return complaints

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "from": _iso(self.from_ns),
            "to": _iso(self.to_ns),
            "ok": not self.complaints,
            "complaints": self.complaints,
            "oee_not_judged": self.not_judged,
            "machines": {item.machine: asdict(item) for item in self.machines},
            "delivery": dict(self.delivery),
            "gaps": {name: [[_iso(a), _iso(b)] for a, b in gaps] for name, gaps in self.gaps.items()},
        }


def _iso(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def prove(stage: Stage, plan: Plan, on_step: OnStep) -> Report:
    """Runs the window on an open stage and compares. Raises `StageBroken` if a process dies or never answers."""
    on_step("warm_up", 0.0)
    stage.wait(lambda: request_json(f"{stage.truth_url}/ready")["live"], "the live simulator")
    stage.wait(stage.agent_ready.exists, "the agent", 600.0)
    stage.wait(lambda: _all_known(stage), "the machines at the center")
    watched_ns = time.time_ns()
    minutes = max(1, -int(-plan.for_s // 60))
    from_ns = -(-(time.time_ns() + _LEAD_NS) // _MINUTE_NS) * _MINUTE_NS
    to_ns = from_ns + minutes * _MINUTE_NS
    quiet = request_json(f"{stage.truth_url}/quiet", {"at_ns": [from_ns, to_ns]})
    if quiet["late"]:
        raise StageBroken(f"the simulator was asked too late for {quiet['late']}")
    _live(stage, plan, from_ns, to_ns, on_step)
    on_step("deliver", 0.0)
    stage.wait(lambda: _delivered(stage, from_ns, to_ns), "the facts of the window", _SETTLE_S)
    while (report := _report(stage, watched_ns, from_ns, to_ns)).complaints:
        over = (time.time_ns() - to_ns) / _CORRECTIONS_NS
        if over >= 1:
            break
        on_step("deliver", over)
        stage.check()
        time.sleep(_RETRY_S)
    return report


def _all_known(stage: Stage) -> bool:
    live = request_json(f"{stage.center_url}/api/v1/live")
    return bool(live) and all(row["state"] not in (None, "", "unknown") for row in live)


def _live(stage: Stage, plan: Plan, from_ns: int, to_ns: int, on_step: OnStep) -> None:
    """Waits for the end of the window, and kills the agent within it if that is the plan."""
    kill_ns = None if plan.kill_after_s is None else from_ns + round(plan.kill_after_s * 1e9)
    back_ns = None
    while (now_ns := time.time_ns()) < to_ns + 1_000_000_000:
        if kill_ns is not None and now_ns >= kill_ns:
            stage.child("agent").kill()
            kill_ns, back_ns = None, now_ns + round(plan.down_s * 1e9)
        if back_ns is not None and now_ns >= back_ns:
            stage.start_agent()
            back_ns = None
        if back_ns is None:
            stage.check()
        on_step("live", min(1.0, max(0.0, (now_ns - from_ns) / (to_ns - from_ns))))
        time.sleep(0.2)


def _rows(stage: Stage, from_ns: int, to_ns: int) -> dict[str, list[Any]]:
    query = {"site": _site(stage), "bucket": "all", "by": "machine,calendar", "from": _iso(from_ns), "to": _iso(to_ns)}
    by_machine: dict[str, list[Any]] = {}
    for row in request_json(f"{stage.center_url}/api/v1/trend?{urlencode(query)}")["rows"]:
        by_machine.setdefault(row["machine"], []).append(row)
    return by_machine


def _site(stage: Stage) -> str:
    sites = request_json(f"{stage.center_url}/api/v1/sites")
    return str(sites[0]["id"])


def _delivered(stage: Stage, from_ns: int, to_ns: int) -> bool:
    """Whether the states of every machine fill the window."""
    rows = _rows(stage, from_ns, to_ns)
    machines = request_json(f"{stage.center_url}/api/v1/machines?site={_site(stage)}")
    if not machines:
        return False
    full_ms = (to_ns - from_ns) // 1_000_000
    measured_ms = {name: sum(_time_ms(row) for row in machine_rows) for name, machine_rows in rows.items()}
    return all(measured_ms.get(machine["id"], 0) >= full_ms for machine in machines)


def _time_ms(row: Mapping[str, Any]) -> int:
    return sum(int(value) for name, value in row["sums"].items() if name.removesuffix("_ms") in STATES)


def _gaps(stage: Stage, machine: str, from_ns: int, to_ns: int) -> tuple[tuple[int, int], ...]:
    """Stretches that the center calls unknown."""
    query = {"site": _site(stage), "machine": machine, "from": _iso(from_ns), "to": _iso(to_ns)}
    rows = request_json(f"{stage.center_url}/api/v1/stops?{urlencode(query)}")["rows"]
    unknown = [
        (_ns(row["start"]), _ns(row["end"]) if row["end"] else to_ns) for row in rows if row["state"] == "unknown"
    ]
    return tuple(sorted((max(a, from_ns), min(b, to_ns)) for a, b in unknown if a < to_ns and b > from_ns))


def _ns(moment: str) -> int:
    parsed = datetime.fromisoformat(moment)
    return round(parsed.timestamp() * 1000) * 1_000_000


def _truth(stage: Stage, from_ns: int, to_ns: int, as_of_ns: int) -> dict[str, Any]:
    answer = request_json(f"{stage.truth_url}/truth?from={from_ns}&to={to_ns}&as_of={as_of_ns}")
    machines: dict[str, Any] = answer["machines"]
    return machines


def _report(stage: Stage, watched_ns: int, from_ns: int, to_ns: int) -> Report:
    as_of_ns = max(to_ns, time.time_ns() - 3_000_000_000)
    measured = _rows(stage, from_ns, to_ns)
    totals = _truth(stage, from_ns, to_ns, as_of_ns)
    machines = {row["id"]: row for row in request_json(f"{stage.center_url}/api/v1/machines?site={_site(stage)}")}
    comparisons = []
    all_gaps: dict[str, tuple[tuple[int, int], ...]] = {}
    for name in sorted(totals):
        states = _states(stage, name, from_ns, to_ns)
        gaps = _watch_gaps(_gaps(stage, name, from_ns, to_ns), states)
        all_gaps[name] = gaps
        edges = [from_ns, *(edge for gap in gaps for edge in gap), to_ns]
        parts = [_truth(stage, a, b, as_of_ns)[name] for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
        truth = truth_figures(parts, sum(b - a for a, b in gaps) // 1_000_000, totals[name])
        products = list(totals[name]["pieces"]["products"].values())
        made = [item for item in products if item["pieces"]]
        rows = measured.get(name, [])
        counts = count_transitions([state for _, state in _with_gaps(states, gaps)])
        comparisons.append(
            compare(
                name,
                truth,
                measured_figures(rows),
                transitions=counts,
                period_s=float(machines[name]["period_s"]),
                ideal_s=max(item["ideal_us"] for item in made or products) / 1e6,
                together=_together(
                    states,
                    gaps,
                    older=_older(stage, name, watched_ns, from_ns),
                    by_pulses=totals[name]["state_by_pulses"],
                ),
                unwatched_slack=_slack(totals[name], len(gaps)),
                busy_edges=sum((a in NOT_BUSY) != (b in NOT_BUSY) for (_, a), (_, b) in pairwise(states)) + len(gaps),
                piece_edges=max(0, len(made) - 1) + max(0, sum(_time_ms(row) > 0 for row in rows) - 1),
            )
        )
    return Report(from_ns, to_ns, tuple(comparisons), _delivery(stage), all_gaps)


def _older(stage: Stage, machine: str, watched_ns: int, from_ns: int) -> bool:
    """Whether the window began in a stop that is older than the observation, so that its length is not known."""
    states = _states(stage, machine, watched_ns, from_ns)
    return len(states) < 2 and states[0][1] != "running"


def _together(
    states: Sequence[tuple[int, str]], gaps: Sequence[tuple[int, int]], *, older: bool, by_pulses: bool
) -> Sequence[tuple[str, ...]]:
    """States that cannot be told apart. states: the true ones; older: the window began in a stop that nobody saw begin."""
    if not gaps and not older:
        return ()
    cut = any(_state_at(states, edge_ns) in _UNDECIDED for gap in gaps for edge_ns in gap)
    return [_UNSEEN if by_pulses and (cut or older) else _UNDECIDED]


def _state_at(states: Sequence[tuple[int, str]], t_ns: int) -> str:
    return next((state for begun_ns, state in reversed(states) if begun_ns <= t_ns), "")


def _slack(truth: Mapping[str, Any], gaps: int) -> int:
    """Pieces that one count can put on the other side of a gap's edge."""
    return 2 * gaps * int(truth["cavities"]) if truth["pieces"]["total"] else 0


def _states(stage: Stage, machine: str, from_ns: int, to_ns: int) -> list[tuple[int, str]]:
    """The state at `from_ns` and each change after it: time and state."""
    query = {"machine": machine, "from": from_ns, "to": to_ns}
    rows: Sequence[Any] = request_json(f"{stage.truth_url}/transitions?{urlencode(query)}")["transitions"]
    return [(int(row["t_ns"]), "unknown" if row["state"] == "offline" else str(row["state"])) for row in rows]


def _watch_gaps(unknown: tuple[tuple[int, int], ...], states: Sequence[tuple[int, str]]) -> tuple[tuple[int, int], ...]:
    """Unknown stretches caused by the agent alone: those in which the PLC was not offline."""
    away = {t_ns for t_ns, state in states if state == "unknown"}
    return tuple((a, b) for a, b in unknown if not any(a - 3_000_000_000 <= t_ns < b for t_ns in away))


def _with_gaps(states: Sequence[tuple[int, str]], gaps: tuple[tuple[int, int], ...]) -> list[tuple[int, str]]:
    """The true states as an observer with these gaps would see them."""
    out = list(states)
    for begin, end in gaps:
        before = [item for item in out if item[0] < begin]
        inside = [item for item in out if begin <= item[0] < end]
        after = [item for item in out if item[0] >= end]
        resumed = (inside or before)[-1][1] if inside or before else ""
        out = [*before, (begin, "unknown"), (end, resumed), *after]
    return out


def _delivery(stage: Stage) -> dict[str, int]:
    """Envelopes delivered, repeated, in quarantine, and missing (holes at the center)."""
    rows = request_json(f"{stage.center_url}/api/v1/delivery")["rows"]
    return {
        "delivered": sum(row["stored"] for row in rows),
        "duplicates": sum(row["duplicates"] for row in rows),
        "quarantined": sum(row["quarantined"] for row in rows),
        "missing": sum(last - first + 1 for row in rows for first, last in row["holes"]),
    }


def write(report: Report, path: Path) -> None:
    """The report as JSON."""
    write_whole(path, json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
