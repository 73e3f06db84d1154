"""A whole center as its gateways and readers see it: a real process, a real broker, receipts and pages."""

import json
import os
import signal
import statistics
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager, nullcontext
from pathlib import Path

import paho.mqtt.client as paho
from center_plant import STREAM, center_command, mosquitto, site_body
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from wire.bodies import facts_body
from wire.envelope import seal
from wire.receipts import decode_receipt
from wire.topics import topic

ROOT = Path(__file__).resolve().parent.parent
SHIFT = {"weekdays": list(range(7)), "breaks": []}
SHIFTS = [SHIFT | {"name": name, "start_s": start * 3600, "end_s": (start + 8 if name != "C" else 30) * 3600}
          for name, start in (("A", 6), ("B", 14), ("C", 22))]  # fmt: skip


@contextmanager
def center(folder, store, port=0, **more):
    """A center on this store: its URL, its broker's port and its process. port: of a broker that is there, else one is
    started; more: further keys of the center's file.
    """
    with nullcontext(port) if port else mosquitto(folder) as broker:
        number = len(list(folder.glob("center-*.yaml")))
        file, ready = folder / f"center-{number}.yaml", folder / f"center-{number}.ready"
        keys = {
            "broker": f"mqtt://127.0.0.1:{broker}",
            "listen": "127.0.0.1:0",
            "accounts": "off",
            "store": store,
        } | more
        file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items()), encoding="utf-8")
        process = subprocess.Popen(center_command(file, ready), cwd=ROOT)
        try:
            until = time.monotonic() + 120
            while not ready.exists():
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError("the center does not start")
                time.sleep(0.05)
            yield json.loads(ready.read_text(encoding="utf-8"))["url"], broker, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


class Gateways:
    """All gateways over one connection, which is enough: envelopes are large and few."""

    def __init__(self, port):
        self.marks, self._changed = {}, threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        up = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe("nhip/v1/+/main/receipt", 1)
        self._client.on_subscribe = lambda *_: up.set()
        self._client.on_message = self._on_receipt
        self._client.max_inflight_messages_set(200)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        up.wait(10)

    def _on_receipt(self, _client, _data, message):
        site = message.topic.split("/")[2]
        with self._changed:
            for stream, receipted in decode_receipt(message.payload).streams.items():
                self.marks[site, stream] = receipted.mark
            self._changed.notify()

    def send(self, site, kind, payload):
        self._client.publish(topic(site, "main", kind), payload, 1)

    def wait(self, wanted, within_s=600):
        """Waits until each `(site, stream)` is settled up to its mark."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: all(self.marks.get(key, 0) >= mark for key, mark in wanted.items()), within_s
            )
        if not done:
            raise RuntimeError("receipts do not come")

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


def ingest(gateways, processes, envelopes, rows):
    """Fact rows a second from the first publish to the last receipt, and the CPU time a row of these processes [us].

    envelopes: by site their contents.
    """
    sealed = {
        site: [seal(STREAM, seq, 1, facts_body(*content)).data for seq, content in enumerate(contents, 1)]
        for site, contents in envelopes.items()
    }
    pids = [process.pid for process in processes]
    before_s, began = sum(map(cpu_s, pids)), time.perf_counter()
    for column in zip(*sealed.values(), strict=True):
        for site, payload in zip(sealed, column, strict=True):
            gateways.send(site, "facts", payload)
    gateways.wait({(site, STREAM): len(payloads) for site, payloads in sealed.items()})
    spent_s = time.perf_counter() - began
    return round(rows / spent_s), round((sum(map(cpu_s, pids)) - before_s) / rows * 1e6, 1)


def describe(gateways, sites, machines):
    """Sends each site's description, so that its calendar is known."""
    body = site_body([f"press-{number}" for number in range(machines)], calendars={"": {"shifts": SHIFTS}})
    for site in sites:
        gateways.send(site, "site", seal("b" * 16, 1, 1, body).data)
    gateways.wait({(site, "b" * 16): 1 for site in sites})


def page_ms(url, repeats=5):
    """Time of a page's whole response [ms]: median of some repetitions after a first one, the first one, and its size."""
    spent = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        with urllib.request.urlopen(url, timeout=120) as answer:
            size = len(answer.read())
        spent.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(spent[1:]), 1), round(spent[0], 1), size


def cpu_s(pid):
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree_cpu_s(pid):
    """The same with all children, those that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    ended = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return cpu_s(pid) + ended + sum(tree_cpu_s(int(child)) for child in children)
