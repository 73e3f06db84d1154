"""Values of one session as rows: only changes, with the device's time converted to the gateway's clock."""

from collections.abc import Callable, Iterable
from typing import Any

from asyncua import ua

from adapters.contract import Row
from adapters.opcua.values import SourceClock, source_ns_of
from oee.model.states import Quality


class ChangedValues:
    """The values of one connection. A new connection needs a new one, since a tag's first value is always a row.

    value_of: a tag's value and quality by its name and what the server sent.
    """

    def __init__(self, now_ns: Callable[[], int], value_of: Callable[[str, ua.DataValue], tuple[Any, Quality]]) -> None:
        self._now_ns, self._value_of = now_ns, value_of
        self._clock = SourceClock()
        self._last: dict[str, tuple[Any, Quality]] = {}
        self._row_ns: dict[str, int] = {}
        self.confirmed_until_ns = now_ns()
        """Until when values are confirmed: no row may be dated earlier [ns UTC]."""

    @property
    def tags(self) -> Iterable[str]:
        """Those that have a value, good or bad."""
        return self._last

    def learn_clock(self, received: Iterable[tuple[ua.DataValue, int]]) -> None:
        """Learns the device's clock from all values of a publication before the first is dated: the oldest of them has
        waited in the server's queue for up to the whole interval. received: values, and when they came [ns UTC].
        """
        for data, receive_ns in received:
            self._clock.dated_ns(source_ns_of(data), receive_ns)

    def rows(self, name: str, data: ua.DataValue, receive_ns: int | None = None) -> list[Row]:
        """A row if the value is not the last one reported; dated by the device, but not before what was confirmed."""
        received_ns = self._now_ns() if receive_ns is None else receive_ns
        source_ns = source_ns_of(data)
        dated_ns = self._clock.dated_ns(source_ns, received_ns)
        value = self._value_of(name, data)
        if self._last.get(name) == value:
            return []
        self._last[name] = value
        t_ns = max(dated_ns, self.confirmed_until_ns, self._row_ns.get(name, 0) + 1)
        self._row_ns[name] = t_ns
        return [Row(name, t_ns, *value, source_ns)]

    def bad_rows(self, names: Iterable[str], t_ns: int) -> list[Row]:
        """Rows of quality BAD for tags that the server refuses, unless that was reported already."""
        rows = []
        for name in names:
            if self._last.get(name) != (None, Quality.BAD):
                self._last[name] = (None, Quality.BAD)
                self._row_ns[name] = max(t_ns, self._row_ns.get(name, 0) + 1)
                rows.append(Row(name, self._row_ns[name], None, Quality.BAD))
        return rows
