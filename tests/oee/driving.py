"""How the tests of `tests/oee` drive the engine: rows in seconds in, sums by key out.

Rows are written `{tag: [(second, value), ...]}`; a value of `GAP` or `BAD` is the quality, not a value.
"""

from dataclasses import replace

import numpy as np

from oee.engine import step as engine
from oee.model.declarations import Declaration
from oee.model.facts import FACT_COLUMNS, MINUTE_NS, add_up, row_keys
from oee.model.samples import Series, column
from oee.model.states import Quality

S = 1_000_000_000
GAP, BAD = Quality.GAP, Quality.BAD


def ns(seconds):
    """Seconds, also with decimals, as nanoseconds on whole milliseconds."""
    return round(seconds * 1000) * 1_000_000


def qualified(rows):
    """`(second, value)` as `(second, value, quality)`."""
    return [
        (t, 0, value) if isinstance(value, Quality) else (t, value, Quality.GOOD) if value is not None else (t, 0, GAP)
        for t, value in rows
    ]


def as_series(rows):
    """Rows in order of time as a `Series`; of equal times the last wins."""
    by_time = {ns(t): (value, quality) for t, value, quality in qualified(rows)}
    times = sorted(by_time)
    return Series(
        np.array(times, np.int64),
        column([by_time[t][0] for t in times]),
        np.array([by_time[t][1] for t in times], np.uint8),
    )


def part(samples, low_ns, high_ns):
    """The rows of each tag with `low_ns <= t < high_ns`."""
    out = {}
    for tag, rows in samples.items():
        a, b = np.searchsorted(rows.t_ns, [low_ns, high_ns])
        out[tag] = Series(rows.t_ns[a:b], rows.value[a:b], rows.quality[a:b])
    return out


def say(number, start, end, field, value="", *, who="Lan", product="", supersedes="", made=None):
    """A declaration of machine `m` with times in seconds; `number` orders and names it."""
    until = None if end is None else ns(end)
    return Declaration(
        f"d{number:04}",
        ns(made) if made is not None else number,
        "m",
        ns(start),
        until,
        field,
        value,
        who,
        product,
        supersedes,
    )


class Told:
    """What the engine told in all: sums of everything that was sent."""

    def __init__(self, facts, losses, stops, state, live):
        self.rows = {
            key: {name: n for name, n in zip(FACT_COLUMNS, row, strict=True) if n}
            for key, row in zip(row_keys(facts), facts.sums.tolist(), strict=True)
            if any(row)
        }
        self.losses = {
            key: tuple(row) for key, row in zip(row_keys(losses), losses.sums.tolist(), strict=True) if any(row)
        }
        self.all_stops, self.state, self.live = stops, state, live
        self.stops = [s for s in sorted(stops.values(), key=lambda s: s.start_ns) if s.end_ns != s.start_ns]

    def sums(self, *, calendar=None, product=None, shift=None, day=None, start=None, end=None):
        """Nonzero columns summed over the keys that match; start and end in seconds, of minutes."""
        total = {}
        for (_, minute, kind, date, its_shift, its_product), row in self.rows.items():
            wanted = ((calendar, kind), (product, its_product), (shift, its_shift), (day, date))
            if any(asked is not None and asked != found for asked, found in wanted):
                continue
            if (start is not None and minute < ns(start)) or (end is not None and minute >= ns(end)):
                continue
            for name, n in row.items():
                total[name] = total.get(name, 0) + n
        return {name: n for name, n in total.items() if n}

    def times(self, **which):
        """Seconds by state word."""
        return {
            name[:-3]: n / 1000
            for name, n in self.sums(**which).items()
            if name.endswith("_ms") and "ideal" not in name and name not in ("stops_ms", "failures_ms")
        }


def drive(machine, rows, end, *, said=(), cuts=(), through_bytes=False):
    """Steps to each cut [s] and to the end, offering every minute; `said` is handed in with the step after which
    (by its `made_ns`) it was made, or with the first."""
    samples = {tag: as_series(found) for tag, found in rows.items()}
    state, facts, losses, stops, live = engine.start(), [], [], {}, None
    low, left = 0, sorted(said, key=lambda item: item.made_ns)
    for until in [*sorted({ns(c) for c in cuts if c < end}), ns(end)]:
        now = [item for item in left if item.made_ns <= until]
        left = left[len(now) :]
        far = until + 2 * MINUTE_NS if until == ns(end) else until - until % MINUTE_NS
        found = engine.step(machine, state, part(samples, low, until), now, until, far)
        low, state, live = until, found.state, found.live
        if through_bytes:
            state = replace(engine.load(engine.dump(state)), oddities=state.oddities)
        facts.append(found.facts)
        losses.append(found.losses)
        stops |= {stop.id: stop for stop in found.stops}
    return Told(add_up(facts), add_up(losses), stops, state, live)
