"""The page of alerts and its API: who sees what, who may take it on, and that it is told in both languages."""

import re
from datetime import datetime
from html import unescape
from urllib.parse import urlsplit

import console_plant as plant
import httpx
import pytest
from test_alerts import ZONE

from center.accounts.audit import record_taken
from center.accounts.schema import AUDIT, prepare_accounts
from center.api.app import create_app
from center.console.draw import alert_rows
from center.console.worklist.page import add_worklist_page
from center.database.sql import open_database, reading
from center.model.viewer import EVERYTHING, Viewer
from oee.model.calendars import to_ns
from words import duration, say

READ, WRITE, AIM = frozenset({"read"}), frozenset({"read", "write"}), frozenset({"read", "write", "aim"})
_STOPS = ("breakdown", "unplanned_stop", "starved", "blocked")
VIEWERS = {
    "admin": EVERYTHING,
    "engineer": Viewer("lan", frozenset({"van-long"}), AIM, 2),
    "factory": Viewer("hung", frozenset({"hoa-binh"}), WRITE, 3),
    "program": Viewer("grafana", frozenset({"van-long"}), READ),
}


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    made = plant.make(
        tmp_path_factory.mktemp("page") / "facts.duckdb", 1, to_ns(datetime(2026, 3, 5, 19, 23, tzinfo=ZONE))
    )
    yield made
    made.store.close()


@pytest.fixture
def engine(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path}/alerts.sqlite")
    prepare_accounts(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def app(center, engine):
    async def named(connection):
        return VIEWERS[connection.headers["x-viewer"]]

    made = create_app(center, named)
    plant.add_some_alerts(made, center, engine)
    object.__setattr__(made.state.alerts, "record", record_taken)
    add_worklist_page(made, center, made.state.alerts.open, declares=True)
    return made


async def ask(app, path, viewer="admin", method="GET", lang="vi", **more):
    headers = {"x-viewer": viewer, "accept-language": lang} | more.pop("headers", {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://center") as client:
        return await client.request(method, path, headers=headers, **more)


async def test_everybody_sees_the_alerts_of_their_own_sites(app):
    seen = {name: {row["id"] for row in (await ask(app, "/api/v1/alerts", name)).json()["rows"]} for name in VIEWERS}
    assert seen == {"admin": {"1", "2", "3"}, "engineer": {"1", "3"}, "factory": {"2"}, "program": {"1", "3"}}
    past = (await ask(app, "/api/v1/alerts?state=past", "engineer")).json()["rows"]
    assert [(row["id"], row["over"]) for row in past] == [("4", True)]
    assert (await ask(app, "/api/v1/alerts?site=van-long", "factory")).status_code == 404
    (row,) = (await ask(app, "/api/v1/alerts", "factory")).json()["rows"]
    assert row["text"]["vi"] == "Mất liên lạc với gateway main đã 41 phút (2 máy)"
    assert row["text"]["en"] == "Gateway main has been away for 41 min (2 machines)"


@pytest.mark.parametrize("lang", ["vi", "en"])
async def test_the_page_shows_what_waits_and_the_channels(app, lang):
    text = (await ask(app, "/alerts", lang=lang)).text
    for row in (await ask(app, "/api/v1/alerts")).json()["rows"]:
        assert row["text"][lang] in text
    assert text.count(say("alert.take", lang)) - say("alert.note", lang).count(say("alert.take", lang)) == 2
    assert "Failed to send Zalo notification: error=401" in text
    assert say("alert.outlet.never", lang) in text
    mine = (await ask(app, "/alerts", "factory", lang=lang)).text
    assert "lan@example.vn" not in mine
    assert "press-2" not in mine
    assert say("alert.outlets", lang) not in mine
    engineer = (await ask(app, "/alerts", "engineer", lang=lang)).text
    assert "lan@example.vn" in engineer
    assert say("alert.outlet.never", lang) not in engineer, "the channel of another site"


@pytest.mark.parametrize("lang", ["vi", "en"])
async def test_the_rules_in_force_stand_on_the_page_for_whom_and_through_which_channel(app, lang):
    def rules(text):
        section = text.partition('id="rules"')[2].partition("</section>")[0]
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", section)).split()) + " "

    seen = rules((await ask(app, "/alerts", lang=lang)).text)
    mine, theirs = seen.index(plant.SITES["van-long"][lang]), seen.index(plant.SITES["hoa-binh"][lang])
    own, other = (seen[mine:theirs], seen[theirs:]) if mine < theirs else (seen[mine:], seen[theirs:mine])
    stop = {
        "over": duration(60_000, lang),
        "states": ", ".join(say(f"state.{state}", lang).lower() for state in _STOPS),
    }
    assert say("alert.rule.stop", lang, longer=duration(300_000, lang), **stop) in own
    assert say("alert.rule.stop", lang, longer=duration(900_000, lang), **stop) in other
    assert say("alert.rules.quiet", lang, hours="22:00–06:00") in own
    assert say("alert.rules.no_quiet", lang) in other
    assert own.count(say("alert.rules.off", lang)) == 1, "the site's file says that coverage is none"
    later = ", ".join(
        (
            say("alert.told.after", lang, after=duration(1_800_000, lang)),
            say("alert.told.lines", lang, lines="stamping"),
            say("alert.told.in_quiet", lang),
        )
    )
    assert own.count(say("alert.told", lang, who=f"maintenance, lan; lan ({later})")) == 2, "of stops and calls"
    assert own.count(say("alert.told", lang, who="maintenance, lan ")) == 3
    assert other.count(say("alert.told", lang, who="new ")) == 6
    assert say("alert.rule.center", lang, longer=duration(600_000, lang)) in seen
    factory = rules((await ask(app, "/alerts", "factory", lang=lang)).text)
    assert plant.SITES["hoa-binh"][lang] in factory
    assert not any(text in factory for text in ("maintenance", "stamping", "22:00", plant.SITES["van-long"][lang]))
    assert say("alert.kind.center", lang) not in factory, "what only those are told who see the center"


async def test_one_tap_takes_it_on_and_is_in_the_audit_trail(app, engine):
    answer = await ask(app, "/alerts/1", "engineer", "POST", data={"site": "van-long"})
    assert (answer.status_code, urlsplit(answer.headers["location"]).query) == (303, "site=van-long")
    (row,) = [row for row in (await ask(app, "/api/v1/alerts")).json()["rows"] if row["id"] == "1"]
    assert row["by"] == "lan"
    again = await ask(app, "/api/v1/alerts/1/acknowledge", "admin", "POST")
    assert again.json()["by"] == "lan", "whoever was first stays"
    with reading(engine) as connection:
        entries = connection.execute(AUDIT.select()).mappings().all()
    assert [(entry["who"], entry["what"], entry["about"]) for entry in entries] == [
        ("lan", "alert.taken", "van-long/press-2")
    ]


async def test_who_may_not_take_an_alert_on(app):
    for viewer, number, status in (
        ("program", "1", 403),
        ("factory", "1", 404),
        ("engineer", "4", 404),
        ("admin", "x", 404),
    ):
        assert (await ask(app, f"/api/v1/alerts/{number}/acknowledge", viewer, "POST")).status_code == status
    gone = await ask(app, "/alerts/4", "engineer", "POST", data={})
    assert gone.status_code == 404
    assert say("alert.gone", "vi") in gone.text
    foreign = await ask(app, "/alerts/1", "engineer", "POST", data={}, headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert say("alert.take", "vi") not in (await ask(app, "/alerts", "program")).text.replace(
        say("alert.note", "vi"), ""
    )
    assert (await ask(app, "/api/v1/alert-channels", "factory")).status_code == 403
    channels = (await ask(app, "/api/v1/alert-channels", "engineer")).json()
    assert {row["outlet"]: row["works"] for row in channels} == {"maintenance": False, "lan/lan@example.vn": True}


@pytest.mark.parametrize("lang", ["vi", "en"])
async def test_the_worklist_the_band_and_the_hall(app, lang):
    work = (await ask(app, "/work", lang=lang)).text
    rows = (await ask(app, "/api/v1/alerts")).json()["rows"]
    for row in rows:
        assert (row["text"][lang] in work) == (row["acknowledged"] is None)
    band = str(alert_rows.band(rows, lang))
    assert say("alert.banner", lang, n=2) in band
    assert rows[0]["text"][lang] in band
    hall = str(alert_rows.hall_list(rows, lang))
    assert all(row["text"][lang] in hall for row in rows)
    assert alert_rows.band([row for row in rows if row["acknowledged"]], lang) == ""
    assert alert_rows.hall_list([], lang) == ""


@pytest.mark.parametrize("lang", ["vi", "en"])
async def test_a_machine_shows_what_is_about_it_or_its_gateway_and_leads_there(app, lang):
    rows = (await ask(app, "/api/v1/alerts")).json()["rows"]
    by_id = {row["id"]: row for row in rows}

    def drawn(site, machine):
        """As the desk lists the alerts of the machine's site."""
        here = [row for row in rows if row["site"] == site]
        return str(alert_rows.of_machine(here, lang, machine=machine, gateway="main"))

    assert drawn("van-long", "press-1") == ""
    for site, machine, number in (("van-long", "press-2", "1"), ("van-long", "inj-8", "3"), ("hoa-binh", "cut-1", "2")):
        shown = drawn(site, machine)
        assert by_id[number]["text"][lang] in shown
        assert f'href="/alerts?site={site}#alert-{number}"' in shown
        assert shown.count("<a ") == 1
        assert f'id="alert-{number}"' in (await ask(app, f"/alerts?site={site}", lang=lang)).text
    assert "lan" in drawn("van-long", "inj-8"), "who has taken it on"


async def test_a_name_is_text_wherever_it_is_shown(app, center):
    rows = [
        {
            "id": plant.EVIL,
            "site": "s",
            "machine": "m",
            "gateway": "",
            "acknowledged": None,
            "text": {"vi": plant.EVIL, "en": plant.EVIL},
        }
    ]
    of_machine = alert_rows.of_machine(rows, "vi", machine="m", gateway="g")
    for drawn in (alert_rows.band(rows, "vi"), alert_rows.hall_list(rows, "vi"), of_machine):
        assert "<script>" not in str(drawn)
