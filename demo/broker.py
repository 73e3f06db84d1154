"""An MQTT broker in the demo's own process: amqtt, MQTT 3.1.1.

It keeps no sessions and queues nothing for absent clients. Nothing relies on that, since only the center's receipt
frees an envelope.
"""

import asyncio
import logging
import threading
from typing import Any, Final

_START_S: Final = 20.0


class EmbeddedBroker:
    """A broker in a thread of its own, from `start` to `stop`."""

    def __init__(self, port: int) -> None:
        self.url = f"mqtt://127.0.0.1:{port}"
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._broker: Any = None
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def start(self) -> None:
        """Returns when clients can connect. Raises `OSError` if the port is taken."""
        self._thread.start()
        if not self._ready.wait(_START_S):
            raise OSError(f"the embedded broker did not start within {_START_S:.0f} s")
        if self._failure:
            raise OSError(f"the embedded broker could not start on port {self._port}: {self._failure}")

    def _run(self) -> None:
        from amqtt.broker import Broker  # noqa: PLC0415  # takes half a second, so only the demo imports it
        from amqtt.errors import AMQTTError  # noqa: PLC0415

        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_unhandled)
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self._port}"}},
            "timeout_disconnect_delay": 0,
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        try:
            self._broker = Broker(config, loop=self._loop)
            self._loop.run_until_complete(self._broker.start())
        except (AMQTTError, OSError) as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        self._loop.run_forever()

    def stop(self) -> None:
        """Ends the broker and its thread."""
        if self._broker is None or not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._broker.shutdown(), self._loop).result(_START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_S)


def _unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keeps the broker's errors about clients that disconnect early away from the screen."""
    logging.getLogger(__name__).debug("embedded broker: %s", context.get("exception") or context.get("message"))
