"""What the tests of alerts are made of: a receiver of webhooks, Telegram and Zalo, and a center that hears a gateway."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from servers import free_port

TELEGRAM, ZALO = "123456789:abcdefg_hijklmnop", "123456789:abcdefghijKLMNOPqrst"


class Receiver:
    """An HTTP server that keeps what it is sent. status: what it answers; hold: while set, it does not answer."""

    def __init__(self, port=None):
        self.port, self.got, self.status, self.free = port or free_port(), [], 200, threading.Event()
        self.free.set()
        self._server = None

    def __enter__(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.got.append((self.path, body))
                receiver.free.wait(60)
                self.send_response(receiver.status)
                self.end_headers()
                self.wfile.write(b'{"ok": true}' if receiver.status == 200 else b'{"ok": false}')

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.free.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def titles(self):
        return [body.get("title") or body.get("text", "").splitlines()[0] for _, body in self.got]

    def webhook(self, name="hook"):
        return f"json://127.0.0.1:{self.port}/{name}"


def redirect_services(monkeypatch, receiver):
    """Apprise's own plug-ins, with the hosts of Telegram and Zalo on loopback."""
    from apprise.plugins.telegram import NotifyTelegram
    from apprise.plugins.zalo import NotifyZalo

    monkeypatch.setattr(NotifyTelegram, "notify_url", f"http://127.0.0.1:{receiver.port}/bot")
    monkeypatch.setattr(NotifyZalo, "notify_url", f"http://127.0.0.1:{receiver.port}/bot{{token}}/sendMessage")


class Sending:
    """The two jobs of a center, with pauses of a moment; stopped at the end of the block."""

    def __init__(self, center, engine, settings, mail=None, notices=None):
        from center.outgoing.alerts.job import AlertJob
        from center.outgoing.alerts.sender import AlertSender

        self.job = AlertJob(center, engine, notices or engine, settings, idle_s=0.02)
        self.sender = AlertSender(center, engine, settings, mail, idle_s=0.02)

    def __enter__(self):
        self.job.start()
        self.sender.start()
        return self

    def __exit__(self, *_):
        self.job.stop()
        self.sender.stop(2.0)
