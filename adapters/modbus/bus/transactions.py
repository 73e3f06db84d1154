"""Which responses on one socket belong to the request that is open. Pure.

A server echoes the transaction number of its request, so that a late response is never taken for another's. Some answer
0 to everything, or count for themselves. That is learned for a socket, and only where a response can belong to nothing
but the open request: on a socket on which every request was answered so far, none of them with the right number. A
server that ever echoed is held to it. On a socket with numbers of the server's own, each must equal the one before or
follow it, and the first request without a response ends the socket (`own` tells).
"""

FIRST = 0x4E00
"""A counter of the server's own rarely meets ours there."""


class Transactions:
    """The numbers of one server. stray: the latest number that belongs to no request of this socket, else None."""

    def __init__(self) -> None:
        self.sent = FIRST
        self.stray: int | None = None
        self._echoed = False
        self._first_here = FIRST + 1
        self._own: int | None = None
        self._unsure = False

    @property
    def own(self) -> bool:
        """Whether this socket's responses bear numbers of the server's own."""
        return self._own is not None

    def opened(self) -> None:
        """A new socket."""
        self._own, self._unsure, self.stray, self._first_here = None, False, None, self.sent + 1

    def next(self) -> int:
        """The number of the next request, never 0."""
        self.sent = self.sent % 0xFFFF + 1
        return self.sent

    def unanswered(self) -> None:
        """The request was given up: its response may still come."""
        self._unsure = True

    def fits(self, number: int) -> bool:
        """Whether a response with this number answers the open request."""
        if self._own is not None:
            if number not in {self._own, (self._own + 1) & 0xFFFF}:
                self.stray = number
                return False
            self._own = number
            return True
        if number == self.sent:
            self._echoed = True
            return True
        if self._echoed or self._unsure:
            if not self._first_here <= number <= self.sent:  # else it is late
                self.stray = number
            return False
        self._own = number
        return True
