"""The audit trail: no route can forget it, and whoever changes it is found out."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch

import pytest
from accounts_plant import ROOT, Plant, bearer
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_plant import KINDS, database_url
from sqlalchemy import text
from whole_center import ROOT as CHECKOUT

from center.accounts import audit, people
from center.accounts.audit import Actor
from center.accounts.schema import AUDIT, AUDIT_CHAIN, NO_ENTRY, open_accounts
from center.accounts.tokens import pass_for
from center.accounts.trail import ENTERED, ENTERS_ITSELF
from center.commands.backup import backup
from center.commands.trail import audit as command
from center.database.sql import reading, writing
from words.catalogue import catalogue

_ROUTES = """
import json, pathlib, sys
from accounts_plant import Plant
from center.accounts.schema import open_accounts
from center.api.access import Administering
from center.console import mount
from center.database.findings import open_findings
from center.database.notices import open_notices
from center.outgoing.alerts.page import add_alert_page
from center.outgoing.benchmark.page import add_benchmark_pages
from center.outgoing.directory.page import add_directory_pages
from center.outgoing.monthly.page import add_month_pages
from center.outgoing.monthly.papers_page import add_paper_pages
from center.outgoing.monthly.plan_page import add_plan_pages
from center.outgoing.statement.page import add_statement_pages
from center.outgoing.statement.public import add_public_statements
from config.alerts import AlertsModel
from nicegui import app as pages

folder = pathlib.Path(sys.argv[1])
url = f"sqlite:///{folder}/a.sqlite"
plant = Plant(folder, url)
made = plant.whole(notices=open_notices(url), findings=open_findings(url), alerts=AlertsModel())
add_alert_page(made, plant.center, made.state.alerts)
add_month_pages(made, made.state.months)
add_plan_pages(made, made.state.maintenance)
add_benchmark_pages(made, made.state.benchmark)
add_directory_pages(made, made.state.directory)
add_statement_pages(made, made.state.statements)
add_public_statements(made, made.state.statements)
add_paper_pages(made, made.state.papers)
mount(made, plant.center, plant.accounts)
administering = Administering.__metadata__[0].dependency

def asks(dependant):
    return any(item.call is administering or asks(item) for item in dependant.dependencies)

for route in [*made.routes, *pages.routes]:
    for method in getattr(route, "methods", None) or ():
        dependant = getattr(route, "dependant", None)
        print(json.dumps([f"{method} {route.path}", bool(dependant and asks(dependant))]))
"""
READ_BY_ADMINISTRATORS = {
    "GET /delivery/{site}/{gateway}", "GET /admin", "GET /admin/users", "GET /admin/tokens", "GET /admin/machines", "GET /admin/audit",
    "GET /api/v1/users", "GET /api/v1/tokens", "GET /api/v1/audit",
}  # fmt: skip
"""Lists: looking at one takes nothing away."""


def test_every_route_that_changes_something_says_what_it_enters(tmp_path):
    """A new one is among them without being told: it goes into one of the tables of center/accounts/trail.py. Until then it is
    entered as a request.
    """
    environment = {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT}/tests:{CHECKOUT}/tests/center", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", _ROUTES, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=CHECKOUT)
    assert found.returncode == 0, found.stderr
    routes = dict(map(json.loads, found.stdout.splitlines()))
    ours = {name for name in routes if "/_nicegui" not in name}
    changing = {name for name in ours if name.split()[0] in ("POST", "PUT", "PATCH", "DELETE")}
    administering = {name for name, asks in routes.items() if asks and name.startswith("GET")}
    known = {*ENTERED, *ENTERS_ITSELF}
    assert len(changing) > 15
    assert "GET /api/v1/backup/{part}" in administering
    assert changing - known == set(), "say in center/accounts/trail.py what they enter"
    assert administering - known <= READ_BY_ADMINISTRATORS, "say in center/accounts/trail.py what they enter"
    assert known - ours == set(), "these are no routes any more"


def test_what_is_entered_has_words():
    """Those that end in * are composed: at least one of them has."""
    entered = {name for text in ENTERS_ITSELF.values() if not text.startswith("none") for name in text.split(", ")}
    entered = {name for name in entered if " " not in name} | set(ENTERED.values())
    said = {name.removeprefix("audit.what.") for name in catalogue() if name.startswith("audit.what.")}
    assert [name for name in entered if not any(fnmatch(one, name) for one in said)] == []


@pytest.fixture(params=KINDS)
def plant(request, tmp_path):
    made = Plant(tmp_path, database_url(request.param, tmp_path))
    made.add("hoa", "admin")
    yield made
    made.close()


def test_a_download_is_entered_and_what_was_refused_is_not(plant):
    browser, held = plant.browser("127.0.0.1"), bearer(pass_for(plant.engine))
    assert browser.get("/api/v1/backup/store", headers=held).status_code == 200
    lines = {"headers": {**held, "Content-Type": "application/x-ndjson"}, "content": b"nonsense"}
    assert browser.post("/api/v1/envelopes?site=hoa-binh&gateway=main", **lines).status_code == 422
    entry = audit.entries(plant.engine)[0][0]
    assert (entry.what, entry.about, entry.address) == ("backup.downloaded", "store", "127.0.0.1")


def test_a_route_that_nobody_thought_of_is_entered_too(plant):
    @plant.app.put("/api/v1/forgotten/{thing}")
    def forgotten(thing: str) -> str:
        return thing

    held = bearer(pass_for(plant.engine))
    assert plant.browser("127.0.0.1").ask("PUT", "/api/v1/forgotten/x", headers=held).status_code == 200
    entry = audit.entries(plant.engine)[0][0]
    assert (entry.what, entry.about, entry.detail["path"]) == ("request", "x", "/api/v1/forgotten/{thing}")


def test_without_an_entry_nothing_is_handed_out(tmp_path):
    plant = Plant(tmp_path, f"sqlite:///{tmp_path}/a.sqlite")
    held = bearer(pass_for(plant.engine))
    with writing(plant.engine) as connection:
        connection.exec_driver_sql("DROP TABLE audit_chain")
    answer = plant.browser("127.0.0.1").get("/api/v1/backup/store", headers=held)
    assert (answer.status_code, answer.json()["error"]) == (503, "store_away")
    plant.close()


# the chain


def enter(engine, count, who="an"):
    for number in range(count):
        with writing(engine) as connection:
            audit.record(connection, number, Actor(who), "user.added", f"n{number}", sites="á")


def test_entries_of_many_processes_are_one_chain(tmp_path, plant):
    """Each has an engine of its own, as processes have."""
    engines = [open_accounts(plant.url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda engine: enter(engine, 15), engines))
    found = audit.verify(plant.engine)
    assert (found.entries, found.broken) == (61, None)
    for engine in engines:
        engine.dispose()


CHANGES = {
    "UPDATE audit SET who = 'x' WHERE id = {id}": 0,
    "UPDATE audit SET at_ns = at_ns + 1 WHERE id = {id}": 0,
    "UPDATE audit SET detail = '{{}}' WHERE id = {id}": 0,
    "UPDATE audit_chain SET digest = '' WHERE id = {id}": 0,
    "DELETE FROM audit WHERE id = {id}": 0,
    "DELETE FROM audit_chain WHERE id = {id}": 0,
    "DELETE FROM audit_chain WHERE id = {id}; DELETE FROM audit WHERE id = {id}": 1,  # the next is linked to nothing
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("number", [1, 4, 9])
def test_the_first_entry_that_was_changed_is_named(tmp_path, change, number):
    engine = open_accounts(f"sqlite:///{tmp_path}/a.sqlite")
    enter(engine, 10)
    assert audit.verify(engine).broken is None
    with writing(engine) as connection:
        for statement in change.split(";"):
            connection.exec_driver_sql(statement.format(id=number))
    found = audit.verify(engine)
    assert (found.broken, found.entries) == (number + CHANGES[change], number - 1)
    engine.dispose()


def test_a_trail_written_anew_or_cut_off_has_lost_its_head(tmp_path):
    """Who can write everything can also link everything anew; the head that a backup holds shows it."""
    engine = open_accounts(f"sqlite:///{tmp_path}/a.sqlite")
    assert audit.verify(engine).head == NO_ENTRY
    enter(engine, 5)
    head = audit.verify(engine).head
    enter(engine, 5)
    assert audit.verify(engine, head).has_head
    with writing(engine) as connection:
        connection.execute(AUDIT.delete().where(AUDIT.c.id > 4))
        connection.execute(AUDIT_CHAIN.delete().where(AUDIT_CHAIN.c.id > 4))
    assert audit.verify(engine).broken is None
    assert not audit.verify(engine, head).has_head
    engine.dispose()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300), st.dictionaries(st.sampled_from("abc"), st.text(max_size=20)))
def test_whatever_an_entry_says_it_reads_as_it_was_written(plant, words, detail):
    sound = "".join(words.split("\0")).encode("utf-8", "ignore").decode()
    with writing(plant.engine) as connection:
        plain = {key: "".join(value.split("\0")).encode("utf-8", "ignore").decode() for key, value in detail.items()}
        audit.record(connection, 1, Actor(sound, sound), "user.added", sound, **plain)
    assert audit.verify(plant.engine).broken is None


def test_an_older_trail_becomes_a_chain(tmp_path):
    url = f"sqlite:///{tmp_path}/a.sqlite"
    engine = open_accounts(url)
    enter(engine, 5)
    with writing(engine) as connection:
        connection.exec_driver_sql("DROP TABLE audit_chain")
        connection.execute(text("UPDATE nhip_schema SET version = 3 WHERE part = 'accounts'"))
    engine.dispose()
    engine = open_accounts(url)
    assert (audit.verify(engine).entries, audit.verify(engine).broken) == (5, None)
    enter(engine, 1)
    assert audit.verify(engine).broken is None
    engine.dispose()


def test_a_backup_checks_the_trail_and_keeps_its_head(tmp_path):
    """Also where nobody reads what it prints: its exit status says that somebody has changed the trail."""
    file = tmp_path / "center.yaml"
    file.write_text(f"broker: mqtt://127.0.0.1:9\nstore: {{kind: duckdb, file: {tmp_path}/nhip.duckdb}}\n")
    engine = open_accounts(f"sqlite:///{tmp_path}/nhip.accounts.sqlite")
    people.add_user(engine, 1, ROOT, "hoa", role="admin", password="một mật khẩu dài")
    enter(engine, 3)

    def run(*more, code=0):
        outcome = CliRunner().invoke(backup, [str(file), str(tmp_path / "saved"), "--lang", "en", *more])
        assert outcome.exit_code == code, outcome.output
        return outcome.output

    told = run()
    head = audit.verify(engine).head  # that a backup was taken is an entry too
    assert f"Head of the audit trail: {head}" in told
    kept = json.loads((tmp_path / "saved" / "manifest.json").read_text())["audit"]
    assert (kept["head"], kept["entries"], kept["broken"]) == (head, 6, None)
    enter(engine, 2)
    assert audit.verify(engine, kept["head"]).has_head
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE audit SET who = 'nobody' WHERE id = 2")
    told = run(code=1)
    assert "Saved" in told
    assert "Entry 2 was changed" in told
    assert "Head of the audit trail" not in told
    assert json.loads(run("--json", code=1))["audit"]["broken"] == 2
    engine.dispose()


def test_the_command_names_the_first_broken_entry(tmp_path):
    file = tmp_path / "center.yaml"
    file.write_text(f"broker: mqtt://127.0.0.1:9\nstore: {{kind: duckdb, file: {tmp_path}/nhip.duckdb}}\n")
    engine = open_accounts(f"sqlite:///{tmp_path}/nhip.accounts.sqlite")
    people.add_user(engine, 1, ROOT, "hoa", role="admin", password="một mật khẩu dài")
    enter(engine, 3)

    def run(*more, code=0):
        outcome = CliRunner().invoke(command, [*more, str(file), "--lang", "en"])
        assert outcome.exit_code == code, outcome.output
        return outcome.output

    head = audit.verify(engine).head
    assert head in run("verify")
    assert run("verify", "--head", head)
    assert "not in the chain" in run("verify", "--head", "0" * 64, code=1)
    assert "Added" in run()
    assert run().rstrip().endswith(head)
    assert json.loads(run("show", "--json"))["head"] == head
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE audit SET who = 'nobody' WHERE id = 2")
    assert "Entry 2 was changed" in run("verify", code=1)
    assert json.loads(run("verify", "--json", code=1))["broken"] == 2
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM audit")).scalar() == 4
    engine.dispose()
