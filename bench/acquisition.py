"""What reading a factory costs, through the whole agent, beside a floor written by hand, in one run on one machine.

    .venv/bin/python bench/acquisition.py [--plcs 10,100] [--seconds 60] [--only modbus,opcua,lost]

PLCs are one C program with a socket each, 100 registers that all change every second; the broker is Mosquitto. The
agent is `nhip agent` as it runs on a gateway: 100 tags a PLC at 1 Hz, a machine on each with its states and OEE, an
outbox on disk. The floor (acquisition_parts/floor.py) reads the same blocks and publishes the values, no more. Telegraf
is a further column where it is on the PATH. The period's jitter is taken at the PLCs.

Prints a table and, as the last line, one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "tests"), str(ROOT / "tests" / "agent")]

from acquisition_parts.plant import cpu_s, jitter_ms, peak_mb, plcs, site
from edge_brokers import Center, mosquitto
from rich.console import Console
from rich.table import Table

SETTLE_S = 8
FLOOR = ROOT / "bench" / "acquisition_parts" / "floor.py"


@contextmanager
def process(command):
    """A child that is ended in the end."""
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
    """CPU seconds a minute and peak memory of a process, over some seconds of its settled life."""
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


def agent(count, seconds, folder):
    with (
        plcs(count, folder) as plant,
        mosquitto(folder) as broker,
        Center(broker.port, gateway="nhip/v1/bench/main") as center,
    ):
        path, ready = site(folder, broker.port, plant.ports), folder / "ready"
        with process([sys.executable, "nhip.py", "agent", str(path), "--ready-file", str(ready)]) as child:
            until_s = time.monotonic() + 60
            while not ready.exists():
                assert time.monotonic() < until_s, "the agent did not start"
                time.sleep(0.1)
            measured, window = watched(child, seconds)
        plant.end()
        last = next(said for said in reversed(center.plain["status"]) if said["online"])
        delivered = sum(sum(body["values"]["rows"]) for kind, _, _, body in center.arrived if kind == "values")
        return measured | jitter(plant, window) | {
            "values_sent": int(last["health"]["values_recorded"]), "values_delivered": delivered,
            "waiting": last.get("waiting", 0), "poll_failures": int(last["health"]["poll_failures"]),
        }  # fmt: skip


def jitter(plant, window):
    median, most_of, most = jitter_ms(plant.arrivals_ns(), *window)
    return {"jitter_p50_ms": median, "jitter_p99_ms": most_of, "jitter_max_ms": most}


def modbus(count, seconds, folder):
    found = {}
    for name, work in {
        "floor, one burst": lambda: floor("burst", count, seconds, folder),
        "floor, spread": lambda: floor("spread", count, seconds, folder),
        "nhip agent": lambda: agent(count, seconds, folder),
    }.items():
        with Console(stderr=True).status(f"{count} PLCs: {name} ..."):
            found[name] = work()
    return found


def show(title, found):
    table = Table(title=title)
    table.add_column("")
    for name in found:
        table.add_column(name, justify="right")
    for key in dict.fromkeys(key for result in found.values() for key in result):
        table.add_row(key, *(f"{result[key]:,}" if key in result else "" for result in found.values()))
    Console().print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plcs", default="10,100")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    results = {}
    for count in map(int, options.plcs.split(",")):
        with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
            results[f"modbus_{count}"] = found = modbus(count, options.seconds, Path(folder))
            show(f"{count} Modbus PLCs with 100 tags at 1 Hz, {options.seconds} s", found)
    print(json.dumps({"seconds": options.seconds, "results": results}))


if __name__ == "__main__":
    main()
