"""Latency from a PLC's register to the center's API, and the time to recover after the broker was away."""

import asyncio
import random
import threading
import time

import paho.mqtt.client as paho
from delivery_parts.stage import counting_fsyncs, eventually, percentile
from edge_plc import Plc, site_file
from paho.mqtt.enums import CallbackAPIVersion

PERIOD_S = 1.0


class ServedPlc:
    """A PLC on a thread with its own event loop."""

    def __enter__(self):
        self.plc, self._loop = Plc(), asyncio.new_event_loop()
        ready = threading.Event()

        def serve():
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(self.plc.start())
            ready.set()
            self._loop.run_forever()
            self._loop.run_until_complete(self.plc.stop())

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        ready.wait(5)
        return self.plc

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


def site(folder, plc_port, broker_port):
    path = site_file(folder, plc_port, broker_port)
    text = path.read_text(encoding="utf-8").replace("every: 200ms", f"every: {round(PERIOD_S * 1000)}ms")
    path.write_text(text.replace("stale_after: 1s", "stale_after: 5s"), encoding="utf-8")
    return path


def live(stage, changes):
    """Time from each change of a coil until the API shows the new state, poll period included; and the fsyncs of the agent
    meanwhile.
    """
    chance = random.Random(1)
    counting = counting_fsyncs(stage.folder)
    with ServedPlc() as plc:
        stage.broker()
        stage.center()
        stage.agent(site(stage.folder, plc.port, stage.port), **(counting[0] if counting else {}))
        latencies_s = []

        def shown():
            rows = stage.ask("live?site=test")
            return rows[0]["state"] == "running" if rows else None

        eventually(lambda: shown() is False, 30)
        time.sleep(3)  # settled: connected, the clock trusted
        at_start = _fsyncs(counting)
        for number in range(changes):
            wanted = plc.coils[0] = number % 2 == 0
            began_s = time.perf_counter()
            while shown() != wanted:
                time.sleep(0.004)
            latencies_s.append(time.perf_counter() - began_s)
            time.sleep(1.1 + chance.random() - min(latencies_s[-1], 1.0))
        health = stage.ask("sites")[0]["gateways"][0]["health"]
        stage.end("agent")
    beyond = [max(latency_s - PERIOD_S, 0.0) for latency_s in latencies_s]
    main, others = (now - before for now, before in zip(_fsyncs(counting), at_start, strict=True))
    return {
        "changes": changes,
        "period_ms": round(PERIOD_S * 1000),
        "p50_ms": round(percentile(latencies_s, 0.5) * 1000),
        "p99_ms": round(percentile(latencies_s, 0.99) * 1000),
        "slowest_ms": [round(value * 1000) for value in sorted(latencies_s)[-3:]],
        "beyond_period_p99_ms": round(percentile(beyond, 0.99) * 1000),
        "polls_skipped": health["polls_skipped"],
        "fsyncs_acquisition": main,
        "fsyncs_outbox": others,
    }


def _fsyncs(counting):
    """On the agent's main thread and on its others so far."""
    return tuple(map(int, counting[1].read_text().split())) if counting else (0, 0)


def returning(stage, rounds, away_s):
    """How long after the broker is back a subscriber receives the first value [s]."""
    with ServedPlc() as plc:
        stage.broker()
        path = site(stage.folder, plc.port, stage.port)
        stage.agent(path)
        first_values_s = []
        for _ in range(rounds):
            time.sleep(2)
            stage.end("broker", kill=True)
            time.sleep(away_s)
            stage.broker()
            back_s = time.perf_counter()
            first_values_s.append(_first_live_s(stage.port) - back_s)
        stage.end("agent")
    return {"rounds": rounds, "away_s": away_s, "first_value_s": [round(value, 2) for value in first_values_s]}


def _first_live_s(port):
    received = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: client.subscribe("nhip/v1/test/main/live")
    client.on_message = lambda *_: received.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert received.wait(120)
    now_s = time.perf_counter()
    client.disconnect()
    client.loop_stop()
    return now_s
