"""Real brokers with limits: what they announce is obeyed, what they only act upon is found out, and the rest goes on."""

import asyncio
import re
import socket
from contextlib import closing

import edge_brokers as brokers
import pytest
from servers import until
from silent_broker import SilentBroker
from test_uplink import FAST, Gateway, Proxy, running

from agent.outbox.dividing import Indivisible, divide
from agent.store.outbox_thread import all_streams
from agent.uplink.announcements import _shortened
from agent.uplink.mqtt import session
from agent.uplink.mqtt.session import MQTT311
from oee.model.facts import FACT_COLUMNS, LOSS_COLUMNS, MINUTE_NS
from wire.bodies import DIVIDED, CounterStep, DeviceFault, LiveMachine, Status
from wire.envelope import pack_message
from wire.value_buffer import ValueBuffer
from wire.values import read_values_body, values_bodies

OPEN = "allow_anonymous true\n"


def facts(minutes, machines=3):
    """The body of a facts envelope: rows that differ, so that zlib cannot make them small."""
    names = [f"machine-{number}" for _ in range(minutes) for number in range(machines)]
    rows = len(names)
    keys = {
        "machine": names,
        "minute": [29_000_000 + place // machines for place in range(rows)],
        "n": [place % 3 for place in range(rows)],
        "calendar": ["scheduled"] * rows,
        "date": [20_000] * rows,
        "shift": ["A"] * rows,
        "product": [f"p{place * 7919 % 1009}" for place in range(rows)],
    }
    sums = {name: [place * 104_729 % (9973 + at) for place in range(rows)] for at, name in enumerate(FACT_COLUMNS[:8])}
    lost = {name: [place * 15_485_863 % 9973 for place in range(rows)] for name in LOSS_COLUMNS}
    losses = keys | {"state": ["breakdown"] * rows, "reason": [f"r{place}" for place in range(rows)], "sums": lost}
    stop = {"machine": names[0], "start_ns": 29_000_000 * MINUTE_NS, "state": "breakdown", "revision": 0}
    return {"facts": keys | {"sums": sums}, "losses": losses, "stops": [stop | {"id": str(at)} for at in range(5)]}


def values(rows):
    buffer = ValueBuffer(["d.a", "d.b"])
    for place in range(rows):
        buffer.add(place % 2, 1_000_000 * (place + 1), place * 1.37 if place % 5 else f"text {place}", 0)
    (body,) = values_bodies(buffer)
    return body


def rows_of(bodies):
    """Every row of facts bodies, sorted: what must be the same however it travelled."""
    out = []
    for body in bodies:
        for name in ("facts", "losses"):
            table = body.get(name, {})
            columns = {key: column for key, column in table.items() if key != "sums"}
            for place in range(len(table.get("minute", ()))):
                sums = {key: column[place] for key, column in table["sums"].items() if column[place]}
                keys = {key: column[place] for key, column in columns.items()}
                out.append((name, tuple(sorted(keys.items())), tuple(sorted(sums.items()))))
        out += [("stop", tuple(sorted(stop.items()))) for stop in body.get("stops", ())]
    return sorted(out)


def arrived(center, kind):
    """The contents of a kind, each envelope once."""
    return list({(stream, seq): body for found, stream, seq, body in list(center.arrived) if found == kind}.values())


def divided(gateway):
    """The hook that an agent gives to its uplink."""

    async def hook(key, most_bytes):
        try:
            sealed = gateway.outbox.within(lambda db: divide(db, key, most_bytes, 1))
        except Indivisible:
            return False
        for item in sealed:
            gateway.sender.on_disk(item.key.stream, last=item.key.seq)
        return bool(sealed)

    return hook


class Dividing(Gateway):
    def __init__(self, path, port, **options):
        super().__init__(path, port, hooks=lambda made: {"divide": divided(made)}, **options)

    def put(self, kind, body):
        for sealed in self.outbox.commit([(kind, body)], {}, 1):
            self.sender.on_disk(sealed.key.stream, last=sealed.key.seq)
        self.uplink.nudge()


def older(gateway):
    """As if the broker had been asked and spoke 3.1.1 only, which announces nothing."""
    gateway.uplink._probe._version, gateway.uplink._probe._probed_s = MQTT311, float("inf")


SITE = {"text": [f"{number * 7919 % 100_003}" for number in range(300)]}


@pytest.mark.parametrize(
    ("limit", "version"), [("max_packet_size 700", 5), ("max_packet_size 700", 311), ("message_size_limit 600", 5)]
)
async def test_what_is_too_large_is_divided_or_told_and_the_rest_goes_on(tmp_path, caplog, limit, version):
    """The first envelope is too large, and so is the site body; each row arrives, once, and the site body is told."""
    sent = [facts(40), facts(1), facts(25)]
    with brokers.mosquitto(tmp_path, f"{OPEN}{limit}\n") as broker, brokers.Center(broker.port) as center:
        gateway = Dividing(tmp_path / "o.db", broker.port, limits=FAST)
        if version == 311:
            older(gateway)
        async with running(gateway):
            gateway.put("site", SITE)
            for body in sent:
                gateway.put("facts", body)
            await until(lambda: center.arrived and gateway.sender.waiting == 1)
            assert rows_of(arrived(center, "facts")) == rows_of(sent)
            dropped = [body for body in arrived(center, "facts") if "dropped" in body]
            assert [item["why"] for item in dropped].count(DIVIDED) == 2
            gateway.uplink.announcements.status_changed()
            told = await until(lambda: center.plain["status"][-1].get("link"))
            found = "too_large_named" if limit.startswith("max_packet") and version == 5 else "too_large_found"
            assert {(item["code"], item["values"]["kind"]) for item in told} == {(found, "site")}
            assert "raise the broker's limit" in caplog.text
            assert not center.seqs("site")


async def test_a_limit_that_is_raised_lets_the_rest_through(tmp_path):
    with brokers.mosquitto(tmp_path, f"{OPEN}max_packet_size 700\n") as broker:
        gateway = Dividing(tmp_path / "o.db", broker.port, limits=FAST)
        async with running(gateway):
            gateway.put("site", SITE)
            await until(gateway.uplink._delivery.troubles.all)
            broker.kill()
            with brokers.mosquitto(tmp_path, OPEN, port=broker.port), brokers.Center(broker.port) as center:
                await until(lambda: center.seqs("site") == [1])
                assert gateway.uplink._delivery.troubles.all() == []


async def test_values_are_divided_too_and_stay_what_they_are(tmp_path):
    with brokers.mosquitto(tmp_path, f"{OPEN}max_packet_size 900\n") as broker, brokers.Center(broker.port) as center:
        gateway = Dividing(tmp_path / "o.db", broker.port, limits=FAST)
        async with running(gateway):
            body = values(700)
            gateway.sender.replace(all_streams(gateway.outbox, values=True))
            gateway.put("values", body)
            await until(lambda: gateway.sender.waiting == 0)
        parts = [read_values_body(item) for item in arrived(center, "values") if "values" in item]
        whole = read_values_body(body)
        assert len(parts) > 3
        rows = [tuple(map(str, row)) for part in parts for row in zip(*vars(part).values(), strict=True)]
        assert sorted(rows) == sorted(tuple(map(str, row)) for row in zip(*vars(whole).values(), strict=True))


async def test_a_status_that_is_too_large_is_shortened_and_a_live_is_told(tmp_path):
    with brokers.mosquitto(tmp_path, f"{OPEN}max_packet_size 300\n") as broker, brokers.Center(broker.port) as center:
        gateway = Dividing(tmp_path / "o.db", broker.port)
        for number in range(80):
            gateway.health.gauge(f"gauge-{number * 7919 % 1009}", number * 1.7)
        plain = gateway._status
        gateway.uplink._delivery._hooks.__dict__["status"] = plain
        gateway.uplink.announcements._status = lambda: plain().model_copy(update={"health": gateway.health.snapshot()})
        async with running(gateway):
            machines = {f"m{n}": LiveMachine(state="running", since_ns=n * 7919**3) for n in range(60)}
            gateway.uplink.announcements.show(machines)
            await until(lambda: center.plain.get("status"))
            await until(gateway.uplink._delivery.troubles.all)
            (trouble,) = gateway.uplink._delivery.troubles.all()
            assert (trouble.code, trouble.values["kind"]) == ("too_large_named", "live")
            assert gateway.uplink.connected
            assert gateway.health.snapshot()["uplink_connects"] == 1


def test_the_shortest_status_has_what_delivery_needs_and_nothing_else():
    """However much is wrong with devices and counters."""
    faults = [DeviceFault(device=f"d{n}", code="peer_silent", tags=["a"] * 6) for n in range(50)]
    steps = [CounterStep(machine="m", role="total", at_ns=n, kind="jump", old=1, new=2) for n in range(20)]
    told = Status(online=True, at_ns=1, marks={"s": 9}, faults=faults, counters=steps)
    sizes = [len(pack_message(status)) for status in _shortened(told)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < len(pack_message(Status(online=True, at_ns=1))) + 100


async def test_a_live_that_a_silent_broker_does_not_take_is_found_out(tmp_path):
    """Nothing acknowledges `live`, and MQTT 3.1.1 gives no reason."""
    with brokers.mosquitto(tmp_path, f"{OPEN}max_packet_size 400\n") as broker, brokers.Center(broker.port) as center:
        gateway = Dividing(tmp_path / "o.db", broker.port, limits=FAST)
        older(gateway)
        machines = {f"m{n}": LiveMachine(state="running", since_ns=n * 7919**3) for n in range(60)}
        gateway.uplink.announcements.show(machines)
        async with running(gateway):
            troubles = gateway.uplink._delivery.troubles  # that a connection was lost may stand beside it
            await until(lambda: "live" in [item.values.get("kind") for item in troubles.all()])
            gateway.put("facts", {"stops": []})
            await until(lambda: gateway.sender.waiting == 0)
            assert center.seqs() == [1]


class Counting(Proxy):
    """Counts how many messages of QoS 1 wait for their acknowledgement at once."""

    def __init__(self, target):
        super().__init__(target)
        self.up, self.most, self._open = True, 0, set()

    async def _serve(self, reader, writer):
        behind = await asyncio.open_connection("127.0.0.1", self.target)
        self._open.clear()
        await asyncio.gather(self._packets(reader, behind[1], ours=True), self._packets(behind[0], writer, ours=False))

    async def _packets(self, reader, writer, *, ours):
        try:
            while True:
                head, length, shift = await reader.readexactly(1), 0, 0
                while True:
                    head += await reader.readexactly(1)
                    length, shift = length | (head[-1] & 0x7F) << shift, shift + 7
                    if head[-1] < 0x80:
                        break
                packet = await reader.readexactly(length)
                kind = head[0] >> 4
                if ours and kind == 3 and head[0] & 6:
                    at = 2 + int.from_bytes(packet[:2])
                    self._open.add(packet[at : at + 2])
                    self.most = max(self.most, len(self._open))
                elif kind == 4 and not ours:
                    await asyncio.sleep(0.005)  # the broker answers at once, a line does not
                    self._open.discard(packet[:2])
                writer.write(head + packet)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


async def test_no_more_unacknowledged_messages_than_the_broker_names(tmp_path):
    with brokers.mosquitto(tmp_path, f"{OPEN}max_inflight_messages 4\n") as broker, brokers.Center(broker.port):
        async with Counting(broker.port) as proxy:
            gateway = Gateway(tmp_path / "o.db", proxy.port)
            async with running(gateway):
                gateway.commit(*range(200))
                await until(lambda: gateway.sender.waiting == 0)
            assert 2 <= proxy.most <= 4


async def test_a_broker_of_qos_0_that_retains_nothing_and_wants_to_hear_often(tmp_path):
    limits = f"{OPEN}max_qos 0\nretain_available false\nmax_keepalive 10\n"
    with brokers.mosquitto(tmp_path, limits) as broker, brokers.Center(broker.port, retain=False) as center:
        gateway = Gateway(tmp_path / "o.db", broker.port, limits=FAST)
        async with running(gateway):
            gateway.commit(*range(1, 50))
            await until(lambda: gateway.sender.waiting == 0)
            assert set(center.seqs()) == set(range(1, 50))
            session = gateway.uplink._session
            assert (session.limits.qos, session.limits.retains, session._client.keepalive) == (0, False, 10)
            assert gateway.health.snapshot()["uplink_connects"] == 1
            # what it names may change: then the will is no longer what it takes
        broker.kill()
    with brokers.mosquitto(tmp_path, OPEN) as broker:
        gateway = Gateway(tmp_path / "p.db", broker.port)
        async with running(gateway):
            await until(lambda: gateway.uplink.connected)
            broker.kill()
            with brokers.mosquitto(tmp_path, limits, port=broker.port):
                await until(lambda: gateway.health.snapshot().get("uplink_connects") == 2)


class TakenOver(Proxy):
    """Says why it ends each connection, as MQTT 5 wants it: another client with the same id has connected."""

    async def _serve(self, reader, writer):
        await reader.read(65536)
        writer.write(bytes.fromhex("20 03 00 00 00"))  # CONNACK
        await reader.read(65536)
        writer.write(bytes.fromhex("e0 01 8e"))  # DISCONNECT, session taken over
        await writer.drain()
        writer.close()


async def test_a_session_that_is_taken_over_waits_longer_each_time_and_says_why(tmp_path, caplog):
    async with TakenOver(0) as proxy:
        gateway = Gateway(tmp_path / "o.db", proxy.port)
        async with running(gateway):
            await until(lambda: "uplink taken over" in caplog.text)
        (waited,) = re.findall(r"taken over times=1 wait_s=(\d+)", caplog.text)
        assert 5 <= int(waited) <= 10
        (trouble,) = gateway.uplink._delivery.troubles.all()
        assert (trouble.code, trouble.values) == ("taken_over", {"count": "1"})


async def test_two_boxes_that_the_center_has_noticed_wait_longer_each_time_and_say_why(tmp_path, caplog):
    """This broker ends the older session without a word; the center sees both and says so."""
    with brokers.mosquitto(tmp_path) as broker, brokers.Center(broker.port) as center:
        gateway = Gateway(tmp_path / "o.db", broker.port)
        async with running(gateway):
            await until(lambda: gateway.uplink.connected)
            center.receipt(boxes=2)
            await until(lambda: [item.code for item in gateway.uplink._delivery.troubles.all()] == ["two_boxes"])
            with closing(other(broker.port)):
                await until(lambda: "uplink taken over" in caplog.text)


async def test_a_broker_that_ends_each_connection_at_once_is_told(tmp_path):
    """Without a reason, and before the center has noticed anything."""
    with brokers.mosquitto(tmp_path) as broker:
        gateway = Gateway(tmp_path / "o.db", broker.port)
        async with running(gateway):
            while gateway.uplink._reconnection.cut_off < 5:
                await until(lambda: gateway.uplink.connected)
                other(broker.port).close()
                await until(lambda: not gateway.uplink.connected)
            await until(lambda: [item.code for item in gateway.uplink._delivery.troubles.all()] == ["cut_off"])


async def test_a_broker_that_never_answers_a_subscription_is_told_and_left(tmp_path, caplog, monkeypatch):
    """It answers pings and acknowledges what is published, so that nothing else would end the connection."""
    monkeypatch.setattr(session, "SUBACK_S", 1.0)
    async with SilentBroker() as broker:
        gateway = Gateway(tmp_path / "o.db", broker.port)
        troubles = gateway.uplink._delivery.troubles
        async with running(gateway):
            await until(lambda: "did not answer SUBSCRIBE nhip/v1/test/main/receipt" in caplog.text)
            assert [(item.code, item.values) for item in troubles.all()] == [("unsubscribed", {"kind": "receipt"})]
            assert gateway.health.snapshot()["subscriptions_unanswered"] >= 1
            broker.silent = False
            await until(lambda: gateway.uplink.connected and not troubles.all())


async def test_a_subscription_that_the_broker_refuses_is_told(tmp_path):
    async with SilentBroker() as broker:
        broker.silent, broker.answer = False, 0x87
        gateway = Gateway(tmp_path / "o.db", broker.port)
        troubles = gateway.uplink._delivery.troubles
        async with running(gateway):
            await until(lambda: len(troubles.all()) == 2)
        told = {(item.code, item.values["kind"], item.values["reason"]) for item in troubles.all()}
        assert told == {("not_subscribed", "receipt", "0x87"), ("not_subscribed", "declare", "0x87")}


def other(port):
    """Another client with this gateway's id."""
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(bytes.fromhex("10 16 00 04 4d515454 05 02 00 1e 00 00 09") + b"test.main")
    assert line.recv(100)
    return line
