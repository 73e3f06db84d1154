"""The cost of reading a factory with the whole agent, compared with a minimal hand-written reader on the same machine.

    .venv/bin/python bench/acquisition.py [--plcs 10,100] [--seconds 60] [--only modbus,opcua,lost]

PLCs are one C program with a socket each, 100 registers that all change every second; the broker is Mosquitto. The
agent is `nhip agent` as it runs on a gateway: 100 tags a PLC at 1 Hz, a machine on each with its states and OEE, an
outbox on disk. The floor (acquisition_parts/floor.py) reads the same blocks and publishes the values, no more. Telegraf
is a further column where it is on the PATH. The period's jitter is measured at the PLCs.

Prints a table and, as the last line, one JSON object.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "tests"), str(ROOT / "tests" / "agent")]

from acquisition_parts.plant import (
    back_s,
    cpu_s,
    flood_site,
    jitter_ms,
    peak_mb,
    plcs,
    site,
    telegraf_config,
    values_due,
)
from edge_brokers import Center, mosquitto
from rich.console import Console
from rich.table import Table
from servers import free_port

SETTLE_S = 8
FLOOD_PER_S = 20_000
FLOOD = ROOT / "bench" / "acquisition_parts" / "opcua_flood.py"
FLOOR = ROOT / "bench" / "acquisition_parts" / "floor.py"


@contextmanager
def process(command):
    """A child process, terminated at the end of the block."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT) as child:
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()


def watched(child, seconds):
    """CPU seconds a minute and peak memory of a process over some seconds after it has settled; and that window [ns]."""
    time.sleep(SETTLE_S)
    before_s, began_s, from_ns = cpu_s(child.pid), time.monotonic(), time.monotonic_ns()
    time.sleep(seconds)
    spent_s, lasted_s = cpu_s(child.pid) - before_s, time.monotonic() - began_s
    measured = {"cpu_s_a_minute": round(spent_s * 60 / lasted_s, 2), "peak_mb": peak_mb(child.pid)}
    return measured, (from_ns, time.monotonic_ns())


def floor(how, count, seconds, folder):
    with plcs(count, folder) as plant, mosquitto(folder) as broker:
        with process([sys.executable, FLOOR, how, str(broker.port), *map(str, plant.ports)]) as child:
            measured, window = watched(child, seconds)
        plant.end()
        return measured | jitter(plant, window)


@contextmanager
def running_agent(path, ready):
    """`nhip agent` as on a gateway; the block begins once it reads its devices."""
    ready.unlink(missing_ok=True)
    with process([sys.executable, "nhip.py", "agent", str(path), "--ready-file", str(ready)]) as child:
        until_s = time.monotonic() + 120
        while not ready.exists():
            assert time.monotonic() < until_s, "the agent did not start"
            time.sleep(0.1)
        yield child


def agent(count, seconds, folder):
    with (
        plcs(count, folder) as plant,
        mosquitto(folder) as broker,
        Center(broker.port, gateway="nhip/v1/bench/main") as center,
    ):
        path = site(folder, broker.port, plant.ports)
        with running_agent(path, folder / "ready") as child:
            measured, window = watched(child, seconds)
        plant.end()
        last = next(status for status in reversed(center.plain["status"]) if status["online"])
        delivered = sum(sum(body["values"]["rows"]) for kind, _, _, body in center.arrived if kind == "values")
        return measured | jitter(plant, window) | {
            "values_due": values_due(plant.arrivals_ns()), "values_delivered": delivered,
            "poll_failures": int(last["health"]["poll_failures"]),
        }  # fmt: skip


def opcua(seconds, folder):
    """CPU, memory and lag at 20,000 notifications a second."""
    with mosquitto(folder) as broker, Center(broker.port, gateway="nhip/v1/bench/main"):
        port = free_port()
        command = [sys.executable, FLOOD, str(port), str(FLOOD_PER_S)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout.readline() == "up\n"
            with running_agent(flood_site(folder, broker.port, port), folder / "ready") as child:
                measured, _ = watched(child, seconds)
                server.terminate()
                report = json.loads(server.stdout.readline())
    return {"nhip agent": measured | report}


def lost(count, seconds, folder):
    """PLCs that hang for a while and then answer again."""
    with plcs(count, folder) as plant, mosquitto(folder) as broker, Center(broker.port, gateway="nhip/v1/bench/main"):
        with running_agent(site(folder, broker.port, plant.ports), folder / "ready"):
            time.sleep(SETTLE_S)
            plant.stop()
            time.sleep(seconds)
            plant.go_on()
            from_ns = time.monotonic_ns()
            time.sleep(10)
        plant.end()
        took_s = back_s(plant.arrivals_ns(), from_ns)
    return {"nhip agent": {"hung_s": seconds, "plcs": count, "plcs_back": len(took_s),
                           "back_within_s": round(max(took_s, default=float("nan")), 2)}}  # fmt: skip


def jitter(plant, window):
    median, most_of, most = jitter_ms(plant.arrivals_ns(), *window)
    return {"jitter_p50_ms": median, "jitter_p99_ms": most_of, "jitter_max_ms": most}


def modbus(count, seconds, folder):
    """The agent beside the minimal readers, and Telegraf."""
    return {
        "floor, one burst": floor("burst", count, seconds, folder),
        "floor, spread": floor("spread", count, seconds, folder),
        "nhip agent": agent(count, seconds, folder),
        **telegraf(count, seconds, folder),
    }


def telegraf(count, seconds, folder):
    """The same work by Telegraf, where it is installed: as few requests, values over MQTT."""
    if not (program := shutil.which("telegraf")):
        return {}
    with plcs(count, folder) as plant, mosquitto(folder) as broker:
        config = folder / "telegraf.conf"
        config.write_text(telegraf_config(broker.port, plant.ports), encoding="utf-8")
        with process([program, "--config", str(config)]) as child:
            measured, window = watched(child, seconds)
        plant.end()
        return {"telegraf": measured | jitter(plant, window)}


def show(title, results):
    table = Table(title=title)
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")
    for key in dict.fromkeys(key for result in results.values() for key in result):
        table.add_row(key, *(f"{result[key]:,}" if key in result else "" for result in results.values()))
    Console().print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plcs", default="10,100")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", default="modbus,opcua,lost")
    options = parser.parse_args()
    counts, seconds = [int(count) for count in options.plcs.split(",")], options.seconds
    rounds = {
        f"modbus_{count}": (f"{count} Modbus PLCs with 100 tags at 1 Hz", partial(modbus, count)) for count in counts
    }
    rounds["opcua"] = (f"500 OPC UA items, {FLOOD_PER_S} notifications a second", opcua)
    rounds["lost"] = (f"{min(counts)} PLCs that hang", partial(lost, min(counts)))
    results = {}
    for name, (title, work) in rounds.items():
        if name.partition("_")[0] in options.only.split(","):
            with (
                tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder,
                Console(stderr=True).status(f"{title} ..."),
            ):
                results[name] = work(seconds, Path(folder))
            show(f"{title}, {seconds} s", results[name])
    print(json.dumps({"seconds": options.seconds, "results": results}))


if __name__ == "__main__":
    main()
