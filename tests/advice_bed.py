"""The test bed of advice: weekly nights over a center of machines whose causes are known, and what was told of them.

Histories are those of `histories`, in a world with moods that last and are a site's, Mondays, a season, products unlike
each other, a closed week. What is planted is said by a `Plan` and nothing else.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from besides import beside, within
from histories import DAY_NS, IDEAL_S, KEYS, NULL, PLANTED, START_NS, calendar_of, recorded
from kept_looks import kept_look

from oee.advice.catalogue import rules, significant
from oee.advice.life import next_records, open_rules, since
from oee.advice.look import look
from oee.advice.window import hourly_window, machine_window
from oee.model.facts import FACT, MINUTE_NS, numbered, select

WEEK_NS = 7 * DAY_NS
NIGHTS = (3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26)
"""Weeks after which nights are: every one while most is found, then every second one."""
FIRST = 3
"""Week after which the first night is, as at a center that begins with nothing."""
OF_A_SITE = 5
SHIFTS_A_WEEK = 12
WORLD = {"mood_rho": 0.63, "weekday": 0.15, "season": 0.15, "unlike_b": 0.03, "closed_week": 6}
"""A shift's 0.63 is a day's 0.4."""
STRONG = PLANTED | {
    "repeat_failure": replace(PLANTED["repeat_failure"], failures_per_h=1 / 50),
}
WEAK = {
    "micro_cluster": replace(NULL, minor_start_factor=1.5),
    "slow_start": replace(NULL, late_min=6),
    "early_end": replace(NULL, early_min=6),
    "changeover_tail": replace(NULL, setup_tail=0.15),
    "wear_out": replace(NULL, wear_beta=1.8),
    "repeat_failure": replace(NULL, failures_per_h=1 / 50, repeat=0.25),
    "long_repair": replace(NULL, repair_sd=1.1),
    "speed_drift": replace(NULL, slower_a_day=0.0008),
    "best_practice": replace(NULL, slower_b=0.07),
    "changeover_sequence": replace(NULL, products="ABCD", family_factor=2.0),
    "ideal_wrong": replace(NULL, ideal_factor=0.9),
    "no_reason": replace(NULL, withheld=0.45, failures_per_h=1 / 6),
    "unscheduled": replace(NULL, outside_h=2),
    "startup_reject": replace(NULL, startup_rejects=2.0),
    "reject_spread": replace(NULL, rejects_b=2.0),
    "bottleneck": replace(NULL, slow_station=0.04),
    "cyclic_stop": replace(NULL, reel_pieces=250),
    "idle_energy": replace(NULL, idle_kw=3.0),
    "counter_suspect": replace(NULL, lost_pulses=0.02),
    "common_stop": replace(NULL, common_a_week=3 / 8),
}
"""Each cause at the least strength at which a rule is meant to see it."""
PAIRS = {
    ("slow_start", "micro_cluster"): replace(NULL, late_min=12, minor_start_factor=2.5),
    ("speed_drift", "ideal_wrong"): replace(NULL, slower_a_day=0.002, ideal_factor=1.25),
    ("repeat_failure", "wear_out"): replace(NULL, failures_per_h=1 / 50, repeat=0.5, wear_beta=3.0),
}
CONFOUNDED = {
    "N0": {},
    "N1": {"mix_shift": True, "unlike_b": 0.06},
    "N2": {"season": 0.25},
    "N3": {"closed_week": 9},
    "N4": {"mood_rho": 0.84},
    "N5": {},
}
"""Histories without a cause, each with one thing at full strength that could be taken for one: another mix, a season, Tết,
moods of weeks (a day's 0.7), and machines that were chosen for being worst.
"""
ALIKE = {
    "repeat_failure": {"wear_out", "long_repair"},
    "wear_out": {"repeat_failure"},
    "changeover_sequence": {"changeover_tail"},
    "slow_start": {"best_practice", "micro_cluster"},
    "startup_reject": {"slow_start"},
}
"""Rules that rightly see the cause of another: four families of set-up times are a long tail too."""


@dataclass
class Told:
    """What became of a center's findings. opened, watched: week by (machine, rule, key); p: of all tests; gains: told when it
    was opened, and figures; months: machine-months of nights.
    """

    opened: dict = field(default_factory=dict)
    watched: dict = field(default_factory=dict)
    gains: dict = field(default_factory=dict)
    p: list = field(default_factory=list)
    records: dict = field(default_factory=dict)
    months: float = 0.0


def in_time(facts):
    """The rows by time, column by column, as a store gives them."""
    ordered = select(facts, np.lexsort((numbered(facts.product)[1], facts.minute_ns)))
    return replace(ordered, sums=np.asfortranarray(ordered.sums))


def hours_of(facts):
    """Sums by hour, class, shift and product, as a store has them."""
    hour = facts.minute_ns // (60 * MINUTE_NS)
    (products, product), (shifts, shift) = numbered(facts.product), numbered(facts.shift)
    key = ((hour * 8 + facts.calendar) * len(shifts) + shift) * len(products) + product
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    out = select(facts, order[first])
    return replace(
        out,
        minute_ns=out.minute_ns // (60 * MINUTE_NS) * (60 * MINUTE_NS),
        sums=np.add.reduceat(facts.sums[order], first, axis=0),
    )


class Machine:
    """Its past, made when it is first needed, and windows of it as a center makes them."""

    def __init__(self, name, plan, seed):
        self.name, self.plan, self.seed, self.calendar = name, plan, seed, calendar_of(plan)
        self.facts = None

    def _make(self):
        plan, seed = self.plan, self.seed
        facts, self.stops = recorded(plan, seed)
        self.facts = in_time(facts)
        self.end_ns = START_NS + plan.weeks * WEEK_NS
        self.hours = hours_of(self.facts)
        self.beside = beside(plan, self._minutes(START_NS, self.end_ns), seed)

    def _minutes(self, start_ns, end_ns):
        return machine_window(self.name, self.calendar, self.facts, self.stops, start_ns, end_ns)

    def window(self, end_ns, weeks):
        if self.facts is None:
            self._make()
        start_ns = max(START_NS, end_ns - weeks * WEEK_NS)
        if weeks > 12:
            return hourly_window(self.name, self.calendar, self.hours, self.stops, start_ns, end_ns)
        made = self._minutes(start_ns, end_ns)
        return replace(made, beside=within(START_NS, self.beside, made)) if weeks == 8 else made


def nights(plans, weeks, at=None, folder=None, progress=lambda week, machine: None):
    """`Told` of nights over these machines, {name: (plan, seed)}, at the end of these weeks (every one by default).

    folder: where looks are kept (`kept_looks`); progress: hears of each look before it is made.
    """
    machines = {name: Machine(name, replace(plan, weeks=weeks), seed) for name, (plan, seed) in plans.items()}
    told = Told(records={name: [] for name in machines})
    wanted = list(at or range(FIRST, weeks + 1))
    told.months = len(machines) * (wanted[-1] - wanted[0]) * 7 / 30.4
    for week in wanted:
        _night(told, machines, week, folder, progress)
    return told


def _night(told, machines, week, folder, progress):
    end_ns, seen = START_NS + week * WEEK_NS, {}
    for number, (name, machine) in enumerate(machines.items()):
        progress(week, number)
        known, blocked = since(told.records[name]), open_rules(told.records[name])
        of = name, machine.plan, machine.seed, week, sorted(known.items()), sorted(blocked)
        make = partial(look, partial(machine.window, end_ns), known, open_findings=blocked)
        seen[name] = kept_look(folder, of, make)
    tests = [(name, item) for name, one in seen.items() for item in one.findings]
    kept = significant([(item.rule, item.p, item.passes) for _, item in tests])
    told.p += [item.p for _, item in tests if item.p is not None]
    mine = {name: set() for name in seen}
    for (name, item), keep in zip(tests, kept, strict=True):
        if keep:
            mine[name].add(item.identity)
    for name, one in seen.items():
        told.records[name] = next_records(told.records[name], one, mine[name])
        for record in told.records[name]:
            place = (name, *record.finding.identity)
            told.watched.setdefault(place, week)
            if record.stage == "open" and not record.held and place not in told.opened:
                told.opened[place] = week
                told.gains[place] = record.told, dict(record.finding.figures)


def nulls(kind, machines, seed, first=0):
    """Machines without a cause, of seeds from `first` on. The worst ones are of three times as many, by what they made in eight
    weeks.
    """
    plan = replace(NULL, **WORLD | CONFOUNDED[kind])
    all_of = {
        f"{kind}-{number}": (replace(plan, site_mood=1 + seed * 1000 + number // OF_A_SITE), seed * 1000 + number)
        for number in range(first, first + machines * (3 if kind == "N5" else 1))
    }
    if kind != "N5":
        return all_of
    made = {}
    for name, (one, number) in all_of.items():
        facts, _ = recorded(replace(one, weeks=8), number)
        made[name] = int(facts.sums[:, FACT["ideal_good_us"]].sum())
    return {name: all_of[name] for name in sorted(made, key=made.get)[:machines]}


def planted(plans, of_each, seed):
    """So many machines with each of these causes."""
    out = {}
    for key, plan in plans.items():
        name = key if isinstance(key, str) else "+".join(key)
        for number in range(of_each):
            place = len(out)
            world = WORLD | ({"products": plan.products} if plan.products != "AB" else {})
            mood = 1 + seed * 1000 + place // OF_A_SITE
            out[f"{name}/{number}"] = (replace(plan, **world, site_mood=mood), seed * 1000 + place)
    return out


def untrusted(machines, seed):
    """Machines with a cause of which a tenth is not watched."""
    plan = replace(PLANTED["slow_start"], **WORLD, unwatched=0.1)
    return {f"unwatched/{number}": (plan, seed * 1000 + 900 + number) for number in range(machines)}


def causes_of(name):
    """The rules whose causes are planted on a machine."""
    return set(name.split("/", maxsplit=1)[0].split("+")) & set(rules())


def found(told, key):
    """By machine with this cause the week in which rule and key were opened."""
    right = KEYS.get(key, lambda _: True)
    out = {}
    for (name, rule, of), week in told.opened.items():
        if rule == key and key in causes_of(name) and right(of):
            out[name] = min(week, out.get(name, week))
    return out


def wrong(told):
    """What was opened and is neither planted on its machine nor a consequence of what is."""
    out = []
    for place in told.opened:
        causes = causes_of(place[0])
        allowed = causes.union(*(ALIKE.get(cause, ()) for cause in causes)) if causes else set()
        if place[1] not in allowed:
            out.append(place)
    return out


TRUE_MIN = {
    "slow_start": lambda plan: plan.late_min * SHIFTS_A_WEEK,
    "early_end": lambda plan: plan.early_min * SHIFTS_A_WEEK,
    "changeover_tail": lambda plan: plan.setup_tail * 2 * 25 * plan.setups_a_week,
    "cyclic_stop": lambda plan: 1.5 * 0.92 * 81 * 3600 * 0.87 / 11.8 / plan.reel_pieces,
    "reject_spread": lambda plan: rejects(plan) * (plan.rejects_b - 1) * 40 * 60 * 0.92 * 0.85,
    "startup_reject": lambda plan: rejects(plan) * (plan.startup_rejects - 1) * 30 * SHIFTS_A_WEEK * 0.92 * 0.8,
}
"""Minutes a week that a cause costs, by its plan alone; half to four fifths of it can be won. Ten hours of each shift's
13.5 a day run at 0.92 of the ideal time.
"""
WHOLE = {"changeover_tail": ("machine",)}
"""Keys whose gain is that of the whole cause: a pair of products has only its part of the changeovers."""
REALISED = 0.65


def rejects(plan):
    """Share of rejects over both products, of which B has more where it is unlike."""
    return plan.reject_share * (1 + 10 * plan.unlike_b)


def gains_inside(told, plans):
    """[whether the true gain lies in the range that was told] of all found causes of which it is known."""
    out = []
    for (name, rule, of), (gain, _) in told.gains.items():
        right = of == WHOLE.get(rule, of) and KEYS.get(rule, lambda _: True)(of)
        if rule in TRUE_MIN and rule in causes_of(name) and right:
            true = REALISED * TRUE_MIN[rule](plans[name][0])
            out.append((rule, gain.low_min <= true <= gain.high_min, true, gain))
    return out


def share_below(p, limit=0.05):
    """Share of these p below a limit, 0 without any."""
    return float((np.array(p) < limit).mean()) if len(p) else 0.0


assert set(STRONG) == set(WEAK) == set(PLANTED)
assert set(IDEAL_S) >= set("ABCD")
