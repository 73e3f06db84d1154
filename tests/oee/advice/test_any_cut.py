"""Findings do not depend on how facts and stops came: in which parts, in which order, with which corrections in between."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from histories import CALENDAR, DAY_NS, NULL, START_NS, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from oee.advice.catalogue import rules
from oee.advice.trust import trust
from oee.advice.window import hourly_window, machine_window, stop_columns
from oee.model.facts import MINUTE_NS, Stop, join, select
from oee.model.states import State

WEEKS = 4
PLAN = replace(NULL, weeks=WEEKS, late_min=12, setup_tail=0.3, reel_pieces=100, rejects_b=2.5, failures_per_h=1 / 20)
END_NS = START_NS + WEEKS * 7 * DAY_NS
HOUR_NS = 60 * MINUTE_NS


@cache
def whole():
    return recorded(PLAN, 5)


@cache
def said():
    """What all rules say of the history as it is."""
    facts, stops = whole()
    return findings(facts, stops), findings_by_hour(by_hour(facts), stops)


def findings(facts, stops):
    made = machine_window("m-1", CALENDAR, facts, stops, START_NS, END_NS)
    return trust(made), {key: rule.find(made) for key, rule in rules().items() if rule.weeks <= 12}


def findings_by_hour(hours, stops):
    made = hourly_window("m-1", CALENDAR, hours, stops, START_NS, END_NS)
    return {key: rule.find(made) for key, rule in rules().items() if rule.weeks > 12}


def by_hour(facts):
    return replace(facts, minute_ns=facts.minute_ns // HOUR_NS * HOUR_NS)


def stop_rows(stops, rng):
    """Each stop as a gateway may have told it: open first, then with another end and state, as it is, and one that has vanished;
    in any order.
    """
    names = type(stops).__dataclass_fields__
    rows = []
    for number, start, end, state, reason, by, product, to in zip(
        *(getattr(stops, name).tolist() for name in names), strict=True
    ):
        last = int(rng.integers(1, 4))
        rows.append(Stop("m-1", number, start, end, State(state), reason, by, product, to, last))
        rows += [
            Stop("m-1", number, start, None if k == 0 else end + k, State.UNPLANNED_STOP, "", by, product, "", k)
            for k in range(last)
        ]
        if rng.random() < 0.05:
            rows.append(Stop("m-1", f"{number}-gone", start, start, State(state), "", by, product, "", 2))
            rows.append(Stop("m-1", f"{number}-gone", start, end, State(state), "", by, product, "", 1))
    return [rows[k] for k in rng.permutation(len(rows))]


def parts_of(facts, rng, parts, corrected):
    """The facts in so many parts in any order. Of a share of the rows comes something else first, and the difference later."""
    wrong = rng.random(len(facts)) < corrected
    first = facts.sums.copy()
    first[wrong] = rng.integers(0, 60_000, first[wrong].shape)
    rest = select(replace(facts, sums=facts.sums - first), wrong)
    together = join([replace(facts, sums=first), rest])
    return np.array_split(rng.permutation(len(together)), parts), together


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6), parts=st.integers(1, 9), corrected=st.floats(0, 0.5))
def test_any_cut_and_any_order_of_corrections_give_the_same_findings(seed, parts, corrected):
    rng = np.random.default_rng(seed)
    facts, stops = whole()
    chosen, together = parts_of(facts, rng, parts, corrected)
    again = stop_columns(stop_rows(stops, rng))
    by_minute, of_hours = said()
    assert findings((select(together, rows) for rows in chosen), again) == by_minute
    assert findings_by_hour(by_hour(join([select(together, rows) for rows in chosen])), again) == of_hours


def test_what_is_said_there_is_not_nothing():
    """Else the property would hold for rules that never speak."""
    (trusted, by_minute), of_hours = said()
    assert trusted.why_not == ()
    speaking = {key for key, found in by_minute.items() if any(item.passes for item in found)}
    assert speaking >= {"slow_start", "changeover_tail", "cyclic_stop"}
    assert all(of_hours[key] for key in ("wear_out", "long_repair"))


def test_one_minute_that_is_missing_is_seen():
    """Else it could be that findings do not depend on the facts at all."""
    facts, stops = whole()
    late = facts.minute_ns != int(facts.minute_ns[np.argmax(facts.column("running_ms") > 0)])
    assert findings(select(facts, late), stops) != said()[0]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_parts_add_up_to_what_was_cut(share):
    facts, _ = whole()
    chosen, together = parts_of(facts, np.random.default_rng(1), 3, share)
    assert sum(len(rows) for rows in chosen) == len(together)
    assert np.array_equal(together.sums.sum(axis=0), facts.sums.sum(axis=0))
