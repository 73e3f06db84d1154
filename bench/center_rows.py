"""Rows as a month of presses makes them, and envelopes of them."""

import time

import numpy as np

from oee.model.facts import FACT, FACT_COLUMNS, LOSS_COLUMNS, MINUTE_NS, NO_LOSSES, Facts, Losses, select
from oee.model.states import CalendarClass, State

ZONE = "Asia/Ho_Chi_Minh"
AHEAD_MIN = 7 * 60
DAY_MIN = 1440
START_MIN = (int(time.time()) // 60 + AHEAD_MIN) // DAY_MIN * DAY_MIN - AHEAD_MIN - 30 * DAY_MIN
"""A month before the last midnight in Vietnam, in minutes UTC: the center's pages speak of now."""
SHIFTS = np.array(["C", "A", "B", "C"], object)  # by 6 h, from 0:00: night, morning, afternoon, night
BUSY = ("running_ms", "minor_stop_ms", "running_ideal_known_ms", "minor_stop_ideal_known_ms", "pieces_total",
        "pieces_judged", "pieces_good", "pieces_process_reject", "ideal_total_us", "ideal_judged_us", "ideal_good_us",
        "cycles")  # fmt: skip


def facts(machines: int, first_min: int, minutes: int, seed: int) -> Facts:
    """Minute rows of machines that run with short stops: 12 columns that are not zero, two products."""
    chance = np.random.default_rng(seed)
    rows = machines * minutes
    minute = np.repeat(np.arange(first_min, first_min + minutes), machines)
    local = minute + AHEAD_MIN
    machine = np.empty(rows, object)
    machine[:] = [f"press-{number}" for number in range(machines)] * minutes
    hour = local % DAY_MIN // 60
    sums = np.zeros((rows, len(FACT_COLUMNS)), np.int64)
    stopped = chance.integers(1, 6000, rows)
    pieces = chance.integers(8, 13, rows)
    values = (60_000 - stopped, stopped, 60_000 - stopped, stopped, pieces, pieces, pieces - 1, np.ones(rows),
              pieces * 4_000_000, pieces * 4_000_000, (pieces - 1) * 4_000_000, pieces)  # fmt: skip
    for name, column in zip(BUSY, values, strict=True):
        sums[:, FACT[name]] = column
    product = np.empty(rows, object)
    product[:] = np.where(local // DAY_MIN % 2 == 0, "ốp nhựa", "nắp")
    return Facts(
        machine,
        minute * MINUTE_NS,
        np.where(local % 480 < 15, CalendarClass.BREAK, CalendarClass.SCHEDULED).astype(np.uint8),
        (local // DAY_MIN - (hour < 6)).astype(np.int32),  # the night shift belongs to the day on which it began
        SHIFTS[hour // 6],
        product,
        sums,
        np.zeros(rows, np.int64),
    )


def losses(table: Facts) -> Losses:
    """A loss row for each fact row: its minor stops."""
    minor_ms = table.column("minor_stop_ms")
    state = np.full(len(table), State.MINOR_STOP, np.uint8)
    reason = np.full(len(table), "", object)
    sums = np.stack([minor_ms, np.zeros_like(minor_ms)], axis=1).reshape(-1, len(LOSS_COLUMNS))
    return Losses(table.machine, table.minute_ns, table.calendar, table.business_date, table.shift, table.product,
                  state, reason, sums, table.n)  # fmt: skip


def envelopes(prefix, *, with_losses, gateways=10, each=20):
    """Contents of envelopes by site, each of 1,000 fact rows and, with losses, 250 of those; and all fact rows."""
    out = {}
    for number in range(gateways):
        contents = out[f"{prefix}-{number}"] = []
        for seq in range(each):
            table = facts(20, START_MIN + 20 * DAY_MIN + seq * 50, 50, number)
            lost = losses(select(table, np.arange(len(table)) % 4 == 0)) if with_losses else NO_LOSSES
            contents.append((table, lost, ()))
    return out, gateways * each * 1000
