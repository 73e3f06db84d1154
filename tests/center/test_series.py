"""How many new names a gateway may bring to InfluxDB a day, against a real server."""

import time
from dataclasses import replace

import numpy as np
import pytest
from center_plant import Gateway, batch, envelope, eventually, mosquitto, ns, running, stops_of
from influx_plant import influx_settings, lose_measurement
from work_counted import calls_counted

from center.contract.store import Query
from center.ingest.mqtt import BrokerSettings
from center.ingest.planning.content import _within_series
from center.ingest.planning.plan import IngestPlan, SeriesRoom
from center.ingest.worker import Ingest
from center.model.viewer import EVERYTHING
from center.queries.gateways import gateways
from center.runtime.budgets import BudgetLimits, Budgets
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store as open_embedded
from center.stores.influxdb.series import COUNTED_DAYS
from center.stores.influxdb.store import open_store
from oee.model.facts import MS_NS, Stop
from oee.model.states import State
from wire.values import Values

T = ns("2026-03-02T08:00:00")
DAY_NS = 86_400_000_000_000
ALL = Query("van-long", 0, 2**62)


def values():
    tag = np.array(["press-plc.temp", "press-plc.ốp, 1"], object)
    columns = (np.array([T, T]), np.array([1.0, 2.0]), np.array([None, None], object), np.zeros(2, np.uint8))
    return replace(batch(), values=Values(tag, *columns))


@pytest.fixture
def store(tmp_path):
    opened = open_store(influx_settings(tmp_path))
    opened.series.read(["van-long"])
    yield opened
    opened.close()


def products(*names, **more):
    return batch([row | {"product": name} for name in names for row in running(T, 1)], **more)


def on_server(store):
    """How many series the server has of each measurement."""
    found = store.database.ask(
        [f"SELECT * FROM {store.database.source(name)} GROUP BY * LIMIT 1" for name in ("facts", "stops")]
    )
    return [len(item.get("series", ())) for item in found]


def test_a_gateway_brings_as_many_new_series_as_it_may_and_known_ones_for_ever(store):
    part, left_out = store.series.part(products(*"abcdefgh"), 1, set())
    assert (part.facts.product.tolist(), left_out) == (list("abcde"), 3)
    store.write([part])
    again = products(*"abxcdey", seq=2)
    part, left_out = store.series.part(again, 1, set())
    assert (part.facts.product.tolist(), left_out) == (list("abcde"), 2)
    other, left_out = store.series.part(products("z", gateway="annex"), 1, set())
    assert (len(other.facts), left_out) == (1, 0)
    assert on_server(store)[0] == 5


def test_what_is_planned_counts_already(store):
    planned = set()
    assert store.series.part(products(*"abc"), 1, planned)[1] == 0
    assert store.series.part(products(*"abcdef"), 1, planned)[1] == 1
    assert len(planned) == 5


def test_rows_of_all_kinds_make_series(store):
    """A revision with an id of its own makes one for each stop; those of an agent do not."""
    plain = [
        Stop("press-1", str(at // MS_NS), at, None, State.SETUP, "", "", "", "", 0)
        for at in range(T, T + 9 * MS_NS, MS_NS)
    ]
    assert store.series.part(batch(stops=plain), 1, set())[1] == 0
    odd = [Stop("press-1", f"id {at}", T, None, State.SETUP, "", "", "", "", 0) for at in range(9)]
    part, left_out = store.series.part(batch(stops=odd), 1, set())
    assert (len(part.stops), left_out) == (5, 4)
    lost = [{"t": T, "state": State.SETUP, "reason": str(n), "ms": 1, "n": n} for n in range(9)]
    assert store.series.part(batch(loss_rows=lost), 1, set())[1] == 4
    store.write([part])
    assert len(stops_of(store, T, T + 1)) == 5
    assert on_server(store)[1] == 5


def test_a_day_brings_a_days_share_again(tmp_path):
    now = [T]
    store = open_store(influx_settings(tmp_path))
    store.series._now_ns = lambda: now[0]
    store.series.read(["van-long"])
    store.write([products(*"abcde")])
    assert store.series.part(products("f"), 1, set())[1] == 1
    now[0] += COUNTED_DAYS * DAY_NS + 1
    assert store.series.part(products(*"abcdefghij"), 1, set())[1] == 0
    store.close()


def test_another_process_and_a_restart_know_what_was_brought(store, tmp_path):
    store.write([products(*"abcde")])
    other = open_store(influx_settings(tmp_path))
    other.series.read(["van-long"])
    assert other.series.part(products("a"), 1, set())[1] == 0
    assert other.series.part(products("f"), 1, set())[1] == 1
    other.write([products("g", gateway="annex")])
    mine = products("g")
    assert store.series.part(mine, 1, set())[1] == 1  # for all that it knows this is new
    store.series._sites["van-long"].read_s = time.monotonic() - 11
    store.series.read(["van-long"])
    assert store.series.part(mine, 1, set())[1] == 0
    other.close()


def test_what_was_there_before_anybody_counted_is_nobodys_share(store, tmp_path):
    """Names that escape in lines and answers, all kinds of rows, and a second look."""
    rows = [row | {"product": f"ốp, =\\ %\n{n}", "shift": ""} for n in range(7) for row in running(T, 1)]
    made = batch(
        rows,
        [{"t": T, "state": State.SETUP, "reason": "ố", "ms": 5}],
        stops=[Stop("a b", "x y", T, None, State.SETUP, "", "", "", "", 3)],
    )
    store.write([made, values()])
    lose_measurement(store, "series")
    for _ in range(2):
        other = open_store(influx_settings(tmp_path))
        other.series.read(["van-long", "tan-phat"])
        assert other.series.part(made, 1, set()) == (made, 0)
        assert other.series.part(values(), 1, set())[1] == 0
        assert other.series.part(products(*"abcde"), 1, set())[1] == 0
        assert other.series.part(products(*"abcdef"), 1, set())[1] == 1
        other.close()


def test_what_was_planned_is_digested_once(store):
    """As a worker does it: what is parted is written, and counts as the gateway's; what is written without a plan too."""
    store.series.read(["van-long"])
    with calls_counted() as calls:
        part, left_out = store.series.part(products(*"abcdefg"), 1, set())
        whole, _ = store.series.part(products(*"ab", seq=2), 1, set())
        store.write([part, whole])
    assert (left_out, calls["series_of"], calls["value_series"]) == (2, 4, 2)
    assert store.series.part(products("h"), 1, set())[1] == 1
    store.write([products("i")])
    assert store.series.part(products("i"), 1, set())[1] == 0


def test_a_plan_that_is_never_written_is_forgotten(store):
    store.series.part(products(*"abcde"), 1, set())
    store.series.read(["van-long"])
    assert store.series._parted == {}
    assert store.series.part(products("f"), 1, set())[1] == 0


def test_values_wait_in_quarantine_too(store):
    plan = IngestPlan(room=SeriesRoom(store.series, 0))
    part, why = _within_series(plan, values())
    assert (len(part.values), plan.beyond_series) == (0, {("van-long", "main")})
    assert why.startswith(f"series: {len(values().values)} of {len(values().values)} rows")


def test_beyond_its_share_rows_wait_in_quarantine_and_nobody_else_notices(tmp_path):
    """A whole center: what is known goes on to be stored, the administrator sees it, and a replay with more room counts it."""
    store = open_store(influx_settings(tmp_path))
    ledger = open_embedded({"file": str(tmp_path / "books.duckdb")}).ledger
    center = center_state(store, ledger, budgets=Budgets(BudgetLimits(series=1)))
    with mosquitto(tmp_path) as port:
        ingest = Ingest(center, BrokerSettings("127.0.0.1", port))
        ingest.start()
        bad, good = Gateway(port), Gateway(port, "tan-phat")
        try:
            eventually(lambda: center.health.condition("broker") == "ok")
            bad.send(envelope(1, running(T, 1)))
            for seq in range(2, 6):
                rows = [row | {"product": f"{seq}-{n}", "n": n + 1} for n in range(10) for row in running(T, 1)]
                bad.send(envelope(seq, [*rows, *running(T, 1, n=20 + seq)]))
            good.send(envelope(1, running(T, 1)))
            eventually(lambda: good.mark() == 1 and bad.mark() == 5)
            listed, count = ledger.quarantined("", 10)
            assert count == 4
            assert all(row.reason.startswith("series: ") and "/van-long/" in row.topic for row in listed)
            assert int(store.facts(ALL).column("cycles").sum()) == 10 * (1 + 4 + 4)
            shown = {row["site"]: row["series_beyond"] for row in gateways(center, EVERYTHING)}
            assert shown == {"van-long": True, "tan-phat": False}
            assert on_server(store)[0] == 5 + 1
            center.budgets.limits = BudgetLimits()
            for row in listed:
                ingest.submit(lambda number=row.id: ingest.settler.replay(number)).result(60)
            assert int(store.facts(ALL).column("cycles").sum()) == 10 * (1 + 4 * 11)
            assert ledger.quarantined("", 10)[1] == 0
        finally:
            bad.close()
            good.close()
            ingest.stop()
            center.store.close()
            ledger.close()
