"""A real InfluxDB for the tests: the one that scripts/influxd built, or any at NHIP_TEST_INFLUX_URL."""

import atexit
import functools
import hashlib
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from center_plant import free_port
from servers import PATIENCE_S, eventually

BINARY = Path(os.environ.get("NHIP_CACHE", Path.home() / ".cache" / "nhip")) / "bin" / "influxd"
_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  wal-fsync-delay = "0s"
  index-version = "tsi1"
  query-log-enabled = false
  {more}
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
  auth-enabled = {auth}
[logging]
  level = "error"
  suppress-logo = true
"""


class Influxd:
    """A server of our own, which may be killed and started again on the same data and port."""

    def __init__(self, folder, auth=False, more=""):
        if not BINARY.exists():
            pytest.skip("no influxd: run scripts/influxd, or set NHIP_TEST_INFLUX_URL")
        self.folder, self.auth = folder, auth
        self.port, rpc = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / "influxd.conf"
        self._config.write_text(
            _CONFIG.format(folder=folder, port=self.port, rpc=rpc, auth="true" if auth else "false", more=more),
            encoding="utf-8",
        )

    def start(self):
        command = [str(BINARY), "-config", str(self._config)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers, what="influxd")
        return self

    def _answers(self):
        assert self.process.poll() is None, "influxd ended by itself"
        with suppress(OSError):
            urllib.request.urlopen(f"{self.url}/ping", timeout=PATIENCE_S).close()
            return True
        return False

    @property
    def settings(self):
        return {"url": self.url, "cache": str(self.folder / "hours.duckdb")}

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextmanager
def influxd(folder, auth=False):
    server = Influxd(folder, auth).start()
    try:
        yield server
    finally:
        server.kill()


@functools.cache
def shared_url():
    """One server for all tests of this process."""
    if url := os.environ.get("NHIP_TEST_INFLUX_URL"):
        return url
    folder = tempfile.TemporaryDirectory(prefix="nhip-influxd-")
    server = Influxd(Path(folder.name)).start()
    atexit.register(folder.cleanup)
    atexit.register(server.kill)
    return server.url


def influx_settings(folder, **more):
    """Settings of a database of its own for this folder."""
    database = f"test_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}_{os.getpid()}"
    return {"url": shared_url(), "database": database, "cache": str(folder / "hours.duckdb")} | more
