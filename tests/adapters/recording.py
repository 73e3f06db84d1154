"""A proxy that keeps every byte that a client sends, and what those bytes ask for."""

import asyncio
import struct
from contextlib import asynccontextmanager, suppress

from asyncua.ua.object_ids import ObjectIds

READING = {1, 2, 3, 4}
"""The function codes of Modbus that change nothing."""
LOOKING = {
    "Hello", "OpenSecureChannel", "CloseSecureChannel", "GetEndpoints", "CreateSession", "ActivateSession",
    "CloseSession", "Read", "Browse", "BrowseNext", "CreateSubscription", "CreateMonitoredItems", "Publish",
    "DeleteSubscriptions",
}  # fmt: skip
"""The services of OPC UA that change nothing in a plant."""
_SUFFIX = "Request_Encoding_DefaultBinary"
SERVICES = {getattr(ObjectIds, name): name.removesuffix(_SUFFIX) for name in dir(ObjectIds) if name.endswith(_SUFFIX)}
_TCP_ONLY = {b"HEL": "Hello", b"OPN": "OpenSecureChannel", b"CLO": "CloseSecureChannel"}
_HEADER = 24


class Recorder:
    """Passes on what comes to `port`; sent: what each client has sent. drop() ends every connection."""

    def __init__(self, target):
        self.target, self.port, self.sent = target, 0, []
        self._open = set()

    async def serve(self, reader, writer):
        kept = bytearray()
        self.sent.append(kept)
        there, onward = await asyncio.open_connection("127.0.0.1", self.target)
        self._open |= {writer, onward}

        async def back():
            with suppress(ConnectionError):
                while data := await there.read(65536):
                    writer.write(data)
            writer.close()

        answers = asyncio.create_task(back())
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                kept += data
                onward.write(data)
        onward.close()
        await answers
        self._open -= {writer, onward}

    def drop(self):
        for writer in self._open:
            writer.transport.abort()


@asynccontextmanager
async def recording(target):
    found = Recorder(target)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        found.drop()
        server.close()


def modbus_functions(sent):
    """The function code of each question on each connection; every byte must belong to a question."""
    functions = []
    for data in sent:
        at = 0
        while at < len(data):
            _, protocol, length = struct.unpack_from(">HHH", data, at)
            assert protocol == 0
            functions.append(data[at + 7])
            at += 6 + length
        assert at == len(data)
    return functions


def opcua_services(sent):
    """The service of each request on each connection without security; every byte must belong to a message."""
    services = []
    for data in sent:
        at, whole = 0, True
        while at < len(data):
            kind, final, size = data[at : at + 3], data[at + 3 : at + 4], struct.unpack_from("<I", data, at + 4)[0]
            if bytes(kind) != b"MSG":
                services.append(_TCP_ONLY[bytes(kind)])
            elif whole:  # the first part of a message says what it is
                assert data[at + _HEADER : at + _HEADER + 2] == b"\1\0", "a request's type in four bytes"
                services.append(SERVICES[struct.unpack_from("<H", data, at + _HEADER + 2)[0]])
            whole = final != b"C"
            at += size
        assert at == len(data)
    return services
