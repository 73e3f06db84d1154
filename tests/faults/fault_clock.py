"""Gateways whose wall clock is wrong and is set while they run, at a live PLC: real processes, one clock each."""

import asyncio
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from edge_plc import Plc, site_file
from fault_stage import ROOT, Process, ask, mosquitto
from prepared import preparable
from servers import PATIENCE_S, answers, eventually, free_port

from agent.commands.outbox_summary import summarize
from center.contract.store import Query
from center.stores.duckdb.store import open_store
from oee.model.facts import FACT_COLUMNS, row_keys

S = 1_000_000_000
MINUTE_NS = 60 * S
AGENT = preparable("""
import logging, sys
from pathlib import Path
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
from agent.clock import guard
from agent.run import Options, main
from agent.uplink.stream_window import SendLimits
from agent.clock.system import SystemClock
class Offline(SystemClock):
    def ntp(self):
        return None
guard.PATIENCE_NS = 2_000_000_000
site, outbox, ready = (Path(text) for text in sys.argv[1:4])
system = Offline() if sys.argv[4] else None
limits = SendLimits(resend_after_s=2.0, resend_at_most_s=4.0, hole_after_s=0.5, puback_within_s=4.0, listen_first_s=0.3)
main(site, outbox, None, Options(commit_every_s=0.5, ready_file=ready, system=system, limits=limits))
""")
"""Where nobody answers for NTP, whatever the machine that runs the tests has."""


def wall_clock_library(folder):
    """The library that moves one process's wall clock."""
    library = folder / "wall_clock.so"
    source = Path(__file__).with_name("wall_clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


class Shifted(Process):
    """A process whose wall clock is `shift_s` beside the machine's."""

    def __init__(self, name, folder, command, library, shift_s):
        super().__init__(name, folder, command)
        self._file = folder / f"{name}.shift"
        self._file.write_bytes(bytes(8))
        self.set(shift_s)
        self.command = [
            *("env", f"LD_PRELOAD={library}", f"WALL_CLOCK_FILE={self._file}"),
            *command,
        ]

    def set(self, shift_s):
        """Somebody sets its clock."""
        self.shift_s = shift_s
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", round(shift_s * 1e9)))


class LivePlc:
    """A PLC on a thread of its own."""

    def __enter__(self):
        self._plc = Plc()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._plc.start(), self._loop).result(PATIENCE_S)
        self.port = self._plc.port
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._plc.stop(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)

    def show(self, run, count):
        self._plc.coils[0], self._plc.holding[0] = run, count


class Plant:
    """One PLC, a broker that is down at first, a center, and gateways by name.

    shift_s: how far the center's clock, which is right by definition here, is beside the machine's.
    """

    def __init__(self, folder, plc, shift_s):
        self.folder, self.plc, self.shift_s = folder, plc, shift_s
        self.library = wall_clock_library(folder)
        self.port, self.http_port = free_port(), free_port()
        self.broker = mosquitto(folder, self.port)
        (folder / "center.yaml").write_text(
            f"accounts: off\nbroker: mqtt://127.0.0.1:{self.port}\nlisten: 127.0.0.1:{self.http_port}\n"
            f"store: {{kind: duckdb, file: {folder / 'center.duckdb'}}}\n"
        )
        command = [sys.executable, "-m", "nhip", "center", str(folder / "center.yaml")]
        self.center = Shifted("center", folder, command, self.library, shift_s)
        self.gateways = {}

    def gateway(self, name, shift_s, *, guarded=True):
        """Not started yet; shift_s: beside the machine's clock."""
        folder = self.folder / name
        folder.mkdir()
        site = site_file(folder, self.plc.port, self.port, "guarded" if guarded else "system", name)
        files = (site, folder / "outbox", folder / "ready")
        command = [sys.executable, "-c", AGENT, *map(str, files), "offline" if guarded else ""]
        process = Shifted("agent", folder, command, self.library, shift_s)
        process.ready, process.outbox = files[2], files[1]
        self.gateways[name] = process
        return process

    def now_ns(self):
        """The true time."""
        return time.time_ns() + round(self.shift_s * 1e9)

    def api(self, path):
        return ask(f"http://127.0.0.1:{self.http_port}/api/v1/{path}")

    def confirm(self, gateway, utc_s):
        """A person says what time it is."""
        said = datetime.fromtimestamp(utc_s, UTC).isoformat()
        command = [sys.executable, "-m", "nhip", "clock", "confirm", str(gateway.outbox), "--at", said]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    def open_broker(self):
        self.broker.start()
        eventually(lambda: answers(self.port), what="the broker")

    @contextmanager
    def running(self):
        processes = [self.center, *self.gateways.values(), self.broker]
        try:
            yield self
        except BaseException:
            for process in processes:
                if process.log.exists():
                    print(f"--- {process.log}\n{process.last_words()}")
            raise
        finally:
            for process in processes:
                process.kill()


def offered(gateway):
    """How many envelopes of facts its outbox ever held."""
    return sum(item.written for item in summarize(gateway.outbox).streams if item.kind == "facts")


def delivered(gateway):
    """Whether everything that its outbox holds has a receipt, facts among it."""
    return offered(gateway) > 0 and summarize(gateway.outbox).waiting == 0


def redated(gateway):
    """Whether everything that it dated with a wrong time has been corrected."""
    with closing(sqlite3.connect(f"file:{gateway.outbox}?mode=ro", uri=True)) as db:
        keys = [key for (key,) in db.execute("select key from settings where key like 'redat%'")]
    return keys == ["redating_clock"]


def books(folder, site, first_ns, last_ns):
    """What the center holds of a site, when it has ended: key to the columns that are not zero."""
    store = open_store({"file": str(folder / "center.duckdb")})
    try:
        whole = Query(site, first_ns, last_ns, bucket="minute", by=("machine", "shift", "product", "calendar"))
        facts = store.facts(whole)
        return {
            key: {name: int(value) for name, value in zip(FACT_COLUMNS, row, strict=True) if value}
            for key, row in zip(row_keys(facts), facts.sums, strict=True)
        }
    finally:
        store.close()
