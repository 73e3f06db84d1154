"""A plain machine for tests: always scheduled, one product of 1 s, rows in seconds after 08:00 in Vietnam."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from driving import drive

from oee.model.calendars import Calendar, Shift
from oee.model.conditions import parse
from oee.model.machine import Counter, Ideal, Machine, Pieces, Product, Rule
from oee.model.states import CalendarClass, State

VN = ZoneInfo("Asia/Ho_Chi_Minh")
EVERY = frozenset(range(7))
H = 3600
SCHEDULED, BREAK, OUTSIDE = CalendarClass
DAY = datetime(2026, 3, 2, tzinfo=VN)  # a Monday
T = int(DAY.timestamp()) + 8 * H
"""08:00 in Vietnam."""
FULL = Calendar(VN, (Shift("day", EVERY, 0, 24 * H),))
RULES = (
    Rule(parse("d.alarm > 0"), State.BREAKDOWN),
    Rule(parse("d.run"), State.RUNNING),
    Rule(None, State.UNPLANNED_STOP),
)
TOTAL, REJECT = Counter("d.total", 16, max_per_s=10), Counter("d.reject", 16, max_per_s=10)
PLAIN = Machine(
    "m",
    FULL,
    RULES[1:],
    pieces=Pieces(TOTAL),
    product="p",
    products={"p": Product("p", (Ideal(1_000_000),)), "q": Product("q", (Ideal(3_000_000),))},
)


def machine(**changes):
    return replace(PLAIN, **changes)


def ran(end, rows, made=PLAIN, **more):
    """Told of a machine that runs from 08:00; `rows` and `end` in seconds after it."""
    rows = {tag: [(T + t, value) for t, value in found] for tag, found in ({"d.run": [(0, True)]} | rows).items()}
    if "cuts" in more:
        more["cuts"] = [T + c for c in more["cuts"]]
    return drive(made, rows, T + end, **more)


def minute(told, number, **more):
    return told.sums(start=T + 60 * number, end=T + 60 * (number + 1), **more)


def breaks(first, last):
    return Calendar(VN, (Shift("A", EVERY, 8 * H, 16 * H, ((8 * H + first, 8 * H + last),)),))
