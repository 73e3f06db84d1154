"""Hours of InfluxDB that cannot be added up are set aside: the rest of the site and all other sites are not.

The embedded store's are in `test_rollups.py`.
"""

from dataclasses import replace

import pytest
from center_plant import STREAM, batch, ns, running
from influx_plant import Influxd, influx_settings, is_2x

from center.contract.store import Query, StoreUnavailable
from center.database.sql import open_database
from center.ledger.sql import SqlLedger
from center.runtime.rollup_job import RollupJob
from center.runtime.state import center_state
from center.stores.influxdb.server import QueryRefused
from center.stores.influxdb.store import open_store
from oee.model.facts import HOUR_NS

T = ns("2026-03-02T00:00:00")
NOW = T + 60 * HOUR_NS
ALL = Query("van-long", 0, NOW)
BAD = (
    f"losses,calendar=scheduled,day=0,machine=press-1,product=1,shift=A,site=bad,state=tired,stream={STREAM} ms=5i "
    f"{T + HOUR_NS + 7}"
)
"""A state that no gateway of this version can name: somebody else wrote it."""


def opened(folder, **more):
    store = open_store(influx_settings(folder, **more))
    store.hours._now_ns = lambda: NOW
    return store


def spoiled(store):
    store.database.server.write(store.database._rows_bucket, [BAD])
    store.hours.numbers.touch("bad", [T + HOUR_NS])


def settle(store):
    store.hours._rolled_up_ns = store.hours._warmed_ns = 0
    while store.roll_up(NOW, leased=True):
        pass


def sums_of_rows(store, query):
    """The statements that read rows to answer a question."""
    asked, real = [], store.database.server.ask
    store.database.server.ask = lambda statements, *where: asked.extend(statements) or real(statements, *where)
    store.facts(query)
    store.database.server.ask = real
    return [statement for statement in asked if statement.startswith("SELECT sum")]


def pieces(store, site):
    return int(store.facts(replace(ALL, site=site)).column("pieces_good").sum())


@pytest.mark.parametrize("retention", ["", "500w"])
def test_an_hour_that_cannot_be_added_up_keeps_no_other_from_it(tmp_path, retention):
    """Also after a restart, and until somebody has mended its rows."""
    more = {"retention": retention} if retention else {}
    store = opened(tmp_path, **more)
    for site in ("aa", "bad", "van-long"):
        store.write([batch(running(T, 240), site=site)])
    spoiled(store)
    settle(store)
    assert list(store.aside) == [("bad", T + HOUR_NS)]
    assert "tired" in store.aside["bad", T + HOUR_NS]
    for site in ("aa", "bad", "van-long"):
        assert pieces(store, site) == 2400
        reads = sums_of_rows(store, replace(ALL, site=site))
        assert len(reads) == (site == "bad")
    (statement,) = sums_of_rows(store, replace(ALL, site="bad"))
    assert f"time >= {T + HOUR_NS} AND time < {T + 2 * HOUR_NS}" in statement
    if retention:
        (rolled,) = store.database.ask(
            [f"SELECT count(cycles) FROM {store.database.sources('facts')[1]} GROUP BY site"]
        )
        assert {item["tags"]["site"]: item["values"][0][1] for item in rolled["series"]} == {
            "aa": 4,
            "bad": 3,
            "van-long": 4,
        }
    assert not store.hours._apart.ready("bad", store.hours._unclean(replace(ALL, site="bad")), NOW), (
        "it is not tried in vain"
    )
    store.close()
    store = opened(tmp_path, **more)
    settle(store)
    assert list(store.aside) == [("bad", T + HOUR_NS)]
    store.database.server.ask(["DELETE FROM losses WHERE \"state\" = 'tired'"], store.database.name)
    store.hours.recount("bad", T, T + 4 * HOUR_NS)
    settle(store)
    assert not store.aside
    assert not sums_of_rows(store, replace(ALL, site="bad"))
    store.close()


def test_the_job_says_which_hours_are_set_aside(tmp_path):
    store = opened(tmp_path)
    store.write([batch(running(T, 240), site="bad")])
    spoiled(store)
    center = center_state(store, SqlLedger(open_database(f"sqlite:///{tmp_path}/books.sqlite")), now_ns=lambda: NOW)
    job = RollupJob(center)
    while "set aside" not in (told := job._step()[0]):
        pass
    assert told.startswith("1 hours are set aside and read row by row, site bad: KeyError")
    assert center.health.counts()["sums_set_aside"] == 1
    store.close()
    center.ledger.close()


@pytest.mark.skipif(is_2x(), reason="2.x has no such limit in its file")
def test_a_site_that_the_server_refuses_to_add_up_keeps_no_other_from_it(tmp_path):
    """More series than one question may read, as the operator has set it."""
    server = Influxd(tmp_path, more="[coordinator]\n  max-select-series = 20").start()
    try:
        store = open_store(server.settings)
        store.hours._now_ns = lambda: NOW
        names = [f"press-{number}" for number in range(40)]
        for site in ("aa", "zz"):
            store.write([batch(running(T, 60), site=site)])
        store.write([batch([row for name in names for row in running(T, 2, name)], site="bad")])
        settle(store)
        assert {site for site, _ in store.aside} == {"bad"}
        assert "max-select-series" in next(iter(store.aside.values()))
        for site in ("aa", "zz"):
            assert not sums_of_rows(store, replace(ALL, site=site))
            assert pieces(store, site) == 600
        with pytest.raises(QueryRefused, match="max-select-series"):
            pieces(store, "bad")
        assert issubclass(QueryRefused, StoreUnavailable)
        store.close()
    finally:
        server.kill()
