"""Envelopes brought in by hand and quarantined payloads looked at and tried again, over HTTP and without a center."""

import asyncio
import base64
import json
import re

import httpx
import numpy as np
import pytest
from center_plant import STREAM, envelope, eventually, ns, running, site_body
from click.testing import CliRunner
from scraped import samples
from servers import PATIENCE_S

from center.api.app import create_app
from center.api.quarantine import BoxDecisions, add_quarantine
from center.api.upkeep.metrics import add_metrics
from center.commands import imports
from center.commands import quarantine as commands
from center.contract.ledger import Changes
from center.contract.store import Origin, Query, RowBatch, StoreUnavailable, ValueQuery
from center.ingest.mqtt import BrokerSettings
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.worker import Ingest
from center.model.sites import Owner
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS, NO_FACTS, NO_LOSSES
from wire.offline_transfer import FORMAT, TransferHead, TransferItem, pack, pack_item
from wire.topics import Topic
from wire.values import Values

T = ns("2026-03-02T08:00:00")
ALL = Query("van-long", 0, 2**62, by=("machine",))
NDJSON = {"Content-Type": "application/x-ndjson"}


class Http:
    """Asks the application as if from this address."""

    def __init__(self, app, host):
        self._transport = httpx.ASGITransport(app, client=(host, 50_000))

    def get(self, url, **more):
        return asyncio.run(self._ask("GET", url, **more))

    def post(self, url, **more):
        return asyncio.run(self._ask("POST", url, **more))

    async def _ask(self, method, url, **more):
        async with httpx.AsyncClient(transport=self._transport, base_url="http://center", timeout=PATIENCE_S) as client:
            return await client.request(method, url, **more)


class Plant:
    """A center with its worker, whose MQTT session is never opened."""

    def __init__(self, path):
        self.store = open_store({"file": str(path)})
        self.center = center_state(self.store)
        self.ingest = Ingest(self.center, BrokerSettings("127.0.0.1", 9))
        self.ingest._worker.start()
        app = create_app(self.center)
        decisions = BoxDecisions(self.center, self.ingest, lambda *_: None)
        add_quarantine(app, self.center, self.ingest, decisions)
        add_metrics(app, self.center)
        self.http, self.far = Http(app, "127.0.0.1"), Http(app, "192.0.2.7")

    def post(self, *items, site="van-long", gateway="main", http=None, headers=NDJSON):
        lines = b"".join(pack_item(TransferItem(*item)) for item in items)
        query = {"site": site, "gateway": gateway}
        return (http or self.http).post("/api/v1/envelopes", params=query, content=lines, headers=headers)

    def pieces(self):
        found = self.store.facts(ALL)
        return dict(zip(found.machine.tolist(), found.column("pieces_good").tolist(), strict=True))

    def close(self):
        self.ingest.stop()
        self.store.close()


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path / "nhip.duckdb")
    yield made
    made.close()


def facts(seq, machine="press-1", **more):
    return "facts", envelope(seq, running(T + seq * MINUTE_NS, 1, machine), **more)


def test_envelopes_are_counted_once_however_often_they_come(plant):
    site = ("site", envelope(1, content=site_body(), stream="00000000000000bb"))
    some = [site, *(facts(seq) for seq in (3, 1, 2))]
    assert plant.post(*some).json() == {"envelopes": 4, "settled": 4, "unsound": 0, "refused": 0}
    assert plant.post(*some, facts(4)).json()["settled"] == 5
    assert plant.pieces() == {"press-1": 40}
    rows = plant.http.get("/api/v1/delivery").json()["rows"]
    assert {row["stream"]: (row["mark"], row["duplicates"]) for row in rows} == {
        STREAM: (4, 3),
        "0" * 14 + "bb": (1, 1),
    }


def test_more_than_one_step_at_once(plant):
    assert plant.post(*(facts(seq) for seq in range(1, 451))).json()["settled"] == 450
    assert plant.pieces() == {"press-1": 4500}


def test_what_is_not_sound_blocks_nothing(plant):
    kind, data = facts(2)
    some = [facts(1), (kind, data[:-1] + b"?"), ("site", data), facts(3, content={"facts": "nonsense"})]
    assert plant.post(*some).json() == {"envelopes": 4, "settled": 2, "unsound": 1, "refused": 1}
    assert plant.pieces() == {"press-1": 10}
    assert plant.http.get("/api/v1/quarantine").json()["count"] == 3


@pytest.mark.parametrize(
    ("status", "more"),
    [
        (415, {"headers": {"Content-Type": "text/plain"}}),
        (422, {"site": "Van Long"}),
        (422, {"gateway": "a/b"}),
    ],
)
def test_who_may_not(plant, status, more):
    assert plant.post(facts(1), **more).status_code == status
    assert plant.pieces() == {}


def test_only_from_this_machine(plant):
    assert plant.post(facts(1), http=plant.far).status_code == 403
    answer = plant.far.post("/api/v1/quarantine/1/replay", json={})
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


@pytest.mark.parametrize("body", [b"nonsense\n", b'{"kind":"status","data":""}\n', b'{"kind":"facts","data":"*"}\n'])
def test_lines_that_are_none(plant, body):
    answer = plant.http.post("/api/v1/envelopes?site=a&gateway=b", content=body, headers=NDJSON)
    assert answer.status_code == 422
    assert "line 1" in answer.json()["detail"]


def test_a_store_that_is_away_says_so(plant, monkeypatch):
    monkeypatch.setattr("center.api.quarantine._WAIT_S", 0.2)

    def away(*_):
        raise StoreUnavailable("no room")

    commit = plant.center.commit
    object.__setattr__(plant.center, "commit", away)
    answer = plant.post(facts(1))
    assert (answer.status_code, answer.json()["error"]) == (503, "store_away")
    object.__setattr__(plant.center, "commit", commit)
    eventually(lambda: plant.pieces() == {"press-1": 10})  # what was begun goes on


def entry(plant):
    return plant.http.get("/api/v1/quarantine").json()["rows"][0]["id"]


def test_a_payload_shown_whole(plant):
    payload = facts(1, content={"facts": "nonsense"})[1]
    plant.post(("facts", payload))
    found = plant.http.get(f"/api/v1/quarantine/{entry(plant)}").json()
    assert base64.b64decode(found["payload"]) == payload
    assert found["envelope"] | {"sealed": ""} == {"stream": STREAM, "seq": 1, "sealed": "", "codec": 0}
    assert (found["content"], found["unreadable"], found["settled"]) == ({"facts": "nonsense"}, "", True)
    plant.post(("facts", b"noise"))
    found = plant.http.get(f"/api/v1/quarantine/{entry(plant)}").json()
    assert (found["envelope"], found["content"]) == (None, None)
    assert "shorter than" in found["unreadable"]
    assert plant.http.get("/api/v1/quarantine/999").status_code == 404


def test_a_machine_handed_over_is_counted_at_last(plant):
    plant.post(facts(1))
    two = envelope(1, [*running(T + 9 * MINUTE_NS, 1), *running(T, 2, "press-2")], stream="00000000000000cc")
    plant.post(("facts", two), gateway="annex")
    number = entry(plant)
    url = f"/api/v1/quarantine/{number}/replay"
    answer = plant.http.post(url, json={}).json()
    assert not answer["released"]
    assert "belongs to gateway 'main'" in answer["reason"]
    assert plant.pieces() == {"press-1": 10, "press-2": 20}
    handed = Changes(owners=[Owner("van-long", "press-1", "annex")])
    plant.ingest.submit(lambda: (plant.store.commit((), handed), plant.center.ledger_cache.adopt(handed))).result(
        PATIENCE_S
    )
    asked = "/api/v1/trend?site=van-long&machine=press-1&bucket=all&from=2026-03-02&to=2026-03-03"
    before = plant.http.get(asked)
    assert plant.http.post(url, json={}).json() == {"id": number, "released": True, "reason": ""}
    assert plant.pieces() == {"press-1": 20, "press-2": 20}
    after = plant.http.get(asked, headers={"If-None-Match": before.headers["etag"]})  # no mark has moved
    assert [answer.json()["rows"][0]["sums"]["pieces_good"] for answer in (before, after)] == [10, 20]
    assert plant.http.get("/api/v1/quarantine").json()["count"] == 0
    (row,) = [row for row in plant.http.get("/api/v1/delivery").json()["rows"] if row["gateway"] == "annex"]
    assert (row["mark"], row["stored"], row["quarantined"]) == (1, 1, 0)
    assert plant.http.post(url, json={}).status_code == 404


def test_a_conflict_and_noise_stay(plant):
    plant.post(facts(1))
    plant.post(facts(1, machine="press-9"))
    plant.post(("facts", b"noise"))
    for row in plant.http.get("/api/v1/quarantine").json()["rows"]:
        answer = plant.http.post(f"/api/v1/quarantine/{row['id']}/replay", json={}).json()
        assert not answer["released"]
        assert re.search("conflict|shorter than", answer["reason"])
    assert plant.pieces() == {"press-1": 10}
    assert plant.http.get("/api/v1/quarantine").json()["count"] == 2


def test_a_center_that_wants_no_values_any_more_has_none(tmp_path):
    """What it kept before goes as well, though none come in."""
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    held = ValueQuery("van-long", ["plc.oil"], 0, 2**62, 0, 10)
    rows = Values(
        np.array(["plc.oil"], object), np.array([T]), np.array([41.5]), np.array([None]), np.zeros(1, np.uint8)
    )
    store.write([RowBatch(Origin("van-long", "main", ""), 1, NO_FACTS, NO_LOSSES, (), rows)])
    assert store.values(held)
    ingest = Ingest(center_state(store, keep_values_ns=0), BrokerSettings("127.0.0.1", 9), patient=False)
    ingest.deliver([EnvelopeMessage(Topic("van-long", "main", "facts"), facts(1)[1])])
    assert store.values(held) == {}
    store.close()


def test_prometheus_hears_what_became_of_it(plant):
    plant.post(facts(1), facts(3), ("facts", b"noise"))
    text = plant.http.get("/metrics").text
    stream = f'{{site="van-long",gateway="main",kind="facts",stream="{STREAM}"}}'
    for line in (
        'nhip_center_up{part="store"} 1',
        'nhip_center_up{part="broker"} 0',
        'nhip_center_ingest_total{outcome="stored"} 2',
        'nhip_center_ingest_total{outcome="unsound"} 1',
        "nhip_center_fact_rows_total 2",
        "nhip_center_quarantined 1",
        f"nhip_center_stream_mark{stream} 1",
        f"nhip_center_stream_holes{stream} 1",
    ):
        assert samples(f"{line}\n") <= samples(text)


# the commands, where no center runs


@pytest.fixture
def stopped(tmp_path):
    path = tmp_path / "center.yaml"
    path.write_text(
        f"accounts: off\nbroker: mqtt://127.0.0.1:9\nlisten: 127.0.0.1:9\nstore: {{kind: duckdb, file: {tmp_path / 'nhip.duckdb'}}}\n"
    )
    return path


def run(command, *arguments):
    return CliRunner().invoke(command, [str(item) for item in arguments])


def test_commands_work_on_the_file_of_a_center_that_is_stopped(stopped, tmp_path):
    stick = tmp_path / "stick"
    items = [TransferItem(*facts(seq)) for seq in (1, 2)] + [TransferItem(*facts(3, content={"facts": "nonsense"}))]
    stick.write_bytes(b"".join(pack(TransferHead("van-long", "main", "now"), items)))
    outcome = json.loads(run(imports.import_file, stick, "--center", stopped, "--json").output)
    assert (outcome["settled"], outcome["skipped"], outcome["complete"]) == (3, 0, True)
    assert "3 were before" in run(imports.import_file, stick, "--center", stopped, "--lang", "en").output
    (row,) = json.loads(run(commands.quarantine, "list", stopped, "--json").output)["rows"]
    assert "1 gói bị cách ly" in run(commands.quarantine, "list", stopped, "--lang", "vi").output
    assert '"nonsense"' in run(commands.quarantine, "show", stopped, row["id"]).output
    again = run(commands.quarantine, "replay", stopped, row["id"], 99, "--lang", "en")
    assert again.exit_code == 1
    assert again.output.count("still in quarantine") == 2
    assert run(commands.quarantine, "show", stopped, 99).exit_code == 1
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    assert store.facts(ALL).column("pieces_good").tolist() == [20]
    store.close()


def test_commands_refuse_with_a_sentence(stopped, tmp_path):
    none = tmp_path / "none"
    assert run(imports.import_file, none, "--center", stopped).exit_code == 2
    none.write_text("nothing of ours")
    assert "does not begin like" in run(imports.import_file, none, "--center", stopped, "--lang", "en").output
    for head, said in (({}, "mới hơn"), ({"version": 1, "site": "No Id"}, "No Id")):
        none.write_text(json.dumps({"format": FORMAT, **head}) + "\n")
        refused = run(imports.import_file, none, "--center", stopped, "--lang", "vi")
        assert refused.exit_code == 2
        assert said in refused.output
    assert run(commands.quarantine, "list", tmp_path / "no.yaml").exit_code == 2
    away = run(commands.quarantine, "list", "http://192.0.2.1:8080", "--lang", "en")
    assert away.exit_code == 2
    assert "not this machine" in away.output
    silent = run(commands.quarantine, "list", "http://127.0.0.1:9", "--lang", "en")
    assert silent.exit_code == 1
    assert "does not answer" in silent.output
