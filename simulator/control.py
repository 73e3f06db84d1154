"""The simulator's control port, HTTP on loopback: returns the true figures and controls the model.

| request | answers |
|---|---|
| GET /ready | `{"live": bool, "now_ns": ...}` |
| GET /state | each machine's state now |
| GET /truth?from=&to=&as_of= | see `simulator.truth`; [ns UTC], `as_of` defaults to `to` |
| GET /transitions?machine=&from=&to= | the state at `from` and each change after it |
| POST /quiet {"at_ns": [...]} | `{"accepted": [...], "late": [...]}`; late: less than 3 s ahead, ignored |
| POST /force {"machine", "event", "for_s"} | `{"begins_ns": ...}`; `for_s` defaults to 20 |

An invalid request gets status 400 and a sentence that says what to write instead.
"""

import asyncio
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answer = Callable[[str, dict[str, Any]], dict[str, Any]]
_TIMEOUT_S = 30


class BadRequest(Exception):
    """The request is invalid; the message says why."""


class ControlServer:
    """A small HTTP server in a thread of its own. Requests are answered by `answer(request, arguments)` on the
    event loop, so that two threads never use the model at once.
    """

    def __init__(self, answer: Answer, port: int) -> None:
        loop = asyncio.get_running_loop()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                self._reply(f"GET {url.path}", dict(parse_qsl(url.query)))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    arguments = json.loads(body or b"{}")
                except ValueError as error:
                    self._send(400, {"error": f"the body is not valid JSON: {error}"})
                    return
                self._reply(f"POST {urlsplit(self.path).path}", arguments)

            def _reply(self, request: str, arguments: dict[str, Any]) -> None:
                future = asyncio.run_coroutine_threadsafe(_call(answer, request, arguments), loop)
                try:
                    self._send(200, future.result(_TIMEOUT_S))
                except BadRequest as error:
                    self._send(400, {"error": str(error)})

            def _send(self, status: int, data: dict[str, Any]) -> None:
                payload = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Logs nothing: tests send many requests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    async def close(self) -> None:
        """Ends the thread."""
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()


async def _call(answer: Answer, request: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return answer(request, arguments)
