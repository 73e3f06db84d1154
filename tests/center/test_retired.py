"""Machines that no site file names any more: said truly, counted nowhere, their history kept, and deletable."""

import asyncio
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from accounts_plant import BROWSER, PASSWORD
from center_plant import envelope, ns, running, site_body
from click.testing import CliRunner
from influx_plant import influx_settings
from servers import PATIENCE_S

import nhip
from center.accounts import audit, people
from center.accounts.audit import Actor
from center.accounts.identify import Accounts
from center.accounts.schema import open_accounts
from center.console import mount
from center.console.admin.pages import add_admin_pages
from center.console.session.login import add_login_pages
from center.contract.ledger import Changes
from center.database.declarations import open_declarations
from center.database.sql import open_database
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.worker import Ingest
from center.ledger.sql import SqlLedger
from center.model.sites import FORGOTTEN_NS, Owner, Sites, lines_of, retired_since
from center.run.application import application
from center.runtime.opening import close_center, open_center
from config import parse_center
from oee.model.facts import MINUTE_NS
from wire.topics import Topic
from words import say

T = ns("2026-03-02T08:00:00")
SITE_STREAM = "00000000000000bb"
STORES = ("duckdb", "influxdb")


def store_of(kind, folder):
    if kind == "duckdb":
        return {"kind": "duckdb", "file": str(folder / "facts.duckdb")}
    return {"kind": "influxdb", "books": str(folder / "books.duckdb")} | influx_settings(folder)


class Retiring:
    """A center with accounts, its worker and one site, whose site file is told anew."""

    def __init__(self, folder, kind, *, console=False):
        """console: with its live pages, of which a process can have one only."""
        self.folder, self.seq, self.console = folder, 0, console
        self.text = json.dumps(
            {
                "broker": "mqtt://127.0.0.1:9",
                "store": store_of(kind, folder),
                "database": f"sqlite:///{folder}/a.sqlite",
            }
        )
        self.settings = parse_center(self.text)
        self.open()

    def open(self):
        self.center = open_center(self.settings)
        self.engine = open_accounts(self.settings.database_url)
        self.accounts = Accounts(self.engine)
        self.ingest = Ingest(self.center, BrokerSettings("127.0.0.1", 9))
        self.ingest._worker.start()
        declaring = DeclarationSender(
            open_declarations(self.settings.database_url), self.ingest.publish, self.center.now_ns
        )
        self.app = application(self.center, self.ingest, declaring, self.accounts)
        if self.console:
            mount(self.app, self.center, self.accounts)
        else:
            add_login_pages(self.app, self.center, self.accounts)
            add_admin_pages(self.app, self.center, self.accounts)
        self.cookies = httpx.Cookies()

    def close(self):
        self.ingest.stop()
        self.engine.dispose()
        close_center(self.center)

    def told(self, kind, content, rows=()):
        self.seq += 1
        stream = SITE_STREAM if kind == "site" else "00000000000000aa"
        data = (
            envelope(self.seq, rows, stream=stream)
            if content is None
            else envelope(self.seq, content=content, stream=stream)
        )
        message = EnvelopeMessage(Topic("van-long", "main", kind), data)
        self.ingest.submit(lambda: self.ingest.deliver([message])).result(PATIENCE_S)

    def site(self, machines, minute, **more):
        self.told("site", site_body(machines, T + minute * MINUTE_NS, **more))

    def runs(self, machine, first, minutes):
        self.told("facts", None, running(T + first * MINUTE_NS, minutes, machine))

    def ask(self, method, url, **more):
        async def asking():
            transport = httpx.ASGITransport(self.app, client=("192.0.2.7", 50_000))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://center", cookies=self.cookies, timeout=PATIENCE_S
            ) as client:
                answer = await client.request(method, url, **more)
                self.cookies = client.cookies
                return answer

        return asyncio.run(asking())

    def get(self, url):
        answer = self.ask("GET", f"/api/v1/{url}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def add(self, name, role):
        people.add_user(self.engine, 1, Actor("root"), name, role=role, sites=["van-long"], password=PASSWORD)

    def log_in(self, name, role):
        self.add(name, role)
        assert self.ask("POST", "/login", data={"name": name, "password": PASSWORD}, headers=BROWSER).status_code == 303

    def machines(self):
        return {row["id"]: row for row in self.get("machines?site=van-long")}

    def pieces(self):
        rows = self.get("trend?site=van-long&bucket=all&by=machine&from=2026-03-01&to=2026-03-04")["rows"]
        return {row["machine"]: row["sums"]["pieces_good"] for row in rows}


@pytest.fixture(params=STORES)
def kind(request):
    return request.param


@pytest.fixture
def plant(tmp_path, kind):
    made = Retiring(tmp_path, kind)
    made.site(["press-1", "press-2"], 0)
    made.runs("press-1", 0, 30)
    made.runs("press-2", 0, 30)
    made.site(["press-1", "press-02"], 40)  # its id was corrected
    made.runs("press-02", 40, 30)
    yield made
    made.close()


def test_a_retired_machine_is_said_so_and_does_nothing(plant):
    plant.log_in("an", "admin")
    rows = plant.machines()
    assert [key for key, row in rows.items() if row["retired"]] == ["press-2"]
    assert not rows["press-2"]["named"]
    assert rows["press-2"]["retired"] == "2026-03-02T08:40:00+07:00"
    assert rows["press-2"]["name"]["en"] == "press-2", "as it was called last"
    assert {row["machine"] for row in plant.get("live")} == {"press-1", "press-02"}


def test_its_history_is_kept_and_its_scheduled_time_ends(plant):
    plant.log_in("an", "admin")
    assert plant.pieces() == {"press-02": 300, "press-1": 300, "press-2": 300}
    rows = plant.get("trend?site=van-long&machine=press-2&bucket=all&from=2026-03-02&to=2026-03-04")["rows"]
    assert rows[0]["scheduled_ms"] == 40 * 60_000
    later = plant.get("trend?site=van-long&machine=press-2&bucket=all&from=2026-03-03&to=2026-03-04")["rows"]
    assert later == []


def test_a_machine_that_comes_back_is_retired_no_more(plant):
    plant.log_in("an", "admin")
    plant.site(["press-1", "press-02", "press-2"], 80)
    assert plant.machines()["press-2"]["retired"] is None
    assert {row["machine"] for row in plant.get("live")} == {"press-1", "press-02", "press-2"}


def test_an_administrator_deletes_trial_data_and_the_trail_says_so(plant):
    plant.log_in("an", "admin")
    assert plant.ask("DELETE", "/api/v1/machines/press-2?site=van-long").json() == {
        "site": "van-long",
        "machine": "press-2",
    }
    assert set(plant.machines()) == {"press-1", "press-02"}
    assert plant.pieces() == {"press-02": 300, "press-1": 300}
    assert plant.ask("GET", "/api/v1/trend?site=van-long&machine=press-2").status_code == 404
    assert plant.ask("DELETE", "/api/v1/machines/press-2?site=van-long").status_code == 404
    entries = [item for item in audit.entries(plant.engine)[0] if item.what == "machine.deleted"]
    assert [(item.who, item.address, item.about) for item in entries] == [("an", "192.0.2.7", "van-long/press-2")]
    plant.close()
    plant.open()
    plant.log_in("binh", "admin")
    assert set(plant.machines()) == {"press-1", "press-02"}, "also after a restart"


def test_what_comes_later_is_listed_again_and_nothing_of_before(plant):
    plant.log_in("an", "admin")
    plant.ask("DELETE", "/api/v1/machines/press-2?site=van-long")
    plant.runs("press-2", 30, 5)
    assert plant.machines()["press-2"]["retired"]
    assert plant.pieces()["press-2"] == 50
    assert plant.ask("DELETE", "/api/v1/machines/press-2?site=van-long").status_code == 200
    plant.site(["press-1", "press-02", "press-2"], 80)
    plant.runs("press-2", 80, 3)
    assert plant.pieces()["press-2"] == 30


@pytest.mark.parametrize(
    ("role", "machine", "status"),
    [("factory", "press-2", 403), ("engineer", "press-2", 403), ("admin", "press-1", 409), ("admin", "nobody", 404)],
)
def test_who_and_what_is_refused(plant, role, machine, status):
    plant.log_in("an", role)
    assert plant.ask("DELETE", f"/api/v1/machines/{machine}?site=van-long").status_code == status
    assert plant.pieces()["press-2"] == 300
    assert not [item for item in audit.entries(plant.engine)[0] if item.what == "machine.deleted"]


def test_the_page_asks_for_the_id(plant):
    plant.log_in("an", "admin")
    page = plant.ask("GET", "/admin/machines", headers=BROWSER)
    assert "press-2" in page.text
    assert 'value="press-1"' not in page.text
    form = {"site": "van-long", "machine": "press-2"}
    wrong = plant.ask("POST", "/admin/machines", data=form | {"confirm": "press-1"}, headers=BROWSER)
    assert (wrong.status_code, plant.pieces()["press-2"]) == (422, 300)
    named = {"site": "van-long", "machine": "press-1", "confirm": "press-1"}
    assert plant.ask("POST", "/admin/machines", data=named, headers=BROWSER).status_code == 409
    assert plant.ask("POST", "/admin/machines", data=form | {"confirm": "press-2"}, headers=BROWSER).status_code == 200
    assert "press-2" not in plant.pieces()
    assert "van-long/press-2" in plant.ask("GET", "/admin/audit", headers=BROWSER).text


def test_the_command_without_a_running_center(tmp_path):
    plant = Retiring(tmp_path, "duckdb")
    plant.site(["press-1", "press-2"], 0)
    plant.runs("press-2", 0, 30)
    plant.site(["press-1"], 40)
    plant.close()
    path = tmp_path / "center.yaml"
    path.write_text(plant.text, encoding="utf-8")

    def call(*arguments, answers=""):
        return CliRunner().invoke(nhip.main, ["machine", *map(str, arguments), "--lang", "en"], input=answers)

    rows = json.loads(call("list", path, "--json").stdout)["rows"]
    assert [row["id"] for row in rows if row["retired"]] == ["press-2"]
    assert re.search(r"press-2 .* 2026-03-02 08:\d\d +$", call("list", path).stdout, re.MULTILINE), "a time for people"
    assert call("delete", path, "van-long", "press-2", answers="n\n").exit_code == 1
    assert call("delete", path, "van-long", "press-1", "--yes").exit_code == 1
    assert call("delete", path, "van-long", "nobody", "--yes").exit_code == 1
    done = call("delete", path, "van-long", "press-2", "--yes")
    assert done.exit_code == 0, done.output
    assert [row["id"] for row in json.loads(call("list", path, "--json").stdout)["rows"]] == ["press-1"]
    plant.open()
    entries = [item for item in audit.entries(plant.engine)[0] if item.what == "machine.deleted"]
    assert [(item.about, item.who.endswith("command)")) for item in entries] == [("van-long/press-2", True)]
    plant.close()


def test_a_move_to_another_line_keeps_the_past_where_it_was(tmp_path):
    plant = Retiring(tmp_path, "duckdb")
    moved(plant)
    plant.log_in("an", "admin")
    row = plant.machines()["press-1"]
    assert (row["line"], row["line_name"]["en"]) == ("forming", "Forming")
    at = "2026-03-02T09:00:00+07:00"
    assert [(item["line"], item["from"], item["to"]) for item in row["lines"]] == [
        ("stamping", None, at),
        ("forming", at, None),
    ]
    assert plant.pieces() == {"press-1": 300, "press-2": 300}
    plant.close()


PAGES = """
import sys, threading
from pathlib import Path
import httpx, uvicorn
from center_plant import eventually, free_port
from test_retired import BROWSER, PASSWORD, PATIENCE_S, Retiring, moved
plant = Retiring(Path(sys.argv[1]), "duckdb", console=True)
moved(plant)
port = free_port()
server = uvicorn.Server(uvicorn.Config(plant.app, port=port, log_level="warning"))
thread = threading.Thread(target=server.run)
thread.start()
eventually(lambda: server.started)
plant.add("an", "admin")
with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, headers=BROWSER) as client:
    client.post("/login", data={"name": "an", "password": PASSWORD})
    for number, path in enumerate(("/", "/machine/van-long/press-2", "/machine/van-long/press-1")):
        (plant.folder / f"{number}.html").write_text(client.get(path).text, encoding="utf-8")
server.should_exit = True
thread.join()
plant.close()
"""


def moved(plant):
    """press-2 is scrapped, and press-1 moves to another line."""
    lines = {
        "stamping": {"name": {"vi": "Dập", "en": "Stamping"}},
        "forming": {"name": {"vi": "Tạo hình", "en": "Forming"}},
    }
    plant.site(["press-1", "press-2"], 0, lines=lines)
    plant.runs("press-1", 0, 30)
    plant.runs("press-2", 0, 30)
    body = site_body(["press-1"], T + 60 * MINUTE_NS, lines=lines)
    body["machines"]["press-1"]["line"] = "forming"
    plant.told("site", body | {"config_hash": "beef"})


def test_the_console_shows_where_the_history_is(tmp_path):
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), str(here.parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", PAGES, str(tmp_path)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    fleet, retired, other = ((tmp_path / f"{number}.html").read_text(encoding="utf-8") for number in range(3))
    assert say("console.retired", "vi", n=1) in fleet
    assert "/machine/van-long/press-2" in fleet
    since = say("console.retired_since", "vi", when="").strip(" .")
    assert since in retired
    assert since not in other
    assert say("console.line_until", "vi", line="Dập", when="").strip(" .") in other


def test_the_processes_of_a_center_agree_on_what_was_forgotten(tmp_path):
    """A claim does not bring it back; a new fact does."""
    one, other = (SqlLedger(open_database(f"sqlite:///{tmp_path}/books.sqlite")) for _ in range(2))
    one.load()
    machine = Owner("van-long", "press-2", "main", T)
    one.commit(Changes(owners=[machine]))
    one.commit(Changes(owners=[replace(machine, first_ns=FORGOTTEN_NS)]))
    assert [owner.first_ns for owner in other.changes_since(0).owners] == [FORGOTTEN_NS]
    other.commit(Changes(owners=[replace(machine, first_ns=0)]))
    assert [owner.first_ns for owner in one.changes_since(0).owners] == [FORGOTTEN_NS]
    other.commit(Changes(owners=[replace(machine, first_ns=T + MINUTE_NS)]))
    assert [owner.first_ns for owner in one.changes_since(0).owners] == [T + MINUTE_NS]
    one.close()
    other.close()


def test_a_machine_of_a_gateway_without_a_site_body_is_not_called_retired():
    sites = Sites((), [Owner("van-long", "press-1", "main", T), Owner("van-long", "old", "main", FORGOTTEN_NS)])
    assert retired_since(sites, "van-long", "press-1") is None
    assert lines_of(sites, "van-long", "press-1") == []
    assert sites.machines("van-long") == ["old", "press-1"]
