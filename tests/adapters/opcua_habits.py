"""asyncua's server in this event loop, with habits of other makes."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

from asyncua import Server, ua
from asyncua.server.internal_session import InternalSession
from asyncua.server.subscription_service import SubscriptionService
from servers import free_port

URI = "urn:nhip:test"
NO_TIME = datetime(1601, 1, 1, tzinfo=UTC)


class Habits:
    """url; set: writes a value with a source time. Nodes are `nsu=urn:nhip:test;s=NAME`."""

    def __init__(self, port, server, index):
        self.port, self.server, self.index = port, server, index
        self.url = f"opc.tcp://127.0.0.1:{port}/"

    async def set(self, name, value, when=None):
        node = self.server.get_node(ua.NodeId(name, self.index))
        kind = (await node.read_data_value()).Value.VariantType
        data = ua.DataValue(ua.Variant(value, kind), SourceTimestamp=when or datetime.now(UTC))
        await self.server.write_attribute_value(node.nodeid, data)


@asynccontextmanager
async def habits(monkeypatch, *, session_timeout=None, publishing_ms=None, null_view_only=False, **values):
    """session_timeout: what each session is granted [ms]; publishing_ms: what each subscription is granted [ms];
    null_view_only: a view with a timestamp is refused; values: variables by name, (value, VariantType) where it matters.
    """
    if session_timeout is not None:
        create_session = InternalSession.create_session

        async def granted(self, *args, **kwargs):
            result = await create_session(self, *args, **kwargs)
            result.RevisedSessionTimeout = session_timeout
            return result

        monkeypatch.setattr(InternalSession, "create_session", granted)
    if publishing_ms is not None:
        create_subscription = SubscriptionService.create_subscription

        async def slow(self, parameters, *args, **kwargs):
            parameters.RequestedPublishingInterval = publishing_ms
            return await create_subscription(self, parameters, *args, **kwargs)

        monkeypatch.setattr(SubscriptionService, "create_subscription", slow)
    if null_view_only:
        browse = InternalSession.browse

        async def refusing(self, parameters):
            view = parameters.View
            if view.Timestamp.replace(tzinfo=UTC) > NO_TIME or not view.ViewId.is_null():
                raise ua.uaerrors.BadViewIdUnknown
            return await browse(self, parameters)

        monkeypatch.setattr(InternalSession, "browse", refusing)
    server = Server()
    await server.init()
    port = free_port()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(URI)
    machine = await server.nodes.objects.add_object(index, "M")
    for name, given in ({"count": 0} | values).items():
        value, *kind = given if isinstance(given, tuple) else (given,)
        await machine.add_variable(ua.NodeId(name, index), name, value, *kind)
    async with server:
        yield Habits(port, server, index)
