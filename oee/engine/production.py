"""Production: which product, how many pieces, of which quality, and whether they were watched. Pure.

Increments of counters and entries of people become events (`production_events`):

    total + reject    each piece is good until its reject is counted
    total + good      each piece is a reject until it is counted as good
    good + reject     their sum is the total
    total alone       quality is not known, until people enter the rejects of a period
    left + right      pairs are the total (oee/engine/counters.py)

If total, good and reject are all counted, good and total are used. A piece belongs to the product that was set before
the poll that counted it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from oee.engine.counters import CounterState, Counts, count, pair_up
from oee.engine.counting.limits import STANDS, RunClock, counts_output, machine_limits
from oee.engine.timeline import Timeline
from oee.model.calendars import Spans
from oee.model.declarations import Declaration, values_over_time
from oee.model.expressions import all_known, at_times, is_known
from oee.model.facts import MINUTE_NS, MS_NS, UNKNOWN_PRODUCT, Text, text_column
from oee.model.machine import OPERATOR, Machine, Product
from oee.model.samples import EMPTY, Int64, Samples, Series, merged
from oee.model.states import Quality, State


@dataclass(frozen=True)
class Products:
    """Which product is in effect. from_ns: int64[n] ascending, the first at or before the window;
    product: object[n]; changed: times at which one known product gave way to another.
    """

    from_ns: Int64
    product: Text
    changed: Int64

    def at(self, t_ns: Int64) -> Text:
        """The product in effect at each time."""
        out: Text = self.product[np.maximum(np.searchsorted(self.from_ns, t_ns, "right") - 1, 0)]
        return out

    def before(self, t_ns: Int64) -> Text:
        """The product in effect just before each time."""
        out: Text = self.product[np.maximum(np.searchsorted(self.from_ns, t_ns, "left") - 1, 0)]
        return out


@dataclass(frozen=True)
class Production:
    """Events in order of time. t_ns: int64[n]; the columns: int64[n] pieces (cycles: counts), negative where an
    event corrects what an earlier one assumed; lost_ns: start of the outage that the event spans, -1 if none.
    """

    t_ns: Int64
    total: Int64
    judged: Int64
    good: Int64
    rework: Int64
    reject: Int64
    cycles: Int64
    lost_ns: Int64


_COLUMNS = ("total", "judged", "good", "rework", "reject")


def product_key(value: object) -> str:
    """A product's key from a register value or a declared text: 7, 7.0 and "7" are the same."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or UNKNOWN_PRODUCT


def products_from(
    machine: Machine,
    samples: Samples,
    declarations: Iterable[Declaration],
    first: str,
    known: str,
    start_ns: int,
    counted: Mapping[str, Counts],
) -> Products:
    """The product in effect from `start_ns` on. first: the one before (a raw name); known: the last known one; counted: by
    role what the counters saw since then.

    Through a gap the last product stays (the time is unknown anyway); a register of bad quality makes it `?`, except where
    it comes back with the same product and no piece was seen meanwhile: that is an outage, however it is written. Only
    a change from one known product to another counts as one.
    """
    if machine.product_tag == OPERATOR:
        changes = [(t_ns, product_key(value)) for t_ns, value in values_over_time(declarations, "product", start_ns)]
    elif machine.product_tag:
        column = samples.get(machine.product_tag, EMPTY)
        changes = _tag_products(machine, column, first, start_ns, counted)
    else:
        changes = [(start_ns, machine.product)]
    return _products([(start_ns - 1, first), *changes], known)


def _products(changes: list[tuple[int, str]], known: str) -> Products:
    """Rows of equal neighbours joined, and the times at which one known product gives way to another."""
    rows = changes[:1]
    for t_ns, name in changes[1:]:
        if rows[-1][0] == t_ns:
            rows.pop()
        if not rows or name != rows[-1][1]:
            rows.append((t_ns, name))
    changed: list[int] = []
    for t_ns, name in rows:
        if name == UNKNOWN_PRODUCT:
            continue
        if known not in (UNKNOWN_PRODUCT, name):
            changed.append(t_ns)
        known = name
    return Products(
        np.array([t_ns for t_ns, _ in rows], np.int64),
        text_column([name for _, name in rows]),
        np.array(changed, np.int64),
    )


def _tag_products(
    machine: Machine, column: Series, first: str, start_ns: int, counted: Mapping[str, Counts]
) -> list[tuple[int, str]]:
    if not len(column):
        return []
    differs = np.ones(len(column), np.bool_)
    differs[1:] = (column.value[1:] != column.value[:-1]) | (column.quality[1:] != column.quality[:-1])
    rows: list[tuple[int, str]] = []
    unread: list[bool] = []
    waiting = ""  # the register before the window: not in effect yet if changes wait for the next stop
    for index in np.flatnonzero(differs).tolist():
        quality = column.quality[index]
        if quality == Quality.GAP:
            continue
        value = column.value[index]
        name = product_key(value.item() if isinstance(value, np.generic) else value)
        name = name if quality <= Quality.UNCERTAIN else UNKNOWN_PRODUCT
        if column.t_ns[index] < start_ns:
            waiting = name
        else:
            rows.append((int(column.t_ns[index]), name))
            unread.append(quality > Quality.UNCERTAIN)
    if machine.pieces.counters():
        rows = _without_outages(rows, unread, waiting, counted)
    if machine.product_change == "next_stop" and waiting not in ("", first):
        rows.insert(0, (start_ns, waiting))
    return rows


def _without_outages(
    rows: list[tuple[int, str]], unread: list[bool], before: str, counted: Mapping[str, Counts]
) -> list[tuple[int, str]]:
    """The rows without those of bad quality that have the same known product on both sides and no watched piece between.

    Nothing can be settled within such a stretch, so what comes after it may decide about it.
    """
    out: list[tuple[int, str]] = []
    index = 0
    while index < len(rows):
        end = index
        while end < len(rows) and unread[end]:
            end += 1
        held = out[-1][1] if out else before
        returns = index < end < len(rows) and held == rows[end][1] and held not in ("", UNKNOWN_PRODUCT)
        if returns and not _any_watched(counted, rows[index][0] + 1, rows[end][0]):
            index = end
            continue
        out += rows[index : max(end, index + 1)]
        index = max(end, index + 1)
    return out


def _any_watched(counted: Mapping[str, Counts], start_ns: int, end_ns: int) -> bool:
    """Whether a counter moved in `[start_ns, end_ns)` while it was watched."""
    for counts in counted.values():
        low, high = np.searchsorted(counts.t_ns, [start_ns, end_ns])
        if (counts.lost_ns[low:high] < 0).any():
            return True
    return False


def delay_changes(products: Products, timeline: Timeline, known: str) -> Products:
    """`product_change: next_stop`: a change seen while the machine runs takes effect when it next stops."""
    runs = timeline.state == State.RUNNING
    stops = timeline.start_ns[~runs]
    rows = [(int(products.from_ns[0]), str(products.product[0]))]
    for t_ns, name in zip(products.from_ns[1:].tolist(), products.product[1:].tolist(), strict=True):
        at, before = (max(int(np.searchsorted(timeline.start_ns, t, "right")) - 1, 0) for t in (t_ns, t_ns - 1))
        effect_ns = t_ns
        in_effect = next(product for from_ns, product in reversed(rows) if from_ns <= t_ns)
        if runs[at] and runs[before] and in_effect != UNKNOWN_PRODUCT:
            index = int(np.searchsorted(stops, t_ns))
            if index == len(stops):
                continue  # not yet in effect
            effect_ns = int(stops[index])
        rows.append((effect_ns, name))
    return _products(rows, known)


def ideals_us(products: Mapping[str, Product], names: Text, t_ns: Int64) -> Int64:
    """Ideal time of one piece of each product at each time [us], 0 where none is known."""
    out = np.zeros(len(names), np.int64)
    for name in set(names.tolist()):
        product = products.get(name)
        if product is None or not product.ideals:
            continue
        rows = names == name
        since = np.array([ideal.since_ns for ideal in product.ideals], np.int64)
        us = np.array([0, *(ideal.us for ideal in product.ideals)], np.int64)
        out[rows] = us[np.searchsorted(since, t_ns[rows], "right")]
    return out


def per_count(machine: Machine, names: Text) -> Int64:
    """Pieces that one count stands for, by product."""
    of_product = {
        name: machine.products[name].per_count if name in machine.products else 0 for name in set(names.tolist())
    }
    default = machine.pieces.per_count
    return np.array([of_product[name] or default for name in names.tolist()], np.int64)


def count_all(
    machine: Machine, states: Mapping[str, CounterState], samples: Samples, fresh: Samples, clock: RunClock = STANDS
) -> tuple[dict[str, Counts], dict[str, CounterState]]:
    """Each counter's increments (of left and right, pairs as `total`), and its state after them. samples: what is known;
    fresh: the rows of it that are later than the states; clock: the machine's running time.
    """
    pieces, counted, after = machine.pieces, {}, {}
    for role, counter in pieces.counters().items():
        column, per_count = fresh.get(counter.tag, EMPTY), None
        if pieces.cavities and counts_output(machine, role):
            per_count = np.maximum(_told_per_count(machine, samples, column.t_ns), 1)
        state = states.get(role, CounterState())
        counted[role], after[role] = count(counter, state, column, machine_limits(machine, role), clock, per_count)
    return pair_up(counted, states, after) if pieces.left and pieces.right else (counted, after)


def run_clock(timeline: Timeline, first_ns: int) -> RunClock:
    """The clock of a machine's running time over its timeline by signals alone; first_ns: what it shows at the beginning."""
    return RunClock(timeline.start_ns, (timeline.state == State.RUNNING) | (timeline.state == State.UNKNOWN), first_ns)


def unknown_counter_intervals(machine: Machine, samples: Samples, start_ns: int, end_ns: int) -> tuple[Int64, Int64]:
    """Starts and ends of the intervals of `[start_ns, end_ns)` in which the counter is not known, so that pieces cannot be
    counted; all of it for a machine without a counter."""
    columns = [samples.get(counter.tag, EMPTY) for counter in machine.pieces.needed()]
    if len(columns) == 1:
        column = columns[0]
        later = int(np.searchsorted(column.t_ns, start_ns, "right"))
        times = np.concatenate([np.array([start_ns], np.int64), column.t_ns[later:]])
        known = np.concatenate([at_times(column, times[:1]).known, is_known(column)[later:]])
    else:
        axes = [column.t_ns[column.t_ns > start_ns] for column in columns]
        times = merged([np.array([start_ns], np.int64), *axes])
        known = all_known(columns, times)
    edge = np.append(True, known[1:] != known[:-1])
    starts, state = times[edge], known[edge]
    ends = np.append(starts[1:], end_ns)
    return starts[~state], ends[~state]


def production_events(
    machine: Machine, counted: Mapping[str, Counts], products: Products, samples: Samples
) -> Production:
    """Increments as production events."""
    roles = set(counted)
    if {"total", "good"} <= roles:
        roles.discard("reject")
    parts: list[list[Int64]] = []
    for role in ("total", "good", "reject", "rework"):
        if role not in roles:
            continue
        step = counted[role]
        number = step.count
        if role == "total" or (role == "good" and "total" not in roles):
            number = number * _multiplier(machine, products, samples, step.t_ns)
        parts.append([step.t_ns, *_columns(role, roles, number), _cycles(role, roles, step.count), step.lost_ns])
    if not parts:
        return Production(*(np.empty(0, np.int64),) * 8)
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    if len(parts) > 1:
        order = np.argsort(joined[0], kind="stable")
        joined = [column[order] for column in joined]
    return Production(*joined)


def _multiplier(machine: Machine, products: Products, samples: Samples, t_ns: Int64) -> Int64:
    if machine.pieces.cavities:
        return np.maximum(_told_per_count(machine, samples, t_ns), 0)
    if machine.pieces.per_count == 1 and not any(product.per_count for product in machine.products.values()):
        return np.ones(len(t_ns), np.int64)
    return per_count(machine, products.before(t_ns))


def _told_per_count(machine: Machine, samples: Samples, t_ns: Int64) -> Int64:
    """Pieces that one count holds just before each time, by the tag that tells it."""
    cavities = at_times(samples.get(machine.pieces.cavities, EMPTY), np.maximum(t_ns - 1, 0))
    out: Int64 = np.where(cavities.known, cavities.value, machine.pieces.per_count).astype(np.int64)
    return out


def _columns(role: str, roles: set[str], number: Int64) -> list[Int64]:
    """total, judged, good, rework, reject that `number` counts of this role stand for."""
    zero = np.zeros(len(number), np.int64)
    match role:
        case "total" if "good" in roles:
            return [number, number, zero, zero, number]
        case "total" if "reject" in roles or "rework" in roles:
            return [number, number, number, zero, zero]
        case "total":
            return [number, zero, zero, zero, zero]
        case "good" if "total" in roles:
            return [zero, zero, number, zero, -number]
        case "good":
            return [number, number, number, zero, zero]
        case "reject" if "total" in roles:
            return [zero, zero, -number, zero, number]
        case "reject":
            return [number, number, zero, zero, number]
    return [zero, zero, -number, number, zero]


def _cycles(role: str, roles: set[str], number: Int64) -> Int64:
    counts = role == "total" or ("total" not in roles and role in ("good", "reject"))
    return number if counts else np.zeros(len(number), np.int64)


def judged_where_made(production: Production, spans: Spans, setups: Iterable[tuple[int, int | None]]) -> Production:
    """Verdicts of a counter on pieces that were made before a break, a shift or a set-up began, at the last piece's time.

    spans: the window, cut by the calendar; setups: start and end of each, None while it lasts. An event that only judges
    (rejects beside a total) and comes when its break, shift, time outside or set-up has seen no piece yet can only mean an
    earlier piece, and is booked with the last one. A shift that goes on after a break is the same shift.
    """
    only = np.flatnonzero((production.total == 0) & (production.lost_ns < 0))
    if not len(only):
        return production
    made_ns = production.t_ns[(production.total > 0) & (production.lost_ns < 0)]
    last = np.searchsorted(made_ns, production.t_ns[only], "right") - 1
    only, last = only[last >= 0], last[last >= 0]
    late_ns, last_ns = production.t_ns[only], made_ns[last]
    late_span, last_span = (
        np.maximum(np.searchsorted(spans.start_ns, t_ns, "right") - 1, 0) for t_ns in (late_ns, last_ns)
    )
    moved = np.zeros(len(only), bool)
    for column in (spans.calendar, spans.business_date, spans.shift):
        moved |= np.asarray(column[late_span] != column[last_span], bool)
    for start_ns, end_ns in setups:  # it begins with the last old piece, and what is inside it is no production
        moved |= (last_ns <= start_ns) & (late_ns > start_ns) & (late_ns < (late_ns + 1 if end_ns is None else end_ns))
    if not moved.any():
        return production
    t_ns = production.t_ns.copy()
    t_ns[only[moved]] = last_ns[moved]
    order = np.argsort(t_ns, kind="stable")
    columns = {name: getattr(production, name)[order] for name in production.__dataclass_fields__}
    return Production(**columns | {"t_ns": t_ns[order]})


def apply_entries(
    machine: Machine, production: Production, products: Products, in_force: Iterable[Declaration], until_ns: int
) -> Production:
    """The production with rejects and rework that people entered for whole periods.

    in_force: as returned by `oee.model.declarations.entries`. An entry is spread over the product's pieces of its period in
    proportion, minute by minute, and makes them judged; without pieces it goes to its last minute. An entry whose period
    is not over at `until_ns` waits.
    """
    for entry in in_force:
        if entry.end_ns is None or entry.end_ns > until_ns or entry.machine not in ("", machine.id):
            continue
        production = _apply_entry(production, products, entry, entry.start_ns, entry.end_ns)
    return production


def _apply_entry(
    production: Production, products: Products, entry: Declaration, start_ns: int, end_ns: int
) -> Production:
    number = int(entry.value)
    in_period = (production.t_ns >= start_ns) & (production.t_ns < end_ns) & (production.total > 0)
    if entry.product:
        in_period &= products.before(production.t_ns) == entry.product
    index = np.flatnonzero(in_period)
    if not len(index):
        return _at_last(production, entry, number, end_ns)
    share = _by_minute(number, production.t_ns[index], production.total[index])
    judged, good = production.judged.copy(), production.good.copy()
    kind = "reject" if entry.field == "rejects" else "rework"
    bad = getattr(production, kind).copy()
    unjudged = production.total[index] - judged[index]
    judged[index] += unjudged
    good[index] += unjudged - share
    bad[index] += share
    return replace(production, judged=judged, good=good, **{kind: bad})


def _by_minute(number: int, t_ns: Int64, total: Int64) -> Int64:
    """`number` spread over minutes in proportion to their pieces, and within a minute over its first pieces."""
    minute, first, group = np.unique(t_ns // MINUTE_NS, return_index=True, return_inverse=True)
    made = np.bincount(group, weights=total, minlength=len(minute)).astype(np.int64)
    share = spread(number, made)
    made_before = total.cumsum() - total
    made_before -= made_before[first][group]
    out: Int64 = np.clip(share[group] - made_before, 0, total)
    last = np.append(first[1:], len(t_ns)) - 1
    out[last] += np.maximum(share - made, 0)  # more rejects than pieces: shown, not hidden
    return out


def _at_last(production: Production, entry: Declaration, number: int, end_ns: int) -> Production:
    """An entry for a period without pieces: good becomes negative there, and is right in the sum over its day."""
    if not number:
        return production
    at = int(np.searchsorted(production.t_ns, end_ns, "left"))
    kind = "reject" if entry.field == "rejects" else "rework"
    row = {"t_ns": end_ns - MS_NS, "good": -number, kind: number, "lost_ns": -1}
    names = list(production.__dataclass_fields__)
    return replace(production, **{name: np.insert(getattr(production, name), at, row.get(name, 0)) for name in names})


def spread(amount: int, weights: Int64) -> Int64:
    """`amount` spread over cells in proportion to their weights, exactly: largest remainder, earliest first.

    If all weights are zero, the last cell gets it.
    """
    if not len(weights):
        return weights
    total = int(weights.sum())
    if total == 0:
        out = np.zeros(len(weights), np.int64)
        out[-1] = amount
        return out
    sign, magnitude = (1, amount) if amount >= 0 else (-1, -amount)
    shares = [magnitude * weight for weight in weights.tolist()]
    floor = np.array([value // total for value in shares], np.int64)
    left_over = magnitude - int(floor.sum())
    remainder = np.array([value % total for value in shares], object)
    order = sorted(range(len(shares)), key=lambda i: (-remainder[i], i))[:left_over]
    floor[order] += 1
    return sign * floor
