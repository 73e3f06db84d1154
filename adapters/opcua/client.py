"""asyncua's client with what some servers need of it beyond the ordinary."""

from datetime import UTC, datetime
from typing import Any, Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaError

SESSION_MS = 60_000
"""How long a server keeps the session of a gateway that lost power [ms]; short, since few PLCs allow more than ten."""
CHANNEL_MS = 3_600_000
"""How long the keys of a secure channel are used where the server names no time [ms]."""
NO_TIME: Final = datetime(1601, 1, 1, tzinfo=UTC)
"""Sent as 0. asyncua's null view has the present time, which async-opcua takes for a view that it does not have."""


class NoEndpoint(UaError):
    """The server lists no endpoint under the address that it was asked at."""

    def __init__(self) -> None:
        super().__init__("the server lists no endpoint under this address; write the address as the server does")


class SessionClient(Client):
    """A client that believes no lifetime of 0 and learns why a server refuses a secure channel."""

    def __init__(self, url: str, timeout_s: float) -> None:
        super().__init__(url, timeout=timeout_s, watchdog_intervall=timeout_s)
        self.session_timeout = SESSION_MS
        self.name = self.description = "Nhip"

    async def create_session(self) -> ua.CreateSessionResult:
        """A server that grants 0 (gopcua) names no timeout; asyncua would wait 0 s for each watchdog answer."""
        created = await super().create_session()
        if self.session_timeout <= 0:
            self.session_timeout = SESSION_MS
        return created

    async def get_endpoints(self) -> list[ua.EndpointDescription]:
        """The server's endpoints. Some list none for an address with a slash more or less than theirs (gopcua)."""
        url = self.server_url.geturl()
        for address in (url, url.removesuffix("/") if url.endswith("/") else f"{url}/"):
            found = await self.uaclient.get_endpoints(ua.GetEndpointsParameters(EndpointUrl=address))
            if found:
                return found
        raise NoEndpoint

    async def open_secure_channel(self, renew: bool = False) -> None:
        """A refusal in form of a ServiceFault (node-opcua) raises its status; asyncua fails an assertion."""
        protocol = self.uaclient.protocol
        if protocol is None:
            raise ConnectionResetError("the connection was lost")
        process: Any = protocol._process_received_message  # noqa: SLF001  # asyncua drops the status before anybody sees it

        def note_refusal(message: Any) -> None:
            if isinstance(message, ua.Message):
                answer: Any = message
                if isinstance(answer.SecurityHeader(), ua.AsymmetricAlgorithmHeader):
                    protocol.check_answer(answer.body(), " in response to OpenSecureChannelRequest")
            process(message)

        protocol._process_received_message = note_refusal  # type: ignore[method-assign, assignment]  # noqa: SLF001
        try:
            await super().open_secure_channel(renew)
        except AssertionError as error:
            raise UaError("the server opens no secure channel") from error
        finally:
            protocol._process_received_message = process  # type: ignore[method-assign]  # noqa: SLF001
        if self.secure_channel_timeout <= 0:
            self.secure_channel_timeout = CHANNEL_MS
