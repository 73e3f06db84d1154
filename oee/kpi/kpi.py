"""KPIs: the only place where two numbers are divided to get a ratio. Pure.

A KPI is a function of summed facts of *scheduled* time. Undefined is None with a reason, never 0
and never 1; nothing is clamped. Each row of `KPIS` has its formula and source; the documentation page, the API and
the console are generated from this table.

Sources: "ISO" is ISO 22400-2:2014 as cited by OPC 40001-1 (2022) and OPC 40501-1 (2020), since KPIs there are
a family of variants; "Nakajima" is S. Nakajima, Introduction to TPM (1988); "Vorne" is Vorne Industries, OEE Fast
Guide; "Nhip" marks our own.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from oee.model.facts import FACT_COLUMNS, Int64

Formula = Literal["nakajima", "iso22400"]
FORMULAS: Final[tuple[Formula, ...]] = ("nakajima", "iso22400")


class _Undefined(Exception):  # raised and caught in this file only
    """The KPI has no value; the message is the reason's key in the message catalogue."""


@dataclass(frozen=True)
class Terms:
    """Sums of scheduled time, named as in ISO 22400-2. Times [ms], ideal times [us], pieces.

    scheduled_ms: what the calendar planned in the window, None where it is not defined (a group by product).
    all_ms: the window's whole length, None likewise.
    """

    sums: Mapping[str, int]
    scheduled_ms: int | None
    all_ms: int | None
    formula: Formula
    order_ms: int = 0
    """AOET: from an order's start to its end, whatever lies between."""

    def __getitem__(self, name: str) -> int:
        return self.sums[name]

    @property
    def busy_ms(self) -> int:
        """B: watched planned busy time; planned stops and unknown time are not in it."""
        s = self.sums
        stopped = s["unplanned_stop_ms"] + s["breakdown_ms"] + s["starved_ms"] + s["blocked_ms"]
        return s["running_ms"] + s["minor_stop_ms"] + s["setup_ms"] + stopped

    @property
    def unknown_ms(self) -> int:
        """U: scheduled time of which nothing is known. It comes from the calendar, so that a silent machine counts."""
        if self.scheduled_ms is None:
            raise _Undefined("no_calendar")
        return self.scheduled_ms - self.busy_ms - self.sums["planned_stop_ms"]

    @property
    def operating_ms(self) -> int:
        """Numerator of availability: running, and minor stops where they are performance losses."""
        return self["running_ms"] + (self["minor_stop_ms"] if self.formula == "nakajima" else 0)

    @property
    def operating_ideal_known_ms(self) -> int:
        """Denominator of performance."""
        minor = self["minor_stop_ideal_known_ms"] if self.formula == "nakajima" else 0
        return self["running_ideal_known_ms"] + minor

    @property
    def unit_ms(self) -> int:
        """Set-up and production time: the scope of times between failures."""
        return self["running_ms"] + self["minor_stop_ms"] + self["setup_ms"]


def _divide(top: float, bottom: float, why: str) -> float:
    if bottom == 0:
        raise _Undefined(why)
    return top / bottom


def _availability(t: Terms) -> float:
    return _divide(t.operating_ms, t.busy_ms, "no_busy_time")


def _performance(t: Terms) -> float:
    if t.operating_ideal_known_ms == 0 and t.operating_ms > 0:
        raise _Undefined("no_ideal_time")
    return _divide(t["ideal_total_us"] / 1000, t.operating_ideal_known_ms, "no_operating_time")


def _quality(t: Terms) -> float:
    if t["pieces_judged"] == 0 and t["pieces_total"] > 0:
        raise _Undefined("quality_not_known")
    if t["ideal_judged_us"] == 0 and t["pieces_judged"] > 0:
        raise _Undefined("no_ideal_time")
    return _divide(t["ideal_good_us"], t["ideal_judged_us"], "no_pieces")


def _availability_performance(t: Terms) -> float:
    return _availability(t) * _performance(t)


def _oee(t: Terms) -> float:
    """A factor of 0 makes the product 0 whatever an undefined one would have been: a machine that was scheduled and
    watched and made nothing has an OEE of 0, as both bounds say; one that was not watched has none.
    """
    product, undefined = 1.0, None
    for factor in (_availability, _performance, _quality):
        try:
            product *= factor(t)
        except _Undefined as reason:
            undefined = undefined or reason
    if undefined and product != 0:
        raise undefined
    return product


def _oee_low(t: Terms) -> float:
    good_ms = (t["ideal_good_us"] + t["ideal_unwatched_good_us"]) / 1000
    return _divide(good_ms, t.busy_ms + t.unknown_ms, "no_busy_time")


def _oee_high(t: Terms) -> float:
    unjudged_ms = (t["ideal_total_us"] - t["ideal_judged_us"]) / 1000
    without_ideal_ms = t.unit_ms - t["setup_ms"] - t["running_ideal_known_ms"] - t["minor_stop_ideal_known_ms"]
    hidden_ms = max(t.unknown_ms, t["ideal_unwatched_us"] / 1000)
    best_ms = t["ideal_good_us"] / 1000 + unjudged_ms + without_ideal_ms + hidden_ms
    return _divide(best_ms, t.busy_ms + t.unknown_ms, "no_busy_time")


def _coverage(t: Terms) -> float:
    return _divide(t.busy_ms, t.busy_ms + t.unknown_ms, "no_busy_time")


def _all(t: Terms) -> int:
    if t.all_ms is None:
        raise _Undefined("no_calendar")
    return t.all_ms


def _teep(t: Terms) -> float:
    return _oee(t) * _divide(t.busy_ms + t.unknown_ms, _all(t), "empty_window")


def _utilization(t: Terms) -> float:
    return _divide(t.busy_ms + t.unknown_ms, _all(t), "empty_window")


def _ooe(t: Terms) -> float:
    return _oee(t) * _divide(t.busy_ms, t.busy_ms + t["planned_stop_ms"], "no_busy_time")


def _nee(t: Terms) -> float:
    processing_ms = t.operating_ms + t["setup_ms"]
    return _divide(processing_ms, t.busy_ms, "no_busy_time") * _performance(t) * _quality(t)


def _speed_rate(t: Terms) -> float:
    if t["running_ideal_known_ms"] == 0 and t["running_ms"] > 0:
        raise _Undefined("no_ideal_time")
    return _divide(t["ideal_total_us"] / 1000, t["running_ideal_known_ms"], "no_operating_time")


def _net_operating_rate(t: Terms) -> float:
    running_ms = t["running_ideal_known_ms"]
    return _divide(running_ms, running_ms + t["minor_stop_ideal_known_ms"], "no_operating_time")


def _delay_ms(t: Terms) -> int:
    """ADET: minor stops and unplanned intervals of every kind."""
    return t["minor_stop_ms"] + t["unplanned_stop_ms"] + t["breakdown_ms"] + t["starved_ms"] + t["blocked_ms"]


def _technical_efficiency(t: Terms) -> float:
    return _divide(t["running_ms"], t["running_ms"] + _delay_ms(t), "no_busy_time")


def _utilization_efficiency(t: Terms) -> float:
    return _divide(t["running_ms"], t["running_ms"] + t["setup_ms"] + _delay_ms(t), "no_busy_time")


def _allocation_efficiency(t: Terms) -> float:
    return _divide(t.busy_ms, t.busy_ms + t["planned_stop_ms"] + t.unknown_ms, "no_busy_time")


def _setup_ratio(t: Terms) -> float:
    return _divide(t["setup_ms"], t["running_ms"] + t["setup_ms"], "no_operating_time")


def _judged(t: Terms, top: int) -> float:
    why = "quality_not_known" if t["pieces_total"] else "no_pieces"
    return _divide(top, t["pieces_judged"], why)


def _mttr(t: Terms) -> float:
    return _divide(t["failures_ms"] / 1000, t["failures"], "no_failure")


def _two_failures(t: Terms) -> int:
    if t["failures"] < 2:
        raise _Undefined("fewer_than_two_failures")
    return t["failures"]


def _mttf(t: Terms) -> float:
    return t.unit_ms / 1000 / _two_failures(t)


def _mtbf(t: Terms) -> float:
    return (t.unit_ms + t["failures_ms"]) / 1000 / _two_failures(t)


def _cycle(t: Terms) -> float:
    return _divide(t["running_ms"] / 1000, t["pieces_total"], "no_pieces")


def _per_hour(t: Terms) -> float:
    return _divide(t["pieces_total"] * 3_600_000, t.busy_ms, "no_busy_time")


def _mean_stop(t: Terms) -> float:
    return _divide(t["stops_ms"] / 1000, t["stops"], "no_stop")


def _load_rate(t: Terms) -> float:
    if t["ideal_total_us"] == 0 and t["pieces_total"] > 0:
        raise _Undefined("no_ideal_time")
    return _divide(t["ideal_total_us"] / 1000, t.busy_ms + t.unknown_ms, "no_busy_time")


def _order_execution(t: Terms) -> float:
    if t.order_ms == 0:
        raise _Undefined("no_order")
    return t.order_ms / 1000


def _of_order(top: float, t: Terms) -> float:
    return _divide(top, t.order_ms, "no_order")


@dataclass(frozen=True)
class Kpi:
    """A row of the table. unit: `1` a ratio (shown in percent), `s`, or `1/h`. null: when it is None."""

    key: str
    symbol: str
    unit: str
    formula: str
    source: str
    null: str
    value: Callable[[Terms], float]


KPIS: Final[tuple[Kpi, ...]] = (
    Kpi("availability", "A", "1", "nakajima: (running + minor stops) / B; iso22400: running / B",
        "Nakajima; ISO: availability = APT / PBT", "B = 0", _availability),
    Kpi("performance", "P", "1", "ideal time x pieces / operating time while the ideal time was known",
        "Nakajima; ISO: effectiveness = PRI x PQ / APT", "no operating time, or no ideal time known", _performance),
    Kpi("quality", "Q", "1", "ideal time of good pieces / ideal time of judged pieces",
        "ISO: quality ratio = GQ / PQ, weighted by ideal time over products", "no judged piece", _quality),
    Kpi("oee", "OEE", "1", "A x P x Q", "Nakajima; ISO: OEE index",
        "a factor is null and none is 0", _oee),
    Kpi("oee_low", "OEE_min", "1", "(ideal time of good pieces, unwatched included) / (B + U)", "Nhip",
        "nothing scheduled", _oee_low),
    Kpi("oee_high", "OEE_max", "1",
        "(ideal time of good and unjudged pieces + operating time without ideal + max(U, ideal time of unwatched "
        "pieces)) / (B + U)", "Nhip", "nothing scheduled", _oee_high),
    Kpi("coverage", "C", "1", "B / (B + U)", "Nhip", "nothing scheduled", _coverage),
    Kpi("availability_performance", "AxP", "1", "A x P", "Nhip (OEE before quality is known)", "A or P is null",
        _availability_performance),
    Kpi("teep", "TEEP", "1", "OEE x (B + U) / all time", "Vorne", "OEE is null", _teep),
    Kpi("utilization", "U_cal", "1", "(B + U) / all time", "Vorne", "empty window", _utilization),
    Kpi("ooe", "OOE", "1", "OEE x B / (B + planned stops)", "Nhip (definitions vary)", "OEE is null", _ooe),
    Kpi("nee", "NEE", "1", "(operating + set-up time) / B x P x Q", "ISO: net equipment effectiveness",
        "P or Q is null", _nee),
    Kpi("speed_rate", "SR", "1", "ideal time x pieces / running time", "Nakajima: operating speed rate",
        "no running time, or no ideal time known", _speed_rate),
    Kpi("net_operating_rate", "NOR", "1", "running / (running + minor stops)", "Nakajima: net operating rate",
        "no operating time with a known ideal", _net_operating_rate),
    Kpi("technical_efficiency", "TE", "1", "running / (running + delays)", "ISO: APT / (APT + ADET)",
        "no busy time", _technical_efficiency),
    Kpi("utilization_efficiency", "UE", "1", "running / (running + set-up + delays)", "ISO: APT / AUBT",
        "no busy time", _utilization_efficiency),
    Kpi("allocation_efficiency", "AE", "1", "B / (B + planned stops + U)", "ISO: AUBT / PBT",
        "nothing scheduled", _allocation_efficiency),
    Kpi("setup_ratio", "SeR", "1", "set-up / (running + set-up)", "ISO: AUST / AUPT", "neither ran nor set up",
        _setup_ratio),
    Kpi("quality_ratio", "QR", "1", "good pieces / judged pieces", "ISO: GQ / PQ", "no judged piece",
        lambda t: _judged(t, t["pieces_good"])),
    Kpi("scrap_ratio", "ScR", "1", "(start-up + process rejects) / judged pieces", "ISO: SQ / PQ", "no judged piece",
        lambda t: _judged(t, t["pieces_startup_reject"] + t["pieces_process_reject"])),
    Kpi("first_pass_yield", "FPY", "1", "pieces that were right first time / judged pieces", "ISO: GP / IP",
        "no judged piece", lambda t: _judged(t, t["pieces_good"])),
    Kpi("rework_ratio", "RR", "1", "rework / judged pieces", "ISO: RQ / PQ", "no judged piece",
        lambda t: _judged(t, t["pieces_rework"])),
    Kpi("equipment_load_rate", "ELR", "1", "ideal time x pieces / (B + U)",
        "ISO: PQ / EPC, the capacity being what the ideal times allow", "nothing scheduled, or no ideal time known",
        _load_rate),
    Kpi("mttr_s", "MTTR", "s", "time of closed failures / closed failures", "ISO: mean of TTR", "no closed failure",
        _mttr),
    Kpi("mttf_s", "MTTF", "s", "(running + minor stops + set-up) / closed failures", "ISO: mean of TTF",
        "fewer than two closed failures", _mttf),
    Kpi("mtbf_s", "MTBF", "s", "MTTF + MTTR (ISO: TBF = TTF + TTR)", "ISO: mean of TBF",
        "fewer than two closed failures", _mtbf),
    Kpi("mean_stop_s", "MST", "s", "time of closed stops / closed stops", "Nhip", "no closed stop", _mean_stop),
    Kpi("mean_cycle_s", "CT", "s", "running time / pieces", "Nakajima: actual cycle time", "no pieces", _cycle),
    Kpi("pieces_per_hour", "R", "1/h", "pieces / B", "ISO: throughput rate, over busy time", "no busy time",
        _per_hour),
)  # fmt: skip
KPI_KEYS: Final = tuple(kpi.key for kpi in KPIS)
_BY_KEY: Final = {kpi.key: kpi for kpi in KPIS}

ORDER_KPIS: Final[tuple[Kpi, ...]] = (
    Kpi("order_execution_s", "AOET", "s", "from the order's start to its end", "ISO: actual order execution time",
        "no order", _order_execution),
    Kpi("throughput_per_hour", "TR", "1/h", "pieces, unwatched included / AOET", "ISO: throughput rate = PQ / AOET",
        "no order", lambda t: _of_order((t["pieces_total"] + t["pieces_unwatched"]) * 3_600_000, t)),
    Kpi("allocation_ratio", "AR", "1", "B / AOET", "ISO: allocation ratio = sum of AUBT / AOET", "no order",
        lambda t: _of_order(t.busy_ms, t)),
    Kpi("production_process_ratio", "PR", "1", "running / AOET", "ISO: production process ratio = sum of APT / AOET",
        "no order", lambda t: _of_order(t["running_ms"], t)),
)  # fmt: skip
"""KPIs of an order's sums. On several machines they may exceed 1: sums of machines over one order's time."""


@dataclass(frozen=True)
class KpiResult:
    """values: KPI key to value or None; why_null: the reason's key for each None; flags: warnings for the reader
    (`performance_above_1`: an ideal time or a counter is wrong; `rejects_above_pieces`: more rejects than pieces, so
    that quality is below 0; `more_than_scheduled`: more time than the calendar).
    """

    values: dict[str, float | None]
    why_null: dict[str, str]
    flags: tuple[str, ...]


def terms(
    sums: Mapping[str, int] | Int64, *, scheduled_ms: int | None, all_ms: int | None, formula: str = "nakajima"
) -> Terms:
    """Sums by name, or one row in the order of `FACT_COLUMNS`, as terms of the formulas.

    Raises `ValueError` for a formula set that does not exist.
    """
    if formula not in FORMULAS:
        raise ValueError(f"formula {formula!r}; there are {', '.join(FORMULAS)}")
    named: Mapping[str, Any]
    if isinstance(sums, Mapping):
        named = {name: int(sums.get(name, 0)) for name in FACT_COLUMNS}
    else:
        named = dict(zip(FACT_COLUMNS, np.asarray(sums, np.int64).tolist(), strict=True))
    return Terms(named, scheduled_ms, all_ms, formula)


def compute(
    sums: Mapping[str, int] | Int64,
    *,
    scheduled_ms: int | None = None,
    all_ms: int | None = None,
    formula: str = "nakajima",
    only: Collection[str] = KPI_KEYS,
) -> KpiResult:
    """The KPIs of these sums of scheduled time.

    sums: by column name, or int64[33] in the order of `FACT_COLUMNS`.
    scheduled_ms: time that the calendar planned in the window; None where it is not defined.
    all_ms: the window's length; None where it makes no sense.
    only: keys of the KPIs that are wanted. The flags are always computed.
    """
    given = terms(sums, scheduled_ms=scheduled_ms, all_ms=all_ms, formula=formula)
    values, why = _values((_BY_KEY[key] for key in only), given)
    flags = []
    with_performance = values if "performance" in values else _values((_BY_KEY["performance"],), given)[0]
    performance = with_performance["performance"]
    if performance is not None and performance > 1:
        flags.append("performance_above_1")
    if given["pieces_good"] < 0:
        flags.append("rejects_above_pieces")
    if scheduled_ms is not None and given.unknown_ms < 0:
        flags.append("more_than_scheduled")
    return KpiResult(values, why, tuple(flags))


def _values(table: Iterable[Kpi], given: Terms) -> tuple[dict[str, float | None], dict[str, str]]:
    values: dict[str, float | None] = {}
    why: dict[str, str] = {}
    for kpi in table:
        try:
            values[kpi.key] = kpi.value(given)
        except _Undefined as reason:
            values[kpi.key], why[kpi.key] = None, str(reason)
    return values, why


def compute_order(sums: Mapping[str, int] | Int64, order_ms: int | None) -> KpiResult:
    """`ORDER_KPIS` of the sums of what was done for one order.

    order_ms: from its start to its end; None where it is not defined (no order, or a part of one).
    """
    given = replace(terms(sums, scheduled_ms=None, all_ms=None), order_ms=order_ms or 0)
    return KpiResult(*_values(ORDER_KPIS, given), ())
