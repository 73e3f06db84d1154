"""What histories have beside facts and stops: a coupled line, a site that stops at once, power, who tells rejects."""

from dataclasses import replace
from functools import cache

import numpy as np

from oee.advice.beside import Beside, LineDays, MachineMinutes, part_of_beside
from oee.model.facts import MINUTE_NS

DAY_NS = 86_400 * 10**9
STATIONS = ("s-1", "s-2", "m-1", "s-4", "s-5")
BATCH_S = 200.0
"""Stations pass on batches of pieces, so that months take a second."""
BUSY_MIN = 810.0


@cache
def coupled_line(weeks: int, slower: float, seed: int) -> LineDays:
    """Five stations with room for four batches between them, random service times and stops; the middle one takes
    `slower` more. Waiting is what the recursion of departures leaves: nothing here names a bottleneck.
    """
    rng = np.random.default_rng(seed + 77)
    days, starved, blocked = [], [], []
    service_s = np.full(5, BATCH_S) * np.exp(0.01 * rng.standard_normal(5))
    service_s[2] *= 1 + slower
    usual_s = service_s.tolist()
    normal, random, exponential, exp = rng.standard_normal, rng.random, rng.exponential, np.exp
    for day in range(weeks * 7):
        if day % 7 == 6:
            continue
        mood = np.exp(0.2 * rng.standard_normal(5))
        fails = (0.04 * mood).tolist()
        free, buffers = [0.0] * 5, [[0.0] * 4 for _ in range(5)]
        idle, full = [0.0] * 5, [0.0] * 5
        while free[0] < BUSY_MIN * 60:
            come = 0.0
            for k in range(5):
                time_s = usual_s[k] * float(exp(0.05 * normal()))
                if random() < fails[k]:
                    time_s += exponential(400)
                begin = max(free[k], come)
                done = begin + time_s
                room = buffers[k][0] if k < 4 else 0.0  # when the next station took the batch four before this one
                gone = max(done, room)
                idle[k] += begin - free[k]
                full[k] += gone - done
                free[k], come = gone, gone
                if k:
                    buffers[k - 1] = [*buffers[k - 1][1:], begin]
        days.append(START_DAY + day)
        starved.append(np.array(idle) / 60)
        blocked.append(np.array(full) / 60)
    shape = (5, len(days))
    waits = [np.minimum(np.array(item).T, BUSY_MIN) for item in (starved, blocked)]
    return LineDays("line-1", STATIONS, "s-4", np.array(days, np.int64), np.full(shape, BUSY_MIN), *waits)


START_DAY = 20458  # 2026-01-05


def site_minutes(window, common_a_week, seed):
    """Four machines beside this one, that run when it is scheduled and stop at random; and stops of all at once."""
    rng = np.random.default_rng(seed + 99)
    on = window.stretch >= 0
    rows = np.flatnonzero(on)
    common = np.sort(rng.choice(rows, rng.poisson(common_a_week * len(on) / 10_080))) if common_a_week else rows[:0]
    machines = []
    for name in ("n-1", "n-2", "n-3", "n-4", window.machine):
        alone = np.sort(rng.choice(rows, min(len(rows), round(len(rows) * 2 / 60)), replace=False))
        began, running = np.zeros(len(on), np.bool_), on.copy()
        late = common + rng.integers(0, 2, len(common))
        at = np.unique(np.concatenate([alone, late[late < len(on)]]))
        began[at] = True
        length = np.where(np.isin(at, late), 6.0, 2.0)
        for row, minutes in zip(at.tolist(), length.tolist(), strict=True):
            running[row + 1 : row + int(minutes)] = False
        machines.append(MachineMinutes(name, running, began, at, length))
    return tuple(machines)


def power_kw(window, idle_kw):
    """10 kW while it runs, `idle_kw` where it stands or nothing is planned, 0.3 kW when it is switched off at night."""
    running = window.minutes[:, 0] > 0
    out = np.where(running, 10.0, idle_kw)
    hour = (window.start_ns // MINUTE_NS + np.arange(len(out)) + 7 * 60) // 60 % 24
    out[~running & (hour < 3)] = 0.3
    return out


def within(start_ns, of, window):
    """What lies beside a part of a history. start_ns: where it begins; of: what lies beside all of it."""
    low, high = ((t_ns - start_ns) // MINUTE_NS for t_ns in (window.start_ns, window.end_ns))
    site = tuple(
        MachineMinutes(
            item.machine,
            item.running[low:high],
            item.began[low:high],
            item.stop_at[(item.stop_at >= low) & (item.stop_at < high)] - low,
            item.stop_min[(item.stop_at >= low) & (item.stop_at < high)],
        )
        for item in of.site
    )
    return replace(part_of_beside(of, start_ns, low, high), site=site)


def beside(plan, window, seed):
    """Everything of a plan for this window, of its machine's seed."""
    whole = coupled_line(max(plan.weeks, 1), plan.slow_station, seed)
    first, last = window.start_ns // DAY_NS, window.end_ns // DAY_NS
    rows = (whole.day > first) & (whole.day <= last)
    line = LineDays(
        whole.line,
        tuple(window.machine if name == "m-1" else name for name in whole.stations),
        whole.constraint,
        whole.day[rows],
        *(getattr(whole, name)[:, rows] for name in ("busy_min", "starved_min", "blocked_min")),
    )
    return Beside(
        quality="plc",
        power_kw=power_kw(window, plan.idle_kw),
        tariff_per_kwh=1886.0,
        line=line,
        site=site_minutes(window, plan.common_a_week, seed),
    )
