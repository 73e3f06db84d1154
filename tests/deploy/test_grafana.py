"""Boards of Grafana: every question is asked of real servers, and the ratios that InfluxDB computes are those of the API."""

import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import httpx
import pytest

sys.path.append(str(Path(__file__).parent.parent / "center"))

from center_plant import envelope, ns, running, site_body
from grafana_plant import GRAFANA, PATHS, Filled, Infinity, InfluxQl, boards, provisioned
from influx_plant import Influxd, is_2x
from ruamel.yaml import YAML
from servers import PATIENCE_S, built, eventually, free_port
from whole_center import Center, run

from center.commands import accounts as door
from oee.model.facts import MINUTE_NS
from oee.model.states import State
from wire.bodies import Live, LiveMachine, Status
from wire.envelope import pack_message, seal

ROOT = GRAFANA.parents[1]
MS = 1_000_000
T = ns("2026-03-02T06:00:00")
END = T + 240 * MINUTE_NS
RATIOS = ("oee", "oee_low", "oee_high", "coverage", "availability", "performance", "quality")
SCHEMA = built("grafana_schema", GRAFANA.parents[1] / "tests" / "deploy" / "grafana_schema", "main.go", "go.mod")


def _minutes(machine, first, last, **sums):
    return [{"machine": machine, "t": T + minute * MINUTE_NS} | sums for minute in range(first, last)]


def _rows():
    """Four hours of shift A: press-1 is whole, press-2 has a hole, slow pieces and rejects, idle never ran, dead was never seen,
    unjudged has pieces that nobody judged."""
    made = running(T, 90) + _minutes("press-1", 90, 120, breakdown_ms=60_000)
    made += _minutes(
        "press-1",
        120,
        150,
        minor_stop_ms=20_000,
        minor_stop_ideal_known_ms=20_000,
        running_ms=40_000,
        running_ideal_known_ms=40_000,
        pieces_total=3,
        pieces_judged=3,
        pieces_good=2,
        pieces_process_reject=1,
        ideal_total_us=12_000_000,
        ideal_judged_us=12_000_000,
        ideal_good_us=8_000_000,
    )
    made += _minutes(
        "press-1",
        150,
        160,
        unknown_ms=60_000,
        pieces_unwatched=2,
        ideal_unwatched_us=8_000_000,
        pieces_unwatched_good=1,
        ideal_unwatched_good_us=4_000_000,
    )
    made += _minutes("press-1", 160, 180, planned_stop_ms=60_000) + _minutes("press-1", 180, 240, setup_ms=60_000)
    made += running(T, 50, "press-2", pieces_good=7, ideal_good_us=28_000_000)
    made += _minutes("idle", 0, 240, starved_ms=60_000) + _minutes("dead", 0, 240, unknown_ms=60_000)
    made += _minutes(
        "unjudged", 0, 240, running_ms=60_000, running_ideal_known_ms=60_000, pieces_total=5, ideal_total_us=20_000_000
    )
    return made  # fmt: skip


class Plant:
    """InfluxDB with accounts, a center on it, a gateway that sent, and the data sources of deploy/grafana."""

    def __init__(self, folder, stack):
        self.influx = Influxd(folder, auth=True)
        if is_2x():
            pytest.skip("accounts are set up as on 1.8 here")
        stack.callback(self.influx.start().kill)
        self._admin("CREATE USER root WITH PASSWORD 'rootpw' WITH ALL PRIVILEGES", auth=None)
        self._admin("CREATE DATABASE nhip")
        self._admin("CREATE USER nhip WITH PASSWORD 'nhippw'")
        self._admin("GRANT ALL ON nhip TO nhip")
        for line in re.findall(
            r"^(?:CREATE|GRANT) .*$", (GRAFANA / "README.md").read_text(encoding="utf-8"), re.MULTILINE
        ):
            self._admin(line.replace("...", "grafanapw"))
        (folder / "password").write_text("rootpw")
        store = {"kind": "influxdb", "url": self.influx.url, "database": "nhip", "username": "root"}
        store |= {
            "password_file": str(folder / "password"),
            "cache": str(folder / "hours"),
            "books": str(folder / "books"),
        }
        self.center = Center(folder / "center", store=json.dumps(store))
        stack.callback(self.center.stack.close)
        self.center.up()
        self._send()
        self.environment = {
            "NHIP_CENTER_URL": self.center.url,
            "NHIP_API_TOKEN": self.token("grafana", "--all-sites"),
            "NHIP_INFLUXDB_URL": self.influx.url,
            "NHIP_INFLUXDB_USER": "grafana",
            "NHIP_INFLUXDB_PASSWORD": "grafanapw",
            "NHIP_INFLUXDB_DATABASE": "nhip",
        }
        self.api = Infinity(provisioned("api", self.environment))
        self.influxql = InfluxQl(provisioned("influxdb", self.environment))

    def _admin(self, statement, auth=("root", "rootpw")):
        answer = httpx.post(
            f"{self.influx.url}/query", data={"q": statement}, auth=auth, trust_env=False, timeout=PATIENCE_S
        )
        assert answer.status_code == 200, answer.text

    def token(self, name, *more):
        return re.search(r"nhip_\S+", run(door.token, "add", self.center.file, name, *more, "--lang", "en"))[0].strip(
            ".,"
        )

    def _send(self):
        gateway, machines = self.center.gateway, ["press-1", "press-2", "idle", "dead", "unjudged"]
        body = site_body(machines, calendars={"": {"shifts": [
            {"name": "A", "weekdays": list(range(7)), "start_s": 21_600, "end_s": 50_400, "breaks": []}]}})  # fmt: skip
        lost = [
            {"t": T + minute * MINUTE_NS, "state": State.BREAKDOWN, "reason": "kẹt khuôn", "ms": 60_000}
            for minute in range(90, 120)
        ]

        def sent():
            gateway.send(seal("b" * 16, 1, 1, body).data, kind="site")
            gateway.send(envelope(1, _rows(), lost), envelope(2, content={}))
            return gateway.mark() and gateway.mark("b" * 16)

        eventually(sent, every_s=0.5)
        now_ns = time.time_ns()
        gateway.send(pack_message(Status(online=True, at_ns=now_ns)), kind="status")
        gateway.send(
            pack_message(Live(at_ns=now_ns, machines={"press-1": LiveMachine(state="running", since_ns=now_ns)})),
            kind="live",
        )


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    with ExitStack() as stack:
        yield Plant(tmp_path_factory.mktemp("grafana"), stack)


FILLED = Filled(T // MS, END // MS - 1, site="van-long", machine="press-1", bucket="hour", minor="1")
FLEET = Filled(T // MS, END // MS - 1, site=["van-long"], minor="1")


def _filled(name):
    return FLEET if name in ("influxdb-fleet", "influxdb-delivery") else FILLED


def _expected(plant, bucket="all", formula="nakajima", **more):
    window = {"from": "2026-03-02T06:00:00+07:00", "to": "2026-03-02T10:00:00+07:00"}
    return plant.api.get("/trend", site="van-long", bucket=bucket, formula=formula, **window, **more)["rows"]


def _panel(board, title):
    return next(panel for panel in board["panels"] if panel["title"] == title)


def _asked(plant, panel, filled):
    """The rows of all targets, merged as Grafana merges them: by their texts and times."""
    rows = {}
    for target in panel["targets"]:
        for row in plant.influxql.ask(filled(target["query"])):
            rows.setdefault(
                tuple(sorted((k, v) for k, v in row.items() if isinstance(v, str) or k == "time")), {}
            ).update(row)
    return list(rows.values())


def test_boards_are_what_the_script_makes():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "grafana_boards.py"), "--check"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_boards_are_boards_by_grafanas_own_schema(tmp_path):
    if not SCHEMA.exists():
        pytest.skip("no reader of Grafana's schema here: scripts/grafana_schema")
    done = subprocess.run([SCHEMA, *PATHS], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    wrong = json.loads(PATHS[0].read_text(encoding="utf-8"))
    wrong["panels"][0]["gridPos"]["width"], wrong["panels"][1]["title"] = 9, 5
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    done = subprocess.run([SCHEMA, tmp_path / "wrong.json"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "panels[0].gridPos.GridPos: unexpected field 'width'" in done.stdout
    assert "panels[1].title" in done.stdout


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_board_is_whole(path):
    board = json.loads(path.read_text(encoding="utf-8"))
    assert re.fullmatch(r"[a-z0-9-]{8,40}", board["uid"])
    assert board["uid"].endswith(path.parent.name)
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
        names = {item["matcher"]["options"] for item in panel["fieldConfig"]["overrides"]}
        if "oee" in names:
            assert {"oee_low", "oee_high", "coverage"} <= names
            assert panel["description"] == board["description"] != ""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\bmean\(|\bavg\b|\"mean\"", text)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_both_languages_ask_the_same():
    for source in ("api", "influxdb", "prometheus"):
        vi, en = boards(source, "vi"), boards(source, "en")
        assert vi.keys() == en.keys() != set()
        for name, board in vi.items():
            assert [panel["targets"] for panel in board["panels"]] == [panel["targets"] for panel in en[name]["panels"]]
            assert all(
                one["title"] != two["title"] or one["title"] in ("CPU", "Gateway")
                for one, two in zip(board["panels"], en[name]["panels"])
            )


def test_no_secret_is_in_a_file():
    for path in GRAFANA.glob("provisioning/datasources/*.yaml"):
        source = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["datasources"][0]
        assert all(re.fullmatch(r"\$__env\{\w+\}", value) for value in source.get("secureJsonData", {}).values())


def test_every_board_is_provisioned():
    provided = [
        item
        for path in GRAFANA.glob("provisioning/dashboards/*.yaml")
        for item in YAML(typ="safe").load(path.read_text(encoding="utf-8"))["providers"]
    ]
    folders = {item["options"]["path"].removeprefix("/etc/nhip/grafana/boards/") for item in provided}
    assert folders == {f"{path.parent.parent.name}/{path.parent.name}" for path in PATHS}
    uids = [json.loads(path.read_text(encoding="utf-8"))["uid"] for path in PATHS]
    assert len({*uids}) == len(uids)


def test_every_question_to_the_api_is_answered_with_every_column(plant):
    for name, board in boards("api").items():
        for panel in board["panels"]:
            rows = [row for target in panel["targets"] for row in plant.api.ask(target, FILLED)]
            if panel["title"] not in ("Quarantine", "Stops"):
                assert rows, (name, panel["title"])
    rows = plant.api.ask(
        _panel(boards("api")["machine"], "OEE and the range in which it can lie")["targets"][0], FILLED
    )
    expected = _expected(plant, "hour", machine="press-1")
    assert [row["oee"] for row in rows] == [row["kpis"]["oee"] for row in expected]


def test_variables_of_the_api_name_sites_and_machines(plant):
    for lang, machine in (("vi", "Máy press-1"), ("en", "press-1")):
        site, machines, _ = boards("api", lang)["machine"]["templating"]["list"]
        names = plant.api.ask(site["query"]["infinityQuery"], FILLED)
        assert [row["__value"] for row in names] == ["van-long"]
        found = plant.api.ask(machines["query"]["infinityQuery"], FILLED)
        assert {"__value": "press-1", "__text": machine} in found


def test_a_token_sees_its_sites_alone(plant):
    other = provisioned("api", plant.environment | {"NHIP_API_TOKEN": plant.token("other", "--site", "van-long")})
    assert [row["id"] for row in Infinity(other).get("/sites")] == ["van-long"]
    watch = {"Authorization": f"Bearer {plant.token('watching', '--scope', 'watch')}"}
    assert httpx.get(f"{plant.center.url}/api/v1/sites", headers=watch, trust_env=False).status_code == 403


@pytest.mark.parametrize("formula", ["nakajima", "iso22400"])
def test_ratios_of_influxdb_are_those_of_the_api(plant, formula):
    filled = Filled(T // MS, END // MS - 1, site=["van-long"], minor=str(int(formula == "nakajima")))
    found = {row["machine"]: row for row in _asked(plant, boards("influxdb")["influxdb-fleet"]["panels"][0], filled)}
    expected = {row["machine"]: row["kpis"] for row in _expected(plant, formula=formula)}
    assert found.keys() == expected.keys()
    for machine in ("press-1", "idle", "dead", "unjudged"):
        for name in RATIOS:
            assert found[machine].get(name) == (
                expected[machine][name]
                if expected[machine][name] is None
                else pytest.approx(expected[machine][name], rel=1e-9, abs=1e-12)
            ), (machine, name)
    holey, kpis = found["press-2"], expected["press-2"]
    for name in ("oee", "availability", "performance", "quality"):
        assert holey[name] == pytest.approx(kpis[name], rel=1e-9)
    assert holey["oee_low"] <= kpis["oee_low"] + 1e-9
    assert holey["oee_high"] >= kpis["oee_high"] - 1e-9
    assert holey["coverage"] < 1


def test_hours_of_influxdb_are_those_of_the_api(plant):
    board = boards("influxdb")["influxdb-machine"]
    expected = {
        datetime.fromisoformat(row["start"]).timestamp() * 1000: row
        for row in _expected(plant, "hour", machine="press-1")
    }
    found = {row["time"]: row for row in _asked(plant, board["panels"][1], FILLED)}
    assert found.keys() == expected.keys()
    assert len(found) == 4
    for start, row in found.items():
        for name in ("oee", "oee_low", "oee_high", "coverage"):
            wanted = expected[start]["kpis"][name]
            assert row.get(name) == (wanted if wanted is None else pytest.approx(wanted, rel=1e-9, abs=1e-12)), name
    for panel in board["panels"][2:4]:
        for row in _asked(plant, panel, FILLED):
            sums = expected[row.pop("time")]["sums"]
            assert row
            assert all((value or 0) == sums[name] for name, value in row.items())


def test_sums_of_influxdb_are_those_of_the_api(plant):
    board = boards("influxdb")["influxdb-fleet"]
    expected = {row["machine"]: row["sums"] for row in _expected(plant)}
    for panel in board["panels"][1:3]:
        rows = _asked(plant, panel, FLEET)
        assert {row["machine"] for row in rows} <= expected.keys()
        assert len(rows) >= 3
        for row in rows:
            assert all(
                (value or 0) == expected[row["machine"]][name]
                for name, value in row.items()
                if name.endswith("_ms") or name.startswith("pieces")
            )
    (lost,) = _asked(plant, board["panels"][3], FLEET)
    wanted = plant.api.get(
        "/losses",
        site="van-long",
        by="machine,state,reason",
        **{"from": "2026-03-02T06:00:00+07:00", "to": "2026-03-02T10:00:00+07:00"},
    )["rows"]
    (row,) = [row for row in wanted if row["state"] == "breakdown"]
    assert (lost["machine"], lost["state"], lost["reason"], lost["ms"]) == (
        row["machine"],
        "breakdown",
        row["reason"],
        row["ms"],
    )


def test_delivery_in_influxdb(plant):
    recorded, last, unknown, marks = boards("influxdb")["influxdb-delivery"]["panels"]
    found = {(row["machine"], row["time"]): row["recorded"] for row in _asked(plant, recorded, FLEET)}
    assert found["press-1", T // MS] == 1
    assert found["press-2", T // MS] == pytest.approx(50 / 60)
    assert last["transformations"][-1]["options"]["excludeByName"] == {"Time": False, "last": True}
    ends = {row["machine"]: row["time"] for row in _asked(plant, last, FLEET)}
    assert ends["press-2"] == (T + 49 * MINUTE_NS) // MS
    assert ends["dead"] == (T + 239 * MINUTE_NS) // MS
    assert {row["machine"]: row["unknown_ms"] for row in _asked(plant, unknown, FLEET)}["dead"] == 240 * 60_000
    streams = plant.api.get("/delivery", site="van-long")["rows"]
    settled = {(row["stream"], row["mark"]) for row in streams if row["kind"] == "facts"}
    assert settled == {(row["stream"], row["mark"]) for row in _asked(plant, marks, FLEET)}


def test_every_question_to_influxdb_is_answered(plant):
    for name, board in boards("influxdb").items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                plant.influxql.ask(_filled(name)(target["query"]))
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                values = {row["value"] for row in plant.influxql.ask(FILLED(variable["query"]))}
                assert values == (
                    {"van-long"} if variable["name"] == "site" else {"press-1", "press-2", "idle", "dead", "unjudged"}
                )


def test_the_account_of_the_boards_cannot_write(plant):
    answer = plant.influxql.client.post("/write", params={"db": "nhip"}, content="facts,site=van-long running_ms=1i")
    assert answer.status_code == 403
    answer = plant.influxql.client.post("/query", data={"db": "nhip", "q": "DROP MEASUREMENT facts"})
    assert "not authorized" in answer.text


def test_every_question_to_prometheus_is_answered(plant, tmp_path):
    if shutil.which("prometheus") is None:
        pytest.skip("no prometheus here: scripts/packages")
    config = YAML(typ="safe").load((GRAFANA / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    (tmp_path / "token").write_text(plant.token("prometheus", "--scope", "watch"))
    job["authorization"]["credentials_file"] = str(tmp_path / "token")
    job["static_configs"][0]["targets"], job["scrape_interval"] = [f"127.0.0.1:{plant.center.port}"], "500ms"
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    url = provisioned("prometheus", {"NHIP_PROMETHEUS_URL": f"http://127.0.0.1:{port}"})["url"]
    command = [
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:

            def asked(expr):
                answer = client.get("/api/v1/query", params={"query": expr.replace("$__rate_interval", "30s")})
                return answer.json()["data"]["result"]

            def scraped():
                try:
                    return asked("count_over_time(nhip_center_up[30s]) > 2")
                except httpx.HTTPError:
                    return None

            eventually(scraped, every_s=0.2)
            (board,) = boards("prometheus").values()
            for panel in board["panels"]:
                for target in panel["targets"]:
                    found = asked(target["expr"])
                    assert found or "held back" in panel["title"], panel["title"]
            assert {
                row["metric"]["part"]: row["value"][1] for row in asked(board["panels"][0]["targets"][0]["expr"])
            } == {"store": "1", "broker": "1"}
    finally:
        process.kill()
        process.wait()
