"""Notices at the center: each is stored once, the receipt says so, and everybody sees those of their own sites only."""

import asyncio

import httpx
import pytest
from center_plant import Gateway, eventually, mosquitto, ns
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_plant import KINDS, database_url
from tenants import SITES, make

from center.api.app import create_app
from center.api.calls import add_calls
from center.contract.store import StoreUnavailable
from center.database.notices import listed, open_notices, store_notices
from center.ingest.mqtt import BrokerSettings
from center.ingest.notice_keeper import NoticeKeeper
from center.ingest.worker import Ingest
from center.model.viewer import Viewer
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS
from wire.bodies import Notice, Status
from wire.envelope import pack_message
from wire.receipts import Receipt

T = ns("2026-03-02T08:00:00")
MINE, GATE = "hoa-binh", "hoa-binh-gate"
CALL = [
    Notice(id="c", at_ns=T, machine="press", kind="call", about="maintenance", by="andon/x"),
    Notice(id="s1", at_ns=T + MINUTE_NS, machine="press", kind="step", about="on_the_way", of="c", by="andon/x"),
    Notice(id="s2", at_ns=T + 2 * MINUTE_NS, machine="press", kind="step", about="arrived", of="c", by="andon/y"),
    Notice(id="s3", at_ns=T + 3 * MINUTE_NS, machine="press", kind="step", about="solved", of="c", by="andon/x"),
]
VIEWERS = {
    "mine": Viewer("Lan", frozenset({MINE}), frozenset({"read"})),
    "other": Viewer("Hoa", frozenset({"an-phat"}), frozenset({"read", "write"})),
}


async def _named(connection):
    return VIEWERS[connection.headers["x-viewer"]]


@pytest.fixture(params=KINDS)
def engine(request, tmp_path):
    made = open_notices(database_url(request.param, tmp_path))
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    center = make(tmp_path_factory.mktemp("notices"), SITES, "nhip")
    yield center
    center.store.close()


def ask(center, engine, path, viewer="mine", **query):
    app = create_app(center, _named)
    add_calls(app, center, engine)

    async def once():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://center") as client:
            return await client.get(f"/api/v1{path}", params=query, headers={"x-viewer": viewer})

    return asyncio.run(once())


def test_each_is_stored_once(engine):
    assert store_notices(engine, MINE, GATE, CALL[:2]) == ["c", "s1"]
    changed = [CALL[0].model_copy(update={"about": "quality"}), *CALL[1:], CALL[3]]
    assert store_notices(engine, MINE, GATE, changed) == ["c", "s1", "s2", "s3"]
    assert store_notices(engine, "an-phat", GATE, [CALL[0]]) == ["c"], "the same id of another gateway is another row"
    found = listed(engine, [MINE], limit=10)
    assert [row.notice for row in found] == CALL[::-1], "and none is changed"
    assert listed(engine, [], limit=10) == []


_ODD = st.text(max_size=300) | st.just("\0") | st.just("\ud800")


@settings(max_examples=60)
@given(rows=st.lists(st.builds(Notice, id=_ODD, at_ns=st.integers(0, 2**62), machine=_ODD, kind=_ODD, about=_ODD, text=_ODD, count=st.integers(1 - 2**53, 2**53 - 1), of=_ODD, by=_ODD), max_size=30))  # fmt: skip
def test_whatever_a_gateway_sends_is_stored_and_confirmed(tmp_path_factory, rows):
    engine = open_notices(f"sqlite:///{tmp_path_factory.mktemp('odd')}/x.sqlite")
    confirmed = store_notices(engine, MINE, GATE, rows)
    assert store_notices(engine, MINE, GATE, rows) == confirmed
    assert len(listed(engine, [MINE], limit=100)) <= len(confirmed) <= 20
    engine.dispose()


def test_what_the_database_refuses_now_is_not_confirmed(engine, monkeypatch):
    keeper = NoticeKeeper(engine)
    status = Status(online=True, at_ns=T, notices=CALL)

    def away(*_):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr("center.ingest.notice_keeper.store_notices", away)
        assert not keeper.record_status(MINE, GATE, status)
        assert keeper.noted(MINE, GATE) == []
    assert keeper.record_status(MINE, GATE, status)
    assert keeper.noted(MINE, GATE) == [row.id for row in CALL]
    assert not keeper.record_status(MINE, GATE, Status(online=True, at_ns=T))
    assert keeper.noted(MINE, GATE) == []


def test_a_calls_life_is_read_from_its_steps(plant, engine):
    other = Notice(id="d", at_ns=T + MINUTE_NS, machine="oven", kind="call", about="crane", by="andon/y")
    for rows in ([CALL[3], CALL[1]], [other], [CALL[0], CALL[2]]):  # whatever the order
        store_notices(engine, MINE, GATE, rows)
    open_one, solved = ask(plant, engine, "/calls").json()["rows"]
    assert solved == {
        "id": "c", "site": MINE, "machine": "press", "kind": "maintenance", "by": "andon/x", "step": "solved",
        "called": "2026-03-02T08:00:00+07:00", "on_the_way": "2026-03-02T08:01:00+07:00",
        "arrived": "2026-03-02T08:02:00+07:00", "solved": "2026-03-02T08:03:00+07:00", "withdrawn": None,
    }  # fmt: skip
    assert (open_one["id"], open_one["kind"], open_one["step"]) == ("d", "crane", "called")
    assert [row["id"] for row in ask(plant, engine, "/calls", only_open=True).json()["rows"]] == ["d"]
    assert [row["id"] for row in ask(plant, engine, "/calls", machine="press").json()["rows"]] == ["c"]
    assert ask(plant, engine, "/notices").json()["rows"] == []


def test_nobody_sees_those_of_others(plant, engine):
    note = Notice(id="n", at_ns=T, machine="press", kind="note", text="Đổi khuôn", by="andon/x")
    store_notices(engine, MINE, GATE, [*CALL, note])
    [seen] = ask(plant, engine, "/notices").json()["rows"]
    assert (seen["text"], seen["at"]) == ("Đổi khuôn", "2026-03-02T08:00:00+07:00")
    for path in ("/notices", "/calls"):
        assert ask(plant, engine, path, viewer="other").json()["rows"] == []
        assert ask(plant, engine, path, viewer="other", site=MINE).status_code == 404


def test_the_receipt_says_what_is_kept(tmp_path):
    """Over a real broker; a center without notices says so by saying nothing."""
    with mosquitto(tmp_path) as port:
        gateway = Gateway(port)
        for number, notices in enumerate((None, open_notices(f"sqlite:///{tmp_path}/kept.sqlite"))):
            store = open_store({"file": str(tmp_path / f"{number}.duckdb")})
            ingest = Ingest(
                center_state(store),
                BrokerSettings("127.0.0.1", port),
                notices=NoticeKeeper(notices) if notices is not None else None,
            )
            ingest.start()
            status = Status(online=True, at_ns=T, ask=f"a{number}", notices=CALL)
            gateway.send(pack_message(status), kind="status", retain=True)
            eventually(lambda asked=status.ask: gateway.receipts and gateway.receipts[-1].echo == asked)
            if notices is not None:
                eventually(lambda: gateway.receipts[-1].noted == [row.id for row in CALL])
                assert len(listed(notices, ["van-long"], limit=10)) == len(CALL)
                notices.dispose()
            else:
                assert gateway.receipts[-1].noted is None
            ingest.stop()
            store.close()
        gateway.close()


def test_older_gateways_and_centers_are_understood():
    assert Status.model_validate({"online": True, "at_ns": 1}).notices == []
    assert Receipt.model_validate({"generation": "g", "at_ns": 1}).noted is None
