"""A PLC's variables behind a real OPC UA server: no security, read-only, written when they change."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from asyncua import ua
from asyncua.server.binary_server_asyncio import BinaryServer
from asyncua.server.server import Server

from simulator.plc.signals import OpcUaNode

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class OpcUaPlc:
    """One server on one address; `close` and `open` keep its address space, like a PLC whose cable is pulled."""

    def __init__(self, namespace: str, places: dict[str, OpcUaNode], host: str, port: int) -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self._namespace = namespace
        self._places = places
        self._host = host
        self._port = port
        self._server: Server | None = None
        self._listening = False
        self._nodes: dict[str, ua.NodeId] = {}
        self._shown: dict[str, int | bool] = {}

    @property
    def address(self) -> str:
        """The endpoint's URL, known after the first `open`."""
        return f"opc.tcp://{self._host}:{self._port}"

    async def open(self) -> None:
        """Listens; from the second time on at the same port. OSError: the port is taken."""
        if self._listening:
            return
        if self._server is None:
            await self._build()
        else:
            await self._listener().start()
        self._listening = True

    async def close(self) -> None:
        """Closes the port and every connection."""
        if self._listening:
            self._listening = False
            await self._listener().stop()

    async def stop(self) -> None:
        """Ends the server for good."""
        await self.close()
        if self._server:
            server, self._server = self._server, None
            await server.iserver.stop()

    async def show(self, tags: dict[str, int | bool], since_ns: dict[str, int]) -> None:
        """Writes what has changed, with the time at which it did as source timestamp."""
        assert self._server
        for tag, value in tags.items():
            if self._shown.get(tag) == value and tag in self._shown:
                continue
            stamp = (_EPOCH + timedelta(microseconds=since_ns[tag] // 1000)).replace(tzinfo=None)
            variant = ua.Variant(value, ua.VariantType[self._places[tag].type])
            data = ua.DataValue(variant, SourceTimestamp=stamp, ServerTimestamp=stamp)  # type: ignore[arg-type]
            await self._server.write_attribute_value(self._nodes[tag], data)
            self._shown[tag] = value

    def _listener(self) -> BinaryServer:
        assert self._server
        assert self._server.bserver
        return self._server.bserver

    async def _build(self) -> None:
        server = Server()
        await server.init()
        server.set_endpoint(self.address)
        server.set_server_name("Simulated PLC")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await server.register_namespace(self._namespace)
        waiting = ua.StatusCode(ua.UInt32(ua.status_codes.StatusCodes.BadWaitingForInitialData))
        for tag, place in self._places.items():
            kind = ua.VariantType[place.type]
            node = await server.nodes.objects.add_variable(
                ua.NodeId(ua.String(place.name), ua.Int16(index)),
                place.name,
                False if kind == ua.VariantType.Boolean else 0,
                kind,
            )
            await server.write_attribute_value(node.nodeid, ua.DataValue(ua.Variant(0, kind), StatusCode=waiting))
            self._nodes[tag] = node.nodeid
        await server.start()
        self._server = server
        self._port = self._listener().port
