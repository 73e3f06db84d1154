"""What the errors of Modbus devices mean, as faults of the message catalogue. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from adapters.contract import Fault
from adapters.modbus.bus.frames_tcp import BusFault, ExceptionResponse

_EXCEPTION: Final[Mapping[int, str]] = {
    0: "wrong_length",
    1: "illegal_function",
    2: "illegal_address",
    3: "illegal_value",
    4: "device_failure",
    5: "device_busy",
    6: "device_busy",
    10: "gateway_no_path",
    11: "gateway_no_answer",
}
_TEXT: Final[tuple[tuple[str, str], ...]] = (
    (r"another Modbus master", "other_master"),
    (r"something else talks|never quiet", "line_noise"),
    (r"no such port", "no_serial_port"),
    (r"no permission; add the user", "serial_forbidden"),
    (r"another program uses this port", "serial_busy"),
    (r"write `echo: true`|remove `echo`", "serial_echo"),
    (r"cannot do \d+ baud", "serial_settings"),
    (r"asked again in \d+ s", "unit_silent"),
)


def refusal(code: int) -> Fault:
    """An exception code as a fault of the tag that was requested."""
    return Fault(_EXCEPTION.get(code, "device_failure"), values={"code": str(code)})


def fault_of(error: Exception) -> Fault | None:
    """Why a device or line cannot be read; None for errors of the operating system."""
    text, cause = str(error), error.__cause__
    if isinstance(error, ExceptionResponse):
        return replace(refusal(error.code), detail=text)
    code = next((code for pattern, code in _TEXT if re.search(pattern, text)), "")
    if not code and isinstance(cause, ExceptionResponse):
        return replace(refusal(cause.code), detail=text)
    if not code and isinstance(cause, BusFault):
        return Fault(cause.code, values=cause.values, detail=text)
    return Fault(code, detail=text) if code else None
