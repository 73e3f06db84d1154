"""How much stop time nobody explained: without reasons nothing can be said about causes. About data. Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import NO_GAIN, AdviceRule, Finding, evidence
from oee.advice.window import DAY_NS, MachineWindow
from oee.model.states import State

KEY: Final = "no_reason"
VERSION: Final = 1
WEEKS: Final = 4
LEAST_SHARE: Final = 0.3
LEAST_WEEKS: Final = 3
LEAST_STOPS: Final = 10
LEAST_MIN: Final = 60.0
"""Unexplained stop time a week below which nobody needs to hear of it."""
_NEED_REASONS: Final = (State.UNPLANNED_STOP, State.BREAKDOWN)


def find(window: MachineWindow) -> list[Finding]:
    """Unplanned stops of the last four weeks that are longer than minor ones, of the machine and then by shift: more than
    30 % of their time is without a reason, in three weeks of the four. Silent with fewer than `LEAST_STOPS` stops.
    """
    stops, week_ns = window.stops, 7 * DAY_NS
    from_ns = max(window.start_ns, window.end_ns - WEEKS * week_ns)
    row = window.minute_of(stops.start_ns)
    wanted = np.isin(stops.state, [int(state) for state in _NEED_REASONS]) & (stops.start_ns >= from_ns)
    wanted &= np.where(row >= 0, window.stretch[row] >= 0, False) if len(window.stretch) else False
    rows = np.flatnonzero(wanted)
    minutes = window.scheduled_min(stops.start_ns[rows], stops.end_ns[rows])
    unexplained = np.where(stops.reason[rows] == "", minutes, 0.0)
    week = (stops.start_ns[rows] - from_ns) // week_ns
    shift = window.stretches.shift[window.stretch[row[rows]]] if len(rows) else stops.reason[rows]
    week_s = [(from_ns + k * week_ns) // 10**9 for k in range(WEEKS)]
    found = []
    for key in ("machine", *sorted(set(shift.tolist()))):
        mine = np.ones(len(rows), np.bool_) if key == "machine" else shift == key
        if int(mine.sum()) < LEAST_STOPS or not minutes[mine].sum():
            continue
        total = np.bincount(week[mine], minutes[mine], WEEKS)
        bare = np.bincount(week[mine], unexplained[mine], WEEKS)
        shares = np.divide(bare, total, out=np.zeros(WEEKS), where=total > 0)
        share = float(bare.sum() / total.sum())
        weeks = int((shares > LEAST_SHARE).sum())
        longest = np.argsort(-unexplained[mine], kind="stable")
        found.append(
            Finding(
                KEY,
                VERSION,
                window.machine,
                ("machine",) if key == "machine" else ("shift", key),
                share > LEAST_SHARE and weeks >= LEAST_WEEKS and float(bare.sum()) / WEEKS >= LEAST_MIN,
                None,
                {"n": int(mine.sum()), "share": share, "week_min": float(bare.sum()) / WEEKS},
                NO_GAIN,
                frozenset(),
                evidence(
                    window,
                    int(mine.sum()),
                    {"share": shares, "total_min": total, "bare_min": bare, "week_s": week_s},
                    stops.id[rows[mine]][longest].tolist(),
                ),
                {"slot": "all_shifts" if key == "machine" else "shift", "shift": "" if key == "machine" else key},
            )
        )
    return found


RULE = AdviceRule(KEY, VERSION, 8, find, about_data=True)
