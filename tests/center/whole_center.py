"""A whole center as a process of its own: `nhip center` with accounts, its broker, and a gateway that sends."""

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from center_plant import Gateway, envelope, mosquitto, running, site_body
from click.testing import CliRunner
from servers import PATIENCE_S, answers, eventually, free_port

from center.commands import accounts as door
from oee.model.facts import MINUTE_NS
from wire.bodies import Live, LiveMachine, Status
from wire.envelope import pack_message, seal

ROOT = Path(__file__).resolve().parents[2]


class Center:
    """`nhip center` with its broker, an administrator and a gateway that sends. more: lines for its file; store: another
    than the embedded one."""

    def __init__(self, folder, more="", store=""):
        folder.mkdir(exist_ok=True)
        self.stack, self.port, self.file = ExitStack(), free_port(), folder / "center.yaml"
        self.broker = self.stack.enter_context(mosquitto(folder))
        self.file.write_text(
            f"name: Trung tâm\nbroker: mqtt://127.0.0.1:{self.broker}\nlisten: 127.0.0.1:{self.port}\n"
            f"store: {store or f'{{kind: duckdb, file: {folder}/nhip.duckdb}}'}\n{more}"
        )
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = run(
            door.user, "add", self.file, "hoa", "--role", "admin", "--generate", "--lang", "en"
        ).split()[-1]
        self.process = self._started()
        self.stack.callback(self._end)
        self.gateway = self.gateway_of("van-long")

    def _started(self):
        return subprocess.Popen([sys.executable, "-m", "nhip", "center", str(self.file)], cwd=ROOT)

    def restart(self, number=signal.SIGTERM):
        """Ends the process by this signal and starts another one."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE_S)
        self.process = self._started()
        self.up()
        # before, the port says that the center waits
        eventually(lambda: httpx.get(f"{self.url}/login", timeout=PATIENCE_S, trust_env=False).status_code == 200)

    def gateway_of(self, site):
        made = Gateway(self.broker, site)
        self.stack.callback(made.close)
        return made

    def _end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0

    def up(self):
        eventually(lambda: answers(self.port) or self.process.poll() is not None)
        assert self.process.poll() is None
        return self

    def filled(self):
        """Up, with two machines and some minutes of today."""
        self.up()
        now_ns = time.time_ns()
        start_ns = now_ns // MINUTE_NS * MINUTE_NS - 30 * MINUTE_NS
        self.gateway.send(seal("b" * 16, 1, 1, site_body(["press-1", "press-2"])).data, kind="site")
        rows = running(start_ns, 20) + running(start_ns, 20, "press-2")

        def told():
            self.gateway.send(envelope(1, rows))
            return self.gateway.mark()

        eventually(told, every_s=0.5)
        self.gateway.send(pack_message(Status(online=True, at_ns=now_ns)), kind="status")
        return self

    def live(self, state):
        machine = LiveMachine(state=state, since_ns=time.time_ns())
        self.gateway.send(pack_message(Live(at_ns=time.time_ns(), machines={"press-1": machine})), kind="live")

    @contextmanager
    def as_administrator(self):
        """A client that is logged in."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE_S) as client:
            eventually(lambda: client.get("/login").status_code == 200)  # before, the port says that it waits
            answer = client.post("/login", data={"name": "hoa", "password": self.password})
            assert answer.status_code == 303, answer.text
            yield client

    def trail(self):
        return json.loads(run(door.show_audit, self.file, "--json"))["rows"]


def run(command, *arguments):
    outcome = CliRunner().invoke(command, [str(item) for item in arguments])
    assert outcome.exit_code == 0, (outcome.output, outcome.exception)
    return outcome.output
