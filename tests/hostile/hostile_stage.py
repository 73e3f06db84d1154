"""A center with its broker, three honest gateways, and what one hostile gateway sends: numbers here stay small and harmless.

Each attack comes from a gateway of its own, so that the budget of one does not hide the next.
"""

import hashlib
import itertools
import json
import os
import signal
import struct
import subprocess
import threading
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import httpx
from center_plant import STREAM, Gateway, center_command, child, envelope, facts, running, site_body
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from servers import PATIENCE_S, eventually, free_port, mosquitto_command

from oee.model.facts import MINUTE_NS, NO_LOSSES
from wire.bodies import facts_body
from wire.envelope import seal

ROOT = Path(__file__).resolve().parents[2]
HONEST = ("honest-1", "honest-2", "honest-3")
PIECES = 10
"""Of one honest envelope: one minute of one machine."""
PACE_S = 0.1
"""Between a receipt and the next envelope: a hundred times what an agent sends, and within its budget."""
PAGES = (
    "/", "/delivery", "/work", "/metrics", "/api/v1/health", "/api/v1/sites", "/api/v1/gateways", "/api/v1/delivery",
    "/api/v1/quarantine",
)  # fmt: skip


class HonestGateway:
    """Sends a minute at a time and waits for its receipt."""

    def __init__(self, port, site, start_ns):
        self.site, self._start_ns, self.seq = site, start_ns, 0
        self._gateway = Gateway(port, site)
        self._gateway.send(seal("b" * 16, 1, 1, site_body()).data, kind="site")

    def send(self):
        """How long the receipt took [s]."""
        self.seq += 1
        payload = envelope(self.seq, running(self._start_ns + self.seq * MINUTE_NS, 1))
        began_s = sent_s = time.monotonic()
        self._gateway.send(payload)
        while self._gateway.mark() < self.seq:
            if time.monotonic() - sent_s > 20:  # as an agent does after a while
                sent_s = time.monotonic()
                self._gateway.send(payload)
            if time.monotonic() - began_s > PATIENCE_S:
                raise AssertionError(f"{self.site} has no receipt of seq {self.seq}")
            time.sleep(0.005)
        return time.monotonic() - began_s

    def close(self):
        self._gateway.close()


class Stage:
    """The center as a process, and its honest gateways."""

    def __init__(self, folder, port):
        self.port, self._config, self._ready = port, folder / "center.yaml", folder / "ready.json"
        store = {"kind": "duckdb", "file": str(folder / "nhip.duckdb"), "memory_limit": "128MB"}
        keys = {"accounts": "off", "broker": f"mqtt://127.0.0.1:{port}", "listen": "127.0.0.1:0", "store": store}
        self._config.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items()))
        self._client = httpx.Client(timeout=PATIENCE_S)
        self.start()
        now_ns = time.time_ns() // MINUTE_NS * MINUTE_NS
        self.honest = [HonestGateway(port, site, now_ns - 10_000 * MINUTE_NS) for site in HONEST]

    def start(self):
        self._ready.unlink(missing_ok=True)
        command = center_command(self._config, self._ready)
        self.process = subprocess.Popen(command, cwd=ROOT)
        eventually(lambda: self._ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None
        self.url = json.loads(self._ready.read_text())["url"]
        eventually(lambda: self.get("/api/v1/health").json()["broker"] == "ok")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0

    def get(self, path):
        return self._client.get(f"{self.url}{path}")

    def answers_everybody(self):
        """Every page, for whoever may see all sites. Returns how long each took [s]."""
        took_s = {}
        for path in (*PAGES, *(f"/machine/{site}/press-1" for site in HONEST)):
            began_s = time.monotonic()
            answer = self.get(path)
            took_s[path] = time.monotonic() - began_s
            assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
            assert len(answer.content) < 2_000_000, path
        return took_s

    def sums_are_exact(self):
        for gateway in self.honest:
            answer = self.get(f"/api/v1/trend?site={gateway.site}&from=2026-01-01&to=2199-12-31&bucket=all").json()
            found = sum(row["sums"]["pieces_good"] for row in answer["rows"])
            assert found == PIECES * gateway.seq, gateway.site

    def most_mb(self):
        """The most memory that the center has had [MB]."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024

    def cpu_s(self):
        """CPU time of the center so far [s]."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @contextmanager
    def honest_work(self):
        """The honest gateways send one after the other within the block. Yields how long their receipts took [s]."""
        took_s, over, failed = [], threading.Event(), []

        def work(gateway):
            try:
                while not over.wait(PACE_S):
                    took_s.append(gateway.send())
            except AssertionError as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(gateway,)) for gateway in self.honest]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: failed or len(took_s) >= 2 * len(threads))
            yield took_s
            before = len(took_s)
            eventually(lambda: failed or len(took_s) >= before + 2 * len(threads))
        finally:
            over.set()
            for thread in threads:
                thread.join(PATIENCE_S)
        assert not failed, failed

    def close(self):
        for gateway in self.honest:
            gateway.close()
        self._client.close()
        self.stop()


def _limits():
    """Of the broker, as deploy/ sets them."""
    text = (ROOT / "deploy" / "mosquitto" / "nhip.conf").read_text(encoding="utf-8")
    return "".join(f"{line}\n" for line in text.splitlines() if line.startswith("max_") and "max_qos" not in line)


@contextmanager
def stage(folder):
    port = free_port()
    with child(mosquitto_command(folder, port, f"allow_anonymous true\n{_limits()}"), port):
        made = Stage(folder, port)
        try:
            yield made
        finally:
            made.close()


class Hostile:
    """A gateway of the site `hostile` that sends without waiting. prepared: what it sends is made first, and sent by `begin`, so that
    making it takes no time from anybody.
    """

    def __init__(self, port, name, *, prepared=False):
        self._gateway, self._seq = Gateway(port, "hostile", name), itertools.count(1)
        self._prepared = [] if prepared else None

    def sealed(self, content, kind="facts"):
        """Content in a sound envelope."""
        self.send(seal(STREAM, next(self._seq), 1, content).data, kind)

    def send(self, payload, kind="facts", **more):
        self._do(lambda: self._gateway.send(payload, kind=kind, **more))

    def burst(self, payloads, kind="facts"):
        """Sends all of them before it waits for the broker to have them."""
        self._do(lambda: self._gateway.burst(payloads, kind))

    def generation(self):
        """What the center calls its ledger, as its receipts say; sends what is prepared."""
        self.begin()
        return eventually(lambda: self._gateway.receipts and self._gateway.receipts[-1].generation)

    def begin(self):
        """Sends what is prepared."""
        while self._prepared:
            self._prepared.pop(0)()

    def close(self):
        self._gateway.close()

    def _do(self, step):
        if self._prepared is None:
            step()
        else:
            self._prepared.append(step)


def _raw(body, seq):
    """A sound header around any compressed body."""
    head = struct.pack(">2sBB8sQq", b"NH", 1, 1, bytes.fromhex(STREAM), seq, 1)
    return head + hashlib.sha256(head + body).digest()[:20] + body


def _now_ns():
    return time.time_ns() // MINUTE_NS * MINUTE_NS


def sums_beyond_64_bits(hostile):
    """Rows each of which is allowed, and whose sum no column holds."""
    hour = _now_ns() - 600 * MINUTE_NS
    for part in range(12):
        rows = [
            {"t": hour + at % 60 * MINUTE_NS, "n": part * 200 + at // 60, "ideal_total_us": 10**14} for at in range(9)
        ]
        hostile.sealed(facts_body(facts(rows), NO_LOSSES, []))
    many = [{"t": hour + at % 60 * MINUTE_NS, "n": at // 60, "ideal_total_us": 10**14} for at in range(12_000)]
    hostile.sealed(facts_body(facts(many), NO_LOSSES, []))


def many_site_bodies(hostile):
    """Revisions of one body, valid from ever later."""
    for number in range(300):
        hostile.sealed(site_body(valid_from=_now_ns() + number * 10**9, config_hash=f"h{number}"), "site")


def tiny_objects(hostile):
    """Small envelopes that unpack to very many objects."""
    for seq, text in enumerate((b"[" + b"[]," * 10**7 + b"[]]", b"[" + b'{"a":0},' * 10**6 + b"0]", b" " * 10**7), 1):
        hostile.send(_raw(zlib.compress(text), seq))


def junk(hostile):
    """Payloads that are no envelopes."""
    for number in range(2_000):
        hostile.send(f"junk {number}".encode().ljust(200))


def huge_bodies(hostile):
    """More machines, shifts and names than there are, in sound bodies."""
    machine, shift = {"name": {}}, {"name": "A", "weekdays": [0], "start_s": 0, "end_s": 9}
    hostile.sealed(site_body() | {"machines": {f"m{number}": machine for number in range(100_000)}}, "site")
    hostile.sealed(site_body() | {"calendars": {"": {"shifts": [shift] * 20_000}}}, "site")
    hostile.sealed(site_body() | {"name": {"vi": "x" * 10**6, "en": "x"}}, "site")
    hostile.sealed(facts_body(facts([{"t": 0, "machine": f"m{number}"} for number in range(5_000)]), NO_LOSSES, []))


def numbers_beyond_their_kind(hostile):
    """In messages that are only shown."""
    for text in (
        '{"online":true,"at_ns":1,"waiting":1' + "0" * 400 + "}",
        '{"online":true,"at_ns":1,"clock":{"by":"ntp","error_s":1e308}}',
        '{"online":true,"at_ns":1,"health":{"rss_mb":1e308,"uptime_s":-1e308}}',
        '{"online":true,"at_ns":1,"waiting":9007199254740991,"health":{"rss_mb":1e15}}',
    ):
        hostile.send(text.encode(), "status")
    hostile.send(b'{"at_ns":1,"machines":{"m":{"state":"running","since_ns":1,"pieces":1' + b"0" * 400 + b"}}}", "live")


def a_body_of_the_far_future(hostile):
    hostile.sealed(site_body(valid_from=2**63 - 1), "site")


def statuses_that_unpack_to_much(hostile):
    """Two kilobytes each that become half a megabyte of small parts."""
    faults = ",".join(['{"device":"a","code":"b"}'] * 17_000)
    packed = zlib.compress(f'{{"online":true,"at_ns":1,"faults":[{faults}]}}'.encode())
    hostile.burst([packed] * 1_000, "status")


def ever_new_notices(hostile):
    """Rows of a database, of which no status may bring many."""
    for number in range(0, 6_000, 20):
        said = [
            {"id": f"n{number + one}", "at_ns": 1, "machine": "m", "kind": "note", "text": "x"} for one in range(20)
        ]
        hostile.send(json.dumps({"online": True, "at_ns": 1, "notices": said}).encode(), "status")


def the_wolf_is_coming(hostile):
    """Receipts that the center never gave: its ledger seems to be an older copy."""
    hostile.send(envelope(1, running(_now_ns() - 60 * MINUTE_NS, 1)))
    generation = hostile.generation()
    for number in range(200):
        status = {"online": True, "at_ns": 1, "generation": generation, "marks": {STREAM: 10 + number}}
        hostile.send(json.dumps(status).encode(), "status")


def thousands_of_messages_at_once(hostile, count=3_000):
    """As fast as the line takes it, without waiting for the broker."""
    hostile.burst([f"junk {number}".encode().ljust(100) for number in range(count)])


def messages_with_many_properties(hostile):
    """A broker passes the properties of a message on to the center."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("a", "b")] * 8_000
    for number in range(20):
        hostile.send(b'{"online":true,"at_ns":%d}' % number, "status", properties=properties)


def an_envelope_that_the_broker_keeps(hostile):
    hostile.send(envelope(1, running(_now_ns() - 60 * MINUTE_NS, 1)), retain=True)


ATTACKS = (
    sums_beyond_64_bits, many_site_bodies, tiny_objects, junk, huge_bodies, numbers_beyond_their_kind,
    a_body_of_the_far_future, an_envelope_that_the_broker_keeps, statuses_that_unpack_to_much, ever_new_notices,
    the_wolf_is_coming, thousands_of_messages_at_once, messages_with_many_properties,
)  # fmt: skip
