"""The stage: files, ports and child processes of one demo, from start to clean end."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

from ruamel.yaml import YAML

from demo.broker import EmbeddedBroker

_START_S: Final = 60.0
_END_S: Final = 20.0


class StageBroken(Exception):
    """A process of the demo did not start or died; the message names it and quotes the end of its log."""


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def request_json(url: str, body: Any = None, timeout_s: float = 30.0) -> Any:
    """The JSON response of a loopback URL. Raises `StageBroken` with the response if it is an error."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"})  # noqa: S310  # loopback, made by us
    try:
        with urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            return json.loads(answer.read())
    except HTTPError as error:
        raise StageBroken(f"{url} answered {error.code}: {error.read().decode(errors='replace')[:500]}") from error
    except (URLError, OSError) as error:
        raise StageBroken(f"{url} does not answer: {error}") from error


@dataclass
class Child:
    """One child process with its log file. command: arguments of `nhip`."""

    name: str
    command: list[str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    _file: "IO[bytes] | None" = None

    def start(self) -> None:
        """Starts it; its output goes to its log."""
        self._file = self.log.open("ab")
        self.process = subprocess.Popen(  # noqa: S603  # our own command
            [*_dies_with_parent(), sys.executable, "-m", "nhip", *self.command],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches only the demo, which stops its children in order
        )

    def check(self) -> None:
        """Raises `StageBroken` if it is no longer running."""
        if self.process is not None and self.process.poll() is not None:
            raise StageBroken(f"{self.name} ended with status {self.process.returncode}:\n{self.log_end()}")

    def log_end(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def kill(self) -> None:
        """Ends it by SIGKILL."""
        assert self.process is not None  # only a started child is killed
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ends it by SIGTERM, then by SIGKILL if it does not end in time."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._file:
            self._file.close()


def _dies_with_parent() -> list[str]:
    """Command prefix that ends a child when the demo dies, even by SIGKILL; empty where `setpriv` is missing."""
    setpriv = shutil.which("setpriv")  # of util-linux, which is on every Debian
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


@dataclass
class Stage:
    """The processes and files of one demo, in one folder.

    broker_url: a running broker; "" starts an embedded one. days: days of history before the demo goes live.
    """

    folder: Path
    days: float = 56.0
    seed: int = 1
    listen_port: int = 0
    broker_url: str = ""
    commit_every_s: float = 2.0
    language: str = "vi"
    children: list[Child] = field(default_factory=list)
    broker: EmbeddedBroker | None = None
    truth_url: str = ""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()  # files named in a file are relative to that file's folder

    @property
    def center_url(self) -> str:
        """Where console and API answer."""
        return f"http://127.0.0.1:{self.listen_port}"

    @property
    def history(self) -> Path | None:
        """Folder of the recorded history; None without history."""
        return self.folder / "history" if self.days else None

    def open(self) -> None:
        """Starts broker, simulator, center and agent; returns when each is up (history is still being generated)."""
        from demo.mended import write_action  # noqa: PLC0415  # loaded only where a demo runs
        from simulator import demo as factory_of  # noqa: PLC0415

        self.folder.mkdir(parents=True, exist_ok=True)
        self.listen_port = self.listen_port or free_port()
        if not self.broker_url:
            self.broker = EmbeddedBroker(free_port())
            self.broker.start()
            self.broker_url = self.broker.url
        factory = factory_of.factory(self.now, history_days=max(1, round(self.days)), seed=self.seed)
        if not self.days:  # no history: every machine begins its first run now, while the agent reads
            factory = factory.model_copy(update={"start": self.now.replace(microsecond=0)})
        _write_yaml(self.folder / "factory.yaml", factory.model_dump(mode="json", exclude_none=True))
        ports = self._start_simulator()
        _write_yaml(self.folder / "site.yaml", factory_of.site(ports, self.broker_url, factory))
        store = {"kind": "duckdb", "file": str(self.folder / "center.duckdb")}
        _write_yaml(
            self.folder / "center.yaml",
            {
                "name": "Nhịp",
                "listen": f"127.0.0.1:{self.listen_port}",
                "broker": self.broker_url,
                "accounts": "off",  # loopback only
                "language": self.language,
                "alerts": {},
                "store": store,
            },
        )
        write_action(
            self.folder / "center.yaml",
            self.now.astimezone(ZoneInfo(factory.timezone)),
            round(self.days),
            self.language,
        )
        center_ready = self.folder / "center-ready"
        self._start("center", ["center", str(self.folder / "center.yaml"), "--ready-file", str(center_ready)])
        self.wait(center_ready.exists, "the center")
        # this broker queues nothing: what the agent sends before the center subscribes is repeated only a minute later
        self.wait(
            lambda: request_json(f"{self.center_url}/api/v1/health")["broker"] == "ok", "the center's MQTT session"
        )
        self.start_agent()

    def _start_simulator(self) -> dict[str, str]:
        ports_file = self.folder / "ports.json"
        command = ["simulate", str(self.folder / "factory.yaml"), "--ports-file", str(ports_file), "--http", "0"]
        if self.history:
            begin = (self.now - timedelta(days=self.days)).replace(second=0, microsecond=0)
            command += ["--history", str(self.history), "--history-from", begin.isoformat()]
        self._start("simulator", command)
        self.wait(ports_file.exists, "the simulated factory")
        ports: dict[str, str] = json.loads(ports_file.read_text())
        self.truth_url = f"http://{ports.pop('http')}"
        return ports

    def start_agent(self) -> Child:
        """Starts or restarts the agent."""
        command = ["agent", str(self.folder / "site.yaml"), "--outbox", str(self.folder / "agent.outbox")]
        command += ["--commit-every", f"{self.commit_every_s:g}", "--ready-file", str(self.agent_ready)]
        command += ["--progress-file", str(self.folder / "agent-progress.json")]
        if self.history:
            command += ["--history", str(self.history)]
        return self._start("agent", command)

    @property
    def agent_ready(self) -> Path:
        """Exists once the agent reads its devices."""
        return self.folder / "agent-ready"

    def child(self, name: str) -> Child:
        """The latest process of that name."""
        return next(child for child in reversed(self.children) if child.name == name)

    def wait(self, done: Callable[[], bool], what: str, timeout_s: float = _START_S) -> None:
        """Waits for a condition. Raises `StageBroken` when it takes too long or a child has died."""
        end_s = time.monotonic() + timeout_s
        while not done():
            self.check()
            if time.monotonic() > end_s:
                logs = "\n".join(f"--- {child.name}\n{child.log_end()}" for child in self.children)
                raise StageBroken(f"{what} did not come up within {timeout_s:.0f} s\n{logs}")
            time.sleep(0.1)

    def check(self) -> None:
        """Raises `StageBroken` if a child has died."""
        for child in {child.name: child for child in self.children}.values():
            child.check()

    def close(self) -> None:
        """Stops everything, in the order that loses no data: agent, center, simulator, broker."""
        for name in ("agent", "center", "simulator"):
            for child in self.children:
                if child.name == name:
                    child.stop()
        if self.broker:
            self.broker.stop()

    def _start(self, name: str, command: list[str]) -> Child:
        child = Child(name, command, self.folder / f"{name}.log")
        self.children.append(child)
        child.start()
        return child


def _write_yaml(path: Path, content: Any) -> None:
    yaml = YAML()
    yaml.default_flow_style = None
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)
