"""Mosquitto, the center and the agent as processes, for measuring between them."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

from servers import answers, eventually, free_port, mosquitto_command

ROOT = Path(__file__).resolve().parents[2]
FSYNCS = Path(__file__).with_name("fsyncs.c")


class Stage:
    """A broker and a center in a folder; children are ended with the stage."""

    def __init__(self, folder):
        self.folder, self.port, self.http_port = folder, free_port(), free_port()
        self._children = {}
        (folder / "center.yaml").write_text(
            f"accounts: off\nbroker: mqtt://127.0.0.1:{self.port}\nlisten: 127.0.0.1:{self.http_port}\n"
            f"store: {{kind: duckdb, file: {folder / 'center.duckdb'}}}\n"
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in list(self._children):
            self.end(name)

    def start(self, name, command, **environment):
        log = (self.folder / f"{name}.log").open("ab")
        self._children[name] = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"} | environment
        )

    def end(self, name, *, kill=False):
        child = self._children.pop(name)
        (child.kill if kill else child.terminate)()
        with suppress(subprocess.TimeoutExpired):
            child.wait(20)
        if child.poll() is None:
            child.kill()

    def broker(self):
        self.start("broker", mosquitto_command(self.folder, self.port))
        eventually(lambda: answers(self.port))

    def center(self):
        self.start("center", [sys.executable, "nhip.py", "center", str(self.folder / "center.yaml")])
        eventually(lambda: (self.ask("health") or {}).get("broker") == "ok", 60)

    def agent(self, site, **environment):
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        self.start("agent", [sys.executable, "nhip.py", "agent", str(site), "--ready-file", str(ready)], **environment)
        eventually(ready.exists, 60)

    def ask(self, path):
        """The API's answer; None if there is none."""
        with (
            suppress(OSError, ValueError),
            urlopen(f"http://127.0.0.1:{self.http_port}/api/v1/{path}", timeout=10) as answer,
        ):
            return json.loads(answer.read())
        return None

    def counted(self, name):
        return (self.ask("health") or {"ingest": {}})["ingest"].get(name, 0)


def counting_fsyncs(folder):
    """The environment in which a process counts its fsyncs, and the file to which it writes their number; None without a C
    compiler."""
    library, counts = folder / "fsyncs.so", folder / "fsyncs"
    try:
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-o", library, FSYNCS, "-ldl"], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"LD_PRELOAD": str(library), "FSYNCS": str(counts)}, counts


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def timed(work):
    began_s = time.perf_counter()
    result = work()
    return time.perf_counter() - began_s, result
