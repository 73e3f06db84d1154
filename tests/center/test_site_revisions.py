"""Which of a gateway's site bodies count, and what it costs to learn one. Work is counted, never timed."""

import cProfile
import json
import pstats

import pytest
from center_plant import STREAM, envelope, ns, site_body
from hypothesis import given
from hypothesis import strategies as st

from center.contract.ledger import Changes
from center.contract.streams import StreamKey, StreamRecord
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.planning.planner import plan_messages
from center.ledger.cache import LedgerCache
from center.model.site_revisions import MOST_OF_A_DAY, MOST_REVISIONS, standing
from center.model.sites import SiteRow, Sites
from center.stores.duckdb.store import open_store
from wire.marks import Marks
from wire.topics import Topic

T = ns("2026-03-02T08:00:00")
HOUR_NS = 3_600_000_000_000
WHERE = Topic("van-long", "main", "site")


def row(valid_from_ns, name="h", written_ns=0):
    body = site_body(valid_from=valid_from_ns, config_hash=name) | ({"made_ns": written_ns} if written_ns else {})
    suffix = f"@{written_ns}" if written_ns else ""
    return SiteRow("van-long", "main", name + suffix, valid_from_ns, json.dumps(body))


def calls(profile, name):
    """How often a function was called while it was profiled."""
    return sum(stat[1] for (_, _, function), stat in pstats.Stats(profile).stats.items() if function == name)


@pytest.fixture
def store(tmp_path):
    opened = open_store({"file": str(tmp_path / "nhip.duckdb")})
    yield opened
    opened.close()


@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from([0, 0, 5, 15, 25])), max_size=12))
def test_a_body_that_was_written_later_replaces_those_that_are_valid_from_its_time_on(made):
    """Against the definition, which compares each with each."""
    rows = [row(valid, f"h{index}", written) for index, (valid, written) in enumerate(made)]
    expected = [
        one
        for one in sorted(rows, key=lambda item: item.valid_from_ns)
        if not any(
            other.valid_from_ns <= one.valid_from_ns
            and other.key.written_ns > (one.key.written_ns or one.valid_from_ns)
            for other in rows
        )
    ]
    assert standing(rows) == expected


def test_a_gateway_has_so_many_bodies_of_a_day_and_so_many_in_all():
    assert standing(row(T + second * 10**9) for second in range(100)) == [
        row(T + second * 10**9) for second in range(100 - MOST_OF_A_DAY, 100)
    ]
    days = [row(day * 24 * HOUR_NS) for day in range(1, 1000)]
    assert standing(days) == days[-MOST_REVISIONS:]


def test_the_thousandth_body_costs_what_the_first_cost():
    sites = Sites()
    sites.learn([row(T + hour * HOUR_NS, f"h{hour}") for hour in range(1000)], ())
    profile = cProfile.Profile()
    profile.runcall(sites.learn, [row(T + 1000 * HOUR_NS, "h1000")], ())
    assert calls(profile, "compile_site") == 1
    assert calls(profile, "written_ns") <= 3 * (MOST_REVISIONS + 1)
    assert sites.current("van-long").body.config_hash == "h1000"


def test_a_start_does_not_depend_on_how_many_bodies_there_ever_were(store):
    """Of those that an earlier version kept, only the ones that count are compiled."""
    store.ledger.commit(Changes(sites=[row(T + hour * HOUR_NS, f"h{hour}") for hour in range(3000)]))
    profile = cProfile.Profile()
    cache = profile.runcall(LedgerCache, store.ledger.load())
    assert calls(profile, "compile_site") == MOST_REVISIONS
    assert len(cache.sites.revisions("van-long", "main")) == MOST_REVISIONS


def test_a_flood_of_bodies_leaves_few_behind_and_compiles_each_once(store):
    cache = LedgerCache(store.ledger.load())
    profile = cProfile.Profile()
    for first in range(0, 300, 50):
        bodies = [
            site_body(valid_from=T + second * 10**9, config_hash=f"h{second}") for second in range(first, first + 50)
        ]
        messages = [
            EnvelopeMessage(WHERE, envelope(first + index, content=body)) for index, body in enumerate(bodies, 1)
        ]
        plan = profile.runcall(plan_messages, cache, messages, T)
        cache.adopt(store.ledger.commit(plan.changes()))
    assert calls(profile, "compile_site") == 300
    assert cache.streams[StreamKey("van-long", "main", STREAM)].marks == Marks(300)
    again = LedgerCache(store.ledger.load())
    for some in (cache, again):
        kept = [item.body.config_hash for item in some.sites.revisions("van-long", "main")]
        assert kept == [f"h{second}" for second in range(300 - MOST_OF_A_DAY, 300)]
    assert len(store.ledger.load().sites) == MOST_OF_A_DAY


def test_a_body_of_the_far_future_that_an_earlier_version_took_bars_no_later_one(store):
    poison = row(2**63 - 1, "poison")
    streams = {StreamKey("van-long", "main", STREAM): StreamRecord("site", Marks(1), seen_ns=T)}
    store.ledger.commit(Changes(streams=streams, sites=[row(T, "before"), poison]))
    cache = LedgerCache(store.ledger.load())
    assert cache.sites.current("van-long").body.config_hash == "before"
    later = EnvelopeMessage(
        WHERE, envelope(2, content=site_body(valid_from=T + 1, config_hash="later", formula="iso22400"))
    )
    cache.adopt(store.ledger.commit(plan_messages(cache, [later], T + 1).changes()))
    for some in (cache, LedgerCache(store.ledger.load())):
        assert some.sites.current("van-long").body.formula == "iso22400"


def test_a_stored_body_that_is_accepted_no_more_is_left_out_and_told():
    bad = SiteRow("van-long", "main", "bad", T + 1, json.dumps(site_body(valid_from=T + 1, name={"vi": "x" * 1000})))
    sites = Sites([row(T), bad])
    assert sites.current("van-long").valid_from_ns == T
    assert "256" in sites.refused["van-long", "main"]
