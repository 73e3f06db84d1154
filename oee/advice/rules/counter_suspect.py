"""Whether a counter can be right: pieces while it stands, none while it runs, more than it can, jumps. About data. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from oee.advice.finding import NO_GAIN, AdviceRule, Finding, evidence
from oee.advice.grid import Float64, kept
from oee.advice.measures.cycle_times import Peak, by_day, near, peak, repeated_ms
from oee.advice.window import DAY_NS, MachineWindow
from oee.model.facts import MINUTE_NS, Facts, Int64, numbered, select

KEY: Final = "counter_suspect"
VERSION: Final = 2
WEEKS: Final = 4
LEAST_PIECES: Final = 500
MOST: Final = {"stopped": 0.01, "unwatched": 0.02, "missing": 0.02, "too_fast": 0.01}
"""By sign the share beyond which it is one: of pieces for the first two, of wholly running minutes for the others."""
LEAST_DUE: Final = 5.0
TOO_FAST: Final = 1.2
LEAST_ODD_DAYS: Final = 3
MULTIPLES: Final = {"missed": (2.0, 3.0), "double": (0.5,)}
"""By sign the multiples of the cycle that is repeated: a lost pulse makes two cycles one, a bounce makes one two."""
LEAST_Z: Final = 6.0
LEAST_MULTIPLES: Final = 0.005
SUSPICIOUS: Final = frozenset({"jump", "spike", "dip", "pace", "other"})
"""Oddities of counters that are none of ordinary use; to be set to 0 at the start of a shift is."""
_WHOLE_MS: Final = 60_000
_COLUMNS: Final = ("running_ms", "minor_stop_ms", "setup_ms", "pieces_total", "pieces_unwatched", "ideal_total_us")


def find(window: MachineWindow) -> list[Finding]:
    """The signs of the last four weeks. Silent with fewer than `LEAST_PIECES` pieces in them; about single pulses also without
    histograms of cycle times.

    A slow cycle is not twice as long as the others on the dot, a lost pulse makes it so: cycles within 3 % of twice and three
    times the one that is repeated, or of half of it, stand out from those beside them (z > 6) and are 0.5 % of all.
    """
    facts = window.facts
    from_ns = max(window.start_ns, window.end_ns - WEEKS * 7 * DAY_NS)
    minute_ns, product, sums = _by_minute(kept(facts, facts.minute_ns >= from_ns))
    pieces, total = sums["pieces_total"], int(sums["pieces_total"].sum())
    if total < LEAST_PIECES:
        return []
    week = (minute_ns - from_ns) // (7 * DAY_NS)
    whole = sums["running_ms"] >= _WHOLE_MS
    due = _due(product, sums)
    moving = sums["running_ms"] + sums["minor_stop_ms"] + sums["setup_ms"] > 0
    unwatched = sums["pieces_unwatched"]
    signs: dict[str, tuple[Float64, Float64]] = {
        "stopped": (np.where(moving, 0, pieces).astype(float), pieces.astype(float)),
        "unwatched": (unwatched.astype(float), (pieces + unwatched).astype(float)),
        "missing": (
            (whole & (pieces == 0) & (due >= LEAST_DUE)).astype(float),
            (whole & (due >= LEAST_DUE)).astype(float),
        ),
        "too_fast": ((whole & (due > 0) & (pieces > TOO_FAST * due + 1)).astype(float), whole.astype(float)),
    }
    week_s = [(from_ns + k * 7 * DAY_NS) // 10**9 for k in range(WEEKS)]
    found = []
    for sign, (hits, of) in signs.items():
        by_week = np.bincount(week, hits, WEEKS), np.bincount(week, of, WEEKS)
        everything = float(by_week[1].sum())
        share = float(by_week[0].sum()) / everything if everything else 0.0
        shares = np.divide(by_week[0], by_week[1], out=np.zeros(WEEKS), where=by_week[1] > 0)
        found.append(
            _finding(
                window,
                sign,
                share > MOST[sign],
                {"share": share, "n": int(by_week[0].sum())},
                {"share": shares, "week_s": week_s},
            )
        )
    found += _multiples(window, from_ns // DAY_NS, week_s)
    first_day = from_ns // DAY_NS
    odd = [item for item in window.beside.oddities if item[0] in SUSPICIOUS and item[1] >= first_day]
    days = sorted({day for _, day, _ in odd})
    times = [sum(count for _, on, count in odd if on == day) for day in days]
    figures = {"share": 0.0, "n": sum(times), "days": len(days)}
    if days:
        found.append(_finding(window, "jumps", len(days) >= LEAST_ODD_DAYS, figures, {"day": days, "times": times}))
    return found


def _multiples(window: MachineWindow, first_day: int, week_s: list[int]) -> list[Finding]:
    """Over products, each against its own cycle."""
    recent = select(window.cycles, window.cycles.business_date >= first_day)
    made = [by_day(recent, product) for product in sorted(set(recent.product.tolist()))]
    known = [(item, repeated) for item in made if (repeated := repeated_ms(item.total)) is not None]
    if not known:
        return []
    found = []
    for sign, factors in MULTIPLES.items():
        hits, of, expected = np.zeros(WEEKS), np.zeros(WEEKS), 0.0
        for item, repeated in known:
            week = np.clip((item.day - first_day) // 7, 0, WEEKS - 1)
            places = np.concatenate([near(repeated, factor) for factor in factors])
            hits += np.bincount(week, item.counts[:, places].sum(axis=1), WEEKS)
            of += np.bincount(week, item.counts.sum(axis=1), WEEKS)
            expected += peak(item.total, repeated, factors).expected
        together = Peak(float(hits.sum()), expected)
        share = (together.count - together.expected) / float(of.sum())
        shares = np.divide(hits, of, out=np.zeros(WEEKS), where=of > 0)
        figures = {"share": share, "n": int(hits.sum()), "z": together.z}
        passes = together.z > LEAST_Z and share > LEAST_MULTIPLES
        found.append(_finding(window, sign, passes, figures, {"share": shares, "week_s": week_s}))
    return found


def _by_minute(facts: Facts) -> tuple[Int64, Int64, dict[str, Int64]]:
    """Minutes, numbers of products and sums by column of facts, those of the same minute and product as one: what is asked of a
    minute must not depend on the rows and corrections in which it came.
    """
    names, number = numbered(facts.product)
    key = facts.minute_ns // MINUTE_NS * max(1, len(names)) + number
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    at = order[first]
    columns = {name: facts.column(name)[order] for name in _COLUMNS}
    if len(at) < len(order):
        columns = {name: np.add.reduceat(column, first) for name, column in columns.items()}
    return facts.minute_ns[at], number[at], columns


def _due(product: Int64, sums: dict[str, Int64]) -> Float64:
    """Pieces that a minute of running makes at the ideal time, by row; 0 where a product has none."""
    ideal_us, pieces = (np.bincount(product, sums[name]) for name in ("ideal_total_us", "pieces_total"))
    a_minute = np.divide(MINUTE_NS / 1000 * pieces, ideal_us, out=np.zeros(len(pieces)), where=ideal_us > 0)
    out: Float64 = a_minute[product]
    return out


def _finding(
    window: MachineWindow, sign: str, passes: bool, figures: dict[str, float], series: Mapping[str, Iterable[float]]
) -> Finding:
    return Finding(
        KEY,
        VERSION,
        window.machine,
        (sign,),
        passes,
        None,
        figures,
        NO_GAIN,
        frozenset(),
        evidence(window, int(figures["n"]), series),
        {"verdict": f"counter_{sign}"},
    )


RULE = AdviceRule(KEY, VERSION, 8, find, about_data=True)
