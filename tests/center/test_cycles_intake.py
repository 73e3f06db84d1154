"""Histograms of cycle times as they come from gateways: whose they are, what is closed, what no gateway can mean."""

import pytest
from center_plant import STREAM, batch, envelope, histograms, ns, running
from test_intake import KEY, take

from center.contract.ledger import Changes, LedgerSnapshot
from center.ingest.planning.validate import COUNTED, MAX_PIECES
from center.ledger.cache import LedgerCache, receipt
from center.model.times import MAX_NS
from center.stores.duckdb.rollups.tables import DAY_NS, delete_minutes
from center.stores.duckdb.store import open_store
from oee.model.facts import HOUR_NS, MINUTE_NS, NO_LOSSES
from wire.bodies import CYCLES, facts_body
from wire.envelope import seal

T = ns("2026-03-02T08:00:00")
OTHER = "00000000000000bb"


@pytest.fixture
def memory():
    return LedgerCache(LedgerSnapshot("generation-1", {}, {}, {}, []))


def sealed(seq, rows, stream=STREAM, fact_rows=()):
    made = batch(fact_rows)
    return seal(stream, seq, 1, facts_body(made.facts, NO_LOSSES, [], histograms(rows))).data


def bins_of(plan):
    return [(item.origin.stream, item.cycles.cycles.tolist()) for item in plan.batches if len(item.cycles)]


def test_they_are_planned_for_the_store_and_only_one_that_keeps_them_is_sent_any(memory):
    plan = take(memory, sealed(1, [{"t": T, "bins": {300: 7, 301: 2}}]))
    assert bins_of(plan) == [(STREAM, [7, 2])]
    assert memory.streams[KEY].stored == 1
    assert CYCLES in receipt(memory, "van-long", "main", 5).knows
    other = LedgerCache(LedgerSnapshot("generation-1", {}, {}, {}, []), keeps_cycles=False)
    assert CYCLES not in receipt(other, "van-long", "main", 5).knows


def test_those_of_another_gateways_machine_are_refused(memory):
    take(memory, envelope(1, running(T, 2)))
    mine, foreign = {"t": T, "bins": {300: 7}, "machine": "press-2"}, {"t": T, "bins": {300: 5}}
    plan = take(memory, sealed(1, [mine, foreign], OTHER), gateway="second")
    assert bins_of(plan) == [(OTHER, [7])]
    assert "press-1" in plan.quarantine[0].reason


@pytest.mark.parametrize(
    "row",
    [
        {"bins": {300: MAX_PIECES + 1}},
        {"bins": {300: -MAX_PIECES - 1}},
        {"bins": {300: 1}, "n": 60_000},
        {"bins": {300: 1}, "n": -1},
        {"bins": {300: 1}, "t": -HOUR_NS},
        {"bins": {300: 1}, "t": MAX_NS // HOUR_NS * HOUR_NS + HOUR_NS},
        {"bins": {300: 1}, "date": -1},
        {"bins": {300: 1}, "product": "x" * 10_000},
        {"bins": {300: 1}, "machine": ""},
    ],
    ids=str,
)
def test_what_no_gateway_can_mean_is_quarantined(memory, row):
    plan = take(memory, sealed(1, [{"t": T} | row]))
    assert bins_of(plan) == []
    assert len(plan.quarantine) == 1


def test_whoever_begins_within_an_hour_counts_the_rest_of_it(memory):
    """A gateway that starts anew has another stream; a second box that counts the same hours waits."""
    take(memory, envelope(1, running(T, 20)))
    take(memory, envelope(1, running(T + 21 * MINUTE_NS, 39), stream=OTHER))
    plan = take(memory, sealed(2, [{"t": T, "bins": {300: 7}}], OTHER))
    assert bins_of(plan) == [(OTHER, [7])]
    assert not plan.quarantine
    third = "00000000000000cc"
    plan = take(memory, sealed(1, [{"t": T, "bins": {300: 9}}, {"t": T + HOUR_NS, "bins": {300: 1}}], third))
    assert bins_of(plan) == [(third, [1])]
    assert plan.quarantine[0].reason.startswith(COUNTED)


def test_no_histogram_at_all_is_what_an_older_gateway_sends(memory):
    plan = take(memory, seal(STREAM, 1, 1, facts_body(batch(running(T, 1)).facts, NO_LOSSES, [])).data)
    assert [len(item.cycles) for item in plan.batches] == [0]


def test_from_the_envelope_into_the_store_and_gone_with_the_minutes(memory, tmp_path):
    store = open_store({"file": str(tmp_path / "facts.duckdb")})
    later = T + 2 * DAY_NS
    rows = [{"t": T, "bins": {300: 7, 301: 2}}, {"t": later, "bins": {300: 5}}]
    plan = take(memory, sealed(1, rows, fact_rows=[*running(T, 60), *running(later, 60)]))
    store.commit(plan.batches, Changes())
    assert store.cycles("van-long", 0, 2**62).cycles.tolist() == [12, 2]
    with store.file.writing() as cursor:
        delete_minutes(cursor, later)
        cursor.commit()
    assert store.cycles("van-long", 0, 2**62).cycles.tolist() == [5]
    store.close()
