"""Which requests of a device were not answered while the device was there. Pure.

Some devices stay silent where they should refuse. A missing response counts against its request only if the device
answered something else meanwhile; otherwise it says nothing, but the request is tried after the others next time. After
the third in a row a request is *set aside*: sent rarely, across reconnects.
"""

from collections.abc import Iterable

from adapters.modbus.plan import Request

MOST_SILENCES = 3
"""Missing responses in a row after which a request is set aside."""
CUT_AT = 2
"""Missing responses in a row after which a request is cut at its gaps: one may have been lost."""


class SilentRanges:
    """Missing responses in a row by request, the request that was silent longest ago first."""

    def __init__(self) -> None:
        self._counts: dict[Request, int] = {}

    def __contains__(self, request: Request) -> bool:
        return request in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def answered(self, request: Request) -> None:
        """It was answered, or refused."""
        self._counts.pop(request, None)

    def silent(self, request: Request, *, proven: bool) -> int:
        """It was not answered. proven: but the device was there. How often in a row that was so."""
        self._counts[request] = count = self._counts.pop(request, 0) + proven
        return count

    def set_aside(self) -> list[Request]:
        """Those to be sent rarely."""
        return [request for request, count in self._counts.items() if count >= MOST_SILENCES]

    def first_of(self, requests: Iterable[Request], *, set_aside: bool) -> Request | None:
        """Of these, the one that was silent longest ago. set_aside: whether it may be one that is set aside."""
        wanted = set(requests)
        found = (one for one, count in self._counts.items() if one in wanted and (set_aside or count < MOST_SILENCES))
        return next(found, None)

    def keep(self, requests: Iterable[Request]) -> None:
        """Forgets the requests that are not among these."""
        wanted = set(requests)
        self._counts = {request: count for request, count in self._counts.items() if request in wanted}
