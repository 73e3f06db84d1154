"""Declarations at the center: who may say what, how it travels, and what is done with the gateway's echo."""

import asyncio
import json

import httpx
import pytest
from center_plant import site_body
from postgres_plant import KINDS, database_url
from tenants import NOW_NS, SITES, make

from center.api.app import create_app
from center.api.declarations import add_declarations
from center.contract.ledger import Changes
from center.database import declarations
from center.database import declarations as declarations_table
from center.database.declarations import open_declarations
from center.ingest.declaration_sender import DeclarationSender
from center.model.sites import Owner, SiteRow
from center.model.viewer import Viewer
from wire.bodies import Status
from wire.declare import MOST, decode_declare

MINE = "hoa-binh"
VIEWERS = {
    "writer": Viewer("Lan", frozenset({MINE}), frozenset({"read", "write"})),
    "reader": Viewer("Minh", frozenset({MINE}), frozenset({"read"})),
    "other": Viewer("Hoa", frozenset({"an-phat"}), frozenset({"read", "write"})),
}
SAID = {
    "site": MINE,
    "machine": "press",
    "field": "reason",
    "value": f"{MINE}-jam",
    "from": "2026-03-02T08:40:00+07:00",
    "to": "2026-03-02T08:41:00+07:00",
}


async def _named(connection):
    return VIEWERS[connection.headers["x-viewer"]]


class Plant:
    def __init__(self, folder, url):
        self.center = make(folder, SITES, "nhip")
        self.engine = open_declarations(url)
        self.sent = []
        self.declaring = DeclarationSender(self.engine, lambda *message: self.sent.append(message), lambda: NOW_NS)
        self.app = create_app(self.center, _named)
        add_declarations(self.app, self.center, self.declaring)

    def ask(self, method, viewer="writer", path="/api/v1/declarations", *, foreign=False, **more):
        """foreign: as a page of another origin makes a browser ask."""
        headers = {"x-viewer": viewer} | ({"sec-fetch-site": "cross-site"} if foreign else {})

        async def once():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://center") as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(once())

    def say(self, viewer="writer", **changed):
        return self.ask("POST", viewer, json=SAID | changed)

    def rows(self, viewer="writer", **query):
        return self.ask("GET", viewer, params=query).json()["rows"]

    def message(self):
        topic, payload = self.sent[-1]
        assert topic == f"nhip/v1/{MINE}/{MINE}-gate/declare"
        return decode_declare(payload).declarations

    def echo(self, **outcomes):
        self.declaring.record_status(MINE, f"{MINE}-gate", Status(online=True, at_ns=1, declared=outcomes))


@pytest.fixture(params=KINDS)
def plant(request, tmp_path):
    made = Plant(tmp_path, database_url(request.param, tmp_path))
    yield made
    made.center.store.close()
    made.engine.dispose()


def test_a_declaration_travels_until_it_is_echoed(plant):
    first, second = (plant.say(value=value).json() for value in (f"{MINE}-jam", ""))
    assert [row.no for row in plant.message()] == [1, 2]
    sent = plant.message()[0].declaration()
    assert (sent.machine, sent.field, sent.value, sent.who) == ("press", "reason", f"{MINE}-jam", "Lan")
    assert sent.end_ns - sent.start_ns == 60_000_000_000
    assert {row["state"] for row in plant.rows()} == {"sent"}
    plant.echo(**{first["id"]: ""})
    assert [row.id for row in plant.message()] == [second["id"]]
    plant.echo(**{second["id"]: "too_old 2026-03-01T00:00:00+00:00"})
    assert plant.message() == []
    count = len(plant.sent)
    plant.echo(**{second["id"]: ""})
    assert len(plant.sent) == count, "an old echo is no news"
    assert {row["id"]: (row["state"], row["why"]) for row in plant.rows(machine="press")} == {
        first["id"]: ("done", ""),
        second["id"]: ("refused", "too_old 2026-03-01T00:00:00+00:00"),
    }


def test_what_a_gateway_answers_is_kept_as_far_as_it_can_be(plant):
    """Neither a character that no database takes nor more echoes than a message has stops the others."""
    made = plant.say().json()
    plant.echo(**{made["id"]: "too_old \0"} | {str(number): "" for number in range(5000)})
    assert [(row["state"], row["why"]) for row in plant.rows()] == [("refused", "too_old ")]


def test_a_gateway_answers_only_for_itself(plant):
    made = plant.say().json()
    plant.declaring.record_status("an-phat", "an-phat-gate", Status(online=True, at_ns=1, declared={made["id"]: ""}))
    assert plant.rows()[0]["state"] == "sent"


def test_everybody_hears_again_after_a_connection_and_no_message_grows_without_end(plant, monkeypatch):
    monkeypatch.setattr(declarations_table, "MOST_OPEN", 2 * MOST)
    for _ in range(MOST + 5):
        item = plant.say().json()
    plant.sent.clear()
    plant.declaring.send_to_all()
    assert [row.no for row in plant.message()] == list(range(1, MOST + 1))
    assert item["no"] == MOST + 5
    plant.echo(**{row.id: "" for row in plant.message()})
    assert [row.no for row in plant.message()] == list(range(MOST + 1, MOST + 6))


@pytest.mark.parametrize(
    ("changed", "made"),
    [
        ({"value": "321"}, 320),  # 32 minutes of ten pieces each
        ({"value": "320"}, None),
        ({"value": ""}, None),
        ({"value": "1", "product": "another"}, 0),
        ({"value": "320", "product": f"{MINE}-part"}, None),
        (
            {"value": "11", "to": "2026-03-02T08:00:30+07:00"},
            10,
        ),  # the whole minute, so that nothing is doubted that may be
        ({"value": "10", "to": "2026-03-02T08:00:30+07:00"}, None),
        ({"value": "9000", "field": "planned_stop"}, None),
    ],
)
def test_more_rejects_than_pieces_are_told_at_once(plant, changed, made):
    entry = {"field": "rejects", "from": "2026-03-02T08:00:00+07:00", "to": "2026-03-02T09:00:00+07:00"}
    answer = plant.say(**entry | changed)
    assert answer.status_code == 202
    warnings = answer.json()["warnings"]
    assert [row["key"] for row in warnings] == ([] if made is None else ["rejects_above_pieces"])
    assert made is None or f"{made} pieces are known" in warnings[0]["detail"]
    assert len(plant.rows()) == 1, "a program's entry is taken, not lost"


def test_only_who_may_write_about_a_site_does(plant):
    assert plant.say("reader").status_code == 403
    assert plant.say("other").status_code == 404
    assert plant.say().status_code == 202
    assert len(plant.rows("reader")) == 1
    assert plant.rows("other") == []
    assert plant.ask("GET", "other", params={"site": MINE}).status_code == 404


@pytest.mark.parametrize(
    ("changed", "status", "part"),
    [
        ({"machine": "nobody"}, 404, "no machine"),
        ({"value": "unheard-of"}, 422, f"{MINE}-jam"),
        ({"field": "state", "value": "minor_stop"}, 422, "breakdown"),
        ({"field": "rejects", "value": "many"}, 422, "no number"),
        ({"field": "rejects", "value": "9" * 20}, 422, "no number"),
        ({"field": "rejects", "value": "3", "to": None}, 422, "needs an end"),
        ({"to": SAID["from"]}, 422, "later than"),
        ({"from": "yesterday"}, 422, "from"),
        ({"field": "colour"}, 422, "field"),
        ({"field": "planned_stop", "value": "tea\0"}, 422, "nobody can read"),
        ({"more": 1}, 422, "more"),
    ],
)
def test_what_a_gateway_could_not_follow_is_refused_at_once(plant, changed, status, part):
    answer = plant.say(**changed)
    assert answer.status_code == status
    assert part in answer.json()["detail"]
    assert plant.sent == []


def test_a_site_of_several_gateways_has_the_reasons_of_each(plant):
    """A machine's own gateway decides what may be said of it, however new another's site file is."""
    more = site_body(["saw"], NOW_NS, reasons={"blunt": {"name": {}, "state": "breakdown"}}, products={})
    sites, owners = [SiteRow(MINE, "annex", "new", NOW_NS, json.dumps(more))], [Owner(MINE, "saw", "annex")]
    plant.center.ledger_cache.adopt(Changes(sites=sites, owners=owners))
    assert plant.say().status_code == 202
    assert plant.say(machine="saw", value="blunt").status_code == 202
    assert plant.say(machine="saw").status_code == 422
    named = plant.ask("GET", path=f"/api/v1/sites/{MINE}").json()
    assert {f"{MINE}-jam", "blunt"} <= set(named["reasons"])
    assert named["products"]


def test_what_was_said_outlasts_a_restart(plant, tmp_path):
    made = plant.say().json()
    again = DeclarationSender(
        open_declarations(plant.engine.url.render_as_string(False)), plant.declaring._publish, lambda: 5
    )
    plant.sent.clear()
    again.send_to_all()
    assert [row.id for row in plant.message()] == [made["id"]]
    assert declarations.waiting_gateways(again.engine) == [(MINE, f"{MINE}-gate")]
    again.engine.dispose()
