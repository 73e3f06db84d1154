"""Accounts, tokens and the trail of changes on SQLite and PostgreSQL, and the gate in front of the API."""

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from accounts_plant import PASSWORD, ROOT, Browser, Plant, bearer, cookie
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape
from postgres_plant import KINDS, database_url
from sqlalchemy import text
from tenants import SITES, make

from center.accounts import audit, passwords, people, sessions, tokens
from center.accounts.attempts import FREE, LONGEST_S, MOST, Attempts
from center.accounts.tokens import pass_for
from center.api.app import create_app
from center.console.admin.pages import add_admin_pages
from center.console.declare.pages import add_declare_pages
from center.console.document import add_error_pages
from center.console.session_pages import add_session_pages
from center.database.sql import reading
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
    add_session_pages(made.app, made.center, made.accounts)
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
    answer = plant.browser().post(url, content=b"x", headers=bearer(secret) | headers)
    assert answer.status_code == status


# how often a password may be tried

TRY = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.floats(0, 100))


@given(st.lists(TRY, max_size=60))
def test_nobody_waits_for_long_and_nobody_guesses_fast(tries):
    attempts, now_s, made = Attempts(), 0.0, {}
    for account, address, pause_s in tries:
        now_s += pause_s
        wait_s = attempts.wait_s(account, address, now_s)
        assert 0 <= wait_s <= LONGEST_S
        if wait_s == 0:
            attempts.failed(account, address, now_s)
            made.setdefault(account, []).append(now_s)
    for moments in made.values():
        for first, later in zip(moments, moments[FREE["account"] :]):
            assert later - first >= 30 or len(moments) <= FREE["account"]


def test_a_right_password_clears_its_account_alone():
    attempts = Attempts()
    for _ in range(FREE["account"]):
        attempts.failed("hoa", "192.0.2.1", 0.0)
    assert attempts.wait_s("hoa", "192.0.2.9", 0.0) == 30
    attempts.succeeded("hoa", "192.0.2.9")
    assert attempts.wait_s("hoa", "192.0.2.9", 0.0) == 0
    for number in range(FREE["address"]):
        attempts.failed(f"guess{number}", "192.0.2.1", 10.0)
    assert attempts.wait_s("hoa", "192.0.2.1", 10.0) > 0
    assert attempts.wait_s("hoa", "192.0.2.1", 4000.0) == 0


def test_many_guesses_at_once_are_no_way_around(tmp_path):
    plant = Plant(tmp_path, f"sqlite:///{tmp_path}/a.sqlite")
    plant.add("hoa", "admin")
    with ThreadPoolExecutor(16) as pool:
        found = list(
            pool.map(lambda number: plant.accounts.log_in("hoa", f"guess {number}", f"192.0.2.{number}"), range(16))
        )
    assert found.count(None) == FREE["account"]
    plant.now_ns += 3_600_000_000_000
    for _ in range(FREE["address"] + 5):
        assert isinstance(plant.accounts.log_in("hoa", PASSWORD, "192.0.2.99"), str)
    plant.close()


def test_a_storm_of_names_takes_no_memory():
    attempts = Attempts()
    for number in range(MOST + 500):
        attempts.failed(f"name{number}", "192.0.2.1", float(number) / 1000)
    assert len(attempts.failures) == MOST
    assert attempts.wait_s("new", "192.0.2.1", 20.6) > 0


def test_the_file_of_accounts_is_its_owner_s(tmp_path):
    Plant(tmp_path, f"sqlite:///{tmp_path}/a.sqlite").close()
    assert (tmp_path / "a.sqlite").stat().st_mode & 0o077 == 0
    assert sqlite3.connect(tmp_path / "a.sqlite").execute("PRAGMA journal_mode").fetchone() == ("wal",)
