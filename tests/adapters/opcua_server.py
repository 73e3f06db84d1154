"""OPC UA servers as processes of their own, so that they can be killed and stopped.

To build the standard's address space takes over a second, so it is built once, in a process that listens at a Unix socket
and becomes a server by forking: one for each connection. A line of JSON on it (the arguments of `main`) is answered with
the server's pid, and with its port when it is up. Further lines are commands, `NAME VALUE [STATUS]`.
"""

import asyncio
import gc
import json
import logging
import os
import select
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AddressSpace
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.standard_address_space.standard_address_space import fill_address_space
from cryptography.hazmat.primitives.serialization import Encoding

URI = "urn:nhip:test"
logging.getLogger("asyncua").setLevel(logging.CRITICAL)


def only_trusted(server, folder):
    """If there is that folder, accepts whoever's certificate lies in it at that time, as a person would put it there."""

    async def validate(certificate, description):
        known = {path.read_bytes() for path in folder.iterdir()}
        if certificate.public_bytes(Encoding.DER) not in known:
            raise ServiceError(ua.StatusCodes.BadSecurityChecksFailed)

    if folder.exists():
        server.set_certificate_validator(validate)


class OneUser:
    """Lets `operator` in with the password `secret`, and nobody else."""

    def get_user(self, _server, username=None, password=None, certificate=None):
        return User(role=UserRole.User) if (username, password) == ("operator", "secret") else None


def refuse(what: str) -> None:
    """Sessions are refused with this status."""

    async def refused(self, *_, **__):
        raise ServiceError(getattr(ua.StatusCodes, what))

    InternalSession.create_session = refused


async def main(port: int, extra_namespaces: int, clock_s: float, certificates: str, refusing: str = "") -> None:
    if refusing.startswith("Bad"):
        refuse(refusing)
    server = Server(user_manager=OneUser() if refusing == "users" else None)
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    if certificates:
        await server.set_application_uri("urn:nhip:test:server")
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        await server.load_certificate(f"{certificates}/server.der")
        await server.load_private_key(f"{certificates}/server.pem")
        only_trusted(server, Path(certificates, "trusted"))
    else:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for number in range(extra_namespaces):  # so that ours gets another number than last time
        await server.register_namespace(f"urn:other:{number}")
    index = await server.register_namespace(URI)
    machine = await server.nodes.objects.add_object(index, "M")
    start = {"count": 0, "running": False, "temperature": 20.5, "recipe": "A"}
    nodes = {name: await machine.add_variable(ua.NodeId(name, index), name, value) for name, value in start.items()}
    kinds = {name: type(value) for name, value in start.items()}
    variants = {name: (await node.read_data_value()).Value.VariantType for name, node in nodes.items()}
    async with server:
        print(f"up {port}", flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            name, text, *status = line.decode().split()
            value = text == "True" if kinds[name] is bool else kinds[name](text)
            data = ua.DataValue(
                ua.Variant(value, variants[name]),
                ua.StatusCode(int(status[0], 0)) if status else ua.StatusCode(),
                SourceTimestamp=datetime.now(UTC) + timedelta(seconds=clock_s),
            )
            await server.write_attribute_value(nodes[name].nodeid, data)
            print("done", flush=True)


def load_standard(space: AddressSpace) -> None:
    """Lets every server of this process and its forks take the nodes of this space instead of building them."""

    async def load(server, _shelf=None):
        server.aspace._nodes = space._nodes

    InternalServer.load_standard_address_space = load


def listen(path: str) -> None:
    """Becomes a server for each connection, until standard input ends."""
    gc.disable()  # to find nothing among some hundred thousand objects takes half of the time
    plain = InternalServer()
    fill_address_space(plain.node_mgt_service)
    load_standard(plain.aspace)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("up", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork():
                connection.close()
                continue
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            for number in (0, 1):
                os.dup2(connection.fileno(), number)
            connection.close()
            print(os.getpid(), flush=True)
            asyncio.run(main(*json.loads(line())))
            return


def line() -> bytes:
    """One line from standard input, and nothing of what follows it."""
    received = b""
    while not received.endswith(b"\n") and (byte := os.read(0, 1)):
        received += byte
    return received


if __name__ == "__main__":
    listen(sys.argv[1])
