"""The cost of the page at the machine: an agent that serves it to ten tablets, beside one that does not, at the same time.

    .venv/bin/python bench/andon.py [--plcs 10] [--tablets 10] [--seconds 120]

Both are `nhip agent` as on a gateway, each with as many PLCs of its own (one C program, 100 registers that all change every
second, a machine on each) and a Mosquitto. Whatever else this computer does disturbs both alike. Each tablet holds the
event stream of all machines open, as a browser does, and enters a reject every ten seconds. The period's jitter is measured
at the PLCs.

Prints a table and, as the last line, one JSON object. Exit status 1: the page costs more than 12 MB, or more than 2 ms of
jitter p99 on a quiet computer, where the agent without it stays below 10 ms; otherwise jitter is not judged.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "tests"), str(ROOT / "tests" / "agent")]

import httpx
from acquisition import SETTLE_S, jitter, running_agent, show
from acquisition_parts.plant import cpu_s, peak_mb, plcs, site
from edge_brokers import Center, mosquitto
from servers import free_port

MOST_MB, MOST_MS, QUIET_MS = 12, 2, 10
ENTER_EVERY_S = 10
HEADERS = {"x-nhip-andon": "1"}


class Tablet(threading.Thread):
    """An open page that enters something now and then. events: how many came; sent: how many entries; saved: those on the disk."""

    def __init__(self, port, number, machines):
        super().__init__(daemon=True)
        self._url, self._name, self._machines = f"http://127.0.0.1:{port}", f"bench{number}", machines
        self.events, self.sent, self.saved, self.ended = 0, 0, 0, threading.Event()

    def run(self):
        entering = threading.Thread(target=self._enter, daemon=True)
        entering.start()
        with (
            httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client,
            client.stream("GET", f"/events?m={','.join(self._machines)}") as answer,
        ):
            for line in answer.iter_lines():
                self.events += line.startswith("event:")
                if self.ended.is_set():
                    break
        entering.join()

    def _enter(self):
        number = 0
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self.ended.wait(ENTER_EVERY_S):
                number += 1
                machine = self._machines[number % len(self._machines)]
                entry = {"kind": "rejects", "id": f"{self._name}-{number}", "tablet": self._name, "ago_ms": 0}
                body = {"entries": [{**entry, "machine": machine, "add": 1}]}
                answer = client.post("/entries", json=body, headers=HEADERS)
                self.sent += 1
                self.saved += [reply["state"] for reply in answer.json()["entries"]].count("saved")


class Beside:
    """An agent with its PLCs in a folder. page: the port of its page at the machine, 0 without one."""

    def __init__(self, stack, folder, count, page):
        folder.mkdir()
        broker = stack.enter_context(mosquitto(folder))
        stack.enter_context(Center(broker.port, gateway="nhip/v1/bench/main"))
        self.plant = stack.enter_context(plcs(count, folder))
        path = site(folder, broker.port, self.plant.ports)
        text = path.read_text(encoding="utf-8").replace("total: plc", "reject: operator, total: plc")
        more = f"andon: {{listen: 127.0.0.1:{page}}}\n" if page else ""
        path.write_text(text + more, encoding="utf-8")
        self._agent = stack.enter_context(running_agent(path, folder / "ready"))

    def begin(self):
        self._cpu_s, self._from_ns = cpu_s(self._agent.pid), time.monotonic_ns()

    def end(self):
        until_ns = time.monotonic_ns()
        spent_s = cpu_s(self._agent.pid) - self._cpu_s
        window = (self._from_ns, until_ns)
        memory = {"peak_mb": peak_mb(self._agent.pid)}
        self.plant.end()
        a_minute = round(spent_s * 60e9 / (until_ns - self._from_ns), 2)
        return {"cpu_s_a_minute": a_minute} | memory | jitter(self.plant, window)


def measure(count, tablets, seconds, folder):
    with ExitStack() as stack:
        port = free_port()
        plain = Beside(stack, folder / "plain", count, 0)
        served = Beside(stack, folder / "served", count, port)
        pages = [Tablet(port, number, [f"m-{item}" for item in range(count)]) for number in range(tablets)]
        for page in pages:
            page.start()
        time.sleep(SETTLE_S)
        for agent in (plain, served):
            agent.begin()
        time.sleep(seconds)
        results = {"without": plain.end(), "with the page": served.end()}
        for page in pages:
            page.ended.set()
        results["with the page"] |= {
            "events": sum(page.events for page in pages),
            "entries": sum(page.sent for page in pages),
            "entries_saved": sum(page.saved for page in pages),
        }
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plcs", type=int, default=10)
    parser.add_argument("--tablets", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=120)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
        results = measure(options.plcs, options.tablets, options.seconds, Path(folder))
    without, served = results.values()
    results["more"] = {key: round(served[key] - value, 2) for key, value in without.items()}
    show(f"{options.plcs} machines, {options.tablets} tablets, {options.seconds} s", results)
    print(json.dumps({**vars(options), "results": results}))
    more = results["more"]
    quiet = without["jitter_p99_ms"] < QUIET_MS
    if not quiet:
        sys.stderr.write("this computer is too busy to judge jitter\n")
    return int(more["peak_mb"] > MOST_MB or (quiet and more["jitter_p99_ms"] > MOST_MS))


if __name__ == "__main__":
    sys.exit(main())
