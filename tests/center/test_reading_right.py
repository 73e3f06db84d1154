"""What a reader is told: ratios of sums, never means of ratios; and silence is low coverage, never a good OEE."""

import itertools
import json
import math
from datetime import timedelta

import pytest
from center_plant import MONDAY, batch, ns, site_body
from hypothesis import given, settings
from hypothesis import strategies as st

from center.contract.ledger import Changes
from center.model.sites import Owner, SiteRow
from center.model.viewer import EVERYTHING
from center.queries.question import Question
from center.queries.trend import trend
from center.runtime.state import center_state
from center.stores.duckdb import store as duckdb
from oee.kpi import kpi
from oee.model.facts import FACT_COLUMNS, MINUTE_NS

START = ns("2026-03-02T06:00:00")  # a Monday, when shift A begins
END = ns("2026-03-04T06:00:00")
SHIFT_MINUTES = [  # minutes since START that the calendar plans, first two hours of four shifts
    minute + shift * 480 + day * 1440 for day in (0, 1) for shift in (0, 1) for minute in range(120)
]
_number = itertools.count()
SETTINGS = settings(max_examples=40, deadline=timedelta(seconds=20))


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    store = duckdb.open_store({"file": str(tmp_path_factory.mktemp("reading") / "nhip.duckdb")})
    made = center_state(store, now_ns=lambda: END)
    yield made
    store.close()


def _site(center, machines, minutes):
    """A new site of which these minutes were heard: (machine, minute since START, running ms, pieces)."""
    site = f"s{next(_number)}"
    rows = [
        {
            "machine": machine,
            "t": START + minute * MINUTE_NS,
            "date": MONDAY + minute // 1440,
            "shift": "AB"[minute % 1440 // 480],
            "running_ms": running,
            "running_ideal_known_ms": running,
            "unplanned_stop_ms": 60_000 - running,
            "pieces_total": pieces,
            "pieces_judged": pieces,
            "pieces_good": good,
            "ideal_total_us": pieces * 4_000_000,
            "ideal_judged_us": pieces * 4_000_000,
            "ideal_good_us": good * 4_000_000,
        }
        for machine, minute, running, pieces, good in minutes
    ]
    changes = Changes(
        owners=[Owner(site, machine, "main", START) for machine in machines],
        sites=[SiteRow(site, "main", "h", START, json.dumps(site_body(machines, valid_from=START)))],
    )
    kept = center.commit([batch(rows, site=site)] if rows else [], changes)
    center.ledger_cache.adopt(kept)
    return site


@st.composite
def _minutes(draw, machines):
    """What was heard: each minute once, never faster than the ideal."""
    chosen = draw(st.lists(st.sampled_from(SHIFT_MINUTES), unique=True, min_size=1, max_size=40))
    out = []
    for minute in chosen:
        running = draw(st.integers(0, 60)) * 1000
        pieces = draw(st.integers(0, running // 4000))
        out.append((draw(st.sampled_from(machines)), minute, running, pieces, draw(st.integers(0, pieces))))
    return out


MACHINES = ["press-1", "press-2"]


@SETTINGS
@given(_minutes(MACHINES), st.sampled_from(["hour", "shift", "day"]), st.sampled_from([(), ("machine",), ("shift",)]))
def test_a_long_stretch_s_ratios_are_those_of_its_sums(center, minutes, finer, by):
    """Whatever the buckets and groups are, summed up again they give the very same ratios; means would not."""
    site = _site(center, MACHINES, minutes)
    window = {"start_ns": START, "end_ns": END}
    parts = trend(center, Question(EVERYTHING, site, bucket=finer, by=by, **window))["rows"]
    (whole,) = trend(center, Question(EVERYTHING, site, bucket="all", by=(), **window))["rows"]
    sums = [sum(row["sums"][name] for row in parts) for name in FACT_COLUMNS]
    assert sums == list(whole["sums"].values())
    scheduled_ms = sum(row["scheduled_ms"] for row in parts)
    assert scheduled_ms == whole["scheduled_ms"]
    again = kpi.compute(sums, scheduled_ms=scheduled_ms, formula="nakajima")
    for name in ("availability", "performance", "quality", "oee", "oee_low", "oee_high", "coverage"):
        assert again.values[name] == whole["kpis"][name]


@SETTINGS
@given(_minutes(["press-1"]), st.data())
def test_silence_lowers_coverage_and_the_bounds_hold_what_was_not_heard(center, minutes, data):
    """Some of the minutes never came: the OEE of all of them lies within the bounds that are told of the rest."""
    heard = data.draw(st.lists(st.sampled_from(minutes), unique=True, max_size=len(minutes)))
    lost = len(heard) < len(minutes)
    window = {"start_ns": START, "end_ns": END, "bucket": "all", "by": ()}
    whole, part = (
        trend(center, Question(EVERYTHING, _site(center, ["press-1"], rows), **window))["rows"][0]["kpis"]
        for rows in (minutes, heard)
    )
    assert part["coverage"] < whole["coverage"] if lost else part["coverage"] == whole["coverage"]
    if heard and part["oee"] is not None:
        assert part["oee_low"] <= part["oee"] + 1e-12
    # of the whole schedule the true value is somewhere between the bounds of what was heard
    low, high = part["oee_low"], part["oee_high"]
    assert low <= whole["oee_low"] + 1e-12
    assert high >= whole["oee_high"] - 1e-12


def test_a_gateway_that_says_nothing_has_no_oee_and_no_coverage(center):
    site = _site(center, ["press-1"], [])
    for bucket in ("hour", "shift", "day", "week", "month", "all"):
        rows = trend(center, Question(EVERYTHING, site, bucket=bucket, start_ns=START, end_ns=END))["rows"]
        assert rows
        for row in rows:
            assert row["scheduled_ms"] > 0
            assert row["kpis"]["coverage"] == 0
            assert row["kpis"]["oee"] is None
            assert (row["kpis"]["oee_low"], row["kpis"]["oee_high"]) == (0, 1)


def test_a_machine_that_is_silent_half_of_the_time_is_not_better_than_its_bounds(center):
    """Perfect whenever it was heard: OEE is of what was heard, coverage says how little that is."""
    perfect = [("press-1", minute, 60_000, 15, 15) for minute in SHIFT_MINUTES[::2]]
    site = _site(center, ["press-1"], perfect)
    (row,) = trend(center, Question(EVERYTHING, site, bucket="all", start_ns=START, end_ns=END))["rows"]
    assert row["kpis"]["oee"] == 1
    assert math.isclose(row["kpis"]["coverage"], len(perfect) * 60_000 / row["scheduled_ms"])
    assert row["kpis"]["oee_low"] == row["kpis"]["coverage"]
