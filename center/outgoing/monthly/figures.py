"""Every number of the report, derived from the sums that it embeds and from nothing else. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from center.outgoing.monthly.content import PPM, MonthContent, MonthOfMachine, Sums, TaskOfMonth
from oee.advice.statistics.failures import BetweenFailures, between_failures, repair_time
from oee.kpi import kpi
from oee.kpi.maintenance import Compliance, DueTask, compliance, planned_share
from oee.kpi.targets import RATIOS

FIGURES: Final = (
    "oee", "availability", "performance", "quality", "oee_low", "oee_high", "coverage", "mtbf_s", "mttr_s",
)  # fmt: skip
COMPARED: Final = ("oee", "availability", "performance", "quality", "failures", "mtbf_s", "mttr_s")
"""Figures that a difference table compares."""
ACTING: Final = ("draft", "registered", "working", "measuring")
"""States of actions that somebody still works on."""
SURE, UNSURE = 0.98, 0.90
"""Coverage from which the data are trusted, and below which they are not."""
_PLANNED: Final = ("preventive", "predictive", "overhaul")
_UNEXPLAINED: Final = ("unplanned_stop",)
_STOPPED: Final = ("unplanned_stop", "breakdown", "setup", "starved", "blocked", "minor_stop")
Trusted = Literal["yes", "reserved", "no"]


@dataclass(frozen=True)
class MachineFigures:
    """A machine, or all together, in a month. values: of `FIGURES`, None where undefined; why_null: reasons by key; mtbf, mttr: with
    95 % limits [s], None without the time for it.
    """

    scheduled_ms: int | None
    values: Mapping[str, float | None]
    why_null: Mapping[str, str]
    failures: int
    mtbf: BetweenFailures | None
    mttr: BetweenFailures | None


@dataclass(frozen=True)
class Objective:
    """A target and what was reached. machine: "" for all together; met: None while the target lies within the bounds of OEE or
    the limits of MTBF or MTTR, or nothing is known.
    """

    machine: str
    kind: str
    target: float
    actual: float | None
    met: bool | None


@dataclass(frozen=True)
class ReportGap:
    """A missed objective on a machine with no open action, or a task that is overdue: age_days, since the day by which it was to be
    done.
    """

    machine: str
    kind: str
    about: str = ""
    age_days: int | None = None


@dataclass(frozen=True)
class Moved:
    """A figure as it was issued and as it is now."""

    month: str
    revision: int
    machine: str
    figure: str
    issued: float | None
    now: float | None


@dataclass(frozen=True)
class MonthFigures:
    """The report's numbers. machines: by id, of the month; together: all machines; history: by id the months, the reported one
    last, "" for all together; planned_share: of maintenance time [1]; unexplained: part of stop time without a reason [1].
    """

    machines: Mapping[str, MachineFigures]
    together: MachineFigures
    history: Mapping[str, Sequence[MachineFigures]]
    objectives: Sequence[Objective]
    tasks: Mapping[str, Compliance]
    compliance: Compliance
    planned_share: float | None
    lost_us: int
    unexplained: float | None
    trusted: Trusted
    gaps: Sequence[ReportGap]
    moved: Sequence[Moved]


def figures_of(content: MonthContent) -> MonthFigures:
    """All numbers of an issue."""
    formula = content.formula
    history = {
        item.id: [machine_figures(month.scheduled_ms, month.sums, formula) for month in item.months]
        for item in content.machines
    }
    months = len(content.machines[0].months) if content.machines else 0
    history[""] = [_together([item.months[index] for item in content.machines], formula) for index in range(months)]
    machines = {name: rows[-1] for name, rows in history.items() if name}
    tasks = {task.id: compliance(_dues(task), content.today) for task in content.tasks}
    lost = [row for row in content.losses if row.us > 0]
    stopped = sum(row.us for row in lost if row.state in _STOPPED)
    unexplained = sum(row.us for row in lost if row.state in _UNEXPLAINED and not row.reason)
    planned = sum(row.us for row in content.losses if row.maintenance in _PLANNED)
    together = history[""][-1] if months else machine_figures(0, {}, formula)
    share = planned_share(planned, sum(row.us for row in content.losses if row.state == "breakdown"))
    objectives = _objectives(content, machines) + _aims(content, machines | {"": together}, share)
    return MonthFigures(
        machines=machines,
        together=together,
        history=history,
        objectives=objectives,
        tasks=tasks,
        compliance=compliance([due for task in content.tasks for due in _dues(task)], content.today),
        planned_share=share,
        lost_us=sum(row.us for row in lost if row.state != "planned_stop"),
        unexplained=unexplained / stopped if stopped else None,
        trusted=_trusted(content, together),
        gaps=_gaps(content, objectives),
        moved=_moved(content, history),
    )


def machine_figures(scheduled_ms: int | None, sums: Sums, formula: str) -> MachineFigures:
    """The figures of these sums of scheduled time."""
    found = kpi.compute(sums, scheduled_ms=scheduled_ms, formula=formula, only=FIGURES)
    terms = kpi.terms(sums, scheduled_ms=scheduled_ms, all_ms=None, formula=formula)
    failures, repaired_ms = terms["failures"], terms["failures_ms"]
    return MachineFigures(
        scheduled_ms,
        found.values,
        found.why_null,
        failures,
        between_failures(failures, (terms.unit_ms + repaired_ms) / 1000),
        repair_time(failures, repaired_ms / 1000),
    )


def added(rows: Sequence[MonthOfMachine]) -> tuple[int | None, Sums]:
    """Planned time and sums of all machines; planned time is None as soon as that of one is not known."""
    sums: Sums = {}
    for row in rows:
        for name, value in row.sums.items():
            sums[name] = sums.get(name, 0) + value
    planned = [row.scheduled_ms for row in rows]
    known = [ms for ms in planned if ms is not None]
    return (sum(known) if len(known) == len(planned) else None), sums


def _together(rows: Sequence[MonthOfMachine], formula: str) -> MachineFigures:
    return machine_figures(*added(rows), formula)


def _dues(task: TaskOfMonth) -> list[DueTask]:
    return [DueTask(item.due, item.until, item.done) for item in task.dues]


def _objectives(content: MonthContent, machines: Mapping[str, MachineFigures]) -> list[Objective]:
    out = []
    for item in content.machines:
        found, targets = machines[item.id], item.months[-1].targets
        for kind in (kind for kind in RATIOS if kind in targets):
            target, actual = targets[kind] / PPM, found.values[kind]
            met = None if actual is None else actual >= target
            low, high = found.values["oee_low"], found.values["oee_high"]
            if kind == "oee" and low is not None and high is not None and low < target <= high and high - low > 0.02:
                met = None
            out.append(Objective(item.id, kind, target, actual, met))
    return out


def _aims(content: MonthContent, machines: Mapping[str, MachineFigures], share: float | None) -> list[Objective]:
    """The objectives beside the targets: longer between failures, shorter repairs, more maintenance done and planned."""
    out = []
    for item in content.objectives:
        target, found = item.value_u / PPM, machines.get(item.machine)
        if item.kind in ("pm", "planned_share"):
            dues = [due for task in content.tasks if item.machine in ("", task.machine) for due in _dues(task)]
            actual = compliance(dues, content.today).ratio if item.kind == "pm" else None if item.machine else share
            met = None if actual is None else actual >= target
        elif found is None:
            actual, met = None, None
        elif item.kind == "mtbf_s":
            actual, met = found.values["mtbf_s"], _within(found.mtbf, target)
        else:
            actual, repaired = found.values["mttr_s"], _within(found.mttr, target)
            met = None if repaired is None else not repaired
        out.append(Objective(item.machine, item.kind, target, actual, met))
    return out


def _within(found: BetweenFailures | None, target: float) -> bool | None:
    """Whether all that fits the failures is above the target (True) or below it (False); None between."""
    if found is None or (found.low < target and (found.high is None or target < found.high)):
        return None
    return found.low >= target


def _trusted(content: MonthContent, together: MachineFigures) -> Trusted:
    trust, covered = content.trust, together.values["coverage"]
    if covered is None or covered < UNSURE:
        return "no"
    whole = covered >= SURE and not trust.missing_envelopes and not trust.unverified and not trust.without_calendar
    return "yes" if whole else "reserved"


def _gaps(content: MonthContent, objectives: Sequence[Objective]) -> list[ReportGap]:
    acted = {name for item in content.actions if item.state in ACTING for name in item.machines}
    acted |= {""} if acted else set()
    gaps = [
        ReportGap(item.machine, item.kind) for item in objectives if item.met is False and item.machine not in acted
    ]
    for task in content.tasks:
        gaps += [
            ReportGap(task.machine, "overdue", task.title, (content.today - due.until).days)
            for due in _dues(task)
            if due.state(content.today) == "overdue"
        ]
    return gaps


def _moved(content: MonthContent, history: Mapping[str, Sequence[MachineFigures]]) -> list[Moved]:
    index = {month.month: number for item in content.machines[:1] for number, month in enumerate(item.months)}
    out = []
    for issue in content.earlier:
        for machine in issue.machines:
            before = machine_figures(machine.scheduled_ms, machine.sums, content.formula)
            rows = history.get(machine.id)
            now = (
                rows[index[issue.month]]
                if rows and issue.month in index
                else machine_figures(None, {}, content.formula)
            )
            for figure in COMPARED:
                then, today = value_of(before, figure), value_of(now, figure)
                if then != today:
                    out.append(Moved(issue.month, issue.revision, machine.id, figure, then, today))
    return out


def value_of(figures: MachineFigures, figure: str) -> float | None:
    """One of `COMPARED`."""
    return float(figures.failures) if figure == "failures" else figures.values[figure]
