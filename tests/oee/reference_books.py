"""Pieces of the second-by-second reference: what counter steps stand for, and the sums by key.

Written from the definitions; see `reference.py`.
"""

from collections import defaultdict
from dataclasses import dataclass

from oee.model.machine import Counter
from oee.model.states import CalendarClass, State

S = 1_000_000_000
NOT_STOPPED = (State.RUNNING, State.UNKNOWN)


@dataclass(frozen=True)
class Result:
    """facts: key to nonzero columns; losses: key, state, reason to (ms, pieces); states: one per second;
    touching: seconds at which one set-up ends and the next begins."""

    facts: dict
    losses: dict
    states: list
    touching: set


class Seconds(dict):
    """A value for each second of a window; what is outside the window is None."""

    def __missing__(self, _):
        return None


def counters_of(machine):
    pieces = machine.pieces
    found = [("total", pieces.total), ("good", pieces.good), ("reject", pieces.reject)]
    return [(role, counter) for role, counter in found if isinstance(counter, Counter)]


def ideal_s(machine, product, t):
    """Ideal time of one piece [s], 0 where none is known."""
    known = (
        [i.us for i in machine.products[product].ideals if i.since_ns <= t * S] if product in machine.products else []
    )
    return known[-1] // 1_000_000 if known else 0


def per_count(machine, product):
    return (product in machine.products and machine.products[product].per_count) or machine.pieces.per_count


def multiple(machine, role, product):
    """Pieces per count of that counter: only what counts the whole output counts cycles."""
    roles = {name for name, _ in counters_of(machine)}
    return per_count(machine, product) if role == ("total" if "total" in roles else "good") else 1


def whole_roles(machine):
    """The counters without which nobody knows how many pieces were made."""
    roles = {name for name, _ in counters_of(machine)}
    return {"total"} & roles or {"good", "reject"} & roles


def judges(machine):
    return len(counters_of(machine)) > 1


def gives(machine, piece):
    """total, judged, good, reject that a counter step stands for."""
    roles = {role for role, _ in counters_of(machine)}
    n = piece.count
    if piece.role == "total" and roles == {"total"}:
        return n, 0, 0, 0
    if piece.role == "total":
        return (n, n, 0, n) if "good" in roles else (n, n, n, 0)
    if "total" in roles:
        if {"total", "good"} <= roles and piece.role == "reject":
            return 0, 0, 0, 0
        return (0, 0, n, -n) if piece.role == "good" else (0, 0, -n, n)
    return (n, n, n, 0) if piece.role == "good" else (n, n, 0, n)


class Books:
    """Sums by key, second by second and piece by piece."""

    def __init__(self, machine, state, reason, product, calendar, window, watched, stops):
        self.machine, self.state, self.reason = machine, state, reason
        self.product, self.calendar, self.window, self.watched = product, calendar, window, watched
        self.stops = stops
        self.facts = defaultdict(lambda: defaultdict(int))
        self.losses = defaultdict(lambda: [0, 0])

    def result(self, touching):
        facts = {key: {name: n for name, n in row.items() if n} for key, row in self.facts.items()}
        return Result(
            {key: row for key, row in facts.items() if row},
            {key: tuple(row) for key, row in self.losses.items() if any(row)},
            [self.state[t] for t in self.window],
            touching,
        )

    def key(self, t, product):
        name = product if product in self.machine.products else "?"
        kind, day, shift = self.calendar[t]
        return self.machine.id, (t - t % 60) * S, int(kind), day, shift, name

    def add(self, t, product, **columns):
        for name, amount in columns.items():
            self.facts[self.key(t, product)][name] += amount

    def time(self):
        for t in self.window:
            state, product = self.state[t], self.product[t]
            self.add(t, product, **{f"{state.word}_ms": 1000})
            if state in (State.RUNNING, State.MINOR_STOP) and self.watched[t] and ideal_s(self.machine, product, t):
                self.add(t, product, **{f"{state.word}_ideal_known_ms": 1000})
            if state != State.RUNNING:
                self.losses[*self.key(t, product), int(state), self.reason[t]][0] += 1000

    def stop(self, first, last, kind):
        """A closed stop is booked whole, by its scheduled time, where it first costs scheduled time."""
        if kind in (*NOT_STOPPED, State.PLANNED_STOP) or last == self.window.stop:
            return
        wanted = [t for t in range(first, last) if self.calendar[t][0] == CalendarClass.SCHEDULED]
        at = wanted[0] if wanted else first
        ms = 1000 * len(wanted)
        self.add(at, self.product[at], stops=1, stops_ms=ms)
        if kind == State.BREAKDOWN:
            self.add(at, self.product[at], failures=1, failures_ms=ms)

    def pieces(self, pieces, setups):
        limit = self.machine.startup_pieces
        running_total = 0
        for index, piece in enumerate(pieces):
            running_total += gives(self.machine, piece)[0]
            ends = [last for _, last in setups if last is not None and last <= piece.t]
            before = sum(gives(self.machine, p)[0] for p in pieces[:index] if ends and p.t < max(ends))
            startup = bool(limit and ends and running_total - before <= limit)
            self.piece(piece, setups, startup=startup)

    def piece(self, piece, setups, *, startup):
        t, product = piece.t, self.product[piece.t - 1] or "?"
        total, judged, good, reject = gives(self.machine, piece)
        if piece.lost is not None or self.state[t - 1] == State.UNKNOWN:
            self.unwatched(piece, product, total, good)
            return
        us = ideal_s(self.machine, product, t) * 1_000_000
        if any(first < t and (last is None or t < last) for first, last in setups):
            judged, good, us = total, 0, 0
            causes = {"startup_reject": total}
        else:
            causes = {"startup_reject" if startup else "process_reject": reject}
        for name, n in {"total": total, "judged": judged, "good": good, **causes}.items():
            self.add(t, product, **{f"pieces_{name}": n, f"ideal_{name}_us": n * us})
        self.add(t, product, pieces_without_ideal=0 if us else total)
        roles = {role for role, _ in counters_of(self.machine)}
        if piece.role == "total" or "total" not in roles:
            self.add(t, product, cycles=piece.cycles)
        if self.state[t] != State.RUNNING and any(first < t < last for first, last in self.stops):
            self.losses[*self.key(t, product), int(self.state[t]), self.reason[t]][1] += total

    def unwatched(self, piece, product, total, good):
        """Laid evenly over the outage's scheduled seconds (else all), whole pieces by largest remainder."""
        first = piece.lost if piece.lost is not None else piece.t
        cells = defaultdict(list)
        for t in range(first, piece.t) or [piece.t]:
            cells[(t // 60, self.calendar[t])].append(t)
        wanted = {key: [t for t in ts if self.calendar[t][0] == CalendarClass.SCHEDULED] for key, ts in cells.items()}
        weights = wanted if any(wanted.values()) else cells
        all_seconds = sum(map(len, weights.values()))
        order = sorted(cells, key=lambda key: cells[key][0])
        for column, amount in (("unwatched", total), ("unwatched_good", good)):
            size, sign = abs(amount), 1 if amount >= 0 else -1
            share = {key: divmod(size * len(weights[key]), all_seconds) for key in order}
            left = size - sum(whole for whole, _ in share.values())
            extra = sorted(order, key=lambda key: -share[key][1])[:left]
            for key in order:
                n, at = sign * (share[key][0] + (key in extra)), cells[key][0]
                us = n * ideal_s(self.machine, product, at) * 1_000_000
                self.add(at, product, **{f"pieces_{column}": n, f"ideal_{column}_us": us})
