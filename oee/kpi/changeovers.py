"""Changeovers: how long it takes from one product to another, computed from stops. Pure.

A changeover begins with a stop in state `setup` that names both products. What follows without a run between belongs
to it up to its last `setup` interval: the schedule cuts a set-up into several stops, and an alarm or a declared
reason inside it keeps its own class. Its length is the time in state `setup` (what the availability loss is made of);
the elapsed time from the last old piece to the first good new one is kept beside it.

Source of the definition: S. Shingo, A Revolution in Manufacturing: the SMED System (1985), last good piece of one
product to first good piece of the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from oee.model.calendars import Calendar, cut, scheduled_until_ms
from oee.model.facts import MS_NS, Int64, Stop
from oee.model.states import State


@dataclass(frozen=True)
class Changeover:
    """One changeover. setup_ms: time in state `setup`; elapsed_ms: first to last, whatever lay between [ms]."""

    machine: str
    product: str
    to_product: str
    start_ns: int
    end_ns: int
    setup_ms: int
    elapsed_ms: int


@dataclass(frozen=True)
class PairTimes:
    """Changeovers from one product to another on one machine, of their time in state `setup` [ms].

    p90_ms: 90th percentile, linear between neighbours (type 7 of Hyndman and Fan 1996). spread: p90 / median [1],
    above about 1.5 there is no standard procedure; None for fewer than three changeovers or a median of 0.
    """

    machine: str
    product: str
    to_product: str
    count: int
    total_ms: int
    best_ms: int
    median_ms: float
    p90_ms: float
    spread: float | None


@dataclass(frozen=True)
class SetupTimes:
    """changeovers: in order of machine and time. unpaired, unpaired_ms: set-up intervals that belong to no known
    pair of products (the machine reported `setup` itself); still_open: changeovers that have not ended.
    """

    changeovers: tuple[Changeover, ...]
    unpaired: int
    unpaired_ms: int
    still_open: int


def changeovers(stops: Iterable[Stop], calendars: Mapping[str, Calendar] | None = None) -> SetupTimes:
    """The changeovers in these stops.

    stops: in any order; of equal ids the highest revision counts, and vanished ones do not.
    calendars: by machine; where given, only scheduled time counts, as in the facts.
    """
    complete: list[Changeover] = []
    unpaired = unpaired_ms = still_open = 0
    rows = _latest(stops)
    start_ms, end_ms = _passed_ms(rows, calendars or {})
    index = 0
    while index < len(rows):
        last = _last_of_chain(rows, index)
        begin, first = index, rows[index]
        setups = [at for at in range(begin, last + 1) if rows[at].state == State.SETUP]
        index = last + 1
        if not setups:
            continue
        if first.to_product and any(stop.end_ns is None for stop in rows[begin:index]):
            still_open += 1
            continue
        setup_ms = sum(int(end_ms[at] - start_ms[at]) for at in setups)
        if not first.to_product:
            unpaired, unpaired_ms = unpaired + 1, unpaired_ms + setup_ms
            continue
        end_ns = rows[setups[-1]].end_ns or 0
        elapsed_ms = int(end_ms[setups[-1]] - start_ms[begin])
        complete.append(
            Changeover(first.machine, first.product, first.to_product, first.start_ns, end_ns, setup_ms, elapsed_ms)
        )
    return SetupTimes(tuple(complete), unpaired, unpaired_ms, still_open)


def _latest(stops: Iterable[Stop]) -> list[Stop]:
    newest: dict[tuple[str, str], Stop] = {}
    for stop in stops:
        key = (stop.machine, stop.id)
        if key not in newest or stop.revision > newest[key].revision:
            newest[key] = stop
    kept = [stop for stop in newest.values() if stop.end_ns is None or stop.end_ns > stop.start_ns]
    return sorted(kept, key=lambda stop: (stop.machine, stop.start_ns))


def _last_of_chain(rows: Sequence[Stop], first: int) -> int:
    """Index of the last stop of the chain that begins at `first`: of a changeover, what joins it up to the next."""
    last = first
    if not rows[first].to_product:
        return last
    while last + 1 < len(rows):
        stop, following = rows[last], rows[last + 1]
        if following.machine != stop.machine or following.start_ns != stop.end_ns or following.to_product:
            break
        last += 1
    return last


def _passed_ms(rows: Sequence[Stop], calendars: Mapping[str, Calendar]) -> tuple[Int64, Int64]:
    """Start and end of each stop on its machine's clock, int64[n] each [ms]: that of scheduled time where it has a calendar. What
    lasts ends where it began.
    """
    start_ns = np.array([stop.start_ns for stop in rows], np.int64)
    end_ns = np.array([stop.start_ns if stop.end_ns is None else stop.end_ns for stop in rows], np.int64)
    start_ms, end_ms = start_ns // MS_NS, end_ns // MS_NS
    machine = np.array([stop.machine for stop in rows])
    for name in sorted({stop.machine for stop in rows} & set(calendars)):
        own = machine == name
        spans = cut(calendars[name], int(start_ns[own].min()), int(end_ns[own].max()))
        start_ms[own], end_ms[own] = scheduled_until_ms(spans, start_ns[own]), scheduled_until_ms(spans, end_ns[own])
    return start_ms, end_ms


def by_pair(found: Iterable[Changeover], *, apart: bool = True) -> tuple[PairTimes, ...]:
    """Statistics by machine and pair of products, the most time first; ties in the order of their names.

    apart: False pools machines (`machine` is then "").
    """
    groups: dict[tuple[str, str, str], list[int]] = {}
    for changeover in found:
        grouped = changeover if apart else replace(changeover, machine="")
        groups.setdefault((grouped.machine, grouped.product, grouped.to_product), []).append(changeover.setup_ms)
    rows = [_times(key, lengths) for key, lengths in groups.items()]
    return tuple(sorted(rows, key=lambda row: (-row.total_ms, row.machine, row.product, row.to_product)))


def _times(key: tuple[str, str, str], lengths: list[int]) -> PairTimes:
    median, p90 = (float(value) for value in np.percentile(np.array(lengths, np.float64), [50, 90]))
    spread = p90 / median if len(lengths) >= 3 and median else None
    return PairTimes(*key, len(lengths), sum(lengths), min(lengths), median, p90, spread)
