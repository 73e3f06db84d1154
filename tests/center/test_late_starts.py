"""A center whose servers come up after it, or answer with errors at first, waits and says so; it never gives up."""

import json
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from center_plant import eventually, free_port, mosquitto
from influx_plant import Influxd, shared_url
from postgres_plant import Postgres
from servers import PATIENCE_S

ROOT = Path(__file__).parents[2]


class Center:
    """`nhip center` on a store and a database, on a port of its own."""

    def __init__(self, folder, store, database=""):
        self.port, self.log = free_port(), folder / "center.log"
        with mosquitto(folder) as broker:  # whether it answers does not matter here
            pass
        more = f"database: {database}\n" if database else ""
        file = folder / "center.yaml"
        file.write_text(
            f"accounts: off\nbroker: mqtt://127.0.0.1:{broker}\nlisten: 127.0.0.1:{self.port}\n"
            f"store: {json.dumps(store)}\n{more}"
        )
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "nhip", "center", str(file)]
            self.child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def health(self):
        """Status and content of its health; (0, {}) while it does not answer."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/api/v1/health", timeout=PATIENCE_S) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            return 0, {}

    def waits_for(self, words):
        """Until its health names this as what it waits for."""
        eventually(
            lambda: words in self.health()[1].get("store", "") or self.child.poll() is not None,
            every_s=0.2,
            what=self.log.read_text,
        )
        assert self.child.poll() is None, self.log.read_text()
        assert self.health()[0] == 503
        assert "start: waiting: " in self.log.read_text()

    def comes_up(self):
        eventually(
            lambda: self.health()[0] == 200 or self.child.poll() is not None, every_s=0.2, what=self.log.read_text
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        try:
            assert self.child.wait(PATIENCE_S) == 0, self.log.read_text()
        finally:
            self.child.kill()
            self.child.wait()


def influx_store(folder, url):
    return {"kind": "influxdb", "url": url, "books": str(folder / "books.duckdb"), "cache": str(folder / "hours")}


def test_an_influxdb_that_starts_late(tmp_path):
    server = Influxd(tmp_path)
    with Center(tmp_path, influx_store(tmp_path, server.url)) as center:
        center.waits_for(server.url)
        server.start()
        try:
            center.comes_up()
        finally:
            server.kill()


def test_a_postgresql_that_starts_late(tmp_path):
    server = Postgres()
    server.start()
    database = server.database()
    server.kill()
    try:
        store = {key: value for key, value in influx_store(tmp_path, shared_url()).items() if key != "books"}
        with Center(tmp_path, store, database) as center:
            center.waits_for("postgresql")
            server.start()
            center.comes_up()
    finally:
        server.remove()


class Doubtful:
    """Stands before an InfluxDB. answer: a status that it gives instead, or "silent"; None passes everything on."""

    def __init__(self, url, answer):
        doubt, released = self, threading.Event()
        self.answer, self.asked, self.released = answer, 0, released

        class Handler(BaseHTTPRequestHandler):
            def _do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                doubt.asked += 1
                if doubt.answer == "silent":
                    released.wait(PATIENCE_S)
                elif doubt.answer:
                    self.send_error(doubt.answer)
                    return
                headers = {name: self.headers[name] for name in ("Content-Type",) if name in self.headers}
                try:
                    reply = urlopen(Request(url + self.path, body or None, headers, method=self.command))
                except HTTPError as error:
                    reply = error
                data = reply.read()
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        Handler.do_GET = Handler.do_POST = Handler._do
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("answer", [500, 503, 429])
def test_an_influxdb_that_answers_with_errors_at_first(tmp_path, answer):
    server = Doubtful(shared_url(), answer)
    with Center(tmp_path, influx_store(tmp_path, server.url)) as center:
        center.waits_for(str(answer))
        server.answer = None
        center.comes_up()
    server.close()


def test_an_influxdb_that_takes_its_time(tmp_path):
    """Its health answers while the store does not, and it ends when it is told, whoever has not answered yet."""
    server = Doubtful(shared_url(), "silent")
    with Center(tmp_path, influx_store(tmp_path, server.url)) as center:
        center.waits_for("has not answered yet")
    with Center(tmp_path, influx_store(tmp_path, server.url)) as center:
        center.waits_for("has not answered yet")
        server.answer = None
        server.released.set()
        center.comes_up()
    server.close()


def test_what_only_a_person_can_change_ends_with_status_2(tmp_path):
    server = Doubtful(shared_url(), 401)
    center = Center(tmp_path, influx_store(tmp_path, server.url))
    assert center.child.wait(PATIENCE_S) == 2
    assert "401" in center.log.read_text()
    server.close()
