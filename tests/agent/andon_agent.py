"""An agent with the page at the machine, in this process or in one of its own, over a real PLC and an hour of history."""

import asyncio
import json
import os
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
from edge_plc import COILS, HOLDING, plc
from prepared import preparable
from ruamel.yaml import YAML
from servers import PATIENCE_S, free_port, until

from agent.run import Options, run

ROOT = Path(__file__).parents[2]
S = 1_000_000_000
MINUTE_S = 60
BEFORE_S = 3 * 3600
"""How long the machine was watched before the test."""
STOPS = ((3600, 4500), (7200, 7800))
"""Stops in that time [s], beyond the limit."""
READING = {COILS, HOLDING}
SECURE = {"content-type": "application/json", "x-nhip-andon": "1"}
_PROCESS = preparable("""
import json, sys
from pathlib import Path
from agent.run import Options, main
site, outbox, ready = sys.argv[1:4]
main(Path(site), Path(outbox), None, Options(commit_every_s=0.5, ready_file=Path(ready)))
""")


def noon_zone():
    """A zone in which it is about noon: the recorded hours lie within one day's shift."""
    east = 12 - time.gmtime().tm_hour
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"


def site_file(folder, plc_port, *, andon, machine=None, **more):
    """A site file whose machine `m-1` counts rejects and names its product by hand."""
    content = {
        "site": "test",
        "name": {"vi": "Xưởng thử", "en": "Test shop"},
        "timezone": noon_zone(),
        "clock": "system",
        "andon": andon,
        "devices": {
            "plc": {
                "kind": "modbus_tcp", "host": "127.0.0.1", "port": plc_port, "every": "200ms", "stale_after": "1s",
                "retry_every": "200ms",
                "tags": {"run": {"coil": 0}, "count": {"holding": 0, "type": "uint16"}},
            }
        },
        "machines": {
            "m-1": {
                "name": {"vi": "Máy một", "en": "Machine one"},
                "state": [{"when": "plc.run", "is": "running"}, {"is": "unplanned_stop"}],
                "pieces": {"total": "plc.count", "reject": "operator", "rework": "operator"},
                "product": "operator",
                **(machine or {}),
            }
        },
        "products": {"1": {"name": {"vi": "Ốp", "en": "Cover"}, "ideal": "1s"}, "2": {"name": {"vi": "Nắp", "en": "Cap"}, "ideal": "1s"}},
        "reasons": {
            "jam": {"name": {"vi": "Kẹt khuôn", "en": "Die jam"}, "is": "breakdown", "icon": "jam"},
            "late": {"name": {"vi": "Chờ vật tư", "en": "No material"}, "is": "starved"},
            "meal": {"name": {"vi": "Bữa ăn", "en": "Meal"}, "is": "planned_stop", "machines": ["m-1"]},
        },
        "reject_causes": {"scratch": {"name": {"vi": "Xước", "en": "Scratch"}}},
        "targets": [{"machine": "m-1", "pieces": 20000}],
        "shifts": [{"name": "A", "days": "daily", "from": "00:00", "to": "24:00"}],
        **more,
    }  # fmt: skip
    path = folder / "site.yaml"
    YAML(typ="safe", pure=True).dump(content, path)
    return path


def write_history(folder):
    """Recorded hours up to now; returns the starts of the stops [ms] and the last value of the counter."""
    folder.mkdir()
    start_ns = (time.time_ns() // S - BEFORE_S) * S
    running = np.ones(BEFORE_S, bool)
    for first, last in STOPS:
        running[first:last] = False
    counts = np.cumsum(running)
    t_ns = start_ns + np.arange(BEFORE_S, dtype=np.int64) * S
    change = np.append(True, running[1:] != running[:-1])
    good = {"plc.run/q": np.zeros(change.sum(), np.uint8), "plc.count/q": np.zeros(BEFORE_S, np.uint8)}
    arrays = {
        "plc.run/t": t_ns[change],
        "plc.run/v": running[change],
        "plc.count/t": t_ns,
        "plc.count/v": counts % 65536,
        **good,
    }
    np.savez(folder / "day-000.npz", **arrays, until=np.array([t_ns[-1]], np.int64))
    (folder / "done").touch()
    return [(start_ns + first * S) // 1_000_000 for first, _ in STOPS], int(counts[-1])


class Page:
    """A tablet's requests. numbers: of its entries."""

    def __init__(self, url, tablet="tablet"):
        self.client = httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)
        self.tablet, self.number = tablet, 0

    def entry(self, kind, **content):
        self.number += 1
        return {
            "kind": kind,
            "id": f"{self.tablet}-{self.number}",
            "tablet": self.tablet,
            "ago_ms": 0,
            "machine": "m-1",
            **content,
        }

    async def send(self, *entries, **headers):
        return await self.client.post("/entries", json={"entries": list(entries)}, headers=SECURE | headers)

    async def enter(self, kind, **content):
        answer = await self.send(self.entry(kind, **content))
        assert answer.status_code == 200, answer.text
        [reply] = answer.json()["entries"]
        return reply

    async def listen(self, condition, machines="m-1"):
        """Reads the events until the condition, given the latest by name, holds; returns them."""
        seen, event = {}, ""
        async with self.client.stream("GET", f"/events?m={machines}") as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    seen[event] = json.loads(line[6:])
                    if condition(seen):
                        return seen
        raise AssertionError("the stream ended")

    async def page(self, condition=lambda page: True):
        """The machine's page, once it is as asked."""
        return (await self.listen(lambda seen: "machine" in seen and condition(seen["machine"])))["machine"]


@asynccontextmanager
async def served(folder, *, andon=None, history=True, options=None, **more):
    """An agent in this process; gives its page, its PLC and the starts of the stops [ms]."""
    port, stop = free_port(), asyncio.Event()
    stops, count = write_history(folder / "history") if history else ([], 0)
    async with plc() as device:
        device.coils[0], device.holding[0] = True, count % 65536
        site = site_file(folder, device.port, andon={"listen": f"127.0.0.1:{port}", **(andon or {})}, **more)
        options = options or Options(commit_every_s=0.5)
        running = asyncio.create_task(
            run(site, folder / "outbox.db", folder / "history" if history else None, stop, options)
        )
        page = Page(f"{'https' if (andon or {}).get('certificate') else 'http'}://127.0.0.1:{port}")
        try:
            yield page, device, stops
        finally:
            await page.client.aclose()
            stop.set()
            await asyncio.wait_for(running, 60)


async def answers(page, path="/words.json"):
    """Waits until the page is served."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        with suppress(httpx.TransportError):
            if (await page.client.get(path)).status_code == 200:
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{path} is not answered")


@asynccontextmanager
async def process(folder, site):
    """An agent in a process of its own, which may be killed."""
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    with (folder / "agent.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROCESS, str(site), str(folder / "outbox.db"), str(ready),
            cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            await until(lambda: ready.exists() or child.returncode is not None)
            assert ready.exists(), (folder / "agent.log").read_text()[-3000:]
            yield child
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
