"""Windows of days as tests of actions want them: from arrays, without facts."""

import numpy as np

from oee.advice.gain.measured import NO_EVENTS, DayRatios, Measured

FIRST = 20_500
"""Business date of the first day before; the window after begins 60 days later."""


def measured(num, den, *, first=FIRST, products=("A",), weeks=None, events=NO_EVENTS, hours=None, **more):
    """One window from arrays of days, or of products and days."""
    n, d = (np.atleast_2d(np.array(column, float)) for column in (num, den))
    days = first + np.arange(n.shape[1])
    flat = d.sum(axis=0)
    return Measured(
        days,
        DayRatios(products, n, d),
        DayRatios(products, n, d),
        events,
        flat / 60 if hours is None else np.full(len(days), hours / len(days)),
        n.sum(axis=0),
        n.sum(axis=0) / 0.98,
        0.8 * flat,
        0.05 * flat,
        flat,
        6.0 * n.sum(axis=0),
        4,
        len(days) / 6 if weeks is None else weeks,
        **more,
    )


def after_of(num, den, **more):
    return measured(num, den, first=FIRST + 60, **more)
