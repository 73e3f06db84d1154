"""What the center's tests are made of: rows, envelopes, site bodies, brokers and a gateway that speaks MQTT."""

import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from prepared import preparable
from servers import PATIENCE_S, amqtt_command, answers, eventually, free_port, mosquitto_command

from center.contract.store import Origin, RowBatch, StopQuery
from oee.model.calendars import to_ns
from oee.model.cycle_bins import unfolded
from oee.model.facts import (
    CYCLE_BINS,
    FACT,
    FACT_COLUMNS,
    LOSS_COLUMNS,
    MINUTE_NS,
    NO_FACTS,
    NO_LOSSES,
    CycleTimes,
    Facts,
    Losses,
    make_table,
)
from wire.bodies import facts_body
from wire.envelope import seal
from wire.receipts import decode_receipt
from wire.topics import topic

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
STREAM = "00000000000000aa"
MONDAY = 20_514  # 2026-03-02
_PROCESS = preparable("""
import asyncio, signal, sys
from center.run import run
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run(sys.argv[1], stop, sys.argv[2])
asyncio.run(main())
""")


def center_command(config, ready):
    """A center as a process of its own. ready: the file that it writes when it answers."""
    return [sys.executable, "-c", _PROCESS, str(config), str(ready)]


def ns(text, zone=ZONE):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=zone))


def stops_of(store, start_ns, end_ns, machines=()):
    """All stops of van-long in a window, by machine and start."""
    return store.stops(StopQuery("van-long", start_ns, end_ns, machines)).stops


def facts(rows):
    """rows: dicts of key parts, n and sums by name; what is left out is plain."""
    keys, sums, numbers = [], np.zeros((len(rows), len(FACT_COLUMNS)), np.int64), []
    for index, row in enumerate(rows):
        rest = dict(row)
        keys.append(
            (
                rest.pop("machine", "press-1"),
                rest.pop("t"),
                rest.pop("calendar", 0),
                rest.pop("date", MONDAY),
                rest.pop("shift", "A"),
                rest.pop("product", "1"),
            )
        )
        numbers.append(rest.pop("n", 0))
        for name, value in rest.items():
            sums[index, FACT[name]] = value
    return make_table(Facts, keys, sums, np.array(numbers, np.int64))


def losses(rows):
    keys, sums, numbers = [], np.zeros((len(rows), len(LOSS_COLUMNS)), np.int64), []
    for index, row in enumerate(rows):
        keys.append(
            (
                row.get("machine", "press-1"),
                row["t"],
                row.get("calendar", 0),
                row.get("date", MONDAY),
                row.get("shift", "A"),
                row.get("product", "1"),
                row["state"],
                row.get("reason", ""),
            )
        )
        sums[index] = row["ms"], row.get("pieces", 0)
        numbers.append(row.get("n", 0))
    return make_table(Losses, keys, sums, np.array(numbers, np.int64))


def histograms(rows):
    """One row of each: where and when it is, and `bins`, cycles by bin."""
    keys, sums, numbers = [], np.zeros((len(rows), CYCLE_BINS), np.int64), []
    for index, row in enumerate(rows):
        date, shift, product = row.get("date", MONDAY), row.get("shift", "A"), row.get("product", "1")
        keys.append((row.get("machine", "press-1"), row["t"], row.get("calendar", 0), date, shift, product))
        numbers.append(row.get("n", 0))
        for place, cycles in row["bins"].items():
            sums[index, place] = cycles
    return make_table(CycleTimes, keys, sums, np.array(numbers, np.int64))


def batch(
    fact_rows=(), loss_rows=(), stops=(), *, site="van-long", gateway="main", stream=STREAM, seq=1, cycle_rows=()
):
    return RowBatch(
        Origin(site, gateway, stream),
        seq,
        facts(fact_rows) if fact_rows else NO_FACTS,
        losses(loss_rows) if loss_rows else NO_LOSSES,
        list(stops),
        cycles=unfolded(histograms(cycle_rows)),
    )


def running(start, minutes, machine="press-1", **more):
    """Minutes in which a machine ran and made ten good pieces of four seconds each."""
    row = {
        "machine": machine,
        "running_ms": 60_000,
        "running_ideal_known_ms": 60_000,
        "pieces_total": 10,
        "pieces_judged": 10,
        "pieces_good": 10,
        "ideal_total_us": 40_000_000,
        "ideal_judged_us": 40_000_000,
        "ideal_good_us": 40_000_000,
        "cycles": 10,
    } | more
    return [row | {"t": start + index * MINUTE_NS} for index in range(minutes)]


def envelope(seq, fact_rows=(), loss_rows=(), stops=(), *, stream=STREAM, content=None):
    made = batch(fact_rows, loss_rows, stops)
    inside = facts_body(made.facts, made.losses, list(stops)) if content is None else content
    return seal(stream, seq, 1, inside).data


def site_body(machines=("press-1",), valid_from=0, zone="Asia/Ho_Chi_Minh", **more):
    shift = {"name": "A", "weekdays": list(range(6)), "start_s": 21_600, "end_s": 50_400, "breaks": [[36_000, 36_900]]}
    return {
        "config_hash": "c0ffee",
        "valid_from_ns": valid_from,
        "name": {"vi": "Nhựa Vân Long", "en": "Van Long Plastics"},
        "timezone": zone,
        "machines": {name: {"name": {"vi": f"Máy {name}", "en": name}, "line": "stamping"} for name in machines},
        "products": {"1": {"name": {"vi": "Ốp nhựa A", "en": "Cover A"}, "ideal_s": 4.0, "source": "design"}},
        "calendars": {"": {"shifts": [shift, shift | {"name": "B", "start_s": 50_400, "end_s": 79_200, "breaks": []}]}},
    } | more


@contextmanager
def child(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: answers(port))
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def mosquitto(folder, port=None):
    port = port or free_port()
    with child(mosquitto_command(folder, port), port):
        yield port


@contextmanager
def amqtt(folder):
    port = free_port()
    with child(amqtt_command(port), port):
        yield port


class Gateway:
    """Publishes what it is told to and keeps the receipts that it gets."""

    def __init__(self, port, site="van-long", gateway="main", version=5):
        self.site, self.gateway, self.receipts = site, gateway, []
        self._up = threading.Event()
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        self._client.on_connect = lambda client, *_: client.subscribe(topic(site, gateway, "receipt"), 1)
        self._client.on_subscribe = lambda *_: self._up.set()
        self._client.on_message = lambda _c, _u, message: self.receipts.append(decode_receipt(message.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._up.wait(PATIENCE_S)

    def send(self, *payloads, kind="facts", **more):
        for payload in payloads:
            self.publish(topic(self.site, self.gateway, kind), payload, **more)

    def burst(self, payloads, kind="facts"):
        """Publishes all of them without waiting for one."""
        name = topic(self.site, self.gateway, kind)
        for sent in [self._client.publish(name, payload, 1) for payload in payloads]:
            sent.wait_for_publish(PATIENCE_S)

    def publish(self, name, payload, **more):
        """more: retain, properties."""
        data = payload if isinstance(payload, bytes) else payload.encode()
        self._client.publish(name, data, 1, **more).wait_for_publish(PATIENCE_S)

    def mark(self, stream=STREAM):
        return self.receipts[-1].streams[stream].mark if self.receipts and stream in self.receipts[-1].streams else 0

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
