"""Real processes on loopback: a broker, a center, an agent that is fed recorded files; each can be killed and started
again. Nothing here is faster than the product but the agent's patience: it sends again after seconds, not minutes.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from urllib.request import Request, urlopen

from fault_books import read_file
from fault_history import FILES, site_file, write_files
from prepared import preparable
from servers import PATIENCE_S, amqtt_command, answers, free_port, mosquitto_command
from servers import eventually as _eventually

from agent.feed.history_files import day_path

ROOT = Path(__file__).parents[2]
AGENT = preparable("""
import json, logging, sys
from pathlib import Path
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
from agent.run import Options, main
from agent.uplink.stream_window import SendLimits
site, outbox, history = (Path(text) for text in sys.argv[1:4])
said = history.parent / "progress"
def tell(progress):
    with said.open("a") as file:
        file.write(json.dumps(progress) + "\\n")
limits = SendLimits(resend_after_s=2.0, resend_at_most_s=4.0, hole_after_s=0.5, puback_within_s=4.0, listen_first_s=0.3)
main(site, outbox, history, Options(commit_every_s=0.3, progress=tell, limits=limits, **json.loads(sys.argv[4])))
""")


def eventually(condition, every_s=0.05, what=""):
    """Looks less often, since a look often asks a process."""
    return _eventually(condition, PATIENCE_S, every_s, what)


def ask(url, data=None, headers=None):
    """The JSON that a URL answers; None if nobody does."""
    with suppress(OSError, ValueError), urlopen(Request(url, data, headers or {}), timeout=PATIENCE_S) as answer:
        return json.loads(answer.read())
    return None


class Process:
    """A child with a log, killed and started again at will."""

    def __init__(self, name, folder, command):
        self.name, self.command, self.log = name, command, folder / f"{name}.log"
        self.child = None

    def start(self):
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment()
            )

    @property
    def runs(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        self._end(signal.SIGKILL)

    def stop(self):
        if self.runs:
            self._end(signal.SIGTERM)
            early = -signal.SIGTERM  # it was still loading
            assert self.child.returncode in (0, early), f"{self.child.returncode}: {self.last_words()}"

    def _end(self, number):
        if self.runs:
            self.child.send_signal(number)
            self.child.wait(PATIENCE_S)

    def last_words(self):
        return self.log.read_text(errors="replace")[-3000:]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


def mosquitto(folder, port, extra="allow_anonymous true\n"):
    return Process("broker", folder, mosquitto_command(folder, port, extra))


def persistent_mosquitto(folder, port):
    return Process("broker", folder, mosquitto_command(folder, port, persistent=True))


def amqtt(folder, port):
    return Process("broker", folder, amqtt_command(port))


class Stage:
    """Broker, center and one agent in a folder. agent_port, center_port: where these find the broker, if not at `port`."""

    def __init__(
        self,
        folder,
        *,
        make_broker=mosquitto,
        port=None,
        agent_port=None,
        center_port=None,
        disk=None,
        disk_of="",
        options=None,
    ):
        self.folder = folder
        self.port, self.http_port = port or free_port(), free_port()
        self.broker = make_broker(folder, self.port)
        self.disk, self.disk_of = disk, disk_of
        self.outbox = (disk.place if disk_of == "agent" else folder) / "outbox.db"
        self.store = (disk.place if disk_of == "center" else folder) / "center.duckdb"
        self.all_files, self.history = write_files(folder / "files"), folder / "history"
        self.history.mkdir()
        self.fed = 0
        (folder / "center.yaml").write_text(
            f"accounts: off\nbroker: mqtt://127.0.0.1:{center_port or self.port}\nlisten: 127.0.0.1:{self.http_port}\n"
            f"store: {{kind: duckdb, file: {self.store}}}\n"
        )
        center = ["-m", "nhip", "center", str(folder / "center.yaml")]
        self.center = Process("center", folder, [sys.executable, *center])
        self.agent = self.agent_of("agent", site_file(folder, agent_port or self.port), self.outbox, options)
        if disk:
            process = self.agent if disk_of == "agent" else self.center
            process.command = [*disk.prefix, *process.command]

    def agent_of(self, name, site, outbox, options=None, history=None):
        files = history or self.history
        command = [sys.executable, "-c", AGENT, str(site), str(outbox), str(files), json.dumps(options or {})]
        return Process(name, self.folder, command)

    def __enter__(self):
        self.start_broker()
        self.center.start()
        self.agent.start()
        return self

    def __exit__(self, *error):
        for process in (self.agent, self.center, self.broker):
            process.kill()
        if any(error):
            for process in (self.agent, self.center):
                if process.log.exists():
                    print(f"--- {process.name}\n{process.last_words()}")

    def start_broker(self):
        self.broker.start()
        eventually(lambda: answers(self.port), what="the broker")

    def feed(self, upto=FILES):
        """Gives the agent the recorded files up to this one."""
        for number in range(self.fed, upto):
            path = day_path(self.history, number)
            shutil.copy(day_path(self.all_files, number), path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
        self.fed = max(self.fed, upto)

    def api(self, path):
        return ask(f"http://127.0.0.1:{self.http_port}/api/v1/{path}")

    def counted(self, name):
        """One of the center's counters."""
        return (self.api("health") or {"ingest": {}})["ingest"].get(name, 0)

    def wait_center(self):
        eventually(lambda: (self.api("health") or {}).get("broker") == "ok", what="the center")

    def wait_agent(self, files):
        """Until the agent has worked out that many files."""
        eventually(lambda: self.computed() >= files, what=f"the agent at file {files}")

    def computed(self, outbox=None):
        """How many files an agent has worked out: that of this outbox."""
        path = (self.folder if self.disk_of else (outbox or self.outbox).parent) / "progress"
        days = (
            [json.loads(line).get("history_day", 0) for line in path.read_text().splitlines()] if path.exists() else []
        )
        return max(days, default=0)

    def sealed(self, outbox=None):
        """Streams that the outbox still sends, by id: the last seq written."""
        path = outbox or self.outbox
        if self.disk_of == "agent":
            path = self.disk.copy_out("outbox.db", self.folder / "copied")
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return dict(db.execute("select stream, next_seq - 1 from streams where current >= 0 and next_seq > 1"))
        return {}

    def rows(self):
        """The center's word on each stream."""
        return {row["stream"]: row for row in (self.api("delivery") or {"rows": []})["rows"]}

    def delivered(self, outbox=None):
        """Whether every envelope on the gateway's disk is settled at the center."""
        sealed, rows = self.sealed(outbox), self.rows()
        return bool(sealed) and all(stream in rows and rows[stream]["mark"] == last for stream, last in sealed.items())

    def finish(self):
        """Feeds what is left, waits until all is delivered, ends agent and center in order, and reads the books."""
        self.feed()
        self.wait_agent(FILES)
        eventually(self.delivered, what=lambda: f"delivery: {self.sealed()} against {self.rows()}")
        self.last_rows = self.rows()
        self.agent.stop()
        self.center.stop()
        path = self.store
        if self.disk_of == "center":
            path = self.disk.copy_out("center.duckdb", self.folder / "copied")
        return read_file(path)
