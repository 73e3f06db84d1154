"""Converts OPC UA data values for rows: value, quality, and time on the gateway's clock."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from asyncua import ua

from adapters.opcua.nodes import node_text
from oee.model.states import Quality

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAR_OFF_NS = 3_600_000_000_000
"""A device clock further off than this is not used for dating: PLCs start in the year 2000, and constants have no
date [ns]."""
WINDOW_NS = 60_000_000_000

_NO_YEARS = frozenset({1601, 9999})
_MICROSECOND = timedelta(microseconds=1)
_SEVERITY = {0: Quality.GOOD, 1: Quality.UNCERTAIN}


def value_of(data: ua.DataValue, namespaces: Sequence[str] = ()) -> tuple[Any, Quality]:
    """Value and quality. A bad status, and a value that is not a number, text or bool, give BAD.

    namespaces: URIs of the server, for a value that is a node id: it is read as text, `nsu=URI;i=5006`.
    """
    return judged(raw_of(data), data, namespaces)


def raw_of(data: ua.DataValue) -> Any:
    """The value as it was received; None if there is none."""
    return data.Value.Value if data.Value is not None else None


def judged(part: Any, data: ua.DataValue, namespaces: Sequence[str]) -> tuple[Any, Quality]:
    """As `value_of`, for a part of the node's value: an element, a field."""
    status = data.StatusCode
    quality = _SEVERITY.get(status.value >> 30, Quality.BAD) if status is not None else Quality.GOOD
    value = plain(part, namespaces)
    if quality is Quality.BAD or value is None:
        return None, Quality.BAD
    return value, quality


def source_ns_of(data: ua.DataValue) -> int | None:
    """The device's own time of the value [ns UTC], if it gave one."""
    when = source_time_of(data)
    if when is None:
        return None
    return _since_epoch(when) // _MICROSECOND * 1000


def source_time_of(data: ua.DataValue) -> datetime | None:
    """The device's own time of the value. None if it gave none, which many servers write as 0, the year 1601, and a few as
    the last time there is.
    """
    when = data.SourceTimestamp
    return None if when is None or when.year in _NO_YEARS else when


def clock_off_ns(clock: ua.DataValue, received_ns: int) -> int | None:
    """Gateway time minus the time that a clock node holds [ns]; None if it holds no time."""
    when = clock.Value.Value if clock.Value is not None else None
    if not isinstance(when, datetime) or when.year in _NO_YEARS:
        return None
    return received_ns - _since_epoch(when) // _MICROSECOND * 1000


def _since_epoch(when: datetime) -> timedelta:
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)) - _EPOCH


def plain(value: Any, namespaces: Sequence[str]) -> bool | int | float | str | None:
    """A single value as a number, text or truth value; None for any other, and for NaN."""
    if isinstance(value, ua.Variant):  # an element of an array of mixed types
        value = value.Value
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, ua.LocalizedText):
        value = value.Text or ""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, datetime):
        return _since_epoch(value).total_seconds()
    if isinstance(value, ua.NodeId):
        return node_text(value.to_string(), namespaces)
    if isinstance(value, ua.QualifiedName):
        return _text(value.Name or "")
    if isinstance(value, UUID):
        return str(value)
    return None


def _text(value: str) -> str:
    """Replaces surrogates, which neither files nor messages can hold: asyncua decodes bytes that are not UTF-8 (from a
    server with another code page) to them.
    """
    return value.encode(errors="surrogateescape").decode(errors="replace")


class SourceClock:
    """Estimates how far the device's clock is behind ours, and dates its values on ours.

    The offset is the least (receive − source) of the last one to two minutes: every notification takes some time
    to arrive and a queued value may be old when it is sent, so the least is the most accurate.
    """

    def __init__(self) -> None:
        self._window_began_ns: int | None = None
        self._least_ns: int | None = None
        self._least_before_ns: int | None = None

    @property
    def offset_ns(self) -> int | None:
        """Ours minus the device's [ns]; None until a value with a time was received."""
        offsets = [least for least in (self._least_ns, self._least_before_ns) if least is not None]
        return min(offsets, default=None)

    def dated_ns(self, source_ns: int | None, receive_ns: int) -> int:
        """The value's time on our clock [ns UTC], never later than it was received."""
        if source_ns is None:
            return receive_ns
        self._learn(receive_ns - source_ns, receive_ns)
        offset_ns = self.offset_ns
        if offset_ns is None or abs(offset_ns) > FAR_OFF_NS:
            return receive_ns
        return min(source_ns + offset_ns, receive_ns)

    def _learn(self, difference_ns: int, receive_ns: int) -> None:
        if self._window_began_ns is None or receive_ns - self._window_began_ns >= WINDOW_NS:
            self._least_before_ns, self._least_ns = self._least_ns, None
            self._window_began_ns = receive_ns
        if self._least_ns is None or difference_ns < self._least_ns:
            self._least_ns = difference_ns
