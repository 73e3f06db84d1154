"""What an agent costs that does nothing but its work: memory after a while, and how long it takes until its devices are read.

    .venv/bin/python bench/idle.py [--opcua] [--starts 5] [--seconds 25] [--command /opt/nhip/bin/nhip]

The demo's factory (simulated, in a process of its own) and `nhip agent` for its Modbus machines, with --opcua for all of them; no
center. --command starts another installation, that of a package for example. Times mean little on a busy computer: beside
them stands how long the same Python takes to import NumPy, in turn, and the ratio of the two.

Prints one JSON object. Exit status 1: more memory than aimed at (56 MB, with OPC UA 76), or on a quiet computer (NumPy within
0.3 s) more than 1.5 s to the first value.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "tests")]

from acquisition_parts.plant import cpu_s, peak_mb
from ruamel.yaml import YAML
from servers import eventually

from simulator import demo

MOST_MB, MOST_WITH_OPCUA_MB, MOST_S, QUIET_S = 56, 76, 1.5, 0.3


@contextmanager
def process(command, folder):
    """A child, with what it says in a file; ended in order."""
    with (folder / "log").open("ab") as log:
        child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield child
    finally:
        child.terminate()
        child.wait()


def rss_mb(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def numpy_s():
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    return time.perf_counter() - began_s


def measure(command, folder, *, starts, seconds):
    """Starts the agent several times; the last one stays, and its memory is read at the end."""
    ready, times_s, references_s = folder / "ready", [], []
    for number in range(starts):
        references_s.append(numpy_s())
        ready.unlink(missing_ok=True)
        began_s = time.perf_counter()
        words = [*command, "agent", str(folder / "site.yaml"), "--ready-file", str(ready)]
        with process(words, folder) as agent:
            eventually(lambda: ready.exists() or agent.poll() is not None, every_s=0.005)
            assert agent.poll() is None, (folder / "log").read_text()
            times_s.append(time.perf_counter() - began_s)
            if number == starts - 1:
                time.sleep(seconds)
                memory = {
                    "rss_mb": rss_mb(agent.pid),
                    "peak_mb": peak_mb(agent.pid),
                    "cpu_s": cpu_s(agent.pid),
                }
    start_s, reference_s = statistics.median(times_s), statistics.median(references_s)
    return memory | {"start_s": start_s, "numpy_s": reference_s, "start_in_numpys": start_s / reference_s}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--opcua", action="store_true")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--command", default=f"{sys.executable} nhip.py")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nhip-idle-") as temporary:
        folder = Path(temporary)
        whole = demo.factory(datetime.now(UTC), history_days=1, seed=1)
        ports = folder / "ports.json"
        YAML().dump(whole.model_dump(mode="json", exclude_none=True), folder / "factory.yaml")
        simulator = [sys.executable, "nhip.py", "simulate", str(folder / "factory.yaml"), "--ports-file", str(ports)]
        with process(simulator, folder):
            eventually(ports.exists, what=(folder / "log").read_text)
            served = json.loads(ports.read_text())
            site = demo.site(served, "mqtt://127.0.0.1:1", whole)
            del site["center"]
            if not options.opcua:
                kept = {name for name, device in site["devices"].items() if device["kind"] != "opcua"}
                machines = {item.id for item in whole.machines if item.device in kept}
                site["devices"] = {name: site["devices"][name] for name in kept}
                site["machines"] = {name: site["machines"][name] for name in machines}
                site["targets"] = [item for item in site["targets"] if item.get("machine", "") in {"", *machines}]
            YAML().dump(site, folder / "site.yaml")
            found = measure(shlex.split(options.command), folder, starts=options.starts, seconds=options.seconds)
    most_mb = MOST_WITH_OPCUA_MB if options.opcua else MOST_MB
    print(json.dumps({"most_mb": most_mb} | {name: round(value, 2) for name, value in found.items()}))
    slow = found["numpy_s"] < QUIET_S and found["start_s"] > MOST_S
    return int(found["rss_mb"] > most_mb or slow)


if __name__ == "__main__":
    sys.exit(main())
