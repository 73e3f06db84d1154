"""Additions to facts besides time: pieces as they are counted, pieces of an outage, closed stops. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from oee.engine.classify_stops import Setup
from oee.engine.production import spread
from oee.engine.window import Window
from oee.model.facts import MINUTE_NS, MS_NS, Int64
from oee.model.samples import merged
from oee.model.states import CalendarClass


@dataclass(frozen=True)
class Events:
    """Additions that are not time: when, the product's code, and int64[n] for each fact column that they add to."""

    t_ns: Int64
    product: Int64
    columns: Mapping[str, Int64]


def events(window: Window, start_ns: int, end_ns: int) -> tuple[Events, ...]:
    """Everything but time that belongs to `[start_ns, end_ns)`."""
    return _watched(window, start_ns, end_ns), _unwatched(window, start_ns, end_ns), _stops(window, start_ns, end_ns)


def _watched(window: Window, start_ns: int, end_ns: int) -> Events:
    made = window.production
    low, high = np.searchsorted(made.t_ns, [start_ns, end_ns])
    index = low + np.flatnonzero(~window.unwatched[low:high])
    t_ns = made.t_ns[index]
    product = window.product_before(t_ns)
    ideal = window.ideal_us(product, t_ns)
    names = ("total", "judged", "good", "rework")
    columns = {f"pieces_{name}": getattr(made, name)[index] for name in names}
    total, reject, worth = columns["pieces_total"], made.reject[index], ideal
    if window.setups or window.machine.startup_pieces:
        in_setup = _inside(window.setups, t_ns)
        startup = ~in_setup & _startup(window, index)
        columns["pieces_judged"] = np.where(in_setup, total, columns["pieces_judged"])
        columns["pieces_good"] = np.where(in_setup, 0, columns["pieces_good"])
        columns["pieces_rework"] = np.where(in_setup, 0, columns["pieces_rework"])
        columns["pieces_startup_reject"] = np.where(in_setup, total, np.where(startup, reject, 0))
        reject = np.where(in_setup | startup, 0, reject)
        worth = np.where(in_setup, 0, ideal)
    columns["pieces_process_reject"] = reject
    columns = {name: values for name, values in columns.items() if values.any()}
    columns |= {f"ideal_{name.removeprefix('pieces_')}_us": values * worth for name, values in columns.items()}
    columns["pieces_without_ideal"] = np.where(worth == 0, total, 0)
    columns["cycles"] = made.cycles[index]
    return Events(t_ns, product, columns)


def _inside(setups: tuple[Setup, ...], t_ns: Int64) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    inside = np.zeros(len(t_ns), np.bool_)
    for setup in setups:
        inside |= (t_ns > setup.start_ns) & (t_ns < (setup.end_ns if setup.end_ns is not None else t_ns + 1))
    return inside


def _startup(window: Window, index: Int64) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Whether the events lie among the first `startup_pieces` pieces after a set-up."""
    limit = window.machine.startup_pieces
    if not limit:
        return np.zeros(len(index), np.bool_)
    made = window.production
    total = made.total.cumsum()
    ends = np.array(sorted(setup.end_ns for setup in window.setups if setup.end_ns is not None), np.int64)
    first_after = np.searchsorted(made.t_ns, ends, "left")  # the first good piece is one of them
    base = np.concatenate([[0], total])[first_after]
    setup_before = np.searchsorted(ends, made.t_ns[index], "right") - 1
    made_before = window.made_since_setup
    since = np.where(
        setup_before >= 0,
        total[index] - (base[np.maximum(setup_before, 0)] if len(base) else 0),
        total[index] + made_before if made_before is not None else limit + 1,
    )
    out: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = since <= limit
    return out


def pieces_since_setup(window: Window, end_ns: int) -> int | None:
    """Pieces between the last set-up and `end_ns`, for the engine state."""
    made = window.production
    ends = [setup.end_ns for setup in window.setups if setup.end_ns is not None and setup.end_ns <= end_ns]
    before = made.t_ns < end_ns
    if ends:
        return int(made.total[before & (made.t_ns >= max(ends))].sum())
    if window.made_since_setup is None:
        return None
    return window.made_since_setup + int(made.total[before].sum())


def _unwatched(window: Window, start_ns: int, end_ns: int) -> Events:
    """Pieces of an outage, spread evenly over its scheduled time (over all of it if none is scheduled)."""
    made = window.production
    times: list[Int64] = []
    products: list[Int64] = []
    columns: dict[str, list[Int64]] = {}
    for index in np.flatnonzero(window.unwatched).tolist():
        t_ns, lost_ns = int(made.t_ns[index]), int(made.lost_ns[index])
        lost_ns = max(lost_ns, int(window.timeline.start_ns[0])) if lost_ns >= 0 else t_ns
        at, weights = _outage_cells(window, lost_ns, t_ns)
        in_range = (at >= start_ns) & (at < end_ns)
        if not in_range.any():
            continue
        code = np.repeat(window.product_before(np.array([t_ns], np.int64)), len(at))
        ideal = window.ideal_us(code, at)
        for column, amount in (("unwatched", int(made.total[index])), ("unwatched_good", int(made.good[index]))):
            pieces = spread(amount, weights)
            columns.setdefault(f"pieces_{column}", []).append(pieces[in_range])
            columns.setdefault(f"ideal_{column}_us", []).append((pieces * ideal)[in_range])
        times.append(at[in_range])
        products.append(code[in_range])
    if not times:
        return Events(np.empty(0, np.int64), np.empty(0, np.int64), {})
    added = {name: np.concatenate(values) for name, values in columns.items()}
    return Events(np.concatenate(times), np.concatenate(products), added)


def _outage_cells(window: Window, lost_ns: int, back_ns: int) -> tuple[Int64, Int64]:
    """Minutes and spans of an outage: where each begins, and its weight [ms]."""
    if back_ns <= lost_ns:
        return np.array([back_ns], np.int64), np.array([1], np.int64)
    minutes = np.arange(lost_ns - lost_ns % MINUTE_NS + MINUTE_NS, back_ns, MINUTE_NS, dtype=np.int64)
    spans = window.spans.start_ns[(window.spans.start_ns > lost_ns) & (window.spans.start_ns < back_ns)]
    start = merged([np.array([lost_ns], np.int64), minutes, spans])
    length = np.append(start[1:], back_ns) // MS_NS - start // MS_NS
    span = np.maximum(np.searchsorted(window.spans.start_ns, start, "right") - 1, 0)
    wanted = np.where(window.spans.calendar[span] == CalendarClass.SCHEDULED, length, 0)
    return start, wanted if wanted.any() else length


def _stops(window: Window, start_ns: int, end_ns: int) -> Events:
    """Closed stops and failures, booked where they started to cost scheduled time."""
    booked, length, failed = window.closed_stops
    low, high = np.searchsorted(booked, [start_ns, end_ns])
    booked, length, failed = booked[low:high], length[low:high], failed[low:high]
    columns = {"stops": np.ones(len(booked), np.int64), "stops_ms": length}
    columns |= {"failures": failed.astype(np.int64), "failures_ms": np.where(failed, length, 0)}
    return Events(booked, window.product_at(booked), columns)
