"""What goes wrong on a Modbus bus, as exceptions: the type says how much is lost, fields say the rest. Pure.

A lost *range*: the unit answers, but not for these addresses (`ExceptionResponse`). A lost *unit*: what it is reached
through works (`LostUnit`; behind a gateway, exceptions 10 and 11 say so). A lost *device*: a host and port, with every
unit behind it (`LostDevice`). A lost *line*: a serial line with all its units (`LostLine`), or one that must be left to
another (`LineTaken`). Their texts are for logs; what is shown to people follows from `fault`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from adapters.contract import DeviceMisconfigured, Extent, Fault, NotConnected
from adapters.modbus.model import Table

FUNCTIONS: Final[Mapping[Table, int]] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
DEVICE_FAILURE, ACKNOWLEDGE, BUSY = 4, 5, 6
GATEWAY_NO_PATH, GATEWAY_NO_ANSWER = 10, 11
WRONG_LENGTH = 0
"""Not a code of the standard: the response carried more or fewer values than requested."""
_NAMES: Final[Mapping[int, str]] = {
    WRONG_LENGTH: "wrong number of values",
    ILLEGAL_FUNCTION: "illegal function",
    ILLEGAL_ADDRESS: "illegal data address",
    ILLEGAL_VALUE: "illegal data value",
    DEVICE_FAILURE: "device failure",
    ACKNOWLEDGE: "acknowledge, still working",
    BUSY: "device busy",
    8: "memory parity error",
    GATEWAY_NO_PATH: "gateway path unavailable",
    GATEWAY_NO_ANSWER: "gateway target did not answer",
}
_CODES: Final[Mapping[int, str]] = {
    WRONG_LENGTH: "wrong_length",
    ILLEGAL_FUNCTION: "illegal_function",
    ILLEGAL_ADDRESS: "illegal_address",
    ILLEGAL_VALUE: "illegal_value",
    DEVICE_FAILURE: "device_failure",
    ACKNOWLEDGE: "device_busy",
    BUSY: "device_busy",
    GATEWAY_NO_PATH: "gateway_no_path",
    GATEWAY_NO_ANSWER: "gateway_no_answer",
}
SILENT: Final = -1
"""In place of an exception code: no response at all, though the unit answers other requests."""


@dataclass(frozen=True, slots=True)
class AskedRange:
    """What one request asked for."""

    unit: int
    table: Table
    start: int
    count: int

    @property
    def last(self) -> int:
        """The last address."""
        return self.start + self.count - 1

    @property
    def function(self) -> int:
        """The function code."""
        return FUNCTIONS[self.table]

    def __str__(self) -> str:
        """Table and addresses."""
        return f"{self.table} {self.start}-{self.last}"


def range_fault(code: int, asked: AskedRange) -> Fault:
    """The fault of a range that the unit refuses with an exception code, or `SILENT`."""
    values = {
        "code": code, "unit": asked.unit, "table": asked.table, "function": asked.function, "first": asked.start,
        "last": asked.last,
    }  # fmt: skip
    texts = {name: str(value) for name, value in values.items()}
    if code == SILENT:
        del texts["code"]
        return Fault("range_silent", values=texts)
    lost_unit = code in {GATEWAY_NO_PATH, GATEWAY_NO_ANSWER}
    return Fault(_CODES.get(code, "device_failure"), values=texts, extent="unit" if lost_unit else "range")


class ExceptionResponse(Exception):
    """A lost range: the unit refuses the request. code: its exception code, or `WRONG_LENGTH`; asked: what it refuses."""

    def __init__(self, code: int, asked: AskedRange, text: str = "") -> None:
        super().__init__(text or f"{asked}: {_NAMES.get(code, 'exception')} (code {code})")
        self.code, self.asked = code, asked

    @property
    def fault(self) -> Fault:
        """The same for the message catalogue."""
        return range_fault(self.code, self.asked)

    @property
    def by_gateway(self) -> bool:
        """Whether a gateway says this of the unit behind it."""
        return self.code in {GATEWAY_NO_PATH, GATEWAY_NO_ANSWER}


class InvalidFrame(Exception):
    """What was received is not Modbus, or belongs to another request: the stream is out of sync. code: of the message
    catalogue, values: for its placeholders.
    """

    def __init__(self, message: str, code: str = "not_modbus", **values: object) -> None:
        super().__init__(message)
        self.code = code
        self.values = {name: str(value) for name, value in values.items()}


class UnfitResponse(InvalidFrame):
    """A whole response that does not fit its request; the stream is in sync, and the next one may fit."""


class BusLost(NotConnected):
    """Something on a bus cannot be reached. peer: host and port, or the serial port; code, values: of its fault."""

    extent: ClassVar[Extent]

    def __init__(
        self, peer: str, reason: str, code: str, *, gentle: bool = False, values: Mapping[str, str] | None = None
    ) -> None:
        text = f"{peer}: {reason}"
        fault = Fault(code, values=values or {}, detail=text, extent=self.extent)
        super().__init__(text, gentle=gentle, fault=fault)
        self.peer = peer


class LostUnit(BusLost):
    """One unit does not answer, or not rightly, on a bus that works. unit: its number."""

    extent = "unit"

    def __init__(
        self,
        peer: str,
        unit: int,
        reason: str,
        code: str = "unit_silent",
        *,
        gentle: bool = False,
        values: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(peer, reason, code, gentle=gentle, values={"unit": str(unit)} | dict(values or {}))
        self.unit = unit


class LostDevice(BusLost):
    """Nothing behind a host and port can be reached."""

    extent = "device"


class LostLine(BusLost):
    """No unit of a serial line can be reached."""

    extent = "line"


class LineTaken(DeviceMisconfigured):
    """A line on which somebody else sends, so nothing is asked there. peer: the line."""

    def __init__(self, peer: str, reason: str, code: str) -> None:
        text = f"{peer}: {reason}; a line has one master: disconnect the other one"
        super().__init__(text, elsewhere=True, fault=Fault(code, detail=text, extent="line"))
        self.peer = peer


class PortUnusable(DeviceMisconfigured):
    """A serial port that cannot be used as it is set. peer: the port; elsewhere: see the base class."""

    def __init__(self, peer: str, reason: str, code: str, *, elsewhere: bool = False) -> None:
        text = f"{peer} {reason}"
        super().__init__(text, elsewhere=elsewhere, fault=Fault(code, detail=text, extent="line"))
        self.peer = peer
