"""Accounts, tokens and the trail of changes on SQLite and PostgreSQL, and the gate in front of the API."""

import asyncio
import re
import sqlite3
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from accounts_plant import PASSWORD, ROOT, Browser, Plant, bearer, cookie
from argon2 import extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape
from postgres_plant import KINDS, database_url
from servers import PATIENCE_S
from sqlalchemy import text
from tenants import SITES, make

from center.accounts import audit, browsers, keys, passwords, people, sessions, tokens
from center.accounts.attempts import FREE_OF_A_SOURCE, FREE_OF_AN_ACCOUNT, LONGEST_S
from center.accounts.guesses import Asker, Wait, begin, succeeded
from center.accounts.hashing import Busy, Hashing
from center.accounts.identify import LoggedIn
from center.accounts.schema import open_accounts
from center.accounts.tokens import pass_for
from center.api.app import create_app
from center.console.admin.pages import add_admin_pages
from center.console.declare.pages import add_declare_pages
from center.console.document import add_error_pages
from center.console.session.account import add_account_pages
from center.console.session.login import add_login_pages
from center.database.sql import reading, writing
from wire.bodies import Status
from words import say

DAY_NS = 86_400_000_000_000


@pytest.fixture(params=KINDS)
def plant(request, tmp_path):
    made = Plant(tmp_path, database_url(request.param, tmp_path))
    made.add("hoa", "admin")
    yield made
    made.close()


def sites_of(answer):
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


def signed(plant, name, sites=(), role="factory"):
    plant.add(name, role, sites)
    secret = sessions.open_session(
        plant.engine, plant.now_ns, ROOT, people.check_password(plant.engine, name, PASSWORD)
    )
    return people.viewer_of(sessions.user_of_session(plant.engine, plant.now_ns, secret)), secret


def test_roles_say_what_one_sees(plant):
    factory, _ = signed(plant, "hung", ["hoa-binh"])
    engineer, _ = signed(plant, "lan", ["hoa-binh", "an-phat"], "engineer")
    nobody, _ = signed(plant, "moi", [], "engineer")
    admin = people.viewer_of(people.check_password(plant.engine, "hoa", PASSWORD))
    assert [viewer.sees("hoa-binh") for viewer in (factory, engineer, nobody, admin)] == [True, True, False, True]
    assert [viewer.sees("an-phat") for viewer in (factory, engineer, nobody, admin)] == [False, True, False, True]
    assert [viewer.may("write") for viewer in (factory, engineer, admin)] == [True, True, True]
    assert [viewer.may("admin") or viewer.may("watch") for viewer in (factory, engineer)] == [False, False]


def test_of_an_account_s_sessions_the_oldest_ends_beyond_a_hundred(plant):
    _, others = signed(plant, "lan", ["hoa-binh"])
    _, first = signed(plant, "hung", ["hoa-binh"])
    user = people.user_named(plant.engine, "hung")
    opened = [
        sessions.open_session(plant.engine, plant.now_ns + number, ROOT, user)
        for number in range(1, sessions.MOST_OF_AN_ACCOUNT + 2)
    ]
    assert len(sessions.sessions_of(plant.engine, plant.now_ns, user.id, "")) == sessions.MOST_OF_AN_ACCOUNT
    alive = [sessions.user_of_session(plant.engine, plant.now_ns, key) is not None for key in (first, *opened, others)]
    assert alive == [False, False, *[True] * sessions.MOST_OF_AN_ACCOUNT, True]


def test_what_is_kept_of_secrets_opens_nothing(plant):
    _, key = signed(plant, "hung", ["hoa-binh"])
    secret = plant.token("grafana", ["hoa-binh"])
    with reading(plant.engine) as connection:
        kept = [str(row) for name in ("users", "sessions", "tokens", "audit") for row in connection.execute(text(f"SELECT * FROM {name}"))]  # fmt: skip
    whole = " ".join(kept)
    assert "$argon2id$" in whole
    for word in (PASSWORD, key, secret, secret.removeprefix(tokens.PREFIX)):
        assert word not in whole


def test_what_cannot_be_a_name_is_nobody_s(plant):
    for name in ("hoa\0", "\0", "hoa' OR 1=1 --", "x" * 80, "\ud800"):
        assert people.check_password(plant.engine, name, PASSWORD) is None


def test_a_password_is_right_or_not(plant):
    check = people.check_password
    assert check(plant.engine, " HOA ", PASSWORD).name == "hoa"
    for name, password in (("hoa", PASSWORD + " "), ("hoa", ""), ("nobody", PASSWORD), ("", "")):
        assert check(plant.engine, name, password) is None
    plant.add("lan")
    people.disable_user(plant.engine, plant.now_ns, ROOT, "lan")
    assert check(plant.engine, "lan", PASSWORD) is None
    people.disable_user(plant.engine, plant.now_ns, ROOT, "lan", disabled=False)
    people.set_password(plant.engine, plant.now_ns, ROOT, "lan", "another password")
    assert check(plant.engine, "lan", PASSWORD) is None
    assert check(plant.engine, "lan", "another password")


@pytest.mark.parametrize(("password", "code"), [("short", "short"), ("x" * 201, "long"), ("Hoa-Binh-01", "name")])
def test_a_password_that_is_no_good(password, code):
    with pytest.raises(passwords.BadPassword) as caught:
        passwords.check_new(password, "hoa-binh-01")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("exists", {"name": "hoa", "role": "admin"}),
        ("name", {"name": "Hòa", "role": "admin"}),
        ("role", {"name": "lan", "role": "king"}),
        ("site", {"name": "lan", "role": "factory", "sites": ["*"]}),
        ("site", {"name": "lan", "role": "factory", "sites": ["a b"]}),
    ],
)
def test_an_account_that_cannot_be(plant, code, what):
    with pytest.raises(people.AccountRefused) as caught:
        plant.add(**what)
    assert caught.value.code == code
    assert [user.name for user in people.users(plant.engine)] == ["hoa"]
    assert audit.entries(plant.engine)[1] == 1


def test_the_last_administrator_stays(plant):
    for change in (
        lambda: people.disable_user(plant.engine, 1, ROOT, "hoa"),
        lambda: people.change_user(plant.engine, 1, ROOT, "hoa", role="factory", sites=[]),
    ):
        with pytest.raises(people.AccountRefused) as caught:
            change()
        assert caught.value.code == "last"
    plant.add("lan", "admin")
    people.disable_user(plant.engine, 1, ROOT, "hoa")
    assert people.has_administrator(plant.engine)


def test_every_change_leaves_a_trace(plant):
    plant.add("lan", "engineer", ["an-phat"])
    people.change_user(plant.engine, 5, ROOT, "lan", role="factory", sites=["hoa-binh"])
    people.set_password(plant.engine, 6, audit.Actor("hoa", "192.0.2.7"), "lan", "another password")
    people.disable_user(plant.engine, 7, ROOT, "lan")
    plant.token("grafana", ["an-phat"])
    tokens.revoke_token(plant.engine, 8, ROOT, "grafana")
    rows, count = audit.entries(plant.engine)
    assert [row.what for row in rows] == [
        "token.revoked", "token.added", "user.disabled", "user.password", "user.changed", "user.added", "user.added",
    ]  # fmt: skip
    assert (rows[3].who, rows[3].address, rows[3].at_ns, rows[3].about) == ("hoa", "192.0.2.7", 6, "lan")
    assert rows[4].detail == {"role": "factory", "sites": "hoa-binh"}
    assert count == 7
    older, _ = audit.entries(plant.engine, rows[4].id, 1)
    assert [row.what for row in older] == ["user.added"]


def test_a_token_of_any_name_can_be_ended_on_its_page(plant):
    add_admin_pages(plant.app, plant.center, plant.accounts)
    _, key = signed(plant, "chi", role="admin")
    plant.token("line 1/scada")
    page = plant.browser().get("/admin/tokens", headers=cookie(plant.engine, key)).text
    (address,) = re.findall(r'action="([^"]+/revoke)"', page)
    assert plant.browser().post(address, headers=cookie(plant.engine, key)).status_code == 200
    assert tokens.tokens(plant.engine) == []


# what people see of errors


@pytest.fixture
def pages(tmp_path):
    """With the console's plain pages, as `center.console.mount` adds them; and a session of an engineer of one site."""
    made = Plant(tmp_path, f"sqlite:///{tmp_path}/a.sqlite")
    add_login_pages(made.app, made.center, made.accounts)
    add_account_pages(made.app, made.center, made.accounts)
    add_admin_pages(made.app, made.center, made.accounts)
    add_declare_pages(made.app, made.center, made.app.state.declaring)
    add_error_pages(made.app, made.center)
    _, made.key = signed(made, "hung", ["hoa-binh"], "engineer")
    yield made
    made.close()


def is_page_of(answer, status, key, lang="vi", **values):
    title, text = (escape(say(name, lang, **values)) for name in (key, f"{key}.help"))
    return (
        answer.status_code == status
        and answer.headers["content-type"].startswith("text/html")
        and title in answer.text
        and text in answer.text
        and f'lang="{lang}"' in answer.text
    )


DECLARED = {"field": "reason", "value": "hoa-binh-jam", "from": "2026-03-02T08:40:00", "to": "2026-03-02T08:41:00"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("path", "status", "key", "values"),
    [
        ("/declare/nowhere/press", 404, "console.unknown_site", {"site": "nowhere"}),
        ("/declare/an-phat/press", 404, "console.unknown_site", {"site": "an-phat"}),  # of another customer
        ("/declare/hoa-binh/nothing", 404, "console.unknown_machine", {"site": "hoa-binh", "machine": "nothing"}),
    ],
)
def test_a_page_about_nothing_is_a_page(pages, method, path, status, key, values):
    answer = pages.browser().ask(method, path, data=DECLARED if method == "POST" else None, headers=cookie(pages.engine, pages.key))  # fmt: skip
    assert is_page_of(answer, status, key, **values), answer.text


def test_what_may_not_be_or_means_nothing_is_a_page(pages):
    browser, held = pages.browser(), cookie(pages.engine, pages.key)
    assert is_page_of(browser.get("/admin", headers=held), 403, "admin.only")
    _, key = signed(pages, "chi", role="admin")
    assert is_page_of(
        browser.get("/admin/audit?before=x", headers=cookie(pages.engine, key)), 422, "console.not_understood"
    )
    english = {"Cookie": cookie(pages.engine, key)["Cookie"] + "; nhip_lang=en"}
    assert is_page_of(browser.get("/admin/audit?before=x", headers=english), 422, "console.not_understood", "en")
    assert browser.get("/api/v1/trend?site=nowhere", headers=held).json()["error"] == "unknown"


def test_what_is_declared_is_declared_once_and_can_be_taken_back(pages):
    """The answer to the form is a redirect; the form brought its own key, so sending it twice declares once."""
    browser, held = pages.browser(), cookie(pages.engine, pages.key)
    (key,) = set(
        re.findall(r'name="key" value="([0-9a-f]{32})"', browser.get("/declare/hoa-binh/press", headers=held).text)
    )
    for _ in range(2):
        answer = browser.post("/declare/hoa-binh/press", data=DECLARED | {"key": key}, headers=held)
        assert answer.status_code == 303
    said = browser.get(answer.headers["location"], headers=held).text
    assert 'data-refresh-s="3"' in said
    assert say("console.declared.sent", "vi") in said
    rows = browser.get("/api/v1/declarations?site=hoa-binh", headers=held).json()["rows"]
    assert [(row["id"], row["value"]) for row in rows] == [(key, "hoa-binh-jam")]
    declaring = pages.app.state.declaring
    declaring.record_status("hoa-binh", rows[0]["gateway"], Status(online=True, at_ns=1, declared={key: ""}))
    said = browser.get(answer.headers["location"], headers=held).text
    assert "refresh" not in said
    assert say("console.declared.done", "vi") in said
    answer = browser.post("/declare/hoa-binh/press", data={"withdraw": key}, headers=held)
    assert answer.status_code == 303
    newest = browser.get("/api/v1/declarations?site=hoa-binh", headers=held).json()["rows"][0]
    assert (newest["value"], newest["replaces"], newest["start"]) == ("", key, rows[0]["start"])
    said = browser.get(answer.headers["location"], headers=held).text
    assert say("console.declared.replaced", "vi") in said
    assert 'name="withdraw"' not in said
    foreign = browser.post("/declare/an-phat/press", data={"withdraw": key}, headers=held)
    assert foreign.status_code == 404


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"value": ""}, "no_value"),
        ({"field": "rejects", "value": "two"}, "no_count"),
        ({"field": "rejects", "value": "9" * 20}, "no_count"),
        ({"field": "rejects", "value": "9" * 5000}, "no_count"),
        ({"from": "0001-01-01T00:00"}, "far_time"),
        ({"to": "9999-12-31T23:59"}, "far_time"),
        ({"from": ""}, "no_time"),
        ({"from": "yesterday"}, "no_time"),
        ({"to": ""}, "no_end"),
        ({"to": "2026-03-02T08:40:00"}, "ends_first"),
        ({"to": "2026-03-01T09:00"}, "ends_first"),
    ],
)
def test_what_is_wrong_with_a_declaration_is_said_in_the_reader_s_language(pages, lang, changes, key):
    held = {"Cookie": cookie(pages.engine, pages.key)["Cookie"] + f"; nhip_lang={lang}"}
    answer = pages.browser().post("/declare/hoa-binh/press", data=DECLARED | changes, headers=held)
    assert answer.status_code == 422
    assert escape(say(f"console.declare.{key}", lang)) in answer.text
    assert pages.browser().get("/api/v1/declarations", headers=held).json()["rows"] == []


def test_times_are_shown_in_minutes_and_stay_exact_where_they_are_not_changed(pages):
    held = cookie(pages.engine, pages.key)
    sent = DECLARED | {"exact_from": "2026-03-02T08:40:11.250", "from": "2026-03-02T08:40"}
    sent |= {"exact_to": "2026-03-02T08:52:30", "to": "2026-03-02T08:55"}
    assert pages.browser().post("/declare/hoa-binh/press", data=sent, headers=held).status_code == 303
    (row,) = pages.browser().get("/api/v1/declarations", headers=held).json()["rows"]
    assert (row["start"], row["end"]) == ("2026-03-02T08:40:11.250+07:00", "2026-03-02T08:55:00+07:00")


@pytest.mark.parametrize("table", ["declarations", "sessions"])
def test_while_the_database_is_away_a_page_says_so(pages, table):
    """It fails in the route, or already at the gate."""
    held = cookie(pages.engine, pages.key)
    with sqlite3.connect(pages.engine.url.database) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO gone")
    answer = pages.browser().post("/declare/hoa-binh/press", data=DECLARED, headers=held)
    assert is_page_of(answer, 503, "console.away"), answer.text
    for path in ("/api/v1/declarations", "/metrics") if table == "sessions" else ("/api/v1/declarations",):
        assert pages.browser().get(path, headers=held).json()["error"] == "store_away"


def test_without_accounts_a_page_from_elsewhere_says_where_it_opens(tmp_path):
    center = make(tmp_path, SITES, "nhip")
    app = create_app(center)
    add_error_pages(app, center)
    assert is_page_of(Browser(app, "192.0.2.7").get("/"), 403, "console.only_here")
    assert Browser(app, "192.0.2.7").get("/api/v1/sites").json()["error"] == "forbidden"
    center.store.close()


# the gate


def test_a_stranger_is_told_to_log_in_and_learns_nothing(plant):
    browser = plant.browser()
    for path in ("/api/v1/sites", "/api/v1/sites/an-phat", "/api/v1/trend?site=nowhere", "/metrics", "/api/v1/docs", "/api/v1/openapi.json", "/x"):  # fmt: skip
        answer = browser.get(path, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = browser.get("/machine/an-phat/press?span=7d")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/login?next=%2Fmachine%2Fan-phat%2Fpress%3Fspan%3D7d",
    )


def test_a_stranger_s_form_takes_no_memory(plant):
    """Whoever has not logged in yet says how much is coming, and it is little."""
    form, browser = {"Content-Type": "application/x-www-form-urlencoded"}, plant.browser()

    async def without_end():
        yield b"name=x"

    for content in (b"name=" + b"x" * 20_000, without_end()):
        assert browser.post("/login", content=content, headers=form).status_code == 413
    assert browser.log_in("hoa").status_code != 413


def test_a_session_sees_its_sites_until_it_ends(plant):
    _, key = signed(plant, "hung", ["hoa-binh"])
    browser, held = plant.browser(), cookie(plant.engine, key)
    assert sites_of(browser.get("/api/v1/sites", headers=held)) == ["hoa-binh"]
    people.change_user(plant.engine, plant.now_ns, ROOT, "hung", role="engineer", sites=["an-phat"])
    assert sites_of(browser.get("/api/v1/sites", headers=held)) == ["an-phat"]
    assert browser.get("/api/v1/sites/hoa-binh", headers=held).status_code == 404
    assert browser.get("/metrics", headers=held).status_code == 403
    before = plant.now_ns
    plant.now_ns += sessions.LASTS_S * 1_000_000_000
    assert browser.get("/api/v1/sites", headers=held).status_code == 401
    plant.now_ns = before
    people.disable_user(plant.engine, plant.now_ns, ROOT, "hung")
    assert browser.get("/api/v1/sites", headers=held).status_code == 401


@pytest.mark.parametrize("word", ["nhip_session=", "nhip_session=x.y.z", "nhip_session=eyJrZXkiOiAieCJ9"])
def test_a_cookie_that_nobody_signed(plant, word):
    answer = plant.browser().get("/api/v1/sites", headers={"Cookie": word, "Accept": "*/*"})
    assert answer.status_code == 401


def test_a_token_sees_its_sites_until_it_is_over(plant):
    browser = plant.browser()
    secret = plant.token("grafana", ["song-hong"], expires_ns=plant.now_ns + DAY_NS)
    assert sites_of(browser.get("/api/v1/sites", headers=bearer(secret))) == ["song-hong"]
    assert browser.get("/api/v1/trend?site=an-phat", headers=bearer(secret)).status_code == 404
    assert browser.get("/api/v1/users", headers=bearer(secret)).status_code == 403
    (kept,) = tokens.tokens(plant.engine)
    assert kept.used_ns == plant.now_ns
    for wrong in ("", secret[:-1], secret.removeprefix("nhip_"), "command:x.y"):
        assert browser.get("/api/v1/sites", headers=bearer(wrong)).status_code == 401
    plant.now_ns += DAY_NS
    assert browser.get("/api/v1/sites", headers=bearer(secret)).status_code == 401
    everything = plant.token("all", None)
    assert len(sites_of(browser.get("/api/v1/sites", headers=bearer(everything)))) == 3
    tokens.revoke_token(plant.engine, plant.now_ns, ROOT, "all")
    assert browser.get("/api/v1/sites", headers=bearer(everything)).status_code == 401


def test_health_and_metrics_are_for_who_watches(plant):
    here, far, proxied = (
        plant.browser("127.0.0.1"),
        plant.browser(),
        {"X-Forwarded-For": "198.51.100.1", "Accept": "*/*"},
    )
    secret = plant.token("prometheus", [], "watch")
    for path in ("/metrics", "/api/v1/health"):
        assert here.get(path).status_code == 200
        assert far.get(path, headers={"Accept": "*/*"}).status_code == 401
        assert here.get(path, headers=proxied).status_code == 401
        assert far.get(path, headers=bearer(secret)).status_code == 200
        assert far.get(path, headers=bearer(plant.token(f"read {path}", None))).status_code == 403
    assert far.get("/api/v1/sites", headers=bearer(secret)).status_code == 403
    assert here.get("/api/v1/sites", headers={"Accept": "*/*"}).status_code == 401


def test_a_command_at_the_machine_may_do_everything(plant):
    browser, held = plant.browser("127.0.0.1"), bearer(pass_for(plant.engine))
    assert len(sites_of(browser.get("/api/v1/sites", headers=held))) == 3
    answer = browser.get("/api/v1/audit?limit=1", headers=held).json()
    assert (answer["count"], answer["rows"][0]["what"]) == (1, "user.added")
    assert [row["name"] for row in browser.get("/api/v1/users", headers=held).json()] == ["hoa"]
    assert browser.get("/api/v1/tokens", headers=held).json() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://center"}, 415),
        ({}, 415),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://center.example"}, 415),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://center"}, 403),
    ],
)
def test_a_page_of_another_origin_changes_nothing(plant, headers, status):
    secret = pass_for(plant.engine)
    url = "/api/v1/quarantine/99/replay"
    answer = plant.browser("127.0.0.1").post(url, content=b"x", headers=bearer(secret) | headers)
    assert answer.status_code == status


# how often a password may be tried

TRY = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.floats(0, 100))


@settings(max_examples=25)
@given(st.lists(TRY, max_size=60))
def test_nobody_waits_for_long_and_nobody_guesses_fast(tries):
    folder = tempfile.TemporaryDirectory()
    engine, now_s, made = open_accounts(f"sqlite:///{folder.name}/a.sqlite"), 1e6, {}
    for account, address, pause_s in tries:
        now_s += pause_s
        wait = begin(engine, int(now_s * 1e9), Asker(address), account)
        assert wait is None or 0 < wait.s <= LONGEST_S
        if wait is None:
            made.setdefault((account, address), []).append(now_s)
    for moments in made.values():
        for first, later in zip(moments, moments[FREE_OF_AN_ACCOUNT:]):
            assert later - first >= 30
    engine.dispose()
    folder.cleanup()


def try_often(plant, asker, account="hoa"):
    """How many attempts are allowed at one moment."""
    count = 0
    while begin(plant.engine, plant.now_ns, asker, account) is None:
        count += 1
    return count


def test_failures_of_a_source_delay_nobody_else(plant):
    assert try_often(plant, Asker("192.0.2.1")) == FREE_OF_AN_ACCOUNT
    for other in (Asker("192.0.2.2"), Asker("192.0.2.1", "a browser that is known")):
        assert try_often(plant, other) == FREE_OF_AN_ACCOUNT
    assert plant.log_in("hoa", address="192.0.2.1").s == 30
    assert isinstance(plant.log_in("hoa", address="192.0.2.3"), LoggedIn)
    plant.now_ns += 31_000_000_000
    assert isinstance(plant.log_in("hoa", address="192.0.2.1"), LoggedIn)  # which clears its count
    assert try_often(plant, Asker("192.0.2.1")) == FREE_OF_AN_ACCOUNT


@pytest.mark.parametrize("addresses", [["192.0.2.1"], ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"]])
def test_one_source_may_try_few_accounts(plant, addresses):
    """A /64 is one source."""
    tried = [begin(plant.engine, plant.now_ns, Asker(addresses[n % len(addresses)]), f"guess{n}") for n in range(25)]
    assert tried.count(None) == FREE_OF_A_SOURCE
    assert isinstance(plant.log_in("hoa", address=addresses[-1]), Wait)
    assert begin(plant.engine, plant.now_ns, Asker("2001:db8:0:1::1"), "guess1") is None
    plant.now_ns += 3_601_000_000_000
    assert isinstance(plant.log_in("hoa", address=addresses[0]), LoggedIn)


def test_a_right_password_takes_no_failure_off_the_source(plant):
    asker = Asker("192.0.2.1")
    for number in range(FREE_OF_A_SOURCE):
        assert begin(plant.engine, plant.now_ns, asker, f"guess{number}") is None
        if number % 2:
            succeeded(plant.engine, asker, f"guess{number}")
    assert begin(plant.engine, plant.now_ns, asker, "another") is None
    assert sum(begin(plant.engine, plant.now_ns, asker, f"more{number}") is None for number in range(30)) == 9


def test_many_guesses_at_once_in_many_processes_are_no_way_around(plant):
    def guess(number):
        return begin(plant.engine, plant.now_ns, Asker("192.0.2.1"), "hoa")

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(guess, range(16))).count(None) == FREE_OF_AN_ACCOUNT


def test_a_person_is_told_who_tried(pages):
    """By source, and only of others' failures; the trail has one entry for the first of an hour and one for the tenth."""
    pages.add("lan", "engineer")
    browser = pages.browser("192.0.2.7")
    assert browser.log_in("lan").headers["location"] == "/"
    pages.now_ns += 1
    for number in range(3):
        assert pages.browser("2001:db8::9").log_in("lan", f"guess {number}").status_code == 401
        assert pages.browser("192.0.2.7").log_in("lan", f"typo {number}").status_code == 401
    pages.now_ns += 1
    answer = browser.log_in("lan", next="/delivery?site=x")
    assert answer.headers["location"] == "/account?next=%2Fdelivery%3Fsite%3Dx"
    told = browser.get("/account?next=%2Fdelivery%3Fsite%3Dx").text
    assert "2001:db8::/64" in told
    assert 'href="/delivery?site=x"' in told
    assert browser.get("/account?next=//evil.example").text.count('href="/"') >= 1
    assert "evil" not in browser.get("/account?next=//evil.example").text
    pages.now_ns += 1
    assert browser.log_in("lan").headers["location"] == "/"
    failures = [row for row in audit.entries(pages.engine)[0] if row.what == "login.failed"]
    assert [(row.about, row.detail["failures"]) for row in failures] == [("lan", 1)]
    for number in range(30):
        pages.browser(f"192.0.2.{number + 100}").log_in("lan", "guess")
    failures = [row for row in audit.entries(pages.engine)[0] if row.what == "login.failed"]
    assert [row.detail["failures"] for row in failures] == [10, 1]


def test_a_known_browser_is_let_in_while_its_address_must_wait(pages):
    pages.add("lan", "engineer")
    browser = pages.browser()
    assert browser.log_in("lan").status_code == 303
    stranger = pages.browser()
    codes = [stranger.log_in("lan", "guess").status_code for _ in range(7)]
    assert codes == [401] * FREE_OF_AN_ACCOUNT + [429] * 2
    assert stranger.log_in("lan").status_code == 429
    assert browser.log_in("lan").status_code == 303
    for forged in ("x", browser.cookies["nhip_browser"][:-3] + "abc"):
        stranger.cookies.set("nhip_browser", forged)
        assert stranger.log_in("lan").status_code == 429
    stranger.cookies.set("nhip_browser", browser.cookies["nhip_browser"])
    assert [stranger.log_in("lan", "guess").status_code for _ in range(6)] == [401] * 5 + [429]


def test_a_browser_remembers_few_accounts():
    cookie = ""
    for number in range(12):
        cookie = browsers.with_account("key", cookie, f"n{number}")
    assert [bool(browsers.browser_of("key", cookie, f"n{number}")) for number in range(12)] == [False] * 4 + [True] * 8
    assert browsers.browser_of("another key", cookie, "n11") == ""
    assert browsers.browser_of("key", browsers.with_account("key", cookie, "n11"), "n11") == browsers.browser_of(
        "key", cookie, "n11"
    )


# where passwords are checked


def test_an_account_that_is_not_there_takes_as_long_as_one_that_is():
    assert extract_parameters(passwords._of_nobody()) == extract_parameters(passwords.hashed(PASSWORD))
    assert not passwords.matches("", PASSWORD)
    assert passwords._of_nobody() != passwords._of_nobody()


async def test_whoever_comes_when_all_places_are_taken_is_refused_at_once():
    place, go_on = Hashing(at_once=1, queued=2, reserved=1), threading.Event()
    waiting = [asyncio.create_task(place.run(lambda: go_on.wait(PATIENCE_S))) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await place.run(int)
    known = asyncio.create_task(place.run(int, known=True))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await place.run(int, known=True)
    waiting[2].cancel()  # who has gone takes no place
    await asyncio.wait([waiting[2]])
    waiting.append(asyncio.create_task(place.run(int, known=True)))
    go_on.set()
    assert await asyncio.gather(*waiting[:2], known, waiting[3]) == [True, True, 0, 0]
    assert await place.run(int) == 0


# the key


def test_a_renewed_key_ends_what_the_old_one_signed(plant):
    _, session = signed(plant, "lan", ["hoa-binh"])
    held, command = cookie(plant.engine, session), bearer(pass_for(plant.engine))
    here = plant.browser("127.0.0.1")
    assert (
        here.get("/api/v1/sites", headers=held).status_code
        == here.get("/api/v1/sites", headers=command).status_code
        == 200
    )
    keys.renew(plant.engine, plant.now_ns, ROOT)
    assert here.get("/api/v1/sites", headers=command).status_code == 401
    assert here.get("/api/v1/sites", headers={**held, "Accept": "application/json"}).status_code == 401
    assert here.get("/api/v1/sites", headers=bearer(pass_for(plant.engine))).status_code == 200
    assert audit.entries(plant.engine)[0][0].what == "key.renewed"


@pytest.mark.parametrize(
    ("address", "more"),
    [("192.0.2.7", {}), ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}), ("127.0.0.1", {"Forwarded": "for=127.0.0.1"})],
)
def test_a_pass_of_a_command_counts_at_the_machine_only(plant, address, more):
    answer = plant.browser(address).get("/api/v1/sites", headers={**bearer(pass_for(plant.engine)), **more})
    assert answer.status_code == 401


def test_the_key_is_a_file_that_others_cannot_read(tmp_path):
    engine = open_accounts(f"sqlite:///{tmp_path}/a.sqlite")
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: keys.signing_key(engine), range(8)))
    assert found == {(tmp_path / "a.key").read_text()}
    assert (tmp_path / "a.key").stat().st_mode & 0o077 == 0
    assert found.isdisjoint(re.findall(r"[\w-]{43}", (tmp_path / "a.sqlite").read_bytes().decode("latin-1")))
    keys.renew(engine, 1, ROOT)
    assert keys.signing_key(engine) not in found
    engine.dispose()


def test_the_key_of_an_older_center_counts_no_more(tmp_path):
    """It is in that center's backups. Accounts stay."""
    url = f"sqlite:///{tmp_path}/a.sqlite"
    engine = open_accounts(url)
    people.add_user(engine, 1, ROOT, "hoa", role="admin", password=PASSWORD)
    with writing(engine) as connection:  # as version 2 had it
        for line in (
            "DROP TABLE recovery_codes",
            "DROP TABLE second_factors",
            "DROP TABLE audit_chain",
            "DROP TABLE login_guesses",
            "DROP TABLE failed_logins",
            "DROP TABLE sessions",
            "CREATE TABLE sessions (digest VARCHAR(64) PRIMARY KEY, user_id BIGINT, expires_ns BIGINT)",
            "INSERT INTO secrets VALUES ('sessions', 'a key that backups have')",
            "UPDATE nhip_schema SET version = 2 WHERE part = 'accounts'",
        ):
            connection.exec_driver_sql(line)
    engine.dispose()
    engine = open_accounts(url)
    assert keys.signing_key(engine) != "a key that backups have"
    assert people.check_password(engine, "hoa", PASSWORD).name == "hoa"
    with reading(engine) as connection:
        assert connection.execute(text("SELECT * FROM secrets")).all() == []
    engine.dispose()


def test_the_file_of_accounts_is_its_owner_s(tmp_path):
    Plant(tmp_path, f"sqlite:///{tmp_path}/a.sqlite").close()
    assert (tmp_path / "a.sqlite").stat().st_mode & 0o077 == 0
    assert sqlite3.connect(tmp_path / "a.sqlite").execute("PRAGMA journal_mode").fetchone() == ("wal",)
