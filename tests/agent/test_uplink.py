"""Delivery over real brokers: nothing but a receipt frees an envelope, and nothing that happens on the way loses one."""

import asyncio
import random
import time
from contextlib import asynccontextmanager, suppress

import edge_brokers as brokers
import paho.mqtt.client as paho
import pytest
from servers import PATIENCE_S, until

from agent.outbox import envelopes as on_disk
from agent.outbox.outbox import Outbox
from agent.process.health import Health
from agent.store.outbox_thread import all_streams
from agent.uplink import in_flight
from agent.uplink.mqtt.broker import Broker
from agent.uplink.reception import UplinkHooks
from agent.uplink.sender import Sender
from agent.uplink.stream_window import SendLimits
from agent.uplink.uplink import Uplink
from center.ingest.mqtt import BrokerSettings as CenterBroker
from center.ingest.worker import Ingest
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from wire.bodies import LiveMachine, Status

PATIENT = SendLimits(listen_first_s=0.2)
FAST = SendLimits(resend_after_s=0.5, resend_at_most_s=1.0, hole_after_s=0.3, listen_first_s=0.2)


class Gateway:
    """An uplink on a real outbox, without machines."""

    def __init__(self, path, port, limits=PATIENT, hooks=lambda _: {}, **account):
        self.outbox = Outbox(path)
        self.sender = Sender(all_streams(self.outbox), self.outbox.settings().get("generation", ""), limits)
        self.health = Health()
        self.learned = []
        hooks = UplinkHooks(self._read, self._learned, self._status, time.time_ns, **hooks(self))
        broker = Broker("127.0.0.1", port, **account)
        self.uplink = Uplink(broker, self.sender, hooks, self.health, site="test", gateway="main")

    async def _read(self, keys):
        return on_disk.read(self.outbox.file, keys)

    def _learned(self, learned):
        self.learned.append(learned)
        self.outbox.receipted(
            {name: item.marks for name, item in self.sender.streams.items()}, self.sender.generation, 1
        )

    def _status(self):
        return Status(online=True, at_ns=time.time_ns(), waiting=self.sender.waiting, generation=self.sender.generation)

    def commit(self, *numbers, kind="facts"):
        for sealed in self.outbox.commit([(kind, {"n": number}) for number in numbers], {}, time.time_ns()):
            self.sender.on_disk(sealed.key.stream, last=sealed.key.seq)
        self.uplink.nudge()


@asynccontextmanager
async def running(gateway, port=None, **options):
    """Runs a gateway, or one made of a path, a port and options."""
    if port is not None:
        gateway = Gateway(gateway, port, **options)
    task = asyncio.create_task(gateway.uplink.run())
    try:
        yield gateway
    finally:
        gateway.uplink.stop()
        await asyncio.wait_for(task, PATIENCE_S)
        gateway.outbox.close()


@pytest.fixture
def broker(tmp_path):
    with brokers.mosquitto(tmp_path) as running_broker:
        yield running_broker


async def test_envelopes_arrive_once_in_order_site_first(broker, tmp_path):
    with brokers.Center(broker.port) as center:
        async with running(tmp_path / "o.db", broker.port) as gateway:
            gateway.commit(*range(1, 101))
            gateway.commit(1, kind="site")
            await until(lambda: gateway.sender.waiting == 0)
            assert center.seqs() == list(range(1, 101))
            assert center.seqs("site") == [1]
            assert center.arrived[0][0] == "site"
            assert gateway.health.snapshot()["mqtt_version"] == 5
            assert on_disk.waiting(gateway.outbox.file) == []
        assert center.plain["status"][0]["online"]
        brokers.eventually(lambda: center.plain["status"][-1]["online"] is False)


async def test_without_a_receipt_it_is_sent_again_with_backoff(broker, tmp_path):
    with brokers.Center(broker.port, silent=True) as center:
        async with running(tmp_path / "o.db", broker.port, limits=FAST) as gateway:
            gateway.commit(1, 2)
            await until(lambda: len(center.seqs()) >= 6)
            assert gateway.sender.waiting == 2
            center.receipt()
            await until(lambda: gateway.sender.waiting == 0)


async def test_a_puback_without_a_center_frees_nothing(broker, tmp_path):
    async with running(tmp_path / "o.db", broker.port, limits=FAST) as gateway:
        gateway.commit(1, 2, 3)
        await until(lambda: gateway.health.snapshot().get("publishes_without_subscriber", 0) >= 3)
        assert len(on_disk.waiting(gateway.outbox.file)) == 3
        with brokers.Center(broker.port):
            await until(lambda: gateway.sender.waiting == 0)


async def test_the_broker_is_killed_and_comes_back(broker, tmp_path):
    with brokers.Center(broker.port) as center:
        async with running(tmp_path / "o.db", broker.port, limits=FAST) as gateway:
            gateway.commit(1)
            await until(lambda: gateway.sender.waiting == 0)
            broker.kill()
            await until(lambda: not gateway.uplink.connected)
            gateway.commit(2, 3)
            broker.start()
            await until(lambda: gateway.sender.waiting == 0)
            assert set(center.seqs()) == {1, 2, 3}


async def test_a_restarted_agent_sends_only_what_has_no_receipt(broker, tmp_path):
    with brokers.Center(broker.port) as center:
        async with running(tmp_path / "o.db", broker.port) as gateway:
            gateway.commit(1, 2)
            await until(lambda: gateway.sender.waiting == 0)
        center.silent = True
        async with running(tmp_path / "o.db", broker.port) as gateway:
            gateway.commit(3)
            await until(lambda: 3 in center.seqs())
        center.silent = False
        async with running(tmp_path / "o.db", broker.port) as gateway:
            await until(lambda: gateway.sender.waiting == 0)
        assert center.seqs()[:2] == [1, 2]
        assert set(center.seqs()[2:]) == {3}


async def test_a_new_generation_gets_everything_again(broker, tmp_path):
    with brokers.Center(broker.port) as center:
        async with running(tmp_path / "o.db", broker.port) as gateway:
            gateway.commit(1, 2, 3, 4)
            await until(lambda: gateway.sender.waiting == 0)
            stream = center.arrived[0][1]
            center.generation = "g2"  # restored from a backup that knew only the first
            center.settled = {stream: ("facts", {1})}
            center.arrived.clear()
            center.receipt()
            await until(lambda: len(center.seqs()) == 3 and gateway.sender.waiting == 0)
            assert center.seqs() == [2, 3, 4]
            assert gateway.outbox.settings()["generation"] == "g2"
            await until(lambda: center.plain["status"][-1].get("generation") == "g2")


async def test_holes_are_filled_from_any_order_of_receipts(broker, tmp_path):
    with brokers.Center(broker.port, silent=True) as center:
        async with running(tmp_path / "o.db", broker.port, limits=SendLimits(hole_after_s=0.3)) as gateway:
            gateway.commit(*range(1, 7))
            await until(lambda: len(center.seqs()) == 6)
            stream = center.arrived[0][1]
            center.settled = {stream: ("facts", {1, 3, 6})}  # 2, 4 and 5 never came
            center.receipt()
            await until(lambda: len(center.seqs()) == 9)
            assert center.seqs()[6:] == [2, 4, 5]


async def test_nonsense_receipts_are_counted_and_change_nothing(broker, tmp_path):
    with brokers.Center(broker.port, silent=True) as center:
        async with running(tmp_path / "o.db", broker.port) as gateway:
            gateway.commit(1)
            await until(center.seqs)
            for payload in (b"", b"{}", b'{"generation":"g","at_ns":1,"streams":{"x":{"kind":"facts","mark":-1}}}'):
                center.client.publish("nhip/v1/test/main/receipt", payload, 1)
            await until(lambda: gateway.health.snapshot().get("receipts_unreadable", 0) == 3)
            assert gateway.sender.waiting == 1


async def test_live_at_once_on_a_change_and_the_will_when_it_dies(broker, tmp_path):
    def machines(state, pieces):
        return {"m": LiveMachine(state=state, since_ns=1, pieces=pieces)}

    with brokers.Center(broker.port) as center:
        async with running(tmp_path / "o.db", broker.port) as gateway:
            await until(lambda: gateway.uplink.connected)
            gateway.uplink.announcements.show(machines("running", 1))
            await until(lambda: center.plain.get("live"))
            gateway.uplink.announcements.show(machines("running", 2))  # pieces alone are no reason
            await asyncio.sleep(1.3)
            assert len(center.plain["live"]) == 1
            gateway.uplink.announcements.show(machines("breakdown", 2))
            await until(lambda: len(center.plain["live"]) == 2)
            assert center.plain["live"][-1]["machines"]["m"]["state"] == "breakdown"
            gateway.uplink._session.close(goodbye=False)  # as if the power had gone
            await until(lambda: center.plain["status"][-1]["online"] is False)


async def test_a_broker_of_3_1_1_only(tmp_path):
    with brokers.amqtt() as broker, brokers.Center(broker.port, version=paho.MQTTv311) as center:
        async with running(tmp_path / "o.db", broker.port) as gateway:
            gateway.commit(1, 2, 3)
            await until(lambda: gateway.sender.waiting == 0)
            assert sorted(set(center.seqs())) == [1, 2, 3]
            assert gateway.health.snapshot()["mqtt_version"] == 4
            assert gateway.health.snapshot()["mqtt_version_refused"] == 1


ACL = """allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
"""


def make_accounts(folder):
    brokers.subprocess.run(["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), "gate", "secret"], check=True)
    (folder / "acl").write_text(
        "user gate\ntopic write nhip/v1/test/main/status\ntopic read nhip/v1/test/main/receipt\n"
    )
    (folder / "password").write_text("secret\n")


async def test_a_refused_publish_is_counted_and_frees_nothing(tmp_path):
    make_accounts(tmp_path)
    with brokers.mosquitto(tmp_path, ACL.format(folder=tmp_path)) as broker:
        account = {"username": "gate", "password_file": tmp_path / "password"}
        async with running(tmp_path / "o.db", broker.port, limits=FAST, **account) as gateway:
            gateway.commit(1)
            await until(lambda: gateway.health.snapshot().get("publishes_refused", 0) >= 2)
            assert len(on_disk.waiting(gateway.outbox.file)) == 1


async def test_a_wrong_password_is_tried_again_slowly_and_can_be_mended(tmp_path, caplog):
    make_accounts(tmp_path)
    (tmp_path / "password").write_text("wrong")
    with brokers.mosquitto(tmp_path, ACL.format(folder=tmp_path)) as broker:
        account = {"username": "gate", "password_file": tmp_path / "password"}
        async with running(tmp_path / "o.db", broker.port, **account) as gateway:
            await until(lambda: gateway.health.snapshot().get("uplink_lost", 0) >= 2)
            assert "check username, password_file" in caplog.text
            (tmp_path / "password").write_text("secret")
            await until(lambda: gateway.uplink.connected)


async def test_what_was_published_before_the_center_listened_goes_out_again_at_its_hello(broker, tmp_path):
    """The broker has acknowledged it and nobody heard it: the first receipt says so, and nobody waits a minute."""
    patience = SendLimits(listen_first_s=0.2, hole_after_s=0.5)
    async with running(tmp_path / "o.db", broker.port, limits=patience) as gateway:
        gateway.commit(*range(1, 6))
        await until(lambda: gateway.health.snapshot().get("publishes_without_subscriber", 0) >= 5)
        store = open_store({"file": str(tmp_path / "center.duckdb")})
        ingest = Ingest(center_state(store), CenterBroker("127.0.0.1", broker.port))
        ingest.start()
        try:
            await until(lambda: gateway.sender.waiting == 0)
        finally:
            await asyncio.to_thread(ingest.stop)
            store.close()
        assert gateway.health.snapshot()["envelopes_sent"] == 10


def test_a_refused_bundle_is_named(tmp_path):
    assert f"{tmp_path / 'x.bundle'} is not valid" in Broker("127.0.0.1", 1, bundle=tmp_path / "x.bundle").cure(0x86)
    assert "password_file" in Broker("127.0.0.1", 1).cure(0x87)
    assert "by itself" in Broker("127.0.0.1", 1).cure(0x89)


class Proxy:
    """Accepts at once, and ends the connection while nothing stands behind it."""

    def __init__(self, target):
        self.target, self.up, self.turned_away = target, False, 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        if not self.up:
            self.turned_away += 1
            writer.close()
            return
        behind = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(self._copy(reader, behind[1]), self._copy(behind[0], writer))

    @staticmethod
    async def _copy(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.mark.parametrize("tries", [1, 2])
async def test_a_proxy_that_accepts_for_a_broker_that_is_down(broker, tmp_path, tries):
    """Whichever version was tried last, the better one is agreed on once the broker answers."""
    async with Proxy(broker.port) as proxy, running(tmp_path / "o.db", proxy.port) as gateway:
        await until(lambda: proxy.turned_away >= tries)
        proxy.up = True
        await until(lambda: gateway.uplink.connected)
        assert gateway.health.snapshot()["mqtt_version"] == 5


async def test_a_password_file_that_is_not_there_is_named(broker, tmp_path, caplog):
    absent = tmp_path / "absent"
    async with running(tmp_path / "o.db", broker.port, username="u", password_file=absent) as gateway:
        await until(lambda: gateway.health.snapshot().get("uplink_lost", 0) >= 1)
    assert f"cannot read center.password_file {absent}: No such file" in caplog.text


class SilentProxy(Proxy):
    """Passes everything on but publishes of one kind while `refuses`, as a broker that refuses without a word."""

    refuses = "facts"

    async def _serve(self, reader, writer):
        behind = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(self._filter(reader, behind[1]), self._copy(behind[0], writer))

    async def _filter(self, reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head, length, shift = await reader.readexactly(1), 0, 0
                while True:
                    head += await reader.readexactly(1)
                    length, shift = length | (head[-1] & 0x7F) << shift, shift + 7
                    if head[-1] < 0x80:
                        break
                packet = await reader.readexactly(length)
                topic = packet[2 : 2 + int.from_bytes(packet[:2])] if head[0] >> 4 == 3 else b""
                if not (self.refuses and topic.endswith(self.refuses.encode())):
                    writer.write(head + packet)
                    await writer.drain()
        writer.close()


async def test_what_a_broker_never_acknowledges_is_told_and_holds_up_nothing_else(
    broker, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(in_flight, "UNANSWERED_S", 0.5)
    monkeypatch.setattr(in_flight, "PROBATION_S", 2.0)
    with brokers.Center(broker.port) as center:
        async with SilentProxy(broker.port) as proxy, running(tmp_path / "o.db", proxy.port) as gateway:
            pads = [random.Random(number).randbytes(4000).hex() for number in range(40)]  # more than may be in flight
            gateway.outbox.commit([("facts", {"pad": pad}) for pad in pads], {}, 1)
            gateway.sender.replace(all_streams(gateway.outbox, values=True))
            gateway.commit(*range(1, 6), kind="values")
            await until(lambda: center.seqs("values") == [1, 2, 3, 4, 5])
            assert center.seqs() == []
            assert "does not acknowledge what is published on nhip/v1/test/main/facts" in caplog.text
            proxy.refuses = ""
            await until(lambda: gateway.sender.waiting == 0)
            assert set(center.seqs()) == set(range(1, 41))
            assert gateway.health.snapshot()["publishes_unanswered"] >= 1
