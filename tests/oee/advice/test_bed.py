"""The whole of advice over many machines with known causes, and over many with none: error rates against their bars.

Slow: `pytest -m slow tests/oee/advice/test_bed.py`. What was measured is in docs/design/0019-advice.md.
"""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from besides import beside, within
from histories import CALENDAR, DAY_NS, KEYS, NULL, PLANTED, START_NS, recorded

from oee.advice.catalogue import rules, significant
from oee.advice.life import next_records, open_rules, since
from oee.advice.look import look
from oee.advice.window import machine_window

pytestmark = pytest.mark.slow
WEEK_NS = 7 * DAY_NS
WEEKS = 20
FIRST = 8
NULLS = 24
OF_EACH = 3
STRONG = PLANTED | {
    "repeat_failure": replace(PLANTED["repeat_failure"], failures_per_h=1 / 50),
    "startup_reject": replace(PLANTED["startup_reject"], startup_rejects=6.0, reject_share=0.04),
    "common_stop": replace(PLANTED["common_stop"], common_a_week=2.0),
}
"""What is rarer or smaller costs less than half an hour a week, which is least worth saying."""
ALIKE = {"repeat_failure": {"wear_out"}, "wear_out": {"repeat_failure"}, "changeover_sequence": {"changeover_tail"}}
"""Rules that rightly see the cause of another: four families of set-up times are a long tail too."""


class Center:
    """Weekly nights over machines, all of whose tests are judged together. A night keeps what was looked at."""

    def __init__(self, plans):
        self.pasts, self.wholes = {}, {}
        for name, (plan, seed) in plans.items():
            self.pasts[name] = recorded(replace(plan, weeks=WEEKS), seed)
            whole = machine_window(name, CALENDAR, *self.pasts[name], START_NS, START_NS + WEEKS * WEEK_NS)
            self.wholes[name] = replace(whole, beside=beside(replace(plan, weeks=WEEKS), whole, seed))
        self.records = {name: [] for name in plans}
        self.opened, self.watched, self.p = {}, {}, []
        self.untrusted = {name for name in plans if name.startswith("hole")}
        for week in range(FIRST, WEEKS + 1):
            self._night(week)

    def _window(self, name, end_ns, weeks):
        facts, stops = self.pasts[name]
        start_ns = max(START_NS, end_ns - weeks * WEEK_NS)
        made = machine_window(name, CALENDAR, facts, stops, start_ns, end_ns)
        whole = self.wholes[name]
        return replace(made, beside=within(whole, whole.beside, made)) if weeks == FIRST else made

    def _night(self, week):
        end_ns, seen = START_NS + week * WEEK_NS, {}
        for name, records in self.records.items():
            window_of = partial(self._window, name, end_ns)
            holes = int(name in self.untrusted)
            seen[name] = look(window_of, since(records), holes=holes, open_findings=open_rules(records))
        tests = [(name, item) for name, one in seen.items() for item in one.findings]
        kept = significant([(item.p, item.passes) for _, item in tests])
        self.p += [item.p for _, item in tests if item.p is not None]
        for name, one in seen.items():
            mine = {item.identity for (whose, item), keep in zip(tests, kept, strict=True) if keep and whose == name}
            self.records[name] = next_records(self.records[name], one, mine)
            for record in self.records[name]:
                place = name, record.finding.identity
                self.watched.setdefault(place, week)
                if record.stage == "open" and not record.held:
                    self.opened.setdefault(place, week)


@cache
def nulls():
    return Center({f"null-{seed}": (NULL, 1000 + seed) for seed in range(NULLS)})


@cache
def planted():
    plans = {f"{key}-{number}": (plan, 2000 + number) for key, plan in STRONG.items() for number in range(OF_EACH)}
    holes = {f"hole-{number}": (PLANTED["slow_start"], 3000 + number) for number in range(2)}
    return Center(plans | holes)


def test_false_findings_per_hundred_machine_months():
    months = NULLS * (WEEKS - FIRST) * 7 / 30.4
    print(f"{len(nulls().opened)} opened, {len(nulls().watched)} watched in {months:.0f} machine-months")
    assert len(nulls().opened) / months * 100 <= 0.5


def test_p_values_are_those_of_chance():
    share = float((np.array(nulls().p) < 0.05).mean())
    print(f"share of p below 0.05: {share:.3f}, below 0.01: {float((np.array(nulls().p) < 0.01).mean()):.4f}")
    assert share <= 0.07


def _found(key):
    """By machine the week in which the planted rule and key were opened."""
    right = KEYS.get(key, lambda _: True)
    out = {}
    for (name, (rule, of)), week in planted().opened.items():
        if name.rsplit("-", 1)[0] == key == rule and right(of):
            out[name] = min(week, out.get(name, week))
    return out


def test_recall_by_rule_and_overall():
    found = {key: len(_found(key)) / OF_EACH for key in PLANTED}
    print(found)
    assert min(found.values()) >= 0.6  # of three machines two: the bar of 0.9 is held over all of them
    assert np.mean(list(found.values())) >= 0.95


def test_precision_of_what_is_told():
    wrong = []
    for name, (rule, of) in planted().opened:
        cause = name.rsplit("-", 1)[0]
        if rule != cause and rule not in ALIKE.get(cause, ()):
            wrong.append((name, rule, of))
    print(wrong)
    assert len(wrong) <= 0.05 * len(planted().opened)


def test_time_to_open():
    weeks = [week - FIRST for key in PLANTED if rules()[key].weeks == 8 for week in _found(key).values()]
    print(f"median {np.median(weeks)} weeks after the first night")
    assert np.median(weeks) <= 6


def test_machines_with_holes_are_told_nothing_but_data():
    told = {rule for name, (rule, _) in planted().opened if name in planted().untrusted}
    assert all(rules()[rule].about_data for rule in told)


def test_open_findings_promise_no_more_than_was_lost():
    for name, records in planted().records.items():
        shown = [record for record in records if record.stage == "open" and not record.held]
        assert sum(record.told.high_min for record in shown) <= 6 * 13.5 * 60, name
