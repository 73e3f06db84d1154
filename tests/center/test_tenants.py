"""No request of any user ever returns a row of a site that is not theirs.

Every operation that the API describes is asked, in every way that its description allows, by viewers of every set of
sites, at a center of three sites and at one that holds the viewer's sites alone. The two must answer alike: then
nothing of the others can be in an answer, neither as a row nor inside a sum nor as the way in which it is refused. A
new endpoint is in the description, and so in this test, without being told.
"""

import asyncio
import io
from itertools import combinations

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from pyarrow import parquet
from tenants import (
    SITES,
    Asker,
    acted_at,
    consented_at,
    fields_away,
    found_at,
    listed_at,
    listed_by,
    make,
    operations,
    published_by,
    said_at,
    stated_at,
)

from center.accounts.identify import Accounts
from center.accounts.schema import open_accounts
from center.database.actions import kept_actions
from center.database.declarations import open_declarations
from center.database.findings import kept_findings, open_findings
from center.database.notices import open_notices, store_notices
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.viewer import Viewer
from center.run.application import application

SETS = [frozenset(chosen) for size in range(len(SITES) + 1) for chosen in combinations(SITES, size)]
RIGHTS = (
    frozenset({"read"}), frozenset({"read", "write"}), frozenset({"read", "write", "aim"}),
    frozenset({"read", "write", "aim", "own"}),
)  # fmt: skip
VIEWERS = {
    f"{number}-{len(rights)}": Viewer("x", sites, rights) for number, sites in enumerate(SETS) for rights in RIGHTS
}


async def _named(connection):
    return VIEWERS[connection.headers["x-viewer"]]


class Plant:
    """One center and its HTTP application; whoever asks is named in a header."""

    def __init__(self, folder, sites, name):
        self.center = make(folder, sites, name)
        self.ingest = Ingest(self.center, BrokerSettings("127.0.0.1", 9), patient=False)
        accounts = Accounts(open_accounts(f"sqlite:///{folder}/{name}.sqlite"))
        declaring = DeclarationSender(
            open_declarations(f"sqlite:///{folder}/{name}.sqlite"), lambda *_: None, lambda: 0
        )
        notices = open_notices(f"sqlite:///{folder}/{name}.sqlite")
        findings = open_findings(f"sqlite:///{folder}/{name}.sqlite")
        self.numbers = {"action": {}, "finding": {}, "statement": {}}
        for site in sites:
            store_notices(notices, site, f"{site}-gate", said_at(site))
            found_at(findings, site)
            acted_at(findings, site)
            self.numbers["action"][site] = [item.id for item in kept_actions(findings, [site])]
            self.numbers["finding"][site] = [item.id for item in kept_findings(findings, [site])]
        self.app = application(
            self.center, self.ingest, declaring, accounts, identify=_named, notices=notices, findings=findings
        )
        for site in sites:
            consented_at(declaring.engine, site)
            self.numbers["statement"][site] = [stated_at(declaring.engine, site)]
            listed_at(declaring.engine, site)
        published_by(declaring.engine)
        listed_by(declaring.engine)
        self._transport = httpx.ASGITransport(self.app)

    async def ask(self, method, url, viewer, query, body):
        headers = {"x-viewer": viewer}
        async with httpx.AsyncClient(transport=self._transport, base_url="http://center") as client:
            return await client.request(method, url, params=query, json=body, headers=headers)


@pytest.fixture(scope="module")
def plants(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tenants")
    made = {sites: Plant(folder, sorted(sites, key=SITES.index), f"center{n}") for n, sites in enumerate(SETS)}
    yield made
    for plant in made.values():
        plant.center.store.close()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_sites_of_others_change_no_answer(plants, data):
    everything = plants[frozenset(SITES)]
    description = everything.app.openapi()
    name = data.draw(st.sampled_from(sorted(VIEWERS)))
    viewer = VIEWERS[name]
    method, path, operation = data.draw(st.sampled_from(operations(description)))
    safe = method == "GET"
    others = [site for site in SITES if site not in viewer.sites]
    asker = Asker(data.draw, description, None if safe else (*others, "nowhere"), everything.numbers)
    parts, query, body = asker.request(operation)
    if safe and "{number}" in path:
        return  # the same number is another payload there: the next test
    url = path.format(**parts)
    answers = [
        asyncio.run(plant.ask(method, url, name, query, None if safe else body))
        for plant in (everything, plants[viewer.sites])
    ]
    here, alone = ((answer.status_code, fields_away(_read(answer))) for answer in answers)
    assert here == alone
    if not safe and (asker.named_a_site or any(number in path for number in ("{action}", "{finding}", "{statement}"))):
        assert 400 <= answers[0].status_code < 500
    foreign = [site for site in others if site in str(here) and site not in f"{url}{query}{body}"]
    assert not foreign


def test_an_engineer_of_another_site_changes_no_action_and_no_finding(plants):
    """What exists elsewhere is refused as what does not exist at all."""
    plant, name = plants[frozenset(SITES)], f"{SETS.index(frozenset({'hoa-binh'}))}-4"
    body = {"text": "x", "reason": "x", "site": "an-phat", "machines": ["press"]}
    asked = 0
    for method, path, _ in operations(plant.app.openapi()):
        for kind, number in (("action", "{action}"), ("finding", "{finding}"), ("statement", "{statement}")):
            if number not in path:
                continue
            (real,) = plant.numbers[kind]["an-phat"]
            answers = [
                asyncio.run(plant.ask(method, path.format(**{kind: one, "file": "0" * 16}), name, [], body))
                for one in (real, "0" * len(real))
            ]
            assert 400 <= answers[0].status_code < 500, (method, path)
            told = [answer.text.replace(one, "-") for answer, one in zip(answers, (real, "0" * len(real)), strict=True)]
            assert told[0] == told[1], (method, path)
            asked += 1
    assert asked > 8


@pytest.mark.parametrize("name", sorted(VIEWERS))
def test_a_quarantined_payload_is_its_site_s(plants, name):
    plant, viewer = plants[frozenset(SITES)], VIEWERS[name]
    rows, count = plant.center.ledger.quarantined("", 100)
    assert count == len(SITES)
    for row in rows:
        answer = asyncio.run(plant.ask("GET", f"/api/v1/quarantine/{row.id}", name, [], None))
        mine = viewer.sees(row.topic.split("/")[2])
        assert answer.status_code == (200 if mine else 404)
        missing = asyncio.run(plant.ask("GET", "/api/v1/quarantine/999", name, [], None))
        if not mine:
            assert answer.json()["detail"].replace(f"payload {row.id}", "payload 999") == missing.json()["detail"]


def test_those_who_see_something_are_told(plants):
    """The property would hold of an API that answers nothing."""
    plant, name = plants[frozenset(SITES)], f"{SETS.index(frozenset({'hoa-binh'}))}-1"
    window = [("from", "2026-03-02"), ("to", "2026-03-03"), ("site", "hoa-binh")]
    for path in ("trend", "losses", "stops", "coverage", "delivery", "quarantine", "findings", "actions"):
        assert asyncio.run(plant.ask("GET", f"/api/v1/{path}", name, window, None)).json()["rows"], path
    sites = asyncio.run(plant.ask("GET", "/api/v1/sites", name, [], None)).json()
    assert [site["id"] for site in sites] == ["hoa-binh"]
    live = asyncio.run(plant.ask("GET", "/api/v1/live", name, [], None)).json()
    assert {row["site"] for row in live} == {"hoa-binh"}


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/health"])
def test_the_center_s_own_state_is_for_administrators(plants, path):
    plant = plants[frozenset(SITES)]
    for name in VIEWERS:
        assert asyncio.run(plant.ask("GET", path, name, [], None)).status_code == 403


def _read(answer):
    """What a file says, without the moment at which it was made."""
    kind = answer.headers.get("content-type", "")
    if "parquet" in kind:
        return parquet.read_table(io.BytesIO(answer.content)).to_pydict()
    if "spreadsheet" in kind:
        return [list(sheet.values) for sheet in load_workbook(io.BytesIO(answer.content))]
    try:
        return answer.json()
    except ValueError:
        return answer.text
