"""Targets at the center: from the site file and from people, which one counts, and how far rows are from it."""

from datetime import date

import httpx
import pytest
from accounts_plant import Plant, bearer, cookie
from api_plant import WINDOW, T, deliver, fill
from center_plant import ns, site_body
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_plant import KINDS, database_url

from center.accounts import audit
from center.api.app import create_app
from center.database.sql import open_database
from center.database.targets import prepare_targets, set_target, targets_of, withdraw_target
from center.model.site_revisions import compile_site
from center.model.targets import SaidTarget, planned_parts
from center.model.viewer import EVERYTHING
from center.queries.question import Question
from center.queries.targets import targets
from center.queries.trend import trend
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS
from wire.envelope import seal

HOUR_NS = 60 * MINUTE_NS


def said(kind, value, *, line="", machine="", product="", since=None):
    return SaidTarget("van-long", line, machine, product, since, kind, value, "lan", T)


@pytest.fixture
def center(tmp_path):
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    made = center_state(store, now_ns=lambda: ns("2026-03-02T10:00:20"))
    fill(made)
    yield made
    store.close()


def aim_at(center, *rows):
    center.said_targets.connect(lambda site: [row for row in rows if row.site == site])


def rows_of(center, **more):
    question = Question(EVERYTHING, "van-long", ("press-1",), T, T + 2 * HOUR_NS, **more)
    return trend(center, question)["rows"]


def test_without_a_target_nothing_is_said(center):
    assert all("targets" not in row for row in rows_of(center, bucket="hour"))
    aim_at(center, said("oee", 0.5, machine="press-2"))
    assert all("targets" not in row for row in rows_of(center))


def test_the_gap_is_that_of_the_row(center):
    """8:00 to 10:00 of shift A (8 h, 15 min break): half an hour ran and made 300 pieces, a quarter broke down."""
    aim_at(center, said("oee", 0.5), said("quality", 0.99), said("pieces", 4650), said("takt_s", 5))
    (row,) = rows_of(center)
    gaps = {gap["kind"]: gap for gap in row["targets"]}
    assert list(gaps) == ["oee", "quality", "pieces", "takt_s"]
    busy_min, oee = 45, row["kpis"]["oee"]
    assert gaps["oee"] == {
        "kind": "oee", "target": 0.5, "actual": oee, "source": "center",
        "points": pytest.approx((oee - 0.5) * 100), "minutes": pytest.approx((oee - 0.5) * busy_min),
        "pieces": pytest.approx((oee - 0.5) * busy_min * 60 / 4),
    }  # fmt: skip
    assert gaps["quality"]["points"] == pytest.approx(1)
    assert (gaps["quality"]["minutes"], gaps["quality"]["pieces"]) == (None, None)
    assert gaps["pieces"]["target"] == pytest.approx(4650 * 120 / 465), "two of the shift's 7.75 planned hours"
    assert gaps["pieces"]["pieces"] == pytest.approx(300 - 1200)
    assert gaps["takt_s"]["pieces"] == pytest.approx(300 - 7200 / 5)
    assert gaps["takt_s"]["actual"] == pytest.approx(7200 / 300)


def test_hours_and_machines_add_up_to_the_whole(center):
    aim_at(center, said("pieces", 4650), said("oee", 0.5), said("pieces", 930, machine="press-2"))
    hours = rows_of(center, bucket="hour")
    whole = rows_of(center)
    assert len(hours) == 2
    due = [gap["target"] for row in hours for gap in row["targets"] if gap["kind"] == "pieces"]
    assert sum(due) == pytest.approx(next(gap["target"] for gap in whole[0]["targets"] if gap["kind"] == "pieces"))
    question = Question(EVERYTHING, "van-long", (), T, T + 2 * HOUR_NS, by=())
    (together,) = trend(center, question)["rows"]
    of_both = next(gap for gap in together["targets"] if gap["kind"] == "pieces")
    assert of_both["target"] == pytest.approx((4650 + 930) * 120 / 465)


def test_the_site_files_targets_arrive_and_the_centers_count_before_them(center):
    assert "targets" not in rows_of(center)[0]
    body = site_body(["press-1", "press-2"], valid_from=T, targets=[
        {"machine": "press-1", "values": {"oee": 0.6, "pieces": 4000}},
        {"line": "stamping", "since": "2026-02-01", "values": {"oee": 0.4, "nonsense": 7, "quality": 3}},
    ])  # fmt: skip
    deliver(center, "van-long", "site", [seal("cc" * 8, 1, 1, body).data])
    assert {gap["kind"]: (gap["target"], gap["source"]) for gap in rows_of(center)[0]["targets"]} == {
        "oee": (0.6, "site"), "pieces": (pytest.approx(4000 * 120 / 465), "site"),
    }  # fmt: skip
    aim_at(center, said("oee", 0.55, machine="press-1", since=date(2026, 3, 1)), said("oee", 0.9))
    assert rows_of(center)[0]["targets"][0] | {"points": 0, "minutes": 0, "pieces": 0, "actual": 0} == {
        "kind": "oee", "target": 0.55, "source": "center", "actual": 0, "points": 0, "minutes": 0, "pieces": 0,
    }  # fmt: skip
    answer = targets(center, EVERYTHING, "van-long")
    assert answer["day"] == "2026-03-02"
    counting = {(row["machine"], row["kind"]): (row["value"], row["source"]) for row in answer["counting"]}
    assert counting == {
        ("press-1", "oee"): (0.55, "center"), ("press-1", "pieces"): (4000, "site"), ("press-2", "oee"): (0.4, "site"),
    }  # fmt: skip
    assert [(row["machine"], row["kind"], row["source"]) for row in answer["rows"]] == [
        ("", "oee", "center"), ("", "oee", "site"), ("press-1", "oee", "site"), ("press-1", "oee", "center"),
        ("press-1", "pieces", "site"),
    ]  # fmt: skip


def test_a_body_whose_targets_alone_changed_is_a_new_one(center):
    before = center.ledger_cache.sites.current("van-long").body
    for number, oee in enumerate((0.5, 0.6), 1):
        body = before.model_dump(mode="json") | {"valid_from_ns": T + number, "targets": [{"values": {"oee": oee}}]}
        deliver(center, "van-long", "site", [seal("dd" * 8, number, 1, body).data])
        assert rows_of(center)[0]["targets"][0]["target"] == oee


def test_a_product_has_its_own_target(center):
    aim_at(center, said("oee", 0.5), said("oee", 0.7, product="1"), said("pieces", 465, product="1"))
    (row,) = rows_of(center)
    assert [(gap["kind"], gap["target"]) for gap in row["targets"]] == [("oee", 0.7), ("pieces", pytest.approx(120))]
    (of_product,) = rows_of(center, by=("machine", "product"))
    assert [(gap["kind"], gap["target"]) for gap in of_product["targets"]] == [("oee", 0.7)]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10 * 24 * 60),
    st.integers(1, 6 * 24 * 60),
    st.sampled_from(["minute", "hour", "shift", "day", "week", "all"]),
)
def test_planned_parts_are_the_calendars_time_and_shares_of_whole_shifts(begin, length, bucket):
    if bucket == "minute":
        length = min(length, 600)
    calendar = compile_site(site_body()).calendars[""]
    start_ns = ns("2026-03-01") + begin * MINUTE_NS
    window = (start_ns, start_ns + length * MINUTE_NS)
    parts = planned_parts(bucket, [(calendar, *window)], window)
    from center.model.schedule import expected

    scheduled = expected(bucket, [(calendar, *window)], window).scheduled
    found: dict = {}
    for part in parts:
        found[part.start_ns, part.shift] = found.get((part.start_ns, part.shift), 0) + part.ms
        whole_ms = (465 if part.shift == "A" else 480) * 60_000
        assert part.shift_share == pytest.approx(part.ms / whole_ms)
    assert found == scheduled


@pytest.fixture(params=KINDS)
def engine(request, tmp_path):
    made = open_database(database_url(request.param, tmp_path))
    prepare_targets(made)
    yield made
    made.dispose()


def test_what_is_set_is_kept_replaced_and_withdrawn_each_with_its_record(engine):
    log = []

    def record(_connection, what, target):
        log.append((what, target.kind, target.value))

    first = said("oee", 0.6, machine="press-1", since=date(2026, 3, 1))
    set_target(engine, first, record)
    set_target(engine, said("oee", 0.65, machine="press-1", since=date(2026, 3, 1)), record)
    set_target(engine, said("pieces", 400), record)
    assert [(item.kind, item.value, item.since) for item in targets_of(engine, "van-long")] == [
        ("pieces", 400, None), ("oee", 0.65, date(2026, 3, 1)),
    ]  # fmt: skip
    assert targets_of(engine, "hoa-binh") == ()
    assert withdraw_target(engine, first, record)
    assert not withdraw_target(engine, first, record)
    assert log == [
        ("target.set", "oee", 0.6), ("target.set", "oee", 0.65), ("target.set", "pieces", 400),
        ("target.withdrawn", "oee", 0.65),
    ]  # fmt: skip

    def refuse(*_):
        raise RuntimeError("no audit trail, no change")

    with pytest.raises(RuntimeError):
        set_target(engine, said("pieces", 1), refuse)
    assert [item.value for item in targets_of(engine, "van-long")] == [400]


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path, f"sqlite:///{tmp_path / 'accounts.sqlite'}")
    for name, role in (("lan", "engineer"), ("hung", "factory"), ("hoa", "admin")):
        made.add(name, role, ["hoa-binh"])
    yield made
    made.close()


class Asking:
    """A person with a session of their own."""

    def __init__(self, plant, name):
        self._browser = plant.browser()
        self._session = cookie(plant.engine, plant.log_in(name).key)

    def ask(self, method, url, **more):
        return self._browser.ask(method, url, headers=self._session, **more)

    def get(self, url):
        return self.ask("GET", url)


PLACE = {"site": "hoa-binh", "machine": "press", "kind": "oee"}


def test_engineers_and_administrators_set_targets_and_the_trail_says_so(plant):
    lan, hung = Asking(plant, "lan"), Asking(plant, "hung")
    assert hung.ask("PUT", "/api/v1/targets", json={**PLACE, "value": 0.6}).status_code == 403
    assert hung.ask("DELETE", "/api/v1/targets", params=PLACE).status_code == 403
    assert plant.browser().ask("PUT", "/api/v1/targets", json={**PLACE, "value": 0.6}).status_code == 401
    token = bearer(plant.token("loader", ["hoa-binh"], "write"))
    assert plant.browser().ask("PUT", "/api/v1/targets", json={**PLACE, "value": 0.6}, headers=token).status_code == 403
    answer = lan.ask("PUT", "/api/v1/targets", json={**PLACE, "value": 0.6, "since": "2026-03-01"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"][0] | {"at": ""} == {
        **PLACE, "line": "", "product": "", "since": "2026-03-01", "value": 0.6, "source": "center", "by": "lan", "at": "",
    }  # fmt: skip
    assert hung.get("/api/v1/targets?site=hoa-binh").json()["rows"][0]["value"] == 0.6
    assert lan.ask("DELETE", "/api/v1/targets", params=PLACE).status_code == 404, "of another day"
    assert lan.ask("DELETE", "/api/v1/targets", params={**PLACE, "since": "2026-03-01"}).json() == {"withdrawn": True}
    assert lan.get("/api/v1/targets?site=hoa-binh").json()["rows"] == []
    trail = [
        (row.what, row.who, row.about, row.detail["value"])
        for row in audit.entries(plant.engine)[0]
        if "target" in row.what
    ]
    assert trail == [
        ("target.withdrawn", "lan", "hoa-binh/press", 0.6), ("target.set", "lan", "hoa-binh/press", 0.6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"site": "an-phat"}, 404),
        ({"machine": "press-9"}, 404),
        ({"machine": "", "line": "nowhere"}, 404),
        ({"product": "999"}, 404),
        ({"line": "any"}, 422),
        ({"value": 1.2}, 422),
        ({"value": 0}, 422),
        ({"value": "NaN"}, 422),
        ({"kind": "mtbf_s"}, 422),
        ({"since": "yesterday"}, 422),
        ({"unknown": 1}, 422),
    ],
)
def test_what_cannot_be_a_target_is_refused(plant, more, status):
    lan = Asking(plant, "lan")
    answer = lan.ask("PUT", "/api/v1/targets", json={**PLACE, "value": 0.6, **more})
    assert answer.status_code == status, answer.text
    assert lan.get("/api/v1/targets?site=hoa-binh").json()["rows"] == []


async def test_a_new_target_is_a_new_answer_and_files_have_its_columns(center):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(center)), base_url="http://test") as client:
        ask = {"site": "van-long", "machine": "press-1", "bucket": "all", **WINDOW}
        before = await client.get("/api/v1/trend", params=ask)
        aim_at(center, said("oee", 0.5), said("pieces", 4650))
        after = await client.get("/api/v1/trend", params=ask, headers={"If-None-Match": before.headers["etag"]})
        assert after.status_code == 200
        assert [gap["kind"] for gap in after.json()["rows"][0]["targets"]] == ["oee", "pieces"]
        file = (await client.get("/api/v1/trend", params={**ask, "format": "csv"})).text.splitlines()
        cells = dict(zip(file[0].lstrip("\ufeff").split(","), file[1].split(","), strict=True))
        assert float(cells["target_oee"]) == 0.5
        assert float(cells["gap_pieces"]) == pytest.approx(-900)
