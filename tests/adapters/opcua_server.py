"""An OPC UA server to be started as a child process, so that it can be killed and stopped.

Prints its port when it is up. Reads commands from standard input, one a line: `NAME VALUE [STATUS]`.
"""

import asyncio
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
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


async def main(port: int, extra_namespaces: int, clock_s: float, certificates: str) -> None:
    server = Server()
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


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
