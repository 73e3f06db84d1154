"""The second factor, and the list of sessions: what a password alone opens no more, and what ends where."""

import re

import pyotp
import pytest
from accounts_plant import PASSWORD, ROOT, Plant
from click.testing import CliRunner
from postgres_plant import KINDS, database_url

import nhip
from center.accounts import audit, people, second_factor, sessions
from center.accounts.second_factor import RECOVERY
from center.console.admin.pages import add_admin_pages
from center.console.session.account import add_account_pages
from center.console.session.code import add_code_pages
from center.console.session.login import add_login_pages
from center.console.session.safety import add_safety_pages

STEP_NS = 30_000_000_000


@pytest.fixture(params=KINDS)
def plant(request, tmp_path):
    made = Plant(tmp_path, database_url(request.param, tmp_path))
    for add in (add_login_pages, add_code_pages, add_account_pages, add_safety_pages, add_admin_pages):
        add(made.app, made.center, made.accounts)
    made.add("hoa", "admin")
    made.add("lan", "engineer", ["hoa-binh"])
    made.add("hung", "factory", ["hoa-binh"])
    yield made
    made.close()


def code(plant, secret, steps=0):
    return pyotp.TOTP(secret).generate_otp(plant.now_ns // STEP_NS + steps)


def set_up(plant, name):
    """Sets the second factor of an account: its secret and recovery codes."""
    secret, user = second_factor.new_secret(), people.user_named(plant.engine, name)
    codes = second_factor.enable(plant.engine, plant.now_ns, ROOT, user, secret, code(plant, secret))
    plant.now_ns += 2 * STEP_NS
    return secret, codes


def type_code(browser, text):
    return browser.post("/login/code", data={"code": text})


def test_with_a_second_factor_a_password_alone_opens_nothing(plant):
    secret, _ = set_up(plant, "lan")
    browser = plant.browser()
    assert browser.log_in("lan", next="/account?x=1").headers["location"] == "/login/code"
    assert browser.get("/account").status_code == 303
    assert browser.get("/api/v1/sites", headers={"Accept": "application/json"}).status_code == 401
    assert type_code(browser, "000000").status_code == 401
    answer = type_code(browser, code(plant, secret))
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?x=1")
    assert browser.get("/account").status_code == 200
    assert plant.browser().log_in("hung").headers["location"] == "/"  # who has none is asked for none


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_opens_one_login(plant, steps):
    """Not a second one, in whatever process; nor does an older one after it, or one of another time."""
    secret, _ = set_up(plant, "lan")
    user, text = people.user_named(plant.engine, "lan"), code(plant, secret, steps)
    accepts = lambda typed: second_factor.accepts(plant.engine, plant.now_ns, user, typed, ROOT)  # noqa: E731
    assert accepts(f" {text[:3]} {text[3:]}")
    assert not accepts(text)
    assert not accepts(code(plant, secret, steps - 1))
    assert not any(accepts(code(plant, secret, far)) for far in (-2, 2, 9))
    assert not any(accepts(typed) for typed in ("", "mật mã", "0" * 400, "\0", code(plant, second_factor.new_secret())))


def test_a_recovery_code_opens_one_login_and_is_not_kept(plant):
    _, codes = set_up(plant, "lan")
    user = people.user_named(plant.engine, "lan")
    assert len(set(codes)) == RECOVERY == second_factor.recovery_left(plant.engine, user.id)
    browser = plant.browser()
    browser.log_in("lan")
    assert type_code(browser, codes[3].upper().replace("-", " ")).status_code == 303
    browser.log_in("lan")
    assert type_code(browser, codes[3]).status_code == 401
    assert second_factor.recovery_left(plant.engine, user.id) == RECOVERY - 1
    assert "second_factor.recovery_used" in [row.what for row in audit.entries(plant.engine)[0]]
    other = people.user_named(plant.engine, "hoa")
    assert not second_factor.accepts(plant.engine, plant.now_ns, other, codes[4], ROOT)


def test_codes_are_not_guessed(plant):
    """From however many addresses."""
    secret, _ = set_up(plant, "lan")
    wrong = str((int(code(plant, secret)) + 7) % 10**6).zfill(6)
    answers = []
    for number in range(7):
        browser = plant.browser(f"192.0.2.{number}")
        browser.log_in("lan")
        answers.append(type_code(browser, wrong).status_code)
    assert answers == [401] * 5 + [429] * 2
    assert type_code(browser, code(plant, secret)).status_code == 429


def test_who_guesses_codes_keeps_nobody_out_who_was_here_before(plant):
    secret, _ = set_up(plant, "lan")
    mine, other = plant.browser(), plant.browser("192.0.2.66")
    mine.log_in("lan")
    assert type_code(mine, code(plant, secret)).status_code == 303
    plant.now_ns += 2 * STEP_NS
    wrong = str((int(code(plant, secret)) + 7) % 10**6).zfill(6)
    for _ in range(7):
        other.log_in("lan")
        last = type_code(other, wrong).status_code
    assert last == 429
    mine.log_in("lan")
    assert [type_code(mine, wrong).status_code for _ in range(4)] == [401] * 4
    assert type_code(mine, code(plant, secret)).status_code == 303
    assert type_code(other, code(plant, secret, 1)).status_code == 429


def test_the_step_between_is_short_and_signed(plant):
    secret, _ = set_up(plant, "lan")
    browser = plant.browser()
    assert type_code(browser, code(plant, secret)).headers["location"] == "/login"
    browser.log_in("lan")
    plant.now_ns += 301 * 1_000_000_000
    assert type_code(browser, code(plant, secret)).headers["location"] == "/login"
    browser.log_in("lan")
    people.disable_user(plant.engine, plant.now_ns, ROOT, "lan")
    assert type_code(browser, code(plant, secret)).headers["location"] == "/login"


def secret_of(page):
    return re.search(r'name="secret" value="(\w+)"|value="(\w+)"[^>]*name="secret"', page).group(1, 2)


def test_a_center_that_demands_it_lets_nobody_in_without(plant):
    """Administrators and engineers set it up at the next login; sessions from before open nothing."""
    before = plant.browser()
    before.log_in("lan")
    plant.accounts.two_factors = True
    assert before.get("/account").headers["location"].startswith("/login")
    browser = plant.browser()
    assert browser.log_in("lan").headers["location"] == "/login/code"
    page = browser.get("/login/code").text
    assert "<svg" in page
    secret = next(filter(None, secret_of(page)))
    assert browser.post("/login/code", data={"secret": secret, "code": "000000"}).status_code == 401
    assert browser.post("/login/code", data={"secret": "not base 32!", "code": "000000"}).status_code == 401
    answer = browser.post("/login/code", data={"secret": secret, "code": code(plant, secret)})
    assert len(set(re.findall(r"<code>([a-z0-9]{5}-[a-z0-9]{5})</code>", answer.text))) == RECOVERY
    assert browser.get("/account").status_code == 200
    assert plant.browser().log_in("hung").headers["location"] == "/"


def test_it_is_set_and_removed_on_the_account_s_page(plant):
    browser = plant.browser()
    browser.log_in("lan")
    secret = next(filter(None, secret_of(browser.get("/account/second-factor").text)))
    page = browser.post("/account/second-factor", data={"secret": secret, "code": code(plant, secret)})
    assert page.status_code == 200
    assert len(re.findall(r"<code>[a-z0-9]{5}-[a-z0-9]{5}</code>", page.text)) == RECOVERY
    user = people.user_named(plant.engine, "lan")
    assert browser.post("/account/second-factor", data={"code": code(plant, secret)}).status_code == 422  # used up
    assert second_factor.is_set(plant.engine, user.id)
    plant.now_ns += 2 * STEP_NS
    assert browser.post("/account/second-factor", data={"code": code(plant, secret)}).status_code == 200
    assert not second_factor.is_set(plant.engine, user.id)
    assert browser.get("/account").status_code == 200


def test_an_administrator_or_a_command_resets_it(plant, tmp_path):
    admin, theirs = plant.browser(), plant.browser()
    admin.log_in("hoa")
    theirs.log_in("lan")
    set_up(plant, "lan")
    assert theirs.get("/account").status_code == 200
    assert theirs.post("/admin/users/lan/second-factor").status_code == 403
    assert admin.post("/admin/users/lan/second-factor").status_code == 200
    assert theirs.get("/account").status_code == 303
    assert theirs.log_in("lan").headers["location"] == "/"
    set_up(plant, "lan")
    file = tmp_path / "center.yaml"
    file.write_text(
        f"broker: mqtt://127.0.0.1:9\nstore: {{kind: duckdb, file: {tmp_path}/x.duckdb}}\ndatabase: {plant.url}\n"
    )
    done = CliRunner().invoke(nhip.main, ["user", "reset-second-factor", str(file), "lan", "--lang", "en"])
    assert done.exit_code == 0, done.output
    assert theirs.log_in("lan").headers["location"] == "/"
    assert CliRunner().invoke(nhip.main, ["user", "reset-second-factor", str(file), "nobody"]).exit_code == 1


# where one is logged in


def test_sessions_are_listed_and_ended(plant):
    browsers = [plant.browser(f"192.0.2.{number}") for number in (1, 2, 3)]
    for number, browser in enumerate(browsers):
        browser.post(
            "/login", data={"name": "lan", "password": PASSWORD}, headers={"User-Agent": f"<b>Browser {number}"}
        )
    other = plant.browser()
    other.log_in("hung")
    page = browsers[0].get("/account").text
    assert [f"&lt;b&gt;Browser {number}" in page for number in range(3)] == [True] * 3
    assert "192.0.2.2" in page
    ids = re.findall(r'name="session"[^>]*value="(\w{64})"|value="(\w{64})"[^>]*name="session"', page)
    assert len(ids) == 2
    theirs = sessions.sessions_of(plant.engine, plant.now_ns, people.user_named(plant.engine, "hung").id, "")[0]
    browsers[0].post("/account/sessions", data={"session": theirs.id})  # another's: nothing happens
    assert other.get("/account").status_code == 200
    mine = sessions.sessions_of(plant.engine, plant.now_ns, people.user_named(plant.engine, "lan").id, "")
    gone = next(row for row in mine if row.address == "192.0.2.2")
    browsers[0].post("/account/sessions", data={"session": gone.id})
    assert [browser.get("/account").status_code for browser in browsers] == [200, 303, 200]
    browsers[0].post("/account/sessions")
    assert [browser.get("/account").status_code for browser in browsers] == [200, 303, 303]
    assert audit.entries(plant.engine)[0][0].what == "sessions.ended"


def test_an_administrator_ends_all_sessions_of_a_person(plant):
    admin, theirs = plant.browser(), plant.browser()
    admin.log_in("hoa")
    theirs.log_in("lan")
    assert theirs.post("/admin/users/hoa/sessions").status_code == 403
    assert admin.post("/admin/users/lan/sessions").status_code == 200
    assert theirs.get("/account").status_code == 303
    assert admin.get("/account").status_code == 200
