"""Small histories of one machine with or without a planted cause: facts by minute and stops, without samples.

Two shifts on six days a week, a break in each, moods that last from shift to shift, two products, short stops with bursts,
breakdowns, changeovers. Truth is what the arguments of `Plan` say; nothing here knows how a rule looks for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from besides import beside

from oee.advice.window import MachineWindow, machine_window, stop_columns
from oee.model.calendars import Calendar, Shift, cut
from oee.model.facts import FACT, FACT_COLUMNS, MINUTE_NS, Facts, Stop, join, select, text_column
from oee.model.states import CalendarClass, State

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
HOUR = 3600
CALENDAR = Calendar(
    ZONE,
    (
        Shift("A", frozenset(range(6)), 6 * HOUR, 14 * HOUR, ((10 * HOUR, 10 * HOUR + 1800),)),
        Shift("B", frozenset(range(6)), 14 * HOUR, 22 * HOUR, ((18 * HOUR, 18 * HOUR + 1800),)),
    ),
)
START_NS = 1_767_546_000 * 10**9  # Monday 2026-01-05 00:00 at the site
DAY_NS = 86_400 * 10**9
FIRST_DAY = 20458  # 2026-01-05, days since 1970-01-01
IDEAL_S = {"A": 10.0, "B": 14.0, "C": 12.0, "D": 9.0}
FAMILIES = {"A": 1, "B": 1, "C": 2, "D": 2}


@dataclass(frozen=True)
class Plan:
    """What a history contains. Rates are per running hour, times in minutes. late_weeks: after so many nobody is late.

    products: what is made; set-ups between families take `family_factor` times as long. withheld: share of reasons that
    shift B does not give; ideal_factor: by what the ideal time in the site file is wrong; outside_h: hours of running on each
    Sunday, when nothing is planned; standing_shifts: of the last weeks, that stand without a reason. slower_b: how much more
    time shift B takes for a piece. reject_share: of the pieces, times `startup_rejects` in the first half hour of a shift and
    `rejects_b` in shift B; reel_pieces: a stop comes after so many; lost_pulses: share of minutes of which no piece is
    counted. The rest is of what lies beside a machine (`besides`): its line, its site, its power.

    Of the world: mood_rho: how much of a shift's mood the next one has; site_mood: seed of the half of it that a site's
    machines share; season: how many more short stops come in the middle of the time than at its ends; weekday:
    the same on Mondays; unlike_b: how much longer than its ideal time product B takes, with twenty times that share more rejects;
    closed_week: that week nobody works, with two bad days after it; unwatched: share of minutes of which nothing is known.
    """

    weeks: int = 8
    minor_per_h: float = 3.0
    minor_start_factor: float = 1.0
    late_min: float = 0.0
    late_weeks: int = 999
    early_min: float = 0.0
    setups_a_week: int = 10
    setup_tail: float = 0.0
    failures_per_h: float = 1 / 60
    wear_beta: float = 1.0
    repeat: float = 0.0
    repair_sd: float = 0.5
    slower_a_day: float = 0.0
    mix_shift: bool = False
    products: str = "AB"
    family_factor: float = 1.0
    withheld: float = 0.0
    ideal_factor: float = 1.0
    outside_h: float = 0.0
    standing_shifts: int = 0
    slower_b: float = 0.0
    reject_share: float = 0.02
    startup_rejects: float = 1.0
    rejects_b: float = 1.0
    reel_pieces: int = 0
    lost_pulses: float = 0.0
    slow_station: float = 0.0
    common_a_week: float = 0.0
    idle_kw: float = 0.3
    mood_rho: float = 0.4
    site_mood: int = 0
    season: float = 0.0
    weekday: float = 0.0
    unlike_b: float = 0.0
    closed_week: int = -1
    unwatched: float = 0.0


def history(plan: Plan, seed: int) -> MachineWindow:
    """A window of the plan; equal seeds give equal windows."""
    facts, stops = recorded(plan, seed)
    window = machine_window("m-1", calendar_of(plan), facts, stops, START_NS, START_NS + plan.weeks * 7 * DAY_NS)
    return replace(window, beside=beside(plan, window, seed))


def calendar_of(plan: Plan) -> Calendar:
    """Two shifts on six days, none in the week that is closed."""
    if plan.closed_week < 0:
        return CALENDAR
    first = date(2026, 1, 5) + timedelta(weeks=plan.closed_week)
    return replace(CALENDAR, exceptions={first + timedelta(days=day): () for day in range(7)})


def recorded(plan: Plan, seed: int):
    """Facts and stops of the plan, also outside the calendar."""
    rng = np.random.default_rng(seed)
    end_ns = START_NS + plan.weeks * 7 * DAY_NS
    spans = cut(calendar_of(plan), START_NS, end_ns)
    on = np.flatnonzero(spans.calendar == CalendarClass.SCHEDULED)
    work = _Work(plan, rng, on, spans)
    work.run()
    facts, stops = outside_facts(work.facts(end_ns), plan), work.stops
    if plan.unwatched:
        unknown = _unwatched(plan, seed)
        facts = _without(facts, unknown)
        stops = [item for item in stops if not unknown[(item.start_ns - START_NS) // MINUTE_NS]]
    return facts, stop_columns(stops)


def _unwatched(plan, seed):
    """Minutes of which nothing is known: half hours."""
    halves = np.random.default_rng(seed + 55).random(plan.weeks * 7 * 48) < plan.unwatched
    return np.repeat(halves, 30)


def _without(facts, unknown):
    """The same with nothing known of these minutes."""
    gone = unknown[(facts.minute_ns - START_NS) // MINUTE_NS]
    sums = facts.sums.copy()
    watched_ms = sums[gone, : len(State)].sum(axis=1)
    sums[gone] = 0
    sums[gone, FACT["unknown_ms"]] = watched_ms
    return replace(facts, sums=sums)


class _Work:
    """Walks through the stretches of scheduled time and notes intervals [ns] of states and products."""

    def __init__(self, plan, rng, on, spans):
        self.plan, self.rng, self.on, self.spans = plan, rng, on, spans
        self.rejects = np.random.default_rng(rng.bit_generator.state["state"]["state"] % 2**32)
        self.rows = []  # start, end, state, product, pace
        self.stops = []
        self.operated_h = 0.0
        self.total_h = plan.weeks * 6 * 13.5
        self.product, self.own, self.common, self.mood, self.repair_left = "A", 0.0, 0.0, 0.0, 0.0
        self.site = np.random.default_rng(plan.site_mood)
        self.shift = ""
        self.until_reel = self._reel()
        self.next_failure = self._failure_after(0.0)

    def _reel(self):
        """Seconds of running until the next reel is empty; they last within 3 %."""
        pieces = self.plan.reel_pieces
        return pieces * IDEAL_S[self.product] / 0.92 * self.rng.uniform(0.97, 1.03) if pieces else 1e12

    def _failure_after(self, h):
        """Operating hour of the next failure of a power-law process with the plan's mean rate over the whole time."""
        beta, n = self.plan.wear_beta, self.plan.failures_per_h * self.total_h
        passed = n * (h / self.total_h) ** beta if h else 0.0
        return self.total_h * ((passed + self.rng.exponential()) / n) ** (1 / beta)

    def _stop(self, start_ns, minutes, limit_ns, state, reason="", to_product=""):
        end_ns = min(limit_ns, start_ns + max(1, round(minutes * 60)) * 10**9)
        if self.plan.withheld and self.shift == "B" and self.rng.random() < self.plan.withheld:
            reason = ""
        if end_ns > start_ns:
            self.rows.append((start_ns, end_ns, state, self.product, 1.0))
            self.stops.append(
                Stop("m-1", str(start_ns // 10**6), start_ns, end_ns, state, reason, "plc", self.product, to_product, 1)
            )
        return end_ns

    def _repair(self, start_ns, minutes, limit_ns):
        """What a break or the end of a shift interrupts goes on after it."""
        end_ns = self._stop(start_ns, minutes, limit_ns, State.BREAKDOWN, "jam")
        self.repair_left = minutes - (end_ns - start_ns) / 6e10 if end_ns == limit_ns else 0.0
        return end_ns

    def run(self):
        rng, plan, spans = self.rng, self.plan, self.spans
        shifts = len({(int(spans.business_date[i]), spans.shift[i]) for i in self.on})
        left, previous = plan.setups_a_week * plan.weeks, None
        share_b = np.linspace(0.3, 0.7, shifts) if plan.mix_shift else np.full(shifts, 0.5)
        number = -1
        for i in self.on:
            key = (int(spans.business_date[i]), spans.shift[i])
            opens, previous = key != previous, key
            self.shift = key[1]
            if opens:
                number += 1
                self.mood = self._next_mood()
                self.busy = self._busier(number / shifts, int(spans.business_date[i]))
            t, end = int(spans.start_ns[i]), int(spans.end_ns[i])
            if shifts - number <= plan.standing_shifts:
                self._stop(t, 1e9, end, State.UNPLANNED_STOP)
                continue
            closes = int(spans.shift[i] == "A") * 14 * HOUR + int(spans.shift[i] == "B") * 22 * HOUR
            is_last = (end - START_NS) // 10**9 % 86_400 == closes
            if self.repair_left > 0:
                t = self._repair(t, self.repair_left, end)
            late_min = plan.late_min if t < START_NS + plan.late_weeks * 7 * DAY_NS else 0.0
            late = late_min * rng.uniform(0.5, 1.5) if opens else rng.exponential(0.4)
            t = self._stop(t, late, end, State.UNPLANNED_STOP, "late")
            stop_early = end - round(plan.early_min * rng.uniform(0.5, 1.5) * 60) * 10**9 if is_last else end
            setup_at = None
            chance = left / max(1, 2 * (shifts - number))
            if rng.random() < chance and left > 0:
                left -= 1
                setup_at = t + round(rng.uniform(0.2, 0.6) * (stop_early - t))
            t = self._stretch(t, stop_early, setup_at, opens, int(spans.start_ns[i]), share_b[number])
            if t < end:
                self._stop(t, 1e9, end, State.UNPLANNED_STOP, "early")

    def _next_mood(self):
        """Moods last from shift to shift, and half of them are the site's."""
        rho = self.plan.mood_rho
        new = 0.3 * np.sqrt((1 - rho**2) / 0.84)
        self.own = rho * self.own + new * self.rng.standard_normal()
        if not self.plan.site_mood:
            return self.own
        self.common = rho * self.common + new * self.site.standard_normal()
        return (self.own + self.common) / np.sqrt(2)

    def _busier(self, passed, day):
        """How many times as many stops as usual, for the season, the weekday, and after a holiday."""
        plan, since = self.plan, day - FIRST_DAY - 7 * (self.plan.closed_week + 1)
        ramp = 2.0 if plan.closed_week >= 0 and 0 <= since < 2 else 1.0
        return ramp * (1 + plan.season * np.sin(np.pi * passed)) * (1 + plan.weekday * ((day + 3) % 7 == 0))

    def _stretch(self, t, end, setup_at, opens, began, share_b):
        rng, plan = self.rng, self.plan
        pace = (1 + plan.slower_a_day * (t - START_NS) / DAY_NS) * np.exp(
            0.01 * rng.standard_normal() + 0.02 * self.mood
        )
        pace *= 1 + plan.slower_b * (self.shift == "B")
        burst = False
        while t < end:
            rate = (
                plan.minor_per_h
                * self.busy
                * np.exp(self.mood)
                * (plan.minor_start_factor if opens and t - began < 1800e9 else 1)
            )
            gap_h = rng.exponential(0.02 if burst else 1 / rate)
            stop = t + round(gap_h * 3600) * 10**9
            border = began + 1800 * 10**9
            if opens and t < border < stop:  # the hazard changes here, and what is exponential begins anew
                stop, kind = border, "nothing"
            else:
                kind = "minor"
            fails = t + round(max(0.0, self.next_failure - self.operated_h) * 3600) * 10**9
            reel = t + round(min(self.until_reel, 1e6)) * 10**9
            for at, name in ((reel, "reel"), (setup_at, "setup"), (fails, "failure"), (end, "end")):
                if at is not None and at < stop:
                    stop, kind = max(at, t), name
            if stop > t:
                of_product = 1 + plan.unlike_b * (self.product == "B")
                self.rows.append((t, stop, State.RUNNING, self.product, pace * of_product))
                self.operated_h += (stop - t) / 3.6e12
                self.until_reel -= (stop - t) / 1e9
            t = stop
            if kind == "minor":
                t = self._stop(t, rng.uniform(0.3, 2.5), end, State.MINOR_STOP)
                burst = rng.random() < 0.2
            elif kind == "reel":
                t = self._stop(t, rng.uniform(1, 2), end, State.MINOR_STOP)
                self.until_reel = self._reel()
            elif kind == "failure":
                sd = plan.repair_sd
                t = self._repair(t, 20 * np.exp(sd * rng.standard_normal()), end)
                again = rng.random() < plan.repeat
                soon = self.operated_h + rng.uniform(0.2, 4)
                self.next_failure = soon if again else self._failure_after(self.operated_h)
            elif kind == "setup" and plan.mix_shift and (self.product == "B") == (share_b > 0.5) and rng.random() < 0.6:
                setup_at = None  # what the season asks for stays on for longer: A first, B later
            elif kind == "setup":
                tail = 3.0 if rng.random() < plan.setup_tail else 1.0
                if plan.products == "AB":
                    to = "A" if self.product == "B" else "B"
                else:
                    to = str(rng.choice([name for name in plan.products if name != self.product]))
                across = FAMILIES[to] != FAMILIES[self.product]
                minutes = 25 * (plan.family_factor if across else 1.0) * tail * np.exp(0.15 * rng.standard_normal())
                before = t
                t = self._stop(t, minutes, end, State.SETUP, "", to)
                self.operated_h += (t - before) / 3.6e12
                self.product, setup_at = to, None
        return t

    def _reject_share(self, at, minutes):
        """Share of rejects in each minute."""
        plan, spans = self.plan, self.spans
        out = np.full(minutes, plan.reject_share)
        out[spans.shift[at] == "B"] *= plan.rejects_b
        into_min = np.arange(minutes) % 1440
        for begin_h in (6, 14):
            out[(into_min >= begin_h * 60) & (into_min < begin_h * 60 + 35)] *= plan.startup_rejects
        return out

    def facts(self, end_ns):
        """Fact rows: one for each minute and product with scheduled time in it."""
        rows = sorted(self.rows)
        minutes = (end_ns - START_NS) // MINUTE_NS
        grid = np.arange(minutes + 1) * (MINUTE_NS / 10**9)
        start = np.array([(row[0] - START_NS) / 10**9 for row in rows])
        end = np.array([(row[1] - START_NS) / 10**9 for row in rows])
        state = np.array([int(row[2]) for row in rows])
        product = np.array([row[3] for row in rows])
        pace = np.array([row[4] for row in rows])
        spans, tables = self.spans, []
        at = np.searchsorted(spans.start_ns, START_NS + np.arange(minutes) * MINUTE_NS, side="right") - 1
        share, lost = self._reject_share(at, minutes), self.rejects.random(minutes) < self.plan.lost_pulses
        for name in plan_products(self.plan):
            columns = {}
            for code in np.unique(state):
                chosen = (state == code) & (product == name)
                columns[f"{State(int(code)).word}_ms"] = 1000 * _by_minute(grid, start[chosen], end[chosen])
            kept = np.flatnonzero(sum(columns.values()) > 0)
            ran = (state == State.RUNNING) & (product == name)
            made_us = 0.92e6 * _by_minute(grid, start[ran], end[ran], 1 / pace[ran])
            columns["running_ideal_known_ms"] = columns["running_ms"]
            columns["ideal_total_us"] = columns["ideal_judged_us"] = self.plan.ideal_factor * made_us
            pieces = np.diff(np.floor(np.cumsum(made_us) / 1e6 / IDEAL_S[name] + 1e-6), prepend=0)
            unlike = 1 + 20 * self.plan.unlike_b * (name == "B")
            rejects = self.rejects.binomial(pieces.astype(np.int64), np.minimum(share * unlike, 0.9))
            good = np.where(pieces > 0, 1 - rejects / np.maximum(pieces, 1), 1)
            columns["ideal_good_us"] = good * columns["ideal_total_us"]
            columns["pieces_total"] = columns["pieces_judged"] = np.where(lost, 0, pieces)
            columns["pieces_process_reject"] = rejects
            sums = np.zeros((len(kept), len(FACT_COLUMNS)), np.int64)
            for column, values in columns.items():
                sums[:, FACT[column]] = np.rint(values[kept])
            tables.append((name, kept, sums))
        row = np.concatenate([kept for _, kept, _ in tables])
        return Facts(
            text_column("m-1", len(row)),
            START_NS + row.astype(np.int64) * MINUTE_NS,
            spans.calendar[at[row]],
            spans.business_date[at[row]],
            spans.shift[at[row]],
            text_column([name for name, kept, _ in tables for _ in kept]),
            np.concatenate([sums for _, _, sums in tables]),
            np.zeros(len(row), np.int64),
        )


def plan_products(plan):
    """The products of a plan, in order."""
    return sorted(plan.products)


def outside_facts(facts, plan):
    """The same with running on Sundays."""
    minutes = round(plan.outside_h * 60)
    extra = []
    for week in range(plan.weeks if minutes else 0):
        begin = START_NS + (week * 7 + 6) * DAY_NS + 8 * HOUR * 10**9
        first = select(facts, np.zeros(minutes, np.int64))
        sums = np.zeros((minutes, len(FACT_COLUMNS)), np.int64)
        sums[:, FACT["running_ms"]] = 60_000
        extra.append(
            replace(
                first,
                minute_ns=begin + np.arange(minutes) * MINUTE_NS,
                calendar=np.full(minutes, int(CalendarClass.OUTSIDE), np.uint8),
                sums=sums,
            )
        )
    return join([facts, *extra])


def _by_minute(grid, start, end, weight=None):
    """Seconds of each minute that lie in these intervals (disjoint, in order), times their weights."""
    if not len(start):
        return np.zeros(len(grid) - 1)
    length = (end - start) * (1.0 if weight is None else weight)
    edges = np.stack([start, end], axis=1).ravel()
    passed = np.cumsum(np.stack([np.zeros(len(start)), length], axis=1).ravel())
    return np.diff(np.interp(grid, edges, passed))


NULL = Plan()
PLANTED: dict[str, Plan] = {
    "micro_cluster": replace(NULL, minor_start_factor=2.5),
    "slow_start": replace(NULL, late_min=12),
    "early_end": replace(NULL, early_min=12),
    "changeover_tail": replace(NULL, setup_tail=0.3),
    "wear_out": replace(NULL, weeks=26, wear_beta=3.0),
    "repeat_failure": replace(NULL, weeks=26, failures_per_h=1 / 90, repeat=0.5),
    "long_repair": replace(NULL, weeks=26, repair_sd=1.6),
    "speed_drift": replace(NULL, weeks=12, slower_a_day=0.002),
    "best_practice": replace(NULL, slower_b=0.14),
    "changeover_sequence": replace(NULL, products="ABCD", family_factor=4.0),
    "ideal_wrong": replace(NULL, ideal_factor=1.25),
    "no_reason": replace(NULL, withheld=0.8, failures_per_h=1 / 6),
    "unscheduled": replace(NULL, outside_h=4),
    "startup_reject": replace(NULL, startup_rejects=4.0),
    "reject_spread": replace(NULL, rejects_b=2.5),
    "bottleneck": replace(NULL, slow_station=0.1),
    "cyclic_stop": replace(NULL, reel_pieces=100),
    "idle_energy": replace(NULL, idle_kw=6.0),
    "counter_suspect": replace(NULL, lost_pulses=0.05),
    "common_stop": replace(NULL, common_a_week=1.0),
}
"""The history in which each rule has to find something, strongly."""

KEYS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "micro_cluster": lambda key: key == ("shift_start",),
    "slow_start": lambda key: key == ("shift_start",),
    "early_end": lambda key: key == ("shift_end",),
    "best_practice": lambda key: key == ("shift", "A"),
    "no_reason": lambda key: key in (("shift", "B"), ("machine",)),
    "unscheduled": lambda key: key == ("outside",),
    "startup_reject": lambda key: key == ("shift_start",),
    "reject_spread": lambda key: key == ("shift", "B"),
    "bottleneck": lambda key: key == ("line", "line-1"),
    "cyclic_stop": lambda key: key == ("state", "minor_stop"),
    "counter_suspect": lambda key: key == ("missing",),
}
"""What the key of the planted finding must be, where a rule has several."""


def nulls(weeks: int, seeds: range, **changes) -> list[MachineWindow]:
    """Histories with nothing planted."""
    return [history(replace(NULL, weeks=weeks, **changes), seed) for seed in seeds]
