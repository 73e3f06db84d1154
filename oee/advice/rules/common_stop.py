"""Whether machines of a site stop at the same minute: power, air, cooling water. Pure.

The last machine of a site speaks for all of them; its window has the minutes of the whole site beside it.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from oee.advice.beside import MachineMinutes
from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.grid import Bool, Float64
from oee.advice.window import MachineWindow
from oee.model.facts import Int64

KEY: Final = "common_stop"
VERSION: Final = 1
LEAST_MACHINES: Final = 3
LEAST_SHARE: Final = 0.6
LEAST_EVENTS: Final = 3
MOST_P: Final = 0.01
DRAWS: Final = 200
DRAWS_AT_ONCE: Final = 25
WITHIN_MIN: Final = 2
DAY_MIN: Final = 1440
MOST_EXPECTED: Final = 0.5
"""So many machines have to stop at once that chance brings less than this in the window."""
Counts = NDArray[np.int8] | NDArray[np.int16]


def find(window: MachineWindow) -> list[Finding]:
    """Minutes in which three machines or more, and 60 % of those that ran, begin to stand within two minutes.

    Where they stop often, three at once are nothing: it has to be so many that chance brings less than `MOST_EXPECTED` in the
    window, which is chosen by the draws alone. How many such minutes chance would bring is counted after each machine's days are shifted, 200
    times; p is that of a Poisson number around the mean of these (and at least one in all draws). Silent with fewer than
    three machines, and where machines stop so often that even all of them at once are nothing.
    """
    site = window.beside.site
    if len(site) < LEAST_MACHINES or not len(window.stretch):
        return []
    began, ran, minute = _by_day(site)
    expected = _by_chance(began, ran)
    rare = np.flatnonzero(expected <= MOST_EXPECTED)
    least = LEAST_MACHINES + int(rare[0] if len(rare) else len(expected) - 1)
    chance = float(expected[least - LEAST_MACHINES])
    at = minute[_events(began.sum(axis=0).ravel(), ran.sum(axis=0).ravel(), least)]
    n = len(at)
    p = float(special.pdtrc(n - 1, chance)) if n else 1.0
    minutes, involved_in = _lost(site, at)
    involved = [item.machine for item, times in zip(site, involved_in.sum(axis=1).tolist(), strict=True) if times]
    total_min = float(minutes.sum()) / window.weeks if window.weeks else 0.0
    limits = _poisson_limits(n)
    return [
        Finding(
            KEY,
            VERSION,
            window.machine,
            ("site",),
            n >= LEAST_EVENTS and p < MOST_P and chance <= MOST_EXPECTED,
            p,
            {
                "n": n,
                "expected": chance,
                "at_once": least,
                "machines": len(involved),
                "of_machines": len(site),
                "site_min": total_min,
            },
            realisable(*(total_min * limit / n for limit in limits)) if n else realisable(0, 0),
            frozenset({"unplanned_stop", "minor_stop", "breakdown"}),
            evidence(
                window,
                n,
                {"at_s": window.start_ns // 10**9 + at * 60, "stopped": involved_in.sum(axis=0)},
            ),
            {"machines_named": ", ".join(involved)},
        )
    ]


def _by_day(site: tuple[MachineMinutes, ...]) -> tuple[Counts, Counts, Int64]:
    """Whether a stop of each machine begins in this minute or the next, and whether it ran in the one before, as
    int8[machines, days, minutes of a day]; and the minute of the window of each, int64[days x minutes]. Only days on which
    something ran and minutes of the day in which something ever does.
    """
    ran = np.array([np.r_[False, item.running[:-1]] for item in site])
    began = np.array([item.began for item in site])
    began[:, :-1] |= began[:, 1:]
    days = ran.shape[1] // DAY_MIN
    both = [table[:, : days * DAY_MIN].reshape(len(site), days, DAY_MIN) for table in (began, ran)]
    used = np.any(both[1], axis=0)
    on, at = np.flatnonzero(np.any(used, axis=1)), np.flatnonzero(np.any(used, axis=0))
    kept = [np.ascontiguousarray(table[:, on][:, :, at], np.int8) for table in both]
    return kept[0], kept[1], (on[:, None] * DAY_MIN + at).ravel()


def _events(stopping: Counts, running: Counts, least: int) -> Int64:
    """First minutes of common stops; what follows within `WITHIN_MIN` minutes is the same one."""
    hit = np.flatnonzero((stopping >= least) & (stopping >= LEAST_SHARE * running))
    return _apart(hit)


def _apart(hit: Int64) -> Int64:
    out: Int64 = hit[np.diff(hit, prepend=-(10**9)) > WITHIN_MIN]
    return out


def _by_chance(began: Counts, ran: Counts) -> Float64:
    """Common stops of `LEAST_MACHINES`, one more … all machines that chance brings, from `DRAWS` draws."""
    rng = np.random.default_rng(0)
    machines, days, minutes = began.shape
    found = np.zeros(machines - LEAST_MACHINES + 1)
    cells = max(1, days * minutes)
    twice = np.concatenate([began, began], axis=1)
    for _ in range(DRAWS // DRAWS_AT_ONCE):
        stopping = np.zeros((DRAWS_AT_ONCE, days, minutes), np.int8 if machines < 128 else np.int16)
        shifts = rng.integers(0, max(1, days), (DRAWS_AT_ONCE, machines))
        for index, of_draw in enumerate(shifts.tolist()):
            for table, shift in zip(twice, of_draw, strict=True):
                stopping[index] += table[days - shift : 2 * days - shift]
        at = np.flatnonzero(stopping.ravel() >= LEAST_MACHINES)
        count = stopping.ravel()[at]
        draw, cell = np.divmod(at, cells)
        day, minute = np.divmod(cell, max(1, minutes))
        running = np.zeros(len(at), np.int64)
        for table, shift in zip(ran, shifts.T, strict=True):
            running += table[day - shift[draw], minute]  # negative days count from the last, as the shift has them
        enough = count >= LEAST_SHARE * running
        at, count = (at + draw * (WITHIN_MIN + 1))[enough], count[enough]  # draws are apart
        for least in range(LEAST_MACHINES, int(count.max(initial=0)) + 1):
            found[least - LEAST_MACHINES] += len(_apart(at[count >= least]))
    return np.maximum(found, 1) / DRAWS


def _lost(site: tuple[MachineMinutes, ...], at: Int64) -> tuple[Float64, Bool]:
    """Minutes of each machine's stops that begin with a common stop, float64[machines], and which machine took part in which,
    bool[machines, events].
    """
    minutes, involved = np.zeros(len(site)), np.zeros((len(site), len(at)), np.bool_)
    for index, item in enumerate(site if len(at) else ()):
        event = np.searchsorted(at, item.stop_at, side="right") - 1
        near = (event >= 0) & (item.stop_at - at[np.maximum(event, 0)] <= WITHIN_MIN)
        minutes[index] = float(item.stop_min[near].sum())
        involved[index, event[near]] = True
    return minutes, involved


def _poisson_limits(n: int) -> tuple[float, float]:
    low = float(special.gammaincinv(n, 0.025)) if n else 0.0
    return low, float(special.gammaincinv(n + 1, 0.975)) if n >= 0 else math.inf


RULE = AdviceRule(KEY, VERSION, 8, find, rare=True)
