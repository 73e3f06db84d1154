"""The contract between a protocol and the supervisor that drives it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from oee.model.states import Quality


class NotConnected(Exception):
    """The device or the line is away: passing. The supervisor connects again.

    gentle: the peer never answered on this connection or closed it before it did (another
    master may own its only socket), so the supervisor waits long before it tries again.
    """

    def __init__(self, message: str, *, gentle: bool = False) -> None:
        super().__init__(message)
        self.gentle = gentle


class Misconfigured(Exception):
    """Nothing but a change of the site file can help; the supervisor does not try again.

    elsewhere: an act at the device can help (trusting our certificate), so the supervisor tries again, slowly.
    """

    def __init__(self, message: str, *, elsewhere: bool = False) -> None:
        super().__init__(message)
        self.elsewhere = elsewhere


class Row(NamedTuple):
    """One value of one tag. t_ns: gateway time from which it holds [ns UTC]; value is meaningless where the quality
    is BAD or GAP; source_ns: the device's own time, if it gave one [ns UTC]."""

    tag: str
    t_ns: int
    value: Any
    quality: Quality
    source_ns: int | None = None


def rows_at(t_ns: int, changes: Iterable[tuple[str, Any, Quality]]) -> list[Row]:
    """Rows of one time. Made the short way, at half the price: a gateway makes ten thousand each second."""
    new = tuple.__new__
    return [new(Row, (tag, t_ns, value, quality, None)) for tag, value, quality in changes]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one `read()` brought.

    t_ns: gateway time at which `confirmed` was confirmed [ns UTC], taken when the answer had arrived.
    rows: changes, oldest first for each tag. A tag's first value after `connect()` is always a row;
      an equal value later need not be.
    confirmed: tags (without the device's name) whose last row still held at t_ns. A tag that was not asked
      this time, or whose answer was missing, is simply absent.
    clock_off_ns: gateway time minus the device's own clock [ns], where it tells one.

    Rows are plain Python: at a few values a call NumPy costs more than it saves, so the pipeline gathers
    readings and makes columns of many of them at once.
    """

    t_ns: int
    rows: Sequence[Row]
    confirmed: Sequence[str]
    clock_off_ns: int | None = None


class Adapter(Protocol):
    """One device's connection. Created without side effects by `open_device(device, now_ns)` in the file
    named for its kind, where `device` is the checked configuration and `now_ns` tells gateway time.

    Order of calls: `connect()` until it returns; then `read()` again and again; after `NotConnected`
    `close()` and `connect()` again; at the end `close()`. One task calls; calls never overlap.

    The adapter never retries, never sleeps except as its protocol demands between frames, never logs and
    never spawns tasks that outlive `close()`: one supervisor does all of that, the same for every protocol.
    """

    async def connect(self) -> None:
        """Makes the connection. Returns when the device may be read.

        Raises `NotConnected` if the peer does not answer, `Misconfigured` if it never can (a bad address,
        a refused certificate, an unknown security policy)."""
        ...

    async def read(self) -> Reading:
        """Asks for whatever is due, or hands over what a subscription brought since the last call.

        The supervisor calls it once a period (`period_s`). A tag that the device refuses is a row of quality
        BAD, and the others are still read. Raises `NotConnected` when the device as a whole is gone."""
        ...

    async def close(self) -> None:
        """Frees the connection. May be called at any time and twice; never raises."""
        ...

    @property
    def period_s(self) -> float:
        """How often `read()` wants to be called [s]."""
        ...
