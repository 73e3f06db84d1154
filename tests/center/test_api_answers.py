"""Pages, files, answers that were given before, and machines of two sites beside each other."""

import csv
import io
from dataclasses import replace

import httpx
import pytest
from api_plant import WINDOW, T, deliver, fill
from center_plant import envelope, ns, running
from hypothesis import given
from hypothesis import strategies as st

from center.api.app import create_app
from center.api.responses import Rendered
from center.model.viewer import Viewer
from center.queries.paging import cut
from center.runtime.answer_cache import AnswerCache
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture
def center(tmp_path):
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    made = center_state(store, now_ns=lambda: ns("2026-03-02T10:00:20"))
    fill(made)
    fill(made, "song-hong")
    yield made
    store.close()


def client_of(center, **more):
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(center, **more)), base_url="http://test")


@pytest.fixture
async def client(center):
    async with client_of(center) as made:
        yield made


async def test_pages_together_are_the_whole(client):
    whole = (await client.get("/api/v1/trend", params={"site": "van-long", "bucket": "minute", **WINDOW})).json()
    assert whole["next"] is None
    rows, url = [], "/api/v1/trend?site=van-long&bucket=minute&limit=50&from=2026-03-02T08:00:00%2B07:00"
    while url:
        answer = await client.get(url)
        assert len(answer.json()["rows"]) <= 50
        assert answer.headers.get("link") == (
            f'<{answer.json()["next"]}>; rel="next"' if answer.json()["next"] else None
        )
        rows += answer.json()["rows"]
        url = answer.json()["next"]
    assert rows == whole["rows"]
    assert len(rows) > 100


async def test_lists_have_pages_too(client):
    first = await client.get("/api/v1/live?limit=3")
    assert len(first.json()) == 3
    second = await client.get(first.headers["link"].partition(">")[0].removeprefix("<"))
    assert "link" not in second.headers
    names = [(row["site"], row["machine"]) for row in first.json() + second.json()]
    assert names == [(site, machine) for site in ("song-hong", "van-long") for machine in ("press-1", "press-2")]


@given(st.lists(st.integers()), st.integers(1, 9))
def test_no_row_is_lost_between_pages(rows, limit):
    found, offset = [], 0
    while offset is not None:
        page, offset = cut({"rows": rows}, limit, offset)
        found += page["rows"]
    assert found == rows


async def test_what_did_not_change_is_not_sent_again(center, client):
    question = {"site": "van-long", **WINDOW}
    first = await client.get("/api/v1/trend", params=question)
    again = await client.get("/api/v1/trend", params=question, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    deliver(center, "song-hong", "facts", [envelope(2, running(T + 50 * MINUTE_NS, 1))])
    again = await client.get("/api/v1/trend", params=question, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304  # another factory's news
    deliver(center, "van-long", "facts", [envelope(2, running(T + 50 * MINUTE_NS, 1))])
    again = await client.get("/api/v1/trend", params=question, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 200
    assert again.json()["rows"][0]["sums"]["pieces_total"] == first.json()["rows"][0]["sums"]["pieces_total"] + 10


async def test_a_newer_program_answers_anew(client, monkeypatch):
    question = {"site": "van-long", **WINDOW}
    held = {"If-None-Match": (await client.get("/api/v1/trend", params=question)).headers["etag"]}
    monkeypatch.setattr("center.api.responses.PROGRAM", "a newer one")
    assert (await client.get("/api/v1/trend", params=question, headers=held)).status_code == 200


async def test_the_store_is_asked_once_for_the_same_question(center):
    asked = []

    class Counting:
        def __getattr__(self, name):
            asked.append(name)
            return getattr(center.store, name)

    async with client_of(replace(center, store=Counting())) as client:
        answers = [(await client.get("/api/v1/trend", params={"site": "van-long", **WINDOW})).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert asked == ["facts"]


async def test_an_open_window_moves_with_the_clock(center):
    now = ns("2026-03-02T10:00:20")
    async with client_of(replace(center, now_ns=lambda: now)) as client:
        first = await client.get("/api/v1/coverage?site=van-long")
        now += 60 * 1_000_000_000
        second = await client.get("/api/v1/coverage?site=van-long", headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    assert (first.json()["to"], second.json()["to"]) == ("2026-03-02T10:00:00+07:00", "2026-03-02T10:01:00+07:00")


def test_answers_stay_within_their_bound():
    answers = AnswerCache(max_bytes=100)

    def get(key, make):
        return answers.get(key, make, lambda rendered: len(rendered.content))

    for number in range(50):
        made = get(str(number), lambda number=number: Rendered(bytes([number]) * 20, {}))
        assert made.content == bytes([number]) * 20
    assert get("49", lambda: pytest.fail("was kept")).content == bytes([49]) * 20
    assert get("0", lambda: Rendered(b"new", {})).content == b"new"
    assert get("large", lambda: Rendered(b"x" * 99, {})).content
    assert get("large", lambda: Rendered(b"made again", {})).content == b"made again"


@pytest.mark.parametrize(
    ("form", "media", "begins"),
    [
        ("csv", "text/csv; charset=utf-8", b"\xef\xbb\xbf"),
        ("parquet", "application/vnd.apache.parquet", b"PAR1"),
        ("xlsx", XLSX, b"PK"),
    ],
)
@pytest.mark.parametrize("path", ["trend", "losses", "stops", "coverage", "compare"])
async def test_files(client, path, form, media, begins):
    answer = await client.get(f"/api/v1/{path}", params={"site": "van-long", "format": form, **WINDOW})
    assert answer.status_code == 200, answer.text
    assert (answer.headers["content-type"], answer.content[: len(begins)]) == (media, begins)
    assert f"{path}-20260302T0800-to-20260302T1000.{form}" in answer.headers["content-disposition"]


async def test_a_file_has_all_rows_whatever_the_limit(client):
    answer = await client.get(
        "/api/v1/trend", params={"site": "van-long", "bucket": "minute", "limit": 1, "format": "csv", **WINDOW}
    )
    assert len(list(csv.DictReader(io.StringIO(answer.text)))) > 100


async def test_machines_of_two_sites_beside_each_other(client):
    answer = (
        await client.get(
            "/api/v1/compare",
            params={"machine": ["van-long/press-1", "song-hong/press-1", "van-long/press-2"], **WINDOW},
        )
    ).json()
    assert (answer["formula"], answer["order"]) == ("nakajima", "oee")
    rows = [(row["site"], row["machine"], row["kpis"]["oee"]) for row in answer["rows"]]
    assert [(row[:2]) for row in rows] == [("song-hong", "press-1"), ("van-long", "press-1"), ("van-long", "press-2")]
    assert rows[0][2] == pytest.approx(4 / 9)
    assert rows[2][2] is None  # silent: last, and neither 0 nor good
    assert answer["rows"][0]["machine_name"]["vi"] == "Máy press-1"
    everything = (await client.get("/api/v1/compare", params=WINDOW)).json()
    assert len(everything["rows"]) == 4


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ({"machine": "press-1"}, 422),
        ({"machine": "van-long/nobody"}, 404),
        ({"site": "nowhere"}, 404),
        ({"order": "beauty"}, 422),
        ({"bucket": "eon"}, 422),
    ],
)
async def test_what_cannot_be_compared_is_said(client, question, status):
    answer = await client.get("/api/v1/compare", params=question)
    assert (answer.status_code, bool(answer.json()["detail"])) == (status, True)


async def test_more_rows_than_an_answer_holds_are_refused(client, monkeypatch):
    """Each site alone would be well within the bound."""
    monkeypatch.setattr("center.queries.across.compare.MAX_CELLS", 5)
    answer = await client.get("/api/v1/compare", params={"bucket": "hour", **WINDOW})
    assert (answer.status_code, "longer bucket" in answer.json()["detail"]) == (422, True)
    assert (await client.get("/api/v1/compare", params=WINDOW)).status_code == 200


async def test_nobody_compares_with_a_stranger(center):
    mine = Viewer("an", frozenset({"van-long"}), frozenset({"read"}))

    async def identify(_connection):
        return mine

    async with client_of(center, identify=identify) as client:
        everything = (await client.get("/api/v1/compare", params=WINDOW)).json()
        assert {row["site"] for row in everything["rows"]} == {"van-long"}
        stranger = await client.get("/api/v1/compare", params={"machine": "song-hong/press-1"})
        nowhere = await client.get("/api/v1/compare", params={"machine": "nowhere-x/press-1"})
    assert stranger.status_code == nowhere.status_code == 404
    assert stranger.json()["detail"].replace("song-hong", "nowhere-x") == nowhere.json()["detail"]
