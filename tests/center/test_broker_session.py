"""What the center's session says to a broker, byte by byte."""

import socket
import struct
import threading

from servers import eventually

from center.ingest.mqtt import BrokerSession, BrokerSettings
from center.runtime.health import CenterHealth

CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8


def packets(stream):
    """Type, flags and body of each packet that comes, until the connection ends."""
    while head := stream.read(1):
        length = shift = 0
        while True:
            (byte,) = stream.read(1)
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        yield head[0] >> 4, head[0] & 15, stream.read(length)


class Forgetful:
    """A broker, MQTT 5, that acknowledges nothing that is published, and ends every connection at its second publication."""

    def __init__(self):
        self.listener, self.subscribed, self.published = socket.create_server(("127.0.0.1", 0)), 0, []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                self._answer(connection, stream)

    def _answer(self, connection, stream):
        here = []
        for kind, flags, body in packets(stream):
            if kind == CONNECT:
                connection.sendall(b"\x20\x03\0\0\0")
            elif kind == SUBSCRIBE:
                reasons = b"\1" * body.count(b"nhip/")
                connection.sendall(struct.pack(">BB", 0x90, 3 + len(reasons)) + body[:2] + b"\0" + reasons)
                self.subscribed += 1
            elif kind == PUBLISH:
                (length,) = struct.unpack(">H", body[:2])
                here.append((body[2 : 2 + length].decode(), bool(flags & 8)))
                self.published.append(here[-1])
                if len(here) == 2:
                    return


class Talkative:
    """A broker, MQTT 5, that passes on what it is given as soon as somebody subscribes."""

    def __init__(self, messages):
        self.listener, self._messages = socket.create_server(("127.0.0.1", 0)), messages
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                for kind, _, body in packets(stream):
                    if kind == CONNECT:
                        connection.sendall(b"\x20\x03\0\0\0")
                    elif kind == SUBSCRIBE:
                        reasons = b"\1" * body.count(b"nhip/")
                        connection.sendall(struct.pack(">BB", 0x90, 3 + len(reasons)) + body[:2] + b"\0" + reasons)
                        connection.sendall(b"".join(self._messages))


def variable(number):
    """A length as MQTT writes it."""
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def published(name, payload, properties, qos):
    mid = b"\0\7" if qos else b""
    body = struct.pack(">H", len(name)) + name.encode() + mid + variable(len(properties)) + properties + payload
    return bytes([0x30 | qos << 1]) + variable(len(body)) + body


def test_properties_of_messages_are_not_read():
    """Any gateway may add thousands, and of some kinds that this program's library refuses."""
    pair = b"\x26\0\1a\0\1b"
    told = [
        ("a", b"none", b"", 1),
        ("bb", b"many", pair * 5_000, 1),
        ("c", b"unknown", b"\x7e" * 200, 0),
        ("d", b"", pair, 0),
        ("e", b"\x80" * 300, b"\1\1", 1),
    ]
    broker, arrived = Talkative([published(*message) for message in told]), []
    session = BrokerSession(BrokerSettings("127.0.0.1", broker.port), CenterHealth(), arrived.append, lambda: None)
    session.start()
    try:
        eventually(lambda: len(arrived) == len(told))
        assert [(item.topic, item.payload, item.qos) for item in arrived] == [
            (name, payload, qos) for name, payload, _, qos in told
        ]
    finally:
        session.stop()
        broker.listener.close()


def test_a_new_session_sends_nothing_of_the_one_before():
    """MQTT 3.1.1, 3.1.2.4 and MQTT 5, 3.1.2.4: it is clean. A broker may not bear the repetition of what it never got."""
    broker = Forgetful()
    session = BrokerSession(BrokerSettings("127.0.0.1", broker.port), CenterHealth(), lambda _: None, lambda: None)
    session.start()
    try:
        for number in (1, 2):
            eventually(lambda n=number: broker.subscribed == n)
            for name in ("a", "b"):
                session.publish(f"{name}{number}", b"x")
        eventually(lambda: len(broker.published) >= 4)
        assert broker.published == [("a1", False), ("b1", False), ("a2", False), ("b2", False)]
    finally:
        session.stop()
        broker.listener.close()
