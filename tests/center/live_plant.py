"""A whole chain in processes of their own: a simulated PLC, `nhip agent` with its page at the machine, Mosquitto, `nhip
center` with accounts, and a receiver of alerts.
"""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
from alert_plant import Receiver
from edge_plc import Plc
from ruamel.yaml import YAML
from servers import PATIENCE_S, eventually, free_port
from whole_center import ROOT, Center, run

from center.commands import accounts

SITE = "duc-tin"
PEOPLE = {"hung": "factory", "lan": "engineer"}
MACHINES = {f"m-{n}": {"vi": f"Máy dập {n}", "en": f"Press {n}"} for n in range(1, 5)}
REASONS = {
    "jam": {"name": {"vi": "Kẹt khuôn", "en": "Die jam"}, "is": "breakdown"},
    "late": {"name": {"vi": "Chờ phôi", "en": "Waiting for blanks"}, "is": "starved"},
}
TICK_S = 0.2
"""A machine that runs makes a piece in this time."""
_LONGEST_S = 120


def noon_zone() -> str:
    """A zone in which it is about noon: a shift of now lies within one day."""
    east = 12 - time.gmtime().tm_hour
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"


class Floor(threading.Thread):
    """The PLC and its machines, in a loop of their own: coil n says that machine n runs, register n counts its pieces and
    register n + 8 its rejects, of which there are none. runs: by machine, changed at will.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.plc, self.runs, self._ready, self._end = (
            Plc(),
            dict.fromkeys(MACHINES, True),
            threading.Event(),
            threading.Event(),
        )
        self.start()
        assert self._ready.wait(PATIENCE_S)

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        await self.plc.start()
        self._ready.set()
        while not self._end.is_set():
            for n, runs in enumerate(self.runs.values()):
                self.plc.coils[n] = runs
                self.plc.holding[n] = (self.plc.holding[n] + runs) % 65_536
            await asyncio.sleep(TICK_S)
        await self.plc.stop()

    def close(self) -> None:
        self._end.set()
        self.join()


class Chain:
    """Everything, up and running. url: of the console; andon: of the page at the machine; day: of its shift A, which ends
    within minutes; mail_port: where the center hands over the shift's report, to a server that a test starts.
    """

    def __init__(self, folder: Path) -> None:
        self.stack, self.floor = ExitStack(), Floor()
        self.stack.callback(self.floor.close)
        self.hook, self.mail_port = self.stack.enter_context(Receiver()), free_port()
        self.zone, self.day = ZoneInfo(noon_zone()), ""
        self.center = Center(folder, self._center_lines(folder))
        self.stack.enter_context(self.center.stack)
        self.url = self.center.url
        self.passwords = {"hoa": self.center.password} | {
            name: run(
                accounts.user, "add", self.center.file, name, "--role", role, "--site", SITE, "--generate"
            ).split()[-1]
            for name, role in PEOPLE.items()
        }
        self.center.up()
        self.andon = f"http://127.0.0.1:{free_port()}"
        self._agent(folder)

    def _center_lines(self, folder: Path) -> str:
        (folder).mkdir(exist_ok=True)
        (folder / "hook").write_text(self.hook.webhook())
        (folder / "nobody").write_text(f"json://127.0.0.1:{free_port()}/nobody-listens")
        return f"""
mail: {{server: "127.0.0.1:{self.mail_port}", security: none, sender: nhip@example.vn}}
reports: [{{site: {SITE}, to: [lan@example.vn], after: 5s}}]
alerts:
  stop: {{longer: 2s, over: 1s}}
  off: [oee, pieces, coverage, no_data]
  channels: {{bao-tri: {{address_file: "{folder}/hook"}}, cu: {{address_file: "{folder}/nobody"}}}}
  send: [{{to: [bao-tri, cu], kinds: [stop]}}]
"""

    def _agent(self, folder: Path) -> None:
        now = datetime.now(self.zone)
        ends = (now + timedelta(seconds=_LONGEST_S)).replace(second=0, microsecond=0)
        self.day, change = now.date().isoformat(), f"{ends:%H:%M}"
        site, ready = folder / "site.yaml", folder / "ready"
        content = {
            "site": SITE, "name": {"vi": "Cơ khí Đức Tín", "en": "Duc Tin Mechanical"}, "timezone": self.zone.key,
            "clock": "system", "center": {"broker": f"mqtt://127.0.0.1:{self.center.broker}"},
            "andon": {"listen": self.andon.removeprefix("http://")},
            "devices": {"plc": {
                "kind": "modbus_tcp", "host": "127.0.0.1", "port": self.floor.plc.port, "every": "200ms",
                "tags": {f"{kind}{n}": where for n in range(len(MACHINES)) for kind, where in (
                    ("run", {"coil": n}), ("count", {"holding": n, "type": "uint16"}), ("bad", {"holding": n + 8, "type": "uint16"}),
                )},
            }},
            "machines": {
                key: {
                    "name": name, "line": "dap", "minor_stop_at_most": "1s", "product": "1",
                    "state": [{"when": f"plc.run{n}", "is": "running"}, {"is": "unplanned_stop"}],
                    "pieces": {"total": f"plc.count{n}", "reject": f"plc.bad{n}"},
                }
                for n, (key, name) in enumerate(MACHINES.items())
            },
            "products": {"1": {"name": {"vi": "Ốp", "en": "Cover"}, "ideal": f"{TICK_S}s"}},
            "reasons": REASONS,
            "shifts": [{"name": "A", "days": "daily", "from": "00:00", "to": change}, {"name": "B", "days": "daily", "from": change, "to": "24:00"}],
        }  # fmt: skip
        YAML(typ="safe", pure=True).dump(content, site)
        command = [sys.executable, "-m", "nhip", "agent", str(site), "--commit-every", "1s", "--ready-file", str(ready)]
        log = self.stack.enter_context((folder / "agent.log").open("w"))
        self.agent = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        self.stack.callback(self._end)
        eventually(lambda: ready.exists() or self.agent.poll() is not None)
        assert self.agent.poll() is None, (folder / "agent.log").read_text()
        eventually(lambda: set(self.states().values()) == {"running"}, what=self.states)

    def _end(self) -> None:
        self.agent.terminate()
        assert self.agent.wait(PATIENCE_S) == 0

    def runs(self, *machines: str, run: bool) -> None:
        """Starts or stops machines, and waits until the center knows."""
        for name in machines:
            self.floor.runs[name] = run
        word = "running" if run else "unplanned_stop"
        eventually(lambda: {self.states()[name] for name in machines} == {word}, what=self.states)

    def client(self) -> httpx.Client:
        """A program that is logged in as the administrator."""
        made = httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE_S)
        eventually(lambda: made.get("/login").status_code == 200)
        assert made.post("/login", data={"name": "hoa", "password": self.center.password}).status_code == 303
        return made

    def ask(self, path: str, **query: str):
        """What the API answers the administrator."""
        if not hasattr(self, "_client"):
            self._client = self.client()
            self.stack.callback(self._client.close)
        answer = self._client.get(f"/api/v1/{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    def database(self) -> sqlite3.Connection:
        """The center's database of what people say, to read."""
        return sqlite3.connect(f"file:{self.center.file.parent}/nhip.accounts.sqlite?mode=ro", uri=True)

    def states(self) -> dict[str, str]:
        """What each machine does, as the center has heard it."""
        return {row["machine"]: row["state"] for row in self.ask("live") if row["site"] == SITE}
