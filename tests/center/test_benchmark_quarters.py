"""The benchmark at the center: a quarter's table from the store, what it says of nobody, and who sees what."""

import asyncio
import io
import json
from datetime import date, timedelta
from statistics import fmean
from types import SimpleNamespace

import bench_plant as plant
import httpx
import pytest
from center_plant import ns
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from center.accounts import audit
from center.database.benchmark import TABLES, figures_of_site, members_of, published, table_of_quarter
from center.database.declarations import open_declarations
from center.database.sql import reading, writing
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.viewer import Viewer
from center.outgoing.benchmark.job import BenchmarkJob, make_quarter
from center.outgoing.benchmark.quarters import last_settled, quarter_ends, quarter_of
from center.run.application import application, table_recorder
from oee.advice.statistics.jackknife import left_out

QUARTER = "2026-Q1"
ONE = "xuong-lim"
OWNER = Viewer("chu", frozenset({ONE}), frozenset({"read", "write", "own"}))
STAFF = Viewer("tho", frozenset({ONE}), frozenset({"read", "write"}))
ADMIN = Viewer("admin", None, frozenset({"read", "write", "aim", "watch", "admin"}))
OTHER = Viewer("khac", frozenset({"xuong-sen"}), frozenset({"read", "write", "own"}))
PEOPLE = {item.name: item for item in (OWNER, STAFF, ADMIN, OTHER)}


@given(st.dates(date(1971, 1, 1), date(2199, 1, 1)))
def test_a_quarter_begins_ends_and_settles(day):
    first, after = quarter_ends(quarter_of(day))
    assert first <= day < after
    assert quarter_of(first - timedelta(1)) != quarter_of(first) != quarter_of(after)
    assert quarter_ends(last_settled(day))[1] <= day - timedelta(days=10)
    assert (day - quarter_ends(last_settled(day))[1]).days < 92 + 10


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(100, 200)), min_size=8, max_size=14))
def test_the_interval_holds_the_figure_and_is_that_of_a_mean(weeks):
    low, value, high = left_out(weeks, lambda some: sum(n for n, _ in some) / sum(d for _, d in some))
    assert low <= value <= high
    same = left_out([(n, 1) for n, _ in weeks], lambda some: fmean(n for n, _ in some))
    assert same[1] == pytest.approx(fmean(n for n, _ in weeks))
    assert left_out(weeks[:7], lambda some: 1.0) is None


@pytest.fixture(scope="module")
def quarter(tmp_path_factory):
    """All but one have consented, the quarter's table is made, and the application answers."""
    folder = tmp_path_factory.mktemp("bench")
    center, clock = plant.make(folder)
    said = open_declarations(f"sqlite:///{folder}/a.sqlite")
    sender = DeclarationSender(said, lambda *_: None, center.now_ns)

    async def identify(connection):
        return PEOPLE.get(connection.headers.get("x-who", ""))

    app = application(center, Ingest(center, BrokerSettings("127.0.0.1", 9), patient=False), sender, identify=identify)
    for site in plant.SITES:
        if site != "xuong-vang":
            plant.consent(said, site)
    assert make_quarter(center, said, table_recorder(center)) == ""
    yield SimpleNamespace(center=center, clock=clock, engine=said, app=app)
    said.dispose()
    center.store.close()


def ask(quarter, who, path, method="GET", **more):
    async def go():
        transport = httpx.ASGITransport(quarter.app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, f"/api/v1/{path}", headers={"x-who": who}, **more)

    return asyncio.run(go())


def test_the_table_is_made_once_of_those_who_consented(quarter):
    table = ask(quarter, "chu", "benchmark/table").json()
    cells = {(row["trade"], row["kind"], row["measure"]): row for row in table["rows"]}
    oee = cells["metal", "press", "oee"]
    assert oee["sites"] == "6-9"
    shares = [0.60 + 0.02 * number for number in range(8)]
    assert oee["p50"] == pytest.approx(fmean(shares[2:5]) * 0.8, abs=0.012), "three neighbours, and P of 80 %"
    assert not any(trade == "plastics" for trade, _, _ in cells), "three factories are too few"
    assert not any(trade == "" for trade, _, _ in cells), "the whole minus what is shown would be the hidden trade"
    assert len(members_of(quarter.engine, 2026)) == 10
    before = table_of_quarter(quarter.engine, QUARTER)
    make_quarter(quarter.center, quarter.engine, table_recorder(quarter.center))
    assert table_of_quarter(quarter.engine, QUARTER) == before
    assert [row.what for row in audit.entries(quarter.engine)[0]].count("benchmark.published") == 1
    assert table["digest"] == before.digest


def test_no_name_of_anything_leaves(quarter):
    """What everybody may take along: the table as JSON, as stored, and as each kind of file."""
    texts = [ask(quarter, "khac", "benchmark/table").text, table_of_quarter(quarter.engine, QUARTER).content.decode()]
    texts.append(ask(quarter, "khac", "benchmark/table", params={"format": "csv"}).content.decode())
    book = load_workbook(io.BytesIO(ask(quarter, "khac", "benchmark/table", params={"format": "xlsx"}).content))
    texts.append(json.dumps([list(sheet.values) for sheet in book], default=str, ensure_ascii=False))
    parquet = ask(quarter, "khac", "benchmark/table", params={"format": "parquet"}).content
    for site in plant.SITES:
        for name in plant.names_of(site):
            assert not [text for text in texts if name in text], name
            assert name.encode() not in parquet
    assert all("press" in text for text in texts), "the search would find what is there"


def test_an_owner_sees_the_own_place_and_nobody_another_s(quarter):
    told = ask(quarter, "chu", "benchmark", params={"site": ONE}).json()
    row = next(row for row in told["rows"] if row["measure"] == "oee")
    assert told["member"]
    assert row["low"] < row["value"] < row["high"]
    assert row["value"] == pytest.approx(0.60 * 0.8, abs=0.005)
    assert row["p25"] <= row["p50"] <= row["p75"]
    assert row["weekly_minutes"] == pytest.approx((row["p50"] - row["value"]) * 6 * 945, rel=0.05)
    setup = next(row for row in told["rows"] if row["measure"] == "setup_share")
    assert setup["value"] == pytest.approx(0.05, abs=1e-4)
    assert ask(quarter, "khac", "benchmark", params={"site": ONE}).status_code == 404
    text = ask(quarter, "chu", "benchmark", params={"site": ONE}).text
    assert not [name for site in plant.SITES if site != ONE for name in plant.names_of(site) if name in text]
    plastics = ask(quarter, "admin", "benchmark", params={"site": "xuong-ngo"}).json()["rows"]
    assert {row["p50"] for row in plastics} == {None}
    assert ask(quarter, "admin", "benchmark", params={"site": "xuong-vang"}).json()["rows"] == [], (
        "no consent, no figures"
    )


def test_only_the_owner_decides(quarter):
    body = {"site": "xuong-lim", "given": False}
    assert ask(quarter, "tho", "benchmark/consent", "PUT", json=body).status_code == 403
    assert ask(quarter, "admin", "benchmark/consent", "PUT", json=body).status_code == 403
    assert ask(quarter, "khac", "benchmark/consent", "PUT", json=body).status_code == 404
    assert ask(quarter, "chu", "benchmark/consent", "PUT", json=body | {"given": True}).status_code == 422
    for wrong in ("2026-Q5", "Q1"):
        assert ask(quarter, "chu", "benchmark/table", params={"quarter": wrong}).status_code == 422
    assert ask(quarter, "chu", "benchmark/table", params={"quarter": "2025-Q4"}).status_code == 404
    assert ask(quarter, "chu", "benchmark/table", params={"format": "doc"}).status_code == 422


def test_whoever_changes_a_table_is_found_out(quarter):
    with reading(quarter.engine) as connection:
        kept = connection.scalar(TABLES.select().with_only_columns(TABLES.c.content))
    with writing(quarter.engine) as connection:
        connection.execute(TABLES.update().values(content=kept.replace(b'"p50_u":', b'"p50_u":1', 1)))
    for path, more in (("benchmark/table", {}), ("benchmark", {"site": ONE})):
        answer = ask(quarter, "chu", path, params=more)
        assert (answer.status_code, answer.json()["error"]) == (500, "changed")
    with writing(quarter.engine) as connection:
        connection.execute(TABLES.update().values(content=kept))


def test_who_withdraws_takes_its_cells_along_and_who_joins_waits(quarter):
    """Last in this file: it makes the next quarter."""
    assert ask(quarter, "chu", "benchmark/consent", "PUT", json={"site": ONE, "given": False}).status_code == 200
    plant.consent(quarter.engine, "xuong-vang", quarter.clock[0])
    what = [row.what for row in audit.entries(quarter.engine)[0]]
    assert what[0] == "benchmark.withdrawn"
    metal = [site for site, trade in plant.SITES.items() if trade == "metal"]
    for number, site in enumerate(metal):
        plant.work(quarter.center, site, number, date(2026, 4, 1), date(2026, 6, 30), 2)
    quarter.clock[0] = ns("2026-07-15T09:00:00")
    assert make_quarter(quarter.center, quarter.engine, table_recorder(quarter.center)) == ""
    assert published(quarter.engine) == ["2026-Q2", "2026-Q1"]
    assert figures_of_site(quarter.engine, metal[1], "2026-Q2"), "the others have figures"
    assert figures_of_site(quarter.engine, ONE, "2026-Q2") == [], "nothing of who withdrew is computed any more"
    assert ask(quarter, "khac", "benchmark/table").json()["rows"] == []
    assert ask(quarter, "khac", "benchmark/table", params={"quarter": QUARTER}).json()["rows"], (
        "what was published stays"
    )
    assert len(members_of(quarter.engine, 2026)) == 10
    told = ask(quarter, "admin", "benchmark", params={"site": "xuong-vang"}).json()
    assert (told["member"], told["consent"]["given"]) == (False, True)
    plant.work(quarter.center, "xuong-vang", 10, date(2026, 7, 1), date(2026, 9, 30), 2)
    quarter.clock[0] = ns("2026-10-15T09:00:00")
    make_quarter(quarter.center, quarter.engine, table_recorder(quarter.center))
    assert ask(quarter, "admin", "benchmark", params={"site": "xuong-vang"}).json()["rows"], "its own place, privately"


def test_data_that_cannot_be_trusted_bring_nothing(tmp_path):
    sites = {"xuong-a": "metal", "xuong-b": "metal", "xuong-c": "", "xuong-d": "metal"}
    more = {
        "xuong-a": {"product_source": "guess"}, "xuong-b": {"limit_s": 120.0},
        "xuong-d": {"last": date(2026, 2, 10)},
    }  # fmt: skip
    center, _ = plant.make(tmp_path, sites, **more)
    engine = plant.database(tmp_path)
    for site in sites:
        plant.consent(engine, site)
    job = BenchmarkJob(center, engine, lambda *_: None)
    assert job._step()[0] == "ok"
    found = {site: {item.measure for item in figures_of_site(engine, site, QUARTER)} for site in sites}
    assert found["xuong-a"] == {"availability", "quality", "minor_stop_share", "setup_share", "unplanned_share"}
    assert found["xuong-b"] == {"oee", "quality", "setup_share"}
    assert (found["xuong-c"], found["xuong-d"]) == (set(), set()), "no trade; seven weeks are missing"
    assert table_of_quarter(engine, QUARTER).content == b'{"cells":[],"format":1,"quarter":"2026-Q1"}'
    engine.dispose()
    center.store.close()
