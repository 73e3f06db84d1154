"""Roll-ups: machines, products, shifts and lines from summed terms, ratios last. Pure.

A total is never a mean of ratios: terms are added, and `oee.kpi.kpi` divides once. A line is one of two things:
`parallel`, the sum of its machines, or `serial`, machines one after the other, whose time is the constraint's
(an hour lost at the constraint is an hour lost to the line) and whose quality compounds over the stations (forty
stations at 99 % give 66.9 %).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from oee.kpi.kpi import KpiResult, compute
from oee.model.facts import FACT_COLUMNS, Facts, Int64, select
from oee.model.states import CalendarClass

COLUMNS: Final = ("machine", "product", "shift", "business_date")
LINE_KPIS: Final = ("availability", "performance", "quality", "oee", "coverage", "utilization", "teep")
"""What a serial line has. Times between failures and scrap ratios are not defined for it."""


@dataclass(frozen=True)
class Station:
    """One machine's terms over the window: sums of scheduled time, int64[len(FACT_COLUMNS)], and the calendar's [ms]
    (None where it is not defined).
    """

    machine: str
    sums: Int64
    scheduled_ms: int | None
    all_ms: int | None


@dataclass(frozen=True)
class LineResult:
    """A line's KPIs. constraint: the station that gave A and P of a serial line, "" if none is known or the line is
    parallel; why_null: the reason's key for each None; of_station: which station a serial line's None comes from;
    stations: each one's own result.
    """

    flow: Literal["parallel", "serial"]
    constraint: str
    values: dict[str, float | None]
    why_null: dict[str, str]
    flags: tuple[str, ...]
    of_station: dict[str, str]
    stations: dict[str, KpiResult]


def totals(facts: Facts, by: Sequence[str] = ("machine",)) -> dict[tuple[str | int, ...], Int64]:
    """Sums of scheduled time by some of `COLUMNS`, in the order of their keys: int64[len(FACT_COLUMNS)] each.

    Raises `ValueError` for a column that cannot be grouped by.
    """
    unknown = [name for name in by if name not in COLUMNS]
    if unknown:
        raise ValueError(f"cannot group facts by {unknown[0]!r}; there are {', '.join(COLUMNS)}")
    made = select(facts, facts.calendar == CalendarClass.SCHEDULED)
    columns = [getattr(made, name).tolist() for name in by]
    keys = list(zip(*columns, strict=True)) if columns else [()] * len(made)
    added: dict[tuple[str | int, ...], Int64] = {}
    for key, row in zip(keys, made.sums, strict=True):
        added[key] = added[key] + row if key in added else row
    return dict(sorted(added.items()))


def _results(stations: Iterable[Station], formula: str) -> dict[str, KpiResult]:
    return {
        station.machine: compute(
            station.sums, scheduled_ms=station.scheduled_ms, all_ms=station.all_ms, formula=formula
        )
        for station in stations
    }


def _sum_or_none(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def parallel(stations: Sequence[Station], formula: str = "nakajima") -> LineResult:
    """The sum of machines that work side by side: terms added, then divided. Every KPI of `oee.kpi.kpi`."""
    added = np.zeros(len(FACT_COLUMNS), np.int64)
    for station in stations:
        added = added + station.sums
    result = compute(
        added,
        scheduled_ms=_sum_or_none([station.scheduled_ms for station in stations]),
        all_ms=_sum_or_none([station.all_ms for station in stations]),
        formula=formula,
    )
    results = _results(stations, formula)
    return LineResult("parallel", "", result.values, result.why_null, result.flags, {}, results)


def serial(stations: Sequence[Station], constraint: str, formula: str = "nakajima") -> LineResult:
    """Machines one after the other: A, P and time from the constraint, Q the product of the stations' Q.

    stations: those that belong to the line; a station that judges no pieces makes the line's Q null, so leave
      stations that are known not to reject out of `stations` (and say so).
    constraint: a station's machine; "" or one that is not among them makes A, P and OEE null (`no_constraint`).
    Coverage is the lowest of the stations': a line is only as well watched as its worst station.
    """
    own = _results(stations, formula)
    result_of_constraint = own.get(constraint)
    values: dict[str, float | None] = {}
    why: dict[str, str] = {}
    of_station: dict[str, str] = {}
    for key in ("availability", "performance", "utilization"):
        values[key] = result_of_constraint.values[key] if result_of_constraint else None
        if values[key] is None:
            why[key] = result_of_constraint.why_null[key] if result_of_constraint else "no_constraint"
            of_station[key] = constraint if result_of_constraint else ""
    for key, combine in (("quality", _product), ("coverage", min)):
        missing = next((name for name, result in own.items() if result.values[key] is None), None)
        known = [value for result in own.values() if (value := result.values[key]) is not None]
        values[key] = combine(known) if known and missing is None else None
        if values[key] is None:
            why[key] = own[missing].why_null[key] if missing is not None else "no_pieces"
            of_station[key] = missing or ""
    _multiply("oee", ("availability", "performance", "quality"), values, why, of_station)
    _multiply("teep", ("oee", "utilization"), values, why, of_station)
    flags = tuple(dict.fromkeys(flag for result in own.values() for flag in result.flags))
    ordered = {key: values[key] for key in LINE_KPIS}
    return LineResult("serial", constraint if result_of_constraint else "", ordered, why, flags, of_station, own)


def _product(factors: Sequence[float]) -> float:
    out = 1.0
    for factor in factors:
        out *= factor
    return out


def _multiply(
    key: str, factors: Sequence[str], values: dict[str, float | None], why: dict[str, str], of_station: dict[str, str]
) -> None:
    """As in `oee.kpi.kpi`: an OEE with a factor of 0 is 0, whatever an undefined one would have been; but a line without
    a constraint has none.
    """
    known = [value for name in factors if (value := values[name]) is not None]
    missing = next((name for name in factors if values[name] is None), None)
    if missing is None or (key == "oee" and 0.0 in known and why[missing] != "no_constraint"):
        values[key] = _product(known)
        return
    values[key], why[key], of_station[key] = None, why[missing], of_station[missing]
