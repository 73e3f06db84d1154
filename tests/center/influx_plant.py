"""A real InfluxDB for the tests: the one that scripts/influxd built, or any at NHIP_TEST_INFLUX_URL."""

import atexit
import functools
import hashlib
import json
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

VERSION = os.environ.get("NHIP_TEST_INFLUX_VERSION", "1.8.10")
"""The version that the tests start; scripts/influxd builds it."""
ORG, TOKEN, PASSWORD = "nhip", "a-token-of-the-tests", "a-password-of-the-tests"


def binary(version=VERSION):
    """Where scripts/influxd puts a version."""
    cache = Path(os.environ.get("NHIP_CACHE", Path.home() / ".cache" / "nhip"))
    return cache / "bin" / ("influxd" if version == "1.8.10" else f"influxd-{version}")


def is_2x():
    """Whether the tests use organizations and tokens."""
    if "NHIP_TEST_INFLUX_URL" in os.environ:
        return "NHIP_TEST_INFLUX_ORG" in os.environ
    return VERSION.startswith("2.")


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
        if not binary().exists():
            pytest.skip(f"no influxd {VERSION}: run scripts/influxd {VERSION}, or set NHIP_TEST_INFLUX_URL")
        self.folder, self.auth = folder, auth
        self.port, rpc = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._is_set_up = not is_2x()
        if is_2x():
            (folder / "token").write_text(TOKEN)
            places = {"bolt": "influxd.bolt", "sqlite": "influxd.sqlite", "engine": "engine"}
            self._command = [
                *(f"--{name}-path={folder / place}" for name, place in places.items()),
                f"--http-bind-address=127.0.0.1:{self.port}",
                "--reporting-disabled",
                "--log-level=error",
            ]
            return
        config = folder / "influxd.conf"
        config.write_text(
            _CONFIG.format(folder=folder, port=self.port, rpc=rpc, auth="true" if auth else "false", more=more),
            encoding="utf-8",
        )
        self._command = ["-config", str(config)]

    def start(self):
        command = [str(binary()), *self._command]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers, what="influxd")
        if not self._is_set_up:
            self._set_up()
        return self

    def _set_up(self):
        answers = {"username": "nhip", "password": PASSWORD, "org": ORG, "bucket": "first", "token": TOKEN}
        request = urllib.request.Request(
            f"{self.url}/api/v2/setup", json.dumps(answers).encode(), {"Content-Type": "application/json"}
        )
        eventually(lambda: _posted(request), what="the set-up of influxd")
        self._is_set_up = True

    def _answers(self):
        assert self.process.poll() is None, "influxd ended by itself"
        with suppress(OSError):
            place = "health" if is_2x() else "ping"
            urllib.request.urlopen(f"{self.url}/{place}", timeout=PATIENCE_S).close()
            return True
        return False

    @property
    def settings(self):
        more = {"org": ORG, "token_file": str(self.folder / "token")} if is_2x() else {}
        return {"url": self.url, "cache": str(self.folder / "hours.duckdb")} | more

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


def _posted(request):
    with suppress(OSError):
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()
        return True
    return False


@functools.cache
def _shared():
    """Settings of one server for all tests of this process."""
    if url := os.environ.get("NHIP_TEST_INFLUX_URL"):
        names = {"org": "NHIP_TEST_INFLUX_ORG", "token_file": "NHIP_TEST_INFLUX_TOKEN_FILE"}
        return {"url": url} | {key: os.environ[name] for key, name in names.items() if name in os.environ}
    folder = tempfile.TemporaryDirectory(prefix="nhip-influxd-")
    server = Influxd(Path(folder.name)).start()
    atexit.register(folder.cleanup)
    atexit.register(server.kill)
    return {key: value for key, value in server.settings.items() if key != "cache"}


def shared_url():
    """The address of the server for all tests of this process."""
    return _shared()["url"]


def influx_settings(folder, **more):
    """Settings of a database of its own for this folder."""
    database = f"test_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}_{os.getpid()}"
    return _shared() | {"database": database, "cache": str(folder / "hours.duckdb")} | more


def _bucket(store, name):
    server = store.database.server
    (org,) = server.call("GET", "/api/v2/orgs", fields={"org": server.address.org})["orgs"]
    (bucket,) = server.call("GET", "/api/v2/buckets", fields={"orgID": org["id"], "name": name})["buckets"]
    return bucket


def set_retention(store, kept_s):
    """What an operator does with the server's own tools."""
    server, name = store.database.server, store.database.name
    if is_2x():
        rules = [{"type": "expire", "everySeconds": kept_s, "shardGroupDurationSeconds": 86_400}]
        server.call("PATCH", f"/api/v2/buckets/{_bucket(store, name)['id']}", json={"retentionRules": rules})
    else:
        server.ask([f'ALTER RETENTION POLICY "nhip" ON "{name}" DURATION {kept_s}s'])


def lose_measurement(store, measurement):
    """Drops what the books have of one kind; in 2.x they are a bucket of their own."""
    name = f"{store.database.name}-books" if is_2x() else store.database.name
    store.database.server.ask([f'DROP MEASUREMENT "{measurement}"'], name)


def lose_books(store):
    """Drops what is kept beside the rows, with all that is in it."""
    server, name = store.database.server, store.database.name
    if is_2x():
        status, text = server.request("DELETE", f"/api/v2/buckets/{_bucket(store, f'{name}-books')['id']}")
        assert status == 204, text
    else:
        server.ask([f'DROP RETENTION POLICY "books" ON "{name}"'])
