"""Several processes of one center: two ingest workers and a console over a real broker, InfluxDB and PostgreSQL."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from center_plant import STREAM, Gateway, amqtt, child, envelope, eventually, mosquitto, ns, running, site_body
from influx_plant import influx_settings
from postgres_plant import postgres
from prepared import preparable
from servers import PATIENCE_S, free_port, hivemq_command, mochi_command

from center.contract.ledger import Changes
from center.contract.streams import StreamKey, StreamRecord
from center.model.sites import Owner
from center.runtime.opening import close_center, open_center
from config import Misconfigured, load_center, parse_center
from oee.model.facts import MINUTE_NS
from wire.envelope import seal
from wire.marks import Marks

T = ns("2026-03-02T08:00:00")
ROOT = Path(__file__).parents[2]
_PROCESS = preparable("""
import asyncio, signal, sys
from center.run import run
from config import Misconfigured
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run(sys.argv[1], stop, sys.argv[2])
try:
    asyncio.run(main())
except Misconfigured as error:
    sys.exit(f"{error.complaints[0].code} {error}")
""")


def _file(folder, port, role, database, number=0):
    path = folder / f"{role}-{number}.yaml"
    store = json.dumps(
        {"kind": "influxdb"} | influx_settings(folder) | {"cache": str(folder / f"{role}{number}.hours")}
    )
    path.write_text(
        f"broker: mqtt://127.0.0.1:{port}\nlisten: 127.0.0.1:0\nrole: {role}\naccounts: off\n"
        f"database: {database}\nstore: {store}\n"
    )
    return path


class Process:
    def __init__(self, file):
        self.file, self.ready = file, file.with_suffix(".ready")

    def start(self):
        self.ready.unlink(missing_ok=True)
        command = [sys.executable, "-c", _PROCESS, str(self.file), str(self.ready)]
        self.child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
        return self

    def up(self):
        eventually(lambda: self.ready.exists() or self.child.poll() is not None)
        assert self.child.poll() is None, self.child.stderr.read().decode()
        self.url = json.loads(self.ready.read_text())["url"]
        eventually(lambda: self.get("/health")["broker"] == "ok")
        return self

    def get(self, path, **parameters):
        answer = httpx.get(f"{self.url}/api/v1{path}", params=parameters, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self):
        """Exit status and what it said, of a process that ends by itself."""
        said = self.child.communicate(timeout=PATIENCE_S)[1].decode()
        return self.child.returncode, said

    def end(self, number=signal.SIGKILL):
        if self.child.poll() is None:
            self.child.send_signal(number)
        code = self.child.wait(PATIENCE_S)
        self.child.stderr.close()
        return code


@pytest.fixture
def processes():
    made = []

    def one(file):
        made.append(Process(file).start())
        return made[-1]

    yield one
    for process in made:
        process.end()


@contextmanager
def _foreign(command, folder):
    number = free_port()
    with child(command(folder, number), number):
        yield number


@pytest.fixture
def port(tmp_path):
    with mosquitto(tmp_path) as number:
        yield number


SHARING = [
    pytest.param((mosquitto, True), id="mosquitto"),
    pytest.param((partial(_foreign, mochi_command), True), id="mochi"),
    pytest.param((partial(_foreign, hivemq_command), False), id="hivemq", marks=pytest.mark.peers),
]


@pytest.fixture(params=SHARING)
def sharing(request, tmp_path):
    """Brokers with MQTT 5's shared subscriptions: the port, and whether every worker gets some of few messages. HiveMQ gives
    to whoever asks first, which may be the same one for minutes.
    """
    start, in_turn = request.param
    with start(tmp_path) as number:
        yield number, in_turn


GATEWAYS, ENVELOPES = 4, 60


def _sent(site):
    return [
        envelope(seq, running(T + seq * 10 * MINUTE_NS, 10, machine=f"m-{site}")) for seq in range(1, ENVELOPES + 1)
    ]


def _told(gateway):
    return max((receipt.streams[STREAM].mark for receipt in gateway.receipts if STREAM in receipt.streams), default=0)


def _settled(console, site):
    """The stream's row, once the console has heard of everything."""
    (row,) = [row for row in console.get("/delivery", site=site)["rows"] if row["stream"] == STREAM]
    return row if row["mark"] == ENVELOPES else None


def test_two_workers_share_the_work_and_one_is_killed(tmp_path, sharing, processes):
    """Neither order nor who takes an envelope matters: what a worker dies with comes again, to whoever is left. The one that
    has done most is killed.
    """
    (port, in_turn), database = sharing, postgres().database()
    one, other = (processes(_file(tmp_path, port, "ingest", database, number)) for number in (1, 2))
    console = processes(_file(tmp_path, port, "console", database))
    for process in (one, other, console):
        process.up()
    gateways = {f"site-{number}": Gateway(port, site=f"site-{number}") for number in range(GATEWAYS)}
    for site, gateway in gateways.items():
        gateway.send(seal("b" * 16, 1, 1, site_body([f"m-{site}"])).data, kind="site")
        gateway.send(*_sent(site)[: ENVELOPES // 2])

    def worked():
        return [process.get("/health")["ingest"].get("fact_rows", 0) for process in (one, other)]

    eventually(lambda: all(worked()) if in_turn else any(worked()))
    killed, left = (one, other) if worked()[0] >= worked()[1] else (other, one)
    killed.end(signal.SIGKILL)
    for site, gateway in gateways.items():
        gateway.send(*_sent(site)[ENVELOPES // 2 :])

    def again():
        for site, gateway in gateways.items():
            if (told := _told(gateway)) < ENVELOPES:
                gateway.send(*_sent(site)[told:])
        return all(_told(gateway) == ENVELOPES for gateway in gateways.values())

    eventually(again, every_s=1.0)
    eventually(lambda: len(console.get("/sites")) == GATEWAYS)
    window = {"from": "2026-03-02", "to": "2026-03-04", "bucket": "all"}
    for site, gateway in gateways.items():
        (row,) = console.get("/trend", site=site, **window)["rows"]
        assert row["sums"]["pieces_good"] == ENVELOPES * 100
        row = eventually(lambda s=site: _settled(console, s))
        assert (row["stored"], row["quarantined"], row["holes"], row["conflicts"]) == (ENVELOPES, 0, [], 0)
        gateway.close()
    third = processes(_file(tmp_path, port, "ingest", database, 3)).up()
    assert left.get("/health")["ingest"]["fact_rows"] > 0
    assert len({process.get("/health")["generation"] for process in (third, left, console)}) == 1
    assert left.end(signal.SIGTERM) == 0
    assert console.end(signal.SIGTERM) == 0


def test_a_broker_that_cannot_share_is_refused_with_the_cure(tmp_path, processes):
    with amqtt(tmp_path) as port:
        code, said = processes(_file(tmp_path, port, "ingest", postgres().database())).ended()
    assert code == 1
    assert "\nno_shared_subscriptions " in said


def test_one_that_does_everything_does_it_alone(tmp_path, port, processes):
    """Another one waits: the first may have died with its machine, and its locks may outlive it for a while."""
    database = postgres().database()
    alone = processes(_file(tmp_path, port, "all", database)).up()
    other = processes(_file(tmp_path, port, "ingest", database))
    assert b"role ingest, console cannot run beside it" in other.child.stderr.readline()
    assert alone.end(signal.SIGTERM) == 0
    other.up()


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("store: {kind: duckdb}\ndatabase: postgresql://nhip@127.0.0.1/nhip\n", "role_needs_server"),
        ("store: {kind: influxdb, url: http://127.0.0.1:1}\n", "role_needs_postgresql"),
        ("store: {kind: influxdb, url: http://127.0.0.1:1}\ndatabase: sqlite:///f.sqlite\n", "role_needs_postgresql"),
    ],
)
def test_parts_that_cannot_work_together_are_refused_in_the_file(more, code):
    for role in ("ingest", "console"):
        with pytest.raises(Misconfigured) as caught:
            parse_center(f"broker: mqtt://127.0.0.1:1\nrole: {role}\n{more}")
        assert [complaint.code for complaint in caught.value.complaints] == [code]


def test_the_books_move_from_a_file_to_postgresql(tmp_path):
    """The store stays; ledger, owners and quarantine go where several processes can write them."""
    old, new = tmp_path / "old.yaml", _file(tmp_path, 1, "all", postgres().database())
    influx = {"kind": "influxdb", "books": str(tmp_path / "books.duckdb")} | influx_settings(tmp_path)
    old.write_text(f"broker: mqtt://127.0.0.1:1\nstore: {json.dumps(influx)}\n", encoding="utf-8")
    center = open_center(load_center(old))
    key = StreamKey("van-long", "main", STREAM)
    state = StreamRecord("facts", Marks(3), 3)
    center.commit((), Changes({key: state}, {(key, 3): b"digest"}, [Owner("van-long", "press-1", "main", T)]))
    close_center(center)
    command = [sys.executable, str(ROOT / "nhip.py"), "migrate", "--from", str(old), "--to", str(new), "--json"]
    for code in (0, 1):  # the second time the target is not empty
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S)
        assert done.returncode == code, done.stderr
    center = open_center(load_center(new))
    assert center.ledger_cache.streams == {key: state}
    assert center.ledger_cache.digests == {key: {3: b"digest"}}
    assert center.ledger_cache.sites.machines("van-long") == ["press-1"]
    close_center(center)
