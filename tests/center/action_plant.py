"""Machines that start late until an action in their seventh week, for tests of actions: the truth is known."""

from dataclasses import replace
from datetime import UTC, date, datetime

from advice_plant import SITE
from histories import DAY_NS, NULL, START_NS

from oee.advice.gain.action import ActionTerms
from oee.advice.gain.plan import Days, GainPlan

WEEKS = 12
END_NS = START_NS + WEEKS * 7 * DAY_NS
LATE = replace(NULL, weeks=WEEKS, late_min=12, late_weeks=6)
PLANS = {"m-1": (LATE, 1), "m-2": (replace(NULL, weeks=WEEKS), 7)}
PLAN = GainPlan(
    SITE,
    ("m-1",),
    "edge",
    "shift_start",
    Days(date(2026, 1, 19), date(2026, 2, 14)),
    Days(date(2026, 2, 16), date(2026, 2, 17)),
    Days(date(2026, 2, 21), date(2026, 3, 21)),
    controls=("m-2",),
    expected_min=70.0,
)
TERMS = ActionTerms("Danh mục kiểm tra đầu ca, gia nhiệt trước ca", "Lan", "Bật gia nhiệt lúc 05:30", cost=1_500_000)


def at(year, month, day, hour=9):
    """Nanoseconds of an hour at the site."""
    return int(datetime(year, month, day, hour - 7, tzinfo=UTC).timestamp()) * 10**9
